//! Who starts and ends the owners of queues and agents, notices that an actor has failed, and knows what follows: a queue
//! or an agent gets a new owner with a higher epoch, and the living calls tell it what it needs to know; a call is taken
//! down and its record closed, exactly once.

use std::collections::HashMap;
use std::sync::Arc;

use carillon_acd::agent::Agent;
use carillon_acd::call::{self, FromAgent};
use carillon_acd::ids::{AgentId, Epoch, QueueId};
use carillon_acd::queue::Queue;
use carillon_acd::{agent, queue};
use carillon_rpc::cluster::Message;
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};

use crate::address::{Addresses, LivingCall};
use crate::agent::{AgentActor, AgentMessage};
use crate::center::Objects;
use crate::owned::{Owned, Title};
use crate::queue::{QueueActor, QueueMessage};

/// What the supervisor is told.
pub(crate) enum Order {
    /// Start owners, and hand them what living calls and registrars hold of them. Answered when they all have an address.
    Own(Vec<(Owned, Title)>, Vec<Message>, RpcReplyPort<()>),
    /// Another configuration holds, and start these owners by it. Answered when those have an address.
    Configure(Configured, Vec<(Owned, Title)>, RpcReplyPort<()>),
    /// End owners: another node owns these from now on. Answered when none has an address any more.
    Disown(Vec<Owned>, RpcReplyPort<()>),
}

/// The settings of everybody who may have an owner here.
pub(crate) struct Configured {
    pub(crate) agents: HashMap<AgentId, agent::Config>,
    pub(crate) queues: HashMap<QueueId, queue::Config>,
}

/// The shell; all state is in [`SupervisorState`].
pub(crate) struct Supervisor;

pub(crate) struct SupervisorState {
    addresses: Arc<Addresses>,
    configured: Configured,
    /// Owners whose queue or agent is not configured any more, until they end.
    leaving: HashMap<ActorId, Owned>,
    titles: HashMap<Owned, Title>,
    seed: u64,
}

/// What the supervisor begins with.
pub(crate) struct SupervisorArguments {
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) objects: Objects,
    pub(crate) seed: u64,
}

impl Actor for Supervisor {
    type Msg = Order;
    type State = SupervisorState;
    type Arguments = SupervisorArguments;

