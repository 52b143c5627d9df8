//! Round robin with memory: the search goes on behind the agent who was chosen last, and begins again at the top of the
//! list after its end, so that everybody has a turn before anybody has two (Spec: QU-5). The memory is the owner's own: a
//! new owner begins at the top.

use std::collections::BTreeSet;

use super::{Candidate, Class, Pick, Seat, Select, is_tried};

#[derive(Clone, Debug, Default)]
pub(in crate::queue) struct RoundRobin {
    free: BTreeSet<Seat>,
    /// Where the next search begins.
    next: Seat,
}

impl RoundRobin {
    fn turns(&self) -> impl Iterator<Item = &Seat> {
        self.free.range(self.next..).chain(self.free.range(..self.next))
    }

    pub(super) const fn take_turns_after(&mut self, seat: Seat) {
        self.next = seat + 1;
    }

    pub(super) fn last_turn(&self) -> Option<Seat> {
        self.next.checked_sub(1)
    }
}

impl Select for RoundRobin {
    fn insert(&mut self, candidate: Candidate) {
        self.free.insert(candidate.seat);
    }

    fn remove(&mut self, candidate: &Candidate) {
        self.free.remove(&candidate.seat);
    }

    fn pick(&mut self, tried: &[Seat], _phones: u8) -> Vec<Pick> {
        let chosen = self.turns().find(|&&seat| !is_tried(tried, seat)).copied();
        if let Some(seat) = chosen {
            self.next = seat + 1;
        }
        chosen.map(Pick::whole).into_iter().collect()
    }
    fn each(&self, _class: Class, see: &mut dyn FnMut(Seat) -> bool) {
        let _ = self.turns().all(|&seat| see(seat));
    }
}
