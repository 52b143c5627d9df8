//! `carillon serve` and `carillon dev`: read the center, run the node until a signal ends it.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use carillon_acd::route::Target;
use carillon_store::config::{self, Access, Center, Loaded, Objects};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cluster::config::NodeFile;
use crate::log;
use crate::node::{NODE, Node};
use crate::options::{DevOptions, NodeOptions, ServeOptions};

/// The exit code of a configuration that cannot be used.
const BAD_CONFIGURATION: u8 = 2;

/// Signals closer together than this are one.
const SAME_SIGNAL: Duration = Duration::from_millis(500);

/// The center of `carillon dev`.
const EXAMPLE: &str = include_str!("../../../examples/center/center.yaml");

/// Runs `carillon serve`.
pub(crate) fn serve(options: ServeOptions) -> anyhow::Result<ExitCode> {
    let file = options.config.as_deref().map(NodeFile::read).transpose()?;
    let path = file.as_ref().map_or(options.center.as_deref(), |file| file.center.as_deref());
    let center = match path.map(config::load).map(checked) {
        None => None,
        Some(Some(objects)) => Some(objects),
        Some(None) => return Ok(BAD_CONFIGURATION.into()),
    };
    let data = file.as_ref().map_or(&options.data, |file| &file.data);
    let node = file.as_ref().map_or_else(|| options.node.clone(), |file| file.options(options.node.clone()));
    run(center.as_ref(), Some(data), &node, file.as_ref(), |node, center| {
        let sip = node.sip_addr.map(|addr| format!(", sip {addr}")).unwrap_or_default();
        let api = node.api_addr.map(|addr| format!(", api http://{addr}")).unwrap_or_default();
        println!("carillon serves {}{sip}{api}", summary(center));
    })
}

/// Runs `carillon dev`.
pub(crate) fn dev(options: DevOptions) -> anyhow::Result<ExitCode> {
    let loaded = match &options.center {
        Some(path) => config::load(path),
        None => config::load_str("the built-in example center", EXAMPLE),
    };
    let Some(center) = checked(loaded) else { return Ok(BAD_CONFIGURATION.into()) };
    run(Some(&center), options.data.as_deref(), &options.node, None, |node, center| {
        print!("{}", welcome(center, node, &options.node));
    })
}

/// Shows warnings and errors; `None` when there are errors.
fn checked(loaded: Result<Loaded, config::ConfigErrors>) -> Option<Objects> {
    let colour = std::io::stderr().is_terminal();
    match loaded {
        Ok(Loaded { objects, warnings, .. }) => {
            if !warnings.is_empty() {
                eprint!("{}", config::render(&warnings, colour));
            }
            Some(objects)
        }
        Err(errors) => {
            eprint!("{}", config::render(&errors.diagnostics, colour));
            None
        }
    }
}

fn run(
    center: Option<&Objects>,
    data: Option<&Path>,
    options: &NodeOptions,
    file: Option<&NodeFile>,
    ready: impl FnOnce(&Node, &Center),
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // One thread for all actors: a call's messages then wake nobody. It carries thousands of calls a second.
        .worker_threads(1)
        .build()?;
    let traces = {
        let _inside = runtime.enter();
        log::start(options.log_format, options.otlp.as_deref(), file.map_or(NODE, NodeFile::id).0)?
    };
    let outcome = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (node, begins_with) = tokio::select! {
            started = Node::start(center, data, options, file) => started?,
            () = next_signal(&mut interrupt, &mut terminate) => return Ok(()),
        };
        ready(&node, &begins_with);
        drop(begins_with);
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => tokio::select! {
                () = node.drain(options.drain_limit) => {}
                () = second_signal(&mut interrupt, &mut terminate) => {}
            },
        }
        tracing::info!("stopping; another signal ends at once");
        tokio::select! {
            stopped = node.stop() => stopped.context("stopping"),
            () = second_signal(&mut interrupt, &mut terminate) => {
                Err(anyhow::anyhow!("ended by a signal while calls were hung up: some may lack their record"))
            }
        }
    });
    drop(traces);
    runtime.shutdown_background();
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Waits for a signal that a person sent again. Shells and `timeout` often deliver the first one twice, to the process
/// and to its group, so what follows at once does not count.
async fn second_signal(interrupt: &mut Signal, terminate: &mut Signal) {
    let first = Instant::now();
    loop {
        next_signal(interrupt, terminate).await;
        if first.elapsed() >= SAME_SIGNAL {
            return;
        }
    }
}

async fn next_signal(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn summary(center: &Center) -> String {
    let (numbers, queues, agents) = (center.numbers.len(), center.queues.len(), center.agents.len());
    format!("{numbers} numbers, {queues} queues, {agents} agents")
}

/// What a person who has just started `carillon dev` needs to make a first call.
fn welcome(center: &Center, node: &Node, options: &NodeOptions) -> String {
    use std::fmt::Write as _;
    // A node that stands alone has all roles.
    let (Some(sip), Some(api)) = (node.sip_addr, node.api_addr) else { return String::new() };
    let sip = std::net::SocketAddr::new(options.advertised(), sip.port());
    let mut text = format!("Carillon is ready: {}.\n\n", summary(center));
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(text, "  SIP  {sip} (UDP and TCP)      API  http://{api}\n");
    let mut phones = comfy_table::Table::new();
    phones.load_style(comfy_table::presets::NOTHING).set_header(["Agent", "Extension", "SIP user", "Password"]);
    for agent in &center.agents {
        for device in &agent.devices {
            if let Access::Registers { username, password } = &device.access {
                let extension = agent.extension.as_ref().map_or("", |e| e.as_str());
                phones.add_row([&agent.display_name, extension, username.as_str(), password.expose()]);
            }
        }
    }
    let _ = writeln!(text, "Register a phone as one of these agents (server and domain {sip}):\n{phones}\n");
    let mut targets = comfy_table::Table::new();
    targets.load_style(comfy_table::presets::NOTHING).set_header(["Dial", "Reaches"]);
    for number in &center.numbers {
        let reached = match &number.target {
            Target::Queue(queue) => format!("queue {}", queue.name),
            Target::Agent(agent) => format!("agent {}", agent.name),
        };
        targets.add_row([format!("sip:{}@{sip}", number.number), format!("{reached} (from this machine, no account)")]);
    }
    for queue in &center.queues {
        if let Some(extension) = &queue.extension {
            targets.add_row([extension.to_string(), format!("queue {} (from an agent's phone)", queue.id.name)]);
        }
    }
    for agent in &center.agents {
        if let Some(extension) = &agent.extension {
            targets.add_row([extension.to_string(), format!("{} (from an agent's phone)", agent.display_name)]);
        }
    }
    let _ = writeln!(text, "Then call:\n{targets}\n");
    let _ = writeln!(text, "Watch it with `carillon watch --api http://{api}`; Ctrl-C ends it.");
    text
}