    async fn pre_start(
        &self,
        _: ActorRef<Order>,
        arguments: SupervisorArguments,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        let SupervisorArguments { addresses, objects, seed } = arguments;
        Ok(SupervisorState {
            addresses,
            configured: Configured {
                agents: objects.agents.into_iter().collect(),
                queues: objects.queues.into_iter().collect(),
            },
            leaving: HashMap::new(),
            titles: HashMap::new(),
            seed,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Order>,
        order: Order,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        // Who gave the order may have gone away, which changes nothing.
        match order {
            Order::Own(what, held, reply) => {
                state.own(what, held, &myself.get_cell());
                let _ = reply.send(());
            }
            Order::Configure(configured, mut added, reply) => {
                state.configure(configured);
                // Who was removed and comes back before he has ended goes on.
                added.retain(|(owned, _)| !state.lives(owned));
                state.own(added, Vec::new(), &myself.get_cell());
                let _ = reply.send(());
            }
            Order::Disown(what, reply) => {
                state.disown(what);
                let _ = reply.send(());
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Order>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(who, error) => state.replace(who.get_id(), &error, &myself.get_cell()),
            SupervisionEvent::ActorTerminated(who, ..) => state.has_left(who.get_id()),
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl SupervisorState {
    /// Queues first: an agent who starts tells them at once how he is.
    fn own(&mut self, mut what: Vec<(Owned, Title)>, mut held: Vec<Message>, supervisor: &ActorCell) {
        what.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (owned, title) in what {
            self.retire(&owned);
            self.start(owned, title, supervisor);
        }
        held.sort_by_key(precedence);
        for message in held {
            // Whose owner could not be started hears nothing.
            let _ = self.addresses.deliver(message);
        }
    }

    fn lives(&self, owned: &Owned) -> bool {
        match owned {
            Owned::Queue(queue) => self.addresses.queue(queue).is_some(),
            Owned::Agent(agent) => self.addresses.agent(agent).is_some(),
        }
    }

    /// Queues first: an agent tells those that are new to him at once how he is.
    fn configure(&mut self, configured: Configured) {
        let before = std::mem::replace(&mut self.configured, configured);
        for (id, actor) in self.addresses.queues() {
            let event = match self.configured.queues.get(&id) {
                Some(config) if before.queues.get(&id) == Some(config) => continue,
                Some(config) => {
                    self.leaving.remove(&actor.get_id());
                    queue::Event::Configured(Box::new(config.clone()))
                }
                None if self.leaving.contains_key(&actor.get_id()) => continue,
                None => {
                    self.leaving.insert(actor.get_id(), Owned::Queue(id));
                    queue::Event::Removed
                }
            };
            // One that fails at this moment is replaced by one with the new settings.
            let _ = actor.send_message(QueueMessage::Event(event));
        }
        for (id, actor) in self.addresses.agents() {
            let event = match self.configured.agents.get(&id) {
                Some(config) if before.agents.get(&id) == Some(config) => continue,
                Some(config) => {
                    self.leaving.remove(&actor.get_id());
                    agent::Event::Configured(Box::new(config.clone()))
                }
                None if self.leaving.contains_key(&actor.get_id()) => continue,
                None => {
                    self.leaving.insert(actor.get_id(), Owned::Agent(id));
                    agent::Event::Removed
                }
            };
            // As above.
            let _ = actor.send_message(AgentMessage::Event(event));
        }
    }

    /// An owner has ended by itself. Its title stays: should its object be configured again, its next owner counts on.
    fn has_left(&mut self, who: ActorId) {
        let addresses = &self.addresses;
        match self.leaving.remove(&who) {
            Some(Owned::Queue(id)) if addresses.queue(&id).is_some_and(|actor| actor.get_id() == who) => {
                addresses.queue_leaves(&id);
            }
            Some(Owned::Agent(id)) if addresses.agent(&id).is_some_and(|actor| actor.get_id() == who) => {
                addresses.agent_leaves(&id);
            }
            Some(_) | None => {}
        }
    }

    fn disown(&mut self, what: Vec<Owned>) {
        for owned in what {
            self.titles.remove(&owned);
            self.retire(&owned);
        }
    }

    /// Ends an owner, if there is one. What is in its mailbox is lost, as any message may be.
    fn retire(&self, owned: &Owned) {
        match owned {
            Owned::Queue(queue) => self.addresses.queue_leaves(queue).inspect(|actor| actor.stop(None)).map(drop),
            Owned::Agent(agent) => self.addresses.agent_leaves(agent).inspect(|actor| actor.stop(None)).map(drop),
        };
    }

    fn start(&mut self, owned: Owned, title: Title, supervisor: &ActorCell) {
        let title = match self.titles.get(&owned) {
            Some(before) if title.epoch <= before.epoch => title.after(before),
            Some(_) | None => title,
        };
        let started = match &owned {
            Owned::Queue(queue) => self.start_queue(queue, title.clone(), supervisor),
            Owned::Agent(agent) => self.start_agent(agent, title.clone(), supervisor),
        };
        match started {
            Ok(()) => drop(self.titles.insert(owned, title)),
            Err(error) => tracing::error!(%owned, %error, "no owner"),
        }
    }

    fn start_agent(&self, id: &AgentId, title: Title, supervisor: &ActorCell) -> Result<(), ractor::SpawnErr> {
        // A shard may hold names that this node's configuration does not have.
        let Some(config) = self.configured.agents.get(id).cloned() else { return Ok(()) };
        self.addresses.announce_owner(id, title.epoch);
        let saved = (self.addresses.ports.saved)(id);
        let machine = Box::new(Agent::new(self.addresses.clock.now(), id.clone(), config, saved, title.epoch));
        let arguments = (id.clone(), machine, title, self.addresses.clone());
        let (actor, _) = ractor::ActorRuntime::spawn_linked_instant(None, AgentActor, arguments, supervisor.clone())?;
        self.addresses.agent_lives(id.clone(), actor);
        Ok(())
    }

    fn start_queue(&self, id: &QueueId, title: Title, supervisor: &ActorCell) -> Result<(), ractor::SpawnErr> {
        let Some(config) = self.configured.queues.get(id).cloned() else { return Ok(()) };
        let (epoch, now) = (title.epoch, self.addresses.clock.now());
        let machine = Box::new(Queue::new(now, id.clone(), config, epoch, self.seed ^ epoch.0));
        let arguments = (machine, title, self.addresses.clone());
        let (actor, _) = ractor::ActorRuntime::spawn_linked_instant(None, QueueActor, arguments, supervisor.clone())?;
        self.addresses.queue_lives(id.clone(), actor);
        Ok(())
    }

    /// Failures are rare, so who it was is searched for, not kept.
    fn replace(&mut self, failed: ActorId, error: &ActorProcessingErr, supervisor: &ActorCell) {
        if let Some((agent, _)) = self.addresses.agents().into_iter().find(|(_, a)| a.get_id() == failed) {
            tracing::error!(%agent, %error, "an agent's owner failed: a new one starts");
            let Some(epoch) = self.start_again(Owned::Agent(agent.clone()), supervisor) else { return };
            // First his devices, or a call whose phone rings would be refused for want of one.
            (self.addresses.ports.announce)(&agent);
            // A call that holds him says so now, not at its next renewal: he must not be given to a second one meanwhile.
            for (call, _) in self.addresses.calls() {
                self.addresses.tell_call(call, call::Event::Agent(agent.clone(), epoch, FromAgent::NewOwner));
            }
            return;
        }
        if let Some((queue, _)) = self.addresses.queues().into_iter().find(|(_, q)| q.get_id() == failed) {
            tracing::error!(%queue, %error, "a queue's owner failed: a new one starts");
            self.start_again(Owned::Queue(queue), supervisor);
            return;
        }
        if let Some((call, _)) = self.addresses.calls().into_iter().find(|(_, c)| c.get_id() == failed) {
            tracing::error!(call_id = %call, %error, "a call's actor failed: the call is ended");
            (self.addresses.ports.abandon)(call);
            if let Some(LivingCall { incoming, started, story, .. }) = self.addresses.call_is_over(call) {
                let now = self.addresses.clock.now().wall;
                let record = story.break_off(&self.addresses.statistics, incoming, started, now);
                (self.addresses.ports.record)(record);
            }
        }
    }

    /// The epoch of the new owner.
    fn start_again(&mut self, owned: Owned, supervisor: &ActorCell) -> Option<Epoch> {
        let title = self.titles.get(&owned).map(Title::renewed)?;
        let epoch = title.epoch;
        self.start(owned, title, supervisor);
        Some(epoch)
    }
}

/// In which order a new owner hears what is held of it: where an agent can be reached, who talks with him, who reserved him.
const fn precedence(message: &Message) -> u8 {
    match message {
        Message::Agent(_, agent::Event::Reachable { .. }) => 0,
        Message::Agent(_, agent::Event::Connected { .. }) => 1,
        Message::Agent(..) | Message::Queue(..) | Message::Call(..) => 2,
    }
}
