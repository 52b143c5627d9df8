//! Calls whose edge dies.

use std::time::Duration;

use anyhow::{Result, ensure};
use carillon_tests::sip::{Answering, Call, Phone};
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

/// Callers hear music again, each sent by the edge that has their call now.
async fn have_moved(callers: &[Call]) -> Result<()> {
    for caller in callers {
        caller.until("re-INVITE", TAKEN_OVER, |p| p.redescribed >= 1 || p.end.is_some()).await?;
        caller.audio().hears_anything(SOON).await?;
    }
    Ok(())
}

/// Hangs the callers up one after the other; each time the next of them must be the one whom anna hears.
async fn are_served_in_order(anna: &mut Phone, callers: &[Call]) -> Result<()> {
    callers[0].hang_up().await?;
    for (n, caller) in callers.iter().enumerate().skip(1) {
        let hers = anna.next_call(TAKEN_OVER).await?;
        hear_each_other((caller, tone(n)), (&hers, ANNA)).await?;
        caller.hang_up().await?;
    }
    Ok(())
}

fn tone(n: usize) -> f64 {
    CALLER + 100.0 * n as f64
}

/// Anna, at node `phone`, talks with the first; the others wait; all of them came in at node `edge`.
async fn a_talk_and_a_queue(scene: &Scene, phone: u8, edge: u8, waiting: usize) -> Result<(Phone, Call, Vec<Call>)> {
    let mut anna = scene.agent(phone, "anna", ANNA, Answering::After(Duration::ZERO)).await?;
    let first = scene.call(edge, "+33600000000", CALLER).await?;
    let hers = anna.next_call(SOON).await?;
    hear_each_other((&first, CALLER), (&hers, ANNA)).await?;
    let mut callers = vec![first];
    for n in 1..=waiting {
        let caller = scene.call(edge, &format!("+3360000000{n}"), tone(n)).await?;
        scene.until_waiting("support", n).await?;
        // What he has heard for a while, other edges have heard of.
        caller.audio().hears_anything(SOON).await?;
        callers.push(caller);
    }
    Ok((anna, hers, callers))
}

// spec: CL-4, QU-8
#[tokio::test]
async fn cl_4_who_waits_comes_back_in_order_whoever_owns_the_queue() -> Result<()> {
    let mut scene = Scene::start().await?;
    for edge in [1, 2] {
        let (mut anna, _hers, callers) = a_talk_and_a_queue(&scene, 3, edge, 3).await?;
        scene.kill(edge).await?;
        // Those of the dead edge are on its disk.
        let before = scene.all_records_now().await?.len();
        have_moved(&callers).await?;
        scene.until_waiting("support", 3).await?;
        are_served_in_order(&mut anna, &callers).await?;
        let records = scene.all_records(before + 4).await?;
        ensure!(records.iter().all(|record| record.outcome == "answered"), "{records:?}");
        scene.until_idle("anna").await?;
        anna.register(Duration::ZERO).await?;
        scene.again(edge).await?;
    }
    scene.stop().await
}

// spec: CL-4, CL-3
#[tokio::test]
async fn cl_4_an_edge_that_slept_finds_its_calls_gone_and_says_nothing() -> Result<()> {
    let scene = Scene::start().await?;
    let edge = 1;
    let (mut anna, hers, callers) = a_talk_and_a_queue(&scene, 2, edge, 2).await?;
    scene.signal(edge, "STOP").await?;
    both_have_moved(&callers[0], &hers).await?;
    have_moved(&callers[1..]).await?;
    hear_each_other((&callers[0], CALLER), (&hers, ANNA)).await?;
    // One who was served and is gone before the edge wakes, too.
    callers[0].hang_up().await?;
    let second = anna.next_call(TAKEN_OVER).await?;
    scene.signal(edge, "CONT").await?;
    scene.until_all_linked().await?;
    hear_each_other((&callers[1], tone(1)), (&second, ANNA)).await?;
    callers[1].hang_up().await?;
    let third = anna.next_call(TAKEN_OVER).await?;
    hear_each_other((&callers[2], tone(2)), (&third, ANNA)).await?;
    callers[2].hang_up().await?;
    let records = scene.all_records(3).await?;
    ensure!(records.iter().all(|record| record.outcome == "answered"), "{records:?}");
    scene.until_idle("anna").await?;
    ensure!(anna.rung().is_none());
    scene.stop().await
}

