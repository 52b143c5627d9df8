//! The side of a link that dials, and dials again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_acd::ids::NodeId;
use tokio::sync::mpsc::Sender;
use tonic::transport::Endpoint;
use tonic::{Status, Streaming};

use super::outgoing::Outgoing;
use super::wire::link_service_client::LinkServiceClient;
use super::{MOST_BYTES, SILENCE, Shared, check, queue, wire};

/// The pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long the other node may take to accept the connection, and to introduce itself.
const CONNECT: Duration = Duration::from_secs(1);

/// Ends only when it is aborted.
pub(super) async fn forever(shared: Arc<Shared>, node: NodeId, addr: SocketAddr) {
    let mut pause = FIRST_PAUSE;
    loop {
        match open(&shared, addr).await {
            Ok(link) if link.hello.node == node.0 => {
                pause = FIRST_PAUSE;
                shared.clone().live(link.hello, link.queue, link.incoming).await;
            }
            Ok(link) => tracing::warn!(node = node.0, %addr, other = link.hello.node, "another node answers there"),
            Err(status) => tracing::debug!(node = node.0, %addr, %status, "no link"),
        }
        // Nodes that lost the same peer do not all come back in the same moment.
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

struct Opened {
    hello: wire::Hello,
    queue: Sender<wire::Envelope>,
    incoming: Streaming<wire::Frame>,
}

async fn open(shared: &Arc<Shared>, addr: SocketAddr) -> Result<Opened, Status> {
    let endpoint =
        Endpoint::from_shared(format!("http://{addr}")).map_err(|error| Status::internal(error.to_string()))?;
    let endpoint = endpoint.connect_timeout(CONNECT).tcp_nodelay(true);
    let channel = endpoint.connect().await.map_err(|error| Status::unavailable(format!("{error:?}")))?;
    let mut client = LinkServiceClient::new(channel).max_decoding_message_size(MOST_BYTES);
    let (queue, receiver) = queue();
    let opening = async {
        let mut incoming = client.open(Outgoing::new(shared.hello(), receiver)).await?.into_inner();
        let hello = incoming.message().await?.and_then(|frame| frame.hello);
        Ok::<_, Status>((hello, incoming))
    };
    let opened = tokio::time::timeout(SILENCE, opening).await;
    let (hello, incoming) = opened.map_err(|_| Status::deadline_exceeded("no hello"))??;
    let hello = hello.ok_or_else(|| Status::invalid_argument("the first frame must hold a `hello`"))?;
    check(&hello)?;
    Ok(Opened { hello, queue, incoming })
}
