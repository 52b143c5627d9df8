//! What comes in over the connections of one link, put into one order: each envelope once, none before its predecessors.
//! The first connection brings everything; the others bring some of it earlier.

use std::collections::BTreeMap;

use super::wire::Envelope;

/// Envelopes that are kept because one before them is still on its way. More are left to the first connection.
const AHEAD: usize = 1_024;

/// The envelopes of one direction of a link.
#[derive(Debug)]
pub(super) struct Order {
    /// The number of the next one.
    next: u64,
    ahead: BTreeMap<u64, Envelope>,
}

/// What a frame came to.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Envelopes whose turn it is now.
    pub(super) ready: Vec<Envelope>,
    /// How many had come before.
    pub(super) doubles: usize,
}

impl Order {
    pub(super) const fn new() -> Self {
        Order { next: 1, ahead: BTreeMap::new() }
    }

    /// Envelopes that came over the first connection, numbered from `first`.
    pub(super) fn take(&mut self, first: u64, envelopes: Vec<Envelope>) -> Taken {
        let mut taken = Taken::default();
        if first > self.next {
            // Nothing overtakes on the first connection: what is missing comes on none.
            self.next = first;
            self.ahead = self.ahead.split_off(&first);
            self.follow(&mut taken);
        }
        self.put(first, envelopes, &mut taken);
        taken
    }

    /// The same of a further connection.
    pub(super) fn take_early(&mut self, first: u64, envelopes: Vec<Envelope>) -> Taken {
        let mut taken = Taken::default();
        self.put(first, envelopes, &mut taken);
        taken
    }

    fn put(&mut self, first: u64, envelopes: Vec<Envelope>, taken: &mut Taken) {
        for (number, envelope) in (first..=u64::MAX).zip(envelopes) {
            if number < self.next || self.ahead.contains_key(&number) {
                taken.doubles += 1;
            } else if number == self.next {
                self.next = number.saturating_add(1);
                taken.ready.push(envelope);
                self.follow(taken);
            } else if self.ahead.len() < AHEAD {
                self.ahead.insert(number, envelope);
            }
        }
    }

    fn follow(&mut self, taken: &mut Taken) {
        while let Some(envelope) = self.ahead.remove(&self.next) {
            self.next = self.next.saturating_add(1);
            taken.ready.push(envelope);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Envelopes that tell themselves apart.
    fn envelopes(numbers: std::ops::Range<u64>) -> Vec<Envelope> {
        numbers.map(|n| Envelope { message: None, traceparent: n.to_string() }).collect()
    }

    fn came(taken: Taken) -> (String, usize) {
        let ready: Vec<String> = taken.ready.into_iter().map(|envelope| envelope.traceparent).collect();
        (ready.join(" "), taken.doubles)
    }

    #[test]
    fn each_comes_once_and_in_order_whichever_connection_is_first() {
        let mut order = Order::new();
        assert_eq!(came(order.take(1, envelopes(1..3))), ("1 2".into(), 0));
        // The first connection waits for a lost packet with 3 and 4.
        assert_eq!(came(order.take_early(4, envelopes(4..5))), (String::new(), 0), "3 is missing");
        assert_eq!(came(order.take_early(4, envelopes(4..5))), (String::new(), 1), "over another one");
        assert_eq!(came(order.take_early(3, envelopes(3..4))), ("3 4".into(), 0));
        assert_eq!(came(order.take(3, envelopes(3..6))), ("5".into(), 2));
        assert_eq!(came(order.take_early(5, envelopes(5..6))), (String::new(), 1));
    }

    #[test]
    fn what_the_first_connection_has_left_out_is_not_waited_for() {
        let mut order = Order::new();
        assert_eq!(came(order.take_early(3, envelopes(3..4))), (String::new(), 0));
        assert_eq!(came(order.take_early(6, envelopes(6..8))), (String::new(), 0));
        assert_eq!(came(order.take(5, envelopes(5..6))), ("5 6 7".into(), 0));
        assert_eq!(came(order.take(u64::MAX, envelopes(8..10))), ("8".into(), 0), "no number after the last");
    }

    #[test]
    fn what_is_ahead_is_bounded() {
        let mut order = Order::new();
        let many = AHEAD as u64 + 500;
        assert!(order.take_early(2, envelopes(2..many)).ready.is_empty());
        assert_eq!(order.ahead.len(), AHEAD);
        assert_eq!(order.take(1, envelopes(1..2)).ready.len(), AHEAD + 1);
        let left = order.take(2, envelopes(2..many));
        assert_eq!((left.ready.len(), left.doubles), (499 - 1, AHEAD), "the first connection brings the rest");
    }
}
