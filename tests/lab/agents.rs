//! The agents' phones: each registers at an edge, and at another one when that is gone; answers, talks, hangs up.

use std::sync::Arc;
use std::time::Duration;

use carillon_tests::center::password;
use carillon_tests::sip::{Answering, Call, Phone, PhoneConfig};
use tokio::time::{Instant, MissedTickBehavior};

use crate::journal::Talk;
use crate::network::AGENTS;
use crate::world::{EdgeState, World, voice};

/// For how long a phone registers, and how often it does.
const EXPIRES: Duration = Duration::from_secs(60);
const REFRESH: Duration = Duration::from_secs(15);
/// How long a phone waits for its registrar before it tries another.
const REGISTRAR: Duration = Duration::from_secs(2);
/// How long a phone rings.
const RINGS: Duration = Duration::from_millis(200);
/// An agent who hears nothing says so for this long before he hangs up.
const HELLO: Duration = Duration::from_secs(12);
/// Who has heard something that lately hears the caller.
const HEARS: Duration = Duration::from_millis(300);

/// `a001` has the number 1.
pub(crate) async fn agent(world: Arc<World>, name: String, number: u64) {
    let mut turn = number as usize;
    let mut edges = world.edges();
    let config = PhoneConfig::agent(world.edge(turn).sip, &name, &password(&name), voice(number));
    let config = PhoneConfig { ip: AGENTS, answering: Answering::After(RINGS), ..config };
    // One socket for its whole life, as phones have: wherever it registers, it is the same contact.
    let Ok(mut phone) = Phone::start(config).await else { return };
    loop {
        let edge = world.edge(turn);
        phone.turn_to(edge.sip);
        let mut refresh = tokio::time::interval(REFRESH);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let lives = |edges: &[crate::world::Edge]| {
            edges.iter().any(|other| other.node == edge.node && other.state != EdgeState::Dead)
        };
        loop {
            tokio::select! {
                Ok(call) = phone.next_call(Duration::from_secs(3600)) => {
                    tokio::spawn(talk(world.clone(), name.clone(), edge.node, call));
                }
                _ = refresh.tick() => {
                    let registered = tokio::time::timeout(REGISTRAR, phone.register(EXPIRES)).await;
                    if !matches!(registered, Ok(Ok(_))) {
                        break;
                    }
                }
                _ = edges.changed() => if !lives(&edges.borrow_and_update()) {
                    break;
                }
            }
        }
        turn += 1;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// One call of an agent, from the ring to the end.
async fn talk(world: Arc<World>, agent: String, edge: u8, call: Call) {
    world.journal.desk(&agent, true);
    let ring = RINGS + Duration::from_secs(35);
    let progress = call.until("answer or end", ring, |p| p.answered.is_some() || p.end.is_some()).await;
    let answered = progress.ok().and_then(|p| p.answered);
    let mut hung_up = None;
    if answered.is_some() {
        let _talks = world.journal.agent_talks();
        let mean = world.talk.as_secs_f64();
        let length = Duration::from_secs_f64(mean * rand::random_range(0.5..1.5));
        if call.ended(length).await.is_err() {
            until_heard(&call).await;
            hung_up = Some(Instant::now());
            // When its edge is dead, nobody answers.
            let _ended = call.hang_up().await;
        }
    }
    let ended = Instant::now();
    world.journal.desk(&agent, false);
    let heard = call.audio().heard().into();
    let (number, rang) = (call.from.clone(), call.began);
    world.journal.add_talk(Talk { agent, edge, number, rang, answered, hung_up, ended, heard });
}

/// Nobody hangs up on a line that is silent right now.
async fn until_heard(call: &Call) {
    let began = Instant::now();
    while began.elapsed() < HELLO && call.audio().silent_for().is_none_or(|silent| silent > HEARS) {
        if call.ended(HEARS).await.is_ok() {
            return;
        }
    }
}
