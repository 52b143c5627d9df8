//! Making and recognising tones. Every phone of the harness sends a sine of its own; who hears which frequency tells who
//! is connected with whom.

use std::f64::consts::TAU;

/// Samples a second of all telephone audio here.
pub const RATE: f64 = 8000.0;

/// Louder than this, as root mean square of 16-bit samples, counts as sound (about −56 dBFS).
const AUDIBLE: f64 = 50.0;

/// A window is a tone when at least this part of its energy lies at one frequency. G.711's own noise leaves 0.999.
const PURE: f64 = 0.9;

/// What one window of audio is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sound {
    /// Nothing audible.
    Silence,
    /// A sine of this many hertz.
    Tone(f64),
    /// Music, speech, noise, or a change from one sound to another.
    Mixed,
}

impl Sound {
    /// Whether it is a tone within `part` (0.01 = 1 %) of `hertz`.
    pub fn is_tone(self, hertz: f64, part: f64) -> bool {
        match self {
            Sound::Tone(f) => (f - hertz).abs() <= hertz * part,
            Sound::Silence | Sound::Mixed => false,
        }
    }

    /// Whether anything can be heard.
    pub fn is_audible(self) -> bool {
        self != Sound::Silence
    }
}

/// A sine generator that keeps its phase from packet to packet.
#[derive(Clone, Debug)]
pub struct Sine {
    step: f64,
    phase: f64,
}

impl Sine {
    /// A sine of `hertz`, at −10 dBFS.
    pub fn new(hertz: f64) -> Self {
        Sine { step: TAU * hertz / RATE, phase: 0.0 }
    }
}

impl Iterator for Sine {
    type Item = i16;
    fn next(&mut self) -> Option<i16> {
        let sample = self.phase.sin() * 10_000.0;
        self.phase = (self.phase + self.step) % TAU;
        Some(sample as i16)
    }
}

/// The complex amplitude of `samples` at `hertz`: a single bin of a Fourier transform (Goertzel's sum, written out).
fn bin(samples: &[i16], hertz: f64) -> (f64, f64) {
    let step = TAU * hertz / RATE;
    let (rotate_re, rotate_im) = (step.cos(), -step.sin());
    let (mut re, mut im, mut turn_re, mut turn_im) = (0.0, 0.0, 1.0, 0.0);
    for &sample in samples {
        let s = f64::from(sample);
        re += s * turn_re;
        im += s * turn_im;
        (turn_re, turn_im) = (turn_re * rotate_re - turn_im * rotate_im, turn_re * rotate_im + turn_im * rotate_re);
    }
    (re, im)
}

/// What a window of at least 50 ms is. The frequency of a tone is right to about 0.1 %.
pub fn classify(samples: &[i16]) -> Sound {
    let energy: f64 = samples.iter().map(|&s| f64::from(s).powi(2)).sum();
    if samples.is_empty() || (energy / samples.len() as f64).sqrt() < AUDIBLE {
        return Sound::Silence;
    }
    let Some(rough) = rough_frequency(samples) else { return Sound::Mixed };
    let hertz = refine(samples, rough);
    let (re, im) = bin(samples, hertz);
    let purity = 2.0 * (re * re + im * im) / (samples.len() as f64 * energy);
    if purity >= PURE { Sound::Tone(hertz) } else { Sound::Mixed }
}

/// For a sine, x[n−1] + x[n+1] = 2 cos(ω) x[n]; solved by least squares.
fn rough_frequency(samples: &[i16]) -> Option<f64> {
    let (mut cross, mut own) = (0.0, 0.0);
    for w in samples.windows(3) {
        let middle = f64::from(w[1]);
        cross += middle * (f64::from(w[0]) + f64::from(w[2]));
        own += middle * middle;
    }
    let cosine = cross / (2.0 * own);
    (own > 0.0 && cosine.abs() < 1.0).then(|| cosine.acos() * RATE / TAU)
}

/// The phase that a sine gains from one half of the window to the next gives its frequency, up to whole turns; `rough`
/// tells which turn.
fn refine(samples: &[i16], rough: f64) -> f64 {
    let half = samples.len() / 2;
    let phase = |part: &[i16]| {
        let (re, im) = bin(part, rough);
        im.atan2(re)
    };
    let expected = TAU * rough * half as f64 / RATE;
    let gained = phase(&samples[half..2 * half]) - phase(&samples[..half]);
    let off = (gained - expected + TAU / 2.0).rem_euclid(TAU) - TAU / 2.0;
    rough + off * RATE / (TAU * half as f64)
}

/// The strongest tone of a long recording: the median of its 100 ms windows that are tones, and how many there were.
pub fn strongest_tone(samples: &[i16]) -> Option<(f64, usize)> {
    let mut tones: Vec<f64> = samples
        .chunks_exact(800)
        .filter_map(|window| match classify(window) {
            Sound::Tone(f) => Some(f),
            Sound::Silence | Sound::Mixed => None,
        })
        .collect();
    tones.sort_by(f64::total_cmp);
    tones.get(tones.len() / 2).map(|&f| (f, tones.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::g711::Codec;

    #[test]
    fn a_tone_is_measured_within_one_percent_through_both_codecs() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            for hertz in [250.0, 425.0, 697.0, 1000.0, 1234.5, 2750.0, 3300.0] {
                let heard: Vec<i16> =
                    Sine::new(hertz).skip(321).take(800).map(|s| codec.decode(codec.encode(s))).collect();
                assert!(classify(&heard).is_tone(hertz, 0.002), "{codec:?} {hertz}: {:?}", classify(&heard));
            }
        }
    }

    #[test]
    fn other_sounds_are_not_tones() {
        assert_eq!(classify(&[0; 800]), Sound::Silence);
        let chord: Vec<i16> = Sine::new(400.0).zip(Sine::new(900.0)).take(800).map(|(a, b)| a / 2 + b / 2).collect();
        assert_eq!(classify(&chord), Sound::Mixed);
        let change: Vec<i16> = Sine::new(400.0).take(400).chain(Sine::new(900.0).take(400)).collect();
        assert_eq!(classify(&change), Sound::Mixed);
    }

    #[test]
    fn neighbours_are_told_apart() {
        let window: Vec<i16> = Sine::new(600.0).take(800).collect();
        assert!(!classify(&window).is_tone(625.0, 0.02));
    }
}
