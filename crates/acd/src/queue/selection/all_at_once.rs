//! Every free agent rings (Spec: QU-2), but of their hardware phones only the first ten in list order (Spec: QU-10).

use std::collections::BTreeMap;

use super::{Candidate, Class, Pick, Seat, Select, is_tried};

#[derive(Clone, Debug, Default)]
pub(in crate::queue) struct AllAtOnce {
    free: BTreeMap<Seat, Candidate>,
}

impl Select for AllAtOnce {
    fn insert(&mut self, candidate: Candidate) {
        self.free.insert(candidate.seat, candidate);
    }

    fn remove(&mut self, candidate: &Candidate) {
        self.free.remove(&candidate.seat);
    }

    fn pick(&mut self, tried: &[Seat], phones: u8) -> Vec<Pick> {
        let mut left = phones;
        let mut picks = Vec::with_capacity(self.free.len());
        for candidate in self.free.values().filter(|candidate| !is_tried(tried, candidate.seat)) {
            let hardware_limit = candidate.hardware.min(left);
            left -= hardware_limit;
            if hardware_limit > 0 || candidate.soft > 0 {
                picks.push(Pick { seat: candidate.seat, hardware_limit });
            }
        }
        picks
    }
    fn each(&self, _class: Class, see: &mut dyn FnMut(Seat) -> bool) {
        let _ = self.free.keys().all(|&seat| see(seat));
    }
}
