//! Carillon: an open-source contact center that runs as a cluster. A library only so that simulations can run the very code
//! that makes a node one of a cluster: see [`cluster`].

mod cli;
pub mod cluster;
mod configuration;
mod drain;
mod log;
mod metrics;
mod node;
mod objects;
mod options;
mod seal;
mod serve;
mod vitals;
mod wishes;

use std::process::ExitCode;

use clap::Parser;

use options::{DevOptions, ServeOptions};

/// An open-source contact center: callers come in over SIP, wait in queues, agents answer on SIP phones.
#[derive(Parser)]
#[command(version, about, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Run a node with a center of yours: everything in one process, nothing else to install.
    Serve(ServeOptions),
    /// Run a node with a built-in example center, and print what to dial.
    Dev(DevOptions),
    #[command(flatten)]
    Client(Box<cli::Command>),
}

/// The program: reads its arguments and does what they say.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(options) => serve::serve(options),
        Command::Dev(options) => serve::dev(options),
        Command::Client(command) => cli::run(*command),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
