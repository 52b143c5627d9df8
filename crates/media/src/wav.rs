//! Uploaded sounds: WAV in, frames out, or a reason that names what was measured (Spec: OB-7).

use std::f64::consts::PI;
use std::io::Cursor;

use crate::{SAMPLE_RATE, Sound};

/// The largest file that is taken: 2 MB (Spec: OB-7).
pub const MAX_BYTES: usize = 2 * 1024 * 1024;
/// Zero crossings of the resampling filter on each side; more is sharper and slower.
const CROSSINGS: usize = 16;
/// Where the filter begins to close, as a part of the band that survives.
const ROLL_OFF: f64 = 0.92;

/// Why a sound is refused.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// Larger than [`MAX_BYTES`].
    #[error("the sound has {0} bytes, at most {MAX_BYTES} are taken")]
    TooLarge(usize),
    /// Not mono.
    #[error("the sound has {0} channels, only mono is taken")]
    Channels(u16),
    /// A sample rate out of range.
    #[error("the sound has {0} samples per second, 8000 to 48000 are taken")]
    SampleRate(u32),
    /// It has no samples.
    #[error("the sound is empty")]
    Empty,
    /// Not a WAV file, a damaged one, or an encoding other than linear PCM.
    #[error("the sound is no WAV file with linear samples: {0}")]
    Format(#[from] hound::Error),
}

/// Reads a WAV file: mono, 8,000–48,000 samples per second, integer samples of 8–32 bits or floats.
///
/// # Errors
/// When the file is damaged or outside these limits; see [`WavError`].
pub fn read(file: &[u8]) -> Result<Sound, WavError> {
    if file.len() > MAX_BYTES {
        return Err(WavError::TooLarge(file.len()));
    }
    let mut reader = hound::WavReader::new(Cursor::new(file))?;
    let format = reader.spec();
    if format.channels != 1 {
        return Err(WavError::Channels(format.channels));
    }
    if !(8_000..=48_000).contains(&format.sample_rate) {
        return Err(WavError::SampleRate(format.sample_rate));
    }
    let samples: Vec<f32> = match format.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().collect::<Result<_, _>>()?,
        // An extended header may claim any number of bits.
        hound::SampleFormat::Int if !(1..=32).contains(&format.bits_per_sample) => {
            return Err(WavError::Format(hound::Error::Unsupported));
        }
        hound::SampleFormat::Int => {
            let scale = 1.0 / (1u64 << (format.bits_per_sample - 1)) as f32;
            reader.samples::<i32>().map(|sample| Ok(sample? as f32 * scale)).collect::<Result<_, hound::Error>>()?
        }
    };
    if samples.is_empty() {
        return Err(WavError::Empty);
    }
    let resampled = resample(&samples, format.sample_rate, SAMPLE_RATE);
    let encoded: Vec<i16> =
        resampled.iter().map(|sample| (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)) as i16).collect();
    Ok(Sound::from_samples(&encoded))
}

/// Brings samples from one rate to a lower or equal one, without folding what lies above the new band into it: a
/// windowed sinc, tabulated for every position that an output sample can have between two input samples.
fn resample(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    if from == to {
        return samples.to_vec();
    }
    let common = gcd(from, to);
    let (step, phases) = ((from / common) as usize, (to / common) as usize);
    let cutoff = ROLL_OFF * f64::from(to) / f64::from(from);
    let reach = (CROSSINGS as f64 / cutoff).ceil() as usize;
    let filters: Vec<Vec<f32>> = (0..phases).map(|phase| filter(phase as f64 / phases as f64, cutoff, reach)).collect();
    let count = samples.len() * phases / step;
    let output = |index: usize| {
        let position = index * step;
        let (centre, taps) = (position / phases, &filters[position % phases]);
        let first = (centre + 1).saturating_sub(reach);
        let skipped = first + reach - (centre + 1);
        let inputs = &samples[first..samples.len().min(centre + reach + 1)];
        inputs.iter().zip(&taps[skipped..]).map(|(sample, tap)| sample * tap).sum()
    };
    (0..count).map(output).collect()
}

