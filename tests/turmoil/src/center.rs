//! The center that all nodes serve.

use std::time::Duration;

use carillon_acd::agent::{self, DeviceKind, Membership};
use carillon_acd::call;
use carillon_acd::ids::{AgentId, CallId, Name, NumberId, QueueId, TrunkId};
use carillon_acd::leg::{CallerId, Incoming, Source};
use carillon_acd::queue::{self, Strategy, Unanswered};
use carillon_acd::rng::Rng;
use carillon_acd::route::{NumberRoute, QueueRoute, Routing, Tables, Target, TrunkRoute, WaitingSound};
use carillon_acd::stats::Definitions;
use carillon_actors::{Objects, Owned};

pub(crate) const QUEUES: usize = 3;
pub(crate) const AGENTS: usize = 6;
/// How many queues an agent serves: the one of his number and those after it.
const SERVES: usize = 2;

fn name(text: &str) -> Name {
    text.parse().expect("a name of this file is a name")
}

pub(crate) fn queue_id(n: usize) -> QueueId {
    QueueId::new(name("default"), name(&format!("q{n}")))
}

pub(crate) fn agent_id(n: usize) -> AgentId {
    AgentId::new(name("default"), name(&format!("a{n}")))
}

fn trunk() -> TrunkId {
    TrunkId::new(name("default"), name("carrier"))
}

fn number(queue: usize) -> String {
    format!("+3312345678{queue}")
}

/// A caller for a queue.
pub(crate) fn incoming(call: CallId, queue: usize) -> Incoming {
    Incoming {
        call,
        source: Source::Trunk(trunk()),
        dialled: number(queue),
        to_user: number(queue),
        caller: CallerId { number: "+48600000000".to_owned(), name: String::new() },
    }
}

/// All queues and agents.
pub(crate) fn everything() -> Vec<Owned> {
    let queues = (0..QUEUES).map(|n| Owned::Queue(queue_id(n)));
    queues.chain((0..AGENTS).map(|n| Owned::Agent(agent_id(n)))).collect()
}

fn serves(agent: usize) -> impl Iterator<Item = usize> {
    (0..SERVES).map(move |next| (agent + next) % QUEUES)
}

/// The same on all nodes: they have it from the seed.
pub(crate) fn objects(seed: u64) -> Objects {
    let mut rng = Rng::new(seed);
    let queues = (0..QUEUES).map(|n| (queue_id(n), queue_config(n, &mut rng))).collect();
    let agents = (0..AGENTS).map(|n| (agent_id(n), agent_config(n))).collect();
    let (calls, definitions) = (call::Config::default(), Definitions::default());
    Objects { routing: routing(), agents, queues, calls, definitions }
}

fn routing() -> Routing {
    let numbers = (0..QUEUES).map(|n| {
        let id = NumberId::new(name("default"), name(&format!("n{n}")));
        NumberRoute::new(id, number(n).parse().expect("a number"), trunk(), Target::Queue(queue_id(n)))
    });
    let queue = |n| QueueRoute { waiting_sound: WaitingSound::Music, ..QueueRoute::new(queue_id(n)) };
    let trunks = vec![TrunkRoute { id: trunk(), outbound: true }];
    let (numbers, queues) = (numbers.collect(), (0..QUEUES).map(queue).collect());
    Routing::new(Tables { numbers, queues, trunks, ..Tables::default() }).expect("the tables of this file fit together")
}

fn queue_config(n: usize, rng: &mut Rng) -> queue::Config {
    // The others ask for skills, or ring one phone after the other as these do.
    let strategies = [Strategy::LongestIdle, Strategy::AllAtOnce, Strategy::InOrder, Strategy::Random];
    queue::Config {
        display_name: format!("queue {n}"),
        agents: (0..AGENTS).filter(|agent| serves(*agent).any(|queue| queue == n)).map(agent_id).collect(),
        strategy: strategies[rng.below(strategies.len())],
        ring_for: Duration::from_secs(6),
        unanswered: Unanswered::Wait,
        ..queue::Config::default()
    }
}

fn agent_config(n: usize) -> agent::Config {
    let membership = |queue| Membership { wrap_up: Duration::from_secs(1), ..Membership::new(queue_id(queue)) };
    agent::Config {
        display_name: String::new(),
        extension: None,
        devices: vec![DeviceKind::Hardware],
        queues: serves(n).map(membership).collect(),
    }
}
