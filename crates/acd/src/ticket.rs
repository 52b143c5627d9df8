//! A caller's place in a queue, carried by the call itself so that no failure of an owner can lose it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{CallId, Epoch, PhoneNumber, QueueId};
use crate::skills::Skills;

/// The order of entry: given once by the owner, carried in the ticket ever after. A later epoch sorts after an earlier
/// one, so a take-over keeps the order without any clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sequence {
    /// The epoch of the owner that gave it.
    pub epoch: Epoch,
    /// Counts within the epoch, from 1.
    pub counter: u64,
}

/// What a call sends to enter a queue, to stay in it (heartbeat), to come back after a failed offer, and to answer a new
/// owner. Sending it again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The call.
    pub call: CallId,
    /// The queue.
    pub queue: QueueId,
    /// `None` on the first entry.
    pub sequence: Option<Sequence>,
    /// How often the call has been taken over by another edge (Spec: CL-4).
    pub moves: u32,
    /// Higher is served earlier; 0 is ordinary. Spec: QU-7, QU-12.
    pub priority: i32,
    /// What he needs of his agent, where the queue goes by skills (Spec: QU-5).
    pub skills: Skills,
    /// How long the caller has waited since the first entry, on the call's own monotonic clock.
    pub waited: Duration,
    /// How long he may wait in all queues together; `None` for no limit (Spec: UN-4).
    pub max_wait: Option<Duration>,
    /// Who waits, if his number is international.
    pub caller: Option<PhoneNumber>,
    /// He has hung up, and is to be called back (Spec: UN-7); only with a `caller`.
    pub callback: Option<Callback>,
}

/// What a queue must know of a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Callback {
    /// How long it is not to be offered, from now on.
    pub rest: Duration,
    /// How long the client's phone rings after an agent has answered.
    pub ring_for: Duration,
}

impl Ticket {
    /// The first ticket of an ordinary caller who begins to wait now.
    pub fn new(call: CallId, queue: QueueId) -> Self {
        Ticket {
            call,
            queue,
            sequence: None,
            moves: 0,
            priority: 0,
            skills: Skills::default(),
            waited: Duration::ZERO,
            max_wait: None,
            caller: None,
            callback: None,
        }
    }
}
