//! What this node keeps of other edges' calls, to go on with them should those die.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use carillon_acd::ids::{CallId, NodeId};
use carillon_rpc::cluster::{Bequest, size, wire};
use tokio::time::Instant;

/// Calls that are kept at most, and their bytes. More are lost with their edge.
const MOST: usize = 50_000;
const MOST_BYTES: usize = 256 << 20;
/// So long the first heir of a call may take to say that it has it. It may never have heard of the call, or not know yet that
/// the edge is dead; should both take it, the nodes agree on one.
const CLAIM: Duration = Duration::from_millis(1_500);

/// See the module.
#[derive(Default)]
pub(super) struct Heir {
    kept: HashMap<CallId, Kept>,
    bytes: usize,
    /// Calls that another heir should have taken by then, in order of time.
    unclaimed: VecDeque<(Instant, CallId)>,
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

/// What this node goes on with.
#[derive(Debug, PartialEq)]
pub(super) struct Inherited {
    /// The edge that had it.
    pub(super) from: NodeId,
    pub(super) what: Bequest,
}

impl Kept {
    fn open(self, now: Instant) -> Option<Inherited> {
        let mut what = Bequest::from_wire(self.checkpoint)?;
        if let Bequest::Living(legacy) = &mut what {
            legacy.age += now.saturating_duration_since(self.received);
        }
        Some(Inherited { from: self.origin, what })
    }
}

impl Heir {
    /// Keeps what an edge says of its calls; gives back those that it hands over now.
    pub(super) fn keep(&mut self, now: Instant, origin: NodeId, it: wire::Checkpoints) -> Vec<Inherited> {
        if it.anew {
            let theirs = self.kept.iter().filter(|(_, kept)| kept.origin == origin).map(|(call, _)| *call);
            theirs.collect::<Vec<_>>().into_iter().for_each(|call| drop(self.remove(call)));
        }
        for call in it.ended.into_iter().map(CallId::from) {
            if self.kept.get(&call).is_some_and(|kept| kept.origin == origin) {
                self.remove(call);
            }
        }
        let mut handed_over = Vec::new();
        for checkpoint in it.calls {
            let Some(call) = checkpoint.call.map(CallId::from) else { continue };
            self.remove(call);
            let (before, at_once) = (checkpoint.before.map(NodeId), checkpoint.now);
            let kept = Kept { origin, orphaned: false, before, checkpoint, received: now };
            let bytes = size(&kept.checkpoint);
            if at_once {
                handed_over.extend(kept.open(now));
            } else if self.kept.len() < MOST && self.bytes + bytes <= MOST_BYTES {
                self.bytes += bytes;
                self.kept.insert(call, kept);
            } else {
                tracing::warn!(call_id = %call, node = origin.0, "no room for what another edge wants kept");
            }
        }
        handed_over
    }

    /// Another node goes on with a call, and says itself what it needs from now on; or has written its record.
    pub(super) fn was_taken(&mut self, call: CallId, by: NodeId) {
        if self.kept.get(&call).is_some_and(|kept| kept.origin != by) {
            self.remove(call);
        }
    }

    /// A node has died, be it as an edge or as an heir. What is this node's now.
    pub(super) fn dies(&mut self, now: Instant, node: NodeId) -> Vec<Inherited> {
        let mut ours = Vec::new();
        for (call, kept) in &mut self.kept {
            let news = kept.origin == node && !std::mem::replace(&mut kept.orphaned, true);
            kept.before = kept.before.filter(|before| *before != node);
            if kept.orphaned && kept.before.is_none() {
                ours.push(*call);
            } else if news {
                self.unclaimed.push_back((now + CLAIM, *call));
            }
        }
        ours.into_iter().filter_map(|call| self.inherit(now, call)).collect()
    }

    /// What the heirs before this one had time enough to take over, and have not.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Inherited> {
        let mut overdue = Vec::new();
        while let Some((_, call)) = self.unclaimed.pop_front_if(|(until, _)| *until <= now) {
            if self.kept.get(&call).is_some_and(|kept| kept.orphaned) {
                tracing::warn!(call_id = %call, "the first heir of a call has not taken it over");
                overdue.extend(self.inherit(now, call));
            }
        }
        overdue
    }

    fn inherit(&mut self, now: Instant, call: CallId) -> Option<Inherited> {
        let inherited = self.remove(call)?.open(now);
        if inherited.is_none() {
            tracing::error!(call_id = %call, "a call is lost: what its edge has left cannot be read");
        }
        inherited
    }

    fn remove(&mut self, call: CallId) -> Option<Kept> {
        let kept = self.kept.remove(&call)?;
        self.bytes -= size(&kept.checkpoint);
        Some(kept)
    }
}

#[cfg(test)]
#[path = "heir_tests.rs"]
pub(super) mod tests;
