//! The agent who has talked least with callers of this queue since his workday began; ties go to the one who is idle for
//! longest, then by list order (Spec: QU-5). Ringing and wrap-up do not count. The agent measures it himself, so a new
//! owner of the queue goes on with the same figures.

use std::time::Duration;

use super::Candidate;
use super::ordered::Order;
use crate::time::Moment;

/// By the time spent talking.
#[derive(Clone, Debug)]
pub(in crate::queue) struct LeastTalkTime;

impl Order for LeastTalkTime {
    type Key = (Duration, Moment);

    fn key(candidate: &Candidate) -> (Duration, Moment) {
        (candidate.talked, candidate.idle_since)
    }
}
