//! What another edge needs to go on with a call should its edge die (Spec: CL-4). A call can be taken over while it waits in a
//! queue or is in conversation; what rings for a waiting caller is lost, his place is not. Times are durations: the clocks
//! of two nodes have nothing in common.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::callback::Callback;
use super::core::{Core, Own};
use super::ledger::Times;
use super::queued::Queued;
use super::state::{State, Talk};
use super::{Call, Config};
use crate::agent::ReservationId;
use crate::ids::{AgentId, CallId, Epoch, LegId, NodeId, NumberId, PhoneNumber, QueueId, TrunkId};
use crate::leg::{Cause, Incoming, LegCommand, LegEvent, LegImage};
use crate::offer::OfferId;
use crate::queue::CallbackRule;
use crate::record::{Happened, Transition};
use crate::route::Routing;
use crate::skills::Skills;
use crate::ticket::Sequence;
use crate::time::{Now, WallTime};
use crate::whereabouts::Taken;

/// Legs and reservations that the edge may have numbered since its last checkpoint. The heir counts on from behind them.
const UNKNOWN: u16 = 1_000;

/// Of the past of a call the heir needs the beginning and the latest; what decides the outcome is kept in any case.
const FIRST: usize = 16;
/// See [`FIRST`].
const LAST: usize = 48;

/// See the module. Fields of later versions are ignored by earlier ones, and have a default where they are missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    incoming: Incoming,
    /// How often it was taken over.
    #[serde(default)]
    moves: u32,
    lasted: Duration,
    /// Until the longest call length.
    left: Duration,
    caller_leg: u16,
    legs: u16,
    reservations: u32,
    #[serde(default)]
    callback: bool,
    #[serde(default)]
    priority: i32,
    #[serde(default)]
    skills: Skills,
    #[serde(default)]
    max_wait: Option<Duration>,
    #[serde(default)]
    visited: Vec<QueueId>,
    #[serde(default)]
    last_rung: Option<AgentId>,
    #[serde(default)]
    own: Option<OwnAgent>,
    #[serde(default)]
    number: Option<NumberId>,
    #[serde(default)]
    queue: Option<QueueId>,
    #[serde(default)]
    agent: Option<AgentId>,
    times: Times,
    stage: Stage,
    #[serde(skip)]
    past: Vec<Past>,
}

/// The caller is an agent, held by this reservation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct OwnAgent {
    agent: AgentId,
    reservation: u32,
    granted: bool,
}

/// Where the call is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Waiting(Box<Waiting>),
    Talking {
        leg: u16,
        #[serde(default)]
        agent: Option<(AgentId, u32)>,
        #[serde(default)]
        from: Option<(QueueId, OfferId)>,
        /// Of `max_talk`.
        #[serde(default)]
        left: Option<Duration>,
    },
}

/// In a queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) queue: QueueId,
    pub(super) entered: Duration,
    #[serde(default)]
    pub(super) sequence: Option<Sequence>,
    #[serde(default)]
    pub(super) priority: i32,
    /// The newest owner that was heard.
    pub(super) epoch: Epoch,
    #[serde(default)]
    pub(super) round: u32,
    #[serde(default)]
    pub(super) tried: Vec<AgentId>,
    #[serde(default)]
    pub(super) callback: Option<CallbackLeft>,
}

/// What is left of a callback (Spec: UN-7).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CallbackLeft {
    pub(super) number: PhoneNumber,
    pub(super) trunk: TrunkId,
    pub(super) rule: CallbackRule,
    pub(super) keep: Duration,
    pub(super) made: u8,
    pub(super) rest: Duration,
}

/// A transition, by how long before the checkpoint it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Past {
    ago: Duration,
    #[serde(flatten)]
    what: Happened,
}

impl Past {
    /// Whether a record without it would contradict itself.
    pub const fn decides(&self) -> bool {
        self.what.decides()
    }

