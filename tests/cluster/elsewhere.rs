//! Phones that are registered at another node than their calls.

use std::time::Duration;

use anyhow::{Result, ensure};
use carillon_tests::sip::Answering;
use carillon_tests::suite::{SOON, TOLERANCE, hear_each_other};

use crate::scene::{Scene, TAKEN_OVER};

const ANNA: f64 = 600.0;
const CALLER: f64 = 900.0;

// spec: CL-1: the call at one node, the phone at another.
#[tokio::test]
async fn cl_1_a_phone_at_one_node_takes_calls_of_all_others() -> Result<()> {
    let scene = Scene::start().await?;
    for (phone, call) in [(1, 2), (2, 3), (3, 1)] {
        let mut anna = scene.agent(phone, "anna", ANNA, Answering::After(Duration::ZERO)).await?;
        let caller = scene.call(call, "+33600000000", CALLER).await?;
        let hers = anna.next_call(SOON).await?;
        hear_each_other((&caller, CALLER), (&hers, ANNA)).await?;
        hers.hold().await?;
        hers.resume().await?;
        hear_each_other((&caller, CALLER), (&hers, ANNA)).await?;
        caller.hang_up().await?;
        ensure!(!hers.ended(SOON).await?.by_us, "the node of the call hung up through the node of the phone");
        scene.until_idle("anna").await?;
        anna.register(Duration::ZERO).await?;

        let mut anna = scene.connected_agent(phone, "anna", ANNA).await?;
        let caller = scene.call(call, "+33600000001", CALLER).await?;
        let hers = anna.next_call(SOON).await?;
        hear_each_other((&caller, CALLER), (&hers, ANNA)).await?;
        hers.hang_up().await?;
        caller.ended(SOON).await?;
        scene.until_idle("anna").await?;
        anna.register(Duration::ZERO).await?;
    }
    scene.stop().await
}

// spec: CL-4
#[tokio::test]
async fn cl_4_who_talks_goes_on_when_the_node_of_the_phone_is_killed() -> Result<()> {
    let mut scene = Scene::start().await?;
    let (phone, call) = (1, 2);
    let mut anna = scene.agent(phone, "anna", ANNA, Answering::After(Duration::ZERO)).await?;
    let caller = scene.call(call, "+33600000000", CALLER).await?;
    let hers = anna.next_call(SOON).await?;
    hear_each_other((&caller, CALLER), (&hers, ANNA)).await?;
    scene.kill(phone).await?;
    let mut anna = scene.agent(3, "anna", ANNA, Answering::After(Duration::ZERO)).await?;
    caller.audio().hears_tone(ANNA, TOLERANCE, SOON).await?;
    hers.audio().hears_tone(CALLER, TOLERANCE, SOON).await?;
    caller.hang_up().await?;
    let next = scene.call(call, "+33600000001", CALLER).await?;
    let hers = anna.next_call(TAKEN_OVER).await?;
    hear_each_other((&next, CALLER), (&hers, ANNA)).await?;
    next.hang_up().await?;
    scene.stop().await
}
