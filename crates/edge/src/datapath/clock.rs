//! The clock of a datapath thread: steps of 5 ms, of which four make a frame.
//!
//! Everybody's packets are spread over the four slots of a frame, so the load is even; who was late skips what is past
//! instead of sending it in a burst.

use std::time::{Duration, Instant};

use carillon_media::FRAME_SAMPLES;

/// Slots in a frame of 20 ms.
pub(super) const SLOTS: usize = 4;
/// The time from slot to slot.
const STEP: Duration = Duration::from_millis(5);

/// A moment, counted in steps of 5 ms since the thread began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u64);

impl Tick {
    /// The slot of its frame.
    pub(super) fn slot(self) -> usize {
        (self.0 % SLOTS as u64) as usize
    }

    /// The frame it belongs to.
    pub(super) fn frame(self) -> u64 {
        self.0 / SLOTS as u64
    }

    /// The start of its frame, in samples; wraps as timestamps do.
    pub(super) fn frame_samples(self) -> u32 {
        (self.frame() as u32).wrapping_mul(FRAME_SAMPLES as u32)
    }

    /// The moment itself, in samples; wraps as timestamps do.
    pub(super) fn samples(self) -> u32 {
        (self.0 as u32).wrapping_mul((FRAME_SAMPLES / SLOTS) as u32)
    }

    /// The time since an earlier moment.
    pub(super) fn since(self, earlier: Tick) -> Duration {
        let steps = u32::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(u32::MAX);
        STEP * steps
    }
}

/// Which slots were served.
#[derive(Debug)]
pub(super) struct Clock {
    origin: Instant,
    served: Tick,
}

impl Clock {
    pub(super) fn new(now: Instant) -> Self {
        Clock { origin: now, served: Tick(0) }
    }

    /// The moment that `now` belongs to.
    pub(super) fn tick(&self, now: Instant) -> Tick {
        let steps = now.duration_since(self.origin).as_nanos() / STEP.as_nanos();
        Tick(u64::try_from(steps).unwrap_or(u64::MAX))
    }

    /// How long until the next step.
    pub(super) fn until_next(&self, now: Instant) -> Duration {
        let past = now.duration_since(self.origin).as_nanos() % STEP.as_nanos();
        STEP - Duration::from_nanos(u64::try_from(past).unwrap_or(0))
    }

    /// The steps to serve at `now`, oldest first: those since the last call, but each slot only once.
    pub(super) fn due(&mut self, now: Instant) -> impl Iterator<Item = Tick> + use<> {
        let tick = self.tick(now).0;
        let from = (self.served.0 + 1).max((tick + 1).saturating_sub(SLOTS as u64));
        self.served = Tick(tick.max(self.served.0));
        (from..=tick).map(Tick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_thread_serves_each_slot_once_and_skips_the_rest() {
        let origin = Instant::now();
        let mut clock = Clock::new(origin);
        let mut due = |millis| clock.due(origin + Duration::from_millis(millis)).map(|tick| tick.0).collect::<Vec<_>>();
        assert_eq!(due(5), [1]);
        assert_eq!(due(7), []);
        assert_eq!(due(15), [2, 3]);
        assert_eq!(due(1_000), [197, 198, 199, 200]);
    }

    #[test]
    fn moments_are_counted_in_samples() {
        let origin = Instant::now();
        let tick = Clock::new(origin).tick(origin + Duration::from_millis(47));
        assert_eq!((tick.frame(), tick.slot(), tick.frame_samples(), tick.samples()), (2, 1, 320, 360));
        assert_eq!(Clock::new(origin).until_next(origin + Duration::from_millis(47)), Duration::from_millis(3));
    }
}
