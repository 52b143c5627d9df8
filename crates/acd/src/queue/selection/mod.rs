//! Which free agent gets the next caller. Each strategy keeps its own index of the free agents, so that a choice costs
//! the logarithm of their number; a strategy is one small file.

mod all_at_once;
mod by_skill;
mod fewest_calls;
mod in_order;
mod least_talk_time;
mod longest_idle;
mod need;
mod ordered;
mod random;
mod round_robin;

use std::time::Duration;

use all_at_once::AllAtOnce;
use by_skill::BySkill;
use fewest_calls::FewestCalls;
use in_order::InOrder;
use least_talk_time::LeastTalkTime;
use longest_idle::LongestIdle;
use ordered::Ordered;
use random::Random;
use round_robin::RoundRobin;

use super::Strategy;
use crate::skills::Skills;
use crate::time::Moment;

/// The place of an agent in the list of the queue, from 0.
pub(super) type Seat = u32;

/// Callers who need the same of their agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Class(usize);

impl Class {
    /// Any agent will do; always so unless the strategy goes by skills.
    pub(super) const ANY: Class = Class(0);
}

/// A free agent, as the strategies see him.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) seat: Seat,
    /// On the owner's clock.
    pub(super) idle_since: Moment,
    /// Calls of this queue that he has had since his workday began.
    pub(super) calls: u32,
    /// How long he has talked in them.
    pub(super) talked: Duration,
    /// His reachable hardware phones.
    pub(super) hardware: u8,
    /// His other reachable devices.
    pub(super) soft: u8,
}

/// An agent who was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) seat: Seat,
    /// At most so many of his hardware phones may ring.
    pub(super) hardware_limit: u8,
}

impl Pick {
    const fn whole(seat: Seat) -> Self {
        Pick { seat, hardware_limit: u8::MAX }
    }
}

/// Hardware phones that ring for one caller (Spec: QU-10).
pub(super) const HARDWARE_PHONES: u8 = 10;

/// Whether a sorted list of tried agents holds this one.
fn is_tried(tried: &[Seat], seat: Seat) -> bool {
    tried.binary_search(&seat).is_ok()
}

/// What a strategy does. `insert` and `remove` come in pairs.
pub(super) trait Select {
    /// An agent became free.
    fn insert(&mut self, candidate: Candidate);

    /// He is not free any more.
    fn remove(&mut self, candidate: &Candidate);

    /// The agents to offer a caller to who has been offered to `tried` in this round; empty when there is none. `tried` is
    /// sorted.
    /// `phones` more hardware phones may ring for him (Spec: QU-10).
    fn pick(&mut self, tried: &[Seat], phones: u8) -> Vec<Pick>;

    /// The same for a caller of this class.
    fn pick_for(&mut self, _class: Class, tried: &[Seat], phones: u8) -> Vec<Pick> {
        self.pick(tried, phones)
    }

    /// Shows the free agents who suit a class in the order in which they would be chosen, until `see` says `false`. For
    /// explanations: nothing is chosen by it.
    fn each(&self, class: Class, see: &mut dyn FnMut(Seat) -> bool);
}

/// The strategy of one queue with its index.
#[derive(Clone, Debug)]
pub(super) enum Selection {
    InOrder(Ordered<InOrder>),
    AllAtOnce(AllAtOnce),
    LongestIdle(Ordered<LongestIdle>),
    Random(Random),
    RoundRobin(RoundRobin),
    FewestCalls(Ordered<FewestCalls>),
    LeastTalkTime(Ordered<LeastTalkTime>),
    BySkill(BySkill),
}

impl Selection {
    /// `skills` of the agents, by seat.
    pub(super) fn new(strategy: Strategy, seed: u64, skills: impl FnOnce() -> Vec<Skills>) -> Self {
        match strategy {
            Strategy::InOrder => Selection::InOrder(Ordered::default()),
            Strategy::AllAtOnce => Selection::AllAtOnce(AllAtOnce::default()),
            Strategy::LongestIdle => Selection::LongestIdle(Ordered::default()),
            Strategy::Random => Selection::Random(Random::new(seed)),
            Strategy::RoundRobin => Selection::RoundRobin(RoundRobin::default()),
            Strategy::FewestCalls => Selection::FewestCalls(Ordered::default()),
            Strategy::LeastTalkTime => Selection::LeastTalkTime(Ordered::default()),
            Strategy::Skills => Selection::BySkill(BySkill::new(skills())),
        }
    }

