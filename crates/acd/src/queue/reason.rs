//! Why an agent was chosen: written down at the moment of the choice (Spec: RT-9), from what the choice has at hand.

use std::time::Duration;

use super::selection::{Class, Pick, Seat};
use super::waiting::Caller;
use super::{Queue, Strategy};
use crate::explain::{Choice, Measure, Next, Obstacle, Passed};
use crate::time::Moment;

impl Queue {
    /// Why `picks` get the caller, asked directly after the choice. `after` had the turn before.
    pub(super) fn choice(&self, now: Moment, caller: &Caller, picks: &[Pick], after: Option<Seat>) -> Choice {
        let seat = picks.first().map_or(0, |pick| pick.seat);
        let agent = |seat: Seat| self.roster.agent(seat).clone();
        match self.config.strategy {
            Strategy::InOrder => Choice::InOrder {
                place: seat + 1,
                passed: seat.checked_sub(1).and_then(|seat| self.passed(now, caller, seat)),
            },
            Strategy::AllAtOnce => Choice::AllAtOnce { joins: false },
            Strategy::Random => {
                let tried = caller.tried.iter().filter(|seat| self.roster.is_free(**seat)).count();
                let others = self.roster.free().saturating_sub(tried);
                Choice::Random { free: u32::try_from(others).unwrap_or(u32::MAX).saturating_add(1) }
            }
            Strategy::RoundRobin => Choice::RoundRobin { after: after.map(agent) },
            Strategy::LongestIdle | Strategy::FewestCalls | Strategy::LeastTalkTime | Strategy::Skills => {
                let next = self.next_best(caller);
                let next = next.map(|seat| Next { agent: agent(seat), measure: self.measure(now, caller.class, seat) });
                Choice::Best { measure: self.measure(now, caller.class, seat), next }
            }
        }
    }

    fn passed(&self, now: Moment, caller: &Caller, seat: Seat) -> Option<Passed> {
        let tried = caller.tried.binary_search(&seat).ok().map(|_| Obstacle::Tried);
        let obstacle = tried.or_else(|| self.roster.obstacle(now, seat))?;
        Some(Passed { agent: self.roster.agent(seat).clone(), obstacle })
    }

    /// The first who would be chosen now.
    fn next_best(&self, caller: &Caller) -> Option<Seat> {
        let mut first = None;
        self.roster.each_free(caller.class, &mut |seat| {
            first = Some(seat).filter(|seat| caller.tried.binary_search(seat).is_err());
            first.is_none()
        });
        first
    }

    /// What the strategy compares in an agent.
    pub(super) fn measure(&self, now: Moment, class: Class, seat: Seat) -> Measure {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let candidate = self.roster.candidate(seat);
        match self.config.strategy {
            Strategy::FewestCalls => Measure::Calls(candidate.calls),
            Strategy::LeastTalkTime => Measure::TalkedMs(ms(candidate.talked)),
            Strategy::Skills => {
                let (needs, has) = self.roster.skills(class, seat);
                Measure::Suits { needs, has }
            }
            Strategy::InOrder
            | Strategy::AllAtOnce
            | Strategy::LongestIdle
            | Strategy::Random
            | Strategy::RoundRobin => {
                let worked = candidate.idle_since != Moment::START;
                Measure::IdleMs(worked.then(|| ms(now.since(candidate.idle_since))))
            }
        }
    }
}
