//! What the cluster asks of the edge of its node.

use std::net::SocketAddr;

use carillon_acd::ids::{AgentId, CallId, LegId, NodeId};
use carillon_acd::leg::Reachability;
use carillon_edge::Edge;

/// The edge of a node: the product's, or the scripted one of a simulation.
pub trait Phones: Send + Sync + 'static {
    /// Where the devices of an agent are, as far as this edge knows.
    fn reachability(&self, agent: &AgentId) -> Vec<Reachability>;

    /// The other edges, and where they speak SIP.
    fn update_peers(&self, peers: &mut dyn Iterator<Item = (NodeId, SocketAddr)>);

    /// Another edge has a call: its legs are forgotten without a word, but for those that are not among `theirs`; see
    /// [`Edge::forsake`].
    fn forsake(&self, call: CallId, theirs: &[LegId]);

    /// Another edge has had a call, which is over: its legs are hung up; see [`Edge::abandon`].
    fn abandon(&self, call: CallId);

    /// This edge keeps a call that another one has given up, which may have asked the phones of these legs to come there; see
    /// [`Edge::reclaim`].
    fn reclaim(&self, call: CallId, theirs: &[LegId]);
}

impl Phones for Edge {
    fn reachability(&self, agent: &AgentId) -> Vec<Reachability> {
        Edge::reachability(self, agent)
    }

    fn update_peers(&self, peers: &mut dyn Iterator<Item = (NodeId, SocketAddr)>) {
        Edge::update_peers(self, peers);
    }

    fn forsake(&self, call: CallId, theirs: &[LegId]) {
        Edge::forsake(self, call, theirs);
    }

    fn abandon(&self, call: CallId) {
        Edge::abandon(self, call);
    }

    fn reclaim(&self, call: CallId, theirs: &[LegId]) {
        Edge::reclaim(self, call, theirs);
    }
}
