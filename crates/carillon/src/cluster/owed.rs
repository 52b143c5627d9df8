//! What new owners elsewhere could not be told of what this node holds, because their links were full. It is tried again when
//! there is room, with what is true then.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_acd::ids::{Epoch, NodeId};
use carillon_cluster::ownership::Tenure;
use carillon_cluster::shard::Shard;
use tokio::time::Instant;

/// How often it is looked whether there is room.
const LOOK: Duration = Duration::from_millis(100);
/// So long it is tried: then the calls and the registrar have said it themselves, or soon will.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module. There is one entry for each shard at most.
#[derive(Default)]
pub(super) struct Owed {
    by_shard: BTreeMap<Shard, Debt>,
    next_look: Option<Instant>,
}

struct Debt {
    to: NodeId,
    epoch: Epoch,
    until: Instant,
}

impl Owed {
    /// A node could not be told of these shards. That it was tried before gives it no more time.
    pub(super) fn add(&mut self, now: Instant, to: NodeId, tenures: &[Tenure]) {
        for Tenure { shard, epoch } in tenures {
            let known = self.by_shard.get(shard).filter(|known| known.epoch == *epoch);
            let until = known.map_or(now + PATIENCE, |known| known.until);
            self.by_shard.insert(*shard, Debt { to, epoch: *epoch, until });
        }
        self.next_look = Some(now + LOOK);
    }

    /// When to look again; `None` while nothing is owed.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.next_look.filter(|_| !self.by_shard.is_empty())
    }

    /// What can be told now: to nodes that have room, of shards that they still own in that epoch as far as `holds` knows. It
    /// is owed until [`Owed::told`].
    pub(super) fn due(
        &mut self,
        now: Instant,
        has_room: impl Fn(NodeId) -> bool,
        holds: impl Fn(Tenure) -> bool,
    ) -> BTreeMap<NodeId, Vec<Tenure>> {
        self.next_look = Some(now + LOOK);
        self.by_shard.retain(|shard, debt| now < debt.until && holds(Tenure { shard: *shard, epoch: debt.epoch }));
        let mut due: BTreeMap<NodeId, Vec<Tenure>> = BTreeMap::new();
        for (shard, debt) in self.by_shard.iter().filter(|(_, debt)| has_room(debt.to)) {
            due.entry(debt.to).or_default().push(Tenure { shard: *shard, epoch: debt.epoch });
        }
        due
    }

    /// They are told, or need not be any more.
    pub(super) fn told(&mut self, tenures: &[Tenure]) {
        for Tenure { shard, .. } in tenures {
            self.by_shard.remove(shard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: NodeId = NodeId(2);

    fn tenure(shard: u16, epoch: u64) -> Tenure {
        Tenure { shard: Shard::try_from(shard).unwrap(), epoch: Epoch(epoch) }
    }

    // spec: CL-3
    #[test]
    fn cl_3_what_a_full_link_did_not_take_is_due_when_it_has_room_and_not_for_ever() {
        let (mut owed, now) = (Owed::default(), Instant::now());
        assert_eq!(owed.next_look(), None);
        owed.add(now, TO, &[tenure(1, 40), tenure(2, 40)]);
        assert_eq!(owed.next_look(), Some(now + LOOK));
        let newest = |newest: u64| move |it: Tenure| it.shard.number() != 1 || it.epoch.0 == newest;
        assert!(owed.due(now + LOOK, |_| false, newest(40)).is_empty());
        let now = now + 2 * LOOK;
        assert_eq!(owed.due(now, |_| true, newest(40))[&TO].len(), 2);
        // It is full again, and another node owns one of them.
        owed.add(now, TO, &[tenure(1, 40), tenure(2, 40)]);
        assert_eq!(owed.due(now + LOOK, |_| true, newest(41))[&TO], [tenure(2, 40)]);
        owed.told(&[tenure(2, 40)]);
        assert_eq!(owed.next_look(), None);
    }

    #[test]
    fn trying_again_does_not_lengthen_the_time() {
        let (mut owed, began) = (Owed::default(), Instant::now());
        owed.add(began, TO, &[tenure(1, 40)]);
        owed.add(began + PATIENCE / 2, TO, &[tenure(1, 40)]);
        assert!(owed.due(began + PATIENCE, |_| true, |_| true).is_empty());
        assert_eq!(owed.next_look(), None);
    }
}
