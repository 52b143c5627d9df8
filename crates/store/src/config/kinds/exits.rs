//! What callers can do with their keys while they wait in a queue, and how they are called back (Spec: UN-7, OU-4).

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_acd::queue::{CallbackRule, Exit, Then};

use super::queue::Source;
use super::{DAY, MINUTE, SECOND};
use crate::config::decoder::{Choice, Decoder, Fields, Shape};
use crate::config::findings::{Asker, Forward, Problem, ToExtension};
use crate::config::yaml::{Entry, Value};

const EXIT: Shape = Shape { what: "an exit", fields: &["queue", "extension", "number"], later: &["voicemail"] };
const WORDS: [&str; 2] = ["callback", "hang_up"];
const CALLBACK: Shape = Shape { what: "`callback`", fields: &["attempts", "delay", "keep", "ring_for"], later: &[] };

/// `{ "1": { queue: sales }, "2": callback }`.
pub(super) fn exits(decoder: &mut Decoder<'_>, source: &Source<'_>, entry: &Entry) -> BTreeMap<char, Exit> {
    let Value::Map(entries) = &entry.value.value else {
        decoder.wrong_type("`exits` must be a map, like `{ \"1\": { queue: sales }, \"2\": callback }`", &entry.value);
        return BTreeMap::new();
    };
    let mut exits = BTreeMap::new();
    for (n, entry) in entries.iter().enumerate() {
        if let Some(first) = entries[..n].iter().find(|earlier| earlier.key == entry.key) {
            let twice = Problem::error(format!("the exit `{}` is given twice", entry.key));
            decoder.report(twice.at(entry.key_place, "again here").at(first.key_place, "first here"));
        }
        let Some(digit) = digit(&entry.key) else {
            let problem = Problem::error(format!("`{}` is no key of a phone", entry.key));
            decoder
                .report(problem.at(entry.key_place, "not a key").help("write \"0\" to \"9\", \"*\" or \"#\" (UN-7)"));
            continue;
        };
        if let Some(exit) = exit(decoder, source, digit, entry) {
            exits.insert(digit, exit);
        }
    }
    exits
}

fn digit(key: &str) -> Option<char> {
    let mut characters = key.chars();
    let digit = characters.next().filter(|c| c.is_ascii_digit() || matches!(c, '*' | '#'))?;
    characters.next().is_none().then_some(digit)
}

/// An extension becomes its owner when all extensions are known.
fn exit(decoder: &mut Decoder<'_>, source: &Source<'_>, digit: char, entry: &Entry) -> Option<Exit> {
    match decoder.choice(entry, &EXIT)? {
        Choice::Word("hang_up") => Some(Exit::Leave(Then::HangUp)),
        Choice::Word("callback") => {
            decoder.findings.forwards.push(Forward { what: "a callback", place: entry.value.place });
            Some(Exit::Callback)
        }
        Choice::Word(other) => {
            let words = WORDS.into_iter().chain(["{ queue: … }", "{ extension: … }", "{ number: … }"]);
            decoder.unknown_word(&entry.key, other, entry.value.place, words, EXIT.later);
            None
        }
        Choice::Field(field) if field.key == "queue" => {
            source.to_queue(decoder, field).map(|queue| Exit::Leave(Then::Queue(queue)))
        }
        Choice::Field(field) if field.key == "number" => {
            decoder.findings.forwards.push(Forward { what: "forwarding to a number", place: field.value.place });
            decoder.phone_number(field).map(|number| Exit::Leave(Then::Number(number)))
        }
        Choice::Field(field) => {
            let to = decoder.extension(field)?;
            let (from, asker, place) = (source.queue, Asker::Exit(digit), field.value.place);
            decoder.findings.to_extensions.push(ToExtension { from, asker, to, place });
            None
        }
    }
}

/// Spec: OU-4.
pub(super) fn callback(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<CallbackRule> {
    let fields = decoder.fields(&entry.value, entry.key_place, &CALLBACK)?;
    let default = CallbackRule::default();
    let attempts = fields.get("attempts").and_then(|entry| decoder.whole(entry, 1..=5));
    let mut duration = |field, range, default| {
        fields.get(field).and_then(|entry| decoder.duration(entry, range, None)).unwrap_or(default)
    };
    Some(CallbackRule {
        delay: duration("delay", 60 * SECOND..=DAY, default.delay),
        keep: duration("keep", MINUTE..=DAY, default.keep),
        ring_for: duration("ring_for", 5 * SECOND..=Duration::from_secs(120), default.ring_for),
        attempts: attempts.map_or(default.attempts, |n| u8::try_from(n).expect("checked to be 1 to 5")),
    })
}

/// Exits that will hardly be used.
pub(super) fn doubts(decoder: &mut Decoder<'_>, queue: &str, fields: &Fields<'_>, calls_back: bool, ringing: bool) {
    if let Some(entry) = fields.get("exits").filter(|_| ringing) {
        let problem = Problem::warning(format!("callers of queue `{queue}` hear ringing and can hardly press a digit"));
        let help = "phones send digits after the answer; add `waiting_sound: music`, so that callers are answered at \
                    once (UN-7)";
        decoder.report(problem.at(entry.key_place, "exits").help(help));
    }
    if let Some(entry) = fields.get("callback").filter(|_| !calls_back) {
        let problem = Problem::warning(format!("`callback` of queue `{queue}` changes nothing"));
        let help = "no digit asks for a callback; add one to `exits`, like `\"2\": callback` (UN-7)";
        decoder.report(problem.at(entry.key_place, "not used").help(help));
    }
}
