//! From YAML nodes to typed values. Every mistake is reported and reading goes on, with nothing or a default in its
//! place, so that one look shows all of them.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use carillon_acd::ids::{Extension, IdError, Name, PhoneNumber, ShortNumber};

use super::LookUp;
use super::findings::{Findings, Kind, Problem, Reference, listed, nearest};
use super::source::Place;
use super::tree::Tree;
use super::yaml::{Entry, Node, Value};

/// Reads the value of an environment variable.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The fields of an object or of a part of one.
pub(super) struct Shape {
    /// What it is called in messages, with its article.
    pub(super) what: &'static str,
    pub(super) fields: &'static [&'static str],
    /// Fields and words that a later version will know.
    pub(super) later: &'static [&'static str],
}

/// A map whose field names were checked.
pub(super) struct Fields<'d> {
    what: &'static str,
    /// What is marked when a field is missing.
    head: Place,
    entries: &'d [Entry],
}

impl<'d> Fields<'d> {
    /// The field, unless it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<&'d Entry> {
        self.entries.iter().find(|entry| entry.key == name && !matches!(entry.value.value, Value::Null))
    }

    pub(super) fn head(&self) -> Place {
        self.head
    }
}

/// A field that is either a word or a map with one field: `unanswered: wait`, `unanswered: { queue: sales }`.
pub(super) enum Choice<'d> {
    Word(&'d str),
    Field(&'d Entry),
}

/// Decodes one file.
pub(super) struct Decoder<'a> {
    pub(super) findings: &'a mut Findings,
    pub(super) environment: Environment<'a>,
    /// Where relative paths start.
    pub(super) folder: &'a Path,
    /// Whether this machine needs what the configuration names: variables and files.
    pub(super) look_up: LookUp,
    /// Passwords that are meant by `stored: true`, as they are written, by user name.
    pub(super) stored: &'a HashMap<String, Tree>,
}

