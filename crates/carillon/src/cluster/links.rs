//! What links bring to the parts of this node, and which links there are: those to all nodes that the coordinator knows.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use carillon_acd::ids::NodeId;
use carillon_cluster::member::Node;
use carillon_cluster::node::{Cluster, Input};
use carillon_rpc::cluster::Message;
use carillon_rpc::cluster::link::transport::Listener;
use carillon_rpc::cluster::link::{Inbox, Links, NotUnderstood};
use carillon_rpc::cluster::wire::envelope::Message as Wire;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::survival::Heirs;
use super::{Membership, Works, wire};

/// What links have said and the core has not heard yet. Of messages more are lost, as on the way.
const UNHEARD: usize = 4_096;

/// Where links put what the core is to hear. Does not block.
#[derive(Clone)]
pub(super) struct ToCore {
    heard: mpsc::Sender<Input>,
    /// A link that came up or broke is missing in what was put there.
    missed: Arc<AtomicBool>,
}

/// Where the core's side takes it.
pub(super) struct Heard {
    inputs: mpsc::Receiver<Input>,
    missed: Arc<AtomicBool>,
    /// The links that the core believes to be up.
    up: BTreeSet<NodeId>,
}

pub(super) fn to_core() -> (ToCore, Heard) {
    let (heard, inputs) = mpsc::channel(UNHEARD);
    let missed = Arc::<AtomicBool>::default();
    (ToCore { heard, missed: missed.clone() }, Heard { inputs, missed, up: BTreeSet::new() })
}

impl ToCore {
    fn message(&self, input: Input) {
        // A core that does not keep up hears it again.
        let _ = self.heard.try_send(input);
    }

    /// Nobody repeats that a link came up or broke.
    fn link(&self, input: Input) {
        if self.heard.try_send(input).is_err() {
            self.missed.store(true, Ordering::Release);
        }
    }
}

impl Heard {
    /// Tells the core until the node has left.
    pub(super) async fn tell(mut self, cluster: Cluster, links: Links) {
        while let Some(input) = self.next(|| links.up()).await {
            if cluster.tell(input).await.is_err() {
                return;
            }
        }
    }

    /// The next input. What was missed follows those that were not: then the links that are `up` are what counts.
    async fn next(&mut self, up: impl Fn() -> Vec<NodeId>) -> Option<Input> {
        let amended = self.inputs.is_empty() && self.missed.load(Ordering::Acquire);
        let input = match amended.then(|| self.amend(&up())) {
            Some(Some(amendment)) => amendment,
            Some(None) | None => self.inputs.recv().await?,
        };
        match &input {
            Input::LinkUp(node) => drop(self.up.insert(*node)),
            Input::LinkDown(node) => drop(self.up.remove(node)),
            Input::ProbeAnswered(_) | Input::ProbeFailed(_) | Input::Received(..) => {}
        }
        Some(input)
    }

    /// One link of which the core believes something else; when there is none, nothing is missing any more.
    fn amend(&self, up: &[NodeId]) -> Option<Input> {
        // Before it is looked: what is missed from now on is looked at again.
        self.missed.store(false, Ordering::Release);
        let broken = self.up.iter().find(|node| !up.contains(node)).map(|node| Input::LinkDown(*node));
        let wrong = broken.or_else(|| up.iter().find(|node| !self.up.contains(node)).map(|node| Input::LinkUp(*node)));
        if wrong.is_some() {
            self.missed.store(true, Ordering::Release);
        }
        wrong
    }
}

