//! Which queues and agents fall into which shard, and what was reported of them before they had an owner here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use carillon_acd::ids::{AgentId, Epoch};
use carillon_actors::Owned;
use carillon_cluster::ownership::Tenure;
use carillon_cluster::shard::Shard;
use carillon_rpc::cluster::Message;

/// Reported messages that wait for owners to start; those of a node with 20,000 calls in progress are fewer.
const MOST: usize = 200_000;
/// Messages that wait for a configuration: one for each phone of a large change.
const MOST_EARLY: usize = 20_000;

/// The shard of a queue or an agent.
pub(super) fn shard(owned: &Owned) -> Shard {
    match owned {
        Owned::Queue(queue) => Shard::of_queue(queue),
        Owned::Agent(agent) => Shard::of_agent(agent),
    }
}

/// The configured queues and agents, by shard. Another configuration is another of these.
#[derive(Default)]
pub(super) struct Holdings {
    by_shard: HashMap<Shard, Vec<Owned>>,
    /// Those that are configured no more and had an owner here at the last change: it may still be there, for calls that have
    /// not ended.
    former: HashMap<Shard, Vec<Owned>>,
}

impl Holdings {
    pub(super) fn new(everything: impl IntoIterator<Item = Owned>) -> Self {
        Holdings { by_shard: by_shard(everything), former: HashMap::new() }
    }

    /// After a change, and what it adds. Of what is gone is kept only what `has_owner` here: names that come and go would add
    /// up otherwise.
    pub(super) fn changed(&self, everything: Vec<Owned>, has_owner: impl Fn(&Owned) -> bool) -> (Holdings, Vec<Owned>) {
        let now: HashSet<&Owned> = everything.iter().collect();
        let before = self.by_shard.values().chain(self.former.values()).flatten();
        let former = by_shard(before.filter(|owned| !now.contains(owned) && has_owner(owned)).cloned());
        let known: HashSet<&Owned> = self.by_shard.values().flatten().collect();
        let added = everything.iter().filter(|owned| !known.contains(owned)).cloned().collect();
        (Holdings { by_shard: by_shard(everything), former }, added)
    }

    /// Whether it is configured.
    pub(super) fn hold(&self, owned: &Owned) -> bool {
        self.of(shard(owned)).contains(owned)
    }

    /// All queues and agents.
    pub(super) fn all(&self) -> impl Iterator<Item = &Owned> {
        self.by_shard.values().flatten()
    }

    /// All agents.
    pub(super) fn agents(&self) -> impl Iterator<Item = &AgentId> {
        self.all().filter_map(|owned| match owned {
            Owned::Agent(agent) => Some(agent),
            Owned::Queue(_) => None,
        })
    }

    /// What falls into a shard.
    pub(super) fn of(&self, shard: Shard) -> &[Owned] {
        self.by_shard.get(&shard).map_or(&[], Vec::as_slice)
    }

    /// The same with what fell into it before a change.
    pub(super) fn ever_of(&self, shard: Shard) -> impl Iterator<Item = &Owned> {
        self.of(shard).iter().chain(self.former.get(&shard).into_iter().flatten())
    }
}

fn by_shard(everything: impl IntoIterator<Item = Owned>) -> HashMap<Shard, Vec<Owned>> {
    let mut by_shard: HashMap<Shard, Vec<Owned>> = HashMap::new();
    for owned in everything {
        by_shard.entry(shard(&owned)).or_default().push(owned);
    }
    by_shard
}

/// What other nodes have reported for owners that do not run yet. An owner of an older election that still runs is not the
/// one who must hear it: it ends when the new one starts.
#[derive(Default)]
pub(super) struct Reports(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    messages: BTreeMap<Tenure, Vec<Message>>,
    /// The election whose owners run here.
    running: HashMap<Shard, Epoch>,
    /// For those whom another node knows from a configuration that has not come here yet.
    early: Vec<Message>,
}

impl Reports {
    /// Keeps messages for the owners of their tenures, and gives those back whose owners run. Those for older tenures of
    /// the same shards are of no use any more.
    pub(super) fn keep(&self, messages: Vec<(Tenure, Message)>) -> Vec<Message> {
        let mut waiting = self.lock();
        let newest: HashMap<Shard, Epoch> = messages.iter().map(|(it, _)| (it.shard, it.epoch)).collect();
        waiting.messages.retain(|known, _| newest.get(&known.shard).is_none_or(|newest| known.epoch >= *newest));
        let mut room = MOST.saturating_sub(waiting.messages.values().map(Vec::len).sum());
        let (mut now, mut lost) = (Vec::new(), 0);
        for (tenure, message) in messages {
            if waiting.running.get(&tenure.shard) == Some(&tenure.epoch) {
                now.push(message);
            } else if room > 0 {
                room -= 1;
                waiting.messages.entry(tenure).or_default().push(message);
            } else {
                lost += 1;
            }
        }
        if lost > 0 {
            tracing::warn!(lost, "more is reported than owners that start can be told: they hear of it later");
        }
        now
    }

