//! The four transaction machines of RFC 3261 §17 with the Accepted states of RFC 6026.
//!
//! Each machine is `handle(now, event) -> effects` over an enum of states; it holds no message and no address.
//! [`crate::endpoint`] keeps the bytes and performs the effects.

use std::time::Duration;

/// The timers of RFC 3261 §17 (appendix A lists them), from which A–M follow, and two deadlines of our own for states
/// that the RFC lets wait for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip estimate; timers A and E start with it, B, F, H, J, L and M are 64 times it.
    pub t1: Duration,
    /// The longest interval between retransmissions (timers E and G, and 2xx to INVITE).
    pub t2: Duration,
    /// How long a message may stay in the network; timers I and K.
    pub t4: Duration,
    /// Timer D: how long repeated failures of an INVITE are absorbed on an unreliable transport, at least 32 s.
    pub d: Duration,
    /// Timer C (RFC 3261 §16.6 step 11): how long an INVITE may ring without any news.
    pub c: Duration,
    /// How long our own side may leave an INVITE unanswered before the transaction is given up.
    pub unanswered: Duration,
}

impl Default for Timers {
    /// The RFC's values; timer C five minutes, an unanswered INVITE two hours.
    fn default() -> Self {
        Timers {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            d: Duration::from_secs(32),
            c: Duration::from_secs(300),
            unanswered: Duration::from_secs(7200),
        }
    }
}

impl Timers {
    /// 64·T1: timers B, F, H, J, L and M, 32 seconds by default.
    pub const fn t64(&self) -> Duration {
        self.t1.saturating_mul(64)
    }
}
