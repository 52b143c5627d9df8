//! The handle through which the rest of a node (the edge, the API) speaks to its actors.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use carillon_acd::call::{Call, Checkpoint, Inheritance};
use carillon_acd::ids::{AgentId, CallId, Epoch, LegId, NodeId, QueueId};
use carillon_acd::leg::{Incoming, LegEvent, Reachability};
use carillon_acd::route::Routing;
use carillon_acd::stats::Definitions;
use carillon_acd::time::{Now, WallTime};
use carillon_acd::view::{AgentCommand, AgentView, CallView, Place, QueueView, Stage};
use carillon_acd::whereabouts::Taken;
use carillon_acd::{agent, call, queue};
use carillon_rpc::cluster::Message as Carried;
use ractor::{Actor, ActorRef, ActorRuntime, RpcReplyPort};

use crate::address::{Addresses, LivingCall};
use crate::agent::AgentMessage;
use crate::call::{CallActor, CallMessage, NewOwners};
use crate::clock::Clock;
use crate::owned::{NotHere, Owned, Title};
use crate::owner::{Addressee, OwnerRef};
use crate::ports::Ports;
use crate::queue::QueueMessage;
use crate::statistics::Statistics;
use crate::story::Story;
use crate::supervisor::{Configured, Order, Supervisor, SupervisorArguments};

/// How long an actor may take to answer a question of the API.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// A name that is at least this similar (Jaro–Winkler) is worth a "did you mean".
const SIMILAR: f64 = 0.75;

/// Why a question or a command was not fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CenterError {
    /// There is no such object; `nearest` holds names that look like it.
    #[error("{what} not found")]
    NotFound {
        /// The full resource name that was asked for.
        what: String,
        /// Full resource names that are close to it, best first, at most three.
        nearest: Vec<String>,
    },
    /// The state does not allow it; the text says what state it is in.
    #[error("{0}")]
    Refused(String),
    /// The actor did not answer within its deadline (2 s): the node is overloaded or stops.
    #[error("{0} did not answer in time")]
    Timeout(String),
}

/// How many calls are not over on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InProgress {
    /// All of them, callbacks that wait included.
    pub calls: usize,
    /// How long ago the oldest of them began; `None` without calls.
    pub oldest: Option<Duration>,
}

/// What it means to this node that another edge has taken a call over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// It was known, or another edge has more right to it.
    NoNews,
    /// The call was not here.
    NotHere,
    /// It was here, and has ended, if this process ever had it: there may be a record that counts no more.
    Ended,
    /// It was here until now: the edge has to forget its legs.
    Left,
}

/// What a center consists of at its start.
#[derive(Clone, Debug)]
pub struct Objects {
    /// The compiled routing tables.
    pub routing: Routing,
    /// Every agent.
    pub agents: Vec<(AgentId, agent::Config)>,
    /// Every queue.
    pub queues: Vec<(QueueId, queue::Config)>,
    /// The time limits of calls.
    pub calls: call::Config,
    /// What counts as good service.
    pub definitions: Definitions,
}

/// What a call begins with on this node.
struct Beginning {
    incoming: Incoming,
    started: WallTime,
    machine: Box<Call>,
}

/// All calls, agents and queues of this node. Clones share them.
#[derive(Clone)]
pub struct Center {
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) routing: Arc<ArcSwap<Routing>>,
    call_config: Arc<call::Config>,
    pub(crate) supervisor: ActorRef<Order>,
    /// Calls begin on the edge's threads, which are not the runtime's.
    runtime: tokio::runtime::Handle,
}

impl Center {
    /// A center on `node` that owns nothing yet: see [`Center::own`]. `seed` names the random choices.
    ///
    /// # Errors
    /// When the supervisor cannot be started.
    pub async fn start(
        node: NodeId,
        clock: Clock,
        ports: Ports,
        objects: Objects,
        seed: u64,
    ) -> Result<Self, ractor::SpawnErr> {
        let statistics = Statistics::new(clock.now().wall, objects.definitions.clone());
        let addresses = Arc::new(Addresses::new(node, clock, ports, statistics));
        addresses.configured(objects.queues.iter().map(|(queue, _)| queue.clone()));
        let routing = Arc::new(ArcSwap::from_pointee(objects.routing.clone()));
        let call_config = Arc::new(objects.calls.clone());
        let arguments = SupervisorArguments { addresses: addresses.clone(), objects, seed };
        let (supervisor, _) = Actor::spawn(None, Supervisor, arguments).await?;
        let runtime = tokio::runtime::Handle::current();
        Ok(Center { addresses, routing, call_config, supervisor, runtime })
    }

