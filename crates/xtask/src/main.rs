//! `cargo xtask …`: what a person and the CI call. It installs what is missing, builds, and runs the programs of `tests/`;
//! it knows nothing of SIP itself, so that it builds in seconds.

mod cargo;
mod purity;
mod tools;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::cargo::{Tests, cargo, release_binary, test_counted};

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
    /// Measure against the budgets and the peers: calls, waiting, bridged, startup, or all.
    Bench {
        /// What to measure, and options for it; see `cargo xtask bench -- --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, default_value = "all")]
        arguments: Vec<String>,
    },
}

fn main() -> Result<()> {
    match Xtask::parse().command {
        Command::Test => test(),
        Command::Demo { plain } => {
            let binary = build_for("carillon-demo")?;
            let plain: &[&str] = if plain { &["--plain"] } else { &[] };
            cargo::run_built("carillon-demo", plain, &binary)
        }
        Command::Lint => lint(),
        Command::Purity => purity::check(),
        Command::Bench { arguments } => {
            tools::install(&[tools::SIPP, tools::CC])?;
            let binary = build_for("carillon-bench")?;
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            cargo::run_built("carillon-bench", &arguments, &binary)
        }
    }
}

/// Builds the product as it is shipped, and the program of `tests/` that drives it. Returns the product.
fn build_for(driver: &str) -> Result<PathBuf> {
    let binary = release_binary()?;
    cargo(&["build", "--package", "carillon-tests", "--bin", driver], &[])?;
    Ok(binary)
}

/// Unit tests run on the debug build, with its overflow checks; the suites of `tests/` run against the release build, which
/// demo and bench use too, because 200 phones on two cores leave no room for an unoptimised one.
fn test() -> Result<()> {
    tools::install(&[tools::SIPP, tools::BARESIP])?;
    let mut all = Tests::default();
    all += test_counted(&["test", "--workspace", "--exclude", "carillon-tests"], &[])?;
    let binary = release_binary()?;
    let environment = [("CARILLON_BIN", binary.as_os_str())];
    // One at a time: they share two cores with hundreds of phones.
    all += test_counted(&["test", "--package", "carillon-tests", "--", "--test-threads=1"], &environment)?;
    println!("\n{all}");
    Ok(())
}

fn lint() -> Result<()> {
    cargo(&["fmt", "--all", "--check"], &[])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])?;
    purity::check()
}
