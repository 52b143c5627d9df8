//! What a decision of a queue costs, and how the cost grows with callers and agents. `cargo xtask bench decision` runs it and
//! compares the figures with their budgets.
//!
//! A decision is everything that [`Queue::handle`] does when a caller arrives or an agent becomes free. Measured is the CPU
//! time of the thread, so that other programs on the machine hardly count, and only inside `handle`: making an event and
//! dropping what comes out is somebody else's work.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on panics")]

use std::collections::HashSet;
use std::time::Duration;

use carillon_acd::agent::{AgentStatus, Standing, Version};
use carillon_acd::call;
use carillon_acd::ids::{AgentId, CallId, Epoch, Name, NodeId, QueueId};
use carillon_acd::offer::Offer;
use carillon_acd::queue::{Config, Effect, Enqueue, Event, Left, Queue, SkillRule, Strategy};
use carillon_acd::skills::Skills;
use carillon_acd::ticket::Ticket;
use carillon_acd::time::{Moment, Now, WallTime};
use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};

/// The center that the budgets speak of.
const CALLERS: usize = 10_000;
const AGENTS: usize = 2_000;

/// Each agent speaks two of them, each caller needs one.
const LANGUAGES: [&str; 4] = ["english", "french", "polish", "spanish"];

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn agent(n: usize) -> AgentId {
    AgentId::new(name("default"), name(&format!("agent-{n}")))
}

fn support() -> QueueId {
    QueueId::new(name("default"), name("support"))
}

