//! The sums of one subject in past quarters of an hour, as few bytes: most of the sums of an agent are nothing, and a center may
//! have twenty thousand agents.
//!
//! One row after the other: the quarter, which sums are not nothing (a bit each), and these. All numbers are LEB128: seven
//! bits to a byte, the lowest first, the last without the eighth.

use std::collections::BTreeSet;

use super::{Quarter, Tally};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed(Box<[u8]>);

impl Packed {
    /// Adds to the sums of a quarter, and forgets those that are not among `kept`.
    pub(super) fn add(&mut self, quarter: Quarter, adds: &Tally, kept: &BTreeSet<Quarter>) {
        let mut rows = self.kept(kept);
        match rows.iter_mut().find(|(known, _)| *known == quarter) {
            Some((_, sum)) => sum.add(adds),
            None => rows.push((quarter, *adds)),
        }
        self.write(&rows);
    }

    /// Takes back what was added to a quarter.
    pub(super) fn subtract(&mut self, quarter: Quarter, less: &Tally, kept: &BTreeSet<Quarter>) {
        let mut rows = self.kept(kept);
        rows.iter_mut().filter(|(known, _)| *known == quarter).for_each(|(_, sum)| sum.subtract(less));
        self.write(&rows);
    }

    fn kept(&self, kept: &BTreeSet<Quarter>) -> Vec<(Quarter, Tally)> {
        self.rows().filter(|(known, _)| kept.contains(known)).collect()
    }

    fn write(&mut self, rows: &[(Quarter, Tally)]) {
        let mut bytes = Vec::with_capacity(self.0.len() + 48);
        rows.iter().for_each(|(quarter, sum)| write_row(&mut bytes, *quarter, sum));
        self.0 = bytes.into();
    }

    /// Each quarter once.
    pub(super) fn rows(&self) -> impl Iterator<Item = (Quarter, Tally)> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || read_row(&mut rest))
    }

    /// How many there are on the heap, with what the allocator adds.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.0.len().next_multiple_of(16) + 16
    }
}

fn write_row(bytes: &mut Vec<u8>, Quarter(number): Quarter, sum: &Tally) {
    let sums = sum.sums();
    // Time before 1970 is none that a center has been counting in.
    write(bytes, u64::try_from(number).unwrap_or(0));
    let which = (0..).zip(&sums).filter(|(_, sum)| **sum != 0).fold(0, |which, (n, _)| which | 1 << n);
    write(bytes, which);
    sums.into_iter().filter(|sum| *sum != 0).for_each(|sum| write(bytes, sum));
}

fn read_row(bytes: &mut &[u8]) -> Option<(Quarter, Tally)> {
    let number = i64::try_from(read(bytes)?).ok()?;
    let which = read(bytes)?;
    let mut sums = [0; Tally::SUMS];
    for (n, sum) in (0..).zip(&mut sums) {
        if which & 1 << n != 0 {
            *sum = read(bytes)?;
        }
    }
    Some((Quarter(number), Tally::from_sums(sums)))
}

fn write(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// `None` at the end.
fn read(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_what_is_read(
            rows in prop::collection::vec((0_i64..4, prop::array::uniform24(prop_oneof![Just(0), any::<u32>().prop_map(u64::from)])), 1..20)
        ) {
            let kept: BTreeSet<Quarter> = (0..4).map(Quarter).collect();
            let mut packed = Packed::default();
            let mut expected = std::collections::BTreeMap::<Quarter, Tally>::new();
            for (quarter, sums) in rows {
                let adds = Tally::from_sums(sums);
                packed.add(Quarter(quarter), &adds, &kept);
                expected.entry(Quarter(quarter)).or_default().add(&adds);
            }
            let read: std::collections::BTreeMap<Quarter, Tally> = packed.rows().collect();
            prop_assert_eq!((packed.rows().count(), read), (expected.len(), expected));
        }
    }

    #[test]
    fn the_largest_numbers_come_back_and_what_is_not_kept_goes() {
        let largest = Tally::from_sums([u64::MAX; Tally::SUMS]);
        let mut packed = Packed::default();
        packed.add(Quarter(1_900_000), &largest, &BTreeSet::new());
        assert_eq!(packed.rows().collect::<Vec<_>>(), [(Quarter(1_900_000), largest)]);
        packed.add(Quarter(1_900_001), &Tally::default(), &[Quarter(1_900_001)].into());
        assert_eq!(packed.rows().collect::<Vec<_>>(), [(Quarter(1_900_001), Tally::default())]);
    }
}
