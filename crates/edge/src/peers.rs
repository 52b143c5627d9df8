//! The other edges of the cluster, as SIP reaches them.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use carillon_acd::ids::NodeId;
use carillon_sip::{Flow, Transport};

/// The SIP addresses of all other edges. What comes from one of them is trusted to ring our phones, and for nothing else.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    by_node: HashMap<NodeId, SocketAddr>,
    addresses: HashSet<SocketAddr>,
}

impl Peers {
    pub(crate) fn new(peers: impl IntoIterator<Item = (NodeId, SocketAddr)>) -> Self {
        let by_node: HashMap<NodeId, SocketAddr> = peers.into_iter().collect();
        Peers { addresses: by_node.values().copied().collect(), by_node }
    }

    /// Where an edge speaks SIP.
    pub(crate) fn address(&self, node: NodeId) -> Option<SocketAddr> {
        self.by_node.get(&node).copied()
    }

    /// The addresses of those who are not in the newer list.
    pub(crate) fn gone_from<'a>(&'a self, newer: &'a Peers) -> impl Iterator<Item = SocketAddr> + 'a {
        self.addresses.difference(&newer.addresses).copied()
    }

    /// Whether an edge speaks SIP there.
    pub(crate) fn is_address(&self, address: SocketAddr) -> bool {
        self.addresses.contains(&address)
    }

    /// Whether an edge is at the other end of the flow. Edges talk UDP among themselves.
    pub(crate) fn is_peer(&self, flow: &Flow) -> bool {
        flow.transport == Transport::Udp && self.is_address(flow.remote)
    }
}
