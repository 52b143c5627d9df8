//! The configuration of a cluster changes while its calls go on.

use std::time::Duration;

use anyhow::{Result, ensure};
use carillon_tests::sip::Answering;
use carillon_tests::suite::{SOON, TOLERANCE, hear_each_other};

use crate::scene::{Scene, TAKEN_OVER, named};
use crate::{are_served_in_order, one_talks_and_the_others_wait};

const ANNA: f64 = 600.0;
const BOB: f64 = 700.0;
const CALLER: f64 = 900.0;

const HOTLINE: &str = "+33123456000";

/// A queue, its agent and the number that leads to it.
fn hotline() -> String {
    format!(
        "kind: Agent\nname: bob\nspec:\n  extension: \"102\"\n  devices:\n    - {{ username: bob, password: {{ plain: \
         bob-secret }} }}\n---\nkind: Queue\nname: hotline\nspec: {{ agents: [bob], waiting_sound: music }}\n---\nkind: \
         Number\nname: hotline\nspec: {{ number: \"{HOTLINE}\", trunk: carrier, queue: hotline }}\n"
    )
}

fn support(fields: &str) -> String {
    format!("kind: Queue\nname: support\nspec:\n  display_name: support\n  waiting_sound: music\n{fields}")
}

/// A caller of the hotline at node `edge` talks with Bob, whose phone is at node `phone`.
async fn hotline_works(scene: &Scene, phone: u8, edge: u8) -> Result<()> {
    let mut bob = scene.agent(phone, "bob", BOB, Answering::After(Duration::ZERO)).await?;
    let caller = scene.dial(edge, HOTLINE, "+33600000077", CALLER).await?;
    let his = bob.next_call(TAKEN_OVER).await?;
    hear_each_other((&caller, CALLER), (&his, BOB)).await?;
    caller.hang_up().await?;
    scene.until_idle("bob").await
}

// spec: CL-7, OB-3: what is applied at one node is there for callers and phones at the others.
#[tokio::test]
async fn what_is_applied_at_one_node_is_in_force_at_all() -> Result<()> {
    let scene = Scene::start().await?;
    let dry = scene.apply(1, &hotline(), &["--dry-run"]).await?;
    ensure!(dry.contains("+ queues/hotline") && dry.contains("would be: 3 added"), "{dry}");
    let said = scene.apply(1, &hotline(), &[]).await?;
    ensure!(said.contains("3 added, 0 changed, 0 removed"), "{said}");
    hotline_works(&scene, 3, 2).await?;
    let said = scene.apply(2, &hotline(), &[]).await?;
    ensure!(said.contains("nothing to change"), "{said}");
    for node in scene.nodes() {
        let all = scene.cli(node, &["get", "config", "-o", "yaml"]).await?;
        ensure!(!all.contains("-secret"), "SE-5: {all}");
        let again = scene.apply(node, &all, &["--prune"]).await?;
        ensure!(again.contains("nothing to change"), "{again}");
    }
    scene.stop().await
}

// spec: QU-8, UN-4: nobody is dropped and nobody loses his place.
#[tokio::test]
async fn callers_keep_their_place_and_their_conversation_through_changes() -> Result<()> {
    let scene = Scene::start().await?;
    let (mut anna, callers) = one_talks_and_the_others_wait(&scene, 1, 3).await?;
    scene.apply(2, &hotline(), &[]).await?;
    let changes = [
        "  agents: [anna]\n  strategy: longest_idle\n  wrap_up: 0s\n  max_wait: 10m\n",
        "  agents: [bob, anna]\n  strategy: all_at_once\n  unanswered: hang_up\n",
        "  agents: [anna]\n  strategy: skills\n  ageing: 90s\n",
    ];
    for (node, fields) in [3, 1, 2].into_iter().zip(changes) {
        let said = scene.apply(node, &support(fields), &[]).await?;
        ensure!(said.contains("~ queues/support"), "{said}");
        scene.until_waiting("support", 3).await?;
        for caller in &callers[1..] {
            caller.audio().hears_anything(Duration::from_millis(300)).await?;
        }
        callers[0].audio().hears_tone(ANNA, TOLERANCE, SOON).await?;
    }
    ensure!(anna.rung().is_none(), "she talks");
    are_served_in_order(&mut anna, callers).await?;
    let records = scene.records(1, 4).await?;
    ensure!(records.iter().all(|record| record.outcome == "answered"), "{records:?}");
    scene.stop().await
}

