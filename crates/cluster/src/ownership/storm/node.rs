//! One node of the storm: its core, its keeper, its clock.

use std::collections::BTreeSet;
use std::time::Duration;

use carillon_acd::ids::{Epoch, NodeId};
use carillon_acd::time::Moment;

use super::{Item, KEEPER_WAITS, Request, World, timing};
use crate::coordinator::{Act, Expect, Key, LeaseId, Revision, Write};
use crate::member::{Addresses, Node, Roles};
use crate::ownership::{Effect, Event, Message, Ownership};
use crate::picture::Picture;
use crate::shard::Shard;

pub(super) struct SimNode {
    pub(super) id: NodeId,
    pub(super) acd: bool,
    pub(super) boot: u32,
    pub(super) alive: bool,
    pub(super) core: Ownership,
    pub(super) picture: Picture,
    pub(super) seen: Option<Revision>,
    pub(super) last_news: Moment,
    pub(super) deadline: u64,
    pub(super) keeper_turn: u64,
    pub(super) has_suspected: BTreeSet<NodeId>,
    /// When it was registered last.
    pub(super) registered: Epoch,
    lease: Option<LeaseId>,
    /// How fast its clock runs.
    rate: f64,
    started: Moment,
    /// Deadlines at one moment: a core that asks for the past would stand still.
    idle_turns: (Moment, u32),
}

fn describe(id: NodeId, boot: u32, acd: bool) -> Node {
    Node {
        id,
        boot,
        roles: Roles { edge: true, acd, api: false },
        addresses: Addresses::default(),
        zone: None,
        version: "1".into(),
        draining: false,
        standing: false,
    }
}

impl SimNode {
    pub(super) fn new(id: NodeId, acd: bool, rate: f64) -> Self {
        SimNode {
            id,
            acd,
            boot: 0,
            alive: false,
            core: Ownership::new(describe(id, 0, acd), timing()),
            picture: Picture::new(Key("/c".into())),
            seen: None,
            last_news: Moment::START,
            deadline: 0,
            keeper_turn: 0,
            has_suspected: BTreeSet::new(),
            registered: Epoch(0),
            lease: None,
            rate,
            started: Moment::START,
            idle_turns: (Moment::START, 0),
        }
    }

    /// What its clock shows. It does not begin at zero, as no real one does.
    pub(super) fn local(&self, now: Moment) -> Moment {
        Moment::at(Duration::from_secs(1_000) + now.since(self.started).mul_f64(self.rate))
    }

    fn after(&self, local: Moment, now: Moment) -> Duration {
        local.since(self.local(now)).div_f64(self.rate)
    }
}

impl World {
    /// A node starts, anew or again.
    pub(super) fn start(&mut self, id: NodeId) {
        let (now, folder) = (self.now, self.folder.clone());
        let node = self.node(id);
        *node = SimNode { boot: node.boot + 1, alive: true, started: now, ..SimNode::new(id, node.acd, node.rate) };
        let boot = node.boot;
        node.core = Ownership::new(describe(id, boot, node.acd), timing());
        node.picture = Picture::new(folder);
        let turn = node.keeper_turn;
        self.faults.frozen.remove(&id);
        let (soon, feed) = (self.up_to(500), self.up_to(50));
        self.at(soon, Item::Keeper(id, boot, turn));
        self.at(feed, Item::Feed(id, boot));
        if self.faults.draining.contains(&id) {
            self.tell(id, Event::Drain(true));
        }
        let others: Vec<NodeId> = self.nodes.values().filter(|n| n.alive && n.id != id).map(|n| n.id).collect();
        for other in others {
            if !self.faults.parts(id, other) {
                self.links_change((id, other), true);
            }
        }
    }

    /// A node dies without a word.
    pub(super) fn kill(&mut self, id: NodeId) {
        self.node(id).alive = false;
        for servers in &mut self.serving {
            servers.remove(&id);
        }
        let others: Vec<NodeId> = self.nodes.keys().copied().filter(|other| *other != id).collect();
        if self.faults.suspicion {
            for other in others {
                let (boot, notice) = (self.nodes[&other].boot, self.up_to(300));
                self.at(notice, Item::Arrives(other, boot, Event::LinkDown(id)));
            }
        }
    }

    /// A core hears, and what it wants is done.
    pub(super) fn tell(&mut self, id: NodeId, event: Event) {
        let now = self.now;
        let node = self.node(id);
        let local = node.local(now);
        // The list of nodes is what links are made from.
        let relink = matches!(event, Event::Nodes(_));
        let mut out = Vec::new();
        node.core.handle(local, event, &mut out);
        let suspects: Vec<NodeId> = node.core.peers.ids().filter(|n| node.core.peers.is_suspected(*n)).collect();
        node.has_suspected.extend(suspects);
        node.deadline += 1;
        let number = node.deadline;
        if let Some(at) = node.core.deadline() {
            let wait = node.after(at, now);
            if wait.is_zero() {
                let (when, turns) = node.idle_turns;
                node.idle_turns = if when == now { (now, turns + 1) } else { (now, 1) };
                assert!(node.idle_turns.1 < 20, "{id:?} wants the past: {at:?} at {local:?}");
            }
            self.at(wait, Item::Deadline(id, number));
        }
        out.into_iter().for_each(|effect| self.perform(id, effect));
        if relink {
            self.relink(id);
        }
    }

