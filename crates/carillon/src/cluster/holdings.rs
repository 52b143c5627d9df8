//! Which queues and agents fall into which shard, and what was reported of them before they had an owner here.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

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

/// Whose owner a message is for; `None` when it is for a call.
pub(super) fn subject(message: &Message) -> Option<Owned> {
    match message {
        Message::Queue(queue, _) => Some(Owned::Queue(queue.clone())),
        Message::Agent(agent, _) => Some(Owned::Agent(agent.clone())),
        Message::Call(..) => None,
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

    /// What falls into a shard.
    pub(super) fn of(&self, shard: Shard) -> &[Owned] {
        self.0.get(&shard).map_or(&[], Vec::as_slice)
    }
}

/// What other nodes have reported for owners that do not run yet.
#[derive(Default)]
pub(super) struct Reports(Mutex<BTreeMap<Tenure, Vec<Message>>>);

impl Reports {
    /// Keeps messages for the owners of their tenures. Those of older tenures of the same shards are of no use any more.
    pub(super) fn keep(&self, messages: Vec<(Tenure, Message)>) {
        let mut reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest: HashMap<Shard, Tenure> = messages.iter().map(|(tenure, _)| (tenure.shard, *tenure)).collect();
        reports.retain(|known, _| newest.get(&known.shard).is_none_or(|newest| known.epoch >= newest.epoch));
        let room = MOST.saturating_sub(reports.values().map(Vec::len).sum());
        for (tenure, message) in messages.into_iter().take(room) {
            reports.entry(tenure).or_default().push(message);
        }
    }

    /// What was reported for this tenure.
    pub(super) fn take(&self, tenure: Tenure) -> Vec<Message> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenure).unwrap_or_default()
    }
}
