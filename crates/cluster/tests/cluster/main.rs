//! The crate from outside: three coordinators held to one contract, and whole nodes on them.

mod cable;
mod conformance;
mod nodes;
mod server;
