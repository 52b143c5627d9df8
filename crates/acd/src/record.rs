//! The call record: one per call, with every transition and its time (Spec: PL-6).

use serde::{Deserialize, Serialize};

use crate::explain::Choice;
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
    /// Whole milliseconds from queue entry to two-way audio or to leaving the queue (Spec: PL-5); `None` without a queue.
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
    /// It was a code dialled by an agent, and what it asks for was done (Spec: TR-4, TR-5, TR-6).
    Done,
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
        /// Why them (Spec: RT-9); `None` in records of versions that did not write it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Choice>,
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
    /// An agent picks the call up with the leg of his own call (Spec: TR-4).
    PickedUp {
        /// His leg in this call.
        leg: LegId,
        /// Who.
        agent: AgentId,
        /// His own call.
        with: CallId,
    },
    /// The caller, an agent, has picked up another call: his leg belongs to it from now on.
    TakenOver {
        /// The other call.
        by: CallId,
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
        /// Why, in words: `round unanswered`, `max_wait`, `nobody logged in`, `max_waiting`, `caller left`.
        why: String,
    },
    /// An agent dialled a code that tells his owner something (Spec: TR-5, TR-6).
    Commanded {
        /// The agent.
        agent: AgentId,
        /// What, in words: `log in to tenants/default/queues/support`.
        what: String,
        /// Why it was refused, in words; `None` when it was done.
        refused: Option<String>,
    },
    /// Something other than the two sides ended the call.
    Stopped {
        /// What, in words: `hung up by request`, `longest call length reached`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::{Measure, Next};
    use crate::ids::Epoch;
    use crate::skills::Skills;

    fn agent(name: &str) -> AgentId {
        AgentId::new("default".parse().unwrap(), name.parse().unwrap())
    }

    // spec: RT-9
    #[test]
    fn rt_9_the_reason_of_an_offer_is_kept_and_older_records_without_one_read() {
        let skills = |level| Skills::new([("french".parse().unwrap(), level)]);
        let measure = Measure::Suits { needs: skills(5), has: skills(8) };
        let next = Some(Next { agent: agent("piotr"), measure: measure.clone() });
        let offered = |why| Happened::Offered {
            offer: OfferId { epoch: Epoch(3), counter: 7 },
            agents: vec![agent("anna")],
            why,
        };
        let with = Transition { at: WallTime(5), what: offered(Some(Choice::Best { measure, next })) };
        let json = serde_json::to_string(&with).unwrap();
        assert_eq!(serde_json::from_str::<Transition>(&json).unwrap(), with);
        assert!(
            json.contains(r#""why":{"by":"best","measure":{"suits":{"needs":{"french":5},"has":{"french":8}}}"#),
            "{json}"
        );
        let older = r#"{"at":5,"event":"offered","offer":{"epoch":3,"counter":7},"agents":[{"tenant":"default","name":"anna"}]}"#;
        let without = Transition { at: WallTime(5), what: offered(None) };
        assert_eq!(serde_json::from_str::<Transition>(older).unwrap(), without);
        assert_eq!(serde_json::to_string(&without).unwrap(), older);
    }
}
