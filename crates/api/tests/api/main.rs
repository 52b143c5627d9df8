//! The API as a client sees it: a real socket, the real center, the real store.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod center;
mod config;
mod explain;
mod health;
mod node;
mod server;
