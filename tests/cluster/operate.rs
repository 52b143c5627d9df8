//! What an operator does to nodes, and what watches over them: SIGTERM, drains, readiness.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon_tests::center::NUMBER;
use carillon_tests::real::carillon::run_cli;
use carillon_tests::real::{Block, Carillon, Launch};
use carillon_tests::sip::{Answering, Call, Phone, PhoneConfig};
use carillon_tests::suite::{SOON, Suite, TOLERANCE, hear_each_other};
use serde_json::Value;

use crate::scene::{Scene, TAKEN_OVER};

const ANNA: f64 = 600.0;
const CALLER: f64 = 900.0;

/// The status with which a call from this number is refused.
async fn refused(node: &Carillon, block: Block, number: &str) -> Result<Option<u16>> {
    let carrier = Phone::start(PhoneConfig::caller(node.sip, block.carrier(), number, CALLER)).await?;
    let call = carrier.dial(NUMBER).await?;
    Ok(call.ended(SOON).await?.status)
}

/// Until the node's readiness is answered so.
async fn until_readiness(node: &Carillon, status: u16, why: &str) -> Result<()> {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let mut last = None;
    let looking = async {
        loop {
            let answer = node.get("/healthz/ready").await?;
            if answer.0 == status && answer.1.contains(why) {
                return anyhow::Ok(());
            }
            last = Some(answer);
            look.tick().await;
        }
    };
    let found = tokio::time::timeout(TAKEN_OVER, looking).await;
    found.with_context(|| format!("never {status} {why:?}; last {last:?}\n{}", node.log()))?
}

/// The outcomes in the records of a node that has ended.
async fn outcomes(data: &Path) -> Result<Vec<String>> {
    let data = data.to_str().context("a path of UTF-8")?;
    let said = run_cli(&["records", "--data", data, "-o", "json"], &[]).await?;
    let records: Vec<Value> = serde_json::from_slice(&said.stdout).context("records")?;
    Ok(records.iter().map(|record| record["outcome"].as_str().unwrap_or("none").to_owned()).collect())
}

/// Anna, whose phone is at another node, talks with a caller at `edge`.
async fn talking(scene: &Scene, edge: u8) -> Result<(Call, Call)> {
    let phone = scene.another_than(&[edge]);
    let mut anna = scene.agent(phone, "anna", ANNA, Answering::After(Duration::ZERO)).await?;
    let caller = scene.call(edge, "+33600000000", CALLER).await?;
    let hers = anna.next_call(SOON).await?;
    hear_each_other((&caller, CALLER), (&hers, ANNA)).await?;
    std::mem::forget(anna);
    Ok((caller, hers))
}

// spec: CL-6
#[tokio::test]
async fn cl_6_a_node_that_is_terminated_lets_its_conversations_end() -> Result<()> {
    let mut scene = Scene::start().await?;
    let edge = scene.owner("support").await?;
    let (caller, hers) = talking(&scene, edge).await?;
    until_readiness(scene.node(edge), 200, "ready").await?;

    scene.signal(edge, "TERM").await?;
    scene.until_owned_elsewhere("support", edge).await?;
    until_readiness(scene.node(edge), 503, "draining: 1 calls left").await?;
    ensure!(scene.node(edge).get("/healthz/live").await?.0 == 200);
    let other = scene.another_than(&[edge]);
    let nodes = scene.node(other).cli_json(&["nodes", "-o", "json"]).await?;
    let shown = nodes.as_array().and_then(|all| all.iter().find(|it| it["node"] == edge)).context("it is listed")?;
    ensure!(shown["draining"] == true && shown["calls"] == 1, "as node {other} shows it: {shown}");

    ensure!(refused(scene.node(edge), scene.block(), "+33600000001").await? == Some(503));
    let carrier = PhoneConfig::caller(scene.node(edge).sip, scene.block().carrier(), "+33600000002", CALLER);
    ensure!(Phone::start(carrier).await?.ping(SOON).await? == 503);
    let moved = scene.agent(edge, "anna", ANNA, Answering::Never).await.err().context("another edge is there")?;
    ensure!(format!("{moved:#}").contains("503"), "{moved:#}");

    hear_each_other((&caller, CALLER), (&hers, ANNA)).await?;
    let ending = scene.let_go(edge)?;
    caller.hang_up().await?;
    hers.ended(SOON).await?;
    let (log, folder) = ending.ended("a drained node", SOON).await?;
    ensure!(log.contains("calls=1") && log.contains("drained"), "{log}");
    ensure!(outcomes(&folder.path().join("data")).await? == ["answered"]);
    scene.until_idle("anna").await?;
    scene.stop().await
}

