//! The service of nodes and owners. What it knows and does is its node's: see [`Nodes`].

use std::sync::Arc;

use carillon_acd::ids::{CallId, Epoch, NodeId};
use carillon_actors::Owned;
use carillon_rpc::v1::cluster_service_server::ClusterService;
use carillon_rpc::{Refusal, names, v1};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

/// Who owns a queue or an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// What is owned.
    pub owned: Owned,
    /// The shard it falls into.
    pub shard: u16,
    /// The owner, if there is one now.
    pub node: Option<NodeId>,
    /// The epoch of its election.
    pub epoch: Epoch,
}

/// The cluster as the node of this API knows it.
#[tonic::async_trait]
pub trait Nodes: Send + Sync + 'static {
    /// The registered nodes, by number.
    fn nodes(&self) -> Vec<v1::Node>;

    /// The owners of all queues and agents that are configured, in any order.
    fn owners(&self) -> Vec<Ownership>;

    /// The API of the node that owns this; `None` when it is this node, or nobody, or it has no API.
    fn api_of_owner(&self, owned: &Owned) -> Option<Channel>;

    /// The API of the node on which a call lives; `None` for this one, and for one that is not registered or has none.
    fn api_of_call(&self, call: CallId) -> Option<Channel>;

    /// The APIs of all other nodes.
    fn other_apis(&self) -> Vec<Channel>;

    /// Tells a node to drain, or to take part again.
    ///
    /// # Errors
    /// In words, when the coordinator does not answer or refuses.
    async fn drain(&self, node: NodeId, wanted: bool) -> Result<(), String>;
}

pub(crate) struct Cluster {
    nodes: Option<Arc<dyn Nodes>>,
}

impl Cluster {
    pub(crate) fn new(nodes: Option<Arc<dyn Nodes>>) -> Self {
        Cluster { nodes }
    }

    fn nodes(&self) -> Result<&Arc<dyn Nodes>, Refusal> {
        let problem = "this node stands alone: it was started without --config".to_owned();
        self.nodes.as_ref().ok_or(Refusal::State { name: "cluster".to_owned(), problem })
    }

    async fn drain(&self, node: u32, wanted: bool) -> Result<(), Refusal> {
        let nodes = self.nodes()?;
        let known: Vec<u32> = nodes.nodes().iter().map(|known| known.node).collect();
        if wanted && !known.contains(&node) {
            let known: Vec<String> = known.iter().map(u32::to_string).collect();
            return Err(Refusal::invalid("node", node, &format!("a registered node: {}", known.join(", "))));
        }
        tracing::info!(node, wanted, "drain by request");
        nodes.drain(NodeId(node), wanted).await.map_err(Refusal::Unavailable)
    }
}

#[tonic::async_trait]
impl ClusterService for Cluster {
    async fn list_nodes(&self, _: Request<v1::ListNodesRequest>) -> Result<Response<v1::ListNodesResponse>, Status> {
        Ok(Response::new(v1::ListNodesResponse { nodes: self.nodes()?.nodes() }))
    }

    async fn list_owners(
        &self,
        request: Request<v1::ListOwnersRequest>,
    ) -> Result<Response<v1::ListOwnersResponse>, Status> {
        let parent = names::parent(&request.get_ref().parent).map_err(|error| Refusal::name("parent", error))?;
        let tenant = |owned: &Owned| match owned {
            Owned::Queue(queue) => parent.holds(&queue.tenant),
            Owned::Agent(agent) => parent.holds(&agent.tenant),
        };
        let mut owners: Vec<Ownership> = self.nodes()?.owners();
        owners.retain(|ownership| tenant(&ownership.owned));
        owners.sort_by(|a, b| a.owned.cmp(&b.owned));
        let owners = owners.into_iter().map(Into::into).collect();
        Ok(Response::new(v1::ListOwnersResponse { owners }))
    }

    async fn drain_node(
        &self,
        request: Request<v1::DrainNodeRequest>,
    ) -> Result<Response<v1::DrainNodeResponse>, Status> {
        self.drain(request.get_ref().node, true).await?;
        Ok(Response::new(v1::DrainNodeResponse {}))
    }

    async fn undrain_node(
        &self,
        request: Request<v1::UndrainNodeRequest>,
    ) -> Result<Response<v1::UndrainNodeResponse>, Status> {
        self.drain(request.get_ref().node, false).await?;
        Ok(Response::new(v1::UndrainNodeResponse {}))
    }
}

impl From<Ownership> for v1::Owner {
    fn from(it: Ownership) -> Self {
        v1::Owner {
            name: it.owned.to_string(),
            shard: u32::from(it.shard),
            node: it.node.map(|node| node.0),
            epoch: it.epoch.0,
        }
    }
}
