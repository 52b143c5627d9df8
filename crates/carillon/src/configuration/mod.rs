//! The configuration of a running node: kept in the coordinator, followed there, and put in force without dropping a call
//! (Spec: CL-5, CL-7). A node that stands alone has its coordinator in its own store.

mod alone;
mod live;
mod shelf;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use carillon_api::{Configuration, Outcome, Stored, Wish};
use carillon_cluster::coordinator::{Error, Feed};
use carillon_cluster::space::{Folder, Space};
use carillon_rpc::Refusal;
use carillon_store::Store;
use carillon_store::config::{self, Center, Loaded, LookUp, Objects};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) use live::{Live, Owners, everything};
use shelf::{By, Contents, Kept};

/// The folder of the coordinator.
const FOLDER: &str = "config";
/// How long the coordinator may take to give the whole configuration, and to take a change of all of it. One that does not
/// answer at all is given up earlier, at its first request.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long the one who applied a change waits for this node to put it in force.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(3);
/// How long a node that starts waits for the coordinator before it begins without.
const PATIENCE: Duration = Duration::from_secs(3);
/// The pause between two attempts to store what a node was started with.
const RETRY: Duration = Duration::from_secs(1);

/// The coordinator of a node that stands alone.
pub(crate) async fn alone(store: &Store) -> anyhow::Result<Space> {
    alone::space(store).await
}

/// Whose word counts when a node is started with a file and something is stored already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authority {
    /// What is stored: the file was for the first node of the cluster.
    Stored,
    /// The file, until somebody applies something: then what was applied.
    FileUntilApplied,
}

/// What is in force on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct InForce {
    /// The newest revision that this node has looked at.
    seen: u64,
    /// The newest that it could use.
    used: u64,
}

/// The configuration as the API and the task that follows the coordinator share it. Clones are the same.
#[derive(Clone)]
pub(crate) struct Settings {
    folder: Folder,
    look_up: LookUp,
    stored: watch::Sender<Stored>,
    in_force: watch::Sender<InForce>,
}

/// A configuration that was read and is yet to be followed.
pub(crate) struct Opened {
    /// What the node starts with; without objects when nothing was stored yet.
    pub(crate) loaded: Loaded,
    pub(crate) settings: Settings,
    following: Following,
}

/// How far the configuration is followed.
struct Following {
    feed: Feed,
    contents: Contents,
    /// The feed has brought something.
    heard: bool,
    /// What may have to be stored, and was not, because the coordinator did not answer.
    unsettled: Option<Seed>,
}

/// What a node was started with.
struct Seed {
    file: Objects,
    authority: Authority,
}

/// Reads what is stored below `space`; when that is nothing, puts `file` there first. When the coordinator does not answer,
/// the node begins with its file, and what is stored takes its place as soon as it can be read.
///
/// # Errors
/// What is stored cannot be used on this node, or cannot be read.
pub(crate) async fn open(
    space: &Space,
    file: Option<&Objects>,
    authority: Authority,
    look_up: LookUp,
) -> anyhow::Result<Opened> {
    let folder = space.folder(FOLDER);
    let unsettled = file.map(|file| Seed { file: file.clone(), authority });
    let mut following = Following { feed: folder.follow(), contents: Contents::default(), heard: false, unsettled };
    let settled = tokio::time::timeout(PATIENCE, following.settle(&folder)).await;
    let answers = settled.is_ok();
    let (revision, objects) = match settled {
        Ok(settled) => {
            settled?;
            let kept = following.contents.kept().map_err(anyhow::Error::msg)?;
            kept.map_or_else(Default::default, |kept| (kept.revision.0, kept.objects))
        }
        Err(_) => Default::default(),
    };
    let begins_with = match (answers, file) {
        (false, Some(file)) => {
            tracing::warn!("the coordinator does not answer: this node begins with its file, until it does");
            file
        }
        (false, None) => {
            tracing::warn!("the coordinator does not answer: this node knows nobody until it does");
            &objects
        }
        (true, _) if revision == 0 => {
            tracing::warn!("no configuration is stored yet: this node knows nobody until `carillon apply -f DIR|FILE`");
            &objects
        }
        (true, _) => &objects,
    };
    let loaded = config::load_objects(begins_with, look_up);
    let loaded = loaded.map_err(|errors| anyhow::anyhow!("the stored configuration cannot be used here:\n{errors}"))?;
    let settings = Settings {
        folder,
        look_up,
        stored: watch::Sender::new(Stored { revision, objects: Arc::new(objects) }),
        in_force: watch::Sender::new(InForce { seen: revision, used: revision }),
    };
    Ok(Opened { loaded, settings, following })
}

impl Following {
    /// Takes in what is stored, and what this node has stored because nothing was.
    async fn settle(&mut self, folder: &Folder) -> anyhow::Result<()> {
        while !self.heard {
            self.next(folder).await?;
        }
        let before = self.contents.revision();
        let stored = loop {
            match self.store(folder).await {
                Err(Error::Unavailable(_)) => tokio::time::sleep(RETRY).await,
                stored => break stored.context("the configuration of the file cannot be stored")?,
            }
        };
        if stored {
            while self.contents.revision() == before {
                self.next(folder).await?;
            }
        }
        Ok(())
    }

