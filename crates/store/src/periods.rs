//! What agents spent their time on, kept for statistics (Spec: PL-4, PL-5).

use carillon_acd::ids::{AgentId, QueueId};
use carillon_acd::stats::{Period, Spends};
use carillon_acd::time::WallTime;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};

use crate::db::{StoreError, object_key, read_object_key};
use crate::disk::{Disk, READY};

/// The most periods that one query returns.
const MOST: u32 = 10_000;

/// A place between two periods; take it from the last of a page to ask for the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeriodsAfter {
    began: WallTime,
    agent: AgentId,
}

impl From<&Period> for PeriodsAfter {
    fn from(period: &Period) -> Self {
        PeriodsAfter { began: period.began, agent: period.agent.clone() }
    }
}

/// One statement is one transaction. A period that is there already stays as it is.
pub(crate) async fn insert(disk: &mut Disk, periods: &[Period]) -> Result<(), sqlx::Error> {
    let mut insert =
        QueryBuilder::<Sqlite>::new("INSERT INTO agent_periods (began, agent, ended, spent, queue, queues) ");
    insert.push_values(periods, |mut row, period| {
        let (spent, queue) = words(&period.spent);
        let queues: Vec<String> = period.queues.iter().map(key).collect();
        row.push_bind(period.began.0)
            .push_bind(object_key(&period.agent.tenant, &period.agent.name))
            .push_bind(period.ended.0)
            .push_bind(spent)
            .push_bind(queue.map(key))
            .push_bind(serde_json::to_string(&queues).expect("a list of texts is always JSON"));
    });
    insert.push(" ON CONFLICT (began, agent) DO NOTHING");
    insert.build().persistent(periods.len() <= READY).execute(disk.connection().await?).await?;
    Ok(())
}

pub(crate) async fn query(
    pool: &SqlitePool,
    since: WallTime,
    until: WallTime,
    after: Option<&PeriodsAfter>,
    limit: u32,
) -> Result<Vec<Period>, StoreError> {
    let mut select = QueryBuilder::<Sqlite>::new("SELECT began, agent, ended, spent, queue, queues FROM agent_periods");
    select.push(" WHERE began >= ").push_bind(since.0).push(" AND began < ").push_bind(until.0);
    if let Some(after) = after {
        select.push(" AND (began, agent) > (").push_bind(after.began.0).push(", ");
        select.push_bind(object_key(&after.agent.tenant, &after.agent.name)).push(")");
    }
    select.push(" ORDER BY began, agent LIMIT ").push_bind(i64::from(limit.min(MOST)));
    let rows = select.build().persistent(false).fetch_all(pool).await?;
    rows.iter().map(read).collect()
}

fn key(queue: &QueueId) -> String {
    object_key(&queue.tenant, &queue.name)
}

fn read_queue(key: &str) -> Result<QueueId, StoreError> {
    read_object_key(key).map(|(tenant, name)| QueueId::new(tenant, name))
}

const fn words(spent: &Spends) -> (&'static str, Option<&QueueId>) {
    match spent {
        Spends::Idle => ("idle", None),
        Spends::Talking(queue) => ("talking", queue.as_ref()),
        Spends::WrapUp(queue) => ("wrap_up", queue.as_ref()),
    }
}

fn read(row: &SqliteRow) -> Result<Period, StoreError> {
    let (agent, spent, queues): (String, String, String) = (row.try_get(1)?, row.try_get(3)?, row.try_get(5)?);
    let queue = row.try_get::<Option<String>, _>(4)?.map(|key| read_queue(&key)).transpose()?;
    let spent = match spent.as_str() {
        "idle" => Spends::Idle,
        "talking" => Spends::Talking(queue),
        "wrap_up" => Spends::WrapUp(queue),
        _ => return Err(StoreError::Unreadable { what: "period", found: spent }),
    };
    let keys: Vec<String> = serde_json::from_str(&queues)
        .map_err(|_| StoreError::Unreadable { what: "queues of a period", found: queues })?;
    let (tenant, name) = read_object_key(&agent)?;
    Ok(Period {
        agent: AgentId::new(tenant, name),
        spent,
        queues: keys.iter().map(|key| read_queue(key)).collect::<Result<_, _>>()?,
        began: WallTime(row.try_get(0)?),
        ended: WallTime(row.try_get(2)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    // spec: PL-4
    #[tokio::test]
    async fn pl_4_periods_are_kept_to_the_unit_and_read_in_pages() {
        let store = Store::open(None).await.unwrap();
        let named = |text: &str| text.parse().unwrap();
        let queue = |text: &str| QueueId::new(named("default"), named(text));
        let spent = [Spends::Idle, Spends::Talking(None), Spends::WrapUp(Some(queue("support")))];
        let periods: Vec<Period> = (0_i64..)
            .zip(spent)
            .map(|(n, spent)| Period {
                agent: AgentId::new(named("default"), named("anna")),
                spent,
                queues: vec![queue("sales"), queue("support")],
                began: WallTime(n * 10),
                ended: WallTime(n * 10 + 7),
            })
            .collect();
        for period in periods.iter().chain(&periods[..1]) {
            store.writer().try_note(period.clone()).unwrap();
        }
        let all = (WallTime(0), WallTime(100));
        assert_eq!(store.periods(all.0, all.1, None, 10).await.unwrap(), periods);
        let first = store.periods(all.0, all.1, None, 1).await.unwrap();
        let rest = store.periods(all.0, all.1, Some(&PeriodsAfter::from(&first[0])), 10).await.unwrap();
        assert_eq!(rest, periods[1..]);
        assert_eq!(store.periods(WallTime(10), WallTime(20), None, 10).await.unwrap(), periods[1..2]);
    }
}
