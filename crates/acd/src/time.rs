//! Time as an argument: machines are told what time it is, they never ask.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on this node's monotonic clock, counted from the node's start. Never sent to another node: nodes exchange
/// durations ("waited so far"), because their clocks have no common origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// The node's start.
    pub const START: Moment = Moment(Duration::ZERO);

    /// The moment that lies `since_start` after the node's start.
    pub const fn at(since_start: Duration) -> Self {
        Moment(since_start)
    }

    /// How long after `earlier` this moment is; zero when it is not after it.
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, d: Duration) -> Moment {
        Moment(self.0.saturating_add(d))
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;
    fn sub(self, d: Duration) -> Moment {
        Moment(self.0.saturating_sub(d))
    }
}

/// A duration as people read it: `7s`, `3m05s`, `1h02m`, `2d03h`.
pub fn lasting(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// Wall-clock time in microseconds since 1970-01-01T00:00:00Z. Only written into records and shown to people; no
/// decision compares two of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct WallTime(pub i64);

/// The time handed to every `handle`: both clocks, read once by the actor when the event arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For deadlines and durations.
    pub mono: Moment,
    /// For the call record.
    pub wall: WallTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_two_units() {
        let shown = [0, 59, 60, 185, 3599, 3600, 86_399, 86_400, 183_600].map(|s| lasting(Duration::from_secs(s)));
        assert_eq!(shown, ["0s", "59s", "1m00s", "3m05s", "59m59s", "1h00m", "23h59m", "1d00h", "2d03h"]);
    }
}
