//! Calls that survive their edge (Spec: CL-4). Each edge lets two others know what they would need to go on with each of its
//! calls ([`checkpoints`]); these keep it ([`heir`]). Whoever notices that an edge has died ([`death`]) and is the first living
//! heir of a call of its, tells all nodes that it has the call now, and goes on. When a call has ended its heirs keep the record
//! until that is on the disk, and write it should the edge die before.
//!
//! An edge that was only asleep or cut off hears so when it is back, and forgets the call without a word: an heir never asks
//! whether it may, and two who take over the same call agree by what they tell ([`carillon_acd::whereabouts::Taken`]). Who hears
//! that another node has a call, or its record, removes its own record of it: there is one, whoever was wrong in between.

mod checkpoints;
mod death;
mod doubt;
mod handover;
mod heir;
mod taken;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use carillon_acd::call::Inheritance;
use carillon_acd::ids::{CallId, LegId, NodeId};
use carillon_acd::leg::LegImage;
use carillon_acd::record::{Happened, Record};
use carillon_acd::whereabouts::Taken;
use carillon_actors::{Center, Departure, Survival};
use carillon_cluster::mutant::Mutant;
use carillon_rpc::cluster::link::Links;
use carillon_rpc::cluster::wire::{self, envelope::Message as Wire};
use carillon_rpc::cluster::{Bequest, Legacy};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::phones::Phones;
use checkpoints::Checkpoints;
pub(super) use checkpoints::Heirs;
use death::Deaths;
use doubt::{Doubt, TICK};
use heir::{Heir, Inherited};
pub use taken::REMEMBERED;
use taken::{TakenCall, TakenHere};

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
    records: Box<dyn Records>,
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

impl Parts {
    /// Whether another edge than this one is known to have taken a call over.
    fn has_moved_on(&self, call: CallId, from: NodeId) -> bool {
        ![from, call.node].contains(&self.center.node_of(call))
    }
}

