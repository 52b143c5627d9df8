//! The queue: chooses order, nothing else. Everything it knows of a caller comes with the caller's ticket, everything it
//! knows of an agent with his status, so a new owner needs nobody's memory. Who is connected with whom is decided by the
//! call and the agent; a wrong or repeated word of a queue costs an offer, never a caller.

mod callback;
mod configure;
mod departed;
mod estimate;
mod event;
mod inspect;
mod offering;
mod pickup;
mod reason;
mod roster;
mod selection;
mod silence;
mod table;
mod unanswered;
mod waiting;

pub use event::{
    CallbackRule, Config, Effect, Enqueue, Event, Exit, Left, NOBODY_GRACE, Overflow, OverflowReason, PickupRefusal,
    Progress, RingingCall, SkillRule, Strategy, Then, Timeout, Unanswered,
};
pub use inspect::OpenCaller;
pub use unanswered::gone;

use std::time::Duration;

use configure::Removal;
use departed::Departed;
use estimate::Pace;
use roster::Roster;
use selection::Class;
use waiting::{Caller, State, Waiting};

use crate::call::{Event as CallEvent, FromQueue};
use crate::ids::{CallId, Epoch, QueueId};
use crate::ticket::Sequence;
use crate::time::{Moment, Now};
use crate::view::{Place, QueueView};

/// The machine of one queue's owner.
#[derive(Clone, Debug)]
pub struct Queue {
    id: QueueId,
    config: Config,
    epoch: Epoch,
    waiting: Waiting,
    departed: Departed,
    roster: Roster,
    pace: Pace,
    sequences: u64,
    offers: u64,
    counts: Counts,
    removal: Removal,
}

/// Since the owner started.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    offered: u64,
    answered: u64,
    abandoned: u64,
    overflowed: u64,
}

impl Counts {
    const fn count(&mut self, why: &Left) {
        match why {
            Left::Connected { .. } => self.answered += 1,
            Left::Abandoned => self.abandoned += 1,
            Left::Overflowed => self.overflowed += 1,
            Left::CalledBack { .. } | Left::Gone => {}
        }
    }
}

impl Queue {
    /// An owner that knows nobody yet. `epoch` is higher than any before for this queue; `seed` names the random choices
    /// of [`Strategy::Random`].
    pub fn new(now: Now, id: QueueId, config: Config, epoch: Epoch, seed: u64) -> Self {
        Queue {
            // All at once: who becomes free while the phones ring, rings too (Spec: QU-2).
            waiting: Waiting::new(config.strategy == Strategy::AllAtOnce, config.ranking),
            departed: Departed::default(),
            roster: Roster::new(now.mono, &config, seed),
            pace: Pace::default(),
            id,
            config,
            epoch,
            sequences: 0,
            offers: 0,
            counts: Counts::default(),
            removal: Removal::None,
        }
    }

    /// Takes in one event; what follows from it is appended to `out`.
    pub fn handle(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        let now = now.mono;
        self.expire(now, out);
        match event {
            Event::Enqueue(enqueue) => self.enqueue(now, &enqueue, out),
            Event::Leave { call, why } => self.leave(now, call, &why, out),
            Event::Availability(status) => {
                if let Some((seat, offered)) = self.roster.heard(now, &status) {
                    self.pace.heard(now, seat, status.standing, offered);
                }
            }
            Event::WhatRings { asker, agent } => self.what_rings(now, asker, &agent, out),
            Event::PickUp { call, agent, own } => self.asked_for(now, call, &agent, own, out),
            Event::EdgeGone { edge, calls } => self.edge_gone(now, |call| calls.of(call) == edge),
            Event::Configured(config) => self.configure(now, *config),
            Event::Removed => self.remove(now),
            Event::Wake => {}
        }
        self.dismiss_if_nobody(now, out);
        self.serve_all(now, out);
        if self.ends_at().is_some_and(|at| at <= now) {
            self.removal = Removal::Over;
        }
    }

