//! The built-in hold music: a calm piece of our own, played by a few lines of arithmetic when the process starts.
//!
//! Eight bars of four seconds. A soft plucked voice walks through each chord in eighths, a low voice holds its root, and
//! a bell adds a sparse melody. Notes that ring on at the end are heard at the start, so the loop has no seam.

use std::f32::consts::{PI, TAU};

use crate::{SAMPLE_RATE, Sound};

const BARS: usize = 8;
const BAR_SAMPLES: usize = 4 * SAMPLE_RATE as usize;
const LENGTH: usize = BARS * BAR_SAMPLES;
/// Notes are heard until they have faded by 60 dB, which these decay times give.
const FADED: f32 = 0.001;
/// The piece's mean level: -18 dB below full scale, comfortable beside speech.
const MEAN_LEVEL: f32 = 0.126;
/// The telephone's upper edge; higher partials are left out.
const HIGHEST_HERTZ: f32 = 3_400.0;

/// Chords as MIDI note numbers, one a bar, lowest first: F, C over E, D minor, A minor, B flat, F over A, G minor, C.
const CHORDS: [[u8; 5]; BARS] = [
    [53, 60, 65, 69, 76],
    [52, 60, 64, 67, 74],
    [50, 57, 62, 65, 72],
    [57, 60, 64, 69, 76],
    [58, 62, 65, 70, 77],
    [57, 60, 65, 69, 72],
    [55, 58, 62, 67, 74],
    [48, 60, 65, 67, 72],
];
/// Which notes of the chord the plucked voice takes, in eighths of half a second.
const WALK: [usize; 8] = [1, 2, 3, 4, 2, 3, 4, 3];
/// The bell: bar, eighth, note.
const MELODY: [(usize, usize, u8); 12] = [
    (0, 2, 81),
    (0, 6, 79),
    (1, 3, 76),
    (2, 2, 77),
    (2, 6, 76),
    (3, 3, 72),
    (4, 2, 74),
    (4, 6, 77),
    (5, 3, 81),
    (6, 2, 79),
    (6, 6, 74),
    (7, 4, 76),
];

/// How a voice sounds: its partials as (multiple of the pitch, strength), seconds until it has faded, and loudness.
struct Voice {
    partials: &'static [(f32, f32)],
    seconds: f32,
    loudness: f32,
}

const PLUCKED: Voice = Voice { partials: &[(1.0, 1.0), (2.0, 0.35), (3.0, 0.12)], seconds: 2.2, loudness: 0.5 };
const LOW: Voice = Voice { partials: &[(1.0, 1.0), (2.0, 0.5), (3.0, 0.2)], seconds: 4.5, loudness: 0.55 };
const BELL: Voice = Voice { partials: &[(1.0, 1.0), (2.76, 0.25)], seconds: 3.0, loudness: 0.35 };

/// Plays the piece: 32 s, to be repeated. It takes some 10 ms of CPU time in an optimised build.
pub fn compose() -> Sound {
    let mut piece = vec![0.0f32; LENGTH];
    let eighth = BAR_SAMPLES / 8;
    for (bar, chord) in CHORDS.iter().enumerate() {
        let start = bar * BAR_SAMPLES;
        LOW.play(&mut piece, start, chord[0]);
        for (step, &note) in WALK.iter().enumerate() {
            PLUCKED.play(&mut piece, start + step * eighth, chord[note]);
        }
    }
    for (bar, step, note) in MELODY {
        BELL.play(&mut piece, bar * BAR_SAMPLES + step * eighth, note);
    }
    Sound::from_samples(&levelled(&piece))
}

impl Voice {
    /// Adds one note to the piece, beyond its end at its start.
    fn play(&self, piece: &mut [f32], start: usize, note: u8) {
        let pitch = 440.0 * ((f32::from(note) - 69.0) / 12.0).exp2();
        for &(multiple, strength) in self.partials {
            let hertz = pitch * multiple;
            if hertz < HIGHEST_HERTZ {
                // Higher partials fade sooner, as strings do.
                add_partial(piece, start, hertz, strength * self.loudness, self.seconds / multiple.sqrt());
            }
        }
    }
}

/// Adds a fading sine: a point that turns and shrinks by the same small step with every sample.
fn add_partial(piece: &mut [f32], start: usize, hertz: f32, strength: f32, seconds: f32) {
    const ATTACK: usize = 80;
    let rate = SAMPLE_RATE as f32;
    let samples = (seconds * rate) as usize;
    let shrink = FADED.powf(1.0 / samples as f32);
    let (sin, cos) = (TAU * hertz / rate).sin_cos();
    let (turn_re, turn_im) = (cos * shrink, sin * shrink);
    let (mut re, mut im) = (strength, 0.0f32);
    for index in 0..samples {
        let swell = if index < ATTACK { 0.5 - 0.5 * (PI * index as f32 / ATTACK as f32).cos() } else { 1.0 };
        piece[(start + index) % LENGTH] += swell * im;
        (re, im) = (re * turn_re - im * turn_im, re * turn_im + im * turn_re);
    }
}

/// The piece at its mean level as samples.
fn levelled(piece: &[f32]) -> Vec<i16> {
    let power = piece.iter().map(|sample| sample * sample).sum::<f32>() / piece.len() as f32;
    let scale = MEAN_LEVEL / power.sqrt() * f32::from(i16::MAX);
    piece.iter().map(|sample| (sample * scale) as i16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone;

    #[test]
    fn the_piece_is_music_and_not_too_loud() {
        let samples = compose().samples();
        assert_eq!(samples.len(), LENGTH);
        let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        assert!((8_000..30_000).contains(&peak), "the peak is {peak}");
        let power = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / LENGTH as f64;
        let decibels = 10.0 * (power / f64::from(i16::MAX).powi(2)).log10();
        assert!((-19.0..-17.0).contains(&decibels), "{decibels} dB");
        for second in samples.chunks(SAMPLE_RATE as usize) {
            assert!(tone::strongest(&second[..1_600], 100.0).is_some(), "a second of silence");
        }
    }

    #[test]
    fn the_loop_has_no_seam() {
        let samples = compose().samples();
        let step = |a: i16, b: i16| (i32::from(a) - i32::from(b)).abs();
        let largest = samples.windows(2).map(|pair| step(pair[0], pair[1])).max().unwrap();
        assert!(step(samples[LENGTH - 1], samples[0]) <= largest / 2);
    }
}
