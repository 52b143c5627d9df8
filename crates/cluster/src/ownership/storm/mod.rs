//! Several cores in a bad world: seeded, on one clock of its own, with a model of the coordinator. Messages are lost,
//! doubled and late; nodes freeze, die, come back, and lose the coordinator or each other; clocks run unlike.
//!
//! What must hold, always (Spec: CL-3, CL-5): no two nodes may act for a shard at the same time, unless the newer owner
//! suspected the older, and then every other node already refuses the older epoch. And in the end (CL-2): one owner for
//! each shard, the one that should have it.

mod faults;
mod node;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use carillon_acd::ids::{Epoch, NodeId};
use carillon_acd::rng::Rng;
use carillon_acd::time::Moment;

use super::{Event, Timing, rendezvous};
use crate::coordinator::{Act, Expect, Key, LeaseId, Listing, News, Write};
use crate::member::Node;
use crate::shard::{SHARDS, Shard};
use crate::tree::Tree;
use faults::Faults;
use node::SimNode;

/// Times that make a storm of one minute long: the waits are short against it, and in the proportions of the real ones.
fn timing() -> Timing {
    Timing { patience: Duration::from_secs(4), outage: Duration::from_secs(20), ..Timing::default() }
}

/// How long faults happen, and how long the world then has to come to rest: a whole `outage`, and some.
const STORM: Duration = Duration::from_secs(60);
const REST: Duration = Duration::from_secs(40);

/// What a keeper waits for an answer.
const KEEPER_WAITS: Duration = Duration::from_secs(2);

/// What happens at a moment.
enum Item {
    /// A core's deadline; the number tells a newer one from it.
    Deadline(NodeId, u64),
    /// A message or an answer arrives at a run of a node.
    Arrives(NodeId, u32, Event),
    /// A request of a run of a node arrives at the coordinator.
    Request(NodeId, u32, Request),
    /// The feed is looked at.
    Feed(NodeId, u32),
    /// What the feed had arrives.
    News(NodeId, u32, News),
    /// A keeper acts, unless it has acted since.
    Keeper(NodeId, u32, u64),
    /// The weather changes.
    Fault,
}

/// What the coordinator is asked.
enum Request {
    Register(Moment, Node),
    KeepAlive(LeaseId, Moment),
    Write(Vec<Write>, fn(Vec<Shard>, super::ClaimAnswer) -> Event, Vec<Shard>),
    Record(Vec<Write>),
}

struct Entry(Moment, u64, Item);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// The world.
struct World {
    now: Moment,
    items: BinaryHeap<Reverse<Entry>>,
    count: u64,
    rng: Rng,
    tree: Tree,
    folder: Key,
    nodes: BTreeMap<NodeId, SimNode>,
    faults: Faults,
    /// Who serves each shard, and whom the later ones suspected when they claimed.
    serving: Vec<BTreeMap<NodeId, Epoch>>,
    /// The shards that two have served at once.
    contested: BTreeSet<Shard>,
    broken: Vec<String>,
}

impl World {
    fn new(seed: u64, nodes: u32, faults: Faults) -> World {
        let mut world = World {
            now: Moment::START,
            items: BinaryHeap::new(),
            count: 0,
            rng: Rng::new(seed),
            tree: Tree::default(),
            folder: Key("/c".into()),
            nodes: BTreeMap::new(),
            faults,
            serving: vec![BTreeMap::new(); usize::from(SHARDS)],
            contested: BTreeSet::new(),
            broken: Vec::new(),
        };
        for id in 1..=nodes {
            // The last one is an edge without queues: it must be told, and never owns.
            let acd = id == 1 || id < nodes;
            let rate = 0.98 + world.rng.below(41) as f64 / 1_000.0;
            world.nodes.insert(NodeId(id), SimNode::new(NodeId(id), acd, rate));
            let late = world.up_to(2_000);
            world.at(late, Item::Keeper(NodeId(id), 0, 0));
        }
        for id in 1..=nodes {
            world.start(NodeId(id));
        }
        world.at(Duration::from_secs(5), Item::Fault);
        world
    }

