//! The calls that this node has taken over from other edges. A node whose link comes up is told all of them: it may be the one
//! that had them, and was only asleep.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use carillon_acd::ids::CallId;
use carillon_acd::whereabouts::Taken;
use carillon_rpc::cluster::wire;
use tokio::time::Instant;

use super::taken_to_wire;

/// So long after its end a call is still told of.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Calls that have ended and are still told of, at most.
const MOST: usize = 20_000;

#[derive(Default)]
pub(super) struct TakenHere {
    living: HashMap<CallId, Taken>,
    ended: VecDeque<(Instant, Taken)>,
}

impl TakenHere {
    pub(super) fn add(&mut self, taken: &[Taken]) {
        self.living.extend(taken.iter().map(|taken| (taken.call, *taken)));
    }

    /// `true` when it was one of them.
    pub(super) fn ends(&mut self, call: CallId) -> bool {
        let Some(taken) = self.living.remove(&call) else { return false };
        self.ended.push_back((Instant::now(), taken));
        while self.ended.len() > MOST || self.ended.front().is_some_and(|(at, _)| at.elapsed() > REMEMBERED) {
            self.ended.pop_front();
        }
        true
    }

    /// Another edge has it now.
    pub(super) fn forget(&mut self, call: CallId) {
        self.living.remove(&call);
    }

    pub(super) fn all(&self) -> wire::TookOver {
        let ended = || self.ended.iter().map(|(_, taken)| taken);
        wire::TookOver {
            calls: self.living.values().chain(ended()).map(taken_to_wire).collect(),
            ended: ended().map(|taken| taken.call.into()).collect(),
        }
    }
}
