//! `carillon-lab`: the fault matrix of a cluster, with measured times. It makes a network of its own in namespaces, runs
//! three servers of etcd, three edges and three owners there with callers and agents, lets something break, and holds what
//! the phones saw against the records and the views of all nodes.

mod agents;
mod callers;
mod check;
mod cluster;
mod delay;
mod diary;
mod faults;
mod figures;
mod journal;
mod measure;
mod network;
mod scene;
mod servers;
mod world;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::faults::Fault;
use crate::figures::Figures;
use crate::scene::{Load, Scene};

/// Breaks a cluster under load, one fault after the other, and measures what callers and agents notice of it.
#[derive(Parser)]
#[command(name = "carillon-lab")]
struct Options {
    #[command(subcommand)]
    other: Option<Other>,

    /// Only these faults. Default: all of them.
    #[arg(long, value_enum, num_args = 1.., value_name = "FAULT")]
    only: Vec<Fault>,

    /// The small form for every change: three faults, twice, with less load, in less than four minutes. Where
    /// no namespaces can be made it says so and succeeds.
    #[arg(long, conflicts_with_all = ["only", "calls_per_second", "waiting", "talking"])]
    ci: bool,

    /// Print the faults and what they are, and end.
    #[arg(long)]
    list: bool,

    /// How often each fault is repeated.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,

    /// Calls that are served each second.
    #[arg(long, default_value_t = 20.0, value_name = "N")]
    calls_per_second: f64,

    /// Callers who wait.
    #[arg(long, default_value_t = 200, value_name = "N")]
    waiting: usize,

    /// Agents, all of whom talk.
    #[arg(long, default_value_t = 100, value_name = "N")]
    talking: usize,

    /// For how many seconds all of etcd is frozen.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(6..=110))]
    outage: u64,

    /// Write all figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Keep the folders with the logs of all servers and what the phones saw, and say where they are. They are kept when
    /// something fails, too.
    #[arg(long)]
    keep: bool,

    /// The process that removes the namespaces in the end: this one runs within them.
    #[arg(long, hide = true)]
    within: Option<u32>,
}

#[derive(Clone, Subcommand)]
enum Other {
    /// Make the packets of this namespace late.
    #[command(hide = true)]
    Delay {
        #[arg(long)]
        milliseconds: u64,
    },
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if let Some(Other::Delay { milliseconds }) = options.other {
        delay::run(Duration::from_millis(milliseconds))?;
        return Ok(ExitCode::SUCCESS);
    }
    if options.list {
        for fault in Fault::value_variants() {
            let help = fault.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string));
            println!("{:<20} {}", fault.name(), help.unwrap_or_default());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let options = if options.ci { options.small() } else { options };
    let load = options.load()?;
    let runtime = tokio::runtime::Runtime::new().context("the runtime")?;
    match options.within {
        None => runtime.block_on(outside(options.ci)),
        Some(lab) => runtime.block_on(inside(lab, &options, load)),
    }
}

impl Options {
    fn small(self) -> Options {
        let only = vec![Fault::QueueOwnerKilled, Fault::AgentOwnerKilled, Fault::CutOff];
        Options { only, calls_per_second: 8.0, waiting: 60, talking: 40, ..self }
    }

    fn load(&self) -> Result<Load> {
        let rate = self.calls_per_second;
        ensure!(
            (0.1..=200.0).contains(&rate),
            "--calls-per-second {rate}: between 0.1 and 200, or the phones are the bottleneck"
        );
        ensure!((1..=999).contains(&self.talking), "--talking {}: between 1 and 999", self.talking);
        ensure!(self.waiting <= 2_000, "--waiting {}: at most 2000", self.waiting);
        let talk = self.talking as f64 / rate;
        ensure!(
            talk >= 1.0,
            "{} agents serve {rate} calls a second only if they talk for {talk:.1} s; give --talking {} or more",
            self.talking,
            rate.ceil()
        );
        Ok(Load { calls_per_second: rate, waiting: self.waiting, talking: self.talking, outage_seconds: self.outage })
    }

    fn faults(&self) -> Vec<Fault> {
        if self.only.is_empty() { Fault::value_variants().to_vec() } else { self.only.clone() }
    }
}

