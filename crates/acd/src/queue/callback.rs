//! Callbacks among the callers of a queue (Spec: UN-7): who has asked for one keeps his place, and no limit and no rule
//! sends him away. One callback waits for one number.

use super::waiting::{Caller, State};
use super::{Effect, Enqueue, OverflowReason, Queue, unanswered};
use crate::ids::{CallId, PhoneNumber};
use crate::time::Moment;

impl Queue {
    /// Makes a caller a callback whose ticket says so. `counts`: he was on the line until now, as far as this owner has
    /// counted, and leaves the queue as statistics see it (Spec: PL-5).
    pub(super) fn note_callback(&mut self, now: Moment, caller: &mut Caller, enqueue: &Enqueue, counts: bool) {
        let Some(callback) = enqueue.ticket.callback else { return };
        caller.number = enqueue.ticket.caller.clone();
        if caller.callback.replace(callback).is_some() {
            return;
        }
        self.pace.left(now, caller.call, false);
        self.counts.overflowed += u64::from(counts);
        caller.limit = None;
        if matches!(caller.state, State::Leaving(_)) {
            // He pressed the digit while the word to leave was on its way; the call did not obey it.
            caller.state = State::Waiting;
        }
    }

    /// After everything else that a ticket tells: a callback rests when its client was not reached, and of two callbacks
    /// to one number one goes.
    pub(super) fn settle_callback(&mut self, now: Moment, caller: &mut Caller, out: &mut Vec<Effect>) {
        let Some(callback) = caller.callback else { return };
        if matches!(caller.state, State::Waiting | State::Resting { .. }) && !callback.rest.is_zero() {
            caller.state = State::Resting { until: now + callback.rest };
        }
        if matches!(caller.state, State::Leaving(_)) {
            return;
        }
        let Some(other) = caller.number.as_ref().and_then(|number| self.waiting.callback_to(number)) else { return };
        let (other, keeps) = (other.call, keeps_place(other, caller));
        if keeps {
            self.free_seats(&caller.state, |_| false);
            caller.state = State::Leaving(unanswered::not_needed(&self.config, OverflowReason::Merged(other)));
        } else {
            self.overflow(other, unanswered::not_needed(&self.config, OverflowReason::Merged(caller.call)), out);
        }
    }

    /// `call` was answered: who waits to be called back at the same number does not need it any more.
    pub(super) fn end_callback_of(&mut self, number: &PhoneNumber, call: CallId, out: &mut Vec<Effect>) {
        if let Some(callback) = self.waiting.callback_to(number).map(|caller| caller.call) {
            self.overflow(callback, unanswered::not_needed(&self.config, OverflowReason::Reached(call)), out);
        }
    }
}

/// Whether `first` stays when `second` asks for the same: the earlier place does, unless a phone rings for the other.
fn keeps_place(first: &Caller, second: &Caller) -> bool {
    match (&first.state, &second.state) {
        (State::Offered(_), _) => true,
        (_, State::Offered(_)) => false,
        (
            State::Waiting | State::Resting { .. } | State::Leaving(_),
            State::Waiting | State::Resting { .. } | State::Leaving(_),
        ) => first.sequence <= second.sequence,
    }
}
