//! What the actors need of other rooms, as functions: `carillon` connects them to the edge and the store, tests to lists.

use std::sync::Arc;

use carillon_acd::agent::SavedAvailability;
use carillon_acd::call::Checkpoint;
use carillon_acd::ids::{AgentId, CallId, LegId};
use carillon_acd::leg::LegCommand;
use carillon_acd::record::Record;
use carillon_acd::stats::Period;
use carillon_rpc::cluster::Message;

/// The ways out. None of them may block.
#[derive(Clone)]
pub struct Ports {
    /// Performs a command on a leg.
    pub leg: Arc<dyn Fn(LegId, LegCommand) + Send + Sync>,
    /// Ends every leg of a call whose actor has failed.
    pub abandon: Arc<dyn Fn(CallId) + Send + Sync>,
    /// Sends a message to the node on which a call lives, or which owns an agent or a queue. It may be lost on the way, as
    /// any message may.
    pub elsewhere: Arc<dyn Fn(Message) + Send + Sync>,
    /// What another edge needs to go on with a call has changed. `None`: there is no other edge.
    pub checkpoint: Option<Arc<dyn Fn(CallId, Survival) + Send + Sync>>,
    /// Whether calls may act by themselves, without being told anything: not right after a sleep of the process, when other
    /// edges may have taken them over and have not said so yet.
    pub awake: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Reports the devices of an agent whose new owner knows none of them.
    pub announce: Arc<dyn Fn(&AgentId) + Send + Sync>,
    /// Keeps the record of a call that is over.
    pub record: Arc<dyn Fn(Record) + Send + Sync>,
    /// Keeps what an agent spent his time on, for statistics.
    pub note: Arc<dyn Fn(Period) + Send + Sync>,
    /// Keeps what an agent wants across restarts.
    pub save: Arc<dyn Fn(AgentId, SavedAvailability) + Send + Sync>,
    /// What was kept of an agent last.
    pub saved: Arc<dyn Fn(&AgentId) -> SavedAvailability + Send + Sync>,
}

/// What becomes of a call should its edge die.
#[derive(Clone, Debug)]
pub enum Survival {
    /// Another edge can go on with it, and needs this.
    Needs(Box<Checkpoint>),
    /// It is lost: nobody could go on with what it does now.
    Lost,
    /// Nothing: it has ended.
    Over,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ports")
    }
}
