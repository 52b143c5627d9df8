//! Several nodes with a real etcd on loopback, real phones, and what happens when a part of it dies.

mod anywhere;
mod config;
mod elsewhere;
mod operate;
mod pickup;
mod scene;
mod survival;

use std::time::Duration;

use anyhow::{Result, ensure};
use carillon_tests::sip::{Answering, Call};
use carillon_tests::suite::{SOON, TOLERANCE, hear_each_other};

use scene::{Scene, TAKEN_OVER};

const ANNA: f64 = 600.0;
const FIRST: f64 = 900.0;

/// Anna talks with the first of these callers, the others wait; all of them, and her phone, are at node `edge`.
pub(crate) async fn one_talks_and_the_others_wait(
    scene: &Scene,
    edge: u8,
    waiting: usize,
) -> Result<(carillon_tests::sip::Phone, Vec<Call>)> {
    let mut anna = scene.agent(edge, "anna", ANNA, Answering::After(Duration::ZERO)).await?;
    let first = scene.call(edge, "+33600000000", FIRST).await?;
    let hers = anna.next_call(SOON).await?;
    hear_each_other((&first, FIRST), (&hers, ANNA)).await?;
    let mut callers = vec![first];
    for n in 1..=waiting {
        callers.push(scene.call(edge, &format!("+3360000000{n}"), FIRST + 100.0 * n as f64).await?);
        scene.until_waiting("support", n).await?;
    }
    Ok((anna, callers))
}

/// Hangs the callers up one after the other; each time the next of them must be the one whom anna hears.
pub(crate) async fn are_served_in_order(anna: &mut carillon_tests::sip::Phone, callers: Vec<Call>) -> Result<()> {
    let mut callers = callers.into_iter();
    callers.next().expect("one talks").hang_up().await?;
    for (n, caller) in (1..).zip(callers) {
        let hers = anna.next_call(TAKEN_OVER).await?;
        hear_each_other((&caller, FIRST + 100.0 * f64::from(n)), (&hers, ANNA)).await?;
        caller.hang_up().await?;
    }
    Ok(())
}

// spec: CL-1, CL-2: the call at one node, its queue at the second, its agent at the third, whichever these are.
#[tokio::test]
async fn cl_2_a_call_its_queue_and_its_agent_live_on_any_nodes() -> Result<()> {
    let scene = Scene::start().await?;
    for (served, edge) in (1..).zip(scene.nodes()) {
        let (mut anna, callers) = one_talks_and_the_others_wait(&scene, edge, 1).await?;
        are_served_in_order(&mut anna, callers).await?;
        let records = scene.records(edge, 2 * served).await?;
        ensure!(records.iter().all(|record| record.outcome == "answered"), "{records:?}");
        anna.register(Duration::ZERO).await?;
        scene.until_idle("anna").await?;
    }
    scene.stop().await
}

// spec: CL-4, QU-8
#[tokio::test]
async fn cl_4_callers_keep_music_and_order_when_the_owner_of_their_queue_is_killed() -> Result<()> {
    let mut scene = Scene::start().await?;
    let owner = scene.owner("support").await?;
    let edge = scene.another_than(&[owner]);
    let (mut anna, callers) = one_talks_and_the_others_wait(&scene, edge, 4).await?;
    scene.kill(owner).await?;
    for caller in &callers[1..] {
        caller.audio().hears_anything(Duration::from_millis(500)).await?;
    }
    let next = scene.owner("support").await?;
    ensure!(next != owner);
    scene.until_waiting("support", 4).await?;
    are_served_in_order(&mut anna, callers).await?;
    let records = scene.records(edge, 5).await?;
    ensure!(records.iter().all(|record| record.outcome == "answered"), "{records:?}");
    scene.stop().await
}

