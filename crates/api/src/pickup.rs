//! Pickup by command (Spec: TR-4): the agent, his queues and the call that rings may each be on another node. Each is asked where
//! it is; the owner of the queue decides.

use carillon_acd::agent;
use carillon_acd::ids::{AgentId, CallId, QueueId};
use carillon_actors::{Center, Owned};
use carillon_rpc::v1::agent_service_client::AgentServiceClient;
use carillon_rpc::v1::call_service_client::CallServiceClient;
use carillon_rpc::v1::queue_service_client::QueueServiceClient;
use carillon_rpc::{Refusal, names, time, v1};
use tonic::{Code, Request, Response, Status};

use crate::call;
use crate::elsewhere::{Elsewhere, forwarded};

/// What may be asked of all nodes.
pub(crate) struct Pickups<'a> {
    pub(crate) center: &'a Center,
    pub(crate) elsewhere: &'a Elsewhere,
}

impl Pickups<'_> {
    /// See [`v1::agent_service_server::AgentService::pick_up_call`].
    pub(crate) async fn pick_up(
        &self,
        request: Request<v1::PickUpCallRequest>,
    ) -> Result<Response<v1::PickUpCallResponse>, Status> {
        let v1::PickUpCallRequest { name, call, queue } = request.get_ref();
        let agent = names::agent(name).map_err(|error| Refusal::name("name", error))?;
        let call = optional(call, "call", names::call)?;
        let queue = optional(queue, "queue", names::queue)?;
        if let (true, Some(call), Some(queue)) = (self.elsewhere.is_forwarded(&request), call, &queue) {
            // Who sent it on has looked for the call.
            return self.take(&agent, call, queue).await.map(Response::new);
        }
        self.is_free(&agent).await?;
        let (queue, call) = self.longest_ringing(&agent, call, queue).await?;
        let (name, queue_name) = (agent.to_string(), queue.to_string());
        let request = Request::new(v1::PickUpCallRequest { name, call: names::of_call(call), queue: queue_name });
        let here = || self.take(&agent, call, &queue);
        let there = |channel, request| async move { AgentServiceClient::new(channel).pick_up_call(request).await };
        self.elsewhere.at_owner(&request, &Owned::Queue(queue.clone()), here, there).await
    }

    /// See [`v1::queue_service_server::QueueService::find_ringing_call`].
    pub(crate) async fn find(
        &self,
        request: Request<v1::FindRingingCallRequest>,
    ) -> Result<Response<v1::FindRingingCallResponse>, Status> {
        let v1::FindRingingCallRequest { name, agent, call } = request.get_ref();
        let queue = names::queue(name).map_err(|error| Refusal::name("name", error))?;
        let agent = names::agent(agent).map_err(|error| Refusal::name("agent", error))?;
        let call = optional(call, "call", names::call)?;
        let owned = Owned::Queue(queue.clone());
        let here = || async {
            let ringing = self.center.rings(&queue, &agent, call).await;
            let ringing = ringing.map_err(|error| self.elsewhere.refused(&owned, error))?;
            let ringing_for = Some(time::duration(ringing.ringing_for));
            Ok(v1::FindRingingCallResponse { call: names::of_call(ringing.call), ringing_for })
        };
        let there = |channel, request| async move { QueueServiceClient::new(channel).find_ringing_call(request).await };
        self.elsewhere.at_owner(&request, &owned, here, there).await
    }

    async fn take(&self, agent: &AgentId, call: CallId, queue: &QueueId) -> Result<v1::PickUpCallResponse, Status> {
        tracing::info!(%agent, call_id = %call, %queue, "agent picks up");
        let taken = self.center.pick_up(queue, agent, call).await;
        taken.map_err(|error| self.elsewhere.refused(&Owned::Queue(queue.clone()), error))?;
        Ok(v1::PickUpCallResponse { call: names::of_call(call) })
    }

    /// His owner decides once more when the call asks for him; until then nobody would say why nothing rings.
    async fn is_free(&self, agent: &AgentId) -> Result<(), Status> {
        let (request, owned) =
            (Request::new(v1::GetAgentRequest { name: agent.to_string() }), Owned::Agent(agent.clone()));
        let here = || async {
            let view = self.center.agent(agent).await.map_err(|error| self.elsewhere.refused(&owned, error))?;
            Ok(v1::GetAgentResponse { agent: Some(view.into()) })
        };
        let there = |channel, request| async move { AgentServiceClient::new(channel).get_agent(request).await };
        let answer = self.elsewhere.at_owner(&request, &owned, here, there).await?;
        let view = answer.into_inner().agent.unwrap_or_default();
        let problem = match view.activity() {
            v1::Activity::Reserved | v1::Activity::Talking => agent::Refusal::Busy,
            v1::Activity::Unspecified | v1::Activity::Idle | v1::Activity::WrapUp
                if view.reachable_device_count == 0 =>
            {
                agent::Refusal::Unreachable
            }
            v1::Activity::Unspecified | v1::Activity::Idle | v1::Activity::WrapUp => return Ok(()),
        };
        Err(refused(agent, format!("{agent}: {problem}")))
    }

    /// The call, or the one that has rung for longest in the queues whose calls he may pick up.
    async fn longest_ringing(
        &self,
        agent: &AgentId,
        call: Option<CallId>,
        queue: Option<QueueId>,
    ) -> Result<(QueueId, CallId), Status> {
        let queues = match (queue, call) {
            (Some(queue), _) => vec![queue],
            (None, Some(call)) => vec![self.queue_of(agent, call).await?],
            (None, None) => self.center.pickups(agent),
        };
        let (mut found, mut why) = (Vec::new(), Vec::new());
        for queue in queues {
            let call = call.map(names::of_call).unwrap_or_default();
            let request = v1::FindRingingCallRequest { name: queue.to_string(), agent: agent.to_string(), call };
            match self.find(Request::new(request)).await.map(Response::into_inner) {
                Ok(ringing) => {
                    let call = names::call(&ringing.call).map_err(|error| Status::internal(error.to_string()))?;
                    found.push((time::std_duration(ringing.ringing_for.as_ref()), queue, call));
                }
                Err(status) if status.code() == Code::FailedPrecondition => why.push(status.message().to_owned()),
                Err(status) => return Err(status),
            }
        }
        let longest = found.into_iter().max_by_key(|(ringing_for, ..)| *ringing_for);
        longest.map(|(_, queue, call)| (queue, call)).ok_or_else(|| match why.is_empty() {
            true => refused(agent, format!("{agent}: no queue of his allows pickup")),
            false => refused(agent, format!("{agent}: {}", why.join("; "))),
        })
    }

    async fn queue_of(&self, agent: &AgentId, id: CallId) -> Result<QueueId, Status> {
        let request = Request::new(v1::GetCallRequest { name: names::of_call(id) });
        let view = match self.elsewhere.of_call(&request, id) {
            Some(channel) => {
                let answer = CallServiceClient::new(channel).get_call(forwarded(request.into_inner())).await?;
                answer.into_inner().call.unwrap_or_default()
            }
            None => self.center.call(id).await.map_err(|error| call::refused(id, error))?.into(),
        };
        let queue = optional(&view.queue, "queue", names::queue)?;
        queue.ok_or_else(|| refused(agent, format!("{agent}: call {id} is in no queue")))
    }
}

fn optional<T>(
    text: &str,
    field: &'static str,
    read: impl FnOnce(&str) -> Result<T, names::NameError>,
) -> Result<Option<T>, Refusal> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some).map_err(|error| Refusal::name(field, error)) }
}

fn refused(agent: &AgentId, problem: String) -> Status {
    Refusal::State { name: agent.to_string(), problem }.into()
}