fn language(n: usize, level: u8) -> (Name, u8) {
    (name(LANGUAGES[n % LANGUAGES.len()]), level)
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// A queue with its callers and agents, and what it takes to go on with it.
struct Center {
    queue: Queue,
    agents: Vec<AgentId>,
    needs: Vec<Skills>,
    turn: usize,
    said: u64,
    called: u64,
    now: Duration,
    /// Used again and again, so that what a decision costs is not the machine's work for fresh memory.
    out: Vec<Effect>,
}

impl Center {
    /// So many callers wait, and all agents are of this standing.
    fn new(strategy: Strategy, callers: usize, agents: usize, standing: Standing) -> Self {
        let agents: Vec<AgentId> = (0..agents).map(agent).collect();
        let speaks = |n: usize| Skills::new([language(n, 3 + (n % 7) as u8), language(n / 4 + n + 1, 5)]);
        let able = agents.iter().enumerate().map(|(n, agent)| (agent.clone(), speaks(n))).collect();
        let config = Config {
            agents: agents.clone(),
            strategy,
            skills: SkillRule { agents: able, ..SkillRule::default() },
            max_waiting: usize::MAX,
            ..Config::default()
        };
        let now = Duration::from_secs(1_000);
        let at = Now { mono: Moment::at(now), wall: WallTime(0) };
        let queue = Queue::new(at, support(), config, Epoch(1), 7);
        let needs = (0..LANGUAGES.len()).map(|n| Skills::new([language(n, 3)])).collect();
        let mut center = Center { queue, agents, needs, turn: 0, said: 0, called: 0, now, out: Vec::new() };
        let statuses = (0..center.agents.len()).map(|n| center.status(n, standing)).collect();
        center.take_in(statuses);
        let enqueues = (0..callers).map(|_| center.arrival()).collect();
        center.take_in(enqueues);
        center
    }

    /// Hands the events over, a microsecond apart, and tells what that cost and which offers came of it.
    fn take_in(&mut self, events: Vec<Event>) -> (Duration, Vec<Offer>) {
        let began = cpu();
        for event in events {
            self.now += Duration::from_micros(1);
            self.queue.handle(Now { mono: Moment::at(self.now), wall: WallTime(0) }, event, &mut self.out);
        }
        let cost = cpu() - began;
        let offers = self.out.drain(..).filter_map(|Effect::ToCall(_, said)| match said {
            call::Event::Queue(_, call::FromQueue::Offer(offer)) => Some(offer),
            _ => None,
        });
        (cost, offers.collect())
    }

    fn status(&mut self, n: usize, standing: Standing) -> Event {
        self.said += 1;
        Event::Availability(AgentStatus {
            agent: self.agents[n].clone(),
            version: Version { epoch: Epoch(1), counter: self.said },
            standing,
            idle_for: Duration::from_micros(n as u64),
            idle_period: self.said,
            calls: u32::try_from(self.said % 1_000).unwrap(),
            talked: Duration::from_secs(self.said % 3_600),
            hardware: 1,
            soft: 0,
        })
    }

    fn arrival(&mut self) -> Event {
        self.called += 1;
        let call = CallId { node: NodeId(1), boot: 1, number: self.called };
        let skills = self.needs[self.called as usize % self.needs.len()].clone();
        let ticket = Ticket { skills, ..Ticket::new(call, support()) };
        let enqueue = Enqueue { ticket, waited_here: Duration::ZERO, round: 0, tried: Vec::new(), progress: None };
        Event::Enqueue(Box::new(enqueue))
    }

    /// The next so many agents, in turns.
    fn next(&mut self, agents: usize) -> Vec<usize> {
        self.turn += agents;
        (self.turn - agents..self.turn).map(|n| n % self.agents.len()).collect()
    }

    /// Every offer is answered by its first agent; whoever else it rang for may get another.
    fn answer_all(&mut self, mut ringing: Vec<Offer>) -> (Duration, usize) {
        let (mut cost, mut answered) = (Duration::ZERO, 0);
        // Agents may have joined an offer; it is answered once.
        let mut calls = HashSet::new();
        while !ringing.is_empty() {
            let leave = |offer: Offer| Event::Leave {
                call: offer.call,
                why: Left::Connected { offer: offer.id, agent: offer.agents[0].agent.clone() },
            };
            let leaves: Vec<Event> = ringing.into_iter().filter(|offer| calls.insert(offer.call)).map(leave).collect();
            answered += leaves.len();
            let took;
            (took, ringing) = self.take_in(leaves);
            cost += took;
        }
        (cost, answered)
    }
}

/// What a turn of the work cost in which everybody is busy and callers wait.
struct Turn {
    free: Duration,
    leave: Duration,
    busy: Duration,
    arrive: Duration,
}

/// Agents become free one after the other, each gets a caller, talks, and a new caller comes for each who has left.
fn busy_turn(center: &mut Center, decisions: usize) -> Turn {
    let who = center.next(decisions);
    let statuses = who.iter().map(|&n| center.status(n, Standing::Free)).collect();
    let (free, offers) = center.take_in(statuses);
    let (leave, answered) = center.answer_all(offers);
    assert_eq!(answered, decisions, "everybody who became free got a caller");
    let statuses = who.iter().map(|&n| center.status(n, Standing::Busy)).collect();
    let (busy, _) = center.take_in(statuses);
    let arrivals = (0..decisions).map(|_| center.arrival()).collect();
    let (arrive, _) = center.take_in(arrivals);
    Turn { free, leave, busy, arrive }
}

/// Nobody waits and everybody is free: callers arrive, each gets an agent, and soon all are free again.
fn quiet_turn(center: &mut Center, decisions: usize) -> Duration {
    let arrivals = (0..decisions).map(|_| center.arrival()).collect();
    let (arrive, offers) = center.take_in(arrivals);
    let (_, answered) = center.answer_all(offers);
    assert_eq!(answered, decisions, "everybody who came got an agent");
    let statuses = (0..center.agents.len()).map(|n| center.status(n, Standing::Free)).collect();
    center.take_in(statuses);
    arrive
}

/// Repeats turns until there were so many decisions, with at most `most` in each turn.
fn turns(iterations: u64, most: usize, mut turn: impl FnMut(usize) -> Duration) -> Duration {
    let (mut left, mut cost) = (iterations, Duration::ZERO);
    while left > 0 {
        let decisions = left.min(most as u64);
        cost += turn(decisions as usize);
        left -= decisions;
    }
    cost
}

/// Each strategy in the center of the budgets.
fn decisions(criterion: &mut Criterion) {
    type Of = fn(Turn) -> Duration;
    let parts: [(&str, Of); 2] =
        [("an agent becomes free", |turn| turn.free), ("a caller arrives and waits", |turn| turn.arrive)];
    for (group, part) in parts {
        let mut group = criterion.benchmark_group(group);
        group.sampling_mode(SamplingMode::Flat);
        for strategy in Strategy::ALL {
            let mut center = Center::new(strategy, CALLERS, AGENTS, Standing::Busy);
            group.bench_function(strategy.as_str(), |bench| {
                bench.iter_custom(|n| turns(n, 500, |decisions| part(busy_turn(&mut center, decisions))));
            });
        }
        group.finish();
    }
    let mut group = criterion.benchmark_group("a caller arrives and gets an agent");
    group.sampling_mode(SamplingMode::Flat);
    for strategy in Strategy::ALL {
        let mut center = Center::new(strategy, 0, AGENTS, Standing::Free);
        // All at once rings for ten agents, and nobody shall find all phones ringing.
        group.bench_function(strategy.as_str(), |bench| {
            bench.iter_custom(|n| turns(n, AGENTS / 20, |decisions| quiet_turn(&mut center, decisions)));
        });
    }
    group.finish();
}

/// All that a queue does for a call, divided by its two decisions, in centers of all sizes.
fn growth(criterion: &mut Criterion) {
    for strategy in Strategy::ALL {
        let mut group = criterion.benchmark_group(format!("a decision with all around it, {}", strategy.as_str()));
        group.sampling_mode(SamplingMode::Flat);
        for agents in [20, 200, 2_000, 20_000] {
            for callers in [100, 1_000, 10_000, 100_000] {
                let mut center = Center::new(strategy, callers, agents, Standing::Busy);
                let all = |turn: Turn| (turn.free + turn.leave + turn.busy + turn.arrive) / 2;
                let most = (agents / 2).min(callers / 2).min(500);
                let id = BenchmarkId::new(agents.to_string(), callers);
                group.bench_function(id, |bench| {
                    bench.iter_custom(|n| turns(n, most, |decisions| all(busy_turn(&mut center, decisions))));
                });
            }
        }
        group.finish();
    }
}

criterion_group! {
    name = all;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(400));
    targets = decisions, growth
}
criterion_main!(all);
