//! What a node that stands alone keeps as its own coordinator: keys with values, and the revisions that it may not give
//! again.

use sqlx::{Row, SqlitePool};

use crate::db::StoreError;

/// A key and what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The key.
    pub key: String,
    /// Its value, which the store does not read.
    pub value: Vec<u8>,
    /// When it was last written.
    pub revision: u64,
}

/// Everything that is kept, and the revision up to which all are used.
pub(crate) async fn load(pool: &SqlitePool) -> Result<(u64, Vec<Kept>), StoreError> {
    let used: i64 = sqlx::query_scalar("SELECT revision FROM kept_upto WHERE id = 1").fetch_one(pool).await?;
    let rows = sqlx::query("SELECT key, value, revision FROM kept ORDER BY key").fetch_all(pool).await?;
    let kept = |row: &sqlx::sqlite::SqliteRow| {
        Ok(Kept { key: row.try_get(0)?, value: row.try_get(1)?, revision: revision(row.try_get(2)?)? })
    };
    Ok((revision(used)?, rows.iter().map(kept).collect::<Result<_, StoreError>>()?))
}

/// Writes all or nothing.
pub(crate) async fn keep(pool: &SqlitePool, used: u64, put: &[Kept], delete: &[String]) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    let number = |revision: u64| i64::try_from(revision).unwrap_or(i64::MAX);
    sqlx::query("UPDATE kept_upto SET revision = ? WHERE id = 1").bind(number(used)).execute(&mut *transaction).await?;
    for Kept { key, value, revision } in put {
        sqlx::query("INSERT OR REPLACE INTO kept (key, value, revision) VALUES (?, ?, ?)")
            .bind(key)
            .bind(value)
            .bind(number(*revision))
            .execute(&mut *transaction)
            .await?;
    }
    for key in delete {
        sqlx::query("DELETE FROM kept WHERE key = ?").bind(key).execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

fn revision(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Unreadable { what: "revision", found: number.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    fn kept(key: &str, value: &str, revision: u64) -> Kept {
        Kept { key: key.to_owned(), value: value.as_bytes().to_vec(), revision }
    }

    // spec: CL-7
    #[tokio::test]
    async fn cl_7_what_is_kept_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(dir.path())).await.unwrap();
        assert_eq!(store.load_kept().await.unwrap(), (0, Vec::new()));
        store.keep(100, &[kept("/a", "1", 7), kept("/b", "2", 7)], &[]).await.unwrap();
        store.keep(100, &[kept("/a", "3", 8)], &["/b".to_owned()]).await.unwrap();
        store.close().await.unwrap();
        let store = Store::open(Some(dir.path())).await.unwrap();
        assert_eq!(store.load_kept().await.unwrap(), (100, vec![kept("/a", "3", 8)]));
    }
}
