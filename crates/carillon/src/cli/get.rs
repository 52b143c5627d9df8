//! `carillon get`: the state of a running center, and its configuration.

use std::io::{self, Write};

use anyhow::Context;
use carillon_rpc::v1::agent_service_client::AgentServiceClient;
use carillon_rpc::v1::call_service_client::CallServiceClient;
use carillon_rpc::v1::queue_service_client::QueueServiceClient;
use carillon_rpc::{time, v1};
use clap::{Args, ValueEnum};
use comfy_table::Table;
use serde::Serialize;
use tonic::transport::Channel;

use super::api::{self, Api, said};
use super::config::{self, Shown};
use super::missing::Missing;
use super::output::{self, lasting};
use super::row::{self, AgentRow, CallRow, QueueRow};

/// The largest page that the server gives.
const PAGE: u32 = 1000;

/// Which objects, in which form.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  carillon get agents
  carillon get queues support -o json
  carillon get calls --api http://10.0.0.5:7400
  carillon get numbers
  carillon get queues support -o yaml
  carillon get config -o yaml")]
pub(crate) struct GetArgs {
    /// What to show.
    kind: Kind,

    /// Only this one, by its name (`anna`, `tenants/default/agents/anna`) or a call's id. Default: all.
    name: Option<String>,

    /// The form of the answer.
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,

    #[command(flatten)]
    api: Api,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people; its columns may change.
    Table,
    /// For programs.
    Json,
    /// The configuration, as `carillon apply` takes it. Passwords are not shown and stay as they are.
    Yaml,
}

/// A kind of object.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// The employees who take calls.
    #[value(alias = "agent")]
    Agents,
    /// The groups that share incoming calls.
    #[value(alias = "queue")]
    Queues,
    /// Calls that are not over.
    #[value(alias = "call")]
    Calls,
    /// The phone numbers that are answered.
    #[value(alias = "number")]
    Numbers,
    /// The SIP connections.
    #[value(alias = "trunk")]
    Trunks,
    /// The uploaded sounds.
    #[value(alias = "sound")]
    Sounds,
    /// The companies.
    #[value(alias = "tenant")]
    Tenants,
    /// Everything that is configured.
    Config,
}

impl Kind {
    /// How its objects are configured; `None` for calls, which are not.
    const fn configured(self) -> Option<Shown> {
        match self {
            Kind::Agents => Some(config::AGENTS),
            Kind::Queues => Some(config::QUEUES),
            Kind::Calls => None,
            Kind::Numbers => Some(config::NUMBERS),
            Kind::Trunks => Some(config::TRUNKS),
            Kind::Sounds => Some(config::SOUNDS),
            Kind::Tenants => Some(config::TENANTS),
            Kind::Config => Some(config::ALL),
        }
    }
}

pub(super) async fn run(args: GetArgs) -> anyhow::Result<()> {
    let channel = args.api.connect().await?;
    let mut out = io::stdout().lock();
    if args.output == Form::Yaml {
        let shown = args.kind.configured().context("calls are no configuration: -o table or -o json shows them")?;
        let objects = config::objects(channel, &args.api, shown, args.name.as_deref()).await?;
        return config::write_yaml(&mut out, &objects);
    }
    match args.kind {
        Kind::Agents => {
            let agents = match &args.name {
                Some(name) => vec![agent(channel, args.api.name("agents", name)).await?],
                None => agents(channel, args.api.parent()).await?,
            };
            write::<_, AgentRow>(&mut out, &args, agents, agent_table, "no agents")
        }
        Kind::Queues => {
            let queues = match &args.name {
                Some(name) => vec![queue(channel, args.api.name("queues", name)).await?],
                None => queues(channel, args.api.parent()).await?,
            };
            write::<_, QueueRow>(&mut out, &args, queues, queue_table, "no queues")
        }
        Kind::Calls => {
            let calls = match &args.name {
                Some(id) => vec![call(channel, api::call_name(id)).await?],
                None => calls(channel).await?,
            };
            write::<_, CallRow>(&mut out, &args, calls, call_table, "no calls")
        }
        kind @ (Kind::Numbers | Kind::Trunks | Kind::Sounds | Kind::Tenants | Kind::Config) => {
            let Some(shown) = kind.configured() else { return Ok(()) };
            let objects = config::objects(channel, &args.api, shown, args.name.as_deref()).await?;
            write_objects(&mut out, &args, shown, &objects)
        }
    }
}

