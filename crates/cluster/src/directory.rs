//! Where the owner of a queue or an agent is: cached, never asked for, corrected by who knows better.

use std::sync::{Arc, PoisonError, RwLock};

use carillon_acd::ids::{AgentId, Epoch, NodeId, QueueId};

use crate::ownership::Seat;
use crate::shard::Shard;

/// The owners of all shards, shared by all of the node's tasks. It is filled by the node's core and corrected by
/// refusals ("not mine, epoch 71"). It may be behind; a message that goes to the wrong node is refused or lost, and its
/// sender asks again (Spec: CL-3).
#[derive(Clone, Debug)]
pub struct Directory(Arc<RwLock<Vec<Seat>>>);

/// An owner, and the epoch in which it owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The node.
    pub node: NodeId,
    /// Its epoch.
    pub epoch: Epoch,
}

impl Directory {
    /// Nobody owns anything.
    pub(crate) fn empty() -> Self {
        let seats = Shard::all().map(|shard| Seat { shard, epoch: Epoch(0), owner: None });
        Directory(Arc::new(RwLock::new(seats.collect())))
    }

    /// What is known of a shard.
    pub fn seat(&self, shard: Shard) -> Seat {
        self.0.read().unwrap_or_else(PoisonError::into_inner)[shard.index()]
    }

    /// The owner of a shard; `None` between two owners.
    pub fn owner(&self, shard: Shard) -> Option<Owner> {
        let Seat { owner, epoch, .. } = self.seat(shard);
        owner.map(|node| Owner { node, epoch })
    }

    /// The owner of a queue.
    pub fn of_queue(&self, queue: &QueueId) -> Option<Owner> {
        self.owner(Shard::of_queue(queue))
    }

    /// The owner of an agent.
    pub fn of_agent(&self, agent: &AgentId) -> Option<Owner> {
        self.owner(Shard::of_agent(agent))
    }

    /// Hears who owns a shard; whether that was news. An older epoch never replaces a newer one.
    pub fn learn(&self, seat: Seat) -> bool {
        let mut seats = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = &mut seats[seat.shard.index()];
        let is_news = seat.epoch > known.epoch;
        if is_news {
            *known = seat;
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: CL-3
    #[test]
    fn cl_3_a_refusal_corrects_and_late_news_do_not() {
        let (directory, shard) = (Directory::empty(), Shard::try_from(17).unwrap());
        let owned = |epoch, node| Seat { shard, epoch: Epoch(epoch), owner: Some(NodeId(node)) };
        assert!(directory.learn(owned(40, 1)));
        assert!(directory.learn(owned(71, 2)), "not mine, epoch 71");
        assert!(!directory.learn(owned(40, 1)), "late news");
        assert_eq!(directory.owner(shard), Some(Owner { node: NodeId(2), epoch: Epoch(71) }));
        assert!(directory.learn(Seat { shard, epoch: Epoch(80), owner: None }));
        assert_eq!(directory.owner(shard), None);
    }
}
