//! Who starts and ends the owners of queues and agents, notices that an actor has failed, and knows what follows: a queue
//! or an agent gets a new owner with a higher epoch, and the living calls tell it what it needs to know; a call is taken
//! down and its record closed, exactly once.

use std::collections::HashMap;
use std::sync::Arc;

use carillon_acd::agent::Agent;
use carillon_acd::call::{self, FromAgent};
use carillon_acd::ids::{AgentId, QueueId};
use carillon_acd::queue::Queue;
use carillon_acd::{agent, queue};
use carillon_rpc::cluster::Message;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};

use crate::address::{Addresses, LivingCall};
use crate::agent::{AgentMessage, AgentState};
use crate::center::Objects;
use crate::owned::{Owned, Title};
use crate::owner::{Addressee, OwnerNumber, OwnerRef};
use crate::queue::{QueueMessage, QueueState};

/// What the supervisor is told.
pub(crate) enum Order {
    /// Start owners. Answered when they all have an address.
    Own(Vec<Appointment>, RpcReplyPort<()>),
    /// Another configuration holds: those who live and are in it hear of it, the others end when nobody needs them any more.
    /// Answered when they have been told.
    Configure(Configured, RpcReplyPort<()>),
    /// An owner has failed, and says why.
    Failed(OwnerNumber, String),
    /// An owner has ended by itself.
    Left(OwnerNumber),
    /// End owners: another node owns these from now on. Answered when none has an address any more.
    Disown(Vec<Owned>, RpcReplyPort<()>),
}

/// The settings of everybody who may have an owner here.
pub(crate) struct Configured {
    pub(crate) agents: HashMap<AgentId, agent::Config>,
    pub(crate) queues: HashMap<QueueId, queue::Config>,
}

/// An owner that is to start.
pub(crate) struct Appointment {
    pub(crate) owned: Owned,
    pub(crate) title: Title,
    /// What living calls and registrars hold of it: the first that it hears.
    pub(crate) held: Vec<Message>,
}

/// The shell; all state is in [`SupervisorState`].
pub(crate) struct Supervisor;

