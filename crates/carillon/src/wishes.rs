//! What agents want (their availability), as it was kept last: an owner that starts begins with it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use carillon_acd::agent::SavedAvailability;
use carillon_acd::ids::AgentId;
use carillon_store::RecordWriter;

/// All agents' wishes.
pub(crate) struct Wishes {
    known: RwLock<HashMap<AgentId, SavedAvailability>>,
    writer: RecordWriter,
}

impl Wishes {
    /// As the store had them; changes go to its `writer`.
    pub(crate) fn new(stored: Vec<(AgentId, SavedAvailability)>, writer: RecordWriter) -> Arc<Self> {
        Arc::new(Wishes { known: RwLock::new(stored.into_iter().collect()), writer })
    }

    /// Keeps what an agent wants from now on. Does not block.
    pub(crate) fn save(&self, agent: AgentId, wish: SavedAvailability) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(agent.clone(), wish.clone());
        self.writer.save_availability(agent, wish);
    }

    /// What an agent wanted last; the default for one who never said.
    pub(crate) fn of(&self, agent: &AgentId) -> SavedAvailability {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(agent).cloned().unwrap_or_default()
    }
}
