//! What a phone hears and says: tones over G.711 over RTP.

pub mod g711;
pub mod rtp;
pub mod tone;
pub mod wav;

pub use g711::Codec;
pub use rtp::{Audio, Heard, Pause};
pub use tone::Sound;
