//! The coordinator of a node that stands alone: in process, nothing to install (Spec: CL-7).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::coordinator::{Change, Coordinator, Entry, Error, Feed, Key, LeaseId, Listing, Revision, Write};
use crate::memory::Memory;
use crate::tree::Tree;

/// How many revisions are reserved in the journal at a time. A restart skips what is left of them, so no epoch is ever
/// given twice, and a claim costs no write to the disk.
const BLOCK: u64 = 1 << 20;

/// What an embedded coordinator keeps over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// No revision up to this will be given again.
    pub reserved: Revision,
    /// Entries without a lease.
    pub entries: Vec<Entry>,
}

/// What is to be added to what is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The new [`Saved::reserved`].
    pub reserved: Revision,
    /// Changes of entries without a lease, all or nothing.
    pub changes: Vec<Change>,
}

/// Keeps steps where they outlive the process, each before its change is done: in the order of the changes, never two at
/// once. A few times a day, for configuration, so it may wait for the disk.
#[async_trait]
pub trait Journal: Send {
    /// Keeps a step.
    ///
    /// # Errors
    /// It is not kept; then the change is not done either.
    async fn keep(&mut self, step: &Step) -> io::Result<()>;
}

#[async_trait]
impl<F: FnMut(&Step) -> io::Result<()> + Send> Journal for F {
    async fn keep(&mut self, step: &Step) -> io::Result<()> {
        self(step)
    }
}

/// A coordinator for one node, in process. Give that node [`crate::ownership::Timing::alone`].
pub struct Embedded {
    memory: Arc<Memory>,
    keep: Arc<tokio::sync::Mutex<Keep>>,
}

struct Keep {
    journal: Box<dyn Journal>,
    reserved: Revision,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("memory", &self.memory).finish_non_exhaustive()
    }
}

impl Embedded {
    /// Goes on from what was saved.
    ///
    /// # Errors
    /// Those of the journal, which reserves the first revisions at once.
    pub async fn open(saved: Saved, journal: Box<dyn Journal>) -> io::Result<Self> {
        let tree = Tree::restored(saved.reserved, saved.entries);
        let mut keep = Keep { journal, reserved: saved.reserved };
        keep.save(tree.revision(), Vec::new()).await?;
        Ok(Embedded { memory: Arc::new(Memory::new(tree)), keep: Arc::new(keep.into()) })
    }
}

impl Keep {
    async fn save(&mut self, at: Revision, changes: Vec<Change>) -> io::Result<()> {
        // Half a block is for the revisions that ending leases take.
        let is_short = at.0 + BLOCK / 2 >= self.reserved.0;
        if !is_short && changes.is_empty() {
            return Ok(());
        }
        let reserved = if is_short { Revision(at.0 + BLOCK) } else { self.reserved };
        self.journal.keep(&Step { reserved, changes }).await?;
        self.reserved = reserved;
        Ok(())
    }
}

#[async_trait]
impl Coordinator for Embedded {
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, Error> {
        Ok(self.memory.with(|tree, now| tree.grant(now, ttl)))
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), Error> {
        self.memory.with(|tree, now| tree.keep_alive(now, lease))
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), Error> {
        self.memory.with(|tree, _| tree.revoke(lease));
        Ok(())
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Revision, Error> {
        let (memory, keep) = (self.memory.clone(), self.keep.clone());
        let committed = async move {
            // Held until it is done: nobody else's change comes between the journal and the memory.
            let mut keep = keep.lock().await;
            let (at, lasting) = memory.with(|tree, _| {
                tree.check(&writes)?;
                Ok((tree.revision(), tree.lasting_changes(&writes)))
            })?;
            let kept = keep.save(at, lasting).await;
            kept.map_err(|error| Error::Unavailable(format!("the journal: {error}")))?;
            memory.with(|tree, _| tree.commit(writes))
        };
        // In a task of its own: who stops waiting would leave in the journal what is not in the memory.
        tokio::spawn(committed).await.unwrap_or_else(|error| Err(Error::Unavailable(error.to_string())))
    }

    async fn list(&self, folder: &Key) -> Result<Listing, Error> {
        Ok(self.memory.with(|tree, _| tree.list(folder)))
    }

    async fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        Ok(self.memory.with(|tree, _| tree.get(key)))
    }

