//! The service of explanations (Spec: RT-9).

use carillon_acd::explain::{CallExplained, QueueExplained};
use carillon_actors::{Center, CenterError};
use carillon_rpc::v1::explain_service_server::ExplainService;
use carillon_rpc::{Refusal, explain, names, v1};
use carillon_store::{Filter, Store};
use prost::Message;
use tonic::{Request, Response, Status};

use crate::{agent, call, page, record, refusal};

/// Callers of a queue when no number is asked for.
const CALLERS: u32 = 20;
/// Names of agents who stand alike, unless all are asked for.
const NAMES: usize = 5;
/// An answer keeps below twice this many bytes; clients refuse messages of more than 4 MiB unless told otherwise.
const MOST_BYTES: usize = 2 * 1024 * 1024;

pub(crate) struct Explanations {
    center: Center,
    store: Store,
}

impl Explanations {
    pub(crate) fn new(center: Center, store: Store) -> Self {
        Explanations { center, store }
    }

    /// A call that lives, or its record.
    async fn call(&self, name: &str) -> Result<CallExplained, Refusal> {
        let id = call::named(name)?;
        match self.center.explain_call(id).await {
            Ok(explained) => Ok(explained),
            Err(absent @ CenterError::NotFound { .. }) => {
                let filter = Filter { call: Some(id), limit: 1, ..Filter::default() };
                let record = record::read(&self.store, &filter).await?.pop();
                record.map(CallExplained::over).ok_or_else(|| call::refused(id, absent))
            }
            Err(error @ (CenterError::Refused(_) | CenterError::Timeout(_))) => Err(call::refused(id, error)),
        }
    }
}

#[tonic::async_trait]
impl ExplainService for Explanations {
    async fn explain_queue(
        &self,
        request: Request<v1::ExplainQueueRequest>,
    ) -> Result<Response<v1::ExplainQueueResponse>, Status> {
        let request = request.get_ref();
        let queue = names::queue(&request.name).map_err(|error| Refusal::name("name", error))?;
        let callers = page::read_size("caller_limit", request.caller_limit, CALLERS)?;
        let explained = self.center.explain_queue(&queue, callers).await;
        let explained = explained.map_err(|error| refusal::of(queue, error))?;
        Ok(Response::new(fitting(explained, most_names(request.all_agents))))
    }

    async fn explain_call(
        &self,
        request: Request<v1::ExplainCallRequest>,
    ) -> Result<Response<v1::ExplainCallResponse>, Status> {
        let request = request.get_ref();
        let explained = self.call(&request.name).await?;
        let most = most_names(request.all_agents);
        let (call, text) = (Some(explain::call(&explained, most)), explained.lines(most));
        Ok(Response::new(v1::ExplainCallResponse { call, text }))
    }

    async fn explain_agent(
        &self,
        request: Request<v1::ExplainAgentRequest>,
    ) -> Result<Response<v1::ExplainAgentResponse>, Status> {
        let agent = agent::named(&request.get_ref().name)?;
        let explained = self.center.explain_agent(&agent).await.map_err(|error| refusal::of(agent, error))?;
        let (agent, text) = (Some(explain::agent(&explained)), explained.lines());
        Ok(Response::new(v1::ExplainAgentResponse { agent, text }))
    }
}

const fn most_names(all: bool) -> usize {
    if all { usize::MAX } else { NAMES }
}

/// The answer with as many callers as fit into it.
fn fitting(mut explained: QueueExplained, most: usize) -> v1::ExplainQueueResponse {
    loop {
        let queue = explain::queue(&explained, most);
        if queue.encoded_len() <= MOST_BYTES || explained.callers.is_empty() {
            return v1::ExplainQueueResponse { queue: Some(queue), text: explained.lines(most) };
        }
        explained.callers.truncate(explained.callers.len() / 2);
    }
}