    /// A random time up to so many milliseconds.
    fn up_to(&mut self, milliseconds: usize) -> Duration {
        Duration::from_micros(self.rng.below(milliseconds * 1_000 + 1) as u64)
    }

    fn chance(&mut self, of_a_hundred: usize) -> bool {
        self.rng.below(100) < of_a_hundred
    }

    fn at(&mut self, after: Duration, item: Item) {
        self.count += 1;
        self.items.push(Reverse(Entry(self.now + after, self.count, item)));
    }

    fn run(&mut self, until: Duration) {
        while self.items.peek().is_some_and(|Reverse(Entry(at, ..))| *at <= Moment::at(until)) {
            let Some(Reverse(Entry(at, _, item))) = self.items.pop() else { break };
            self.now = at;
            if !self.faults.outage {
                self.tree.expire(at);
            }
            self.happens(item);
            self.check_overlaps();
            if !self.broken.is_empty() {
                return;
            }
        }
    }

    fn happens(&mut self, item: Item) {
        // What is for a frozen node waits until it wakes.
        let frozen = match &item {
            Item::Deadline(id, _) | Item::Arrives(id, ..) | Item::News(id, ..) | Item::Keeper(id, ..) => {
                self.faults.frozen.get(id).copied()
            }
            Item::Request(..) | Item::Feed(..) | Item::Fault => None,
        };
        if let Some(until) = frozen.filter(|until| *until > self.now) {
            return self.at(until.since(self.now), item);
        }
        match item {
            Item::Deadline(id, number) => {
                if self.nodes[&id].alive && self.nodes[&id].deadline == number {
                    self.tell(id, Event::Time);
                }
            }
            Item::Arrives(id, boot, mut event) => {
                if self.runs(id, boot) {
                    if let Event::KeptAlive { sent, .. } = &mut event
                        && self.faults.counts_from_answer
                    {
                        *sent = self.nodes[&id].local(self.now);
                    }
                    self.keeper_hears(id, &event);
                    self.tell(id, event);
                }
            }
            Item::Request(id, boot, request) => self.request(id, boot, request),
            Item::Feed(id, boot) => self.feed(id, boot),
            Item::News(id, boot, news) => {
                if self.runs(id, boot) {
                    let events = self.node(id).picture.apply(news);
                    events.into_iter().for_each(|event| self.tell(id, event));
                }
            }
            Item::Keeper(id, boot, number) => {
                if self.runs(id, boot) && self.nodes[&id].keeper_turn == number {
                    self.keeper(id);
                }
            }
            Item::Fault => self.fault(),
        }
    }

    fn node(&mut self, id: NodeId) -> &mut SimNode {
        self.nodes.get_mut(&id).expect("all nodes are there from the beginning")
    }

    fn runs(&self, id: NodeId, boot: u32) -> bool {
        self.nodes[&id].alive && self.nodes[&id].boot == boot
    }

    fn request(&mut self, id: NodeId, boot: u32, request: Request) {
        if self.faults.outage || self.faults.cut_off.contains(&id) {
            return;
        }
        let now = self.now;
        let answer = match request {
            Request::Register(sent, node) => {
                let lease = self.tree.grant(now, timing().ttl);
                let value = serde_json::to_vec(&node).unwrap().into();
                let key = self.folder.join("nodes").join(id.0);
                let write = Write { key, expect: Expect::Absent, act: Act::Put(value, Some(lease)) };
                let Ok(revision) = self.tree.commit(vec![write]) else { return };
                self.node(id).registered = Epoch(revision.0);
                Some(Event::Registered { lease, sent })
            }
            Request::KeepAlive(lease, sent) => Some(match self.tree.keep_alive(now, lease) {
                Ok(()) => Event::KeptAlive { lease, sent },
                Err(_) => Event::LeaseLost(lease),
            }),
            Request::Write(writes, answer, shards) => Some(answer(
                shards,
                match self.tree.commit(writes) {
                    Ok(_) => super::ClaimAnswer::Done,
                    Err(crate::coordinator::Error::LeaseLost) => super::ClaimAnswer::LeaseLost,
                    Err(_) => super::ClaimAnswer::Conflict,
                },
            )),
            Request::Record(writes) => {
                let _ = self.tree.commit(writes);
                None
            }
        };
        if let Some(answer) = answer.filter(|_| !self.chance(self.faults.loss)) {
            let delay = self.coordinator_delay();
            self.at(delay, Item::Arrives(id, boot, answer));
        }
    }

