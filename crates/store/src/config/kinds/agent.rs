//! The kind Agent, with his devices and their passwords (Spec: OB-5, SE-5).

use std::path::Path;

use carillon_acd::agent::DeviceKind;
use carillon_acd::ids::AgentId;

use super::queue::display_name;
use super::skills::skills;
use super::trunk::address;
use crate::config::LookUp;
use crate::config::center::{Access, Agent, Device, Username};
use crate::config::decoder::{Decoder, Fields, Shape};
use crate::config::findings::{Problem, Unique};
use crate::config::secret::Secret;
use crate::config::source::Place;
use crate::config::tree::Tree;
use crate::config::yaml::{Entry, Node};

pub(crate) const SHAPE: Shape = Shape {
    what: "an Agent",
    fields: &["display_name", "extension", "mobile", "skills", "devices"],
    later: &["crm_user", "outgoing_numbers", "voicemail"],
};

const DEVICE: Shape = Shape { what: "a device", fields: &["username", "password", "contact", "kind"], later: &[] };
const PASSWORD: Shape = Shape { what: "`password`", fields: &["plain", "env", "file", "stored"], later: &[] };

const KINDS: [(&str, DeviceKind); 4] = [
    ("hardware", DeviceKind::Hardware),
    ("browser", DeviceKind::Browser),
    ("desktop", DeviceKind::Desktop),
    ("mobile", DeviceKind::Mobile),
];

/// The largest file with a password, in bytes.
const MOST_PASSWORD: usize = 1_024;

/// A device's place in the list fits a `DeviceId`, and more phones of one person are a mistake.
const MOST_DEVICES: usize = 16;

pub(crate) fn decode(decoder: &mut Decoder<'_>, id: AgentId, fields: &Fields<'_>) -> Agent {
    let extension = fields.get("extension").and_then(|entry| {
        let extension = decoder.extension(entry)?;
        decoder.findings.take(Unique::Extension, extension.as_str(), entry.value.place);
        Some(extension)
    });
    let nodes = fields.get("devices").map_or(&[][..], |entry| {
        decoder.list(entry, "[{ username: anna, password: { env: ANNA_PASSWORD }, kind: hardware }]")
    });
    if let Some(node) = nodes.get(MOST_DEVICES) {
        let problem = Problem::error(format!("agent `{}` has more than {MOST_DEVICES} devices", id.name));
        decoder.report(problem.at(node.place, "one too many"));
    }
    if fields.get("devices").is_none() {
        let problem = Problem::warning(format!("agent `{}` has no devices", id.name));
        decoder.report(problem.at(fields.head(), "no devices").help("nothing can ring, so he gets no call (QU-6)"));
    }
    Agent {
        display_name: display_name(decoder, &id.name, fields),
        extension,
        mobile: fields.get("mobile").and_then(|entry| decoder.phone_number(entry)),
        skills: fields.get("skills").map(|entry| skills(decoder, entry)).unwrap_or_default(),
        devices: nodes.iter().filter_map(|node| device(decoder, node)).collect(),
        id,
    }
}

fn device(decoder: &mut Decoder<'_>, node: &Node) -> Option<Device> {
    let fields = decoder.fields(node, node.place, &DEVICE)?;
    let kind = fields.get("kind").and_then(|entry| decoder.word(entry, &KINDS, &[])).unwrap_or(DeviceKind::Hardware);
    let access = match (fields.get("contact"), fields.get("username").or(fields.get("password"))) {
        (Some(contact), None) => {
            let contact = address(decoder, contact).inspect(|uri| {
                decoder.findings.take(Unique::Contact, uri.as_str(), contact.value.place);
            });
            Access::Fixed { contact: contact? }
        }
        (None, Some(_)) => registers(decoder, &fields)?,
        (Some(contact), Some(registers)) => {
            let problem = Problem::error("a device registers or has a fixed contact, not both");
            decoder
                .report(problem.at(contact.key_place, "a fixed contact").at(registers.key_place, "and a registration"));
            return None;
        }
        (None, None) => {
            let problem = Problem::error("a device has no way to be reached").at(fields.head(), "cannot ring");
            decoder.report(problem.help("add `username` and `password`, or a fixed `contact`"));
            return None;
        }
    };
    Some(Device { kind, access })
}

