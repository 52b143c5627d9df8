//! Where a message for a call, an agent or a queue goes: to an actor of this node, or out of it. Nobody else knows the
//! difference.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use carillon_acd::fence::Fence;
use carillon_acd::ids::{AgentId, CallId, Epoch, NodeId, QueueId};
use carillon_acd::leg::Incoming;
use carillon_acd::time::{Moment, WallTime};
use carillon_acd::whereabouts::{Taken, Whereabouts};
use carillon_acd::{agent, call, queue};
use carillon_rpc::cluster::Message;
use ractor::ActorRef;

use crate::agent::AgentMessage;
use crate::alarm::Bell;
use crate::call::CallMessage;
use crate::clock::Clock;
use crate::owned::{NotHere, Owned};
use crate::owner::{Addressee, OwnerRef};
use crate::ports::{Ports, Survival};
use crate::queue::QueueMessage;
use crate::statistics::Statistics;
use crate::story::Story;
use crate::survey::{Refusals, count};

/// Calls come and go hundreds of times a second: so many locks share their table.
const CALL_SHARDS: usize = 16;

/// How long a caller keeps asking for a queue that is not configured, before he is sent away. Until then its owner may still
/// be there and know a better way for him, or this node may hear of the queue.
const STRAY: Duration = Duration::from_secs(60);

/// A call that lives, and what is needed to close it properly should its actor fail.
pub(crate) struct LivingCall {
    pub(crate) actor: ActorRef<CallMessage>,
    pub(crate) incoming: Incoming,
    pub(crate) started: WallTime,
    pub(crate) story: Story,
}

/// Everybody's address, and the ways out of the node.
pub(crate) struct Addresses {
    /// This node: its calls carry its number.
    node: NodeId,
    pub(crate) clock: Clock,
    pub(crate) bell: Bell,
    pub(crate) ports: Ports,
    pub(crate) statistics: Statistics,
    pub(crate) refusals: Refusals,
    agents: RwLock<HashMap<AgentId, OwnerRef<AgentMessage>>>,
    queues: RwLock<HashMap<QueueId, OwnerRef<QueueMessage>>>,
    /// The queues that are configured, on whatever node.
    configured: ArcSwap<HashSet<QueueId>>,
    /// Since when callers ask for queues that are not.
    strays: Mutex<HashMap<QueueId, Moment>>,
    fence: RwLock<Fence>,
    whereabouts: RwLock<Arc<Whereabouts>>,
    calls: [Mutex<HashMap<CallId, LivingCall>>; CALL_SHARDS],
}

