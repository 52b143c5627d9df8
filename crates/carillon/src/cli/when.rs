//! Points in time as people type them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Reads `1h`, `2d 3h` (so long ago), `2026-11-20T10:00:00Z` (exactly then), `2026-11-20T10:00` or `2026-11-20` (then, in
/// the local time zone).
pub(super) fn read(text: &str) -> Result<Timestamp, String> {
    read_at(text, Timestamp::now(), &TimeZone::system())
}

fn read_at(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return now.checked_sub(ago).map_err(|_| format!("{text:?} is too long ago"));
    }
    if let Ok(exact) = text.parse() {
        return Ok(exact);
    }
    let local = text.parse::<DateTime>().ok().and_then(|local| local.to_zoned(zone.clone()).ok());
    local.map(|zoned| zoned.timestamp()).ok_or_else(|| {
        format!(
            "{text:?} is not a time: write how long ago (1h, 2d), a date (2026-11-20), or a time (2026-11-20T10:00)"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_times_in_three_ways() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let read = |text| read_at(text, now, &zone).map(|time| time.to_string());
        assert_eq!(read("1h 30m").unwrap(), "2026-11-20T10:30:00Z");
        assert_eq!(read("2d").unwrap(), "2026-11-18T12:00:00Z");
        assert_eq!(read("2026-11-20T10:00:00Z").unwrap(), "2026-11-20T10:00:00Z");
        assert_eq!(read("2026-11-20T10:00:00+02:00").unwrap(), "2026-11-20T08:00:00Z");
        assert_eq!(read("2026-11-20T10:00").unwrap(), "2026-11-20T09:00:00Z");
        assert_eq!(read("2026-11-20").unwrap(), "2026-11-19T23:00:00Z");
        for wrong in ["", "yesterday", "2026-13-01", "10:00"] {
            assert!(read(wrong).unwrap_err().contains("write how long ago"), "{wrong}");
        }
        assert_eq!(read("20000y").unwrap_err(), "\"20000y\" is too long ago");
    }
}
