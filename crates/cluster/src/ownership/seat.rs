//! One shard as this node sees it: what its key says, and what this node makes of it.
//!
//! ```text
//!          claim                feed: mine             all answered
//!   No ----------> Asking ------------> Announcing ----------------> Serving
//!    ^               | not mine           ^    ^  ^                   |  |  |
//!    |<--------------+            renewed |    |  +--- not given -- Giving  | key gone, while the others vouch
//!    |                                  Idle   |                            v
//!    +<-- feed: another's or nobody's ----+    +---- feed: mine ------ Reclaiming
//! ```

use std::collections::BTreeSet;

use carillon_acd::ids::{Epoch, NodeId};
use carillon_acd::time::Moment;

use crate::coordinator::LeaseId;

/// A key that this node holds: since which epoch, on which lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Title {
    pub(super) epoch: Epoch,
    pub(super) lease: LeaseId,
}

/// What this node makes of a shard. Every state but the first two ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mine {
    /// It is another's, or nobody's.
    No,
    /// The key is this node's, but its authority has ended: it does not act until that is renewed.
    Idle(Title),
    /// A claim is on its way to the coordinator, or failed a moment ago.
    Asking { until: Moment },
    /// Every live node is told, also those that come meanwhile, until all have answered. `served`: in which older epoch
    /// this node still serves it, having never stopped.
    Announcing { title: Title, served: Option<Epoch>, answered: BTreeSet<NodeId>, until: Moment },
    /// This node serves it.
    Serving(Title),
    /// It has stopped, and the key is being written for another node.
    Giving { title: Title, until: Moment },
    /// The lease ended while all owners vouched for each other: it goes on serving, and claims the key again.
    Reclaiming { epoch: Epoch, until: Moment },
}

impl Mine {
    /// The epoch in which this node serves it now.
    pub(super) fn served(&self) -> Option<Epoch> {
        match self {
            Mine::Serving(title) => Some(title.epoch),
            Mine::Announcing { served, .. } => *served,
            Mine::Reclaiming { epoch, .. } => Some(*epoch),
            Mine::No | Mine::Idle(_) | Mine::Asking { .. } | Mine::Giving { .. } => None,
        }
    }

    /// The key that this node holds.
    pub(super) fn title(&self) -> Option<Title> {
        match self {
            Mine::Idle(title) | Mine::Serving(title) => Some(*title),
            Mine::Announcing { title, .. } | Mine::Giving { title, .. } => Some(*title),
            Mine::No | Mine::Asking { .. } | Mine::Reclaiming { .. } => None,
        }
    }
}

/// A shard: what its key says as of `epoch`, and what this node makes of it.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) epoch: Epoch,
    pub(super) owner: Option<NodeId>,
    /// Since when it has had no owner.
    pub(super) free_since: Moment,
    pub(super) mine: Mine,
}

impl State {
    pub(super) fn unknown() -> Self {
        State { epoch: Epoch(0), owner: None, free_since: Moment::START, mine: Mine::No }
    }
}
