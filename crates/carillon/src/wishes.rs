//! What agents want (their availability), as it was kept last: an owner that starts begins with it. A node that stands
//! alone keeps it in its store, nodes of a cluster in the coordinator, from where all of them know it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use carillon_acd::agent::SavedAvailability;
use carillon_acd::ids::AgentId;
use carillon_cluster::coordinator::{Change, Entry, Expect, Key, News};
use carillon_cluster::space::{Folder, Space};
use carillon_store::RecordWriter;
use tokio::sync::mpsc;

/// Wishes that wait for a coordinator that does not answer. People do not change their mind so often.
const UNWRITTEN: usize = 10_000;
/// The pause between two attempts to write.
const RETRY: Duration = Duration::from_secs(1);

/// All agents' wishes.
pub(crate) struct Wishes {
    known: RwLock<HashMap<AgentId, SavedAvailability>>,
    writer: RecordWriter,
    shared: OnceLock<mpsc::Sender<(AgentId, SavedAvailability)>>,
}

impl Wishes {
    /// As the store had them; changes go to its `writer`.
    pub(crate) fn new(stored: Vec<(AgentId, SavedAvailability)>, writer: RecordWriter) -> Arc<Self> {
        Arc::new(Wishes { known: RwLock::new(stored.into_iter().collect()), writer, shared: OnceLock::new() })
    }

    /// From now on changes also go to the other nodes, and theirs come here. What they know replaces what the store had.
    pub(crate) fn share(self: &Arc<Self>, space: &Space) {
        let (sender, unwritten) = mpsc::channel(UNWRITTEN);
        // It was empty: a node joins once.
        let _ = self.shared.set(sender);
        let folder = space.folder("availability");
        tokio::spawn(write(folder.clone(), unwritten));
        tokio::spawn(follow(self.clone(), folder));
    }

    /// Keeps what an agent wants from now on. Does not block.
    pub(crate) fn save(&self, agent: AgentId, wish: SavedAvailability) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(agent.clone(), wish.clone());
        if let Some(shared) = self.shared.get()
            && shared.try_send((agent.clone(), wish.clone())).is_err()
        {
            tracing::error!(%agent, "the coordinator has not been there for so long that a change is lost to other nodes");
        }
        self.writer.save_availability(agent, wish);
    }

    /// What an agent wanted last; the default for one who never said.
    pub(crate) fn of(&self, agent: &AgentId) -> SavedAvailability {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(agent).cloned().unwrap_or_default()
    }

    fn learn(&self, folder: &Key, entry: &Entry) {
        let agent = entry.key.below(folder).and_then(agent_of);
        match (agent, serde_json::from_slice(&entry.value)) {
            (Some(agent), Ok(wish)) => {
                self.known.write().unwrap_or_else(PoisonError::into_inner).insert(agent, wish);
            }
            (agent, wish) => {
                tracing::warn!(key = ?entry.key, ?agent, error = ?wish.err(), "availability cannot be read");
            }
        }
    }
}

/// `default/anna`.
fn agent_of(name: &str) -> Option<AgentId> {
    let (tenant, name) = name.split_once('/')?;
    Some(AgentId::new(tenant.parse().ok()?, name.parse().ok()?))
}

async fn write(folder: Folder, mut unwritten: mpsc::Receiver<(AgentId, SavedAvailability)>) {
    while let Some((agent, wish)) = unwritten.recv().await {
        let value = Bytes::from(serde_json::to_vec(&wish).expect("a wish has only string keys"));
        let name = format!("{}/{}", agent.tenant, agent.name);
        // In order, so that the last wish is what stays.
        while let Err(error) = folder.write(vec![(name.clone(), Expect::Anything, Some(value.clone()))]).await {
            tracing::warn!(%agent, %error, "availability not written yet");
            tokio::time::sleep(RETRY).await;
        }
    }
}

async fn follow(wishes: Arc<Wishes>, folder: Folder) {
    let mut feed = folder.follow();
    while let Some(news) = feed.next().await {
        let entries = match news {
            News::Everything(listing) => listing.entries,
            News::Changes(changes) => changes.into_iter().filter_map(put).collect(),
        };
        entries.iter().for_each(|entry| wishes.learn(folder.key(), entry));
    }
}

/// Wishes are never deleted.
fn put(change: Change) -> Option<Entry> {
    match change {
        Change::Put(entry) => Some(entry),
        Change::Deleted(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_found_by_tenant_and_name() {
        assert_eq!(agent_of("default/anna").unwrap().to_string(), "tenants/default/agents/anna");
        assert_eq!(agent_of("anna"), None);
        assert_eq!(agent_of("default/Anna"), None);
    }
}
