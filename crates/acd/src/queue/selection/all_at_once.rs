//! Every free agent rings (Spec: QU-2), but of their hardware phones only the first ten in list order (Spec: QU-10).

use std::collections::{BTreeMap, BTreeSet};

use super::{Candidate, Class, Pick, Seat, Select, is_tried};

#[derive(Clone, Debug, Default)]
pub(in crate::queue) struct AllAtOnce {
    /// The hardware phones of the free agents who have some.
    hardware: BTreeMap<Seat, u8>,
    /// The free agents with other devices.
    soft: BTreeSet<Seat>,
}

impl AllAtOnce {
    /// Whether somebody would ring for a caller for whom no more hardware phones may.
    pub(super) fn suits_without_phones(&self) -> bool {
        !self.soft.is_empty()
    }
}

impl Select for AllAtOnce {
    fn insert(&mut self, candidate: Candidate) {
        if candidate.hardware > 0 {
            self.hardware.insert(candidate.seat, candidate.hardware);
        }
        if candidate.soft > 0 {
            self.soft.insert(candidate.seat);
        }
    }

    fn remove(&mut self, candidate: &Candidate) {
        self.hardware.remove(&candidate.seat);
        self.soft.remove(&candidate.seat);
    }

    fn pick(&mut self, tried: &[Seat], phones: u8) -> Vec<Pick> {
        let mut left = phones;
        let untried = |seat: &Seat| !is_tried(tried, *seat);
        let mut picks = Vec::new();
        for (&seat, &hardware) in self.hardware.iter().filter(|(seat, _)| untried(seat)) {
            if left == 0 {
                break;
            }
            let hardware_limit = hardware.min(left);
            left -= hardware_limit;
            picks.push(Pick { seat, hardware_limit });
        }
        let ring = picks.len();
        for &seat in self.soft.iter().filter(|seat| untried(seat)) {
            if picks[..ring].binary_search_by_key(&seat, |pick| pick.seat).is_err() {
                picks.push(Pick { seat, hardware_limit: 0 });
            }
        }
        picks.sort_unstable_by_key(|pick| pick.seat);
        picks
    }

    fn each(&self, _class: Class, see: &mut dyn FnMut(Seat) -> bool) {
        let all: BTreeSet<Seat> = self.hardware.keys().chain(&self.soft).copied().collect();
        let _ = all.into_iter().all(see);
    }
}