    /// Takes up a changed configuration. Owners of this node whose objects are changed go on with the new settings, those
    /// whose objects are gone end when nobody needs them any more, and `added` start. Calls that came before keep their
    /// routing; the time limits of calls stay as they were at the start.
    ///
    /// # Errors
    /// [`CenterError::Timeout`].
    pub async fn configure(&self, objects: Objects, mut added: Vec<(Owned, Title)>) -> Result<(), CenterError> {
        let Objects { routing, agents, queues, definitions, calls: _ } = objects;
        self.addresses.configured(queues.iter().map(|(queue, _)| queue.clone()));
        let configured = Configured { agents: agents.into_iter().collect(), queues: queues.into_iter().collect() };
        ask(&self.supervisor, &"the supervisor", |reply| Order::Configure(configured, reply)).await?;
        // Who was removed and comes back before he has ended goes on.
        added.retain(|(owned, _)| !self.addresses.has_owner(owned));
        self.own(added, Vec::new()).await?;
        self.addresses.statistics.define(definitions);
        // Last, so that a call finds the queue that it is led to.
        self.routing.store(Arc::new(routing));
        Ok(())
    }

    /// An agent has a new owner: calls of this node believe no older one from now on (Spec: CL-3).
    pub fn announce_owner(&self, agent: &AgentId, epoch: Epoch) {
        self.addresses.announce_owner(agent, epoch);
    }

    /// What the calls and agents of this node hold of those who have new owners: tickets, reservations, and how the agents of
    /// a queue are. From now on the calls heed no older owner. `new` tells the epoch of a new owner, `None` for everything else.
    pub async fn held(&self, new: impl Fn(&Owned) -> Option<Epoch> + Send + Sync + 'static) -> Vec<Carried> {
        let new: NewOwners = Arc::new(new);
        let calls = ask_all(self.addresses.calls(), |reply| CallMessage::Held(new.clone(), reply)).await;
        let agents = ask_all(self.addresses.agents(), |reply| AgentMessage::Held(new.clone(), reply)).await;
        calls.into_iter().chain(agents).flatten().collect()
    }

    /// Whether a node may say this: it does not speak for a call that another edge is known to have (Spec: CL-3, CL-4).
    pub fn heeds(&self, from: NodeId, message: &Carried) -> bool {
        self.addresses.heeds(from, message)
    }

    /// Hands on what came from another node. Never blocks.
    ///
    /// # Errors
    /// [`NotHere`], with the message.
    pub fn deliver(&self, message: Carried) -> Result<(), NotHere> {
        self.addresses.deliver(message)
    }

    /// A call came in at the edge. Never blocks. When it returns the call has its address, so that no event of its legs
    /// can come too early.
    pub fn incoming(&self, incoming: Incoming) {
        let _inside = self.runtime.enter();
        let now = self.addresses.clock.now();
        let routing = self.routing.load_full();
        let machine = Box::new(Call::new(now, incoming.clone(), routing, self.call_config.clone()));
        self.begin(incoming.call, || Some(Beginning { incoming, started: now.wall, machine }));
    }

    /// Gives a call its actor and its address. `here` is asked while nobody can look for it: whoever does waits, and finds the
    /// call or is told that it lives elsewhere. `false` when it is not to begin, or could not.
    fn begin(&self, call: CallId, here: impl FnOnce() -> Option<Beginning>) -> bool {
        let begun = self.addresses.call_begins(call, || {
            let Some(Beginning { incoming, started, machine }) = here() else { return Ok(None) };
            let story = Story::default();
            let arguments = (machine, story.clone(), self.addresses.clone());
            ActorRuntime::spawn_linked_instant(None, CallActor, arguments, self.supervisor.get_cell())
                .map(|(actor, _)| Some(LivingCall { actor, incoming, started, story }))
        });
        begun.unwrap_or_else(|error| {
            tracing::error!(call_id = %call, %error, "no actor for a new call");
            (self.addresses.ports.abandon)(call);
            false
        })
    }

