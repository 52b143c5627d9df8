//! What an agent is told, and what he tells.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call;
use crate::ids::{AgentId, CallId, DeviceId, Epoch, Extension, NodeId, QueueId};
use crate::leg::{Contact, Location};
use crate::offer::OfferId;
use crate::queue;
use crate::rank::Bid;
use crate::ticket::Sequence;
use crate::view::{AgentCommand, Availability};
use crate::whereabouts::Whereabouts;

/// What kind of phone a device is (Spec: QU-10 counts hardware phones only).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// A phone on the desk.
    Hardware,
    /// A page in a browser.
    Browser,
    /// A program on a computer.
    Desktop,
    /// An application on a mobile phone.
    Mobile,
}

/// What begins an agent's idle time anew for a queue that serves the longest idle first (Spec: QU-3). Login, the return
/// from break and the end of a conversation or its wrap-up always do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IdleReset {
    /// Every offer that he did not answer, too: he goes to the end.
    #[default]
    Offer,
    /// Only what he has handled: he keeps his turn until he answers.
    Handled,
}

/// One queue that an agent serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The queue.
    pub queue: QueueId,
    /// How long after a conversation from this queue no queue gives him a call; zero for none (Spec: QU-11).
    pub wrap_up: Duration,
    /// What counts as activity for the order of [`crate::queue::Strategy::LongestIdle`].
    pub idle_reset: IdleReset,
    /// After so many offers in a row, over all his queues, that rang in vain or that he declined, an unanswered offer of
    /// this queue sends him on break; he comes back by `ready`. `None`: never.
    pub pause_after: Option<u32>,
}

impl Membership {
    /// He serves `queue`, without wrap-up or any option.
    pub const fn new(queue: QueueId) -> Self {
        Membership { queue, wrap_up: Duration::ZERO, idle_reset: IdleReset::Offer, pause_after: None }
    }
}

/// What is configured for one agent (Spec: OB-5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// For people.
    pub display_name: String,
    /// If he has one.
    pub extension: Option<Extension>,
    /// His devices, in the order of the configuration; a device's place is its `DeviceId::index`. At most 255.
    pub devices: Vec<DeviceKind>,
    /// The queues he serves.
    pub queues: Vec<Membership>,
}

/// What survives a restart of the agent's owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedAvailability {
    /// What the agent wants.
    pub availability: Availability,
    /// The queues he has logged out of; he is logged in to all others that he serves (Spec: TR-5).
    pub logged_out_of: Vec<QueueId>,
}

/// Names one reservation. The call numbers its reservations, so asking twice is asking once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId {
    /// The call that holds the agent.
    pub call: CallId,
    /// Counts the reservations of that call, from 1; a later one has a higher number.
    pub n: u32,
}

/// Why a call wants an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A queue offered the call to him.
    Queue {
        /// The queue.
        queue: QueueId,
        /// The offer; an offer of an older epoch than one he has seen of this queue is refused (Spec: CL-3).
        offer: OfferId,
        /// The caller's rank: the greatest decides among several queues (Spec: QU-7).
        bid: Bid,
        /// The caller's place in its queue, for equal bids.
        sequence: Option<Sequence>,
    },
    /// He picks up a call that rings at a colleague (Spec: TR-4). As for an offer the queue's epoch counts, but not whether he
    /// is logged in, on break or in wrap-up: he has asked for it.
    PickUp {
        /// The queue of the call.
        queue: QueueId,
        /// The offer that rings.
        offer: OfferId,
        /// The reservation of the call with which he asked: it ends, and this one begins, in one step. If he is not held by
        /// it any more, this one is refused. `None`: he asked otherwise and must be held by nothing.
        own: Option<ReservationId>,
    },
    /// Somebody dialled his extension. He rings also on break, in wrap-up and before his workday (Spec: RT-8).
    Direct,
    /// He is the caller: the call occupies him at once and rings none of his devices (Spec: OB-5).
    Own,
}

/// A device that a granted call may ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedDevice {
    /// Which.
    pub id: DeviceId,
    /// What it is.
    pub kind: DeviceKind,
    /// Where it is, the latest first.
    pub at: Vec<Location>,
}

/// How a reservation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Released {
    /// The conversation is over; wrap-up follows when it came from a queue.
    Ended,
    /// His phone rang and he did not answer, or he declined: he goes to the end of the longest-idle order (Spec: QU-3).
    NotAnswered,
    /// It is not his doing: the caller hung up, another agent won, the request came to nothing. Nothing changes for him.
    NoPenalty,
    /// None of his devices could be made to ring. No penalty, but his devices rest for a few seconds before the next try.
    Unreachable,
}

