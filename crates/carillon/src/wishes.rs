//! What agents want (their availability), as it was kept last: an owner that starts begins with it. A node that stands
//! alone keeps it in its store, nodes of a cluster in the coordinator, from where all of them know it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use carillon_acd::agent::SavedAvailability;
use carillon_acd::ids::AgentId;
use carillon_cluster::coordinator::{Change, Entry, Error, Expect, Key, News};
use carillon_cluster::space::{Folder, Space};
use carillon_store::RecordWriter;
use tokio::sync::mpsc;

/// Wishes that wait for a coordinator that does not answer. People do not change their mind so often, but one that has
/// forgotten everything hears those of all agents.
const UNWRITTEN: usize = 30_000;
/// The pause between two attempts to write.
const RETRY: Duration = Duration::from_secs(1);

/// All agents' wishes.
pub(crate) struct Wishes {
    known: RwLock<HashMap<AgentId, SavedAvailability>>,
    writer: RecordWriter,
    shared: OnceLock<mpsc::Sender<Unwritten>>,
}

/// A wish for the coordinator, and what must be there before.
type Unwritten = (AgentId, SavedAvailability, Expect);

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
        self.tell(&agent, &wish, Expect::Anything);
        self.writer.save_availability(agent, wish);
    }

    fn tell(&self, agent: &AgentId, wish: &SavedAvailability, expect: Expect) {
        if let Some(shared) = self.shared.get()
            && shared.try_send((agent.clone(), wish.clone(), expect)).is_err()
        {
            tracing::error!(%agent, "the coordinator has not been there for so long that a change is lost to other nodes");
        }
    }

    /// The coordinator was set up anew, or from an older backup: it hears what it has forgotten.
    fn tell_again(&self, folder: &Key, entries: &[Entry]) {
        let told = entries.iter().filter_map(|entry| entry.key.below(folder).and_then(agent_of));
        let told: HashSet<AgentId> = told.collect();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let forgotten = known.iter().filter(|(agent, _)| !told.contains(*agent));
        forgotten.for_each(|(agent, wish)| self.tell(agent, wish, Expect::Absent));
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

async fn write(folder: Folder, mut unwritten: mpsc::Receiver<Unwritten>) {
    while let Some((agent, wish, expect)) = unwritten.recv().await {
        let value = Bytes::from(serde_json::to_vec(&wish).expect("a wish has only string keys"));
        let name = format!("{}/{}", agent.tenant, agent.name);
        // In order, so that the last wish is what stays.
        loop {
            match folder.write(vec![(name.clone(), expect, Some(value.clone()))]).await {
                // What is there already is newer, or the same from another node.
                Ok(_) | Err(Error::Conflict(_)) => break,
                Err(error @ (Error::Unavailable(_) | Error::LeaseLost | Error::Refused(_))) => {
                    tracing::warn!(%agent, %error, "availability not written yet");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

async fn follow(wishes: Arc<Wishes>, folder: Folder) {
    let (mut feed, mut began) = (folder.follow(), false);
    while let Some(news) = feed.next().await {
        let entries = match news {
            News::Everything(listing) => {
                if std::mem::replace(&mut began, true) {
                    wishes.tell_again(folder.key(), &listing.entries);
                }
                listing.entries
            }
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
    use carillon_acd::ids::NodeId;
    use carillon_acd::view::Availability;
    use carillon_cluster::simulated::Simulated;
    use carillon_cluster::space::PREFIX;
    use carillon_store::Store;

    use super::*;

    fn agent(name: &str) -> AgentId {
        AgentId::new("default".parse().unwrap(), name.parse().unwrap())
    }

    /// Until the coordinator holds so many wishes.
    async fn holds(folder: &Folder, feed: &mut carillon_cluster::coordinator::Feed, count: usize) {
        while folder.list().await.unwrap().entries.len() != count {
            feed.next().await.unwrap();
        }
    }

    // spec: CL-5
    #[tokio::test]
    async fn cl_5_a_coordinator_that_was_set_up_anew_hears_all_wishes_again() {
        let simulated = Simulated::new(3);
        let space = |node| Space::new(Arc::new(simulated.reached_by(NodeId(node))), PREFIX);
        let store = Store::open(None).await.unwrap();
        let wishes = Wishes::new(Vec::new(), store.writer());
        let on_break = SavedAvailability { availability: Availability::OnBreak, ..SavedAvailability::default() };
        wishes.share(&space(1));
        let folder = space(2).folder("availability");
        let mut feed = folder.follow();
        let by_other = serde_json::to_vec(&on_break).unwrap();
        folder.write(vec![("default/bob".to_owned(), Expect::Absent, Some(by_other.into()))]).await.unwrap();
        while wishes.of(&agent("bob")) != on_break {
            tokio::task::yield_now().await;
        }
        wishes.save(agent("anna"), on_break);
        holds(&folder, &mut feed, 2).await;
        simulated.begin_anew();
        let again = holds(&folder, &mut feed, 2);
        tokio::time::timeout(Duration::from_secs(10), again).await.expect("both are there again");
    }

    #[test]
    fn an_agent_is_found_by_tenant_and_name() {
        assert_eq!(agent_of("default/anna").unwrap().to_string(), "tenants/default/agents/anna");
        assert_eq!(agent_of("anna"), None);
        assert_eq!(agent_of("default/Anna"), None);
    }
}
