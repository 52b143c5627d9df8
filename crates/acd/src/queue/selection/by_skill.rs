//! The agent who suits best: of those whose levels reach what the caller needs, the one with the highest levels in it; among
//! equals who is idle for longest, then list order (Spec: QU-5).
//!
//! Callers who need the same are one class, and each class keeps its own order of the free agents who suit. A change of an
//! agent costs the logarithm of the agents for each of the needs in the configuration, with their relaxed levels.

use super::need::Need;
use super::{Candidate, Class, Pick, Seat, Select, is_tried};
use crate::queue::table::Table;
use crate::skills::Skills;

#[derive(Clone, Debug)]
pub(in crate::queue) struct BySkill {
    agents: Vec<Skills>,
    classes: Table<Skills, Class>,
    /// By class; anybody suits the first.
    needs: Vec<Need>,
}

impl BySkill {
    pub(super) fn new(agents: Vec<Skills>) -> Self {
        let needs = vec![Need::new(Skills::default(), &agents)];
        BySkill { agents, classes: Table::from_iter([(Skills::default(), Class::ANY)]), needs }
    }

    /// The class of those who need this; [`Class::ANY`] for those who need nothing.
    pub(super) fn class(&mut self, wanted: &Skills) -> Class {
        let next = Class(self.needs.len());
        let class = *self.classes.entry(wanted.clone()).or_insert(next);
        if class == next {
            let mut need = Need::new(wanted.clone(), &self.agents);
            self.needs[0].order().for_each(|(since, seat)| need.insert(since, seat));
            self.needs.push(need);
        }
        class
    }

    /// What a class needs, and what an agent can do.
    pub(super) fn skills(&self, class: Class, seat: Seat) -> (Skills, Skills) {
        (self.needs[class.0].wanted.clone(), self.agents.get(seat as usize).cloned().unwrap_or_default())
    }

    pub(super) fn suits_somebody(&self, class: Class) -> bool {
        !self.needs[class.0].is_empty()
    }
}

impl Select for BySkill {
    fn insert(&mut self, Candidate { idle_since, seat, .. }: Candidate) {
        self.needs.iter_mut().for_each(|need| need.insert(idle_since, seat));
    }

    fn remove(&mut self, &Candidate { idle_since, seat, .. }: &Candidate) {
        self.needs.iter_mut().for_each(|need| need.remove(idle_since, seat));
    }

    fn pick(&mut self, tried: &[Seat], phones: u8) -> Vec<Pick> {
        self.pick_for(Class::ANY, tried, phones)
    }

    fn pick_for(&mut self, class: Class, tried: &[Seat], _phones: u8) -> Vec<Pick> {
        let mut suiting = self.needs[class.0].order();
        suiting.find(|(_, seat)| !is_tried(tried, *seat)).map(|(_, seat)| Pick::whole(seat)).into_iter().collect()
    }

    fn each(&self, class: Class, see: &mut dyn FnMut(Seat) -> bool) {
        let _ = self.needs[class.0].order().all(|(_, seat)| see(seat));
    }
}
