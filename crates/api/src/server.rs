//! Puts the services behind one listener.

use std::sync::Arc;
use std::time::Duration;

use carillon_actors::Center;
use carillon_rpc::DESCRIPTORS;
use carillon_rpc::v1::agent_service_server::AgentServiceServer;
use carillon_rpc::v1::call_service_server::CallServiceServer;
use carillon_rpc::v1::cluster_service_server::ClusterServiceServer;
use carillon_rpc::v1::config_service_server::ConfigServiceServer;
use carillon_rpc::v1::explain_service_server::ExplainServiceServer;
use carillon_rpc::v1::queue_service_server::QueueServiceServer;
use carillon_rpc::v1::record_service_server::RecordServiceServer;
use carillon_rpc::v1::statistics_service_server::StatisticsServiceServer;
use carillon_rpc::v1::watch_service_server::WatchServiceServer;
use carillon_store::Store;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::agent::Agents;
use crate::call::Calls;
use crate::cluster::{Cluster, Nodes};
use crate::config::{Config, Configuration};
use crate::elsewhere::Elsewhere;
use crate::explain::Explanations;
use crate::listen;
use crate::queue::Queues;
use crate::record::Records;
use crate::statistics::StatisticsPages;
use crate::vitals::Vitals;
use crate::watch::{self, Watch};

/// The largest request of all but a configuration; the largest that makes sense is a hundredth of it.
const MOST_BYTES: usize = 64 * 1024;
/// The largest configuration that is applied: the largest center in sight has 20 MB.
const MOST_CONFIGURATION: usize = 64 * 1024 * 1024;
/// Requests of one connection that are answered at once; more are refused.
const REQUESTS: usize = 64;
/// Streams of one connection, watches included.
const STREAMS: u32 = 128;
/// Headers of one request, in bytes.
const HEADERS: u32 = 16 * 1024;
/// How long a request may take before it is cancelled; a stream, until it begins.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is looked whether the node is ready.
const READINESS: Duration = Duration::from_millis(250);
/// How often a connection is pinged, so that [`listen::SILENCE`] meets only the dead.
const PING: Duration = Duration::from_secs(20);
/// How long connections may take to end once the server stops.
const GRACE: Duration = Duration::from_secs(3);

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The descriptors compiled into the program do not decode.
    #[error("cannot describe the services: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The listener or the protocol failed as a whole; errors of one connection end only that.
    #[error("cannot serve the api: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves the API of a node, with `nodes` of its cluster if it is in one, on `listener` until `shutdown` completes; then it
/// refuses new connections, ends the watches, lets running requests finish for at most 3 s, and returns. Plain text: to be
/// bound to loopback. gRPC's health of the whole server, the service "", follows `vitals`; the services serve all the time.
///
/// # Errors
/// See [`ApiError`]. What a client does wrong, the client is told.
pub async fn serve(
    listener: TcpListener,
    center: Center,
    store: Store,
    nodes: Option<Arc<dyn Nodes>>,
    vitals: Arc<dyn Vitals>,
    configuration: Arc<dyn Configuration>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ApiError> {
    let reflection =
        || tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS);
    let (health, health_service) = tonic_health::server::health_reporter();
    set_serving(&health).await;
    let elsewhere = Elsewhere::new(nodes.clone());
    let (watch, sampler) = watch::new(center.clone(), elsewhere.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(sampler.run());
    tasks.spawn(follow_readiness(health, vitals.clone()));

    let (stopped, stop) = oneshot::channel();
    let stopping = async move {
        shutdown.await;
        // The streams of the live view end with their source.
        drop(tasks);
        let _ = stopped.send(());
    };
    let serving = Server::builder()
        .timeout(TIMEOUT)
        .concurrency_limit_per_connection(REQUESTS)
        .load_shed(true)
        .max_concurrent_streams(STREAMS)
        .http2_max_header_list_size(HEADERS)
        .http2_keepalive_interval(Some(PING))
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(
            AgentServiceServer::new(Agents::new(center.clone(), elsewhere.clone()))
                .max_decoding_message_size(MOST_BYTES),
        )
        .add_service(
            QueueServiceServer::new(Queues::new(center.clone(), elsewhere.clone()))
                .max_decoding_message_size(MOST_BYTES),
        )
        .add_service(
            CallServiceServer::new(Calls::new(center.clone(), elsewhere.clone())).max_decoding_message_size(MOST_BYTES),
        )
        .add_service(
            ExplainServiceServer::new(Explanations::new(center.clone(), store.clone(), elsewhere.clone()))
                .max_decoding_message_size(MOST_BYTES),
        )
        .add_service(
            StatisticsServiceServer::new(StatisticsPages::new(center, store.clone(), elsewhere.clone()))
                .max_decoding_message_size(MOST_BYTES),
        )
        .add_service(RecordServiceServer::new(Records::new(store, elsewhere)).max_decoding_message_size(MOST_BYTES))
        .add_service(ClusterServiceServer::new(Cluster::new(nodes, vitals)).max_decoding_message_size(MOST_BYTES))
        .add_service(ConfigServiceServer::new(Config::new(configuration)).max_decoding_message_size(MOST_CONFIGURATION))
        .add_service(WatchServiceServer::new(watch).max_decoding_message_size(MOST_BYTES))
        .serve_with_incoming_shutdown(listen::accept(listener), stopping);

    tokio::select! {
        served = serving => Ok(served?),
        () = grace(stop) => Ok(()),
    }
}

/// Completes some time after the stop; never without one.
async fn grace(stop: oneshot::Receiver<()>) {
    if stop.await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(GRACE).await;
}

/// Tells the health of the whole server.
async fn follow_readiness(health: HealthReporter, vitals: Arc<dyn Vitals>) {
    let mut looks = tokio::time::interval(READINESS);
    let mut told = None;
    loop {
        looks.tick().await;
        let ready = vitals.obstacles().is_empty();
        if told.replace(ready) != Some(ready) {
            let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
            health.set_service_status("", status).await;
        }
    }
}

async fn set_serving(health: &HealthReporter) {
    health.set_serving::<AgentServiceServer<Agents>>().await;
    health.set_serving::<QueueServiceServer<Queues>>().await;
    health.set_serving::<CallServiceServer<Calls>>().await;
    health.set_serving::<ExplainServiceServer<Explanations>>().await;
    health.set_serving::<RecordServiceServer<Records>>().await;
    health.set_serving::<StatisticsServiceServer<StatisticsPages>>().await;
    health.set_serving::<ClusterServiceServer<Cluster>>().await;
    health.set_serving::<ConfigServiceServer<Config>>().await;
    health.set_serving::<WatchServiceServer<Watch>>().await;
}
