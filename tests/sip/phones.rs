//! Phones: registration, calls to extensions and queues, hold, keys, and phones that other people wrote.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon_tests::audio::{Codec, wav};
use carillon_tests::center::{Center, NUMBER, password};
use carillon_tests::real::baresip::BaresipConfig;
use carillon_tests::real::{Baresip, Block};
use carillon_tests::sip::{Account, Answering, Hash, Phone, PhoneConfig, Transport};
use carillon_tests::suite::{SOON, Suite, TOLERANCE, hear_each_other, queue_of};

const AT_ONCE: Answering = Answering::After(Duration::ZERO);
const CALLER: f64 = 1_500.0;

async fn reachable_devices(suite: &Suite, agent: &str) -> Result<u64> {
    let agent = suite.center.cli_json(&["get", "agents", agent, "-o", "json"]).await?;
    agent["reachable_devices"].as_u64().context("no reachable_devices")
}

// spec: SE-1
#[tokio::test]
async fn phones_register_by_either_hash_over_either_transport() -> Result<()> {
    let suite = Suite::with_queue("in_order", &["anna"], &[]).await?;
    for (hash, transport) in [
        (Hash::Md5, Transport::Udp),
        (Hash::Sha256, Transport::Udp),
        (Hash::Md5, Transport::Tcp),
        (Hash::Sha256, Transport::Tcp),
    ] {
        let account = Some(Account { username: "anna".into(), password: password("anna"), hash });
        let config = PhoneConfig { account, transport, ..suite.agent_config("anna", 600.0) };
        let mut phone = Phone::start(config).await?;
        let granted = phone.register(Duration::from_secs(120)).await?;
        ensure!(granted.contacts.len() == 1 && granted.expires <= Duration::from_secs(120), "{granted:?}");
        ensure!(phone.register(Duration::from_secs(120)).await?.contacts.len() == 1, "a refresh is no second contact");
        assert_eq!(reachable_devices(&suite, "anna").await?, 1);
        let (_caller, call) = suite.call("+33600000001", CALLER).await?;
        let rang = phone.next_call(SOON).await?;
        hear_each_other((&call, CALLER), (&rang, 600.0)).await.with_context(|| format!("{hash:?} {transport:?}"))?;
        call.hang_up().await?;
        rang.ended(SOON).await?;
        phone.register(Duration::ZERO).await?;
        assert_eq!(reachable_devices(&suite, "anna").await?, 0);
    }
    suite.stop().await
}

// spec: SE-1
#[tokio::test]
async fn a_wrong_password_registers_nothing_and_a_stranger_hears_nothing() -> Result<()> {
    let suite = Suite::with_queue("in_order", &["anna"], &[]).await?;
    let account = Account { username: "anna".into(), password: "wrong".into(), hash: Hash::Md5 };
    let config = PhoneConfig { account: Some(account), ..suite.agent_config("anna", 600.0) };
    let refused = Phone::start(config).await?.register(Duration::from_secs(60)).await;
    ensure!(refused.is_err(), "a wrong password was accepted");
    assert_eq!(reachable_devices(&suite, "anna").await?, 0);
    let stranger = PhoneConfig::caller(suite.center.sip, suite.block.ip(99), "sipvicious", CALLER);
    let stranger = Phone::start(stranger).await?;
    let known = suite.caller("+33600000001", CALLER).await?;
    let (unanswered, answered) = tokio::join!(stranger.ping(Duration::from_secs(2)), known.ping(SOON));
    ensure!(unanswered.is_err(), "a stranger got {unanswered:?}");
    assert_eq!(answered?, 200);
    suite.stop().await
}

#[tokio::test]
async fn several_contacts_ring_together_and_the_first_answer_wins() -> Result<()> {
    let suite = Suite::with_queue("in_order", &["anna"], &[]).await?;
    let mut desk = suite.agent("anna", 600.0, Answering::Never).await?;
    let mut soft = suite.agent("anna", 800.0, Answering::After(Duration::from_millis(300))).await?;
    let (_caller, call) = suite.call("+33600000001", CALLER).await?;
    call.audio().hears_tone(800.0, TOLERANCE, SOON).await?;
    let end = desk.next_call(SOON).await?.ended(SOON).await?;
    ensure!(end.reason.clone().unwrap_or_default().contains("elsewhere"), "{end:?}");
    let rang = soft.next_call(SOON).await?;
    rang.hang_up().await?;
    call.ended(SOON).await?;
    suite.stop().await
}

#[tokio::test]
async fn an_agent_calls_an_extension_and_a_queue() -> Result<()> {
    let block = Block::fresh();
    let center = queue_of(block, "in_order", &["anna", "piotr"], &["extension: \"201\"", "wrap_up: 0s"]);
    let suite = Suite::start(block, center, &[]).await?;
    let anna = suite.agent("anna", 600.0, AT_ONCE).await?;
    let mut piotr = suite.agent("piotr", 800.0, AT_ONCE).await?;
    for dialled in ["102", "201"] {
        let call = anna.dial(dialled).await?;
        call.answered(SOON).await.with_context(|| format!("dialling {dialled}"))?;
        let rang = piotr.next_call(SOON).await?;
        hear_each_other((&call, 600.0), (&rang, 800.0)).await.with_context(|| format!("dialling {dialled}"))?;
        call.hang_up().await?;
        rang.ended(SOON).await?;
        suite.until_idle().await?;
    }
    let unknown = anna.dial("999").await?.ended(SOON).await?;
    assert_eq!(unknown.status, Some(404));
    suite.stop().await
}