// spec: CL-4: one record, although the caller's BYE waited in the socket of the edge that slept.
#[tokio::test]
async fn cl_4_a_call_that_ends_twice_has_one_record() -> Result<()> {
    let scene = Scene::start().await?;
    let edge = 1;
    let (mut anna, hers, callers) = a_talk_and_a_queue(&scene, 2, edge, 0).await?;
    scene.signal(edge, "STOP").await?;
    let caller = callers[0].clone();
    let hangs_up = tokio::spawn(async move { caller.hang_up().await });
    hers.ended(TAKEN_OVER).await?;
    scene.all_records_but(edge, 1).await?;
    scene.signal(edge, "CONT").await?;
    scene.until_all_linked().await?;
    callers[0].ended(TAKEN_OVER).await?;
    hangs_up.await?.ok();
    // What this edge writes now comes after everything that it was in doubt about.
    let next = scene.call(edge, "+33600000001", tone(1)).await?;
    let hers = anna.next_call(SOON).await?;
    hear_each_other((&next, tone(1)), (&hers, ANNA)).await?;
    next.hang_up().await?;
    let records = scene.all_records(2).await?;
    ensure!(records[1].caller.number == "+33600000001", "{records:?}");
    scene.stop().await
}

// spec: CL-4, PL-6: whether the heirs have heard of its end or not.
#[tokio::test]
async fn cl_4_a_call_that_ends_right_before_the_kill_has_its_record() -> Result<()> {
    let mut scene = Scene::start().await?;
    // Heirs hear of an end within 30 ms, and the disk has the record after some 200 ms.
    for (n, before) in [0, 80].into_iter().enumerate() {
        let (_anna, hers, callers) = a_talk_and_a_queue(&scene, 2, 1, 0).await?;
        callers[0].hang_up().await?;
        tokio::time::sleep(Duration::from_millis(before)).await;
        scene.kill(1).await?;
        hers.ended(TAKEN_OVER).await?;
        let records = scene.all_records(n + 1).await?;
        ensure!(records[0].outcome == "answered", "{before} ms: {records:?}");
        scene.until_idle("anna").await?;
        scene.again(1).await?;
    }
    scene.stop().await
}

// spec: CL-4, PL-6: the heir writes the record of an edge that was only asleep, which then writes it too, and removes it. Also when
// the heir has been killed meanwhile, and knows what it did only from its disk.
#[tokio::test]
async fn cl_4_a_record_that_was_written_twice_stays_with_the_heir() -> Result<()> {
    for kills in [false, true] {
        let mut scene = Scene::start().await?;
        let (edge, phone) = (1, 2);
        let (_anna, hers, callers) = a_talk_and_a_queue(&scene, phone, edge, 0).await?;
        callers[0].hang_up().await?;
        hers.ended(SOON).await?;
        // Its heirs have the record, and its disk has not.
        tokio::time::sleep(Duration::from_millis(80)).await;
        scene.signal(edge, "STOP").await?;
        scene.all_records_but(edge, 1).await?;
        if kills {
            let heir = if scene.records_on_disk(2).await? == 1 { 2 } else { 3 };
            scene.kill(heir).await?;
            scene.risen(heir).await?;
        }
        scene.signal(edge, "CONT").await?;
        scene.until_all_linked().await?;
        scene.until_all_ready().await?;
        let next = scene.call(edge, "+33600000001", tone(1)).await?;
        next.audio().hears_anything(SOON).await?;
        next.hang_up().await?;
        let records = scene.all_records(2).await?;
        ensure!(records[1].caller.number == "+33600000001", "{records:?}");
        let mut on_disks = 0;
        for node in scene.nodes() {
            on_disks += scene.records_on_disk(node).await?;
        }
        ensure!(on_disks == 2, "{on_disks} records of two calls");
        scene.stop().await?;
    }
    Ok(())
}

// spec: CL-4, CL-3: its user hears nobody, and must not have to hang up.
#[tokio::test]
async fn cl_4_a_phone_that_answers_a_sleeping_edge_is_hung_up_when_it_wakes() -> Result<()> {
    let scene = Scene::start().await?;
    let edge = scene.another_than(&[scene.owner("anna").await?]);
    let phone = scene.another_than(&[edge]);
    let mut anna = scene.agent(phone, "anna", ANNA, Answering::Never).await?;
    let caller = scene.call(edge, "+33600000000", CALLER).await?;
    let first = anna.next_call(SOON).await?;
    caller.audio().hears_anything(SOON).await?;
    scene.signal(edge, "STOP").await?;
    let answering = first.clone();
    let answers = tokio::spawn(async move { answering.answer().await });
    let again = anna.next_call(TAKEN_OVER).await?;
    again.answer().await?;
    hear_each_other((&caller, CALLER), (&again, ANNA)).await?;
    scene.signal(edge, "CONT").await?;
    ensure!(!first.ended(TAKEN_OVER).await?.by_us);
    // Nobody may have acknowledged its answer in time.
    answers.await?.ok();
    hear_each_other((&caller, CALLER), (&again, ANNA)).await?;
    caller.hang_up().await?;
    scene.until_idle("anna").await?;
    scene.all_records(1).await?;
    scene.stop().await
}

