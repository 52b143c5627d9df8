//! A changed configuration, taken up while callers wait: nobody loses his place, and a phone that rings goes on ringing.

use std::time::Duration;

use super::selection::{Class, Seat};
use super::waiting::{Caller, State, Waiting};
use super::{Config, Queue, Strategy, unanswered};
use crate::skills::Skills;
use crate::time::Moment;

/// How long a queue stays that was removed. Calls that came before keep their routing, and one of them may enter it from a
/// greeting or another queue; it is sent away as those were who waited.
const LINGERS: Duration = Duration::from_secs(60);

/// How far a queue is with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    /// It is configured.
    None,
    /// It was removed. Callers who come are sent away, and when none is left at this time it is over.
    Lingers { until: Moment },
    /// Nobody needs it any more.
    Over,
}

impl Queue {
    /// From now on `config` holds, also for those who wait. Offers that were made go on as they were made.
    pub(super) fn configure(&mut self, now: Moment, config: Config) {
        let seats = self.roster.configure(now, &config);
        let seat = |old: Seat| seats.get(old as usize).copied().flatten();
        self.pace.move_seats(seat);
        let after = Waiting::new(config.strategy == Strategy::AllAtOnce, config.ranking);
        let before = std::mem::replace(&mut self.waiting, after);
        self.config = config;
        self.removal = Removal::None;
        for mut caller in before.into_callers() {
            self.reconsider(now, &mut caller, &seat);
            self.put_back(now, caller);
        }
    }

    /// Nobody serves the queue any more: those who wait go the way of those for whom nobody is logged in (Spec: UN-4), and
    /// so do those whose phones have rung in vain.
    pub(super) fn remove(&mut self, now: Moment) {
        self.configure(now, Config { agents: Vec::new(), ..self.config.clone() });
        self.removal = Removal::Lingers { until: now + LINGERS };
    }

    /// When it can be over at the earliest, if it is to be.
    pub(super) fn ends_at(&self) -> Option<Moment> {
        match self.removal {
            Removal::Lingers { until } if self.waiting.len() == 0 => Some(until),
            Removal::None | Removal::Lingers { .. } | Removal::Over => None,
        }
    }

    /// Whether it was removed, and its last caller has left: its owner ends.
    pub const fn is_over(&self) -> bool {
        matches!(self.removal, Removal::Over)
    }

    fn reconsider(&self, now: Moment, caller: &mut Caller, seat: &impl Fn(Seat) -> Option<Seat>) {
        caller.tried = caller.tried.iter().filter_map(|old| seat(*old)).collect();
        caller.tried.sort_unstable();
        if let State::Offered(ringing) = &mut caller.state {
            ringing.seats = ringing.seats.iter().filter_map(|(old, version)| Some((seat(*old)?, *version))).collect();
        }
        if caller.callback.is_none() {
            caller.limit = unanswered::limit(&self.config, caller.entered, caller.began, caller.max_total);
        }
        let by_skill = self.config.strategy == Strategy::Skills;
        caller.wanted = self.wanted(&caller.brought);
        caller.class = Class::ANY;
        caller.relax_at = by_skill.then_some(now);
    }

    /// What a caller needs of his agent at first, who `brought` this along (Spec: QU-5).
    pub(super) fn wanted(&self, brought: &Skills) -> Skills {
        match self.config.strategy {
            Strategy::Skills => self.config.skills.wanted.and(brought),
            Strategy::InOrder
            | Strategy::AllAtOnce
            | Strategy::LongestIdle
            | Strategy::Random
            | Strategy::RoundRobin
            | Strategy::FewestCalls
            | Strategy::LeastTalkTime => Skills::default(),
        }
    }
}
