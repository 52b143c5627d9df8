//! The call: owns its legs, its reservations and its record, and knows everything that a lost owner of a queue or of an
//! agent would need to be told again. It alone connects, so a caller is never connected with two agents (Spec: CL-3).

mod attempt;
mod callback;
mod checkpoint;
mod codes;
mod core;
mod event;
mod exits;
mod ledger;
mod pickup;
mod queued;
mod state;
mod steps;
mod talking;

pub use checkpoint::{Checkpoint, Inheritance, Mark, Past};
pub use event::{Config, Effect, Event, FromAgent, FromQueue};
pub(crate) use exits::LEFT_BY_DIGIT;
pub(crate) use queued::LEFT_FOR_CALLBACK;

use std::sync::Arc;

use self::core::Core;
use state::State;
use talking::End;

use crate::agent::{Event as AgentEvent, Refusal, Released, ReservationId};
use crate::explain::CallExplained;
use crate::ids::{AgentId, CallId, Epoch, LegId, NumberId, QueueId};
use crate::leg::{Cause, Incoming, LegCommand, LegEvent};
use crate::queue::{Event as QueueEvent, Left};
use crate::record::{Happened, Outcome, Transition};
use crate::route::Routing;
use crate::time::{Moment, Now, WallTime};
use crate::view::CallView;

/// The machine of one call.
#[derive(Clone, Debug)]
pub struct Call {
    core: Core,
    state: State,
}

impl Call {
    /// A new call. It plans its way by `routing` and keeps those tables to its end; [`Event::Start`] sets it going.
    pub fn new(now: Now, incoming: Incoming, routing: Arc<Routing>, config: Arc<Config>) -> Self {
        Call { core: Core::new(now, incoming, routing, config), state: State::New }
    }

    /// Which call it is.
    pub const fn id(&self) -> CallId {
        self.core.call()
    }

    /// Takes in one event; what follows from it is appended to `out`.
    pub fn handle(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        self.core.now = now;
        std::mem::swap(&mut self.core.out, out);
        self.expire();
        if self.is_over() {
            self.core.out.extend(gone(self.id(), &event));
        } else {
            self.take_in(event);
            self.settle_callback();
        }
        std::mem::swap(&mut self.core.out, out);
    }

    fn take_in(&mut self, event: Event) {
        match event {
            Event::Start => self.start(),
            Event::Leg(leg, event) if leg == self.core.caller_leg() => self.caller_leg(&event),
            Event::Leg(leg, event) => self.other_leg(leg, &event),
            Event::Queue(queue, FromQueue::Rings(found)) => self.rings_there(&queue, found),
            Event::Queue(queue, FromQueue::NotPickedUp { call, why }) => self.not_picked_up(&queue, call, why),
            Event::Queue(queue, said) => self.queue_says(&queue, said),
            Event::Agent(agent, _, said) => self.agent_says(&agent, said),
            Event::HangUp => self.stop("hung up by request"),
            Event::Wake => {}
        }
    }

    /// There are new owners, whose epochs `queue` and `agent` know: says to each of them what this call holds of it (its
    /// ticket, its reservations), and heeds no older owner of its queue from now on.
    pub fn tell_new_owners(
        &mut self,
        now: Now,
        queue: impl Fn(&QueueId) -> Option<Epoch>,
        agent: impl Fn(&AgentId) -> Option<Epoch>,
        out: &mut Vec<Effect>,
    ) {
        self.core.now = now;
        std::mem::swap(&mut self.core.out, out);
        if let State::Queued(queued) = &mut self.state
            && let Some(epoch) = queue(&queued.queue)
        {
            queued.announce_to(&mut self.core, epoch);
        }
        let mut agents = self.state.agents();
        agents.extend(self.core.own.as_ref().map(|own| own.agent.clone()));
        for agent in agents.into_iter().filter(|held| agent(held).is_some()) {
            self.renew_for(&agent);
        }
        std::mem::swap(&mut self.core.out, out);
    }

    /// How often a replaced owner of its queue was refused so far (Spec: CL-3).
    pub fn refused(&self) -> u32 {
        self.core.refused
    }

    /// When [`Event::Wake`] is due; `None` once it has ended.
    pub fn deadline(&self) -> Option<Moment> {
        if self.is_over() {
            return None;
        }
        let own = self.core.own.as_ref().map(|own| own.renew_at);
        let others = own.into_iter().chain(self.core.revival_deadline());
        Some(self.state.deadline().into_iter().chain(others).fold(self.core.ends_at, Moment::min))
    }

