//! Carillon's edge: SIP sockets, legs and the RTP datapath.
//!
//! The edge performs [`LegCommand`](carillon_acd::leg::LegCommand)s and reports
//! [`LegEvent`](carillon_acd::leg::LegEvent)s; what a call *is* it does not know. Everything of one call — its SIP
//! transactions, its legs, its timers — lives in one worker thread, chosen by the Call-ID of the INVITE that began it,
//! so nothing on a call's way takes a lock.
//!
//! ```text
//! socket -> front (parse, who is it?) -> worker { sip::Endpoint, legs } -> callbacks
//!                          commands  -> worker                          -> datapath (RTP threads)
//! ```

pub mod config;
pub mod datapath;
pub mod directory;
mod edge;

pub use config::{Callbacks, EdgeConfig, EdgeError, Stats};
pub use directory::{Credentials, Device, Directory, DirectoryError, Trunk};
pub use edge::Edge;
