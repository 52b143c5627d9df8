//! Whether this node can be sure that its calls are still its own. While it sleeps or is cut off, others may take them over; it
//! hears so when it is back. Until then its calls do nothing by themselves, and what they write is kept back: a call has one
//! record (Spec: CL-4).

use std::time::Duration;

use carillon_acd::ids::CallId;
use carillon_acd::record::Record;
use tokio::time::Instant;

/// So often it is looked whether time goes on.
pub(super) const TICK: Duration = Duration::from_millis(250);
/// Who has not looked for so long has slept. Shorter than any lease: nobody can have been given up before.
const SLEPT: Duration = Duration::from_secs(2);
/// So long after a sleep, or after the node was not sure to be part of the cluster, others may still say what they have taken
/// over: longer than the longest pause between two attempts to open a link.
const SETTLES: Duration = Duration::from_secs(6);
/// Records that are kept back. More are written: a doubled record is better than none.
const MOST: usize = 20_000;

/// See the module.
pub(super) struct Doubt {
    looked: Instant,
    asleep_until: Instant,
    unsure_until: Instant,
    records: Vec<Record>,
    /// The node has said that it stops: nobody takes its calls over any more.
    leaves: bool,
}

impl Default for Doubt {
    fn default() -> Self {
        let now = Instant::now();
        Doubt { looked: now, asleep_until: now, unsure_until: now, records: Vec::new(), leaves: false }
    }
}

impl Doubt {
    /// Time goes on; `holds`: the node is certain to be part of the cluster. The records that can be written now.
    pub(super) fn tick(&mut self, now: Instant, holds: bool) -> Vec<Record> {
        if self.looked + SLEPT <= now {
            self.asleep_until = now + SETTLES;
        }
        if self.looked + SLEPT <= now || !holds {
            self.unsure_until = now + SETTLES;
        }
        self.looked = now;
        if now < self.unsure_until { Vec::new() } else { self.release() }
    }

    /// The node stops: all that was kept back.
    pub(super) fn leave(&mut self) -> Vec<Record> {
        self.leaves = true;
        self.release()
    }

    /// Another node has written the records of these calls.
    pub(super) fn forget(&mut self, calls: &[CallId]) {
        self.records.retain(|record| !calls.contains(&record.call));
    }

    fn release(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// Whether calls may act by themselves.
    pub(super) fn is_awake(&self, now: Instant) -> bool {
        self.leaves || (self.asleep_until <= now && now < self.looked + SLEPT)
    }

    /// Gives the record back if it can be written now.
    pub(super) fn ends(&mut self, now: Instant, holds: bool, record: Record) -> Option<Record> {
        let sure = holds && self.unsure_until <= now && now < self.looked + SLEPT;
        if sure || self.leaves || self.records.len() >= MOST {
            return Some(record);
        }
        self.records.push(record);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::heir::tests::{call, record};
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    /// Looks every tick from `from` to `until`.
    fn passes(doubt: &mut Doubt, from: Instant, until: Instant) -> Vec<Record> {
        let mut now = from;
        let mut written = Vec::new();
        while now < until {
            now = (now + TICK).min(until);
            written.extend(doubt.tick(now, true));
        }
        written
    }

    // spec: CL-4
    #[test]
    fn cl_4_after_a_sleep_calls_do_nothing_and_records_wait_until_others_have_spoken() {
        let (mut doubt, began) = (Doubt::default(), Instant::now());
        assert!(doubt.is_awake(began) && doubt.ends(began, true, record(1)).is_some());
        let woken = began + SLEPT + SLEPT;
        // Before it has looked.
        assert!(!doubt.is_awake(woken) && doubt.ends(woken, true, record(2)).is_none());
        assert!(doubt.tick(woken, true).is_empty());
        assert!(doubt.ends(woken, true, record(3)).is_none());
        let settled = woken + SETTLES;
        assert!(passes(&mut doubt, woken, settled - MOMENT).is_empty() && !doubt.is_awake(settled - MOMENT));
        doubt.forget(&[call(2)]);
        assert_eq!(doubt.tick(settled, true), [record(3)], "another node has the other");
        assert!(doubt.is_awake(settled) && doubt.ends(settled, true, record(4)).is_some());
    }

    #[test]
    fn a_node_that_is_cut_off_goes_on_and_keeps_its_records_back() {
        let (mut doubt, began) = (Doubt::default(), Instant::now());
        assert!(doubt.tick(began, false).is_empty() && doubt.is_awake(began));
        assert!(doubt.ends(began, false, record(1)).is_none());
        assert!(passes(&mut doubt, began, began + SETTLES - MOMENT).is_empty());
        assert_eq!(doubt.tick(began + SETTLES, true), [record(1)]);
    }

    #[test]
    fn a_node_that_stops_keeps_nothing_back() {
        let (mut doubt, began) = (Doubt::default(), Instant::now());
        assert!(doubt.ends(began, false, record(1)).is_none());
        assert_eq!(doubt.leave(), [record(1)]);
        assert!(doubt.ends(began, false, record(2)).is_some() && doubt.is_awake(began + 2 * SLEPT));
    }
}
