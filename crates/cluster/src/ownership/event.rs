//! What the ownership core hears and wants.

use std::collections::BTreeSet;
use std::time::Duration;

use carillon_acd::ids::{Epoch, NodeId};
use carillon_acd::time::Moment;
use serde::{Deserialize, Serialize};

use crate::coordinator::LeaseId;
use crate::member::{Node, Registered};
use crate::shard::Shard;

/// The times and rates of a cluster. All nodes must have the same `vouch`, and should have the same of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long the coordinator waits for a node before it gives its place away. etcd gives no less than one and a half
    /// election timeouts: 1.5 s as Debian installs it.
    pub ttl: Duration,
    /// How often a node sends a keep-alive; a third of `ttl` or less.
    pub keep_alive: Duration,
    /// How much earlier than the coordinator an owner stops, for clocks that do not run alike.
    pub margin: Duration,
    /// After how long an unanswered message between nodes, or a failed request to the coordinator, is repeated.
    pub retry: Duration,
    /// How long a probe may take before it counts as failed.
    pub probe: Duration,
    /// How long a take-over waits for a node that is registered and does not answer.
    pub patience: Duration,
    /// For how long owners go on without the coordinator while all of them agree that none can reach it; also how long
    /// a new node waits when none is there to welcome it and some of those that were have not come back.
    pub outage: Duration,
    /// How long the word of the other owners is worth while the coordinator is out of reach, less `margin`. Not a part of
    /// `ttl`: both sides count it, so it has to be the same everywhere, also while a cluster changes its `ttl`.
    pub vouch: Duration,
    /// How many shards an owner gives to nodes that have joined, a second.
    pub moves_per_second: u32,
}

/// Times that do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTiming {
    /// One lost keep-alive would end a lease.
    #[error("keep-alive {keep_alive:?} is longer than a third of the lease's {ttl:?}")]
    KeepAlive {
        /// [`Timing::keep_alive`].
        keep_alive: Duration,
        /// [`Timing::ttl`].
        ttl: Duration,
    },
    /// Nothing would be left of a lease.
    #[error("margin {margin:?} is longer than a third of the {ttl:?} that it is taken from")]
    Margin {
        /// [`Timing::margin`].
        margin: Duration,
        /// [`Timing::ttl`], or [`Timing::vouch`].
        ttl: Duration,
    },
    /// A node that nobody welcomes would stand while others are still vouched for.
    #[error("outage {outage:?} is not longer than {vouch:?}, for which nodes vouch for each other")]
    Outage {
        /// [`Timing::outage`].
        outage: Duration,
        /// [`Timing::vouch`].
        vouch: Duration,
    },
    /// Zero, where something would be repeated without a pause or never happen.
    #[error("{0} must not be zero")]
    Zero(&'static str),
}

impl Timing {
    /// Checks that a cluster can live with these.
    ///
    /// # Errors
    /// The first that does not fit.
    pub fn check(&self) -> Result<(), BadTiming> {
        let Timing { ttl, keep_alive, margin, retry, probe, patience, outage, vouch, moves_per_second } = *self;
        let times = [("keep_alive", keep_alive), ("retry", retry), ("probe", probe), ("patience", patience)];
        if let Some((name, _)) = times.into_iter().chain([("outage", outage)]).find(|(_, time)| time.is_zero()) {
            return Err(BadTiming::Zero(name));
        }
        if moves_per_second == 0 {
            return Err(BadTiming::Zero("moves_per_second"));
        }
        if keep_alive * 3 > ttl {
            return Err(BadTiming::KeepAlive { keep_alive, ttl });
        }
        if let Some(ttl) = [ttl, vouch].into_iter().find(|ttl| margin * 3 > *ttl) {
            return Err(BadTiming::Margin { margin, ttl });
        }
        if outage <= vouch {
            return Err(BadTiming::Outage { outage, vouch });
        }
        Ok(())
    }

    /// With leases of `ttl`, and what follows from it: six keep-alives within one, and patience until that of a node that
    /// has just died is over.
    pub fn with_lease(ttl: Duration) -> Self {
        Timing { ttl, keep_alive: ttl / 6, patience: ttl + Duration::from_secs(7), ..Timing::default() }
    }

    /// For a node that stands alone with its own coordinator: nobody can take anything over from it, so its lease is so
    /// long that no pause of the machine ends it.
    pub fn alone() -> Self {
        let keep_alive = Duration::from_secs(10 * 60);
        Timing { ttl: Duration::from_secs(24 * 60 * 60), keep_alive, ..Timing::default() }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            ttl: Duration::from_secs(3),
            keep_alive: Duration::from_millis(500),
            margin: Duration::from_millis(300),
            retry: Duration::from_millis(400),
            probe: Duration::from_millis(500),
            patience: Duration::from_secs(10),
            outage: Duration::from_secs(120),
            vouch: Duration::from_secs(3),
            moves_per_second: 100,
        }
    }
}

/// A shard and the epoch in which somebody owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tenure {
    /// The shard.
    pub shard: Shard,
    /// The owner's epoch: the revision of the shard's key.
    pub epoch: Epoch,
}

/// What a shard's key says, as of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// The shard.
    pub shard: Shard,
    /// The revision of the key's last change: the owner's epoch, or when the last owner lost it.
    pub epoch: Epoch,
    /// The owner; `None` when it has none.
    pub owner: Option<NodeId>,
}

