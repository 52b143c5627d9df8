//! The audio codecs that a leg can use.

pub mod g711;

/// A codec of a leg. Both are G.711 and carry 8,000 samples a second in as many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law, static payload type 0.
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
}

impl Codec {
    /// The order in which we offer when nothing else is wanted.
    pub const ALL: [Codec; 2] = [Codec::Pcma, Codec::Pcmu];

    /// Its payload type by RFC 3551 §6.
    pub const fn static_payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        }
    }

    /// Its name in an `a=rtpmap` line.
    pub const fn encoding_name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
        }
    }

    /// The byte that means silence.
    pub const fn silence(self) -> u8 {
        match self {
            Codec::Pcmu => 0xff,
            Codec::Pcma => 0xd5,
        }
    }

    /// One sample as a byte of this codec.
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Codec::Pcmu => g711::linear_to_ulaw(sample),
            Codec::Pcma => g711::linear_to_alaw(sample),
        }
    }

    /// One byte of this codec as a sample.
    pub fn decode(self, byte: u8) -> i16 {
        match self {
            Codec::Pcmu => g711::ulaw_to_linear(byte),
            Codec::Pcma => g711::alaw_to_linear(byte),
        }
    }

    /// Rewrites `payload` from this codec to `to`, in place; nothing happens when they are the same.
    pub fn transcode(self, to: Codec, payload: &mut [u8]) {
        let table = match (self, to) {
            (Codec::Pcmu, Codec::Pcmu) | (Codec::Pcma, Codec::Pcma) => return,
            (Codec::Pcmu, Codec::Pcma) => &g711::ULAW_TO_ALAW,
            (Codec::Pcma, Codec::Pcmu) => &g711::ALAW_TO_ULAW,
        };
        for byte in payload {
            *byte = table[usize::from(*byte)];
        }
    }
}
