//! What a simulated day needs to know: the center, and what people do.

use std::sync::Arc;
use std::time::Duration;

use carillon_acd::ids::{AgentId, QueueId};
use carillon_acd::leg::Source;
use carillon_acd::route::Routing;
use carillon_acd::{agent, call, queue};

/// A configuration, as the rooms read it.
#[derive(Clone, Debug)]
pub struct Center {
    /// Where calls go.
    pub routing: Arc<Routing>,
    /// The limits of a call.
    pub calls: call::Config,
    /// All queues.
    pub queues: Vec<(QueueId, queue::Config)>,
    /// All agents.
    pub agents: Vec<(AgentId, agent::Config)>,
}

/// One caller: when he calls, and what he will do.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// Since the beginning of the day.
    pub at: Duration,
    /// Through which trunk he comes.
    pub source: Source,
    /// What he dials.
    pub dialled: String,
    /// He hangs up after so long without an answer; `None` when he never does.
    pub patience: Option<Duration>,
    /// How long he and the agent talk.
    pub talk: Duration,
}

/// An agent's workday, since the beginning of the day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// Whose.
    pub agent: AgentId,
    /// He is ready from then.
    pub from: Duration,
    /// He goes home then; a conversation is ended first.
    pub until: Duration,
}

/// What agents do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Habits {
    /// How long a phone rings until it is answered. One that would ring for longer than the queue lets it is not.
    pub answer_after: Duration,
    /// Those without a shift are ready all day.
    pub shifts: Vec<Shift>,
}

impl Default for Habits {
    fn default() -> Self {
        Habits { answer_after: Duration::from_secs(4), shifts: Vec::new() }
    }
}
