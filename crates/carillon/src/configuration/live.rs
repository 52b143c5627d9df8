//! Puts a changed configuration in force on this node, from the inside out: first the owners of queues and agents, then the
//! routing that leads calls to them, then whom the edge lets in.

use std::sync::Arc;

use anyhow::Context;
use carillon_acd::ids::Epoch;
use carillon_actors::{Center, Owned, Title};
use carillon_edge::Edge;
use carillon_store::config::{self, Loaded};

use super::desk::Desk;
use crate::cluster::Membership;
use crate::objects;

/// Who owns queues and agents.
pub(crate) enum Owners {
    /// This node, everything, from this epoch on.
    Here(Epoch),
    /// The nodes of a cluster, each its shards.
    Cluster(Membership),
}

/// What of a node has to know its configuration.
pub(crate) struct Live {
    pub(crate) center: Center,
    pub(crate) edge: Option<Edge>,
    pub(crate) owners: Owners,
}

impl Live {
    /// Puts a configuration in force.
    ///
    /// # Errors
    /// It cannot be used here, for instance because a sound cannot be read; then the one before stays in force. When the
    /// actors do not answer, which an overloaded node may do, it is not known how far they are.
    pub(super) async fn put_in_force(&self, loaded: Loaded, desk: &Desk) -> anyhow::Result<()> {
        let with_edge = self.edge.is_some();
        let built = desk.does(move || {
            let Loaded { center, .. } = loaded;
            let directory = with_edge.then(|| objects::directory(&center).map(Arc::new)).transpose()?;
            Ok::<_, anyhow::Error>((objects::objects(&center)?, directory, everything(&center).collect::<Vec<_>>()))
        });
        let (objects, directory, everything) = built.await??;
        match &self.owners {
            Owners::Here(epoch) => {
                let titles = everything.into_iter().map(|owned| (owned, Title::forever(*epoch))).collect();
                self.center.configure(objects, titles).await.context("the actors")?;
            }
            Owners::Cluster(membership) => membership.configure(objects, everything).await?,
        }
        if let (Some(edge), Some(directory)) = (&self.edge, directory) {
            edge.update_directory(directory);
        }
        Ok(())
    }
}

/// All queues and agents.
pub(crate) fn everything(objects: &config::Center) -> impl Iterator<Item = Owned> {
    let queues = objects.queues.iter().map(|queue| Owned::Queue(queue.id.clone()));
    queues.chain(objects.agents.iter().map(|agent| Owned::Agent(agent.id.clone())))
}
