//! A coordinator in a bad world, for simulations: the same content for all nodes, reached over a network of this file's
//! own making. Deterministic: with tokio's paused clock (or on turmoil) the same seed gives the same delays and losses.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use carillon_acd::ids::NodeId;
use carillon_acd::rng::Rng;
use carillon_acd::time::Moment;
use tokio::sync::watch;

use crate::coordinator::{Coordinator, Entry, Error, Feed, Key, LeaseId, Listing, News, Revision, Write};
use crate::memory::Memory;
use crate::tree::Tree;

/// How the coordinator is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weather {
    /// The longest that a request or an answer is under way; each takes a random part of it.
    pub delay: Duration,
    /// How many requests in a thousand are lost on the way there.
    pub lost_requests: u32,
    /// How many answers in a thousand are lost on the way back: it was done, and the asker does not know.
    pub lost_answers: u32,
    /// Nobody reaches it.
    pub outage: bool,
    /// These nodes do not reach it.
    pub cut_off: BTreeSet<NodeId>,
}

impl Default for Weather {
    fn default() -> Self {
        let delay = Duration::from_millis(2);
        Weather { delay, lost_requests: 0, lost_answers: 0, outage: false, cut_off: BTreeSet::new() }
    }
}

/// How long an asker waits for an answer that does not come.
const TIMEOUT: Duration = Duration::from_millis(800);

/// The coordinator itself; each node reaches it by its own [`Reached`].
#[derive(Clone, Debug)]
pub struct Simulated(Arc<World>);

#[derive(Debug)]
struct World {
    memory: Memory,
    weather: watch::Sender<Weather>,
    rng: Mutex<Rng>,
}

impl Simulated {
    /// An empty coordinator in good weather.
    pub fn new(seed: u64) -> Self {
        Simulated::of(Memory::new(Tree::default()), seed)
    }

    /// One that nodes on several runtimes reach, each with a clock of its own: `now` is the coordinator's.
    pub fn at_times(seed: u64, now: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Simulated::of(Memory::at_times(Tree::default(), Arc::new(now)), seed)
    }

    fn of(memory: Memory, seed: u64) -> Self {
        let weather = watch::Sender::new(Weather::default());
        Simulated(Arc::new(World { memory, weather, rng: Mutex::new(Rng::new(seed)) }))
    }

    /// Changes the weather, for requests and news from now on.
    pub fn change_weather(&self, change: impl FnOnce(&mut Weather)) {
        self.0.weather.send_modify(change);
    }

    /// Forgets all changes so far, as a compaction does: feeds that are behind begin anew.
    pub fn compact(&self) {
        self.0.memory.with(|tree, _| tree.forget(tree.revision()));
    }

    /// Loses everything, as an etcd that was set up anew: its revisions begin at 1 again.
    pub fn begin_anew(&self) {
        self.0.memory.with(|tree, _| tree.begin_anew());
    }

    /// The coordinator as `node` reaches it.
    pub fn reached_by(&self, node: NodeId) -> Reached {
        Reached { world: Arc::clone(&self.0), node }
    }
}

/// A simulated coordinator as one node reaches it.
#[derive(Clone, Debug)]
pub struct Reached {
    world: Arc<World>,
    node: NodeId,
}

impl World {
    fn dice(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn happens(&self, in_a_thousand: u32) -> bool {
        in_a_thousand > 0 && self.dice().below(1_000) < in_a_thousand as usize
    }

    async fn travel(&self) {
        let delay = self.weather.borrow().delay;
        let part = self.dice().below(1_000);
        tokio::time::sleep(delay.mul_f64(part as f64 / 1_000.0)).await;
    }
}

impl Reached {
    fn is_cut_off(&self) -> bool {
        let weather = self.world.weather.borrow();
        weather.outage || weather.cut_off.contains(&self.node)
    }

    async fn lost(&self) -> Error {
        tokio::time::sleep(TIMEOUT).await;
        Error::Unavailable("no answer in time".into())
    }

    async fn ask<T>(&self, act: impl FnOnce(&Memory) -> Result<T, Error>) -> Result<T, Error> {
        self.world.travel().await;
        let lost = self.world.weather.borrow().lost_requests;
        if self.is_cut_off() || self.world.happens(lost) {
            return Err(self.lost().await);
        }
        let answer = act(&self.world.memory);
        self.world.travel().await;
        let lost = self.world.weather.borrow().lost_answers;
        if self.is_cut_off() || self.world.happens(lost) {
            return Err(self.lost().await);
        }
        answer
    }

    /// News comes while the node is not cut off, and late.
    async fn news(&self, folder: &Key, seen: &mut Option<Revision>) -> News {
        let mut weather = self.world.weather.subscribe();
        let news = self.world.memory.news(folder, seen).await;
        self.world.travel().await;
        while self.is_cut_off() {
            // The world, which holds the sender, outlives this.
            let _ = weather.changed().await;
        }
        news
    }
}

#[async_trait]
impl Coordinator for Reached {
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, Error> {
        self.ask(|memory| Ok(memory.with(|tree, now| tree.grant(now, ttl)))).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), Error> {
        self.ask(|memory| memory.with(|tree, now| tree.keep_alive(now, lease))).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), Error> {
        let revoke = |memory: &Memory| {
            memory.with(|tree, _| tree.revoke(lease));
            Ok(())
        };
        self.ask(revoke).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Revision, Error> {
        self.ask(|memory| memory.with(|tree, _| tree.commit(writes))).await
    }

    async fn list(&self, folder: &Key) -> Result<Listing, Error> {
        self.ask(|memory| Ok(memory.with(|tree, _| tree.list(folder)))).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        self.ask(|memory| Ok(memory.with(|tree, _| tree.get(key)))).await
    }

    fn follow(&self, folder: &Key) -> Feed {
        let (news, feed) = Feed::new();
        let (reached, folder) = (self.clone(), folder.clone());
        tokio::spawn(async move {
            let mut seen = None;
            loop {
                let next = tokio::select! {
                    next = reached.news(&folder, &mut seen) => next,
                    () = news.closed() => return,
                };
                if news.send(next).await.is_err() {
                    return;
                }
            }
        });
        feed
    }
}
