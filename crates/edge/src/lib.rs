//! Carillon's edge: SIP sockets, legs and the RTP datapath.
//!
//! The edge performs [`LegCommand`](carillon_acd::leg::LegCommand)s and reports
//! [`LegEvent`](carillon_acd::leg::LegEvent)s; what a call *is* it does not know. Everything of one call — its SIP
//! transactions, its legs, its timers — lives in one worker thread, chosen by the Call-ID of the INVITE that began it,
//! so nothing on a call's way takes a lock.
//!
//! ```text
//! sockets  -> worker { who is it? sip::Endpoint, legs } -> callbacks
//! commands -> worker                                    -> datapath (RTP threads)
//! ```
//!
//! A phone that is registered at another edge is rung through that edge, and this one passes on what other edges and
//! the phones that are registered here say to each other, without keeping anything of it (`worker/relay.rs`).
//!
//! What another edge needs to go on with a leg is told at each change (`image.rs`); a leg whose edge has died is made again
//! from that, and its other end asked by a re-INVITE to talk to this edge (`worker/revival.rs`). Spec: CL-4.
//!
//! Not here: name resolution (contacts and trunks are addresses), reliable provisional responses, and the change to TCP
//! for requests over 1,300 bytes (RFC 3261 §18.1.1), which no peer of a center insists on.

mod audio;
mod cause;
mod challenged;
pub mod config;
pub mod datapath;
pub mod directory;
mod edge;
mod image;
mod inbox;
mod intake;
mod leg;
mod peers;
mod registry;
mod router;
mod shared;
mod tcp;
mod timers;
mod worker;

pub use carillon_sip::relay::Seal;
pub use carillon_sip::transaction::Timers as SipTimers;
pub use config::{Callbacks, EdgeConfig, EdgeError, OnImage, Stats};
pub use directory::{Credentials, Device, Directory, DirectoryError, Trunk};
pub use edge::Edge;
pub use intake::Intake;
