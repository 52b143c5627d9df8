//! Calls whose edge dies.

use std::time::Duration;

use anyhow::{Result, ensure};
use carillon_tests::sip::{Answering, Call};
use carillon_tests::suite::{SOON, hear_each_other};
use tokio::time::Instant;

use crate::scene::{Scene, TAKEN_OVER};

const ANNA: f64 = 600.0;
const CALLER: f64 = 900.0;

/// Until another edge has told both phones to send their audio there.
async fn both_have_moved(caller: &Call, hers: &Call) -> Result<()> {
    caller.until("re-INVITE", TAKEN_OVER, |p| p.redescribed >= 1 || p.end.is_some()).await?;
    hers.until("re-INVITE", TAKEN_OVER, |p| p.redescribed >= 1 || p.end.is_some()).await?;
    Ok(())
}

// spec: CL-4
#[tokio::test]
async fn cl_4_who_talks_goes_on_at_another_edge_when_theirs_is_killed() -> Result<()> {
    let mut scene = Scene::start().await?;
    let edge = 1;
    let mut anna = scene.agent(2, "anna", ANNA, Answering::After(Duration::ZERO)).await?;
    let caller = scene.call(edge, "+33600000000", CALLER).await?;
    let hers = anna.next_call(SOON).await?;
    hear_each_other((&caller, CALLER), (&hers, ANNA)).await?;
    let killed = Instant::now();
    scene.kill(edge).await?;
    both_have_moved(&caller, &hers).await?;
    hear_each_other((&caller, CALLER), (&hers, ANNA)).await?;
    println!("audio both ways {:?} after the kill", killed.elapsed());
    scene.until_activity("anna", "talking").await?;
    caller.hang_up().await?;
    ensure!(!hers.ended(SOON).await?.by_us);
    scene.until_idle("anna").await?;
    let records = scene.all_records(1).await?;
    ensure!(records[0].outcome == "answered", "{records:?}");
    scene.stop().await
}