/// What happens to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The machine begins to live: it tells its queues.
    Start,
    /// An edge says where a device is (see [`Reachability`](crate::leg::Reachability)). He can be reached if any edge has a
    /// contact of any of his devices.
    Reachable {
        /// Its place in the list of devices.
        device: u8,
        /// The edge that reports.
        edge: NodeId,
        /// All contacts of the device at this edge now; none when it is gone from there.
        contacts: Vec<Contact>,
    },
    /// An edge has died, and with it the ways to all phones that were registered there. `calls` tells which calls live where
    /// now. One that lived there has him for 3 s more, unless another edge takes it over meanwhile and says so (Spec: CL-4).
    EdgeGone {
        /// Which.
        edge: NodeId,
        /// As this node knows it.
        calls: Arc<Whereabouts>,
    },
    /// A call wants him. The answer is [`call::FromAgent`]. The call sends it again every 10 s until [`Event::Connected`]
    /// or [`Event::Release`]; a repetition renews the lease.
    Reserve {
        /// The reservation.
        reservation: ReservationId,
        /// Why.
        purpose: Purpose,
    },
    /// He and the caller hear each other. Sent again every 10 s as the renewal of the lease; an owner that knows nothing of
    /// it (it started after the conversation did) takes it over.
    Connected {
        /// The reservation.
        reservation: ReservationId,
        /// The queue it came from: its wrap-up follows.
        queue: Option<QueueId>,
    },
    /// The call does not need him any more.
    Release {
        /// The reservation.
        reservation: ReservationId,
        /// How it went.
        why: Released,
    },
    /// He dialled a code on his phone (Spec: TR-5, TR-6). The answer is [`call::FromAgent::Commanded`]; the same call asks
    /// for the same thing only, so a repetition is answered, not obeyed again.
    Command {
        /// The call with which he dialled it.
        call: CallId,
        /// What it asks for.
        command: AgentCommand,
    },
    /// The deadline has passed.
    Wake,
}

/// What an agent's owner has done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// For the call, if it still lives; for one that is gone see [`call::gone`].
    ToCall(CallId, call::Event),
    /// For the queue's owner.
    ToQueue(QueueId, queue::Event),
    /// To be stored: it must survive a restart.
    Save(SavedAvailability),
}

/// Why an agent cannot have a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// He is reserved for another call, or talks.
    #[error("busy with another call")]
    Busy,
    /// He is in wrap-up (Spec: QU-11).
    #[error("in wrap-up")]
    WrapUp,
    /// He is on break.
    #[error("on break")]
    OnBreak,
    /// His workday has not started.
    #[error("logged out")]
    LoggedOut,
    /// He does not serve the queue, or has logged out of it.
    #[error("not logged in to the queue")]
    NotInQueue,
    /// None of his devices can ring.
    #[error("no reachable device")]
    Unreachable,
    /// The offer comes from an owner of the queue that has been replaced (Spec: CL-3).
    #[error("offer of a replaced owner")]
    StaleEpoch,
    /// This reservation was over before the request came.
    #[error("reservation is over")]
    Over,
}

/// Why a command to an agent was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandRefusal {
    /// `EndWrapUp` outside of wrap-up.
    #[error("the agent is not in wrap-up")]
    NotInWrapUp,
    /// `QueueLogIn` or `QueueLogOut` for a queue whose list he is not on.
    #[error("the agent does not serve {0}")]
    DoesNotServe(QueueId),
}

/// Orders what one agent says to a queue: a message that is not newer than the last is dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The epoch of the agent's owner.
    pub epoch: Epoch,
    /// Counts within the epoch.
    pub counter: u64,
}

/// What a queue may do with an agent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Not logged in to this queue, or his workday has not started.
    LoggedOut,
    /// Logged in, on break.
    OnBreak,
    /// Logged in and ready, but reserved, talking or in wrap-up: he will be free.
    Busy,
    /// Logged in, ready and idle, but none of his devices can ring.
    Unreachable,
    /// Everything that QU-6 asks of him.
    Free,
}

/// What an agent tells each of his queues, at every change and every 10 s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentStatus {
    /// Who.
    pub agent: AgentId,
    /// Later messages have a higher one.
    pub version: Version,
    /// What the queue may do with him.
    pub standing: Standing,
    /// How long he has been idle as QU-3 counts it. A duration, because the clocks of two nodes have no common origin.
    pub idle_for: Duration,
    /// Counts his idle times; 0 means that he has done nothing since his owner started. Within one idle time the queue
    /// keeps the moment it computed first, so that transit times do not shuffle the order.
    pub idle_period: u64,
    /// Conversations with callers of this queue since his workday began, a running one included (Spec: QU-5).
    pub calls: u32,
    /// How long the ended ones took together.
    pub talked: Duration,
    /// His reachable hardware phones.
    pub hardware: u8,
    /// His other reachable devices.
    pub soft: u8,
}
