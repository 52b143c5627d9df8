//! Yesterday's callers again. What they did is known; what they would have done is not: how long one who was answered
//! would have waited, and how long one who gave up would have talked. Both are drawn by lot, from what the others did.

use std::time::Duration;

use carillon_acd::ids::NumberId;
use carillon_acd::leg::Source;
use carillon_acd::record::{Outcome, Record};
use carillon_acd::rng::Rng;

use crate::center::Arrival;
use crate::load::exponential;

/// The callers of `records`, which may be in any order. The day begins with the first; `source` says through which trunk
/// a number is called, and leaves out a record that it does not know: calls between agents and to the outside.
pub fn arrivals(records: &[Record], source: impl Fn(&NumberId) -> Option<Source>, seed: u64) -> Vec<Arrival> {
    let mut calls: Vec<(&Record, Source)> =
        records.iter().filter_map(|record| Some((record, source(record.number.as_ref()?)?))).collect();
    calls.sort_by_key(|(record, _)| (record.started, record.call));
    let Some(began) = calls.first().map(|(record, _)| record.started) else { return Vec::new() };
    let mut rng = Rng::new(seed);
    let patience = mean_patience(records);
    let talks: Vec<u64> = records.iter().filter(|r| r.outcome == Outcome::Answered).map(|r| r.talk_ms).collect();
    calls
        .into_iter()
        .map(|(record, source)| {
            let waited = Duration::from_millis(record.wait_ms.unwrap_or(0));
            let at = micros(record.started.0.saturating_sub(began.0));
            let patience = match record.outcome {
                Outcome::Abandoned => Some(waited),
                // Without memory: who has waited so far waits for as long again as anybody.
                Outcome::Answered | Outcome::Missed | Outcome::Refused | Outcome::Failed | Outcome::Done => {
                    patience.map(|mean| waited + exponential(&mut rng, mean))
                }
            };
            let talk = match record.outcome {
                Outcome::Answered => record.talk_ms,
                Outcome::Abandoned | Outcome::Missed | Outcome::Refused | Outcome::Failed | Outcome::Done
                    if talks.is_empty() =>
                {
                    0
                }
                Outcome::Abandoned | Outcome::Missed | Outcome::Refused | Outcome::Failed | Outcome::Done => {
                    talks[rng.below(talks.len())]
                }
            };
            let dialled = record.dialled.clone();
            Arrival { at, source, dialled, patience, talk: Duration::from_millis(talk) }
        })
        .collect()
}

/// The most likely mean of an exponential patience of which one sees only those who gave up: all waiting, divided by how
/// often it ended so. `None` when nobody gave up.
fn mean_patience(records: &[Record]) -> Option<Duration> {
    let waited: u64 = records.iter().filter_map(|record| record.wait_ms).sum();
    let gave_up = records.iter().filter(|record| record.outcome == Outcome::Abandoned).count() as u64;
    waited.checked_div(gave_up).map(Duration::from_millis)
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
