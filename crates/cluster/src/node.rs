//! A node's part in the cluster, running: one task drives the ownership core, another keeps the lease alive, and what
//! the coordinator takes time for runs beside them.

mod counts;
mod keeper;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use carillon_acd::ids::NodeId;
use carillon_acd::time::Moment;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::Instant;

pub use counts::Counts;
use counts::{Counters, count};

use crate::acting::Acting;
use crate::coordinator::{Error, Feed};
use crate::directory::Directory;
use crate::member::{Node, Registered};
use crate::mutant::Mutant;
use crate::ownership::{BadTiming, Effect, Event, Message, Ownership, Seat, Tenure, Timing};
use crate::picture::Picture;
use crate::shard::Shard;
use crate::space::Space;

/// What may wait to be heard by the core: links and probes of a few hundred nodes, with room.
const INBOX: usize = 1024;

/// What may wait for the wiring: every shard served and announced at once, twice.
const NOTICES: usize = 4096;

/// What the links have to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The link to a node works.
    LinkUp(NodeId),
    /// It broke.
    LinkDown(NodeId),
    /// A node asked for by [`Notice::Probe`] answered.
    ProbeAnswered(NodeId),
    /// It did not.
    ProbeFailed(NodeId),
    /// A message of another node's core.
    Received(NodeId, Message),
}

/// What the node has to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Start to serve a shard, or go on in a newer epoch. The nodes named have not answered yet: what they hold may
    /// come later.
    Serve(Tenure, Vec<NodeId>),
    /// Stop serving a shard. [`Acting`] refuses it already.
    Stop(Shard),
    /// Tell `to` all tickets, reservations and registrations of these shards, then send it
    /// [`Message::Answer`] with the same tenures over the same link.
    Report {
        /// The new owner.
        to: NodeId,
        /// What it has announced.
        tenures: Vec<Tenure>,
    },
    /// Another node owns a shard since this epoch. Unless it has asked already, tell it what this node holds of the shard: it may
    /// have begun while this node was out of its reach.
    Owned(NodeId, Tenure),
    /// Send a message to a node's core; without a link it is lost.
    Send(NodeId, Message),
    /// Ask a node by a new connection whether it lives, within [`Timing::probe`].
    Probe(NodeId),
}

/// Where a node stands in the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// It knows the owners of all shards. Before that it should take no calls: it could not tell old epochs from new.
    pub informed: bool,
    /// It may act on what it owns.
    pub holds: bool,
    /// It has told the others that it may own shards.
    pub stands: bool,
    /// It hands over what it owns.
    pub draining: bool,
    /// How many shards it serves.
    pub serving: usize,
    /// How many it owns or is about to; a drain is done at zero.
    pub holdings: usize,
}

/// A running node, as the rest of the process uses it. Clones are the same node; when the last is dropped, it leaves.
#[derive(Clone, Debug)]
pub struct Cluster {
    space: Space,
    me: NodeId,
    acting: Acting,
    directory: Directory,
    nodes: watch::Receiver<Arc<[Registered]>>,
    status: watch::Receiver<Status>,
    inbox: mpsc::Sender<Input>,
    orders: mpsc::Sender<Order>,
    counters: Arc<Counters>,
    start: Instant,
}

/// What the process asks of its own node.
#[derive(Debug)]
enum Order {
    /// See [`Cluster::retire`].
    Retire,
    /// See [`Cluster::leave`]; told when it is done.
    Leave(oneshot::Sender<()>),
}

/// The node is no longer part of the cluster, or its task has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node has left the cluster")]
pub struct Left;