    fn follow(&self, folder: &Key) -> Feed {
        let (news, feed) = Feed::new();
        let (memory, folder) = (Arc::clone(&self.memory), folder.clone());
        tokio::spawn(async move {
            let mut seen = None;
            loop {
                let next = tokio::select! {
                    next = memory.news(&folder, &mut seen) => next,
                    () = news.closed() => return,
                };
                if news.send(next).await.is_err() {
                    return;
                }
            }
        });
        feed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bytes::Bytes;

    use super::*;
    use crate::coordinator::{Act, Expect};

    fn put(name: &str, lease: Option<LeaseId>) -> Write {
        let act = Act::Put(Bytes::from_static(b"x"), lease);
        Write { key: Key(format!("/c/objects/{name}")), expect: Expect::Anything, act }
    }

    /// Where a journal leaves what it is given.
    type Disk = Arc<Mutex<Vec<Step>>>;

    async fn open(saved: Saved, disk: &Disk) -> Embedded {
        let disk = Arc::clone(disk);
        let journal = move |step: &Step| {
            disk.lock().unwrap().push(step.clone());
            Ok(())
        };
        Embedded::open(saved, Box::new(journal)).await.unwrap()
    }

    // spec: CL-7
    #[tokio::test]
    async fn cl_7_configuration_outlives_the_process_and_leases_do_not() {
        let disk = Disk::default();
        let embedded = open(Saved::default(), &disk).await;
        let lease = embedded.grant(Duration::from_secs(60)).await.unwrap();
        embedded.commit(vec![put("queue", None), put("owner", Some(lease))]).await.unwrap();
        let last = embedded.commit(vec![put("owner", Some(lease))]).await.unwrap();

        let steps = disk.lock().unwrap().clone();
        assert_eq!(steps.len(), 2, "the first reservation and the configuration; an owner costs no write");
        let entries = steps[1].changes.iter().map(|change| match change {
            Change::Put(entry) => entry.clone(),
            Change::Deleted(key, _) => panic!("{key:?} was not deleted"),
        });
        let saved = Saved { reserved: steps[1].reserved, entries: entries.collect() };
        let restarted = open(saved, &disk).await;
        let listing = restarted.list(&Key("/c/objects".into())).await.unwrap();
        assert!(listing.entries.iter().map(|entry| &*entry.key.0).eq(["/c/objects/queue"]));
        assert!(restarted.commit(vec![put("owner", None)]).await.unwrap() > last, "no epoch comes twice");
    }

    /// A journal that takes its time.
    struct Slow(Arc<tokio::sync::Notify>);

    #[async_trait]
    impl Journal for Slow {
        async fn keep(&mut self, _: &Step) -> io::Result<()> {
            self.0.notified().await;
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_is_kept_is_done_though_nobody_waits_for_it() {
        let written = Arc::new(tokio::sync::Notify::new());
        written.notify_one();
        let embedded = Embedded::open(Saved::default(), Box::new(Slow(written.clone()))).await.unwrap();
        let mut feed = embedded.follow(&Key("/c/objects".into()));
        feed.next().await.unwrap();
        tokio::select! {
            biased;
            _ = embedded.commit(vec![put("queue", None)]) => panic!("the journal has not written it"),
            () = tokio::task::yield_now() => {}
        }
        written.notify_one();
        let news = tokio::time::timeout(Duration::from_secs(10), feed.next()).await.expect("it is done");
        assert!(matches!(news, Some(crate::coordinator::News::Changes(changes)) if changes.len() == 1));
    }

    #[tokio::test]
    async fn what_cannot_be_kept_is_not_done() {
        let mut room = true;
        let journal =
            move |_: &Step| if std::mem::take(&mut room) { Ok(()) } else { Err(io::Error::other("disk full")) };
        let embedded = Embedded::open(Saved::default(), Box::new(journal)).await.unwrap();
        let answer = embedded.commit(vec![put("queue", None)]).await;
        assert_eq!(answer, Err(Error::Unavailable("the journal: disk full".into())));
        assert_eq!(embedded.list(&Key("/c/objects".into())).await.unwrap().entries, []);
    }
}
