//! The kind Sound: a file that is looked at before it is needed (Spec: OB-7).

use std::ops::RangeInclusive;
use std::path::Path;

use carillon_acd::ids::SoundId;

use crate::config::LookUp;
use crate::config::center::Sound;
use crate::config::decoder::{Decoder, Fields, Shape};
use crate::config::findings::Problem;
use crate::config::yaml::Entry;

pub(crate) const SHAPE: Shape = Shape { what: "a Sound", fields: &["file"], later: &["text", "language"] };

/// Spec: OB-7.
const MOST_BYTES: u64 = 2 * 1024 * 1024;
/// What can be brought to the 8,000 of the telephone network.
const SAMPLE_RATES: RangeInclusive<u32> = 8_000..=48_000;

pub(crate) fn decode(decoder: &mut Decoder<'_>, id: SoundId, fields: &Fields<'_>) -> Option<Sound> {
    if fields.get("file").is_none() && fields.get("text").is_some() {
        // That spoken texts are not supported is reported already.
        return None;
    }
    let entry = decoder.required(fields, "file", "file: sounds/welcome.wav")?;
    let text = decoder.text(entry)?;
    let file = decoder.folder.join(text);
    decoder.findings.of_machine = true;
    if decoder.look_up == LookUp::Elsewhere {
        return Some(Sound { id, file });
    }
    match check(&file) {
        Ok(()) => Some(Sound { id, file }),
        Err(why) => {
            report(decoder, entry, &why);
            None
        }
    }
}

fn report(decoder: &mut Decoder<'_>, entry: &Entry, why: &str) {
    let problem = Problem::error(format!("sound file cannot be used: {why}"));
    let help = "a sound is a WAV file, mono, at most 2 MB; its path starts at the folder of this file (OB-7)";
    decoder.report(problem.at(entry.value.place, "this file").help(help));
}

/// Looks at the header only; the samples are read where sounds are prepared.
fn check(file: &Path) -> Result<(), String> {
    let metadata = std::fs::metadata(file).map_err(|error| format!("{}: {error}", file.display()))?;
    if !metadata.is_file() {
        return Err(format!("{} is not a file", file.display()));
    }
    if metadata.len() > MOST_BYTES {
        return Err(format!("it has {} bytes, more than {MOST_BYTES}", metadata.len()));
    }
    if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("mp3")) {
        return Err("MP3 is not supported yet by this version".into());
    }
    let reader = hound::WavReader::open(file).map_err(|error| format!("it is not a WAV file: {error}"))?;
    let header = reader.spec();
    if header.channels != 1 {
        return Err(format!("it has {} channels, and must have one", header.channels));
    }
    if !SAMPLE_RATES.contains(&header.sample_rate) {
        let (least, most) = SAMPLE_RATES.into_inner();
        return Err(format!("it has {} samples per second, and must have {least} to {most}", header.sample_rate));
    }
    if reader.duration() == 0 {
        return Err("it holds no sound".into());
    }
    Ok(())
}
