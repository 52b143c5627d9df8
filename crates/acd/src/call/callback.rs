//! A callback (Spec: UN-7, OU-4): the caller has hung up, and his call waits on in his place. When an agent has answered,
//! the client is called at the number he came from; when he answers too, the two are connected.

use std::fmt;
use std::time::Duration;

use super::attempt::Won;
use super::checkpoint::CallbackLeft;
use super::core::Core;
use super::queued::{Queued, TONE};
use super::state::{After, State};
use super::{Call, End, FromAgent};
use crate::agent::{Event as AgentEvent, Purpose, Released, ReservationId};
use crate::ids::{AgentId, LegId, PhoneNumber, TrunkId};
use crate::leg::{Cause, DialTarget, LegCommand, LegEvent, Playback};
use crate::queue::{CallbackRule, Left, Then};
use crate::record::{Happened, Outcome};
use crate::ticket;
use crate::time::Moment;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Callback {
    number: PhoneNumber,
    trunk: TrunkId,
    rule: CallbackRule,
    /// Until then an agent is looked for.
    keep_until: Moment,
    /// How often the client was called.
    made: u8,
    /// Until then no agent is to be asked.
    rest_until: Moment,
    /// The caller is still on the line and hears that he will be called back, until then.
    line_until: Option<Moment>,
    client: Option<Client>,
}

/// The client is called, and an agent listens.
#[derive(Clone, Debug)]
struct Client {
    leg: LegId,
    until: Moment,
    alerted: bool,
    won: Won,
    purpose: Purpose,
    renew_at: Moment,
}

impl Callback {
    /// A callback to the caller, or why there can be none, in words.
    pub(super) fn new(core: &Core, rule: CallbackRule) -> Result<Self, String> {
        let number = core.number.clone().ok_or("the caller has no international number")?;
        let trunk = core.routing.outbound(core.tenant()).cloned().ok_or("there is no trunk with `outbound`")?;
        let now = core.now.mono;
        Ok(Callback {
            number,
            trunk,
            rule,
            keep_until: now + rule.keep,
            made: 0,
            rest_until: now + TONE,
            line_until: Some(now + TONE),
            client: None,
        })
    }

    /// What another edge needs of it. A call to the client that is under way counts, and is lost.
    pub(super) fn left(&self, now: Moment) -> CallbackLeft {
        CallbackLeft {
            number: self.number.clone(),
            trunk: self.trunk.clone(),
            rule: self.rule,
            keep: self.keep_until.since(now),
            made: self.made,
            rest: self.rest_until.since(now),
        }
    }

    /// From what another edge has let be known `age` ago. Who was still on the line hears no more.
    pub(super) fn restore(now: Moment, left: CallbackLeft, age: Duration) -> Self {
        Callback {
            number: left.number,
            trunk: left.trunk,
            rule: left.rule,
            keep_until: now + left.keep.saturating_sub(age),
            made: left.made,
            rest_until: now + left.rest.saturating_sub(age),
            line_until: None,
            client: None,
        }
    }

    pub(super) const fn made(&self) -> u8 {
        self.made
    }

    /// Tells the caller that he will be called back. The call has its longest length anew, after all the waiting.
    pub(super) fn begin(&self, core: &mut Core) {
        core.callback = true;
        core.ends_at = self.keep_until + core.config.max_length;
        core.answer();
        core.leg(core.caller_leg(), LegCommand::Play(Playback::Done));
    }

    pub(super) fn ticket(&self, now: Moment) -> ticket::Callback {
        ticket::Callback { rest: self.rest_until.since(now), ring_for: self.rule.ring_for }
    }

    /// Whether an agent may be asked now.
    pub(super) fn is_ready(&self, now: Moment) -> bool {
        self.line_until.is_none() && self.client.is_none() && self.rest_until <= now
    }

    /// The caller has heard it.
    pub(super) fn hang_up_line(&mut self, core: &mut Core) {
        if self.line_until.take().is_some() {
            core.leg(core.caller_leg(), LegCommand::HangUp(Cause::Normal));
        }
    }

    /// He has hung up himself.
    pub(super) const fn line_ended(&mut self) {
        self.line_until = None;
    }

