//! What a day of a large center costs to simulate: `cargo xtask bench decision` compares it with its budget.
//!
//! Measured is the CPU time of the thread, so that other programs on the machine hardly count.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

use std::sync::Arc;
use std::time::Duration;

use carillon_acd::agent::{self, DeviceKind, Membership};
use carillon_acd::call;
use carillon_acd::ids::{AgentId, Name, NumberId, QueueId, TrunkId};
use carillon_acd::leg::Source;
use carillon_acd::queue::{self, Strategy};
use carillon_acd::route::{AgentRoute, NumberRoute, QueueRoute, Routing, Tables, Target, TrunkRoute, WaitingSound};
use carillon_acd::stats::{Definitions, Subject};
use carillon_simulate::center::{Arrival, Center, Habits};
use carillon_simulate::day;
use carillon_simulate::load::{Stream, arrivals};
use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};

const QUEUES: usize = 10;
const AGENTS: usize = 500;
const CALLS: f64 = 50_000.0;
const OPEN: Duration = Duration::from_secs(10 * 3600);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn queue_id(n: usize) -> QueueId {
    QueueId::new(name("default"), name(&format!("queue-{n}")))
}

fn agent_id(n: usize) -> AgentId {
    AgentId::new(name("default"), name(&format!("agent-{n}")))
}

fn number(n: usize) -> String {
    format!("+3312345670{n}")
}

fn trunk() -> TrunkId {
    TrunkId::new(name("default"), name("carrier"))
}

/// Ten queues with a number each; every agent serves two of them.
fn center() -> Center {
    let serves = |agent: usize| [agent % QUEUES, (agent / QUEUES + agent + 1) % QUEUES];
    let number_route = |n| {
        let id = NumberId::new(name("default"), name(&format!("number-{n}")));
        NumberRoute::new(id, number(n).parse().unwrap(), trunk(), Target::Queue(queue_id(n)))
    };
    let queue_route = |n| QueueRoute { waiting_sound: WaitingSound::Music, ..QueueRoute::new(queue_id(n)) };
    let tables = Tables {
        numbers: (0..QUEUES).map(number_route).collect(),
        queues: (0..QUEUES).map(queue_route).collect(),
        agents: (0..AGENTS).map(|n| AgentRoute::new(agent_id(n))).collect(),
        trunks: vec![TrunkRoute { id: trunk(), outbound: false }],
        ..Tables::default()
    };
    let queue = |n| {
        let agents = (0..AGENTS).filter(|agent| serves(*agent).contains(&n)).map(agent_id).collect();
        let config = queue::Config { agents, strategy: Strategy::LongestIdle, ..queue::Config::default() };
        (queue_id(n), config)
    };
    let agent = |n| {
        let queues = serves(n).map(|queue| Membership::new(queue_id(queue))).to_vec();
        let devices = vec![DeviceKind::Hardware];
        (agent_id(n), agent::Config { display_name: String::new(), extension: None, devices, queues })
    };
    Center {
        routing: Arc::new(Routing::new(tables).unwrap()),
        calls: call::Config::default(),
        queues: (0..QUEUES).map(queue).collect(),
        agents: (0..AGENTS).map(agent).collect(),
    }
}

fn callers() -> Vec<Arrival> {
    let stream = |n| Stream {
        source: Source::Trunk(trunk()),
        dialled: number(n),
        from: Duration::ZERO,
        until: OPEN,
        per_hour: CALLS / QUEUES as f64 / (OPEN.as_secs_f64() / 3600.0),
        patience: Some(Duration::from_secs(180)),
        talk: Duration::from_secs(300),
    };
    arrivals(&(0..QUEUES).map(stream).collect::<Vec<_>>(), 1)
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn a_day(criterion: &mut Criterion) {
    let (center, callers) = (center(), callers());
    let definitions = Definitions::new((0..QUEUES).map(|n| (queue_id(n), Default::default())));
    let mut group = criterion.benchmark_group("a simulated day");
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function("50,000 calls and 500 agents", |bench| {
        bench.iter_custom(|days| {
            let mut cost = Duration::ZERO;
            for _ in 0..days {
                let (came, arrivals) = (callers.len() as u64, callers.clone().into_iter());
                let began = cpu();
                let result = day::run(&center, &definitions, &Habits::default(), arrivals, 1, |_record| {});
                cost += cpu() - began;
                let queues = result.books.whole().filter(|(subject, _)| matches!(subject, Subject::Queue(_)));
                assert_eq!(queues.map(|(_, tally)| tally.offered).sum::<u64>(), came);
            }
            cost
        });
    });
    group.finish();
}

criterion_group! {
    name = days;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_secs(1));
    targets = a_day
}
criterion_main!(days);
