//! Reading records back.

use carillon_acd::ids::{AgentId, CallId, NodeId, NumberId, QueueId};
use carillon_acd::record::Record;
use carillon_acd::time::WallTime;
use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use super::row;
use crate::db::{StoreError, object_key};

/// The most records that one query returns; page with [`Filter::after`].
const MOST: u32 = 10_000;

/// A call does not last longer, in microseconds: the index goes by the start.
const LONGEST: i64 = 12 * 3_600 * 1_000_000;

/// Which records, in which order, how many. [`Filter::default`] is the newest 100.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Started then or later.
    pub since: Option<WallTime>,
    /// Started before then.
    pub until: Option<WallTime>,
    /// The last queue of the call.
    pub queue: Option<QueueId>,
    /// The agent who talked last.
    pub agent: Option<AgentId>,
    /// The configured number that was called.
    pub number: Option<NumberId>,
    /// This call alone.
    pub call: Option<CallId>,
    /// Only what follows this record in the order: the next page.
    pub after: Option<Cursor>,
    /// At most this many; 10,000 in any case.
    pub limit: u32,
    /// By the time of the start.
    pub order: Order,
}

impl Default for Filter {
    fn default() -> Self {
        Filter {
            since: None,
            until: None,
            queue: None,
            agent: None,
            number: None,
            call: None,
            after: None,
            limit: 100,
            order: Order::NewestFirst,
        }
    }
}

/// The order of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The latest start first.
    #[default]
    NewestFirst,
    /// The earliest start first.
    OldestFirst,
}

/// A place between two records; take it from the last record of a page to ask for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The record's start.
    pub started: WallTime,
    /// Its call, which decides between equal starts.
    pub call: CallId,
}

impl From<&Record> for Cursor {
    fn from(record: &Record) -> Self {
        Cursor { started: record.started, call: record.call }
    }
}

pub(crate) async fn query(pool: &SqlitePool, filter: &Filter) -> Result<Vec<Record>, StoreError> {
    let mut select = QueryBuilder::<Sqlite>::new("SELECT ");
    select.push(row::COLUMNS).push(" FROM call_records WHERE 1 = 1");
    if let Some(since) = filter.since {
        select.push(" AND started >= ").push_bind(since.0);
    }
    if let Some(until) = filter.until {
        select.push(" AND started < ").push_bind(until.0);
    }
    if let Some(queue) = &filter.queue {
        select.push(" AND queue = ").push_bind(object_key(&queue.tenant, &queue.name));
    }
    if let Some(agent) = &filter.agent {
        select.push(" AND agent = ").push_bind(object_key(&agent.tenant, &agent.name));
    }
    if let Some(number) = &filter.number {
        select.push(" AND number = ").push_bind(object_key(&number.tenant, &number.name));
    }
    if let Some(call) = filter.call {
        select.push(" AND call = ").push_bind(call.to_string());
    }
    let (follows, direction) = match filter.order {
        Order::NewestFirst => ("<", "DESC"),
        Order::OldestFirst => (">", "ASC"),
    };
    if let Some(after) = filter.after {
        select.push(" AND (started, call) ").push(follows).push(" (").push_bind(after.started.0);
        select.push(", ").push_bind(after.call.to_string()).push(")");
    }
    select.push(" ORDER BY started ").push(direction).push(", call ").push(direction);
    select.push(" LIMIT ").push_bind(i64::from(filter.limit.min(MOST)));
    let rows = select.build().persistent(false).fetch_all(pool).await?;
    rows.iter().map(row::read).collect()
}

/// See [`crate::Store::of_other_nodes`].
pub(crate) async fn of_other_nodes(
    pool: &SqlitePool,
    node: NodeId,
    ended_since: WallTime,
) -> Result<Vec<Record>, StoreError> {
    let mut select = QueryBuilder::<Sqlite>::new("SELECT ");
    select.push(row::COLUMNS).push(" FROM call_records WHERE started >= ");
    select.push_bind(ended_since.0.saturating_sub(LONGEST)).push(" AND call NOT LIKE ");
    select.push_bind(format!("{}-%", node.0)).push(" AND ended >= ").push_bind(ended_since.0);
    select.push(" ORDER BY started DESC, call DESC LIMIT ").push_bind(MOST);
    let rows = select.build().persistent(false).fetch_all(pool).await?;
    rows.iter().map(row::read).collect()
}
