//! This node among others: who owns what comes from `carillon_cluster`, what nodes say to each other goes over
//! `carillon_rpc`'s links, and the actors do what both of them bring.

pub(crate) mod config;
mod holdings;
pub(crate) mod intake;
mod links;
mod nodes;
mod owed;
mod phones;
mod steps;
mod survival;
mod wire;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use arc_swap::ArcSwap;
use carillon_acd::agent;
use carillon_acd::ids::{AgentId, CallId, Epoch, NodeId};
use carillon_acd::leg::Reachability;
use carillon_acd::time::Moment;
use carillon_actors::{Center, CenterError, NotHere, Objects, Owned, Title};
use carillon_cluster::member::Node;
use carillon_cluster::node::{Cluster, Input, Notice};
use carillon_cluster::ownership::{Message as CoreMessage, Tenure, Timing};
use carillon_cluster::shard::Shard;
use carillon_cluster::space::Space;
use carillon_rpc::cluster::Message;
use carillon_rpc::cluster::held;
use carillon_rpc::cluster::link::transport::{Listener, Transport};
use carillon_rpc::cluster::link::{LinkError, LinkStats, Links, Myself};
use carillon_rpc::cluster::wire::{Envelope, envelope::Message as Wire};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use holdings::{Holdings, Reports};
use links::Heard;
pub(crate) use nodes::KnownNodes;
use owed::Owed;
pub use phones::Phones;
use steps::{Step, steps};
pub use survival::{Estate, REMEMBERED, Records};

/// An owner that fails on its node is replaced there with the next epoch: so many times before the epoch of another
/// node's election comes.
const OWNERS_PER_ELECTION: u64 = 1 << 16;

/// What the rest of the node needs of its membership. Clones are the same.
#[derive(Clone)]
pub struct Membership {
    cluster: Cluster,
    links: Links,
    me: NodeId,
    works: Arc<OnceLock<Works>>,
    reports: Arc<Reports>,
    holdings: Arc<ArcSwap<Holdings>>,
    changes: mpsc::Sender<Changed>,
}

/// Another configuration, for those who own.
struct Changed {
    objects: Objects,
    everything: Vec<Owned>,
    done: oneshot::Sender<Result<(), CenterError>>,
}

/// A member that runs.
pub struct Member {
    /// What the rest of the node needs of it.
    pub membership: Membership,
    estate: Estate,
    tasks: Vec<JoinHandle<()>>,
}

/// What a member works on: there once the center and the edge are.
struct Works {
    center: Center,
    edge: Option<Arc<dyn Phones>>,
    membership: Membership,
    estate: Estate,
}

impl Works {
    /// What was said while there was no link to `node` is lost, and it may own since then what others owned before, without
    /// having heard this node: what calls here hold is said again, and then where phones are. In this order, or an agent who
    /// talks would be taken for one who is free.
    async fn tell_again(&self, node: NodeId) {
        let directory = self.membership.cluster.directory().clone();
        let owned_there = move |owned: &Owned| {
            let owner = directory.owner(holdings::shard(owned)).filter(|owner| owner.node == node)?;
            Some(owners_epoch(owner.epoch))
        };
        self.center.held(owned_there).await.into_iter().for_each(|held| self.membership.carry(held));
        let Some(edge) = &self.edge else { return };
        let directory = self.membership.cluster.directory();
        let owned_there = |agent: &AgentId| directory.of_agent(agent).is_some_and(|owner| owner.node == node);
        for agent in self.membership.holdings.load_full().agents().filter(|agent| owned_there(agent)) {
            let reports = edge.reachability(agent).into_iter().filter(|report| !report.contacts.is_empty());
            reports.for_each(|report| self.membership.carry(reachability(report)));
        }
    }
}

/// How a member is started; see [`Member::begin`].
pub struct Beginning<L> {
    /// What the rest of the node needs of it.
    pub membership: Membership,
    listener: L,
    heard: Heard,
    links_changed: Arc<Notify>,
    servant: Servant,
}

