//! What can be asked of a queue from outside, for explanations and invariants; nothing in here decides.

mod explained;

use super::Queue;
use super::waiting::State;
use crate::ids::{AgentId, CallId};
use crate::ticket::Sequence;

/// A caller who could be given an agent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCaller {
    /// Who.
    pub call: CallId,
    /// Higher is served earlier.
    pub priority: i32,
    /// His place among those of his priority who entered here.
    pub sequence: Sequence,
    /// He waited in another queue before, and stands where that wait puts him, not where he entered.
    pub came_over: bool,
    /// The agents tried in this round: they are not offered again before the next one.
    pub tried: Vec<AgentId>,
}

impl Queue {
    /// The callers who wait for a free agent, in no order.
    pub fn open_callers(&self) -> impl Iterator<Item = OpenCaller> {
        self.waiting.iter().filter(|caller| matches!(caller.state, State::Waiting)).map(|caller| OpenCaller {
            call: caller.call,
            priority: caller.priority,
            sequence: caller.sequence,
            came_over: caller.came_over(),
            tried: caller.tried.iter().map(|seat| self.roster.agent(*seat).clone()).collect(),
        })
    }

    /// Whether this owner knows the call.
    pub fn knows(&self, call: CallId) -> bool {
        self.waiting.get(call).is_some()
    }
}