// spec: AU-1
#[tokio::test]
async fn a_waiting_caller_hears_music_or_ringing() -> Result<()> {
    let block = Block::fresh();
    let center = queue_of(block, "in_order", &["anna"], &["waiting_sound: music"])
        .queue("sales", "in_order", &["anna".to_owned()], &["extension: \"202\"", "waiting_sound: ringing"])
        .object(
            "kind: Number\nname: other\nspec:\n  number: \"+33 1 23 45 67 00\"\n  trunk: carrier\n  queue: sales\n",
        );
    let suite = Suite::start(block, center, &[]).await?;
    let _anna = suite.agent("anna", 600.0, Answering::Never).await?;
    let (_phone, call) = suite.call("+33600000001", CALLER).await?;
    call.answered(SOON).await?;
    call.audio().hears_anything(SOON).await?;
    call.hang_up().await?;
    let phone = suite.caller("+33600000002", CALLER).await?;
    let call = phone.dial("+33123456700").await?;
    call.until("ringing", SOON, |p| p.ringing && p.answered.is_none()).await?;
    call.hang_up().await?;
    let outcomes: Vec<String> = suite.records(2).await?.into_iter().map(|r| r.outcome).collect();
    assert_eq!(outcomes, ["abandoned", "abandoned"]);
    suite.stop().await
}

#[tokio::test]
async fn hold_resume_and_keys_pass_between_the_two_sides() -> Result<()> {
    for (caller_codec, agent_codec) in [(Codec::Pcmu, Codec::Pcmu), (Codec::Pcma, Codec::Pcmu)] {
        let suite = Suite::with_queue("in_order", &["anna"], &["wrap_up: 0s"]).await?;
        let config = PhoneConfig { codec: agent_codec, ..suite.agent_config("anna", 600.0) };
        let mut anna = Phone::start(config).await?;
        anna.register(Duration::from_secs(60)).await?;
        let config = PhoneConfig::caller(suite.center.sip, suite.block.carrier(), "+33600000001", CALLER);
        let caller = Phone::start(PhoneConfig { codec: caller_codec, ..config }).await?;
        let outside = caller.dial(NUMBER).await?;
        let inside = anna.next_call(SOON).await?;
        hear_each_other((&outside, CALLER), (&inside, 600.0)).await?;
        outside.audio().press("12#");
        inside.audio().hears_keys("12#", SOON).await?;
        inside.audio().press("*0");
        outside.audio().hears_keys("*0", SOON).await?;
        for (holds, held) in [(&inside, &outside), (&outside, &inside)] {
            holds.hold().await?;
            held.until("hold", SOON, |p| p.held).await?;
            holds.resume().await?;
            held.until("resume", SOON, |p| !p.held).await?;
            hear_each_other((&outside, CALLER), (&inside, 600.0)).await.context("after hold and resume")?;
        }
        ensure!(outside.audio().heard().strangers + inside.audio().heard().strangers == 0, "audio from elsewhere");
        inside.hang_up().await?;
        outside.ended(SOON).await?;
        let record = suite.records(1).await?.remove(0);
        assert_eq!((record.steps("held").count(), record.steps("resumed").count()), (2, 2));
        assert_eq!((record.outcome.as_str(), record.cause.as_str()), ("answered", "normal"));
        suite.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn two_baresips_serve_callers_through_hold_and_resume() -> Result<()> {
    let block = Block::fresh();
    let names = ["anna", "piotr"].map(str::to_owned);
    let mut center = Center::new(block).queue("support", "in_order", &names, &["wrap_up: 0s", "waiting_sound: music"]);
    let mut phones = Vec::new();
    for (user, tone) in [("anna", 600.0), ("piotr", 850.0)] {
        let config = BaresipConfig {
            server: SocketAddr::new(block.center(), 5060),
            user: user.to_owned(),
            // It refuses every challenge that is not MD5 alone, so it cannot register where SHA-256 is offered too.
            password: None,
            tone,
            answers: true,
            codec: if user == "piotr" { "pcma" } else { "pcmu" },
        };
        let phone = Baresip::start(config).await?;
        center = center.fixed_agent(user, phone.sip);
        phones.push((phone, tone));
    }
    let suite = Suite::start(block, center, &[]).await?;
    let mut calls = Vec::new();
    for (n, (_, tone)) in phones.iter().enumerate() {
        let voice = 1_300.0 + 200.0 * n as f64;
        let (phone, call) = suite.call(&format!("+3360000000{n}"), voice).await?;
        // A whole second, so that the recording of the other side has one too.
        let heard = call.audio().hears("a second of the agent", 10, SOON, |s| s.is_tone(*tone, TOLERANCE)).await;
        heard.with_context(|| phones[n].0.output())?;
        calls.push((phone, call, voice));
    }
    for ((baresip, tone), (_, call, _)) in phones.iter().zip(&calls) {
        baresip.command("hold", "").await?;
        call.until("hold", SOON, |p| p.held).await?;
        baresip.command("resume", "").await?;
        call.until("resume", SOON, |p| !p.held).await?;
        call.audio().hears_tone(*tone, TOLERANCE, SOON).await.context("after its hold")?;
        call.hold().await?;
        call.resume().await?;
        call.audio().hears_tone(*tone, TOLERANCE, SOON).await.context("after our hold")?;
    }
    for (_, call, _) in &calls {
        call.hang_up().await?;
    }
    for ((baresip, _), (_, _, voice)) in phones.into_iter().zip(&calls) {
        let left = baresip.stop().await?;
        let (hertz, windows) = wav::tone_of(left.heard.last().with_context(|| left.output.clone())?)?;
        println!("baresip heard {hertz:.1} Hz of a voice of {voice} Hz in {windows} windows");
        ensure!((hertz - voice).abs() < voice * TOLERANCE && windows >= 5, "baresip heard {hertz} Hz, not {voice}");
    }
    suite.stop().await
}
