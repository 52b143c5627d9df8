//! The call record: one per call, with every transition and its time (Spec: PL-6).

use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, CallId, LegId, NumberId, PhoneNumber, QueueId};
use crate::leg::{CallerId, Cause};
use crate::offer::OfferId;
use crate::ticket::Sequence;
use crate::time::WallTime;

/// One call, complete. Written once, when the call has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The call.
    pub call: CallId,
    /// Who called.
    pub caller: CallerId,
    /// What was dialled, as it came.
    pub dialled: String,
    /// The configured number that was called, if it was one.
    pub number: Option<NumberId>,
    /// When the INVITE came.
    pub started: WallTime,
    /// When the last leg was gone.
    pub ended: WallTime,
    /// The last queue the call was in.
    pub queue: Option<QueueId>,
    /// The agent who talked last.
    pub agent: Option<AgentId>,
    /// Whole milliseconds from queue entry to two-way audio or to leaving the queue (Spec: PL-5), for a callback to two-way
    /// audio or the end; `None` without a queue.
    pub wait_ms: Option<u64>,
    /// Whole milliseconds of conversation; 0 when never connected.
    pub talk_ms: u64,
    /// How it came out.
    pub outcome: Outcome,
    /// Who or what ended it.
    pub cause: Cause,
    /// Everything that happened, in order.
    pub transitions: Vec<Transition>,
}

/// How a call came out, in the words of PL-4 and PL-5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Caller and agent (or the number called) heard each other.
    Answered,
    /// The caller left while waiting or ringing.
    Abandoned,
    /// The queue's or the number's rule ended it unanswered.
    Missed,
    /// It was refused before anything began (unknown number, no right, no capacity).
    Refused,
    /// Something broke: a leg without media, a peer that vanished.
    Failed,
}

/// One step in the life of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub at: WallTime,
    /// What.
    #[serde(flatten)]
    pub what: Happened,
}

/// What can happen to a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Happened {
    /// The routing decided; `why` explains it (Spec: RT-9).
    Routed {
        /// Step and rule in words.
        why: String,
    },
    /// A sound began.
    Playing {
        /// Which.
        sound: String,
    },
    /// We answered the caller.
    CallerAnswered,
    /// The call entered a queue (or came back to it with its old place).
    Enqueued {
        /// The queue.
        queue: QueueId,
        /// The place in order; `None` until the owner has given it.
        sequence: Option<Sequence>,
    },
    /// A queue offered the call.
    Offered {
        /// Which offer; later offers of the queue have a higher one.
        offer: OfferId,
        /// To whom.
        agents: Vec<AgentId>,
    },
    /// An agent's owner would not have it.
    ReservationRefused {
        /// Who.
        agent: AgentId,
        /// Why, in words.
        why: String,
    },
    /// A leg was dialled.
    Dialled {
        /// The new leg.
        leg: LegId,
        /// The agent, when it is one.
        agent: Option<AgentId>,
        /// The number, when it goes out.
        number: Option<PhoneNumber>,
    },
    /// It rings.
    Alerting {
        /// The leg.
        leg: LegId,
    },
    /// It ended without an answer.
    NotAnswered {
        /// The leg.
        leg: LegId,
        /// The agent, when it is one.
        agent: Option<AgentId>,
        /// Why.
        cause: Cause,
    },
    /// Two-way audio.
    Connected {
        /// The leg.
        leg: LegId,
        /// The agent, when it is one.
        agent: Option<AgentId>,
    },
    /// One side put the other on hold.
    Held {
        /// Who did.
        leg: LegId,
    },
    /// And resumed.
    Resumed {
        /// Who did.
        leg: LegId,
    },
    /// A key was pressed.
    Digit {
        /// By whom.
        leg: LegId,
        /// Which.
        digit: char,
    },
    /// The call left a queue unanswered.
    LeftQueue {
        /// The queue.
        queue: QueueId,
        /// Why, in words: `round unanswered`, `max_wait`, `max_total_wait`, `nobody logged in`, `max_waiting`,
        /// `digit 1`, `callback`, `caller left`, `call ended`.
        why: String,
    },
    /// Something other than the two sides ended the call.
    Stopped {
        /// What, in words: `hung up by request`, `max_talk`, `longest call length reached`; for a callback `callback did
        /// not reach the client`, `callback was kept for too long`, `merged with call …`, `reached by call …`.
        why: String,
    },
    /// A leg ended.
    LegEnded {
        /// Which.
        leg: LegId,
        /// Why.
        cause: Cause,
    },
}