pub(crate) struct SupervisorState {
    addresses: Arc<Addresses>,
    configured: Configured,
    /// Owners whose queue or agent is not configured any more, until they end.
    leaving: HashMap<OwnerNumber, Owned>,
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
            Order::Own(appointments, reply) => {
                state.own(appointments, &myself);
                let _ = reply.send(());
            }
            Order::Configure(configured, reply) => {
                state.configure(configured);
                let _ = reply.send(());
            }
            Order::Failed(who, why) => state.replace(who, &why, &myself),
            Order::Left(who) => state.has_left(who, &myself),
            Order::Disown(what, reply) => {
                state.disown(what);
                let _ = reply.send(());
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Order>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(who, error) => state.call_failed(who.get_id(), &error),
            SupervisionEvent::ActorTerminated(..)
            | SupervisionEvent::ActorStarted(_)
            | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl SupervisorState {
    fn own(&mut self, appointments: Vec<Appointment>, supervisor: &ActorRef<Order>) {
        for Appointment { owned, title, mut held } in appointments {
            self.retire(&owned);
            self.start(owned, title, supervisor);
            held.sort_by_key(precedence);
            for message in held {
                // Whose owner could not be started hears nothing.
                let _ = self.addresses.deliver(message);
            }
        }
    }

    /// Queues first: an agent tells those that are new to him at once how he is.
    fn configure(&mut self, configured: Configured) {
        let before = std::mem::replace(&mut self.configured, configured);
        for (id, actor) in self.addresses.queues() {
            let event = match self.configured.queues.get(&id) {
                Some(config) if before.queues.get(&id) == Some(config) => continue,
                Some(config) => {
                    self.leaving.remove(&actor.number());
                    queue::Event::Configured(Box::new(config.clone()))
                }
                None if self.leaving.contains_key(&actor.number()) => continue,
                None => {
                    self.leaving.insert(actor.number(), Owned::Queue(id));
                    queue::Event::Removed
                }
            };
            // One that fails at this moment is replaced by one with the new settings.
            actor.tell(QueueMessage::Event(event));
        }
        for (id, actor) in self.addresses.agents() {
            let event = match self.configured.agents.get(&id) {
                Some(config) if before.agents.get(&id) == Some(config) => continue,
                Some(config) => {
                    self.leaving.remove(&actor.number());
                    agent::Event::Configured(Box::new(config.clone()))
                }
                None if self.leaving.contains_key(&actor.number()) => continue,
                None => {
                    self.leaving.insert(actor.number(), Owned::Agent(id));
                    agent::Event::Removed
                }
            };
            // As above.
            actor.tell(AgentMessage::Event(event));
        }
    }

    /// An owner has ended by itself, because it was not configured any more. Its title stays: should its object be configured
    /// again, its next owner counts on. If that has happened already, the owner ended before it heard of it.
    fn has_left(&mut self, who: OwnerNumber, supervisor: &ActorRef<Order>) {
        let Some(owned) = self.owned_by(who) else { return drop(self.leaving.remove(&who)) };
        match self.leaving.remove(&who) {
            Some(_) => self.retire(&owned),
            None => self.start_again(owned, supervisor),
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
            Owned::Queue(queue) => self.addresses.queue_leaves(queue).inspect(|actor| actor.stop()).map(drop),
            Owned::Agent(agent) => self.addresses.agent_leaves(agent).inspect(|actor| actor.stop()).map(drop),
        };
    }

    fn start(&mut self, owned: Owned, title: Title, supervisor: &ActorRef<Order>) {
        let title = match self.titles.get(&owned) {
            Some(before) if title.epoch <= before.epoch => title.after(before),
            Some(_) | None => title,
        };
        let started = match &owned {
            Owned::Queue(queue) => self.start_queue(queue, title.clone(), supervisor),
            Owned::Agent(agent) => self.start_agent(agent, title.clone(), supervisor),
        };
        if started.is_some() {
            self.titles.insert(owned, title);
        }
    }

    /// `None` for a name that this node's configuration does not have: a shard may hold such, here and below.
    fn start_agent(&self, id: &AgentId, title: Title, supervisor: &ActorRef<Order>) -> Option<()> {
        let config = self.configured.agents.get(id).cloned()?;
        self.addresses.announce_owner(id, title.epoch);
        let saved = (self.addresses.ports.saved)(id);
        let machine = Box::new(Agent::new(self.addresses.clock.now(), id.clone(), config, saved, title.epoch));
        let shell = AgentState::new(id.clone(), machine, title, self.addresses.clone());
        let owner = OwnerRef::begin(shell, supervisor.clone());
        // Before anybody else can say something.
        owner.tell(AgentMessage::Event(agent::Event::Start));
        self.addresses.agent_lives(id.clone(), owner);
        Some(())
    }

    fn start_queue(&self, id: &QueueId, title: Title, supervisor: &ActorRef<Order>) -> Option<()> {
        let config = self.configured.queues.get(id).cloned()?;
        let (epoch, now) = (title.epoch, self.addresses.clock.now());
        let machine = Box::new(Queue::new(now, id.clone(), config, epoch, self.seed ^ epoch.0));
        let owner = OwnerRef::begin(QueueState::new(machine, title, self.addresses.clone()), supervisor.clone());
        // It sets its timer.
        owner.tell(QueueMessage::Event(queue::Event::Wake));
        self.addresses.queue_lives(id.clone(), owner);
        Some(())
    }

    /// An owner has failed.
    fn replace(&mut self, failed: OwnerNumber, error: &str, supervisor: &ActorRef<Order>) {
        let Some(owned) = self.owned_by(failed) else { return };
        tracing::error!(%owned, error, "an owner failed: a new one starts");
        self.leaving.remove(&failed);
        self.start_again(owned, supervisor);
    }

    /// Failures are rare, so who it is is searched for, not kept.
    fn owned_by(&self, owner: OwnerNumber) -> Option<Owned> {
        let agents = self.addresses.agents().into_iter().find(|(_, actor)| actor.number() == owner);
        let queues = || self.addresses.queues().into_iter().find(|(_, actor)| actor.number() == owner);
        agents.map(|(id, _)| Owned::Agent(id)).or_else(|| queues().map(|(id, _)| Owned::Queue(id)))
    }

    fn call_failed(&self, failed: ActorId, error: &ActorProcessingErr) {
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

    /// Another owner for one that has ended, in the next epoch; none when it is not configured any more.
    fn start_again(&mut self, owned: Owned, supervisor: &ActorRef<Order>) {
        self.retire(&owned);
        let Some(title) = self.titles.get(&owned).map(Title::renewed) else { return };
        let epoch = title.epoch;
        self.start(owned.clone(), title, supervisor);
        if let Owned::Agent(agent) = owned
            && self.addresses.agent(&agent).is_some()
        {
            // First his devices, or a call whose phone rings would be refused for want of one.
            (self.addresses.ports.announce)(&agent);
            // A call that holds him says so now, not at its next renewal: he must not be given to a second one meanwhile.
            for (call, _) in self.addresses.calls() {
                self.addresses.tell_call(call, call::Event::Agent(agent.clone(), epoch, FromAgent::NewOwner));
            }
        }
    }
}

/// In which order a new owner hears what is held of it: where an agent can be reached, who talks with him, who reserved him. And
/// a queue: who waits, who is free.
const fn precedence(message: &Message) -> u8 {
    match message {
        Message::Agent(_, agent::Event::Reachable { .. }) => 0,
        Message::Agent(_, agent::Event::Connected { .. }) => 1,
        // Not before the callers have come back: the first of them in line gets him.
        Message::Queue(_, queue::Event::Availability(_)) => 3,
        Message::Agent(..) | Message::Queue(..) | Message::Call(..) => 2,
    }
}

#[cfg(test)]
mod tests {
    use carillon_acd::agent::SavedAvailability;
    use carillon_acd::ids::{Epoch, Name, NodeId};
    use carillon_acd::route::{Routing, Tables};
    use carillon_acd::stats::Definitions;
    use carillon_acd::time::WallTime;

    use super::*;
    use crate::clock::Clock;
    use crate::ports::Ports;
    use crate::statistics::Statistics;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn support() -> QueueId {
        QueueId::new(name("default"), name("support"))
    }

    fn anna() -> AgentId {
        AgentId::new(name("default"), name("anna"))
    }

    fn configured() -> Configured {
        let config =
            agent::Config { display_name: String::new(), extension: None, devices: Vec::new(), queues: Vec::new() };
        Configured { agents: [(anna(), config)].into(), queues: [(support(), queue::Config::default())].into() }
    }

    fn nothing() -> Configured {
        Configured { agents: HashMap::new(), queues: HashMap::new() }
    }

    fn ports() -> Ports {
        Ports {
            leg: Arc::new(|_, _| {}),
            abandon: Arc::new(|_| {}),
            elsewhere: Arc::new(|_| {}),
            checkpoint: None,
            awake: Arc::new(|| true),
            announce: Arc::new(|_| {}),
            record: Arc::new(|_| {}),
            note: Arc::new(|_| {}),
            save: Arc::new(|_, _| {}),
            saved: Arc::new(|_| SavedAvailability::default()),
        }
    }

    /// A supervisor that is told what to do step by step, and one that is never asked.
    async fn supervisor() -> (SupervisorState, ActorRef<Order>) {
        let statistics = Statistics::new(WallTime(0), Definitions::default());
        let addresses = Arc::new(Addresses::new(NodeId(1), Clock::start(), ports(), statistics));
        let objects = Objects {
            routing: Routing::new(Tables::default()).unwrap(),
            agents: Vec::new(),
            queues: Vec::new(),
            calls: call::Config::default(),
            definitions: Definitions::default(),
        };
        let arguments = SupervisorArguments { addresses: addresses.clone(), objects, seed: 1 };
        let (other, _) = Actor::spawn(None, Supervisor, arguments).await.unwrap();
        let (leaving, titles) = (HashMap::new(), HashMap::new());
        let mut state = SupervisorState { addresses, configured: configured(), leaving, titles, seed: 1 };
        let owner = |owned| Appointment { owned, title: Title::forever(Epoch(5)), held: Vec::new() };
        state.own(vec![owner(Owned::Queue(support())), owner(Owned::Agent(anna()))], &other);
        (state, other)
    }

    /// Whether both have owners that take messages.
    fn both_live(state: &SupervisorState) -> bool {
        let agent = state.addresses.agent(&anna()).is_some_and(|it| it.tell(AgentMessage::Event(agent::Event::Wake)));
        let queue =
            state.addresses.queue(&support()).is_some_and(|it| it.tell(QueueMessage::Event(queue::Event::Wake)));
        agent && queue
    }

    fn numbers(state: &SupervisorState) -> [OwnerNumber; 2] {
        [state.addresses.agent(&anna()).unwrap().number(), state.addresses.queue(&support()).unwrap().number()]
    }

    #[tokio::test]
    async fn who_comes_back_while_his_owner_ends_has_another_owner() {
        let (mut state, other) = supervisor().await;
        let before = numbers(&state);
        state.configure(nothing());
        state.addresses.agent(&anna()).unwrap().stop();
        state.addresses.queue(&support()).unwrap().stop();
        state.configure(configured());
        before.into_iter().for_each(|owner| state.has_left(owner, &other));
        assert!(both_live(&state));
        assert!(state.titles.values().all(|title| title.epoch == Epoch(6)), "{:?}", state.titles);
        before.into_iter().for_each(|owner| state.has_left(owner, &other));
        assert!(both_live(&state), "it is said once, but who knows");
    }

    #[tokio::test]
    async fn who_has_left_or_fails_while_he_leaves_has_no_address() {
        for fails in [false, true] {
            let (mut state, other) = supervisor().await;
            state.configure(nothing());
            for owner in numbers(&state) {
                if fails { state.replace(owner, "a bug", &other) } else { state.has_left(owner, &other) }
            }
            assert!(state.addresses.agent(&anna()).is_none() && state.addresses.queue(&support()).is_none());
            assert!(state.leaving.is_empty());
        }
    }
}
