//! The one writer: takes records without ever blocking a call, and brings them to the disk in batches.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use carillon_acd::agent::SavedAvailability;
use carillon_acd::ids::{AgentId, CallId};
use carillon_acd::record::Record;
use carillon_acd::stats::Period;
use sqlx::{QueryBuilder, Sqlite, SqlitePool};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::row::{self, Row};
use crate::availability;
use crate::db::StoreError;
use crate::disk::{Disk, READY};
use crate::periods;

/// Records that may wait for the disk: 80 s of it failing at 100 calls/s, about 20 MB.
const QUEUE: usize = 8_192;
/// Rows in one statement.
const BATCH: usize = 256;
/// How long the first record of a batch waits for company: waking the disk's thread costs thirty times what a row costs.
/// Nobody waits for it, because a flush ends it.
const GATHER: Duration = Duration::from_millis(200);
/// The same while others keep the records until they are written ([`RecordWriter::kept_elsewhere`]): the end of the process loses
/// none of them, and those who keep them hear of more at once.
const GATHER_KEPT: Duration = Duration::from_secs(1);
/// The first and the longest pause after the disk refused.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long `flush` and a shutdown wait for the disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a reader waits for records that were not written yet.
const SETTLE: Duration = Duration::from_secs(1);

/// The queue to the disk is full, or the store is closed: this record is lost, logged and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is dropped: the store is closed or {QUEUE} records wait for the disk")]
pub struct Full;

/// What the writer has done since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterStats {
    /// Records handed to the disk.
    pub written: u64,
    /// Records lost because the queue was full.
    pub dropped: u64,
    /// Statements that the disk refused and that were tried again.
    pub retries: u64,
    /// Records that wait now.
    pub waiting: usize,
}

/// The way in for records and availability. Clones share one queue and one writer task; the task ends when the last
/// clone is gone and everything is written.
#[derive(Clone, Debug)]
pub struct RecordWriter {
    shared: Arc<Shared>,
    inbox: mpsc::Sender<Command>,
}

#[derive(Debug)]
enum Command {
    Write(Box<Record>),
    Note(Box<Period>),
    /// Other nodes keep the records of these calls.
    Forget(Vec<CallId>),
    /// Answered when everything that was sent before is on the disk.
    Flush(oneshot::Sender<()>),
    /// As `Flush`, and the end of the task.
    ShutDown(oneshot::Sender<()>),
}

#[derive(Debug, Default)]
struct Shared {
    written: AtomicU64,
    dropped: AtomicU64,
    retries: AtomicU64,
    /// The last wish of each agent that is not on the disk yet: bounded by the number of agents.
    wishes: Mutex<BTreeMap<AgentId, SavedAvailability>>,
    wished: Notify,
    /// Somebody waits for a flush.
    hurry: Notify,
    kept_elsewhere: AtomicBool,
    on_written: OnWritten,
}

type Tell = dyn Fn(&[CallId]) + Send + Sync;

/// Who hears which records are written.
#[derive(Default)]
struct OnWritten(OnceLock<Box<Tell>>);

impl std::fmt::Debug for OnWritten {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnWritten")
    }
}

