//! Pickup from the console, the API and the command line (Spec: TR-4): the agent's devices ring for a call that rings at a
//! colleague. From a phone the call that dials the code does the same (`acd::call`).

use carillon_acd::agent::Refusal;
use carillon_acd::ids::{AgentId, CallId, QueueId};
use carillon_acd::queue::{PickupRefusal, RingingCall};
use carillon_acd::view::Activity;

use crate::center::{Center, CenterError, ask};
use crate::queue::QueueMessage;

impl Center {
    /// Lets the devices of an agent ring for a call that rings at a colleague, and says which: `call`, or the one that has rung
    /// for longest in the queues whose calls he may pick up. When this returns they are about to ring, unless the call is
    /// answered in the same moment.
    ///
    /// # Errors
    /// All of [`CenterError`]; it is refused when he is held by another call or cannot be reached, when nothing (or not this
    /// call) rings, and when the queue does not allow it or does not list him.
    pub async fn pick_up(&self, agent: &AgentId, call: Option<CallId>) -> Result<CallId, CenterError> {
        let view = self.agent(agent).await?;
        let refused = |why: String| Err(CenterError::Refused(format!("{agent}: {why}")));
        match view.activity {
            Activity::Reserved | Activity::Talking => return refused(Refusal::Busy.to_string()),
            Activity::Idle | Activity::WrapUp if view.reachable_devices == 0 => {
                return refused(Refusal::Unreachable.to_string());
            }
            Activity::Idle | Activity::WrapUp => {}
        }
        let queues = match call {
            Some(call) => match self.call(call).await?.queue {
                Some(queue) => vec![queue],
                None => return refused(format!("call {call} is in no queue")),
            },
            None => self.routing.load().pickups(agent).to_vec(),
        };
        if queues.is_empty() {
            return refused("no queue of his allows pickup".to_owned());
        }
        match self.longest_ringing(agent, call, &queues).await? {
            Ok((queue, call)) => match self.invite(agent, call, queue).await? {
                Ok(()) => Ok(call),
                Err(why) => refused(format!("call {call} of {queue}: {why}")),
            },
            Err(why) => refused(why),
        }
    }

    /// The call that has rung for longest, or why there is none.
    async fn longest_ringing<'q>(
        &self,
        agent: &AgentId,
        call: Option<CallId>,
        queues: &'q [QueueId],
    ) -> Result<Result<(&'q QueueId, CallId), String>, CenterError> {
        let mut found: Vec<(RingingCall, &QueueId)> = Vec::new();
        let mut why = Vec::new();
        for queue in queues {
            let actor = self.find_queue(queue)?;
            match ask(&actor, queue, |reply| QueueMessage::Rings(agent.clone(), call, reply)).await? {
                Ok(ringing) => found.push((ringing, queue)),
                Err(refusal) => why.push(format!("{queue}: {refusal}")),
            }
        }
        let longest = found.into_iter().max_by_key(|(ringing, _)| ringing.ringing_for);
        Ok(longest.map(|(ringing, queue)| (queue, ringing.call)).ok_or_else(|| why.join("; ")))
    }

    async fn invite(
        &self,
        agent: &AgentId,
        call: CallId,
        queue: &QueueId,
    ) -> Result<Result<(), PickupRefusal>, CenterError> {
        let actor = self.find_queue(queue)?;
        ask(&actor, queue, |reply| QueueMessage::PickUp(call, agent.clone(), reply)).await
    }
}
