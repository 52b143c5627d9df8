//! The public API of a node: the gRPC services of `proto/carillon/v1` over [`carillon_actors::Center`] and
//! [`carillon_store::Store`], with health and reflection.
//!
//! A service reads the request, asks, and writes the answer; it decides nothing. What it refuses it says in
//! [`carillon_rpc::Refusal`]s.

mod agent;
mod call;
mod cluster;
mod config;
mod elsewhere;
mod explain;
mod http;
mod listen;
mod page;
mod pickup;
mod queue;
mod record;
mod refusal;
mod server;
mod statistics;
mod vitals;
mod watch;

pub use cluster::{Nodes, Other, Ownership};
pub use config::{Configuration, InForce, Outcome, Progress, Stored, Wish};
pub use http::serve_http;
pub use server::{ApiError, serve};
pub use vitals::Vitals;