    /// Whether [`Effect::Finished`] was given: the machine can be dropped.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// How it is now.
    pub fn view(&self, now: Now) -> CallView {
        CallView {
            call: self.id(),
            caller: self.core.incoming.caller.clone(),
            dialled: self.core.incoming.dialled.clone(),
            stage: self.state.stage(),
            queue: self.core.ledger.queue.clone(),
            agent: self.state.agent().cloned(),
            callback: self.core.callback,
            lasted: now.mono.since(self.core.started),
            place: None,
        }
    }

    /// Where it is and how it came there (Spec: RT-9).
    pub fn explain(&self, now: Now) -> CallExplained {
        CallExplained::alive(self.view(now), self.core.ledger.started, self.transitions())
    }

    /// Everything that has happened so far, in order; empty once it has ended, for then the record has it.
    pub fn transitions(&self) -> &[Transition] {
        self.core.ledger.transitions()
    }

    /// When the call came in.
    pub const fn started(&self) -> WallTime {
        self.core.ledger.started
    }

    /// The configured number that was called; known with the first transition.
    pub const fn number(&self) -> Option<&NumberId> {
        self.core.ledger.number.as_ref()
    }

    /// The leg that the caller is connected with, and the agent behind it if it is one.
    pub fn connected_with(&self) -> Option<(LegId, Option<&AgentId>)> {
        match &self.state {
            State::Talking(talk) => Some((talk.leg, talk.agent.as_ref().map(|(agent, _)| agent))),
            State::New
            | State::Occupying { .. }
            | State::Commanding(_)
            | State::PickingUp(_)
            | State::Playing { .. }
            | State::Queued(_)
            | State::Ringing(_)
            | State::Dialling { .. }
            | State::Ended => None,
        }
    }

    /// Everything whose time has come, before any event is looked at.
    fn expire(&mut self) {
        let now = self.core.now.mono;
        // One that was taken over begins with [`Event::Start`].
        if self.core.is_inherited() {
            return;
        }
        if !self.is_over() && self.core.ends_at <= now {
            return self.stop("longest call length reached");
        }
        if let Some(own) = self.core.own.clone().filter(|own| own.renew_at <= now) {
            self.core.occupy_own(own.agent, own.reservation);
        }
        self.expire_revival();
        match &mut self.state {
            State::New | State::Ended => {}
            // The owner does not answer; the call goes on, and the renewals occupy the agent when there is one again.
            State::Occupying { until } if *until <= now => self.next_step(),
            State::Commanding(_) => self.ask_again(),
            State::PickingUp(_) => self.expire_pickup(),
            State::Playing { until, .. } if *until <= now => self.played(),
            State::Dialling { until, leg, .. } if *until <= now => {
                let (leg, cause) = (*leg, Cause::NoAnswer);
                self.core.write(Happened::NotAnswered { leg, agent: None, cause });
                self.end(End::by_us(Outcome::Missed, cause));
            }
            State::Occupying { .. } | State::Playing { .. } | State::Dialling { .. } => {}
            State::Queued(queued) => {
                queued.expire(&mut self.core);
                self.settle_callback();
            }
            State::Ringing(attempt) => {
                attempt.expire(&mut self.core);
                self.settle_ringing();
            }
            State::Talking(talk) if talk.ends_at.is_some_and(|at| at <= now) => self.stop("max_talk"),
            State::Talking(_) => self.renew(),
        }
    }

    fn caller_leg(&mut self, event: &LegEvent) {
        self.note(self.core.caller_leg(), event);
        match event {
            LegEvent::Failed(cause) | LegEvent::Ended(cause) => self.caller_ended(*cause),
            LegEvent::PlayFinished => self.played(),
            LegEvent::TakenOver { by } => self.taken_over(by.call),
            LegEvent::Digit(digit) => self.digit(*digit),
            LegEvent::Answered => self.revived(self.core.caller_leg()),
            LegEvent::Alerting { .. } | LegEvent::Held | LegEvent::Resumed => {}
        }
    }

    fn other_leg(&mut self, leg: LegId, event: &LegEvent) {
        let won = match &mut self.state {
            State::Queued(queued) if queued.is_calling_back(leg) => return self.callback_leg(leg, event),
            State::Queued(queued) => queued.attempt.as_mut().and_then(|a| a.leg(&mut self.core, leg, event)),
            State::Ringing(attempt) => attempt.leg(&mut self.core, leg, event),
            State::Dialling { leg: ours, .. } if *ours == leg => return self.dialled_leg(event),
            State::Talking(talk) if talk.leg == leg => {
                self.note(leg, event);
                return self.talking_leg(leg, event);
            }
            State::New
            | State::Occupying { .. }
            | State::Commanding(_)
            | State::PickingUp(_)
            | State::Playing { .. }
            | State::Dialling { .. }
            | State::Talking(_)
            | State::Ended => None,
        };
        match won {
            Some(won) => self.won(won),
            None => self.settle(),
        }
        // A second answer was on its way while the first one won, or the phone was given up.
        if *event == LegEvent::Answered && !self.needs(leg) {
            self.core.leg(leg, LegCommand::HangUp(Cause::AnsweredElsewhere));
        }
    }

