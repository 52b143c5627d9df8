//! `carillon-demo`: starts `carillon dev` and lets a small day happen in it. Ends with 0 only when all was as planned.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use carillon_tests::center;
use carillon_tests::day::{self, Day, Report, View};
use carillon_tests::real::{Block, Carillon, Launch};
use carillon_tests::records;
use clap::Parser;
use tokio::sync::mpsc;

/// A small day in the example center: 8 agents, 40 callers.
#[derive(Parser)]
struct Options {
    /// Plain lines instead of the live view.
    #[arg(long)]
    plain: bool,
}

/// Enough for a queue to form and empty again, and for every agent to get calls.
const CALLERS: usize = 40;
/// The whole day may take this long; then something hangs.
const DEADLINE: Duration = Duration::from_secs(110);

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let report = tokio::time::timeout(DEADLINE, spend_the_day(&options)).await;
    let report = report.with_context(|| format!("the day did not end within {DEADLINE:?}"))??;
    println!("\n{report}");
    Ok(if report.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn spend_the_day(options: &Options) -> Result<Report> {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/center/center.yaml");
    let yaml = std::fs::read_to_string(&example).with_context(|| example.display().to_string())?;
    let day = Arc::new(Day::small(&center::accounts(&yaml)?, CALLERS));
    let block = Block::fresh();
    let center = Carillon::start(Launch::dev(block)).await?;
    println!(
        "carillon dev speaks SIP on {} and its API on {} (ready after {:.2} s)",
        center.sip,
        center.api,
        center.start_up.as_secs_f64()
    );
    let (tell, happenings) = mpsc::channel(64);
    let plain = options.plain || !std::io::stdout().is_terminal();
    let view = tokio::spawn(View::new(day.clone()).show(happenings, plain));
    let outcome = day::run(&center, block, day.clone(), tell).await?;
    view.await.context("the view")?.context("the view")?;
    let records = records::all(&center, day.visits.len(), Duration::from_secs(10)).await?;
    let queue = center.cli_json(&["get", "queues", "support", "-o", "json"]).await?;
    let mut report = day::report(&day, &outcome, &records, &queue)?;
    report.wrong.extend(center.stop().await.err().map(|e| format!("the end: {e:#}")));
    Ok(report)
}
