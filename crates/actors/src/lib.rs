//! The actors of a node: one for each call, agent and queue. A shell turns a message into an event, asks the pure
//! machine of `carillon_acd`, performs the effects, and does nothing else.

mod center;

pub use center::{Center, CenterError};