/// Makes the namespaces, runs this program again inside of them, and removes them, whatever happens to it.
async fn outside(may_skip: bool) -> Result<ExitCode> {
    let root = Path::new("/proc/self").metadata().context("/proc/self")?.uid() == 0;
    let possible = if root { network::is_possible().await } else { Err(anyhow::anyhow!("this is not root")) };
    if let Err(error) = possible {
        ensure!(may_skip, "the lab makes network namespaces and packet filters of its own: run it as root ({error:#})");
        println!("skipped, the lab can make no network namespaces here: {error:#}");
        return Ok(ExitCode::SUCCESS);
    }
    let left_over = network::remove_left_overs().await?;
    if left_over > 0 {
        println!("removed what {left_over} earlier labs had left behind");
    }
    let lab = std::process::id();
    let made = network::make(lab, cluster::NODES, cluster::ETCDS).await;
    let end = match made {
        Ok(()) => run_inside(lab).await,
        Err(error) => Err(error),
    };
    network::remove(lab).await?;
    end
}

async fn run_inside(lab: u32) -> Result<ExitCode> {
    let own = std::env::current_exe().context("this program's path")?;
    // Phones that come late would hear gaps that are not there: they, and what they measure, go first on a busy machine.
    let mut inner = Command::new("setsid")
        .args(["nice", "-n", FIRST, "ip", "netns", "exec", &network::middle(lab)])
        .arg(own)
        .args(std::env::args_os().skip(1))
        .args(["--within", &lab.to_string()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("starting in the namespace")?;
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt()).context("SIGINT")?, signal(SignalKind::terminate()).context("SIGTERM")?);
    tokio::select! {
        status = inner.wait() => {
            let code = status.context("the lab")?.code().and_then(|code| u8::try_from(code).ok());
            return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
        }
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    inner.kill().await.context("ending the lab")?;
    println!("interrupted");
    Ok(ExitCode::FAILURE)
}

/// How nice the lab is, in words of nice(1).
const FIRST: &str = "-10";

/// Everything else.
async fn inside(lab: u32, options: &Options, load: Load) -> Result<ExitCode> {
    // Where sessions are scheduled as groups (sched(7), autogroup), niceness counts within a session only.
    let _no_groups = std::fs::write("/proc/self/autogroup", FIRST);
    let orphaned = async {
        // Whoever removes the namespaces is gone: the next lab removes them.
        while std::os::unix::process::parent_id() == lab {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        end = matrix(lab, options, load) => end,
        () = orphaned => anyhow::bail!("the lab's other half has ended"),
    }
}

async fn matrix(lab: u32, options: &Options, load: Load) -> Result<ExitCode> {
    let folder = TempDir::with_prefix("carillon-lab-").context("a temporary folder")?;
    let mut figures = Figures::default();
    let began = Instant::now();
    for fault in options.faults() {
        row(lab, folder.path(), fault, options.repeat, load, &mut figures).await;
    }
    println!("{figures}");
    println!(
        "{} faults, {} repeats each, in {:.0} s",
        options.faults().len(),
        options.repeat,
        began.elapsed().as_secs_f64()
    );
    if let Some(file) = &options.json {
        figures.save(file, &load)?;
    }
    if options.keep || !figures.hold() {
        println!("logs are in {}", folder.keep().display());
    }
    Ok(if figures.hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All repeats of a fault on one cluster; a repeat that breaks off is followed by one on a new cluster.
async fn row(lab: u32, folder: &Path, fault: Fault, repeats: u32, load: Load, figures: &mut Figures) {
    let mut scene: Option<Scene> = None;
    for turn in 0..repeats as usize {
        let began = Instant::now();
        let outcome = async {
            let mut running = match scene.take() {
                Some(scene) => scene,
                None => {
                    Scene::start(lab, folder.join(format!("{}-{turn}", fault.name())), load, fault.needs_clock())
                        .await?
                }
            };
            let measured = running.repeat(fault, turn).await?;
            anyhow::Ok((running, measured))
        };
        match outcome.await {
            Ok((running, measured)) => {
                let line: Vec<String> =
                    measured.iter().map(|f| format!("{f}{}", if f.holds() { "" } else { " FAILED" })).collect();
                println!(
                    "{} {}: {} ({:.0} s)",
                    fault.name(),
                    turn + 1,
                    line.join(" · "),
                    began.elapsed().as_secs_f64()
                );
                for figure in measured.iter().filter(|figure| !figure.holds()) {
                    figure.examples.iter().for_each(|example| println!("    {}: {example}", figure.what));
                }
                figures.add(fault.name(), measured);
                scene = Some(running);
            }
            Err(error) => {
                println!("{} {}: FAILED: {error:#}", fault.name(), turn + 1);
                figures.add_broken(fault.name(), format!("{error:#}"));
            }
        }
    }
}
