//! The service of configuration objects. What it knows and does is its node's: see [`Configuration`].

use std::sync::Arc;

use carillon_rpc::names::{self, NameError};
use carillon_rpc::v1::config_service_server::ConfigService;
use carillon_rpc::{Refusal, v1};
use carillon_store::config::{
    Change, ConfigErrors, Diagnostic, File, Kind, Object, ObjectName, Objects, Severity, What, render,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::page::PageRequest;

/// The page size when none is asked for.
const PAGE: u32 = 500;

/// What is told of a change before somebody reads it; more is not told.
const AHEAD: usize = 16;

/// How similar the name must be that is suggested (Jaro–Winkler).
const SIMILAR: f64 = 0.75;

/// The configuration as the node of this API knows it.
#[tonic::async_trait]
pub trait Configuration: Send + Sync + 'static {
    /// Applies files; see [`Wish`]. `progress` is told how far it is, as long as there is room: who does not listen misses
    /// something and nothing waits for him. Takes as long as the coordinator and the size of the change need.
    ///
    /// # Errors
    /// [`Refusal::Overtaken`] and [`Refusal::Unavailable`].
    async fn apply(&self, wish: Wish, progress: mpsc::Sender<Progress>) -> Result<Outcome, Refusal>;

    /// What is stored, as this node has last heard.
    fn stored(&self) -> Stored;

    /// What of it this node has put in force.
    fn in_force(&self) -> InForce;
}

/// How far a [`Wish`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All objects are judged as they would be.
    Checking,
    /// What changes is written.
    Writing {
        /// So many parts are written.
        parts: usize,
        /// Of so many.
        of: usize,
    },
    /// It is written; this node puts it in force.
    PuttingInForce,
}

/// What is in force on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// It has a configuration: a stored one, or that of its file.
    pub begun: bool,
    /// The newest revision that this node has looked at; 0 when nothing was stored yet.
    pub seen: u64,
    /// The newest that it could use; 0 for none that was stored.
    pub used: u64,
    /// Why it could not use the newest.
    pub refused: Option<Arc<str>>,
}

impl InForce {
    /// The node has looked at a revision, and puts it in force or cannot.
    pub fn saw(&mut self, revision: u64, used: Result<(), String>) {
        self.seen = revision;
        match used {
            Ok(()) => *self = InForce { begun: true, seen: revision, used: revision, refused: None },
            Err(why) => self.refused = Some(why.trim_end().into()),
        }
    }
}

/// What is to be applied.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The files.
    pub files: Vec<File>,
    /// Only say what would change.
    pub dry_run: bool,
    /// Remove what is in none of the files.
    pub prune: bool,
}

/// What became of a [`Wish`].
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The objects are wrong; nothing was written.
    Refused(ConfigErrors),
    /// This has changed, or would.
    Good {
        /// What.
        changes: Vec<Change>,
        /// What is doubtful.
        warnings: Vec<Diagnostic>,
        /// The revision that holds now.
        revision: u64,
        /// This node has put it in force.
        in_force: bool,
    },
}

/// All objects at one revision.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The revision; 0 when nothing was stored yet.
    pub revision: u64,
    /// The objects.
    pub objects: Arc<Objects>,
}

pub(crate) struct Config {
    configuration: Arc<dyn Configuration>,
}

impl Config {
    pub(crate) fn new(configuration: Arc<dyn Configuration>) -> Self {
        Config { configuration }
    }
}

#[tonic::async_trait]
impl ConfigService for Config {
    type ApplyStream = ReceiverStream<Result<v1::ApplyResponse, Status>>;

