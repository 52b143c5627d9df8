//! The side of a link that is dialled.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use carillon_acd::ids::NodeId;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::further;
use super::lanes::Lanes;
use super::outgoing::Outgoing;
use super::queue::queue;
use super::wire::link_service_server::LinkService;
use super::{Shared, version, wire};

/// How long a node that dials may take to introduce itself.
const HELLO: Duration = Duration::from_secs(2);
/// How much earlier than this node another one may hear that both are there: less than who dials waits for an answer.
const NEWS: Duration = Duration::from_secs(1);

pub(super) struct Service {
    shared: Arc<Shared>,
}

impl Service {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Service { shared }
    }

    /// Waits for a node that this one does not know yet. A link to it would be cut at once, and dialled again.
    async fn listed(&self, node: NodeId) -> Result<(), Status> {
        let mut listed = self.shared.listed.subscribe();
        let heard = tokio::time::timeout(NEWS, listed.wait_for(|listed| listed.contains(&node))).await;
        // `Shared` holds the sender: only the time can run out.
        heard.map(drop).map_err(|_| {
            let me = self.shared.myself.node.0;
            Status::failed_precondition(format!("node {me} does not know node {} (yet)", node.0))
        })
    }
}

#[tonic::async_trait]
impl LinkService for Service {
    type OpenStream = Pin<Box<dyn Stream<Item = Result<wire::Frame, Status>> + Send>>;

    async fn open(&self, request: Request<Streaming<wire::Frame>>) -> Result<Response<Self::OpenStream>, Status> {
        let mut incoming = request.into_inner();
        let first = tokio::time::timeout(HELLO, incoming.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no hello within 2 s"))??;
        let hello = first.and_then(|frame| frame.hello);
        let hello = hello.ok_or_else(|| Status::invalid_argument("the first frame must hold a `hello`"))?;
        let node = NodeId(hello.node);
        if node >= self.shared.myself.node {
            let text = format!("node {} is dialled, it does not dial node {}", node.0, self.shared.myself.node.0);
            return Err(Status::failed_precondition(text));
        }
        let version = version::agree(&hello).inspect_err(|refused| {
            self.shared.peer(node).complain(node, Some(refused.message().to_owned()));
        })?;
        if hello.lane > 0 {
            let frames = further::accept(&self.shared, &hello, incoming)?;
            return Ok(Response::new(Box::pin(frames.map(Ok))));
        }
        self.listed(node).await?;
        let ((queue, waiting), lanes) = (queue(), Arc::new(Lanes::new(hello.link)));
        let greeting = self.shared.hello(lanes.link, 0);
        let outgoing = Outgoing::new(greeting, waiting, lanes.clone(), self.shared.peer(node));
        let shared = self.shared.clone();
        tokio::spawn(async move { shared.live(&hello, version, queue, lanes, incoming).await });
        Ok(Response::new(Box::pin(outgoing.map(Ok))))
    }

    async fn probe(&self, _: Request<wire::ProbeRequest>) -> Result<Response<wire::ProbeResponse>, Status> {
        Ok(Response::new(wire::ProbeResponse { boot: self.shared.myself.boot }))
    }
}
