//! Who notices that an actor has failed, and what follows: a queue or an agent gets a new owner with a higher epoch, and
//! the living calls tell it what it needs to know; a call is taken down and its record closed, exactly once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use carillon_acd::agent::{Agent, SavedAvailability};
use carillon_acd::call::{self, FromAgent};
use carillon_acd::ids::{AgentId, Epoch, QueueId};
use carillon_acd::queue::Queue;
use carillon_acd::{agent, queue};
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::address::{Addresses, LivingCall};
use crate::agent::AgentActor;
use crate::center::Objects;
use crate::queue::QueueActor;

/// The shell; all state is in [`SupervisorState`].
pub(crate) struct Supervisor;

pub(crate) struct SupervisorState {
    addresses: Arc<Addresses>,
    agents: HashMap<AgentId, (agent::Config, SavedAvailability)>,
    queues: HashMap<QueueId, queue::Config>,
    /// The epoch of the next owner; each owner of this run gets its own.
    next_epoch: AtomicU64,
    seed: u64,
}

/// What the supervisor begins with.
pub(crate) struct SupervisorArguments {
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) objects: Objects,
    pub(crate) epoch: Epoch,
    pub(crate) seed: u64,
}

impl Actor for Supervisor {
    /// It takes no orders yet: it starts everybody and replaces those that fail.
    type Msg = ();
    type State = SupervisorState;
    type Arguments = SupervisorArguments;

    /// Every queue and every agent gets its first owner. When this returns they all have an address.
    async fn pre_start(
        &self,
        myself: ActorRef<()>,
        arguments: SupervisorArguments,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        let SupervisorArguments { addresses, objects, epoch, seed } = arguments;
        let (queues, agents): (Vec<_>, Vec<_>) = (
            objects.queues.iter().map(|(id, _)| id.clone()).collect(),
            objects.agents.iter().map(|(id, ..)| id.clone()).collect(),
        );
        let state = SupervisorState {
            addresses,
            agents: objects.agents.into_iter().map(|(id, config, saved)| (id, (config, saved))).collect(),
            queues: objects.queues.into_iter().collect(),
            next_epoch: AtomicU64::new(epoch.0),
            seed,
        };
        for queue in queues {
            state.start_queue(queue, myself.get_cell());
        }
        for agent in agents {
            state.start_agent(agent, state.epoch(), myself.get_cell());
        }
        Ok(state)
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(who, error) => state.replace(who.get_id(), &error, myself.get_cell()),
            SupervisionEvent::ActorTerminated(..)
            | SupervisionEvent::ActorStarted(_)
            | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl SupervisorState {
    fn epoch(&self) -> Epoch {
        Epoch(self.next_epoch.fetch_add(1, Ordering::Relaxed))
    }

    fn start_agent(&self, id: AgentId, epoch: Epoch, supervisor: ActorCell) {
        let Some((config, saved)) = self.agents.get(&id).cloned() else { return };
        self.addresses.announce_owner(&id, epoch);
        let machine = Box::new(Agent::new(self.addresses.clock.now(), id.clone(), config, saved, epoch));
        let arguments = (id.clone(), machine, self.addresses.clone());
        match ractor::ActorRuntime::spawn_linked_instant(None, AgentActor, arguments, supervisor) {
            Ok((actor, _)) => {
                self.addresses.agent_lives(id, actor);
            }
            Err(error) => tracing::error!(agent = %id, %error, "no owner for agent"),
        }
    }

    fn start_queue(&self, id: QueueId, supervisor: ActorCell) {
        let Some(config) = self.queues.get(&id).cloned() else { return };
        let (epoch, now) = (self.epoch(), self.addresses.clock.now());
        let machine = Box::new(Queue::new(now, id.clone(), config, epoch, self.seed ^ epoch.0));
        match ractor::ActorRuntime::spawn_linked_instant(
            None,
            QueueActor,
            (machine, self.addresses.clone()),
            supervisor,
        ) {
            Ok((actor, _)) => {
                self.addresses.queue_lives(id, actor);
            }
            Err(error) => tracing::error!(queue = %id, %error, "no owner for queue"),
        }
    }

    /// Failures are rare, so who it was is searched for, not kept.
    fn replace(&self, failed: ActorId, error: &ActorProcessingErr, supervisor: ActorCell) {
        if let Some((agent, _)) = self.addresses.agents().into_iter().find(|(_, a)| a.get_id() == failed) {
            tracing::error!(%agent, %error, "an agent's owner failed: a new one starts");
            let epoch = self.epoch();
            self.start_agent(agent.clone(), epoch, supervisor);
            // First his devices, or a call whose phone rings would be refused for want of one.
            (self.addresses.ports.announce)(&agent);
            // A call that holds him says so now, not at its next renewal: he must not be given to a second one meanwhile.
            for (call, _) in self.addresses.calls() {
                self.addresses.tell_call(call, call::Event::Agent(agent.clone(), epoch, FromAgent::NewOwner));
            }
            return;
        }
        if let Some((queue, _)) = self.addresses.queues().into_iter().find(|(_, q)| q.get_id() == failed) {
            tracing::error!(%queue, %error, "a queue's owner failed: a new one starts");
            return self.start_queue(queue, supervisor);
        }
        if let Some((call, _)) = self.addresses.calls().into_iter().find(|(_, c)| c.get_id() == failed) {
            tracing::error!(call_id = %call, %error, "a call's actor failed: the call is ended");
            (self.addresses.ports.abandon)(call);
            if let Some(LivingCall { incoming, started, story, .. }) = self.addresses.call_is_over(call) {
                let now = self.addresses.clock.now().wall;
                let record = story.break_off(&self.addresses.statistics, incoming, started, now);
                (self.addresses.ports.record)(record);
            }
        }
    }
}
