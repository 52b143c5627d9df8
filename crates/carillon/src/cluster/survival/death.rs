//! Whether a node has died. A node that merely does not answer is waited for until the coordinator has given it up; but
//! nobody listens where a dead process did, and a node that comes back with another boot is another process.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use carillon_acd::ids::NodeId;
use tokio::task::AbortHandle;

use super::{Estate, Links, lock};

/// The pauses between two looks at a node whose link has broken: a dying process closes its sockets one after the other.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long one look may take.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct Deaths {
    nodes: HashMap<NodeId, Known>,
}

#[derive(Default)]
struct Known {
    /// Of its last link; 0 before the first.
    boot: u32,
    dead: bool,
    /// Its link is broken, and somebody looks whether it listens.
    looking: Option<AbortHandle>,
}

impl Drop for Known {
    fn drop(&mut self) {
        self.looking.iter().for_each(AbortHandle::abort);
    }
}

impl Estate {
    /// The link to a node is up.
    pub(in crate::cluster) fn link_up(&self, node: NodeId, boot: u32) {
        let before = lock(&self.0.deaths).nodes.insert(node, Known { boot, dead: false, looking: None });
        if before.is_some_and(|before| before.boot != boot && before.boot != 0 && !before.dead) {
            tracing::warn!(node = node.0, "the node is another process");
            self.died(node);
        }
        self.greet(node);
    }

    /// It has broken. `addr` is where the node listens.
    pub(in crate::cluster) fn link_down(&self, node: NodeId, addr: Option<SocketAddr>) {
        let Some(addr) = addr else { return };
        let estate = self.clone();
        // It begins to work before the first link is up.
        let Some(links) = self.0.parts.get().map(|parts| parts.links.clone()) else { return };
        let looking = tokio::spawn(async move {
            refuses(&links, addr).await;
            tracing::warn!(node = node.0, %addr, "nobody listens there any more: the node is dead");
            estate.is_dead(node);
        });
        let looking = looking.abort_handle();
        let mut deaths = lock(&self.0.deaths);
        let known = deaths.nodes.entry(node).or_default();
        if known.dead {
            looking.abort();
        } else {
            known.looking.replace(looking).inspect(AbortHandle::abort);
        }
    }

    /// The coordinator has given a node up, and there is no link to it; or its process is known to be dead.
    pub(in crate::cluster) fn is_dead(&self, node: NodeId) {
        let mut deaths = lock(&self.0.deaths);
        let known = deaths.nodes.entry(node).or_default();
        let news = !std::mem::replace(&mut known.dead, true);
        known.looking.take().inspect(AbortHandle::abort);
        drop(deaths);
        if news {
            self.died(node);
        }
    }
}

/// Returns when a connection is refused: the machine lives, and the process does not.
async fn refuses(links: &Links, addr: SocketAddr) {
    let mut pause = FIRST_PAUSE;
    loop {
        let looked = tokio::time::timeout(PATIENCE, links.connect(addr)).await;
        if let Ok(Err(error)) = &looked
            && error.kind() == ErrorKind::ConnectionRefused
        {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
