//! Pickup from the console, the API and the command line (Spec: TR-4): the agent's devices ring for a call that rings at a
//! colleague. From a phone the call that dials the code does the same (`acd::call`).

use carillon_acd::ids::{AgentId, CallId, QueueId};
use carillon_acd::queue::{PickupRefusal, RingingCall};

use crate::center::{Center, CenterError, ask};
use crate::queue::QueueMessage;

impl Center {
    /// The queues whose calls an agent may pick up, on whatever node their owners are.
    pub fn pickups(&self, agent: &AgentId) -> Vec<QueueId> {
        self.routing.load().pickups(agent).to_vec()
    }

    /// The call of a queue of this node that an agent may pick up: `only`, or the one that has rung for longest.
    ///
    /// # Errors
    /// All of [`CenterError`]; it is refused when nothing (or not this call) rings, and when the queue does not allow it or
    /// does not list him.
    pub async fn rings(
        &self,
        queue: &QueueId,
        agent: &AgentId,
        only: Option<CallId>,
    ) -> Result<RingingCall, CenterError> {
        let actor = self.find_queue(queue)?;
        let ringing = ask(&actor, queue, |reply| QueueMessage::Rings(agent.clone(), only, reply)).await?;
        ringing.map_err(|refusal| refused(queue, refusal))
    }

    /// Lets the devices of an agent ring for a call of a queue of this node that rings at a colleague. When this returns they
    /// are about to ring, unless the call is answered in the same moment, or his owner does not have him free.
    ///
    /// # Errors
    /// As [`Center::rings`].
    pub async fn pick_up(&self, queue: &QueueId, agent: &AgentId, call: CallId) -> Result<(), CenterError> {
        let actor = self.find_queue(queue)?;
        let invited = ask(&actor, queue, |reply| QueueMessage::PickUp(call, agent.clone(), reply)).await?;
        invited.map_err(|refusal| refused(queue, refusal))
    }
}

fn refused(queue: &QueueId, refusal: PickupRefusal) -> CenterError {
    CenterError::Refused(format!("{queue}: {refusal}"))
}
