//! A center of 10,000 queues and 20,000 agents: alone, and as a cluster of three nodes of which one is killed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon_tests::center::password;
use carillon_tests::real::{Block, Carillon, Etcd, Launch};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use crate::figures::{Figures, Measure};
use crate::workload::pass;

/// Nodes of the cluster.
const NODES: u8 = 3;
/// An agent repeats himself every 10 s: after that everybody has been heard.
const SETTLED: u64 = 12;
/// How long anything here may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(120);

const fn measure(name: &'static str, unit: &'static str, budget: f64, aim: f64) -> Measure {
    Measure { name: std::borrow::Cow::Borrowed(name), unit, budget, aim, asterisk: None, freeswitch: None }
}

const ALONE_START: Measure = measure("alone: start until it takes calls", "s", 5.0, 2.0);
const ALONE_MEMORY: Measure = measure("alone: memory", "MB", 300.0, 250.0);
const APPLY_ALL: Measure = measure("alone: apply of all to an empty node", "s", 10.0, 4.0);
const APPLY_MEMORY: Measure = measure("alone: memory after it, and changes", "MB", 300.0, 250.0);
const APPLY_ONE: Measure = measure("alone: apply of one queue that changes", "s", 1.0, 0.3);
const NODE_START: Measure = measure("of three: start of a node until it takes calls", "s", 5.0, 2.0);
const NODE_OWNED: Measure = measure("of three: start of the first until all have an owner", "s", 5.0, 3.0);
const NODE_MEMORY: Measure = measure("of three: memory of the largest node", "MB", 300.0, 150.0);
const TAKEN_OVER: Measure = measure("of three: kill -9 of one until all have an owner again", "s", 3.0, 2.0);
const WIDOW_MEMORY: Measure = measure("of two that are left: memory of the larger", "MB", 300.0, 200.0);

/// How large the center is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) queues: usize,
    pub(crate) agents: usize,
}

/// Each queue with a number, each agent with a phone, in one to five queues; the same for the same size.
pub(crate) fn center(Size { queues, agents }: Size) -> String {
    let mut random = SmallRng::seed_from_u64(1);
    let mut lists = vec![Vec::new(); queues];
    for agent in 0..agents {
        for _ in 0..random.random_range(1..=5) {
            let list: &mut Vec<usize> = &mut lists[random.random_range(0..queues)];
            if list.last() != Some(&agent) {
                list.push(agent);
            }
        }
    }
    let mut yaml = "kind: Tenant\nname: default\nspec:\n  display_name: Large\n  time_zone: Europe/Paris\n\
        ---\nkind: Trunk\nname: carrier\nspec:\n  connection: pbx\n  peers: [127.0.0.0/8]\n"
        .to_owned();
    for (queue, list) in lists.iter().enumerate() {
        let list: Vec<String> = list.iter().map(|agent| format!("a{agent}")).collect();
        let _infallible = write!(
            yaml,
            "---\nkind: Number\nname: n{queue}\nspec:\n  number: \"+331{queue:08}\"\n  trunk: carrier\n  queue: q{queue}\n\
             ---\nkind: Queue\nname: q{queue}\nspec:\n  display_name: Queue {queue}\n  strategy: longest_idle\n  \
             wrap_up: 5s\n  waiting_sound: music\n  unanswered: wait\n  agents: [{}]\n",
            list.join(", ")
        );
    }
    for agent in 0..agents {
        let _infallible = write!(
            yaml,
            "---\nkind: Agent\nname: a{agent}\nspec:\n  display_name: Agent {agent}\n  devices:\n    \
             - {{ username: a{agent}, password: {{ plain: {} }}, kind: desktop }}\n",
            password(&format!("a{agent}"))
        );
    }
    yaml
}

/// Start, memory, and take-over.
pub(crate) async fn scale(figures: &mut Figures, size: Size) -> Result<()> {
    figures.begin("scale");
    let yaml = center(size);
    alone(figures, &yaml).await?;
    changes(figures, &yaml).await?;
    cluster(figures, &yaml, size).await
}

async fn alone(figures: &mut Figures, yaml: &str) -> Result<()> {
    let node = Carillon::start(Launch::serve(Block::fresh(), yaml.to_owned())).await?;
    let start = node.usage()?.cpu;
    pass(SETTLED).await;
    let before = node.usage()?;
    pass(10).await;
    let after = node.usage()?;
    figures.add(ALONE_START, node.start_up.as_secs_f64());
    figures.add(ALONE_MEMORY, megabytes(after.resident));
    let idle = (after.cpu - before.cpu).as_secs_f64() * 10.0;
    figures.note(format!("alone: {:.2} s of CPU to start, then {idle:.1} % of a core", start.as_secs_f64()));
    node.stop().await.map(drop)
}

