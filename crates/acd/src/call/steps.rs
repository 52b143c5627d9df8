//! The way through the plan, and from queue to queue: what the call turns to next.

use std::time::Duration;

use super::attempt::{Attempt, Miss};
use super::queued::Queued;
use super::state::{After, State};
use super::{Call, End};
use crate::agent::{Purpose, Refusal};
use crate::ids::{AgentId, PhoneNumber, SoundId, TrunkId};
use crate::leg::{CallerId, Cause, DialTarget, LegCommand, LegEvent, Source};
use crate::offer::{Invitation, Offered};
use crate::queue::{Left, Overflow, OverflowReason, Then};
use crate::record::{Happened, Outcome};
use crate::route::Step;

impl Call {
    /// Plans, and holds the caller if he is an agent (Spec: OB-5).
    pub(super) fn start(&mut self) {
        if let Some(inheritance) = self.core.inheritance() {
            return self.take_over(inheritance);
        }
        if !matches!(self.state, State::New) {
            return;
        }
        let plan = self.core.routing.plan(&self.core.incoming);
        self.core.write(Happened::Routed { why: plan.why.join("; ") });
        self.core.ledger.number = plan.number;
        self.core.priority = plan.priority;
        self.core.skills = plan.skills;
        self.core.max_wait = plan.max_wait;
        self.core.steps = plan.steps;
        self.core.steps.reverse();
        match self.core.incoming.source.clone() {
            Source::Device(device) if self.occupies() => {
                let reservation = self.core.next_reservation();
                self.core.occupy_own(device.agent, reservation);
                self.state = State::Occupying { until: self.core.now.mono + self.core.config.reserve_within };
            }
            Source::Device(_) | Source::Trunk(_) => self.next_step(),
        }
    }

    /// Whether the calling agent has no time for another call meanwhile. A code takes none.
    fn occupies(&self) -> bool {
        match self.core.steps.last() {
            Some(Step::Greeting(_) | Step::Queue(_) | Step::Agent(_) | Step::Dial { .. } | Step::PickUp(_)) => true,
            Some(Step::Command(_) | Step::Decline | Step::Refuse(_)) | None => false,
        }
    }

    pub(super) fn next_step(&mut self) {
        let ring_for = self.core.config.ring_for;
        match self.core.steps.pop() {
            Some(Step::Greeting(sound)) => self.play(sound, After::NextStep),
            Some(Step::Queue(queue)) => self.state = State::Queued(Box::new(Queued::enter(&mut self.core, queue))),
            Some(Step::Agent(agent)) => self.ring_agent(agent, ring_for),
            Some(Step::Dial { trunk, number, show }) => self.dial(trunk, number, show, ring_for),
            Some(Step::PickUp(queues)) => self.pick_up(queues),
            Some(Step::Command(command)) => self.command(command),
            Some(Step::Decline) => self.decline(Cause::NotFound),
            Some(Step::Refuse(cause)) => self.end(End::by_us(Outcome::Refused, cause)),
            None => self.end(End::by_us(Outcome::Refused, Cause::NotFound)),
        }
    }

    pub(super) fn play(&mut self, sound: SoundId, after: After) {
        self.core.play_sound(sound);
        self.state = State::Playing { until: self.core.now.mono + self.core.config.max_sound, after };
    }

    /// The sound is over, or has had its time.
    pub(super) fn played(&mut self) {
        match &mut self.state {
            State::Playing { after: After::NextStep, .. } => self.next_step(),
            State::Playing { after: After::Go { then, ring_for }, .. } => {
                let (then, ring_for) = (then.clone(), *ring_for);
                self.go(then, ring_for, None);
            }
            State::Playing { after: After::End { outcome, cause }, .. } => {
                let end = End::by_us(*outcome, *cause);
                self.end(end);
            }
            State::Queued(queued) => queued.tone_played(&mut self.core),
            State::New
            | State::Occupying { .. }
            | State::Commanding(_)
            | State::PickingUp(_)
            | State::Ringing(_)
            | State::Dialling { .. }
            | State::Talking(_)
            | State::Ended => {}
        }
    }

    /// Obeys the queue (Spec: UN-1, UN-4), unless a phone rings at this moment.
    pub(super) fn overflow(&mut self, overflow: Overflow) {
        let State::Queued(queued) = &self.state else { return };
        match overflow.why {
            OverflowReason::Merged(_) | OverflowReason::Reached(_) => {
                return self.end_callback(overflow.why.to_string());
            }
            // It was said before the queue heard of the callback.
            _ if queued.callback.is_some() => return,
            _ if queued.attempt.is_some() => return,
            OverflowReason::RoundUnanswered
            | OverflowReason::MaxWait
            | OverflowReason::MaxTotalWait
            | OverflowReason::NobodyLoggedIn
            | OverflowReason::MaxWaiting => {}
        }
        let why = overflow.why.to_string();
        self.leave_queue(&why);
        let Overflow { message, then, farewell, ring_for, .. } = overflow;
        match message {
            Some(message) => self.play(message, After::Go { then, ring_for }),
            None => self.go(then, ring_for, farewell),
        }
    }

    /// The caller leaves the queue by a rule or by his own wish; what rings for him stops, without penalty for anybody.
    pub(super) fn leave_queue(&mut self, why: &str) {
        let State::Queued(mut queued) = std::mem::replace(&mut self.state, State::New) else { return };
        if let Some(attempt) = &mut queued.attempt {
            attempt.cancel(&mut self.core, Cause::Cancelled, None);
        }
        queued.leave(&mut self.core, Left::Overflowed);
        self.core.ledger.leaves(self.core.now, &queued.queue, why);
    }

