//! The one place of a node that reads the clocks for its machines.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use carillon_acd::time::{Moment, Now, WallTime};
use tokio::time::Instant;

/// A node that starts takes over callers who have waited since long before: their waiting must have begun after the
/// beginning of its time. Longer than any call may last.
const BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The node's clocks. Monotonic time counts from 30 days before the moment this was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    /// What the wall clock shows at the start, when it is not the machine's.
    wall: Option<WallTime>,
}

impl Clock {
    /// Starts to count.
    pub fn start() -> Self {
        Clock { start: Instant::now(), wall: None }
    }

    /// Starts to count at `wall`, and has no other clock than the runtime's: for a simulated one.
    pub fn simulated(wall: WallTime) -> Self {
        Clock { start: Instant::now(), wall: Some(wall) }
    }

    /// Both clocks, now.
    pub fn now(&self) -> Now {
        Now { mono: self.moment(), wall: self.wall() }
    }

    fn wall(&self) -> WallTime {
        let since = |start: WallTime| WallTime(start.0.saturating_add(microseconds(self.start.elapsed())));
        self.wall.map_or_else(machines_wall, since)
    }

    /// When the runtime's clock shows a moment; its beginning for one that lies before that.
    pub(crate) fn instant(&self, moment: Moment) -> Instant {
        self.start + moment.since(Moment::at(BEFORE))
    }

    /// The monotonic clock alone.
    pub fn moment(&self) -> Moment {
        Moment::at(BEFORE + self.start.elapsed())
    }
}

/// A wall clock before 1970 counts as 1970: it is only shown to people.
fn machines_wall() -> WallTime {
    WallTime(microseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
}

fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
