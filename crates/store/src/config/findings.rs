//! What reading has found so far, besides the objects: mistakes, references to be followed, names that are taken.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fmt;
use std::sync::Arc;

use carillon_acd::ids::{Extension, Name};
use carillon_acd::route::Feature;

use super::diagnostic::{Diagnostic, Mark, Severity};
use super::objects::{Object, ObjectName};
use super::source::{Place, Source};

/// More mistakes than this are only counted: nobody reads them, and a wrong file of a large center has a million.
const LIMIT: usize = 1_000;

/// The kinds of objects of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A company.
    Tenant,
    /// A SIP connection.
    Trunk,
    /// A phone number that is answered.
    Number,
    /// A group of agents that shares incoming calls.
    Queue,
    /// An employee who takes calls.
    Agent,
    /// An uploaded sound.
    Sound,
}

impl Kind {
    /// Every kind with its word in `kind:`.
    pub const ALL: [(&'static str, Kind); 6] = [
        ("Tenant", Kind::Tenant),
        ("Trunk", Kind::Trunk),
        ("Number", Kind::Number),
        ("Queue", Kind::Queue),
        ("Agent", Kind::Agent),
        ("Sound", Kind::Sound),
    ];

    /// Its collection in resource names; `None` for tenants, which are at the top.
    pub const fn collection(self) -> Option<&'static str> {
        match self {
            Kind::Tenant => None,
            Kind::Trunk => Some("trunks"),
            Kind::Number => Some("numbers"),
            Kind::Queue => Some("queues"),
            Kind::Agent => Some("agents"),
            Kind::Sound => Some("sounds"),
        }
    }

    pub(super) const fn with_article(self) -> &'static str {
        match self {
            Kind::Tenant => "a Tenant",
            Kind::Trunk => "a Trunk",
            Kind::Number => "a Number",
            Kind::Queue => "a Queue",
            Kind::Agent => "an Agent",
            Kind::Sound => "a Sound",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Where something may stand only once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Unique {
    Name(Kind),
    Extension,
    ShortNumber,
    PhoneNumber,
    Username,
    Contact,
    Peer,
}

impl Unique {
    /// The mistake in words, and what would be right.
    fn twice(self, value: &str) -> (String, &'static str) {
        match self {
            Unique::Name(kind) => (format!("two objects of kind {kind} are named `{value}`"), "rename one of them"),
            Unique::Extension => (
                format!("extension {value} is given twice"),
                "an extension belongs to one queue or agent of the tenant (RT-5)",
            ),
            Unique::ShortNumber => {
                (format!("short number {value} is given twice"), "a short number names one queue (TR-5)")
            }
            Unique::PhoneNumber => (
                format!("{value} is configured twice"),
                "spaces and signs do not matter: both are stored as the same E.164 number (OB-6)",
            ),
            Unique::Username => {
                (format!("username `{value}` is given twice"), "a username names one device of the center")
            }
            Unique::Contact => (format!("{value} is given twice"), "a fixed contact belongs to one device"),
            Unique::Peer => {
                (format!("{value} is a peer twice"), "a request from there must belong to one trunk only (SE-1)")
            }
        }
    }
}

/// A field that names another object.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub(super) kind: Kind,
    pub(super) name: Name,
    pub(super) place: Place,
}

/// A queue that hands callers over to another (Spec: UN-5).
#[derive(Clone, Debug)]
pub(super) struct Handover {
    /// The queue's place in the list of queues.
    pub(super) from: usize,
    pub(super) to: Name,
    pub(super) place: Place,
}

/// Where a queue may name an extension.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    /// In its timeout (Spec: UN-4).
    Timeout,
    /// Behind a digit (Spec: UN-7).
    Exit(char),
}

/// Something that calls a phone outside, and so needs a trunk (Spec: UN-6).
#[derive(Clone, Debug)]
pub(super) struct Forward {
    /// In words.
    pub(super) what: &'static str,
    pub(super) place: Place,
}

/// A queue that sends callers to an extension: known when all extensions are.
#[derive(Clone, Debug)]
pub(super) struct ToExtension {
    /// The queue's place in the list of queues.
    pub(super) from: usize,
    pub(super) asker: Asker,
    pub(super) to: Extension,
    pub(super) place: Place,
}

/// Where the code of a feature is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct CodePlace {
    pub(super) feature: Feature,
    pub(super) place: Place,
}