    pub(super) fn agent(&self) -> Option<&AgentId> {
        self.client.as_ref().map(|client| &client.won.agent)
    }

    pub(super) fn deadline(&self, attempted: bool) -> Option<Moment> {
        let kept = (!attempted && self.client.is_none()).then_some(self.keep_until);
        let client = self.client.as_ref().map(|client| client.until.min(client.renew_at));
        self.line_until.into_iter().chain(kept).chain(client).min()
    }

    /// Tells a new owner of `agent` that he is held.
    pub(super) fn renew_for(&mut self, core: &mut Core, agent: &AgentId) {
        self.client.iter_mut().filter(|client| client.won.agent == *agent).for_each(|client| client.renew(core));
    }

    /// Ends whatever is under way.
    pub(super) fn cancel(&mut self, core: &mut Core) {
        self.line_until = None;
        if let Some(client) = self.client.take() {
            client.hang_up(core, Cause::Cancelled, None);
        }
    }

    /// Why it comes to its end although nobody has talked, if it does. A phone that rings is not cut.
    fn is_over(&self, now: Moment) -> Option<&'static str> {
        match self.client {
            Some(_) => None,
            None if self.made >= self.rule.attempts => Some("callback did not reach the client"),
            None if self.keep_until <= now => Some("callback was kept for too long"),
            None => None,
        }
    }
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} will be called back through {}", self.number, self.trunk)
    }
}

impl Client {
    fn renew(&mut self, core: &mut Core) {
        self.renew_at = core.now.mono + core.config.renew;
        let (reservation, purpose) = (self.won.reservation, self.purpose.clone());
        core.tell_agent(&self.won.agent, AgentEvent::Reserve { reservation, purpose });
    }

    /// Ends both legs, but for one that is `gone`. The agent did what he could: no wrap-up, no penalty.
    fn hang_up(&self, core: &mut Core, cause: Cause, gone: Option<LegId>) {
        for (leg, cause) in [(self.leg, Cause::Cancelled), (self.won.leg, cause)] {
            if gone != Some(leg) {
                core.leg(leg, LegCommand::HangUp(cause));
            }
        }
        core.release(&self.won.agent, self.won.reservation, Released::NoPenalty);
    }
}

impl Queued {
    /// An agent has answered: he hears ringing while the client is called.
    pub(super) fn call_client(&mut self, core: &mut Core, won: Won) {
        let (Some(mut attempt), Some(callback)) = (self.attempt.take(), &mut self.callback) else { return };
        attempt.cancel(core, Cause::AnsweredElsewhere, Some(&won));
        core.leg(won.leg, LegCommand::Play(Playback::Ringing));
        let leg = core.next_leg();
        let (number, trunk, ring_for) = (callback.number.clone(), callback.trunk.clone(), callback.rule.ring_for);
        core.write(Happened::Dialled { leg, agent: None, number: Some(number.clone()) });
        let caller = core.caller_id(&trunk);
        let target = DialTarget::Trunk { trunk, number };
        core.leg(leg, LegCommand::Dial { target, caller, partner: won.leg, ring_for });
        callback.made += 1;
        callback.client = Some(Client {
            leg,
            until: core.now.mono + ring_for + core.config.ring_slack,
            alerted: false,
            won,
            purpose: attempt.purpose,
            renew_at: core.now.mono + core.config.renew,
        });
    }

    /// Whether a leg is the client's, or that of the agent who waits for him.
    pub(super) fn is_calling_back(&self, leg: LegId) -> bool {
        let client = self.callback.as_ref().and_then(|callback| callback.client.as_ref());
        client.is_some_and(|client| client.leg == leg || client.won.leg == leg)
    }

    pub(super) fn holds_for_client(&self, reservation: ReservationId) -> bool {
        let client = self.callback.as_ref().and_then(|callback| callback.client.as_ref());
        client.is_some_and(|client| client.won.reservation == reservation)
    }

    /// His owner does not hold him for us any more: somebody else may have him.
    pub(super) fn agent_of_client_said(&mut self, core: &mut Core, said: &FromAgent) {
        match said {
            FromAgent::Granted { .. } | FromAgent::Commanded(_) | FromAgent::NewOwner => {}
            FromAgent::Refused { .. } | FromAgent::Lost { .. } => self.client_failed(core, Cause::Cancelled, None),
        }
    }