    /// Lets a hold and its end stay together where one of them is `kept`, and a hold that lasts stay: without its end it would
    /// seem to last, and without its beginning it would not count.
    pub fn keep_holds_whole(past: &[Past], kept: &mut [bool]) {
        keep_holds_whole(past.iter().map(|past| &past.what), kept);
    }
}

/// Changes whenever another edge would have to know (see [`Call::mark`]). An ordinary call has three in its life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark(Option<Marked>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Marked {
    Waiting { queues: usize, placed: bool, answered: bool, round: u32, callback: Option<u8> },
    Talking { caller: LegId, leg: LegId },
}

/// How a call comes to an heir.
#[derive(Clone, Debug)]
pub struct Inheritance {
    /// The edge that had it.
    pub from: NodeId,
    /// The heir.
    pub to: NodeId,
    /// The edge has handed it over; otherwise it has died.
    pub planned: bool,
    /// How old the checkpoint is by now.
    pub age: Duration,
    /// What the edge has let be known of its legs.
    pub images: HashMap<LegId, LegImage>,
}

impl Checkpoint {
    /// The call.
    pub const fn call(&self) -> CallId {
        self.incoming.call
    }

    /// How the call began.
    pub const fn incoming(&self) -> &Incoming {
        &self.incoming
    }

    /// That `edge` takes the call over.
    pub const fn taken_by(&self, edge: NodeId) -> Taken {
        Taken { call: self.call(), edge, moves: self.moves.saturating_add(1) }
    }

    /// The legs that have to be revived.
    pub fn legs(&self) -> Vec<LegId> {
        let leg = |n| LegId { call: self.call(), n };
        match &self.stage {
            Stage::Waiting(waiting) if waiting.callback.is_some() => Vec::new(),
            Stage::Waiting(_) => vec![leg(self.caller_leg)],
            Stage::Talking { leg: other, .. } => vec![leg(self.caller_leg), leg(*other)],
        }
    }

    /// What has happened to the call, in order. It travels apart from the rest: one that the heir does not understand is
    /// left out.
    pub fn past(&self) -> &[Past] {
        &self.past
    }

    /// With this past.
    #[must_use]
    pub fn with_past(self, past: Vec<Past>) -> Self {
        Checkpoint { past, ..self }
    }

    /// In the heir's time.
    fn transitions(&self, now: Now, age: Duration) -> Vec<Transition> {
        let at = |ago| before(now.wall, age.saturating_add(ago));
        let mut transitions: Vec<Transition> =
            self.past.iter().map(|past| Transition { at: at(past.ago), what: past.what.clone() }).collect();
        // A clock that was set back while they were written.
        transitions.sort_by_key(|transition| transition.at);
        transitions
    }
}

fn before(now: WallTime, ago: Duration) -> WallTime {
    WallTime(now.0.saturating_sub(i64::try_from(ago.as_micros()).unwrap_or(i64::MAX)))
}

impl Call {
    /// What another edge needs to go on with this call; `None` while it could not.
    pub fn checkpoint(&self, now: Now) -> Option<Checkpoint> {
        let core = &self.core;
        let stage = match &self.state {
            State::Queued(queued) if queued.callback.is_some() || core.is_answered() => {
                Stage::Waiting(Box::new(queued.waiting(now.mono)))
            }
            State::Talking(talk) => Stage::Talking {
                leg: talk.leg.n,
                agent: talk.agent.as_ref().map(|(agent, reservation)| (agent.clone(), reservation.n)),
                from: talk.from.clone(),
                left: talk.ends_at.map(|at| at.since(now.mono)),
            },
            State::New
            | State::Occupying { .. }
            | State::Commanding(_)
            | State::PickingUp(_)
            | State::Playing { .. }
            | State::Queued(_)
            | State::Ringing(_)
            | State::Dialling { .. }
            | State::Ended => return None,
        };
        let own = core.own.as_ref();
        let (legs, reservations) = core.counted();
        Some(Checkpoint {
            incoming: core.incoming.clone(),
            moves: core.moves,
            lasted: now.mono.since(core.started),
            left: core.ends_at.since(now.mono),
            caller_leg: core.caller_leg().n,
            legs,
            reservations,
            callback: core.callback,
            priority: core.priority,
            skills: core.skills.clone(),
            max_wait: core.max_wait,
            visited: core.visited.clone(),
            last_rung: core.last_rung.clone(),
            own: own.map(|own| OwnAgent {
                agent: own.agent.clone(),
                reservation: own.reservation.n,
                granted: own.granted,
            }),
            number: core.ledger.number.clone(),
            queue: core.ledger.queue.clone(),
            agent: core.ledger.agent.clone(),
            times: core.ledger.times(now.mono),
            stage,
            past: past(core.ledger.transitions(), now.wall),
        })
    }

