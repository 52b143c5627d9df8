//! What several nodes cost more than one: the same calls on one node alone, and on three that share an etcd.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon_tests::center::{NUMBER, bench_center};
use carillon_tests::real::network::free_port;
use carillon_tests::real::{Block, Carillon, Etcd, Launch, Sipp, SippRun};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::figures::{CLUSTER_1S, CLUSTER_5S, CLUSTER_P50, CLUSTER_P99, Figures};
use crate::workload::{AGENTS, AUDIO_PORT, latency};

const NODES: u8 = 3;
/// Servers of etcd.
const ETCDS: usize = 3;
/// How long the nodes may take to be one center.
const WHOLE: Duration = Duration::from_secs(30);

/// What a run came to.
struct Cost {
    /// CPU milliseconds of all nodes together, per call.
    nodes: f64,
    /// CPU of all servers of etcd meanwhile, in percent of a core.
    etcd: f64,
    /// Milliseconds from the caller's INVITE to the agent's, sorted.
    latencies: Vec<f64>,
}

/// At `rate` calls a second with 1 s of talk, and at a fifth of it with 5 s.
pub(crate) async fn cluster(figures: &mut Figures, seconds: u64, rate: u64) -> Result<()> {
    figures.begin("cluster");
    for (measure, rate, talk_ms) in [(CLUSTER_1S, rate, 1_000), (CLUSTER_5S, rate.div_ceil(5), 5_000)] {
        let alone = run(0, rate, seconds, talk_ms).await?;
        let together = run(NODES, rate, seconds, talk_ms).await?;
        figures.add(measure, together.nodes - alone.nodes);
        figures.note(format!(
            "{rate} calls/s: {:.2} ms of CPU per call on one node alone, {:.2} ms on {NODES} nodes together; etcd uses {:.1} % of a core",
            alone.nodes, together.nodes, together.etcd
        ));
        if talk_ms == 1_000 {
            figures.add(CLUSTER_P50, together.at(50)?);
            figures.add(CLUSTER_P99, together.at(99)?);
            figures.note(format!("one node alone: p50 {:.2} ms, p99 {:.2} ms", alone.at(50)?, alone.at(99)?));
        }
    }
    Ok(())
}

impl Cost {
    fn at(&self, part: usize) -> Result<f64> {
        let at = (self.latencies.len() * part).div_ceil(100).saturating_sub(1);
        self.latencies.get(at).copied().context("no calls")
    }
}

/// The center, on so many nodes; none is one that stands alone.
struct Center {
    nodes: Vec<Carillon>,
    etcd: Option<Etcd>,
    block: Block,
    agents: SippRun,
}

impl Center {
    async fn start(count: u8, talk_ms: u64) -> Result<Center> {
        let block = Block::fresh();
        let at = SocketAddr::new(block.agents(), 5080);
        let yaml = bench_center(block, AGENTS, at).yaml();
        let mut nodes = Vec::new();
        let etcd = if count == 0 { None } else { Some(Etcd::start(block.etcd(), ETCDS).await?) };
        match &etcd {
            None => nodes.push(Carillon::start(Launch::serve(block, yaml)).await?),
            Some(etcd) => {
                for node in 1..=count {
                    nodes.push(
                        Carillon::start(Launch::member(block, Some(yaml.clone()), node, etcd.endpoints())).await?,
                    );
                }
            }
        }
        let agents = Sipp::bench("agent.xml", at, None).option("-d", talk_ms).key("sdport", AUDIO_PORT).start().await?;
        let center = Center { nodes, etcd, block, agents };
        center.until_whole().await?;
        Ok(center)
    }

    /// Until each node shows all agents idle.
    async fn until_whole(&self) -> Result<()> {
        let began = Instant::now();
        for node in &self.nodes {
            loop {
                let shown = node.cli_json(&["get", "agents", "-o", "json"]).await;
                let all = shown.as_ref().ok().and_then(serde_json::Value::as_array);
                if all.is_some_and(|all| all.len() == AGENTS && all.iter().all(|agent| agent["activity"] == "idle")) {
                    break;
                }
                ensure!(began.elapsed() < WHOLE, "{} does not show {AGENTS} idle agents after {WHOLE:?}", node.api);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    /// CPU of all nodes and of etcd so far.
    fn cpu(&self) -> Result<(f64, f64)> {
        let mut nodes = 0.0;
        for node in &self.nodes {
            nodes += node.usage()?.cpu.as_secs_f64();
        }
        let etcd = self.etcd.as_ref().map(Etcd::cpu).transpose()?.unwrap_or_default();
        Ok((nodes, etcd.as_secs_f64()))
    }

    /// Calls at `rate`, spread over all nodes.
    async fn calls(&self, calls: u64, rate: u64, longest: Duration) -> Result<()> {
        let count = self.nodes.len() as u64;
        let mut callers = JoinSet::new();
        for (n, node) in (0..).zip(&self.nodes) {
            let part = |whole: u64| whole / count + u64::from(n < whole % count);
            let calls = part(calls);
            let callers_of_node = Sipp::bench("caller.xml", free_port(self.block.carrier())?, Some(node.sip))
                .option("-s", NUMBER)
                .option("-m", calls)
                .option("-r", part(rate))
                .option("-l", calls)
                .key("sdport", AUDIO_PORT);
            callers.spawn(async move { callers_of_node.run(longest).await?.all_of(calls) });
        }
        while let Some(ended) = callers.join_next().await {
            ended.context("the callers")??;
        }
        Ok(())
    }
}

/// One run; `count` nodes, 0 for one that stands alone.
async fn run(count: u8, rate: u64, seconds: u64, talk_ms: u64) -> Result<Cost> {
    let center = Center::start(count, talk_ms).await?;
    let (warm_up, calls) = (3 * rate, seconds * rate);
    let longest = Duration::from_secs(seconds + talk_ms / 1000 + 60);
    center.calls(warm_up, rate, longest).await?;
    let idle = 6.0;
    let quiet = center.cpu()?;
    tokio::time::sleep(Duration::from_secs_f64(idle)).await;
    let (before, began) = (center.cpu()?, Instant::now());
    center.calls(calls, rate, longest).await?;
    let (after, took) = (center.cpu()?, began.elapsed().as_secs_f64());
    let Center { nodes, agents, etcd: _etcd, .. } = center;
    let log = agents.stop().await?.log;
    for node in nodes {
        node.stop().await?;
    }
    let mut latencies: Vec<f64> = log.lines().filter_map(latency).skip(warm_up as usize).collect();
    ensure!(latencies.len() as u64 == calls, "the agents logged {} of {calls} calls", latencies.len());
    latencies.sort_by(f64::total_cmp);
    // What they use idle, for as long as the calls took, is not the calls' cost.
    let spent = after.0 - before.0 - (before.0 - quiet.0) / idle * took;
    Ok(Cost { nodes: spent * 1000.0 / calls as f64, etcd: (after.1 - before.1) * 100.0 / took, latencies })
}
