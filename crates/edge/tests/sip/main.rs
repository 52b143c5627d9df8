//! The edge as its peers see it: phones and carriers of plain text on real sockets.

#![allow(unreachable_pub, clippy::unwrap_used, reason = "one test binary of several modules")]

mod adoption;
mod calls;
mod dialling;
mod drain;
mod early;
mod hold;
mod races;
mod registration;
mod relay;
mod revival;
mod revival_ways;
mod senders;
mod shot;
mod support;
mod tcp;
mod torture;
mod trunk;
