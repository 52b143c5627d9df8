//! What a queue is told, and what it has decided.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agent::AgentStatus;
use crate::call;
use crate::ids::{AgentId, CallId, Extension, NodeId, PhoneNumber, QueueId, SoundId};
use crate::offer::{OfferId, OwnCall};
use crate::rank::Ranking;
use crate::skills::Skills;
use crate::ticket::Ticket;
use crate::whereabouts::Whereabouts;

/// How the queue chooses agents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Always from the top of the list (Spec: QU-1).
    #[default]
    InOrder,
    /// Every eligible agent rings (Spec: QU-2).
    AllAtOnce,
    /// The agent idle for longest (Spec: QU-3).
    LongestIdle,
    /// Any (Spec: QU-4).
    Random,
    /// In turns: the search goes on behind the agent who was chosen last (Spec: QU-5).
    RoundRobin,
    /// The agent with the fewest calls of this queue since his workday began (Spec: QU-5).
    FewestCalls,
    /// The agent who has talked least with callers of this queue since his workday began (Spec: QU-5).
    LeastTalkTime,
    /// The agent who suits best, of those with the skills that the caller needs (Spec: QU-5).
    Skills,
}

impl Strategy {
    /// Every one.
    pub const ALL: [Strategy; 8] = [
        Strategy::InOrder,
        Strategy::AllAtOnce,
        Strategy::LongestIdle,
        Strategy::Random,
        Strategy::RoundRobin,
        Strategy::FewestCalls,
        Strategy::LeastTalkTime,
        Strategy::Skills,
    ];

    /// As written in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Strategy::InOrder => "in_order",
            Strategy::AllAtOnce => "all_at_once",
            Strategy::LongestIdle => "longest_idle",
            Strategy::Random => "random",
            Strategy::RoundRobin => "round_robin",
            Strategy::FewestCalls => "fewest_calls",
            Strategy::LeastTalkTime => "least_talk_time",
            Strategy::Skills => "skills",
        }
    }
}

/// What happens after a round in which nobody answered (Spec: UN-1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Unanswered {
    /// Wait for a free agent and begin a new round (Spec: UN-2, UN-3).
    #[default]
    Wait,
    /// Leave the queue.
    Leave(Then),
}

/// Where a caller goes who leaves a queue unanswered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// The call ends.
    #[default]
    HangUp,
    /// Another queue, if the call was not in it before (Spec: UN-5).
    Queue(QueueId),
    /// An agent, by his extension.
    Agent(AgentId),
    /// A phone number outside (Spec: UN-6).
    Number(PhoneNumber),
    /// The mobile phone of the agent of this queue who was rung last, called as a number outside is (Spec: UN-1, UN-6).
    LastAgentPhone,
}

/// What a digit does for a caller who waits, also while a phone rings for him (Spec: UN-7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// He leaves the queue.
    Leave(Then),
    /// He hangs up and is called back in his turn.
    Callback,
}

/// How callers are called back (Spec: UN-7, OU-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallbackRule {
    /// How often the client is called, 1 to 5; then the callback ends as missed.
    pub attempts: u8,
    /// How long after a call that did not reach the client no agent is offered the callback.
    pub delay: Duration,
    /// How long an agent is looked for, from the digit on; then the callback ends as missed.
    pub keep: Duration,
    /// How long the client's phone rings, while the agent listens.
    pub ring_for: Duration,
}

impl Default for CallbackRule {
    fn default() -> Self {
        CallbackRule {
            attempts: 3,
            delay: Duration::from_secs(120),
            keep: Duration::from_secs(8 * 3600),
            ring_for: Duration::from_secs(30),
        }
    }
}

/// What happens at the wait limit, when nobody is logged in, and when the queue is full (Spec: UN-4, QU-12).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeout {
    /// Played first, when given.
    pub message: Option<SoundId>,
    /// Then.
    pub then: Then,
}

