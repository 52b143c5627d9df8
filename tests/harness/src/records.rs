//! Call records as `carillon records -o json` prints them, and the questions that the suites ask of them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Deserializer};

use crate::real::Carillon;

/// One call.
#[derive(Clone, Debug, Deserialize)]
pub struct Record {
    /// `calls/{call}`.
    pub call: String,
    /// Who called.
    pub caller: Caller,
    /// Start, in microseconds since 1970.
    #[serde(deserialize_with = "microseconds")]
    pub started: i64,
    /// End, likewise.
    #[serde(deserialize_with = "microseconds")]
    pub ended: i64,
    /// The last queue.
    pub queue: Option<String>,
    /// The agent who talked last.
    pub agent: Option<String>,
    /// From queue entry to two-way audio or to leaving.
    pub wait_ms: Option<u64>,
    /// Conversation.
    pub talk_ms: u64,
    /// `answered`, `abandoned`, `missed`, `refused`, `failed`, `done`.
    pub outcome: String,
    /// `normal`, `media_timeout`, …
    pub cause: String,
    /// Everything that happened.
    pub transitions: Vec<Transition>,
}

/// The caller.
#[derive(Clone, Debug, Deserialize)]
pub struct Caller {
    /// What was shown.
    pub number: String,
}

/// One step.
#[derive(Clone, Debug, Deserialize)]
pub struct Transition {
    /// Microseconds since 1970.
    #[serde(deserialize_with = "microseconds")]
    pub at: i64,
    /// `enqueued`, `offered`, `connected`, …
    pub event: String,
    /// The leg it is about.
    pub leg: Option<u32>,
    /// The agents it is about.
    #[serde(default)]
    pub agents: Vec<String>,
    /// The place in the order of entry.
    pub place: Option<Place>,
    /// The place in the order of the queue's offers.
    pub offer: Option<Place>,
    /// Why a leg ended.
    pub cause: Option<String>,
    /// An explanation.
    pub why: Option<String>,
}

/// A place in an order that a queue keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Place {
    /// The owner's.
    pub epoch: u64,
    /// Within it.
    pub counter: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.epoch, self.counter)
    }
}

fn microseconds<'de, D: Deserializer<'de>>(d: D) -> Result<i64, D::Error> {
    let text = String::deserialize(d)?;
    let time: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
    Ok(time.as_microsecond())
}

impl Record {
    /// The steps of one kind.
    pub fn steps<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Transition> + 'a {
        self.transitions.iter().filter(move |t| t.event == event)
    }

    /// The place in the queue that it was given.
    pub fn place(&self) -> Option<Place> {
        self.steps("enqueued").find_map(|t| t.place)
    }

    /// When it was first offered to somebody, and to whom.
    pub fn first_offer(&self) -> Option<(i64, &[String])> {
        self.steps("offered").next().map(|t| (t.at, t.agents.as_slice()))
    }

    /// Which of the queue's offers was the first for it.
    pub fn offer(&self) -> Option<Place> {
        self.steps("offered").find_map(|t| t.offer)
    }

    /// The agent it was connected with, without `tenants/…/`.
    pub fn answered_by(&self) -> Option<&str> {
        self.agent.as_deref().and_then(|name| name.rsplit('/').next())
    }
}

/// All records of a running center, once there are at least `count`; the oldest call first.
pub async fn all(center: &Carillon, count: usize, within: Duration) -> Result<Vec<Record>> {
    let mut poll = tokio::time::interval(Duration::from_millis(200));
    let waiting = async {
        loop {
            poll.tick().await;
            let mut records = read(&center.cli(&["records", "--limit", "0", "-o", "json"]).await?)?;
            if records.len() >= count {
                records.sort_by_key(|r| r.started);
                return anyhow::Ok(records);
            }
        }
    };
    tokio::time::timeout(within, waiting)
        .await
        .with_context(|| format!("fewer than {count} records after {within:?}"))?
}

/// Reads the output of `carillon records -o json`.
pub fn read(json: &str) -> Result<Vec<Record>> {
    serde_json::from_str(json).with_context(|| format!("records: {}", json.chars().take(500).collect::<String>()))
}

/// Spec QU-7: equal priority is strictly first come first served. The queue's owner counts both the entries and the
/// offers that it makes, so the order of the first offers must be exactly the order of the places, whatever the clocks
/// of the calls say.
pub fn check_first_come_first_served(records: &[Record]) -> Result<()> {
    let mut queued: Vec<(Place, Place, &Record)> =
        records.iter().filter_map(|r| Some((r.place()?, r.offer()?, r))).collect();
    ensure!(queued.len() > 1, "only {} records have a place and an offer", queued.len());
    queued.sort_by_key(|(place, ..)| *place);
    for pair in queued.windows(2) {
        let [(p, earlier, a), (q, later, b)] = pair else { continue };
        ensure!(p != q, "{} and {} have the same place {p:?}", a.call, b.call);
        ensure!(earlier < later, "{} at {p:?} got offer {earlier:?}, {} at {q:?} got {later:?}", a.call, b.call);
    }
    Ok(())
}

/// How many calls each agent answered.
pub fn by_agent(records: &[Record]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for agent in records.iter().filter_map(Record::answered_by) {
        *counts.entry(agent.to_owned()).or_insert(0) += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(call: u32, place: u64, offer: u64) -> String {
        format!(
            r#"{{"call":"calls/{call}","caller":{{"number":"1","display_name":""}},"dialled":"2","number":null,
            "started":"2026-01-01T00:00:00.000000Z","ended":"2026-01-01T00:01:00.000000Z","queue":"tenants/default/queues/q",
            "agent":"tenants/default/agents/a{call}","wait_ms":1,"talk_ms":2,"outcome":"answered","cause":"normal","transitions":[
            {{"at":"2026-01-01T00:00:01.000000Z","event":"enqueued","place":{{"epoch":1,"counter":{place}}}}},
            {{"at":"2026-01-01T00:00:02.000000Z","event":"offered","agents":["tenants/default/agents/a{call}"],
              "offer":{{"epoch":1,"counter":{offer}}}}}]}}"#
        )
    }

    #[test]
    fn overtaking_is_found() {
        let good = read(&format!("[{},{}]", record(1, 1, 7), record(2, 2, 8))).unwrap();
        check_first_come_first_served(&good).unwrap();
        assert_eq!(by_agent(&good).get("a1"), Some(&1));
        let overtaken = read(&format!("[{},{}]", record(1, 1, 8), record(2, 2, 7))).unwrap();
        assert!(check_first_come_first_served(&overtaken).is_err());
    }
}
