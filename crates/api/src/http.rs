//! Plain HTTP for orchestrators, load balancers and Prometheus: `/healthz/live`, `/healthz/ready`, `/metrics`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use crate::config::InForce;
use crate::listen::{self, Connection};
use crate::vitals::Vitals;

/// How long the metrics may take before the scrape is refused: a second less than Prometheus waits by default.
const PATIENCE: Duration = Duration::from_secs(9);
/// The media type of the metrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Node = Arc<dyn Vitals>;

/// Serves health and metrics on `listener` until the task is ended. Plain text, for whoever reaches it: it tells how busy
/// the node is, and the names of its queues.
///
/// # Errors
/// When the listener fails as a whole.
pub async fn serve_http(listener: TcpListener, vitals: Node) -> io::Result<()> {
    let local = listener.local_addr()?;
    let router = Router::new()
        .route("/healthz/live", get(|| async { "alive\n" }))
        .route("/healthz/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(vitals);
    axum::serve(Accepted { local, connections: listen::accept(listener) }, router).await
}

/// 200, or 503 with a line for each thing that is in the way. Then what is not in the way and yet not as it should be.
async fn ready(State(vitals): State<Node>) -> impl IntoResponse {
    let (mut lines, status) = match &vitals.obstacles()[..] {
        [] => (vec!["ready".to_owned()], StatusCode::OK),
        obstacles => (obstacles.to_vec(), StatusCode::SERVICE_UNAVAILABLE),
    };
    let InForce { seen, used, refused, .. } = vitals.in_force();
    if let Some(why) = refused {
        lines.push(format!("revision {seen} of the configuration is not in force here, but {used}: {why}"));
    }
    (status, lines.into_iter().map(|line| line + "\n").collect::<String>())
}

async fn metrics(State(vitals): State<Node>) -> impl IntoResponse {
    match tokio::time::timeout(PATIENCE, vitals.metrics()).await {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the node is too busy to count\n").into_response(),
    }
}

/// Connections within the limits of [`listen`].
struct Accepted {
    local: SocketAddr,
    connections: ReceiverStream<io::Result<Connection>>,
}

impl axum::serve::Listener for Accepted {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.connections.next().await {
                Some(Ok(connection)) => return (connection, self.local),
                Some(Err(error)) => tracing::debug!(%error, "a connection failed before it began"),
                // The task that accepts ends only with this one.
                None => std::future::pending().await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}
