//! What really happens: who is on which phone, who has called, what was recorded. The nodes only believe.

mod digest;
mod phones;
mod rescue;
mod watch;

use digest::Digest;
use phones::Kept;
pub(crate) use phones::Said;
use rescue::Astray;
pub(crate) use watch::Outcomes;
use watch::{Overtaken, SeenOwner};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use carillon_acd::ids::{AgentId, CallId, LegId, NodeId};
use carillon_acd::leg::Incoming;
use carillon_acd::record::Record;
use carillon_acd::rng::Rng;
use carillon_acd::time::{Moment, WallTime};
use carillon_acd::view::{AgentView, QueueView};
use carillon_cluster::directory::Directory;
use carillon_cluster::simulated::{Simulated, Weather};
use carillon_cluster::space::{PREFIX, Space};

use crate::center::{AGENTS, QUEUES, agent_id, incoming};
use crate::faults::{Fault, LAST};

/// How many nodes there are.
const NODES: u32 = 3;
/// Of a thousand moments at an edge, so many bring a caller: about one a second in all, more than the agents can take.
const COMES: usize = 35;
/// 2027-01-15.
const WALL: i64 = 1_800_000_000_000_000;
const HOUR: i64 = 3_600_000_000;

/// Everything that a node has, as it sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    pub(crate) agents: Vec<AgentView>,
    pub(crate) queues: Vec<QueueView>,
    pub(crate) calls: usize,
}

/// A phone that rings or talks, for a call.
#[derive(Clone, Debug)]
struct Leg {
    agent: AgentId,
    /// That has spoken to it last.
    edge: NodeId,
    /// Of the last request in the dialog.
    number: u32,
    /// It hears that it is called; `false` for one that cannot be reached.
    rings: bool,
    answered: bool,
    /// The caller hears it.
    bridged: bool,
    /// When the agent hangs up, if he answers.
    until: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Caller {
    queue: usize,
    came: Duration,
    /// When he hangs up, whatever he hears by then.
    patience: Option<Duration>,
    /// The edge that has spoken to his phone last.
    edge: NodeId,
    /// Of the last request in the dialog.
    number: u32,
    answered: bool,
    /// Another edge could go on with the call.
    resumable: bool,
    /// When something has happened last that another edge has to know.
    news: Duration,
    astray: Option<Astray>,
    /// Other edges have gone on with the call so often.
    resumed: usize,
    /// He is no longer on the line.
    gone: bool,
    /// He has left while nobody spoke with him.
    unheard: bool,
    /// His edge has died, and perhaps nobody will record the call.
    lost: bool,
    talked: bool,
    /// Since then no phone rings for him, and he waits.
    waits_since: Option<Duration>,
    tried: BTreeSet<AgentId>,
    /// A phone could not ring for him, so his round may be over without one that did.
    in_vain: bool,
}

impl Caller {
    fn new(queue: usize, edge: NodeId, now: Duration, patience: Option<Duration>) -> Self {
        Caller {
            queue,
            came: now,
            patience,
            edge,
            number: 0,
            answered: false,
            resumable: false,
            news: now,
            astray: None,
            resumed: 0,
            gone: false,
            unheard: false,
            lost: false,
            talked: false,
            waits_since: Some(now),
            tried: BTreeSet::new(),
            in_vain: false,
        }
    }

