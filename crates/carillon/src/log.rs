//! What a node tells of itself while it runs: its log on standard error, and traces for who collects them.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use carillon_rpc::cluster::trace::TARGET;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::options::LogFormat;

/// How long the last spans may take to reach their collector.
const GOODBYE: Duration = Duration::from_secs(1);

/// Spans on their way to a collector; what is left goes when this is dropped.
pub(crate) struct Traces(SdkTracerProvider);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(GOODBYE) {
            tracing::debug!(%error, "the last spans are lost");
        }
    }
}

/// Starts the log, and traces of node `node` to the collector at `otlp` if there is one. Must be called inside the runtime.
pub(crate) fn start(format: LogFormat, otlp: Option<&str>, node: u32) -> anyhow::Result<Option<Traces>> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,ractor=warn"));
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log = match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed(),
        LogFormat::Json => log.json().flatten_event(true).boxed(),
    };
    let Some(otlp) = otlp else {
        tracing_subscriber::registry().with(log.with_filter(filter)).init();
        return Ok(None);
    };
    let provider = provider(otlp, node).with_context(|| format!("`--otlp {otlp}` cannot be used"))?;
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("carillon"));
    let spans = spans.with_filter(Targets::new().with_target(TARGET, LevelFilter::TRACE));
    tracing_subscriber::registry().with(log.with_filter(filter)).with(spans).init();
    Ok(Some(Traces(provider)))
}

fn provider(otlp: &str, node: u32) -> anyhow::Result<SdkTracerProvider> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(otlp).build()?;
    let instance = KeyValue::new("service.instance.id", i64::from(node));
    let resource = Resource::builder().with_service_name("carillon").with_attribute(instance).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use carillon_acd::ids::CallId;
    use carillon_rpc::cluster::trace;
    use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
    use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
    use tokio_stream::wrappers::TcpListenerStream;
    use tonic::{Request, Response, Status};

    use super::*;

    struct Collector(UnboundedSender<ExportTraceServiceRequest>);

    #[tonic::async_trait]
    impl TraceService for Collector {
        async fn export(
            &self,
            request: Request<ExportTraceServiceRequest>,
        ) -> Result<Response<ExportTraceServiceResponse>, Status> {
            let _ = self.0.send(request.into_inner());
            Ok(Response::new(ExportTraceServiceResponse::default()))
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_call_reaches_the_collector_with_the_number_of_its_node() {
        let (sender, mut collected) = unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let otlp = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(Collector(sender)));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));

        let traces = start(LogFormat::Json, Some(&otlp), 7).unwrap();
        drop(trace::call(CallId { node: carillon_acd::ids::NodeId(7), boot: 1, number: 3 }));
        // Its end sends what is left, and waits for it.
        tokio::task::spawn_blocking(move || drop(traces)).await.unwrap();
        let request = tokio::time::timeout(Duration::from_secs(20), collected.recv()).await.unwrap().unwrap();
        let told = format!("{request:?}");
        let [resource] = &request.resource_spans[..] else { panic!("{told}") };
        let [spans] = &resource.scope_spans[..] else { panic!("{told}") };
        assert_eq!(spans.spans[0].name, "call");
        assert!(told.contains("service.instance.id") && told.contains("IntValue(7)"), "{told}");
    }
}
