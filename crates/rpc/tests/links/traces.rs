//! A trace goes on at the next node, and only there where somebody collects it.

use std::net::SocketAddr;
use std::sync::Arc;

use carillon_acd::ids::NodeId;
use carillon_rpc::cluster::link::transport::Transport;
use carillon_rpc::cluster::link::{Inbox, Links, Myself};
use carillon_rpc::cluster::trace::{self, TARGET};
use opentelemetry::trace::{SpanContext, TraceContextExt, TracerProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};

use crate::node::{LIMIT, envelope};

fn here() -> SpanContext {
    Span::current().context().span().span_context().clone()
}

/// A node that tells in which traces its messages are taken in.
async fn node(number: u32) -> (Links, SocketAddr, UnboundedReceiver<SpanContext>) {
    let (sender, seen) = unbounded_channel();
    let inbox = Inbox {
        on_message: Arc::new(move |_, _| {
            let _ = sender.send(here());
            Ok(())
        }),
        on_link: Arc::new(|_, _| {}),
    };
    let links = Links::new(Myself { node: NodeId(number), boot: 1 }, inbox, Transport::tcp(None));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, serving) = (listener.local_addr().unwrap(), links.clone());
    tokio::spawn(async move { serving.serve(listener).await.unwrap() });
    (links, addr, seen)
}

#[tokio::test]
async fn a_message_is_taken_in_within_the_trace_of_its_call() {
    let provider = SdkTracerProvider::builder().build();
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let spans = spans.with_filter(Targets::new().with_target(TARGET, LevelFilter::TRACE));
    // On this thread, which is the whole runtime of this test.
    let _collected = tracing::subscriber::set_default(tracing_subscriber::registry().with(spans));
    let ((one, near, _), (two, addr, mut seen)) = (node(1).await, node(2).await);
    two.set_peers(&[(NodeId(1), near)]);
    one.set_peers(&[(NodeId(2), addr)]);
    let linked = async {
        while one.up().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, linked).await.unwrap();

    let call = {
        let _within = trace::call("1-1-1".parse().unwrap()).entered();
        one.send(NodeId(2), envelope(0)).unwrap();
        here()
    };
    one.send(NodeId(2), envelope(1)).unwrap();
    let within = seen.recv().await.unwrap();
    assert!(call.is_valid());
    assert_eq!(within.trace_id(), call.trace_id());
    assert_ne!(within.span_id(), call.span_id(), "a span of its own, below that of the call");
    assert!(!seen.recv().await.unwrap().is_valid(), "what belongs to no call belongs to no trace");
}
