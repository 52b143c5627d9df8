//! Commands on their way to a datapath thread.
//!
//! While the thread works in steps of 5 ms it looks into the inbox by itself, so a command costs a short lock and no
//! system call; only a thread that sleeps without a clock is woken through its event descriptor, and that not for what makes
//! no difference before the next packet: the thread looks here before it reads one.

use std::io;
use std::mem;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carillon_media::rtp::Sequencer;
use carillon_media::{Direction, Negotiated, Source};

use super::counters::StreamCounters;
use super::ports::SocketIndex;
use super::sys::EventFd;
use super::{Latching, PlayToken, StreamId};

/// Commands that may wait. Every stream brings a handful in its life, and new streams are refused at half of this, so
/// the other half is never reached by an owner that releases what it allocates.
const CAPACITY: usize = 65_536;

/// So many commands that can wait are gathered at most while the thread sleeps.
const GATHERED: usize = 64;

/// What a thread is told.
pub(super) enum Command {
    /// A socket was bound; its index is the number of those before.
    Open(UdpSocket),
    /// A stream begins on a socket.
    Create {
        stream: StreamId,
        socket: SocketIndex,
        out: Sequencer,
        counters: Arc<StreamCounters>,
    },
    SetPeer {
        stream: StreamId,
        media: Negotiated,
        latching: Latching,
    },
    SetDirection {
        stream: StreamId,
        direction: Direction,
    },
    Play {
        stream: StreamId,
        source: Source,
        token: PlayToken,
    },
    StopPlay {
        stream: StreamId,
    },
    Bridge {
        a: StreamId,
        b: StreamId,
    },
    Unbridge {
        stream: StreamId,
    },
    Release {
        stream: StreamId,
    },
}

impl Command {
    /// Whether it is enough to obey it before the next packet and the next command that cannot wait. A stream that begins, has
    /// a peer or ends sends nothing by itself, unless something plays to it, and then the thread is awake. That a stream is
    /// bridged cannot wait: its silence counts from then on.
    const fn may_wait(&self) -> bool {
        match self {
            Command::Create { .. } | Command::SetPeer { .. } | Command::Release { .. } => true,
            Command::Open(_)
            | Command::SetDirection { .. }
            | Command::Play { .. }
            | Command::StopPlay { .. }
            | Command::Bridge { .. }
            | Command::Unbridge { .. } => false,
        }
    }
}

/// The commands of one thread.
pub(super) struct Inbox {
    waiting: Mutex<Vec<Command>>,
    /// Whether the thread sleeps, or is about to, until its event descriptor wakes it.
    asleep: AtomicBool,
    closed: AtomicBool,
    pub(super) wake: EventFd,
}

impl Inbox {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Inbox {
            waiting: Mutex::new(Vec::new()),
            asleep: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            wake: EventFd::new()?,
        })
    }

    /// Hands over a command. When far too many wait it is lost, and the log says so.
    pub(super) fn push(&self, command: Command) {
        {
            let mut waiting = self.lock();
            // A release is never lost: there is at most one for every stream that was let in.
            if waiting.len() >= CAPACITY && !matches!(command, Command::Release { .. }) {
                tracing::error!("rtp command lost, the thread is far behind");
                return;
            }
            let may_wait = command.may_wait() && waiting.len() < GATHERED;
            waiting.push(command);
            if may_wait {
                return;
            }
        }
        self.rouse();
    }

    /// Whether the thread is too far behind to take on new streams.
    pub(super) fn crowded(&self) -> bool {
        self.lock().len() >= CAPACITY / 2
    }

    /// Exchanges the waiting commands for the empty `taken`, so that both vectors keep their memory.
    pub(super) fn take(&self, taken: &mut Vec<Command>) {
        debug_assert!(taken.is_empty());
        mem::swap(&mut *self.lock(), taken);
    }

    /// Tells the thread to end.
    pub(super) fn close(&self) {
        self.closed.store(true, SeqCst);
        self.rouse();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    /// Announces that the thread goes to sleep; false when it must not, since something waits. The flag goes up before
    /// the look into the inbox, and comes down after a push, so one of the two sides always sees the other.
    pub(super) fn fall_asleep(&self) -> bool {
        self.asleep.store(true, SeqCst);
        let free = self.lock().is_empty() && !self.is_closed();
        if !free {
            self.asleep.store(false, SeqCst);
        }
        free
    }

    pub(super) fn woken(&self) {
        self.asleep.store(false, SeqCst);
    }

    fn rouse(&self) {
        if self.asleep.swap(false, SeqCst) {
            self.wake.notify();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Command>> {
        // A push cannot leave the vector half changed, so a panic elsewhere while it was locked does no harm.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release() -> Command {
        Command::Release { stream: StreamId::new(1, 1) }
    }

    #[test]
    fn the_end_of_streams_wakes_nobody_until_there_are_many() {
        let inbox = Inbox::new().unwrap();
        assert!(inbox.fall_asleep());
        (0..GATHERED).for_each(|_| inbox.push(release()));
        assert!(inbox.asleep.load(SeqCst));
        inbox.push(release());
        assert!(!inbox.asleep.load(SeqCst), "the thread is woken");
    }

    #[test]
    fn what_is_heard_wakes_the_thread_and_comes_after_what_could_wait() {
        let inbox = Inbox::new().unwrap();
        assert!(inbox.fall_asleep());
        inbox.push(release());
        inbox.push(Command::Unbridge { stream: StreamId::new(1, 2) });
        assert!(!inbox.asleep.load(SeqCst));
        assert!(!inbox.fall_asleep(), "something waits");
        let mut taken = Vec::new();
        inbox.take(&mut taken);
        assert!(matches!(taken[..], [Command::Release { .. }, Command::Unbridge { .. }]));
    }
}