/// Objects that have no state of their own.
fn write_objects(
    out: &mut impl Write,
    args: &GetArgs,
    shown: Shown,
    objects: &[v1::ConfigObject],
) -> anyhow::Result<()> {
    match (args.output, &args.name) {
        (Form::Table, _) => {
            Ok(output::write_table(out, &config::table(&args.api, shown, objects)?, "nothing is configured")?)
        }
        (Form::Json, Some(_)) => output::write_json(out, &config::values(objects)?.first()),
        (Form::Json, None) => output::write_json(out, &config::values(objects)?),
        (Form::Yaml, _) => config::write_yaml(out, objects),
    }
}

/// Writes a list, or the one that was asked for by name.
fn write<T, R: From<T> + Serialize>(
    out: &mut impl Write,
    args: &GetArgs,
    found: Vec<T>,
    table: fn(&Api, &[T]) -> Table,
    empty: &str,
) -> anyhow::Result<()> {
    match args.output {
        Form::Table => Ok(output::write_table(out, &table(&args.api, &found), empty)?),
        Form::Json | Form::Yaml => {
            let rows: Vec<R> = found.into_iter().map(R::from).collect();
            match (&args.name, &rows[..]) {
                (Some(_), [one]) => output::write_json(out, one),
                _ => output::write_json(out, &rows),
            }
        }
    }
}

async fn agent(channel: Channel, name: String) -> anyhow::Result<v1::Agent> {
    let response = AgentServiceClient::new(channel).get_agent(v1::GetAgentRequest { name }).await.map_err(said)?;
    Ok(response.into_inner().agent.unwrap_or_default())
}

async fn agents(channel: Channel, parent: String) -> anyhow::Result<Vec<v1::Agent>> {
    let (mut client, mut agents, mut page_token) = (AgentServiceClient::new(channel), Vec::new(), String::new());
    let mut missing = Missing::default();
    loop {
        let request = v1::ListAgentsRequest { parent: parent.clone(), page_size: PAGE, page_token, names: Vec::new() };
        let page = missing.told(client.list_agents(request).await.map_err(said)?);
        agents.extend(page.agents);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(agents);
        }
    }
}

async fn queue(channel: Channel, name: String) -> anyhow::Result<v1::Queue> {
    let response = QueueServiceClient::new(channel).get_queue(v1::GetQueueRequest { name }).await.map_err(said)?;
    Ok(response.into_inner().queue.unwrap_or_default())
}

async fn queues(channel: Channel, parent: String) -> anyhow::Result<Vec<v1::Queue>> {
    let (mut client, mut queues, mut page_token) = (QueueServiceClient::new(channel), Vec::new(), String::new());
    let mut missing = Missing::default();
    loop {
        let request = v1::ListQueuesRequest { parent: parent.clone(), page_size: PAGE, page_token };
        let page = missing.told(client.list_queues(request).await.map_err(said)?);
        queues.extend(page.queues);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(queues);
        }
    }
}

async fn call(channel: Channel, name: String) -> anyhow::Result<v1::Call> {
    let response = CallServiceClient::new(channel).get_call(v1::GetCallRequest { name }).await.map_err(said)?;
    Ok(response.into_inner().call.unwrap_or_default())
}

async fn calls(channel: Channel) -> anyhow::Result<Vec<v1::Call>> {
    let (mut client, mut calls, mut page_token) = (CallServiceClient::new(channel), Vec::new(), String::new());
    let mut missing = Missing::default();
    loop {
        let page = client.list_calls(v1::ListCallsRequest { page_size: PAGE, page_token }).await.map_err(said)?;
        let page = missing.told(page);
        calls.extend(page.calls);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(calls);
        }
    }
}

