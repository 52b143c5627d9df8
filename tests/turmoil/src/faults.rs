//! What breaks, and when it is mended.

use std::time::Duration;

use carillon_acd::ids::NodeId;
use carillon_acd::rng::Rng;
use carillon_cluster::simulated::Weather;
use turmoil::Sim;

use crate::network::host;
use crate::world::World;

/// Nothing breaks before: the nodes find each other, and callers come.
const FIRST: Duration = Duration::from_secs(5);
/// Everything is mended by then.
pub(crate) const LAST: Duration = Duration::from_secs(30);
/// The longest trouble: longer than a lease.
const LONGEST: Duration = Duration::from_secs(8);
/// The longest peace between two troubles of a kind: long enough that sometimes there is none at all.
const PEACE: Duration = Duration::from_secs(15);
/// How long a message is under way at most, in good times.
pub(crate) const LATENCY: Duration = Duration::from_millis(4);
const SLOW: Duration = Duration::from_millis(400);

/// What happens to the nodes and between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// A node is killed, and starts again when it is over.
    Crash(NodeId),
    /// A node hands over what it owns and takes no calls, and takes part again when it is over.
    Drain(NodeId),
    /// Two nodes do not hear each other.
    Cut(NodeId, NodeId),
    /// The second does not hear the first.
    OneWay(NodeId, NodeId),
    /// A node hears no other node.
    Alone(NodeId),
    /// Messages between two nodes are late, all by another time.
    Slow(NodeId, NodeId),
    /// Messages between two nodes wait, and come all at once when it is over.
    Stuck(NodeId, NodeId),
    /// A node does not reach the coordinator.
    Unregistered(NodeId),
    /// A node hears nobody, not even the coordinator.
    CutOff(NodeId),
    /// Nobody reaches the coordinator.
    Outage,
    /// The coordinator answers late, or not at all though it has done what was asked.
    BadWeather,
}

#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) from: Duration,
    pub(crate) until: Duration,
    pub(crate) what: Trouble,
}

fn random(rng: &mut Rng, most: Duration) -> Duration {
    most.mul_f64(rng.below(1_000) as f64 / 1_000.0)
}

/// A crash, a broken network and a bad coordinator may come together, two of a kind do not.
pub(crate) fn plan(nodes: u32, rng: &mut Rng) -> Vec<Fault> {
    let kinds: [fn(u32, &mut Rng) -> Trouble; 3] = [crash, network, coordinator];
    let mut faults = Vec::new();
    for kind in kinds {
        let mut at = FIRST + random(rng, PEACE);
        while at < LAST {
            let until = (at + Duration::from_millis(100) + random(rng, LONGEST)).min(LAST);
            faults.push(Fault { from: at, until, what: kind(nodes, rng) });
            at = until + Duration::from_millis(100) + random(rng, PEACE);
        }
    }
    faults.sort_by_key(|fault| fault.from);
    faults
}

fn node(nodes: u32, rng: &mut Rng) -> NodeId {
    NodeId(1 + u32::try_from(rng.below(nodes as usize)).unwrap_or_default())
}

fn crash(nodes: u32, rng: &mut Rng) -> Trouble {
    let node = node(nodes, rng);
    if rng.below(4) == 0 { Trouble::Drain(node) } else { Trouble::Crash(node) }
}

fn network(nodes: u32, rng: &mut Rng) -> Trouble {
    let one = node(nodes, rng);
    let further = u32::try_from(rng.below(nodes as usize - 1)).unwrap_or_default();
    let other = NodeId(1 + (one.0 + further) % nodes);
    match rng.below(8) {
        0 | 1 => Trouble::Cut(one, other),
        2 | 3 => Trouble::OneWay(one, other),
        4 => Trouble::Alone(one),
        5 => Trouble::CutOff(one),
        6 => Trouble::Slow(one, other),
        7.. => Trouble::Stuck(one, other),
    }
}

