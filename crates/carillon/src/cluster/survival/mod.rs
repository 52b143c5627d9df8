//! Calls that survive their edge (Spec: CL-4). Each edge lets two others know what they would need to go on with each of its
//! calls ([`checkpoints`]); these keep it ([`heir`]). Whoever notices that an edge has died ([`death`]) and is the first living
//! heir of a call of its, tells all nodes that it has the call now, and goes on.
//!
//! An edge that was only asleep or cut off hears so when it is back, and forgets the call without a word: an heir never asks
//! whether it may, and two who take over the same call agree by what they tell ([`carillon_acd::whereabouts::Taken`]).

mod checkpoints;
mod death;
mod doubt;
mod handover;
mod heir;
mod taken;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use carillon_acd::call::Inheritance;
use carillon_acd::ids::{CallId, LegId, NodeId};
use carillon_acd::leg::LegImage;
use carillon_acd::record::Record;
use carillon_acd::whereabouts::Taken;
use carillon_actors::{Center, Survival};
use carillon_rpc::cluster::Legacy;
use carillon_rpc::cluster::link::Links;
use carillon_rpc::cluster::wire::{self, envelope::Message as Wire};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::phones::Phones;
use checkpoints::Checkpoints;
pub(super) use checkpoints::Heirs;
use death::Deaths;
use doubt::{Doubt, TICK};
use heir::Heir;
use taken::TakenHere;

/// This node's part in it. Clones are the same.
#[derive(Clone)]
pub struct Estate(Arc<Shared>);

struct Shared {
    me: NodeId,
    checkpoints: Checkpoints,
    heir: Mutex<Heir>,
    taken: Mutex<TakenHere>,
    deaths: Mutex<Deaths>,
    /// Calls that are handed over at this moment, and who waits for it.
    handing: Mutex<HashMap<CallId, oneshot::Sender<()>>>,
    doubt: Mutex<Doubt>,
    write: Box<dyn Fn(Record) + Send + Sync>,
    parts: OnceLock<Parts>,
}

/// There once the center and the edge are.
struct Parts {
    center: Center,
    edge: Option<Arc<dyn Phones>>,
    links: Links,
    /// Whether this node is certain to be part of the cluster.
    holds: Box<dyn Fn() -> bool + Send + Sync>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Estate {
    /// Nothing is known yet. `write` keeps a record; it must not block.
    pub fn new(me: NodeId, write: impl Fn(Record) + Send + Sync + 'static) -> Self {
        Estate(Arc::new(Shared {
            me,
            checkpoints: Checkpoints::default(),
            heir: Mutex::default(),
            taken: Mutex::default(),
            deaths: Mutex::default(),
            handing: Mutex::default(),
            doubt: Mutex::default(),
            write: Box::new(write),
            parts: OnceLock::new(),
        }))
    }

    /// What a call's actor says of it.
    pub fn checkpoint(&self, call: CallId, survival: Survival) {
        let over = matches!(survival, Survival::Over);
        self.0.checkpoints.take(call, survival);
        if over && lock(&self.0.taken).ends(call) {
            if let Some(parts) = self.0.parts.get() {
                parts.center.ended_elsewhere(&[call]);
            }
            self.tell_all(&wire::TookOver { calls: Vec::new(), ended: vec![call.into()] });
        }
    }

    /// What the edge says of a leg.
    pub fn image(&self, leg: LegId, image: LegImage) {
        self.0.checkpoints.image(leg, image);
    }

    /// A call of this node is over.
    pub fn record(&self, record: Record) {
        let holds = self.0.parts.get().is_none_or(|parts| (parts.holds)());
        let holds = holds && !lock(&self.0.handing).contains_key(&record.call);
        let record = lock(&self.0.doubt).ends(Instant::now(), holds, record);
        record.into_iter().for_each(&self.0.write);
    }

    /// Whether calls may act by themselves: not right after a sleep, when others may have taken them over.
    pub fn is_awake(&self) -> bool {
        lock(&self.0.doubt).is_awake(Instant::now())
    }

    /// Begins to work. `holds` tells whether this node is certain to be part of the cluster.
    pub(super) fn run(
        &self,
        center: Center,
        edge: Option<Arc<dyn Phones>>,
        links: Links,
        holds: impl Fn() -> bool + Send + Sync + 'static,
    ) -> [JoinHandle<()>; 2] {
        let parts = Parts { center: center.clone(), edge, links: links.clone(), holds: Box::new(holds) };
        // Nobody else sets it.
        let _ = self.0.parts.set(parts);
        let (shared, estate) = (self.0.clone(), self.clone());
        [
            tokio::spawn(async move { shared.checkpoints.send(&center, &links).await }),
            tokio::spawn(async move { estate.tick().await }),
        ]
    }

    async fn tick(&self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let holds = self.0.parts.get().is_none_or(|parts| (parts.holds)());
            let records = lock(&self.0.doubt).tick(Instant::now(), holds);
            self.write(records);
        }
    }

