//! The shell around `acd::call`: one actor per call, from the INVITE to the record.

use std::sync::Arc;
use std::time::Duration;

use carillon_acd::call::{Call, Checkpoint, Effect, Event, Mark};
use carillon_acd::explain::CallExplained;
use carillon_acd::ids::{AgentId, Epoch, QueueId};
use carillon_acd::leg::LegEvent;
use carillon_acd::time::{Moment, Now};
use carillon_acd::view::{CallView, Stage};
use carillon_rpc::cluster::{Message, trace};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::address::Addresses;
use crate::alarm::{Alarm, Sleeper};
use crate::owned::Owned;
use crate::ports::Survival;
use crate::story::Story;
use crate::survey::count;

/// The epoch of the new owner of something; `None` for what has no new owner.
pub(crate) type NewOwners = Arc<dyn Fn(&Owned) -> Option<Epoch> + Send + Sync>;

/// So long a call waits for the node to be awake.
const DROWSY: Duration = Duration::from_millis(500);

/// What a call's mailbox takes.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are events, and a box for each would cost more than it saves"
)]
pub(crate) enum CallMessage {
    /// For the machine.
    Event(Event),
    /// A snapshot, please.
    View(RpcReplyPort<CallView>),
    /// There are new owners: what of theirs does this call hold?
    Held(NewOwners, RpcReplyPort<Vec<Message>>),
    /// Why is it so?
    Explain(RpcReplyPort<CallExplained>),
    /// Another edge is asked to go on with the call: what it needs, unless a phone rings for it. Until then the call accepts no
    /// offer and does nothing by itself.
    HandOver(Moment, RpcReplyPort<Option<Checkpoint>>),
    /// Another edge has taken the call over: it goes on there, and ends here without a word and without a record.
    Forsaken,
    /// The timer fired.
    Alarm,
}

/// The shell; all state is in [`CallState`].
pub(crate) struct CallActor;

pub(crate) struct CallState {
    machine: Box<Call>,
    addresses: Arc<Addresses>,
    alarm: Alarm,
    effects: Vec<Effect>,
    story: Story,
    /// What the last checkpoint told.
    mark: Mark,
    frozen_until: Option<Moment>,
    /// Phones that have answered while the node was not sure to be awake.
    answered: Vec<Event>,
    /// Its trace, which goes with everything that it says.
    span: tracing::Span,
}

impl Actor for CallActor {
    type Msg = CallMessage;
    type State = CallState;
    type Arguments = (Box<Call>, Story, Arc<Addresses>);

    async fn pre_start(
        &self,
        myself: ActorRef<CallMessage>,
        (machine, story, addresses): Self::Arguments,
    ) -> Result<CallState, ActorProcessingErr> {
        let (alarm, mark, span) = (Alarm::default(), Mark::default(), trace::call(machine.id()));
        let mut state = CallState {
            machine,
            addresses,
            alarm,
            effects: Vec::new(),
            story,
            mark,
            frozen_until: None,
            answered: Vec::new(),
            span,
        };
        state.handle(&myself, Event::Start);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<CallMessage>,
        message: CallMessage,
        state: &mut CallState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CallMessage::Event(event) => {
                if let Some(event) = state.unless_drowsy(&myself, event) {
                    state.handle(&myself, event);
                }
            }
            CallMessage::Alarm => {
                let due = state.alarm.fired(state.machine.deadline(), state.addresses.clock.moment());
                if state.is_frozen() || !(state.addresses.ports.awake)() {
                    state.alarm.put_off(DROWSY, &state.addresses.bell, || Sleeper::Call(myself.clone()));
                    return Ok(());
                }
                for event in std::mem::take(&mut state.answered) {
                    state.handle(&myself, event);
                }
                if due {
                    state.handle(&myself, Event::Wake);
                } else {
                    state.set_alarm(&myself);
                }
            }
            CallMessage::Held(new, reply) => {
                // As below.
                let _ = reply.send(state.held(&myself, &new));
            }
            CallMessage::View(reply) => {
                // A reader that has gone away does not concern the call.
                let _ = reply.send(state.machine.view(state.addresses.clock.now()));
            }
            // As above.
            CallMessage::HandOver(until, reply) => drop(reply.send(state.hand_over(until))),
            CallMessage::Forsaken => {
                state.story.retract(&state.addresses.statistics);
                myself.stop(None);
            }
            // As above.
            CallMessage::Explain(reply) => drop(reply.send(state.machine.explain(state.addresses.clock.now()))),
        }
        Ok(())
    }
}

