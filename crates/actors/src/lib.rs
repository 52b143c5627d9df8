//! The actors of a node: one for each call, agent and queue. A shell turns a message into an event, asks the pure
//! machine of `carillon_acd`, performs the effects, and does nothing else.

mod address;
mod agent;
mod alarm;
mod call;
mod center;
mod clock;
mod explain;
mod owned;
mod owner;
mod owning;
mod pickup;
mod ports;
mod queue;
mod statistics;
mod story;
mod supervisor;
mod survey;

pub use center::{Center, CenterError, Departure, InProgress, Objects};
pub use clock::Clock;
pub use owned::{NotHere, Owned, Title};
pub use ports::{Ports, Survival};
pub use statistics::Statistics;
pub use survey::{Refused, Survey};
