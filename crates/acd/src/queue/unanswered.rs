//! What becomes of callers whom nobody answers, as a table of rules. What is not decided here is decided by the call, which
//! leaves by itself:
//!
//! | rule | when | what | where |
//! |---|---|---|---|
//! | UN-1 | everybody was tried once | stays, or leaves for `unanswered` | [`after_round`]; the mobile phone: `call::steps` |
//! | UN-2 | `wait` | a new round, in his place | [`after_round`] |
//! | UN-3 | `wait`, all at once, phones rang | the call ends as missed | [`after_round`] |
//! | UN-4 | he has waited long enough, or nobody is logged in | a message, then `timeout` | [`limit`], [`sent_away`], [`timeout`]; the grace: `roster` |
//! | UN-5 | the way leads to a queue where he was | a message, then the end; a digit is refused | `call::steps`, `call::exits` |
//! | UN-6 | the way leads outside | an outgoing call | `call::steps` |
//! | UN-7 | he presses a digit | leaves, or is called back and keeps his place | `call::exits`, `call::callback`, `callback` |
//! | UN-8 | he waits | an estimate | `estimate` |
//! | QU-12 | the queue is full when he comes | a message, then `timeout` | [`at_the_door`], [`timeout`] |
//!
//! A round is over when every logged-in, reachable agent who is not busy was tried and at least one was. Agents who are
//! busy at that moment do not keep it open; if all are busy nobody is tried, there is no round, and the caller waits.
//! All at once is one offer, so its rings are the round (Spec: QU-9).

use std::time::Duration;

use super::waiting::{Caller, State};
use super::{Config, Effect, Event, Overflow, OverflowReason, Strategy, Then, Unanswered};
use crate::call::{self, FromQueue};
use crate::ids::{Epoch, QueueId};
use crate::time::Moment;

/// What the rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The caller keeps his place, and everybody may be tried again.
    NewRound,
    /// The caller leaves.
    Leave(Overflow),
}

/// `rang`: in this round at least one phone rang or was declined by hand.
pub(super) fn after_round(config: &Config, rang: bool, callback: bool) -> Verdict {
    match (&config.unanswered, config.strategy) {
        // Who was promised a callback is not sent anywhere (Spec: UN-7).
        _ if callback => Verdict::NewRound,
        // Phones rang everywhere and nobody wanted the call: it counts as missed (Spec: UN-3).
        (Unanswered::Wait, Strategy::AllAtOnce) if rang => Verdict::Leave(leave(config, Then::HangUp)),
        // The call circles in the queue (Spec: UN-2).
        (Unanswered::Wait, _) => Verdict::NewRound,
        (Unanswered::Leave(then), _) => Verdict::Leave(leave(config, then.clone())),
    }
}

fn leave(config: &Config, then: Then) -> Overflow {
    let farewell = config.timeout.message.clone();
    Overflow { why: OverflowReason::RoundUnanswered, message: None, then, farewell, ring_for: config.ring_for }
}

/// Which of the two wait limits comes first (Spec: UN-4): that of the queue counts from the entry into it, that of the
/// number, which the ticket carries, from the entry into the first queue. At the same moment the latter, which ends the call.
pub(super) fn limit(
    config: &Config,
    entered: Moment,
    began: Moment,
    max_total: Option<Duration>,
) -> Option<(Moment, OverflowReason)> {
    let total = max_total.map(|max| (began + max, OverflowReason::MaxTotalWait));
    let here = config.max_wait.map(|max| (entered + max, OverflowReason::MaxWait));
    total.into_iter().chain(here).min_by_key(|(at, _)| *at)
}

/// Why a caller who comes now cannot wait, if so. Who has a place already keeps it.
pub(super) fn at_the_door(full: bool, nobody_logged_in: bool) -> Option<OverflowReason> {
    match (full, nobody_logged_in) {
        (true, _) => Some(OverflowReason::MaxWaiting),
        (false, true) => Some(OverflowReason::NobodyLoggedIn),
        (false, false) => None,
    }
}

/// Why a caller for whom no phone rings cannot wait any longer, if so. A phone that rings is not cut (Spec: UN-4), and who
/// was promised a callback is not sent away (Spec: UN-7).
pub(super) fn sent_away(caller: &Caller, nobody_logged_in: bool, now: Moment) -> Option<OverflowReason> {
    let rings = match caller.state {
        State::Waiting | State::Resting { .. } => false,
        State::Offered(_) | State::Leaving(_) => true,
    };
    match (rings, caller.callback, nobody_logged_in) {
        (true, ..) | (_, Some(_), _) => None,
        (false, None, true) => Some(OverflowReason::NobodyLoggedIn),
        (false, None, false) => caller.past_limit(now),
    }
}

/// The timeout rule (Spec: UN-4), which also serves a full queue (Spec: QU-12). Who has waited long enough in all queues
/// together goes to no other one.
pub(super) fn timeout(config: &Config, why: OverflowReason) -> Overflow {
    let then = match why {
        OverflowReason::MaxTotalWait | OverflowReason::Merged(_) | OverflowReason::Reached(_) => Then::HangUp,
        OverflowReason::RoundUnanswered
        | OverflowReason::MaxWait
        | OverflowReason::NobodyLoggedIn
        | OverflowReason::MaxWaiting => config.timeout.then.clone(),
    };
    Overflow {
        why,
        message: config.timeout.message.clone(),
        then,
        // It was played already.
        farewell: None,
        ring_for: config.ring_for,
    }
}

/// Answers for a queue that does not exist any more, so that no caller waits for ever who was on his way into it when its
/// configuration was removed. No rule is left to go by: the call ends (Spec: UN-4).
pub fn gone(queue: &QueueId, event: &Event) -> Option<Effect> {
    let call = match event {
        Event::Enqueue(enqueue) => enqueue.ticket.call,
        Event::Leave { .. }
        | Event::Availability(_)
        | Event::WhatRings { .. }
        | Event::PickUp { .. }
        | Event::EdgeGone { .. }
        | Event::Configured(_)
        | Event::Removed
        | Event::Wake => return None,
    };
    let why = OverflowReason::NobodyLoggedIn;
    let overflow = Overflow { why, message: None, then: Then::HangUp, farewell: None, ring_for: Duration::ZERO };
    // No owner is newer than the last one.
    let said = FromQueue::Overflow { epoch: Epoch(u64::MAX), overflow };
    Some(Effect::ToCall(call, call::Event::Queue(queue.clone(), said)))
}

/// The end of a callback that is not needed any more (Spec: UN-7).
pub(super) fn not_needed(config: &Config, why: OverflowReason) -> Overflow {
    Overflow { why, message: None, then: Then::HangUp, farewell: None, ring_for: config.ring_for }
}
