//! What the strategies have in common that give each free agent a place in one order: the first untried is chosen, and list
//! order decides between equals. An [`Order`] says what the order goes by.

use std::collections::BTreeSet;

use super::{Candidate, Class, Pick, Seat, Select, is_tried};

/// A strategy's measure of an agent.
pub(in crate::queue) trait Order {
    /// The smallest is chosen first.
    type Key: Ord + Copy;

    /// Where this agent stands.
    fn key(candidate: &Candidate) -> Self::Key;
}

/// The free agents in their order.
#[derive(Clone, Debug)]
pub(in crate::queue) struct Ordered<O: Order> {
    free: BTreeSet<(O::Key, Seat)>,
}

impl<O: Order> Default for Ordered<O> {
    fn default() -> Self {
        Ordered { free: BTreeSet::new() }
    }
}

impl<O: Order> Select for Ordered<O> {
    fn insert(&mut self, candidate: Candidate) {
        self.free.insert((O::key(&candidate), candidate.seat));
    }

    fn remove(&mut self, candidate: &Candidate) {
        self.free.remove(&(O::key(candidate), candidate.seat));
    }

    fn pick(&mut self, tried: &[Seat], _phones: u8) -> Vec<Pick> {
        let first = self.free.iter().find(|(_, seat)| !is_tried(tried, *seat));
        first.map(|&(_, seat)| Pick::whole(seat)).into_iter().collect()
    }
    fn each(&self, _class: Class, see: &mut dyn FnMut(Seat) -> bool) {
        let _ = self.free.iter().all(|&(_, seat)| see(seat));
    }
}