    /// When [`Event::Wake`] is due; `None` while nobody waits and no agent is heard or hoped for.
    pub fn deadline(&self) -> Option<Moment> {
        let caller = self.waiting.first_due().map(|(at, _)| at);
        caller.into_iter().chain(self.roster.deadline()).chain(self.ends_at()).min()
    }

    /// How it is now.
    pub fn view(&self, now: Now) -> QueueView {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let places = || self.waiting.iter().filter(|caller| !matches!(caller.state, State::Leaving(_)));
        let waiting = || places().filter(|caller| caller.callback.is_none());
        QueueView {
            queue: self.id.clone(),
            display_name: self.config.display_name.clone(),
            extension: self.config.extension.clone(),
            strategy: self.config.strategy.as_str().to_owned(),
            waiting: count(waiting().count()),
            offered_now: count(waiting().filter(|caller| matches!(caller.state, State::Offered(_))).count()),
            callbacks: count(places().filter(|caller| caller.callback.is_some()).count()),
            longest_wait: waiting().map(|caller| now.mono.since(caller.entered)).max().unwrap_or(Duration::ZERO),
            agents: count(self.roster.len()),
            logged_in: count(self.roster.logged_in()),
            free: count(self.roster.free()),
            offered: self.counts.offered,
            answered: self.counts.answered,
            abandoned: self.counts.abandoned,
            overflowed: self.counts.overflowed,
            estimate: {
                let free = self.roster.free() > self.waiting.open();
                let position = if free { 0 } else { places().count() + 1 };
                self.pace.recent(now.mono, self.roster.working()).map(|recent| recent.estimate(position))
            },
            estimates: self.pace.judged(),
        }
    }

    /// The callers for whom no phone rings, in the order in which they are served, and how long they will wait
    /// (Spec: UN-8).
    pub fn places(&self, now: Now) -> Vec<(CallId, Place)> {
        let waits = |caller: &&Caller| matches!(caller.state, State::Waiting | State::Resting { .. });
        let mut callers: Vec<&Caller> = self.waiting.iter().filter(waits).collect();
        callers.sort_unstable_by_key(|caller| self.waiting.rank(caller));
        let recent = self.pace.recent(now.mono, self.roster.working());
        let place = |(position, caller): (usize, &Caller)| {
            let estimate = recent.map(|recent| recent.estimate(position));
            (caller.call, Place { position: u32::try_from(position).unwrap_or(u32::MAX), estimate })
        };
        (1..).zip(callers).map(place).collect()
    }

    fn enqueue(&mut self, now: Moment, enqueue: &Enqueue, out: &mut Vec<Effect>) {
        let call = enqueue.ticket.call;
        if self.departed.has_left(call, enqueue.ticket.moves) {
            if enqueue.ticket.sequence.is_none() && self.departed.entered_late(call) {
                self.counts.offered += 1;
            }
            return;
        }
        let mut caller = match self.waiting.take(call) {
            // From an edge that has slept, and does not know yet that another has the call.
            Some(caller) if enqueue.ticket.moves < caller.moves => return self.waiting.insert(caller),
            Some(mut caller) => {
                caller.refresh(now);
                self.note_move(&mut caller, enqueue.ticket.moves);
                self.note_callback(now, &mut caller, enqueue, true);
                self.learn(now, &mut caller, enqueue);
                caller
            }
            None => Box::new(self.new_caller(now, enqueue)),
        };
        self.settle_callback(now, &mut caller, out);
        match &caller.state {
            State::Leaving(overflow) => {
                let said = FromQueue::Overflow { epoch: self.epoch, overflow: overflow.clone() };
                self.tell(call, said, out);
            }
            State::Waiting | State::Resting { .. } | State::Offered(_) if enqueue.ticket.sequence.is_none() => {
                self.tell(call, FromQueue::Enqueued { sequence: caller.sequence }, out);
            }
            State::Waiting | State::Resting { .. } | State::Offered(_) => {}
        }
        self.put_back(now, caller);
        // First those who come before him, then he.
        self.serve_all(now, out);
        self.serve(now, call, out);
        if enqueue.ticket.sequence.is_none() {
            self.note_estimate(now, call);
        }
    }

