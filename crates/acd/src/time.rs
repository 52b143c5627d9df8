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