impl RecordWriter {
    /// Starts the writer task on the current tokio runtime.
    pub(crate) fn start(pool: SqlitePool) -> Self {
        let (inbox, commands) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::default());
        tokio::spawn(
            Task {
                disk: Disk::new(pool),
                shared: shared.clone(),
                commands,
                rows: Vec::with_capacity(BATCH),
                periods: Vec::new(),
            }
            .run(),
        );
        RecordWriter { shared, inbox }
    }

    /// A writer that refuses everything, for a store that is only read.
    pub(crate) fn refusing() -> Self {
        let (inbox, _) = mpsc::channel(1);
        RecordWriter { shared: Arc::default(), inbox }
    }

    /// Takes a record without waiting. Written once: a second record of the same call is ignored by the database.
    ///
    /// # Errors
    /// [`Full`] when the queue is full or the store closed; the loss is logged and counted here.
    pub fn try_write(&self, record: Record) -> Result<(), Full> {
        let call = record.call;
        self.inbox.try_send(Command::Write(Box::new(record))).map_err(|_| {
            let dropped = self.shared.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::error!(call_id = %call, dropped, "call record lost: the disk does not take records");
            Full
        })
    }

    /// From now on `tell` hears of records that the operating system has: the end of this process, however it comes, does not
    /// lose them any more. It must not block. Only the first one who asks is told.
    pub fn on_written(&self, tell: impl Fn(&[CallId]) + Send + Sync + 'static) {
        // As documented.
        let _ = self.shared.on_written.0.set(Box::new(tell));
    }

    /// Whether others keep records until they are told that these are written ([`on_written`](Self::on_written)). Then records
    /// may wait for each other for a second instead of 200 ms, which costs the disk and those others less.
    pub fn kept_elsewhere(&self, kept: bool) {
        self.shared.kept_elsewhere.store(kept, Ordering::Relaxed);
    }

    /// Removes the records of these calls, those that are not written yet included: another node has the call's one record.
    pub fn forget(&self, calls: Vec<CallId>) {
        let count = calls.len();
        if self.inbox.try_send(Command::Forget(calls)).is_err() {
            tracing::error!(
                calls = count,
                "call records stay although other nodes have them, too: the disk is not fast enough"
            );
        }
    }

    /// Takes what an agent spent his time on, without waiting.
    ///
    /// # Errors
    /// As [`try_write`](Self::try_write).
    pub fn try_note(&self, period: Period) -> Result<(), Full> {
        self.inbox.try_send(Command::Note(Box::new(period))).map_err(|_| {
            let dropped = self.shared.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::error!(dropped, "a period of an agent's time lost: the disk does not take records");
            Full
        })
    }

    /// Notes what an agent wants now. Never lost and never blocks: only the last wish of each agent waits.
    pub fn save_availability(&self, agent: AgentId, saved: SavedAvailability) {
        self.shared.wishes().insert(agent, saved);
        self.shared.wished.notify_one();
    }

    /// Returns when everything that was sent before is on the disk.
    ///
    /// # Errors
    /// [`StoreError::Unwritten`] after 10 s, or when the store is closed.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.ask(Command::Flush).await
    }

    /// A flush with little patience, so that a reader sees what was written before he asked. A disk that refuses delays
    /// him by a second and no more.
    pub(crate) async fn settle(&self) {
        if !self.inbox.is_closed() {
            // What is not written yet is missing from the answer, and the log says why.
            let _ = timeout(SETTLE, self.flush()).await;
        }
    }

    /// [`flush`](Self::flush), and the end of the task.
    pub(crate) async fn shut_down(&self) -> Result<(), StoreError> {
        if self.inbox.is_closed() { Ok(()) } else { self.ask(Command::ShutDown).await }
    }

    /// What has happened so far.
    pub fn stats(&self) -> WriterStats {
        WriterStats {
            written: self.shared.written.load(Ordering::Relaxed),
            dropped: self.shared.dropped.load(Ordering::Relaxed),
            retries: self.shared.retries.load(Ordering::Relaxed),
            waiting: self.waiting(),
        }
    }

    fn waiting(&self) -> usize {
        self.inbox.max_capacity() - self.inbox.capacity()
    }

    async fn ask(&self, command: fn(oneshot::Sender<()>) -> Command) -> Result<(), StoreError> {
        let (done, written) = oneshot::channel();
        let asked = async {
            self.inbox.send(command(done)).await.map_err(drop)?;
            self.shared.hurry.notify_one();
            written.await.map_err(drop)
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(())) | Err(_) => Err(StoreError::Unwritten { unwritten: self.waiting() }),
        }
    }
}

impl Shared {
    fn gather(&self) -> Duration {
        if self.kept_elsewhere.load(Ordering::Relaxed) { GATHER_KEPT } else { GATHER }
    }

