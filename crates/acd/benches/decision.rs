//! What a decision of a queue costs, and how the cost grows with callers and agents: `cargo bench -p carillon-acd`.
//!
//! Two decisions matter: a caller arrives and gets an agent, and an agent becomes free and gets a caller. Both must take
//! under 5 µs with 10,000 callers and 2,000 agents, and grow with the logarithm of either.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

use std::time::Duration;

use carillon_acd::agent::{AgentStatus, Standing, Version};
use carillon_acd::call;
use carillon_acd::ids::{AgentId, CallId, Epoch, Name, NodeId, QueueId};
use carillon_acd::queue::{Config, Effect, Enqueue, Event, Left, Queue, Strategy};
use carillon_acd::ticket::Ticket;
use carillon_acd::time::{Moment, Now, WallTime};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn agent(n: usize) -> AgentId {
    AgentId::new(name("default"), name(&format!("agent-{n}")))
}

fn call(number: u64) -> CallId {
    CallId { node: NodeId(1), boot: 1, number }
}

fn now(at: Duration) -> Now {
    Now { mono: Moment::START + Duration::from_secs(1_000) + at, wall: WallTime(0) }
}

/// A queue with so many callers and agents, and what it takes to go on with it.
#[derive(Clone)]
struct Center {
    queue: Queue,
    agents: Vec<AgentId>,
    said: u64,
    out: Vec<Effect>,
}

impl Center {
    fn new(strategy: Strategy, callers: u64, agents: usize, standing: Standing) -> Self {
        let ids: Vec<AgentId> = (0..agents).map(agent).collect();
        let config = Config {
            agents: ids.clone(),
            strategy,
            ring_for: Duration::from_secs(20),
            max_waiting: usize::MAX,
            ..Config::default()
        };
        let queue = Queue::new(now(Duration::ZERO), QueueId::new(name("default"), name("q")), config, Epoch(1), 7);
        let mut center = Center { queue, agents: ids, said: 0, out: Vec::new() };
        for n in 0..agents {
            center.says(n, standing);
        }
        for n in 1..=callers {
            center.arrives(n);
        }
        center
    }

    fn tell(&mut self, event: Event) {
        self.out.clear();
        self.queue.handle(now(Duration::ZERO), event, &mut self.out);
    }

    fn says(&mut self, n: usize, standing: Standing) {
        self.said += 1;
        let status = AgentStatus {
            agent: self.agents[n].clone(),
            version: Version { epoch: Epoch(1), counter: self.said },
            standing,
            idle_for: Duration::from_secs(n as u64 % 600),
            idle_period: self.said,
            calls: 0,
            talked: Duration::ZERO,
            hardware: 1,
            soft: 0,
        };
        self.tell(Event::Availability(status));
    }

    fn arrives(&mut self, number: u64) {
        let queue = QueueId::new(name("default"), name("q"));
        let ticket = Ticket::new(call(number), queue);
        let enqueue = Enqueue { ticket, waited_here: Duration::ZERO, round: 0, tried: Vec::new(), progress: None };
        self.tell(Event::Enqueue(Box::new(enqueue)));
    }

    fn offered(&self) -> bool {
        let is = |said: &call::Event| matches!(said, call::Event::Queue(_, call::FromQueue::Offer(_)));
        self.out.iter().any(|Effect::ToCall(_, said)| is(said))
    }
}

/// `callers` wait, nobody is free, and one agent after the other becomes free: he gets the first of them.
fn agent_is_free(center: &mut Center, n: &mut usize) {
    *n = (*n + 1) % center.agents.len();
    center.says(*n, Standing::Free);
    assert!(center.offered());
}

fn agent_becomes_free(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("an agent becomes free");
    for strategy in Strategy::ALL.into_iter().filter(|strategy| *strategy != Strategy::AllAtOnce) {
        for (callers, agents) in [(100, 20), (1_000, 200), (10_000, 2_000)] {
            let center = Center::new(strategy, callers, agents, Standing::Busy);
            let id = BenchmarkId::new(strategy.as_str(), format!("{callers} callers, {agents} agents"));
            group.bench_function(id, |bench| {
                // Ten agents are few against the smallest center; so its size hardly changes.
                let mut n = 0;
                bench.iter_batched_ref(
                    || center.clone(),
                    |center| (0..10).for_each(|_| agent_is_free(center, &mut n)),
                    BatchSize::LargeInput,
                );
            });
        }
    }
    group.finish();
}

/// Every agent is free; a caller arrives, gets one, is connected, and the agent is soon free again.
fn caller_arrives(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a caller arrives");
    for strategy in Strategy::ALL.into_iter().filter(|strategy| *strategy != Strategy::AllAtOnce) {
        for agents in [20, 200, 2_000] {
            let mut center = Center::new(strategy, 0, agents, Standing::Free);
            let mut number = 0;
            group.bench_function(BenchmarkId::new(strategy.as_str(), format!("{agents} agents")), |bench| {
                bench.iter(|| {
                    number += 1;
                    center.arrives(number);
                    assert!(center.offered());
                    center.tell(Event::Leave { call: call(number), why: Left::Abandoned });
                });
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = decisions;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = agent_becomes_free, caller_arrives
}
criterion_main!(decisions);
