//! Which free agent gets the next caller. Each strategy keeps its own index of the free agents, so that a choice costs
//! the logarithm of their number; a strategy is one small file.

mod all_at_once;
mod fewest_calls;
mod in_order;
mod least_talk_time;
mod longest_idle;
mod random;
mod round_robin;

use std::time::Duration;

use all_at_once::AllAtOnce;
use fewest_calls::FewestCalls;
use in_order::InOrder;
use least_talk_time::LeastTalkTime;
use longest_idle::LongestIdle;
use random::Random;
use round_robin::RoundRobin;

use super::Strategy;
use crate::time::Moment;

/// The place of an agent in the list of the queue, from 0.
pub(super) type Seat = u32;

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
}

/// The strategy of one queue with its index.
#[derive(Clone, Debug)]
pub(super) enum Selection {
    InOrder(InOrder),
    AllAtOnce(AllAtOnce),
    LongestIdle(LongestIdle),
    Random(Random),
    RoundRobin(RoundRobin),
    FewestCalls(FewestCalls),
    LeastTalkTime(LeastTalkTime),
}

impl Selection {
    pub(super) fn new(strategy: Strategy, seed: u64) -> Self {
        match strategy {
            Strategy::InOrder => Selection::InOrder(InOrder::default()),
            Strategy::AllAtOnce => Selection::AllAtOnce(AllAtOnce::default()),
            Strategy::LongestIdle => Selection::LongestIdle(LongestIdle::default()),
            Strategy::Random => Selection::Random(Random::new(seed)),
            Strategy::RoundRobin => Selection::RoundRobin(RoundRobin::default()),
            Strategy::FewestCalls => Selection::FewestCalls(FewestCalls::default()),
            Strategy::LeastTalkTime => Selection::LeastTalkTime(LeastTalkTime::default()),
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
        }
    }
}

#[cfg(test)]
mod tests;
