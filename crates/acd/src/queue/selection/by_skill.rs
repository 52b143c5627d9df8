//! The agent who suits best: of those whose levels reach what the caller needs, the one with the highest levels in it; among
//! equals who is idle for longest, then list order (Spec: QU-5).
//!
//! Callers who need the same are one class, and each class keeps its own order of the free agents who suit. A change of an
//! agent costs the logarithm of the agents for each of the needs in the configuration, with their relaxed levels.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{Candidate, Class, Pick, Seat, Select, is_tried};
use crate::queue::table::Table;
use crate::skills::Skills;
use crate::time::Moment;

/// How well each agent suits a class, by seat (`None`: he does not), and those of them who are free.
#[derive(Clone, Debug)]
struct Need {
    suits: Vec<Option<u32>>,
    free: BTreeSet<(Reverse<u32>, Moment, Seat)>,
}

impl Need {
    fn key(&self, since: Moment, seat: Seat) -> Option<(Reverse<u32>, Moment, Seat)> {
        self.suits[seat as usize].map(|suit| (Reverse(suit), since, seat))
    }
}

#[derive(Clone, Debug)]
pub(in crate::queue) struct BySkill {
    agents: Vec<Skills>,
    classes: Table<Skills, Class>,
    /// By class; anybody suits the first.
    needs: Vec<Need>,
}

impl BySkill {
    pub(super) fn new(agents: Vec<Skills>) -> Self {
        let needs = vec![Need { suits: vec![Some(0); agents.len()], free: BTreeSet::new() }];
        BySkill { agents, classes: Table::from_iter([(Skills::default(), Class::ANY)]), needs }
    }

    /// The class of those who need this; [`Class::ANY`] for those who need nothing.
    pub(super) fn class(&mut self, wanted: &Skills) -> Class {
        let next = Class(self.needs.len());
        let class = *self.classes.entry(wanted.clone()).or_insert(next);
        if class == next {
            let suits = self.agents.iter().map(|skills| skills.suit(wanted)).collect();
            let mut need = Need { suits, free: BTreeSet::new() };
            need.free = self.needs[0].free.iter().filter_map(|&(_, since, seat)| need.key(since, seat)).collect();
            self.needs.push(need);
        }
        class
    }

    pub(super) fn suits_somebody(&self, class: Class) -> bool {
        !self.needs[class.0].free.is_empty()
    }
}

impl Select for BySkill {
    fn insert(&mut self, Candidate { idle_since, seat, .. }: Candidate) {
        self.needs.iter_mut().for_each(|need| need.free.extend(need.key(idle_since, seat)));
    }

    fn remove(&mut self, &Candidate { idle_since, seat, .. }: &Candidate) {
        for need in &mut self.needs {
            need.key(idle_since, seat).map(|key| need.free.remove(&key));
        }
    }

    fn pick(&mut self, tried: &[Seat], phones: u8) -> Vec<Pick> {
        self.pick_for(Class::ANY, tried, phones)
    }

    fn pick_for(&mut self, class: Class, tried: &[Seat], _phones: u8) -> Vec<Pick> {
        let first = self.needs[class.0].free.iter().find(|(.., seat)| !is_tried(tried, *seat));
        first.map(|&(.., seat)| Pick::whole(seat)).into_iter().collect()
    }
}
