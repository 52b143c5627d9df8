//! Carillon's pure media: session descriptions, RTP, G.711, telephone events, what plays to a leg and what passes
//! between two legs.
//!
//! Nothing here reads a clock, opens a socket or draws a random number; the datapath in `carillon-edge` does that and
//! asks this crate what to send. Media time is counted in samples at 8 kHz, as RTP counts it for G.711.

pub mod bridge;
pub mod codec;
pub mod dtmf;
pub mod music;
pub mod playout;
pub mod rtp;
pub mod sdp;
pub mod tone;
pub mod wav;

pub use codec::Codec;
pub use playout::{Sound, Source};
pub use sdp::{Direction, Negotiated, PayloadTypes, SdpError, Session};

/// Samples per second of everything in this crate (RFC 3551 §4.5.14).
pub const SAMPLE_RATE: u32 = 8_000;
/// Samples in one frame, which is also its length in bytes as G.711.
pub const FRAME_SAMPLES: usize = 160;
/// Milliseconds in one frame: the packet time that we send.
pub const FRAME_MILLIS: u32 = 20;
