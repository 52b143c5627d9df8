//! The configuration of a running node: kept in the coordinator, followed there, and put in force without dropping a call
//! (Spec: CL-5, CL-7). A node that stands alone has its coordinator in its own store.

mod alone;
mod desk;
mod live;
mod shelf;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use carillon_api::{Configuration, InForce, Outcome, Progress, Stored, Wish};
use carillon_cluster::coordinator::{Error, Feed};
use carillon_cluster::space::{Folder, Space};
use carillon_rpc::Refusal;
use carillon_store::Store;
use carillon_store::config::{self, Center, ConfigErrors, Loaded, LookUp, Objects};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use desk::Desk;
pub(crate) use live::{Live, Owners, everything};
use shelf::{By, Contents, Kept, Wanted};

/// The folder of the coordinator.
const FOLDER: &str = "config";
/// How long the one who applied a change waits for this node to put it in force: ten times what the largest takes.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(60);
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

/// The configuration as the API and the task that follows the coordinator share it. Clones are the same.
#[derive(Clone)]
pub(crate) struct Settings {
    folder: Folder,
    look_up: LookUp,
    desk: Desk,
    /// What the feed has brought.
    contents: watch::Sender<Contents>,
    /// The newest of it that could be read.
    kept: watch::Sender<Option<Kept>>,
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
    settled.unwrap_or(Ok(()))?;
    let mut kept = if answers { following.contents.kept(None).map_err(anyhow::Error::msg)? } else { None };
    if let (Some(kept), Some(file)) = (&mut kept, file) {
        // The file stays in memory as long as the node runs: not twice, when both are the same.
        kept.objects = Arc::new(Objects::clone(&kept.objects).sharing(file));
    }
    let nothing = Arc::default();
    let begins_with = match (&kept, answers, file) {
        (Some(kept), _, _) => &kept.objects,
        (None, true, _) => {
            tracing::warn!("no configuration is stored yet: this node knows nobody until `carillon apply -f DIR|FILE`");
            &nothing
        }
        (None, false, Some(file)) => {
            tracing::warn!("the coordinator does not answer: this node begins with its file, until it does");
            file
        }
        (None, false, None) => {
            tracing::warn!("the coordinator does not answer: this node knows nobody until it does");
            &nothing
        }
    };
    let loaded = config::load_objects(begins_with, look_up);
    let loaded = loaded.map_err(|errors| anyhow::anyhow!("the stored configuration cannot be used here:\n{errors}"))?;
    let revision = kept.as_ref().map_or(0, |kept| kept.revision.0);
    let begun = kept.is_some() || !begins_with.is_empty();
    let settings = Settings {
        folder,
        look_up,
        desk: Desk::new()?,
        contents: watch::Sender::new(following.contents.clone()),
        kept: watch::Sender::new(kept),
        in_force: watch::Sender::new(InForce { begun, seen: revision, used: revision, refused: None }),
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
        let kept = self.contents.kept(None).map_err(Error::Refused)?;
        let stores = begins_with(kept.as_ref(), &seed.file, seed.authority);
        if stores {
            let wanted = Wanted { objects: &seed.file, touched: None, by: By::File };
            match shelf::write(folder, &self.contents, wanted, &|_, _| {}).await {
                Ok(revision) => tracing::info!(revision = revision.0, "the configuration of the file is stored"),
                // Several nodes start at once with the same file.
                Err(Error::Conflict(_)) => tracing::info!("another node has stored its configuration first"),
                Err(error) => return Err(error),
            }
        }
        self.unsettled = None;
        Ok(stores)
    }

    /// The same, until the coordinator answers. What it refuses it would refuse again: the node goes on with what is stored.
    async fn store_if_ever(&mut self, folder: &Folder) {
        while let Err(error) = self.store(folder).await {
            if !matches!(error, Error::Unavailable(_)) {
                tracing::error!(%error, "the configuration of the file is not stored");
                self.unsettled = None;
                return;
            }
            tracing::warn!(%error, "the configuration of the file is not stored yet");
            tokio::time::sleep(RETRY).await;
        }
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
        following.store_if_ever(&shared.folder).await;
        let contents = &following.contents;
        shared.contents.send_replace(contents.clone());
        match contents.revision() {
            None => store_again(&shared, contents).await,
            Some(revision) if revision.0 == shared.in_force.borrow().seen => {}
            Some(revision) => {
                let used = put_in_force(&shared, contents.clone(), &live).await;
                match &used {
                    Ok(()) => tracing::info!(revision = revision.0, "a changed configuration is in force"),
                    Err(error) => tracing::error!(
                        revision = revision.0,
                        "this node cannot use the changed configuration and goes on with the one before:\n{error}"
                    ),
                }
                shared.in_force.send_modify(|it| it.saw(revision.0, used));
            }
        }
    }
}

