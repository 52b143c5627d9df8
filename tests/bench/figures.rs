//! Figures beside their budgets and the peers'.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use serde::Serialize;

/// What is measured, with the first budget, the aim, and what Asterisk 22 and FreeSWITCH 1.10 need for the same workload on
/// a machine of the same class (2 cores, everything on loopback).
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measure {
    /// What.
    pub(crate) name: Cow<'static, str>,
    /// In which unit; less is better for all of them.
    pub(crate) unit: &'static str,
    /// More than this is a defect.
    pub(crate) budget: f64,
    /// What it should come to.
    pub(crate) aim: f64,
    /// Asterisk's figure.
    pub(crate) asterisk: Option<f64>,
    /// FreeSWITCH's figure.
    pub(crate) freeswitch: Option<f64>,
}

const fn measure(
    name: &'static str,
    unit: &'static str,
    budget: f64,
    aim: f64,
    asterisk: f64,
    freeswitch: f64,
) -> Measure {
    let name = Cow::Borrowed(name);
    Measure { name, unit, budget, aim, asterisk: Some(asterisk), freeswitch: Some(freeswitch) }
}

pub(crate) const CALL_1S: Measure = measure("queued call, 1 s talk, 100 calls/s: CPU", "ms", 1.0, 0.5, 4.9, 15.7);
pub(crate) const CALL_5S: Measure = measure("queued call, 5 s talk, 20 calls/s: CPU", "ms", 1.0, 0.5, 7.6, 32.0);
pub(crate) const LATENCY_P50: Measure = measure("caller's INVITE to agent's INVITE, p50", "ms", 3.0, 1.0, 2.4, 186.0);
pub(crate) const LATENCY_P99: Measure = measure("caller's INVITE to agent's INVITE, p99", "ms", 10.0, 4.0, 6.7, 720.0);
pub(crate) const WAITING_CPU: Measure =
    measure("waiting caller with music: CPU of a core", "%", 0.02, 0.0125, 0.15, 0.24);
pub(crate) const WAITING_MEMORY: Measure = measure("waiting caller: memory", "KB", 30.0, 15.0, 148.0, 460.0);
pub(crate) const BRIDGED_CPU: Measure =
    measure("bridged call, audio both ways: CPU of a core", "%", 0.06, 0.035, 0.14, 0.29);
pub(crate) const BRIDGED_MEMORY: Measure = measure("bridged call: memory", "KB", 60.0, 30.0, 335.0, 820.0);
pub(crate) const START_UP: Measure = measure("start-up", "s", 0.5, 0.2, 0.07, 1.7);
pub(crate) const IDLE_MEMORY: Measure = measure("idle memory", "MB", 30.0, 20.0, 28.0, 34.0);

/// A figure of a cluster: nobody else has one to compare with.
const fn own(name: &'static str, unit: &'static str, budget: f64, aim: f64) -> Measure {
    Measure { name: Cow::Borrowed(name), unit, budget, aim, asterisk: None, freeswitch: None }
}

pub(crate) const CLUSTER_1S: Measure = own("3 nodes instead of 1, 100 calls/s: CPU more per call", "ms", 0.3, 0.15);
pub(crate) const CLUSTER_5S: Measure = own("3 nodes instead of 1, 20 calls/s: CPU more per call", "ms", 0.3, 0.15);
pub(crate) const CLUSTER_P50: Measure = own("3 nodes: caller's INVITE to agent's INVITE, p50", "ms", 10.0, 2.0);
pub(crate) const CLUSTER_P99: Measure = own("3 nodes: caller's INVITE to agent's INVITE, p99", "ms", 20.0, 8.0);

/// The figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    name: Vec<&'static str>,
    rows: Vec<(Measure, f64)>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    measure: &'a Measure,
    figure: f64,
}

impl Figures {
    /// Begins a group, which names the file.
    pub(crate) fn begin(&mut self, name: &'static str) {
        println!("measuring {name}");
        self.name.push(name);
    }

    /// Adds a figure.
    pub(crate) fn add(&mut self, measure: Measure, figure: f64) {
        self.rows.push((measure, figure));
    }

    /// Adds a line under the table.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Whether no figure is above its budget.
    pub(crate) fn within_budget(&self) -> bool {
        self.rows.iter().all(|(measure, figure)| *figure <= measure.budget)
    }

    /// Writes them as JSON to `bench/` in the target folder.
    pub(crate) fn save(&self) -> Result<PathBuf> {
        let own = std::env::current_exe().context("this program's path")?;
        let target = own.ancestors().nth(2).context("the target folder")?;
        let folder = target.join("bench");
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let file = folder.join(format!("{}.json", self.name.join("-")));
        let rows: Vec<Row<'_>> = self.rows.iter().map(|(measure, figure)| Row { measure, figure: *figure }).collect();
        let json = serde_json::to_string_pretty(&serde_json::json!({ "figures": rows, "notes": self.notes }))?;
        std::fs::write(&file, json).with_context(|| file.display().to_string())?;
        Ok(file)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(["", "Carillon", "budget", "", "ratio", "aim", "Asterisk", "ratio", "FreeSWITCH", "ratio"]);
        for (measure, figure) in &self.rows {
            let with_unit = |value: f64| format!("{} {}", short(value), measure.unit);
            let peer = |value: Option<f64>| value.map_or_else(String::new, with_unit);
            let ratio = |value: Option<f64>| value.map_or_else(String::new, |v| format!("1 : {}", short(v / figure)));
            table.add_row([
                measure.name.to_string(),
                with_unit(*figure),
                with_unit(measure.budget),
                if *figure <= measure.budget { "met" } else { "MISSED" }.to_owned(),
                ratio(Some(measure.budget)),
                with_unit(measure.aim),
                peer(measure.asterisk),
                ratio(measure.asterisk),
                peer(measure.freeswitch),
                ratio(measure.freeswitch),
            ]);
        }
        write!(f, "{table}")?;
        self.notes.iter().try_for_each(|note| write!(f, "\n{note}"))
    }
}

/// Three digits, whatever the size.
fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