    /// Whether a dialled leg that was answered is one that somebody talks or waits on.
    fn needs(&self, leg: LegId) -> bool {
        match &self.state {
            State::Talking(talk) => talk.leg == leg || self.core.caller_leg() == leg,
            State::Queued(queued) => queued.is_calling_back(leg),
            State::New
            | State::Occupying { .. }
            | State::Commanding(_)
            | State::PickingUp(_)
            | State::Playing { .. }
            | State::Ringing(_)
            | State::Dialling { .. }
            | State::Ended => false,
        }
    }

    fn settle(&mut self) {
        match &mut self.state {
            State::Queued(queued) => queued.settle(&mut self.core),
            State::Ringing(_) => self.settle_ringing(),
            State::New
            | State::Occupying { .. }
            | State::Commanding(_)
            | State::PickingUp(_)
            | State::Playing { .. }
            | State::Dialling { .. }
            | State::Talking(_)
            | State::Ended => {}
        }
    }

    fn note(&mut self, leg: LegId, event: &LegEvent) {
        match event {
            LegEvent::Digit(digit) => self.core.write(Happened::Digit { leg, digit: *digit }),
            LegEvent::Held => self.core.write(Happened::Held { leg }),
            LegEvent::Resumed => self.core.write(Happened::Resumed { leg }),
            LegEvent::Alerting { .. }
            | LegEvent::Answered
            | LegEvent::Failed(_)
            | LegEvent::Ended(_)
            | LegEvent::TakenOver { .. }
            | LegEvent::PlayFinished => {}
        }
    }

    fn queue_says(&mut self, queue: &QueueId, said: FromQueue) {
        match &mut self.state {
            State::Queued(queued) if queued.queue == *queue => match said {
                FromQueue::Enqueued { sequence } => queued.enqueued(&mut self.core, sequence),
                FromQueue::Offer(offer) => queued.offered(&mut self.core, offer),
                FromQueue::Overflow { epoch, overflow } => {
                    if queued.heeds(&mut self.core, epoch) {
                        self.overflow(overflow);
                    }
                }
                FromQueue::Rings(_) | FromQueue::NotPickedUp { .. } => {}
            },
            // It has not heard that we left.
            State::Talking(talk) => {
                let why = match (&talk.from, &talk.agent) {
                    (Some((from, offer)), Some((agent, _))) if from == queue => {
                        let (offer, agent) = (*offer, agent.clone());
                        if self.core.callback {
                            Left::CalledBack { offer, agent }
                        } else {
                            Left::Connected { offer, agent }
                        }
                    }
                    (Some(_) | None, Some(_) | None) => Left::Gone,
                };
                self.core.tell_queue(queue, QueueEvent::Leave { call: self.core.call(), why });
            }
            State::New
            | State::Occupying { .. }
            | State::Commanding(_)
            | State::PickingUp(_)
            | State::Playing { .. }
            | State::Queued(_)
            | State::Ringing(_)
            | State::Dialling { .. }
            | State::Ended => self.core.out.extend(gone(self.core.call(), &Event::Queue(queue.clone(), said))),
        }
    }

    fn agent_says(&mut self, agent: &AgentId, said: FromAgent) {
        let reservation = match &said {
            FromAgent::Granted { reservation, .. }
            | FromAgent::Refused { reservation, .. }
            | FromAgent::Lost { reservation } => *reservation,
            FromAgent::Commanded(answer) => return self.owner_answered(answer),
            FromAgent::NewOwner => return self.renew_for(agent),
        };
        if self.core.own.as_ref().is_some_and(|own| own.reservation == reservation) {
            return self.own_answered(&said);
        }
        match (&mut self.state, &said) {
            // The conversation goes on, whatever the owner believes.
            (State::Talking(talk), _) if talk.agent.as_ref().is_some_and(|(_, ours)| *ours == reservation) => {}
            (State::Queued(queued), _) if queued.attempt.as_ref().is_some_and(|a| a.holds(reservation)) => {
                if let Some(attempt) = &mut queued.attempt {
                    answer_attempt(attempt, &mut self.core, reservation, &said);
                }
                self.settle();
            }
            (State::Queued(queued), _) if queued.holds_for_client(reservation) => {
                queued.agent_of_client_said(&mut self.core, &said);
            }
            (State::Ringing(attempt), _) if attempt.holds(reservation) => {
                answer_attempt(attempt, &mut self.core, reservation, &said);
                self.settle();
            }
            (_, FromAgent::Granted { .. }) => self.core.release(agent, reservation, Released::NoPenalty),
            (_, FromAgent::Refused { .. } | FromAgent::Lost { .. } | FromAgent::Commanded(_) | FromAgent::NewOwner) => {
            }
        }
    }

