//! Why it is so, in the words that `carillon explain` prints.

use carillon_acd::explain::{AgentExplained, CallExplained, QueueExplained};
use carillon_acd::ids::{AgentId, CallId, QueueId};

use super::Script;
use crate::world::World;

/// Names of agents who stand alike.
const NAMES: usize = 5;

/// More than any scenario has.
const CALLERS: usize = 100;

impl Script {
    pub(super) fn explain_queue(&mut self, queue: &QueueId) -> Result<(), String> {
        let world = self.world();
        let explained = world.queues.get(queue).ok_or("no such queue")?.explain(world.clock(), CALLERS);
        let lines = refined(world, explained).lines(NAMES);
        self.say(lines);
        Ok(())
    }

    pub(super) fn explain_call(&mut self, call: CallId) -> Result<(), String> {
        let world = self.world();
        let now = world.clock();
        let explained = match (world.calls.get(&call), world.records.iter().find(|record| record.call == call)) {
            (Some(call), _) => call.explain(now),
            (None, Some(record)) => CallExplained::over(record.clone()),
            (None, None) => return Err("no such call".to_owned()),
        };
        let place = world.queues.values().find_map(|queue| queue.explain_caller(now, call));
        let place = place.map(|place| refined(world, place));
        let lines = CallExplained { place, ..explained }.lines(NAMES);
        self.say(lines);
        Ok(())
    }

    pub(super) fn explain_agent(&mut self, agent: &AgentId) -> Result<(), String> {
        let world = self.world();
        let now = world.clock();
        let view = world.agents.get(agent).ok_or("no such agent")?.view(now);
        let queues = world.queues.values().filter_map(|queue| queue.explain_agent(now, agent)).collect();
        self.say(AgentExplained::new(view, queues).lines());
        Ok(())
    }

    /// All calls of a scenario have one edge and one run.
    fn say(&mut self, lines: Vec<String>) {
        self.lines.extend(lines.into_iter().map(|line| line.replace("1-00000001-", "")));
    }
}

fn refined(world: &World, mut explained: QueueExplained) -> QueueExplained {
    let views: Vec<_> =
        explained.unsure().filter_map(|agent| world.agents.get(agent)).map(|agent| agent.view(world.clock())).collect();
    explained.refine(views.iter().map(|view| (&view.agent, view.activity, view.availability)));
    explained
}
