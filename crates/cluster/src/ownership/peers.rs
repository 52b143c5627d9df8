//! The other nodes as this one sees them: who is registered, who can be reached, who is suspected, who may own.

use std::collections::{BTreeMap, BTreeSet};

use carillon_acd::ids::NodeId;
use carillon_acd::time::Moment;

use super::event::{Effect, Timing};
use crate::coordinator::LeaseId;
use crate::member::{Node, Registered};

/// Whether a node can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// No link to it has worked yet: nothing can be concluded from its silence.
    Unknown,
    /// The link works.
    Linked,
    /// The link broke; a probe is on its way until then.
    Probing(Moment),
    /// The link broke and the probe failed: it is suspected.
    Suspected,
    /// The link broke, yet it answered a probe or wrote to the coordinator: only its lease decides.
    Unlinked,
}

#[derive(Debug)]
struct Peer {
    registered: Registered,
    reach: Reach,
}

/// All nodes, this one among them.
#[derive(Debug, Default)]
pub(super) struct Peers {
    nodes: BTreeMap<NodeId, Peer>,
    /// The links that work. A link may be there before the coordinator tells of the node, or of its new run.
    linked: BTreeSet<NodeId>,
    /// The acd nodes whose word this node needs when the coordinator is out of reach: all that were registered when it
    /// last knew its own registration to be good, and all that it has heard of since.
    circle: BTreeSet<NodeId>,
    /// Nodes that have told us of themselves, before the coordinator did; forgotten when it does, or at that time.
    acquainted: BTreeMap<NodeId, Moment>,
}

impl Peers {
    /// The coordinator's list has changed. A node that runs anew is a new node.
    pub(super) fn listed(&mut self, nodes: Vec<Registered>) {
        let mut before = std::mem::take(&mut self.nodes);
        for registered in nodes {
            let id = registered.node.id;
            let known = before.remove(&id).filter(|peer| peer.registered.node.boot == registered.node.boot);
            self.acquainted.remove(&id);
            if registered.node.roles.acd {
                self.circle.insert(id);
            }
            let fresh = if self.linked.contains(&id) { Reach::Linked } else { Reach::Unknown };
            self.nodes.insert(id, Peer { registered, reach: known.map_or(fresh, |peer| peer.reach) });
        }
    }

    /// The entry of a registered node.
    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id).map(|peer| &peer.registered.node)
    }

    /// The lease of a registered node.
    pub(super) fn lease(&self, id: NodeId) -> Option<LeaseId> {
        self.nodes.get(&id).map(|peer| peer.registered.lease)
    }

    /// All registered nodes.
    pub(super) fn ids(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.keys().copied()
    }

    /// Registered nodes whose silence means something.
    pub(super) fn unsuspected(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.iter().filter(|(_, peer)| peer.reach != Reach::Suspected).map(|(id, _)| *id)
    }

    /// Nodes whose links work, registered or not.
    pub(super) fn linked(&self) -> impl Iterator<Item = NodeId> {
        self.linked.iter().copied()
    }

    /// Nodes to which shards may go.
    pub(super) fn candidates(&self) -> BTreeSet<NodeId> {
        let good = |peer: &Peer| peer.registered.node.is_candidate() && peer.reach != Reach::Suspected;
        self.nodes.iter().filter(|(_, peer)| good(peer)).map(|(id, _)| *id).collect()
    }

    /// Everybody who might own something.
    pub(super) fn owners(&self) -> BTreeSet<NodeId> {
        self.circle.iter().chain(self.acquainted.keys()).copied().collect()
    }

    /// This node's registration is known to be good: who has gone from the list is out of the circle.
    pub(super) fn confirmed(&mut self) {
        let acd = self.nodes.values().map(|peer| &peer.registered.node).filter(|node| node.roles.acd);
        self.circle = acd.map(|node| node.id).collect();
    }

    /// Acd nodes other than `me` that may own shards.
    pub(super) fn standing_besides(&self, me: NodeId) -> Vec<NodeId> {
        let nodes = self.nodes.values().map(|peer| &peer.registered.node);
        nodes.filter(|node| node.id != me && node.roles.acd && node.standing).map(|node| node.id).collect()
    }

    /// A node has told us of itself.
    pub(super) fn meet(&mut self, id: NodeId, until: Moment) {
        if !self.nodes.contains_key(&id) {
            self.acquainted.insert(id, until);
        }
    }

    /// Whether messages reach it.
    pub(super) fn is_linked(&self, id: NodeId) -> bool {
        self.nodes.get(&id).is_some_and(|peer| peer.reach == Reach::Linked)
    }

    /// Whether its link broke and its probe failed.
    pub(super) fn is_suspected(&self, id: NodeId) -> bool {
        self.nodes.get(&id).is_some_and(|peer| peer.reach == Reach::Suspected)
    }

    /// The link to it works.
    pub(super) fn link_up(&mut self, id: NodeId) {
        self.linked.insert(id);
        self.set(id, |_| Reach::Linked);
    }

    /// The link to it broke. Only a link that had worked is worth a probe: suspicion needs that something changed.
    pub(super) fn link_down(&mut self, id: NodeId, now: Moment, timing: &Timing, out: &mut Vec<Effect>) {
        self.linked.remove(&id);
        let Some(peer) = self.nodes.get_mut(&id) else { return };
        if peer.reach == Reach::Linked {
            peer.reach = Reach::Probing(now + timing.probe);
            out.push(Effect::Probe(id));
        }
    }

    /// Its probe came to something.
    pub(super) fn probed(&mut self, id: NodeId, answered: bool) {
        self.set(id, |reach| match reach {
            Reach::Probing(_) if answered => Reach::Unlinked,
            Reach::Probing(_) => Reach::Suspected,
            Reach::Unknown | Reach::Linked | Reach::Suspected | Reach::Unlinked => reach,
        });
    }

    /// It has written to the coordinator since, so it lives; until its link works again it is not suspected anew. Two
    /// nodes that cannot reach each other would otherwise take each other's shards for ever.
    pub(super) fn lives(&mut self, id: NodeId) {
        self.set(id, |reach| match reach {
            Reach::Suspected | Reach::Probing(_) => Reach::Unlinked,
            Reach::Unknown | Reach::Linked | Reach::Unlinked => reach,
        });
    }

    fn set(&mut self, id: NodeId, change: impl FnOnce(Reach) -> Reach) {
        if let Some(peer) = self.nodes.get_mut(&id) {
            peer.reach = change(peer.reach);
        }
    }

    /// What time alone changes; when it next does.
    pub(super) fn advance(&mut self, now: Moment) -> Option<Moment> {
        self.acquainted.retain(|_, until| now < *until);
        let mut wake = self.acquainted.values().copied().min();
        for peer in self.nodes.values_mut() {
            if let Reach::Probing(until) = peer.reach {
                if until <= now {
                    peer.reach = Reach::Suspected;
                } else {
                    wake = Some(wake.map_or(until, |w| w.min(until)));
                }
            }
        }
        wake
    }
}