    fn is_news(&mut self, now: Duration) {
        self.news = now;
    }
}

/// Shared by all nodes; each is a clone of the same.
pub(crate) struct World {
    seed: u64,
    /// Nanoseconds since the beginning: the same for all nodes.
    now: Arc<AtomicU64>,
    coordinator: Simulated,
    plan: Vec<Fault>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rng: Option<Rng>,
    boots: BTreeMap<NodeId, u32>,
    /// Nodes that take calls.
    open: BTreeSet<NodeId>,
    /// Nodes that are to drain.
    draining: BTreeSet<NodeId>,
    /// The edge at which an agent's phone is registered, or will be from then on.
    registered: BTreeMap<AgentId, (NodeId, Duration)>,
    reported: BTreeMap<(NodeId, AgentId), Duration>,
    /// Phones, as they are.
    legs: BTreeMap<LegId, Leg>,
    /// Legs, as edges have them.
    kept: BTreeMap<(NodeId, LegId), Kept>,
    callers: BTreeMap<CallId, Caller>,
    records: Records,
    surveys: BTreeMap<NodeId, Survey>,
    /// Since when a node has had a link to another.
    links: BTreeMap<(NodeId, NodeId), Duration>,
    /// What each node knows of owners.
    directories: BTreeMap<NodeId, Directory>,
    /// Who owns an agent, as a node has seen it lately.
    owners: BTreeMap<(NodeId, AgentId), SeenOwner>,
    /// Calls offered to who was busy, because nobody could know.
    excused: usize,
    overtaken: Vec<Overtaken>,
    broken: Option<String>,
    digest: Digest,
}

impl State {
    fn dice(&mut self, below: usize) -> usize {
        self.rng.as_mut().map_or(0, |rng| rng.below(below))
    }