    pub(super) fn strategy(&mut self) -> &mut dyn Select {
        match self {
            Selection::InOrder(strategy) => strategy,
            Selection::AllAtOnce(strategy) => strategy,
            Selection::LongestIdle(strategy) => strategy,
            Selection::Random(strategy) => strategy,
            Selection::RoundRobin(strategy) => strategy,
            Selection::FewestCalls(strategy) => strategy,
            Selection::LeastTalkTime(strategy) => strategy,
            Selection::BySkill(strategy) => strategy,
        }
    }

    /// See [`Select::each`].
    pub(super) fn each(&self, class: Class, see: &mut dyn FnMut(Seat) -> bool) {
        match self {
            Selection::InOrder(strategy) => strategy.each(class, see),
            Selection::AllAtOnce(strategy) => strategy.each(class, see),
            Selection::LongestIdle(strategy) => strategy.each(class, see),
            Selection::Random(strategy) => strategy.each(class, see),
            Selection::RoundRobin(strategy) => strategy.each(class, see),
            Selection::FewestCalls(strategy) => strategy.each(class, see),
            Selection::LeastTalkTime(strategy) => strategy.each(class, see),
            Selection::BySkill(strategy) => strategy.each(class, see),
        }
    }

    /// Who was chosen last, where the agents take turns.
    pub(super) fn last_turn(&self) -> Option<Seat> {
        match self {
            Selection::RoundRobin(strategy) => strategy.last_turn(),
            Selection::InOrder(_)
            | Selection::AllAtOnce(_)
            | Selection::LongestIdle(_)
            | Selection::Random(_)
            | Selection::FewestCalls(_)
            | Selection::LeastTalkTime(_)
            | Selection::BySkill(_) => None,
        }
    }

    /// Goes on behind this agent, where the agents take turns.
    pub(super) fn take_turns_after(&mut self, seat: Seat) {
        match self {
            Selection::RoundRobin(strategy) => strategy.take_turns_after(seat),
            Selection::InOrder(_)
            | Selection::AllAtOnce(_)
            | Selection::LongestIdle(_)
            | Selection::Random(_)
            | Selection::FewestCalls(_)
            | Selection::LeastTalkTime(_)
            | Selection::BySkill(_) => {}
        }
    }

    /// What a class needs, and what an agent can do.
    pub(super) fn skills(&self, class: Class, seat: Seat) -> (Skills, Skills) {
        match self {
            Selection::BySkill(strategy) => strategy.skills(class, seat),
            Selection::InOrder(_)
            | Selection::AllAtOnce(_)
            | Selection::LongestIdle(_)
            | Selection::Random(_)
            | Selection::RoundRobin(_)
            | Selection::FewestCalls(_)
            | Selection::LeastTalkTime(_) => (Skills::default(), Skills::default()),
        }
    }

    /// The class of the callers who need this.
    pub(super) fn class(&mut self, wanted: &Skills) -> Class {
        match self {
            Selection::BySkill(strategy) => strategy.class(wanted),
            Selection::InOrder(_)
            | Selection::AllAtOnce(_)
            | Selection::LongestIdle(_)
            | Selection::Random(_)
            | Selection::RoundRobin(_)
            | Selection::FewestCalls(_)
            | Selection::LeastTalkTime(_) => Class::ANY,
        }
    }

    /// Whether a free agent suits this class, if anybody is free at all. `full` when no more hardware phones may ring for
    /// the caller (Spec: QU-10).
    pub(super) fn suits_somebody(&self, class: Class, full: bool) -> bool {
        match self {
            Selection::BySkill(strategy) => strategy.suits_somebody(class),
            Selection::AllAtOnce(strategy) => !full || strategy.suits_without_phones(),
            Selection::InOrder(_)
            | Selection::LongestIdle(_)
            | Selection::Random(_)
            | Selection::RoundRobin(_)
            | Selection::FewestCalls(_)
            | Selection::LeastTalkTime(_) => true,
        }
    }
}

#[cfg(test)]
mod tests;
