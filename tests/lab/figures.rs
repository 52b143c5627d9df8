//! What was measured, beside what must hold: a line for each figure of a fault, over all its repeats.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use serde::Serialize;

/// One figure of one repeat.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// What, in words.
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
    /// More than this is a failure; `None` when it only informs.
    pub(crate) limit: Option<f64>,
    /// What the figure counts, a few of it.
    pub(crate) examples: Vec<String>,
}

/// Examples that are shown.
const EXAMPLES: usize = 3;

impl Figure {
    /// A time, shown in milliseconds.
    pub(crate) fn milliseconds(what: &'static str, value: Duration, limit: Option<Duration>) -> Figure {
        let of = |time: Duration| time.as_secs_f64() * 1e3;
        Figure { what, unit: "ms", value: of(value), limit: limit.map(of), examples: vec![] }
    }

    /// A time, shown in seconds.
    pub(crate) fn seconds(what: &'static str, value: Duration, limit: Option<Duration>) -> Figure {
        let limit = limit.map(|limit| limit.as_secs_f64());
        Figure { what, unit: "s", value: value.as_secs_f64(), limit, examples: vec![] }
    }

    /// How many there were of something that must not be.
    pub(crate) fn none_of(what: &'static str, found: &[String]) -> Figure {
        let examples = found.iter().take(EXAMPLES).cloned().collect();
        Figure { what, unit: "", value: found.len() as f64, limit: Some(0.0), examples }
    }

    /// A number.
    pub(crate) fn count(what: &'static str, value: usize, limit: Option<usize>) -> Figure {
        let limit = limit.map(|limit| limit as f64);
        Figure { what, unit: "", value: value as f64, limit, examples: vec![] }
    }

    /// Whose it is.
    pub(crate) fn of(mut self, whom: Option<String>) -> Figure {
        self.examples.extend(whom);
        self
    }

    pub(crate) fn holds(&self) -> bool {
        self.limit.is_none_or(|limit| self.value <= limit)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, with_unit(self.value, self.unit))?;
        match self.examples.as_slice() {
            [whose] if self.unit != "" => write!(f, " ({whose})"),
            [..] => Ok(()),
        }
    }
}

/// A figure over all repeats.
#[derive(Debug, Serialize)]
struct Line {
    fault: &'static str,
    what: &'static str,
    unit: &'static str,
    limit: Option<f64>,
    values: Vec<f64>,
    examples: Vec<String>,
}

impl Line {
    fn median(&self) -> f64 {
        let mut values = self.values.clone();
        values.sort_by(f64::total_cmp);
        let middle = |at: usize| values.get(at).copied().unwrap_or(f64::NAN);
        (middle((values.len().max(1) - 1) / 2) + middle(values.len() / 2)) / 2.0
    }

    fn worst(&self) -> f64 {
        self.values.iter().copied().fold(0.0, f64::max)
    }

    fn holds(&self) -> bool {
        self.limit.is_none_or(|limit| self.values.iter().all(|value| *value <= limit))
    }

    fn verdict(&self) -> &'static str {
        match (self.limit, self.holds()) {
            (None, _) => "",
            (Some(_), true) => "ok",
            (Some(_), false) => "FAILED",
        }
    }
}

/// All figures of all faults.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    lines: Vec<Line>,
    /// Repeats that could not be brought to their end.
    broken: Vec<(&'static str, String)>,
}

impl Figures {
    /// Adds a repeat.
    pub(crate) fn add(&mut self, fault: &'static str, figures: Vec<Figure>) {
        for Figure { what, unit, value, limit, examples } in figures {
            let line = match self.lines.iter_mut().find(|line| line.fault == fault && line.what == what) {
                Some(line) => line,
                None => {
                    self.lines.push(Line { fault, what, unit, limit, values: vec![], examples: vec![] });
                    self.lines.last_mut().expect("it was just pushed")
                }
            };
            line.values.push(value);
            line.examples.extend(examples);
            line.examples.truncate(EXAMPLES);
        }
    }

    /// Adds a repeat that could not be brought to its end.
    pub(crate) fn add_broken(&mut self, fault: &'static str, why: String) {
        self.broken.push((fault, why));
    }

    /// Whether every limit of every repeat holds.
    pub(crate) fn hold(&self) -> bool {
        self.broken.is_empty() && self.lines.iter().all(Line::holds)
    }

    /// Writes them as JSON.
    pub(crate) fn save(&self, file: &Path, load: &impl Serialize) -> Result<()> {
        let json = serde_json::json!({ "load": load, "figures": self.lines, "broken": self.broken });
        let text = serde_json::to_string_pretty(&json)?;
        std::fs::write(file, text).with_context(|| file.display().to_string())
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(["fault", "", "limit", "median", "worst", "repeats", ""]);
        let mut last = "";
        for line in &self.lines {
            let unit = |value: f64| with_unit(value, line.unit);
            table.add_row([
                if line.fault == last { String::new() } else { line.fault.to_owned() },
                line.what.to_owned(),
                line.limit.map_or_else(String::new, unit),
                unit(line.median()),
                unit(line.worst()),
                line.values.len().to_string(),
                line.verdict().to_owned(),
            ]);
            last = line.fault;
        }
        write!(f, "{table}")?;
        for line in self.lines.iter().filter(|line| !line.holds()) {
            for example in &line.examples {
                write!(f, "\n{}: {}: {example}", line.fault, line.what)?;
            }
        }
        self.broken.iter().try_for_each(|(fault, why)| write!(f, "\n{fault}: FAILED: {why}"))
    }
}

fn with_unit(value: f64, unit: &str) -> String {
    match unit {
        "" => format!("{value:.0}"),
        "ms" => format!("{value:.0} ms"),
        _ => format!("{value:.2} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_repeat_fails_the_line() {
        let mut figures = Figures::default();
        let gap = |ms| Figure::milliseconds("gap", Duration::from_millis(ms), Some(Duration::from_millis(100)));
        for ms in [20, 40, 30] {
            figures.add("x", vec![gap(ms), Figure::count("calls", 7, None)]);
        }
        assert!(figures.hold());
        let line = &figures.lines[0];
        assert_eq!((line.median(), line.worst(), line.verdict()), (30.0, 40.0, "ok"));
        figures.add("x", vec![gap(101), Figure::none_of("lost", &["one".into()])]);
        assert!(!figures.hold());
        let text = figures.to_string();
        assert!(text.contains("FAILED") && text.contains("x: lost: one"), "{text}");
    }

    #[test]
    fn a_repeat_that_broke_off_fails_everything() {
        let mut figures = Figures::default();
        figures.add_broken("x", "no etcd".into());
        assert!(!figures.hold() && figures.to_string().contains("x: FAILED: no etcd"));
    }
}
