//! G.711 by the book (ITU-T G.711), written here a second time on purpose: the soft phones must not share a codec with
//! what they test.

/// The two companding laws of G.711.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// µ-law, RTP payload type 0.
    Pcmu,
    /// A-law, RTP payload type 8.
    Pcma,
}

impl Codec {
    /// The static RTP payload type (RFC 3551, table 4).
    pub fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        }
    }

    /// The name in `a=rtpmap`.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
        }
    }

    /// One linear sample to one octet.
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Codec::Pcmu => encode_mu(sample),
            Codec::Pcma => encode_a(sample),
        }
    }

    /// One octet to one linear sample.
    pub fn decode(self, octet: u8) -> i16 {
        match self {
            Codec::Pcmu => decode_mu(octet),
            Codec::Pcma => decode_a(octet),
        }
    }
}

const MU_BIAS: i32 = 0x84;

fn encode_mu(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = (i32::from(sample).abs() + MU_BIAS).min(0x7fff);
    let segment = (24 - magnitude.leading_zeros() as i32).clamp(0, 7);
    let step = (magnitude >> (segment + 3)) & 0x0f;
    !(sign | (segment << 4) | step) as u8
}

fn decode_mu(octet: u8) -> i16 {
    let bits = i32::from(!octet);
    let magnitude = ((((bits & 0x0f) << 3) + MU_BIAS) << ((bits >> 4) & 7)) - MU_BIAS;
    (if bits & 0x80 != 0 { -magnitude } else { magnitude }) as i16
}

fn encode_a(sample: i16) -> u8 {
    let sign = if sample >= 0 { 0x80 } else { 0 };
    let magnitude = if sample >= 0 { i32::from(sample) } else { -1 - i32::from(sample) };
    let code = if magnitude < 256 {
        magnitude >> 4
    } else {
        let segment = 24 - magnitude.leading_zeros() as i32;
        (segment << 4) | ((magnitude >> (segment + 3)) & 0x0f)
    };
    ((sign | code) ^ 0x55) as u8
}

fn decode_a(octet: u8) -> i16 {
    let bits = i32::from(octet ^ 0x55);
    let (segment, step) = ((bits >> 4) & 7, bits & 0x0f);
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    (if bits & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_laws_keep_a_sample_within_their_quantisation() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            for sample in (-32_000..32_000).step_by(7) {
                let back = codec.decode(codec.encode(sample));
                let allowed = (i32::from(sample).abs() / 16).max(16);
                let error = (i32::from(back) - i32::from(sample)).abs();
                assert!(error <= allowed, "{codec:?} {sample} -> {back}");
            }
        }
    }

    #[test]
    fn every_octet_reads_back_as_itself() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            for octet in 0..=255u8 {
                let again = codec.encode(codec.decode(octet));
                // µ-law has two zeros; both are silence.
                assert_eq!(codec.decode(again), codec.decode(octet), "{codec:?} {octet:#x}");
            }
        }
        assert_eq!((Codec::Pcmu.encode(0), Codec::Pcma.encode(0)), (0xff, 0xd5));
    }
}
