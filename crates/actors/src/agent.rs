//! The shell around `acd::agent`: the owner of one agent.

use std::sync::Arc;

use carillon_acd::agent::{Agent, CommandRefusal, Effect, Event, Refusal};
use carillon_acd::call::{Event as CallEvent, FromAgent};
use carillon_acd::ids::{AgentId, QueueId};
use carillon_acd::stats::{Sheet, Spends};
use carillon_acd::time::WallTime;
use carillon_acd::view::{AgentCommand, AgentView};
use carillon_rpc::cluster::Message;
use ractor::RpcReplyPort;

use crate::address::Addresses;
use crate::alarm::{Alarm, Sleeper};
use crate::call::NewOwners;
use crate::owned::{Owned, Title};
use crate::owner::{OwnerRef, Shell};
use crate::survey::count;

/// What an agent's mailbox takes.
pub(crate) enum AgentMessage {
    /// For the machine.
    Event(Event),
    /// A person or a service wants something; the answer is the state after it.
    Command(AgentCommand, RpcReplyPort<Result<AgentView, CommandRefusal>>),
    /// There are new owners: what they need to know of him, please.
    Held(NewOwners, RpcReplyPort<Vec<Message>>),
    /// A snapshot, please.
    View(RpcReplyPort<AgentView>),
    /// The timer fired.
    Alarm,
}

/// The shell.
pub(crate) struct AgentState {
    id: AgentId,
    title: Title,
    machine: Box<Agent>,
    addresses: Arc<Addresses>,
    alarm: Alarm,
    sheet: Sheet,
    /// When he was last looked at.
    looked: WallTime,
}

impl Shell for AgentState {
    type Message = AgentMessage;

    fn handle(&mut self, myself: &OwnerRef<AgentMessage>, message: AgentMessage) {
        match message {
            AgentMessage::Event(event) => self.event(event),
            // Who asked is told that nobody answers.
            AgentMessage::Command(..) if !self.title.holds() => {}
            AgentMessage::Alarm => {
                if self.alarm.fired(self.machine.deadline(), self.addresses.clock.moment()) {
                    self.event(Event::Wake);
                }
            }
            AgentMessage::Held(new, reply) => drop(reply.send(self.held(&new))),
            // A reader that has gone away does not concern the agent, here and below.
            AgentMessage::Command(command, reply) => drop(reply.send(self.command(command))),
            AgentMessage::View(reply) => drop(reply.send(self.machine.view(self.addresses.clock.now()))),
        }
        if self.machine.is_over() {
            myself.leave();
        }
        self.set_alarm(myself);
    }

    /// What he has done since his time was last cut counts, for as long as this was his owner: another may have begun to count.
    fn end(&mut self) {
        let until = if self.title.holds() { self.addresses.clock.now().wall } else { self.looked };
        self.note_time_until(until, None);
    }
}

impl AgentState {
    pub(crate) fn new(id: AgentId, machine: Box<Agent>, title: Title, addresses: Arc<Addresses>) -> Self {
        let looked = addresses.clock.now().wall;
        AgentState { id, title, machine, addresses, alarm: Alarm::default(), sheet: Sheet::default(), looked }
    }

    fn event(&mut self, event: Event) {
        if !self.title.holds() {
            return count(&self.addresses.refusals.without_title, 1);
        }
        // Of thousands of agents few have something to do at a time, so none keeps room for it.
        let mut effects = Vec::new();
        self.machine.handle(self.addresses.clock.now(), event, &mut effects);
        self.perform(effects);
    }

    fn held(&mut self, new: &NewOwners) -> Vec<Message> {
        let (mut effects, mut held) = (Vec::new(), Vec::new());
        if self.title.holds() {
            let is_new = |queue: &QueueId| new(&Owned::Queue(queue.clone())).is_some();
            self.machine.tell_new_owners(self.addresses.clock.now(), is_new, &mut effects);
            effects.retain(|effect| match effect {
                Effect::ToQueue(queue, event) if is_new(queue) => {
                    held.push(Message::Queue(queue.clone(), event.clone()));
                    false
                }
                Effect::ToQueue(..) | Effect::ToCall(..) | Effect::Save(_) => true,
            });
            self.perform(effects);
        }
        held
    }

    fn command(&mut self, command: AgentCommand) -> Result<AgentView, CommandRefusal> {
        let now = self.addresses.clock.now();
        let mut effects = Vec::new();
        let done = self.machine.command(now, &command, &mut effects);
        self.perform(effects);
        done.map(|()| self.machine.view(now))
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        self.note_time();
        for effect in effects {
            match effect {
                Effect::ToCall(call, event) => {
                    count(&self.addresses.refusals.offers_by_agents, u32::from(is_stale(&event)));
                    self.addresses.tell_call(call, event);
                }
                Effect::ToQueue(queue, event) => self.addresses.tell_queue(&queue, event),
                Effect::Save(saved) => (self.addresses.ports.save)(self.id.clone(), saved),
            }
        }
    }

    /// Every event comes by here, and one comes every 10 s at least: so his time is cut near the quarters of the hour.
    fn note_time(&mut self) {
        let now = self.addresses.clock.now().wall;
        self.note_time_until(now, self.machine.spends());
        self.looked = now;
    }

    /// What he does from then on.
    fn note_time_until(&mut self, now: WallTime, does: Option<Spends>) {
        let mut periods = Vec::new();
        self.sheet.note(now, &self.id, does, self.machine.logged_in_to().cloned(), &mut periods);
        for period in periods {
            self.addresses.statistics.spent(&period);
            (self.addresses.ports.note)(period);
        }
    }

    fn set_alarm(&mut self, myself: &OwnerRef<AgentMessage>) {
        let deadline = self.title.wakes_at(self.machine.deadline(), &self.addresses.clock);
        self.alarm.set(deadline, &self.addresses.bell, || Sleeper::Agent(myself.clone()));
    }
}

/// Whether an agent refuses the offer of a queue's replaced owner with this.
const fn is_stale(said: &CallEvent) -> bool {
    matches!(said, CallEvent::Agent(_, _, FromAgent::Refused { why: Refusal::StaleEpoch, .. }))
}
