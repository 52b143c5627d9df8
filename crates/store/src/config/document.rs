//! A YAML document becomes an object: `kind`, `name`, `spec`.

use std::sync::Arc;

use carillon_acd::ids::{AgentId, Name, NumberId, QueueId, SoundId, TrunkId};

use super::center::Center;
use super::decoder::{Decoder, Shape};
use super::findings::{Kind, Problem, Unique, listed, nearest};
use super::kinds::{agent, number, queue, sound, tenant, trunk};
use super::objects::TENANT;
use super::source::Place;
use super::yaml::{Entry, Node, Value};

const DOCUMENT: Shape = Shape { what: "an object", fields: &["kind", "name", "spec"], later: &[] };

/// Kinds of later versions.
const LATER: [&str; 4] = ["Schedule", "Menu", "Plan", "Voicemail"];

/// An empty center of the tenant that exists out of the box.
pub(super) fn empty_center() -> Center {
    let name = TENANT.parse().expect("a lower-case word is a name");
    Center {
        tenant: tenant::out_of_the_box(name),
        trunks: Vec::new(),
        numbers: Vec::new(),
        queues: Vec::new(),
        agents: Vec::new(),
        sounds: Vec::new(),
    }
}

/// Reads one document into the center.
pub(super) fn decode(decoder: &mut Decoder<'_>, node: &Node, center: &mut Center) {
    let head = match &node.value {
        Value::Map(entries) => entries.first().map_or(node.place, |entry| entry.key_place),
        Value::Null | Value::Text { .. } | Value::List(_) => node.place,
    };
    let Some(fields) = decoder.fields(node, head, &DOCUMENT) else {
        decoder.findings.incomplete = true;
        return;
    };
    let kind = decoder.required(&fields, "kind", "kind: Queue").and_then(|entry| kind(decoder, entry));
    let name = decoder.required(&fields, "name", "name: support").and_then(|entry| {
        let name = decoder.name("name", &entry.value)?;
        decoder.findings.take(Unique::Name(kind?), name.as_str(), entry.value.place);
        Some((name, entry.value.place))
    });
    let spec = decoder.required(&fields, "spec", "spec: { … }");
    // Without a name the fields are still checked.
    let (name, place) = name.unwrap_or_else(|| {
        decoder.findings.incomplete = true;
        let placeholder = if kind == Some(Kind::Tenant) { TENANT } else { "unnamed" };
        (placeholder.parse().expect("a lower-case word is a name"), head)
    });
    match (kind, spec) {
        (Some(kind), Some(spec)) => object(decoder, kind, (name, place), spec, center),
        (None, _) => decoder.findings.incomplete = true,
        (Some(_), None) => {}
    }
}

/// A misspelt kind is reported and read as the one it looks like, so that the mistakes inside are shown too.
fn kind(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<Kind> {
    let text = decoder.text(entry)?;
    if let Some((_, kind)) = Kind::ALL.into_iter().find(|(word, _)| *word == text) {
        return Some(kind);
    }
    let place = entry.value.place;
    if LATER.contains(&text) {
        let problem = Problem::error(format!("kind {text} is not supported yet by this version"));
        decoder.report(problem.at(place, "not supported yet").help("take the object out"));
        return None;
    }
    let words = Kind::ALL.into_iter().map(|(word, _)| word);
    let near = nearest(text, words.clone().chain(LATER));
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the kinds are {}", listed(words, "and")),
    };
    decoder.report(Problem::error(format!("unknown kind `{text}`")).at(place, "unknown kind").help(help));
    Kind::ALL.into_iter().find(|(word, _)| Some(*word) == near).map(|(_, kind)| kind)
}

fn object(decoder: &mut Decoder<'_>, kind: Kind, (name, place): (Name, Place), spec: &Entry, center: &mut Center) {
    let shape = match kind {
        Kind::Tenant => tenant::SHAPE,
        Kind::Trunk => trunk::SHAPE,
        Kind::Number => number::SHAPE,
        Kind::Queue => queue::SHAPE,
        Kind::Agent => agent::SHAPE,
        Kind::Sound => sound::SHAPE,
    };
    let Some(fields) = decoder.fields(&spec.value, place, &shape) else { return };
    let owner = center.tenant.name.clone();
    match kind {
        Kind::Tenant if name != owner => {
            let problem = Problem::error("several tenants are not supported yet by this version");
            decoder.report(problem.at(place, "another tenant").help("the tenant of this version is named `default`"));
        }
        Kind::Tenant => center.tenant = tenant::decode(decoder, name, &fields),
        Kind::Trunk => center.trunks.push(trunk::decode(decoder, TrunkId::new(owner, name), &fields)),
        Kind::Number => {
            let number = number::decode(decoder, NumberId::new(owner, name), &fields);
            center.numbers.extend(number.map(Arc::new));
        }
        Kind::Queue => {
            let at = center.queues.len();
            center.queues.push(Arc::new(queue::decode(decoder, QueueId::new(owner, name), at, &fields)));
        }
        Kind::Agent => center.agents.push(Arc::new(agent::decode(decoder, AgentId::new(owner, name), &fields))),
        Kind::Sound => center.sounds.extend(sound::decode(decoder, SoundId::new(owner, name), &fields)),
    }
}
