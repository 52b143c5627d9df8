//! What the suites, the demo and the bench are made of: soft phones that speak SIP and RTP over real sockets, the product as
//! a process, and drivers for real clients (SIPp, baresip). Nothing here reaches into the product, and nothing shares its
//! SIP or media code.

pub mod audio;
pub mod center;
pub mod day;
pub mod real;
pub mod records;
pub mod sip;
pub mod suite;
pub mod torture;
