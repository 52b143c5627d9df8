//! Bad input and broken peers: nothing crashes, nothing grows, nobody else notices.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon_tests::real::Block;
use carillon_tests::sip::endpoint::TRANSACTION;
use carillon_tests::sip::{Answering, Call, Phone};
use carillon_tests::suite::{SOON, Suite, hear_each_other, queue_of};
use carillon_tests::torture::{Message, Mutator, Target, messages};

const AT_ONCE: Answering = Answering::After(Duration::ZERO);

// spec: SE-6
#[tokio::test]
async fn every_torture_message_is_survived() -> Result<()> {
    let mut suite = Suite::with_queue("in_order", &["anna"], &[]).await?;
    let target = Target::open(suite.block.carrier(), suite.center.sip).await?;
    let (mut dead, mut right, mut told) = (Vec::new(), 0, 0);
    let messages = messages()?;
    for (number, message) in messages.iter().enumerate() {
        let (answers, alive) = target.try_message(&message.bytes, number).await?;
        let verdict = match message.allows(&answers) {
            Some(true) => "as told",
            Some(false) => "OTHER",
            None => "free",
        };
        right += usize::from(message.allows(&answers) == Some(true));
        told += usize::from(message.allows(&answers).is_some());
        println!("{:46} {:8} {answers:?} {} {}", message.file, verdict, message.parser, message.expected);
        if !alive {
            dead.push(&message.file);
        }
        ensure!(suite.center.is_alive()?, "{} killed it:\n{}", message.file, suite.center.log());
    }
    println!("{right} of {told} answered as the index tells");
    ensure!(dead.is_empty(), "no OPTIONS was answered after {dead:?}");
    suite.stop().await
}

/// Calls in conversation.
async fn conversations(suite: &Suite, voices: &[(f64, f64)]) -> Result<Vec<(Phone, Call, Call)>> {
    let mut calls = Vec::new();
    for (n, (outside, inside)) in voices.iter().enumerate() {
        let mut agent = suite.agent(["anna", "piotr", "ivan"][n], *inside, AT_ONCE).await?;
        let (_phone, call) = suite.call(&format!("+3360000000{n}"), *outside).await?;
        let answered = agent.next_call(SOON).await?;
        hear_each_other((&call, *outside), (&answered, *inside)).await?;
        calls.push((agent, call, answered));
    }
    Ok(calls)
}

/// Sends `count` mutated messages, as fast as they are read.
async fn flood(target: &Target, mutator: &mut Mutator, seeds: &[Message], count: usize, first: usize) -> Result<()> {
    // As much as a socket's default buffer takes at once.
    const BATCH: usize = 100;
    for batch in first..first + count / BATCH {
        for _ in 0..BATCH {
            target.send(&mutator.mutate(seeds)).await?;
        }
        // The answer to a ping says that the batch was read; without it most of the messages would be lost in the socket.
        ensure!(target.ping(batch).await?, "no answer after batch {batch}");
    }
    Ok(())
}

// spec: SE-6
#[tokio::test]
async fn a_million_mutated_datagrams_leave_the_calls_untouched() -> Result<()> {
    const HALF: usize = 500_000;
    const MIB: u64 = 1 << 20;
    let voices = [(1_300.0, 500.0), (1_500.0, 700.0), (1_700.0, 900.0)];
    let mut suite = Suite::with_queue("in_order", &["anna", "piotr", "ivan"], &[]).await?;
    let calls = conversations(&suite, &voices).await?;
    let target = Target::open(suite.block.carrier(), suite.center.sip).await?;
    let (seeds, mut mutator) = (messages()?, Mutator::new(0x5eed));
    flood(&target, &mut mutator, &seeds, HALF, 0).await?;
    let first = suite.center.usage()?.resident;
    // Transactions stay for timer J or H, 64 × T1 (RFC 3261 table 4). Once those of the first half are gone, the second half
    // must find room where they were.
    tokio::time::sleep(TRANSACTION).await;
    flood(&target, &mut mutator, &seeds, HALF, HALF).await?;
    let second = suite.center.usage()?.resident;
    println!("resident: {} MiB after the first half million, {} MiB after the second", first / MIB, second / MIB);
    ensure!(second < first + 8 * MIB, "resident memory went from {first} to {second}");
    ensure!(suite.center.is_alive()?, "it died:\n{}", suite.center.log());
    for ((_, outside, inside), (out_voice, in_voice)) in calls.iter().zip(voices) {
        hear_each_other((outside, out_voice), (inside, in_voice)).await.context("after the flood")?;
        ensure!(outside.progress().redescribed + inside.progress().redescribed == 0, "a call was described anew");
        outside.hang_up().await?;
        inside.ended(SOON).await?;
    }
    suite.stop().await
}

#[tokio::test]
async fn a_leg_without_audio_is_ended_and_the_record_says_so() -> Result<()> {
    let block = Block::fresh();
    let suite = Suite::start(block, queue_of(block, "in_order", &["anna"], &[]), &[("--rtp-timeout", "3s")]).await?;
    let calls = conversations(&suite, &[(1_300.0, 500.0)]).await?;
    let (_, outside, inside) = &calls[0];
    outside.audio().say(None);
    let end = outside.ended(Duration::from_secs(20)).await?;
    ensure!(!end.by_us, "{end:?}");
    inside.ended(SOON).await?;
    let record = suite.records(1).await?.remove(0);
    assert_eq!(record.cause, "media_timeout");
    ensure!(
        record.steps("leg_ended").any(|t| t.leg == Some(0) && t.cause.as_deref() == Some("media_timeout")),
        "{record:?}"
    );
    suite.stop().await
}
