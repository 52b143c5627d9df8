//! Explanations, put together from what several owners say. Nobody is told to do anything.

use carillon_acd::explain::{AgentInQueue, CallExplained, QueueExplained};
use carillon_acd::ids::{AgentId, CallId, QueueId};

use crate::agent::AgentMessage;
use crate::call::CallMessage;
use crate::center::{Center, CenterError, ask, ask_all};
use crate::queue::QueueMessage;

impl Center {
    /// A queue with its first `most` callers, see [`QueueExplained`].
    ///
    /// # Errors
    /// [`CenterError::NotFound`] and [`CenterError::Timeout`].
    pub async fn explain_queue(&self, queue: &QueueId, most: usize) -> Result<QueueExplained, CenterError> {
        let actor = self.find_queue(queue)?;
        let explained = ask(&actor, queue, |reply| QueueMessage::Explain(most, reply)).await?;
        Ok(self.refine(explained).await)
    }

    /// A call that is not over, see [`CallExplained`]. A queue that is not owned by this node, or does not answer in time,
    /// leaves its place unknown.
    ///
    /// # Errors
    /// [`CenterError::NotFound`] and [`CenterError::Timeout`].
    pub async fn explain_call(&self, call: CallId) -> Result<CallExplained, CenterError> {
        let explained = ask(&self.find_call(call)?, &call, CallMessage::Explain).await?;
        // Only one queue knows it, but the one it is in may change while it is asked.
        let place = match explained.queue() {
            Some(queue) => self.explain_caller(queue, call).await.ok().flatten(),
            None => None,
        };
        Ok(CallExplained { place, ..explained })
    }

    /// A queue with this caller alone; `None` when he is not in it.
    ///
    /// # Errors
    /// [`CenterError::NotFound`] and [`CenterError::Timeout`].
    pub async fn explain_caller(&self, queue: &QueueId, call: CallId) -> Result<Option<QueueExplained>, CenterError> {
        let actor = self.find_queue(queue)?;
        match ask(&actor, queue, |reply| QueueMessage::ExplainCaller(call, reply)).await? {
            Some(place) => Ok(Some(self.refine(place).await)),
            None => Ok(None),
        }
    }

    /// An agent in the eyes of those of these queues that this node owns and that answer in time.
    pub async fn agent_in_queues(&self, agent: &AgentId, queues: &[QueueId]) -> Vec<AgentInQueue> {
        let here = queues.iter().filter_map(|queue| Some((queue.clone(), self.addresses.queue(queue)?))).collect();
        let seen = ask_all(here, |reply| QueueMessage::ExplainAgent(agent.clone(), reply)).await;
        seen.into_iter().flatten().collect()
    }

    /// Asks the agents of whom the queue does not know everything, as far as this node owns them.
    async fn refine(&self, mut explained: QueueExplained) -> QueueExplained {
        let unsure = explained.unsure();
        let actors = unsure.filter_map(|agent| Some((agent.clone(), self.addresses.agent(agent)?))).collect();
        let views = ask_all(actors, AgentMessage::View).await;
        explained.refine(views.iter().map(|view| (&view.agent, view.activity, view.availability)));
        explained
    }
}