fn registers(decoder: &mut Decoder<'_>, fields: &Fields<'_>) -> Option<Access> {
    let username = decoder.required(fields, "username", "username: anna").and_then(|entry| username(decoder, entry));
    let password = decoder
        .required(fields, "password", "password: { env: ANNA_PASSWORD }")
        .and_then(|entry| password(decoder, username.as_ref(), entry));
    Some(Access::Registers { username: username?, password: password? })
}

fn username(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<Username> {
    let text = decoder.text(entry)?;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.len() > 64 || !text.bytes().all(good) {
        let problem = Problem::error("`username` must be 1 to 64 characters of A-Z, a-z, 0-9, `.`, `_` and `-`");
        decoder.report(problem.at(entry.value.place, "not a username"));
        return None;
    }
    decoder.findings.take(Unique::Username, text, entry.value.place);
    Some(Username(text.into()))
}

/// `{ plain: … }`, `{ env: … }` or `{ file: … }`. The value appears in no message, and the lines that are shown are masked. What
/// is applied to a running center may also say `{ stored: true }`: the password that the device has already.
fn password(decoder: &mut Decoder<'_>, username: Option<&Username>, entry: &Entry) -> Option<Secret> {
    let fields = decoder.fields(&entry.value, entry.key_place, &PASSWORD)?;
    let given: Vec<&Entry> = PASSWORD.fields.iter().filter_map(|field| fields.get(field)).collect();
    let [given] = given[..] else {
        let problem = Problem::error("`password` must be `{ plain: … }`, `{ env: … }` or `{ file: … }`");
        decoder.report(problem.at(entry.value.place, "not exactly one of them"));
        return None;
    };
    let (text, place) = (decoder.text(given)?, given.value.place);
    match given.key.as_str() {
        "plain" => Some(Secret::new(text)),
        "env" => from_environment(decoder, text, place),
        "file" => from_file(decoder, Path::new(text), place),
        _ => {
            decoder.word(given, &[("true", ())], &[])?;
            stored_password(decoder, username?, place)
        }
    }
}

/// As an orchestrator mounts a secret: the whole file but the end of its line.
fn from_file(decoder: &mut Decoder<'_>, path: &Path, place: Place) -> Option<Secret> {
    decoder.findings.of_machine = true;
    if decoder.look_up == LookUp::Elsewhere {
        return Some(Secret::new(""));
    }
    let path = decoder.folder.join(path);
    let why = match std::fs::read_to_string(&path) {
        Ok(text) if text.trim_end().is_empty() => "it is empty".to_owned(),
        Ok(text) if text.len() > MOST_PASSWORD => format!("it has {} bytes, more than {MOST_PASSWORD}", text.len()),
        Ok(text) => return Some(Secret::new(text.trim_end_matches(['\r', '\n']))),
        Err(error) => error.to_string(),
    };
    let problem = Problem::error(format!("the password file {} cannot be used: {why}", path.display()));
    decoder.report(problem.at(place, "this file").help("the file holds the password and nothing else"));
    None
}

fn from_environment(decoder: &mut Decoder<'_>, variable: &str, place: Place) -> Option<Secret> {
    decoder.findings.of_machine = true;
    if decoder.look_up == LookUp::Elsewhere {
        return Some(Secret::new(""));
    }
    let value = (decoder.environment)(variable).filter(|value| !value.is_empty());
    if value.is_none() {
        let problem = Problem::error(format!("the environment variable `{variable}` is not set"));
        let help = format!("start with `{variable}=… carillon serve …`");
        decoder.report(problem.at(place, "not set, or empty").help(help));
    }
    value.as_deref().map(Secret::new)
}

fn stored_password(decoder: &mut Decoder<'_>, username: &Username, place: Place) -> Option<Secret> {
    let known = decoder.stored.get(username.as_str());
    let value = |field| known.and_then(|known| known.get(field)).and_then(Tree::as_str).map(str::to_owned);
    match (value("plain"), value("env"), value("file")) {
        (Some(plain), _, _) => Some(Secret::new(&plain)),
        (None, Some(variable), _) => from_environment(decoder, &variable, place),
        (None, None, Some(file)) => from_file(decoder, Path::new(&file), place),
        (None, None, None) => {
            let problem = Problem::error(format!("no password is stored for `{username}`"));
            let help = "write `{ plain: … }`, `{ env: … }` or `{ file: … }`; `stored` keeps the password of a device that is there already";
            decoder.report(problem.at(place, "not stored").help(help));
            None
        }
    }
}
