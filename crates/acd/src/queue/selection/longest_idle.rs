//! The agent idle for longest; ties go by list order (Spec: QU-3). What counts as idle is the agent's own book-keeping.

use super::Candidate;
use super::ordered::Order;
use crate::time::Moment;

/// By the moment since which an agent is idle.
#[derive(Clone, Debug)]
pub(in crate::queue) struct LongestIdle;

impl Order for LongestIdle {
    type Key = Moment;

    fn key(candidate: &Candidate) -> Moment {
        candidate.idle_since
    }
}
