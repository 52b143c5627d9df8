//! The agent who has had the fewest calls of this queue since his workday began; ties go to the one who is idle for
//! longest, then by list order (Spec: QU-5). A call counts from the moment in which the two hear each other. The agent
//! counts his calls himself, so a new owner of the queue goes on with the same figures.

use super::Candidate;
use super::ordered::Order;
use crate::time::Moment;

/// By the number of calls.
#[derive(Clone, Debug)]
pub(in crate::queue) struct FewestCalls;

impl Order for FewestCalls {
    type Key = (u32, Moment);

    fn key(candidate: &Candidate) -> (u32, Moment) {
        (candidate.calls, candidate.idle_since)
    }
}