    /// Tells a new owner of `agent` what this call holds of him, as the next renewal would.
    fn renew_for(&mut self, agent: &AgentId) {
        let held = !matches!(self.state, State::Occupying { .. });
        if let Some(own) = self.core.own.clone().filter(|own| held && own.agent == *agent) {
            self.core.occupy_own(own.agent, own.reservation);
        }
        match &mut self.state {
            State::Queued(queued) => queued.renew_for(&mut self.core, agent),
            State::Ringing(attempt) => attempt.renew_for(&mut self.core, agent),
            State::Talking(talk) if talk.agent.as_ref().is_some_and(|(with, _)| with == agent) => {
                talk.renew_at = self.core.now.mono;
                self.renew();
            }
            State::New
            | State::Occupying { .. }
            | State::Commanding(_)
            | State::PickingUp(_)
            | State::Playing { .. }
            | State::Dialling { .. }
            | State::Talking(_)
            | State::Ended => {}
        }
    }

    /// The owner of the calling agent has answered.
    fn own_answered(&mut self, said: &FromAgent) {
        if let Some(own) = &mut self.core.own {
            own.granted = matches!(said, FromAgent::Granted { .. });
        }
        match (said, &self.state) {
            (FromAgent::Granted { .. }, State::Occupying { .. }) => self.next_step(),
            (FromAgent::Refused { why, .. }, State::Occupying { .. }) => {
                self.core.write(Happened::Routed { why: format!("the calling agent cannot: {why}") });
                self.core.own = None;
                let cause = if *why == Refusal::Busy { Cause::Busy } else { Cause::Forbidden };
                self.end(End::by_us(Outcome::Refused, cause));
            }
            // Granted again by a renewal; or lost to another call, which the running one survives: perhaps to the one that
            // he picks up with this one.
            (
                FromAgent::Granted { .. }
                | FromAgent::Refused { .. }
                | FromAgent::Lost { .. }
                | FromAgent::Commanded(_)
                | FromAgent::NewOwner,
                _,
            ) => {}
        }
    }
}

fn answer_attempt(attempt: &mut attempt::Attempt, core: &mut Core, reservation: ReservationId, said: &FromAgent) {
    match said {
        FromAgent::Granted { devices, .. } => attempt.granted(core, reservation, devices),
        FromAgent::Refused { why, .. } => attempt.refused(core, reservation, *why),
        FromAgent::Lost { .. } => attempt.lost(core, reservation),
        FromAgent::Commanded(_) | FromAgent::NewOwner => {}
    }
}

/// The answer in the name of a call that has ended or never was: the shell asks this for every event whose call it does
/// not find, so that no agent is held and no queue waits for it.
pub fn gone(call: CallId, event: &Event) -> Option<Effect> {
    match event {
        Event::Queue(queue, FromQueue::Enqueued { .. } | FromQueue::Offer(_) | FromQueue::Overflow { .. }) => {
            Some(Effect::ToQueue(queue.clone(), QueueEvent::Leave { call, why: Left::Gone }))
        }
        Event::Agent(agent, _, FromAgent::Granted { reservation, .. }) => {
            let release = AgentEvent::Release { reservation: *reservation, why: Released::NoPenalty };
            Some(Effect::ToAgent(agent.clone(), release))
        }
        Event::Leg(leg, LegEvent::Answered | LegEvent::Alerting { .. }) => {
            Some(Effect::Leg(*leg, LegCommand::HangUp(Cause::AnsweredElsewhere)))
        }
        Event::Start
        | Event::Leg(..)
        | Event::Queue(_, FromQueue::Rings(_) | FromQueue::NotPickedUp { .. })
        | Event::Agent(
            _,
            _,
            FromAgent::Refused { .. } | FromAgent::Lost { .. } | FromAgent::Commanded(_) | FromAgent::NewOwner,
        )
        | Event::HangUp
        | Event::Wake => None,
    }
}

#[cfg(test)]
mod tests;
