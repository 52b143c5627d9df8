//! The agent idle for longest; ties go by list order (Spec: QU-3). What counts as idle is the agent's own book-keeping.

use std::collections::BTreeSet;

use super::{Candidate, Class, Pick, Seat, Select, is_tried};
use crate::time::Moment;

#[derive(Clone, Debug, Default)]
pub(in crate::queue) struct LongestIdle {
    free: BTreeSet<(Moment, Seat)>,
}

impl Select for LongestIdle {
    fn insert(&mut self, candidate: Candidate) {
        self.free.insert((candidate.idle_since, candidate.seat));
    }

    fn remove(&mut self, candidate: &Candidate) {
        self.free.remove(&(candidate.idle_since, candidate.seat));
    }

    fn pick(&mut self, tried: &[Seat], _phones: u8) -> Vec<Pick> {
        let first = self.free.iter().find(|(_, seat)| !is_tried(tried, *seat));
        first.map(|&(_, seat)| Pick::whole(seat)).into_iter().collect()
    }
    fn each(&self, _class: Class, see: &mut dyn FnMut(Seat) -> bool) {
        let _ = self.free.iter().all(|&(_, seat)| see(seat));
    }
}
