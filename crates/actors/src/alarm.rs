//! One timer per actor. Most deadlines move later all the time (a heartbeat pushes the next one), so a timer that is
//! already set and not too late is left alone; when it fires early, it is set again.

use std::time::Duration;

use carillon_acd::time::Moment;
use ractor::ActorRef;

use crate::clock::Clock;

/// When the actor will be woken, if it will.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    set_for: Option<Moment>,
}

impl Alarm {
    /// Sees to it that the actor gets `wake` at `deadline` or before.
    pub(crate) fn set<M: ractor::Message>(
        &mut self,
        deadline: Option<Moment>,
        clock: &Clock,
        actor: &ActorRef<M>,
        wake: fn() -> M,
    ) {
        let Some(deadline) = deadline else { return };
        if self.set_for.is_some_and(|set| set <= deadline) {
            return;
        }
        self.set_for = Some(deadline);
        drop(actor.send_after(deadline.since(clock.moment()), wake));
    }

    /// Sees to it that the actor gets `wake` after `pause`, not before.
    pub(crate) fn put_off<M: ractor::Message>(
        &mut self,
        pause: Duration,
        clock: &Clock,
        actor: &ActorRef<M>,
        wake: fn() -> M,
    ) {
        self.set_for = None;
        self.set(Some(clock.moment() + pause), clock, actor, wake);
    }

    /// The timer fired. Tells whether the deadline has really passed.
    pub(crate) fn fired(&mut self, deadline: Option<Moment>, now: Moment) -> bool {
        self.set_for = None;
        deadline.is_some_and(|d| d <= now)
    }
}
