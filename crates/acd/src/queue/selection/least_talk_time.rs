//! The agent who has talked least with callers of this queue since his workday began; ties go to the one who is idle for
//! longest, then by list order (Spec: QU-5). Ringing and wrap-up do not count. The agent measures it himself, so a new
//! owner of the queue goes on with the same figures.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Candidate, Class, Pick, Seat, Select, is_tried};
use crate::time::Moment;

#[derive(Clone, Debug, Default)]
pub(in crate::queue) struct LeastTalkTime {
    free: BTreeSet<(Duration, Moment, Seat)>,
}

const fn key(candidate: &Candidate) -> (Duration, Moment, Seat) {
    (candidate.talked, candidate.idle_since, candidate.seat)
}

impl Select for LeastTalkTime {
    fn insert(&mut self, candidate: Candidate) {
        self.free.insert(key(&candidate));
    }

    fn remove(&mut self, candidate: &Candidate) {
        self.free.remove(&key(candidate));
    }

    fn pick(&mut self, tried: &[Seat], _phones: u8) -> Vec<Pick> {
        let first = self.free.iter().find(|(.., seat)| !is_tried(tried, *seat));
        first.map(|&(.., seat)| Pick::whole(seat)).into_iter().collect()
    }
    fn each(&self, _class: Class, see: &mut dyn FnMut(Seat) -> bool) {
        let _ = self.free.iter().all(|&(.., seat)| see(seat));
    }
}
