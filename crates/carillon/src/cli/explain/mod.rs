//! `carillon explain`: why?

mod row;

use std::io::{self, Write};

use carillon_rpc::v1;
use carillon_rpc::v1::explain_service_client::ExplainServiceClient;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::api::{self, Api, MOST_BYTES, said};
use super::missing::Missing;
use super::output::{self, Output};
use row::{AgentRow, CallRow, QueueRow};

/// What, in which form.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  carillon explain queue support
  carillon explain call 1-6a0f3c21-42
  carillon explain agent anna -o json")]
pub(crate) struct ExplainArgs {
    /// What to explain.
    kind: Kind,

    /// Its name (`support`, `tenants/default/queues/support`), or a call's id.
    name: String,

    /// Name every agent, not only the first five of those who stand alike.
    #[arg(long)]
    all: bool,

    /// The most callers of a queue to explain, the next first.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    callers: u32,

    /// The form of the answer.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,

    #[command(flatten)]
    api: Api,
}

/// A kind of object.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// A call, also one that is over: its way, its offers, its place.
    #[value(alias = "calls")]
    Call,
    /// A queue: what decides, who could take a call, and who is served next.
    #[value(alias = "queues")]
    Queue,
    /// An agent: his turn in each of his queues, and whom he gets next.
    #[value(alias = "agents")]
    Agent,
}

pub(super) async fn run(args: ExplainArgs) -> anyhow::Result<()> {
    let client = ExplainServiceClient::new(args.api.connect().await?);
    let mut client = client.max_decoding_message_size(MOST_BYTES);
    let (mut out, all_agents) = (io::stdout().lock(), args.all);
    let mut missing = Missing::default();
    match args.kind {
        Kind::Call => {
            let request = v1::ExplainCallRequest { name: api::call_name(&args.name), all_agents };
            let answer = missing.told(client.explain_call(request).await.map_err(said)?);
            write::<_, CallRow>(&mut out, args.output, answer.call, &answer.text)
        }
        Kind::Queue => {
            let name = args.api.name("queues", &args.name);
            let request = v1::ExplainQueueRequest { name, caller_limit: args.callers, all_agents, call: String::new() };
            let answer = missing.told(client.explain_queue(request).await.map_err(said)?);
            write::<_, QueueRow>(&mut out, args.output, answer.queue, &answer.text)
        }
        Kind::Agent => {
            let request = v1::ExplainAgentRequest { name: args.api.name("agents", &args.name), queues: Vec::new() };
            let answer = missing.told(client.explain_agent(request).await.map_err(said)?);
            write::<_, AgentRow>(&mut out, args.output, answer.agent, &answer.text)
        }
    }
}

