//! A call with which an agent dials a code: his owner is told, he hears whether it was done, and the call is over. It
//! does not occupy him: he may be in wrap-up, on break, or talk on another phone.

use super::state::{After, State};
use super::{Call, End};
use crate::agent::{CommandRefusal, Event as AgentEvent};
use crate::ids::AgentId;
use crate::leg::{Cause, LegCommand, Playback, Source};
use crate::record::{Happened, Outcome};
use crate::time::Moment;
use crate::view::AgentCommand;

/// How often the owner is asked: a lost question or answer is made good twice.
const ASKED: u8 = 3;

/// The owner of the calling agent was told what he wants.
#[derive(Clone, Debug)]
pub(super) struct Commanding {
    agent: AgentId,
    command: AgentCommand,
    asked: u8,
    until: Moment,
}

impl Commanding {
    pub(super) const fn deadline(&self) -> Moment {
        self.until
    }
}

impl Call {
    pub(super) fn command(&mut self, command: AgentCommand) {
        let Source::Device(device) = &self.core.incoming.source else {
            // Only a plan for an agent has such a step.
            return self.end(End::by_us(Outcome::Refused, Cause::NotFound));
        };
        let (agent, until) = (device.agent.clone(), self.core.now.mono);
        self.state = State::Commanding(Commanding { agent, command, asked: 0, until });
        self.ask_again();
    }

    /// Asks, again if there was no answer, and gives up in the end.
    pub(super) fn ask_again(&mut self) {
        let State::Commanding(commanding) = &mut self.state else { return };
        if commanding.until > self.core.now.mono {
            return;
        }
        if commanding.asked == ASKED {
            return self.commanded(Err("no word from the agent's owner".to_owned()), Cause::Congestion);
        }
        commanding.asked += 1;
        commanding.until = self.core.now.mono + self.core.config.reserve_within;
        let (call, command) = (self.core.incoming.call, commanding.command.clone());
        self.core.tell_agent(&commanding.agent, AgentEvent::Command { call, command });
    }

    pub(super) fn owner_answered(&mut self, answer: &Result<(), CommandRefusal>) {
        let answer = answer.as_ref().map_err(ToString::to_string).copied();
        self.commanded(answer, Cause::Forbidden);
    }

    fn commanded(&mut self, answer: Result<(), String>, refusal: Cause) {
        let State::Commanding(Commanding { agent, command, .. }) = &self.state else { return };
        let refused = answer.err();
        let done = refused.is_none();
        self.core.write(Happened::Commanded { agent: agent.clone(), what: command.to_string(), refused });
        if done {
            self.signal(Playback::Done, Outcome::Done, Cause::Normal);
        } else {
            self.decline(refusal);
        }
    }

    /// The calling agent hears that his code came to nothing.
    pub(super) fn decline(&mut self, cause: Cause) {
        self.signal(Playback::Declined, Outcome::Refused, cause);
    }

    fn signal(&mut self, tone: Playback, outcome: Outcome, cause: Cause) {
        self.core.answer();
        self.core.leg(self.core.caller_leg(), LegCommand::Play(tone));
        let until = self.core.now.mono + self.core.config.max_tone;
        self.state = State::Playing { until, after: After::End { outcome, cause } };
    }
}