    /// The election of a shard whose owners run here.
    pub(super) fn tenure(&self, shard: Shard) -> Option<Tenure> {
        self.lock().running.get(&shard).map(|epoch| Tenure { shard, epoch: *epoch })
    }

    /// Keeps a message for an owner whom this node's configuration does not know yet.
    pub(super) fn keep_early(&self, message: Message) {
        let mut waiting = self.lock();
        if waiting.early.len() < MOST_EARLY {
            waiting.early.push(message);
        }
    }

    /// The configuration has changed: what came too early may have somebody to go to now.
    pub(super) fn take_early(&self) -> Vec<Message> {
        std::mem::take(&mut self.lock().early)
    }

    /// What was reported for these tenures so far.
    pub(super) fn take(&self, tenures: &[Tenure]) -> Vec<Message> {
        let mut waiting = self.lock();
        tenures.iter().filter_map(|tenure| waiting.messages.remove(tenure)).flatten().collect()
    }

    /// Their owners run now; what was reported while they started.
    pub(super) fn running(&self, tenures: &[Tenure]) -> Vec<Message> {
        self.lock().running.extend(tenures.iter().map(|tenure| (tenure.shard, tenure.epoch)));
        self.take(tenures)
    }

    /// Their owners do not run any more.
    pub(super) fn stopped(&self, shards: &[Shard]) {
        let mut waiting = self.lock();
        for shard in shards {
            waiting.running.remove(shard);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use carillon_acd::agent;
    use carillon_acd::ids::NodeId;

    use super::*;

    fn anna() -> AgentId {
        AgentId::new("default".parse().unwrap(), "anna".parse().unwrap())
    }

    fn gone(edge: u32) -> Message {
        Message::Agent(anna(), agent::Event::Reachable { device: 0, edge: NodeId(edge), contacts: Vec::new() })
    }

    #[test]
    fn who_was_configured_once_is_known_while_he_has_an_owner() {
        let [anna, bob] =
            ["anna", "bob"].map(|name| Owned::Agent(AgentId::new("default".parse().unwrap(), name.parse().unwrap())));
        let holdings = Holdings::new([anna.clone()]);
        let (holdings, added) = holdings.changed(vec![bob.clone()], |_| true);
        assert_eq!(added, std::slice::from_ref(&bob));
        assert!(holdings.hold(&bob) && !holdings.hold(&anna));
        assert!(holdings.of(shard(&anna)).is_empty() && holdings.ever_of(shard(&anna)).any(|owned| *owned == anna));
        let (without_owner, _) = holdings.changed(vec![bob.clone()], |_| false);
        assert!(without_owner.ever_of(shard(&anna)).all(|owned| *owned != anna), "its owner has ended");
        let (holdings, added) = holdings.changed(vec![anna.clone(), bob], |_| true);
        assert_eq!((added, holdings.all().count()), (vec![anna.clone()], 2));
        assert_eq!(holdings.ever_of(shard(&anna)).filter(|owned| **owned == anna).count(), 1);
    }

    // spec: CL-3
    #[test]
    fn cl_3_what_is_reported_to_a_new_election_does_not_go_to_the_owner_of_the_last() {
        let shard = shard(&Owned::Agent(anna()));
        let [first, second] = [7, 9].map(|epoch| Tenure { shard, epoch: Epoch(epoch) });
        let reports = Reports::default();
        assert_eq!(reports.keep(vec![(first, gone(1))]), []);
        assert_eq!(reports.take(&[first]), [gone(1)]);
        assert_eq!(reports.keep(vec![(first, gone(2))]), [], "the owner starts");
        assert_eq!(reports.running(&[first]), [gone(2)]);
        assert_eq!(reports.keep(vec![(first, gone(3))]), [gone(3)], "it runs");
        assert_eq!(reports.keep(vec![(second, gone(4))]), [], "it is elected again, and what runs will end");
        assert_eq!(reports.take(&[second]), [gone(4)]);
        reports.stopped(&[shard]);
        assert_eq!(reports.keep(vec![(first, gone(5))]), []);
    }
}