    async fn apply(&self, request: Request<v1::ApplyRequest>) -> Result<Response<Self::ApplyStream>, Status> {
        let v1::ApplyRequest { files, dry_run, prune } = request.into_inner();
        let file = |file: v1::ConfigFile| File { name: file.name, folder: file.folder.into(), text: file.text };
        let wish = Wish { files: files.into_iter().map(file).collect(), dry_run, prune };
        let (answers, stream) = mpsc::channel(AHEAD);
        // In a task of its own: a client that goes away leaves no change half done.
        tokio::spawn(apply(self.configuration.clone(), wish, answers));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn list_objects(
        &self,
        request: Request<v1::ListObjectsRequest>,
    ) -> Result<Response<v1::ListObjectsResponse>, Status> {
        let request = request.into_inner();
        let parent = names::parent(&request.parent).map_err(|error| Refusal::name("parent", error))?;
        let kind = kind(&request.kind)?;
        let page = PageRequest::read(request.page_size, PAGE, &request.page_token, object_name)?;
        let Stored { revision, objects } = self.configuration.stored();
        let wanted = |name: &ObjectName| {
            kind.is_none_or(|kind| name.kind == kind) && parent.holds(&"default".parse().expect("a lower-case word"))
        };
        let found: Vec<_> = objects.iter().filter(|(name, _)| wanted(name)).collect();
        let (found, next_page_token) = page.cut(found, |(name, _)| *name, ObjectName::to_string);
        let objects = found.into_iter().map(|(name, object)| shown(name, object)).collect();
        Ok(Response::new(v1::ListObjectsResponse { objects, next_page_token, revision }))
    }

    async fn get_object(
        &self,
        request: Request<v1::GetObjectRequest>,
    ) -> Result<Response<v1::GetObjectResponse>, Status> {
        let name = object_name(&request.get_ref().name).map_err(|error| Refusal::name("name", error))?;
        let objects = self.configuration.stored().objects;
        let object = objects.get(&name).ok_or_else(|| not_found(&name, &objects))?;
        Ok(Response::new(v1::GetObjectResponse { object: Some(shown(&name, object)) }))
    }
}

/// Fulfils a wish, and tells how far it is and what became of it. Who asked may go away, here and below.
async fn apply(
    configuration: Arc<dyn Configuration>,
    wish: Wish,
    answers: mpsc::Sender<Result<v1::ApplyResponse, Status>>,
) {
    let (progress, mut steps) = mpsc::channel(AHEAD);
    let mut applied = std::pin::pin!(configuration.apply(wish, progress));
    let outcome = loop {
        tokio::select! {
            outcome = &mut applied => break outcome,
            Some(step) = steps.recv() => {
                let progress = Some(step.into());
                drop(answers.try_send(Ok(v1::ApplyResponse { progress, ..Default::default() })));
            }
        }
    };
    drop(answers.send(outcome.map(Into::into).map_err(Into::into)).await);
}

fn kind(word: &str) -> Result<Option<Kind>, Refusal> {
    let known = || Kind::ALL.map(|(word, _)| word).join(", ");
    match Kind::ALL.into_iter().find(|(known, _)| *known == word) {
        Some((_, kind)) => Ok(Some(kind)),
        None if word.is_empty() => Ok(None),
        None => Err(Refusal::invalid("kind", format_args!("{word:?}"), &format!("one of {}", known()))),
    }
}

fn object_name(text: &str) -> Result<ObjectName, NameError> {
    let (collection, name) = names::config_object(text)?;
    let kind = Kind::ALL.into_iter().map(|(_, kind)| kind).find(|kind| kind.collection() == collection);
    let expected = "of a kind that is configured: trunks, numbers, queues, agents, sounds";
    Ok(ObjectName { kind: kind.ok_or_else(|| NameError { given: text.to_owned(), expected })?, name })
}

fn shown(name: &ObjectName, object: &Object) -> v1::ConfigObject {
    let (kind, _) = Kind::ALL.into_iter().find(|(_, kind)| *kind == name.kind).expect("every kind has its word");
    v1::ConfigObject { name: name.to_string(), kind: kind.to_owned(), yaml: object.without_secrets() }
}

fn not_found(name: &ObjectName, objects: &Objects) -> Refusal {
    let same_kind = objects.iter().map(|(known, _)| known).filter(|known| known.kind == name.kind);
    let similar = |known: &ObjectName| strsim::jaro_winkler(known.name.as_str(), name.name.as_str());
    let mut near: Vec<_> =
        same_kind.map(|known| (similar(known), known)).filter(|(similar, _)| *similar >= SIMILAR).collect();
    near.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let nearest = near.into_iter().take(3).map(|(_, known)| known.to_string()).collect();
    Refusal::NotFound { name: name.to_string(), nearest }
}

impl From<Progress> for v1::ApplyProgress {
    fn from(progress: Progress) -> Self {
        use v1::apply_progress::Stage;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (stage, parts, of) = match progress {
            Progress::Checking => (Stage::Checking, 0, 0),
            Progress::Writing { parts, of } => (Stage::Writing, number(parts), number(of)),
            Progress::PuttingInForce => (Stage::PuttingInForce, 0, 0),
        };
        v1::ApplyProgress { stage: stage.into(), parts, of }
    }
}

impl From<InForce> for v1::NodeConfiguration {
    fn from(it: InForce) -> Self {
        let refused = it.refused.as_deref().unwrap_or_default().to_owned();
        v1::NodeConfiguration { revision: it.used, newest: it.seen, refused }
    }
}

impl From<Outcome> for v1::ApplyResponse {
    fn from(outcome: Outcome) -> Self {
        let problems = |all: &[Diagnostic]| all.iter().map(problem).collect();
        match outcome {
            Outcome::Refused(errors) => {
                v1::ApplyResponse { problems: problems(&errors.diagnostics), refused: true, ..Default::default() }
            }
            Outcome::Good { changes, warnings, revision, in_force } => v1::ApplyResponse {
                problems: problems(&warnings),
                changes: changes.into_iter().map(change).collect(),
                refused: false,
                revision,
                in_force,
                progress: None,
            },
        }
    }
}

fn problem(it: &Diagnostic) -> v1::ConfigProblem {
    let (file, line, column) = it.place().unwrap_or_default();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    v1::ConfigProblem {
        warning: it.severity() == Severity::Warning,
        message: it.message().to_owned(),
        file: file.to_owned(),
        line: number(line),
        column: number(column),
        help: it.help().unwrap_or_default().to_owned(),
        text: render(std::slice::from_ref(it), false),
    }
}

fn change(it: Change) -> v1::ObjectChange {
    let (kind, fields) = match it.what {
        What::Added => (v1::object_change::Kind::Added, Vec::new()),
        What::Changed(fields) => (v1::object_change::Kind::Changed, fields),
        What::Removed => (v1::object_change::Kind::Removed, Vec::new()),
    };
    let field = |field: carillon_store::config::FieldChange| v1::FieldChange {
        path: field.path,
        before: field.before,
        after: field.after,
    };
    let fields = fields.into_iter().map(field).collect();
    v1::ObjectChange { name: it.name.to_string(), kind: kind.into(), fields }
}
