//! Who is served first: among the callers of a queue, and among the queues of an agent (Spec: QU-7, QU-12).
//!
//! **Ageing.** A step of priority is worth a time, `ageing`: a caller of a priority *d* steps higher stands as if he had come
//! *d* × `ageing` earlier. So the order of two callers never changes while they wait, and nobody starves: a caller is served
//! before everybody who comes more than (their priority − his) × `ageing` after him. Equal priorities are first come, first
//! served. Without ageing a higher priority always comes first, and a lower one may starve.
//!
//! **Weight.** Where an agent serves several queues, a caller stands as if he had waited longer by the `weight` of his queue.
//! It adds to what he has waited, so it never starves the others: they are passed only by who comes less than the difference
//! of the weights after them. A strict weight comes before everything else instead, and may starve.

use std::cmp::Reverse;
use std::time::Duration;

use crate::time::Moment;

/// The settings of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranking {
    /// What one step of priority is worth; `None`: priority comes before all waiting.
    pub ageing: Option<Duration>,
    /// How much longer its callers count as having waited, in the eyes of an agent of several queues.
    pub weight: Duration,
    /// Its weight is compared before everything else.
    pub strict_weight: bool,
}

impl Default for Ranking {
    /// A step is worth a minute, and all queues weigh the same.
    fn default() -> Self {
        Ranking { ageing: Some(Duration::from_secs(60)), weight: Duration::ZERO, strict_weight: false }
    }
}

impl Ranking {
    /// The place of a caller among the callers of the queue, smallest first. Ties are for the order of entry.
    pub(crate) fn place(&self, priority: i32, began: Moment) -> impl Ord + use<> {
        let worth = if mutant!(PriorityWithoutWorth) { 0 } else { self.worth(priority) };
        (Reverse(self.strict(priority)), micros(began.since(Moment::START)) - worth)
    }

    /// What a caller who has waited for so long brings before an agent of several queues.
    pub fn bid(&self, priority: i32, waited: Duration) -> Bid {
        let (strict_weight, weight) =
            if self.strict_weight { (self.weight, Duration::ZERO) } else { (Duration::ZERO, self.weight) };
        let waited = micros(waited) + micros(weight) + self.worth(priority);
        Bid { strict_weight, priority: self.strict(priority), waited }
    }

    const fn strict(&self, priority: i32) -> i32 {
        if self.ageing.is_some() { 0 } else { priority }
    }

    fn worth(&self, priority: i32) -> i128 {
        self.ageing.map_or(0, |step| micros(step) * i128::from(priority))
    }
}

/// What decides among the callers of several queues: the greatest bid gets the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bid {
    strict_weight: Duration,
    /// Of a queue without ageing.
    priority: i32,
    /// In microseconds, with what priority and weight add; negative for a low priority.
    waited: i128,
}

impl Bid {
    /// A bid that another node sent.
    pub const fn new(strict_weight: Duration, priority: i32, waited_us: i128) -> Self {
        Bid { strict_weight, priority, waited: waited_us }
    }

    /// The weight of a queue whose weight is strict; zero otherwise.
    pub const fn strict_weight(self) -> Duration {
        self.strict_weight
    }

    /// The priority, of a queue without ageing; 0 otherwise.
    pub const fn priority(self) -> i32 {
        self.priority
    }

    /// The wait in microseconds, with what priority and weight add; negative for a low priority.
    pub const fn waited_us(self) -> i128 {
        self.waited
    }
}

fn micros(duration: Duration) -> i128 {
    i128::try_from(duration.as_micros()).unwrap_or(i128::MAX / 4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy as _, any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn rankings() -> impl proptest::strategy::Strategy<Value = Ranking> {
        (1_u64..600, 0_u64..600).prop_map(|(ageing, weight)| Ranking {
            ageing: Some(seconds(ageing)),
            weight: seconds(weight),
            strict_weight: false,
        })
    }

    proptest! {
        // spec: QU-7
        #[test]
        fn qu_7_nobody_starves_behind_a_higher_priority(
            ranking in rankings(), low in -100_i32..=100, more in 0_i32..=200, began in 0_u64..100_000, later in 1_u64..100_000,
        ) {
            let (mine, other) = (Moment::at(seconds(began)), Moment::at(seconds(began + later)));
            let bound = ranking.ageing.unwrap() * more.unsigned_abs();
            if seconds(later) > bound {
                prop_assert!(ranking.place(low, mine) < ranking.place(low + more, other));
            }
            if seconds(later) < bound {
                prop_assert!(ranking.place(low, mine) > ranking.place(low + more, other));
            }
        }

        // spec: QU-7
        #[test]
        fn qu_7_a_weight_adds_and_never_starves(
            mine in rankings(), weight in 0_u64..1_200, waited in 0_u64..100_000, later in 1_u64..100_000,
        ) {
            let heavy = Ranking { weight: mine.weight + seconds(weight), ..mine };
            let first = mine.bid(0, seconds(waited + later));
            prop_assert_eq!(first.cmp(&heavy.bid(0, seconds(waited))), later.cmp(&weight));
            let strict = Ranking { strict_weight: true, ..heavy };
            prop_assert!(heavy.weight.is_zero() || strict.bid(0, Duration::ZERO) > first);
        }

        // spec: QU-7
        #[test]
        fn qu_7_who_waits_on_keeps_his_place(
            ranking in rankings(), strict in any::<bool>(),
            a in (-100_i32..=100, 0_u64..10_000), b in (-100_i32..=100, 0_u64..10_000), both in 0_u64..10_000,
        ) {
            let ranking = if strict { Ranking { ageing: None, ..ranking } } else { ranking };
            let bid = |(priority, waited): (i32, u64), more| ranking.bid(priority, seconds(waited + more));
            prop_assert_eq!(bid(a, 0).cmp(&bid(b, 0)), bid(a, both).cmp(&bid(b, both)));
            // The queue and the agent agree on the order.
            let place = |(priority, waited)| ranking.place(priority, Moment::at(seconds(20_000 - waited)));
            prop_assert_eq!(place(b).cmp(&place(a)), bid(a, 0).cmp(&bid(b, 0)));
        }
    }
}
