//! Small days of random centers in a storm: calls, agents and queues as the pure machines that they are in production, on
//! nodes whose clocks differ, with a network that loses, repeats, delays and reorders, edges and owners that die, and
//! replaced owners that go on offering. What may never be is asked after every step ([`watch`]), and in the end nobody
//! may be left over. A seed names a day; the same seed gives the same day.

#![allow(clippy::expect_used, reason = "a simulated world that contradicts itself is a failed test")]

mod center;
mod day;
mod order;
mod owners;
mod phones;
mod watch;

pub use day::{Options, Outcome, run};
