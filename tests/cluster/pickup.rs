//! Picking up what rings at a colleague, by code, where the two calls live on one node or on two, and by command at any node
//! (Spec: TR-4); and another command that concerns an agent and a queue (Spec: TR-5).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon_tests::sip::{Answering, Call};
use carillon_tests::suite::{SOON, hear_each_other};
use serde_json::Value;

use crate::scene::Scene;

const ANNA: f64 = 600.0;
const IVAN: f64 = 800.0;
const CALLER: f64 = 1_500.0;

async fn rings_elsewhere(rang: &Call) -> Result<()> {
    let end = rang.ended(SOON).await?;
    ensure!(end.reason.clone().unwrap_or_default().contains("elsewhere"), "{end:?}");
    Ok(())
}

// spec: TR-4, CL-1
#[tokio::test]
async fn tr_4_a_code_takes_what_rings_at_another_node() -> Result<()> {
    let scene = Scene::of(&["anna", "ivan"]).await?;
    let mut anna = scene.agent(1, "anna", ANNA, Answering::Never).await?;
    let mut ivan = scene.agent(2, "ivan", IVAN, Answering::After(Duration::ZERO)).await?;

    // Who is not known to be free yet is passed over.
    scene.until_free("support", 2).await?;

    // Both calls are at his node: the one with which he asks becomes the one that he gets.
    let caller = scene.call(2, "+33600000001", CALLER).await?;
    let rang = anna.next_call(SOON).await?;
    let code = ivan.dial("*11").await?;
    code.answered(SOON).await?;
    rings_elsewhere(&rang).await?;
    hear_each_other((&caller, CALLER), (&code, IVAN)).await?;
    code.hang_up().await?;
    caller.ended(SOON).await?;
    scene.until_free("support", 2).await?;

    // What rings is at another: his phone rings for the caller. The call with which he asked is told so when it has waited
    // for long enough to be taken over.
    let caller = scene.call(3, "+33600000002", CALLER).await?;
    let rang = anna.next_call(SOON).await?;
    let code = ivan.dial("*11").await?;
    let his = ivan.next_call(SOON).await?;
    rings_elsewhere(&rang).await?;
    hear_each_other((&caller, CALLER), (&his, IVAN)).await?;
    ensure!(!code.ended(SOON).await?.by_us, "nobody hung up");
    hear_each_other((&caller, CALLER), (&his, IVAN)).await?;
    caller.hang_up().await?;
    his.ended(SOON).await?;
    scene.until_idle("ivan").await?;
    scene.until_idle("anna").await?;
    scene.stop().await
}

// spec: TR-4, TR-5, CL-2: queue, agent and call are each on some node, and any node is asked.
#[tokio::test]
async fn tr_4_a_command_at_any_node_picks_up_what_rings() -> Result<()> {
    let scene = Scene::of(&["anna", "ivan"]).await?;
    let mut anna = scene.agent(1, "anna", ANNA, Answering::Never).await?;
    let mut ivan = scene.agent(2, "ivan", IVAN, Answering::After(Duration::ZERO)).await?;
    for (node, by_name) in [(1, false), (2, true), (3, false)] {
        scene.until_free("support", 2).await?;
        let caller = scene.call(3, "+33600000001", CALLER).await?;
        let rang = anna.next_call(SOON).await?;
        let calls: Vec<Value> = serde_json::from_str(&scene.cli(node, &["get", "calls", "-o", "json"]).await?)?;
        let id = calls[0]["name"].as_str().context("its name")?.trim_start_matches("calls/");
        let command = ["agent", "ivan", "pickup", "--call", id];
        let said = scene.cli(node, if by_name { &command } else { &command[..3] }).await?;
        ensure!(said.contains(&format!("ivan: picks up {id}")), "{said}");
        let his = ivan.next_call(SOON).await?;
        rings_elsewhere(&rang).await?;
        hear_each_other((&caller, CALLER), (&his, IVAN)).await?;
        let busy = scene.cli(node, &command[..3]).await.err().context("he talks")?.to_string();
        ensure!(busy.contains("busy with another call"), "{busy}");
        caller.hang_up().await?;
        his.ended(SOON).await?;
        scene.until_idle("ivan").await?;
        let nothing = scene.cli(node, &command[..3]).await.err().context("nobody calls")?.to_string();
        ensure!(nothing.contains("queues/support: nothing rings"), "{nothing}");

        for (action, free) in [("queue-logout", 1), ("queue-login", 2)] {
            scene.cli(node, &["agent", "ivan", action, "support"]).await?;
            scene.until_free("support", free).await?;
        }
    }
    scene.stop().await
}
