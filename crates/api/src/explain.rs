//! The service of explanations (Spec: RT-9). Any node answers for all: it asks the owner of a queue or an agent, and for a call
//! the node that has it; each of these puts together what others know of it by smaller questions, which nobody sends on.

use std::time::Duration;

use carillon_acd::explain::{AgentExplained, AgentInQueue, CallExplained, QueueExplained, Whereabouts, next_callers};
use carillon_acd::ids::{AgentId, CallId, NodeId, QueueId};
use carillon_actors::{Center, CenterError, Owned};
use carillon_rpc::v1::agent_service_client::AgentServiceClient;
use carillon_rpc::v1::explain_service_client::ExplainServiceClient;
use carillon_rpc::v1::explain_service_server::ExplainService;
use carillon_rpc::{Refusal, explain, names, v1};
use carillon_store::{Filter, Store};
use prost::Message;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use crate::cluster::Other;
use crate::elsewhere::{self, Elsewhere, ask_all, forwarded, forwarded_within, marked};
use crate::{agent, call, page, record};

/// Callers of a queue when no number is asked for.
const CALLERS: u32 = 20;
/// Names of agents who stand alike, unless all are asked for.
const NAMES: usize = 5;
/// An answer keeps below twice this many bytes; clients refuse messages of more than 4 MiB unless told otherwise.
const MOST_BYTES: usize = 2 * 1024 * 1024;
/// How long who has it may take, since he asks others.
const WHOLE_WITHIN: Duration = Duration::from_secs(5);
/// How long the owners of a queue's agents may take to say what keeps them; without it the answer is a little less exact.
const REFINED_WITHIN: Duration = Duration::from_secs(1);

pub(crate) struct Explanations {
    center: Center,
    store: Store,
    elsewhere: Elsewhere,
}

fn client(channel: Channel) -> ExplainServiceClient<Channel> {
    ExplainServiceClient::new(channel).max_decoding_message_size(elsewhere::MOST_BYTES)
}

impl Explanations {
    pub(crate) fn new(center: Center, store: Store, elsewhere: Elsewhere) -> Self {
        Explanations { center, store, elsewhere }
    }

    async fn queue(&self, queue: &QueueId, call: &str, most: usize) -> Result<QueueExplained, Status> {
        let refused = |error| self.elsewhere.refused(&Owned::Queue(queue.clone()), error);
        let mut explained = match call {
            "" => self.center.explain_queue(queue, most).await.map_err(refused)?,
            call => {
                let id = names::call(call).map_err(|error| Refusal::name("call", error))?;
                let absent = || Refusal::NotFound { name: format!("{call} in {queue}"), nearest: Vec::new() };
                self.center.explain_caller(queue, id).await.map_err(refused)?.ok_or_else(absent)?
            }
        };
        self.refine(&mut explained).await;
        Ok(explained)
    }

    /// Asks the other owners of agents of whom the queue does not know everything.
    async fn refine(&self, explained: &mut QueueExplained) {
        let names: Vec<String> = explained.unsure().take(agent::MOST_NAMES).map(AgentId::to_string).collect();
        if names.is_empty() {
            return;
        }
        let (parent, page_size) = ("tenants/-".to_owned(), names.len() as u32);
        let request = v1::ListAgentsRequest { parent, page_size, page_token: String::new(), names };
        let answers = ask_all(self.elsewhere.all_others(|it| it.acd), |channel| {
            let request = forwarded_within(request.clone(), REFINED_WITHIN);
            async move { Ok(AgentServiceClient::new(channel).list_agents(request).await?.into_inner().agents) }
        });
        let agents = answers.await.of.into_iter().flat_map(|(_, agents)| agents);
        let known = |agent: v1::Agent| {
            let (does, wants) = agent.state()?;
            Some((names::agent(&agent.name).ok()?, does, wants))
        };
        let known: Vec<_> = agents.filter_map(known).collect();
        explained.refine(known.iter().map(|(agent, does, wants)| (agent, *does, *wants)));
    }