    fn wishes(&self) -> std::sync::MutexGuard<'_, BTreeMap<AgentId, SavedAvailability>> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state of the writer task.
struct Task {
    disk: Disk,
    shared: Arc<Shared>,
    commands: mpsc::Receiver<Command>,
    rows: Vec<Row>,
    periods: Vec<Period>,
}

/// Whether the task goes on.
#[derive(PartialEq)]
enum Next {
    Continue,
    End,
}

impl Task {
    async fn run(mut self) {
        let shared = self.shared.clone();
        loop {
            let first = tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => Some(command),
                    None => break,
                },
                () = shared.wished.notified() => None,
            };
            if matches!(first, None | Some(Command::Write(_) | Command::Note(_))) {
                tokio::select! {
                    () = sleep(shared.gather()) => {}
                    () = shared.hurry.notified() => {}
                }
            }
            if self.drain(first).await == Next::End {
                return;
            }
        }
        self.save_wishes().await;
    }

    /// Writes everything that waits, in batches.
    async fn drain(&mut self, first: Option<Command>) -> Next {
        let mut last_word = None;
        let mut next = first.or_else(|| self.commands.try_recv().ok());
        while let Some(command) = next {
            match command {
                Command::Write(record) => self.rows.push(Row::of(*record)),
                Command::Note(period) => self.periods.push(*period),
                Command::Forget(calls) => {
                    self.write_rows().await;
                    self.forget(&calls).await;
                }
                Command::Flush(done) => {
                    self.write_all().await;
                    // Nobody may be waiting any more: he lost patience.
                    let _ = done.send(());
                }
                Command::ShutDown(done) => {
                    // From here on records are refused; those that came in before are still written.
                    self.commands.close();
                    last_word = Some(done);
                }
            }
            if self.rows.len() == BATCH {
                self.write_rows().await;
            }
            if self.periods.len() == BATCH {
                self.write_periods().await;
            }
            next = self.commands.try_recv().ok();
        }
        self.write_all().await;
        match last_word {
            Some(done) => {
                let _ = done.send(());
                Next::End
            }
            None => Next::Continue,
        }
    }

    async fn write_all(&mut self) {
        self.write_rows().await;
        self.write_periods().await;
        self.save_wishes().await;
    }

    async fn write_rows(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        let mut pause = RETRY.0;
        while let Err(error) = insert(&mut self.disk, &self.rows).await {
            self.failed(&mut pause, &error, "call records are not written", self.rows.len()).await;
        }
        self.disk.rest();
        self.shared.written.fetch_add(self.rows.len() as u64, Ordering::Relaxed);
        if let Some(tell) = self.shared.on_written.0.get() {
            tell(&self.rows.iter().map(Row::id).collect::<Vec<_>>());
        }
        self.rows.clear();
    }

    async fn forget(&mut self, calls: &[CallId]) {
        for batch in calls.chunks(BATCH) {
            let mut pause = RETRY.0;
            while let Err(error) = delete(&mut self.disk, batch).await {
                self.failed(&mut pause, &error, "call records are not removed", batch.len()).await;
            }
        }
        self.disk.rest();
    }

    async fn write_periods(&mut self) {
        if self.periods.is_empty() {
            return;
        }
        let mut pause = RETRY.0;
        while let Err(error) = periods::insert(&mut self.disk, &self.periods).await {
            self.failed(&mut pause, &error, "agents' time is not written", self.periods.len()).await;
        }
        self.disk.rest();
        self.periods.clear();
    }

    async fn save_wishes(&mut self) {
        let wishes = std::mem::take(&mut *self.shared.wishes());
        let wishes: Vec<(AgentId, SavedAvailability)> = wishes.into_iter().collect();
        for batch in wishes.chunks(BATCH) {
            let mut pause = RETRY.0;
            while let Err(error) = availability::save(&mut self.disk, batch).await {
                self.failed(&mut pause, &error, "availability is not saved", batch.len()).await;
            }
        }
        self.disk.rest();
    }

    /// The disk has not taken a batch: says so, and waits until it is tried again.
    async fn failed(&mut self, pause: &mut Duration, error: &sqlx::Error, what: &str, rows: usize) {
        self.shared.retries.fetch_add(1, Ordering::Relaxed);
        self.disk.let_go();
        tracing::warn!(%error, rows, "{what}, trying again");
        sleep(*pause).await;
        *pause = (*pause * 2).min(RETRY.1);
    }
}

/// One statement is one transaction: the batch is on the disk or it is not.
async fn insert(disk: &mut Disk, rows: &[Row]) -> Result<(), sqlx::Error> {
    let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO call_records (");
    insert.push(row::COLUMNS).push(") ");
    insert.push_values(rows, |separated, row| row.bind(separated));
    insert.push(" ON CONFLICT (call) DO NOTHING");
    insert.build().persistent(rows.len() <= READY).execute(disk.connection().await?).await?;
    Ok(())
}

async fn delete(disk: &mut Disk, calls: &[CallId]) -> Result<(), sqlx::Error> {
    let mut delete = QueryBuilder::<Sqlite>::new("DELETE FROM call_records WHERE call IN (");
    let mut names = delete.separated(", ");
    for call in calls {
        names.push_bind(call.to_string());
    }
    delete.push(")");
    delete.build().persistent(false).execute(disk.connection().await?).await?;
    Ok(())
}