fn coordinator(nodes: u32, rng: &mut Rng) -> Trouble {
    match rng.below(3) {
        0 => Trouble::Unregistered(node(nodes, rng)),
        1 => Trouble::Outage,
        2.. => Trouble::BadWeather,
    }
}

fn others(world: &World, node: NodeId) -> impl Iterator<Item = NodeId> {
    (1..=world.nodes()).map(NodeId).filter(move |it| *it != node)
}

impl Trouble {
    /// The nodes that do not hear each other meanwhile; in what order does not matter.
    pub(crate) fn cuts(&self, one: NodeId, other: NodeId) -> bool {
        match self {
            Trouble::Cut(a, b) | Trouble::OneWay(a, b) | Trouble::Stuck(a, b) => {
                (*a, *b) == (one, other) || (*a, *b) == (other, one)
            }
            Trouble::Alone(node) | Trouble::CutOff(node) => *node == one || *node == other,
            Trouble::Crash(_)
            | Trouble::Drain(_)
            | Trouble::Slow(..)
            | Trouble::Unregistered(_)
            | Trouble::Outage
            | Trouble::BadWeather => false,
        }
    }

    pub(crate) fn begin(&self, sim: &mut Sim<'_>, world: &World) {
        tracing::info!(trouble = ?self, "begins");
        match self {
            Trouble::Crash(node) => {
                sim.crash(host(*node));
                world.crashed(*node);
            }
            Trouble::Drain(node) => world.drain(*node, true),
            Trouble::Cut(a, b) => sim.partition(host(*a), host(*b)),
            Trouble::OneWay(a, b) => sim.partition_oneway(host(*a), host(*b)),
            Trouble::Alone(node) => others(world, *node).for_each(|it| sim.partition(host(*node), host(it))),
            Trouble::Slow(a, b) => sim.set_link_max_message_latency(host(*a), host(*b), SLOW),
            Trouble::Stuck(a, b) => sim.hold(host(*a), host(*b)),
            Trouble::Unregistered(node) => world.change_weather(|weather| _ = weather.cut_off.insert(*node)),
            Trouble::CutOff(node) => {
                others(world, *node).for_each(|it| sim.partition(host(*node), host(it)));
                world.change_weather(|weather| _ = weather.cut_off.insert(*node));
            }
            Trouble::Outage => world.change_weather(|weather| weather.outage = true),
            Trouble::BadWeather => world.change_weather(|weather| {
                (weather.lost_requests, weather.lost_answers) = (100, 200);
                weather.delay = SLOW;
            }),
        }
    }

    pub(crate) fn end(&self, sim: &mut Sim<'_>, world: &World) {
        tracing::info!(trouble = ?self, "ends");
        match self {
            Trouble::Crash(node) => sim.bounce(host(*node)),
            Trouble::Drain(node) => world.drain(*node, false),
            Trouble::Cut(a, b) => sim.repair(host(*a), host(*b)),
            Trouble::OneWay(a, b) => sim.repair_oneway(host(*a), host(*b)),
            Trouble::Alone(node) => others(world, *node).for_each(|it| sim.repair(host(*node), host(it))),
            Trouble::Slow(a, b) => sim.set_link_max_message_latency(host(*a), host(*b), LATENCY),
            Trouble::Stuck(a, b) => sim.release(host(*a), host(*b)),
            Trouble::CutOff(node) => {
                others(world, *node).for_each(|it| sim.repair(host(*node), host(it)));
                world.change_weather(|weather| _ = weather.cut_off.remove(node));
            }
            Trouble::Unregistered(node) => world.change_weather(|weather| _ = weather.cut_off.remove(node)),
            Trouble::Outage => world.change_weather(|weather| weather.outage = false),
            Trouble::BadWeather => world.change_weather(|weather| {
                let Weather { delay, lost_requests, lost_answers, .. } = Weather::default();
                (weather.delay, weather.lost_requests, weather.lost_answers) = (delay, lost_requests, lost_answers);
            }),
        }
    }
}
