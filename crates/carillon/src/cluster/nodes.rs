//! What the API shows of the cluster.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use carillon_acd::ids::{CallId, NodeId};
use carillon_actors::Owned;
use carillon_api::{Nodes, Other, Ownership};
use carillon_cluster::member::{Node, Registered, Roles};
use carillon_cluster::shard::Shard;
use carillon_rpc::v1;
use tonic::transport::{Channel, Endpoint};

use super::{Membership, holdings};

/// How long a connection to another node's API may take; each request says how long its answer may.
const CONNECT: Duration = Duration::from_secs(2);
/// How often a connection in use is tried, and how long the trial may take: the live view notices a node that is silent.
const PING: Duration = Duration::from_secs(1);
const PONG: Duration = Duration::from_secs(2);

/// The cluster as this node knows it.
pub(crate) struct KnownNodes {
    membership: Membership,
    /// Connections to other nodes' APIs, with their address; they connect when they are used.
    channels: Mutex<HashMap<NodeId, (String, Channel)>>,
}

impl KnownNodes {
    pub(crate) fn new(membership: Membership) -> Self {
        KnownNodes { membership, channels: Mutex::default() }
    }

    fn channel(&self, node: &Node) -> Option<Channel> {
        let addr = node.addresses.api.clone().filter(|_| node.id != self.membership.me)?;
        let endpoint = Endpoint::from_shared(format!("http://{addr}")).ok()?;
        let connect = || {
            let endpoint = endpoint.connect_timeout(CONNECT).tcp_nodelay(true);
            endpoint.http2_keep_alive_interval(PING).keep_alive_timeout(PONG).connect_lazy()
        };
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, channel)) = channels.get(&node.id).filter(|(known, _)| *known == addr) {
            return Some(channel.clone());
        }
        // In the place of the one to where the node was before.
        let channel = connect();
        channels.insert(node.id, (addr, channel.clone()));
        Some(channel)
    }

    fn registered<T>(&self, look: impl FnMut(&Registered) -> Option<T>) -> Vec<T> {
        self.membership.cluster().nodes().borrow().iter().filter_map(look).collect()
    }
}

impl KnownNodes {
    fn api_of_node(&self, node: NodeId) -> Option<Channel> {
        self.registered(|it| (it.node.id == node).then(|| self.channel(&it.node)).flatten()).pop()
    }
}

#[tonic::async_trait]
impl Nodes for KnownNodes {
    fn nodes(&self) -> Vec<v1::Node> {
        let cluster = self.membership.cluster();
        let linked = self.membership.links.up();
        let mut trouble = self.membership.links.troubles();
        let mut shards: HashMap<NodeId, u32> = HashMap::new();
        for owner in Shard::all().filter_map(|shard| cluster.directory().owner(shard)) {
            *shards.entry(owner.node).or_default() += 1;
        }
        let known = cluster.nodes().borrow().clone();
        let mut shown = |Registered { node, .. }: &Registered| v1::Node {
            node: node.id.0,
            roles: roles(node.roles),
            zone: node.zone.clone().unwrap_or_default(),
            version: node.version.clone(),
            link: node.addresses.link.clone(),
            sip: node.addresses.signalling.first().cloned().unwrap_or_default(),
            api: node.addresses.api.clone().unwrap_or_default(),
            linked: node.id == cluster.id() || linked.contains(&node.id),
            draining: node.draining,
            shards: shards.get(&node.id).copied().unwrap_or_default(),
            state: None,
            drain_obstacles: drain_obstacles(node, &known),
            trouble: trouble.remove(&node.id).unwrap_or_default(),
        };
        known.iter().map(&mut shown).collect()
    }

    fn owners(&self) -> Vec<Ownership> {
        let directory = self.membership.cluster().directory();
        let ownership = |owned: &Owned| {
            let shard = holdings::shard(owned);
            let seat = directory.seat(shard);
            Ownership { owned: owned.clone(), shard: shard.number(), node: seat.owner, epoch: seat.epoch }
        };
        self.membership.holdings.load_full().all().map(ownership).collect()
    }

