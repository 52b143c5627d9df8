//! Records as `carillon records -o json` writes them, read back as far as a simulation and the statistics need them.

use anyhow::{Context, anyhow};
use carillon_acd::ids::{AgentId, CallId, LegId, NumberId, QueueId};
use carillon_acd::leg::{CallerId, Cause};
use carillon_acd::record::{Happened, Outcome, Record, Transition};
use carillon_acd::time::WallTime;
use carillon_rpc::names;
use jiff::Timestamp;
use serde::Deserialize;

/// What is needed of a record; there is more in the file.
#[derive(Debug, Deserialize)]
struct Row {
    call: String,
    dialled: String,
    number: Option<String>,
    started: String,
    ended: String,
    queue: Option<String>,
    agent: Option<String>,
    wait_ms: Option<u64>,
    talk_ms: u64,
    outcome: Outcome,
    #[serde(default)]
    transitions: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Step {
    at: String,
    event: String,
    leg: Option<u16>,
    #[serde(default)]
    agents: Vec<String>,
    queue: Option<String>,
    why: Option<String>,
}

pub(super) fn read(text: &str) -> anyhow::Result<Vec<Record>> {
    let rows: Vec<Row> = serde_json::from_str(text).context("not what `carillon records -o json` writes")?;
    rows.into_iter()
        .map(|row| {
            let call = row.call.clone();
            record(row).with_context(|| format!("the record of call {call}"))
        })
        .collect()
}

fn record(row: Row) -> anyhow::Result<Record> {
    let call: CallId = names::call(&row.call)?;
    let mut transitions = Vec::with_capacity(row.transitions.len());
    for step in &row.transitions {
        if let Some(what) = happened(call, step)? {
            transitions.push(Transition { at: time(&step.at)?, what });
        }
    }
    Ok(Record {
        call,
        caller: CallerId::default(),
        dialled: row.dialled,
        number: row.number.as_deref().map(number).transpose()?,
        started: time(&row.started)?,
        ended: time(&row.ended)?,
        queue: row.queue.as_deref().map(queue).transpose()?,
        agent: row.agent.as_deref().map(agent).transpose()?,
        wait_ms: row.wait_ms,
        talk_ms: row.talk_ms,
        outcome: row.outcome,
        // The statistics of a queue do not ask who hung up.
        cause: Cause::Normal,
        transitions,
    })
}

/// The steps that the statistics of queues read; the others are left out.
fn happened(call: CallId, step: &Step) -> anyhow::Result<Option<Happened>> {
    let leg = || step.leg.map(|n| LegId { call, n }).ok_or_else(|| anyhow!("{} without a leg", step.event));
    let in_queue = || queue(step.queue.as_deref().unwrap_or_default());
    Ok(Some(match step.event.as_str() {
        "enqueued" => Happened::Enqueued { queue: in_queue()?, sequence: None },
        "left_queue" => Happened::LeftQueue { queue: in_queue()?, why: step.why.clone().unwrap_or_default() },
        "connected" => {
            Happened::Connected { leg: leg()?, agent: step.agents.first().map(|name| agent(name)).transpose()? }
        }
        "held" => Happened::Held { leg: leg()? },
        "resumed" => Happened::Resumed { leg: leg()? },
        "leg_ended" => Happened::LegEnded { leg: leg()?, cause: Cause::Normal },
        _ => return Ok(None),
    }))
}

fn time(text: &str) -> anyhow::Result<WallTime> {
    let time: Timestamp = text.parse().with_context(|| format!("{text:?} is not a time"))?;
    Ok(WallTime(time.as_microsecond()))
}

fn queue(name: &str) -> anyhow::Result<QueueId> {
    Ok(names::queue(name)?)
}

fn agent(name: &str) -> anyhow::Result<AgentId> {
    Ok(names::agent(name)?)
}

fn number(name: &str) -> anyhow::Result<NumberId> {
    let parts: Vec<&str> = name.split('/').collect();
    match parts[..] {
        ["tenants", tenant, "numbers", number] => Ok(NumberId::new(tenant.parse()?, number.parse()?)),
        _ => Err(anyhow!("{name:?} is not a number's name, like tenants/default/numbers/main")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: &str = r#"[
{"call":"calls/1-6a0f3c21-1","caller":{"number":"+33600000000","display_name":""},"dialled":"33123456789",
 "number":"tenants/default/numbers/main","started":"2026-11-20T10:00:00Z","ended":"2026-11-20T10:03:07Z",
 "queue":"tenants/default/queues/support","agent":"tenants/default/agents/anna","wait_ms":7000,"talk_ms":180000,
 "outcome":"answered","cause":"normal","transitions":[
  {"at":"2026-11-20T10:00:00Z","event":"enqueued","queue":"tenants/default/queues/support"},
  {"at":"2026-11-20T10:00:07Z","event":"connected","leg":1,"agents":["tenants/default/agents/anna"]},
  {"at":"2026-11-20T10:03:07Z","event":"leg_ended","leg":0,"cause":"normal"}]}
]"#;

    #[test]
    fn records_are_read_back() {
        use carillon_acd::stats::{Definitions, Subject, of_record};
        let records = read(RECORDS).unwrap();
        let facts = of_record(&Definitions::default(), &records[0]);
        let of_queue = |fact: &&carillon_acd::stats::Fact| matches!(fact.subject, Subject::Queue(_));
        let answered: u64 = facts.iter().filter(of_queue).map(|fact| fact.adds.answered_within).sum();
        assert_eq!((records.len(), answered), (1, 1));
        assert!(read("{}").is_err());
        let wrong = RECORDS.replace("1-6a0f3c21-1", "one");
        assert!(format!("{:#}", read(&wrong).unwrap_err()).contains("call calls/one"));
    }
}
