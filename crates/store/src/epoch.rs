//! The fencing number of a single node: raised at every start, durable before anybody uses it (Spec: CL-3).

use carillon_acd::ids::Epoch;
use sqlx::{Acquire, SqlitePool};

use crate::db::StoreError;

/// Raises the number and returns it once it is on the disk: `synchronous = FULL` makes this one commit survive a power
/// cut, which ordinary records need not.
pub(crate) async fn next(pool: &SqlitePool) -> Result<Epoch, StoreError> {
    let mut connection = pool.acquire().await?;
    sqlx::query("PRAGMA synchronous = FULL").execute(&mut *connection).await?;
    let raised = raise(&mut connection).await;
    sqlx::query("PRAGMA synchronous = NORMAL").execute(&mut *connection).await?;
    raised
}

async fn raise(connection: &mut sqlx::SqliteConnection) -> Result<Epoch, StoreError> {
    let mut transaction = connection.begin().await?;
    let value: i64 = sqlx::query_scalar("UPDATE epoch SET value = value + 1 WHERE id = 1 RETURNING value")
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    u64::try_from(value).map(Epoch).map_err(|_| StoreError::Unreadable { what: "epoch", found: value.to_string() })
}

#[cfg(test)]
mod tests {
    use crate::Store;

    // spec: CL-3
    #[tokio::test]
    async fn cl_3_the_epoch_grows_over_every_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut seen = Vec::new();
        for _ in 0..3 {
            let store = Store::open(Some(dir.path())).await.unwrap();
            seen.push(store.next_epoch().await.unwrap().0);
            store.close().await.unwrap();
        }
        assert_eq!(seen, [1, 2, 3]);
    }
}
