//! `carillon nodes`, `owners`, `drain`, `undrain`: the cluster and who owns what in it.

use std::io::{self, Write};
use std::time::Duration;

use carillon_rpc::v1::cluster_service_client::ClusterServiceClient;
use carillon_rpc::{time, v1};
use clap::Args;
use serde::Serialize;
use tonic::transport::Channel;

use super::api::{Api, MOST_BYTES, said};
use super::output::{self, Output};

/// How often a drain is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// In which form.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  carillon nodes
  carillon nodes -o json")]
pub(crate) struct NodesArgs {
    /// The form of the answer.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,

    #[command(flatten)]
    api: Api,
}

/// Whose owners, in which form.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  carillon owners
  carillon owners support")]
pub(crate) struct OwnersArgs {
    /// Only queues and agents of this name. Default: all.
    name: Option<String>,

    /// The form of the answer.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,

    #[command(flatten)]
    api: Api,
}

/// Which node.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  carillon drain 2
  carillon drain 2 --wait
  carillon drain 2 --no-wait")]
pub(crate) struct DrainArgs {
    /// Its number, as `carillon nodes` shows it.
    node: u32,

    /// Return when its calls have ended, too, instead of when it owns nothing any more.
    #[arg(long)]
    wait: bool,

    /// Return at once.
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,

    #[command(flatten)]
    api: Api,
}

/// Which node.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  carillon undrain 2")]
pub(crate) struct UndrainArgs {
    /// Its number.
    node: u32,

    #[command(flatten)]
    api: Api,
}

#[derive(Serialize)]
struct NodeRow {
    node: u32,
    roles: Vec<String>,
    zone: String,
    version: String,
    link: String,
    sip: String,
    api: String,
    linked: bool,
    draining: bool,
    shards: u32,
    calls: Option<u32>,
    oldest_call_seconds: Option<f64>,
    obstacles: Option<Vec<String>>,
    configuration: Option<ConfigurationRow>,
    trouble: String,
    drain_obstacles: Vec<String>,
}

/// See `v1::NodeConfiguration`.
#[derive(Serialize)]
struct ConfigurationRow {
    revision: u64,
    newest: u64,
    refused: String,
}

#[derive(Serialize)]
struct OwnerRow {
    name: String,
    shard: u32,
    node: Option<u32>,
    epoch: u64,
}

async fn client(api: &Api) -> anyhow::Result<ClusterServiceClient<Channel>> {
    Ok(ClusterServiceClient::new(api.connect().await?).max_decoding_message_size(MOST_BYTES))
}

pub(super) async fn nodes(args: NodesArgs) -> anyhow::Result<()> {
    let nodes = listed(&mut client(&args.api).await?).await?;
    let mut out = io::stdout().lock();
    match args.output {
        Output::Json => output::write_json(&mut out, &nodes.into_iter().map(NodeRow::from).collect::<Vec<_>>())?,
        Output::Table => {
            let mut table =
                output::table(&["NODE", "ROLES", "ZONE", "SHARDS", "CALLS", "STATE", "SIP", "API", "LINK", "VERSION"]);
            for node in &nodes {
                let row = [
                    node.node.to_string(),
                    node.roles.join(" "),
                    node.zone.clone(),
                    node.shards.to_string(),
                    calls(node),
                    state(node).to_owned(),
                    node.sip.clone(),
                    node.api.clone(),
                    node.link.clone(),
                    node.version.clone(),
                ];
                output::add(&mut table, row);
            }
            output::write_table(&mut out, &table, "no nodes")?;
            // Too long for a column, and rare.
            for node in nodes.iter().filter(|node| !node.trouble.is_empty()) {
                writeln!(out, "no link to node {}: {}", node.node, node.trouble)?;
            }
            for node in nodes.iter().filter(|node| node.draining) {
                waits(&mut out, node)?;
            }
            for (node, it) in nodes.iter().filter_map(refusing) {
                let v1::NodeConfiguration { revision, newest, refused } = it;
                writeln!(
                    out,
                    "node {node} goes on with revision {revision} of the configuration, not {newest}: {refused}"
                )?;
            }
        }
    }
    Ok(())
}

async fn listed(client: &mut ClusterServiceClient<Channel>) -> anyhow::Result<Vec<v1::Node>> {
    Ok(client.list_nodes(v1::ListNodesRequest {}).await.map_err(said)?.into_inner().nodes)
}

/// What a drain waits for that does not come by itself.
fn waits(out: &mut impl Write, node: &v1::Node) -> io::Result<()> {
    node.drain_obstacles.iter().try_for_each(|obstacle| writeln!(out, "node {} waits: {obstacle}", node.node))
}

/// The configuration of a node that cannot use the newest.
fn refusing(node: &v1::Node) -> Option<(u32, &v1::NodeConfiguration)> {
    let configuration = node.state.as_ref()?.configuration.as_ref()?;
    (!configuration.refused.is_empty()).then_some((node.node, configuration))
}

