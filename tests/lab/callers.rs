//! The callers: as many as wanted at any time; whoever leaves is followed by a new one.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use carillon_tests::center::NUMBER;
use carillon_tests::sip::{Call, Phone, PhoneConfig};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::journal::{Caller, CallerEnd};
use crate::network::CARRIER;
use crate::world::World;

/// At most one new caller in this time, 50 a second.
const RAMP: Duration = Duration::from_millis(20);
/// A carrier that hears nothing tries another edge.
const FAIL_OVER: Duration = Duration::from_secs(2);
/// Attempts of one caller.
const ATTEMPTS: usize = 5;
/// After this long without a sound, a caller gives up.
const SILENCE: Duration = Duration::from_secs(20);
/// Of so many callers one has less patience than it takes.
const IMPATIENT: u64 = 25;
/// How often a caller looks at his watch.
const LOOK: Duration = Duration::from_millis(250);

/// A crowd. Dropped, nobody new comes.
#[derive(Debug)]
pub(crate) struct Crowd {
    wanted: watch::Sender<usize>,
    here: watch::Receiver<usize>,
}

impl Crowd {
    /// An empty one.
    pub(crate) fn new(world: Arc<World>) -> Crowd {
        let (wanted, listen) = watch::channel(0);
        let (tell, here) = watch::channel(0);
        tokio::spawn(come(world, listen, tell));
        Crowd { wanted, here }
    }

    /// So many are there from now on; none new come while there are more.
    pub(crate) fn want(&self, callers: usize) {
        self.wanted.send_replace(callers);
    }

    /// Waits until everybody has left.
    pub(crate) async fn until_empty(&self, within: Duration) -> bool {
        let mut here = self.here.clone();
        matches!(tokio::time::timeout(within, here.wait_for(|here| *here == 0)).await, Ok(Ok(_)))
    }
}

async fn come(world: Arc<World>, wanted: watch::Receiver<usize>, tell: watch::Sender<usize>) {
    let mut callers = JoinSet::new();
    let mut clock = tokio::time::interval(RAMP);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while wanted.has_changed().is_ok() {
        clock.tick().await;
        while callers.try_join_next().is_some() {}
        if callers.len() < *wanted.borrow() {
            callers.spawn(one(world.clone()));
        }
        tell.send_if_modified(|here| std::mem::replace(here, callers.len()) != callers.len());
    }
}

/// A person who wants to be served: dials, and dials another edge when one does not take the call.
async fn one(world: Arc<World>) {
    for _ in 0..ATTEMPTS {
        // A socket that the machine did not give counts like an edge that did not answer.
        if matches!(attempt(&world).await, Ok(true)) {
            return;
        }
    }
}

/// Whether an edge took the call.
async fn attempt(world: &World) -> Result<bool> {
    let (number, voice) = world.number();
    let edge = world.edge(rand::random_range(0..997));
    let phone = Phone::start(PhoneConfig::caller(edge.sip, CARRIER, &number, voice)).await?;
    let call = phone.dial(NUMBER).await?;
    let answered = call.answered(FAIL_OVER).await.ok();
    let (end, hung_up) = match (answered, call.progress().end) {
        (Some(_), _) => wait(world, &call).await,
        (None, Some(end)) => (CallerEnd::Refused(end.status.unwrap_or(0)), None),
        (None, None) => {
            give_up(phone, call.clone());
            (CallerEnd::Unanswered, None)
        }
    };
    let heard = call.audio().heard().into();
    let (dialled, ended) = (call.began, Instant::now());
    world.journal.add_caller(Caller { number, edge: edge.node, dialled, answered, hung_up, ended, end, heard });
    Ok(answered.is_some())
}

/// Whoever tries another edge still has to cancel the first attempt, for as long as an edge may need to answer it.
fn give_up(phone: Phone, call: Call) {
    tokio::spawn(async move {
        let _ended_or_not = call.hang_up().await;
        let _late = call.ended(Duration::from_secs(30)).await;
        drop(phone);
    });
}

/// In the queue and in the conversation: how it ended, and when he hung up himself.
async fn wait(world: &World, call: &Call) -> (CallerEnd, Option<Instant>) {
    let _there = world.journal.caller_is_there();
    let mut closing = world.closing();
    let began = Instant::now();
    let patience = if rand::random_range(0..IMPATIENT) == 0 {
        Duration::from_millis(rand::random_range(500..15_000))
    } else {
        Duration::from_secs(600)
    };
    loop {
        let closes = async { drop(closing.wait_for(|now| *now).await) };
        let ended = tokio::select! {
            ended = call.ended(LOOK) => ended.is_ok(),
            () = closes => return hang_up(call, CallerEnd::LeftOver).await,
        };
        if ended {
            return (CallerEnd::ByCenter, None);
        }
        let silent = call.audio().silent_for().unwrap_or(began.elapsed());
        if silent > SILENCE || began.elapsed() > patience {
            let end = if silent > SILENCE { CallerEnd::InSilence } else { CallerEnd::ByHimself };
            return hang_up(call, end).await;
        }
    }
}

async fn hang_up(call: &Call, end: CallerEnd) -> (CallerEnd, Option<Instant>) {
    let at = Instant::now();
    // When its edge is dead, nobody answers.
    let _ended = call.hang_up().await;
    (end, Some(at))
}
