//! The commands that look at a running center and steer it: clients of the API, nothing more.

mod agent;
mod api;
mod apply;
mod board;
mod cluster;
mod config;
mod explain;
mod get;
mod hang_up;
mod missing;
mod output;
mod records;
mod row;
mod simulate;
mod stats;
mod watch;
mod when;

use std::io;
use std::process::ExitCode;

/// What a person can ask of a running center.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Show agents, queues or calls as they are now, and what is configured.
    Get(get::GetArgs),
    /// Change the configuration of a running center, and show what changed.
    Apply(apply::ApplyArgs),
    /// Change what an agent wants, end his wrap-up, log him in to or out of a queue.
    Agent(agent::AgentArgs),
    /// Say why: what decides in a queue, why an agent was offered a call or is not, how a call went.
    Explain(explain::ExplainArgs),
    /// End a call, whatever its stage.
    HangUp(hang_up::HangUpArgs),
    /// Show queues and agents live.
    Watch(watch::WatchArgs),
    /// Show what happened to the calls that are over.
    Records(records::RecordsArgs),
    /// Show service levels, waits and occupancy, live or for any period.
    Stats(stats::StatsArgs),
    /// Show the nodes of the cluster.
    Nodes(cluster::NodesArgs),
    /// Show which node owns which queue and which agent.
    Owners(cluster::OwnersArgs),
    /// Let a node hand over what it owns and take nothing new; waits until it owns nothing.
    Drain(cluster::DrainArgs),
    /// Let a drained node take part again.
    Undrain(cluster::UndrainArgs),
    /// Run a day's calls, made up or yesterday's, through a configuration, and show what it would do with them.
    Simulate(simulate::SimulateArgs),
}

/// Performs one command.
///
/// # Errors
/// What went wrong, in words for the person at the terminal.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        match command {
            Command::Get(args) => get::run(args).await,
            Command::Apply(args) => apply::run(args).await,
            Command::Agent(args) => agent::run(args).await,
            Command::Explain(args) => explain::run(args).await,
            Command::HangUp(args) => hang_up::run(args).await,
            Command::Watch(args) => watch::run(args).await,
            Command::Records(args) => records::run(args).await,
            Command::Stats(args) => stats::run(args).await,
            Command::Nodes(args) => cluster::nodes(args).await,
            Command::Owners(args) => cluster::owners(args).await,
            Command::Drain(args) => cluster::drain(args).await,
            Command::Undrain(args) => cluster::undrain(args).await,
            Command::Simulate(args) => simulate::run(&args),
        }
    });
    match done {
        Err(error) if reader_left(&error) => Ok(ExitCode::SUCCESS),
        done => done.map(|()| ExitCode::SUCCESS),
    }
}

/// Whether the output could not be written because its reader has seen enough, as in `carillon records | head`.
fn reader_left(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref::<io::Error>().map(io::Error::kind);
    error.chain().any(|cause| kind(cause) == Some(io::ErrorKind::BrokenPipe))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(subcommand)]
        command: Command,
    }

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Program::try_parse_from(line.split(' ')).map(|program| program.command)
    }

    #[test]
    fn the_commands_of_the_documentation_are_understood() {
        Program::command().debug_assert();
        let documentation = include_str!("../../../../docs/cli.md");
        let ours = |line: &&str| {
            let command = line.strip_prefix("carillon ").and_then(|rest| rest.split(' ').next());
            command.is_some_and(|command| Program::command().find_subcommand(command).is_some())
        };
        let lines: Vec<&str> = documentation.lines().filter(ours).collect();
        assert!(lines.len() > 10, "the examples are written as lines that begin with `carillon`");
        for line in lines {
            let bare = line.split(" | ").next().unwrap_or(line).split(" > ").next().unwrap_or(line);
            let bare = bare.split(" #").next().unwrap_or(bare).trim_end();
            if let Err(error) = parse(bare) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn options_of_the_api_may_stand_last() {
        let Ok(Command::Agent(args)) = parse("carillon agent anna queue-login sales --api 127.0.0.2:7401") else {
            panic!("not understood");
        };
        assert_eq!(args.api.url(), "http://127.0.0.2:7401/");
    }

    #[test]
    fn a_reader_that_leaves_is_no_error() {
        let left = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("cannot write");
        assert!(reader_left(&left));
        assert!(!reader_left(&anyhow::anyhow!("broken pipe")));
    }
}
