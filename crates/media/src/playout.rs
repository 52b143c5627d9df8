//! What plays to a leg.
//!
//! A sound is encoded once, in both laws, and shared by everybody who hears it; what a leg keeps is where it began.

use std::sync::Arc;
use std::time::Duration;

use crate::{Codec, FRAME_MILLIS, FRAME_SAMPLES, SAMPLE_RATE};

/// A piece of audio, ready to send: whole 20 ms frames in both laws of G.711. Its size is 16,000 bytes per second.
pub struct Sound {
    ulaw: Box<[u8]>,
    alaw: Box<[u8]>,
}

impl Sound {
    /// Encodes 8 kHz mono samples. The last frame is filled up with silence; nothing at all becomes one silent frame, so
    /// that every sound has an end.
    pub fn from_samples(samples: &[i16]) -> Self {
        let length = samples.len().div_ceil(FRAME_SAMPLES).max(1) * FRAME_SAMPLES;
        let encode = |codec: Codec| {
            let silence = std::iter::repeat(codec.silence());
            samples.iter().map(|&sample| codec.encode(sample)).chain(silence).take(length).collect()
        };
        Sound { ulaw: encode(Codec::Pcmu), alaw: encode(Codec::Pcma) }
    }

    /// How many frames it has; at least one.
    pub fn frames(&self) -> u32 {
        u32::try_from(self.ulaw.len() / FRAME_SAMPLES).unwrap_or(u32::MAX)
    }

    /// How long it is.
    pub fn duration(&self) -> Duration {
        Duration::from_millis(u64::from(self.frames()) * u64::from(FRAME_MILLIS))
    }

    /// The frame at `index`, 160 bytes; `None` behind the end.
    pub fn frame(&self, codec: Codec, index: u32) -> Option<&[u8]> {
        let bytes = match codec {
            Codec::Pcmu => &self.ulaw,
            Codec::Pcma => &self.alaw,
        };
        let start = usize::try_from(index).ok()?.checked_mul(FRAME_SAMPLES)?;
        bytes.get(start..start + FRAME_SAMPLES)
    }

    /// Its samples, decoded from µ-law, for who wants to measure it.
    pub fn samples(&self) -> Vec<i16> {
        self.ulaw.iter().map(|&byte| Codec::Pcmu.decode(byte)).collect()
    }
}

impl std::fmt::Debug for Sound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sound({} ms at {SAMPLE_RATE} Hz)", self.duration().as_millis())
    }
}

/// How often a sound plays, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    Once,
    FromStart,
    InStep,
}

/// A sound and how it plays. Cloning shares the sound.
#[derive(Clone, Debug)]
pub struct Source {
    sound: Arc<Sound>,
    repeat: Repeat,
}

impl Source {
    /// Plays the sound once.
    pub fn once(sound: Arc<Sound>) -> Self {
        Source { sound, repeat: Repeat::Once }
    }

    /// Plays the sound over and over, from its start.
    pub fn repeated(sound: Arc<Sound>) -> Self {
        Source { sound, repeat: Repeat::FromStart }
    }

    /// Plays the sound over and over in step with everybody else who hears it, like a radio: all listeners send the same
    /// frame at the same moment, which keeps it in the processor's cache. For music.
    pub fn in_step(sound: Arc<Sound>) -> Self {
        Source { sound, repeat: Repeat::InStep }
    }

    /// What plays.
    pub fn sound(&self) -> &Arc<Sound> {
        &self.sound
    }

    /// The frame to send now. Frames are counted by one clock for all legs: `now` is that clock, `started` what it showed
    /// when this leg began to hear the source. `None` when it has played to its end.
    pub fn frame(&self, codec: Codec, started: u64, now: u64) -> Option<&[u8]> {
        let frames = u64::from(self.sound.frames());
        let index = match self.repeat {
            Repeat::Once => now.saturating_sub(started),
            Repeat::FromStart => now.saturating_sub(started) % frames,
            Repeat::InStep => now % frames,
        };
        self.sound.frame(codec, u32::try_from(index).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_frames() -> Arc<Sound> {
        let samples: Vec<i16> = (0..3).flat_map(|frame| [frame * 1_000; FRAME_SAMPLES]).collect();
        Arc::new(Sound::from_samples(&samples[..samples.len() - 10]))
    }

    fn level(source: &Source, started: u64, now: u64) -> Option<i16> {
        let rounded = |byte: u8| (Codec::Pcma.decode(byte) + 500) / 1_000;
        source.frame(Codec::Pcma, started, now).map(|frame| rounded(frame[0]))
    }

    #[test]
    fn a_sound_is_whole_frames() {
        let sound = three_frames();
        assert_eq!((sound.frames(), sound.duration()), (3, Duration::from_millis(60)));
        assert_eq!(sound.frame(Codec::Pcmu, 2).unwrap().last(), Some(&Codec::Pcmu.silence()));
        assert_eq!(sound.frame(Codec::Pcmu, 3), None);
        assert_eq!(Sound::from_samples(&[]).frames(), 1);
    }

    #[test]
    fn once_ends_repeated_starts_again_in_step_follows_the_clock() {
        let sound = three_frames();
        let once = Source::once(sound.clone());
        assert_eq!([7, 8, 9, 10].map(|now| level(&once, 7, now)), [Some(0), Some(1), Some(2), None]);
        let repeated = Source::repeated(sound.clone());
        assert_eq!([7, 9, 10].map(|now| level(&repeated, 7, now)), [Some(0), Some(2), Some(0)]);
        let music = Source::in_step(sound);
        assert_eq!([7, 9].map(|now| level(&music, 7, now)), [Some(1), Some(0)]);
        assert_eq!(level(&music, 7, 9), level(&music, 8, 9));
    }
}
