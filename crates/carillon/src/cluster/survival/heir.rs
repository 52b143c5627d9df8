//! What this node keeps of other edges' calls, to go on with them should those die.

use std::collections::HashMap;

use carillon_acd::ids::{CallId, NodeId};
use carillon_rpc::cluster::{Legacy, size, wire};
use tokio::time::Instant;

/// Calls that are kept at most, and their bytes. More are lost with their edge.
const MOST: usize = 50_000;
const MOST_BYTES: usize = 256 << 20;

/// See the module.
#[derive(Default)]
pub(super) struct Heir {
    kept: HashMap<CallId, Kept>,
    bytes: usize,
}

struct Kept {
    /// The edge that has the call.
    origin: NodeId,
    /// It has died, and the heir before this one has not taken the call over yet.
    orphaned: bool,
    /// The heir before this one, if it lives.
    before: Option<NodeId>,
    /// As it came: hardly any is ever read.
    checkpoint: wire::Checkpoint,
    received: Instant,
}

impl Kept {
    fn legacy(self) -> Option<Legacy> {
        let legacy = Legacy::from_wire(self.checkpoint)?;
        Some(Legacy { age: legacy.age + self.received.elapsed(), ..legacy })
    }
}

impl Heir {
    /// Keeps what an edge says of its calls; gives back those that it hands over now.
    pub(super) fn keep(&mut self, origin: NodeId, it: wire::Checkpoints) -> Vec<Legacy> {
        if it.anew {
            let theirs = self.kept.iter().filter(|(_, kept)| kept.origin == origin).map(|(call, _)| *call);
            theirs.collect::<Vec<_>>().into_iter().for_each(|call| drop(self.remove(call)));
        }
        for call in it.ended.into_iter().map(CallId::from) {
            if self.kept.get(&call).is_some_and(|kept| kept.origin == origin) {
                self.remove(call);
            }
        }
        let mut now = Vec::new();
        for checkpoint in it.calls {
            let Some(call) = checkpoint.call.map(CallId::from) else { continue };
            self.remove(call);
            let (before, handed_over) = (checkpoint.before.map(NodeId), checkpoint.now);
            let kept = Kept { origin, orphaned: false, before, checkpoint, received: Instant::now() };
            let bytes = size(&kept.checkpoint);
            if handed_over {
                now.extend(kept.legacy());
            } else if self.kept.len() < MOST && self.bytes + bytes <= MOST_BYTES {
                self.bytes += bytes;
                self.kept.insert(call, kept);
            } else {
                tracing::warn!(call_id = %call, node = origin.0, "no room for what another edge wants kept");
            }
        }
        now
    }

    /// Another edge goes on with a call: from now on it says itself what it needs.
    pub(super) fn was_taken(&mut self, call: CallId, by: NodeId) {
        if self.kept.get(&call).is_some_and(|kept| kept.origin != by) {
            self.remove(call);
        }
    }

    /// A node has died, be it as an edge or as an heir. The calls that are this node's now.
    pub(super) fn dies(&mut self, node: NodeId) -> Vec<Legacy> {
        for kept in self.kept.values_mut() {
            kept.orphaned |= kept.origin == node;
            kept.before = kept.before.filter(|before| *before != node);
        }
        let ours = |kept: &Kept| kept.orphaned && kept.before.is_none();
        let calls: Vec<CallId> = self.kept.iter().filter(|(_, kept)| ours(kept)).map(|(call, _)| *call).collect();
        calls.into_iter().filter_map(|call| self.inherit(call)).collect()
    }

    fn inherit(&mut self, call: CallId) -> Option<Legacy> {
        let legacy = self.remove(call)?.legacy();
        if legacy.is_none() {
            tracing::error!(call_id = %call, "a call is lost: what its edge has left cannot be read");
        }
        legacy
    }

    fn remove(&mut self, call: CallId) -> Option<Kept> {
        let kept = self.kept.remove(&call)?;
        self.bytes -= size(&kept.checkpoint);
        Some(kept)
    }
}
