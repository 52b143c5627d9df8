//! Which queues and agents fall into which shard, and what was reported of them before they had an owner here.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use carillon_acd::ids::{AgentId, Epoch};
use carillon_actors::Owned;
use carillon_cluster::ownership::Tenure;
use carillon_cluster::shard::Shard;
use carillon_rpc::cluster::Message;

/// Reported messages that wait for owners to start; those of a node with 20,000 calls in progress are fewer.
const MOST: usize = 200_000;

/// The shard of a queue or an agent.
pub(super) fn shard(owned: &Owned) -> Shard {
    match owned {
        Owned::Queue(queue) => Shard::of_queue(queue),
        Owned::Agent(agent) => Shard::of_agent(agent),
    }
}

/// The configured queues and agents, by shard.
pub(super) struct Holdings(HashMap<Shard, Vec<Owned>>);

impl Holdings {
    pub(super) fn new(everything: impl IntoIterator<Item = Owned>) -> Self {
        let mut by_shard: HashMap<Shard, Vec<Owned>> = HashMap::new();
        for owned in everything {
            by_shard.entry(shard(&owned)).or_default().push(owned);
        }
        Holdings(by_shard)
    }

    /// All agents.
    pub(super) fn agents(&self) -> impl Iterator<Item = &AgentId> {
        self.0.values().flatten().filter_map(|owned| match owned {
            Owned::Agent(agent) => Some(agent),
            Owned::Queue(_) => None,
        })
    }

    /// What falls into a shard.
    pub(super) fn of(&self, shard: Shard) -> &[Owned] {
        self.0.get(&shard).map_or(&[], Vec::as_slice)
    }
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
