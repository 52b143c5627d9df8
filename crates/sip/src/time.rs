//! Time as an argument: this room is told what time it is, it never asks.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on the node's monotonic clock, counted from the node's start.
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

    /// The distance from the node's start.
    pub const fn since_start(self) -> Duration {
        self.0
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