/// What links bring: for actors at once, for the core through a queue.
pub(super) fn inbox(core: ToCore, works: Arc<OnceLock<Works>>, links_changed: Arc<Notify>) -> Inbox {
    let (links, late) = (core.clone(), works.clone());
    Inbox {
        on_message: Arc::new(move |from, message| {
            // Links come in once the node works.
            let membership = works.get().map(|works| &works.membership);
            match message {
                Wire::Core(it) => {
                    let message = wire::from_wire(it).ok_or(NotUnderstood)?;
                    core.message(Input::Received(from, message));
                }
                Wire::Held(it) => {
                    let tenures = wire::read_tenures(&it.tenures).ok_or(NotUnderstood)?;
                    let messages = it.messages.into_iter().filter_map(|it| Message::from_wire(it.message?));
                    if let Some(membership) = membership {
                        membership.take_report(from, &tenures, messages);
                    }
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
                    if let Some(membership) = membership {
                        membership.deliver(from, message);
                    }
                }
            }
            Ok(())
        }),
        on_link: Arc::new(move |node, boot| {
            links.link(if boot.is_some() { Input::LinkUp(node) } else { Input::LinkDown(node) });
            links_changed.notify_one();
            let Some(works) = late.get() else { return };
            match boot {
                Some(boot) => {
                    works.estate.link_up(node, boot);
                    let late = late.clone();
                    tokio::spawn(async move {
                        if let Some(works) = late.get() {
                            works.tell_again(node).await;
                        }
                    });
                }
                None => works.estate.link_down(node, link_address(works.membership.cluster(), node)),
            }
        }),
    }
}

pub(super) fn link_address(cluster: &Cluster, node: NodeId) -> Option<SocketAddr> {
    let nodes = cluster.nodes();
    let known = nodes.borrow().iter().find(|it| it.node.id == node).map(|it| it.node.addresses.link.clone());
    known?.parse().ok()
}

pub(super) async fn serve(listener: impl Listener, links: Links) {
    if let Err(error) = links.serve(listener).await {
        tracing::error!(%error, "links are no longer served");
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
pub(super) async fn follow_nodes(membership: Membership, links_changed: Arc<Notify>) {
    let mut nodes = membership.cluster.nodes();
    let mut present: HashMap<NodeId, Node> = HashMap::new();
    // Ends with this.
    let mut handing_over = JoinSet::new();
    loop {
        let (registered, linked) = (nodes.borrow_and_update().clone(), membership.links.up());
        let before = present.clone();
        present.retain(|node, _| linked.contains(node));
        let others = registered.iter().filter(|it| it.node.id != membership.me);
        present.extend(others.map(|it| (it.node.id, it.node.clone())));
        let link = |node: &Node| Some((node.id, node.addresses.link.parse().ok()?));
        membership.links.set_peers(&present.values().filter_map(link).collect::<Vec<_>>());
        if let Some(works) = membership.works.get() {
            if let Some(edge) = &works.edge {
                edge.update_peers(&mut present.values().filter_map(edge_of));
            }
            before.keys().filter(|node| !present.contains_key(node)).for_each(|gone| works.estate.is_dead(*gone));
            let drains = registered.iter().any(|it| it.node.id == membership.me && it.node.draining);
            if drains == handing_over.is_empty() {
                handing_over = JoinSet::new();
                let estate = works.estate.clone();
                if drains {
                    handing_over.spawn(async move { estate.hand_over_waiting().await });
                }
            }
            works.estate.heirs(heirs(&membership, present.values(), &linked));
        }
        tokio::select! {
            changed = nodes.changed() => if changed.is_err() { return },
            () = links_changed.notified() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_link_of_which_the_core_was_not_told_is_told_when_there_is_room() {
        let (core, mut heard) = to_core();
        let probes = || (0..UNHEARD).for_each(|_| core.message(Input::ProbeAnswered(NodeId(9))));
        core.link(Input::LinkUp(NodeId(2)));
        probes();
        core.link(Input::LinkDown(NodeId(2)));
        core.link(Input::LinkUp(NodeId(3)));
        let up = || vec![NodeId(3)];
        let mut told = Vec::new();
        while told.len() < UNHEARD + 2 {
            told.push(heard.next(up).await.unwrap());
        }
        assert_eq!(told[0], Input::LinkUp(NodeId(2)));
        assert_eq!(told[UNHEARD..], [Input::LinkDown(NodeId(2)), Input::LinkUp(NodeId(3))]);
        core.link(Input::LinkDown(NodeId(3)));
        assert_eq!(heard.next(Vec::new).await, Some(Input::LinkDown(NodeId(3))), "and nothing twice");
    }
}
