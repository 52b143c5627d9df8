//! The production machines against queueing theory: callers come by chance (Poisson), talk for a time without memory, and
//! n agents serve them in the order of their arrival. A. K. Erlang (1917) knows how long they wait.
//!
//! A million calls are a small sample of a large center: at n = 100 the average wait of a million calls is still off by
//! 5 % or so, whoever serves them. So the machines' calls are compared twice: each wait with the wait of the same caller at
//! an ideal queue, a few lines below, to the millisecond; and the averages with Erlang's, the ideal queue's over fifty
//! million calls instead of one where a million are too few.
//!
//! An unoptimised build takes minutes for this: `cargo xtask simulate --theory`.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is a test; the lint's own exception sees only `#[test]` functions"
)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use carillon_acd::agent::{self, DeviceKind, Membership};
use carillon_acd::call;
use carillon_acd::ids::{AgentId, Name, NumberId, QueueId, TrunkId};
use carillon_acd::leg::Source;
use carillon_acd::queue::{self, Strategy};
use carillon_acd::rng::Rng;
use carillon_acd::route::{AgentRoute, NumberRoute, QueueRoute, Routing, Tables, Target, TrunkRoute, WaitingSound};
use carillon_acd::stats::{Definitions, Subject};
use carillon_simulate::center::{Arrival, Center, Habits};
use carillon_simulate::day;
use carillon_simulate::load::exponential;

const TALK: Duration = Duration::from_secs(10);
/// T of the service level.
const IN_TIME: Duration = Duration::from_secs(2);
const CALLS: usize = 1_000_000;
const WITHIN: f64 = 0.02;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn queue_id() -> QueueId {
    QueueId::new(name("default"), name("support"))
}

fn center(agents: usize) -> Center {
    let default = || name("default");
    let trunk = TrunkId::new(default(), name("carrier"));
    let agent_id = |n| AgentId::new(default(), name(&format!("agent-{n}")));
    let tables = Tables {
        numbers: vec![NumberRoute::new(
            NumberId::new(default(), name("main")),
            "+33123456789".parse().unwrap(),
            trunk.clone(),
            Target::Queue(queue_id()),
        )],
        queues: vec![QueueRoute { waiting_sound: WaitingSound::Music, ..QueueRoute::new(queue_id()) }],
        agents: (0..agents).map(|n| AgentRoute::new(agent_id(n))).collect(),
        trunks: vec![TrunkRoute { id: trunk, outbound: false }],
        ..Tables::default()
    };
    let queue = queue::Config {
        agents: (0..agents).map(agent_id).collect(),
        strategy: Strategy::LongestIdle,
        ring_for: Duration::from_secs(20),
        max_waiting: usize::MAX,
        ..queue::Config::default()
    };
    let agent = |n| {
        let config = agent::Config {
            display_name: String::new(),
            extension: None,
            devices: vec![DeviceKind::Hardware],
            queues: vec![Membership::new(queue_id())],
        };
        (agent_id(n), config)
    };
    Center {
        routing: Arc::new(Routing::new(tables).unwrap()),
        calls: call::Config::default(),
        queues: vec![(queue_id(), queue)],
        agents: (0..agents).map(agent).collect(),
    }
}

/// Callers for `load` erlangs, in whole microseconds, as the machines' wall clock has them.
fn callers(load: f64, seed: u64) -> impl Iterator<Item = (Duration, Duration)> {
    let mut rng = Rng::new(seed);
    let gap = TALK.div_f64(load);
    let mut at = Duration::ZERO;
    std::iter::repeat_with(move || {
        let whole = |time: Duration| Duration::from_micros(u64::try_from(time.as_micros()).unwrap());
        at += whole(exponential(&mut rng, gap));
        (at, whole(exponential(&mut rng, TALK)))
    })
}

/// The waits of the callers at a queue that is nothing but a queue (Kiefer and Wolfowitz, 1955).
fn ideal(agents: usize, callers: impl Iterator<Item = (Duration, Duration)>) -> impl Iterator<Item = Duration> {
    let mut free: BinaryHeap<Reverse<Duration>> = (0..agents).map(|_| Reverse(Duration::ZERO)).collect();
    callers.map(move |(at, talk)| {
        let mut first = free.peek_mut().unwrap();
        let wait = first.0.saturating_sub(at);
        *first = Reverse(at + wait + talk);
        wait
    })
}