/// What a queue of [`Strategy::Skills`] asks of its agents (Spec: QU-5). A caller keeps his place while less is asked for him.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkillRule {
    /// For every caller, besides what his ticket says.
    pub wanted: Skills,
    /// Each time a caller has waited so long in this queue, every level that he needs is one lower; `None`: never.
    pub relax: Option<Duration>,
    /// But not lower than this; at 0 the skill is not needed any more.
    pub least: u8,
    /// What the agents of the list can do; who is not in here has no skills.
    pub agents: BTreeMap<AgentId, Skills>,
}

/// Unless configured otherwise. Long enough for the agent of the next shift to log in when the last one has logged out,
/// or for a phone that restarts.
pub const NOBODY_GRACE: Duration = Duration::from_secs(10);

/// What is configured for one queue (Spec: OB-3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// For people.
    pub display_name: String,
    /// If it has one.
    pub extension: Option<Extension>,
    /// In list order (Spec: QU-1).
    pub agents: Vec<AgentId>,
    /// How agents are chosen.
    pub strategy: Strategy,
    /// How long an offered phone rings: rings × 5 s (Spec: QU-9).
    pub ring_for: Duration,
    /// After a round without an answer.
    pub unanswered: Unanswered,
    /// The longest a caller may wait in this queue; `None` for no limit (Spec: UN-4).
    pub max_wait: Option<Duration>,
    /// The longest that nobody may be logged in before callers are sent away (Spec: UN-4).
    pub nobody_grace: Duration,
    /// At `max_wait`, when nobody is logged in, and at `max_waiting`.
    pub timeout: Timeout,
    /// For [`Strategy::Skills`] only.
    pub skills: SkillRule,
    /// What priority is worth here (Spec: QU-7).
    pub ranking: Ranking,
    /// At most so many callers wait, those being offered and callbacks included (Spec: QU-12).
    pub max_waiting: usize,
    /// Whether the agents of the list may take a call that rings at others (Spec: TR-4).
    pub pickup: bool,
}

impl Default for Config {
    /// A queue as the configuration makes it when nothing but its name is written: nobody serves it.
    fn default() -> Self {
        Config {
            display_name: String::new(),
            extension: None,
            agents: Vec::new(),
            strategy: Strategy::default(),
            ring_for: Duration::from_secs(20),
            unanswered: Unanswered::default(),
            max_wait: None,
            nobody_grace: NOBODY_GRACE,
            timeout: Timeout::default(),
            skills: SkillRule::default(),
            ranking: Ranking::default(),
            max_waiting: 1_000,
            pickup: false,
        }
    }
}

/// How far the call is with an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It reserves or rings.
    Working(OfferId),
    /// Nobody of it answered.
    Failed {
        /// The offer.
        offer: OfferId,
        /// The agents whose owner refused or did not say a word: they were asked, but not tried.
        refused: Vec<AgentId>,
        /// At least one phone rang (or was declined by hand); otherwise no device could be reached (Spec: UN-3).
        rang: bool,
    },
}

/// The ticket and everything else that a new owner of the queue would need to go on with this caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enqueue {
    /// Rank and waiting time.
    pub ticket: Ticket,
    /// How long the caller has been in this queue, on the call's clock; less than `ticket.waited` after an overflow.
    pub waited_here: Duration,
    /// The round that `tried` belongs to; 0 before the first offer.
    pub round: u32,
    /// The agents tried in it.
    pub tried: Vec<AgentId>,
    /// The last offer.
    pub progress: Option<Progress>,
}

/// Why a call left a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// It is connected with this agent.
    Connected {
        /// Of which offer.
        offer: OfferId,
        /// With whom.
        agent: AgentId,
    },
    /// A callback whose client talks with this agent. It has left already, as statistics count it, when it was asked for
    /// (Spec: PL-5); a callback that ends otherwise is [`Left::Gone`].
    CalledBack {
        /// Of which offer.
        offer: OfferId,
        /// With whom.
        agent: AgentId,
    },
    /// The caller hung up, or the call was ended for another reason while it waited.
    Abandoned,
    /// It obeyed an overflow.
    Overflowed,
    /// It had left before, or does not exist any more.
    Gone,
}