/// Does what the cluster asks of this node.
struct Servant {
    membership: Membership,
    notices: mpsc::Receiver<Notice>,
    changes: mpsc::Receiver<Changed>,
    /// The elections whose owners have been told what this node holds.
    told: HashMap<Shard, Epoch>,
    owed: Owed,
    start: Instant,
    timing: Timing,
}

impl Member {
    /// Joins the cluster of `space` as `me`, whose links come in at `listener`. Owners start with [`Beginning::run`]: the
    /// center that they live in needs the membership to reach other nodes.
    pub fn begin<L: Listener>(
        me: Node,
        timing: Timing,
        space: Space,
        listener: L,
        transport: Transport,
    ) -> anyhow::Result<Beginning<L>> {
        let (core, heard) = links::to_core();
        let (works, reports): (Arc<OnceLock<Works>>, Arc<Reports>) = Default::default();
        let links_changed: Arc<Notify> = Arc::default();
        let myself = Myself { node: me.id, boot: me.boot };
        let links = Links::new(myself, links::inbox(core, works.clone(), links_changed.clone()), transport);
        let start = Instant::now();
        let id = me.id;
        let (cluster, notices) = Cluster::start(me, timing, space, start).context("the cluster's timing")?;
        let (changed, changes) = mpsc::channel(1);
        let holdings = Arc::default();
        let membership = Membership { cluster, links, me: id, works, reports, holdings, changes: changed };
        let (told, owed) = Default::default();
        let servant = Servant { membership: membership.clone(), notices, changes, told, owed, start, timing };
        Ok(Beginning { membership, listener, heard, links_changed, servant })
    }

