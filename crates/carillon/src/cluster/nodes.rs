//! What the API shows of the cluster.

use std::collections::HashMap;

use carillon_acd::ids::NodeId;
use carillon_actors::Owned;
use carillon_api::{Nodes, Ownership};
use carillon_cluster::member::{Registered, Roles};
use carillon_cluster::shard::Shard;
use carillon_rpc::v1;

use super::{Membership, holdings};

/// The cluster as this node knows it.
pub(crate) struct KnownNodes {
    membership: Membership,
    everything: Vec<Owned>,
}

impl KnownNodes {
    /// `everything` that is configured.
    pub(crate) fn new(membership: Membership, everything: impl IntoIterator<Item = Owned>) -> Self {
        KnownNodes { membership, everything: everything.into_iter().collect() }
    }
}

#[tonic::async_trait]
impl Nodes for KnownNodes {
    fn nodes(&self) -> Vec<v1::Node> {
        let cluster = self.membership.cluster();
        let linked = self.membership.links.up();
        let mut shards: HashMap<NodeId, u32> = HashMap::new();
        for owner in Shard::all().filter_map(|shard| cluster.directory().owner(shard)) {
            *shards.entry(owner.node).or_default() += 1;
        }
        let known = cluster.nodes().borrow().clone();
        let shown = |Registered { node, .. }: &Registered| v1::Node {
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
        };
        known.iter().map(shown).collect()
    }

    fn owners(&self) -> Vec<Ownership> {
        let directory = self.membership.cluster().directory();
        let ownership = |owned: &Owned| {
            let shard = holdings::shard(owned);
            let seat = directory.seat(shard);
            Ownership { owned: owned.clone(), shard: shard.number(), node: seat.owner, epoch: seat.epoch }
        };
        self.everything.iter().map(ownership).collect()
    }

    async fn drain(&self, node: NodeId, wanted: bool) -> Result<(), String> {
        self.membership.cluster().space().drain(node, wanted).await.map_err(|error| error.to_string())
    }
}

fn roles(roles: Roles) -> Vec<String> {
    let all = [(roles.edge, "edge"), (roles.acd, "acd"), (roles.api, "api")];
    all.into_iter().filter(|(is, _)| *is).map(|(_, name)| name.to_owned()).collect()
}
