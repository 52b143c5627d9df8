//! What agents want, kept over a restart: logged out, ready, on break, and the queues they left or joined.

use std::collections::BTreeMap;

use carillon_acd::ids::{AgentId, QueueId};
use carillon_acd::view::Availability;
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};

use crate::db::{StoreError, object_key, read_object_key};

/// An agent's wishes, as saved on every change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedAvailability {
    /// The agent.
    pub agent: AgentId,
    /// What he wants.
    pub availability: Availability,
    /// The queues whose login differs from the default, and what it is (Spec: TR-5).
    pub queues: Vec<(QueueId, bool)>,
}

/// Everything that was saved, in the order of the agents' names.
pub(crate) async fn load(pool: &SqlitePool) -> Result<Vec<SavedAvailability>, StoreError> {
    let rows = sqlx::query("SELECT agent, availability, queues FROM agent_availability ORDER BY agent")
        .fetch_all(pool)
        .await?;
    rows.iter().map(read).collect()
}

/// Replaces what was saved of these agents, in one statement.
pub(crate) async fn save(pool: &SqlitePool, changed: &[SavedAvailability]) -> Result<(), StoreError> {
    let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO agent_availability (agent, availability, queues) ");
    insert.push_values(changed, |mut row, saved| {
        let queues: BTreeMap<String, bool> =
            saved.queues.iter().map(|(q, on)| (object_key(&q.tenant, &q.name), *on)).collect();
        row.push_bind(object_key(&saved.agent.tenant, &saved.agent.name))
            .push_bind(word(saved.availability))
            .push_bind(serde_json::to_string(&queues).expect("a map of texts to booleans is always JSON"));
    });
    insert.push(" ON CONFLICT (agent) DO UPDATE SET availability = excluded.availability, queues = excluded.queues");
    insert.build().persistent(false).execute(pool).await?;
    Ok(())
}

const fn word(availability: Availability) -> &'static str {
    match availability {
        Availability::LoggedOut => "logged_out",
        Availability::Ready => "ready",
        Availability::OnBreak => "on_break",
    }
}

fn read(row: &sqlx::sqlite::SqliteRow) -> Result<SavedAvailability, StoreError> {
    let (agent, availability, queues): (String, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let availability = match availability.as_str() {
        "logged_out" => Availability::LoggedOut,
        "ready" => Availability::Ready,
        "on_break" => Availability::OnBreak,
        other => return Err(StoreError::Unreadable { what: "availability", found: other.into() }),
    };
    let logins: BTreeMap<String, bool> = serde_json::from_str(&queues)
        .map_err(|_| StoreError::Unreadable { what: "queue logins", found: queues.clone() })?;
    let (tenant, name) = read_object_key(&agent)?;
    let queues = logins
        .into_iter()
        .map(|(key, on)| read_object_key(&key).map(|(tenant, name)| (QueueId::new(tenant, name), on)))
        .collect::<Result<_, _>>()?;
    Ok(SavedAvailability { agent: AgentId::new(tenant, name), availability, queues })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    fn saved(agent: &str, availability: Availability, queues: &[(&str, bool)]) -> SavedAvailability {
        let tenant: carillon_acd::ids::Name = "default".parse().unwrap();
        SavedAvailability {
            agent: AgentId::new(tenant.clone(), agent.parse().unwrap()),
            availability,
            queues: queues.iter().map(|(q, on)| (QueueId::new(tenant.clone(), q.parse().unwrap()), *on)).collect(),
        }
    }

    // spec: TR-5, TR-6
    #[tokio::test]
    async fn tr_6_the_last_wish_of_each_agent_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(dir.path())).await.unwrap();
        let writer = store.writer();
        writer.save_availability(saved("anna", Availability::OnBreak, &[]));
        writer.save_availability(saved("piotr", Availability::LoggedOut, &[("support", false), ("sales", true)]));
        writer.flush().await.unwrap();
        writer.save_availability(saved("anna", Availability::LoggedOut, &[]));
        writer.save_availability(saved("anna", Availability::Ready, &[("support", false)]));
        store.close().await.unwrap();

        let store = Store::open(Some(dir.path())).await.unwrap();
        let expected = vec![
            saved("anna", Availability::Ready, &[("support", false)]),
            saved("piotr", Availability::LoggedOut, &[("sales", true), ("support", false)]),
        ];
        assert_eq!(store.load_availability().await.unwrap(), expected);
    }
}
