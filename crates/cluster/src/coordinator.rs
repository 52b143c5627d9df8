//! What the cluster asks of a coordinator: a small ordered key-value store with leases, transactions and a feed of
//! changes. Three keep this contract, and one suite (`tests/cluster/conformance`) holds all of them to it: [`crate::etcd`],
//! [`crate::embedded`] and [`crate::simulated`]. What stands in the keys is [`crate::space`]'s affair.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// How many keys one transaction may write. etcd takes 128 by default; 64 leave room for what goes with them.
pub const MAX_WRITES: usize = 64;

/// How much of a feed waits for a slow reader before the coordinator is no longer read.
const FEED_AHEAD: usize = 64;

/// The coordinator's clock: each transaction that changes something gets the next number, over all keys, for ever. A
/// key's revision is that of its last change; for a shard's key it is the owner's epoch (Spec: CL-3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision(pub u64);

/// A lease: keys attached to it vanish, all at once, when nobody kept it alive for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeaseId(pub i64);

/// A key: a path of names, like `/carillon/shards/0017`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(pub String);

impl Key {
    /// The key or folder `name` below this one.
    pub fn join(&self, name: impl fmt::Display) -> Key {
        Key(format!("{}/{name}", self.0))
    }

    /// What stands behind `folder/`; `None` when the key is not below it.
    pub fn below(&self, folder: &Key) -> Option<&str> {
        self.0.strip_prefix(&folder.0)?.strip_prefix('/')
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key and what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// Its value, which the coordinator does not read.
    pub value: Bytes,
    /// When it was last written.
    pub revision: Revision,
    /// The lease it ends with; `None` when it stays until it is deleted.
    pub lease: Option<LeaseId>,
}

/// What a write requires of its key. When one of a transaction's requirements fails, none of its writes happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing: the last writer wins. When answers get lost, such a write may be done twice, and late: after a newer one
    /// of the same key. So it suits only what its writer watches and corrects.
    Anything,
    /// The key does not exist.
    Absent,
    /// Nobody has written the key since this revision.
    At(Revision),
}

/// One write of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The key; a transaction names each key once.
    pub key: Key,
    /// What it requires.
    pub expect: Expect,
    /// What it does.
    pub act: Act,
}

/// What a write does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Sets the value and the lease. A lease that has ended fails the transaction with [`Error::LeaseLost`].
    Put(Bytes, Option<LeaseId>),
    /// Removes the key; removing what does not exist is no change.
    Delete,
}

/// All keys below a folder, at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The coordinator's revision that this is true of.
    pub revision: Revision,
    /// The entries, ordered by key.
    pub entries: Vec<Entry>,
}

/// One change below a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A key has a new value.
    Put(Entry),
    /// A key is gone: deleted, or its lease has ended.
    Deleted(Key, Revision),
}

/// What a feed brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Everything below the folder: what the reader knew before is forgotten. The first news of a feed, and again when
    /// the coordinator no longer has the changes since the last (compaction, a restored backup).
    Everything(Listing),
    /// Changes since the last news, at least one, in the order in which they happened; none is missing.
    Changes(Vec<Change>),
}

/// The endless news of a folder. It survives outages: after one it goes on with the change after the last, or begins
/// anew with [`News::Everything`]. A reader that is slow delays its own feed and nobody else.
#[derive(Debug)]
pub struct Feed(mpsc::Receiver<News>);

impl Feed {
    /// A feed, and where its news goes in. The writer ends when the sender reports that the feed was dropped.
    pub fn new() -> (mpsc::Sender<News>, Feed) {
        let (sender, receiver) = mpsc::channel(FEED_AHEAD);
        (sender, Feed(receiver))
    }

    /// The next news; `None` when the coordinator is gone for good.
    pub async fn next(&mut self) -> Option<News> {
        self.0.recv().await
    }
}

/// Why the coordinator did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It could not be reached, has no majority, or did not answer in time. A write may have happened or may still
    /// happen: asking again is safe when the write requires what it replaces.
    #[error("the coordinator cannot be reached: {0}")]
    Unavailable(String),
    /// A requirement failed, so nothing was written. Holds those keys of the transaction that exist, as they are.
    #[error("{} was changed by someone else", names(.0))]
    Conflict(Vec<Entry>),
    /// The lease has ended: what was attached to it is gone.
    #[error("the lease has ended")]
    LeaseLost,
    /// It was asked for something it will never do: no permission, a wrong password or certificate, too large a value.
    #[error("the coordinator refused: {0}")]
    Refused(String),
}

fn names(entries: &[Entry]) -> String {
    match entries {
        [] => "a key that is gone".to_owned(),
        [one] => one.key.0.clone(),
        [first, rest @ ..] => format!("{} (and {} more)", first.key.0, rest.len()),
    }
}

/// An ordered key-value store with leases. Every method may be called from many tasks at once, and returns within a
/// time that the coordinator bounds.
#[async_trait]
pub trait Coordinator: Send + Sync + 'static {
    /// Opens a lease that ends `ttl` after it was last heard of. The coordinator may give more time than asked, never
    /// less; an owner counts with what it asked for.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Refused`].
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, Error>;

    /// Keeps a lease alive for its whole time, from some moment between this call and its answer.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when it has ended, [`Error::Unavailable`], [`Error::Refused`].
    async fn keep_alive(&self, lease: LeaseId) -> Result<(), Error>;

    /// Ends a lease and deletes what is attached to it. Ending what has ended is no error.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Refused`].
    async fn revoke(&self, lease: LeaseId) -> Result<(), Error>;

    /// Writes all or nothing; at most [`MAX_WRITES`]. The answer is the revision that every written key has now. When an
    /// answer is lost it may be asked again; see [`Expect::Anything`] for what that means.
    ///
    /// # Errors
    /// [`Error::Conflict`], [`Error::LeaseLost`], [`Error::Unavailable`], [`Error::Refused`].
    async fn commit(&self, writes: Vec<Write>) -> Result<Revision, Error>;

    /// Reads everything below a folder, as of now: no earlier commit that was answered is missing.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Refused`].
    async fn list(&self, folder: &Key) -> Result<Listing, Error>;

    /// Reads one key, as of now, as [`Coordinator::list`] does; `None` when it does not exist.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Refused`].
    async fn get(&self, key: &Key) -> Result<Option<Entry>, Error>;

    /// Follows a folder: everything below it, then each change. Needs a tokio runtime.
    fn follow(&self, folder: &Key) -> Feed;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_below_its_folder_and_not_below_a_folder_whose_name_begins_alike() {
        let shards = Key("/carillon/shards".into());
        assert_eq!(shards.join("0017").below(&shards), Some("0017"));
        assert_eq!(Key("/carillon/shards-2/0017".into()).below(&shards), None);
        assert_eq!(shards.below(&shards), None);
    }

    #[test]
    fn a_conflict_names_the_key() {
        let entry = Entry { key: Key("/c/queues/a".into()), value: Bytes::new(), revision: Revision(7), lease: None };
        assert_eq!(Error::Conflict(vec![entry]).to_string(), "/c/queues/a was changed by someone else");
    }
}
