//! Who is played to, and in which slot of the clock.

use super::clock::SLOTS;
use super::ports::SocketIndex;
use super::sockets::StreamIndex;

/// The listeners of each slot, sorted by socket, so that those who share one are sent together. Leaving is only noted;
/// the list is put in order when its slot is served next.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    slots: [Slot; SLOTS],
}

#[derive(Debug, Default)]
struct Slot {
    listeners: Vec<(SocketIndex, StreamIndex)>,
    /// Who really listens: the list may still name some who do not, or name some twice.
    count: usize,
    untidy: bool,
}

impl Schedule {
    /// Adds a listener to the slot with the fewest, and says which that is.
    pub(super) fn join(&mut self, socket: SocketIndex, stream: StreamIndex) -> usize {
        let fewest = (0..SLOTS).min_by_key(|&slot| self.slots[slot].count).unwrap_or(0);
        let slot = &mut self.slots[fewest];
        slot.listeners.push((socket, stream));
        slot.count += 1;
        slot.untidy = true;
        fewest
    }

    /// Notes that somebody who listened in `slot` does so no more.
    pub(super) fn leave(&mut self, slot: usize) {
        self.slots[slot].count -= 1;
        self.slots[slot].untidy = true;
    }

    /// Whether nobody listens.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| slot.count == 0)
    }

    /// Takes the listeners of a slot, in order; `listens` says who still does. Give them back with [`Self::put_back`].
    pub(super) fn take(
        &mut self,
        slot: usize,
        listens: impl Fn(SocketIndex, StreamIndex) -> bool,
    ) -> Vec<(SocketIndex, StreamIndex)> {
        let Slot { listeners, untidy, .. } = &mut self.slots[slot];
        if std::mem::take(untidy) {
            listeners.retain(|(socket, stream)| listens(*socket, *stream));
            listeners.sort_unstable();
            listeners.dedup();
        }
        std::mem::take(listeners)
    }

    /// Gives back what [`Self::take`] took; nobody can have joined in between.
    pub(super) fn put_back(&mut self, slot: usize, listeners: Vec<(SocketIndex, StreamIndex)>) {
        debug_assert!(self.slots[slot].listeners.is_empty(), "slots are served between commands");
        self.slots[slot].listeners = listeners;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_spread_evenly_and_sorted_by_socket() {
        let mut schedule = Schedule::default();
        let slots: Vec<usize> = (0..8).map(|n| schedule.join(100 - n, n)).collect();
        assert_eq!(slots, [0, 1, 2, 3, 0, 1, 2, 3]);
        assert_eq!(schedule.take(0, |_, _| true), [(96, 4), (100, 0)]);
    }

    #[test]
    fn who_has_left_is_no_longer_served_and_who_came_back_is_served_once() {
        let mut schedule = Schedule::default();
        for stream in 0..8 {
            schedule.join(0, stream);
        }
        schedule.leave(0);
        assert_eq!(schedule.join(0, 4), 0);
        let listeners = schedule.take(0, |_, stream| stream != 9);
        assert_eq!(listeners, [(0, 0), (0, 4)]);
        schedule.put_back(0, listeners);
        schedule.leave(0);
        assert_eq!(schedule.take(0, |_, stream| stream != 4), [(0, 0)]);
        for slot in [0, 1, 1, 2, 2, 3, 3] {
            schedule.leave(slot);
        }
        assert!(schedule.is_empty());
    }
}
