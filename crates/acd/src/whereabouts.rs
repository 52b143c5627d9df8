//! Where calls are that do not live where their id says: other edges have taken them over (Spec: CL-4).

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::ids::{CallId, NodeId};
use crate::time::Moment;

/// So long after its end a call is still known: messages for it are on their way, and who had it before may wake up.
const REMEMBERED: Duration = Duration::from_secs(600);

/// More are not remembered: what is forgotten is looked for where its id says, and answered as a call that is over.
const MOST: usize = 100_000;

/// That a call was taken over. Should two edges ever take over the same one, both hear of it when their link works again, and
/// all agree on who has it: who took it from the later edge, or else the edge with the lower number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The call.
    pub call: CallId,
    /// By which edge.
    pub edge: NodeId,
    /// How often it has moved so far.
    pub moves: u32,
}

impl Taken {
    fn rank(&self) -> (u32, Reverse<NodeId>) {
        (self.moves, Reverse(self.edge))
    }
}

/// What one node knows of calls that have moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    moved: HashMap<CallId, Taken>,
    /// In the order in which they are forgotten at the latest.
    order: VecDeque<CallId>,
    /// Those that have ended, and when they are forgotten.
    ended: VecDeque<(Moment, CallId)>,
}

impl Whereabouts {
    /// The edge on which a call lives, if it lives.
    pub fn of(&self, call: CallId) -> NodeId {
        self.moved.get(&call).map_or(call.node, |taken| taken.edge)
    }

    /// Whether a node may speak for a call: no other edge is known to have taken it over. One that has slept says what its calls
    /// hold before it hears that it has them no more; an owner that believed it would hold an agent for a conversation that is
    /// over.
    pub fn admits(&self, node: NodeId, call: CallId) -> bool {
        self.moved.get(&call).is_none_or(|taken| taken.edge == node)
    }

    /// An edge has taken a call over. `false` when that is no news, or another edge has more right to it.
    pub fn took_over(&mut self, now: Moment, taken: Taken) -> bool {
        let known = self.moved.get(&taken.call);
        if known.is_some_and(|known| taken.rank() <= known.rank()) {
            return false;
        }
        if self.moved.insert(taken.call, taken).is_none() {
            self.order.push_back(taken.call);
        }
        self.forget(now);
        true
    }

    /// Those of these calls that have moved are over.
    pub fn ended(&mut self, now: Moment, calls: impl IntoIterator<Item = CallId>) {
        let known = calls.into_iter().filter(|call| self.moved.contains_key(call));
        self.ended.extend(known.map(|call| (now + REMEMBERED, call)));
        self.forget(now);
    }

    /// Whether no call is known to have moved.
    pub fn is_empty(&self) -> bool {
        self.moved.is_empty()
    }

    fn forget(&mut self, now: Moment) {
        while let Some((until, call)) = self.ended.front().copied()
            && until <= now
        {
            self.ended.pop_front();
            self.moved.remove(&call);
        }
        if self.order.len() > MOST {
            self.order.retain(|call| self.moved.contains_key(call));
            // A quarter at once, so that this costs little per call.
            let too_many = self.order.len().saturating_sub(MOST / 4 * 3);
            for call in self.order.drain(..too_many) {
                self.moved.remove(&call);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGE: NodeId = NodeId(1);

    const fn call(number: u64) -> CallId {
        CallId { node: EDGE, boot: 1, number }
    }

    const fn taken(number: u64, edge: u32, moves: u32) -> Taken {
        Taken { call: call(number), edge: NodeId(edge), moves }
    }

    // spec: CL-4
    #[test]
    fn cl_4_a_call_is_where_it_was_taken_last_and_known_for_a_while_after_its_end() {
        let mut calls = Whereabouts::default();
        assert_eq!(calls.of(call(1)), EDGE);
        assert!(calls.took_over(Moment::START, taken(1, 2, 1)) && calls.took_over(Moment::START, taken(2, 2, 1)));
        assert!(calls.took_over(Moment::START, taken(1, 3, 2)));
        assert_eq!((calls.of(call(1)), calls.of(call(2)), calls.of(call(3))), (NodeId(3), NodeId(2), EDGE));
        calls.ended(Moment::START, [call(1), call(3)]);
        calls.ended(Moment::START + REMEMBERED / 2, []);
        assert_eq!(calls.of(call(1)), NodeId(3));
        calls.ended(Moment::START + REMEMBERED, []);
        assert_eq!((calls.of(call(1)), calls.of(call(2))), (EDGE, NodeId(2)));
    }

    // spec: CL-3, CL-4
    #[test]
    fn cl_3_an_edge_from_which_a_call_was_taken_does_not_speak_for_it_any_more() {
        let mut calls = Whereabouts::default();
        let [heir, next] = [NodeId(2), NodeId(3)];
        assert!(calls.admits(EDGE, call(1)) && calls.admits(heir, call(1)), "nobody is known to have taken it");
        calls.took_over(Moment::START, taken(1, 2, 1));
        assert!(!calls.admits(EDGE, call(1)) && calls.admits(heir, call(1)) && calls.admits(EDGE, call(2)));
        calls.took_over(Moment::START, taken(1, 3, 2));
        assert!(!calls.admits(heir, call(1)) && calls.admits(next, call(1)));
        calls.took_over(Moment::START, taken(1, 1, 3));
        assert!(calls.admits(EDGE, call(1)), "it has come back");
    }

    // spec: CL-4
    #[test]
    fn cl_4_all_nodes_agree_on_who_has_a_call_that_two_edges_took() {
        for order in [[taken(1, 2, 1), taken(1, 3, 1)], [taken(1, 3, 1), taken(1, 2, 1)]] {
            let mut calls = Whereabouts::default();
            for taken in order {
                calls.took_over(Moment::START, taken);
            }
            assert_eq!(calls.of(call(1)), NodeId(2));
            assert!(!calls.took_over(Moment::START, taken(1, 2, 1)), "no news");
            assert!(calls.took_over(Moment::START, taken(1, 4, 2)) && !calls.took_over(Moment::START, taken(1, 1, 1)));
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut calls = Whereabouts::default();
        for number in 0..2 * MOST as u64 {
            calls.took_over(Moment::START, taken(number, 2, 1));
        }
        assert!(calls.moved.len() <= MOST && calls.order.len() <= MOST);
        assert_eq!((calls.of(call(0)), calls.of(call(2 * MOST as u64 - 1))), (EDGE, NodeId(2)));
    }
}
