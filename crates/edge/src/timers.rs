//! When each leg wants to be woken. A leg has one wake-up at a time: the earliest of its deadlines.

use std::collections::BTreeSet;

use carillon_acd::ids::LegId;
use carillon_sip::Moment;

/// All wake-ups, in order. A leg that ends takes its wake-up with it, however far off that was.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeSet<(Moment, LegId)>,
}

/// A leg's own note of its wake-up, by which it can be moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WakeUp(Option<Moment>);

impl Timers {
    /// Wakes `leg` at `at` instead of when it was to be woken before; `None` lets it sleep.
    pub(crate) fn set(&mut self, leg: LegId, wake_up: &mut WakeUp, at: Option<Moment>) {
        if wake_up.0 == at {
            return;
        }
        if let Some(before) = std::mem::replace(&mut wake_up.0, at) {
            self.queue.remove(&(before, leg));
        }
        if let Some(at) = at {
            self.queue.insert((at, leg));
        }
    }

    /// When [`Timers::pop`] has something next.
    pub(crate) fn next(&self) -> Option<Moment> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// A leg that wants to be woken by `now`; its own note is then out of date, see [`WakeUp::fired`].
    pub(crate) fn pop(&mut self, now: Moment) -> Option<LegId> {
        match self.queue.first() {
            Some((at, _)) if *at <= now => self.queue.pop_first().map(|(_, leg)| leg),
            Some(_) | None => None,
        }
    }
}

impl WakeUp {
    /// Notes that the wake-up has been taken out of the queue.
    pub(crate) fn fired(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use carillon_acd::ids::{CallId, NodeId};

    use super::*;

    const LEG: LegId = LegId::caller(CallId { node: NodeId(1), boot: 0, number: 1 });

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    #[test]
    fn a_wake_up_moves_both_ways_fires_once_and_can_be_taken_back() {
        let (mut timers, mut wake_up) = (Timers::default(), WakeUp::default());
        timers.set(LEG, &mut wake_up, Some(at(5)));
        timers.set(LEG, &mut wake_up, Some(at(9)));
        assert_eq!(timers.pop(at(5)), None, "moved to later");
        timers.set(LEG, &mut wake_up, Some(at(7)));
        assert_eq!(timers.next(), Some(at(7)));
        assert_eq!(timers.pop(at(7)), Some(LEG));
        wake_up.fired();
        assert_eq!(timers.pop(at(20)), None, "only once");
        timers.set(LEG, &mut wake_up, Some(at(30)));
        timers.set(LEG, &mut wake_up, None);
        assert_eq!((timers.pop(at(40)), timers.next()), (None, None), "taken back");
    }
}
