//! This node among others: who owns what comes from `carillon_cluster`, what nodes say to each other goes over
//! `carillon_rpc`'s links, and the actors do what both of them bring.

pub(crate) mod config;
mod holdings;
pub(crate) mod intake;
mod nodes;
mod survival;
mod wire;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use carillon_acd::agent;
use carillon_acd::ids::{AgentId, CallId, Epoch, NodeId};
use carillon_acd::leg::Reachability;
use carillon_acd::time::Moment;
use carillon_actors::{Center, Owned, Title};
use carillon_cluster::directory::Directory;
use carillon_cluster::member::Node;
use carillon_cluster::node::{Cluster, Input, Notice};
use carillon_cluster::ownership::{Message as CoreMessage, Tenure, Timing};
use carillon_cluster::shard::Shard;
use carillon_cluster::space::Space;
use carillon_edge::Edge;
use carillon_rpc::cluster::Message;
use carillon_rpc::cluster::link::transport::{Listener, Transport};
use carillon_rpc::cluster::link::{Inbox, LinkStats, Links, Myself, NotUnderstood};
use carillon_rpc::cluster::wire::{Envelope, Held, envelope::Message as Wire};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use holdings::{Holdings, Reports};
pub(crate) use nodes::KnownNodes;
pub(crate) use survival::Estate;
use survival::Heirs;

/// An owner that fails on its node is replaced there with the next epoch: so many times before the epoch of another
/// node's election comes.
const OWNERS_PER_ELECTION: u64 = 1 << 16;
/// What links have said and the core has not heard yet. More is lost, as on the way.
const UNHEARD: usize = 4_096;

/// What the rest of the node needs of its membership. Clones are the same.
#[derive(Clone)]
pub(crate) struct Membership {
    cluster: Cluster,
    links: Links,
    me: NodeId,
    /// It knows where calls are.
    center: Arc<OnceLock<Center>>,
}

/// A member that runs.
pub(crate) struct Member {
    pub(crate) membership: Membership,
    estate: Estate,
    tasks: Vec<JoinHandle<()>>,
}

/// What a member works on: there once the center and the edge are.
struct Works {
    center: Center,
    edge: Option<Edge>,
    holdings: Holdings,
    directory: Directory,
    membership: Membership,
    estate: Estate,
}

impl Works {
    /// What was said of phones while there was no link to `node` is lost: it is said again for the agents that it owns.
    fn tell_where_phones_are(&self, node: NodeId) {
        let Some(edge) = &self.edge else { return };
        let owned_there = |agent: &AgentId| self.directory.of_agent(agent).is_some_and(|owner| owner.node == node);
        for agent in self.holdings.agents().filter(|agent| owned_there(agent)) {
            let reports = edge.reachability(agent).into_iter().filter(|report| !report.contacts.is_empty());
            reports.for_each(|report| self.membership.carry(reachability(report)));
        }
    }

    /// The election that made this node the owner of a shard, if it is.
    fn tenure(&self, shard: Shard) -> Option<Tenure> {
        let owner = self.directory.owner(shard).filter(|owner| owner.node == self.membership.me)?;
        Some(Tenure { shard, epoch: owner.epoch })
    }
}

/// How a member is started; see [`Member::begin`].
pub(crate) struct Beginning {
    pub(crate) membership: Membership,
    notices: mpsc::Receiver<Notice>,
    start: Instant,
    works: Arc<OnceLock<Works>>,
    reports: Arc<Reports>,
    links_changed: Arc<Notify>,
    tasks: Vec<JoinHandle<()>>,
    timing: Timing,
}

impl Member {
    /// Joins the cluster of `space` as `me`, whose links come in at `listener`. Owners start with [`Beginning::run`]: the
    /// center that they live in needs the membership to reach other nodes.
    pub(crate) fn begin(
        me: Node,
        timing: Timing,
        space: Space,
        listener: impl Listener,
        transport: Transport,
    ) -> anyhow::Result<Beginning> {
        let (heard, inputs) = mpsc::channel(UNHEARD);
        let (works, reports): (Arc<OnceLock<Works>>, Arc<Reports>) = Default::default();
        let links_changed: Arc<Notify> = Arc::default();
        let myself = Myself { node: me.id, boot: me.boot };
        let inbox = inbox(heard, works.clone(), reports.clone(), links_changed.clone());
        let links = Links::new(myself, inbox, transport);
        let start = Instant::now();
        let id = me.id;
        let (cluster, notices) = Cluster::start(me, timing, space, start).context("the cluster's timing")?;
        let membership = Membership { cluster, links, me: id, center: Arc::default() };
        let tasks = vec![
            tokio::spawn(serve(listener, membership.links.clone())),
            tokio::spawn(hear(membership.cluster.clone(), inputs)),
        ];
        Ok(Beginning { membership, notices, start, works, reports, links_changed, tasks, timing })
    }

