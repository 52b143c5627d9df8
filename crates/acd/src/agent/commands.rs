//! What a person or a service asks of an agent (Spec: TR-5, TR-6).

use std::collections::VecDeque;

use super::activity::{Doing, Restarts};
use super::{Agent, CommandRefusal, Effect, IdleTime, SavedAvailability};
use crate::call::{Event as CallEvent, FromAgent};
use crate::ids::{CallId, QueueId};
use crate::time::{Moment, Now};
use crate::view::{AgentCommand, Availability};

/// Messages of an older call than this many are so late that nobody waits for their answer.
const REMEMBERED: usize = 8;

/// The codes that he dialled last, by the calls with which he did.
#[derive(Clone, Debug, Default)]
pub(super) struct Dialled(VecDeque<(CallId, Result<(), CommandRefusal>)>);

impl Dialled {
    fn answer(&self, call: CallId) -> Option<Result<(), CommandRefusal>> {
        self.0.iter().find(|(known, _)| *known == call).map(|(_, answer)| answer.clone())
    }

    fn remember(&mut self, call: CallId, answer: Result<(), CommandRefusal>) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((call, answer));
    }
}

impl Agent {
    /// Does what a person or a service asks. A break or logout asked for while his phone rings or while he talks holds
    /// from the end of that call.
    ///
    /// # Errors
    /// [`CommandRefusal`] when it does not apply; nothing has changed then. A wish that is already true is no error.
    pub fn command(&mut self, now: Now, command: &AgentCommand, out: &mut Vec<Effect>) -> Result<(), CommandRefusal> {
        let now = now.mono;
        self.expire(now, out);
        let done = self.obey(now, command, out);
        self.announce(now, out);
        done
    }

    /// He dialled a code. A code that comes twice, or late, because a message was repeated must not undo what he dialled
    /// after it.
    pub(super) fn dialled(&mut self, now: Moment, call: CallId, command: &AgentCommand, out: &mut Vec<Effect>) {
        let answer = match self.dialled.answer(call) {
            Some(answer) => answer,
            None => {
                let answer = self.obey(now, command, out);
                self.dialled.remember(call, answer.clone());
                answer
            }
        };
        let said = FromAgent::Commanded(answer);
        out.push(Effect::ToCall(call, CallEvent::Agent(self.id.clone(), self.epoch, said)));
    }

    fn obey(&mut self, now: Moment, command: &AgentCommand, out: &mut Vec<Effect>) -> Result<(), CommandRefusal> {
        match command {
            AgentCommand::Ready => {
                self.wish(now, Availability::Ready, out);
                Ok(())
            }
            AgentCommand::Break => {
                self.wish(now, Availability::OnBreak, out);
                Ok(())
            }
            AgentCommand::LogOut => {
                self.wish(now, Availability::LoggedOut, out);
                Ok(())
            }
            AgentCommand::EndWrapUp => self.end_wrap_up(now),
            AgentCommand::QueueLogIn(queue) => self.log_in(now, queue, true, out),
            AgentCommand::QueueLogOut(queue) => self.log_in(now, queue, false, out),
        }
    }

    fn wish(&mut self, now: Moment, wish: Availability, out: &mut Vec<Effect>) {
        let before = self.saved();
        let held = self.doing.hold().is_some();
        match wish {
            Availability::OnBreak | Availability::LoggedOut if held => self.after_call = Some(wish),
            Availability::Ready | Availability::OnBreak | Availability::LoggedOut => {
                self.after_call = None;
                let was = std::mem::replace(&mut self.availability, wish);
                if wish == Availability::Ready {
                    self.failed = 0;
                    self.comes_back(now, was);
                }
            }
        }
        self.save(&before, out);
    }

    fn comes_back(&mut self, now: Moment, from: Availability) {
        if from == Availability::Ready {
            return;
        }
        if from == Availability::LoggedOut {
            for member in &mut self.members {
                member.begin_workday();
            }
        }
        self.restart_idle(now);
        self.becomes_free(now);
    }

    /// He has not answered so many offers in a row that he is not at his desk: no queue rings him until he says `ready`.
    pub(super) fn pause(&mut self, out: &mut Vec<Effect>) {
        if self.availability == Availability::Ready {
            let before = self.saved();
            self.availability = Availability::OnBreak;
            self.failed = 0;
            self.save(&before, out);
        }
    }

    /// What was asked for during the call holds from now. It was stored when it was asked for.
    pub(super) fn take_up_wish(&mut self) {
        if let Some(wish) = self.after_call.take() {
            self.availability = wish;
        }
    }

    fn end_wrap_up(&mut self, now: Moment) -> Result<(), CommandRefusal> {
        match self.doing {
            Doing::WrapUp { .. } => {
                self.become_idle(now, Restarts::Both);
                Ok(())
            }
            Doing::Idle | Doing::Held(_) => Err(CommandRefusal::NotInWrapUp),
        }
    }

    fn log_in(
        &mut self,
        now: Moment,
        queue: &QueueId,
        logged_in: bool,
        out: &mut Vec<Effect>,
    ) -> Result<(), CommandRefusal> {
        let before = self.saved();
        let member = self.members.iter_mut().find(|member| member.queue == *queue);
        let member = member.ok_or_else(|| CommandRefusal::DoesNotServe(queue.clone()))?;
        if logged_in && !member.logged_in {
            self.periods += 1;
            member.login = IdleTime { since: now, period: self.periods };
        }
        member.logged_in = logged_in;
        self.save(&before, out);
        Ok(())
    }

    /// What a restart should find: no conversation outlives one, so a wish for its end counts as fulfilled.
    pub(super) fn saved(&self) -> SavedAvailability {
        let logged_out = self.members.iter().filter(|member| !member.logged_in);
        SavedAvailability {
            availability: self.after_call.unwrap_or(self.availability),
            logged_out_of: logged_out.map(|member| member.queue.clone()).collect(),
        }
    }

    pub(super) fn save(&self, before: &SavedAvailability, out: &mut Vec<Effect>) {
        let saved = self.saved();
        if saved != *before {
            out.push(Effect::Save(saved));
        }
    }
}
