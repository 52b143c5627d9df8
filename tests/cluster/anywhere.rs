//! Any node answers for all: why, how many, what was, and what is.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon_tests::real::carillon::{binary, run_cli};
use carillon_tests::suite::SOON;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::scene::{Scene, TAKEN_OVER};
use crate::{are_served_in_order, one_talks_and_the_others_wait};

const SUPPORT: &str = "tenants/default/queues/support";
const ANNA: &str = "tenants/default/agents/anna";

/// What a node prints for a program.
async fn json(scene: &Scene, node: u8, args: &[&str]) -> Result<Value> {
    scene.node(node).cli_json(&[args, &["-o", "json"]].concat()).await
}

/// Until a node's answer is as wanted: owners hear of calls and agents a moment after each other.
async fn until_said(scene: &Scene, node: u8, args: &[&str], wanted: impl Fn(&Value) -> bool) -> Result<()> {
    let mut poll = tokio::time::interval(Duration::from_millis(50));
    let mut last = None;
    let asking = async {
        loop {
            poll.tick().await;
            let answer = json(scene, node, args).await;
            if answer.as_ref().is_ok_and(&wanted) {
                return;
            }
            last = Some(answer);
        }
    };
    let asked = tokio::time::timeout(SOON, asking).await;
    asked.with_context(|| format!("node {node}, carillon {}: {last:#?}", args.join(" ")))
}

/// The row of this name, as these fields are wanted.
fn row(answer: &Value, name: &str, fields: &[(&str, u64)]) -> bool {
    let rows = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    let wanted = |row: &Value| row["name"] == name && fields.iter().all(|(field, wanted)| row[*field] == *wanted);
    rows.iter().any(wanted)
}

// spec: RT-9, CL-1: the call, the owner of its queue and the owner of its agent may be three nodes.
#[tokio::test]
async fn rt_9_any_node_says_why() -> Result<()> {
    let scene = Scene::start().await?;
    for edge in scene.nodes() {
        let (mut anna, callers) = one_talks_and_the_others_wait(&scene, edge, 1).await?;
        let calls = json(&scene, edge, &["get", "calls"]).await?;
        let mut calls = calls.as_array().context("a list")?.iter();
        let waiting = calls.find(|call| call["stage"] == "waiting").context("one waits")?["name"].clone();
        let waiting = waiting.as_str().context("a name")?;
        for node in scene.nodes() {
            until_said(&scene, node, &["explain", "call", waiting], |call| {
                call["stage"] == "waiting" && call["place"]["callers"][0]["position"] == 1
            })
            .await?;
            // What keeps her is known to her owner alone.
            until_said(&scene, node, &["explain", "queue", "support"], |queue| {
                queue["waiting"] == 1
                    && queue["callers"][0]["call"] == waiting
                    && queue["agents"][0]["obstacle"] == "talking"
            })
            .await?;
            until_said(&scene, node, &["explain", "agent", "anna"], |it| {
                it["agent"]["activity"] == "talking"
                    && it["queues"][0]["queue"] == SUPPORT
                    && it["queues"][0]["obstacle"] == "talking"
                    && it["callers"][0]["call"] == waiting
            })
            .await?;
            let text = scene.cli(node, &["explain", "call", waiting]).await?;
            ensure!(text.contains("place in support, 1 waiting:") && text.contains("talking: anna"), "{text}");
        }
        are_served_in_order(&mut anna, callers).await?;
        for node in scene.nodes() {
            until_said(&scene, node, &["explain", "call", waiting], |call| call["outcome"] == "answered").await?;
        }
        let unknown =
            scene.cli(edge, &["explain", "call", "3-00000001-1"]).await.err().context("there is no such call")?;
        ensure!(format!("{unknown:#}").contains("calls/3-00000001-1 not found"), "{unknown:#}");
        anna.register(Duration::ZERO).await?;
        scene.until_idle("anna").await?;
    }
    scene.stop().await
}

