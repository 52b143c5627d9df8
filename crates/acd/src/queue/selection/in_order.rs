//! Always from the top of the list (Spec: QU-1).

use std::collections::BTreeSet;

use super::{Candidate, Class, Pick, Seat, Select, is_tried};

#[derive(Clone, Debug, Default)]
pub(in crate::queue) struct InOrder {
    free: BTreeSet<Seat>,
}

impl Select for InOrder {
    fn insert(&mut self, candidate: Candidate) {
        self.free.insert(candidate.seat);
    }

    fn remove(&mut self, candidate: &Candidate) {
        self.free.remove(&candidate.seat);
    }

    fn pick(&mut self, tried: &[Seat], _phones: u8) -> Vec<Pick> {
        self.free.iter().find(|&&seat| !is_tried(tried, seat)).map(|&seat| Pick::whole(seat)).into_iter().collect()
    }
    fn each(&self, _class: Class, see: &mut dyn FnMut(Seat) -> bool) {
        let _ = self.free.iter().all(|&seat| see(seat));
    }
}
