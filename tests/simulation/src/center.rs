//! A random center: queues, agents, routing.

use std::time::Duration;

use carillon_acd::agent::{self, DeviceKind, Membership};
use carillon_acd::ids::{AgentId, Name, NumberId, QueueId, TrunkId};
use carillon_acd::queue::{self, CallbackRule, Exit, SkillRule, Strategy, Then, Timeout, Unanswered};
use carillon_acd::rank::Ranking;
use carillon_acd::rng::Rng;
use carillon_acd::route::{AgentRoute, NumberRoute, QueueRoute, Routing, Tables, Target, TrunkRoute, WaitingSound};
use carillon_acd::skills::Skills;

pub(crate) const QUEUES: usize = 3;
pub(crate) const AGENTS: usize = 5;
/// Shorter than in life, so that a day sees it all.
pub(crate) const CALLBACK: CallbackRule = CallbackRule {
    attempts: 2,
    delay: Duration::from_secs(20),
    keep: Duration::from_secs(200),
    ring_for: Duration::from_secs(15),
};

fn name(text: &str) -> Name {
    text.parse().expect("a name of this file is a name")
}

pub(crate) fn queue_id(n: usize) -> QueueId {
    QueueId::new(name("default"), name(&format!("q{n}")))
}

pub(crate) fn agent_id(n: usize) -> AgentId {
    AgentId::new(name("default"), name(&format!("a{n}")))
}

pub(crate) fn trunk() -> TrunkId {
    TrunkId::new(name("default"), name("carrier"))
}

pub(crate) fn number(n: usize) -> String {
    format!("+3312345678{n}")
}

/// The extension of an agent, or of a queue (with `n` from [`AGENTS`] on).
pub(crate) fn extension(n: usize) -> String {
    format!("{}", 101 + n)
}

const SKILLS: [&str; 2] = ["french", "billing"];

fn skills(rng: &mut Rng, most: usize) -> Skills {
    Skills::new(SKILLS.map(|skill| (name(skill), u8::try_from(rng.below(most + 1)).unwrap_or_default())))
}

/// What an agent can do. The first of a list can everything, or a patient caller might wait for nobody for ever.
fn can(seat: usize, rng: &mut Rng) -> Skills {
    match seat {
        0 => Skills::new(SKILLS.map(|skill| (name(skill), Skills::MOST))),
        _ => skills(rng, 4),
    }
}

/// Calls and queues must agree on what priority is worth, so the routing is made for the queues.
pub(crate) fn routing(configs: &[queue::Config], rng: &mut Rng) -> Routing {
    let numbers = (0..QUEUES).map(|n| {
        let id = NumberId::new(name("default"), name(&format!("n{n}")));
        let number = number(n).parse().expect("a number");
        NumberRoute {
            priority: i32::try_from(rng.below(4)).unwrap_or_default() - 1,
            skills: if rng.below(2) == 0 { skills(rng, 3) } else { Skills::default() },
            max_wait: (n == 1).then_some(Duration::from_secs(90)),
            ..NumberRoute::new(id, number, trunk(), Target::Queue(queue_id(n)))
        }
    });
    let numbers: Vec<NumberRoute> = numbers.collect();
    let queues = (0..QUEUES).map(|n| QueueRoute {
        short_number: n.to_string().parse().ok(),
        // Not everybody is on the list of each, and not each allows it: then the queue refuses.
        pickup: (0..AGENTS).map(agent_id).collect(),
        ranking: configs[n].ranking,
        extension: extension(AGENTS + n).parse().ok(),
        waiting_sound: if n == 0 { WaitingSound::Music } else { WaitingSound::Ringing },
        priority: i32::try_from(n).unwrap_or_default(),
        max_talk: (n == 2).then_some(Duration::from_secs(30)),
        exits: [
            ('0', Exit::Leave(Then::Agent(agent_id(n)))),
            ('1', Exit::Leave(Then::Queue(queue_id((n + 1) % QUEUES)))),
            ('2', Exit::Callback),
            ('*', Exit::Leave(Then::HangUp)),
        ]
        .into(),
        callback: CALLBACK,
        ..QueueRoute::new(queue_id(n))
    });
    let agents = (0..AGENTS).map(|n| AgentRoute {
        extension: extension(n).parse().ok(),
        mobile: format!("+3361234567{n}").parse().ok(),
        ..AgentRoute::new(agent_id(n))
    });
    let trunks = vec![TrunkRoute { id: trunk(), outbound: true }];
    let (queues, agents) = (queues.collect(), agents.collect());
    let tables = Tables { numbers, queues, agents, trunks, ..Tables::default() };
    Routing::new(tables).expect("the tables of this file fit together")
}

pub(crate) fn queue_config(n: usize, rng: &mut Rng) -> queue::Config {
    let rules = [
        Unanswered::Wait,
        Unanswered::Wait,
        Unanswered::Leave(Then::HangUp),
        Unanswered::Leave(Then::LastAgentPhone),
        Unanswered::Leave(Then::Queue(queue_id((n + 1) % QUEUES))),
        Unanswered::Leave(Then::Number("+48600000000".parse().expect("a number"))),
    ];
    let limits = [None, Some(Duration::from_secs(45))];
    let ageing = [None, Some(Duration::from_secs(10)), Some(Duration::from_secs(60))];
    let relax = [None, Some(Duration::from_secs(8))];
    let ranking = Ranking {
        ageing: ageing[rng.below(ageing.len())],
        weight: Duration::from_secs([0, 0, 30][rng.below(3)]),
        strict_weight: rng.below(4) == 0,
    };
    let agents: Vec<AgentId> = (0..AGENTS).filter(|_| rng.below(3) > 0).map(agent_id).collect();
    let rule = SkillRule {
        wanted: if rng.below(3) == 0 { skills(rng, 2) } else { Skills::default() },
        relax: relax[rng.below(relax.len())],
        least: u8::try_from(rng.below(2)).unwrap_or_default(),
        agents: (0..).zip(&agents).map(|(seat, id)| (id.clone(), can(seat, rng))).collect(),
    };
    queue::Config {
        display_name: format!("queue {n}"),
        extension: None,
        agents,
        strategy: Strategy::ALL[rng.below(Strategy::ALL.len())],
        ring_for: Duration::from_secs(5 * (1 + rng.below(4) as u64)),
        unanswered: rules[rng.below(rules.len())].clone(),
        max_wait: limits[rng.below(limits.len())],
        nobody_grace: Duration::from_secs(5 * rng.below(3) as u64),
        timeout: Timeout::default(),
        max_waiting: 2 + rng.below(20),
        pickup: rng.below(4) > 0,
        ranking,
        skills: rule,
    }
}

pub(crate) fn agent_config(n: usize, queues: &[queue::Config]) -> agent::Config {
    let serves = (0..QUEUES).filter(|queue| queues[*queue].agents.contains(&agent_id(n)));
    agent::Config {
        display_name: String::new(),
        extension: extension(n).parse().ok(),
        devices: vec![DeviceKind::Hardware; 1 + n % 2],
        queues: serves
            .map(|queue| Membership {
                wrap_up: Duration::from_secs(3 * queue as u64),
                pause_after: (n == 0).then_some(3),
                ..Membership::new(queue_id(queue))
            })
            .collect(),
    }
}