    /// Changes when a new checkpoint is worth sending.
    pub fn mark(&self) -> Mark {
        Mark(match &self.state {
            State::Queued(queued) => Some(Marked::Waiting {
                queues: self.core.visited.len(),
                placed: queued.is_placed(),
                answered: self.core.is_answered(),
                round: queued.round(),
                callback: queued.callback.as_ref().map(|callback| callback.made()),
            }),
            State::Talking(talk) => Some(Marked::Talking { caller: self.core.caller_leg(), leg: talk.leg }),
            State::New
            | State::Occupying { .. }
            | State::Commanding(_)
            | State::PickingUp(_)
            | State::Playing { .. }
            | State::Ringing(_)
            | State::Dialling { .. }
            | State::Ended => None,
        })
    }

    /// A call whose edge has died, from what it let be known; [`super::Event::Start`] sets it going.
    pub fn resume(
        now: Now,
        checkpoint: &Checkpoint,
        inheritance: Inheritance,
        routing: Arc<Routing>,
        config: Arc<Config>,
    ) -> Self {
        let (call, age) = (checkpoint.call(), inheritance.age);
        let mut core = Core::new(now, checkpoint.incoming.clone(), routing, config);
        core.moves = checkpoint.moves.saturating_add(1);
        core.started = now.mono - checkpoint.lasted - age;
        core.ends_at = now.mono + checkpoint.left.saturating_sub(age);
        core.counts_on(
            checkpoint.legs.saturating_add(UNKNOWN),
            checkpoint.reservations.saturating_add(u32::from(UNKNOWN)),
        );
        core.caller_is_on(LegId { call, n: checkpoint.caller_leg });
        core.callback = checkpoint.callback;
        core.priority = checkpoint.priority;
        core.skills = checkpoint.skills.clone();
        core.max_wait = checkpoint.max_wait;
        core.visited = checkpoint.visited.clone();
        core.last_rung = checkpoint.last_rung.clone();
        core.own = checkpoint.own.as_ref().map(|own| Own {
            agent: own.agent.clone(),
            reservation: ReservationId { call, n: own.reservation },
            renew_at: now.mono,
            granted: own.granted,
        });
        core.ledger.restore(
            before(now.wall, checkpoint.lasted.saturating_add(age)),
            checkpoint.transitions(now, age),
            checkpoint.times,
            now.mono - age,
        );
        core.ledger.number = checkpoint.number.clone();
        core.ledger.queue = checkpoint.queue.clone();
        core.ledger.agent = checkpoint.agent.clone();
        let state = match &checkpoint.stage {
            Stage::Waiting(waiting) => State::Queued(Box::new(Queued::restore(&core, waiting, age))),
            Stage::Talking { leg, agent, from, left } => State::Talking(Box::new(Talk {
                leg: LegId { call, n: *leg },
                agent: agent.as_ref().map(|(agent, n)| (agent.clone(), ReservationId { call, n: *n })),
                from: from.clone(),
                renew_at: now.mono,
                ends_at: left.map(|left| now.mono + left.saturating_sub(age)),
            })),
        };
        core.inherit(checkpoint.legs(), inheritance);
        Call { core, state }
    }

