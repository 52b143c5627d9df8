//! The trace of a call goes with its messages from node to node, as a `traceparent` of W3C Trace Context, and on from there
//! with the answers. Spans are at the level TRACE and below a target of their own, which nobody collects unless asked to:
//! then a message pays for one look at a flag.

use carillon_acd::ids::{CallId, NodeId};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Where spans belong: who collects them asks for this target.
pub const TARGET: &str = "carillon::trace";

/// The span of a call, from its INVITE to its record; disabled when nobody collects.
pub fn call(call: CallId) -> Span {
    tracing::trace_span!(target: TARGET, parent: None, "call", call_id = %call)
}

/// The trace that this thread is in, as it travels; empty when there is none.
pub(super) fn here() -> String {
    let mut carried = Carried::default();
    if tracing::span_enabled!(target: TARGET, Level::TRACE) {
        TraceContextPropagator::new().inject_context(&Span::current().context(), &mut carried);
    }
    carried.0
}

/// A message of another node's trace is taken in.
pub(super) fn carried(traceparent: String, from: NodeId) -> Span {
    if traceparent.is_empty() {
        return Span::none();
    }
    let span = tracing::trace_span!(target: TARGET, parent: None, "message", from = from.0);
    // What cannot be read begins a trace of its own; a span that nobody collects has no parent.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&Carried(traceparent)));
    span
}

/// The one header of Trace Context that goes over a link.
#[derive(Default)]
struct Carried(String);

const HEADER: &str = "traceparent";

impl Injector for Carried {
    fn set(&mut self, key: &str, value: String) {
        if key == HEADER {
            self.0 = value;
        }
    }
}

impl Extractor for Carried {
    fn get(&self, key: &str) -> Option<&str> {
        (key == HEADER).then_some(&*self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![HEADER]
    }
}
