//! The calls that are not in the queue any more, for as long as something of them may still come.
//!
//! A call that has *left* may have a ticket on its way. It would make a ghost, who is offered to an agent in vain. A call
//! enters a queue once (Spec: UN-5), so its tickets are refused: those of the edge that said so. Another edge that has taken the
//! call over since (Spec: CL-4) may not know that it had left, because the last that it heard was older; it waits again.
//!
//! A call that has *fallen silent* was taken out because its tickets did not come; perhaps they were lost. If it comes back
//! it stands where it stood, even if it never heard which place it was given (Spec: QU-8).

use std::collections::VecDeque;
use std::time::Duration;

use super::table::Table;
use crate::ids::CallId;
use crate::ticket::Sequence;
use crate::time::Moment;

/// Longer than any message is on its way, and than a network is cut off without calls being hung up.
const REMEMBERED: Duration = Duration::from_secs(120);

/// More than this are not remembered: a ghost only costs an offer, and a place only matters while others wait.
const MOST: usize = 20_000;

#[derive(Clone, Copy, Debug)]
enum Trace {
    Silent(Sequence),
    Left {
        /// It was counted when it entered.
        entered: bool,
        /// Its own word of how it left has come. A later owner's question may be answered first, with "gone".
        ended: bool,
        /// How often its edge had changed.
        moves: u32,
    },
}

#[derive(Clone, Debug, Default)]
pub(super) struct Departed {
    calls: Table<CallId, Trace>,
    order: VecDeque<(Moment, CallId)>,
}

impl Departed {
    /// A call that stood at this place has not been heard for too long.
    pub(super) fn falls_silent(&mut self, now: Moment, call: CallId, sequence: Sequence) {
        if !mutant!(PlaceForgotten) {
            self.note(now, call, Trace::Silent(sequence));
        }
    }

    /// A call leaves; `here` tells how often its edge had changed, if it was here. `ended` when it says how. `true` when that is
    /// news: messages are repeated.
    pub(super) fn leaves(&mut self, now: Moment, call: CallId, here: Option<u32>, ended: bool) -> bool {
        let (entered, known, before) = match self.calls.get(&call) {
            Some(Trace::Left { entered, ended, moves }) => (*entered, *ended, *moves),
            Some(Trace::Silent(_)) => (true, false, 0),
            None => (here.is_some(), false, 0),
        };
        let moves = here.unwrap_or(0).max(before);
        self.note(now, call, Trace::Left { entered, ended: ended || known, moves });
        ended && !known
    }

    /// Whether a call has left, as far as the edge knew that has it since so many changes.
    pub(super) fn has_left(&self, call: CallId, changes: u32) -> bool {
        matches!(self.calls.get(&call), Some(Trace::Left { moves, .. }) if changes <= *moves)
    }

    /// The ticket with which a call entered comes although it has left. `true` when it was not counted before.
    pub(super) fn entered_late(&mut self, call: CallId) -> bool {
        match self.calls.get_mut(&call) {
            Some(Trace::Left { entered, .. }) => !std::mem::replace(entered, true),
            Some(Trace::Silent(_)) | None => false,
        }
    }

    /// A call is back. The place that it had, if it was here before.
    pub(super) fn returns(&self, call: CallId) -> Option<Sequence> {
        match self.calls.get(&call) {
            Some(Trace::Silent(sequence)) => Some(*sequence),
            Some(Trace::Left { .. }) | None => None,
        }
    }

    fn note(&mut self, now: Moment, call: CallId, trace: Trace) {
        if self.calls.insert(call, trace).is_none() {
            self.order.push_back((now + REMEMBERED, call));
        }
        while let Some((until, call)) = self.order.front().copied()
            && (until <= now || self.order.len() > MOST)
        {
            self.order.pop_front();
            self.calls.remove(&call);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Epoch, NodeId};

    const fn call(number: u64) -> CallId {
        CallId { node: NodeId(1), boot: 1, number }
    }

    #[test]
    fn what_is_remembered_is_bounded_in_time_and_number() {
        let mut departed = Departed::default();
        let leaves = |departed: &mut Departed, now, number| departed.leaves(now, call(number), Some(0), true);
        leaves(&mut departed, Moment::START, 1);
        leaves(&mut departed, Moment::START + REMEMBERED / 2, 2);
        assert!(departed.has_left(call(1), 0));
        leaves(&mut departed, Moment::START + REMEMBERED, 3);
        assert!(!departed.has_left(call(1), 0) && departed.has_left(call(2), 0));
        for number in 10..30_000 {
            leaves(&mut departed, Moment::START + REMEMBERED, number);
        }
        assert_eq!((departed.order.len(), departed.calls.len()), (MOST, MOST));
    }

    #[test]
    fn an_end_is_news_once_whatever_came_before_it() {
        let mut departed = Departed::default();
        assert!(!departed.leaves(Moment::START, call(1), Some(0), false), "gone, and nobody knows how");
        assert!(departed.leaves(Moment::START, call(1), None, true));
        assert!(!departed.leaves(Moment::START, call(1), None, true), "repeated");
        assert!(!departed.entered_late(call(1)), "it was here");
        departed.leaves(Moment::START, call(2), None, true);
        assert!(departed.entered_late(call(2)) && !departed.entered_late(call(2)));
    }

    // spec: CL-4
    #[test]
    fn cl_4_an_edge_that_has_a_call_later_is_believed_and_its_own_word_is_final() {
        let mut departed = Departed::default();
        departed.leaves(Moment::START, call(1), Some(0), true);
        assert!(departed.has_left(call(1), 0) && !departed.has_left(call(1), 1));
        departed.leaves(Moment::START, call(1), Some(1), true);
        departed.leaves(Moment::START, call(1), None, false);
        assert!(departed.has_left(call(1), 1) && !departed.has_left(call(1), 2));
    }

    // spec: QU-8
    #[test]
    fn qu_8_who_falls_silent_keeps_his_place() {
        let mut departed = Departed::default();
        let sequence = Sequence { epoch: Epoch(3), counter: 7 };
        departed.falls_silent(Moment::START, call(1), sequence);
        assert_eq!(departed.returns(call(1)), Some(sequence));
        assert!(!departed.has_left(call(1), 0));
        departed.leaves(Moment::START, call(1), None, true);
        assert_eq!(departed.returns(call(1)), None);
    }
}