    /// The heir begins: the legs are revived, and everybody who holds something for this call is told that it goes on.
    pub(super) fn take_over(&mut self, inheritance: Inheritance) {
        let Inheritance { from, to, planned, mut images, .. } = inheritance;
        self.core.write(Happened::Moved { from, to, planned });
        for leg in self.core.reviving().to_vec() {
            // Without an image the revival fails, as it does with one that is of no use.
            let image = images.remove(&leg).unwrap_or_else(|| LegImage::new(&[]));
            self.core.leg(leg, LegCommand::Revive { image });
        }
        if let Some(own) = self.core.own.clone() {
            self.core.occupy_own(own.agent, own.reservation);
        }
        match &mut self.state {
            State::Queued(queued) => queued.go_on(&mut self.core),
            State::Talking(_) => self.renew(),
            State::New
            | State::Occupying { .. }
            | State::Commanding(_)
            | State::PickingUp(_)
            | State::Playing { .. }
            | State::Ringing(_)
            | State::Dialling { .. }
            | State::Ended => {}
        }
    }

    /// The other end of a leg has agreed to go on here.
    pub(super) fn revived(&mut self, leg: LegId) {
        if !self.core.is_revived(leg) || !self.core.reviving().is_empty() {
            return;
        }
        if let State::Talking(talk) = &self.state {
            let with = talk.leg;
            self.core.leg(self.core.caller_leg(), LegCommand::Bridge { with });
        }
    }

    /// A leg that could not be revived in time has ended.
    pub(super) fn expire_revival(&mut self) {
        while !self.is_over()
            && let Some(leg) = self.core.not_revived()
        {
            self.core.leg(leg, LegCommand::HangUp(Cause::SignallingTimeout));
            let ended = LegEvent::Ended(Cause::SignallingTimeout);
            if leg == self.core.caller_leg() { self.caller_leg(&ended) } else { self.other_leg(leg, &ended) }
        }
    }
}

impl Queued {
    fn waiting(&self, now: crate::time::Moment) -> Waiting {
        self.image(self.callback.as_ref().map(|callback| callback.left(now)), now)
    }

    fn restore(core: &Core, waiting: &Waiting, age: Duration) -> Self {
        let callback = waiting.callback.clone().map(|left| Box::new(Callback::restore(core.now.mono, left, age)));
        Queued::from_image(core, waiting, callback, age)
    }
}

fn past(transitions: &[Transition], now: WallTime) -> Vec<Past> {
    let last = transitions.len().saturating_sub(LAST);
    let is_kept = |(n, it): (usize, &Transition)| n < FIRST || n >= last || it.what.decides();
    let mut kept: Vec<bool> = transitions.iter().enumerate().map(is_kept).collect();
    keep_holds_whole(transitions.iter().map(|it| &it.what), &mut kept);
    let kept = transitions.iter().zip(kept).filter_map(|(it, kept)| kept.then_some(it));
    let ago = |at: WallTime| Duration::from_micros(u64::try_from(now.0.saturating_sub(at.0)).unwrap_or(0));
    kept.map(|it| Past { ago: ago(it.at), what: it.what.clone() }).collect()
}

fn keep_holds_whole<'a>(steps: impl Iterator<Item = &'a Happened>, kept: &mut [bool]) {
    // Who holds at this place, and since which.
    let mut holds: Vec<(LegId, usize)> = Vec::new();
    for (n, step) in steps.enumerate() {
        if let Happened::Held { leg } = step {
            holds.push((*leg, n));
        } else if let Happened::Resumed { leg } = step
            && let Some(place) = holds.iter().position(|(holder, _)| holder == leg)
        {
            let (_, began) = holds.swap_remove(place);
            let both = kept[began] || kept[n];
            (kept[began], kept[n]) = (both, both);
        }
    }
    // Their end is still to come.
    holds.into_iter().for_each(|(_, began)| kept[began] = true);
}