// spec: CL-4, CL-3
#[tokio::test]
async fn cl_4_an_agent_in_conversation_is_known_as_such_to_her_next_owner() -> Result<()> {
    let mut scene = Scene::start().await?;
    let owner = scene.owner("anna").await?;
    let edge = scene.another_than(&[owner]);
    let (mut anna, callers) = one_talks_and_the_others_wait(&scene, edge, 1).await?;
    scene.kill(owner).await?;
    ensure!(scene.owner("anna").await? != owner);
    scene.until_activity("anna", "talking").await?;
    ensure!(anna.rung().is_none(), "she is not offered a second caller");
    callers[0].audio().hears_tone(ANNA, TOLERANCE, SOON).await?;
    are_served_in_order(&mut anna, callers).await?;
    scene.stop().await
}

// spec: CL-5
#[tokio::test]
async fn cl_5_calls_and_offers_go_on_while_etcd_is_frozen() -> Result<()> {
    let scene = Scene::start().await?;
    let edge = scene.nodes()[0];
    let (mut anna, mut callers) = one_talks_and_the_others_wait(&scene, edge, 1).await?;
    scene.etcd().signal("STOP").await?;
    // Long after every lease would have ended.
    tokio::time::sleep(Duration::from_secs(12)).await;
    callers.push(scene.call(edge, "+33600000009", FIRST + 200.0).await?);
    scene.until_waiting("support", 2).await?;
    are_served_in_order(&mut anna, callers).await?;
    scene.etcd().signal("CONT").await?;
    scene.until_all_own().await?;
    anna.register(Duration::ZERO).await?;
    scene.until_idle("anna").await?;
    let (mut anna, callers) = one_talks_and_the_others_wait(&scene, edge, 1).await?;
    are_served_in_order(&mut anna, callers).await?;
    scene.stop().await
}

// spec: CL-3, CL-5
#[tokio::test]
async fn cl_3_a_node_that_slept_finds_its_titles_gone() -> Result<()> {
    let scene = Scene::start().await?;
    let owner = scene.owner("support").await?;
    let edge = scene.another_than(&[owner]);
    let (mut anna, callers) = one_talks_and_the_others_wait(&scene, edge, 2).await?;
    scene.signal(owner, "STOP").await?;
    scene.until_owned_elsewhere("support", owner).await?;
    scene.signal(owner, "CONT").await?;
    are_served_in_order(&mut anna, callers).await?;
    let records = scene.records(edge, 3).await?;
    ensure!(records.iter().all(|record| record.outcome == "answered"), "{records:?}");
    scene.stop().await
}

// spec: CL-6: a node hands over what it owns and nobody notices. TR-6: any node takes a command and shows everybody.
#[tokio::test]
async fn cl_6_a_drained_node_owns_nothing_and_any_node_speaks_for_all() -> Result<()> {
    let scene = Scene::start().await?;
    let owner = scene.owner("anna").await?;
    let edge = scene.another_than(&[owner]);
    let (mut anna, callers) = one_talks_and_the_others_wait(&scene, edge, 2).await?;
    let said = scene.cli(edge, &["drain", &owner.to_string()]).await?;
    ensure!(said.contains(&format!("node {owner}: 0 shards left")), "{said}");
    ensure!(scene.owner("anna").await? != owner && scene.owner("support").await? != owner);
    for node in scene.nodes() {
        let nodes = scene.cli(node, &["nodes"]).await?;
        ensure!(nodes.lines().count() == 4 && nodes.contains("draining"), "{nodes}");
        let calls = scene.cli(node, &["get", "calls"]).await?;
        ensure!(calls.lines().count() == 4, "the calls of node {edge}, asked at node {node}: {calls}");
    }
    are_served_in_order(&mut anna, callers).await?;
    scene.cli(owner, &["undrain", &owner.to_string()]).await?;
    for node in scene.nodes() {
        scene.cli_soon(node, &["agent", "anna", "break"]).await?;
        let agents = scene.cli_soon(edge, &["get", "agents", "anna"]).await?;
        ensure!(agents.contains("break"), "told at node {node}: {agents}");
        scene.cli_soon(node, &["agent", "anna", "ready"]).await?;
    }
    scene.stop().await
}