    fn milliseconds(&mut self, below: usize) -> Duration {
        Duration::from_millis(self.dice(below) as u64)
    }
}

impl World {
    pub(crate) fn new(seed: u64, plan: impl FnOnce(u32, &mut Rng) -> Vec<Fault>) -> Arc<Self> {
        let mut rng = Rng::new(seed);
        let now: Arc<AtomicU64> = Arc::default();
        let clock = now.clone();
        let time = move || Moment::at(Duration::from_nanos(clock.load(Ordering::Relaxed)));
        let coordinator = Simulated::at_times(rng.next_u64(), time);
        let plan = plan(NODES, &mut rng);
        let first = |n: usize| NodeId(1 + u32::try_from(n).unwrap_or_default() % NODES);
        let registered = (0..AGENTS).map(|n| (agent_id(n), (first(n), Duration::ZERO))).collect();
        let state = Mutex::new(State { rng: Some(rng), registered, ..State::default() });
        Arc::new(World { seed, now, coordinator, plan, state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn nodes(&self) -> u32 {
        NODES
    }

    pub(crate) fn plan(&self) -> &[Fault] {
        &self.plan
    }

    pub(crate) fn now(&self) -> Duration {
        Duration::from_nanos(self.now.load(Ordering::Relaxed))
    }

    pub(crate) fn goes_on_to(&self, now: Duration) {
        self.now.store(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn space(&self, node: NodeId) -> Space {
        Space::new(Arc::new(self.coordinator.reached_by(node)), PREFIX)
    }

    pub(crate) fn change_weather(&self, change: impl FnOnce(&mut Weather)) {
        self.coordinator.change_weather(change);
    }

    /// The clocks on the nodes' walls are hours apart.
    pub(crate) fn wall(&self, node: NodeId) -> WallTime {
        let since = i64::try_from(self.now().as_micros()).unwrap_or(i64::MAX);
        WallTime(WALL + since + off(node))
    }

    /// When a node's clock showed this.
    fn unwall(&self, node: NodeId, shown: WallTime) -> Duration {
        Duration::from_micros(u64::try_from(shown.0 - WALL - off(node)).unwrap_or_default())
    }

    /// A promise is broken, or a node is.
    pub(crate) fn breaks(&self, what: String) {
        tracing::error!(what, "broken");
        let at = self.now();
        self.state().broken.get_or_insert_with(|| format!("{at:.3?}: {what}"));
    }

    pub(crate) fn broken(&self) -> Option<String> {
        self.state().broken.clone()
    }

    fn tell(&self, state: &mut State, what: &str) {
        tracing::info!("{what}");
        state.digest.add(&format!("{:?} {what}", self.now()));
    }

    // ---- nodes

    /// The number of this run of a node.
    pub(crate) fn boots(&self, node: NodeId) -> u32 {
        let mut state = self.state();
        let boot = state.boots.entry(node).or_default();
        *boot += 1;
        *boot
    }

    pub(crate) fn takes_calls(&self, node: NodeId) {
        let mut state = self.state();
        state.open.insert(node);
        self.tell(&mut state, &format!("node {} takes calls", node.0));
    }

    pub(crate) fn drain(&self, node: NodeId, wanted: bool) {
        let draining = &mut self.state().draining;
        if wanted {
            draining.insert(node)
        } else {
            draining.remove(&node)
        };
    }

    pub(crate) fn is_to_drain(&self, node: NodeId) -> bool {
        self.state().draining.contains(&node)
    }

    pub(crate) fn linked(&self, node: NodeId, others: &[NodeId]) {
        let now = self.now();
        let links = &mut self.state().links;
        links.retain(|(one, other), _| *one != node || others.contains(other));
        for other in others {
            links.entry((node, *other)).or_insert(now);
        }
    }

    /// A node looks who owns which agent; between two owners it sees nobody.
    pub(crate) fn looks_for_owners(&self, node: NodeId, directory: &Directory) {
        let now = self.now();
        let mut state = self.state();
        state.directories.insert(node, directory.clone());
        for agent in (0..AGENTS).map(agent_id) {
            let Some(owner) = directory.of_agent(&agent) else { continue };
            let key = (node, agent);
            let owner = SeenOwner::new(owner.node, now, state.owners.get(&key).copied());
            state.owners.insert(key, owner);
        }
    }

    pub(crate) fn surveyed(&self, node: NodeId, survey: Survey) {
        self.state().surveys.insert(node, survey);
    }

    // ---- callers

    /// Whether somebody calls in this moment.
    pub(crate) fn caller_comes(&self, edge: NodeId) -> Option<Incoming> {
        let now = self.now();
        let mut state = self.state();
        if now >= LAST || state.dice(1_000) >= COMES || state.draining.contains(&edge) {
            return None;
        }
        let queue = state.dice(QUEUES);
        let patience = (state.dice(6) == 0).then(|| now + state.milliseconds(20_000));
        let boot = state.boots.get(&edge).copied().unwrap_or_default();
        let call = CallId { node: edge, boot, number: 1 + state.callers.len() as u64 };
        let caller = Caller::new(queue, edge, now, patience);
        state.callers.insert(call, caller);
        state.kept.insert((edge, LegId::caller(call)), Kept::default());
        self.tell(&mut state, &format!("{call} comes to queue {queue}"));
        Some(incoming(call, queue))
    }

    /// A node removes records of calls that other nodes have recorded.
    pub(crate) fn forget_records(&self, node: NodeId, calls: &[CallId]) {
        let mut state = self.state();
        for call in calls {
            let kept = state.records.get_mut(call).and_then(|records| records.remove(&node));
            if kept.is_some() {
                self.tell(&mut state, &format!("node {} removes its record of {call}", node.0));
            }
        }
    }

    /// What a node has on its disk of calls that came to others.
    pub(crate) fn records_of_others(&self, node: NodeId) -> Vec<Record> {
        let state = self.state();
        let of_others = state.records.iter().filter(|(call, _)| call.node != node);
        of_others.filter_map(|(_, records)| records.get(&node).cloned()).collect()
    }

    pub(crate) fn record(&self, node: NodeId, record: Record) {
        let mut state = self.state();
        self.tell(&mut state, &format!("node {} records {}: {:?}", node.0, record.call, record.outcome));
        record.transitions.iter().for_each(|it| tracing::debug!("{:.3}: {:?}", (it.at.0 - WALL) as f64 / 1e6, it.what));
        let wrong = self.is_wrong(&state, node, &record);
        state.records.entry(record.call).or_default().insert(node, record);
        drop(state);
        if let Some(wrong) = wrong {
            self.breaks(wrong);
        }
    }
}

/// The records of each call, by the node on whose disk they are.
type Records = BTreeMap<CallId, BTreeMap<NodeId, Record>>;

fn is_recorded(records: &Records, call: CallId) -> bool {
    records.get(&call).is_some_and(|records| !records.is_empty())
}

/// How far a node's clock is off.
fn off(node: NodeId) -> i64 {
    (i64::from(node.0) - 2) * HOUR
}
