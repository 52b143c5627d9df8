//! What a node tells the others about itself (Spec: CL-2).

use std::net::IpAddr;

use carillon_acd::ids::NodeId;
use serde::{Deserialize, Serialize};

use crate::coordinator::LeaseId;

/// What a node does; any combination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    /// It terminates SIP and RTP, so calls live on it.
    #[serde(default)]
    pub edge: bool,
    /// It owns queues and agents.
    #[serde(default)]
    pub acd: bool,
    /// It serves the API.
    #[serde(default)]
    pub api: bool,
}

/// Where a node is reached. Signalling and media are apart, because they often are: a SIP address may belong to a load
/// balancer or a public name, RTP goes to the machine itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Where other nodes open their links, `host:port`.
    pub link: String,
    /// SIP, as written into Via and Contact; empty without the edge role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signalling: Vec<String>,
    /// RTP, as written into SDP; empty without the edge role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<IpAddr>,
    /// The API, `host:port`; `None` without the api role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
}

/// A node of the cluster, as it stands in the coordinator. Unknown fields of newer nodes are tolerated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its number, from its configuration; no two nodes may share one.
    pub id: NodeId,
    /// When this run of it began, in seconds since 1970: tells two runs apart, as in its calls' ids.
    pub boot: u32,
    /// What it does.
    pub roles: Roles,
    /// Where it is reached.
    pub addresses: Addresses,
    /// Where it stands (a rack, a data centre); checkpoints prefer another zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Its version of Carillon.
    pub version: String,
    /// It hands over what it owns and takes nothing new (Spec: CL-6).
    #[serde(default)]
    pub draining: bool,
    /// It may own shards: those who own some know of it (see [`crate::ownership`], "Joining").
    #[serde(default)]
    pub standing: bool,
}

impl Node {
    /// Whether shards may go to it.
    pub fn is_candidate(&self) -> bool {
        self.roles.acd && self.standing && !self.draining
    }
}

/// A registered node and the lease that its registration hangs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// What it says of itself.
    pub node: Node,
    /// Its lease: who hands a shard over to it attaches the shard's key to this.
    pub lease: LeaseId,
}
