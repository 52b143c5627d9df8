//! A [`Tree`] that tasks share and follow.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carillon_acd::time::Moment;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::coordinator::{Key, News, Revision};
use crate::tree::Tree;

/// What time it is for the leases.
pub(crate) type Now = Arc<dyn Fn() -> Moment + Send + Sync>;

pub(crate) struct Memory {
    now: Now,
    tree: Mutex<Tree>,
    /// Wakes those who follow; also when a lease may have become the next to end.
    touched: watch::Sender<()>,
}

impl Memory {
    pub(crate) fn new(tree: Tree) -> Self {
        let start = Instant::now();
        Memory::at_times(tree, Arc::new(move || Moment::at(start.elapsed())))
    }

    /// With a clock of its own: readers on several runtimes would not agree on the time otherwise.
    pub(crate) fn at_times(tree: Tree, now: Now) -> Self {
        Memory { now, tree: Mutex::new(tree), touched: watch::Sender::new(()) }
    }

    /// Does something with the content as of now, ended leases taken out before.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Tree, Moment) -> T) -> T {
        let mut tree = self.lock();
        let now = (self.now)();
        tree.expire(now);
        let result = act(&mut tree, now);
        drop(tree);
        self.touched.send_replace(());
        result
    }

    fn lock(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next news of a folder after `seen`, waiting for it; `None` of `seen` is a new reader.
    pub(crate) async fn news(&self, folder: &Key, seen: &mut Option<Revision>) -> News {
        let mut touched = self.touched.subscribe();
        loop {
            let ends = {
                let mut tree = self.lock();
                tree.expire((self.now)());
                match seen.and_then(|after| tree.changes(folder, after)) {
                    None => {
                        *seen = Some(tree.revision());
                        return News::Everything(tree.list(folder));
                    }
                    Some(changes) => {
                        *seen = Some(tree.revision());
                        if !changes.is_empty() {
                            return News::Changes(changes);
                        }
                    }
                }
                tree.next_end()
            };
            tokio::select! {
                _ = touched.changed() => {}
                () = self.until(ends) => {}
            }
        }
    }

    async fn until(&self, ends: Option<Moment>) {
        match ends {
            Some(at) => tokio::time::sleep(at.since((self.now)())).await,
            None => std::future::pending().await,
        }
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("tree", &self.tree).finish_non_exhaustive()
    }
}
