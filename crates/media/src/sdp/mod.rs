//! Session descriptions (RFC 8866) and offer/answer (RFC 3264), as far as one audio stream needs them.
//!
//! [`Session`] is our side of one leg: it makes offers, answers offers and reads answers, and each of the last two gives
//! a [`Negotiated`] that says where audio goes and how it is encoded. [`SessionDescription`] is the text behind it.

mod description;
mod negotiate;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

pub use description::{MediaDescription, RtpMap, SessionDescription};
pub use negotiate::Session;

use crate::Codec;

/// Which way audio flows, seen from the side that says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways; what is meant when nothing is said (RFC 3264 §5.1).
    #[default]
    SendRecv,
    /// The speaker only sends: it has put the other on hold.
    SendOnly,
    /// The speaker only listens.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    /// The direction that sends and receives as told.
    pub const fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// Whether the speaker sends.
    pub const fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether the speaker receives.
    pub const fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// The same flow seen from the other end.
    pub const fn reversed(self) -> Self {
        Direction::new(self.receives(), self.sends())
    }

    /// What remains when both must agree.
    pub const fn and(self, other: Direction) -> Self {
        Direction::new(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// The name of its attribute line.
    pub const fn attribute(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }
}

/// The payload types of one direction of a stream, and the codec of its audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadTypes {
    /// How audio is encoded.
    pub codec: Codec,
    /// The payload type of audio.
    pub audio: u8,
    /// The payload type of telephone events (RFC 4733), when both sides know them.
    pub telephone_event: Option<u8>,
}

impl PayloadTypes {
    /// What a received payload type carries, if it is audio. Besides the agreed one, the static G.711 types are taken
    /// too: some phones switch between the two laws without a word.
    pub fn audio_codec(&self, payload_type: u8) -> Option<Codec> {
        if payload_type == self.audio {
            return Some(self.codec);
        }
        if self.telephone_event == Some(payload_type) {
            return None;
        }
        Codec::ALL.into_iter().find(|codec| codec.static_payload_type() == payload_type)
    }
}

/// What an offer and its answer agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Where the peer wants our RTP, and where its RTP should come from.
    pub peer: SocketAddr,
    /// What we send with: the peer's numbering.
    pub send: PayloadTypes,
    /// What the peer sends with: the numbering of our own description.
    pub receive: PayloadTypes,
    /// Which way audio flows, seen from us.
    pub direction: Direction,
    /// What the peer said, seen from the peer; an address of 0.0.0.0 counts as "does not receive" (RFC 3264 §8.4).
    pub peer_direction: Direction,
}

impl Negotiated {
    /// Whether the peer has put us on hold: it no longer listens to us.
    pub const fn held(&self) -> bool {
        !self.peer_direction.receives()
    }
}

/// Why a session description cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Longer, or with more lines, than any phone sends.
    #[error("the session description is too large")]
    TooLarge,
    /// Not a session description, or a line that matters cannot be read.
    #[error("line {line} of the session description cannot be read")]
    Syntax {
        /// The line, counted from 1; 0 when the whole is no session description.
        line: usize,
    },
    /// No audio stream over plain RTP that is not refused. Answer 488.
    #[error("no audio stream over RTP is offered")]
    NoAudio,
    /// Audio, but neither PCMU nor PCMA at 8 kHz. Answer 488.
    #[error("no codec in common")]
    NoCodec,
    /// A host name, a multicast or an unusable address. Answer 488.
    #[error("the media address cannot be used")]
    Address,
    /// An answer for which there is no offer, or one that does not fit it.
    #[error("the answer does not fit the offer")]
    Unexpected,
}

/// Whether RTP can be sent to this address at all.
fn reachable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_multicast(),
    }
}