    /// Goes on with a call whose edge has died, or has handed it over. Never blocks. `false` when it lives here already, or
    /// another edge has more right to it. Other nodes must have been told that it is here now.
    pub fn resume(&self, checkpoint: &Checkpoint, inheritance: Inheritance) -> bool {
        let _inside = self.runtime.enter();
        let now = self.addresses.clock.now();
        let (routing, config) = (self.routing.load_full(), self.call_config.clone());
        // An owner who heard that the call is here may speak to it at this moment. Were it not found, it would be answered for
        // as a call that is over, and its caller would wait in vain (Spec: CL-3).
        self.begin(checkpoint.call(), || {
            let taken = self.addresses.took_over(checkpoint.taken_by(self.addresses.node()));
            taken.then(|| {
                let machine = Box::new(Call::resume(now, checkpoint, inheritance, routing, config));
                Beginning { incoming: checkpoint.incoming().clone(), started: machine.started(), machine }
            })
        })
    }

    /// What another edge needs to go on with a call at once (Spec: CL-6). For `within` the call then accepts no offer and does
    /// nothing by itself; after that it goes on here, unless [`Center::taken_over`] has been told. `None` while a phone rings for
    /// it, and when it cannot go on elsewhere.
    ///
    /// # Errors
    /// [`CenterError::NotFound`] and [`CenterError::Timeout`].
    pub async fn hand_over(&self, call: CallId, within: Duration) -> Result<Option<Checkpoint>, CenterError> {
        let until = self.addresses.clock.moment() + within;
        ask(&self.find_call(call)?, &call, |reply| CallMessage::HandOver(until, reply)).await
    }

    /// Another edge has taken a call over: messages for it go there. If it lives here, it ends without a word and without a
    /// record. Never blocks.
    pub fn taken_over(&self, taken: Taken) -> Departure {
        let was_here = self.node_of(taken.call) == self.addresses.node();
        if !self.addresses.took_over(taken) {
            return Departure::NoNews;
        }
        if taken.edge == self.addresses.node() || !was_here {
            return Departure::NotHere;
        }
        let Some(living) = self.addresses.call_moves(taken.call) else { return Departure::Ended };
        // One that ends at this moment cannot be told.
        let _ = living.actor.send_message(CallMessage::Forsaken);
        Departure::Left
    }

    /// Calls that other edges have taken over are over.
    pub fn ended_elsewhere(&self, calls: &[CallId]) {
        self.addresses.ended_elsewhere(calls);
    }

    /// The node on which a call lives, if it lives.
    pub fn node_of(&self, call: CallId) -> NodeId {
        self.addresses.node_of(call)
    }

    /// Whether a call lives on this node.
    pub fn lives(&self, call: CallId) -> bool {
        self.addresses.call(call).is_some()
    }

    /// The edge reports a leg. Never blocks.
    pub fn leg_event(&self, leg: LegId, event: LegEvent) {
        self.addresses.tell_call(leg.call, call::Event::Leg(leg, event));
    }

    /// The registrar reports a device. Never blocks.
    pub fn reachability(&self, change: Reachability) {
        let Reachability { agent, device, edge, contacts } = change;
        self.addresses.tell_agent(&agent, agent::Event::Reachable { device, edge, contacts });
    }

    /// An edge has died: nobody is rung through it any more, and its calls are gone unless another edge takes them over. Never
    /// blocks.
    pub fn edge_gone(&self, edge: NodeId) {
        let calls = self.addresses.whereabouts();
        // One that ends at this moment need not know, here and below.
        for (_, agent) in self.addresses.agents() {
            agent.tell(AgentMessage::Event(agent::Event::EdgeGone { edge, calls: calls.clone() }));
        }
        for (_, queue) in self.addresses.queues() {
            queue.tell(QueueMessage::Event(queue::Event::EdgeGone { edge, calls: calls.clone() }));
        }
    }

    /// Every agent, by id.
    pub async fn agents(&self) -> Vec<AgentView> {
        self.agents_among(|_| true, usize::MAX).await
    }

    /// The first `most` of those that are `wanted`, by id. Nobody else is asked.
    pub async fn agents_among(&self, wanted: impl Fn(&AgentId) -> bool, most: usize) -> Vec<AgentView> {
        let mut views = ask_all(first(self.addresses.agents(), wanted, most), AgentMessage::View).await;
        views.sort_by(|a, b| a.agent.cmp(&b.agent));
        views
    }