/// The machines' waits, in the order of arrival, and the share answered in time as the statistics have it.
fn machines(agents: usize, load: f64, seed: u64) -> (Vec<Duration>, f64) {
    let source = Source::Trunk(TrunkId::new(name("default"), name("carrier")));
    let arrivals = callers(load, seed).take(CALLS).map(|(at, talk)| Arrival {
        at,
        source: source.clone(),
        dialled: "+33123456789".to_owned(),
        patience: None,
        talk,
    });
    let level = carillon_acd::stats::ServiceLevel { threshold: IN_TIME, ..Default::default() };
    let definitions = Definitions::new([(queue_id(), level)]);
    let habits = Habits { answer_after: Duration::ZERO, shifts: Vec::new() };
    let mut waits = vec![Duration::MAX; CALLS];
    let result = day::run(&center(agents), &definitions, &habits, arrivals, seed, |record| {
        let place = usize::try_from(record.call.number).unwrap() - 1;
        waits[place] = Duration::from_millis(record.wait_ms.unwrap());
    });
    let queue = result.books.whole().find(|(subject, _)| **subject == Subject::Queue(queue_id()));
    let (_, tally) = queue.unwrap();
    assert_eq!((tally.offered, tally.answered), (CALLS as u64, CALLS as u64));
    (waits, tally.figures().service.default.unwrap())
}

/// The probability that a caller has to wait (Erlang's C formula), by way of his B formula.
fn erlang_c(agents: usize, load: f64) -> f64 {
    let blocked = (1..=agents).fold(1.0, |blocked, n| load * blocked / (n as f64 + load * blocked));
    let n = agents as f64;
    n * blocked / (n - load * (1.0 - blocked))
}

fn average(waits: impl Iterator<Item = Duration>) -> f64 {
    let (sum, count) = waits.fold((0.0, 0_u64), |(sum, count), wait| (sum + wait.as_secs_f64(), count + 1));
    sum / count as f64
}

fn compare(agents: usize, load: f64, long: Option<usize>) {
    let waits = erlang_c(agents, load);
    let free = agents as f64 - load;
    let wait = waits * TALK.as_secs_f64() / free;
    let level = 1.0 - waits * (-free * IN_TIME.as_secs_f64() / TALK.as_secs_f64()).exp();

    let (ours, our_level) = machines(agents, load, 1);
    for (n, (ours, ideal)) in ours.iter().zip(ideal(agents, callers(load, 1))).enumerate() {
        assert!(ours.abs_diff(ideal) <= Duration::from_millis(1), "call {n} of M/M/{agents}: {ours:?}, not {ideal:?}");
    }
    let our_wait = match long {
        None => average(ours.into_iter()),
        Some(calls) => average(ideal(agents, callers(load, 2)).take(calls)),
    };
    println!(
        "M/M/{agents} at {load} erlang: wait {our_wait:.4} s, Erlang {wait:.4} s ({:+.2} %); in time {:.2} %, Erlang {:.2} %",
        100.0 * (our_wait / wait - 1.0),
        100.0 * our_level,
        100.0 * level,
    );
    assert!((our_wait / wait - 1.0).abs() < WITHIN, "the wait of M/M/{agents}");
    assert!((our_level / level - 1.0).abs() < WITHIN, "the service level of M/M/{agents}");
}

#[test]
#[ignore = "a million calls: cargo xtask simulate --theory"]
fn one_agent_is_as_fast_as_erlang_says() {
    compare(1, 0.5, None);
}

#[test]
#[ignore = "a million calls: cargo xtask simulate --theory"]
fn ten_agents_are_as_fast_as_erlang_says() {
    compare(10, 7.5, None);
}

#[test]
#[ignore = "a million calls: cargo xtask simulate --theory"]
fn a_hundred_agents_are_as_fast_as_erlang_says() {
    compare(100, 90.0, Some(50_000_000));
}
