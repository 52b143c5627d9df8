//! What breaks: owners, edges, and the network between them.

use std::time::Duration;

use carillon_acd::call;
use carillon_acd::ids::{CallId, Epoch, QueueId};
use carillon_acd::queue;
use carillon_acd::time::Moment;
use carillon_acd::view::AgentCommand;
use carillon_simulate::engine::{Engine, Message};

use super::{Day, Planned};
use crate::center::{AGENTS, QUEUES, agent_id, queue_id};

/// The longest that a queue and the calls do not hear each other.
const CUT: Duration = Duration::from_secs(40);

/// A queue and the calls, on two sides of a broken network.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CutOff {
    /// From then the owner does not hear the calls.
    deaf: Moment,
    /// From then they do not hear it.
    dumb: Moment,
    until: Moment,
}

impl Day {
    fn agent_owner_crashes(&mut self, engine: &mut Engine<Planned>, agent: usize) {
        engine.end_agent_owner(&agent_id(agent), Epoch(self.agent_epochs[agent]));
        self.agent_gets_an_owner(engine, agent);
    }

    /// The new owner has announced itself, and the old one does not notice for a while.
    fn agent_owner_is_replaced_and_goes_on(&mut self, engine: &mut Engine<Planned>, agent: usize) {
        let lives = self.random(Duration::from_secs(40));
        engine.plan(lives, Planned::AgentOwnerDies(agent, Epoch(self.agent_epochs[agent])));
        self.agent_gets_an_owner(engine, agent);
    }

    pub(super) fn trouble(&mut self, engine: &mut Engine<Planned>) {
        let agent = self.rng.below(AGENTS);
        let queue = self.rng.below(QUEUES);
        let command = match self.rng.below(16) {
            0 => AgentCommand::Break,
            1 | 2 => AgentCommand::Ready,
            3 => AgentCommand::EndWrapUp,
            4 => AgentCommand::QueueLogOut(queue_id(queue)),
            5 => AgentCommand::QueueLogIn(queue_id(queue)),
            6.. if self.calm => return,
            6 | 7 => return self.owner_crashes(engine, queue),
            8 => return self.owner_is_cut_off(engine, queue),
            9 | 10 => return self.owner_is_replaced_and_goes_on(engine, queue),
            11 => return self.edge_dies(engine),
            12 => return self.agent_owner_crashes(engine, agent),
            13 | 14 => return self.agent_owner_is_replaced_and_goes_on(engine, agent),
            15.. => return self.edges_are_cut_off(engine, queue),
        };
        engine.command(agent_id(agent), command);
    }

    fn edge_dies(&mut self, engine: &mut Engine<Planned>) {
        let calls: Vec<CallId> = engine.calls().map(carillon_acd::call::Call::id).collect();
        if calls.is_empty() {
            return;
        }
        let call = calls[self.rng.below(calls.len())];
        engine.lose_call(call);
        self.phones.edge_dies(call);
        self.callers.remove(&call);
        // It leaves no record.
        self.started.remove(&call);
        self.without_record += 1;
    }

    fn owner_crashes(&mut self, engine: &mut Engine<Planned>, queue: usize) {
        if let Some(epoch) = self.places[queue].newest().map(|owner| owner.epoch) {
            self.places[queue].end(epoch);
            engine.end_owner(&queue_id(queue), epoch);
        }
    }

    fn owner_is_cut_off(&mut self, engine: &Engine<Planned>, queue: usize) {
        let until = engine.now() + self.random(Duration::from_secs(20));
        if let Some(owner) = self.places[queue].newest() {
            owner.cut_until = until;
        }
    }

    /// The calls do not hear the owner of a queue for a while, and a little later it does not hear them either: who comes in
    /// between has a place that he does not know of.
    fn edges_are_cut_off(&mut self, engine: &Engine<Planned>, queue: usize) {
        let now = engine.now();
        let until = now + self.random(CUT);
        self.cut_off[queue] = CutOff { deaf: now + self.random(CUT / 4), dumb: now, until };
    }

    pub(super) fn is_cut_off(&self, now: Moment, message: &Message) -> bool {
        let cut = |queue: &QueueId| (0..QUEUES).find(|n| queue_id(*n) == *queue).map(|n| self.cut_off[n]);
        match message {
            Message::Queue(queue, queue::Event::Enqueue(_) | queue::Event::Leave { .. }) => {
                cut(queue).is_some_and(|cut| (cut.deaf..cut.until).contains(&now))
            }
            Message::Call(_, call::Event::Queue(queue, _)) => {
                cut(queue).is_some_and(|cut| (cut.dumb..cut.until).contains(&now))
            }
            Message::Call(..) | Message::Agent(..) | Message::Queue(..) => false,
        }
    }

    /// Somebody claims the place by compare-and-swap, and the old owner does not notice for a while.
    fn owner_is_replaced_and_goes_on(&mut self, engine: &mut Engine<Planned>, queue: usize) {
        let lives = self.random(Duration::from_secs(40));
        if let Some(owner) = self.places[queue].newest() {
            owner.lawless = true;
            let epoch = owner.epoch;
            engine.plan(lives, Planned::OwnerDies(queue, epoch));
        }
        self.appoint(engine, queue);
    }
}