/// In words.
fn state(node: &v1::Node) -> &'static str {
    let obstacles = node.state.as_ref().is_some_and(|state| !state.obstacles.is_empty());
    match (node.linked, node.draining, obstacles) {
        (false, _, _) => "no link",
        (true, true, _) => "draining",
        (true, false, true) => "not ready",
        (true, false, false) if refusing(node).is_some() => "old configuration",
        (true, false, false) => "ready",
    }
}

/// How many, and how long the oldest has lasted; `-` when the node does not say.
fn calls(node: &v1::Node) -> String {
    let Some(state) = &node.state else { return "-".to_owned() };
    match &state.oldest_call {
        Some(oldest) => format!("{}, oldest {}", state.calls, output::lasting(time::std_duration(Some(oldest)))),
        None => state.calls.to_string(),
    }
}

pub(super) async fn owners(args: OwnersArgs) -> anyhow::Result<()> {
    let request = v1::ListOwnersRequest { parent: args.api.parent() };
    let mut owners = client(&args.api).await?.list_owners(request).await.map_err(said)?.into_inner().owners;
    if let Some(name) = &args.name {
        owners.retain(|owner| owner.name == *name || owner.name.rsplit('/').next() == Some(name));
        anyhow::ensure!(!owners.is_empty(), "no queue and no agent is called {name:?}; `carillon owners` shows all");
    }
    let mut out = io::stdout().lock();
    match args.output {
        Output::Json => output::write_json(&mut out, &owners.into_iter().map(OwnerRow::from).collect::<Vec<_>>())?,
        Output::Table => {
            let mut table = output::table(&["NAME", "SHARD", "NODE", "EPOCH"]);
            for owner in &owners {
                let node = owner.node.map_or_else(|| "-".to_owned(), |node| node.to_string());
                let row = [owner.name.clone(), owner.shard.to_string(), node, owner.epoch.to_string()];
                output::add(&mut table, row);
            }
            output::write_table(&mut out, &table, "no queues and no agents")?;
        }
    }
    Ok(())
}

pub(super) async fn drain(args: DrainArgs) -> anyhow::Result<()> {
    let mut client = client(&args.api).await?;
    client.drain_node(v1::DrainNodeRequest { node: args.node }).await.map_err(said)?;
    let (mut last, mut obstacles) = (None, Vec::new());
    loop {
        let nodes = listed(&mut client).await?;
        let Some(node) = nodes.iter().find(|node| node.node == args.node) else {
            writeln!(io::stdout(), "node {} has left", args.node)?;
            return Ok(());
        };
        let left = (node.shards, node.state.as_ref().map(|state| state.calls));
        if last != Some(left) {
            let calls = calls(node);
            writeln!(io::stdout(), "node {}: {} shards left, calls left: {calls}", args.node, node.shards)?;
            last = Some(left);
        }
        if node.drain_obstacles != obstacles {
            waits(&mut io::stdout(), node)?;
            obstacles.clone_from(&node.drain_obstacles);
        }
        let waits_for_calls = args.wait && left.1 != Some(0);
        if args.no_wait || (left.0 == 0 && !waits_for_calls) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

pub(super) async fn undrain(args: UndrainArgs) -> anyhow::Result<()> {
    let request = v1::UndrainNodeRequest { node: args.node };
    client(&args.api).await?.undrain_node(request).await.map_err(said)?;
    writeln!(io::stdout(), "node {}: takes part again", args.node)?;
    Ok(())
}

impl From<v1::Node> for NodeRow {
    fn from(it: v1::Node) -> Self {
        let v1::Node {
            node,
            roles,
            zone,
            version,
            link,
            sip,
            api,
            linked,
            draining,
            shards,
            trouble,
            state,
            drain_obstacles,
        } = it;
        let configuration = state.as_ref().and_then(|state| state.configuration.clone());
        let oldest = state.as_ref().and_then(|state| state.oldest_call.as_ref());
        NodeRow {
            node,
            roles,
            zone,
            version,
            link,
            sip,
            api,
            linked,
            draining,
            shards,
            trouble,
            drain_obstacles,
            calls: state.as_ref().map(|state| state.calls),
            oldest_call_seconds: oldest.map(|oldest| time::std_duration(Some(oldest)).as_secs_f64()),
            configuration: configuration.map(|it| ConfigurationRow {
                revision: it.revision,
                newest: it.newest,
                refused: it.refused,
            }),
            obstacles: state.map(|state| state.obstacles),
        }
    }
}

impl From<v1::Owner> for OwnerRow {
    fn from(it: v1::Owner) -> Self {
        let v1::Owner { name, shard, node, epoch } = it;
        OwnerRow { name, shard, node, epoch }
    }
}