    fn coordinator_delay(&mut self) -> Duration {
        let slow = self.chance(self.faults.slow);
        self.up_to(if slow { 1_900 } else { 5 })
    }

    fn feed(&mut self, id: NodeId, boot: u32) {
        if !self.runs(id, boot) {
            return;
        }
        let again = Duration::from_millis(5) + self.up_to(10);
        self.at(again, Item::Feed(id, boot));
        if self.faults.outage || self.faults.cut_off.contains(&id) {
            return;
        }
        let seen = self.nodes[&id].seen;
        let news = match seen.and_then(|after| self.tree.changes(&self.folder, after)) {
            None => News::Everything(Listing { revision: self.tree.revision(), ..self.tree.list(&self.folder) }),
            Some(changes) if changes.is_empty() => return,
            Some(changes) => News::Changes(changes),
        };
        let revision = self.tree.revision();
        let delay = self.coordinator_delay();
        let arrives = (self.now + delay).max(self.nodes[&id].last_news);
        let node = self.node(id);
        (node.seen, node.last_news) = (Some(revision), arrives);
        self.at(arrives.since(self.now), Item::News(id, boot, news));
    }

    /// A node serves from now on.
    fn serves(&mut self, id: NodeId, shard: Shard, epoch: Epoch, unheard: &[NodeId]) {
        self.serving[shard.index()].insert(id, epoch);
        if self.serving[shard.index()].len() > 1 {
            self.contested.insert(shard);
        }
        let server = &self.nodes[&id];
        let told = server.core.peers.unsuspected().filter(|other| *other != id && !unheard.contains(other));
        for other in told {
            let peer = &self.nodes[&other];
            let entry = server.core.peers.node(other).map(|node| node.boot);
            // Who has come since the claim hears of it from its feed.
            let same_run = peer.alive && entry == Some(peer.boot) && peer.registered < epoch;
            if same_run && peer.core.seat(shard).epoch < epoch {
                let (at, known) = (self.now.since(Moment::START), peer.core.seat(shard));
                self.broken.push(format!("{at:?}: {other:?} knows {known:?}, but {id:?} serves {epoch}"));
            }
        }
    }

    /// No two may act at the same time, unless the one with the newer epoch suspects the other.
    fn check_overlaps(&mut self) {
        for shard in &self.contested {
            let servers = &self.serving[shard.index()];
            let acting = |id: &NodeId| {
                let node = &self.nodes[id];
                node.alive && node.local(self.now) < node.core.until()
            };
            let acting: Vec<(&NodeId, &Epoch)> = servers.iter().filter(|(id, _)| acting(id)).collect();
            let Some((newest, epoch)) = acting.iter().max_by_key(|(_, epoch)| **epoch) else { continue };
            let excused = |old: &NodeId| self.nodes[newest].has_suspected.contains(old);
            for (old, before) in acting.iter().filter(|(old, _)| old != newest && !excused(old)) {
                let at = self.now.since(Moment::START);
                self.broken.push(format!("{at:?}: {old:?} ({before}) and {newest:?} ({epoch}) act for {shard:?}"));
            }
        }
    }

