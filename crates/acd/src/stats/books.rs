//! Facts, added up by subject: in all, and by quarter of an hour.

use std::collections::{BTreeMap, BTreeSet};

use super::packed::Packed;
use super::{Fact, Subject, Tally};
use crate::time::WallTime;

/// A quarter of an hour, counted from 1970-01-01T00:00:00Z. Every time zone's hours begin with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quarter(pub(super) i64);

/// In microseconds.
const LENGTH: i64 = 15 * 60 * 1_000_000;

impl Quarter {
    /// The one that a time lies in.
    pub const fn of(at: WallTime) -> Self {
        Quarter(at.0.div_euclid(LENGTH))
    }

    /// Its first moment.
    pub const fn start(self) -> WallTime {
        WallTime(self.0.saturating_mul(LENGTH))
    }

    /// The first moment of the next.
    pub const fn end(self) -> WallTime {
        Quarter(self.0 + 1).start()
    }
}

/// How many sums are packed with each fact that comes once a new quarter has begun: nobody waits for all of them.
const PACKED_AT_ONCE: usize = 8;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Books {
    whole: BTreeMap<Subject, Tally>,
    /// The newest quarter, and for a moment the one before it; all of them when none may go.
    open: BTreeMap<Quarter, BTreeMap<Subject, Tally>>,
    /// The others: hardly anything is added to them, so they are small and not fast.
    past: BTreeMap<Subject, Packed>,
    /// Of all that are kept.
    known: BTreeSet<Quarter>,
    /// The most quarters that are kept; the oldest go.
    most: Option<usize>,
}

impl Books {
    /// Books that keep at most so many quarters of an hour, and everything in the sum of all.
    pub fn keeping(quarters: usize) -> Self {
        Books { most: Some(quarters), ..Books::default() }
    }

    /// Adds a fact.
    pub fn post(&mut self, fact: &Fact) {
        let Fact { subject, at, adds } = fact;
        self.whole.entry(subject.clone()).or_default().add(adds);
        let quarter = Quarter::of(*at);
        if self.known.insert(quarter) && self.most.is_some_and(|most| self.known.len() > most) {
            let oldest = self.known.pop_first();
            oldest.and_then(|oldest| self.open.remove(&oldest));
        }
        if self.known.contains(&quarter) {
            self.add(quarter, subject, adds);
        }
        self.pack_some();
    }

    /// Adds to the sum of a subject in a quarter.
    fn add(&mut self, quarter: Quarter, subject: &Subject, adds: &Tally) {
        let newest = self.known.last() == Some(&quarter);
        let open = self.open.get_mut(&quarter).and_then(|rows| rows.get_mut(subject));
        match open {
            Some(sum) => sum.add(adds),
            None if newest || self.most.is_none() => {
                self.open.entry(quarter).or_default().insert(subject.clone(), *adds);
            }
            None => self.past.entry(subject.clone()).or_default().add(quarter, adds, &self.known),
        }
    }

    fn pack_some(&mut self) {
        if self.most.is_none() || self.open.len() < 2 {
            return;
        }
        let Some(mut oldest) = self.open.first_entry() else { return };
        for _ in 0..PACKED_AT_ONCE {
            let Some((subject, sum)) = oldest.get_mut().pop_first() else {
                oldest.remove();
                return;
            };
            self.past.entry(subject).or_default().add(*oldest.key(), &sum, &self.known);
        }
    }

    /// Takes a fact back that was posted: others count it.
    pub fn retract(&mut self, fact: &Fact) {
        let Fact { subject, at, adds } = fact;
        if let Some(sum) = self.whole.get_mut(subject) {
            sum.subtract(adds);
        }
        let quarter = Quarter::of(*at);
        if let Some(sum) = self.open.get_mut(&quarter).and_then(|rows| rows.get_mut(subject)) {
            sum.subtract(adds);
        } else if let Some(packed) = self.past.get_mut(subject) {
            packed.subtract(quarter, adds, &self.known);
        }
    }

    /// The sum of everything, by subject.
    pub fn whole(&self) -> impl Iterator<Item = (&Subject, &Tally)> {
        self.whole.iter()
    }

    /// The quarters of an hour in which something began, with what began in them. Each subject has one row in each, in no order.
    pub fn quarters(&self) -> impl Iterator<Item = (Quarter, &Subject, Tally)> {
        let open = self.open.iter().flat_map(|(quarter, rows)| {
            let quarter = *quarter;
            rows.iter().map(move |(subject, sum)| (quarter, subject, *sum))
        });
        let past = self.past.iter().flat_map(|(subject, packed)| {
            let kept = packed.rows().filter(|(quarter, _)| self.known.contains(quarter));
            kept.map(move |(quarter, sum)| (quarter, subject, sum))
        });
        open.chain(past)
    }

    /// About the memory of the quarters and sums, in bytes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        // A B-tree is two thirds full.
        let row = (size_of::<Subject>() + size_of::<Tally>()) * 3 / 2;
        let open: usize = self.open.values().map(BTreeMap::len).sum();
        let packed = |it: &Packed| (size_of::<Subject>() + size_of::<Packed>()) * 3 / 2 + it.bytes();
        (self.whole.len() + open) * row + self.past.values().map(packed).sum::<usize>()
    }
}
