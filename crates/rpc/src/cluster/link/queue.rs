//! What waits for a link: bounded in number and in bytes, since one envelope may be a thousand times another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use prost::Message;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::{MOST_BYTES, wire};

/// Envelopes that wait for one link. At 100 calls a second a link carries some 2,000 a second, so this is seconds of
/// silence, after which the link is dead anyway.
const LENGTH: usize = 8_192;
/// Bytes that wait for one link.
const BYTES: usize = 64 * 1024 * 1024;
/// The largest envelope: a frame must hold it.
const LARGEST: usize = MOST_BYTES - 64;
/// What a frame adds to each envelope at most: a tag and a length.
pub(super) const AROUND: usize = 6;

/// An envelope, and how many bytes of a frame it takes.
pub(super) struct Queued {
    pub(super) envelope: wire::Envelope,
    pub(super) bytes: usize,
}

/// Why an envelope was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    Full,
    Oversized(usize),
    Closed,
}

/// Where envelopes go in.
pub(super) struct Queue {
    sender: Sender<Queued>,
    bytes: Arc<AtomicUsize>,
}

/// Where they come out.
pub(super) struct Waiting {
    receiver: Receiver<Queued>,
    bytes: Arc<AtomicUsize>,
}

pub(super) fn queue() -> (Queue, Waiting) {
    let (sender, receiver) = mpsc::channel(LENGTH);
    let bytes = Arc::<AtomicUsize>::default();
    (Queue { sender, bytes: bytes.clone() }, Waiting { receiver, bytes })
}

impl Queue {
    pub(super) fn put(&self, envelope: wire::Envelope) -> Result<(), NotTaken> {
        let bytes = envelope.encoded_len() + AROUND;
        if bytes > LARGEST {
            return Err(NotTaken::Oversized(bytes));
        }
        // Several who put at once may overshoot by their envelopes, which is bound enough.
        if self.bytes.load(Ordering::Relaxed) + bytes > BYTES {
            return Err(NotTaken::Full);
        }
        // Before it is in, or it might be taken off before it was put on.
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let put = self.sender.try_send(Queued { envelope, bytes });
        put.map_err(|refused| {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            match refused {
                mpsc::error::TrySendError::Full(_) => NotTaken::Full,
                mpsc::error::TrySendError::Closed(_) => NotTaken::Closed,
            }
        })
    }

    /// Whether half of it is free.
    pub(super) fn has_room(&self) -> bool {
        let (envelopes, bytes) = self.depth();
        envelopes <= LENGTH / 2 && bytes <= BYTES / 2
    }

    /// How many envelopes wait, and how many bytes they are.
    pub(super) fn depth(&self) -> (usize, usize) {
        (self.sender.max_capacity() - self.sender.capacity(), self.bytes.load(Ordering::Relaxed))
    }
}

impl Waiting {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    /// Up to `most` that wait; none when the link was cut.
    pub(super) fn poll_take(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Vec<Queued>> {
        let mut taken = Vec::new();
        std::task::ready!(self.receiver.poll_recv_many(cx, &mut taken, most));
        self.bytes.fetch_sub(taken.iter().map(|it| it.bytes).sum(), Ordering::Relaxed);
        Poll::Ready(taken)
    }
}