impl Decoder<'_> {
    pub(super) fn report(&mut self, problem: Problem) {
        self.findings.report(problem);
    }

    /// The fields of a map, after reporting those that are unknown or stand there twice; `None` for anything else, which
    /// is reported too.
    pub(super) fn fields<'d>(&mut self, node: &'d Node, head: Place, shape: &Shape) -> Option<Fields<'d>> {
        let what = shape.what;
        let Value::Map(entries) = &node.value else {
            self.wrong_type(&format!("{what} must be a map of fields"), node);
            return None;
        };
        for (n, entry) in entries.iter().enumerate() {
            if let Some(first) = entries[..n].iter().find(|earlier| earlier.key == entry.key) {
                let twice = Problem::error(format!("`{}` is given twice", entry.key));
                self.report(twice.at(entry.key_place, "again here").at(first.key_place, "first here"));
            } else if !shape.fields.contains(&entry.key.as_str()) {
                self.unknown_field(entry, shape);
            }
        }
        Some(Fields { what, head, entries })
    }

    fn unknown_field(&mut self, entry: &Entry, shape: &Shape) {
        let key = entry.key.as_str();
        if shape.later.contains(&key) {
            if !matches!(entry.value.value, Value::Null) {
                self.not_yet(key, entry.key_place);
            }
            return;
        }
        let help = match nearest(key, shape.fields.iter().chain(shape.later).copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("{} has the fields {}", shape.what, listed(shape.fields.iter().copied(), "and")),
        };
        let message = format!("unknown field `{key}` in {}", shape.what);
        self.report(Problem::error(message).at(entry.key_place, "unknown field").help(help));
    }

    pub(super) fn not_yet(&mut self, what: &str, place: Place) {
        let message = format!("`{what}` is not supported yet by this version");
        self.report(Problem::error(message).at(place, "not supported yet").help("take it out"));
    }

    /// The field, or a report that it is missing; `example` is how it could look.
    pub(super) fn required<'d>(&mut self, fields: &Fields<'d>, name: &str, example: &str) -> Option<&'d Entry> {
        let found = fields.get(name);
        if found.is_none() {
            let problem = Problem::error(format!("{} has no `{name}`", fields.what));
            self.report(problem.at(fields.head, format!("`{name}` is missing")).help(format!("add `{example}`")));
        }
        found
    }

    pub(super) fn wrong_type(&mut self, must: &str, node: &Node) {
        let found = match &node.value {
            Value::Null => "nothing",
            Value::Text { quoted: true, .. } => "text in quotes",
            Value::Text { quoted: false, .. } => "a word",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        };
        self.report(Problem::error(must).at(node.place, format!("this is {found}")));
    }

    /// Text that is not empty, with or without quotes.
    pub(super) fn text<'d>(&mut self, entry: &'d Entry) -> Option<&'d str> {
        self.text_of(&entry.key, &entry.value)
    }

    pub(super) fn text_of<'d>(&mut self, name: &str, node: &'d Node) -> Option<&'d str> {
        match &node.value {
            Value::Text { text, .. } if !text.trim().is_empty() => Some(text),
            Value::Text { .. } => {
                self.report(Problem::error(format!("`{name}` is empty")).at(node.place, "empty"));
                None
            }
            Value::Null | Value::List(_) | Value::Map(_) => {
                self.wrong_type(&format!("`{name}` must be text"), node);
                None
            }
        }
    }

    /// A list; anything else is reported and counts as empty.
    pub(super) fn list<'d>(&mut self, entry: &'d Entry, example: &str) -> &'d [Node] {
        if let Value::List(items) = &entry.value.value {
            return items;
        }
        self.wrong_type(&format!("`{}` must be a list, like `{example}`", entry.key), &entry.value);
        &[]
    }

    pub(super) fn phone_number(&mut self, entry: &Entry) -> Option<PhoneNumber> {
        let text = self.text(entry)?;
        text.parse().map_err(|error| self.refused_id(entry, "an international phone number", &error)).ok()
    }

    pub(super) fn extension(&mut self, entry: &Entry) -> Option<Extension> {
        let text = self.text(entry)?;
        text.parse().map_err(|error| self.refused_id(entry, "an extension", &error)).ok()
    }

    pub(super) fn short_number(&mut self, entry: &Entry) -> Option<ShortNumber> {
        let text = self.text(entry)?;
        text.parse().map_err(|error| self.refused_id(entry, "a short number", &error)).ok()
    }

    fn refused_id(&mut self, entry: &Entry, what: &str, error: &IdError) {
        let help = match error {
            IdError::PhoneNumber(_) => {
                "write `+`, country, area and number, 7 to 15 digits: \"+33 1 23 45 67 89\" (OB-6)"
            }
            IdError::Extension(_) => "write 1 to 4 digits in quotes: \"201\" (RT-5)",
            IdError::ShortNumber(_) => "write 1 to 8 digits in quotes: \"99900\" (TR-5)",
            IdError::Name(_) | IdError::Call(_) => "write 1 to 63 characters of a-z, 0-9 and `-` (OB-1)",
        };
        let label = format!("not {what}");
        self.report(Problem::error(format!("`{}` must be {what}", entry.key)).at(entry.value.place, label).help(help));
    }

    /// A name of an object, `[a-z0-9-]{1,63}`.
    pub(super) fn name(&mut self, field: &str, node: &Node) -> Option<Name> {
        let text = self.text_of(field, node)?;
        if let Ok(name) = text.parse() {
            return Some(name);
        }
        let problem = Problem::error(format!("`{field}` must be a name")).at(node.place, "not a name");
        self.report(problem.help("write 1 to 63 characters of a-z, 0-9 and `-` (OB-1)"));
        None
    }

    /// A name of an object that must exist.
    pub(super) fn reference(&mut self, kind: Kind, field: &str, node: &Node) -> Option<Name> {
        let name = self.name(field, node)?;
        self.findings.references.push(Reference { kind, name: name.clone(), place: node.place });
        Some(name)
    }

    /// A whole number in a range.
    pub(super) fn whole(&mut self, entry: &Entry, range: RangeInclusive<i64>) -> Option<i64> {
        let number = match &entry.value.value {
            Value::Text { text, quoted: false } => text.parse::<i64>().ok(),
            Value::Null | Value::Text { .. } | Value::List(_) | Value::Map(_) => None,
        };
        let Some(number) = number else {
            self.wrong_type(&format!("`{}` must be a whole number", entry.key), &entry.value);
            return None;
        };
        if range.contains(&number) {
            return Some(number);
        }
        let message = format!("`{}` must be {} to {}", entry.key, range.start(), range.end());
        self.report(Problem::error(message).at(entry.value.place, "out of range"));
        None
    }

    /// A duration in a range; zero is allowed when `zero` says what it means.
    pub(super) fn duration(
        &mut self,
        entry: &Entry,
        range: RangeInclusive<Duration>,
        zero: Option<&str>,
    ) -> Option<Duration> {
        let text = self.text(entry)?;
        let Ok(duration) = humantime::parse_duration(text) else {
            let problem = Problem::error(format!("`{}` must be a duration", entry.key));
            let help = "write numbers with units: `10s`, `5m`, `1h30m`";
            self.report(problem.at(entry.value.place, "not a duration").help(help));
            return None;
        };
        if range.contains(&duration) || (zero.is_some() && duration.is_zero()) {
            return Some(duration);
        }
        let mut message = format!("`{}` must be {} to {}", entry.key, shown(*range.start()), shown(*range.end()));
        if let Some(meaning) = zero.filter(|_| !range.contains(&Duration::ZERO)) {
            message.push_str(&format!(", or 0s for {meaning}"));
        }
        self.report(Problem::error(message).at(entry.value.place, "out of range"));
        None
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&mut self, entry: &Entry, words: &[(&str, T)], later: &[&str]) -> Option<T> {
        let text = self.text(entry)?;
        let known = words.iter().find(|(word, _)| *word == text);
        if known.is_none() {
            self.unknown_word(&entry.key, text, entry.value.place, words.iter().map(|(word, _)| *word), later);
        }
        known.map(|(_, value)| *value)
    }

    pub(super) fn unknown_word<'w>(
        &mut self,
        field: &str,
        text: &str,
        place: Place,
        words: impl Iterator<Item = &'w str> + Clone,
        later: &[&'w str],
    ) {
        if later.contains(&text) {
            return self.not_yet(text, place);
        }
        let message = format!("`{field}` must be {}", listed(words.clone(), "or"));
        let problem = Problem::error(message).at(place, "unknown word");
        self.report(match nearest(text, words.chain(later.iter().copied())) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        });
    }

    /// A word, or a map with exactly one of the fields of `shape`.
    pub(super) fn choice<'d>(&mut self, entry: &'d Entry, shape: &Shape) -> Option<Choice<'d>> {
        if !matches!(entry.value.value, Value::Map(_)) {
            return self.text(entry).map(Choice::Word);
        }
        let fields = self.fields(&entry.value, entry.key_place, shape)?;
        match fields.entries {
            [only] if shape.fields.contains(&only.key.as_str()) => Some(Choice::Field(only)),
            // The unknown one is reported already.
            [_] => None,
            _ => {
                let message = format!(
                    "`{}` must have one of the fields {}",
                    entry.key,
                    listed(shape.fields.iter().copied(), "or")
                );
                self.report(Problem::error(message).at(entry.value.place, "not exactly one field"));
                None
            }
        }
    }
}

/// A limit of a range in the largest unit that fits: `24h`, `1m`, `0s`.
fn shown(duration: Duration) -> String {
    match duration.as_secs() {
        0 => "0s".into(),
        hours if hours % 3_600 == 0 => format!("{}h", hours / 3_600),
        minutes if minutes % 60 == 0 => format!("{}m", minutes / 60),
        seconds => format!("{seconds}s"),
    }
}
