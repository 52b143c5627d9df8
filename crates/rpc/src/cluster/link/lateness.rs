//! Whether what comes in is late, seen from the frames alone: each says when it was sent, and the fastest of the last minutes
//! tells what the way takes when nothing is lost. The two clocks need not agree, only run alike.

use std::time::Duration;

/// So much later than the fastest is late: a lost packet costs TCP 200 ms and more, other traffic a few.
const LATE: Duration = Duration::from_millis(40);
/// One late frame says nothing, a busy machine has them too: there must be two, at least so far from each other …
const APART: Duration = Duration::from_millis(100);
/// … and at most so far.
const TOGETHER: Duration = Duration::from_secs(3);
/// How long the fastest frame is remembered: between one and two of these, in which clocks drift by a few milliseconds.
const REMEMBERED: Duration = Duration::from_secs(60);

/// What is remembered of one direction of a link.
#[derive(Debug)]
pub(super) struct Lateness {
    /// The fastest way in microseconds, plus the difference of the clocks: of this minute, and of the one before.
    fastest: (i64, i64),
    turns: Duration,
    /// A late frame that was not confirmed by a second one yet, or the last of those that were.
    late: Option<Duration>,
}

impl Lateness {
    pub(super) const fn new() -> Self {
        Lateness { fastest: (i64::MAX, i64::MAX), turns: REMEMBERED, late: None }
    }

    /// A frame that was `sent` on the other side's clock has arrived at `now` on ours. `true` when it and an earlier one
    /// were late.
    pub(super) fn note(&mut self, now: Duration, sent: Duration) -> bool {
        if now >= self.turns {
            self.fastest = (i64::MAX, self.fastest.0);
            self.turns = now + REMEMBERED;
        }
        let took = microseconds(now).saturating_sub(microseconds(sent));
        self.fastest.0 = self.fastest.0.min(took);
        let fastest = self.fastest.0.min(self.fastest.1);
        if took.saturating_sub(fastest) < microseconds(LATE) {
            return false;
        }
        match self.late.map(|before| now.saturating_sub(before)) {
            Some(since) if since < APART => false,
            Some(since) => {
                self.late = Some(now);
                since <= TOGETHER
            }
            None => {
                self.late = Some(now);
                false
            }
        }
    }
}

fn microseconds(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn two_late_frames_within_three_seconds_tell_of_a_bad_network() {
        let mut lateness = Lateness::new();
        // The other side's clock began 5 s later than ours.
        for at in (5_000..8_000).step_by(300) {
            assert!(!lateness.note(ms(at + 1), ms(at - 5_000)), "in time");
        }
        assert!(!lateness.note(ms(8_210), ms(3_000)), "the first one that is late");
        assert!(!lateness.note(ms(8_250), ms(3_010)), "the same hiccup");
        assert!(lateness.note(ms(8_500), ms(3_300)), "a second one");
        assert!(!lateness.note(ms(8_601), ms(3_600)), "in time again");
        assert!(!lateness.note(ms(12_000), ms(6_800)), "too long ago");
    }

    #[test]
    fn a_way_that_is_long_is_not_late_for_ever() {
        let mut lateness = Lateness::new();
        assert!(!lateness.note(ms(1), ms(0)));
        let late = (0..200_000).step_by(300).filter(|sent| lateness.note(ms(sent + 51), ms(*sent))).last();
        assert!(late.is_some_and(|last| (60_000..=120_300).contains(&last)), "{late:?}");
    }
}