fn agent_table(api: &Api, agents: &[v1::Agent]) -> Table {
    let header = ["AGENT", "NAME", "EXT", "WANTS", "ACTIVITY", "FOR", "CALL", "QUEUES", "DEVICES", "HANDLED"];
    let mut table = output::table(&header);
    for agent in agents {
        let row = [
            api.short(&agent.name).to_owned(),
            agent.display_name.clone(),
            agent.extension.clone(),
            row::availability(agent),
            row::activity(agent),
            lasting(time::std_duration(agent.activity_duration.as_ref())),
            call_id(&agent.call).to_owned(),
            logins(api, &agent.queues),
            format!("{}/{}", agent.reachable_device_count, agent.device_count),
            agent.handled_count.to_string(),
        ];
        output::add(&mut table, row);
    }
    table
}

fn queue_table(api: &Api, queues: &[v1::Queue]) -> Table {
    let header = [
        "QUEUE",
        "NAME",
        "EXT",
        "STRATEGY",
        "WAITING",
        "OFFERING",
        "CALLBACKS",
        "LONGEST",
        "FREE",
        "LOGGED IN",
        "OFFERED",
        "ANSWERED",
        "ABANDONED",
        "OVERFLOWED",
    ];
    let mut table = output::table(&header);
    for queue in queues {
        let row = [
            api.short(&queue.name).to_owned(),
            queue.display_name.clone(),
            queue.extension.clone(),
            row::strategy(queue),
            queue.waiting_count.to_string(),
            queue.offering_count.to_string(),
            queue.callback_count.to_string(),
            lasting(time::std_duration(queue.longest_wait.as_ref())),
            queue.free_count.to_string(),
            format!("{}/{}", queue.logged_in_count, queue.agent_count),
            queue.offered_count.to_string(),
            queue.answered_count.to_string(),
            queue.abandoned_count.to_string(),
            queue.overflowed_count.to_string(),
        ];
        output::add(&mut table, row);
    }
    table
}

fn call_table(api: &Api, calls: &[v1::Call]) -> Table {
    let mut table = output::table(&["CALL", "FROM", "DIALLED", "STAGE", "FOR", "QUEUE", "AGENT"]);
    for call in calls {
        let row = [
            call_id(&call.name).to_owned(),
            from(call.caller.as_ref()),
            call.dialled.clone(),
            if call.callback { format!("{} (callback)", row::stage(call)) } else { row::stage(call) },
            lasting(time::std_duration(call.duration.as_ref())),
            api.short(&call.queue).to_owned(),
            api.short(&call.agent).to_owned(),
        ];
        output::add(&mut table, row);
    }
    table
}

/// A call's id without its collection.
pub(super) fn call_id(name: &str) -> &str {
    name.strip_prefix("calls/").unwrap_or(name)
}

/// Who calls, in one cell.
pub(super) fn from(caller: Option<&v1::CallerId>) -> String {
    match caller {
        None => String::new(),
        Some(caller) if caller.display_name.is_empty() => caller.number.clone(),
        Some(caller) => format!("{} {}", caller.display_name, caller.number),
    }
}

