//! The RTP datapath: sockets, clock and relaying for every stream, on threads of its own.
//!
//! A *stream* is the audio of one leg. Its owner tells the datapath what to do through [`Datapath`], never waits for it,
//! and hears back through [`MediaEvent`]s. What to send is decided by `carillon-media`; this module owns the sockets,
//! the clock and the memory.
//!
//! Many streams share one UDP port and are told apart by the peer's address; see [`ports`] for who may share with whom.

mod batch;
mod clock;
mod config;
mod counters;
mod event;
mod handle;
mod inbox;
mod ports;
mod schedule;
mod shard;
mod sockets;
mod stream;
mod sys;
#[cfg(test)]
mod tests;
mod traffic;

pub use config::DatapathConfig;
pub use event::{Latching, MediaEvent, PlayToken, StreamId, StreamStats, Totals};
pub use handle::Datapath;
pub use ports::{AllocateError, Expected, PeerTaken};