// spec: CL-6
#[tokio::test]
async fn cl_6_a_second_signal_hangs_up() -> Result<()> {
    let mut scene = Scene::start().await?;
    let edge = scene.nodes()[0];
    let (caller, hers) = talking(&scene, edge).await?;
    scene.signal(edge, "TERM").await?;
    let other = scene.another_than(&[edge]);
    let drains = |all: &[Value]| all.iter().any(|it| it["node"] == edge && it["draining"] == true).then_some(());
    scene.until("it drains", &["nodes", "-o", "json"], drains).await?;
    // Signals within half a second are one.
    tokio::time::sleep(Duration::from_millis(600)).await;
    scene.signal(edge, "TERM").await?;
    ensure!(!caller.ended(SOON).await?.by_us && !hers.ended(SOON).await?.by_us);
    let (_, folder) = scene.let_go(edge)?.ended("a node after two signals", SOON).await?;
    ensure!(outcomes(&folder.path().join("data")).await? == ["answered"]);
    ensure!(scene.cli(other, &["nodes"]).await?.lines().count() == 3, "it has left");
    scene.stop().await
}

// spec: CL-6, CL-7
#[tokio::test]
async fn cl_6_a_node_alone_takes_no_new_calls_and_hangs_up_at_its_limit() -> Result<()> {
    let block = Block::fresh();
    let center = carillon_tests::suite::queue_of(block, "in_order", &["anna"], &["wrap_up: 0s"]);
    let suite = Suite::start(block, center, &[("--drain-limit", "4s")]).await?;
    let mut anna = suite.agent("anna", ANNA, Answering::After(Duration::ZERO)).await?;
    let carrier = suite.caller("+33600000000", CALLER).await?;
    let caller = carrier.dial(NUMBER).await?;
    let hers = anna.next_call(SOON).await?;
    hear_each_other((&caller, CALLER), (&hers, ANNA)).await?;
    suite.center.signal("TERM").await?;
    until_readiness(&suite.center, 503, "draining: 1 calls left").await?;
    ensure!(refused(&suite.center, block, "+33600000001").await? == Some(503));
    anna.register(Duration::from_secs(60)).await.context("a phone has no other edge to go to")?;
    hear_each_other((&caller, CALLER), (&hers, ANNA)).await?;
    ensure!(!caller.ended(SOON).await?.by_us && !hers.ended(SOON).await?.by_us);
    let (log, folder) = suite.center.ended("a node at its drain's limit", SOON).await?;
    ensure!(log.contains("limit"), "{log}");
    ensure!(outcomes(&folder.path().join("data")).await? == ["answered"]);
    Ok(())
}

// spec: CL-6: a drain by command ends nothing, and can be taken back.
#[tokio::test]
async fn cl_6_a_drained_node_takes_calls_again_when_it_is_told_to() -> Result<()> {
    let scene = Scene::start().await?;
    let edge = scene.nodes()[0];
    let (caller, hers) = talking(&scene, edge).await?;
    let other = scene.another_than(&[edge]);
    let said = scene.cli(other, &["drain", &edge.to_string()]).await?;
    ensure!(said.contains("0 shards left, calls left: 1, oldest") && !said.contains("waits"), "{said}");
    ensure!(refused(scene.node(edge), scene.block(), "+33600000001").await? == Some(503));
    let edge_text = edge.to_string();
    let args = ["drain", &edge_text, "--wait"];
    let waiting = scene.cli(other, &args);
    let ending = async {
        hear_each_other((&caller, CALLER), (&hers, ANNA)).await?;
        caller.hang_up().await
    };
    let (said, ended) = tokio::join!(waiting, ending);
    ended?;
    ensure!(said?.contains("calls left: 0"));
    scene.cli(other, &["undrain", &edge_text]).await?;
    until_readiness(scene.node(edge), 200, "ready").await?;
    let caller = scene.call(edge, "+33600000003", CALLER).await?;
    caller.audio().hears_tone(ANNA, TOLERANCE, SOON).await?;
    caller.hang_up().await?;
    scene.stop().await
}