impl Addresses {
    /// Must be called inside a tokio runtime.
    pub(crate) fn new(node: NodeId, clock: Clock, ports: Ports, statistics: Statistics) -> Self {
        Addresses {
            node,
            clock,
            bell: Bell::hang(clock),
            ports,
            statistics,
            refusals: Refusals::default(),
            agents: RwLock::default(),
            queues: RwLock::default(),
            configured: ArcSwap::default(),
            strays: Mutex::default(),
            fence: RwLock::default(),
            whereabouts: RwLock::default(),
            calls: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Tells a call.
    pub(crate) fn tell_call(&self, call: CallId, event: call::Event) {
        if self.node_of(call) == self.node {
            self.tell_call_here(call, event);
        } else {
            (self.ports.elsewhere)(Message::Call(call, event));
        }
    }

    /// Tells a call's actor, unless an agent's owner speaks who was replaced. A call that is over answers through
    /// [`call::gone`], so that no owner waits for it.
    fn tell_call_here(&self, call: CallId, event: call::Event) {
        if !self.fence.read().unwrap_or_else(PoisonError::into_inner).admits(&event) {
            tracing::debug!(call_id = %call, "a replaced owner of an agent is not believed");
            count(&self.refusals.grants, 1);
            return;
        }
        let actor = self.shard(call).get(&call).map(|living| living.actor.clone());
        let Some(actor) = actor else { return self.answer_for_the_gone(call, event) };
        if let Err(refused) = actor.send_message(CallMessage::Event(event)) {
            tracing::debug!(call_id = %call, error = %refused, "call is ending");
        }
    }

    fn answer_for_the_gone(&self, call: CallId, event: call::Event) {
        match call::gone(call, &event) {
            Some(call::Effect::ToQueue(queue, event)) => self.tell_queue(&queue, event),
            Some(call::Effect::ToAgent(agent, event)) => self.tell_agent(&agent, event),
            Some(call::Effect::Leg(..) | call::Effect::Finished(_)) | None => {}
        }
    }

    /// This node.
    pub(crate) const fn node(&self) -> NodeId {
        self.node
    }

    /// The node on which a call lives, if it lives.
    pub(crate) fn node_of(&self, call: CallId) -> NodeId {
        self.whereabouts.read().unwrap_or_else(PoisonError::into_inner).of(call)
    }

    /// Where all calls are now.
    pub(crate) fn whereabouts(&self) -> Arc<Whereabouts> {
        self.whereabouts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a node may say this; see [`Whereabouts::admits`]. What may not be said is counted.
    pub(crate) fn heeds(&self, from: NodeId, message: &Message) -> bool {
        let Some(call) = message.said_by() else { return true };
        let heeds = self.whereabouts.read().unwrap_or_else(PoisonError::into_inner).admits(from, call);
        if !heeds {
            tracing::debug!(call_id = %call, node = from.0, "an edge that has lost this call is not believed");
            count(&self.refusals.former_edges, 1);
        }
        heeds
    }

    /// An edge has taken a call over; see [`Whereabouts::took_over`].
    pub(crate) fn took_over(&self, taken: Taken) -> bool {
        let mut whereabouts = self.whereabouts.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut whereabouts).took_over(self.clock.moment(), taken)
    }

    pub(crate) fn ended_elsewhere(&self, calls: &[CallId]) {
        let mut whereabouts = self.whereabouts.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut whereabouts).ended(self.clock.moment(), calls.iter().copied());
    }

    /// Tells an agent's owner, on whatever node that is.
    pub(crate) fn tell_agent(&self, agent: &AgentId, event: agent::Event) {
        match self.agent(agent) {
            Some(actor) => drop(actor.tell(AgentMessage::Event(event))),
            None => (self.ports.elsewhere)(Message::Agent(agent.clone(), event)),
        }
    }

    /// Tells a queue's owner; see [`Addresses::tell_agent`].
    pub(crate) fn tell_queue(&self, queue: &QueueId, event: queue::Event) {
        match self.queue(queue) {
            Some(actor) => drop(actor.tell(QueueMessage::Event(event))),
            None if self.is_stray(queue) => match queue::gone(queue, &event) {
                Some(queue::Effect::ToCall(call, event)) => self.tell_call(call, event),
                None => {}
            },
            None => (self.ports.elsewhere)(Message::Queue(queue.clone(), event)),
        }
    }

    /// These queues are configured from now on.
    pub(crate) fn configured(&self, queues: impl Iterator<Item = QueueId>) {
        self.configured.store(Arc::new(queues.collect()));
        self.strays.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The queues that are configured, on whatever node.
    pub(crate) fn configured_queues(&self) -> Arc<HashSet<QueueId>> {
        self.configured.load_full()
    }

    /// Whether a queue is not configured, and has not been for so long that nobody will ever answer for it.
    fn is_stray(&self, queue: &QueueId) -> bool {
        if self.configured.load().contains(queue) {
            return false;
        }
        let now = self.clock.moment();
        let mut strays = self.strays.lock().unwrap_or_else(PoisonError::into_inner);
        *strays.entry(queue.clone()).or_insert(now) + STRAY <= now
    }

    /// Hands on what came from another node. It does not leave this one again.
    pub(crate) fn deliver(&self, message: Message) -> Result<(), NotHere> {
        match message {
            Message::Call(call, event) if self.node_of(call) == self.node => self.tell_call_here(call, event),
            message @ Message::Call(..) => return Err(NotHere(Box::new(message))),
            Message::Agent(id, event) => match self.agent(&id) {
                Some(actor) => drop(actor.tell(AgentMessage::Event(event))),
                None => return Err(NotHere(Box::new(Message::Agent(id, event)))),
            },
            Message::Queue(id, event) => match self.queue(&id) {
                Some(actor) => drop(actor.tell(QueueMessage::Event(event))),
                None => return Err(NotHere(Box::new(Message::Queue(id, event)))),
            },
        }
        Ok(())
    }

    /// Whether it has an owner here.
    pub(crate) fn has_owner(&self, owned: &Owned) -> bool {
        match owned {
            Owned::Queue(queue) => self.queue(queue).is_some(),
            Owned::Agent(agent) => self.agent(agent).is_some(),
        }
    }

    pub(crate) fn agent(&self, agent: &AgentId) -> Option<OwnerRef<AgentMessage>> {
        self.agents.read().unwrap_or_else(PoisonError::into_inner).get(agent).cloned()
    }

    pub(crate) fn queue(&self, queue: &QueueId) -> Option<OwnerRef<QueueMessage>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner).get(queue).cloned()
    }

