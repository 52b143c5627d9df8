//! Picking up by code what rings at a colleague, where the two calls live on one node or on two (Spec: TR-4).

use std::time::Duration;

use anyhow::{Result, ensure};
use carillon_tests::sip::{Answering, Call};
use carillon_tests::suite::{SOON, hear_each_other};

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
