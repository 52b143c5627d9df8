//! The shell around `acd::queue`: the owner of one queue.

use std::sync::Arc;

use carillon_acd::explain::{AgentInQueue, QueueExplained};
use carillon_acd::ids::{AgentId, CallId};
use carillon_acd::queue::{Effect, Event, Queue};
use carillon_acd::view::{Place, QueueView};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::address::Addresses;
use crate::alarm::Alarm;

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
    /// The timer fired.
    Alarm,
}

/// The shell; all state is in [`QueueState`].
pub(crate) struct QueueActor;

pub(crate) struct QueueState {
    machine: Box<Queue>,
    addresses: Arc<Addresses>,
    alarm: Alarm,
    effects: Vec<Effect>,
}

impl Actor for QueueActor {
    type Msg = QueueMessage;
    type State = QueueState;
    type Arguments = (Box<Queue>, Arc<Addresses>);

    async fn pre_start(
        &self,
        myself: ActorRef<QueueMessage>,
        (machine, addresses): Self::Arguments,
    ) -> Result<QueueState, ActorProcessingErr> {
        let mut state = QueueState { machine, addresses, alarm: Alarm::default(), effects: Vec::new() };
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
        }
        state.set_alarm(&myself);
        Ok(())
    }
}

impl QueueState {
    fn handle(&mut self, event: Event) {
        let mut effects = std::mem::take(&mut self.effects);
        self.machine.handle(self.addresses.clock.now(), event, &mut effects);
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