    /// Leaves the cluster: nobody waits for this node's lease.
    pub(crate) async fn leave(self) {
        self.estate.renounce();
        self.membership.cluster.leave().await;
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Beginning {
    /// Does what the cluster asks of this node from now on.
    pub(crate) fn run(
        mut self,
        center: Center,
        edge: Option<Edge>,
        everything: impl IntoIterator<Item = Owned>,
        estate: Estate,
    ) -> Member {
        let (membership, mut tasks) = (self.membership.clone(), std::mem::take(&mut self.tasks));
        let (directory, holdings) = (membership.cluster.directory().clone(), Holdings::new(everything));
        let (acting, start) = (membership.cluster.acting().clone(), self.start);
        let holds = move || acting.holds(Moment::at(start.elapsed()));
        tasks.extend(estate.run(center.clone(), edge.clone(), membership.links.clone(), holds));
        let works = Works { center, edge, holdings, directory, membership: membership.clone(), estate: estate.clone() };
        // Nobody else sets it, here and below.
        let _ = membership.center.set(works.center.clone());
        let _ = self.works.set(works);
        // What came over them before is lost: they begin anew.
        membership.links.set_peers(&[]);
        tasks.push(tokio::spawn(follow_nodes(membership.clone(), self.works.clone(), self.links_changed.clone())));
        tasks.push(tokio::spawn(self.obey()));
        Member { membership, estate, tasks }
    }

    async fn obey(mut self) {
        let mut notices = Vec::new();
        while self.notices.recv_many(&mut notices, 1_024).await > 0 {
            let (mut serve, mut stop) = (Vec::new(), Vec::new());
            for notice in notices.drain(..) {
                match notice {
                    Notice::Serve(tenure, _) if stop.is_empty() => serve.push(tenure),
                    Notice::Stop(shard) if serve.is_empty() => stop.push(shard),
                    Notice::Serve(tenure, _) => {
                        self.stop(std::mem::take(&mut stop)).await;
                        serve.push(tenure);
                    }
                    Notice::Stop(shard) => {
                        self.serve(std::mem::take(&mut serve)).await;
                        stop.push(shard);
                    }
                    Notice::Report { to, tenures } => self.report(to, &tenures).await,
                    Notice::Send(to, message) => self.send(to, &message),
                    Notice::Probe(node) => self.probe(node),
                }
            }
            self.stop(stop).await;
            self.serve(serve).await;
        }
    }

    fn works(&self) -> &Works {
        self.works.get().expect("`run` sets it before it starts this task")
    }

    /// Starts the owners of these shards, with what this node's calls hold and what others have reported.
    async fn serve(&self, tenures: Vec<Tenure>) {
        if tenures.is_empty() {
            return;
        }
        let works = self.works();
        let mut held = self.held_here(&tenures).await;
        held.extend(self.reports.take(&tenures));
        let titles = tenures.iter().flat_map(|tenure| {
            let title = self.title(*tenure);
            works.holdings.of(tenure.shard).iter().map(move |owned| (owned.clone(), title.clone()))
        });
        let (titles, count): (Vec<_>, _) = (titles.collect(), tenures.len());
        tracing::info!(shards = count, owners = titles.len(), held = held.len(), "serving");
        if let Err(error) = works.center.own(titles, held).await {
            tracing::error!(%error, shards = count, "owners did not start");
        }
        for late in self.reports.running(&tenures) {
            // Whose owner did not start hears nothing.
            let _ = works.center.deliver(late);
        }
    }

    async fn stop(&self, shards: Vec<Shard>) {
        if shards.is_empty() {
            return;
        }
        let works = self.works();
        let what: Vec<Owned> = shards.iter().flat_map(|shard| works.holdings.of(*shard)).cloned().collect();
        tracing::info!(shards = shards.len(), owners = what.len(), "no longer serving");
        self.reports.stopped(&shards);
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
        let epochs: HashMap<Shard, Epoch> =
            tenures.iter().map(|tenure| (tenure.shard, owners_epoch(tenure.epoch))).collect();
        for tenure in tenures {
            for owned in works.holdings.of(tenure.shard) {
                if let Owned::Agent(agent) = owned {
                    works.center.announce_owner(agent, owners_epoch(tenure.epoch));
                }
            }
        }
        let mut held = works.center.held(move |owned| epochs.get(&holdings::shard(owned)).copied()).await;
        for owned in tenures.iter().flat_map(|tenure| works.holdings.of(tenure.shard)) {
            if let (Owned::Agent(agent), Some(edge)) = (owned, &works.edge) {
                held.extend(edge.reachability(agent).into_iter().map(reachability));
            }
        }
        held
    }

    /// Tells a new owner on another node what this node holds, then that it was all.
    async fn report(&self, to: NodeId, tenures: &[Tenure]) {
        let held = self.held_here(tenures).await;
        let messages = held.iter().filter_map(Message::to_wire).collect();
        let report = Held { tenures: wire::shard_epochs(tenures), messages };
        // A link that fails now breaks the answer's promise too: then the announcement is repeated.
        let sent = self.membership.links.send(to, Envelope { message: Some(Wire::Held(report)), ..Default::default() });
        if sent.is_ok() {
            self.send(to, &CoreMessage::Answer(tenures.to_vec()));
        }
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
            let addr = link_address(&cluster, node);
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
    /// Sends a message to the node of its call or of its owner. Between two owners it is lost: whoever sent it has a
    /// deadline.
    pub(crate) fn carry(&self, message: Message) {
        let Some(to) = self.owner(&message).filter(|to| *to != self.me) else {
            return tracing::debug!(?message, "nobody owns it at this moment");
        };
        if let Some(envelope) = message.to_wire()
            && let Err(error) = self.links.send(to, envelope)
        {
            tracing::debug!(%error, ?message, "not sent");
        }
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
        self.center.get().map_or(call.node, |center| center.node_of(call))
    }

    /// What its links have carried.
    pub(crate) fn link_stats(&self) -> LinkStats {
        self.links.stats()
    }

    /// The cluster as this node knows it.
    pub(crate) const fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

/// What links bring: for actors at once, for the core through a queue.
fn inbox(
    heard: mpsc::Sender<Input>,
    works: Arc<OnceLock<Works>>,
    reports: Arc<Reports>,
    links_changed: Arc<Notify>,
) -> Inbox {
    let (links, late) = (heard.clone(), works.clone());
    Inbox {
        on_message: Arc::new(move |from, message| {
            match message {
                Wire::Core(it) => {
                    let message = wire::from_wire(it).ok_or(NotUnderstood)?;
                    // A core that does not keep up hears it again.
                    let _ = heard.try_send(Input::Received(from, message));
                }
                Wire::Held(it) => {
                    let tenures = wire::read_tenures(&it.tenures).ok_or(NotUnderstood)?;
                    let messages = it.messages.into_iter().filter_map(|it| Message::from_wire(it.message?));
                    take_report(works.get(), &reports, &tenures, messages);
                }
                Wire::Checkpoints(it) => {
                    if let Some(works) = works.get() {
                        works.estate.take_checkpoints(from, it);
                    }
                }
                Wire::TookOver(it) => {
                    if let Some(works) = works.get() {
                        works.estate.take_news(from, it);
                    }
                }
                message @ (Wire::ToCall(_) | Wire::ToAgent(_) | Wire::ToQueue(_)) => {
                    let message = Message::from_wire(message).ok_or(NotUnderstood)?;
                    if let Some(works) = works.get() {
                        deliver(works, &reports, from, message);
                    }
                }
            }
            Ok(())
        }),
        on_link: Arc::new(move |node, boot| {
            // As above: the core also hears who is registered.
            let _ = links.try_send(if boot.is_some() { Input::LinkUp(node) } else { Input::LinkDown(node) });
            links_changed.notify_one();
            let Some(works) = late.get() else { return };
            match boot {
                Some(boot) => {
                    works.estate.link_up(node, boot);
                    works.tell_where_phones_are(node);
                }
                None => works.estate.link_down(node, link_address(works.membership.cluster(), node)),
            }
        }),
    }
}

/// A message for an actor of this node. Where phones are is not said again for minutes: it waits for an owner that is about
/// to start here, or goes on to the one that is elsewhere. Everything else is repeated by who said it.
fn deliver(works: &Works, reports: &Reports, from: NodeId, message: Message) {
    let news = matches!(&message, Message::Agent(_, agent::Event::Reachable { .. })).then(|| message.clone());
    let Err(not_here) = works.center.deliver(message) else { return };
    let subject = news.as_ref().and_then(holdings::subject);
    match (news, subject.and_then(|owned| works.tenure(holdings::shard(&owned)))) {
        (Some(news), Some(tenure)) => reports.keep(vec![(tenure, news)]).into_iter().for_each(|news| {
            // It has started in this moment.
            let _ = works.center.deliver(news);
        }),
        // The sender has not heard yet who the owner is; but two who take each other for it do not play ball.
        (Some(news), None) if works.membership.owner(&news) != Some(from) => works.membership.carry(news),
        (Some(_), None) => tracing::debug!(node = from.0, %not_here, "where a phone is, went astray"),
        (None, _) => tracing::debug!(node = from.0, %not_here, "a message went astray"),
    }
}

/// What is reported waits for the owners of its tenure, unless they run already.
fn take_report(works: Option<&Works>, reports: &Reports, tenures: &[Tenure], messages: impl Iterator<Item = Message>) {
    let tenures: HashMap<Shard, Tenure> = tenures.iter().map(|tenure| (tenure.shard, *tenure)).collect();
    let theirs = messages.filter_map(|message| {
        let owned = holdings::subject(&message)?;
        Some((*tenures.get(&holdings::shard(&owned))?, message))
    });
    for message in reports.keep(theirs.collect()) {
        // It runs, or it has just ended.
        let _ = works.map(|works| works.center.deliver(message));
    }
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

fn link_address(cluster: &Cluster, node: NodeId) -> Option<SocketAddr> {
    let nodes = cluster.nodes();
    let known = nodes.borrow().iter().find(|it| it.node.id == node).map(|it| it.node.addresses.link.clone());
    known?.parse().ok()
}

async fn serve(listener: impl Listener, links: Links) {
    if let Err(error) = links.serve(listener).await {
        tracing::error!(%error, "links are no longer served");
    }
}

async fn hear(cluster: Cluster, mut inputs: mpsc::Receiver<Input>) {
    while let Some(input) = inputs.recv().await {
        if cluster.tell(input).await.is_err() {
            return;
        }
    }
}

/// Where a node speaks SIP, if it does.
fn edge_of(node: &Node) -> Option<(NodeId, SocketAddr)> {
    Some((node.id, node.addresses.signalling.first()?.parse().ok()?))
}

/// The edges that can go on with this edge's calls.
fn heirs<'a>(membership: &Membership, present: impl Iterator<Item = &'a Node>, linked: &[NodeId]) -> Heirs {
    let registered = membership.cluster.nodes();
    let zone = registered.borrow().iter().find(|it| it.node.id == membership.me).and_then(|it| it.node.zone.clone());
    let able = present.filter(|node| node.roles.edge && !node.draining && linked.contains(&node.id));
    Heirs::new(able.map(|node| (node.id, zone.is_some() && node.zone == zone)))
}

/// Links and edges follow the list of nodes. Who has vanished from the list is still there as long as its link works: the
/// coordinator may have lost its memory, and calls must not suffer for it.
async fn follow_nodes(membership: Membership, works: Arc<OnceLock<Works>>, links_changed: Arc<Notify>) {
    let mut nodes = membership.cluster.nodes();
    let mut present: HashMap<NodeId, Node> = HashMap::new();
    let mut handing_over: Option<JoinHandle<()>> = None;
    loop {
        let (registered, linked) = (nodes.borrow_and_update().clone(), membership.links.up());
        let before = present.clone();
        present.retain(|node, _| linked.contains(node));
        let others = registered.iter().filter(|it| it.node.id != membership.me);
        present.extend(others.map(|it| (it.node.id, it.node.clone())));
        let link = |node: &Node| Some((node.id, node.addresses.link.parse().ok()?));
        membership.links.set_peers(&present.values().filter_map(link).collect::<Vec<_>>());
        if let Some(works) = works.get() {
            if let Some(edge) = &works.edge {
                edge.update_peers(present.values().filter_map(edge_of));
            }
            before.keys().filter(|node| !present.contains_key(node)).for_each(|gone| works.estate.is_dead(*gone));
            let drains = registered.iter().any(|it| it.node.id == membership.me && it.node.draining);
            if drains != handing_over.is_some() {
                handing_over.take().inspect(JoinHandle::abort);
                let estate = works.estate.clone();
                handing_over = drains.then(|| tokio::spawn(async move { estate.hand_over_waiting().await }));
            }
            works.estate.heirs(heirs(&membership, present.values(), &linked));
        }
        tokio::select! {
            changed = nodes.changed() => if changed.is_err() { return },
            () = links_changed.notified() => {}
        }
    }
}