    fn relink(&mut self, id: NodeId) {
        let boot = self.nodes[&id].boot;
        let others: Vec<NodeId> = self.nodes[&id].core.peers.ids().filter(|other| *other != id).collect();
        for other in others {
            let linked = self.nodes[&id].core.peers.is_linked(other);
            if !linked && self.nodes[&other].alive && !self.faults.parts(id, other) {
                let notice = self.up_to(50);
                self.at(notice, Item::Arrives(id, boot, Event::LinkUp(other)));
            }
        }
    }

    fn perform(&mut self, id: NodeId, effect: Effect) {
        let boot = self.nodes[&id].boot;
        match effect {
            Effect::Claim(lease, shards) => self.write(id, id, lease, &shards, Event::Claimed),
            Effect::HandOver { to, lease, tenures } => {
                let shards: Vec<_> = tenures.iter().map(|t| (t.shard, Some(t.epoch))).collect();
                self.write(id, to, lease, &shards, Event::HandedOver);
            }
            Effect::Record { lease, draining, standing } => {
                let node = Node { draining, standing, ..describe(id, boot, self.nodes[&id].acd) };
                let write = |folder: &str, value: Vec<u8>, lease| Write {
                    key: self.folder.join(folder).join(id.0),
                    expect: Expect::Anything,
                    act: Act::Put(value.into(), lease),
                };
                let mut writes = vec![write("nodes", serde_json::to_vec(&node).unwrap(), Some(lease))];
                if standing {
                    writes.push(write("roster", Vec::new(), None));
                }
                self.ask(id, Request::Record(writes));
            }
            Effect::Serve(tenure, unheard) => self.serves(id, tenure.shard, tenure.epoch, &unheard),
            Effect::Stop(shard) => {
                self.serving[shard.index()].remove(&id);
            }
            Effect::Owner(_) => {}
            Effect::Report { to, tenures } => self.send(id, to, Message::Answer(tenures)),
            Effect::Send(to, message) => self.send(id, to, message),
            Effect::Probe(node) => {
                let answers = self.nodes[&node].alive
                    && !self.faults.parts(id, node)
                    && self.faults.frozen.get(&node).is_none_or(|until| *until <= self.now);
                let delay = self.up_to(100);
                let event = if answers { Event::ProbeAnswered(node) } else { Event::ProbeFailed(node) };
                self.at(delay, Item::Arrives(id, boot, event));
            }
        }
    }

    fn write(
        &mut self,
        id: NodeId,
        owner: NodeId,
        lease: LeaseId,
        shards: &[(Shard, Option<Epoch>)],
        answer: fn(Vec<Shard>, crate::ownership::ClaimAnswer) -> Event,
    ) {
        let value = bytes::Bytes::from(owner.0.to_string());
        let writes = shards.iter().map(|(shard, epoch)| Write {
            key: self.folder.join("shards").join(shard),
            expect: epoch.map_or(Expect::Absent, |epoch| Expect::At(Revision(epoch.0))),
            act: Act::Put(value.clone(), Some(lease)),
        });
        let writes = writes.collect();
        let shards: Vec<Shard> = shards.iter().map(|(shard, _)| *shard).collect();
        // Whoever waits too long knows nothing.
        let boot = self.nodes[&id].boot;
        let late = answer(shards.clone(), crate::ownership::ClaimAnswer::Unknown);
        self.at(KEEPER_WAITS, Item::Arrives(id, boot, late));
        self.ask(id, Request::Write(writes, answer, shards));
    }

    fn ask(&mut self, id: NodeId, request: Request) {
        if self.chance(self.faults.loss) {
            return;
        }
        let boot = self.nodes[&id].boot;
        let delay = self.up_to(5);
        self.at(delay, Item::Request(id, boot, request));
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: Message) {
        if self.faults.parts(from, to) || !self.nodes.contains_key(&to) {
            return;
        }
        let copies = if self.chance(self.faults.loss) { 0 } else { 1 + usize::from(self.chance(self.faults.loss)) };
        for _ in 0..copies {
            let boot = self.nodes[&to].boot;
            let delay = if self.chance(self.faults.loss) { self.up_to(2_000) } else { self.up_to(10) };
            self.at(delay, Item::Arrives(to, boot, Event::Received(from, message.clone())));
        }
    }

    /// Registers or keeps alive, and comes again when no answer does.
    pub(super) fn keeper(&mut self, id: NodeId) {
        let now = self.now;
        let node = self.node(id);
        let sent = node.local(now);
        let request = match node.lease {
            None => Request::Register(sent, describe(id, node.boot, node.acd)),
            Some(lease) => Request::KeepAlive(lease, sent),
        };
        self.next_turn(id, KEEPER_WAITS);
        self.ask(id, request);
    }

    fn next_turn(&mut self, id: NodeId, after: Duration) {
        let node = self.node(id);
        node.keeper_turn += 1;
        let (boot, turn) = (node.boot, node.keeper_turn);
        self.at(after, Item::Keeper(id, boot, turn));
    }

    /// The keeper sees the answers that the core gets.
    pub(super) fn keeper_hears(&mut self, id: NodeId, event: &Event) {
        let pause = timing().retry.mul_f64(0.5) + self.up_to(400);
        let node = self.node(id);
        match event {
            Event::Registered { lease, .. } => {
                node.lease = Some(*lease);
                self.next_turn(id, timing().keep_alive);
            }
            Event::KeptAlive { lease, .. } if node.lease == Some(*lease) => {
                self.next_turn(id, timing().keep_alive);
            }
            Event::LeaseLost(lease) if node.lease == Some(*lease) => {
                node.lease = None;
                self.next_turn(id, pause);
            }
            _ => {}
        }
    }
}