impl Cluster {
    /// Starts the node that `me` describes. `start` is what its moments count from. What it has to do comes from the
    /// receiver; a wiring that does not read it stops the core (not the lease's count: that is [`Acting`]'s).
    ///
    /// # Errors
    /// Those of [`Timing::check`].
    pub fn start(
        me: Node,
        timing: Timing,
        space: Space,
        start: Instant,
    ) -> Result<(Cluster, mpsc::Receiver<Notice>), BadTiming> {
        timing.check()?;
        let (acting, directory) = (Acting::nothing(), Directory::empty());
        let (nodes_tx, nodes) = watch::channel(Arc::from([]));
        let (status_tx, status) = watch::channel(Status::default());
        let (inbox, inputs) = mpsc::channel(INBOX);
        let (orders, ordered) = mpsc::channel(1);
        let (notices, todo) = mpsc::channel(NOTICES);
        let (heard, events) = mpsc::channel(INBOX);
        let (updates, entry) = watch::channel(me.clone());
        let counters: Arc<Counters> = Arc::default();
        let (space_of_keeper, counted) = (space.clone(), counters.clone());
        let keeper = keeper::Keeper { space: space_of_keeper, timing, start, entry, heard, trouble: None, counted };
        let driver = Driver {
            me: me.id,
            core: Ownership::new(me.clone(), timing),
            picture: Picture::new(space.cluster()),
            feed: space.follow(),
            updates,
            space: space.clone(),
            start,
            retry: timing.retry,
            acting: acting.clone(),
            directory: directory.clone(),
            nodes: nodes_tx,
            status: status_tx,
            notices,
            retiring: false,
            beginning: None,
            counters: counters.clone(),
            work: JoinSet::new(),
            keeper: tokio::spawn(keeper.run()),
        };
        let me = me.id;
        tokio::spawn(driver.run(inputs, events, ordered));
        Ok((Cluster { space, me, acting, directory, nodes, status, inbox, orders, counters, start }, todo))
    }

    /// This node.
    pub fn id(&self) -> NodeId {
        self.me
    }

    /// The coordinator's part of this cluster.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// What this node may act on, now.
    pub fn acting(&self) -> &Acting {
        &self.acting
    }

    /// Who owns what.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The registered nodes, this one among them, as they change.
    pub fn nodes(&self) -> watch::Receiver<Arc<[Registered]>> {
        self.nodes.clone()
    }

    /// How this node stands, as it changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// What has happened to it so far.
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }

    /// For how long it may still act as an owner if nobody renews that, now.
    pub fn authority_left(&self) -> Duration {
        self.acting.until().since(Moment::at(self.start.elapsed()))
    }

    /// Tells the core what the links have to say; waits while its inbox is full. Not from the task that reads the
    /// notices: when both are full each would wait for the other.
    ///
    /// # Errors
    /// [`Left`].
    pub async fn tell(&self, input: Input) -> Result<(), Left> {
        self.inbox.send(input).await.map_err(|_| Left)
    }

    /// Hands over everything, and takes nothing new for the rest of this run: the process is about to end. Unlike a drain
    /// by [`Space::drain`] it is forgotten with the run. [`Status::holdings`] tells how far it is. Spec: CL-6.
    pub async fn retire(&self) {
        // Who has left holds nothing any more.
        let _ = self.orders.send(Order::Retire).await;
    }

    /// Leaves: stops serving at once, and gives up the lease, so that nobody waits for it. Hand over first: see
    /// [`Cluster::retire`] and [`Status::holdings`].
    pub async fn leave(&self) {
        let (done, left) = oneshot::channel();
        if self.orders.send(Order::Leave(done)).await.is_ok() {
            // An error means that the task has ended: so it has left.
            let _ = left.await;
        }
    }
}

/// The task that drives the core.
struct Driver {
    me: NodeId,
    core: Ownership,
    picture: Picture,
    feed: Feed,
    space: Space,
    start: Instant,
    /// [`Timing::retry`].
    retry: Duration,
    /// What the node says of itself; the keeper writes it when it registers.
    updates: watch::Sender<Node>,
    acting: Acting,
    directory: Directory,
    nodes: watch::Sender<Arc<[Registered]>>,
    status: watch::Sender<Status>,
    notices: mpsc::Sender<Notice>,
    /// The process has asked for it; nothing ends it.
    retiring: bool,
    /// Writes a new era.
    beginning: Option<AbortHandle>,
    counters: Arc<Counters>,
    work: JoinSet<Option<Event>>,
    keeper: JoinHandle<()>,
}