    async fn next(&mut self, folder: &Folder) -> anyhow::Result<()> {
        let news = self.feed.next().await.context("the coordinator is gone")?;
        self.contents.take(folder.key(), news);
        self.heard = true;
        Ok(())
    }

    /// Stores what the node was started with, if that is what holds. Whether somebody has stored something that the feed has
    /// not brought yet.
    async fn store(&mut self, folder: &Folder) -> Result<bool, Error> {
        let Some(seed) = &self.unsettled else { return Ok(false) };
        let kept = self.contents.kept().map_err(Error::Refused)?;
        let stores = begins_with(kept.as_ref(), &seed.file, seed.authority);
        if stores {
            match shelf::write(folder, &self.contents, &seed.file, By::File).await {
                Ok(revision) => tracing::info!(revision = revision.0, "the configuration of the file is stored"),
                // Several nodes start at once with the same file.
                Err(Error::Conflict(_)) => tracing::info!("another node has stored its configuration first"),
                Err(error) => return Err(error),
            }
        }
        self.unsettled = None;
        Ok(stores)
    }
}

/// Whether the file is to be stored, and a word on it when not.
fn begins_with(kept: Option<&Kept>, file: &Objects, authority: Authority) -> bool {
    let Some(kept) = kept else { return true };
    let differences = kept.objects.changes_to(file).len();
    if differences == 0 {
        return false;
    }
    if (authority, kept.by) == (Authority::FileUntilApplied, By::File) {
        return true;
    }
    tracing::warn!(
        revision = kept.revision.0,
        differences,
        "the stored configuration holds, not the file: `carillon apply -f FILE` brings the file in"
    );
    false
}

impl Opened {
    /// Puts every change in force from now on, in a task that never ends. Answers with what was there at first.
    pub(crate) fn begin(self, live: Live) -> (Center, JoinHandle<()>) {
        let Opened { loaded, settings, following } = self;
        (loaded.center, tokio::spawn(follow(settings, following, live)))
    }
}

/// See [`Opened::begin`].
async fn follow(shared: Settings, mut following: Following, live: Live) {
    while following.next(&shared.folder).await.is_ok() {
        while let Err(error) = following.store(&shared.folder).await {
            tracing::warn!(%error, "the configuration of the file is not stored yet");
            tokio::time::sleep(RETRY).await;
        }
        let contents = &following.contents;
        if contents.revision().is_none() {
            store_again(&shared, contents).await;
            continue;
        }
        let Some(revision) = contents.revision().filter(|it| it.0 != shared.stored.borrow().revision) else {
            continue;
        };
        let (contents, look_up) = (contents.clone(), shared.look_up);
        let read = tokio::task::spawn_blocking(move || {
            let kept = contents.kept()?.ok_or("it is gone")?;
            let loaded = config::load_objects(&kept.objects, look_up).map_err(|errors| errors.to_string());
            Ok::<_, String>((kept.objects, loaded))
        });
        let used = match read.await.unwrap_or_else(|error| Err(error.to_string())) {
            Ok((objects, loaded)) => {
                shared.stored.send_replace(Stored { revision: revision.0, objects: Arc::new(objects) });
                match loaded {
                    Ok(loaded) => live.put_in_force(loaded).await.map_err(|error| format!("{error:#}")),
                    Err(errors) => Err(errors),
                }
            }
            Err(error) => Err(error),
        };
        match &used {
            Ok(()) => tracing::info!(revision = revision.0, "a changed configuration is in force"),
            Err(error) => tracing::error!(
                revision = revision.0,
                "this node cannot use the changed configuration and goes on with the one before:\n{error}"
            ),
        }
        shared.in_force.send_modify(|it| {
            it.seen = revision.0;
            it.used = if used.is_ok() { revision.0 } else { it.used };
        });
    }
}

/// The coordinator has lost its memory, while this node knows what it held.
async fn store_again(shared: &Settings, contents: &Contents) {
    let Stored { revision, objects } = shared.stored.borrow().clone();
    if revision == 0 {
        return;
    }
    loop {
        match shelf::write(&shared.folder, contents, &objects, By::Apply).await {
            Ok(revision) => {
                return tracing::warn!(
                    revision = revision.0,
                    "the coordinator was empty: the configuration is stored again"
                );
            }
            // Another node was faster.
            Err(Error::Conflict(_)) => return,
            // It has only just come back, and nothing in the feed would bring this node here again.
            Err(error @ Error::Unavailable(_)) => {
                tracing::warn!(%error, "the coordinator is empty, and the configuration is not stored again yet");
                tokio::time::sleep(RETRY).await;
            }
            Err(error @ (Error::LeaseLost | Error::Refused(_))) => {
                return tracing::error!(%error, "the coordinator is empty, and refuses the configuration");
            }
        }
    }
}

