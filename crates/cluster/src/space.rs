//! What stands in the coordinator's keys, and the transactions that write them.
//!
//! ```text
//! PREFIX/cluster/nodes/7       a node, on its lease                     -+
//! PREFIX/cluster/shards/0017   a shard's owner, on the owner's lease     | one feed, so what it brings
//! PREFIX/cluster/roster/7      a node that has stood and not left        | is in one order
//! PREFIX/cluster/drain/7       a node that is to drain                   |
//! PREFIX/cluster/era           what makes epochs of revisions           -+
//! PREFIX/FOLDER/...            configuration objects, availability: see `Folder`
//! ```

use std::sync::Arc;

use bytes::Bytes;
use carillon_acd::ids::{Epoch, NodeId};

use crate::coordinator::{Act, Coordinator, Entry, Error, Expect, Feed, Key, LeaseId, Listing, Revision, Write};
use crate::member::Node;
use crate::ownership::{ClaimAnswer, Tenure};
use crate::picture::{ERA, Era};
use crate::shard::Shard;

/// Where everything of a cluster stands in the coordinator unless its configuration says otherwise.
pub const PREFIX: &str = "/carillon";

/// A cluster's part of a coordinator.
#[derive(Clone)]
pub struct Space {
    coordinator: Arc<dyn Coordinator>,
    prefix: Key,
}

impl std::fmt::Debug for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Space").field(&self.prefix).finish()
    }
}

impl Space {
    /// The part below `prefix`, usually [`PREFIX`].
    pub fn new(coordinator: Arc<dyn Coordinator>, prefix: &str) -> Self {
        Space { coordinator, prefix: Key(prefix.trim_end_matches('/').to_owned()) }
    }

    /// The coordinator itself, for leases.
    pub fn coordinator(&self) -> &dyn Coordinator {
        &*self.coordinator
    }

    /// A folder beside the cluster's own keys, like `objects`.
    pub fn folder(&self, name: &str) -> Folder {
        Folder { coordinator: Arc::clone(&self.coordinator), key: self.prefix.join(name) }
    }

    /// The folder of all keys that concern nodes and shards.
    pub(crate) fn cluster(&self) -> Key {
        self.prefix.join("cluster")
    }

    /// Follows nodes and shards.
    pub(crate) fn follow(&self) -> Feed {
        self.coordinator.follow(&self.cluster())
    }

    /// Everything about nodes and shards, as of now: for `carillon nodes` and `carillon owners`.
    ///
    /// # Errors
    /// Those of [`Coordinator::list`].
    pub async fn list(&self) -> Result<crate::picture::Picture, Error> {
        let listing = self.coordinator.list(&self.cluster()).await?;
        Ok(crate::picture::Picture::of(&self.cluster(), listing))
    }

    /// Writes a node's entry on its lease. While an earlier run's entry is there, or another node has this number, it
    /// is a conflict.
    pub(crate) async fn register(&self, lease: LeaseId, node: &Node) -> Result<(), Error> {
        self.coordinator.commit(vec![self.entry(lease, node, Expect::Absent)]).await.map(drop)
    }

    /// Brings a node's entry up to date; one that stands is on the roster from then on.
    pub(crate) async fn record(&self, lease: LeaseId, node: &Node) -> Result<(), Error> {
        let mut writes = vec![self.entry(lease, node, Expect::Anything)];
        if node.standing {
            let key = self.cluster().join("roster").join(node.id.0);
            writes.push(Write { key, expect: Expect::Anything, act: Act::Put(Bytes::new(), None) });
        }
        self.coordinator.commit(writes).await.map(drop)
    }

    /// Takes a node off the roster: it has left, or will never come back.
    ///
    /// # Errors
    /// Those of [`Coordinator::commit`].
    pub async fn forget(&self, node: NodeId) -> Result<(), Error> {
        self.set("roster", node, false).await
    }

    /// Tells a node to drain, or to take part again. It holds across restarts of the node.
    ///
    /// # Errors
    /// Those of [`Coordinator::commit`]; a conflict when somebody else does the same at this moment.
    pub async fn drain(&self, node: NodeId, wanted: bool) -> Result<(), Error> {
        self.set("drain", node, wanted).await
    }

