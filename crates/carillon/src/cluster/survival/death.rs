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

impl Deaths {
    /// A link to a node is up. Whether the process that was there is dead, and nobody knew.
    fn linked(&mut self, node: NodeId, boot: u32) -> bool {
        let before = self.nodes.insert(node, Known { boot, dead: false, looking: None });
        before.is_some_and(|before| before.boot != boot && before.boot != 0 && !before.dead)
    }

    /// Somebody looks whether the node listens, unless it is dead.
    fn looks(&mut self, node: NodeId, looking: AbortHandle) {
        let known = self.nodes.entry(node).or_default();
        if known.dead {
            looking.abort();
        } else {
            known.looking.replace(looking).inspect(AbortHandle::abort);
        }
    }

    /// Whether that is news.
    fn is_dead(&mut self, node: NodeId) -> bool {
        let known = self.nodes.entry(node).or_default();
        known.looking.take().inspect(AbortHandle::abort);
        !std::mem::replace(&mut known.dead, true)
    }
}

impl Estate {
    /// The link to a node is up.
    pub(in crate::cluster) fn link_up(&self, node: NodeId, boot: u32) {
        let another = lock(&self.0.deaths).linked(node, boot);
        if another {
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
        lock(&self.0.deaths).looks(node, looking.abort_handle());
    }

    /// The coordinator has given a node up, and there is no link to it; or its process is known to be dead.
    pub(in crate::cluster) fn is_dead(&self, node: NodeId) {
        let news = lock(&self.0.deaths).is_dead(node);
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

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(1);

    // spec: CL-4
    #[test]
    fn cl_4_a_node_dies_once_however_it_is_noticed() {
        let mut deaths = Deaths::default();
        assert!(!deaths.linked(NODE, 7), "the first link");
        assert!(!deaths.linked(NODE, 7), "the same process over another link");
        assert!(deaths.linked(NODE, 8), "another process");
        assert!(deaths.is_dead(NODE) && !deaths.is_dead(NODE));
        assert!(!deaths.linked(NODE, 9), "it was known to be dead");
        assert!(deaths.is_dead(NODE));
    }

    #[test]
    fn a_node_that_never_had_a_link_was_no_other_process() {
        let mut deaths = Deaths::default();
        assert!(deaths.is_dead(NODE) && !deaths.linked(NODE, 7) && deaths.linked(NODE, 8));
    }

    // A node is looked at by one task, and by none that is dead or linked again.
    #[tokio::test]
    async fn looking_ends_when_it_is_known() {
        let mut deaths = Deaths::default();
        let look = || tokio::spawn(std::future::pending::<()>());
        let [first, second, late] = [look(), look(), look()];
        deaths.looks(NODE, first.abort_handle());
        deaths.looks(NODE, second.abort_handle());
        assert!(first.await.unwrap_err().is_cancelled());
        deaths.is_dead(NODE);
        assert!(second.await.unwrap_err().is_cancelled());
        deaths.looks(NODE, late.abort_handle());
        assert!(late.await.unwrap_err().is_cancelled());
        let next = look();
        deaths.linked(NODE, 7);
        deaths.looks(NODE, next.abort_handle());
        deaths.linked(NODE, 7);
        assert!(next.await.unwrap_err().is_cancelled());
    }
}