/// What happens to a queue.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A call enters, stays, comes back, or announces itself to a new owner. Repeats are harmless.
    Enqueue(Box<Enqueue>),
    /// A call leaves.
    Leave {
        /// Which.
        call: CallId,
        /// Why.
        why: Left,
    },
    /// An agent of the list tells how he is.
    Availability(AgentStatus),
    /// An agent asks by a call of his what rings (Spec: TR-4). The answer is [`call::FromQueue::Rings`].
    WhatRings {
        /// His call.
        asker: CallId,
        /// Who.
        agent: AgentId,
    },
    /// He wants that call. It is told so by its offer; if it cannot be, his own call hears
    /// [`call::FromQueue::NotPickedUp`]. Repeats are harmless.
    PickUp {
        /// The call that rings.
        call: CallId,
        /// Who.
        agent: AgentId,
        /// The call with which he asks.
        own: OwnCall,
    },
    /// An edge has died, and `calls` tells which calls live where now. Those that lived there are silent until another edge
    /// has taken them over (Spec: CL-4): their tickets find their places again.
    EdgeGone {
        /// Which.
        edge: NodeId,
        /// As this node knows it.
        calls: Arc<Whereabouts>,
    },
    /// The deadline has passed.
    Wake,
}

/// A call that an agent could pick up (Spec: TR-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingingCall {
    /// Which.
    pub call: CallId,
    /// Since the offer was made.
    pub ringing_for: Duration,
}

/// Why an agent cannot pick up a call of a queue (Spec: TR-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PickupRefusal {
    /// The queue has no `pickup`.
    #[error("the queue does not allow pickup")]
    NotAllowed,
    /// He is not on the queue's list.
    #[error("the agent does not serve the queue")]
    DoesNotServe,
    /// No call, or not this one, rings there.
    #[error("nothing rings")]
    NothingRings,
}

/// What a queue has decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// For the call, if it still lives; for one that is gone see [`call::gone`].
    ToCall(CallId, call::Event),
}

/// Why a queue lets a caller go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OverflowReason {
    /// Every eligible agent was tried once (Spec: UN-1).
    RoundUnanswered,
    /// The wait limit of the queue (Spec: UN-4).
    MaxWait,
    /// The wait limit of the number, over all queues of the call (Spec: UN-4).
    MaxTotalWait,
    /// Nobody is logged in (Spec: UN-4).
    NobodyLoggedIn,
    /// The queue is full (Spec: QU-12).
    MaxWaiting,
    /// A callback whose client waits to be called back by an earlier call (Spec: UN-7).
    Merged(CallId),
    /// A callback whose client has called again and was answered (Spec: UN-7).
    Reached(CallId),
}

impl std::fmt::Display for OverflowReason {
    /// As written into the call record.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OverflowReason::RoundUnanswered => f.write_str("round unanswered"),
            OverflowReason::MaxWait => f.write_str("max_wait"),
            OverflowReason::MaxTotalWait => f.write_str("max_total_wait"),
            OverflowReason::NobodyLoggedIn => f.write_str("nobody logged in"),
            OverflowReason::MaxWaiting => f.write_str("max_waiting"),
            OverflowReason::Merged(call) => write!(f, "merged with call {call}"),
            OverflowReason::Reached(call) => write!(f, "reached by call {call}"),
        }
    }
}

/// What a caller does who has to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overflow {
    /// Why.
    pub why: OverflowReason,
    /// Played first, when given.
    pub message: Option<SoundId>,
    /// Then.
    pub then: Then,
    /// Played before the call ends because `then` leads in a circle (Spec: UN-5).
    pub farewell: Option<SoundId>,
    /// How long a number or an agent in `then` rings.
    pub ring_for: Duration,
}
