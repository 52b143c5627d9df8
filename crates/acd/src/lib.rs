//! Carillon's pure contact-center decisions.
//!
//! Every machine in here is `fn handle(&mut self, now, event) -> effects`: it owns no clock, socket, task, log or
//! random number. Three machines, three single writers (see `crates/README.md`):
//!
//! ```text
//! queue --Offer--> call --Reserve/Connected/Release--> agent --Availability--> queue
//! call --Enqueue/Leave--> queue
//! ```

#[macro_use]
pub mod mutant;

pub mod agent;
pub mod call;
pub mod explain;
pub mod fence;
pub mod ids;
pub mod invariant;
pub mod lease;
pub mod leg;
pub mod offer;
pub mod queue;
pub mod rank;
pub mod record;
pub mod rng;
pub mod route;
pub mod skills;
pub mod stats;
pub mod ticket;
pub mod time;
pub mod view;
pub mod whereabouts;