// spec: UN-4: who waits in a queue that is removed goes the way of those for whom nobody is there.
#[tokio::test]
async fn who_waits_in_a_removed_queue_is_sent_away_and_who_talks_goes_on() -> Result<()> {
    let scene = Scene::start().await?;
    let all = scene.cli(1, &["get", "config", "-o", "yaml"]).await?;
    scene.apply(1, &hotline(), &[]).await?;
    let mut bob = scene.agent(2, "bob", BOB, Answering::After(Duration::ZERO)).await?;
    let talks = scene.dial(1, HOTLINE, "+33600000001", CALLER).await?;
    let his = bob.next_call(TAKEN_OVER).await?;
    hear_each_other((&talks, CALLER), (&his, BOB)).await?;
    let waits = scene.dial(3, HOTLINE, "+33600000002", CALLER).await?;
    scene.until_waiting("hotline", 1).await?;

    let said = scene.apply(3, &all, &["--prune"]).await?;
    ensure!(said.contains("- queues/hotline") && said.contains("0 added, 0 changed, 3 removed"), "{said}");
    ensure!(!waits.ended(SOON).await?.by_us);
    hear_each_other((&talks, CALLER), (&his, BOB)).await?;
    talks.hang_up().await?;
    his.ended(SOON).await?;
    let gone = |all: &[serde_json::Value]| named(all, "bob").is_none().then_some(());
    scene.until("bob is gone", &["get", "agents", "-o", "json"], gone).await?;
    let refused = scene.dial(2, HOTLINE, "+33600000003", CALLER).await?.ended(SOON).await?;
    ensure!(refused.status == Some(404), "{refused:?}");

    scene.apply(1, &hotline(), &[]).await?;
    hotline_works(&scene, 3, 2).await?;
    scene.stop().await
}

// spec: CL-5: changes wait for etcd, calls do not.
#[tokio::test]
async fn cl_5_a_change_is_refused_while_etcd_is_frozen_and_calls_go_on() -> Result<()> {
    let scene = Scene::start().await?;
    let (mut anna, callers) = one_talks_and_the_others_wait(&scene, 1, 1).await?;
    scene.etcd().signal("STOP").await?;
    let began = std::time::Instant::now();
    let refused = scene.apply(2, &hotline(), &[]).await.unwrap_err().to_string();
    ensure!(
        refused.contains("the coordinator cannot be reached") && refused.contains("nothing was written"),
        "{refused}"
    );
    ensure!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    let shown = scene.cli(2, &["get", "numbers"]).await?;
    ensure!(shown.contains("main") && !shown.contains("hotline"), "{shown}");
    are_served_in_order(&mut anna, callers).await?;
    scene.etcd().signal("CONT").await?;
    scene.until_all_own().await?;
    let said = loop {
        if let Ok(said) = scene.apply(2, &hotline(), &[]).await {
            break said;
        }
    };
    ensure!(said.contains("3 added"), "what was refused was not written: {said}");
    hotline_works(&scene, 1, 3).await?;
    scene.stop().await
}

