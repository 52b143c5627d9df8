//! What agents want, kept over a restart: logged out, ready, on break, and the queues they left.

use carillon_acd::agent::SavedAvailability;
use carillon_acd::ids::{AgentId, QueueId};
use carillon_acd::view::Availability;
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};

use crate::db::{StoreError, object_key, read_object_key};
use crate::disk::Disk;

/// Everything that was saved, in the order of the agents' names.
pub(crate) async fn load(pool: &SqlitePool) -> Result<Vec<(AgentId, SavedAvailability)>, StoreError> {
    let rows = sqlx::query("SELECT agent, availability, logged_out_of FROM agent_availability ORDER BY agent")
        .fetch_all(pool)
        .await?;
    rows.iter().map(read).collect()
}

/// Replaces what was saved of these agents, in one statement.
pub(crate) async fn save(disk: &mut Disk, changed: &[(AgentId, SavedAvailability)]) -> Result<(), sqlx::Error> {
    let mut insert =
        QueryBuilder::<Sqlite>::new("INSERT INTO agent_availability (agent, availability, logged_out_of) ");
    insert.push_values(changed, |mut row, (agent, saved)| {
        let queues: Vec<String> = saved.logged_out_of.iter().map(|id| object_key(&id.tenant, &id.name)).collect();
        row.push_bind(object_key(&agent.tenant, &agent.name))
            .push_bind(word(saved.availability))
            .push_bind(serde_json::to_string(&queues).expect("a list of texts is always JSON"));
    });
    insert.push(
        " ON CONFLICT (agent) DO UPDATE SET availability = excluded.availability, logged_out_of = excluded.logged_out_of",
    );
    insert.build().persistent(false).execute(disk.connection().await?).await?;
    Ok(())
}

const fn word(availability: Availability) -> &'static str {
    match availability {
        Availability::LoggedOut => "logged_out",
        Availability::Ready => "ready",
        Availability::OnBreak => "on_break",
    }
}

fn read(row: &sqlx::sqlite::SqliteRow) -> Result<(AgentId, SavedAvailability), StoreError> {
    let (agent, availability, queues): (String, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let availability = [Availability::LoggedOut, Availability::Ready, Availability::OnBreak]
        .into_iter()
        .find(|known| word(*known) == availability)
        .ok_or(StoreError::Unreadable { what: "availability", found: availability })?;
    let logged_out_of: Vec<String> = serde_json::from_str(&queues)
        .map_err(|_| StoreError::Unreadable { what: "queue logins", found: queues.clone() })?;
    let logged_out_of = logged_out_of
        .iter()
        .map(|key| read_object_key(key).map(|(tenant, name)| QueueId::new(tenant, name)))
        .collect::<Result<_, _>>()?;
    let (tenant, name) = read_object_key(&agent)?;
    Ok((AgentId::new(tenant, name), SavedAvailability { availability, logged_out_of }))
}

#[cfg(test)]
mod tests {
    use carillon_acd::ids::Name;

    use super::*;
    use crate::Store;

    fn agent(name: &str) -> AgentId {
        AgentId::new("default".parse::<Name>().unwrap(), name.parse().unwrap())
    }

    fn saved(availability: Availability, queues: &[&str]) -> SavedAvailability {
        let queue = |name: &&str| QueueId::new("default".parse::<Name>().unwrap(), name.parse().unwrap());
        SavedAvailability { availability, logged_out_of: queues.iter().map(queue).collect() }
    }

    // spec: TR-5, TR-6
    #[tokio::test]
    async fn tr_6_the_last_wish_of_each_agent_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(dir.path())).await.unwrap();
        let writer = store.writer();
        writer.save_availability(agent("anna"), saved(Availability::OnBreak, &[]));
        writer.save_availability(agent("piotr"), saved(Availability::LoggedOut, &["support", "sales"]));
        writer.flush().await.unwrap();
        writer.save_availability(agent("anna"), saved(Availability::LoggedOut, &[]));
        writer.save_availability(agent("anna"), saved(Availability::Ready, &["support"]));
        store.close().await.unwrap();

        let store = Store::open(Some(dir.path())).await.unwrap();
        let expected = vec![
            (agent("anna"), saved(Availability::Ready, &["support"])),
            (agent("piotr"), saved(Availability::LoggedOut, &["support", "sales"])),
        ];
        assert_eq!(store.load_availability().await.unwrap(), expected);
    }
}
