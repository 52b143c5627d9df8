//! When each leg wants to be woken. A leg has one wake-up at a time: the earliest of its deadlines.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use carillon_acd::ids::LegId;
use carillon_sip::Moment;

/// A heap of wake-ups. Moving a leg's wake-up later costs nothing now: the old entry fires, is found too early, and is put
/// back; so a leg has about one entry, however often its deadline moves.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Moment, LegId)>>,
}

/// A leg's own note of its wake-up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WakeUp {
    at: Option<Moment>,
    queued: Option<Moment>,
}

impl Timers {
    /// Wakes `leg` at `at` instead of when it was to be woken before; `None` lets it sleep.
    pub(crate) fn set(&mut self, leg: LegId, wake_up: &mut WakeUp, at: Option<Moment>) {
        wake_up.at = at;
        if let Some(at) = at
            && wake_up.queued.is_none_or(|queued| at < queued)
        {
            wake_up.queued = Some(at);
            self.heap.push(Reverse((at, leg)));
        }
    }

    /// When [`Timers::pop`] may have something next.
    pub(crate) fn next(&self) -> Option<Moment> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// A leg whose entry is due, with the moment of that entry; hand both to [`Timers::is_due`].
    pub(crate) fn pop(&mut self, now: Moment) -> Option<(Moment, LegId)> {
        match self.heap.peek() {
            Some(Reverse((at, _))) if *at <= now => self.heap.pop().map(|Reverse(entry)| entry),
            _ => None,
        }
    }

    /// Whether the leg really wants to be woken now; puts its entry back when it was moved to later.
    pub(crate) fn is_due(&mut self, entry: Moment, leg: LegId, wake_up: &mut WakeUp, now: Moment) -> bool {
        if wake_up.queued != Some(entry) {
            return false;
        }
        wake_up.queued = None;
        match wake_up.at {
            Some(at) if at <= now => {
                wake_up.at = None;
                true
            }
            later => {
                self.set(leg, wake_up, later);
                false
            }
        }
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

    fn due(timers: &mut Timers, wake_up: &mut WakeUp, now: Moment) -> bool {
        let mut due = false;
        while let Some((entry, leg)) = timers.pop(now) {
            due |= timers.is_due(entry, leg, wake_up, now);
        }
        due
    }

    #[test]
    fn a_wake_up_moves_both_ways_and_fires_once() {
        let (mut timers, mut wake_up) = (Timers::default(), WakeUp::default());
        timers.set(LEG, &mut wake_up, Some(at(5)));
        timers.set(LEG, &mut wake_up, Some(at(9)));
        assert!(!due(&mut timers, &mut wake_up, at(5)), "moved to later");
        timers.set(LEG, &mut wake_up, Some(at(7)));
        assert_eq!(timers.next(), Some(at(7)));
        assert!(due(&mut timers, &mut wake_up, at(7)));
        assert!(!due(&mut timers, &mut wake_up, at(20)), "only once");
        timers.set(LEG, &mut wake_up, Some(at(30)));
        timers.set(LEG, &mut wake_up, None);
        assert!(!due(&mut timers, &mut wake_up, at(40)), "taken back");
        assert_eq!(timers.next(), None);
    }
}
