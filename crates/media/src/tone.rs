//! Tones: made for callers, and found again in what somebody hears.

use std::f64::consts::TAU;

use crate::{SAMPLE_RATE, Sound};

/// The ringing tone's pitch and cadence (ITU-T E.180, the European form): 425 Hz, one second on, four off.
const RINGING_HERTZ: f64 = 425.0;
const RINGING_ON_SECONDS: usize = 1;
const RINGING_OFF_SECONDS: usize = 4;
/// Each of the two tones of an indication lasts 200 ms.
/// Full scale is 1; this is about -15 dB, as loud as speech.
const TONE_LEVEL: f64 = 0.18;
/// Tones fade in and out over this many samples (5 ms), so that they do not click.
const FADE_SAMPLES: usize = 40;

/// A tone of `hertz` with an amplitude of `level` (1 is full scale), beginning at phase 0, without any fading.
pub fn sine(hertz: f64, level: f64, samples: usize) -> Vec<i16> {
    let step = TAU * hertz / f64::from(SAMPLE_RATE);
    let amplitude = level * f64::from(i16::MAX);
    (0..samples).map(|index| (amplitude * (step * index as f64).sin()) as i16).collect()
}

/// A short tone that fades in and out, such as "speak after the tone".
pub fn beep(hertz: f64, samples: usize) -> Vec<i16> {
    let mut tone = sine(hertz, TONE_LEVEL, samples);
    for (index, sample) in tone.iter_mut().enumerate() {
        let from_edge = index.min(samples - 1 - index).min(FADE_SAMPLES);
        *sample = (i32::from(*sample) * from_edge as i32 / FADE_SAMPLES as i32) as i16;
    }
    tone
}

/// One round of the ringing tone; play it repeatedly.
pub fn ringing() -> Sound {
    let second = SAMPLE_RATE as usize;
    let mut samples = beep(RINGING_HERTZ, RINGING_ON_SECONDS * second);
    samples.resize((RINGING_ON_SECONDS + RINGING_OFF_SECONDS) * second, 0);
    Sound::from_samples(&samples)
}

/// "Done": a low tone and a high one, together a little more than half a second. Like [`declined`] it begins with a moment of silence, because
/// a phone opens its audio later than we do.
pub fn done() -> Sound {
    cadence(&[(0.0, 200), (660.0, 160), (0.0, 40), (880.0, 400), (0.0, 100)])
}

/// "Not done": three low tones, together a second and a half.
pub fn declined() -> Sound {
    let (tone, pause) = ((330.0, 400), (0.0, 150));
    cadence(&[(0.0, 200), tone, pause, tone, pause, tone, (0.0, 100)])
}

/// Tones of so many hertz (0 for silence) and milliseconds, one after another.
fn cadence(parts: &[(f64, usize)]) -> Sound {
    let part = |&(hertz, millis): &(f64, usize)| {
        let samples = millis * SAMPLE_RATE as usize / 1_000;
        if hertz > 0.0 { beep(hertz, samples) } else { vec![0; samples] }
    };
    Sound::from_samples(&parts.iter().flat_map(part).collect::<Vec<i16>>())
}

/// How strong `hertz` is in the samples: the amplitude of that sine, in sample units (Goertzel's algorithm).
pub fn strength(samples: &[i16], hertz: f64) -> f64 {
    let turn = TAU * hertz / f64::from(SAMPLE_RATE);
    let factor = 2.0 * turn.cos();
    let (mut last, mut before) = (0.0, 0.0);
    for &sample in samples {
        (last, before) = (f64::from(sample) + factor * last - before, last);
    }
    let power = last * last + before * before - factor * last * before;
    2.0 * power.max(0.0).sqrt() / samples.len().max(1) as f64
}

/// The strongest frequency between 100 and 3,400 Hz, to about 1 Hz for a tone that lasts 200 ms; `None` when nothing is
/// stronger than `floor` (an amplitude in sample units).
pub fn strongest(samples: &[i16], floor: f64) -> Option<f64> {
    let strength_at = |hertz: &f64| strength(samples, *hertz);
    let loudest =
        |candidates: Vec<f64>| candidates.into_iter().max_by(|a, b| strength_at(a).total_cmp(&strength_at(b)));
    // A tone of n samples is 8000/n Hz wide, so steps of half of that cannot miss it.
    let step = (f64::from(SAMPLE_RATE) / samples.len().max(1) as f64 / 2.0).clamp(1.0, 50.0);
    let rough = loudest((0..).map(|n| 100.0 + step * f64::from(n)).take_while(|hertz| *hertz <= 3_400.0).collect())?;
    let fine = loudest((-20..=20).map(|n| rough + step * f64::from(n) / 20.0).collect())?;
    (strength_at(&fine) > floor).then_some(fine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Codec;

    #[test]
    fn a_tone_is_found_again() {
        for hertz in [300.0, 425.0, 1_004.0, 2_713.0] {
            let found = strongest(&sine(hertz, 0.3, 1_600), 500.0).unwrap();
            assert!((found - hertz).abs() < 2.0, "{hertz} Hz was heard as {found} Hz");
        }
        assert_eq!(strongest(&[0; 1_600], 500.0), None);
        assert_eq!(strongest(&[], 500.0), None);
    }

    #[test]
    fn strength_is_the_amplitude() {
        let level = strength(&sine(1_000.0, 0.5, 1_600), 1_000.0);
        assert!((level - 16_383.0).abs() < 100.0, "{level}");
    }

    #[test]
    fn the_ringing_tone_rings_one_second_of_five() {
        let samples = ringing().samples();
        assert_eq!(samples.len(), 40_000);
        let found = strongest(&samples[2_000..3_600], 1_000.0).unwrap();
        assert!((found - 425.0).abs() < 425.0 * 0.02, "{found}");
        assert!(samples[8_000..].iter().all(|sample| *sample == Codec::Pcmu.decode(Codec::Pcmu.silence())));
    }

    // spec: TR-5
    #[test]
    fn tr_5_done_rises_and_declined_is_low() {
        let (done, declined) = (done().samples(), declined().samples());
        let heard = |samples: &[i16], from_ms: usize| {
            strongest(&samples[from_ms * 8..(from_ms + 100) * 8], 500.0).map(|hertz| (hertz / 10.0).round() * 10.0)
        };
        assert_eq!([50, 230, 450].map(|at| heard(&done, at)), [None, Some(660.0), Some(880.0)]);
        assert_eq!([50, 300, 850, 1_400].map(|at| heard(&declined, at)), [None, Some(330.0), Some(330.0), Some(330.0)]);
    }

    #[test]
    fn a_tone_survives_both_laws_and_transcoding() {
        let tone = sine(1_004.0, 0.3, 1_600);
        let mut bytes: Vec<u8> = tone.iter().map(|&sample| Codec::Pcmu.encode(sample)).collect();
        Codec::Pcmu.transcode(Codec::Pcma, &mut bytes);
        Codec::Pcma.transcode(Codec::Pcmu, &mut bytes);
        let heard: Vec<i16> = bytes.iter().map(|&byte| Codec::Pcmu.decode(byte)).collect();
        let found = strongest(&heard, 1_000.0).unwrap();
        assert!((found - 1_004.0).abs() < 20.0, "{found}");
    }
}
