//! Offers and rounds: from a waiting caller to an agent and back.

use std::time::Duration;

use super::selection::{HARDWARE_PHONES, Pick, Seat};
use super::unanswered::{self, Verdict};
use super::waiting::{Caller, Ringing, State, Walk};
use super::{Effect, Enqueue, Progress, Queue, Strategy};
use crate::call::FromQueue;
use crate::explain::Choice;
use crate::ids::{AgentId, CallId};
use crate::offer::{Invitation, Offer, OfferId, Offered};
use crate::time::Moment;

/// How much longer than the ringing an offer may be without word from the call: reserving, dialling and the message
/// back.
const SLACK: Duration = Duration::from_secs(10);

/// Longer than an offer and a ticket that cross each other are on their way.
const TRANSIT: Duration = Duration::from_secs(3);

/// One ring (Spec: QU-9). The next round begins one ring after the last one did, at the earliest.
pub(super) const RING: Duration = Duration::from_secs(5);

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
                if let Err(place) = caller.tried.binary_search(&seat) {
                    caller.tried.insert(place, seat);
                }
            }
        }
        let is_old = |offer: OfferId| caller.last_over.is_some_and(|last| offer <= last);
        match &enqueue.progress {
            None => self.give_up_lost(now, caller),
            Some(Progress::Working(offer) | Progress::Failed { offer, .. }) if is_old(*offer) => {
                self.give_up_lost(now, caller);
            }
            Some(Progress::Working(offer)) => self.note_working(now, caller, *offer),
            Some(Progress::Failed { offer, refused, rang }) => self.note_failed(caller, *offer, refused, *rang),
        }
    }

    /// Another edge has taken the call over since the last ticket: it has not heard of an offer that was made to the one
    /// before. Were that waited for as one that may still arrive, callers behind this one would be served first
    /// (Spec: CL-4, QU-7).
    pub(super) fn note_move(&mut self, caller: &mut Caller, moves: u32) {
        if moves > caller.moves {
            caller.moves = moves;
            self.give_up(caller);
        }
    }

    /// The call works at an offer: at ours, or at one of an owner before us, which ends as ours do.
    fn note_working(&mut self, now: Moment, caller: &mut Caller, offer: OfferId) {
        if matches!(&caller.state, State::Offered(ringing) if ringing.offer == offer) {
            return;
        }
        self.free_seats(&caller.state, |_| false);
        let until = now + self.offer_lasts(caller);
        caller.state = State::Offered(Ringing { offer, seats: Vec::new(), phones: 0, made: now, until });
    }

    fn note_failed(&mut self, caller: &mut Caller, offer: OfferId, refused: &[AgentId], rang: bool) {
        if matches!(&caller.state, State::Offered(ringing) if ringing.offer > offer) {
            return;
        }
        caller.last_over = Some(offer);
        caller.rang |= rang;
        let refused: Vec<Seat> = refused.iter().filter_map(|agent| self.roster.seat(agent)).collect();
        self.free_seats(&caller.state, |seat| caller.tried.binary_search(&seat).is_ok() || refused.contains(&seat));
        caller.state = State::Waiting;
    }

    /// After the agent, the client's phone rings too.
    fn offer_lasts(&self, caller: &Caller) -> Duration {
        self.config.ring_for + caller.callback.map_or(Duration::ZERO, |callback| callback.ring_for) + SLACK
    }

    /// A ticket that knows nothing of an offer made some time ago: the offer did not arrive.
    fn give_up_lost(&mut self, now: Moment, caller: &mut Caller) {
        if matches!(&caller.state, State::Offered(ringing) if ringing.made + TRANSIT <= now) {
            self.give_up(caller);
        }
    }

    /// The caller waits for another offer; the agents' own word says whether they are free.
    pub(super) fn give_up(&mut self, caller: &mut Caller) {
        if let State::Offered(ringing) = &caller.state {
            caller.last_over = Some(ringing.offer);
            self.free_seats(&caller.state, |_| false);
            caller.state = State::Waiting;
        }
    }

    /// The agents of a caller's offer are not offered any more. `spend` says of whom it is known that what he said before
    /// the offer holds no longer.
    pub(super) fn free_seats(&mut self, state: &State, spend: impl Fn(Seat) -> bool) {
        match state {
            State::Offered(ringing) => {
                for &(seat, version) in &ringing.seats {
                    self.roster.unpick(seat, version, spend(seat));
                }
            }
            State::Waiting | State::Resting { .. } | State::Leaving(_) => {}
        }
    }

    /// Gives the free agents to the waiting callers in the order of their rank. A caller who gets none blocks nobody
    /// (Spec: QU-7).
    pub(super) fn serve_all(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let mut walk = Walk::default();
        while self.roster.free() > 0
            && let Some(call) = self.waiting.next(&mut walk, |lane| self.roster.suits_somebody(lane))
        {
            self.serve(now, call, out);
        }
    }

    /// Does for a caller what can be done now.
    pub(super) fn serve(&mut self, now: Moment, call: CallId, out: &mut Vec<Effect>) {
        let Some(caller) = self.waiting.get(call) else { return };
        match &caller.state {
            State::Waiting => {}
            State::Offered(_) if self.config.strategy == Strategy::AllAtOnce => return self.join(now, call, out),
            State::Offered(_) | State::Resting { .. } | State::Leaving(_) => return,
        }
        if let Some(why) = unanswered::sent_away(caller, self.roster.nobody_logged_in(), now) {
            return self.overflow(call, unanswered::timeout(&self.config, why), out);
        }
        let after = self.roster.last_turn();
        let begun = !caller.tried.is_empty();
        let round_is_over = begun && self.config.strategy == Strategy::AllAtOnce;
        let picks =
            if round_is_over { Vec::new() } else { self.roster.pick(caller.class, &caller.tried, HARDWARE_PHONES) };
        if !picks.is_empty() {
            self.offer(now, call, &picks, after, out);
        } else if begun {
            self.end_round(now, call, out);
        }
    }

    /// `after`: who had the turn before, where agents take turns.
    fn offer(&mut self, now: Moment, call: CallId, picks: &[Pick], after: Option<Seat>, out: &mut Vec<Effect>) {
        let Some(mut caller) = self.waiting.take(call) else { return };
        let why = self.choice(now, &caller, picks, after);
        self.offers += 1;
        let offer = OfferId { epoch: self.epoch, counter: self.offers };
        caller.round = caller.round.max(1);
        caller.round_began.get_or_insert(now);
        let until = now + self.offer_lasts(&caller);
        let mut ringing = Ringing { offer, seats: Vec::new(), phones: 0, made: now, until };
        let said = self.propose(call, &mut ringing, picks, why, caller.round, self.config.ring_for);
        caller.state = State::Offered(ringing);
        self.waiting.insert(caller);
        self.tell(call, said, out);
    }

    /// Agents who became free while the phones of others ring for this caller ring too, for the time that is left
    /// (Spec: QU-2). Less than one ring is not worth it.
    fn join(&mut self, now: Moment, call: CallId, out: &mut Vec<Effect>) {
        let Some(mut caller) = self.waiting.take(call) else { return };
        let round = caller.round;
        if let State::Offered(ringing) = &mut caller.state
            && !ringing.seats.is_empty()
        {
            let left = self.config.ring_for.saturating_sub(now.since(ringing.made));
            let phones = HARDWARE_PHONES.saturating_sub(ringing.phones);
            let picks = if left < RING { Vec::new() } else { self.roster.pick(caller.class, &caller.tried, phones) };
            if !picks.is_empty() {
                let why = Choice::AllAtOnce { joins: true };
                let said = self.propose(call, ringing, &picks, why, round, left);
                self.tell(call, said, out);
            }
        }
        self.waiting.insert(caller);
    }

    fn propose(
        &self,
        call: CallId,
        ringing: &mut Ringing,
        picks: &[Pick],
        why: Choice,
        round: u32,
        ring_for: Duration,
    ) -> FromQueue {
        let mut agents = Vec::with_capacity(picks.len());
        for &Pick { seat, hardware_limit } in picks {
            ringing.seats.push((seat, self.roster.version(seat)));
            ringing.phones = ringing.phones.saturating_add(hardware_limit);
            let agent = self.roster.agent(seat).clone();
            agents.push(Offered { agent, hardware_limit, invitation: Invitation::Chosen });
        }
        FromQueue::Offer(Offer { id: ringing.offer, queue: self.id.clone(), call, agents, why, round, ring_for })
    }

    fn end_round(&mut self, now: Moment, call: CallId, out: &mut Vec<Effect>) {
        let Some(mut caller) = self.waiting.take(call) else { return };
        match unanswered::after_round(&self.config, caller.rang, caller.callback.is_some()) {
            Verdict::NewRound => {
                // Of a round that an earlier owner began it is not known when; that was a while ago.
                let until = caller.round_began.take().map_or(now, |began| began + RING);
                caller.round += 1;
                caller.tried.clear();
                caller.rang = false;
                let rests = until > now;
                caller.state = if rests { State::Resting { until } } else { State::Waiting };
                self.put_back(now, caller);
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