// spec: PL-4, PL-6, CL-1: calls at all nodes, their records and sums at any.
#[tokio::test]
async fn pl_4_any_node_counts_and_lists_the_calls_of_all() -> Result<()> {
    let mut scene = Scene::start().await?;
    for edge in scene.nodes() {
        let (mut anna, callers) = one_talks_and_the_others_wait(&scene, edge, 1).await?;
        are_served_in_order(&mut anna, callers).await?;
        anna.register(Duration::ZERO).await?;
        scene.until_idle("anna").await?;
    }
    let of_callers = [("offered", 6), ("answered", 6), ("handled", 6), ("lost", 0)];
    let calls = [("offered", 6), ("answered", 6), ("handled", 6)];
    for node in scene.nodes() {
        let records = scene.records(node, 6).await?;
        let pages = json(&scene, node, &["records", "--limit", "4"]).await?;
        let latest: Vec<&str> =
            pages.as_array().context("a list")?.iter().filter_map(|it| it["call"].as_str()).collect();
        let wanted: Vec<&str> = records.iter().rev().take(4).map(|record| record.call.as_str()).collect();
        ensure!(latest == wanted, "{latest:?} instead of {wanted:?}");
        for period in [&[][..], &["--since", "1h"]] {
            let stats = |of| [&["stats", of][..], period].concat();
            until_said(&scene, node, &stats("queues"), |it| row(it, SUPPORT, &of_callers)).await?;
            until_said(&scene, node, &stats("agents"), |it| row(it, ANNA, &calls)).await?;
        }
    }

    // A part that is missing is said, until the node is known to be gone.
    let api = format!("http://{}", scene.node(1).api);
    scene.kill(3).await?;
    let out = run_cli(&["records", "-o", "json"], &[("CARILLON_API", &api)]).await?;
    let said = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success() && said.contains("node 3 did not answer: its part is missing"), "{said}");
    let mut left: Vec<Value> = serde_json::from_slice(&out.stdout)?;
    // Its heirs write those of which it had no time to say that they are on its disk.
    left.retain(|it| it["call"].as_str().is_none_or(|call| !call.starts_with("calls/3-")));
    ensure!(left.len() == 4, "the calls of two nodes: {left:?}");
    scene.stop().await
}

/// `carillon watch` with its lines.
struct Watch {
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Watch {
    fn start(scene: &Scene, node: u8) -> Result<Watch> {
        let mut command = Command::new(binary()?);
        command.arg("watch").env("CARILLON_API", format!("http://{}", scene.node(node).api));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let out = child.stdout.take().context("it is piped")?;
        Ok(Watch { lines: BufReader::new(out).lines(), _child: child })
    }

    /// Until a line has all of these words.
    async fn until(&mut self, words: &[&str]) -> Result<()> {
        let mut seen = Vec::new();
        let reading = async {
            loop {
                let line = self.lines.next_line().await?.context("the watch ended")?;
                if words.iter().all(|word| line.contains(word)) {
                    return anyhow::Ok(());
                }
                seen.push(line);
            }
        };
        let read = tokio::time::timeout(TAKEN_OVER, reading).await;
        read.with_context(|| format!("never {words:?} in\n{}", seen.join("\n")))?
    }
}

// spec: PL-4, CL-4: the view goes on when a node dies and when one joins.
#[tokio::test]
async fn cl_4_any_node_shows_all_while_nodes_die() -> Result<()> {
    let mut scene = Scene::start().await?;
    let owner = scene.owner("support").await?;
    let edge = scene.another_than(&[owner]);
    for node in scene.nodes() {
        let once = scene.cli(node, &["watch", "--once"]).await?;
        ensure!(once.contains("support") && once.contains("anna") && !once.contains("does not answer"), "{once}");
    }
    let mut watch = Watch::start(&scene, edge)?;
    let (mut anna, callers) = one_talks_and_the_others_wait(&scene, edge, 1).await?;
    watch.until(&["1 waiting, 1 talking; 1 of 1 agents ready"]).await?;
    scene.kill(owner).await?;
    watch.until(&[&format!("node {owner} does not answer")]).await?;
    scene.until_waiting("support", 1).await?;
    are_served_in_order(&mut anna, callers).await?;
    watch.until(&["0 waiting, 0 talking; 1 of 1 agents ready"]).await?;
    scene.stop().await
}