    /// Those of these agents whom this node owns, by id.
    pub async fn some_agents(&self, agents: &[AgentId]) -> Vec<AgentView> {
        let here = agents.iter().filter_map(|agent| Some((agent.clone(), self.addresses.agent(agent)?))).collect();
        let mut views = ask_all(here, AgentMessage::View).await;
        views.sort_by(|a, b| a.agent.cmp(&b.agent));
        views
    }

    /// One agent.
    ///
    /// # Errors
    /// [`CenterError::NotFound`] and [`CenterError::Timeout`].
    pub async fn agent(&self, agent: &AgentId) -> Result<AgentView, CenterError> {
        ask(&self.find_agent(agent)?, agent, AgentMessage::View).await
    }

    /// Availability, end of wrap-up, login and logout per queue (Spec: TR-5, TR-6); answers with the state after it.
    ///
    /// # Errors
    /// All of [`CenterError`].
    pub async fn command_agent(&self, agent: &AgentId, command: AgentCommand) -> Result<AgentView, CenterError> {
        if let AgentCommand::QueueLogIn(queue) | AgentCommand::QueueLogOut(queue) = &command {
            // Its owner may be on another node.
            let configured = self.addresses.configured_queues();
            if !configured.contains(queue) {
                return Err(not_found(queue.to_string(), configured.iter().map(QueueId::to_string)));
            }
        }
        let actor = self.find_agent(agent)?;
        ask(&actor, agent, |reply| AgentMessage::Command(command, reply))
            .await?
            .map_err(|refusal| CenterError::Refused(format!("{agent}: {refusal}")))
    }

    /// Every queue, by id.
    pub async fn queues(&self) -> Vec<QueueView> {
        self.queues_among(|_| true, usize::MAX).await
    }

    /// As [`Center::agents_among`].
    pub async fn queues_among(&self, wanted: impl Fn(&QueueId) -> bool, most: usize) -> Vec<QueueView> {
        let mut views = ask_all(first(self.addresses.queues(), wanted, most), QueueMessage::View).await;
        views.sort_by(|a, b| a.queue.cmp(&b.queue));
        views
    }

    /// One queue.
    ///
    /// # Errors
    /// [`CenterError::NotFound`] and [`CenterError::Timeout`].
    pub async fn queue(&self, queue: &QueueId) -> Result<QueueView, CenterError> {
        ask(&self.find_queue(queue)?, queue, QueueMessage::View).await
    }

    /// Every call that is not over, by id.
    pub async fn calls(&self) -> Vec<CallView> {
        let mut views = ask_all(self.addresses.calls(), CallMessage::View).await;
        views.sort_by_key(|view| view.call);
        self.fill_places(&mut views).await;
        views
    }

    /// One call that is not over.
    ///
    /// # Errors
    /// [`CenterError::NotFound`] and [`CenterError::Timeout`].
    pub async fn call(&self, call: CallId) -> Result<CallView, CenterError> {
        let mut view = ask(&self.find_call(call)?, &call, CallMessage::View).await?;
        self.fill_places(std::slice::from_mut(&mut view)).await;
        Ok(view)
    }

    /// Asks the queues of those who wait for their places. A queue that does not answer in time leaves them unknown.
    async fn fill_places(&self, views: &mut [CallView]) {
        let waiting = views.iter().filter(|view| view.stage == Stage::Waiting);
        let mut queues: Vec<&QueueId> = waiting.filter_map(|view| view.queue.as_ref()).collect();
        queues.sort_unstable();
        queues.dedup();
        let actors =
            queues.into_iter().filter_map(|queue| Some((queue.clone(), self.addresses.queue(queue)?))).collect();
        let places: HashMap<CallId, Place> =
            ask_all(actors, QueueMessage::Places).await.into_iter().flatten().collect();
        for view in views.iter_mut().filter(|view| view.stage == Stage::Waiting) {
            view.place = places.get(&view.call).copied();
        }
    }

    /// Ends a call, whatever its stage.
    ///
    /// # Errors
    /// [`CenterError::NotFound`] when it is over or never was.
    pub async fn hang_up(&self, call: CallId) -> Result<(), CenterError> {
        self.find_call(call)?;
        self.addresses.tell_call(call, call::Event::HangUp);
        Ok(())
    }

    /// The node's clocks, now.
    pub fn now(&self) -> Now {
        self.addresses.clock.now()
    }

    /// What has happened since the center started.
    pub fn statistics(&self) -> &Statistics {
        &self.addresses.statistics
    }