impl CallState {
    /// A phone that has answered must wait while another edge may have the call: it would hear a caller who is gone, and its
    /// agent would be taken from the call that he has there. There is one such event for each phone.
    fn unless_drowsy(&mut self, myself: &ActorRef<CallMessage>, event: Event) -> Option<Event> {
        if !matches!(event, Event::Leg(_, LegEvent::Answered)) || (self.addresses.ports.awake)() {
            return Some(event);
        }
        self.answered.push(event);
        self.alarm.put_off(DROWSY, &self.addresses.bell, || Sleeper::Call(myself.clone()));
        None
    }

    fn handle(&mut self, myself: &ActorRef<CallMessage>, event: Event) {
        if self.is_frozen() && matches!(event, Event::Queue(..)) {
            // The heir hears it again.
            return;
        }
        let _within = self.span.clone().entered();
        let mut effects = std::mem::take(&mut self.effects);
        let refused = self.machine.refused();
        self.machine.handle(self.addresses.clock.now(), event, &mut effects);
        count(&self.addresses.refusals.offers_by_calls, self.machine.refused() - refused);
        self.story.follow(&self.addresses.statistics, &self.machine);
        for effect in effects.drain(..) {
            self.perform(myself, effect);
        }
        self.effects = effects;
        self.checkpoint();
        self.set_alarm(myself);
    }

    fn is_frozen(&self) -> bool {
        self.frozen_until.is_some_and(|until| self.addresses.clock.moment() < until)
    }

    fn hand_over(&mut self, until: Moment) -> Option<Checkpoint> {
        let now = self.addresses.clock.now();
        let checkpoint = self.machine.checkpoint(now).filter(|_| self.machine.view(now).stage != Stage::Ringing);
        self.frozen_until = checkpoint.is_some().then_some(until);
        checkpoint
    }

    /// Lets other edges know what they would need to go on with the call, when that has changed.
    fn checkpoint(&mut self) {
        let Some(checkpoint) = &self.addresses.ports.checkpoint else { return };
        let mark = self.machine.mark();
        if mark != self.mark && !self.machine.is_over() {
            let needs = self.machine.checkpoint(self.addresses.clock.now());
            checkpoint(self.machine.id(), needs.map_or(Survival::Lost, |needs| Survival::Needs(Box::new(needs))));
            self.mark = mark;
        }
    }

    fn held(&mut self, myself: &ActorRef<CallMessage>, new: &NewOwners) -> Vec<Message> {
        let now: Now = self.addresses.clock.now();
        let (mut effects, mut held) = (Vec::new(), Vec::new());
        let queue = |queue: &QueueId| new(&Owned::Queue(queue.clone()));
        let agent = |agent: &AgentId| new(&Owned::Agent(agent.clone()));
        self.machine.tell_new_owners(now, queue, agent, &mut effects);
        for effect in effects {
            match effect {
                Effect::ToQueue(queue, event) => held.push(Message::Queue(queue, event)),
                Effect::ToAgent(agent, event) => held.push(Message::Agent(agent, event)),
                Effect::Leg(..) | Effect::Finished(_) => self.perform(myself, effect),
            }
        }
        self.set_alarm(myself);
        held
    }

    fn perform(&mut self, myself: &ActorRef<CallMessage>, effect: Effect) {
        match effect {
            Effect::Leg(leg, command) => (self.addresses.ports.leg)(leg, command),
            Effect::ToQueue(queue, event) => self.addresses.tell_queue(&queue, event),
            Effect::ToAgent(agent, event) => self.addresses.tell_agent(&agent, event),
            Effect::Finished(record) => {
                tracing::debug!(call_id = %record.call, outcome = ?record.outcome, cause = ?record.cause, "call over");
                self.story.finish(&self.addresses.statistics, &record);
                if self.addresses.call_is_over(record.call).is_some() {
                    (self.addresses.ports.record)(*record);
                }
                myself.stop(None);
            }
        }
    }

    fn set_alarm(&mut self, myself: &ActorRef<CallMessage>) {
        self.alarm.set(self.machine.deadline(), &self.addresses.bell, || Sleeper::Call(myself.clone()));
    }
}
