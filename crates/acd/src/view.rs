//! What people and the API see of calls, agents and queues: plain snapshots, made by each owner.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, CallId, Extension, QueueId};
use crate::leg::CallerId;

/// What the agent wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// Workday not started.
    LoggedOut,
    /// Takes calls.
    #[default]
    Ready,
    /// On break.
    OnBreak,
}

/// What happens to the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Nothing.
    #[default]
    Idle,
    /// Held for one call; his phone rings or is about to.
    Reserved,
    /// In conversation.
    Talking,
    /// After a conversation.
    WrapUp,
}

/// What a person or a service asks of an agent (Spec: TR-5, TR-6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentCommand {
    /// Start the workday, or come back from break.
    Ready,
    /// Go on break; during a conversation it holds from its end.
    Break,
    /// End the workday; during a conversation it holds from its end.
    LogOut,
    /// End wrap-up early (Spec: QU-11).
    EndWrapUp,
    /// Take calls of this queue (Spec: TR-5).
    QueueLogIn(QueueId),
    /// Take no more calls of this queue.
    QueueLogOut(QueueId),
}

impl std::fmt::Display for AgentCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AgentCommand::Ready => f.write_str("ready"),
            AgentCommand::Break => f.write_str("break"),
            AgentCommand::LogOut => f.write_str("log out"),
            AgentCommand::EndWrapUp => f.write_str("end wrap-up"),
            AgentCommand::QueueLogIn(queue) => write!(f, "log in to {queue}"),
            AgentCommand::QueueLogOut(queue) => write!(f, "log out of {queue}"),
        }
    }
}

/// An agent, as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentView {
    /// Who.
    pub agent: AgentId,
    /// For people.
    pub display_name: String,
    /// If he has one.
    pub extension: Option<Extension>,
    /// What he wants.
    pub availability: Availability,
    /// What happens to him.
    pub activity: Activity,
    /// How long the activity has lasted.
    pub activity_for: Duration,
    /// The call he is reserved for or talks in.
    pub call: Option<CallId>,
    /// His queues, and whether he is logged in to each.
    pub queues: Vec<(QueueId, bool)>,
    /// Devices that can ring now.
    pub reachable_devices: u32,
    /// All his devices.
    pub devices: u32,
    /// Conversations since the node's start.
    pub handled: u64,
}

/// How long a caller will wait, as far as that can be told (Spec: UN-8). Four of five waits lie in the interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// To be expected.
    pub wait: Duration,
    /// One in ten waits less.
    pub at_least: Duration,
    /// One in ten waits longer.
    pub at_most: Duration,
}

/// A caller's place in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The first is 1. Callers at whose call a phone rings are not counted.
    pub position: u32,
    /// How long he will wait from now on; `None` when nobody can know.
    pub estimate: Option<Estimate>,
}

/// A queue, as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueView {
    /// Which.
    pub queue: QueueId,
    /// For people.
    pub display_name: String,
    /// If it has one.
    pub extension: Option<Extension>,
    /// As in the configuration: one of [`crate::queue::Strategy::as_str`].
    pub strategy: String,
    /// Callers on the line without an answer, offered ones included.
    pub waiting: u32,
    /// Of those, being offered now.
    pub offered_now: u32,
    /// Callers who have hung up and wait to be called back; not part of `waiting` (Spec: UN-7).
    pub callbacks: u32,
    /// How long the first caller on the line has waited.
    pub longest_wait: Duration,
    /// Agents of the list.
    pub agents: u32,
    /// Of those, logged in to the queue and not logged out.
    pub logged_in: u32,
    /// Of those, free for a call now.
    pub free: u32,
    /// Calls since the node's start: entered.
    pub offered: u64,
    /// Answered.
    pub answered: u64,
    /// Abandoned.
    pub abandoned: u64,
    /// Left by timeout, overflow, the unanswered action, a digit or for a callback.
    pub overflowed: u64,
    /// How long a caller who comes now will wait; `None` when nobody can know.
    pub estimate: Option<Estimate>,
    /// Callers for whom an estimate was made when they came and who were answered, since the owner's start; and those of
    /// them who waited as long as its interval said.
    pub estimates: (u64, u64),
}

/// A call, as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallView {
    /// Which.
    pub call: CallId,
    /// Who calls.
    pub caller: CallerId,
    /// What was dialled.
    pub dialled: String,
    /// Where it is.
    pub stage: Stage,
    /// Its queue, while it waits or rings, or the one it came from.
    pub queue: Option<QueueId>,
    /// The agent it rings or talks with.
    pub agent: Option<AgentId>,
    /// The caller has hung up, and is or was called back (Spec: UN-7).
    pub callback: bool,
    /// Since the INVITE.
    pub lasted: Duration,
    /// Its place while it waits in a queue. The call does not know it: who asks the queue fills it in.
    pub place: Option<Place>,
}

/// The stage of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Greeting or another step before the target.
    Routing,
    /// In a queue.
    Waiting,
    /// A phone rings.
    Ringing,
    /// In conversation.
    Talking,
    /// Hearing a last message, or being taken down.
    Ending,
}
