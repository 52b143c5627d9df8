//! The writer's way to the database.

use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};

/// Statements for so many rows are kept ready: the usual ones. SQLite needs longer to read one than to carry it out.
pub(crate) const READY: usize = 16;

/// Keeps a connection between two uses, if the pool has another one: after each use the pool asks the connection's thread
/// how it is, which costs as much as the use.
pub(crate) struct Disk {
    pool: SqlitePool,
    kept: Option<PoolConnection<Sqlite>>,
}

impl Disk {
    pub(crate) const fn new(pool: SqlitePool) -> Self {
        Disk { pool, kept: None }
    }

    pub(crate) async fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        let connection = match self.kept.take() {
            Some(connection) => connection,
            None => self.pool.acquire().await?,
        };
        let kept: &mut SqliteConnection = self.kept.insert(connection);
        Ok(kept)
    }

    /// After a use that went well.
    pub(crate) fn rest(&mut self) {
        if self.pool.options().get_max_connections() == 1 {
            self.let_go();
        }
    }

    /// After one that did not: the pool looks whether the connection can be used again.
    pub(crate) fn let_go(&mut self) {
        self.kept = None;
    }
}
