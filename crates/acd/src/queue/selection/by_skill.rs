//! The agent who suits best: of those whose levels reach what the caller needs, the one with the highest levels in it; among
//! equals who is idle for longest, then list order (Spec: QU-5).
//!
//! Callers who need the same are one class, and each class keeps its own order of the free agents who suit. There are as many
//! classes as different needs in the configuration, with their relaxed levels; a change of an agent costs the logarithm of
//! the agents for each.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{Candidate, Class, Pick, Seat, Select, is_tried};
use crate::queue::table::Table;
use crate::skills::Skills;
use crate::time::Moment;

type Key = (Reverse<u32>, Moment, Seat);

/// Those who need the same.
#[derive(Clone, Debug)]
struct Need {
    /// How well each agent suits, by seat; `None` when he does not.
    suits: Vec<Option<u32>>,
    free: BTreeSet<Key>,
}

impl Need {
    fn key(&self, candidate: &Candidate) -> Option<Key> {
        let suit = (*self.suits.get(candidate.seat as usize)?)?;
        Some((Reverse(suit), candidate.idle_since, candidate.seat))
    }
}

#[derive(Clone, Debug)]
pub(in crate::queue) struct BySkill {
    agents: Vec<Skills>,
    free: BTreeMap<Seat, Candidate>,
    classes: Table<Skills, Class>,
    /// By class.
    needs: Vec<Need>,
}

impl BySkill {
    pub(super) fn new(agents: Vec<Skills>) -> Self {
        let mut all = BySkill { agents, free: BTreeMap::new(), classes: Table::default(), needs: Vec::new() };
        all.class(&Skills::default());
        all
    }

    /// The class of those who need this; [`Class::ANY`] for those who need nothing.
    pub(super) fn class(&mut self, wanted: &Skills) -> Class {
        if let Some(class) = self.classes.get(wanted) {
            return *class;
        }
        let suits = self.agents.iter().map(|skills| skills.suit(wanted)).collect();
        let mut need = Need { suits, free: BTreeSet::new() };
        need.free = self.free.values().filter_map(|candidate| need.key(candidate)).collect();
        let class = Class(self.needs.len());
        self.needs.push(need);
        self.classes.insert(wanted.clone(), class);
        class
    }

    pub(super) fn suits_somebody(&self, class: Class) -> bool {
        self.needs.get(class.0).is_some_and(|need| !need.free.is_empty())
    }
}

impl Select for BySkill {
    fn insert(&mut self, candidate: Candidate) {
        self.free.insert(candidate.seat, candidate);
        for need in &mut self.needs {
            need.free.extend(need.key(&candidate));
        }
    }

    fn remove(&mut self, candidate: &Candidate) {
        self.free.remove(&candidate.seat);
        for need in &mut self.needs {
            need.key(candidate).map(|key| need.free.remove(&key));
        }
    }

    fn pick(&mut self, tried: &[Seat], phones: u8) -> Vec<Pick> {
        self.pick_for(Class::ANY, tried, phones)
    }

    fn pick_for(&mut self, class: Class, tried: &[Seat], _phones: u8) -> Vec<Pick> {
        let need = self.needs.get(class.0);
        let first = need.and_then(|need| need.free.iter().find(|(.., seat)| !is_tried(tried, *seat)));
        first.map(|&(.., seat)| Pick::whole(seat)).into_iter().collect()
    }
}
