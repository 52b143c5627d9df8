//! The bounded queue in front of a worker: everything that does not come straight from the UDP socket.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many inputs may wait. Messages from the network may fill three quarters, so that commands, which end calls and
/// free what they hold, still find room.
pub(crate) const CAPACITY: usize = 16_384;

/// Who may fill how much of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Commands, media events and the shutdown: up to the whole queue.
    Control,
    /// Messages from the network: up to three quarters.
    Network,
}

/// A queue with one reader, which sleeps in `poll`, and many writers. A writer pays for a wake-up only when the reader
/// really sleeps.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    queue: Mutex<VecDeque<T>>,
    asleep: AtomicBool,
    closed: AtomicBool,
    overflowed: AtomicU64,
    waker: mio::Waker,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Push {
    /// It is in the queue.
    Taken,
    /// The lane is full; counted.
    Full,
    /// The reader is gone.
    Closed,
}

impl<T> Inbox<T> {
    pub(crate) fn new(waker: mio::Waker) -> Self {
        Inbox {
            queue: Mutex::new(VecDeque::new()),
            asleep: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            overflowed: AtomicU64::new(0),
            waker,
        }
    }

    /// Adds `input` unless its lane is full. Never blocks for longer than another push.
    pub(crate) fn push(&self, lane: Lane, input: T) -> Push {
        if self.closed.load(Ordering::Relaxed) {
            return Push::Closed;
        }
        let limit = match lane {
            Lane::Control => CAPACITY,
            Lane::Network => CAPACITY / 4 * 3,
        };
        {
            let mut queue = self.lock();
            if queue.len() >= limit {
                self.overflowed.fetch_add(1, Ordering::Relaxed);
                return Push::Full;
            }
            queue.push_back(input);
        }
        // The reader sets `asleep` before it looks at the queue for the last time, so one of the two sees the other.
        if self.asleep.swap(false, Ordering::SeqCst) {
            // It fails only without memory for the kernel's counter; the reader's next deadline then wakes it.
            let _ = self.waker.wake();
        }
        Push::Taken
    }

    /// Moves everything that waits behind what is in `into`.
    pub(crate) fn take(&self, into: &mut VecDeque<T>) {
        let mut queue = self.lock();
        if into.is_empty() {
            std::mem::swap(&mut *queue, into);
        } else {
            into.append(&mut queue);
        }
    }

    /// Called by the reader before it polls: true when it may sleep, false when something came in meanwhile.
    pub(crate) fn going_to_sleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        let empty = self.lock().is_empty();
        if !empty {
            self.asleep.store(false, Ordering::SeqCst);
        }
        empty
    }

    /// Called by the reader after it polled.
    pub(crate) fn woke(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Refuses everything from now on and forgets what waits.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.lock().clear();
    }

    /// How many pushes found a full lane.
    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox() -> (mio::Poll, Inbox<usize>) {
        let poll = mio::Poll::new().unwrap();
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).unwrap();
        (poll, Inbox::new(waker))
    }

    #[test]
    fn network_leaves_room_for_commands() {
        let (_poll, inbox) = inbox();
        let taken = (0..CAPACITY).take_while(|&i| inbox.push(Lane::Network, i) == Push::Taken).count();
        assert_eq!(taken, CAPACITY / 4 * 3);
        assert_eq!(inbox.push(Lane::Control, 0), Push::Taken);
        assert_eq!(inbox.overflowed(), 1);
    }

    #[test]
    fn a_push_wakes_a_sleeping_reader_and_keeps_the_order() {
        let (mut poll, inbox) = inbox();
        assert!(inbox.going_to_sleep());
        inbox.push(Lane::Control, 1);
        inbox.push(Lane::Control, 2);
        let mut events = mio::Events::with_capacity(1);
        poll.poll(&mut events, None).unwrap();
        inbox.woke();
        let mut taken = VecDeque::new();
        inbox.take(&mut taken);
        inbox.push(Lane::Control, 3);
        assert!(!inbox.going_to_sleep(), "something waits");
        inbox.take(&mut taken);
        assert_eq!(taken, [1, 2, 3]);
        inbox.close();
        assert_eq!(inbox.push(Lane::Control, 4), Push::Closed);
    }
}
