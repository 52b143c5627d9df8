//! The end of a node that is told to end (SIGTERM; Spec: CL-6): it takes nothing new, hands over what it owns, lets its
//! calls end, and says meanwhile what is left. Conversations that last longer than it waits go on at other edges, as if it had
//! died.

use std::time::{Duration, Instant};

use carillon_acd::time::lasting;
use carillon_actors::{Center, InProgress};
use carillon_edge::{Edge, Intake};

use crate::cluster::Membership;

/// How often it is looked at what is left.
const LOOK: Duration = Duration::from_millis(100);
/// How often the log says it.
const TELL: Duration = Duration::from_secs(5);
/// How long owners may take to be handed over; what is left then is taken over when this node has left.
const HAND_OVER: Duration = Duration::from_secs(10);

/// The parts of a node that a drain concerns.
pub(crate) struct Draining<'a> {
    pub(crate) center: &'a Center,
    pub(crate) edge: Option<&'a Edge>,
    pub(crate) membership: Option<&'a Membership>,
}

/// What a draining node still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    calls: InProgress,
    /// Shards that another node could own.
    shards: usize,
}

impl Draining<'_> {
    /// Takes nothing new from now on, and waits until nothing is left, or until `limit` has passed.
    pub(crate) async fn run(&self, limit: Duration) {
        match self.membership {
            // The edge follows: see `cluster/intake.rs`.
            Some(membership) => membership.cluster().retire().await,
            None => {
                self.edge.inspect(|edge| edge.set_intake(Intake::Registrations));
            }
        }
        let began = Instant::now();
        let (mut looks, mut told) = (tokio::time::interval(LOOK), None);
        loop {
            looks.tick().await;
            let (left, passed) = (self.left(), began.elapsed());
            if left.calls.calls == 0 && (left.shards == 0 || passed >= HAND_OVER) {
                return tracing::info!(shards = left.shards, "drained");
            }
            if passed >= limit {
                return self.hand_calls_over().await;
            }
            if told.is_none_or(|told| passed >= told + TELL) {
                told = Some(passed);
                left.tell();
            }
        }
    }

    /// The limit is reached. A phone that rings, and a caller who hears a greeting, cannot go on elsewhere.
    async fn hand_calls_over(&self) {
        if let Some(membership) = self.membership {
            // An edge that does not take them costs its patience each time; those who wait for the node have theirs.
            let _ = tokio::time::timeout(HAND_OVER, membership.hand_calls_over()).await;
        }
        match self.center.in_progress().calls {
            0 => tracing::info!("the drain's limit is reached: calls go on at other nodes"),
            calls => tracing::warn!(calls, "the drain's limit is reached: calls are hung up"),
        }
    }

    fn left(&self) -> Left {
        let shards = self.membership.map_or(0, |membership| {
            let cluster = membership.cluster();
            let others = cluster.nodes();
            let may_take = others.borrow().iter().any(|it| it.node.id != cluster.id() && it.node.is_candidate());
            if may_take { cluster.status().borrow().holdings } else { 0 }
        });
        Left { calls: self.center.in_progress(), shards }
    }
}

impl Left {
    fn tell(self) {
        let InProgress { calls, oldest } = self.calls;
        let oldest = oldest.map_or_else(|| "-".to_owned(), lasting);
        tracing::info!(calls, oldest, shards = self.shards, "draining; a second signal hangs up");
    }
}
