//! The service of nodes and owners. What it knows and does is its node's: see [`Nodes`].

use std::collections::HashMap;
use std::sync::Arc;

use carillon_acd::ids::{CallId, Epoch, NodeId};
use carillon_actors::Owned;
use carillon_rpc::v1::cluster_service_client::ClusterServiceClient;
use carillon_rpc::v1::cluster_service_server::ClusterService;
use carillon_rpc::{Refusal, names, v1};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::elsewhere::{Elsewhere, ask_all, forwarded};
use crate::vitals::Vitals;

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

/// Another node, as it can be asked for its part of an answer.
#[derive(Clone, Debug)]
pub struct Other {
    /// Its number.
    pub node: NodeId,
    /// Which run of it this is: the next one may have its API elsewhere.
    pub run: u32,
    /// Whether calls live on it.
    pub edge: bool,
    /// Whether queues and agents may live on it.
    pub acd: bool,
    /// Its API, if it has one.
    pub api: Option<Channel>,
}

/// The cluster as the node of this API knows it.
#[tonic::async_trait]
pub trait Nodes: Send + Sync + 'static {
    /// The registered nodes, by number.
    fn nodes(&self) -> Vec<v1::Node>;

    /// The owners of all queues and agents that are configured, in any order.
    fn owners(&self) -> Vec<Ownership>;

    /// This node.
    fn me(&self) -> NodeId;

    /// The API of the node that owns this; `None` when it is this node, or nobody, or it has no API.
    fn api_of_owner(&self, owned: &Owned) -> Option<Channel>;

    /// The API of the node on which a call lives; `None` for this one, and for one that is not registered or has none.
    fn api_of_call(&self, call: CallId) -> Option<Channel>;

    /// All other nodes that are registered.
    fn others(&self) -> Vec<Other>;

    /// Tells a node to drain, or to take part again.
    ///
    /// # Errors
    /// In words, when the coordinator does not answer or refuses.
    async fn drain(&self, node: NodeId, wanted: bool) -> Result<(), String>;
}

pub(crate) struct Cluster {
    nodes: Option<Arc<dyn Nodes>>,
    elsewhere: Elsewhere,
    vitals: Arc<dyn Vitals>,
}

impl Cluster {
    pub(crate) fn new(nodes: Option<Arc<dyn Nodes>>, vitals: Arc<dyn Vitals>) -> Self {
        Cluster { elsewhere: Elsewhere::new(nodes.clone()), nodes, vitals }
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
    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let nodes = self.nodes()?;
        let others = self.elsewhere.others(&request, |_| true);
        let answers = ask_all(others, |channel| async move {
            let request = forwarded(v1::ListNodesRequest {});
            Ok(ClusterServiceClient::new(channel).list_nodes(request).await?.into_inner().nodes)
        });
        let said = |(node, list): (NodeId, Vec<v1::Node>)| {
            let itself = list.into_iter().find(|known| known.node == node.0)?;
            Some((node.0, itself.state?))
        };
        let mut states: HashMap<u32, v1::NodeState> = answers.await.of.into_iter().filter_map(said).collect();
        states.insert(nodes.me().0, self.vitals.state());
        let with_state = |node: v1::Node| v1::Node { state: states.remove(&node.node), ..node };
        Ok(Response::new(v1::ListNodesResponse { nodes: nodes.nodes().into_iter().map(with_state).collect() }))
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
