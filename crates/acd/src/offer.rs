//! A queue proposes a call to agents.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agent::ReservationId;
use crate::explain::Choice;
use crate::ids::{AgentId, CallId, Epoch, LegId, QueueId};

/// Names one offer: the owner's epoch and a counter within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OfferId {
    /// The epoch of the queue's owner.
    pub epoch: Epoch,
    /// Counts within the epoch, from 1.
    pub counter: u64,
}

/// One agent of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Who.
    pub agent: AgentId,
    /// At most so many of his hardware phones ring; his browser, desktop and mobile devices always do (Spec: QU-10).
    pub hardware_limit: u8,
    /// How he came to it.
    pub invitation: Invitation,
}

/// How an agent comes to an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invitation {
    /// The queue chose him.
    Chosen,
    /// He wants to pick the call up (Spec: TR-4), and his devices ring, also on break and in wrap-up.
    Asked,
    /// He wants to pick the call up, and the leg with which he asked for it becomes his leg of this call.
    OwnCall(OwnCall),
}

/// The call with which an agent has dialled the code for pickup (Spec: TR-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnCall {
    /// His leg.
    pub leg: LegId,
    /// By which that call holds him until this one does.
    pub reservation: ReservationId,
}

/// One caller for one agent, or for many at once (Spec: QU-2). The call reserves each, rings those that grant, connects
/// the first that answers and releases the others. The same offer again, with other agents: they join while it rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its name.
    pub id: OfferId,
    /// The queue that offers.
    pub queue: QueueId,
    /// The caller.
    pub call: CallId,
    /// In the order of preference; the list order of the queue for all-at-once.
    pub agents: Vec<Offered>,
    /// Why these agents (Spec: RT-9).
    pub why: Choice,
    /// Which round of the caller this belongs to, from 1 (Spec: UN-1). A round in which nobody answered and that the
    /// queue's rule repeats gives the next number, and the agents tried before may be tried again.
    pub round: u32,
    /// Rings × 5 s (Spec: QU-9); what is left of it when agents join later.
    pub ring_for: Duration,
}