    /// Leaves the cluster: nobody waits for this node's lease.
    pub async fn leave(self) {
        self.estate.renounce();
        self.membership.cluster.leave().await;
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl<L: Listener> Beginning<L> {
    /// Does what the cluster asks of this node from now on.
    pub fn run(
        self,
        center: Center,
        edge: Option<Arc<dyn Phones>>,
        everything: impl IntoIterator<Item = Owned>,
        estate: Estate,
    ) -> Member {
        let Beginning { membership, listener, heard, links_changed, servant } = self;
        membership.holdings.store(Arc::new(Holdings::new(everything)));
        let (acting, start) = (membership.cluster.acting().clone(), servant.start);
        let holds = move || acting.holds(Moment::at(start.elapsed()));
        let survival = estate.run(center.clone(), edge.clone(), membership.links.clone(), holds);
        let works = Works { center, edge, membership: membership.clone(), estate: estate.clone() };
        // Nobody else sets it. No link comes in before, so nothing comes too early for an owner.
        let _ = membership.works.set(works);
        let mut tasks = vec![
            tokio::spawn(links::serve(listener, membership.links.clone())),
            tokio::spawn(heard.tell(membership.cluster.clone(), membership.links.clone())),
            tokio::spawn(links::follow_nodes(membership.clone(), links_changed)),
            tokio::spawn(servant.obey()),
        ];
        tasks.extend(survival);
        Member { membership, estate, tasks }
    }
}

impl Servant {
    async fn obey(mut self) {
        let mut heard = Vec::new();
        loop {
            let owed = self.owed.next_look();
            tokio::select! {
                count = self.notices.recv_many(&mut heard, 1_024) => if count == 0 { return },
                Some(changed) = self.changes.recv() => self.configure(changed).await,
                () = tokio::time::sleep_until(owed.unwrap_or(self.start)), if owed.is_some() => self.tell_owed().await,
            }
            for step in steps(heard.drain(..)) {
                match step {
                    Step::Serve(tenures) => self.serve(tenures).await,
                    Step::Stop(shards) => self.stop(shards).await,
                    Step::Report(to, tenures) => self.report(to, tenures).await,
                    Step::Owned(by, tenures) => self.introduce(by, tenures).await,
                    Step::Send(to, message) => self.send(to, &message),
                    Step::Probe(node) => self.probe(node),
                }
            }
        }
    }

    fn works(&self) -> &Works {
        self.membership.works.get().expect("`run` sets it before it starts this task")
    }

    /// Takes up another configuration. Here, so that nobody begins or ends meanwhile to own what it adds.
    async fn configure(&self, Changed { objects, everything, done }: Changed) {
        let works = self.works();
        let (holdings, added) =
            works.membership.holdings.load().changed(everything, |owned| works.center.has_owner(owned));
        let title = |owned: Owned| {
            let tenure = self.membership.reports.tenure(holdings::shard(&owned))?;
            Some((owned, self.title(tenure)))
        };
        let titles = added.into_iter().filter_map(title).collect();
        works.membership.holdings.store(Arc::new(holdings));
        let configured = works.center.configure(objects, titles).await;
        for message in self.membership.reports.take_early() {
            // Whom this configuration does not know either is not waited for any longer.
            let _ = works.center.deliver(message);
        }
        // Who asked may have gone.
        let _ = done.send(configured);
    }

    /// Starts the owners of these shards, with what this node's calls hold and what others have reported.
    async fn serve(&self, tenures: Vec<Tenure>) {
        let works = self.works();
        let holdings = works.membership.holdings.load_full();
        let mut held = self.held_here(&tenures).await;
        held.extend(self.membership.reports.take(&tenures));
        let known = |message: &Message| Owned::addressed(message).is_none_or(|owned| holdings.hold(&owned));
        let (held, early): (Vec<_>, Vec<_>) = held.into_iter().partition(known);
        early.into_iter().for_each(|message| self.membership.reports.keep_early(message));
        let titles = tenures.iter().flat_map(|tenure| {
            let title = self.title(*tenure);
            holdings.of(tenure.shard).iter().map(move |owned| (owned.clone(), title.clone()))
        });
        let (titles, count): (Vec<_>, _) = (titles.collect(), tenures.len());
        tracing::info!(shards = count, owners = titles.len(), held = held.len(), "serving");
        if let Err(error) = works.center.own(titles, held).await {
            tracing::error!(%error, shards = count, "owners did not start");
        }
        for late in self.membership.reports.running(&tenures) {
            self.membership.give(late);
        }
    }

    async fn stop(&self, shards: Vec<Shard>) {
        let works = self.works();
        let holdings = works.membership.holdings.load_full();
        let what: Vec<Owned> = shards.iter().flat_map(|shard| holdings.ever_of(*shard)).cloned().collect();
        tracing::info!(shards = shards.len(), owners = what.len(), "no longer serving");
        self.membership.reports.stopped(&shards);
        if let Err(error) = works.center.disown(what).await {
            tracing::error!(%error, "owners did not end");
        }
    }

    /// The owner's title: it may act while the core says so, in this epoch and no other.
    fn title(&self, tenure: Tenure) -> Title {
        let (acting, start) = (self.membership.cluster.acting().clone(), self.start);
        let may_act = move || acting.epoch(tenure.shard, Moment::at(start.elapsed())) == Some(tenure.epoch);
        Title::while_it_holds(owners_epoch(tenure.epoch), Arc::new(may_act))
    }

    async fn held_here(&self, tenures: &[Tenure]) -> Vec<Message> {
        let works = self.works();
        let holdings = works.membership.holdings.load_full();
        let epochs: HashMap<Shard, Epoch> =
            tenures.iter().map(|tenure| (tenure.shard, owners_epoch(tenure.epoch))).collect();
        for tenure in tenures {
            for owned in holdings.of(tenure.shard) {
                if let Owned::Agent(agent) = owned {
                    works.center.announce_owner(agent, owners_epoch(tenure.epoch));
                }
            }
        }
        let mut held = works.center.held(move |owned| epochs.get(&holdings::shard(owned)).copied()).await;
        for owned in tenures.iter().flat_map(|tenure| holdings.of(tenure.shard)) {
            if let (Owned::Agent(agent), Some(edge)) = (owned, &works.edge) {
                // A new owner knows of no phone.
                let reports = edge.reachability(agent).into_iter().filter(|report| !report.contacts.is_empty());
                held.extend(reports.map(reachability));
            }
        }
        held
    }

    /// Answers a new owner on another node that asks what this node holds.
    async fn report(&mut self, to: NodeId, tenures: Vec<Tenure>) {
        self.told.extend(tenures.iter().map(|tenure| (tenure.shard, tenure.epoch)));
        match self.tell_held(to, &tenures).await {
            Ok(()) => self.send(to, &CoreMessage::Answer(tenures)),
            // Without the answer the announcement is repeated. A link that fails later breaks the answer's promise too.
            Err(error) => tracing::debug!(%error, "not reported"),
        }
    }

    /// An owner of whom this node hears now may have begun without having heard this node.
    async fn introduce(&mut self, to: NodeId, mut tenures: Vec<Tenure>) {
        tenures.retain(|tenure| self.told.insert(tenure.shard, tenure.epoch) != Some(tenure.epoch));
        self.introduced(to, tenures).await;
    }

    /// What links had no room for.
    async fn tell_owed(&mut self) {
        let (links, told) = (&self.membership.links, &self.told);
        let holds = |tenure: Tenure| told.get(&tenure.shard) == Some(&tenure.epoch);
        for (to, tenures) in self.owed.due(Instant::now(), |node| links.has_room(node), holds) {
            self.introduced(to, tenures).await;
        }
    }

    async fn introduced(&mut self, to: NodeId, tenures: Vec<Tenure>) {
        match self.tell_held(to, &tenures).await {
            Err(LinkError::Full(_)) => return self.owed.add(Instant::now(), to, &tenures),
            // It is told when there is a link.
            Err(error @ (LinkError::NoLink(_) | LinkError::Oversized(..))) => tracing::debug!(%error, "not told"),
            Ok(()) => {}
        }
        self.owed.told(&tenures);
    }

    /// Tells a new owner on another node what this node holds.
    async fn tell_held(&self, to: NodeId, tenures: &[Tenure]) -> Result<(), LinkError> {
        if tenures.is_empty() {
            return Ok(());
        }
        let held = self.held_here(tenures).await;
        for piece in held::pieces(&wire::shard_epochs(tenures), &held) {
            let envelope = Envelope { message: Some(Wire::Held(piece)), ..Default::default() };
            self.membership.links.send(to, envelope)?;
        }
        Ok(())
    }

    fn send(&self, to: NodeId, message: &CoreMessage) {
        if let Err(error) = self.membership.links.send(to, wire::to_wire(message)) {
            tracing::debug!(%error, ?message, "not sent");
        }
    }

    fn probe(&self, node: NodeId) {
        let (cluster, links) = (self.membership.cluster.clone(), self.membership.links.clone());
        let patience = self.timing.probe;
        tokio::spawn(async move {
            let addr = links::link_address(&cluster, node);
            let lives = match addr {
                Some(addr) => links.probe(addr, patience).await,
                None => false,
            };
            let input = if lives { Input::ProbeAnswered(node) } else { Input::ProbeFailed(node) };
            // A node that has left asks no more.
            let _ = cluster.tell(input).await;
        });
    }
}

impl Membership {
    /// Takes up another configuration, with all queues and agents in it.
    ///
    /// # Errors
    /// The actors do not answer, or the node has left the cluster.
    pub(crate) async fn configure(&self, objects: Objects, everything: Vec<Owned>) -> anyhow::Result<()> {
        let (done, configured) = oneshot::channel();
        let changed = Changed { objects, everything, done };
        self.changes.send(changed).await.map_err(|_| anyhow::anyhow!("this node has left its cluster"))?;
        configured.await.context("this node has left its cluster")?.context("the actors")
    }

    /// Sends a message to the node of its call or of its owner. Between two owners it is lost: whoever sent it has a
    /// deadline. What is for an owner that is about to start here waits for it: callers who come meanwhile would otherwise
    /// stand behind those who come later.
    pub fn carry(&self, message: Message) {
        let Some(to) = self.owner(&message).filter(|to| *to != self.me) else { return self.keep(message) };
        if let Some(envelope) = message.to_wire()
            && let Err(error) = self.links.send(to, envelope)
        {
            tracing::debug!(%error, ?message, "not sent");
        }
    }

    /// A message from another node, for an actor of this node. Where phones are goes on to the owner who is elsewhere: the
    /// sender has not heard yet. But two nodes that take each other for it do not play ball.
    fn deliver(&self, from: NodeId, message: Message) {
        let Some(works) = self.works.get().filter(|works| works.center.heeds(from, &message)) else { return };
        let Err(NotHere(message)) = works.center.deliver(message) else { return };
        let message = *message;
        let owner = self.owner(&message).filter(|owner| ![self.me, from].contains(owner));
        if is_news(&message) && owner.is_some() { self.carry(message) } else { self.keep(message) }
    }

    fn keep(&self, message: Message) {
        let tenure = Owned::addressed(&message).and_then(|owned| self.tenure(holdings::shard(&owned)));
        let Some(tenure) = tenure else {
            return tracing::debug!(?message, "a message went astray");
        };
        // Given back when its owner has started in this moment.
        self.reports.keep(vec![(tenure, message)]).into_iter().for_each(|message| self.give(message));
    }

    /// For an owner that runs here, or has just ended; or that will run, when this node has heard of the configuration that
    /// others know already.
    fn give(&self, message: Message) {
        if Owned::addressed(&message).is_none_or(|owned| self.holdings.load().hold(&owned)) {
            // Nobody is left who could hear it.
            let _ = self.works.get().map(|works| works.center.deliver(message));
        } else {
            self.reports.keep_early(message);
        }
    }

    /// What is reported waits for the owners of its tenure, unless they run already.
    fn take_report(&self, from: NodeId, tenures: &[Tenure], messages: impl Iterator<Item = Message>) {
        let Some(works) = self.works.get() else { return };
        let tenures: HashMap<Shard, Tenure> = tenures.iter().map(|tenure| (tenure.shard, *tenure)).collect();
        let theirs = messages.filter(|message| works.center.heeds(from, message)).filter_map(|message| {
            let owned = Owned::addressed(&message)?;
            Some((*tenures.get(&holdings::shard(&owned))?, message))
        });
        self.reports.keep(theirs.collect()).into_iter().for_each(|message| self.give(message));
    }

    /// The election that made this node the owner of a shard, if it is.
    fn tenure(&self, shard: Shard) -> Option<Tenure> {
        let owner = self.cluster.directory().owner(shard).filter(|owner| owner.node == self.me)?;
        Some(Tenure { shard, epoch: owner.epoch })
    }

    /// The node of a message's call, or that owns its agent or queue.
    fn owner(&self, message: &Message) -> Option<NodeId> {
        match message {
            Message::Call(call, _) => Some(self.node_of(*call)),
            Message::Agent(agent, _) => self.cluster.directory().of_agent(agent).map(|owner| owner.node),
            Message::Queue(queue, _) => self.cluster.directory().of_queue(queue).map(|owner| owner.node),
        }
    }

    /// The node on which a call lives, if it lives.
    fn node_of(&self, call: CallId) -> NodeId {
        self.works.get().map_or(call.node, |works| works.center.node_of(call))
    }

    /// Lets other edges go on with all calls that can go on elsewhere (Spec: CL-6).
    pub(crate) async fn hand_calls_over(&self) {
        if let Some(works) = self.works.get() {
            works.estate.hand_over_all(|_, _| true).await;
        }
    }

    /// The nodes with a link to this one.
    pub fn linked(&self) -> Vec<NodeId> {
        self.links.up()
    }

    /// What its links have carried.
    pub(crate) fn link_stats(&self) -> LinkStats {
        self.links.stats()
    }

    /// The cluster as this node knows it.
    pub const fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

/// Where phones are is not said again for minutes; everything else soon, by who said it.
const fn is_news(message: &Message) -> bool {
    matches!(message, Message::Agent(_, agent::Event::Reachable { .. }))
}

/// What the registrar reports of a device, for its owner.
fn reachability(report: Reachability) -> Message {
    let Reachability { agent, device, edge, contacts } = report;
    Message::Agent(agent, agent::Event::Reachable { device, edge, contacts })
}

/// The epoch of the first owner of an election.
const fn owners_epoch(elected: Epoch) -> Epoch {
    Epoch(elected.0 * OWNERS_PER_ELECTION)
}
