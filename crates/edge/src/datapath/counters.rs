//! Figures that a datapath thread writes and others read. Each has one writer, so a plain load and store is enough.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::{StreamStats, Totals};

/// A figure with one writer.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed) + more, Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The figures of one stream.
#[derive(Debug, Default)]
pub(super) struct StreamCounters {
    pub(super) sent: Counter,
    pub(super) received: Counter,
    pub(super) lost: Counter,
    pub(super) discarded: Counter,
    pub(super) jitter: AtomicU32,
}

impl StreamCounters {
    pub(super) fn read(&self) -> StreamStats {
        StreamStats {
            sent: self.sent.get(),
            received: self.received.get(),
            lost: self.lost.get(),
            jitter: self.jitter.load(Relaxed),
            discarded: self.discarded.get(),
        }
    }
}

/// The figures of one thread.
#[derive(Debug, Default)]
pub(super) struct ThreadCounters {
    pub(super) sent: Counter,
    pub(super) received: Counter,
    pub(super) stray: Counter,
    pub(super) malformed: Counter,
    pub(super) unsent: Counter,
}

impl ThreadCounters {
    pub(super) fn add_to(&self, totals: &mut Totals) {
        totals.sent += self.sent.get();
        totals.received += self.received.get();
        totals.stray += self.stray.get();
        totals.malformed += self.malformed.get();
        totals.unsent += self.unsent.get();
    }
}
