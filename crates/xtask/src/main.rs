//! `cargo xtask …`: what a person and the CI call. It installs what is missing, builds, and runs the programs of `tests/`;
//! it knows nothing of SIP itself, so that it builds in seconds.

mod cargo;
mod purity;
mod simulate;
mod tools;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::cargo::{Tests, cargo, release_binary, target_folder, test_counted, test_twice};

/// The variable that tells the programs of `tests/` where the product is.
const PRODUCT: &str = "CARILLON_BIN";

/// The program of `tests/` that measures.
const BENCH: &str = "carillon-bench";

/// The program of `tests/` that breaks a cluster.
const LAB: &str = "carillon-lab";

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Carillon's developer commands")]
struct Xtask {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the tests need, then run all of them and say how many there were.
    Test,
    /// Build, start `carillon dev`, and run a small day of 8 agents and 40 callers against it.
    Demo {
        /// Plain lines instead of the live view.
        #[arg(long)]
        plain: bool,
    },
    /// Format, clippy without warnings, purity.
    Lint,
    /// The pure crates have no runtime, clock or randomness, and dependencies point the right way.
    Purity,
    /// Run small days of random centers in a storm, and check that no promise is broken; or the deliberate mistakes, or
    /// the comparison with queueing theory; or days of several nodes whose cluster code is the product's.
    Simulate {
        /// Nodes, links and a coordinator in trouble, instead of the machines alone.
        #[arg(long, conflicts_with_all = ["theory", "loss"])]
        cluster: bool,
        /// How many days.
        #[arg(long, value_name = "N", conflicts_with_all = ["mutants", "theory"])]
        seeds: Option<u64>,
        /// The first day, or the only one when --seeds is not given.
        #[arg(long, value_name = "S", conflicts_with_all = ["mutants", "theory"])]
        seed: Option<u64>,
        /// Lost messages of a hundred; by default 0, 5 and 20 take turns.
        #[arg(long, value_name = "PERCENT", conflicts_with_all = ["mutants", "theory"])]
        loss: Option<u8>,
        /// Print everything that happens.
        #[arg(long, requires = "seed")]
        trace: bool,
        /// Make deliberate mistakes in the machines; each must be found.
        #[arg(long, conflicts_with = "theory")]
        mutants: bool,
        /// Compare waits and service levels with Erlang C, over a million calls each.
        #[arg(long)]
        theory: bool,
    },
    /// Measure against the budgets and the peers: calls, waiting, bridged, startup, or all; a large center (scale); or what a
    /// decision costs.
    Bench {
        /// What to measure, and options for it; see `cargo xtask bench -- --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, default_value = "all")]
        arguments: Vec<String>,
    },
    /// Break a cluster under load in a network of its own, and measure what callers and agents notice. Needs root.
    Lab {
        /// Which faults, how often, and under which load; see `cargo xtask lab -- --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> Result<()> {
    match Xtask::parse().command {
        Command::Test => test(),
        Command::Demo { plain } => {
            let binary = build_for("carillon-demo")?;
            let plain: &[&str] = if plain { &["--plain"] } else { &[] };
            cargo::run_built("carillon-demo", plain, &[(PRODUCT, binary.as_os_str())])
        }
        Command::Lint => lint(),
        Command::Purity => purity::check(),
        Command::Simulate { cluster: true, seeds, seed, trace, mutants, .. } => {
            tools::install(&tools::PROTOCOL)?;
            simulate::cluster_days(seeds, seed, trace, mutants)
        }
        Command::Simulate { mutants: true, .. } => simulate::mutants(),
        Command::Simulate { theory: true, .. } => simulate::theory(),
        Command::Simulate { seeds, seed, loss, trace, .. } => simulate::days(seeds, seed, loss, trace),
        Command::Lab { arguments } => lab(&arguments),
        Command::Bench { arguments } if arguments == ["decision"] => decision(),
        Command::Bench { arguments } => {
            tools::install(&[tools::SIPP, tools::CC, tools::ETCD])?;
            let binary = build_for(BENCH)?;
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            cargo::run_built(BENCH, &arguments, &[(PRODUCT, binary.as_os_str())])
        }
    }
}

/// The lab's phones are optimised, because 300 of them share the machine with the cluster that they measure.
fn lab(arguments: &[String]) -> Result<()> {
    tools::install(&tools::PROTOCOL)?;
    tools::install(&[tools::ETCD, tools::ETCDCTL])?;
    tools::install(&tools::LAB)?;
    let binary = release_binary()?;
    let optimised = "profile.dev.package.carillon-tests.opt-level=2";
    cargo(&["build", "--package", "carillon-tests", "--bin", LAB, "--config", optimised], &[])?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    cargo::run_built(LAB, &arguments, &[(PRODUCT, binary.as_os_str())])
}

/// Decisions are measured without the product: the pure machines alone, with nothing around them.
fn decision() -> Result<()> {
    let samples = target_folder()?.join("bench").join("criterion");
    if samples.exists() {
        // Figures of benchmarks that do not exist any more.
        std::fs::remove_dir_all(&samples).with_context(|| samples.display().to_string())?;
    }
    let environment = [("CRITERION_HOME", samples.as_os_str())];
    cargo(&["bench", "--package", "carillon-acd", "--bench", "decision"], &environment)?;
    cargo(&["bench", "--package", "carillon-simulate", "--bench", "day"], &environment)?;
    build_driver(BENCH)?;
    cargo::run_built(BENCH, &["decision"], &environment)
}

/// Builds the product as it is shipped, and the program of `tests/` that drives it. Returns the product.
fn build_for(driver: &str) -> Result<PathBuf> {
    tools::install(&tools::PROTOCOL)?;
    let binary = release_binary()?;
    build_driver(driver)?;
    Ok(binary)
}

fn build_driver(driver: &str) -> Result<()> {
    cargo(&["build", "--package", "carillon-tests", "--bin", driver], &[])
}

/// Unit tests run on the debug build, with its overflow checks; the suites of `tests/` run against the release build, which
/// demo and bench use too, because 200 phones on two cores leave no room for an unoptimised one.
fn test() -> Result<()> {
    tools::install(&tools::PROTOCOL)?;
    tools::install(&[tools::SIPP, tools::BARESIP, tools::ETCD])?;
    let mut all = Tests::default();
    all += test_counted(&["test", "--workspace", "--exclude", "carillon-tests"], &[])?;
    let binary = release_binary()?;
    let environment = [(PRODUCT, binary.as_os_str())];
    // One at a time: they share two cores with hundreds of phones.
    let phones = ["test", "--package", "carillon-tests", "--no-fail-fast", "--", "--test-threads=1"];
    all += test_twice(&phones, &environment)?;
    println!("\n{all}");
    Ok(())
}

fn lint() -> Result<()> {
    tools::install(&tools::PROTOCOL)?;
    cargo(&["fmt", "--all", "--check"], &[])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])?;
    purity::check()
}
