//! A [`Tree`] that tasks share and follow.

use std::sync::{Mutex, MutexGuard, PoisonError};

use carillon_acd::time::Moment;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::coordinator::{Key, News, Revision};
use crate::tree::Tree;

#[derive(Debug)]
pub(crate) struct Memory {
    start: Instant,
    tree: Mutex<Tree>,
    /// Wakes those who follow; also when a lease may have become the next to end.
    touched: watch::Sender<()>,
}

impl Memory {
    pub(crate) fn new(tree: Tree) -> Self {
        Memory { start: Instant::now(), tree: Mutex::new(tree), touched: watch::Sender::new(()) }
    }

    /// Does something with the content as of now, ended leases taken out before.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Tree, Moment) -> T) -> T {
        let mut tree = self.lock();
        let now = Moment::at(self.start.elapsed());
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
                tree.expire(Moment::at(self.start.elapsed()));
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
            Some(at) => tokio::time::sleep_until(self.start + at.since(Moment::START)).await,
            None => std::future::pending().await,
        }
    }
}