fn write<T: Default, R: From<T> + Serialize>(
    out: &mut impl Write,
    form: Output,
    explained: Option<T>,
    text: &[String],
) -> anyhow::Result<()> {
    match form {
        Output::Table => {
            for line in text {
                writeln!(out, "{}", output::printable(line.clone()))?;
            }
            Ok(())
        }
        Output::Json => output::write_json(out, &R::from(explained.unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use carillon_rpc::time;

    use super::*;

    fn written<T: Default, R: From<T> + Serialize>(form: Output, explained: T, text: &[&str]) -> String {
        let text: Vec<String> = text.iter().map(|line| (*line).to_owned()).collect();
        let mut out = Vec::new();
        write::<T, R>(&mut out, form, Some(explained), &text).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn json<T: Default, R: From<T> + Serialize>(explained: T) -> serde_json::Value {
        serde_json::from_str(&written::<T, R>(Output::Json, explained, &[])).unwrap()
    }

    fn agent(name: &str) -> String {
        format!("tenants/default/agents/{name}")
    }

    fn support() -> v1::QueueExplanation {
        let seconds = |seconds| Some(time::duration(Duration::from_secs(seconds)));
        let french = |level| vec![v1::SkillLevel { skill: "french".into(), level }];
        let ivan = v1::AgentGroup {
            obstacle: v1::Obstacle::LacksSkill.into(),
            why: "short of french: has 3, needs 5".into(),
            agent_count: 1,
            agents: vec![agent("ivan")],
            skill: "french".into(),
            has_level: 3,
            needs_level: 5,
        };
        let caller = v1::CallerExplanation {
            call: "calls/1-6a0f3c21-42".into(),
            position: 1,
            priority: -2,
            waited: seconds(15),
            waited_here: seconds(5),
            place: Some(v1::Place { epoch: 3, counter: 7 }),
            state: v1::CallerState::Waiting.into(),
            needs: french(5),
            relaxes_in: seconds(4),
            relaxes_to: french(4),
            free_agents: vec![ivan],
            ..Default::default()
        };
        let free = v1::AgentGroup {
            obstacle: v1::Obstacle::None.into(),
            agent_count: 12,
            agents: vec![agent("ivan")],
            ..Default::default()
        };
        v1::QueueExplanation {
            name: "tenants/default/queues/support".into(),
            settings: vec![v1::QueueSetting { name: "strategy".into(), value: "skills".into() }],
            agents: vec![free],
            waiting_count: 1,
            callers: vec![caller],
        }
    }

    // spec: RT-9, SE-6
    #[test]
    fn people_read_the_words_and_a_caller_cannot_steer_their_terminal() {
        let text = ["call 1-6a0f3c21-42 from \u{1b}[2J to +33123456789: waiting", "  0s entered support"];
        let written = written::<_, CallRow>(Output::Table, v1::CallExplanation::default(), &text);
        assert_eq!(written, "call 1-6a0f3c21-42 from \u{fffd}[2J to +33123456789: waiting\n  0s entered support\n");
    }

    // spec: RT-9, QU-6, QU-7
    #[test]
    fn a_queue_in_json_has_ranks_needs_and_obstacles() {
        let expected = serde_json::json!({
            "name": "tenants/default/queues/support",
            "settings": {"strategy": "skills"},
            "agents": [{"obstacle": null, "why": null, "count": 12, "agents": ["tenants/default/agents/ivan"]}],
            "waiting": 1,
            "callers": [{
                "call": "calls/1-6a0f3c21-42", "position": 1, "priority": -2,
                "waited_seconds": 15.0, "waited_here_seconds": 5.0, "place": {"epoch": 3, "counter": 7},
                "round": 0, "state": "waiting", "rests_seconds": null, "offer": null, "offered_agents": [],
                "offered_seconds": null, "why": null, "limit_seconds": null,
                "needs": {"french": 5}, "relaxes_in_seconds": 4.0, "relaxes_to": {"french": 4},
                "free_agents": [{
                    "obstacle": "lacks_skill", "why": "short of french: has 3, needs 5", "count": 1,
                    "agents": ["tenants/default/agents/ivan"], "skill": "french", "has_level": 3, "needs_level": 5,
                }],
            }],
        });
        assert_eq!(json::<_, QueueRow>(support()), expected);
    }

    // spec: RT-9
    #[test]
    fn a_call_in_json_has_its_offers_with_their_reasons() {
        let offered = v1::OfferedAgent {
            agent: agent("anna"),
            result: v1::OfferResult::NotAnswered.into(),
            why: "did not take it: SIP status 500".into(),
            cause: v1::Cause::Failed.into(),
            sip_status: 500,
        };
        let step = v1::CallStep {
            after: Some(time::duration(Duration::from_millis(1500))),
            event: v1::Event::Offered.into(),
            why: "random: 1 of 5 free".into(),
            queue: "tenants/default/queues/support".into(),
            offer: Some(v1::Place { epoch: 3, counter: 9 }),
            agents: vec![offered],
            phone_number: String::new(),
        };
        let call = v1::CallExplanation {
            name: "calls/1-6a0f3c21-42".into(),
            caller: Some(v1::CallerId { number: "+33600000001".into(), display_name: String::new() }),
            dialled: "+33123456789".into(),
            outcome: v1::Outcome::Missed.into(),
            cause: v1::Cause::NoAnswer.into(),
            duration: Some(time::duration(Duration::from_secs(20))),
            steps: vec![step],
            ..Default::default()
        };
        let expected = serde_json::json!({
            "name": "calls/1-6a0f3c21-42",
            "caller": {"number": "+33600000001", "display_name": ""},
            "dialled": "+33123456789", "stage": null, "outcome": "missed", "cause": "no_answer", "sip_status": null,
            "agent": null, "seconds": 20.0,
            "steps": [{
                "after_seconds": 1.5, "event": "offered", "why": "random: 1 of 5 free",
                "queue": "tenants/default/queues/support", "offer": {"epoch": 3, "counter": 9},
                "phone_number": null,
                "agents": [{
                    "agent": "tenants/default/agents/anna", "result": "not_answered",
                    "why": "did not take it: SIP status 500", "cause": "failed", "sip_status": 500,
                }],
            }],
            "place": null,
        });
        assert_eq!(json::<_, CallRow>(call), expected);
    }

    // spec: RT-9, QU-7
    #[test]
    fn an_agent_in_json_has_his_turns_and_his_next_callers() {
        let queue = v1::AgentInQueue {
            queue: "tenants/default/queues/support".into(),
            strategy: v1::Strategy::FewestCalls.into(),
            list_place: 2,
            agent_count: 3,
            obstacle: v1::Obstacle::None.into(),
            why: "2nd of 2 free (calls 4), piotr is first".into(),
            rank: 2,
            free_count: 2,
            first_agent: agent("piotr"),
            suitable_count: 1,
            other_count: 0,
            silent: None,
        };
        let next = v1::NextCaller {
            call: "calls/1-6a0f3c21-42".into(),
            queue: "tenants/default/queues/support".into(),
            priority: 1,
            waited: Some(time::duration(Duration::from_secs(3))),
            place: Some(v1::Place { epoch: 3, counter: 7 }),
            ..Default::default()
        };
        let explained = v1::AgentExplanation {
            agent: Some(v1::Agent { name: agent("anna"), ..Default::default() }),
            queues: vec![queue],
            callers: vec![next],
        };
        let json = json::<_, AgentRow>(explained);
        assert_eq!(json["agent"]["name"], "tenants/default/agents/anna");
        let queue = serde_json::json!({
            "queue": "tenants/default/queues/support", "strategy": "fewest_calls", "list_place": 2, "agents": 3,
            "obstacle": null, "why": "2nd of 2 free (calls 4), piotr is first", "rank": 2, "free": 2,
            "first_agent": "tenants/default/agents/piotr", "suitable": 1, "others": 0,
        });
        assert_eq!(json["queues"], serde_json::json!([queue]));
        let caller = serde_json::json!({
            "call": "calls/1-6a0f3c21-42", "queue": "tenants/default/queues/support", "priority": 1,
            "waited_seconds": 3.0, "place": {"epoch": 3, "counter": 7},
        });
        assert_eq!(json["callers"], serde_json::json!([caller]));
    }
}
