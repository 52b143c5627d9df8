//! The agent who suits best: of those whose levels reach what the caller needs, the one with the highest levels in it; among
//! equals who is idle for longest, then list order (Spec: QU-5).
//!
//! Callers who need the same are one class, and each class keeps its own order of the free agents who suit. There are as many
//! classes as different needs in the configuration, with their relaxed levels; a change of an agent costs the logarithm of
//! their number for each.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{Candidate, Class, Pick, Seat, Select, is_tried};
use crate::skills::Skills;
use crate::time::Moment;

type Key = (Reverse<u32>, Moment, Seat);

#[derive(Clone, Debug)]
pub(in crate::queue) struct BySkill {
    agents: Vec<Skills>,
    free: BTreeMap<Seat, Candidate>,
    numbers: BTreeMap<Skills, Class>,
    classes: Vec<(Skills, BTreeSet<Key>)>,
}

impl BySkill {
    pub(super) fn new(agents: Vec<Skills>) -> Self {
        let (numbers, classes) = (BTreeMap::new(), Vec::new());
        let mut all = BySkill { agents, free: BTreeMap::new(), numbers, classes };
        all.class(&Skills::default());
        all
    }

    /// The class of those who need this; [`Class::ANY`] for those who need nothing.
    pub(super) fn class(&mut self, wanted: &Skills) -> Class {
        if let Some(class) = self.numbers.get(wanted) {
            return *class;
        }
        let class = Class(self.classes.len());
        self.numbers.insert(wanted.clone(), class);
        let free = self.free.values().filter_map(|candidate| key(&self.agents, wanted, candidate)).collect();
        self.classes.push((wanted.clone(), free));
        class
    }

    /// What a class needs, and what an agent can do.
    pub(super) fn skills(&self, class: Class, seat: Seat) -> (Skills, Skills) {
        let needs = self.classes.get(class.0).map(|(needs, _)| needs.clone());
        (needs.unwrap_or_default(), self.agents.get(seat as usize).cloned().unwrap_or_default())
    }

    fn order(&self, class: Class) -> impl Iterator<Item = Seat> {
        self.classes.get(class.0).into_iter().flat_map(|(_, free)| free).map(|&(.., seat)| seat)
    }

    pub(super) fn suits_somebody(&self, class: Class) -> bool {
        self.classes.get(class.0).is_some_and(|(_, free)| !free.is_empty())
    }
}

fn key(agents: &[Skills], wanted: &Skills, candidate: &Candidate) -> Option<Key> {
    let suit = agents.get(candidate.seat as usize)?.suit(wanted)?;
    Some((Reverse(suit), candidate.idle_since, candidate.seat))
}

impl Select for BySkill {
    fn insert(&mut self, candidate: Candidate) {
        self.free.insert(candidate.seat, candidate);
        for (wanted, free) in &mut self.classes {
            free.extend(key(&self.agents, wanted, &candidate));
        }
    }

    fn remove(&mut self, candidate: &Candidate) {
        self.free.remove(&candidate.seat);
        for (wanted, free) in &mut self.classes {
            key(&self.agents, wanted, candidate).map(|key| free.remove(&key));
        }
    }

    fn pick(&mut self, tried: &[Seat], phones: u8) -> Vec<Pick> {
        self.pick_for(Class::ANY, tried, phones)
    }

    fn pick_for(&mut self, class: Class, tried: &[Seat], _phones: u8) -> Vec<Pick> {
        self.order(class).find(|seat| !is_tried(tried, *seat)).map(Pick::whole).into_iter().collect()
    }

    fn each(&self, class: Class, see: &mut dyn FnMut(Seat) -> bool) {
        let _ = self.order(class).all(see);
    }
}
