//! Offers and rounds: from a waiting caller to an agent and back.

use std::time::Duration;

use super::selection::{Pick, Seat};
use super::unanswered::{self, Verdict};
use super::waiting::{Caller, State};
use super::{Effect, Enqueue, OverflowReason, Progress, Queue, Strategy};
use crate::call::FromQueue;
use crate::ids::CallId;
use crate::offer::{Offer, OfferId, Offered};
use crate::time::Moment;

/// How much longer than the ringing an offer may be without word from the call: reserving, dialling and the message
/// back.
const SLACK: Duration = Duration::from_secs(10);

/// Longer than an offer and a ticket that cross each other are on their way.
const TRANSIT: Duration = Duration::from_secs(3);

/// The next round begins one ring after the last one did, at the earliest (Spec: QU-9).
const ROUND: Duration = Duration::from_secs(5);

impl Queue {
    /// What a repeated ticket tells of the last offer and of the round. Messages of the past change nothing.
    pub(super) fn learn(&mut self, now: Moment, caller: &mut Caller, enqueue: &Enqueue) {
        if matches!(caller.state, State::Leaving(_)) {
            return;
        }
        if enqueue.round > caller.round {
            caller.round = enqueue.round;
            caller.tried.clear();
            caller.rang = false;
        }
        if enqueue.round == caller.round {
            for seat in enqueue.tried.iter().filter_map(|agent| self.roster.seat(agent)) {
                if !caller.tried.contains(&seat) {
                    caller.tried.push(seat);
                }
            }
        }
        let is_old = |offer: OfferId| caller.last_over.is_some_and(|last| offer <= last);
        match &enqueue.progress {
            None => self.give_up_lost(now, caller),
            Some(Progress::Working(offer) | Progress::Failed { offer, .. }) if is_old(*offer) => {
                self.give_up_lost(now, caller);
            }
            Some(Progress::Working(offer)) => match caller.state {
                State::Offered { offer: ours, .. } if ours == *offer => {}
                State::Waiting | State::Resting { .. } | State::Offered { .. } | State::Leaving(_) => {
                    self.free_seats(&caller.state, |_| false);
                    let until = now + self.config.ring_for + SLACK;
                    caller.state = State::Offered { offer: *offer, seats: Vec::new(), made: now, until };
                }
            },
            Some(Progress::Failed { offer, rang, .. }) => {
                if let State::Offered { offer: ours, .. } = &caller.state
                    && ours > offer
                {
                    return;
                }
                caller.last_over = Some(*offer);
                caller.rang |= *rang;
                self.free_seats(&caller.state, |_| true);
                caller.state = State::Waiting;
            }
        }
    }

    /// A ticket that knows nothing of an offer made some time ago: the offer did not arrive.
    fn give_up_lost(&mut self, now: Moment, caller: &mut Caller) {
        if let State::Offered { offer, made, .. } = caller.state
            && made + TRANSIT <= now
        {
            caller.last_over = Some(offer);
            self.free_seats(&caller.state, |_| false);
            caller.state = State::Waiting;
        }
    }

    /// The agents of a caller's offer are not offered any more. `spend` says of whom it is known that what he said before
    /// the offer holds no longer.
    pub(super) fn free_seats(&mut self, state: &State, spend: impl Fn(Seat) -> bool) {
        match state {
            State::Offered { seats, .. } => {
                for &(seat, version) in seats {
                    self.roster.unpick(seat, version, spend(seat));
                }
            }
            State::Waiting | State::Resting { .. } | State::Leaving(_) => {}
        }
    }

    /// Gives the free agents to the waiting callers in the order of their rank. A caller who gets none blocks nobody
    /// (Spec: QU-7).
    pub(super) fn serve_all(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let mut last = None;
        while self.roster.free() > 0
            && let Some(rank) = self.waiting.next(last)
        {
            self.serve(now, rank.2, out);
            last = Some(rank);
        }
    }

    /// Does for a waiting caller what can be done now.
    pub(super) fn serve(&mut self, now: Moment, call: CallId, out: &mut Vec<Effect>) {
        let Some(caller) = self.waiting.get(call).filter(|caller| matches!(caller.state, State::Waiting)) else {
            return;
        };
        if self.roster.nobody_logged_in() {
            return self.overflow(call, unanswered::timeout(&self.config, OverflowReason::NobodyLoggedIn), out);
        }
        if self.waiting.past_limit(caller, now) {
            return self.overflow(call, unanswered::timeout(&self.config, OverflowReason::MaxWait), out);
        }
        let begun = !caller.tried.is_empty();
        let round_is_over = begun && self.config.strategy == Strategy::AllAtOnce;
        let picks = if round_is_over { Vec::new() } else { self.roster.pick(&caller.tried) };
        if !picks.is_empty() {
            self.offer(now, call, &picks, out);
        } else if begun {
            self.end_round(now, call, out);
        }
    }

    fn offer(&mut self, now: Moment, call: CallId, picks: &[Pick], out: &mut Vec<Effect>) {
        let Some(mut caller) = self.waiting.take(call) else { return };
        self.offers += 1;
        let id = OfferId { epoch: self.epoch, counter: self.offers };
        caller.round = caller.round.max(1);
        caller.round_began.get_or_insert(now);
        caller.state = State::Offered {
            offer: id,
            seats: picks.iter().map(|pick| (pick.seat, self.roster.version(pick.seat))).collect(),
            made: now,
            until: now + self.config.ring_for + SLACK,
        };
        let offered =
            |pick: &Pick| Offered { agent: self.roster.agent(pick.seat).clone(), hardware_limit: pick.hardware_limit };
        let agents = picks.iter().map(offered).collect();
        let (queue, ring_for, round) = (self.id.clone(), self.config.ring_for, caller.round);
        self.waiting.insert(caller);
        self.tell(call, FromQueue::Offer(Offer { id, queue, call, agents, round, ring_for }), out);
    }

    fn end_round(&mut self, now: Moment, call: CallId, out: &mut Vec<Effect>) {
        let Some(mut caller) = self.waiting.take(call) else { return };
        match unanswered::after_round(&self.config, caller.rang) {
            Verdict::NewRound => {
                let until = caller.round_began.take().unwrap_or(now) + ROUND;
                caller.round += 1;
                caller.tried.clear();
                caller.rang = false;
                let rests = until > now;
                caller.state = if rests { State::Resting { until } } else { State::Waiting };
                self.waiting.insert(caller);
                if !rests {
                    self.serve_all(now, out);
                }
            }
            Verdict::Leave(overflow) => {
                self.waiting.insert(caller);
                self.overflow(call, overflow, out);
            }
        }
    }
}