    /// The client was not reached. Every call to him counts, also one that the agent has given up: his phone has rung.
    fn client_failed(&mut self, core: &mut Core, cause: Cause, gone: Option<LegId>) {
        let Some(callback) = &mut self.callback else { return };
        let Some(client) = callback.client.take() else { return };
        client.hang_up(core, cause, gone);
        callback.rest_until = core.now.mono + callback.rule.delay;
        self.client_missed(core, client.won.agent);
    }

    pub(super) fn expire_callback(&mut self, core: &mut Core) {
        let now = core.now.mono;
        let Some(callback) = &mut self.callback else { return };
        if callback.line_until.is_some_and(|until| until <= now) {
            callback.hang_up_line(core);
        }
        match &mut callback.client {
            Some(client) if client.until <= now => {
                let leg = client.leg;
                core.write(Happened::NotAnswered { leg, agent: None, cause: Cause::NoAnswer });
                self.client_failed(core, Cause::NoAnswer, None);
            }
            Some(client) if client.renew_at <= now => client.renew(core),
            Some(_) | None => {}
        }
    }

    /// What the leg of the client, or of the agent who waits for him, reports; `true` when the client has answered.
    fn callback_leg(&mut self, core: &mut Core, leg: LegId, event: &LegEvent) -> bool {
        let client = self.callback.as_mut().and_then(|callback| callback.client.as_mut());
        let Some(client) = client else { return false };
        let is_client = client.leg == leg;
        match event {
            LegEvent::Answered => return is_client,
            LegEvent::Alerting { .. } if is_client && !client.alerted => {
                client.alerted = true;
                core.write(Happened::Alerting { leg });
            }
            LegEvent::Failed(cause) | LegEvent::Ended(cause) if is_client => {
                core.write(Happened::NotAnswered { leg, agent: None, cause: *cause });
                self.client_failed(core, *cause, Some(leg));
            }
            LegEvent::Failed(cause) | LegEvent::Ended(cause) => {
                core.write(Happened::LegEnded { leg, cause: *cause });
                self.client_failed(core, *cause, Some(leg));
            }
            LegEvent::Alerting { .. }
            | LegEvent::Digit(_)
            | LegEvent::PlayFinished
            | LegEvent::Held
            | LegEvent::Resumed
            | LegEvent::TakenOver { .. } => {}
        }
        false
    }
}

impl Call {
    /// What a leg of a callback reports.
    pub(super) fn callback_leg(&mut self, leg: LegId, event: &LegEvent) {
        let State::Queued(queued) = &mut self.state else { return };
        if !queued.callback_leg(&mut self.core, leg, event) {
            return;
        }
        let Some(client) = queued.callback.as_mut().and_then(|callback| callback.client.take()) else { return };
        let from = queued.last_offer().map(|offer| (queued.queue.clone(), offer));
        if let Some((_, offer)) = &from {
            let left = Left::CalledBack { offer: *offer, agent: client.won.agent.clone() };
            queued.leave(&mut self.core, left);
        }
        self.core.caller_is_on(client.leg);
        self.connect(client.won.leg, Some(client.won), from);
    }

    /// Ends a callback whose time or attempts are over.
    pub(super) fn settle_callback(&mut self) {
        let State::Queued(queued) = &self.state else { return };
        let over = queued.callback.as_ref().filter(|_| queued.attempt.is_none());
        if let Some(why) = over.and_then(|callback| callback.is_over(self.core.now.mono)) {
            self.end_callback(why.to_owned());
        }
    }

    /// Ends a callback as missed; who is still on the line hears the tone to its end.
    pub(super) fn end_callback(&mut self, why: String) {
        let State::Queued(queued) = &mut self.state else { return };
        let Some(callback) = &mut queued.callback else { return };
        self.core.write(Happened::Stopped { why });
        match callback.line_until {
            Some(until) => {
                queued.leave(&mut self.core, Left::Gone);
                let after = After::Go { then: Then::HangUp, ring_for: Duration::ZERO };
                self.state = State::Playing { until, after };
            }
            None => self.end(End::without_caller(Outcome::Missed, Cause::NoAnswer)),
        }
    }
}
