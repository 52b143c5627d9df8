//! What a class of callers needs, and the free agents who suit, the best first.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::Seat;
use crate::skills::Skills;
use crate::time::Moment;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Need {
    pub(super) wanted: Skills,
    /// How well each agent suits, by seat; `None`: he does not.
    suits: Vec<Option<u32>>,
    free: BTreeSet<(Reverse<u32>, Moment, Seat)>,
}

impl Need {
    pub(super) fn new(wanted: Skills, agents: &[Skills]) -> Self {
        let suits = agents.iter().map(|skills| skills.suit(&wanted)).collect();
        Need { wanted, suits, free: BTreeSet::new() }
    }

    pub(super) fn insert(&mut self, since: Moment, seat: Seat) {
        self.free.extend(self.key(since, seat));
    }

    pub(super) fn remove(&mut self, since: Moment, seat: Seat) {
        self.key(since, seat).map(|key| self.free.remove(&key));
    }

    /// The free agents, each with the moment since which he is idle.
    pub(super) fn order(&self) -> impl Iterator<Item = (Moment, Seat)> {
        self.free.iter().map(|&(_, since, seat)| (since, seat))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.is_empty()
    }

    fn key(&self, since: Moment, seat: Seat) -> Option<(Reverse<u32>, Moment, Seat)> {
        self.suits[seat as usize].map(|suit| (Reverse(suit), since, seat))
    }
}
