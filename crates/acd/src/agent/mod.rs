//! The agent: one person, one owner, one reservation at a time for all his queues together.

mod event;

pub use event::{
    AgentStatus, CommandRefusal, Config, DeviceKind, Effect, Event, Membership, Purpose, Refusal, Released,
    ReservationId, SavedAvailability, Standing, Version,
};

use crate::ids::{AgentId, Epoch};
use crate::time::{Moment, Now};
use crate::view::{AgentCommand, AgentView};

/// The machine of one agent.
#[derive(Clone, Debug)]
pub struct Agent {
    id: AgentId,
}

impl Agent {
    /// An agent as stored, with no device reachable until the registrar says so. `epoch` is the owner's: higher than any
    /// before for this agent.
    pub fn new(now: Now, id: AgentId, config: Config, saved: SavedAvailability, epoch: Epoch) -> Self {
        let _ = (now, config, saved, epoch);
        Agent { id }
    }

    /// Takes in one event; what follows from it is appended to `out`.
    pub fn handle(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        let _ = (now, event, out, &self.id);
    }

    /// Does what a person or a service asks.
    ///
    /// # Errors
    /// [`CommandRefusal`] when it does not apply; nothing has changed then. A wish that is already true is no error.
    pub fn command(&mut self, now: Now, command: &AgentCommand, out: &mut Vec<Effect>) -> Result<(), CommandRefusal> {
        let _ = (now, command, out);
        Ok(())
    }

    /// When [`Event::Wake`] is due. There is always one: the status is repeated every 10 s.
    pub fn deadline(&self) -> Option<Moment> {
        None
    }

    /// How he is now.
    pub fn view(&self, now: Now) -> AgentView {
        let _ = now;
        unreachable!("filled in next")
    }
}