    pub(super) fn go(&mut self, then: Then, ring_for: Duration, farewell: Option<SoundId>) {
        match then {
            Then::HangUp => self.end(End::by_us(Outcome::Missed, Cause::NoAnswer)),
            Then::Queue(queue) if self.core.visited.contains(&queue) => {
                let why = format!("{queue} was visited before");
                self.core.write(Happened::Routed { why });
                match farewell {
                    Some(sound) => self.play(sound, After::Go { then: Then::HangUp, ring_for }),
                    None => self.end(End::by_us(Outcome::Missed, Cause::NoAnswer)),
                }
            }
            Then::Queue(queue) => self.state = State::Queued(Box::new(Queued::enter(&mut self.core, queue))),
            Then::Agent(agent) => self.ring_agent(agent, ring_for),
            Then::Number(number) => self.forward(number, ring_for),
            Then::LastAgentPhone => self.forward_to_last_agent(ring_for),
        }
    }

    /// To the mobile phone of the agent who was rung last in the queue (Spec: UN-1). Whose phones could not ring was not
    /// rung.
    fn forward_to_last_agent(&mut self, ring_for: Duration) {
        let mobile = self.core.last_rung.as_ref().and_then(|agent| self.core.routing.mobile_of(agent)).cloned();
        let why = match (&self.core.last_rung, &mobile) {
            (Some(agent), Some(_)) => format!("{agent} was rung last: to his mobile phone"),
            (Some(agent), None) => format!("{agent} was rung last, but has no mobile phone"),
            (None, _) => "no agent's phone rang, so there is no last one to forward to".to_owned(),
        };
        self.core.write(Happened::Routed { why });
        match mobile {
            Some(number) => self.forward(number, ring_for),
            None => self.end(End::by_us(Outcome::Missed, Cause::NoAnswer)),
        }
    }

    fn ring_agent(&mut self, agent: AgentId, ring_for: Duration) {
        let offered = vec![Offered { agent, hardware_limit: u8::MAX, invitation: Invitation::Chosen }];
        self.state = State::Ringing(Attempt::start(&mut self.core, Purpose::Direct, offered, ring_for, None));
    }

    /// Nobody can answer any more: the agent dialled directly was missed.
    pub(super) fn settle_ringing(&mut self) {
        let State::Ringing(attempt) = &self.state else { return };
        let Some(missed) = attempt.failed() else { return };
        let cause = match missed.first().map(|(_, miss)| *miss) {
            Some(Miss::Refused(Some(Refusal::Unreachable) | None) | Miss::Unreachable) => Cause::Unreachable,
            Some(Miss::Refused(Some(_))) => Cause::Busy,
            Some(Miss::Rang(said @ (Cause::Busy | Cause::Declined))) => said,
            Some(Miss::Rang(_)) | None => Cause::NoAnswer,
        };
        self.end(End::by_us(Outcome::Missed, cause));
    }

    /// To a phone outside, as an outgoing call that shows the number which was called (Spec: UN-6, OU-5).
    fn forward(&mut self, number: PhoneNumber, ring_for: Duration) {
        let Some(trunk) = self.core.routing.outbound(self.core.tenant()).cloned() else {
            let why = format!("no trunk with `outbound` to forward to {number}");
            self.core.write(Happened::Routed { why });
            return self.end(End::by_us(Outcome::Missed, Cause::NoAnswer));
        };
        let show = self.core.caller_id(&trunk);
        self.core.ring();
        self.dial(trunk, number, show, ring_for);
    }

    fn dial(&mut self, trunk: TrunkId, number: PhoneNumber, caller: CallerId, ring_for: Duration) {
        let leg = self.core.next_leg();
        self.core.write(Happened::Dialled { leg, agent: None, number: Some(number.clone()) });
        let target = DialTarget::Trunk { trunk, number };
        let partner = self.core.caller_leg();
        self.core.leg(leg, LegCommand::Dial { target, caller, partner, ring_for });
        let until = self.core.now.mono + ring_for + self.core.config.ring_slack;
        self.state = State::Dialling { leg, until, alerted: false, bridged: false };
    }

    /// What the leg to a number outside reports.
    pub(super) fn dialled_leg(&mut self, event: &LegEvent) {
        let State::Dialling { leg, alerted, bridged, .. } = &mut self.state else { return };
        let leg = *leg;
        match event {
            LegEvent::Alerting { early_media } => {
                // A phone says it again and again, and may send sound only later.
                let news = !std::mem::replace(alerted, true);
                if news {
                    self.core.write(Happened::Alerting { leg });
                }
                if *early_media && !std::mem::replace(bridged, true) {
                    self.core.leg(self.core.caller_leg(), LegCommand::Bridge { with: leg });
                } else if news {
                    self.core.ring();
                }
            }
            LegEvent::Answered => self.connect(leg, None, None),
            LegEvent::Failed(cause) | LegEvent::Ended(cause) => {
                let cause = *cause;
                self.core.write(Happened::NotAnswered { leg, agent: None, cause });
                self.state = State::New;
                self.end(End::by_us(Outcome::Missed, cause));
            }
            LegEvent::TakenOver { .. }
            | LegEvent::Digit(_)
            | LegEvent::PlayFinished
            | LegEvent::Held
            | LegEvent::Resumed => {}
        }
    }
}
