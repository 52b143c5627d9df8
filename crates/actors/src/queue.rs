//! The shell around `acd::queue`: the owner of one queue.

use std::sync::Arc;

use carillon_acd::explain::{AgentInQueue, QueueExplained};
use carillon_acd::ids::{AgentId, CallId};
use carillon_acd::queue::{Effect, Event, PickupRefusal, Queue, RingingCall};
use carillon_acd::view::{Place, QueueView};
use ractor::RpcReplyPort;

use crate::address::Addresses;
use crate::alarm::{Alarm, Sleeper};
use crate::owned::Title;
use crate::owner::{OwnerRef, Shell};
use crate::survey::count;

/// What a queue's mailbox takes.
pub(crate) enum QueueMessage {
    /// For the machine.
    Event(Event),
    /// A snapshot, please.
    View(RpcReplyPort<QueueView>),
    /// Who waits at which place, please.
    Places(RpcReplyPort<Vec<(CallId, Place)>>),
    /// Why is it so, with so many callers?
    Explain(usize, RpcReplyPort<QueueExplained>),
    /// Why, for this caller?
    ExplainCaller(CallId, RpcReplyPort<Option<QueueExplained>>),
    /// Why, for this agent?
    ExplainAgent(AgentId, RpcReplyPort<Option<AgentInQueue>>),
    /// What could this agent pick up (of the calls, or this one)?
    Rings(AgentId, Option<CallId>, RpcReplyPort<Result<RingingCall, PickupRefusal>>),
    /// He picks this call up with his devices.
    PickUp(CallId, AgentId, RpcReplyPort<Result<(), PickupRefusal>>),
    /// The timer fired.
    Alarm,
}

/// The shell.
pub(crate) struct QueueState {
    title: Title,
    machine: Box<Queue>,
    addresses: Arc<Addresses>,
    alarm: Alarm,
}

impl Shell for QueueState {
    type Message = QueueMessage;

    fn handle(&mut self, myself: &OwnerRef<QueueMessage>, message: QueueMessage) {
        match message {
            QueueMessage::Event(event) => self.event(event),
            QueueMessage::Alarm => {
                if self.alarm.fired(self.machine.deadline(), self.addresses.clock.moment()) {
                    self.event(Event::Wake);
                }
            }
            // Who asked is told that nobody answers.
            QueueMessage::Rings(..) | QueueMessage::PickUp(..) if !self.title.holds() => {}
            QueueMessage::View(reply) => {
                // A reader that has gone away does not concern the queue.
                let _ = reply.send(self.machine.view(self.addresses.clock.now()));
            }
            // As above.
            QueueMessage::Places(reply) => drop(reply.send(self.machine.places(self.addresses.clock.now()))),
            QueueMessage::Explain(most, reply) => {
                let _ = reply.send(self.machine.explain(self.addresses.clock.now(), most));
            }
            QueueMessage::ExplainCaller(call, reply) => {
                let _ = reply.send(self.machine.explain_caller(self.addresses.clock.now(), call));
            }
            QueueMessage::ExplainAgent(agent, reply) => {
                let _ = reply.send(self.machine.explain_agent(self.addresses.clock.now(), &agent));
            }
            QueueMessage::Rings(agent, only, reply) => {
                drop(reply.send(self.machine.rings(self.addresses.clock.now(), &agent, only)));
            }
            QueueMessage::PickUp(call, agent, reply) => drop(reply.send(self.pick_up(call, &agent))),
        }
        if self.machine.is_over() {
            myself.leave();
        }
        self.set_alarm(myself);
    }
}

impl QueueState {
    pub(crate) fn new(machine: Box<Queue>, title: Title, addresses: Arc<Addresses>) -> Self {
        QueueState { title, machine, addresses, alarm: Alarm::default() }
    }

    fn event(&mut self, event: Event) {
        if !self.title.holds() {
            return count(&self.addresses.refusals.without_title, 1);
        }
        // As with agents, most have nothing to do.
        let mut effects = Vec::new();
        self.machine.handle(self.addresses.clock.now(), event, &mut effects);
        self.perform(effects);
    }

    fn pick_up(&mut self, call: CallId, agent: &AgentId) -> Result<(), PickupRefusal> {
        let mut effects = Vec::new();
        let done = self.machine.pick_up(self.addresses.clock.now(), call, agent, &mut effects);
        self.perform(effects);
        done
    }

    fn perform(&self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::ToCall(call, event) => self.addresses.tell_call(call, event),
            }
        }
    }

    fn set_alarm(&mut self, myself: &OwnerRef<QueueMessage>) {
        let deadline = self.title.wakes_at(self.machine.deadline(), &self.addresses.clock);
        self.alarm.set(deadline, &self.addresses.bell, || Sleeper::Queue(myself.clone()));
    }
}
