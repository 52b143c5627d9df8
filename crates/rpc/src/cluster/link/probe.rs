//! Whether a node lives, asked over a connection of its own: a link may be broken, and its node well.

use std::net::SocketAddr;
use std::time::Duration;

use super::transport::Transport;
use super::wire::ProbeRequest;
use super::wire::link_service_client::LinkServiceClient;

pub(super) async fn probe(transport: &Transport, addr: SocketAddr, patience: Duration) -> bool {
    let asking = async {
        let channel = transport.channel(addr).await.ok()?;
        LinkServiceClient::new(channel).probe(ProbeRequest {}).await.ok()
    };
    tokio::time::timeout(patience, asking).await.is_ok_and(|answer| answer.is_some())
}
