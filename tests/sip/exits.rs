//! What a caller does with his keys while he waits: real digits (RFC 4733), and a callback through the carrier's trunk.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon_tests::center::{Center, NUMBER};
use carillon_tests::real::{Block, Carillon, Launch};
use carillon_tests::sip::{Answering, Phone, PhoneConfig};
use carillon_tests::suite::{SOON, Suite, hear_each_other, queue_of};

const AT_ONCE: Answering = Answering::After(Duration::ZERO);
const CALLER: f64 = 1_500.0;
const CLIENT: &str = "+33600000001";

/// The second pitch of the tone that says "it will be done".
const ACCEPTED: f64 = 900.0;

// spec: UN-7
#[tokio::test]
async fn a_digit_leads_to_another_queue_while_a_phone_rings() -> Result<()> {
    let block = Block::fresh();
    let exits = ["waiting_sound: music", "exits: { \"1\": { queue: sales } }"];
    let center = queue_of(block, "in_order", &["anna"], &exits)
        .queue("sales", "in_order", &["piotr".to_owned()], &[])
        .agent("piotr", 102);
    let suite = Suite::start(block, center, &[]).await?;
    let mut anna = suite.agent("anna", 600.0, Answering::Never).await?;
    let mut piotr = suite.agent("piotr", 800.0, AT_ONCE).await?;
    let (_phone, call) = suite.call(CLIENT, CALLER).await?;
    let rings = anna.next_call(SOON).await?;
    call.audio().hears_anything(SOON).await?;
    call.audio().press("5");
    call.audio().press("1");
    let inside = piotr.next_call(SOON).await?;
    hear_each_other((&call, CALLER), (&inside, 800.0)).await?;
    ensure!(rings.ended(SOON).await?.status == Some(487), "the phone that rang first is cancelled");
    call.hang_up().await?;
    let record = suite.records(1).await?.remove(0);
    assert_eq!(record.answered_by(), Some("piotr"));
    assert_eq!(record.steps("left_queue").filter_map(|step| step.why.as_deref()).collect::<Vec<_>>(), ["digit 1"]);
    suite.stop().await
}

// spec: UN-7, OU-5
#[tokio::test]
async fn a_client_is_called_back_and_the_agent_is_rung_first() -> Result<()> {
    let block = Block::fresh();
    let server = SocketAddr::new(block.center(), 5060);
    let mut client = Phone::start(PhoneConfig::caller(server, block.carrier(), CLIENT, CALLER)).await?;
    let fields = ["waiting_sound: music", "exits: { \"2\": callback }", "wrap_up: 0s"];
    let outbound = format!("kind: Trunk\nname: outbound\nspec:\n  outbound: \"sip:{}\"\n", client.local());
    let center: Center = queue_of(block, "in_order", &["anna"], &fields).object(&outbound);
    let launch = Launch { sip_port: Some(server.port()), ..Launch::serve(block, center.yaml()) };
    let suite = Suite { block, center: Carillon::start(launch).await? };

    let call = client.dial(NUMBER).await?;
    call.answered(SOON).await?;
    call.audio().hears_anything(SOON).await?;
    call.audio().press("2");
    call.audio().hears("the tone of acceptance", 1, SOON, |sound| sound.is_tone(ACCEPTED, 0.05)).await?;
    ensure!(!call.ended(SOON).await?.by_us, "we hang up");
    let queue = suite.center.cli_json(&["get", "queues", "support", "-o", "json"]).await?;
    assert_eq!((queue["waiting"].as_u64(), queue["callbacks"].as_u64()), (Some(0), Some(1)));

    let mut anna = suite.agent("anna", 600.0, Answering::Never).await?;
    let inside = anna.next_call(SOON).await?;
    ensure!(client.rung().is_none(), "the agent is rung first");
    inside.answer().await?;
    let outside = client.next_call(SOON).await?;
    assert_eq!(outside.from, NUMBER, "OU-5: the client sees the number that he has called");
    inside.audio().hears_tone(425.0, 0.05, SOON).await.context("the agent hears ringing")?;
    let waiting = suite.center.cli_json(&["get", "calls", "-o", "json"]).await?;
    assert_eq!((&waiting[0]["callback"], &waiting[0]["stage"]), (&true.into(), &"ringing".into()));
    outside.answer().await?;
    hear_each_other((&outside, CALLER), (&inside, 600.0)).await?;
    outside.hang_up().await?;
    inside.ended(SOON).await?;
    let record = suite.records(1).await?.remove(0);
    assert_eq!((record.outcome.as_str(), record.answered_by()), ("answered", Some("anna")));
    assert_eq!(record.caller.number, CLIENT);
    suite.stop().await
}