// spec: CL-4, CL-3
#[tokio::test]
async fn cl_4_an_agent_who_rang_for_a_call_of_a_dead_edge_rings_again() -> Result<()> {
    let mut scene = Scene::start().await?;
    let edge = scene.another_than(&[scene.owner("anna").await?]);
    let phone = scene.another_than(&[edge]);
    let mut anna = scene.agent(phone, "anna", ANNA, Answering::Never).await?;
    let caller = scene.call(edge, "+33600000000", CALLER).await?;
    anna.next_call(SOON).await?;
    scene.until_activity("anna", "reserved").await?;
    caller.audio().hears_anything(SOON).await?;
    scene.kill(edge).await?;
    let again = anna.next_call(TAKEN_OVER).await?;
    again.answer().await?;
    hear_each_other((&caller, CALLER), (&again, ANNA)).await?;
    caller.hang_up().await?;
    scene.until_idle("anna").await?;
    let records = scene.all_records(1).await?;
    ensure!(records[0].outcome == "answered" && !records[0].transitions.iter().any(|it| it.event == "not_answered"));
    scene.stop().await
}

// spec: CL-4: without an heir a call is lost, and nothing of it is left after 5 s.
#[tokio::test]
async fn cl_4_an_agent_whose_call_is_lost_with_its_edge_is_free() -> Result<()> {
    let mut scene = Scene::start_with(&[(1, "[edge, api]"), (2, "[acd, api]"), (3, "[acd, api]")]).await?;
    let mut anna = scene.agent(1, "anna", ANNA, Answering::After(Duration::ZERO)).await?;
    let caller = scene.call(1, "+33600000000", CALLER).await?;
    let hers = anna.next_call(SOON).await?;
    hear_each_other((&caller, CALLER), (&hers, ANNA)).await?;
    let waits = scene.call(1, "+33600000001", tone(1)).await?;
    scene.until_waiting("support", 1).await?;
    waits.audio().hears_anything(SOON).await?;
    scene.kill(1).await?;
    let killed = Instant::now();
    scene.until_idle("anna").await?;
    scene.until_waiting("support", 0).await?;
    println!("free {:?} after the kill", killed.elapsed());
    ensure!(killed.elapsed() < TAKEN_OVER / 2);
    scene.stop().await
}

// spec: CL-6: waiting callers leave a node that drains; who talks stays.
#[tokio::test]
async fn cl_6_a_node_that_drains_hands_its_waiting_callers_over() -> Result<()> {
    let scene = Scene::start().await?;
    let (edge, other) = (1, 2);
    let (mut anna, hers, callers) = a_talk_and_a_queue(&scene, 3, edge, 3).await?;
    scene.cli(other, &["drain", &edge.to_string()]).await?;
    have_moved(&callers[1..]).await?;
    hear_each_other((&callers[0], CALLER), (&hers, ANNA)).await?;
    ensure!(callers[0].progress().redescribed == 0, "a conversation ends where it is");
    scene.until_waiting("support", 3).await?;
    are_served_in_order(&mut anna, &callers).await?;
    let records = scene.all_records(4).await?;
    let moved = |record: &&carillon_tests::records::Record| record.transitions.iter().any(|it| it.event == "moved");
    ensure!(records.iter().filter(moved).count() == 3, "{records:?}");
    scene.stop().await
}

// spec: CL-6: the same when the node is told to end; it ends when the last conversation has.
#[tokio::test]
async fn cl_6_a_node_that_is_terminated_hands_its_waiting_callers_over() -> Result<()> {
    let mut scene = Scene::start().await?;
    let edge = 1;
    let (mut anna, hers, callers) = a_talk_and_a_queue(&scene, 3, edge, 2).await?;
    scene.signal(edge, "TERM").await?;
    have_moved(&callers[1..]).await?;
    hear_each_other((&callers[0], CALLER), (&hers, ANNA)).await?;
    let ending = scene.let_go(edge)?;
    are_served_in_order(&mut anna, &callers).await?;
    ending.ended("a node without calls", SOON).await?;
    scene.until_idle("anna").await?;
    scene.stop().await
}

// spec: CL-6: a conversation that outlasts the drain's limit goes on at another edge, and is counted once.
#[tokio::test]
async fn cl_6_a_conversation_outlives_the_drains_limit() -> Result<()> {
    let mut scene = Scene::start().await?;
    let edge = 1;
    scene.kill(edge).await?;
    scene.again_with(edge, &[("--drain-limit", "2s")]).await?;
    let (_anna, hers, callers) = a_talk_and_a_queue(&scene, 3, edge, 0).await?;
    scene.signal(edge, "TERM").await?;
    let ending = scene.let_go(edge)?;
    both_have_moved(&callers[0], &hers).await?;
    ending.ended("a node whose calls have moved", SOON).await?;
    hear_each_other((&callers[0], CALLER), (&hers, ANNA)).await?;
    scene.until_activity("anna", "talking").await?;
    callers[0].hang_up().await?;
    ensure!(!hers.ended(SOON).await?.by_us);
    let records = scene.all_records(1).await?;
    ensure!(records[0].transitions.iter().filter(|it| it.event == "moved").count() == 1, "{records:?}");
    scene.until_idle("anna").await?;
    scene.stop().await
}
