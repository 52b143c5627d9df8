//! `carillon agent`: what an agent wants.

use std::io::{self, Write};

use carillon_rpc::v1;
use carillon_rpc::v1::agent_service_client::AgentServiceClient;
use clap::{Args, Subcommand};
use tonic::Status;
use tonic::transport::Channel;

use super::api::{self, Api, said};
use super::get::logins;
use super::row;

/// Who, and what.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  carillon agent anna ready
  carillon agent anna break
  carillon agent anna pickup
  carillon agent tenants/acme/agents/piotr queue-login sales")]
pub(crate) struct AgentArgs {
    /// The agent, by his name (`anna`) or in full (`tenants/default/agents/anna`).
    name: String,

    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    pub(super) api: Api,
}

/// What can be asked of an agent (Spec: TR-4, TR-5, TR-6).
#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Start the workday, or come back from break.
    Ready,
    /// Go on break; during a conversation it holds from its end.
    Break,
    /// End the workday; during a conversation it holds from its end.
    Logout,
    /// End wrap-up early.
    WrapUpEnd,
    /// Take the calls of a queue.
    QueueLogin {
        /// The queue, by its name or in full.
        queue: String,
    },
    /// Take no more calls of a queue.
    QueueLogout {
        /// The queue, by its name or in full.
        queue: String,
    },
    /// Let his phones ring for a call that rings at a colleague.
    Pickup {
        /// The call's id, as `carillon get calls` shows it; without it, the one that has rung for longest.
        #[arg(long, value_name = "ID")]
        call: Option<String>,
    },
}

pub(super) async fn run(args: AgentArgs) -> anyhow::Result<()> {
    let mut client = AgentServiceClient::new(args.api.connect().await?);
    let answer = perform(&mut client, &args).await.map_err(said)?;
    writeln!(io::stdout(), "{}", told(&args.api, &args.name, &answer))?;
    Ok(())
}

/// What came of it.
#[derive(Debug)]
enum Answer {
    /// The agent as he is now.
    Agent(Box<v1::Agent>),
    /// The call that he picks up.
    PicksUp(String),
}

impl From<Option<v1::Agent>> for Answer {
    fn from(agent: Option<v1::Agent>) -> Self {
        Answer::Agent(Box::new(agent.unwrap_or_default()))
    }
}

async fn perform(client: &mut AgentServiceClient<Channel>, args: &AgentArgs) -> Result<Answer, Status> {
    let name = args.api.name("agents", &args.name);
    // A queue belongs to the tenant of the agent, who may be named in full.
    let queue = |queue: &String| match (queue.contains('/'), name.split_once("/agents/")) {
        (false, Some((tenant, _))) => format!("{tenant}/queues/{queue}"),
        _ => args.api.name("queues", queue),
    };
    let availability = match &args.action {
        Action::Ready => v1::Availability::Ready,
        Action::Break => v1::Availability::OnBreak,
        Action::Logout => v1::Availability::LoggedOut,
        Action::WrapUpEnd => {
            let ended = client.end_wrap_up(v1::EndWrapUpRequest { name }).await?;
            return Ok(ended.into_inner().agent.into());
        }
        Action::QueueLogin { queue: typed } => {
            let queue = queue(typed);
            let logged_in = client.log_in_to_queue(v1::LogInToQueueRequest { name, queue }).await?;
            return Ok(logged_in.into_inner().agent.into());
        }
        Action::QueueLogout { queue: typed } => {
            let queue = queue(typed);
            let logged_out = client.log_out_of_queue(v1::LogOutOfQueueRequest { name, queue }).await?;
            return Ok(logged_out.into_inner().agent.into());
        }
        Action::Pickup { call } => {
            let call = call.as_deref().map(api::call_name).unwrap_or_default();
            let picked = client.pick_up_call(v1::PickUpCallRequest { name, call, queue: String::new() }).await?;
            return Ok(Answer::PicksUp(picked.into_inner().call));
        }
    };
    let request = v1::SetAvailabilityRequest { name, availability: availability.into() };
    Ok(client.set_availability(request).await?.into_inner().agent.into())
}

fn told(api: &Api, name: &str, answer: &Answer) -> String {
    match answer {
        Answer::Agent(agent) => summary(api, agent),
        Answer::PicksUp(call) => format!("{}: picks up {}", api.short(name), call.trim_start_matches("calls/")),
    }
}

/// The agent after the command, in one line.
fn summary(api: &Api, agent: &v1::Agent) -> String {
    let words = |text: String| text.replace('_', " ");
    let queues = if agent.queues.is_empty() { "none".into() } else { logins(api, &agent.queues) };
    format!(
        "{}: {}, {}; queues: {queues}",
        api.short(&agent.name),
        words(row::availability(agent)),
        words(row::activity(agent)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::api;

    // spec: TR-5, TR-6
    #[test]
    fn the_new_state_is_told_in_one_line() {
        let login =
            |queue: &str, logged_in| v1::QueueLogin { queue: format!("tenants/default/queues/{queue}"), logged_in };
        let agent = v1::Agent {
            name: "tenants/default/agents/anna".into(),
            availability: v1::Availability::OnBreak.into(),
            activity: v1::Activity::WrapUp.into(),
            queues: vec![login("support", true), login("sales", false)],
            ..Default::default()
        };
        let expected = "anna: on break, wrap up; queues: support, sales (out)";
        assert_eq!(summary(&api::of_tenant("default"), &agent), expected);
    }
}
