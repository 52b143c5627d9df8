//! What the integration tests share: the torture messages and an endpoint.

use bytes::Bytes;
use carillon_sip::check::Policy;
use carillon_sip::endpoint::{Endpoint, EndpointConfig};
use carillon_sip::transaction::Timers;
use std::net::SocketAddr;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/torture")
}

/// One message, for example `rfc4475/wsinv.dat`.
pub(crate) fn torture(file: &str) -> Bytes {
    std::fs::read(folder().join(file)).unwrap_or_else(|e| panic!("{file}: {e}")).into()
}

/// The messages that `index.tsv` lists, in its order; those of RFC 5118 in their sendable form.
pub(crate) fn files() -> Vec<String> {
    let index = std::fs::read_to_string(folder().join("index.tsv")).expect("the index lies beside the messages");
    let names = index.lines().skip(1).filter_map(|line| line.split('\t').next());
    names.filter(|name| name.ends_with(".dat")).map(str::to_owned).collect()
}

/// Where the messages come from.
pub(crate) fn source() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 99], 5060))
}

/// An endpoint that performs what Carillon performs.
pub(crate) fn endpoint() -> Endpoint {
    Endpoint::new(EndpointConfig {
        sent_by: "192.0.2.1:5060".to_owned(),
        seed: [1; 32],
        timers: Timers::default(),
        policy: Policy::default(),
        max_transactions: 1000,
    })
}
