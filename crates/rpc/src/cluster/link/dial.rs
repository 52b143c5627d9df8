//! The side of a link that dials, and dials again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_acd::ids::NodeId;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use super::further;
use super::lanes::Lanes;
use super::outgoing::Outgoing;
use super::pauses::Pauses;
use super::queue::{Queue, queue};
use super::transport::reason;
use super::wire::link_service_client::LinkServiceClient;
use super::{MOST_BYTES, SILENCE, Shared, version, wire};

/// Ends only when it is aborted.
pub(super) async fn forever(shared: Arc<Shared>, node: NodeId, addr: SocketAddr) {
    let mut pauses = Pauses::new();
    loop {
        let lasted = match open(&shared, node, addr).await {
            Ok(Opened { hello, version, queue, lanes, incoming }) => {
                let up = Instant::now();
                let _further = further::dial(&shared, &hello, addr, &lanes);
                shared.clone().live(&hello, version, queue, lanes, incoming).await;
                up.elapsed()
            }
            Err(reason) => {
                shared.peer(node).complain(node, Some(format!("{addr}: {reason}")));
                Duration::ZERO
            }
        };
        pauses.wait(lasted).await;
    }
}

struct Opened {
    hello: wire::Hello,
    version: u32,
    queue: Queue,
    lanes: Arc<Lanes>,
    incoming: Streaming<wire::Frame>,
}

async fn open(shared: &Arc<Shared>, node: NodeId, addr: SocketAddr) -> Result<Opened, String> {
    let channel = shared.transport.channel(addr).await?;
    let mut client = LinkServiceClient::new(channel).max_decoding_message_size(MOST_BYTES);
    let (queue, waiting) = queue();
    let lanes = Arc::new(Lanes::new(rand::random()));
    let opening = async {
        let outgoing = Outgoing::new(shared.hello(lanes.link, 0), waiting, lanes.clone(), shared.peer(node));
        let mut incoming = client.open(outgoing).await?.into_inner();
        let hello = incoming.message().await?.and_then(|frame| frame.hello);
        Ok::<_, Status>((hello, incoming))
    };
    let opened = tokio::time::timeout(SILENCE, opening).await.map_err(|_| "no hello in time".to_owned())?;
    let (hello, incoming) = opened.map_err(|status| refusal(&status, shared.transport.tls.is_some()))?;
    let hello = hello.ok_or("the first frame must hold a `hello`")?;
    let version = version::agree(&hello).map_err(|status| status.message().to_owned())?;
    if hello.node != node.0 {
        return Err(format!("node {} answers there", hello.node));
    }
    Ok(Opened { hello, version, queue, lanes, incoming })
}

/// What the other node has said, or what may be behind a connection that broke before it could say anything.
fn refusal(status: &Status, tls: bool) -> String {
    let no_word = matches!(status.code(), tonic::Code::Unavailable | tonic::Code::Unknown | tonic::Code::Internal);
    match (no_word, tls) {
        (false, _) => status.message().to_owned(),
        (true, false) => format!("the connection broke before a hello ({}); that node may ask for TLS", reason(status)),
        (true, true) => format!("the connection broke before a hello ({})", reason(status)),
    }
}