    /// Sets or removes a mark of a node, as it is now: a late repetition of an older wish changes nothing.
    async fn set(&self, folder: &str, node: NodeId, there: bool) -> Result<(), Error> {
        let folder = self.cluster().join(folder);
        let key = folder.join(node.0);
        let marks = self.coordinator.list(&folder).await?.entries;
        let (expect, act) = match (marks.iter().find(|mark| mark.key == key), there) {
            (None, true) => (Expect::Absent, Act::Put(Bytes::new(), None)),
            (Some(mark), false) => (Expect::At(mark.revision), Act::Delete),
            (Some(_), true) | (None, false) => return Ok(()),
        };
        self.coordinator.commit(vec![Write { key, expect, act }]).await.map(drop)
    }

    /// Begins a new era: see [`crate::picture`]. While somebody else has begun one it is a conflict.
    pub(crate) async fn begin_era(&self, before: Era, begins: u64) -> Result<(), Error> {
        let expect = before.written.map_or(Expect::Absent, Expect::At);
        let act = Act::Put(begins.to_string().into(), None);
        self.coordinator.commit(vec![Write { key: self.cluster().join(ERA), expect, act }]).await.map(drop)
    }

    /// Writes shards' keys for `owner`, each only if it is as given.
    pub(crate) async fn claim(
        &self,
        era: Era,
        lease: LeaseId,
        owner: NodeId,
        shards: &[(Shard, Option<Epoch>)],
    ) -> ClaimAnswer {
        let value = Bytes::from(owner.0.to_string());
        let writes = shards.iter().map(|(shard, epoch)| Write {
            key: self.cluster().join("shards").join(shard),
            expect: epoch.map_or(Expect::Absent, |epoch| Expect::At(era.revision(epoch))),
            act: Act::Put(value.clone(), Some(lease)),
        });
        match self.coordinator.commit(writes.collect()).await {
            Ok(_) => ClaimAnswer::Done,
            Err(Error::Conflict(_)) => ClaimAnswer::Conflict,
            Err(Error::LeaseLost) => ClaimAnswer::LeaseLost,
            Err(error @ (Error::Unavailable(_) | Error::Refused(_))) => {
                tracing::warn!(%error, node = owner.0, shards = shards.len(), "shards not claimed");
                ClaimAnswer::Unknown
            }
        }
    }

    /// Writes shards' keys for another node, on its lease, if these epochs still stand.
    pub(crate) async fn hand_over(&self, era: Era, lease: LeaseId, to: NodeId, tenures: &[Tenure]) -> ClaimAnswer {
        let shards: Vec<_> = tenures.iter().map(|tenure| (tenure.shard, Some(tenure.epoch))).collect();
        self.claim(era, lease, to, &shards).await
    }

    fn entry(&self, lease: LeaseId, node: &Node, expect: Expect) -> Write {
        let value = serde_json::to_vec(node).expect("a node has only string keys");
        let key = self.cluster().join("nodes").join(node.id.0);
        Write { key, expect, act: Act::Put(value.into(), Some(lease)) }
    }
}

/// A folder of values by name, followed by all nodes: configuration objects, agents' availability. The names and the
/// values' form are the caller's.
#[derive(Clone)]
pub struct Folder {
    coordinator: Arc<dyn Coordinator>,
    key: Key,
}

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Folder").field(&self.key).finish()
    }
}

/// A change that is wanted in a folder: a name, what it must be now, and the new value (`None`: none).
pub type Wanted = (String, Expect, Option<Bytes>);

impl Folder {
    /// The key of this folder; [`Key::below`] gives the names of what its feed brings.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Writes all or nothing, at most [`crate::coordinator::MAX_WRITES`]; the revision that all of it has.
    ///
    /// # Errors
    /// Those of [`Coordinator::commit`].
    pub async fn write(&self, changes: Vec<Wanted>) -> Result<Revision, Error> {
        let write = |(name, expect, value): Wanted| Write {
            key: self.key.join(name),
            expect,
            act: value.map_or(Act::Delete, |value| Act::Put(value, None)),
        };
        self.coordinator.commit(changes.into_iter().map(write).collect()).await
    }

    /// Everything in the folder.
    ///
    /// # Errors
    /// Those of [`Coordinator::list`].
    pub async fn list(&self) -> Result<Listing, Error> {
        self.coordinator.list(&self.key).await
    }

    /// What stands in one name of the folder.
    ///
    /// # Errors
    /// Those of [`Coordinator::get`].
    pub async fn get(&self, name: &str) -> Result<Option<Entry>, Error> {
        self.coordinator.get(&self.key.join(name)).await
    }

    /// Everything in the folder, then each change.
    pub fn follow(&self) -> Feed {
        self.coordinator.follow(&self.key)
    }
}