    pub(crate) fn call(&self, call: CallId) -> Option<ActorRef<CallMessage>> {
        self.shard(call).get(&call).map(|living| living.actor.clone())
    }

    pub(crate) fn agents(&self) -> Vec<(AgentId, OwnerRef<AgentMessage>)> {
        let agents = self.agents.read().unwrap_or_else(PoisonError::into_inner);
        agents.iter().map(|(id, actor)| (id.clone(), actor.clone())).collect()
    }

    pub(crate) fn queues(&self) -> Vec<(QueueId, OwnerRef<QueueMessage>)> {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        queues.iter().map(|(id, actor)| (id.clone(), actor.clone())).collect()
    }

    pub(crate) fn calls(&self) -> Vec<(CallId, ActorRef<CallMessage>)> {
        let mut all = Vec::new();
        for shard in &self.calls {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(shard.iter().map(|(id, living)| (*id, living.actor.clone())));
        }
        all
    }

    /// How many calls live, and when the oldest of them began.
    pub(crate) fn count_calls(&self) -> (usize, Option<WallTime>) {
        let (mut count, mut oldest) = (0, None);
        for shard in &self.calls {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            count += shard.len();
            oldest = shard.values().map(|living| living.started).chain(oldest).min();
        }
        (count, oldest)
    }

    /// The agent gets an owner of this epoch; no older one is believed any more.
    pub(crate) fn announce_owner(&self, id: &AgentId, epoch: Epoch) {
        self.fence.write().unwrap_or_else(PoisonError::into_inner).announce(id, epoch);
    }

    pub(crate) fn agent_lives(&self, id: AgentId, actor: OwnerRef<AgentMessage>) {
        self.agents.write().unwrap_or_else(PoisonError::into_inner).insert(id, actor);
    }

    pub(crate) fn queue_lives(&self, id: QueueId, actor: OwnerRef<QueueMessage>) {
        self.queues.write().unwrap_or_else(PoisonError::into_inner).insert(id, actor);
    }

    /// `None` when it had no owner here.
    pub(crate) fn agent_leaves(&self, id: &AgentId) -> Option<OwnerRef<AgentMessage>> {
        self.agents.write().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    /// `None` when it had no owner here.
    pub(crate) fn queue_leaves(&self, id: &QueueId) -> Option<OwnerRef<QueueMessage>> {
        self.queues.write().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    /// Starts a call's actor and gives it its address in one step: a call may be over before `start` returns, and must
    /// be found then. `false` when it lives already, and when `start` gives none.
    pub(crate) fn call_begins<E>(
        &self,
        call: CallId,
        start: impl FnOnce() -> Result<Option<LivingCall>, E>,
    ) -> Result<bool, E> {
        let mut shard = self.shard(call);
        if shard.contains_key(&call) {
            return Ok(false);
        }
        let living = start()?;
        Ok(living.map(|living| shard.insert(call, living)).is_some())
    }

    /// Takes a call out that goes on at another edge; `None` when it was out already.
    pub(crate) fn call_moves(&self, call: CallId) -> Option<LivingCall> {
        self.shard(call).remove(&call)
    }

    /// Takes a call out; `None` when it was out already.
    pub(crate) fn call_is_over(&self, call: CallId) -> Option<LivingCall> {
        let living = self.call_moves(call);
        if living.is_some() {
            self.ports.checkpoint.iter().for_each(|checkpoint| checkpoint(call, Survival::Over));
        }
        living
    }

    fn shard(&self, call: CallId) -> MutexGuard<'_, HashMap<CallId, LivingCall>> {
        let shard = (call.number % CALL_SHARDS as u64) as usize;
        self.calls[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