/// # Errors
/// In words, when this node cannot read or use it.
async fn put_in_force(shared: &Settings, contents: Contents, live: &Live) -> Result<(), String> {
    let (before, look_up) = (shared.kept.borrow().clone(), shared.look_up);
    let read = shared.desk.does(move || {
        let kept = contents.kept(before.as_ref())?.ok_or("it is gone")?;
        let loaded = config::load_objects(&kept.objects, look_up);
        Ok::<_, String>((kept, loaded))
    });
    let (kept, loaded) = read.await.unwrap_or_else(|error| Err(format!("{error:#}")))?;
    shared.kept.send_replace(Some(kept));
    let loaded = loaded.map_err(|errors| errors.to_string())?;
    live.put_in_force(loaded, &shared.desk).await.map_err(|error| format!("{error:#}"))
}

/// The coordinator has lost its memory, while this node knows what it held.
async fn store_again(shared: &Settings, contents: &Contents) {
    let Some(kept) = shared.kept.borrow().clone() else { return };
    loop {
        let wanted = Wanted { objects: &kept.objects, touched: None, by: By::Apply };
        match shelf::write(&shared.folder, contents, wanted, &|_, _| {}).await {
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
    /// Whether this node has put a revision, or a later one, in force, when it has looked at it.
    async fn is_in_force(&self, revision: u64) -> bool {
        let mut in_force = self.in_force.subscribe();
        let seen = tokio::time::timeout(IN_FORCE_WITHIN, in_force.wait_for(|it| it.seen >= revision)).await;
        matches!(seen, Ok(Ok(it)) if it.used >= revision)
    }

    /// What is stored now: what the feed has brought, unless it is late.
    async fn now(&self) -> Result<Contents, Error> {
        let (now, contents) = (shelf::current_revision(&self.folder).await?, self.contents.borrow().clone());
        if contents.revision() == now { Ok(contents) } else { shelf::read(&self.folder).await }
    }

    async fn change(&self, wish: Wish, progress: &mpsc::Sender<Progress>) -> Result<Outcome, Refusal> {
        let tell = |now| {
            // Nobody may listen.
            let _ = progress.try_send(now);
        };
        let contents = self.now().await.map_err(|error| refused(error, false))?;
        let (look_up, known, dry_run) = (self.look_up, self.kept.borrow().clone(), wish.dry_run);
        let before = contents.clone();
        tell(Progress::Checking);
        let planned = self.desk.does(move || planned(&contents, known.as_ref(), &wish, look_up));
        let planned = planned.await.unwrap_or_else(|error| Err(format!("{error:#}")));
        let planned = planned.map_err(|why| Refusal::Unavailable(format!("the stored configuration: {why}")))?;
        let Planned { revision: now, objects, changes, warnings } = match planned {
            Ok(planned) => planned,
            Err(errors) => return Ok(Outcome::Refused(errors)),
        };
        if dry_run || changes.is_empty() {
            return Ok(Outcome::Good { changes, warnings, revision: now, in_force: !dry_run });
        }
        let touched = (now > 0).then(|| shelf::parts_of(changes.iter().map(|change| &change.name)));
        let wanted = Wanted { objects: &objects, touched, by: By::Apply };
        let told = |parts, of| tell(Progress::Writing { parts, of });
        let written = shelf::write(&self.folder, &before, wanted, &told).await;
        let revision = written.map_err(|error| refused(error, true))?.0;
        drop((objects, before));
        tracing::info!(revision, changes = changes.len(), "the configuration was changed by request");
        tell(Progress::PuttingInForce);
        let in_force = self.is_in_force(revision).await;
        Ok(Outcome::Good { changes, warnings, revision, in_force })
    }
}

/// A wish that can be fulfilled.
struct Planned {
    /// What holds before.
    revision: u64,
    /// All, afterwards.
    objects: Objects,
    changes: Vec<config::Change>,
    warnings: Vec<config::Diagnostic>,
}

/// What a wish comes to, or what is wrong with it.
///
/// # Errors
/// In words, when what is stored cannot be read.
fn planned(
    contents: &Contents,
    known: Option<&Kept>,
    wish: &Wish,
    look_up: LookUp,
) -> Result<Result<Planned, ConfigErrors>, String> {
    let kept = contents.kept(known)?;
    let (revision, now) = kept.map_or_else(Default::default, |kept| (kept.revision.0, kept.objects));
    Ok(config::plan(&now, &wish.files, wish.prune, look_up).map(|plan| {
        let Loaded { objects, warnings, center: _ } = plan.loaded;
        Planned { revision, objects, changes: plan.changes, warnings }
    }))
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
    async fn apply(&self, wish: Wish, progress: mpsc::Sender<Progress>) -> Result<Outcome, Refusal> {
        self.change(wish, &progress).await
    }

    fn stored(&self) -> Stored {
        let kept = self.kept.borrow();
        kept.as_ref()
            .map_or_else(Stored::default, |kept| Stored { revision: kept.revision.0, objects: kept.objects.clone() })
    }

    fn in_force(&self) -> InForce {
        self.in_force.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use carillon_acd::ids::NodeId;
    use carillon_cluster::coordinator::{Act, Coordinator, Expect, Write};
    use carillon_cluster::simulated::Simulated;
    use carillon_cluster::space::PREFIX;

    use super::*;

    // spec: CL-5
    #[tokio::test]
    async fn cl_5_a_file_that_cannot_be_stored_does_not_keep_a_node_from_what_comes_later() {
        let simulated = Simulated::new(7);
        let coordinator: Arc<dyn Coordinator> = Arc::new(simulated.reached_by(NodeId(1)));
        let folder = Space::new(coordinator.clone(), PREFIX).folder(FOLDER);
        let key = folder.key().join("current");
        let newer = Act::Put(Bytes::from_static(b"{\"format\":2,\"by\":\"apply\",\"parts\":{}}"), None);
        coordinator.commit(vec![Write { key, expect: Expect::Absent, act: newer }]).await.unwrap();
        let file = Objects::read("kind: Queue\nname: support\nspec: {}\n").unwrap();
        let unsettled = Some(Seed { file, authority: Authority::FileUntilApplied });
        let contents = shelf::read(&folder).await.unwrap();
        let mut following = Following { feed: folder.follow(), contents, heard: true, unsettled };
        tokio::time::timeout(2 * PATIENCE, following.store_if_ever(&folder)).await.expect("it is tried once");
        assert!(following.unsettled.is_none());
    }

    // spec: CL-5
    #[tokio::test]
    async fn cl_5_an_empty_coordinator_that_does_not_answer_yet_gets_the_configuration_when_it_does() {
        let simulated = Simulated::new(7);
        let coordinator: Arc<dyn Coordinator> = Arc::new(simulated.reached_by(NodeId(1)));
        let folder = Space::new(coordinator, PREFIX).folder(FOLDER);
        let objects = Objects::read("kind: Queue\nname: support\nspec: {}\n").unwrap();
        let wanted = Wanted { objects: &objects, touched: None, by: By::Apply };
        shelf::write(&folder, &Contents::default(), wanted, &|_, _| {}).await.unwrap();
        let kept = shelf::read(&folder).await.unwrap().kept(None).unwrap();
        simulated.begin_anew();
        let settings = Settings {
            folder: folder.clone(),
            look_up: LookUp::Elsewhere,
            desk: Desk::new().unwrap(),
            contents: watch::Sender::default(),
            kept: watch::Sender::new(kept),
            in_force: watch::Sender::default(),
        };
        simulated.change_weather(|weather| weather.outage = true);
        let storing = tokio::spawn(async move { store_again(&settings, &Contents::default()).await });
        // Longer than the first attempt.
        tokio::time::sleep(RETRY).await;
        simulated.change_weather(|weather| weather.outage = false);
        storing.await.unwrap();
        let kept = shelf::read(&folder).await.unwrap().kept(None).unwrap().expect("it is stored");
        assert_eq!(kept.objects.changes_to(&objects), []);
    }
}
