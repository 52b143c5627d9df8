//! The one place of a node that reads the clocks for its machines.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use carillon_acd::time::{Moment, Now, WallTime};

/// A node that starts takes over callers who have waited since long before: their waiting must have begun after the
/// beginning of its time. Longer than any call may last.
const BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The node's clocks. Monotonic time counts from 30 days before the moment this was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts to count.
    pub fn start() -> Self {
        Clock { start: Instant::now() }
    }

    /// Both clocks, now.
    pub fn now(&self) -> Now {
        Now { mono: self.moment(), wall: wall() }
    }

    /// The monotonic clock alone.
    pub fn moment(&self) -> Moment {
        Moment::at(BEFORE + self.start.elapsed())
    }
}

/// A wall clock before 1970 counts as 1970: it is only shown to people.
fn wall() -> WallTime {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
}