/// The queues of an agent in one cell; those he is logged out of are marked.
pub(super) fn logins(api: &Api, queues: &[v1::QueueLogin]) -> String {
    let login = |login: &v1::QueueLogin| match login.logged_in {
        true => api.short(&login.queue).to_owned(),
        false => format!("{} (out)", api.short(&login.queue)),
    };
    queues.iter().map(login).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anna() -> v1::Agent {
        let login =
            |queue: &str, logged_in| v1::QueueLogin { queue: format!("tenants/default/queues/{queue}"), logged_in };
        v1::Agent {
            name: "tenants/default/agents/anna".into(),
            display_name: "Anna".into(),
            extension: "101".into(),
            availability: v1::Availability::OnBreak.into(),
            activity: v1::Activity::Talking.into(),
            activity_duration: Some(time::duration(std::time::Duration::from_millis(62_500))),
            call: "calls/1-6a0f3c21-42".into(),
            queues: vec![login("support", true), login("sales", false)],
            reachable_device_count: 1,
            device_count: 2,
            handled_count: 7,
        }
    }

    #[test]
    fn agents_are_shown_in_words() {
        let table = agent_table(&api::of_tenant("default"), &[anna()]).trim_fmt();
        let expected = "\
AGENT  NAME  EXT  WANTS     ACTIVITY  FOR    CALL           QUEUES                DEVICES  HANDLED
anna   Anna  101  on_break  talking   1m02s  1-6a0f3c21-42  support, sales (out)  1/2      7";
        assert_eq!(table, expected);
    }

    #[test]
    fn an_agent_in_json_has_full_names_and_exact_durations() {
        let json = serde_json::to_value(AgentRow::from(anna())).unwrap();
        let expected = serde_json::json!({
            "name": "tenants/default/agents/anna", "display_name": "Anna", "extension": "101",
            "availability": "on_break", "activity": "talking", "activity_seconds": 62.5,
            "call": "calls/1-6a0f3c21-42",
            "queues": [
                {"queue": "tenants/default/queues/support", "logged_in": true},
                {"queue": "tenants/default/queues/sales", "logged_in": false},
            ],
            "reachable_devices": 1, "devices": 2, "handled": 7,
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn queues_are_shown_with_their_figures() {
        let queue = v1::Queue {
            name: "tenants/other/queues/support".into(),
            strategy: v1::Strategy::AllAtOnce.into(),
            waiting_count: 3,
            agent_count: 5,
            logged_in_count: 4,
            offered_count: 10,
            ..Default::default()
        };
        let table = queue_table(&api::of_tenant("default"), std::slice::from_ref(&queue)).trim_fmt();
        let cells: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
        let name = "tenants/other/queues/support";
        assert_eq!(cells, [name, "all_at_once", "3", "0", "0", "0s", "0", "4/5", "10", "0", "0", "0"]);
        let json = serde_json::to_value(QueueRow::from(queue)).unwrap();
        assert_eq!((&json["strategy"], &json["extension"]), (&"all_at_once".into(), &serde_json::Value::Null));
    }

    #[test]
    fn calls_are_shown_with_who_and_where() {
        let call = v1::Call {
            name: "calls/1-6a0f3c21-42".into(),
            caller: Some(v1::CallerId { number: "+33600000001".into(), display_name: "Zoé".into() }),
            dialled: "+33123456789".into(),
            stage: v1::Stage::Waiting.into(),
            queue: "tenants/default/queues/support".into(),
            ..Default::default()
        };
        let table = call_table(&api::of_tenant("default"), std::slice::from_ref(&call)).trim_fmt();
        let expected = "\
CALL           FROM              DIALLED       STAGE    FOR  QUEUE    AGENT
1-6a0f3c21-42  Zoé +33600000001  +33123456789  waiting  0s   support";
        assert_eq!(table, expected);
        let json = serde_json::to_value(CallRow::from(call)).unwrap();
        assert_eq!((&json["caller"]["display_name"], &json["agent"]), (&"Zoé".into(), &serde_json::Value::Null));
    }

    #[test]
    fn a_list_is_an_array_and_a_name_an_object() {
        let written = |name: Option<&str>| {
            let args = GetArgs {
                kind: Kind::Agents,
                name: name.map(Into::into),
                output: Form::Json,
                api: api::of_tenant("default"),
            };
            let mut out = Vec::new();
            write::<_, AgentRow>(&mut out, &args, vec![anna()], agent_table, "no agents").unwrap();
            serde_json::from_slice::<serde_json::Value>(&out).unwrap()
        };
        assert!(written(None).is_array());
        assert!(written(Some("anna")).is_object());
    }
}
