//! `carillon simulate`: what another configuration would do with a day's calls. The machines that decide are those of
//! `carillon serve`; only the clock, the callers and the phones are made up.

mod load;
mod replay;
mod report;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use carillon_acd::ids::NumberId;
use carillon_acd::leg::Source;
use carillon_acd::stats::{Books, Definitions, of_record};
use carillon_simulate::center::{Arrival, Center, Habits};
use carillon_simulate::day;
use carillon_store::config;
use clap::Args;

use super::output::Output;
use crate::objects::objects;

/// Which day, and what to do with it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  carillon simulate --center center.yaml --load monday.yaml
  carillon records --since 2026-11-19 --until 2026-11-20 --limit 0 -o json > thursday.json
  carillon simulate --center new-center.yaml --replay thursday.json")]
pub(crate) struct SimulateArgs {
    /// The configuration to try: a YAML file, or a folder of them.
    #[arg(long, value_name = "DIR|FILE")]
    center: PathBuf,

    /// Made-up callers: a YAML file as described in docs/simulate.md.
    #[arg(long, value_name = "FILE", required_unless_present = "replay", conflicts_with = "replay")]
    load: Option<PathBuf>,

    /// Yesterday's callers: what `carillon records --limit 0 -o json` wrote.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,

    /// How long a phone rings until an agent answers it. Default: what the load file says, or 4s.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    answer_after: Option<Duration>,

    /// Chooses another day of the same kind.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// The form of the answer.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    let loaded = config::load(&args.center)?;
    let tables = objects(&loaded.center)?;
    let center =
        Center { routing: Arc::new(tables.routing), calls: tables.calls, queues: tables.queues, agents: tables.agents };
    let mut day = match (&args.load, &args.replay) {
        (Some(file), _) => load::read(&loaded.center, &text(file)?, args.seed).with_context(|| in_file(file))?,
        (None, Some(file)) => {
            replayed(&loaded.center, &tables.definitions, &text(file)?, args.seed).with_context(|| in_file(file))?
        }
        (None, None) => anyhow::bail!("give --load or --replay"),
    };
    if let Some(answer_after) = args.answer_after {
        day.habits.answer_after = answer_after;
    }
    anyhow::ensure!(!day.arrivals.is_empty(), "nobody calls on this day");
    let calls = day.arrivals.len();
    let result = day::run(&center, &tables.definitions, &day.habits, day.arrivals.into_iter(), args.seed, |_record| {});
    report::write(&mut io::stdout().lock(), args.output, calls, day.original.as_ref(), &result.books)
}

/// A day to simulate.
struct Day {
    arrivals: Vec<Arrival>,
    habits: Habits,
    /// What happened on the real day, when there was one.
    original: Option<Books>,
}

fn text(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn in_file(file: &Path) -> String {
    format!("in {}", file.display())
}

/// The trunk that a number is called through.
fn source(center: &config::Center, number: &NumberId) -> Option<Source> {
    let number = center.numbers.iter().find(|n| n.id == *number)?;
    Some(Source::Trunk(number.trunk.clone()))
}

fn replayed(center: &config::Center, definitions: &Definitions, text: &str, seed: u64) -> anyhow::Result<Day> {
    let records = replay::read(text)?;
    let mut original = Books::default();
    records.iter().flat_map(|record| of_record(definitions, record)).for_each(|fact| original.post(&fact));
    let arrivals = carillon_simulate::replay::arrivals(&records, |number| source(center, number), seed);
    Ok(Day { arrivals, habits: Habits::default(), original: Some(original) })
}
