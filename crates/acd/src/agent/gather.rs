//! One agent, several queues: for a short time after he becomes free he collects what the queues want of him, and the
//! best caller gets him, whichever message was faster (Spec: QU-7).

use std::cmp::Reverse;
use std::time::Duration;

use super::ReservationId;
use crate::rank::Bid;
use crate::ticket::Sequence;
use crate::time::Moment;

/// How long he collects. Longer than two queues on two nodes need to hear of him and to ask; too short to be noticed.
const WINDOW: Duration = Duration::from_millis(20);

/// More requests than this at once are refused as busy: a queue has one for him, and he serves a handful of queues.
const MOST: usize = 64;

/// What one caller brings into the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) reservation: ReservationId,
    /// The place of the queue in his list of queues.
    pub(super) member: usize,
    pub(super) bid: Bid,
    pub(super) sequence: Option<Sequence>,
}

impl Request {
    /// Highest is best; ties go to the earlier entry.
    fn rank(&self) -> impl Ord {
        (self.bid, Reverse(self.sequence), Reverse(self.reservation))
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Gather {
    until: Option<Moment>,
    requests: Vec<Request>,
}

impl Gather {
    /// He becomes free.
    pub(super) fn open(&mut self, now: Moment) {
        self.until = Some(now + WINDOW);
    }

    pub(super) fn is_open(&self, now: Moment) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Takes a request in, a repeated one once. `false` when there are too many.
    pub(super) fn add(&mut self, request: Request) -> bool {
        if self.requests.iter().any(|known| known.reservation == request.reservation) {
            return true;
        }
        let fits = self.requests.len() < MOST;
        if fits {
            self.requests.push(request);
        }
        fits
    }

    pub(super) fn remove(&mut self, reservation: ReservationId) {
        self.forget(|request| request.reservation == reservation);
    }

    /// Takes requests out.
    pub(super) fn forget(&mut self, which: impl Fn(&Request) -> bool) {
        self.requests.retain(|request| !which(request));
    }

    /// Closes the window and gives all requests, best first.
    pub(super) fn close(&mut self) -> Vec<Request> {
        self.until = None;
        let mut requests = std::mem::take(&mut self.requests);
        requests.sort_by(|a, b| b.rank().cmp(&a.rank()));
        requests
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.until.filter(|_| !self.requests.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{CallId, Epoch, NodeId};
    use crate::rank::Ranking;

    fn request(number: u64, priority: i32, waited: u64, counter: u64) -> Request {
        Request {
            reservation: ReservationId { call: CallId { node: NodeId(1), boot: 1, number }, n: 1 },
            member: 0,
            bid: Ranking { ageing: None, ..Ranking::default() }.bid(priority, Duration::from_secs(waited)),
            sequence: Some(Sequence { epoch: Epoch(1), counter }),
        }
    }

    #[test]
    fn qu_7_the_best_is_priority_then_wait_then_entry() {
        let mut gather = Gather::default();
        gather.open(Moment::START);
        for r in [request(1, 0, 90, 1), request(2, 1, 5, 9), request(3, 1, 5, 8), request(4, 1, 7, 10)] {
            assert!(gather.add(r));
        }
        assert!(gather.add(request(1, 0, 90, 1)), "a repetition is no second request");
        let order: Vec<u64> = gather.close().iter().map(|r| r.reservation.call.number).collect();
        assert_eq!(order, [4, 3, 2, 1]);
    }

    #[test]
    fn the_window_is_bounded_in_time_and_size() {
        let mut gather = Gather::default();
        gather.open(Moment::START);
        assert_eq!(gather.deadline(), None, "nobody waits for the end of an empty window");
        assert!(gather.is_open(Moment::START) && !gather.is_open(Moment::START + WINDOW));
        let refused = (0..100).filter(|&n| !gather.add(request(n, 0, 0, n))).count();
        assert_eq!(refused, 100 - MOST);
        assert_eq!(gather.deadline(), Some(Moment::START + WINDOW));
    }
}
