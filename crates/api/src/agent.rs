//! The service of agents.

use carillon_acd::ids::{AgentId, QueueId};
use carillon_acd::view::AgentCommand;
use carillon_actors::{Center, Owned};
use carillon_rpc::v1::agent_service_client::AgentServiceClient;
use carillon_rpc::v1::agent_service_server::AgentService;
use carillon_rpc::{Refusal, names, v1};
use tonic::{Request, Response, Status};

use crate::elsewhere::{Elsewhere, ask_all, forwarded, marked, merged};
use crate::page::PageRequest;
use crate::pickup::Pickups;

/// The page size when none is asked for.
const PAGE: u32 = 500;
/// Agents who are asked for by name at once.
pub(crate) const MOST_NAMES: usize = 1000;

pub(crate) struct Agents {
    center: Center,
    elsewhere: Elsewhere,
}

impl Agents {
    pub(crate) fn new(center: Center, elsewhere: Elsewhere) -> Self {
        Agents { center, elsewhere }
    }

    async fn command(&self, agent: &AgentId, command: &AgentCommand) -> Result<Option<v1::Agent>, Status> {
        tracing::info!(%agent, ?command, "agent command");
        let view = self.center.command_agent(agent, command.clone()).await;
        Ok(Some(view.map_err(|error| self.elsewhere.refused(&Owned::Agent(agent.clone()), error))?.into()))
    }
}

#[tonic::async_trait]
impl AgentService for Agents {
    async fn list_agents(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        let others = self.elsewhere.others(&request, |it| it.acd);
        let request = request.into_inner();
        let parent = names::parent(&request.parent).map_err(|error| Refusal::name("parent", error))?;
        let page = PageRequest::read(request.page_size, PAGE, &request.page_token, names::agent)?;
        let wanted = |agent: &AgentId| parent.holds(&agent.tenant) && page.may_hold(agent);
        let agents = match only(&request.names)? {
            Some(names) => {
                let names: Vec<AgentId> = names.into_iter().filter(wanted).collect();
                self.center.some_agents(&names).await
            }
            None => self.center.agents_among(wanted, page.look_ahead()).await,
        };
        let (agents, next_page_token) = page.cut(agents, |view| &view.agent, AgentId::to_string);
        let own = (agents.into_iter().map(v1::Agent::from).collect(), next_page_token);
        let pages = ask_all(others, |channel| {
            let request = forwarded(request.clone());
            async move {
                let page = AgentServiceClient::new(channel).list_agents(request).await?.into_inner();
                Ok((page.agents, page.next_page_token))
            }
        });
        let pages = pages.await;
        let name = |agent: &v1::Agent| agent.name.clone();
        let (agents, next_page_token) = merged(page.size, own, pages.of, |it| names::agent(&it.name).ok(), name);
        Ok(marked(v1::ListAgentsResponse { agents, next_page_token }, &pages.missing))
    }

    async fn get_agent(&self, request: Request<v1::GetAgentRequest>) -> Result<Response<v1::GetAgentResponse>, Status> {
        let agent = named(&request.get_ref().name)?;
        if let Some(channel) = self.elsewhere.owner(&request, &Owned::Agent(agent.clone())) {
            return AgentServiceClient::new(channel).get_agent(forwarded(request.into_inner())).await;
        }
        let view = self.center.agent(&agent).await;
        let view = view.map_err(|error| self.elsewhere.refused(&Owned::Agent(agent), error))?;
        Ok(Response::new(v1::GetAgentResponse { agent: Some(view.into()) }))
    }

    async fn set_availability(
        &self,
        request: Request<v1::SetAvailabilityRequest>,
    ) -> Result<Response<v1::SetAvailabilityResponse>, Status> {
        let agent = named(&request.get_ref().name)?;
        let availability = request.get_ref().availability;
        let wanted = v1::Availability::try_from(availability).ok().and_then(v1::Availability::command);
        let command = wanted.ok_or_else(|| {
            let expected = "an availability: AVAILABILITY_READY, AVAILABILITY_ON_BREAK or AVAILABILITY_LOGGED_OUT";
            Refusal::invalid("availability", availability, expected)
        })?;
        let here = || async { Ok(v1::SetAvailabilityResponse { agent: self.command(&agent, &command).await? }) };
        let there = |channel, request| async move { AgentServiceClient::new(channel).set_availability(request).await };
        self.elsewhere.at_owner(&request, &Owned::Agent(agent.clone()), here, there).await
    }

    async fn end_wrap_up(
        &self,
        request: Request<v1::EndWrapUpRequest>,
    ) -> Result<Response<v1::EndWrapUpResponse>, Status> {
        let agent = named(&request.get_ref().name)?;
        let command = AgentCommand::EndWrapUp;
        let here = || async { Ok(v1::EndWrapUpResponse { agent: self.command(&agent, &command).await? }) };
        let there = |channel, request| async move { AgentServiceClient::new(channel).end_wrap_up(request).await };
        self.elsewhere.at_owner(&request, &Owned::Agent(agent.clone()), here, there).await
    }

    async fn log_in_to_queue(
        &self,
        request: Request<v1::LogInToQueueRequest>,
    ) -> Result<Response<v1::LogInToQueueResponse>, Status> {
        let agent = named(&request.get_ref().name)?;
        let command = AgentCommand::QueueLogIn(queue_of(&agent, &request.get_ref().queue)?);
        let here = || async { Ok(v1::LogInToQueueResponse { agent: self.command(&agent, &command).await? }) };
        let there = |channel, request| async move { AgentServiceClient::new(channel).log_in_to_queue(request).await };
        self.elsewhere.at_owner(&request, &Owned::Agent(agent.clone()), here, there).await
    }

    async fn log_out_of_queue(
        &self,
        request: Request<v1::LogOutOfQueueRequest>,
    ) -> Result<Response<v1::LogOutOfQueueResponse>, Status> {
        let agent = named(&request.get_ref().name)?;
        let command = AgentCommand::QueueLogOut(queue_of(&agent, &request.get_ref().queue)?);
        let here = || async { Ok(v1::LogOutOfQueueResponse { agent: self.command(&agent, &command).await? }) };
        let there = |channel, request| async move { AgentServiceClient::new(channel).log_out_of_queue(request).await };
        self.elsewhere.at_owner(&request, &Owned::Agent(agent.clone()), here, there).await
    }

    async fn pick_up_call(
        &self,
        request: Request<v1::PickUpCallRequest>,
    ) -> Result<Response<v1::PickUpCallResponse>, Status> {
        Pickups { center: &self.center, elsewhere: &self.elsewhere }.pick_up(request).await
    }
}

/// The agents who are asked for by name; `None` for all.
fn only(names: &[String]) -> Result<Option<Vec<AgentId>>, Refusal> {
    if names.len() > MOST_NAMES {
        return Err(Refusal::invalid("names", format_args!("{} names", names.len()), "at most 1000"));
    }
    let read = |name: &String| names::agent(name).map_err(|error| Refusal::name("names", error));
    let names = names.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(names).filter(|names| !names.is_empty()))
}

pub(crate) fn named(name: &str) -> Result<AgentId, Refusal> {
    names::agent(name).map_err(|error| Refusal::name("name", error))
}

fn queue_of(agent: &AgentId, name: &str) -> Result<QueueId, Refusal> {
    let queue = names::queue(name).map_err(|error| Refusal::name("queue", error))?;
    if queue.tenant != agent.tenant {
        let expected = format!("a queue of the agent's tenant, tenants/{}", agent.tenant);
        return Err(Refusal::invalid("queue", queue, &expected));
    }
    Ok(queue)
}