// spec: CL-6: who waits for a node that does not come hears which.
#[tokio::test]
async fn cl_6_a_drain_of_the_last_owner_says_what_it_waits_for() -> Result<()> {
    let scene = Scene::start_with(&[(1, "[acd, api]"), (2, "[edge, api]")]).await?;
    let said = scene.cli(2, &["drain", "1", "--no-wait"]).await?;
    let missing = "node 1 waits: no other node can take its queues and agents: start one with the role acd";
    ensure!(said.contains(missing) && !said.contains("role edge"), "{said}");
    let shows = |all: &[Value]| all.iter().any(|it| it["draining"] == true).then_some(());
    scene.until("node 1 drains", &["nodes", "-o", "json"], shows).await?;
    let shown = scene.cli(2, &["nodes"]).await?;
    ensure!(shown.contains(missing), "{shown}");
    let said = scene.cli(2, &["drain", "2", "--no-wait"]).await?;
    ensure!(said.contains("node 2 waits: no other node can take its phones and waiting callers"), "{said}");
    scene.stop().await
}

// spec: CL-5, CL-6
#[tokio::test]
async fn cl_5_a_node_is_ready_once_it_has_joined_and_stays_so_without_etcd() -> Result<()> {
    let block = Block::fresh();
    let center = carillon_tests::suite::queue_of(block, "in_order", &["anna"], &[]);
    let nobody = vec![format!("http://{}:1", block.node(9))];
    let lonely = Carillon::start(Launch::member(block, Some(center.yaml()), 9, nobody)).await?;
    until_readiness(&lonely, 503, "joining").await?;
    ensure!(lonely.get("/healthz/live").await?.0 == 200);
    ensure!(refused(&lonely, block, "+33600000001").await? == Some(503), "it does not know the owners");
    lonely.stop().await?;

    let scene = Scene::start().await?;
    // All three must know each other as owners before they can vouch for each other.
    let owning = |all: &[Value]| (all.iter().filter(|it| it["shards"].as_u64() > Some(250)).count() == 3).then_some(());
    scene.until("all own their part", &["nodes", "-o", "json"], owning).await?;
    scene.etcd().signal("STOP").await?;
    // Longer than a lease: from then on nodes act by the word of the others.
    tokio::time::sleep(Duration::from_secs(5)).await;
    for node in scene.nodes() {
        let (status, why) = scene.node(node).get("/healthz/ready").await?;
        ensure!(status == 200, "node {node}: {why}");
    }
    scene.etcd().signal("CONT").await?;
    scene.stop().await
}

/// The value of a series, `name` or `name{labels}`; 0 when it is not there.
fn series(text: &str, name: &str) -> f64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_default()
}

/// Checks the text as a scraper does: each sample belongs to the figure whose type and help came before it, none comes
/// twice, and the last line says that it is all.
fn check_openmetrics(text: &str) -> Result<()> {
    let (mut name, mut kind, mut seen) = (String::new(), String::new(), std::collections::BTreeSet::new());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            ensure!(lines.peek().is_none(), "something after the end");
            return Ok(());
        }
        if let Some(rest) = line.strip_prefix("# HELP ") {
            name = rest.split(' ').next().context("a name")?.to_owned();
            ensure!(seen.insert(format!("# {name}")), "{name} comes twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            kind = rest.strip_prefix(&format!("{name} ")).with_context(|| line.to_owned())?.to_owned();
        } else if line.strip_prefix("# UNIT ").is_none() {
            let (series, value) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
            let wanted = if kind == "counter" { format!("{name}_total") } else { name.clone() };
            ensure!(series.split('{').next() == Some(wanted.as_str()), "{line} below {name}");
            ensure!(value.parse::<f64>()?.is_finite() && seen.insert(series.to_owned()), "{line}");
        }
    }
    anyhow::bail!("no end")
}

