//! What is known of one other node, over all the links to it: what they carried, and why there is none.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use carillon_acd::ids::NodeId;

/// What the links of a node have done since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// The other nodes, by number. One that is registered no more and has no link is not among them.
    pub peers: Vec<PeerStats>,
    /// Envelopes for nodes that are not known here at all.
    pub unaddressed: u64,
    /// Connections that were refused before a node introduced itself: without TLS where it is asked for, with it where it
    /// is not, with a certificate of somebody else, or silent.
    pub strangers: u64,
}

/// What the links to one node have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStats {
    /// The node.
    pub node: NodeId,
    /// The version of the messages that its link speaks; `None` when there is no link.
    pub version: Option<u32>,
    /// Why there is no link, as far as this node knows: it dials only nodes with higher numbers.
    pub trouble: Option<String>,
    /// How often a link came up: once, and again after each time that it broke.
    pub opened: u64,
    /// Envelopes taken for sending.
    pub sent: u64,
    /// Envelopes received.
    pub received: u64,
    /// Envelopes refused because the link's queue was full.
    pub refused: u64,
    /// Envelopes refused because they were too large for any link.
    pub oversized: u64,
    /// Envelopes for which there was no link.
    pub unlinked: u64,
    /// Envelopes received that this version does not understand.
    pub unknown: u64,
    /// Connections that the link has beside its first, for times in which packets are lost.
    pub further: usize,
    /// Whether everything is sent over all of them at this moment.
    pub doubling: bool,
    /// Envelopes sent once more, over a further connection.
    pub doubled: u64,
    /// Envelopes dropped because another connection had brought them before.
    pub doubles: u64,
    /// Bytes of the envelopes handed to the link's connection, without what gRPC and TLS add.
    pub bytes_sent: u64,
    /// Bytes of the envelopes received, counted alike.
    pub bytes_received: u64,
    /// Envelopes that wait for the link at this moment, of 8,192.
    pub waiting: usize,
    /// Their bytes, of 64 MiB.
    pub waiting_bytes: usize,
}

#[derive(Default)]
pub(super) struct Peer {
    pub(super) opened: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) oversized: AtomicU64,
    pub(super) unlinked: AtomicU64,
    pub(super) unknown: AtomicU64,
    pub(super) doubled: AtomicU64,
    pub(super) doubles: AtomicU64,
    pub(super) bytes_sent: AtomicU64,
    pub(super) bytes_received: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl Peer {
    /// Says why there is no link, once for each reason: it is tried again and again.
    pub(super) fn complain(&self, node: NodeId, trouble: Option<String>) {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = trouble.as_ref().filter(|reason| known.as_ref() != Some(*reason)) {
            tracing::warn!(node = node.0, reason, "no link");
        }
        *known = trouble;
    }

    /// Everything but what the link at this moment knows.
    pub(super) fn stats(&self, node: NodeId) -> PeerStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PeerStats {
            node,
            version: None,
            trouble: self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            opened: count(&self.opened),
            sent: count(&self.sent),
            received: count(&self.received),
            refused: count(&self.refused),
            oversized: count(&self.oversized),
            unlinked: count(&self.unlinked),
            unknown: count(&self.unknown),
            further: 0,
            doubling: false,
            doubled: count(&self.doubled),
            doubles: count(&self.doubles),
            bytes_sent: count(&self.bytes_sent),
            bytes_received: count(&self.bytes_received),
            waiting: 0,
            waiting_bytes: 0,
        }
    }
}

pub(super) fn add(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}
