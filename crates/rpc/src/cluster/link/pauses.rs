//! The pauses of a side that dials between its attempts.

use std::time::Duration;

/// The pause after the first failure; each further one doubles it.
const FIRST: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Pauses {
    next: Duration,
}

impl Pauses {
    pub(super) const fn new() -> Self {
        Pauses { next: FIRST }
    }

    /// Waits before the next attempt. The last one was good for a connection of this length, or none.
    pub(super) async fn wait(&mut self, lasted: Duration) {
        // Nodes that lost the same peer do not all come back in the same moment.
        tokio::time::sleep(self.after(lasted).mul_f64(rand::random_range(0.5..1.5))).await;
    }

    /// A connection that breaks soon is a failure like any other: each that comes up costs both nodes much.
    fn after(&mut self, lasted: Duration) -> Duration {
        if lasted > LONGEST {
            self.next = FIRST;
        }
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_connection_that_has_lasted_makes_the_pauses_short_again() {
        let mut pauses = Pauses::new();
        let mut after = |lasted| pauses.after(Duration::from_millis(lasted)).as_millis();
        assert_eq!([after(0), after(1), after(2_000), after(0), after(0)], [50, 100, 200, 400, 800]);
        assert_eq!([after(0), after(0), after(0)], [1_600, 2_000, 2_000]);
        assert_eq!([after(2_001), after(0)], [50, 100]);
    }
}
