//! What has happened to a node in the cluster since its start.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// See the module's description; each counts from the start of the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Shards that this node began to serve, or went on with in a newer epoch.
    pub begun: u64,
    /// Shards that it served no longer.
    pub ended: u64,
    /// Of those begun, before all nodes had said what they hold.
    pub early: u64,
    /// New owners of any shard that it heard of, the first ones included.
    pub owner_changes: u64,
    /// Announcements of replaced owners that it refused (Spec: CL-3).
    pub stale_announcements: u64,
    /// Keep-alives that the coordinator answered.
    pub kept_alive: u64,
    /// Keep-alives that failed.
    pub not_kept_alive: u64,
    /// How long the answered ones took, together.
    pub keep_alive_time: Duration,
}

/// The counters behind [`Counts`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) begun: AtomicU64,
    pub(super) ended: AtomicU64,
    pub(super) early: AtomicU64,
    pub(super) owner_changes: AtomicU64,
    pub(super) stale_announcements: AtomicU64,
    pub(super) kept_alive: AtomicU64,
    pub(super) not_kept_alive: AtomicU64,
    pub(super) keep_alive_nanoseconds: AtomicU64,
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn answered(&self, after: Duration) {
        count(&self.kept_alive);
        let nanoseconds = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        self.keep_alive_nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            begun: get(&self.begun),
            ended: get(&self.ended),
            early: get(&self.early),
            owner_changes: get(&self.owner_changes),
            stale_announcements: get(&self.stale_announcements),
            kept_alive: get(&self.kept_alive),
            not_kept_alive: get(&self.not_kept_alive),
            keep_alive_time: Duration::from_nanos(get(&self.keep_alive_nanoseconds)),
        }
    }
}
