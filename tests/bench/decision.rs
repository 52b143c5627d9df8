//! What a decision of a queue costs, and a day of decisions: the samples of `crates/acd/benches/decision.rs` and
//! `crates/simulate/benches/day.rs`, which criterion has just taken, beside the budgets.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use comfy_table::{Table, presets};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::figures::{Figures, Measure};

/// The benchmark's groups: the two decisions, the first of them in two situations.
const ARRIVES_AND_WAITS: &str = "a caller arrives and waits";
const ARRIVES_AND_RINGS: &str = "a caller arrives and gets an agent";
const BECOMES_FREE: &str = "an agent becomes free";
const GROWTH: &str = "a decision with all around it";
const DAY: &str = "a simulated day";

/// What grows with the logarithm does not grow more than this from 100 callers to 100,000.
const LOGARITHMIC: f64 = 2.5;

/// One benchmark, as criterion names it.
#[derive(Deserialize)]
struct Benchmark {
    group_id: String,
    function_id: String,
    value_str: Option<String>,
}

/// How often it ran in each sample, and for how many nanoseconds.
#[derive(Deserialize)]
struct Samples {
    iters: Vec<f64>,
    times: Vec<f64>,
}

impl Samples {
    /// Of the fastest sample: whatever the others took more, other programs took from the caches.
    fn microseconds(&self) -> f64 {
        self.times.iter().zip(&self.iters).map(|(time, n)| time / n / 1e3).fold(f64::INFINITY, f64::min)
    }
}

/// Microseconds by strategy.
type Costs = BTreeMap<String, f64>;

/// Microseconds by strategy, agents and callers.
type Growth = BTreeMap<String, BTreeMap<(u64, u64), f64>>;

/// Adds the figures of the last run of the benchmark, which wrote to `folder`.
pub(crate) fn decision(figures: &mut Figures, folder: &Path) -> Result<()> {
    figures.begin("decision");
    let mut costs: BTreeMap<String, Costs> = BTreeMap::new();
    let mut growth = Growth::new();
    for folder in benchmarks(folder)? {
        let Benchmark { group_id, function_id, value_str } = read(&folder.join("benchmark.json"))?;
        let cost = read::<Samples>(&folder.join("sample.json"))?.microseconds();
        match (group_id.strip_prefix(GROWTH), value_str) {
            (Some(strategy), Some(callers)) => {
                let size = (function_id.parse()?, callers.parse()?);
                growth.entry(strategy.trim_start_matches([',', ' ']).to_owned()).or_default().insert(size, cost);
            }
            _ => drop(costs.entry(group_id).or_default().insert(function_id, cost)),
        }
    }
    let of = |group: &str| costs.get(group).with_context(|| format!("no benchmark {group:?} in {}", folder.display()));
    let (free, waits) = (of(BECOMES_FREE)?, of(ARRIVES_AND_WAITS)?);
    for (group, costs) in
        [(BECOMES_FREE, free), (ARRIVES_AND_WAITS, waits), (ARRIVES_AND_RINGS, of(ARRIVES_AND_RINGS)?)]
    {
        for (strategy, cost) in costs {
            figures.add(measure(format!("{group}: {strategy}"), "µs", 5.0, 1.0), *cost);
        }
    }
    for (strategy, free) in free {
        let waits = waits.get(strategy).with_context(|| format!("{strategy} has no {ARRIVES_AND_WAITS:?}"))?;
        let cost = (free + waits) / 2.0;
        figures.add(measure(format!("a million decisions: {strategy}"), "s", 1.0, 0.75), cost);
        figures.note(format!("{strategy}: {:.2} million decisions a second", 1.0 / cost));
    }
    for (day, cost) in of(DAY)? {
        figures.add(measure(format!("{DAY}: {day}"), "s", 10.0, 5.0), cost / 1e6);
    }
    add_growth(figures, &growth)
}

fn add_growth(figures: &mut Figures, growth: &Growth) -> Result<()> {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    ensure!(!growth.is_empty(), "no benchmark {GROWTH:?}");
    for (strategy, costs) in growth {
        let (smallest, largest) = costs.values().next().zip(costs.values().next_back()).context("no sizes")?;
        let name = format!("1,000 times the callers and agents: {strategy}");
        figures.add(measure(name, "times the cost", LOGARITHMIC, 2.0), largest / smallest);
        let mut rows: BTreeMap<u64, Vec<(u64, f64)>> = BTreeMap::new();
        for ((agents, callers), cost) in costs {
            rows.entry(*agents).or_default().push((*callers, *cost));
        }
        for (agents, row) in rows {
            if table.header().is_none() {
                let callers = row.iter().map(|(callers, _)| format!("{callers} callers"));
                table.set_header(["strategy".to_owned(), "agents".to_owned()].into_iter().chain(callers));
            }
            let costs = row.iter().map(|(_, cost)| format!("{cost:.2} µs"));
            table.add_row([strategy.clone(), agents.to_string()].into_iter().chain(costs));
        }
    }
    figures.note(format!(
        "{GROWTH}: everything that a queue does for a call (entry, offer, connection, the agent's words), divided by two\n{table}"
    ));
    Ok(())
}

fn measure(name: String, unit: &'static str, budget: f64, aim: f64) -> Measure {
    Measure { name: name.into(), unit, budget, aim, asterisk: None, freeswitch: None }
}

/// The folders below in which criterion keeps a benchmark's newest run.
fn benchmarks(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() && path.ends_with("new") {
            found.push(path);
        } else if path.is_dir() {
            found.extend(benchmarks(&path)?);
        }
    }
    Ok(found)
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let text = fs::read(file).with_context(|| file.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_sample_counts() {
        let samples = Samples { iters: vec![10.0, 10.0], times: vec![9_000.0, 8_000.0] };
        assert!((samples.microseconds() - 0.8).abs() < 1e-9);
    }
}
