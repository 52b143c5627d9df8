//! The shell around `acd::agent`: the owner of one agent.

use std::sync::Arc;

use carillon_acd::agent::{Agent, CommandRefusal, Effect, Event, Refusal};
use carillon_acd::call::{Event as CallEvent, FromAgent};
use carillon_acd::ids::AgentId;
use carillon_acd::stats::{Period, Sheet};
use carillon_acd::view::{AgentCommand, AgentView};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::address::Addresses;
use crate::alarm::Alarm;
use crate::owned::Title;
use crate::survey::count;

/// What an agent's mailbox takes.
pub(crate) enum AgentMessage {
    /// For the machine.
    Event(Event),
    /// A person or a service wants something; the answer is the state after it.
    Command(AgentCommand, RpcReplyPort<Result<AgentView, CommandRefusal>>),
    /// A snapshot, please.
    View(RpcReplyPort<AgentView>),
    /// The timer fired.
    Alarm,
}

/// The shell; all state is in [`AgentState`].
pub(crate) struct AgentActor;

pub(crate) struct AgentState {
    id: AgentId,
    title: Title,
    machine: Box<Agent>,
    addresses: Arc<Addresses>,
    alarm: Alarm,
    effects: Vec<Effect>,
    sheet: Sheet,
    periods: Vec<Period>,
}

impl Actor for AgentActor {
    type Msg = AgentMessage;
    type State = AgentState;
    type Arguments = (AgentId, Box<Agent>, Title, Arc<Addresses>);

    async fn pre_start(
        &self,
        myself: ActorRef<AgentMessage>,
        (id, machine, title, addresses): Self::Arguments,
    ) -> Result<AgentState, ActorProcessingErr> {
        let (alarm, sheet) = (Alarm::default(), Sheet::default());
        let (effects, periods) = (Vec::new(), Vec::new());
        let mut state = AgentState { id, title, machine, addresses, alarm, effects, sheet, periods };
        state.handle(Event::Start);
        state.set_alarm(&myself);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<AgentMessage>,
        message: AgentMessage,
        state: &mut AgentState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AgentMessage::Event(event) => state.handle(event),
            // Who asked is told that nobody answers.
            AgentMessage::Command(..) if !state.title.holds() => {}
            AgentMessage::Alarm => {
                if state.alarm.fired(state.machine.deadline(), state.addresses.clock.moment()) {
                    state.handle(Event::Wake);
                }
            }
            // A reader that has gone away does not concern the agent, here and below.
            AgentMessage::Command(command, reply) => drop(reply.send(state.command(command))),
            AgentMessage::View(reply) => drop(reply.send(state.machine.view(state.addresses.clock.now()))),
        }
        if state.machine.is_over() {
            myself.stop(None);
        }
        state.set_alarm(&myself);
        Ok(())
    }
}

impl AgentState {
    fn handle(&mut self, event: Event) {
        if !self.title.holds() {
            return count(&self.addresses.refusals.without_title, 1);
        }
        let mut effects = std::mem::take(&mut self.effects);
        self.machine.handle(self.addresses.clock.now(), event, &mut effects);
        self.perform(effects);
    }

    fn command(&mut self, command: AgentCommand) -> Result<AgentView, CommandRefusal> {
        let now = self.addresses.clock.now();
        let mut effects = std::mem::take(&mut self.effects);
        let done = self.machine.command(now, &command, &mut effects);
        self.perform(effects);
        done.map(|()| self.machine.view(now))
    }

    fn perform(&mut self, mut effects: Vec<Effect>) {
        self.note_time();
        for effect in effects.drain(..) {
            match effect {
                Effect::ToCall(call, event) => {
                    count(&self.addresses.refusals.offers_by_agents, u32::from(is_stale(&event)));
                    self.addresses.tell_call(call, event);
                }
                Effect::ToQueue(queue, event) => self.addresses.tell_queue(&queue, event),
                Effect::Save(saved) => (self.addresses.ports.save)(self.id.clone(), saved),
            }
        }
        self.effects = effects;
    }

    /// Every event comes by here, and one comes every 10 s at least: so his time is cut near the quarters of the hour.
    fn note_time(&mut self) {
        let (does, queues) = (self.machine.spends(), self.machine.logged_in_to().cloned());
        self.sheet.note(self.addresses.clock.now().wall, &self.id, does, queues, &mut self.periods);
        for period in self.periods.drain(..) {
            self.addresses.statistics.spent(&period);
            (self.addresses.ports.note)(period);
        }
    }

    fn set_alarm(&mut self, myself: &ActorRef<AgentMessage>) {
        self.alarm.set(self.machine.deadline(), &self.addresses.clock, myself, || AgentMessage::Alarm);
    }
}

/// Whether an agent refuses the offer of a queue's replaced owner with this.
const fn is_stale(said: &CallEvent) -> bool {
    matches!(said, CallEvent::Agent(_, _, FromAgent::Refused { why: Refusal::StaleEpoch, .. }))
}