#[tokio::test]
async fn of_two_changes_at_once_each_is_whole_or_refused() -> Result<()> {
    let scene = Scene::start().await?;
    let change = |rings: usize| {
        let queue = |n: usize| format!("kind: Queue\nname: q{n}\nspec: {{ agents: [anna], rings: {rings} }}\n");
        (0..40).map(queue).collect::<Vec<_>>().join("---\n")
    };
    let mut refused = 0;
    // Until some have met: nobody knows when a process starts.
    for round in 0..100 {
        let rings = 1 + round % 19;
        if refused > 0 {
            break;
        }
        let (one, other) = (change(rings), change(rings + 1));
        let answers = tokio::join!(scene.apply(1, &one, &[]), scene.apply(2, &other, &[]));
        for answer in [answers.0, answers.1] {
            match answer {
                Ok(said) => ensure!(said.contains("40 ") || said.contains("nothing to change"), "{said}"),
                Err(error) => {
                    let error = error.to_string();
                    ensure!(error.contains("somebody else has changed the configuration"), "{error}");
                    refused += 1;
                }
            }
        }
        // Another node hears of it a moment later, and never of a part of it.
        let stored = async {
            loop {
                let all = scene.cli(3, &["get", "queues", "-o", "yaml"]).await?;
                let mut found: Vec<&str> = all.lines().filter_map(|line| line.trim().strip_prefix("rings: ")).collect();
                let count = found.len();
                found.dedup();
                ensure!(found.len() <= 1 && (count == 0 || count == 40), "{found:?}");
                if found == [rings.to_string()] || found == [(rings + 1).to_string()] {
                    return Ok(());
                }
            }
        };
        tokio::time::timeout(SOON, stored).await??;
    }
    ensure!(refused > 0, "no two of them met");
    scene.stop().await
}

#[tokio::test]
async fn nodes_that_nobody_has_configured_wait_for_the_first_configuration() -> Result<()> {
    let (scene, block) = Scene::unconfigured().await?;
    ensure!(scene.cli(1, &["get", "config"]).await?.contains("nothing is configured"));
    let (status, why) = scene.node(3).get("/healthz/ready").await?;
    ensure!(status == 503 && why.contains("no configuration yet"), "{status}: {why}");
    scene.apply(2, &Scene::center(block).yaml(), &[]).await?;
    scene.until_all_own().await?;
    scene.until_all_ready().await?;
    let (mut anna, callers) = one_talks_and_the_others_wait(&scene, 3, 1).await?;
    are_served_in_order(&mut anna, callers).await?;
    scene.stop().await
}

/// A node without phones looks no password up, so it takes a change that the edge cannot use.
#[tokio::test]
async fn a_node_that_cannot_use_a_change_goes_on_and_says_so() -> Result<()> {
    let scene = Scene::start_with(&[(1, "[acd, api]"), (2, "[edge, api]")]).await?;
    let bob = |password: &str| {
        format!("kind: Agent\nname: bob\nspec: {{ devices: [{{ username: bob, password: {password} }}] }}\n")
    };
    let said = scene.apply(1, &bob("{ file: /nowhere/bob }"), &[]).await?;
    ensure!(said.contains("1 added"), "{said}");
    let refuses = |nodes: &[serde_json::Value]| {
        let edge = nodes.iter().find(|node| node["node"] == 2)?;
        edge["configuration"]["refused"].as_str().filter(|why| why.contains("/nowhere/bob")).map(str::to_owned)
    };
    scene.until("the edge says so", &["nodes", "-o", "json"], refuses).await?;
    let shown = scene.cli(1, &["nodes"]).await?;
    ensure!(shown.contains("old configuration") && shown.contains("node 2 goes on with revision"), "{shown}");
    let (status, why) = scene.node(2).get("/healthz/ready").await?;
    ensure!(status == 200 && why.contains("is not in force here"), "{status}: {why}");
    let (_, metrics) = scene.node(2).get("/metrics").await?;
    let figure = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|figure| figure.parse::<f64>().ok())
    };
    let (used, newest) = (figure("carillon_configuration_revision"), figure("carillon_configuration_newest_revision"));
    ensure!(used.is_some() && used < newest, "{used:?}, {newest:?}");
    let (mut anna, callers) = one_talks_and_the_others_wait(&scene, 2, 1).await?;
    are_served_in_order(&mut anna, callers).await?;

    scene.apply(1, &bob("{ plain: bob-secret }"), &[]).await?;
    let takes = |nodes: &[serde_json::Value]| {
        let edge = nodes.iter().find(|node| node["node"] == 2)?;
        (edge["configuration"]["refused"] == "").then_some(())
    };
    scene.until("the edge has it", &["nodes", "-o", "json"], takes).await?;
    scene.agent(2, "bob", BOB, Answering::Never).await?;
    scene.stop().await
}
