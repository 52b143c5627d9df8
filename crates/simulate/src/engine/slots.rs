//! Where a machine lives, and when it is woken.

use std::time::Duration;

use carillon_acd::ids::{CallId, Epoch};
use carillon_acd::time::Moment;

/// Names a machine for its wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Call(CallId),
    Agent(usize, Epoch),
    Queue(usize, Epoch),
}

/// A machine on a node whose clock is ahead of ours.
pub(super) struct Slot<M> {
    pub(super) machine: M,
    pub(super) ahead: Duration,
    /// The earliest wake-up on the agenda.
    armed: Option<Moment>,
}

/// What becomes of a wake-up.
pub(super) enum Wakes {
    Now,
    /// It comes too early: the deadline has moved.
    At(Moment),
    Never,
}

/// Somebody who takes himself for the owner of a queue or an agent.
pub(super) struct Owner<M> {
    pub(super) epoch: Epoch,
    pub(super) slot: Slot<M>,
}

impl<M> Slot<M> {
    pub(super) const fn new(machine: M, ahead: Duration) -> Self {
        Slot { machine, ahead, armed: None }
    }

    /// The wake-up to plan, if none is planned that is early enough.
    pub(super) fn arm(&mut self, deadline: impl Fn(&M) -> Option<Moment>) -> Option<Moment> {
        let at = deadline(&self.machine)? - self.ahead;
        if self.armed.is_some_and(|armed| armed <= at) {
            return None;
        }
        self.armed = Some(at);
        Some(at)
    }

    /// Whether a wake-up that was planned for this moment is due.
    pub(super) fn is_due(&mut self, now: Moment, deadline: impl Fn(&M) -> Option<Moment>) -> Wakes {
        if self.armed.is_none_or(|armed| armed > now) {
            return Wakes::Never;
        }
        self.armed = None;
        match deadline(&self.machine).map(|at| at - self.ahead) {
            Some(at) if at <= now => Wakes::Now,
            Some(at) => {
                self.armed = Some(at);
                Wakes::At(at)
            }
            None => Wakes::Never,
        }
    }
}
