//! Whether this node may act as a shard's owner at this very moment. Actors ask before they act on what they own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use carillon_acd::ids::Epoch;
use carillon_acd::time::Moment;

use crate::shard::{SHARDS, Shard};

/// No epoch: the coordinator's revisions begin at 1.
const NONE: u64 = 0;

/// The shards that this node serves and until when it may, shared by all of the node's tasks. Reading takes no lock and
/// waits for nobody: a process that was frozen finds its time over when it wakes, before anything could tell it so
/// (Spec: CL-5).
#[derive(Clone, Debug)]
pub struct Acting(Arc<Table>);

#[derive(Debug)]
struct Table {
    /// Nanoseconds after the node's start.
    until: AtomicU64,
    epochs: Box<[AtomicU64]>,
}

impl Acting {
    /// Nothing is served.
    pub(crate) fn nothing() -> Self {
        let epochs = (0..SHARDS).map(|_| AtomicU64::new(NONE)).collect();
        Acting(Arc::new(Table { until: AtomicU64::new(0), epochs }))
    }

    /// The epoch in which this node may act for `shard` at `now`; `None` when it may not.
    pub fn epoch(&self, shard: Shard, now: Moment) -> Option<Epoch> {
        let epoch = self.0.epochs[shard.index()].load(Ordering::Acquire);
        (epoch != NONE && self.holds(now)).then_some(Epoch(epoch))
    }

    /// Whether this node is certain at `now` to be part of the cluster: nobody can have given it up.
    pub fn holds(&self, now: Moment) -> bool {
        nanoseconds(now) < self.0.until.load(Ordering::Acquire)
    }

    /// Until when it may act on what it serves.
    pub fn until(&self) -> Moment {
        Moment::at(Duration::from_nanos(self.0.until.load(Ordering::Acquire)))
    }

    pub(crate) fn serve(&self, shard: Shard, epoch: Epoch) {
        self.0.epochs[shard.index()].store(epoch.0, Ordering::Release);
    }

    pub(crate) fn stop(&self, shard: Shard) {
        self.0.epochs[shard.index()].store(NONE, Ordering::Release);
    }

    pub(crate) fn extend(&self, until: Moment) {
        self.0.until.store(nanoseconds(until), Ordering::Release);
    }
}

fn nanoseconds(moment: Moment) -> u64 {
    u64::try_from(moment.since(Moment::START).as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: CL-5
    #[test]
    fn cl_5_who_wakes_after_his_time_may_not_act_although_nobody_told_him() {
        let (acting, shard) = (Acting::nothing(), Shard::try_from(7).unwrap());
        let at = |seconds| Moment::at(Duration::from_secs(seconds));
        acting.extend(at(3));
        assert_eq!(acting.epoch(shard, at(1)), None, "not served");
        acting.serve(shard, Epoch(12));
        assert_eq!(acting.epoch(shard, at(1)), Some(Epoch(12)));
        assert_eq!(acting.epoch(shard, at(3)), None);
        assert!(acting.holds(at(2)) && !acting.holds(at(3)));
        acting.extend(at(9));
        acting.stop(shard);
        assert_eq!(acting.epoch(shard, at(4)), None);
    }
}