    fn me(&self) -> NodeId {
        self.membership.me
    }

    fn api_of_owner(&self, owned: &Owned) -> Option<Channel> {
        let owner = self.membership.cluster().directory().owner(holdings::shard(owned))?;
        self.api_of_node(owner.node)
    }

    fn api_of_call(&self, call: CallId) -> Option<Channel> {
        self.api_of_node(self.membership.node_of(call))
    }

    fn others(&self) -> Vec<Other> {
        let other = |Registered { node, .. }: &Registered| {
            let (edge, acd) = (node.roles.edge, node.roles.acd);
            Other { node: node.id, run: node.boot, edge, acd, api: self.channel(node) }
        };
        self.registered(|it| (it.node.id != self.membership.me).then(|| other(it)))
    }

    async fn drain(&self, node: NodeId, wanted: bool) -> Result<(), String> {
        self.membership.cluster().space().drain(node, wanted).await.map_err(|error| error.to_string())
    }
}

fn roles(roles: Roles) -> Vec<String> {
    let all = [(roles.edge, "edge"), (roles.acd, "acd"), (roles.api, "api")];
    all.into_iter().filter(|(is, _)| *is).map(|(_, name)| name.to_owned()).collect()
}

/// What of a node nobody else could take now (Spec: CL-6).
fn drain_obstacles(node: &Node, known: &[Registered]) -> Vec<String> {
    let others = || known.iter().map(|it| &it.node).filter(|other| other.id != node.id);
    let missing = |role: &str, has: fn(Roles) -> bool, takes: fn(&Node) -> bool, what: &str| {
        if !has(node.roles) || others().any(takes) {
            return None;
        }
        let drained: Vec<String> = others()
            .filter(|other| has(other.roles) && other.draining)
            .map(|other| format!(", or `carillon undrain {}`", other.id.0))
            .collect();
        Some(format!("no other node can take {what}: start one with the role {role}{}", drained.concat()))
    };
    let owners = missing("acd", |roles| roles.acd, Node::is_candidate, "its queues and agents");
    let takes_callers = |other: &Node| other.roles.edge && !other.draining;
    let edge = missing("edge", |roles| roles.edge, takes_callers, "its phones and waiting callers");
    owners.into_iter().chain(edge).collect()
}

#[cfg(test)]
mod tests {
    use carillon_cluster::coordinator::LeaseId;
    use carillon_cluster::member::Addresses;

    use super::*;

    fn node(id: u32, roles: Roles, draining: bool) -> Registered {
        let (addresses, version) = (Addresses::default(), String::new());
        let node = Node { id: NodeId(id), boot: 1, roles, addresses, zone: None, version, draining, standing: true };
        Registered { node, lease: LeaseId(i64::from(id)) }
    }

    // spec: CL-6
    #[test]
    fn cl_6_a_drain_says_which_node_is_missing() {
        let roles = |edge, acd| Roles { edge, acd, api: true };
        let of = |others: &[Registered]| {
            let first = node(1, roles(true, true), true);
            let known: Vec<Registered> = [first.clone()].into_iter().chain(others.iter().cloned()).collect();
            drain_obstacles(&first.node, &known)
        };
        assert!(of(&[node(2, roles(true, true), false)]).is_empty());
        assert!(of(&[node(2, roles(true, false), false), node(3, roles(false, true), false)]).is_empty());
        let [owners, edge] = &of(&[])[..] else { panic!("two") };
        assert_eq!(owners, "no other node can take its queues and agents: start one with the role acd");
        assert_eq!(edge, "no other node can take its phones and waiting callers: start one with the role edge");
        let [owners] = &of(&[node(2, roles(true, false), false), node(3, roles(true, true), true)])[..] else {
            panic!("one")
        };
        assert!(owners.ends_with("with the role acd, or `carillon undrain 3`"), "{owners}");
        let only_api = node(4, roles(false, false), true);
        assert!(
            drain_obstacles(&only_api.node, std::slice::from_ref(&only_api)).is_empty(),
            "it has nothing to hand over"
        );
    }
}
