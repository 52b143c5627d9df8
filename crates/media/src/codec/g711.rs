//! G.711 by table: 256 entries each way, and 256 for each direct transcoding, so that a byte costs one load.
//!
//! Encoding is the textbook segment search on 16-bit samples (ITU-T G.711, in the form of Sun's `g711.c` that every
//! phone agrees with); it runs when a sound is prepared, never per packet.

/// µ-law bytes as A-law bytes, through the nearest linear value.
pub static ULAW_TO_ALAW: [u8; 256] = transcoding(Law::Mu);
/// A-law bytes as µ-law bytes, through the nearest linear value.
pub static ALAW_TO_ULAW: [u8; 256] = transcoding(Law::A);

static ULAW_TO_LINEAR: [i16; 256] = decoding(Law::Mu);
static ALAW_TO_LINEAR: [i16; 256] = decoding(Law::A);

/// Added before the µ-law segment search, so that segments start at powers of two.
const ULAW_BIAS: i32 = 0x84;
/// The loudest magnitude that µ-law can carry.
const ULAW_CLIP: i32 = 32_635;

#[derive(Clone, Copy)]
enum Law {
    Mu,
    A,
}

/// The sample that a µ-law byte stands for.
pub fn ulaw_to_linear(byte: u8) -> i16 {
    ULAW_TO_LINEAR[usize::from(byte)]
}

/// The sample that an A-law byte stands for.
pub fn alaw_to_linear(byte: u8) -> i16 {
    ALAW_TO_LINEAR[usize::from(byte)]
}

/// The µ-law byte nearest to a sample.
pub const fn linear_to_ulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let mut magnitude = (sample as i32).abs();
    if magnitude > ULAW_CLIP {
        magnitude = ULAW_CLIP;
    }
    magnitude += ULAW_BIAS;
    let segment = 24 - magnitude.leading_zeros() as i32;
    let mantissa = (magnitude >> (segment + 3)) & 0x0f;
    !(sign | (segment << 4) | mantissa) as u8
}

/// The A-law byte nearest to a sample.
pub const fn linear_to_alaw(sample: i16) -> u8 {
    let (mask, magnitude) = if sample >= 0 { (0xd5, sample as i32 >> 3) } else { (0x55, (-(sample as i32) - 1) >> 3) };
    let code = if magnitude < 32 {
        magnitude >> 1
    } else {
        let segment = 27 - magnitude.leading_zeros() as i32;
        (segment << 4) | ((magnitude >> segment) & 0x0f)
    };
    (code ^ mask) as u8
}

const fn decode(law: Law, byte: u8) -> i16 {
    match law {
        Law::Mu => {
            let bits = !byte as i32;
            let magnitude = ((((bits & 0x0f) << 3) + ULAW_BIAS) << ((bits & 0x70) >> 4)) - ULAW_BIAS;
            (if bits & 0x80 != 0 { -magnitude } else { magnitude }) as i16
        }
        Law::A => {
            let bits = (byte ^ 0x55) as i32;
            let segment = (bits & 0x70) >> 4;
            let mantissa = (bits & 0x0f) << 4;
            let magnitude = if segment == 0 { mantissa + 8 } else { (mantissa + 0x108) << (segment - 1) };
            (if bits & 0x80 != 0 { magnitude } else { -magnitude }) as i16
        }
    }
}

const fn decoding(law: Law) -> [i16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = decode(law, byte as u8);
        byte += 1;
    }
    table
}

const fn transcoding(from: Law) -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let sample = decode(from, byte as u8);
        table[byte] = match from {
            Law::Mu => linear_to_alaw(sample),
            Law::A => linear_to_ulaw(sample),
        };
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_decoding_and_encoding() {
        for byte in 0..=255u8 {
            // µ-law has two zeros; the negative one reads back as the positive.
            let expected = if byte == 0x7f { 0xff } else { byte };
            assert_eq!(linear_to_ulaw(ulaw_to_linear(byte)), expected, "µ-law {byte:#04x}");
            assert_eq!(linear_to_alaw(alaw_to_linear(byte)), byte, "A-law {byte:#04x}");
        }
    }

    #[test]
    fn known_values_of_the_standard() {
        assert_eq!((linear_to_ulaw(0), linear_to_alaw(0)), (0xff, 0xd5));
        assert_eq!((ulaw_to_linear(0x80), ulaw_to_linear(0x00)), (32_124, -32_124));
        assert_eq!((alaw_to_linear(0xaa), alaw_to_linear(0x2a)), (32_256, -32_256));
        assert_eq!((linear_to_ulaw(i16::MIN), linear_to_ulaw(i16::MAX)), (0x00, 0x80));
        assert_eq!((linear_to_alaw(i16::MIN), linear_to_alaw(i16::MAX)), (0x2a, 0xaa));
    }

    #[test]
    fn no_sample_moves_further_than_its_step() {
        for sample in (i16::MIN..=i16::MAX).step_by(7) {
            let magnitude = i32::from(sample).abs();
            let step = (magnitude / 16).max(16) + 1;
            let error = |back: i16| (i32::from(back) - i32::from(sample)).abs();
            let loudest = magnitude > 32_124;
            assert!(loudest || error(ulaw_to_linear(linear_to_ulaw(sample))) <= step, "µ-law {sample}");
            assert!(loudest || error(alaw_to_linear(linear_to_alaw(sample))) <= step, "A-law {sample}");
        }
    }

    #[test]
    fn transcoding_there_and_back_stays_within_one_step() {
        for byte in 0..=255u8 {
            let there = ULAW_TO_ALAW[usize::from(byte)];
            let back = ulaw_to_linear(ALAW_TO_ULAW[usize::from(there)]);
            let error = (i32::from(back) - i32::from(ulaw_to_linear(byte))).abs();
            assert!(error <= (i32::from(ulaw_to_linear(byte)).abs() / 16).max(16), "{byte:#04x} came back as {back}");
        }
    }
}
