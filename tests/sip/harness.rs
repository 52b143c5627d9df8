//! The harness against itself: its phones, SIPp and baresip call each other without the product between them, so that a
//! failure elsewhere is the product's.

use std::time::Duration;

use anyhow::{Context, Result};
use carillon_tests::audio::wav;
use carillon_tests::real::baresip::BaresipConfig;
use carillon_tests::real::network::free_port;
use carillon_tests::real::{Baresip, Block, Sipp};
use carillon_tests::sip::{Call, Phone, PhoneConfig};

const SOON: Duration = Duration::from_secs(15);

/// A baresip that answers, and a phone that has called it.
async fn call_baresip() -> Result<(Baresip, Phone, Call)> {
    let block = Block::fresh();
    let config = BaresipConfig {
        server: free_port(block.center())?,
        user: "b".to_owned(),
        password: None,
        tone: 700.0,
        answers: true,
        codec: "pcmu",
    };
    let baresip = Baresip::start(config).await?;
    let phone = Phone::start(PhoneConfig::caller(baresip.sip, block.carrier(), "0123", 1_000.0)).await?;
    let call = phone.dial("b").await?;
    call.answered(SOON).await.with_context(|| baresip.output())?;
    Ok((baresip, phone, call))
}

#[tokio::test]
async fn a_soft_phone_and_baresip_hear_each_other() -> Result<()> {
    let (baresip, _phone, call) = call_baresip().await?;
    // A whole second, so that the other side's recording has as much.
    call.audio().hears("a second of 700 Hz", 10, SOON, |s| s.is_tone(700.0, 0.01)).await?;
    call.hang_up().await?;
    let left = baresip.stop().await?;
    let (hertz, windows) = wav::tone_of(left.heard.last().context("baresip recorded nothing")?)?;
    assert!((hertz - 1_000.0).abs() < 10.0 && windows >= 5, "baresip heard {hertz} Hz in {windows} windows");
    Ok(())
}

#[tokio::test]
async fn baresip_is_held_and_holds() -> Result<()> {
    let (baresip, _phone, call) = call_baresip().await?;
    call.audio().hears_tone(700.0, 0.01, SOON).await?;
    call.hold().await?;
    call.resume().await?;
    call.audio().hears_tone(700.0, 0.01, SOON).await.with_context(|| baresip.output())?;
    baresip.command("hold", "").await?;
    call.until("hold", SOON, |p| p.held).await?;
    baresip.command("resume", "").await?;
    call.until("resume", SOON, |p| !p.held).await?;
    call.audio().hears_tone(700.0, 0.01, SOON).await?;
    call.hang_up().await?;
    baresip.stop().await?;
    Ok(())
}

#[tokio::test]
async fn sipp_calls_sipp() -> Result<()> {
    let block = Block::fresh();
    let (agent, caller) = (free_port(block.agents())?, free_port(block.carrier())?);
    let agents = Sipp::bench("agent.xml", agent, None).option("-d", 100).key("sdport", 4000).start().await?;
    let callers = Sipp::bench("caller.xml", caller, Some(agent)).option("-m", 40).option("-r", 40).option("-s", "a");
    callers.key("sdport", 4002).run(SOON).await?.all_of(40)?;
    let agents = agents.stop().await?;
    assert_eq!(agents.log.lines().filter(|l| l.starts_with("T ")).count(), 40, "{}", agents.log);
    Ok(())
}