    /// A call that lives here, or its record; `None` when it is not known here.
    async fn call(&self, id: CallId) -> Result<Option<CallExplained>, Refusal> {
        match self.center.explain_call(id).await {
            Ok(mut explained) => {
                if let Some(place) = &mut explained.place {
                    self.refine(place).await;
                }
                Ok(Some(explained))
            }
            Err(CenterError::NotFound { .. }) => {
                let filter = Filter { call: Some(id), limit: 1, ..Filter::default() };
                Ok(record::read(&self.store, &filter).await?.pop().map(CallExplained::over))
            }
            Err(error @ (CenterError::Refused(_) | CenterError::Timeout(_))) => Err(call::refused(id, error)),
        }
    }

    /// The answer about a call that is known here, with its place if that is for another node's queue to say.
    async fn answer(&self, explained: CallExplained, all_agents: bool) -> v1::ExplainCallResponse {
        let most = most_names(all_agents);
        let (mut call, mut text) = (explain::call(&explained, most), explained.lines(most));
        let waits = explained.place.is_none() && matches!(explained.whereabouts, Whereabouts::Alive { .. });
        let queue = explained.queue().filter(|_| waits);
        let owner = queue.and_then(|queue| self.elsewhere.owner_of_part(&Owned::Queue(queue.clone())));
        if let (Some(queue), Some(channel)) = (queue, owner) {
            let (name, call_name) = (queue.to_string(), call.name.clone());
            let request = v1::ExplainQueueRequest { name, caller_limit: 0, all_agents, call: call_name };
            match client(channel).explain_queue(forwarded(request)).await {
                Ok(place) => {
                    let place = place.into_inner();
                    call.place = place.queue;
                    text.extend(place.text);
                }
                // He talks already, or his place is not known yet.
                Err(status) if status.code() == Code::NotFound => {}
                Err(status) => {
                    tracing::warn!(%queue, %status, "the owner of a caller's queue did not answer");
                    text.push(format!("place in {}: the queue's owner did not answer", queue.name));
                }
            }
        }
        v1::ExplainCallResponse { call: Some(call), text }
    }

    /// Asks about a call wherever it may be: first where it began, then everywhere else, since a call outlives its node.
    async fn call_elsewhere(
        &self,
        id: CallId,
        others: Vec<Other>,
        request: &v1::ExplainCallRequest,
    ) -> Result<Response<v1::ExplainCallResponse>, Refusal> {
        let mut silent = Vec::new();
        let (home, rest): (Vec<Other>, Vec<Other>) = others.into_iter().partition(|it| it.node == id.node);
        for some in [home, rest] {
            let answers = ask_all(some, |channel| {
                let request = forwarded_within(request.clone(), WHOLE_WITHIN);
                async move {
                    match client(channel).explain_call(request).await {
                        Ok(answer) => Ok(Some(answer.into_inner())),
                        Err(status) if status.code() == Code::NotFound => Ok(None),
                        Err(status) => Err(status),
                    }
                }
            });
            let answers = answers.await;
            silent.extend(answers.missing);
            let found = answers.of.into_iter().filter_map(|(_, answer)| answer);
            // Where it lives it is better known than where a record of it was left.
            let lives = |it: &v1::ExplainCallResponse| {
                it.call.as_ref().is_some_and(|call| call.outcome() == v1::Outcome::Unspecified)
            };
            if let Some(answer) = found.max_by_key(lives) {
                return Ok(marked(answer, &silent));
            }
        }
        match &silent[..] {
            [] => Err(Refusal::NotFound { name: names::of_call(id), nearest: Vec::new() }),
            silent => {
                let nodes: Vec<String> = silent.iter().map(|node| node.0.to_string()).collect();
                let call = names::of_call(id);
                Err(Refusal::Unavailable(format!(
                    "{call} is not known here, and node {} did not answer",
                    nodes.join(", ")
                )))
            }
        }
    }

    /// How these queues see an agent, asked here and at `others`.
    async fn turns(&self, agent: &AgentId, queues: &[QueueId], others: Vec<Other>) -> Turns {
        let mut seen = self.center.agent_in_queues(agent, queues).await;
        let elsewhere = queues.iter().filter(|queue| !seen.iter().any(|seen| seen.queue == **queue));
        let queues: Vec<String> = elsewhere.map(QueueId::to_string).collect();
        if queues.is_empty() {
            return Turns { seen, missing: Vec::new() };
        }
        let request = v1::ExplainAgentRequest { name: agent.to_string(), queues };
        let answers = ask_all(others, |channel| {
            let request = forwarded(request.clone());
            async move { Ok(client(channel).explain_agent(request).await?.into_inner().agent.unwrap_or_default()) }
        });
        let answers = answers.await;
        for (_, part) in answers.of {
            seen.extend(part.queues.iter().filter_map(|queue| explain::read_in_queue(queue, &part.callers)));
        }
        // Between two owners both may see him for a moment.
        seen.sort_by(|a, b| a.queue.cmp(&b.queue));
        seen.dedup_by(|a, b| a.queue == b.queue);
        Turns { seen, missing: answers.missing }
    }
}

