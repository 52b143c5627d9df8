//! Times and durations on the wire.

use std::time::Duration;

use carillon_acd::time::WallTime;
use prost_types::Timestamp;

const MICROS: i64 = 1_000_000;

/// A time, exactly.
pub fn timestamp(time: WallTime) -> Timestamp {
    let nanos = time.0.rem_euclid(MICROS) * 1000;
    Timestamp { seconds: time.0.div_euclid(MICROS), nanos: i32::try_from(nanos).expect("less than a second") }
}

/// A time that a client sent, cut to microseconds; `None` when it is not a valid time (years 1 to 9999, nanoseconds
/// 0 to 999,999,999).
pub fn wall_time(time: &Timestamp) -> Option<WallTime> {
    let valid = (-62_135_596_800..=253_402_300_799).contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
    valid.then(|| WallTime(time.seconds * MICROS + i64::from(time.nanos) / 1000))
}

/// A duration. One that does not fit (292 years) is cut to the longest that does.
pub fn duration(duration: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: i32::try_from(duration.subsec_nanos()).expect("less than a second") }
}

/// A duration that a server sent; zero when it is absent or negative.
pub fn std_duration(duration: Option<&prost_types::Duration>) -> Duration {
    duration.and_then(|duration| Duration::try_from(*duration).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back() {
        for micros in [0, 1, -1, 1_763_639_022_123_456, -62_135_596_800_000_000] {
            assert_eq!(wall_time(&timestamp(WallTime(micros))), Some(WallTime(micros)));
        }
        assert_eq!(timestamp(WallTime(-1)), Timestamp { seconds: -1, nanos: 999_999_000 });
    }

    #[test]
    fn impossible_times_are_refused() {
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000)] {
            assert_eq!(wall_time(&Timestamp { seconds, nanos }), None);
        }
    }

    #[test]
    fn durations_read_back() {
        let long = Duration::new(90_061, 5_000_000);
        assert_eq!(std_duration(Some(&duration(long))), long);
        assert_eq!(std_duration(None), Duration::ZERO);
        assert_eq!(std_duration(Some(&prost_types::Duration { seconds: -1, nanos: 0 })), Duration::ZERO);
    }
}
