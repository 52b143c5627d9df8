//! The calls that this node has taken over from other edges, and those whose records it has written for others. A node whose
//! link comes up is told all of them: it may be the one that had them, and was only asleep, or has the records on its disk.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use carillon_acd::ids::{CallId, LegId, NodeId};
use carillon_acd::record::{Happened, Record, Transition};
use carillon_acd::whereabouts::Taken;
use carillon_rpc::cluster::wire;
use tokio::time::Instant;

/// So long after its end a call is still told of.
pub const REMEMBERED: Duration = Duration::from_secs(3600);

/// Calls that have ended and are still told of, at most.
const MOST: usize = 20_000;

#[derive(Default)]
pub(super) struct TakenHere {
    living: HashMap<CallId, TakenCall>,
    ended: VecDeque<(Instant, TakenCall)>,
    recorded: VecDeque<(Instant, CallId)>,
}

/// A call that was taken over.
#[derive(Clone, Debug)]
pub(super) struct TakenCall {
    pub(super) taken: Taken,
    /// What was made again of it.
    pub(super) legs: Vec<LegId>,
}

impl TakenCall {
    pub(super) fn to_wire(&self) -> wire::Taken {
        let Taken { call, moves, .. } = self.taken;
        wire::Taken { call: Some(call.into()), moves, legs: self.legs.iter().map(|leg| u32::from(leg.n)).collect() }
    }
}

impl TakenHere {
    pub(super) fn add(&mut self, taken: &[TakenCall]) {
        self.living.extend(taken.iter().map(|it| (it.taken.call, it.clone())));
    }

    /// `true` when it was one of them.
    pub(super) fn ends(&mut self, call: CallId) -> bool {
        let Some(taken) = self.living.remove(&call) else { return false };
        remember(&mut self.ended, taken);
        true
    }

    /// What this node's disk still knows of earlier runs: records of calls that other nodes took, and that went on here or were
    /// written here for a dead edge.
    pub(super) fn remember(&mut self, me: NodeId, records: &[Record]) {
        for Record { call, transitions, .. } in records {
            let to = |it: &Transition| if let Happened::Moved { to, .. } = it.what { Some(to) } else { None };
            let moves: Vec<NodeId> = transitions.iter().filter_map(to).collect();
            if moves.last() == Some(&me) {
                let moves = u32::try_from(moves.len()).unwrap_or(u32::MAX);
                let taken = Taken { call: *call, edge: me, moves };
                remember(&mut self.ended, TakenCall { taken, legs: Vec::new() });
            } else {
                remember(&mut self.recorded, *call);
            }
        }
    }

    /// This node writes the records of these, whose edge has died.
    pub(super) fn records(&mut self, calls: &[CallId]) {
        calls.iter().for_each(|call| remember(&mut self.recorded, *call));
    }

    /// Those of the latter.
    pub(super) fn recorded(&self) -> HashSet<CallId> {
        self.recorded.iter().map(|(_, call)| *call).collect()
    }

    /// Those that were taken over and have ended.
    pub(super) fn ended(&self) -> Vec<Taken> {
        self.ended.iter().map(|(_, it)| it.taken).collect()
    }

    /// Another edge has it now.
    pub(super) fn forget(&mut self, call: CallId) {
        self.living.remove(&call);
    }

    /// Another node has the records of these.
    pub(super) fn forget_records(&mut self, calls: &[CallId]) {
        self.recorded.retain(|(_, call)| !calls.contains(call));
    }

    /// Everything that a node has to know which may have slept.
    pub(super) fn all(&self) -> wire::TookOver {
        let ended = || self.ended.iter().map(|(_, it)| it);
        wire::TookOver {
            calls: self.living.values().chain(ended()).map(TakenCall::to_wire).collect(),
            ended: ended().map(|it| it.taken.call.into()).collect(),
            recorded: self.recorded.iter().map(|(_, call)| (*call).into()).collect(),
        }
    }
}

fn remember<T>(past: &mut VecDeque<(Instant, T)>, news: T) {
    past.push_back((Instant::now(), news));
    while past.len() > MOST || past.front().is_some_and(|(at, _)| at.elapsed() > REMEMBERED) {
        past.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use carillon_acd::time::WallTime;

    use super::super::heir::tests::{EDGE, call, record};
    use super::*;

    const ME: NodeId = NodeId(2);
    const OTHER: NodeId = NodeId(3);

    fn moved(number: u64, to: &[NodeId]) -> Record {
        let step = |to: &NodeId| Happened::Moved { from: EDGE, to: *to, planned: false };
        let transitions = to.iter().map(|to| Transition { at: WallTime(1), what: step(to) }).collect();
        Record { transitions, ..record(number) }
    }

    // spec: CL-4, PL-6
    #[test]
    fn cl_4_a_node_that_starts_again_tells_of_the_records_that_it_has_of_other_edges_calls() {
        let mut taken = TakenHere::default();
        taken.remember(ME, &[moved(1, &[OTHER, ME]), record(2), moved(3, &[ME, OTHER])]);
        let news = taken.all();
        let moves = |it: &wire::Taken| (it.call.unwrap().number, it.moves);
        assert_eq!(news.calls.iter().map(moves).collect::<Vec<_>>(), [(1, 2)]);
        assert_eq!(news.ended, [call(1).into()]);
        assert_eq!(news.recorded, [call(2).into(), call(3).into()]);
    }
}