    /// The calls that are not over.
    pub fn in_progress(&self) -> InProgress {
        let now = self.addresses.clock.now().wall;
        let (calls, oldest) = self.addresses.count_calls();
        InProgress { calls, oldest: oldest.map(|started| since(started, now)) }
    }

    /// Hangs up every call, and waits until each has done so (2 s at most): a callback has no leg that the edge could
    /// wait for (Spec: UN-7). The records follow as the calls end.
    pub async fn hang_up_all(&self) {
        for (call, _) in self.addresses.calls() {
            self.addresses.tell_call(call, call::Event::HangUp);
        }
        // A mailbox keeps its order: who answers has hung up before.
        ask_all(self.addresses.calls(), CallMessage::View).await;
    }

    pub(crate) fn find_agent(&self, agent: &AgentId) -> Result<OwnerRef<AgentMessage>, CenterError> {
        let all = || self.addresses.agents().into_iter().map(|(id, _)| id.to_string());
        self.addresses.agent(agent).ok_or_else(|| not_found(agent.to_string(), all()))
    }

    pub(crate) fn find_queue(&self, queue: &QueueId) -> Result<OwnerRef<QueueMessage>, CenterError> {
        let all = || self.addresses.queues().into_iter().map(|(id, _)| id.to_string());
        self.addresses.queue(queue).ok_or_else(|| not_found(queue.to_string(), all()))
    }

    pub(crate) fn find_call(&self, call: CallId) -> Result<ActorRef<CallMessage>, CenterError> {
        self.addresses.call(call).ok_or_else(|| not_found(format!("calls/{call}"), std::iter::empty()))
    }
}

/// Those with the smallest ids.
fn first<I: Ord, A>(mut all: Vec<(I, A)>, wanted: impl Fn(&I) -> bool, most: usize) -> Vec<(I, A)> {
    all.retain(|(id, _)| wanted(id));
    if most < all.len() {
        all.select_nth_unstable_by(most, |(a, _), (b, _)| a.cmp(b));
        all.truncate(most);
    }
    all
}

/// The time from `a` to `b`, by clocks that may have been set between.
fn since(a: WallTime, b: WallTime) -> Duration {
    Duration::from_micros(u64::try_from(b.0.saturating_sub(a.0)).unwrap_or(0))
}

fn not_found(what: String, all: impl Iterator<Item = String>) -> CenterError {
    let mut close: Vec<(f64, String)> = all
        .map(|name| (strsim::jaro_winkler(base(&what), base(&name)), name))
        .filter(|(similar, _)| *similar >= SIMILAR)
        .collect();
    close.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    CenterError::NotFound { what, nearest: close.into_iter().take(3).map(|(_, name)| name).collect() }
}

/// The last part of a resource name: the tenant and the kind are alike in all of them.
fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

pub(crate) async fn ask<M, R>(
    actor: &impl Addressee<M>,
    who: &impl std::fmt::Display,
    question: impl FnOnce(RpcReplyPort<R>) -> M,
) -> Result<R, CenterError> {
    let (reply, answer) = ractor::concurrency::oneshot();
    if !actor.tell(question(reply.into())) {
        return Err(CenterError::NotFound { what: who.to_string(), nearest: Vec::new() });
    }
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Err(_) => Err(CenterError::Timeout(who.to_string())),
        // The actor ended between the look-up and the question.
        Ok(Err(_)) => Err(CenterError::NotFound { what: who.to_string(), nearest: Vec::new() }),
    }
}

/// Asks all at once; those that end meanwhile or do not answer in time are left out.
pub(crate) async fn ask_all<I, A, M, R>(actors: Vec<(I, A)>, question: impl Fn(RpcReplyPort<R>) -> M) -> Vec<R>
where
    A: Addressee<M>,
{
    let deadline = tokio::time::Instant::now() + ANSWER_WITHIN;
    let mut asked = Vec::with_capacity(actors.len());
    for (_, actor) in &actors {
        let (reply, answer) = ractor::concurrency::oneshot();
        if actor.tell(question(reply.into())) {
            asked.push(answer);
        }
    }
    let mut answers = Vec::with_capacity(asked.len());
    for answer in asked {
        if let Ok(Ok(answer)) = tokio::time::timeout_at(deadline, answer).await {
            answers.push(answer);
        }
    }
    answers
}
