//! What a node owns of the agents and queues of the cluster: which, in which epoch, and whether it still may.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use carillon_acd::ids::{AgentId, Epoch, QueueId};
use carillon_acd::time::Moment;
use carillon_rpc::cluster::Message;

use crate::clock::Clock;

/// How long an owner that may not act waits until it asks again. One whose title is extended is silent for so long at most.
const SILENCE: Duration = Duration::from_millis(250);

/// An agent or a queue: what has one owner in the cluster (Spec: CL-2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owned {
    /// A queue.
    Queue(QueueId),
    /// An agent.
    Agent(AgentId),
}

impl Owned {
    /// Whose owner a message is for; `None` when it is for a call.
    pub fn addressed(message: &Message) -> Option<Owned> {
        match message {
            Message::Queue(queue, _) => Some(Owned::Queue(queue.clone())),
            Message::Agent(agent, _) => Some(Owned::Agent(agent.clone())),
            Message::Call(..) => None,
        }
    }
}

impl fmt::Display for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owned::Queue(queue) => queue.fmt(f),
            Owned::Agent(agent) => agent.fmt(f),
        }
    }
}

/// In which epoch a node owns something, and whether it may act as its owner at this moment. An owner that may not is
/// silent: it takes in nothing and says nothing (Spec: CL-5).
#[derive(Clone)]
pub struct Title {
    /// Higher than that of any owner before. Owners that replace one that failed on this node count on from here, so the
    /// next epoch of another node leaves room for them.
    pub epoch: Epoch,
    may_act: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
}

impl Title {
    /// For as long as the process lives: the only node of its cluster.
    pub const fn forever(epoch: Epoch) -> Self {
        Title { epoch, may_act: None }
    }

    /// As long as `may_act` says so. It is asked before each event, and must be fast.
    pub fn while_it_holds(epoch: Epoch, may_act: Arc<dyn Fn() -> bool + Send + Sync>) -> Self {
        Title { epoch, may_act: Some(may_act) }
    }

    pub(crate) fn holds(&self) -> bool {
        self.may_act.as_ref().is_none_or(|may_act| may_act())
    }

    /// When an owner is to be woken that has something to do at `deadline`. While it may not act it would be woken in vain, so
    /// that is tried again after a pause: a node may have thousands of them.
    pub(crate) fn wakes_at(&self, deadline: Option<Moment>, clock: &Clock) -> Option<Moment> {
        match (deadline, &self.may_act) {
            (Some(at), Some(may_act)) => {
                let now = clock.moment();
                Some(if now < at || may_act() { at } else { now + SILENCE })
            }
            (at, None) | (at @ None, Some(_)) => at,
        }
    }

    /// The same, in an epoch that follows that of an earlier owner on this node.
    pub(crate) fn after(self, before: &Title) -> Self {
        Title { epoch: Epoch(before.epoch.0 + 1), ..self }
    }

    /// The next owner's on this node, after one that failed.
    pub(crate) fn renewed(&self) -> Self {
        Title { epoch: Epoch(self.epoch.0 + 1), may_act: self.may_act.clone() }
    }
}

impl fmt::Debug for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Title({})", self.epoch)
    }
}

/// A message came to a node that does not have the call, or the owner, that it is for. Here it is again.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("a message for {} came to a node that does not have it", addressee(.0))]
pub struct NotHere(pub Box<Message>);

fn addressee(message: &Message) -> String {
    match message {
        Message::Call(call, _) => format!("call {call}"),
        Message::Agent(agent, _) => agent.to_string(),
        Message::Queue(queue, _) => queue.to_string(),
    }
}
