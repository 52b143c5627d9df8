//! Admission of new calls, and limits per source (Spec: SE-1). Calls in progress are never refused here.

use crate::check::Rejection;
use crate::message::Header;
use crate::status::StatusCode;
use crate::time::Moment;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// How much load is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The most calls at a time.
    pub max_calls: usize,
    /// The most messages that may wait for the worker when a new call is taken.
    pub max_queued: usize,
    /// What a refused peer is told to wait.
    pub retry_after: Duration,
}

impl Admission {
    /// Decides about a new call, given the calls that live and the messages that wait.
    ///
    /// # Errors
    /// 503 with Retry-After when either is at its limit.
    pub fn admit(&self, calls: usize, queued: usize) -> Result<(), Rejection> {
        if calls < self.max_calls && queued < self.max_queued {
            return Ok(());
        }
        let seconds = self.retry_after.as_secs().max(1);
        Err(Rejection::new(StatusCode::SERVICE_UNAVAILABLE).with(Header::RetryAfter, seconds.to_string()))
    }
}

/// A token bucket per source address, in a table of bounded size.
#[derive(Debug)]
pub struct SourceLimiter {
    interval: Duration,
    burst: u32,
    capacity: usize,
    sources: HashMap<IpAddr, Moment>,
    next_sweep: Moment,
}

impl SourceLimiter {
    /// Allows each source `burst` messages at once and `per_second` in the long run, for at most `capacity` sources at
    /// a time. A `per_second` of zero counts as one.
    pub fn new(per_second: u32, burst: u32, capacity: usize) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        SourceLimiter { interval, burst: burst.max(1), capacity, sources: HashMap::new(), next_sweep: Moment::START }
    }

    /// Whether one more message from `source` is allowed now. When the table is full of sources that were busy lately,
    /// unknown ones are refused: an attacker with many addresses gets no memory.
    pub fn allow(&mut self, now: Moment, source: IpAddr) -> bool {
        // The bucket is kept as the moment at which it will be full again (generic cell rate algorithm).
        let window = self.interval * self.burst;
        let full_at = match self.sources.get(&source) {
            Some(at) => (*at).max(now),
            None => {
                // One sweep per window: a flood of forged addresses must not buy a search of the table each.
                if self.sources.len() >= self.capacity && self.next_sweep <= now {
                    self.sources.retain(|_, full_at| *full_at > now);
                    self.next_sweep = now + window;
                }
                if self.sources.len() >= self.capacity {
                    return false;
                }
                now
            }
        };
        if full_at + self.interval > now + window {
            return false;
        }
        self.sources.insert(source, full_at + self.interval);
        true
    }

    /// How many sources are remembered.
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Whether no source is remembered.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Admission, SourceLimiter};
    use crate::message::Header;
    use crate::status::StatusCode;
    use crate::time::Moment;
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    #[test]
    fn over_capacity_new_calls_get_503_with_retry_after() {
        let admission = Admission { max_calls: 2, max_queued: 10, retry_after: Duration::from_secs(4) };
        assert!(admission.admit(1, 9).is_ok());
        for (calls, queued) in [(2, 0), (0, 10)] {
            let refusal = admission.admit(calls, queued).unwrap_err();
            assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(refusal.headers, [(Header::RetryAfter, "4".to_owned())]);
        }
    }

    // spec: SE-1
    #[test]
    fn a_source_has_a_burst_and_a_rate_and_the_table_a_bound() {
        let mut limiter = SourceLimiter::new(10, 3, 2);
        let ip = |n| IpAddr::V4(Ipv4Addr::new(192, 0, 2, n));
        let at = |ms| Moment::at(Duration::from_millis(ms));
        assert_eq!([0, 0, 0, 0].map(|ms| limiter.allow(at(ms), ip(1))), [true, true, true, false]);
        assert!(!limiter.allow(at(99), ip(1)));
        assert!(limiter.allow(at(100), ip(1)));
        assert!(!limiter.allow(at(101), ip(1)));
        assert!(limiter.allow(at(101), ip(2)));
        assert!(!limiter.allow(at(101), ip(3)), "the table is full");
        assert!(limiter.allow(at(5000), ip(3)), "idle sources make room");
        assert_eq!(limiter.len(), 1);
    }
}
