//! Whether a node lives, asked over a connection of its own: a link may be broken, and its node well.

use std::net::SocketAddr;
use std::time::Duration;

use tonic::transport::Endpoint;

use super::wire::ProbeRequest;
use super::wire::link_service_client::LinkServiceClient;

/// Asks the node at `addr`; `true` when it answers within `patience`.
pub async fn probe(addr: SocketAddr, patience: Duration) -> bool {
    let asking = async {
        let endpoint = Endpoint::from_shared(format!("http://{addr}")).ok()?.tcp_nodelay(true);
        let channel = endpoint.connect().await.ok()?;
        LinkServiceClient::new(channel).probe(ProbeRequest {}).await.ok()
    };
    tokio::time::timeout(patience, asking).await.is_ok_and(|answer| answer.is_some())
}
