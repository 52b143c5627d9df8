//! A record as a row of the table, both ways.

use carillon_acd::ids::{AgentId, CallId, NumberId, QueueId};
use carillon_acd::leg::{CallerId, Cause};
use carillon_acd::record::{Outcome, Record};
use carillon_acd::time::WallTime;
use sqlx::query_builder::Separated;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite};

use crate::db::{StoreError, object_key, read_object_key};

/// The columns, in the order of [`Row::bind`] and [`read`].
pub(super) const COLUMNS: &str = "call, caller_number, caller_name, dialled, number, started, ended, queue, agent, \
                                  wait_ms, talk_ms, outcome, cause, transitions";

/// What is written of one record. Made once, so that a retry costs no second conversion.
pub(super) struct Row {
    id: CallId,
    call: String,
    caller: CallerId,
    dialled: String,
    number: Option<String>,
    started: i64,
    ended: i64,
    queue: Option<String>,
    agent: Option<String>,
    wait_ms: Option<i64>,
    talk_ms: i64,
    outcome: String,
    cause: String,
    transitions: String,
}

impl Row {
    pub(super) fn of(record: Record) -> Self {
        Row {
            id: record.call,
            call: record.call.to_string(),
            caller: record.caller,
            dialled: record.dialled,
            number: record.number.map(|id| object_key(&id.tenant, &id.name)),
            started: record.started.0,
            ended: record.ended.0,
            queue: record.queue.map(|id| object_key(&id.tenant, &id.name)),
            agent: record.agent.map(|id| object_key(&id.tenant, &id.name)),
            wait_ms: record.wait_ms.map(saturating),
            talk_ms: saturating(record.talk_ms),
            outcome: outcome_word(record.outcome).into(),
            cause: cause_words(record.cause),
            transitions: serde_json::to_string(&record.transitions).expect("transitions have text keys only"),
        }
    }

    pub(super) const fn id(&self) -> CallId {
        self.id
    }

    pub(super) fn bind(&self, mut row: Separated<'_, Sqlite, &'static str>) {
        row.push_bind(&self.call)
            .push_bind(&self.caller.number)
            .push_bind(&self.caller.name)
            .push_bind(&self.dialled)
            .push_bind(&self.number)
            .push_bind(self.started)
            .push_bind(self.ended)
            .push_bind(&self.queue)
            .push_bind(&self.agent)
            .push_bind(self.wait_ms)
            .push_bind(self.talk_ms)
            .push_bind(&self.outcome)
            .push_bind(&self.cause)
            .push_bind(&self.transitions);
    }
}

pub(super) fn read(row: &SqliteRow) -> Result<Record, StoreError> {
    let key = |column: usize| -> Result<_, StoreError> {
        row.try_get::<Option<String>, _>(column)?.map(|key| read_object_key(&key)).transpose()
    };
    let call: String = row.try_get(0)?;
    let outcome: String = row.try_get(11)?;
    let cause: String = row.try_get(12)?;
    let transitions: String = row.try_get(13)?;
    Ok(Record {
        call: call.parse().map_err(|_| unreadable("call", &call))?,
        caller: CallerId { number: row.try_get(1)?, name: row.try_get(2)? },
        dialled: row.try_get(3)?,
        number: key(4)?.map(|(tenant, name)| NumberId::new(tenant, name)),
        started: WallTime(row.try_get(5)?),
        ended: WallTime(row.try_get(6)?),
        queue: key(7)?.map(|(tenant, name)| QueueId::new(tenant, name)),
        agent: key(8)?.map(|(tenant, name)| AgentId::new(tenant, name)),
        wait_ms: row.try_get::<Option<i64>, _>(9)?.map(i64::unsigned_abs),
        talk_ms: row.try_get::<i64, _>(10)?.unsigned_abs(),
        outcome: read_outcome(&outcome).ok_or_else(|| unreadable("outcome", &outcome))?,
        cause: read_cause(&cause).ok_or_else(|| unreadable("cause", &cause))?,
        transitions: serde_json::from_str(&transitions).map_err(|_| unreadable("transitions", &transitions))?,
    })
}

fn unreadable(what: &'static str, found: &str) -> StoreError {
    StoreError::Unreadable { what, found: found.into() }
}

fn saturating(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

const fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered => "answered",
        Outcome::Abandoned => "abandoned",
        Outcome::Missed => "missed",
        Outcome::Refused => "refused",
        Outcome::Failed => "failed",
        Outcome::Done => "done",
    }
}

fn read_outcome(word: &str) -> Option<Outcome> {
    [Outcome::Answered, Outcome::Abandoned, Outcome::Missed, Outcome::Refused, Outcome::Failed, Outcome::Done]
        .into_iter()
        .find(|outcome| outcome_word(*outcome) == word)
}

/// `no_answer`, `busy`, …, as in the JSON of a transition, and `failed 503` for the one that carries a status.
fn cause_words(cause: Cause) -> String {
    match cause {
        Cause::Failed(status) => format!("failed {status}"),
        named => match serde_json::to_value(named).expect("a cause is a word") {
            serde_json::Value::String(word) => word,
            other => other.to_string(),
        },
    }
}

fn read_cause(words: &str) -> Option<Cause> {
    match words.strip_prefix("failed ") {
        Some(status) => status.parse().ok().map(Cause::Failed),
        None => serde_json::from_value(words.into()).ok(),
    }
}