/// The metrics of all nodes, each checked.
async fn scrape_all(scene: &Scene) -> Result<Vec<(u8, String)>> {
    let mut texts = Vec::new();
    for node in scene.nodes() {
        let (status, text) = scene.node(node).get("/metrics").await?;
        ensure!(status == 200, "node {node}: {status}");
        check_openmetrics(&text).with_context(|| text.clone())?;
        texts.push((node, text));
    }
    Ok(texts)
}

/// What the metrics of all nodes should add up to while one caller talks and one waits at `edge`; what is not so.
fn not_so(texts: &[(u8, String)], edge: u8) -> Vec<String> {
    let sums = [
        ("carillon_shards_served", 1024.0),
        ("carillon_queues", 1.0),
        ("carillon_waiting", 1.0),
        ("carillon_queue_waiting{tenant=\"default\",queue=\"support\"}", 1.0),
        ("carillon_agents{availability=\"ready\",activity=\"talking\"}", 1.0),
        ("carillon_calls{stage=\"talking\"}", 1.0),
        ("carillon_calls{stage=\"waiting\"}", 1.0),
    ];
    let of_each = [("carillon_ready", 1.0), ("carillon_nodes", 3.0)];
    let at_edge = [("carillon_calls{stage=\"talking\"}", 1.0), ("carillon_media_streams", 3.0)];
    let is = |name: &str, is: f64, wanted: f64| ((is - wanted).abs() > 0.1).then(|| format!("{name} is {is}"));
    let summed = |name: &str| texts.iter().map(|(_, text)| series(text, name)).sum::<f64>();
    let mut wrong: Vec<String> = sums.iter().filter_map(|(name, wanted)| is(name, summed(name), *wanted)).collect();
    for (node, text) in texts {
        let up = text.lines().filter(|line| line.starts_with("carillon_link_up{") && line.ends_with(" 1.0")).count();
        wrong.extend((up != 2).then(|| format!("{up} links of node {node} are up")));
        let here = if *node == edge { &at_edge[..] } else { &[] };
        let expected = of_each.iter().chain(here);
        wrong.extend(expected.filter_map(|(name, wanted)| is(name, series(text, name), *wanted)));
        let kept = series(text, "carillon_etcd_keep_alives_total{result=\"answered\"}");
        wrong.extend((kept < 1.0).then(|| format!("node {node} has not kept its lease")));
        let left = series(text, "carillon_authority_left_seconds");
        wrong.extend((!(0.1..=3.0).contains(&left)).then(|| format!("{left} s of authority are left")));
    }
    wrong
}

// spec: CL-2, CL-6: shards move for some seconds after the start, so the sums are right in the end.
#[tokio::test]
async fn cl_6_the_metrics_of_all_nodes_add_up() -> Result<()> {
    let scene = Scene::start().await?;
    let edge = scene.nodes()[0];
    let (caller, _hers) = talking(&scene, edge).await?;
    let waiting = scene.call(edge, "+33600000001", CALLER).await?;
    scene.until_waiting("support", 1).await?;
    let mut look = tokio::time::interval(Duration::from_secs(1));
    let mut last = Vec::new();
    let adding_up = async {
        loop {
            last = not_so(&scrape_all(&scene).await?, edge);
            if last.is_empty() {
                return anyhow::Ok(());
            }
            look.tick().await;
        }
    };
    tokio::time::timeout(TAKEN_OVER, adding_up).await.with_context(|| format!("{last:?}"))??;
    waiting.hang_up().await?;
    caller.hang_up().await?;
    scene.stop().await
}
