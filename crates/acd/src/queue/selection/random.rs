//! Any free agent, each with the same chance (Spec: QU-4).

use super::{Candidate, Class, Pick, Seat, Select, is_tried};
use crate::queue::table::Table;
use crate::rng::Rng;

/// Draws that may hit an agent already tried before the untried are counted out.
const DRAWS: usize = 4;

#[derive(Clone, Debug)]
pub(in crate::queue) struct Random {
    free: Vec<Seat>,
    place: Table<Seat, usize>,
    rng: Rng,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random { free: Vec::new(), place: Table::default(), rng: Rng::new(seed) }
    }

    fn draw(&mut self, tried: &[Seat]) -> Option<Seat> {
        for _ in 0..DRAWS.min(self.free.len()) {
            let seat = self.free[self.rng.below(self.free.len())];
            if !is_tried(tried, seat) {
                return Some(seat);
            }
        }
        let untried: Vec<Seat> = self.free.iter().copied().filter(|&seat| !is_tried(tried, seat)).collect();
        (!untried.is_empty()).then(|| untried[self.rng.below(untried.len())])
    }
}

impl Select for Random {
    fn insert(&mut self, candidate: Candidate) {
        self.place.insert(candidate.seat, self.free.len());
        self.free.push(candidate.seat);
    }

    fn remove(&mut self, candidate: &Candidate) {
        if let Some(place) = self.place.remove(&candidate.seat) {
            self.free.swap_remove(place);
            if let Some(&moved) = self.free.get(place) {
                self.place.insert(moved, place);
            }
        }
    }

    fn pick(&mut self, tried: &[Seat], _phones: u8) -> Vec<Pick> {
        self.draw(tried).map(Pick::whole).into_iter().collect()
    }
    fn each(&self, _class: Class, see: &mut dyn FnMut(Seat) -> bool) {
        let _ = self.free.iter().all(|&seat| see(seat));
    }
}
