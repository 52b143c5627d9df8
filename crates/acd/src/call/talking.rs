//! Two-way audio, and the end of every call.

use super::attempt::Won;
use super::state::{After, State, Talk};
use super::{Call, Effect};
use crate::agent::{Event as AgentEvent, Released};
use crate::ids::{LegId, QueueId};
use crate::leg::{Cause, LegCommand, LegEvent};
use crate::offer::OfferId;
use crate::queue::Left;
use crate::record::{Happened, Outcome};

/// How a call ends.
pub(super) struct End {
    outcome: Outcome,
    /// For the record.
    cause: Cause,
    /// What the caller is told; `None` when he has hung up himself.
    caller: Option<Cause>,
    /// What the other side is told; `None` when it has hung up itself.
    other: Option<Cause>,
}

impl End {
    /// We end it.
    pub(super) const fn by_us(outcome: Outcome, cause: Cause) -> Self {
        End { outcome, cause, caller: Some(cause), other: Some(cause) }
    }

    /// It ends because another call goes on with the caller's leg.
    pub(super) const fn taken_over() -> Self {
        End { outcome: Outcome::Done, cause: Cause::Normal, caller: None, other: None }
    }

    /// We end it, and the caller has hung up before.
    pub(super) const fn without_caller(outcome: Outcome, cause: Cause) -> Self {
        End { outcome, cause, caller: None, other: Some(cause) }
    }
}

