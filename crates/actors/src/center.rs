//! The handle through which the rest of a node (the edge, the API) speaks to its actors.

use carillon_acd::ids::{AgentId, CallId, QueueId};
use carillon_acd::view::{AgentCommand, AgentView, CallView, QueueView};

/// Why a question or a command was not fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CenterError {
    /// There is no such object; `nearest` holds names that look like it.
    #[error("{what} not found")]
    NotFound {
        /// The full resource name that was asked for.
        what: String,
        /// Full resource names that are close to it, best first, at most three.
        nearest: Vec<String>,
    },
    /// The state does not allow it; the text says what state it is in.
    #[error("{0}")]
    Refused(String),
    /// The actor did not answer within its deadline (2 s): the node is overloaded or stops.
    #[error("{0} did not answer in time")]
    Timeout(String),
}

/// All calls, agents and queues of this node. Clones share them.
#[derive(Clone)]
pub struct Center {}

impl Center {
    /// Every agent, by id.
    pub async fn agents(&self) -> Vec<AgentView> {
        Vec::new()
    }

    /// One agent.
    pub async fn agent(&self, agent: &AgentId) -> Result<AgentView, CenterError> {
        Err(CenterError::NotFound { what: agent.to_string(), nearest: Vec::new() })
    }

    /// Availability, end of wrap-up, login and logout per queue (Spec: TR-5, TR-6); answers with the state after it.
    pub async fn command_agent(&self, agent: &AgentId, command: AgentCommand) -> Result<AgentView, CenterError> {
        let _ = command;
        self.agent(agent).await
    }

    /// Every queue, by id.
    pub async fn queues(&self) -> Vec<QueueView> {
        Vec::new()
    }

    /// One queue.
    pub async fn queue(&self, queue: &QueueId) -> Result<QueueView, CenterError> {
        Err(CenterError::NotFound { what: queue.to_string(), nearest: Vec::new() })
    }

    /// Every call that is not over, by id.
    pub async fn calls(&self) -> Vec<CallView> {
        Vec::new()
    }

    /// One call that is not over.
    pub async fn call(&self, call: CallId) -> Result<CallView, CenterError> {
        Err(CenterError::NotFound { what: call.to_string(), nearest: Vec::new() })
    }

    /// Ends a call, whatever its stage.
    pub async fn hang_up(&self, call: CallId) -> Result<(), CenterError> {
        self.call(call).await.map(|_| ())
    }
}
