//! `carillon-bench`: the workload of this folder, and what it costs, beside the budgets and the peers.

mod cluster;
mod decision;
mod figures;
mod rtpsink;
mod scale;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use figures::Figures;

/// Measures CPU time, memory and latency of the release build under SIPp, everything on loopback.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Subcommand)]
enum What {
    /// CPU per queued call, and the time from the caller's INVITE to the agent's.
    Calls {
        /// Seconds of calls that are measured, after the warm-up.
        #[arg(long, default_value_t = 15)]
        seconds: u64,
        /// Calls a second for the run with 1 s of talk.
        #[arg(long, default_value_t = 100)]
        rate: u64,
    },
    /// CPU and memory of callers who wait with music.
    Waiting {
        /// How many.
        #[arg(long, default_value_t = 1_000)]
        callers: u64,
    },
    /// CPU and memory of bridged calls with audio both ways.
    Bridged {
        /// How many.
        #[arg(long, default_value_t = 100)]
        calls: u64,
    },
    /// What three nodes with an etcd cost more than one, per queued call, and how fast they distribute.
    Cluster {
        /// Seconds of calls that are measured, after the warm-up.
        #[arg(long, default_value_t = 15)]
        seconds: u64,
        /// Calls a second for the run with 1 s of talk.
        #[arg(long, default_value_t = 100)]
        rate: u64,
    },
    /// Time to start, and memory of a center in which nothing happens.
    Startup,
    /// A large center, alone and as a cluster of three nodes of which one is killed: start, memory, take-over; and
    /// changes of its configuration.
    Scale {
        /// Queues, each with a number.
        #[arg(long, default_value_t = 10_000)]
        queues: usize,
        /// Agents, each with a phone.
        #[arg(long, default_value_t = 20_000)]
        agents: usize,
    },
    /// What a decision of a queue costs; reads what the benchmarks of `acd` and `simulate` have measured.
    Decision {
        /// Where it was told to write to, by CRITERION_HOME.
        #[arg(long, env = "CRITERION_HOME", value_name = "DIR")]
        samples: PathBuf,
    },
    /// All that need a running center: startup, calls, waiting and bridged.
    All,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let mut figures = Figures::default();
    match Options::parse().what {
        What::Calls { seconds, rate } => workload::calls(&mut figures, seconds, rate).await?,
        What::Waiting { callers } => workload::waiting(&mut figures, callers).await?,
        What::Bridged { calls } => workload::bridged(&mut figures, calls).await?,
        What::Cluster { seconds, rate } => cluster::cluster(&mut figures, seconds, rate).await?,
        What::Startup => workload::startup(&mut figures).await?,
        What::Scale { queues, agents } => scale::scale(&mut figures, scale::Size { queues, agents }).await?,
        What::Decision { samples } => decision::decision(&mut figures, &samples)?,
        What::All => {
            workload::startup(&mut figures).await?;
            workload::calls(&mut figures, 15, 100).await?;
            workload::waiting(&mut figures, 1_000).await?;
            workload::bridged(&mut figures, 100).await?;
        }
    }
    println!("{figures}");
    let file = figures.save()?;
    println!("written to {}", file.display());
    Ok(if figures.within_budget() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
