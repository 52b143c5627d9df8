//! What becomes of a caller after a round in which nobody answered (Spec: UN-1), as a table of rules.
//!
//! A round is over when every logged-in, reachable agent who is not busy was tried and at least one was. Agents who are
//! busy at that moment do not keep it open; if all are busy nobody is tried, there is no round, and the caller waits.
//! All at once is one offer, so its rings are the round (Spec: QU-9).

use super::{Config, Overflow, OverflowReason, Strategy, Then, Unanswered};

/// What the rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The caller keeps his place, and everybody may be tried again.
    NewRound,
    /// The caller leaves.
    Leave(Overflow),
}

/// `rang`: in this round at least one phone rang or was declined by hand.
pub(super) fn after_round(config: &Config, rang: bool) -> Verdict {
    match (&config.unanswered, config.strategy) {
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

/// The timeout rule (Spec: UN-4), which also serves a full queue (Spec: QU-12).
pub(super) fn timeout(config: &Config, why: OverflowReason) -> Overflow {
    Overflow {
        why,
        message: config.timeout.message.clone(),
        then: config.timeout.then.clone(),
        // It was played already.
        farewell: None,
        ring_for: config.ring_for,
    }
}
