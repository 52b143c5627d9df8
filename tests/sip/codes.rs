//! What agents dial: pickup of a call that rings at a colleague, login and logout per queue (Spec: TR-4, TR-5).

use std::time::Duration;

use anyhow::{Result, ensure};
use carillon_tests::real::Block;
use carillon_tests::sip::{Answering, Call, Phone};
use carillon_tests::suite::{SOON, Suite, TOLERANCE, hear_each_other, queue_of};

const AT_ONCE: Answering = Answering::After(Duration::ZERO);
const CALLER: f64 = 1_500.0;
const ANNA: f64 = 600.0;
const IVAN: f64 = 800.0;
/// What an agent hears when it was done, and when not.
const DONE: f64 = 880.0;
const DECLINED: f64 = 330.0;

/// Anna, whose phone rings in vain, and Ivan.
async fn two(options: &[(&str, &str)]) -> Result<(Suite, Phone, Phone)> {
    let fields = ["pickup: true", "short_number: \"9\"", "waiting_sound: music"];
    let block = Block::fresh();
    let suite = Suite::start(block, queue_of(block, "in_order", &["anna", "ivan"], &fields), options).await?;
    let anna = suite.agent("anna", ANNA, Answering::Never).await?;
    let ivan = suite.agent("ivan", IVAN, AT_ONCE).await?;
    Ok((suite, anna, ivan))
}

/// Dials a code and hears what came of it; the center hangs up.
async fn dials(phone: &Phone, code: &str, tone: f64) -> Result<()> {
    let call = phone.dial(code).await?;
    call.audio().hears_tone(tone, TOLERANCE, SOON).await?;
    ensure!(!call.ended(SOON).await?.by_us, "{code} is hung up by us");
    Ok(())
}

async fn rings_elsewhere(rang: &Call) -> Result<()> {
    let end = rang.ended(SOON).await?;
    ensure!(end.reason.clone().unwrap_or_default().contains("elsewhere"), "{end:?}");
    Ok(())
}

// spec: TR-4
#[tokio::test]
async fn a_code_takes_the_call_that_rings_at_a_colleague() -> Result<()> {
    let (suite, mut anna, ivan) = two(&[]).await?;
    dials(&ivan, "*11", DECLINED).await?;
    let (_caller, call) = suite.call("+33600000001", CALLER).await?;
    let rang = anna.next_call(SOON).await?;
    let code = ivan.dial("*11").await?;
    code.answered(SOON).await?;
    rings_elsewhere(&rang).await?;
    hear_each_other((&call, CALLER), (&code, IVAN)).await?;
    code.hang_up().await?;
    call.ended(SOON).await?;
    let records = suite.records(3).await?;
    let outcomes: Vec<&str> = records.iter().map(|record| record.outcome.as_str()).collect();
    ensure!(["refused", "done", "answered"].iter().all(|outcome| outcomes.contains(outcome)), "{outcomes:?}");
    let answered = records.iter().find(|record| record.outcome == "answered");
    ensure!(
        answered.is_some_and(|record| record.agent.as_deref() == Some("tenants/default/agents/ivan")),
        "{answered:?}"
    );
    suite.until_idle().await?;
    suite.stop().await
}

// spec: TR-4
#[tokio::test]
async fn with_several_workers_his_phone_rings_when_his_call_cannot_go_over() -> Result<()> {
    let (suite, mut anna, mut ivan) = two(&[("--sip-workers", "4")]).await?;
    for number in ["+33600000001", "+33600000002", "+33600000003", "+33600000004"] {
        let (_caller, call) = suite.call(number, CALLER).await?;
        let rang = anna.next_call(SOON).await?;
        let code = ivan.dial("*11").await?;
        let code = match code.until("answer or end", SOON, |p| p.answered.is_some() || p.end.is_some()).await?.end {
            None => code,
            Some(refused) => {
                ensure!(refused.status == Some(486), "{refused:?}");
                ivan.next_call(SOON).await?
            }
        };
        rings_elsewhere(&rang).await?;
        hear_each_other((&call, CALLER), (&code, IVAN)).await?;
        code.hang_up().await?;
        call.ended(SOON).await?;
        suite.until_idle().await?;
    }
    suite.stop().await
}

// spec: TR-4
#[tokio::test]
async fn the_command_line_lets_the_agents_own_phone_ring() -> Result<()> {
    let (suite, mut anna, mut ivan) = two(&[]).await?;
    let (_caller, call) = suite.call("+33600000001", CALLER).await?;
    let rang = anna.next_call(SOON).await?;
    let said = suite.center.cli(&["agent", "ivan", "pickup"]).await?;
    ensure!(said.starts_with("ivan: picks up "), "{said}");
    let answered = ivan.next_call(SOON).await?;
    rings_elsewhere(&rang).await?;
    hear_each_other((&call, CALLER), (&answered, IVAN)).await?;
    call.hang_up().await?;
    answered.ended(SOON).await?;
    suite.stop().await
}

// spec: TR-5
#[tokio::test]
async fn codes_change_whose_phone_rings() -> Result<()> {
    let (suite, mut anna, mut ivan) = two(&[]).await?;
    dials(&anna, "*429", DONE).await?;
    let (_caller, call) = suite.call("+33600000001", CALLER).await?;
    let answered = ivan.next_call(SOON).await?;
    hear_each_other((&call, CALLER), (&answered, IVAN)).await?;
    ensure!(anna.rung().is_none(), "Anna has logged out");
    call.hang_up().await?;
    answered.ended(SOON).await?;
    suite.until_idle().await?;
    dials(&anna, "*428", DECLINED).await?;
    dials(&anna, "*419", DONE).await?;
    let (_caller, call) = suite.call("+33600000002", CALLER).await?;
    let rang = anna.next_call(SOON).await?;
    call.hang_up().await?;
    rang.ended(SOON).await?;
    suite.stop().await
}
