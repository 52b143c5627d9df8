//! The database file, its connections and its errors.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use carillon_acd::agent::SavedAvailability;
use carillon_acd::ids::{AgentId, Epoch, Name, NodeId};
use carillon_acd::record::Record;
use carillon_acd::stats::Period;
use carillon_acd::time::WallTime;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::availability;
use crate::epoch;
use crate::kept::{self, Kept};
use crate::periods::{self, PeriodsAfter};
use crate::records::{self, Filter, RecordWriter};

/// The name of the database in the data folder.
const FILE: &str = "carillon.db";
/// Readers beside the one writer.
const CONNECTIONS: u32 = 4;
/// How long a statement waits for another process that holds the file, and a query for a free connection.
const BUSY: Duration = Duration::from_secs(5);

/// Why something could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The data folder cannot be made.
    #[error("cannot use the data folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no database in the folder.
    #[error("{} holds no {FILE}: give the folder that `carillon serve --data` uses", path.display())]
    Absent {
        /// The folder.
        path: PathBuf,
    },
    /// The database refused.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date, for instance because a newer version wrote it.
    #[error("database schema: {0}")]
    Schema(#[from] sqlx::migrate::MigrateError),
    /// A stored value is not what this version writes.
    #[error("unreadable {what} in the database: {found:?}")]
    Unreadable {
        /// Which value.
        what: &'static str,
        /// What stands there.
        found: String,
    },
    /// Not everything could be written in time; the log tells why.
    #[error("{unwritten} records are not written: the disk does not take them")]
    Unwritten {
        /// How many wait.
        unwritten: usize,
    },
}

/// The open database: call records, availability, fencing number. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    readers: SqlitePool,
    /// The writer keeps one connection: SQLite has one writer anyway, and the pages it has in memory stay valid. The other
    /// is for what is seldom written. The same as `readers` for a database in memory.
    writes: SqlitePool,
    writer: RecordWriter,
}

impl Store {
    /// Opens the database of a data folder, makes folder and schema when they are missing, and starts the writer task on
    /// the current tokio runtime. `None` keeps everything in memory, for as long as the store lives.
    pub async fn open(dir: Option<&Path>) -> Result<Self, StoreError> {
        let (writes, readers) = match dir {
            Some(dir) => {
                std::fs::create_dir_all(dir).map_err(|source| StoreError::Folder { path: dir.into(), source })?;
                let writes = pool(2).connect_with(file_options(dir).create_if_missing(true)).await?;
                (writes, pool(CONNECTIONS).connect_lazy_with(file_options(dir)))
            }
            None => {
                let memory = pool(1).connect_with(SqliteConnectOptions::new().in_memory(true)).await?;
                (memory.clone(), memory)
            }
        };
        sqlx::migrate!().run(&writes).await?;
        let writer = RecordWriter::start(writes.clone());
        Ok(Store { readers, writes, writer })
    }

    /// Opens the database of a data folder to read only, also while a running node writes it. Its writer refuses everything.
    pub async fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        if !dir.join(FILE).is_file() {
            return Err(StoreError::Absent { path: dir.into() });
        }
        let readers = pool(CONNECTIONS).connect_with(file_options(dir).read_only(true)).await?;
        Ok(Store { writes: readers.clone(), readers, writer: RecordWriter::refusing() })
    }

    /// The way in for records and availability; cheap to clone.
    pub fn writer(&self) -> RecordWriter {
        self.writer.clone()
    }

    /// The records that pass the filter, in its order, at most `filter.limit`; those that were handed to the writer before
    /// are among them, unless the disk does not take them in time.
    pub async fn query(&self, filter: &Filter) -> Result<Vec<Record>, StoreError> {
        self.writer.settle().await;
        records::query(&self.readers, filter).await
    }

    /// The records of calls that another node than this one took and that have ended since then, at most 10,000: those that
    /// went on here, and those that were written here for an edge that had died.
    pub async fn of_other_nodes(&self, node: NodeId, ended_since: WallTime) -> Result<Vec<Record>, StoreError> {
        records::of_other_nodes(&self.readers, node, ended_since).await
    }

    /// What agents spent their time on from `since` to before `until`, in order of time, at most `limit` periods that
    /// follow `after`; those that were handed to the writer before are among them.
    pub async fn periods(
        &self,
        since: WallTime,
        until: WallTime,
        after: Option<&PeriodsAfter>,
        limit: u32,
    ) -> Result<Vec<Period>, StoreError> {
        self.writer.settle().await;
        periods::query(&self.readers, since, until, after, limit).await
    }

    /// What every agent wanted when it was last saved.
    pub async fn load_availability(&self) -> Result<Vec<(AgentId, SavedAvailability)>, StoreError> {
        availability::load(&self.readers).await
    }

    /// Raises the fencing number by one and returns it when it is durable. To be called once at every start.
    pub async fn next_epoch(&self) -> Result<Epoch, StoreError> {
        epoch::next(&self.writes).await
    }

    /// What a node that stands alone keeps as its own coordinator, and the revision up to which all are used.
    pub async fn load_kept(&self) -> Result<(u64, Vec<Kept>), StoreError> {
        kept::load(&self.readers).await
    }

    /// Changes it, all or nothing.
    pub async fn keep(&self, used: u64, put: &[Kept], delete: &[String]) -> Result<(), StoreError> {
        kept::keep(&self.writes, used, put, delete).await
    }

    /// Writes what waits, ends the writer and closes the file. Later writes are refused and counted as dropped.
    pub async fn close(self) -> Result<(), StoreError> {
        let written = self.writer.shut_down().await;
        self.readers.close().await;
        self.writes.close().await;
        written
    }
}

/// A commit survives a crash of the process; a power cut may cost the last moments, never the consistency.
fn file_options(dir: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(dir.join(FILE))
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY)
}

/// Connections live for ever: a database in memory dies with its only one. A file does not hang up, so none is tested.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .test_before_acquire(false)
        .max_connections(connections)
        .acquire_timeout(BUSY)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// How an object is written into a column.
pub(crate) fn object_key(tenant: &Name, name: &Name) -> String {
    format!("{tenant}/{name}")
}

/// Reads what [`object_key`] wrote.
pub(crate) fn read_object_key(key: &str) -> Result<(Name, Name), StoreError> {
    key.split_once('/')
        .and_then(|(tenant, name)| Some((Name::from_str(tenant).ok()?, Name::from_str(name).ok()?)))
        .ok_or_else(|| StoreError::Unreadable { what: "object name", found: key.into() })
}
