//! What a call has gone through, outside of its machine: it feeds the live figures, and it is what is left should the call's
//! actor fail. Both read the same transitions, so the figures of that moment stay those of the record (Spec: PL-4).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carillon_acd::call::Call;
use carillon_acd::ids::NumberId;
use carillon_acd::leg::Incoming;
use carillon_acd::record::{Record, Transition};
use carillon_acd::stats::Follower;
use carillon_acd::time::WallTime;

use crate::statistics::Statistics;

/// Shared by a call's actor and the table of living calls.
#[derive(Clone, Default)]
pub(crate) struct Story(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    follower: Follower,
    number: Option<NumberId>,
    transitions: Vec<Transition>,
}

impl Story {
    /// Takes in and counts what has happened to the call since the last time.
    pub(crate) fn follow(&self, statistics: &Statistics, call: &Call) {
        let mut inner = self.inner();
        let Inner { follower, number, transitions } = &mut *inner;
        // None any more when the call has ended: its record has them.
        let Some(news) = call.transitions().get(transitions.len()..).filter(|news| !news.is_empty()) else { return };
        transitions.extend_from_slice(news);
        if number.is_none() {
            *number = call.number().cloned();
        }
        statistics.follow(follower, number.as_ref(), transitions);
    }

    /// Takes back what was counted: the call goes on at another edge, which counts all of it.
    pub(crate) fn retract(&self, statistics: &Statistics) {
        let Inner { number, transitions, .. } = std::mem::take(&mut *self.inner());
        statistics.retract(number.as_ref(), &transitions);
    }

    /// Counts the rest of a call that is over.
    pub(crate) fn finish(&self, statistics: &Statistics, record: &Record) {
        statistics.finish(std::mem::take(&mut self.inner().follower), record);
    }

    /// Counts and tells the end of a call whose actor has failed.
    pub(crate) fn break_off(
        &self,
        statistics: &Statistics,
        incoming: Incoming,
        started: WallTime,
        now: WallTime,
    ) -> Record {
        let Inner { follower, number, transitions } = std::mem::take(&mut *self.inner());
        let record = Record::broken_off(incoming, number, started, now, transitions);
        statistics.finish(follower, &record);
        record
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
