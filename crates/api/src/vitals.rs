//! How a node is, for those who watch over it: whether calls should come to it, and its metrics.

use carillon_actors::InProgress;
use carillon_rpc::{time, v1};

use crate::config::InForce;

/// How the node is. Asked often; answers at once or, for the metrics, within about a second.
#[tonic::async_trait]
pub trait Vitals: Send + Sync + 'static {
    /// Why no new calls should come to it, in words; empty when it is ready for them.
    fn obstacles(&self) -> Vec<String>;

    /// Its calls that are not over.
    fn in_progress(&self) -> InProgress;

    /// What of the configuration is in force on it.
    fn in_force(&self) -> InForce;

    /// Its metrics, in the text form of OpenMetrics 1.0.
    async fn metrics(&self) -> String;
}

impl dyn Vitals {
    /// What the node says of itself.
    pub(crate) fn state(&self) -> v1::NodeState {
        let InProgress { calls, oldest } = self.in_progress();
        v1::NodeState {
            calls: u32::try_from(calls).unwrap_or(u32::MAX),
            oldest_call: oldest.map(time::duration),
            obstacles: self.obstacles(),
            configuration: Some(self.in_force().into()),
        }
    }
}