impl Driver {
    async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut events: mpsc::Receiver<Event>,
        mut orders: mpsc::Receiver<Order>,
    ) {
        let left = loop {
            let wake = self.core.deadline().map(|at| self.start + at.since(Moment::START));
            // The keeper's word comes first: under load, authority must not wait behind what it is needed for.
            tokio::select! {
                biased;
                Some(event) = events.recv() => self.hear(event).await,
                order = orders.recv() => match order {
                    Some(Order::Retire) => {
                        self.retiring = true;
                        self.heed_drain().await;
                    }
                    Some(Order::Leave(done)) => break Some(done),
                    None => break None,
                },
                Some(done) = self.work.join_next() => match done {
                    Ok(event) => if let Some(event) = event { self.hear(event).await },
                    Err(error) => tracing::error!(%error, "a request to the coordinator failed badly"),
                },
                news = self.feed.next() => match news {
                    Some(news) => self.news(news).await,
                    None => break None,
                },
                Some(input) = inputs.recv() => self.hear(Event::from(input)).await,
                () = sleep_until(wake) => self.hear(Event::Time).await,
            }
        };
        self.leave().await;
        if let Some(done) = left {
            // Nobody waits any more when this fails.
            let _ = done.send(());
        }
    }

    async fn news(&mut self, news: crate::coordinator::News) {
        for event in self.picture.apply(news) {
            self.hear(event).await;
        }
        self.nodes.send_if_modified(|known| {
            let changed = !known.iter().eq(self.picture.nodes());
            if changed {
                *known = self.picture.nodes().cloned().collect();
            }
            changed
        });
        self.heed_drain().await;
        self.mind_the_era();
    }

    /// Begins a new era when the coordinator has lost its memory. Of several nodes that do so at once one succeeds; the
    /// others look again when the feed brings that.
    fn mind_the_era(&mut self) {
        let Some(begins) = self.picture.next_era(self.core.newest()) else { return };
        if self.beginning.as_ref().is_some_and(|it| !it.is_finished()) {
            return;
        }
        let (space, before, retry) = (self.space.clone(), self.picture.era(), self.retry);
        tracing::warn!(node = self.me.0, era = begins, "the coordinator has lost its memory: a new era begins");
        let beginning = self.work.spawn(async move {
            loop {
                match space.begin_era(before, begins).await {
                    Ok(()) | Err(Error::Conflict(_)) => return None,
                    Err(error @ (Error::Unavailable(_) | Error::LeaseLost | Error::Refused(_))) => {
                        tracing::warn!(%error, "the new era is not written yet");
                        tokio::time::sleep(retry).await;
                    }
                }
            }
        });
        self.beginning = Some(beginning);
    }

    /// Lets the core drain while the process or the coordinator wants it.
    async fn heed_drain(&mut self) {
        let draining = self.retiring || self.picture.drains().contains(&self.me);
        if draining != self.core.is_draining() {
            self.hear(Event::Drain(draining)).await;
        }
    }

    /// Lets the core decide. What the actors must know at once they know before anything is sent or awaited.
    async fn hear(&mut self, event: Event) {
        let mut effects = Vec::new();
        let now = Moment::at(self.start.elapsed());
        self.core.handle(now, event, &mut effects);
        let mut early = 0;
        for effect in &effects {
            match effect {
                Effect::Serve(tenure, unheard) => {
                    early += usize::from(!unheard.is_empty());
                    count(&self.counters.begun);
                    self.acting.serve(tenure.shard, tenure.epoch);
                }
                Effect::Stop(shard) => {
                    count(&self.counters.ended);
                    self.acting.stop(*shard);
                }
                Effect::Owner(seat) => {
                    if self.directory.learn(*seat) {
                        count(&self.counters.owner_changes);
                    }
                }
                Effect::Send(_, Message::Newer(_)) => count(&self.counters.stale_announcements),
                Effect::Claim(..)
                | Effect::HandOver { .. }
                | Effect::Record { .. }
                | Effect::Report { .. }
                | Effect::Send(..)
                | Effect::Probe(_) => {}
            }
        }
        // After what has stopped: a new lease is none for what was served on the last one.
        self.acting.extend(self.core.until());
        if early > 0 {
            self.counters.early.fetch_add(early as u64, Ordering::Relaxed);
            tracing::warn!(node = self.me.0, shards = early, "serving before all nodes have answered");
        }
        for effect in effects {
            self.perform(effect).await;
        }
        self.publish(now);
    }

    async fn perform(&mut self, effect: Effect) {
        let space = self.space.clone();
        match effect {
            Effect::Claim(lease, shards) => {
                let (me, era) = (self.me, self.picture.era());
                self.work.spawn(async move {
                    let answer = space.claim(era, lease, me, &shards).await;
                    Some(Event::Claimed(shards.into_iter().map(|(shard, _)| shard).collect(), answer))
                });
            }
            Effect::HandOver { to, lease, tenures } => {
                let era = self.picture.era();
                self.work.spawn(async move {
                    let answer = space.hand_over(era, lease, to, &tenures).await;
                    Some(Event::HandedOver(tenures.into_iter().map(|tenure| tenure.shard).collect(), answer))
                });
            }
            Effect::Record { lease, draining, standing } => {
                self.updates.send_modify(|node| (node.draining, node.standing) = (draining, standing));
                let node = self.updates.borrow().clone();
                self.work.spawn(async move {
                    // The core asks again until the feed brings it.
                    if let Err(error) = space.record(lease, &node).await {
                        tracing::debug!(%error, node = node.id.0, "entry not written");
                    }
                    None
                });
            }
            Effect::Serve(tenure, unheard) => {
                self.notify(Notice::Serve(tenure, unheard)).await;
            }
            Effect::Stop(shard) => self.notify(Notice::Stop(shard)).await,
            Effect::Report { to, tenures } if Mutant::NothingReported.is_made() => {
                self.notify(Notice::Send(to, Message::Answer(tenures))).await;
            }
            Effect::Report { to, tenures } => self.notify(Notice::Report { to, tenures }).await,
            Effect::Send(to, message) => self.notify(Notice::Send(to, message)).await,
            Effect::Probe(node) => self.notify(Notice::Probe(node)).await,
            Effect::Owner(Seat { shard, epoch, owner }) => {
                let owner = owner.filter(|owner| *owner != self.me && !Mutant::NothingReported.is_made());
                if let Some(owner) = owner {
                    self.notify(Notice::Owned(owner, Tenure { shard, epoch })).await;
                }
            }
        }
    }

    async fn notify(&self, notice: Notice) {
        // A process that is ending no longer reads; what it would have done no longer matters.
        let _ = self.notices.send(notice).await;
    }

    fn publish(&self, now: Moment) {
        let status = Status {
            informed: self.core.is_informed(),
            holds: now < self.core.until(),
            stands: self.core.stands(),
            draining: self.core.is_draining(),
            serving: self.core.serving(),
            holdings: self.core.holdings(),
        };
        self.status.send_if_modified(|known| std::mem::replace(known, status) != status);
    }

    /// Stops serving, then ends the lease with all that hangs on it, and comes off the roster.
    async fn leave(&mut self) {
        self.keeper.abort();
        let lease = self.core.lease();
        self.hear(Event::Leave).await;
        self.work.shutdown().await;
        let Some(lease) = lease else { return };
        let gone = async {
            self.space.coordinator().revoke(lease).await?;
            self.space.forget(self.me).await
        };
        if let Err(error) = gone.await {
            tracing::warn!(%error, node = self.me.0, "left without a word; the lease will end by itself");
        }
    }
}

impl From<Input> for Event {
    fn from(input: Input) -> Event {
        match input {
            Input::LinkUp(node) => Event::LinkUp(node),
            Input::LinkDown(node) => Event::LinkDown(node),
            Input::ProbeAnswered(node) => Event::ProbeAnswered(node),
            Input::ProbeFailed(node) => Event::ProbeFailed(node),
            Input::Received(from, message) => Event::Received(from, message),
        }
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