/// A message from one node's core to another's. Any may be lost, doubled, late or out of order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// "I own these now." The receiver refuses older epochs from then on, tells what it holds for these shards, and
    /// then answers.
    Announce(Vec<Tenure>),
    /// "You have heard all that I hold for these." Sent after the tickets, reservations and registrations, on the same
    /// link: see [`Effect::Report`].
    Answer(Vec<Tenure>),
    /// "Not yours: I know of newer epochs."
    Newer(Vec<Seat>),
    /// "I cannot reach the coordinator; these are all the owners I know of. Can you?"
    AskVouch {
        /// Tells this question from earlier ones.
        round: u64,
        /// The acd nodes that the asker knows of, itself among them.
        owners: BTreeSet<NodeId>,
    },
    /// "No more than you, I know of nobody else, and for the time `vouch` I shall not serve what you serve."
    Vouch {
        /// The question.
        round: u64,
    },
    /// "I am new and would own shards; know of me."
    Join(Node),
    /// "I know of you, and nobody relies on my not knowing you."
    Welcome {
        /// Which run of the joining node is meant.
        boot: u32,
    },
}

/// How the coordinator answered a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimAnswer {
    /// All are written, in one transaction. It counts when the feed brings it: see [`crate::ownership`].
    Done,
    /// None is written: some key was not as expected. The feed tells which.
    Conflict,
    /// None is written: the lease has ended.
    LeaseLost,
    /// The coordinator was not reached, or its answer was lost. If it was done, the feed tells.
    Unknown,
}

/// What the core hears. Time comes with each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// This node has a lease and stands in the node list; the lease was asked for at `sent`.
    Registered {
        /// The lease.
        lease: LeaseId,
        /// When it was asked for.
        sent: Moment,
    },
    /// The coordinator has answered the keep-alive that was sent at `sent`.
    KeptAlive {
        /// The lease.
        lease: LeaseId,
        /// When it was sent.
        sent: Moment,
    },
    /// The coordinator says that this lease has ended.
    LeaseLost(LeaseId),
    /// All registered nodes, this one among them.
    Nodes(Vec<Registered>),
    /// The nodes that have ever stood and not left for good.
    Roster(BTreeSet<NodeId>),
    /// The keys of all shards, as of a revision; a shard that is missing has no owner.
    AllSeats(Epoch, Vec<(Seat, LeaseId)>),
    /// Changes of shards' keys, with the lease when the key exists.
    Seats(Vec<(Seat, Option<LeaseId>)>),
    /// How [`Effect::Claim`] went.
    Claimed(Vec<Shard>, ClaimAnswer),
    /// How [`Effect::HandOver`] went.
    HandedOver(Vec<Shard>, ClaimAnswer),
    /// The link to a node works.
    LinkUp(NodeId),
    /// The link to a node broke.
    LinkDown(NodeId),
    /// A probed node answered.
    ProbeAnswered(NodeId),
    /// A probed node did not.
    ProbeFailed(NodeId),
    /// Another node's core says something.
    Received(NodeId, Message),
    /// Whether this node is to hand over what it owns.
    Drain(bool),
    /// The node ends: it stops serving at once.
    Leave,
    /// A deadline has passed.
    Time,
}

/// What the core wants done. Failure needs no report unless an event is named for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write these shards' keys, this node as the owner, on its lease; each must be as given (`None`: absent). In one
    /// transaction of at most [`crate::coordinator::MAX_WRITES`]; answered by [`Event::Claimed`].
    Claim(LeaseId, Vec<(Shard, Option<Epoch>)>),
    /// Write these shards' keys for another node, on that node's lease, if the epochs still stand. Answered by
    /// [`Event::HandedOver`].
    HandOver {
        /// The new owner.
        to: NodeId,
        /// The new owner's lease.
        lease: LeaseId,
        /// What it gets; this node no longer serves it.
        tenures: Vec<Tenure>,
    },
    /// Bring this node's own entry up to date. Repeated until the feed brings it.
    Record {
        /// Its lease.
        lease: LeaseId,
        /// [`Node::draining`].
        draining: bool,
        /// [`Node::standing`].
        standing: bool,
    },
    /// Start to serve a shard, or go on in a newer epoch. The nodes that are listed have neither answered nor lost
    /// their lease: what they hold comes late.
    Serve(Tenure, Vec<NodeId>),
    /// Stop serving a shard: another node may own it from now on.
    Stop(Shard),
    /// The owner of a shard as everybody should know it.
    Owner(Seat),
    /// Tell `to` what this node holds for these shards (tickets, reservations, registrations), refuse older epochs of
    /// them, then send it [`Message::Answer`] with the same list.
    Report {
        /// The new owner.
        to: NodeId,
        /// What it has announced.
        tenures: Vec<Tenure>,
    },
    /// Send a message to another core.
    Send(NodeId, Message),
    /// Ask a node by a new connection whether it lives. Answered by [`Event::ProbeAnswered`] or [`Event::ProbeFailed`].
    Probe(NodeId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_must_go_together() {
        assert_eq!(Timing::default().check(), Ok(()));
        assert_eq!(Timing::alone().check(), Ok(()));
        for seconds in [2, 3, 60] {
            assert_eq!(Timing::with_lease(Duration::from_secs(seconds)).check(), Ok(()));
        }
        assert_eq!(Timing::with_lease(Timing::default().ttl), Timing::default());
        let brief = Timing { outage: Duration::from_secs(3), ..Timing::default() };
        assert!(matches!(brief.check(), Err(BadTiming::Outage { .. })));
        let slow = Timing { keep_alive: Duration::from_secs(2), ..Timing::default() };
        assert_eq!(slow.check().unwrap_err().to_string(), "keep-alive 2s is longer than a third of the lease's 3s");
        let still = Timing { moves_per_second: 0, ..Timing::default() };
        assert_eq!(still.check(), Err(BadTiming::Zero("moves_per_second")));
    }
}
