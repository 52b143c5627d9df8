//! Explanations, put together from what several owners say. Nobody is told to do anything.

use carillon_acd::explain::{AgentExplained, CallExplained, QueueExplained};
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

    /// A call that is not over, see [`CallExplained`]. A queue that does not answer in time leaves its place unknown.
    ///
    /// # Errors
    /// [`CenterError::NotFound`] and [`CenterError::Timeout`].
    pub async fn explain_call(&self, call: CallId) -> Result<CallExplained, CenterError> {
        let explained = ask(&self.find_call(call)?, &call, CallMessage::Explain).await?;
        // Only one queue knows it, but the one it is in may change while it is asked.
        let queue = explained.queue().and_then(|queue| Some((queue, self.addresses.queue(queue)?)));
        let place = match queue {
            Some((queue, actor)) => ask(&actor, queue, |reply| QueueMessage::ExplainCaller(call, reply)).await,
            None => Ok(None),
        };
        let place = match place {
            Ok(Some(place)) => Some(self.refine(place).await),
            Ok(None) | Err(_) => None,
        };
        Ok(CallExplained { place, ..explained })
    }

    /// An agent, see [`AgentExplained`]. Queues that do not answer in time are left out.
    ///
    /// # Errors
    /// [`CenterError::NotFound`] and [`CenterError::Timeout`].
    pub async fn explain_agent(&self, agent: &AgentId) -> Result<AgentExplained, CenterError> {
        let view = self.agent(agent).await?;
        let queues = view.queues.iter().map(|(queue, _)| queue);
        let actors = queues.filter_map(|queue| Some((queue.clone(), self.addresses.queue(queue)?))).collect();
        let queues = ask_all(actors, |reply| QueueMessage::ExplainAgent(agent.clone(), reply)).await;
        Ok(AgentExplained::new(view, queues.into_iter().flatten().collect()))
    }

    /// Asks the agents of whom the queue does not know everything.
    async fn refine(&self, mut explained: QueueExplained) -> QueueExplained {
        let unsure = explained.unsure();
        let actors = unsure.filter_map(|agent| Some((agent.clone(), self.addresses.agent(agent)?))).collect();
        let views = ask_all(actors, AgentMessage::View).await;
        explained.refine(&views);
        explained
    }
}
