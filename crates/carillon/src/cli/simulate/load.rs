//! The load file: who calls when, and who works when.

use std::time::Duration;

use anyhow::{Context, ensure};
use carillon_acd::ids::{AgentId, Name, NumberId};
use carillon_simulate::center::{Habits, Shift};
use carillon_simulate::load::{Stream, arrivals};
use carillon_store::config::Center;
use serde::Deserialize;

use super::{Day, source};

/// As documented in docs/simulate.md.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    answer_after: Option<String>,
    calls: Vec<Calls>,
    #[serde(default)]
    staff: Vec<Staff>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Calls {
    /// The name of a number of the center.
    number: String,
    from: String,
    until: String,
    per_hour: f64,
    #[serde(default)]
    patience: Option<String>,
    talk: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Staff {
    agents: Vec<String>,
    from: String,
    until: String,
}

pub(super) fn read(center: &Center, text: &str, seed: u64) -> anyhow::Result<Day> {
    let file: File = serde_saphyr::from_str(text)?;
    let streams = file.calls.iter().map(|calls| stream(center, calls)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut habits = Habits::default();
    if let Some(answer_after) = &file.answer_after {
        habits.answer_after = duration("answer_after", answer_after)?;
    }
    for staff in &file.staff {
        let (from, until) = period(&staff.from, &staff.until)?;
        for agent in &staff.agents {
            let agent = AgentId::new(center.tenant.name.clone(), agent.parse()?);
            ensure!(center.agents.iter().any(|a| a.id == agent), "there is no {agent}");
            habits.shifts.push(Shift { agent, from, until });
        }
    }
    Ok(Day { arrivals: arrivals(&streams, seed), habits, original: None })
}

fn stream(center: &Center, calls: &Calls) -> anyhow::Result<Stream> {
    let number = NumberId::new(center.tenant.name.clone(), calls.number.parse::<Name>()?);
    let known = center.numbers.iter().find(|n| n.id == number);
    let dialled = known.with_context(|| format!("there is no {number}"))?.number.as_str().to_owned();
    let source = source(center, &number).with_context(|| format!("there is no {number}"))?;
    let (from, until) = period(&calls.from, &calls.until)?;
    let per_hour = calls.per_hour;
    ensure!(per_hour.is_finite() && (0.0..=1_000_000.0).contains(&per_hour), "per_hour: 0 to 1000000 calls");
    let patience = calls.patience.as_deref().map(|patience| duration("patience", patience)).transpose()?;
    let talk = duration("talk", &calls.talk)?;
    Ok(Stream { source, dialled, from, until, per_hour, patience, talk })
}

fn duration(field: &str, text: &str) -> anyhow::Result<Duration> {
    humantime::parse_duration(text).with_context(|| format!("{field}: {text:?} is not a duration like 90s or 4m"))
}

fn period(from: &str, until: &str) -> anyhow::Result<(Duration, Duration)> {
    let (from, until) = (time("from", from)?, time("until", until)?);
    ensure!(from < until, "`from` must be before `until`");
    Ok((from, until))
}

/// `08:30`, up to `24:00`.
fn time(field: &str, text: &str) -> anyhow::Result<Duration> {
    let read = || {
        let (hours, minutes) = text.split_once(':')?;
        let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
        let time = hours * 60 + minutes;
        (minutes < 60 && time <= 24 * 60).then(|| Duration::from_secs(time * 60))
    };
    read().with_context(|| format!("{field}: {text:?} is not a time like 08:30, up to 24:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn center() -> Center {
        carillon_store::config::load_str("example", include_str!("../../../../../examples/center/center.yaml"))
            .unwrap()
            .center
    }

    #[test]
    fn the_example_of_the_documentation_is_read() {
        let documentation = include_str!("../../../../../docs/simulate.md");
        let example = documentation.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let day = read(&center(), example, 1).unwrap();
        assert!(day.arrivals.len() > 100, "{}", day.arrivals.len());
        assert_eq!(day.habits.answer_after, Duration::from_secs(5));
        assert_eq!(day.habits.shifts.len(), 4);
    }

    #[test]
    fn mistakes_are_named() {
        let with = |what: &str| format!("calls:\n  - {{ number: main, from: '08:00', until: '18:00', {what} }}\n");
        let problem = |text: &str| format!("{:#}", read(&center(), text, 1).err().unwrap());
        assert!(problem(&with("per_hour: 10, talk: long")).contains("not a duration"));
        assert!(problem(&with("per_hour: -1, talk: 3m")).contains("per_hour"));
        assert!(problem(&with("per_hour: 10, talk: 3m, colour: red")).contains("colour"));
        assert!(problem(&with("per_hour: 10, talk: 3m").replace("main", "other")).contains("numbers/other"));
        assert!(problem(&with("per_hour: 10, talk: 3m").replace("18:00", "25:00")).contains("25:00"));
        assert!(problem(&with("per_hour: 10, talk: 3m").replace("18:00", "07:00")).contains("before"));
    }
}