/// How queues see an agent.
struct Turns {
    seen: Vec<AgentInQueue>,
    missing: Vec<NodeId>,
}

#[tonic::async_trait]
impl ExplainService for Explanations {
    async fn explain_queue(
        &self,
        request: Request<v1::ExplainQueueRequest>,
    ) -> Result<Response<v1::ExplainQueueResponse>, Status> {
        let queue = names::queue(&request.get_ref().name).map_err(|error| Refusal::name("name", error))?;
        if let Some(channel) = self.elsewhere.owner(&request, &Owned::Queue(queue.clone())) {
            let request = forwarded_within(request.into_inner(), WHOLE_WITHIN);
            return client(channel).explain_queue(request).await;
        }
        let request = request.get_ref();
        let callers = page::read_size("caller_limit", request.caller_limit, CALLERS)?;
        let explained = self.queue(&queue, &request.call, callers).await?;
        let most = most_names(request.all_agents);
        if request.call.is_empty() {
            return Ok(Response::new(fitting(explained, most)));
        }
        let (queue, text) = (Some(explain::queue(&explained, most)), explained.place_lines(most));
        Ok(Response::new(v1::ExplainQueueResponse { queue, text }))
    }

    async fn explain_call(
        &self,
        request: Request<v1::ExplainCallRequest>,
    ) -> Result<Response<v1::ExplainCallResponse>, Status> {
        let id = call::named(&request.get_ref().name)?;
        let others = self.elsewhere.others(&request, |it| it.edge);
        let request = request.into_inner();
        match self.call(id).await? {
            Some(explained) => Ok(Response::new(self.answer(explained, request.all_agents).await)),
            None => Ok(self.call_elsewhere(id, others, &request).await?),
        }
    }

    async fn explain_agent(
        &self,
        request: Request<v1::ExplainAgentRequest>,
    ) -> Result<Response<v1::ExplainAgentResponse>, Status> {
        let agent = agent::named(&request.get_ref().name)?;
        if !request.get_ref().queues.is_empty() {
            let others = self.elsewhere.others(&request, |it| it.acd);
            let named = |name: &String| names::queue(name).map_err(|error| Refusal::name("queues", error));
            let queues = request.get_ref().queues.iter().map(named).collect::<Result<Vec<_>, _>>()?;
            let Turns { seen, missing } = self.turns(&agent, &queues, others).await;
            let callers = next_callers(&seen).iter().map(explain::next_caller).collect();
            let queues = seen.iter().map(explain::in_queue).collect();
            let text = seen.iter().map(AgentInQueue::line).collect();
            let agent = Some(v1::AgentExplanation { agent: None, queues, callers });
            return Ok(marked(v1::ExplainAgentResponse { agent, text }, &missing));
        }
        if let Some(channel) = self.elsewhere.owner(&request, &Owned::Agent(agent.clone())) {
            let request = forwarded_within(request.into_inner(), WHOLE_WITHIN);
            return client(channel).explain_agent(request).await;
        }
        let view = self.center.agent(&agent).await;
        let view = view.map_err(|error| self.elsewhere.refused(&Owned::Agent(agent.clone()), error))?;
        let queues: Vec<QueueId> = view.queues.iter().map(|(queue, _)| queue.clone()).collect();
        let others = self.elsewhere.all_others(|it| it.acd);
        let Turns { mut seen, missing } = self.turns(&agent, &queues, others).await;
        seen.sort_by_key(|seen| queues.iter().position(|queue| *queue == seen.queue));
        let explained = AgentExplained::new(view, seen);
        let (agent, text) = (Some(explain::agent(&explained)), explained.lines());
        Ok(marked(v1::ExplainAgentResponse { agent, text }, &missing))
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
