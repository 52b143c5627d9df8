//! The calls that have left, for as long as one of their tickets may still be on its way. Such a ticket would make a ghost,
//! who is offered to an agent in vain and counted twice when he leaves again. A call enters a queue once (Spec: UN-5).

use std::collections::VecDeque;
use std::time::Duration;

use super::table::Table;
use crate::ids::CallId;
use crate::time::Moment;

/// Longer than any message is on its way.
const REMEMBERED: Duration = Duration::from_secs(30);

/// More than this are not remembered: they left within [`REMEMBERED`], and a ghost only costs an offer.
const MOST: usize = 20_000;

#[derive(Clone, Debug, Default)]
pub(super) struct Departed {
    calls: Table<CallId, ()>,
    order: VecDeque<(Moment, CallId)>,
}

impl Departed {
    pub(super) fn add(&mut self, now: Moment, call: CallId) {
        if self.calls.insert(call, ()).is_none() {
            self.order.push_back((now + REMEMBERED, call));
        }
        self.forget(now);
    }

    pub(super) fn contains(&self, call: CallId) -> bool {
        self.calls.contains_key(&call)
    }

    fn forget(&mut self, now: Moment) {
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
    use crate::ids::NodeId;

    #[test]
    fn what_is_remembered_is_bounded_in_time_and_number() {
        let call = |number| CallId { node: NodeId(1), boot: 1, number };
        let mut departed = Departed::default();
        departed.add(Moment::START, call(1));
        departed.add(Moment::START + REMEMBERED / 2, call(2));
        assert!(departed.contains(call(1)));
        departed.add(Moment::START + REMEMBERED, call(3));
        assert!(!departed.contains(call(1)) && departed.contains(call(2)));
        (10..30_000).for_each(|number| departed.add(Moment::START + REMEMBERED, call(number)));
        assert_eq!(departed.order.len(), MOST);
        assert_eq!(departed.calls.len(), MOST);
    }
}
