//! What the day came to: the phones' view and the product's records side by side.

use std::fmt;

use anyhow::{Context, Result};
use comfy_table::{Table, presets};

use super::plan::Day;
use super::run::Outcome;
use crate::records::{Record, by_agent, check_first_come_first_served};

/// The summary, and whether all was as planned.
#[derive(Debug)]
pub struct Report {
    rows: Vec<(&'static str, String)>,
    agents: Vec<String>,
    /// What was not as planned.
    pub wrong: Vec<String>,
}

/// Compares plan, phones, records, and the queue's own counters.
pub fn report(day: &Day, outcome: &Outcome, records: &[Record], queue: &serde_json::Value) -> Result<Report> {
    let with = |wanted: &str| records.iter().filter(|r| r.outcome == wanted).count();
    let (offered, answered, abandoned) = (records.len(), with("answered"), with("abandoned"));
    let planned = day.visits.len() - day.abandons();
    let pairs = matching_pairs(outcome);
    let declined: usize = records.iter().map(|r| r.steps("not_answered").filter(declines).count()).sum();
    let declines_planned = day.agents.iter().filter(|a| a.declines_first).count();
    let mut waits: Vec<u64> = records.iter().filter(|r| r.outcome == "answered").filter_map(|r| r.wait_ms).collect();
    waits.sort_unstable();
    let mut wrong = outcome.wrong.clone();
    let mut expect = |what: &str, is: usize, should: usize| {
        if is != should {
            wrong.push(format!("{what}: {is} instead of {should}"));
        }
    };
    expect("calls in the records", offered, day.visits.len());
    expect("answered", answered, planned);
    expect("abandoned", abandoned, day.abandons());
    expect("waits in the records of answered calls", waits.len(), planned);
    expect("pairs that heard each other", pairs, planned);
    expect("declined offers, as the phones see it", outcome.declined, declines_planned);
    expect("declined offers, as the records see it", declined, declines_planned);
    for (name, should) in [("offered", day.visits.len()), ("answered", planned), ("abandoned", day.abandons())] {
        let count = queue[name].as_u64().with_context(|| format!("no {name:?} in {queue}"))?;
        expect(&format!("the queue's count of {name}"), count as usize, should);
    }
    let fair = check_first_come_first_served(records);
    let order = if fair.is_ok() { "kept" } else { "broken" };
    wrong.extend(fair.err().map(|e| format!("first come, first served: {e:#}")));
    let rows = vec![
        ("calls offered", offered.to_string()),
        ("answered", answered.to_string()),
        ("abandoned", format!("{abandoned}, on purpose")),
        ("offers declined", format!("{declined}, on purpose")),
        ("pairs that heard each other's tone", format!("{pairs} of {planned}")),
        ("callers who heard music first", outcome.entertained.to_string()),
        ("wait p50 / p95 / longest", waits_text(&waits)),
        ("first come, first served", order.to_owned()),
    ];
    let agents = by_agent(records).into_iter().map(|(agent, calls)| format!("{agent} {calls}")).collect();
    Ok(Report { rows, agents, wrong })
}

fn declines(step: &&crate::records::Transition) -> bool {
    step.cause.as_deref() == Some("declined")
}

/// Pairs of which the caller heard the agent and this agent heard this caller.
fn matching_pairs(outcome: &Outcome) -> usize {
    outcome
        .heard_by_callers
        .iter()
        .filter(|(caller, agent)| outcome.heard_by_agents.contains(&(*agent, *caller)))
        .count()
}

fn waits_text(sorted: &[u64]) -> String {
    let at = |part: usize| sorted.get((sorted.len() * part).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0);
    let seconds = |ms: u64| format!("{:.1} s", ms as f64 / 1000.0);
    [at(50), at(95), at(100)].map(seconds).join(" / ")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        for (what, value) in &self.rows {
            table.add_row([*what, value]);
        }
        table.add_row(["calls by agent", &self.agents.join(", ")]);
        writeln!(f, "{table}")?;
        if self.wrong.is_empty() {
            return write!(f, "All as planned.");
        }
        write!(f, "Not as planned:")?;
        self.wrong.iter().try_for_each(|wrong| write!(f, "\n  {wrong}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_taken_from_the_sorted_list() {
        let waits: Vec<u64> = (1..=100).map(|n| n * 1000).collect();
        assert_eq!(waits_text(&waits), "50.0 s / 95.0 s / 100.0 s");
        assert_eq!(waits_text(&[700]), "0.7 s / 0.7 s / 0.7 s");
        assert_eq!(waits_text(&[]), "0.0 s / 0.0 s / 0.0 s");
    }

    #[test]
    fn only_mutual_hearing_makes_a_pair() {
        let outcome = Outcome {
            heard_by_callers: vec![(0, 1), (2, 3)],
            heard_by_agents: vec![(1, 0), (3, 4)],
            ..Outcome::default()
        };
        assert_eq!(matching_pairs(&outcome), 1);
    }
}
