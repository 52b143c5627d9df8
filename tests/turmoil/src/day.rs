//! One day: the nodes start, callers come, things break and are mended, and in the end everybody is served.

use std::time::Duration;

use carillon_acd::ids::NodeId;

use crate::faults::{self, LAST, LATENCY};
use crate::network::host;
use crate::node;
use crate::randomness;
use crate::world::{Outcomes, World};

/// A step of the simulated clock.
const STEP: Duration = Duration::from_millis(2);
/// By then nobody may be left over: all who wait when things are mended, one after the other.
const END: Duration = Duration::from_secs(120);

/// Runs the day that a seed names.
///
/// # Errors
/// The first promise that was broken, and when.
pub(crate) fn run(seed: u64, calm: bool, go_on: bool) -> Result<Outcomes, String> {
    randomness::seed(seed);
    let world = World::new(seed, |nodes, rng| if calm { Vec::new() } else { faults::plan(nodes, rng) });
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(STEP)
        .min_message_latency(Duration::from_micros(300))
        .max_message_latency(LATENCY)
        .tcp_capacity(4_096)
        .enable_random_order()
        .build();
    for number in 1..=world.nodes() {
        let (world, node) = (world.clone(), NodeId(number));
        sim.host(host(node), move || node::run(world.clone(), node));
    }
    let mut changes = changes(&world);
    loop {
        sim.step().map_err(|error| format!("{:.3?}: a node failed: {error}", world.now()))?;
        world.goes_on_to(sim.elapsed());
        world.passes();
        while changes.last().is_some_and(|(at, ..)| *at <= sim.elapsed()) {
            let Some((_, begins, fault)) = changes.pop() else { break };
            let trouble = &world.plan()[fault].what;
            if begins { trouble.begin(&mut sim, &world) } else { trouble.end(&mut sim, &world) }
        }
        if let Some(broken) = world.broken().filter(|_| !go_on) {
            return Err(broken);
        }
        if sim.elapsed() > LAST {
            match world.left() {
                None => return Ok(world.outcomes()),
                Some(left) if sim.elapsed() > END => return Err(format!("in the end {left}")),
                Some(_) => {}
            }
        }
    }
}

/// When which trouble begins (`true`) or ends, the last first.
fn changes(world: &World) -> Vec<(Duration, bool, usize)> {
    let plan = world.plan().iter().enumerate();
    let mut changes: Vec<_> = plan.flat_map(|(n, fault)| [(fault.from, true, n), (fault.until, false, n)]).collect();
    changes.sort_by_key(|(at, begins, n)| std::cmp::Reverse((*at, *begins, *n)));
    changes
}
