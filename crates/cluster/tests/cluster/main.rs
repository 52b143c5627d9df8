//! The crate from outside: three coordinators held to one contract, and whole nodes on them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cable;
mod conformance;
mod nodes;
mod server;