impl Settings {
    /// Whether this node has put a revision, or a later one, in force. Waits a moment for it.
    async fn is_in_force(&self, revision: u64) -> bool {
        let mut in_force = self.in_force.subscribe();
        let seen = tokio::time::timeout(IN_FORCE_WITHIN, in_force.wait_for(|it| it.seen >= revision)).await;
        matches!(seen, Ok(Ok(it)) if it.used >= revision)
    }

    async fn change(&self, wish: Wish) -> Result<Outcome, Refusal> {
        let before = in_time(shelf::read(&self.folder)).await.map_err(|error| refused(error, false))?;
        let (look_up, contents, Wish { files, dry_run, prune }) = (self.look_up, before.clone(), wish);
        let planned = tokio::task::spawn_blocking(move || {
            let kept = contents.kept()?;
            let (revision, objects) = kept.map_or_else(Default::default, |kept| (kept.revision.0, kept.objects));
            Ok::<_, String>((revision, config::plan(&objects, &files, prune, look_up)))
        });
        let planned = planned.await.unwrap_or_else(|error| Err(error.to_string()));
        let (now, plan) = planned.map_err(|why| Refusal::Unavailable(format!("the stored configuration: {why}")))?;
        let plan = match plan {
            Ok(plan) => plan,
            Err(errors) => return Ok(Outcome::Refused(errors)),
        };
        let warnings = plan.loaded.warnings;
        if dry_run || plan.changes.is_empty() {
            return Ok(Outcome::Good { changes: plan.changes, warnings, revision: now, in_force: !dry_run });
        }
        let written = in_time(shelf::write(&self.folder, &before, &plan.loaded.objects, By::Apply)).await;
        let revision = written.map_err(|error| refused(error, true))?.0;
        tracing::info!(revision, changes = plan.changes.len(), "the configuration was changed by request");
        let in_force = self.is_in_force(revision).await;
        Ok(Outcome::Good { changes: plan.changes, warnings, revision, in_force })
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Err(Error::Unavailable(format!("no answer within {} s", ANSWER_WITHIN.as_secs())));
    tokio::time::timeout(ANSWER_WITHIN, asked).await.unwrap_or_else(late)
}

/// `writing`: the coordinator may have done what it did not answer.
fn refused(error: Error, writing: bool) -> Refusal {
    match error {
        Error::Conflict(_) => Refusal::Overtaken(
            "somebody else has changed the configuration at the same moment: nothing of yours was written, apply it again"
                .to_owned(),
        ),
        Error::Unavailable(_) if writing => Refusal::Unavailable(format!(
            "{error}: perhaps the change was written, perhaps not; `carillon apply --dry-run` shows it once the coordinator answers"
        )),
        Error::Unavailable(_) => Refusal::Unavailable(format!("{error}: nothing was written")),
        Error::LeaseLost | Error::Refused(_) => Refusal::Unavailable(format!("{error}: the configuration was not changed")),
    }
}

#[tonic::async_trait]
impl Configuration for Settings {
    async fn apply(&self, wish: Wish) -> Result<Outcome, Refusal> {
        // In a task of its own: a client that goes away leaves no change half done.
        let shared = self.clone();
        let changed = tokio::spawn(async move { shared.change(wish).await }).await;
        changed.unwrap_or_else(|error| Err(Refusal::Unavailable(error.to_string())))
    }

    fn stored(&self) -> Stored {
        self.stored.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use carillon_acd::ids::NodeId;
    use carillon_cluster::coordinator::Coordinator;
    use carillon_cluster::simulated::Simulated;
    use carillon_cluster::space::PREFIX;

    use super::*;

    // spec: CL-5
    #[tokio::test]
    async fn cl_5_an_empty_coordinator_that_does_not_answer_yet_gets_the_configuration_when_it_does() {
        let simulated = Simulated::new(7);
        let coordinator: Arc<dyn Coordinator> = Arc::new(simulated.reached_by(NodeId(1)));
        let folder = Space::new(coordinator, PREFIX).folder(FOLDER);
        let objects = Objects::read("kind: Queue\nname: support\nspec: {}\n").unwrap();
        let settings = Settings {
            folder: folder.clone(),
            look_up: LookUp::Elsewhere,
            stored: watch::Sender::new(Stored { revision: 9, objects: Arc::new(objects.clone()) }),
            in_force: watch::Sender::default(),
        };
        simulated.change_weather(|weather| weather.outage = true);
        let storing = tokio::spawn(async move { store_again(&settings, &Contents::default()).await });
        // Longer than the first attempt.
        tokio::time::sleep(RETRY).await;
        simulated.change_weather(|weather| weather.outage = false);
        storing.await.unwrap();
        let kept = shelf::read(&folder).await.unwrap().kept().unwrap().expect("it is stored");
        assert_eq!(kept.objects.changes_to(&objects), []);
    }
}