impl Call {
    /// Somebody of the offer has answered.
    pub(super) fn won(&mut self, won: Won) {
        if let State::Queued(queued) = &mut self.state
            && queued.callback.is_some()
        {
            return queued.call_client(&mut self.core, won);
        }
        let from = match std::mem::replace(&mut self.state, State::New) {
            State::Queued(queued) => queued.won(&mut self.core, &won),
            State::Ringing(mut attempt) => {
                attempt.cancel(&mut self.core, Cause::AnsweredElsewhere, Some(&won));
                None
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
        let leg = won.leg;
        self.connect(leg, Some(won), from);
    }

    /// Caller and `leg` hear each other from now on.
    pub(super) fn connect(&mut self, leg: LegId, won: Option<Won>, from: Option<(QueueId, OfferId)>) {
        self.core.answer();
        if !matches!(self.state, State::Dialling { bridged: true, .. }) {
            self.core.leg(self.core.caller_leg(), LegCommand::Bridge { with: leg });
        }
        let agent = won.as_ref().map(|won| &won.agent);
        self.core.ledger.connects(self.core.now, leg, agent, from.is_some());
        let agent = won.map(|won| (won.agent, won.reservation));
        let queue = from.as_ref().and_then(|(queue, _)| self.core.routing.queue(queue));
        let ends_at = queue.and_then(|queue| queue.max_talk).map(|max| self.core.now.mono + max);
        self.state = State::Talking(Box::new(Talk { leg, agent, from, renew_at: self.core.now.mono, ends_at }));
        self.renew();
    }

    /// Tells the agent's owner, now and every 10 s, that the conversation goes on.
    pub(super) fn renew(&mut self) {
        let State::Talking(talk) = &mut self.state else { return };
        if talk.renew_at > self.core.now.mono {
            return;
        }
        talk.renew_at = self.core.again_in(self.core.config.renew);
        if let Some((agent, reservation)) = &talk.agent {
            let queue = talk.from.as_ref().map(|(queue, _)| queue.clone());
            self.core.tell_agent(agent, AgentEvent::Connected { reservation: *reservation, queue });
        }
    }

    pub(super) fn talking_leg(&mut self, leg: LegId, event: &LegEvent) {
        match event {
            LegEvent::Failed(cause) | LegEvent::Ended(cause) => {
                let cause = *cause;
                self.core.write(Happened::LegEnded { leg, cause });
                let end = End { outcome: Outcome::Answered, cause, caller: Some(cause), other: None };
                self.end(end);
            }
            LegEvent::Answered => self.revived(leg),
            LegEvent::Alerting { .. }
            | LegEvent::TakenOver { .. }
            | LegEvent::PlayFinished
            | LegEvent::Digit(_)
            | LegEvent::Held
            | LegEvent::Resumed => {}
        }
    }

    /// The caller has hung up, or his leg broke.
    pub(super) fn caller_ended(&mut self, cause: Cause) {
        if let State::Queued(queued) = &mut self.state
            && let Some(callback) = &mut queued.callback
        {
            // He has hung up before we did, which changes nothing.
            callback.line_ended();
            return;
        }
        self.core.write(Happened::LegEnded { leg: self.core.caller_leg(), cause });
        let broken = matches!(cause, Cause::MediaTimeout | Cause::SignallingTimeout);
        let outcome = match &self.state {
            State::Talking(_) => Outcome::Answered,
            _ if broken => Outcome::Failed,
            // The queue had given up on him already.
            State::Playing { after: After::Go { .. }, .. } => Outcome::Missed,
            // He has heard enough of the tone.
            State::Playing { after: After::End { outcome, .. }, .. } => *outcome,
            State::New
            | State::Occupying { .. }
            | State::Commanding(_)
            | State::PickingUp(_)
            | State::Playing { after: After::NextStep, .. }
            | State::Queued(_)
            | State::Ringing(_)
            | State::Dialling { .. }
            | State::Ended => Outcome::Abandoned,
        };
        let other = if matches!(self.state, State::Talking(_)) { cause } else { Cause::Cancelled };
        self.end(End { outcome, cause, caller: None, other: Some(other) });
    }

    /// Something other than the two sides ends it.
    pub(super) fn stop(&mut self, why: &str) {
        self.core.write(Happened::Stopped { why: why.to_owned() });
        let outcome = if self.core.ledger.talked() { Outcome::Answered } else { Outcome::Missed };
        self.end(End::by_us(outcome, Cause::Normal));
    }

    /// Takes everything down, writes the record, once.
    pub(super) fn end(&mut self, end: End) {
        let core = &mut self.core;
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => return,
            State::New
            | State::Occupying { .. }
            | State::Commanding(_)
            | State::PickingUp(_)
            | State::Playing { .. } => {}
            State::Queued(mut queued) => {
                if let Some(attempt) = &mut queued.attempt {
                    attempt.cancel(core, end.other.unwrap_or(Cause::Cancelled), None);
                }
                match &mut queued.callback {
                    // It is written already that he left (Spec: PL-5).
                    Some(callback) => {
                        callback.cancel(core);
                        queued.leave(core, Left::Gone);
                    }
                    None => {
                        let why = if end.caller.is_none() { "caller left" } else { "call ended" };
                        core.ledger.leaves(core.now, &queued.queue, why);
                        queued.leave(core, Left::Abandoned);
                    }
                }
            }
            State::Ringing(mut attempt) => attempt.cancel(core, end.other.unwrap_or(Cause::Cancelled), None),
            State::Dialling { leg, .. } => core.leg(leg, LegCommand::HangUp(end.other.unwrap_or(Cause::Cancelled))),
            State::Talking(talk) => {
                if let Some(cause) = end.other {
                    core.leg(talk.leg, LegCommand::HangUp(cause));
                }
                if let Some((agent, reservation)) = talk.agent {
                    core.release(&agent, reservation, Released::Ended);
                }
            }
        }
        if let Some(own) = core.own.take() {
            let why = if core.ledger.talked() { Released::Ended } else { Released::NoPenalty };
            core.release(&own.agent, own.reservation, why);
        }
        if let Some(cause) = end.caller {
            core.leg(core.caller_leg(), LegCommand::HangUp(cause));
        }
        let record = core.ledger.close(core.now, &core.incoming, end.outcome, end.cause);
        core.out.push(Effect::Finished(Box::new(record)));
    }
}
