//! Sound files for and from the phones that are not ours (baresip, SIPp).

use std::path::Path;

use anyhow::{Context, Result};

use super::g711::Codec;
use super::tone::{RATE, Sine, strongest_tone};

/// Writes `seconds` of a sine as an 8 kHz mono WAV, which baresip plays as its microphone.
pub fn write_tone(path: &Path, hertz: f64, seconds: u32) -> Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE as u32,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(path, spec).with_context(|| format!("writing {}", path.display()))?;
    for sample in Sine::new(hertz).take(seconds as usize * RATE as usize) {
        file.write_sample(sample)?;
    }
    file.finalize().with_context(|| format!("writing {}", path.display()))
}

/// Writes `seconds` of a sine as bare µ-law octets, which SIPp's `rtp_stream` plays.
pub fn write_tone_ulaw(path: &Path, hertz: f64, seconds: u32) -> Result<()> {
    let octets: Vec<u8> =
        Sine::new(hertz).take(seconds as usize * RATE as usize).map(|s| Codec::Pcmu.encode(s)).collect();
    std::fs::write(path, octets).with_context(|| format!("writing {}", path.display()))
}

/// The samples of an 8 kHz mono WAV. A file that its writer has not closed yet is read as far as it goes.
pub fn read(path: &Path) -> Result<Vec<i16>> {
    let reader = hound::WavReader::open(path).with_context(|| format!("reading {}", path.display()))?;
    let spec = reader.spec();
    anyhow::ensure!(
        spec.channels == 1 && spec.sample_rate == RATE as u32 && spec.bits_per_sample == 16,
        "{}: {} channels, {} Hz, {} bits; expected mono, 8000 Hz, 16 bits",
        path.display(),
        spec.channels,
        spec.sample_rate,
        spec.bits_per_sample
    );
    Ok(reader.into_samples::<i16>().map_while(Result::ok).collect())
}

/// The strongest tone of a WAV and how many 100 ms windows hold a tone.
pub fn tone_of(path: &Path) -> Result<(f64, usize)> {
    strongest_tone(&read(path)?).with_context(|| format!("{} holds no tone", path.display()))
}
