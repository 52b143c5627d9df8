//! Facts, added up by subject: in all, and by quarter of an hour.

use std::collections::BTreeMap;

use super::{Fact, Subject, Tally};
use crate::time::WallTime;

/// A quarter of an hour, counted from 1970-01-01T00:00:00Z. Every time zone's hours begin with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quarter(i64);

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

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Books {
    whole: BTreeMap<Subject, Tally>,
    quarters: BTreeMap<Quarter, BTreeMap<Subject, Tally>>,
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
        self.whole.entry(fact.subject.clone()).or_default().add(&fact.adds);
        let quarter = self.quarters.entry(Quarter::of(fact.at)).or_default();
        quarter.entry(fact.subject.clone()).or_default().add(&fact.adds);
        if self.most.is_some_and(|most| self.quarters.len() > most) {
            self.quarters.pop_first();
        }
    }

    /// Takes a fact back that was posted: others count it.
    pub fn retract(&mut self, fact: &Fact) {
        let quarter = self.quarters.get_mut(&Quarter::of(fact.at)).and_then(|quarter| quarter.get_mut(&fact.subject));
        let whole = self.whole.get_mut(&fact.subject);
        whole.into_iter().chain(quarter).for_each(|tally| tally.subtract(&fact.adds));
    }

    /// The sum of everything, by subject.
    pub fn whole(&self) -> impl Iterator<Item = (&Subject, &Tally)> {
        self.whole.iter()
    }

    /// The quarters of an hour in which something began, in order, with what began in them.
    pub fn quarters(&self) -> impl Iterator<Item = (Quarter, &Subject, &Tally)> {
        let rows = |(quarter, rows): (&Quarter, _)| {
            let quarter = *quarter;
            let rows: &BTreeMap<Subject, Tally> = rows;
            rows.iter().map(move |(subject, tally)| (quarter, subject, tally))
        };
        self.quarters.iter().flat_map(rows)
    }
}