    /// In the end everything has one owner, the one that should have it.
    fn check_rest(&mut self) {
        let alive = |node: &&SimNode| node.alive && node.acd && !self.faults.draining.contains(&node.id);
        let able: BTreeSet<NodeId> = self.nodes.values().filter(alive).map(|node| node.id).collect();
        for (shard, servers) in Shard::all().zip(&self.serving) {
            let should = rendezvous::first(shard, able.iter().copied());
            let alive = servers.keys().filter(|id| self.nodes[id].alive).copied();
            if !alive.clone().eq(should) {
                let acting: Vec<NodeId> = alive.collect();
                let state = &self.nodes[&should.unwrap_or(NodeId(1))].core.seats[shard.index()];
                self.broken.push(format!("{shard:?} rests with {acting:?}, not with {should:?}, who has {state:?}"));
                return;
            }
        }
    }
}

/// Runs one seed; what was broken.
fn storm(seed: u64, nodes: u32, faults: Faults) -> Vec<String> {
    let mut world = World::new(seed, nodes, faults);
    world.run(STORM);
    world.calm();
    world.run(STORM + REST);
    if world.broken.is_empty() {
        world.check_rest();
    }
    world.broken
}

/// Runs some seeds; as many as the variable `SEEDS` says, or from `SEED` on.
fn seeds(first: u64, faults: fn() -> Faults) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let first = number("SEED").unwrap_or(first);
    for seed in first..first + number("SEEDS").unwrap_or(8) {
        let nodes = 2 + u32::try_from(seed % 4).unwrap();
        let broken = storm(seed, nodes, faults());
        assert!(broken.is_empty(), "seed {seed}, {nodes} nodes, {} times: {:#?}", broken.len(), broken.first());
    }
}

// spec: CL-2
#[test]
fn cl_2_in_good_weather_everything_has_its_owner_and_stays_there() {
    let mut world = World::new(1, 4, Faults::none());
    world.run(Duration::from_secs(20));
    world.check_rest();
    assert_eq!(world.broken, Vec::<String>::new());
    let epochs: Vec<_> = world.serving.clone();
    world.run(Duration::from_secs(60));
    assert!(world.serving == epochs, "nothing moves without a reason");
}

// spec: CL-3, CL-5
#[test]
fn cl_3_cl_5_never_two_owners_under_loss_delay_freezes_crashes_and_outages() {
    seeds(0, Faults::without_suspicion);
}

// spec: CL-3
#[test]
fn cl_3_a_suspect_is_alone_with_its_offers() {
    seeds(1_000_000, Faults::all);
}

// spec: CL-5
#[test]
fn cl_5_without_the_coordinator_all_goes_on_and_ends_where_it_was() {
    for seed in 0..4 {
        let mut world = World::new(seed, 4, Faults::none());
        world.run(Duration::from_secs(20));
        let before = world.serving.iter().map(|servers| servers.keys().copied().collect()).collect::<Vec<Vec<_>>>();
        world.faults.outage = true;
        world.run(Duration::from_secs(35));
        assert!(world.serving.iter().all(|servers| servers.len() == 1), "within `outage` nothing stops");
        let late = |world: &World, id: &NodeId| world.nodes[id].local(world.now) >= world.nodes[id].core.until();
        assert!(world.serving.iter().flat_map(|servers| servers.keys()).all(|id| !late(&world, id)));
        world.faults.outage = false;
        world.run(Duration::from_secs(60));
        let after = world.serving.iter().map(|servers| servers.keys().copied().collect()).collect::<Vec<Vec<_>>>();
        assert_eq!(world.broken, Vec::<String>::new());
        assert!(before == after, "leases are gone, and every owner has claimed its own again");
    }
}

// spec: CL-5
#[test]
fn cl_5_an_owner_that_counts_from_when_the_answer_came_is_caught() {
    let caught = (0..20).any(|seed| {
        // Whoever is asked over a link stops then, and the mistake is without consequence.
        let mistake = Faults { counts_from_answer: true, unlinked: true, ..Faults::without_suspicion() };
        let faults = Faults { slow: 30, ..mistake };
        storm(seed, 4, faults).iter().any(|broken| broken.contains("act for"))
    });
    assert!(caught, "the storm does not see what design.md measured");
}