/// Where this node's records are.
pub trait Records: Send + Sync + 'static {
    /// Keeps a record; must not block. `false` when it is only on its way to the disk: [`Estate::written`] is to be told when it
    /// is there.
    fn write(&self, record: Record) -> bool;

    /// Removes those of these calls: other nodes have them.
    fn forget(&self, calls: Vec<CallId>);

    /// Whether other nodes keep records from now on, until they are on the disk here.
    fn kept_elsewhere(&self, kept: bool);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Estate {
    /// Nothing is known yet.
    pub fn new(me: NodeId, records: impl Records) -> Self {
        Estate(Arc::new(Shared {
            me,
            checkpoints: Checkpoints::default(),
            heir: Mutex::default(),
            taken: Mutex::default(),
            deaths: Mutex::default(),
            handing: Mutex::default(),
            doubt: Mutex::default(),
            records: Box::new(records),
            parts: OnceLock::new(),
        }))
    }

    /// What this node has on its disk of other nodes' calls that have ended in the last [`REMEMBERED`]: an earlier run of it may
    /// have had no time to tell them. To be called before it has links.
    pub fn remember(&self, records: &[Record]) {
        lock(&self.0.taken).remember(self.0.me, records);
    }

    /// What a call's actor says of it.
    pub fn checkpoint(&self, call: CallId, survival: Survival) {
        let over = matches!(survival, Survival::Over);
        self.0.checkpoints.take(call, survival);
        if over && lock(&self.0.taken).ends(call) {
            if let Some(parts) = self.0.parts.get() {
                parts.center.ended_elsewhere(&[call]);
            }
            self.tell_all(&wire::TookOver { ended: vec![call.into()], ..Default::default() });
        }
    }

    /// What the edge says of a leg.
    pub fn image(&self, leg: LegId, image: LegImage) {
        self.0.checkpoints.image(leg, image);
    }

    /// A call of this node is over.
    pub fn record(&self, record: Record) {
        self.0.checkpoints.ended(&record);
        let holds = self.0.parts.get().is_none_or(|parts| (parts.holds)());
        let record = lock(&self.0.doubt).ends(Instant::now(), holds, record);
        self.write(record.into_iter().collect());
    }

    /// These records are on the disk, or not for this node to keep: its death does not lose them any more.
    pub fn written(&self, calls: &[CallId]) {
        self.0.checkpoints.written(calls);
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
        // Calls that ended in an earlier run: should another edge have taken one of them over since, its record here is not the
        // one that counts.
        for taken in lock(&self.0.taken).ended() {
            let _ = center.taken_over(taken);
            center.ended_elsewhere(&[taken.call]);
        }
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
            let (now, holds) = (Instant::now(), self.0.parts.get().is_none_or(|parts| (parts.holds)()));
            let records = lock(&self.0.doubt).tick(now, holds);
            self.write(records);
            // After a sleep, others may have taken them meanwhile.
            if self.is_awake() {
                let overdue = lock(&self.0.heir).overdue(now);
                self.inherit(overdue, false);
            }
        }
    }

    /// Records of calls that live or have ended elsewhere are written there.
    fn write(&self, records: Vec<Record>) {
        for record in records {
            let call = record.call;
            let here = self.0.parts.get().is_none_or(|parts| parts.center.node_of(call) == self.0.me);
            if !here || self.0.records.write(record) {
                self.written(&[call]);
            }
        }
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
        self.0.records.kept_elsewhere(!heirs.is_empty());
        self.0.checkpoints.heirs(heirs);
    }

    /// What an heir must know has come.
    pub(super) fn take_checkpoints(&self, from: NodeId, mut it: wire::Checkpoints) {
        let Some(parts) = self.0.parts.get() else { return };
        // An edge that has slept does not know yet which calls are its own no more.
        it.calls.retain(|kept| kept.call.is_some_and(|call| !parts.has_moved_on(call.into(), from)));
        let now = lock(&self.0.heir).keep(Instant::now(), from, it);
        self.inherit(now, true);
    }

    /// Another node has calls that it did not have, or records.
    pub(super) fn take_news(&self, from: NodeId, it: wire::TookOver) {
        let Some(parts) = self.0.parts.get() else { return };
        let mut not_ours = Vec::new();
        let over: HashSet<CallId> = it.ended.iter().map(|call| CallId::from(*call)).collect();
        for taken in it.calls {
            let Some(call) = taken.call.map(CallId::from) else { continue };
            let departure = parts.center.taken_over(Taken { call, edge: from, moves: taken.moves });
            // Who was cut off meanwhile may speak of a call that others have by right: what these want kept is kept.
            if parts.center.node_of(call) == from {
                lock(&self.0.heir).was_taken(call, from);
            }
            match departure {
                // Two heirs that did not hear each other have both asked its phones to come, and the other one yields.
                Departure::NoNews if parts.center.lives(call) => {
                    let theirs = legs(call, &taken.legs);
                    parts.edge.iter().for_each(|edge| edge.reclaim(call, &theirs));
                }
                Departure::NoNews | Departure::NotHere => {}
                Departure::Ended => not_ours.push(call),
                Departure::Left => {
                    tracing::info!(call_id = %call, node = from.0, "another edge has taken this call over");
                    let handing = lock(&self.0.handing).remove(&call);
                    // Who waits for it may have given up.
                    let _ = handing.map(|handing| handing.send(()));
                    self.0.checkpoints.forget(call);
                    lock(&self.0.taken).forget(call);
                    let theirs: Vec<LegId> = legs(call, &taken.legs);
                    if let Some(edge) = &parts.edge {
                        if over.contains(&call) {
                            // Its phones may have come here last, and nobody is there any more to ask them back.
                            edge.abandon(call);
                        } else {
                            edge.forsake(call, &theirs);
                        }
                    }
                }
            }
        }
        let ended = it.ended.into_iter().map(CallId::from).filter(|call| parts.center.node_of(*call) == from);
        let ended: Vec<CallId> = ended.collect();
        if !ended.is_empty() {
            parts.center.ended_elsewhere(&ended);
        }
        not_ours.extend(self.recorded_by(from, it.recorded.into_iter().map(CallId::from).collect()));
        self.drop_records(not_ours);
    }

    /// Another node has written the records of these calls, for an edge that is dead or was taken for it. Those of them that
    /// this node must not have: of two heirs who have written the same one, the first node keeps it.
    fn recorded_by(&self, other: NodeId, mut calls: Vec<CallId>) -> Vec<CallId> {
        calls.iter().for_each(|call| lock(&self.0.heir).was_taken(*call, other));
        if !calls.is_empty() && self.0.me < other {
            let ours = lock(&self.0.taken).recorded();
            calls.retain(|call| !ours.contains(call));
        }
        calls
    }

    fn drop_records(&self, calls: Vec<CallId>) {
        if calls.is_empty() {
            return;
        }
        tracing::info!(
            calls = calls.len(),
            "other nodes have had these calls: records of them that are here are removed"
        );
        lock(&self.0.doubt).forget(&calls);
        lock(&self.0.taken).forget_records(&calls);
        calls.iter().for_each(|call| self.0.checkpoints.forget(*call));
        self.0.records.forget(calls);
    }

    /// A node has died: its calls go on where their first living heir is, and everything else that lived there is gone.
    fn died(&self, node: NodeId) {
        let orphans = lock(&self.0.heir).dies(Instant::now(), node);
        self.0.checkpoints.dies(node);
        self.inherit(orphans, false);
        if let Some(parts) = self.0.parts.get() {
            parts.center.edge_gone(node);
        }
    }

    fn inherit(&self, inherited: Vec<Inherited>, planned: bool) {
        let Some(parts) = self.0.parts.get().filter(|parts| parts.edge.is_some()) else { return };
        let (mut orphans, mut records) = (Vec::new(), Vec::new());
        for Inherited { from, what } in inherited {
            // Another heir may have said meanwhile that it has the call.
            let elsewhere = parts.has_moved_on(what.call(), from);
            match what {
                // The center knows as well, and whose right is older.
                Bequest::Living(legacy) => orphans.push((from, *legacy)),
                Bequest::Ended(record) if !elsewhere => records.push(*record),
                Bequest::Ended(_) => {}
            }
        }
        self.inherit_records(records);
        self.take_over(parts, orphans, planned);
    }

    /// Calls that had ended when their edge died, before it had written their records.
    fn inherit_records(&self, records: Vec<Record>) {
        if records.is_empty() {
            return;
        }
        let calls: Vec<CallId> = records.iter().map(|record| record.call).collect();
        tracing::info!(calls = calls.len(), "writing the records that a dead edge has left");
        self.had_moved(&records);
        lock(&self.0.taken).records(&calls);
        let all = lock(&self.0.taken).all();
        let news = |call: &Option<wire::CallId>| call.is_some_and(|call| calls.contains(&call.into()));
        self.tell_all(&wire::TookOver {
            calls: all.calls.into_iter().filter(|taken| news(&taken.call)).collect(),
            ended: all.ended.into_iter().filter(|call| news(&Some(*call))).collect(),
            recorded: calls.iter().map(|call| (*call).into()).collect(),
        });
        for record in records {
            // Nobody waits for it here.
            let _ = self.0.records.write(record);
        }
    }

    /// Calls that had been taken over before they ended: an edge that had one earlier, and has not heard of that, hears from this
    /// node that it is over.
    fn had_moved(&self, records: &[Record]) {
        let Some(parts) = self.0.parts.get() else { return };
        for record in records {
            let moves = record.transitions.iter().filter(|it| matches!(it.what, Happened::Moved { .. })).count();
            let moves = u32::try_from(moves).unwrap_or(u32::MAX);
            if moves > 0 {
                let taken = Taken { call: record.call, edge: self.0.me, moves };
                // It may be known here already that the dead edge had it.
                let _ = parts.center.taken_over(taken);
                lock(&self.0.taken).add(&[TakenCall { taken, legs: Vec::new() }]);
                lock(&self.0.taken).ends(record.call);
                parts.center.ended_elsewhere(&[record.call]);
            }
        }
    }

    fn take_over(&self, parts: &Parts, orphans: Vec<(NodeId, Legacy)>, planned: bool) {
        let Some((from, _)) = orphans.first() else { return };
        tracing::info!(node = from.0, calls = orphans.len(), planned, "taking calls over");
        let taken = |legacy: &Legacy| TakenCall {
            taken: legacy.checkpoint.taken_by(self.0.me),
            legs: legacy.checkpoint.legs(),
        };
        let taken: Vec<TakenCall> = orphans.iter().map(|(_, legacy)| taken(legacy)).collect();
        lock(&self.0.taken).add(&taken);
        // First of all: what the calls say to others finds them knowing where it comes from.
        let calls = taken.iter().map(TakenCall::to_wire).collect();
        if !Mutant::SilentHeir.is_made() {
            self.tell_all(&wire::TookOver { calls, ..Default::default() });
        }
        for (from, Legacy { checkpoint, age, images, .. }) in orphans {
            let call = checkpoint.call();
            // Should this node die before the phones have agreed, the next heir begins with the same.
            images.iter().for_each(|(leg, image)| self.0.checkpoints.image(*leg, image.clone()));
            let inheritance = Inheritance { from, to: self.0.me, planned, age, images };
            if !parts.center.resume(&checkpoint, inheritance) && !parts.center.lives(call) {
                // Another edge has more right to it.
                self.0.checkpoints.forget(call);
                lock(&self.0.taken).forget(call);
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
        if !news.calls.is_empty() || !news.recorded.is_empty() {
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

/// Legs of a call by their numbers.
fn legs(call: CallId, numbers: &[u32]) -> Vec<LegId> {
    numbers.iter().filter_map(|n| Some(LegId { call, n: u16::try_from(*n).ok()? })).collect()
}

/// The images of one call's legs.
type Images = HashMap<LegId, LegImage>;