/// What it takes to bring all of it into a node that runs, and then to change one queue, five times.
async fn changes(figures: &mut Figures, yaml: &str) -> Result<()> {
    let empty = "kind: Tenant\nname: default\nspec:\n  display_name: Large\n".to_owned();
    let node = Carillon::start(Launch::serve(Block::fresh(), empty)).await?;
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let apply = async |text: &str| {
        let file = folder.path().join("change.yaml");
        std::fs::write(&file, text).context("the change")?;
        let (before, began) = (node.usage()?.cpu, Instant::now());
        let said = node.cli(&["apply", "-f", file.to_str().context("a path in UTF-8")?]).await?;
        ensure!(!said.contains("nothing to change"), "{said}");
        anyhow::Ok((began.elapsed().as_secs_f64(), node.usage()?.cpu - before))
    };
    let (all, cpu) = apply(yaml).await?;
    figures.add(APPLY_ALL, all);
    let (mut one, mut cpus) = (Vec::new(), Duration::ZERO);
    for rings in 5..10 {
        let (took, cpu) =
            apply(&format!("kind: Queue\nname: q7\nspec: {{ agents: [a1, a2], rings: {rings} }}\n")).await?;
        one.push(took);
        cpus += cpu;
    }
    one.sort_by(f64::total_cmp);
    figures.add(APPLY_ONE, one[one.len() / 2]);
    pass(SETTLED).await;
    figures.add(APPLY_MEMORY, megabytes(node.usage()?.resident));
    let (all, one) = (cpu.as_secs_f64(), cpus.as_secs_f64() / 5.0);
    figures.note(format!("apply: {all:.2} s of CPU for all, {:.0} ms for one queue", one * 1e3));
    node.stop().await.map(drop)
}

async fn cluster(figures: &mut Figures, yaml: &str, size: Size) -> Result<()> {
    let block = Block::fresh();
    let etcd = Etcd::start(block.etcd(), 3).await?;
    let mut nodes: BTreeMap<u8, Carillon> = BTreeMap::new();
    let mut starts = Vec::new();
    let began = Instant::now();
    for number in 1..=NODES {
        let node = Carillon::start(Launch::member(block, Some(yaml.to_owned()), number, etcd.endpoints())).await?;
        starts.push(node.start_up.as_secs_f64());
        nodes.insert(number, node);
        if number == 1 {
            until_all_answer(&nodes, size).await?;
            figures.add(NODE_OWNED, began.elapsed().as_secs_f64());
        }
    }
    until_spread(&nodes).await?;
    until_all_answer(&nodes, size).await?;
    figures.add(NODE_START, starts.iter().copied().fold(0.0, f64::max));
    pass(SETTLED).await;
    figures.add(NODE_MEMORY, largest(&nodes)?);
    let killed = nodes.remove(&NODES).context("the last node")?;
    let began = Instant::now();
    let _grave = killed.kill().await?;
    until_all_answer(&nodes, size).await?;
    figures.add(TAKEN_OVER, began.elapsed().as_secs_f64());
    pass(SETTLED).await;
    figures.add(WIDOW_MEMORY, largest(&nodes)?);
    for (_, node) in nodes {
        node.stop().await?;
    }
    Ok(())
}

/// Until each node owns its share of the shards.
async fn until_spread(nodes: &BTreeMap<u8, Carillon>) -> Result<()> {
    let began = Instant::now();
    loop {
        let (_, any) = nodes.first_key_value().context("no node")?;
        let known = any.cli_json(&["nodes", "-o", "json"]).await?;
        let shards = |node: &serde_json::Value| node["shards"].as_u64().unwrap_or(0);
        let known = known.as_array().context("a list of nodes")?;
        if known.len() == nodes.len() && known.iter().all(|node| shards(node) > 1024 / (nodes.len() as u64 + 1)) {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "the shards were never spread: {known:?}");
        pass(1).await;
    }
}

/// Until a node can list all queues and all agents: each is shown by its owner, and by nobody else.
async fn until_all_answer(nodes: &BTreeMap<u8, Carillon>, size: Size) -> Result<()> {
    let began = Instant::now();
    let (_, any) = nodes.first_key_value().context("no node")?;
    let mut shown = (0, 0);
    while shown != (size.queues, size.agents) {
        ensure!(
            began.elapsed() < PATIENCE,
            "{shown:?} queues and agents of {size:?} answer; the node says\n{}",
            any.log()
        );
        let count = |list: serde_json::Value| list.as_array().map_or(0, Vec::len);
        let queues = count(any.cli_json(&["get", "queues", "-o", "json"]).await?);
        let agents = count(any.cli_json(&["get", "agents", "-o", "json"]).await?);
        shown = (queues, agents);
    }
    Ok(())
}

fn largest(nodes: &BTreeMap<u8, Carillon>) -> Result<f64> {
    let memory = nodes.values().map(|node| Ok(megabytes(node.usage()?.resident)));
    memory.collect::<Result<Vec<f64>>>().map(|all| all.into_iter().fold(0.0, f64::max))
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
