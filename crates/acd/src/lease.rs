//! How long the owner of a queue or an agent may act: never longer than the coordinator keeps its place for it (Spec:
//! CL-5). Pure; the node sends the keep-alives and hands the times in.

use std::time::Duration;

use crate::time::Moment;

/// An owner's lease as the owner may count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    ttl: Duration,
    margin: Duration,
    until: Moment,
}

impl Lease {
    /// The lease that a claim gave which was sent at `sent`. The coordinator counts `ttl` from when it hears of its
    /// owner; `margin` is kept free for clocks that do not run alike.
    pub fn new(sent: Moment, ttl: Duration, margin: Duration) -> Self {
        Lease { ttl, margin, until: sent + ttl.saturating_sub(margin) }
    }

    /// A keep-alive that was sent at `sent` was answered at `received`. The coordinator has heard it some time between,
    /// perhaps at once: so the time of sending counts, and an answer that took long renews little.
    pub fn confirmed(&mut self, sent: Moment, received: Moment) {
        debug_assert!(sent <= received, "an answer precedes its question");
        let from = if mutant!(ReceiveTimeLease) { received } else { sent };
        self.until = self.until.max(from + self.ttl.saturating_sub(self.margin));
    }

    /// Whether the owner may act at `now`.
    pub fn holds(&self, now: Moment) -> bool {
        now < self.until
    }

    /// When it has to stop unless a keep-alive is answered before.
    pub const fn until(&self) -> Moment {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(6);
    const MARGIN: Duration = Duration::from_millis(500);

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    // spec: CL-5
    #[test]
    fn cl_5_an_owner_stops_before_the_coordinator_can_have_given_its_place_away() {
        let mut lease = Lease::new(at(100), TTL, MARGIN);
        assert!(lease.holds(at(105)) && !lease.holds(at(106)));
        // The coordinator may have heard the keep-alive in the second in which it was sent.
        lease.confirmed(at(103), at(108));
        assert!(lease.holds(at(108)) && !lease.holds(at(109)));
        lease.confirmed(at(101), at(108));
        assert_eq!(lease.until(), at(109) - MARGIN, "a late answer to an older keep-alive takes nothing back");
    }
}