    /// Records of calls that have ended elsewhere too are written there.
    fn write(&self, records: Vec<Record>) {
        let here =
            |record: &Record| self.0.parts.get().is_none_or(|parts| parts.center.node_of(record.call) == self.0.me);
        records.into_iter().filter(here).for_each(&self.0.write);
    }

    /// This node stops and ends its calls itself: nobody is to take them over.
    pub(super) fn renounce(&self) {
        let records = lock(&self.0.doubt).leave();
        self.write(records);
        if let Some(parts) = self.0.parts.get() {
            self.0.checkpoints.renounce(&parts.links);
        }
    }

    /// Who may be an heir has changed.
    pub(super) fn heirs(&self, heirs: Heirs) {
        self.0.checkpoints.heirs(heirs);
    }

    /// What an heir must know has come.
    pub(super) fn take_checkpoints(&self, from: NodeId, it: wire::Checkpoints) {
        let now = lock(&self.0.heir).keep(from, it);
        self.inherit(from, now, true);
    }

    /// Another node has calls that it did not have.
    pub(super) fn take_news(&self, from: NodeId, it: wire::TookOver) {
        let Some(parts) = self.0.parts.get() else { return };
        for taken in it.calls {
            let Some(call) = taken.call.map(CallId::from) else { continue };
            lock(&self.0.heir).was_taken(call, from);
            if parts.center.taken_over(Taken { call, edge: from, moves: taken.moves }) {
                tracing::info!(call_id = %call, node = from.0, "another edge has taken this call over");
                let handing = lock(&self.0.handing).remove(&call);
                // Who waits for it may have given up.
                let _ = handing.map(|handing| handing.send(()));
                self.0.checkpoints.forget(call);
                lock(&self.0.taken).forget(call);
                parts.edge.iter().for_each(|edge| edge.forsake(call));
            }
        }
        let ended: Vec<CallId> = it.ended.into_iter().map(CallId::from).collect();
        if !ended.is_empty() {
            parts.center.ended_elsewhere(&ended);
        }
    }

    /// A node has died: its calls go on where their first living heir is, and everything else that lived there is gone.
    fn died(&self, node: NodeId) {
        let orphans = lock(&self.0.heir).dies(node);
        self.0.checkpoints.dies(node);
        self.inherit(node, orphans, false);
        if let Some(parts) = self.0.parts.get() {
            parts.center.edge_gone(node);
        }
    }

    fn inherit(&self, from: NodeId, orphans: Vec<Legacy>, planned: bool) {
        let Some(parts) = self.0.parts.get().filter(|parts| parts.edge.is_some()) else { return };
        if orphans.is_empty() {
            return;
        }
        tracing::info!(node = from.0, calls = orphans.len(), planned, "taking calls over");
        let taken: Vec<Taken> = orphans.iter().map(|legacy| legacy.checkpoint.taken_by(self.0.me)).collect();
        lock(&self.0.taken).add(&taken);
        // First of all: what the calls say to others finds them knowing where it comes from.
        self.tell_all(&wire::TookOver { calls: taken.iter().map(taken_to_wire).collect(), ended: Vec::new() });
        for Legacy { checkpoint, age, images, .. } in orphans {
            // Should this node die before the phones have agreed, the next heir begins with the same.
            images.iter().for_each(|(leg, image)| self.0.checkpoints.image(*leg, image.clone()));
            let inheritance = Inheritance { from, to: self.0.me, planned, age, images };
            if !parts.center.resume(&checkpoint, inheritance) {
                self.0.checkpoints.forget(checkpoint.call());
            }
        }
    }

    fn tell_all(&self, news: &wire::TookOver) {
        let Some(parts) = self.0.parts.get() else { return };
        for node in parts.links.up() {
            tell(&parts.links, node, news.clone());
        }
    }

    /// All that is to be said over a new link.
    fn greet(&self, node: NodeId) {
        let Some(parts) = self.0.parts.get() else { return };
        let news = lock(&self.0.taken).all();
        if !news.calls.is_empty() {
            tell(&parts.links, node, news);
        }
        self.0.checkpoints.again(node);
    }
}

fn tell(links: &Links, node: NodeId, news: wire::TookOver) {
    if let Err(error) = links.send(node, Wire::TookOver(news).into()) {
        // Said again when the link is up.
        tracing::debug!(%error, node = node.0, "news of calls that were taken over not sent");
    }
}

fn taken_to_wire(taken: &Taken) -> wire::Taken {
    wire::Taken { call: Some(taken.call.into()), moves: taken.moves }
}

/// The images of one call's legs.
type Images = HashMap<LegId, LegImage>;
