//! The wiring of a test: links that are function calls, and actors that hold nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carillon_acd::ids::{Epoch, NodeId};
use carillon_acd::time::Moment;
use carillon_cluster::member::{Addresses, Node, Roles};
use carillon_cluster::node::{Cluster, Input, Notice};
use carillon_cluster::ownership::{Message, Timing};
use carillon_cluster::shard::Shard;
use carillon_cluster::space::Space;
use tokio::sync::mpsc;
use tokio::time::Instant;

#[derive(Clone, Default)]
pub(crate) struct Hub(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    nodes: BTreeMap<NodeId, (Cluster, Instant)>,
    dead: BTreeSet<NodeId>,
    /// How often a shard was begun or stopped.
    moves: usize,
    stops: usize,
}

impl Hub {
    /// Starts a node; links to all others come with the list of nodes.
    pub(crate) fn join(&self, id: NodeId, timing: Timing, space: Space) {
        let node = Node {
            id,
            boot: 1,
            roles: Roles { edge: true, acd: true, api: false },
            addresses: Addresses::default(),
            zone: None,
            version: "test".into(),
            draining: false,
            standing: false,
        };
        let start = Instant::now();
        let (cluster, notices) = Cluster::start(node, timing, space, start).unwrap();
        self.0.lock().unwrap().nodes.insert(id, (cluster.clone(), start));
        tokio::spawn(self.clone().perform(id, notices));
        tokio::spawn(self.clone().link(id, cluster));
    }

    async fn perform(self, me: NodeId, mut notices: mpsc::Receiver<Notice>) {
        while let Some(notice) = notices.recv().await {
            match notice {
                Notice::Serve(..) => self.0.lock().unwrap().moves += 1,
                Notice::Stop(_) => {
                    let mut inner = self.0.lock().unwrap();
                    (inner.moves, inner.stops) = (inner.moves + 1, inner.stops + 1);
                }
                Notice::Report { to, tenures } => self.send(me, to, Message::Answer(tenures)).await,
                Notice::Owned(..) => {}
                Notice::Send(to, message) => self.send(me, to, message).await,
                Notice::Probe(node) => {
                    let input = match self.reach(me, node) {
                        Some(_) => Input::ProbeAnswered(node),
                        None => Input::ProbeFailed(node),
                    };
                    let hub = self.clone();
                    tokio::spawn(async move { hub.tell(me, input).await });
                }
            }
        }
    }

    async fn link(self, me: NodeId, cluster: Cluster) {
        let mut nodes = cluster.nodes();
        drop(cluster);
        let mut linked = BTreeSet::new();
        while nodes.changed().await.is_ok() {
            let listed: BTreeSet<NodeId> = nodes.borrow().iter().map(|registered| registered.node.id).collect();
            for other in listed.difference(&linked).filter(|other| **other != me) {
                self.tell(me, Input::LinkUp(*other)).await;
            }
            linked = listed;
        }
    }

    fn reach(&self, from: NodeId, to: NodeId) -> Option<Cluster> {
        let inner = self.0.lock().unwrap();
        let alive = !inner.dead.contains(&from) && !inner.dead.contains(&to);
        inner.nodes.get(&to).filter(|_| alive).map(|(cluster, _)| cluster.clone())
    }

    async fn send(&self, from: NodeId, to: NodeId, message: Message) {
        if let Some(cluster) = self.reach(from, to) {
            // A node that has left hears nothing.
            let _ = cluster.tell(Input::Received(from, message)).await;
        }
    }

    async fn tell(&self, id: NodeId, input: Input) {
        if let Some(cluster) = self.reach(id, id) {
            let _ = cluster.tell(input).await;
        }
    }

    /// A node no longer answers anybody, and its links break.
    pub(crate) fn dies(&self, id: NodeId) {
        let others: Vec<NodeId> = self.ids().into_iter().filter(|other| *other != id).collect();
        self.0.lock().unwrap().dead.insert(id);
        for other in others {
            let hub = self.clone();
            tokio::spawn(async move { hub.tell(other, Input::LinkDown(id)).await });
        }
    }

    /// The process of a node that has left ends, and with it its links.
    pub(crate) fn forget(&self, id: NodeId) {
        self.0.lock().unwrap().nodes.remove(&id);
        for other in self.ids() {
            let hub = self.clone();
            tokio::spawn(async move { hub.tell(other, Input::LinkDown(id)).await });
        }
    }

    pub(crate) fn node(&self, id: NodeId) -> Cluster {
        self.0.lock().unwrap().nodes[&id].0.clone()
    }

    /// The nodes that live.
    pub(crate) fn ids(&self) -> Vec<NodeId> {
        let inner = self.0.lock().unwrap();
        inner.nodes.keys().copied().filter(|id| !inner.dead.contains(id)).collect()
    }

    pub(crate) fn stops(&self) -> usize {
        self.0.lock().unwrap().stops
    }

    fn moves(&self) -> usize {
        self.0.lock().unwrap().moves
    }

    /// The shards for which a node may act now.
    pub(crate) fn acting(&self, id: NodeId) -> Vec<Shard> {
        let (cluster, start) = self.0.lock().unwrap().nodes[&id].clone();
        let now = Moment::at(start.elapsed());
        Shard::all().filter(|shard| cluster.acting().epoch(*shard, now).is_some()).collect()
    }

    /// The epoch of each shard's owner, as the first living node knows it.
    pub(crate) fn epochs(&self) -> Vec<Epoch> {
        let node = self.node(self.ids()[0]);
        Shard::all().map(|shard| node.directory().seat(shard).epoch).collect()
    }

    /// The nodes that may act for a shard now, dead ones too.
    pub(crate) fn acting_on(&self, shard: Shard) -> Vec<NodeId> {
        let nodes = self.0.lock().unwrap().nodes.clone();
        let acts = |(cluster, start): &(Cluster, Instant)| {
            cluster.acting().epoch(shard, Moment::at(start.elapsed())).is_some()
        };
        nodes.into_iter().filter(|(_, node)| acts(node)).map(|(id, _)| id).collect()
    }
}

/// Waits until every living node stands, they serve all shards, and nothing has moved for a while.
pub(crate) async fn settled(hub: &Hub, limit: Duration) {
    let begun = Instant::now();
    let mut moves = (hub.moves(), Instant::now());
    loop {
        let served: usize = hub.ids().into_iter().map(|id| hub.acting(id).len()).sum();
        if hub.moves() != moves.0 {
            moves = (hub.moves(), Instant::now());
        }
        let all_stand = hub.ids().into_iter().all(|id| hub.node(id).status().borrow().stands);
        let quiet = moves.1.elapsed() >= QUIET.min(limit / 10);
        if served == usize::from(carillon_cluster::shard::SHARDS) && all_stand && quiet {
            return;
        }
        assert!(begun.elapsed() <= limit, "{served} shards are served after {limit:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Longer than the pause between two rounds of moves.
const QUIET: Duration = Duration::from_millis(1_500);