/// A mistake or a doubt that is about to be reported.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    severity: Severity,
    message: String,
    marks: Vec<(Place, String)>,
    help: Option<String>,
}

impl Problem {
    pub(super) fn error(message: impl Into<String>) -> Self {
        Problem { severity: Severity::Error, message: message.into(), marks: Vec::new(), help: None }
    }

    pub(super) fn warning(message: impl Into<String>) -> Self {
        Problem { severity: Severity::Warning, ..Problem::error(message) }
    }

    pub(super) fn at(mut self, place: Place, label: impl Into<String>) -> Self {
        self.marks.push((place, label.into()));
        self
    }

    /// For a place that may be nowhere in the files.
    pub(super) fn at_some(self, place: Option<Place>, label: &str) -> Self {
        match place {
            Some(place) => self.at(place, label),
            None => self,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

#[derive(Debug, Default)]
pub(super) struct Findings {
    texts: Vec<Text>,
    errors: Problems,
    warnings: Problems,
    taken: HashMap<Unique, HashMap<Arc<str>, Place>>,
    pub(super) references: Vec<Reference>,
    pub(super) handovers: Vec<Handover>,
    pub(super) to_extensions: Vec<ToExtension>,
    pub(super) codes: Vec<CodePlace>,
    /// Fields that call a number outside.
    pub(super) forwards: Vec<Forward>,
    /// Queues, by their place in the list, that forward to the mobile phone of the agent rung last (Spec: UN-1).
    pub(super) to_last_agents: Vec<(usize, Place)>,
    /// A part of the configuration could not be read at all, so a reference that leads nowhere proves nothing.
    pub(super) incomplete: bool,
    /// What was read depends on this machine, and may be other the next time: a variable, a file.
    pub(super) of_machine: bool,
}

/// What was read.
#[derive(Debug)]
enum Text {
    File(Arc<Source>),
    /// Thousands, of which hardly one is ever shown.
    Stored(ObjectName, Object),
}

/// One of the findings of one object, read as if it were alone: its places are in file 0, and its queue is the first.
#[derive(Debug)]
pub(super) enum Note {
    Taken(Unique, Arc<str>, Place),
    Reference(Reference),
    Handover(Handover),
    ToExtension(ToExtension),
    Code(CodePlace),
    Forward(Forward),
    ToLastAgent(Place),
    Problem(Box<Problem>),
    Incomplete,
}

/// The first mistakes, and how many more there are.
#[derive(Debug, Default)]
struct Problems {
    kept: Vec<Problem>,
    suppressed: usize,
}

impl Findings {
    /// Takes a file in; the number is for [`Place::file`].
    pub(super) fn add_source(&mut self, source: Source) -> u32 {
        self.add(Text::File(Arc::new(source)))
    }

    /// As [`Findings::add_source`].
    pub(super) fn add_stored(&mut self, name: &ObjectName, object: &Object) -> u32 {
        self.add(Text::Stored(name.clone(), object.clone()))
    }

    fn add(&mut self, text: Text) -> u32 {
        self.texts.push(text);
        u32::try_from(self.texts.len() - 1).expect("fewer files than 2^32")
    }

    /// Whether there are mistakes.
    pub(super) fn refuse(&self) -> bool {
        !self.errors.kept.is_empty()
    }

    /// The findings of an object that was read alone.
    pub(super) fn into_notes(self) -> Box<[Note]> {
        let taken = self.taken.into_iter().flat_map(|(unique, values)| {
            values.into_iter().map(move |(value, place)| Note::Taken(unique, value, place))
        });
        let problems = self.errors.kept.into_iter().chain(self.warnings.kept);
        taken
            .chain(self.references.into_iter().map(Note::Reference))
            .chain(self.handovers.into_iter().map(Note::Handover))
            .chain(self.to_extensions.into_iter().map(Note::ToExtension))
            .chain(self.codes.into_iter().map(Note::Code))
            .chain(self.forwards.into_iter().map(Note::Forward))
            .chain(self.to_last_agents.into_iter().map(|(_, place)| Note::ToLastAgent(place)))
            .chain(problems.map(Box::new).map(Note::Problem))
            .chain(self.incomplete.then_some(Note::Incomplete))
            .collect()
    }

    /// Adds a finding of an object that is `file` here; `queue` is the place in the list of queues that it has when it is a
    /// queue.
    pub(super) fn note(&mut self, note: &Note, file: u32, queue: usize) {
        let here = |place: Place| Place { file, ..place };
        match note {
            Note::Taken(unique, value, place) => self.take_shared(*unique, value.clone(), here(*place)),
            Note::Reference(it) => self.references.push(Reference { place: here(it.place), ..it.clone() }),
            Note::Handover(it) => self.handovers.push(Handover { from: queue, place: here(it.place), ..it.clone() }),
            Note::ToExtension(it) => {
                self.to_extensions.push(ToExtension { from: queue, place: here(it.place), ..it.clone() });
            }
            Note::Code(it) => self.codes.push(CodePlace { place: here(it.place), ..*it }),
            Note::Forward(it) => self.forwards.push(Forward { place: here(it.place), ..it.clone() }),
            Note::ToLastAgent(place) => self.to_last_agents.push((queue, here(*place))),
            Note::Problem(it) => {
                let marks = it.marks.iter().map(|(place, label)| (here(*place), label.clone())).collect();
                self.report(Problem { marks, ..Problem::clone(it) });
            }
            Note::Incomplete => self.incomplete = true,
        }
    }

    pub(super) fn report(&mut self, problem: Problem) {
        let problems = match problem.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        if problems.kept.len() < LIMIT {
            problems.kept.push(problem);
        } else {
            problems.suppressed += 1;
        }
    }

    /// Notes that `value` is used here; a second use is a mistake, shown with both places.
    pub(super) fn take(&mut self, unique: Unique, value: &str, place: Place) {
        self.take_shared(unique, value.into(), place);
    }

    fn take_shared(&mut self, unique: Unique, value: Arc<str>, place: Place) {
        match self.taken.entry(unique).or_default().entry(value) {
            Slot::Vacant(free) => {
                free.insert(place);
            }
            Slot::Occupied(taken) => {
                let first = *taken.get();
                let (message, help) = unique.twice(taken.key());
                self.report(Problem::error(message).at(place, "again here").at(first, "first here").help(help));
            }
        }
    }

    pub(super) fn is_taken(&self, unique: Unique, value: &str) -> bool {
        self.taken_at(unique, value).is_some()
    }

    /// Where `value` was used first.
    pub(super) fn taken_at(&self, unique: Unique, value: &str) -> Option<Place> {
        self.taken.get(&unique)?.get(value).copied()
    }

    /// The warnings, or all errors: then the warnings wait until those are gone. In the order of the files.
    pub(super) fn finish(self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        let refused = !self.errors.kept.is_empty();
        let mut problems = if refused { self.errors } else { self.warnings };
        problems.kept.sort_by_key(|problem| problem.marks.first().map(|(place, _)| *place));
        if problems.suppressed > 0 {
            problems.kept.push(Problem {
                severity: problems.kept[0].severity,
                ..Problem::error(format!("and {} more", problems.suppressed))
            });
        }
        let mut sources = HashMap::new();
        let diagnostics =
            problems.kept.into_iter().map(|problem| diagnostic(problem, &self.texts, &mut sources)).collect();
        if refused { Err(diagnostics) } else { Ok(diagnostics) }
    }
}

impl Text {
    fn source(&self) -> Arc<Source> {
        match self {
            Text::File(source) => source.clone(),
            Text::Stored(name, object) => Arc::new(Source::new(name.to_string(), object.document())),
        }
    }
}

/// `sources` has those that were shown before: all marks in one text are shown together.
fn diagnostic(problem: Problem, texts: &[Text], sources: &mut HashMap<u32, Arc<Source>>) -> Diagnostic {
    let mark = |(place, label): (Place, String)| {
        let source = sources.entry(place.file).or_insert_with(|| texts[place.file as usize].source());
        Mark { source: source.clone(), span: source.first_line_of(place), label }
    };
    Diagnostic {
        severity: problem.severity,
        message: problem.message,
        marks: problem.marks.into_iter().map(mark).collect(),
        help: problem.help,
    }
}

/// The candidate that looks most like `word`, when one does.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let far = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= far)
        .map(|candidate| (strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `` `a`, `b` and `c` ``.
pub(super) fn listed<'w>(words: impl IntoIterator<Item = &'w str>, last: &str) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((end, rest)) => format!("{} {last} {end}", rest.join(", ")),
    }
}
