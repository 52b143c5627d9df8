//! What the phones saw, written beside the logs of the nodes and on their clock, for whoever wants to know why a check failed.

use std::fmt::{self, Display};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use carillon_tests::audio::Pause;
use tokio::time::Instant;

use crate::journal::{Caller, Talk};
use crate::measure::Seen;

/// Shorter pauses than this are not written.
const PAUSE: Duration = Duration::from_millis(100);

/// One line for each attempt of a caller and each ring of an agent, in the order in which they began.
pub(crate) fn write(file: &Path, seen: &Seen) -> Result<()> {
    let clock = Clock { now: Instant::now(), wall: SystemTime::now() };
    let callers = seen.callers.values().map(|caller| (caller.dialled, clock.caller(caller)));
    let mut lines: Vec<_> = callers.chain(seen.talks.iter().map(|talk| (talk.rang, clock.talk(talk)))).collect();
    lines.sort();
    let text: String = lines.into_iter().map(|(_, line)| line + "\n").collect();
    std::fs::write(file, text).with_context(|| file.display().to_string())
}

/// Times of the phones as times of day, UTC.
struct Clock {
    now: Instant,
    wall: SystemTime,
}

impl Clock {
    fn caller(&self, caller: &Caller) -> String {
        let Caller { number, edge, dialled, answered, hung_up, ended, end, heard } = caller;
        let [answered, hung_up] = [answered, hung_up].map(|at| Maybe(at.map(|at| self.time(at))));
        let (dialled, ended, pauses) = (self.time(*dialled), self.time(*ended), self.pauses(&heard.pauses));
        format!(
            "{dialled} {number} calls edge {edge}, answered {answered}, hangs up {hung_up}, {end:?} {ended}{pauses}"
        )
    }

    fn talk(&self, talk: &Talk) -> String {
        let Talk { agent, edge, number, rang, answered, hung_up, ended, heard } = talk;
        let [answered, hung_up] = [answered, hung_up].map(|at| Maybe(at.map(|at| self.time(at))));
        let (rang, ended, pauses) = (self.time(*rang), self.time(*ended), self.pauses(&heard.pauses));
        format!(
            "{rang} {agent} at edge {edge} rings for {number}, answers {answered}, hangs up {hung_up}, ends {ended}{pauses}"
        )
    }

    fn pauses(&self, pauses: &[Pause]) -> String {
        let long = pauses.iter().filter(|pause| pause.length >= PAUSE);
        long.map(|pause| format!(", silence {} for {} ms", self.time(pause.began), pause.length.as_millis())).collect()
    }

    fn time(&self, at: Instant) -> Time {
        let wall = self.wall - self.now.saturating_duration_since(at);
        Time(wall.duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

/// Since 1970, shown as the time of day.
struct Time(Duration);

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs() % 86_400;
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        write!(f, "{hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, self.0.subsec_millis())
    }
}

/// A dash where nothing happened.
struct Maybe(Option<Time>);

impl Display for Maybe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(time) => time.fmt(f),
            None => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_day_in_the_logs() {
        let now = Instant::now();
        let clock = Clock { now, wall: UNIX_EPOCH + Duration::from_millis(86_400_000 + 3_723_045) };
        assert_eq!(clock.time(now).to_string(), "01:02:03.045");
        assert_eq!(clock.time(now - Duration::from_secs(4)).to_string(), "01:01:59.045");
        let pauses = [30, 2_840].map(|ms| Pause { began: now, length: Duration::from_millis(ms) });
        assert_eq!(clock.pauses(&pauses), ", silence 01:02:03.045 for 2840 ms");
    }
}