    /// Keeps what a caller who has just come could be told. One who overtakes others is not judged: to count them takes
    /// too long here.
    fn note_estimate(&mut self, now: Moment, call: CallId) {
        if self.waiting.is_last_open(call) {
            let recent = self.pace.recent(now, self.roster.working());
            self.pace.tell(now, call, recent.map(|recent| recent.estimate(self.waiting.open())));
        }
    }

    fn new_caller(&mut self, now: Moment, enqueue: &Enqueue) -> Caller {
        // If he heard first of the place that another owner gave him, he still stands here where he stood: a place of theirs
        // among places of ours would put him before or behind everybody.
        let place = self.departed.returns(enqueue.ticket.call).or(enqueue.ticket.sequence);
        let first_entry = place.is_none();
        let full = self.waiting.len() >= self.config.max_waiting;
        let refused = unanswered::at_the_door(full, self.roster.nobody_logged_in()).filter(|_| first_entry);
        let state = refused.map_or(State::Waiting, |why| State::Leaving(unanswered::timeout(&self.config, why)));
        self.counts.offered += u64::from(first_entry);
        let entered = now - enqueue.waited_here;
        let began = now - enqueue.ticket.waited.max(enqueue.waited_here);
        let by_skill = self.config.strategy == Strategy::Skills;
        let mut caller = Caller {
            call: enqueue.ticket.call,
            sequence: place.unwrap_or_else(|| self.next_sequence(now)),
            moves: enqueue.ticket.moves,
            priority: enqueue.ticket.priority,
            entered,
            began,
            expires: now,
            limit: unanswered::limit(&self.config, entered, began, enqueue.ticket.max_wait),
            max_total: enqueue.ticket.max_wait,
            round: 0,
            round_began: None,
            tried: Vec::new(),
            rang: false,
            last_over: None,
            number: enqueue.ticket.caller.clone(),
            callback: None,
            wanted: self.wanted(&enqueue.ticket.skills),
            brought: enqueue.ticket.skills.clone(),
            class: Class::ANY,
            relax_at: by_skill.then_some(now),
            state,
        };
        caller.refresh(now);
        self.note_callback(now, &mut caller, enqueue, first_entry);
        self.learn(now, &mut caller, enqueue);
        caller
    }

    /// Lets a caller who was taken out wait again, with what is asked of his agent by now.
    fn put_back(&mut self, now: Moment, mut caller: Box<Caller>) {
        if caller.relax_at.is_some_and(|at| at <= now) {
            self.relax(now, &mut caller);
        }
        self.waiting.insert(caller);
    }

    /// The longer he waits, the less skill he needs (Spec: QU-5).
    fn relax(&mut self, now: Moment, caller: &mut Caller) {
        let rule = &self.config.skills;
        let every = rule.relax.filter(|every| !every.is_zero());
        let steps = every.map_or(0, |every| now.since(caller.entered).as_millis() / every.as_millis().max(1));
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        let wanted = caller.wanted.relaxed(steps, rule.least);
        let more = || caller.wanted.relaxed(steps.saturating_add(1), rule.least) != wanted;
        caller.relax_at = every.filter(|_| more()).map(|every| caller.entered + every * (steps + 1));
        caller.class = self.roster.class(&wanted);
    }

    fn next_sequence(&mut self, now: Moment) -> Sequence {
        if mutant!(FifoByClock) {
            let counter = now.since(Moment::START).as_micros().try_into().unwrap_or(u64::MAX);
            return Sequence { epoch: Epoch(0), counter };
        }
        self.sequences += 1;
        Sequence { epoch: self.epoch, counter: self.sequences }
    }

