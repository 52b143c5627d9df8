//! The shell around `acd::queue`: the owner of one queue.

use std::sync::Arc;

use carillon_acd::explain::{AgentInQueue, QueueExplained};
use carillon_acd::ids::{AgentId, CallId};
use carillon_acd::queue::{Effect, Event, PickupRefusal, Queue, RingingCall};
use carillon_acd::view::{Place, QueueView};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::address::Addresses;
use crate::alarm::Alarm;
use crate::owned::Title;
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

/// The shell; all state is in [`QueueState`].
pub(crate) struct QueueActor;

pub(crate) struct QueueState {
    title: Title,
    machine: Box<Queue>,
    addresses: Arc<Addresses>,
    alarm: Alarm,
    effects: Vec<Effect>,
}

impl Actor for QueueActor {
    type Msg = QueueMessage;
    type State = QueueState;
    type Arguments = (Box<Queue>, Title, Arc<Addresses>);

    async fn pre_start(
        &self,
        myself: ActorRef<QueueMessage>,
        (machine, title, addresses): Self::Arguments,
    ) -> Result<QueueState, ActorProcessingErr> {
        let mut state = QueueState { title, machine, addresses, alarm: Alarm::default(), effects: Vec::new() };
        state.set_alarm(&myself);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<QueueMessage>,
        message: QueueMessage,
        state: &mut QueueState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            QueueMessage::Event(event) => state.handle(event),
            QueueMessage::Alarm => {
                if state.alarm.fired(state.machine.deadline(), state.addresses.clock.moment()) {
                    state.handle(Event::Wake);
                }
            }
            QueueMessage::View(reply) => {
                // A reader that has gone away does not concern the queue.
                let _ = reply.send(state.machine.view(state.addresses.clock.now()));
            }
            // As above.
            QueueMessage::Places(reply) => drop(reply.send(state.machine.places(state.addresses.clock.now()))),
            QueueMessage::Explain(most, reply) => {
                let _ = reply.send(state.machine.explain(state.addresses.clock.now(), most));
            }
            QueueMessage::ExplainCaller(call, reply) => {
                let _ = reply.send(state.machine.explain_caller(state.addresses.clock.now(), call));
            }
            QueueMessage::ExplainAgent(agent, reply) => {
                let _ = reply.send(state.machine.explain_agent(state.addresses.clock.now(), &agent));
            }
            QueueMessage::Rings(agent, only, reply) => {
                drop(reply.send(state.machine.rings(state.addresses.clock.now(), &agent, only)));
            }
            QueueMessage::PickUp(call, agent, reply) => drop(reply.send(state.pick_up(call, &agent))),
        }
        if state.machine.is_over() {
            myself.stop(None);
        }
        state.set_alarm(&myself);
        Ok(())
    }
}

impl QueueState {
    fn handle(&mut self, event: Event) {
        if !self.title.holds() {
            return count(&self.addresses.refusals.without_title, 1);
        }
        let mut effects = std::mem::take(&mut self.effects);
        self.machine.handle(self.addresses.clock.now(), event, &mut effects);
        self.perform(effects);
    }

    fn pick_up(&mut self, call: CallId, agent: &AgentId) -> Result<(), PickupRefusal> {
        let mut effects = std::mem::take(&mut self.effects);
        let done = self.machine.pick_up(self.addresses.clock.now(), call, agent, &mut effects);
        self.perform(effects);
        done
    }

    fn perform(&mut self, mut effects: Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::ToCall(call, event) => self.addresses.tell_call(call, event),
            }
        }
        self.effects = effects;
    }

    fn set_alarm(&mut self, myself: &ActorRef<QueueMessage>) {
        self.alarm.set(self.machine.deadline(), &self.addresses.clock, myself, || QueueMessage::Alarm);
    }
}