/// The weights of the input samples around an output sample that lies `fraction` behind one of them: `reach` samples up
/// to that one, `reach` after it. They sum up to 1.
fn filter(fraction: f64, cutoff: f64, reach: usize) -> Vec<f32> {
    let weight = |tap: usize| {
        let distance = tap as f64 - (reach as f64 - 1.0) - fraction;
        let x = PI * cutoff * distance;
        let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
        let window = 0.5 + 0.5 * (PI * distance / (reach as f64 + 1.0)).cos();
        sinc * window
    };
    let weights: Vec<f64> = (0..2 * reach).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| (weight / sum) as f32).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tone;

    fn wav(rate: u32, channels: u16, bits: u16, hertz: f64, seconds: f64) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let sample_format = if bits == 32 { hound::SampleFormat::Float } else { hound::SampleFormat::Int };
        let format = hound::WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format };
        let mut writer = hound::WavWriter::new(&mut file, format).unwrap();
        for index in 0..(f64::from(rate) * seconds) as u32 * u32::from(channels) {
            let value = 0.4 * (std::f64::consts::TAU * hertz * f64::from(index) / f64::from(rate)).sin();
            match bits {
                32 => writer.write_sample(value as f32).unwrap(),
                _ => writer.write_sample((value * f64::from((1u32 << (bits - 1)) - 1)) as i32).unwrap(),
            }
        }
        writer.finalize().unwrap();
        file.into_inner()
    }

    // spec: OB-7
    #[test]
    fn every_usual_rate_and_width_sounds_as_before() {
        for (rate, bits) in
            [(8_000, 8), (8_000, 16), (16_000, 16), (22_050, 16), (44_100, 24), (44_100, 32), (48_000, 16)]
        {
            let samples = read(&wav(rate, 1, bits, 1_000.0, 0.5)).unwrap().samples();
            assert_eq!(samples.len(), 4_000, "{rate} Hz");
            let level = tone::strength(&samples[400..3_600], 1_000.0);
            assert!((level - 0.4 * 32_767.0).abs() < 500.0, "{rate} Hz, {bits} bits: the level is {level}");
        }
    }

    #[test]
    fn what_lies_above_the_telephone_band_is_not_folded_into_it() {
        let samples = read(&wav(48_000, 1, 16, 5_500.0, 0.5)).unwrap().samples();
        assert_eq!(tone::strongest(&samples[400..2_000], 200.0), None);
    }

    // spec: OB-7
    #[test]
    fn refusals_name_what_was_measured() {
        let refused = |file: &[u8]| read(file).unwrap_err().to_string();
        assert!(refused(&wav(8_000, 2, 16, 440.0, 0.1)).contains("2 channels"));
        assert!(refused(&wav(96_000, 1, 16, 440.0, 0.1)).contains("96000 samples per second"));
        assert!(refused(&vec![0; MAX_BYTES + 1]).contains("2097153 bytes"));
        assert!(refused(&wav(8_000, 1, 16, 440.0, 0.0)).contains("empty"));
        assert!(refused(b"ID3\x04 this is an MP3").contains("no WAV"));
        let mut odd = wav(8_000, 1, 24, 440.0, 0.1);
        odd[38..40].copy_from_slice(&[0xff, 0xff]);
        assert!(refused(&odd).contains("no WAV"), "65,535 bits");
        let whole = wav(8_000, 1, 16, 440.0, 0.1);
        assert!(read(&whole[..whole.len() - 100]).is_err(), "cut short");
    }

    proptest! {
        // spec: SE-6
        #[test]
        fn no_header_is_too_odd(bytes in proptest::collection::vec((0usize..60, any::<u8>()), 1..8), bits in 0u8..3) {
            let mut file = wav(11_025, 1, [8, 16, 32][usize::from(bits)], 440.0, 0.02);
            for (place, byte) in bytes {
                file[place] = byte;
            }
            let _ = read(&file);
        }
    }
}