    fn leave(&mut self, now: Moment, call: CallId, why: &Left, out: &mut Vec<Effect>) {
        self.pace.left(now, call, matches!(why, Left::Connected { .. }));
        let caller = self.waiting.take(call);
        let here = caller.as_ref().map(|caller| caller.moves);
        if self.departed.leaves(now, call, here, !matches!(why, Left::Gone)) {
            self.counts.count(why);
        }
        let Some(caller) = caller else { return };
        let winner = match why {
            Left::Connected { agent, .. } | Left::CalledBack { agent, .. } => self.roster.seat(agent),
            Left::Abandoned | Left::Overflowed | Left::Gone => None,
        };
        if let (Some(seat), State::Offered(ringing)) = (winner, &caller.state) {
            self.pace.connected(now, seat, ringing.made);
        }
        self.free_seats(&caller.state, |seat| Some(seat) == winner);
        if let (Left::Connected { .. }, Some(number)) = (why, &caller.number) {
            self.end_callback_of(number, call, out);
        }
        self.serve_all(now, out);
    }

    /// UN-4 for those who wait already: the last agent has logged out.
    fn dismiss_if_nobody(&mut self, now: Moment, out: &mut Vec<Effect>) {
        if self.waiting.len() == 0 || !self.roster.nobody_logged_in() {
            return;
        }
        let waits = |caller: &&Caller| unanswered::sent_away(caller, true, now).is_some();
        let mut calls: Vec<CallId> = self.waiting.iter().filter(waits).map(|caller| caller.call).collect();
        calls.sort_unstable();
        for call in calls {
            self.overflow(call, unanswered::timeout(&self.config, OverflowReason::NobodyLoggedIn), out);
        }
    }

    fn overflow(&mut self, call: CallId, overflow: Overflow, out: &mut Vec<Effect>) {
        if let Some(mut caller) = self.waiting.take(call) {
            self.tell(call, FromQueue::Overflow { epoch: self.epoch, overflow: overflow.clone() }, out);
            let state = std::mem::replace(&mut caller.state, State::Leaving(overflow));
            self.free_seats(&state, |_| false);
            self.waiting.insert(caller);
        }
    }

    /// Everything whose time has come, before any event is looked at.
    fn expire(&mut self, now: Moment, out: &mut Vec<Effect>) {
        self.roster.expire(now);
        while let Some((at, call)) = self.waiting.first_due()
            && at <= now
        {
            let Some(mut caller) = self.waiting.take(call) else { break };
            if caller.expires <= now {
                self.falls_silent(now, &caller);
                continue;
            }
            // The call's answer is lost, if it was offered. It goes on waiting.
            self.give_up(&mut caller);
            caller.state = State::Waiting;
            self.put_back(now, caller);
            self.serve_all(now, out);
            self.serve(now, call, out);
        }
    }

    /// He is not offered any more, and comes back to his place with his next ticket.
    fn falls_silent(&mut self, now: Moment, caller: &Caller) {
        self.departed.falls_silent(now, caller.call, caller.sequence);
        self.pace.left(now, caller.call, false);
        self.free_seats(&caller.state, |_| false);
    }

    /// The edge of these calls has died.
    fn edge_gone(&mut self, now: Moment, was_there: impl Fn(CallId) -> bool) {
        let mut calls: Vec<CallId> =
            self.waiting.iter().map(|caller| caller.call).filter(|it| was_there(*it)).collect();
        calls.sort_unstable();
        for call in calls {
            if let Some(caller) = self.waiting.take(call) {
                self.falls_silent(now, &caller);
            }
        }
    }

    fn tell(&self, call: CallId, said: FromQueue, out: &mut Vec<Effect>) {
        out.push(Effect::ToCall(call, CallEvent::Queue(self.id.clone(), said)));
    }
}

#[cfg(test)]
mod tests;
