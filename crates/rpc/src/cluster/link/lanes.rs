//! The connections of one link. The first carries everything, and the link lives as long as it does. Further ones are open and
//! silent; when frames come late, because packets are lost and TCP waits before it repeats them, each frame goes over all of
//! them at once, and the fastest counts (`order.rs`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prost::Message;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::Instant;

use super::lateness::Lateness;
use super::order::{Order, Taken};
use super::peer::{Peer, add};
use super::wire::{Envelope, Frame};

/// Further connections of a link. With two of them, three packets must be lost or wait behind a lost one at a time.
pub(super) const FURTHER: u32 = 2;
/// Frames that wait for a further connection. When more do, it does not help, and is closed.
const LENGTH: usize = 256;
/// A frame of more bytes goes over the first connection alone: what waits for another one is bounded in bytes too.
const SMALL: usize = 16 * 1024;
/// For how long after a late frame everything is sent several times.
const DOUBLING: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Lanes {
    /// The link's name, which both sides know.
    pub(super) link: u64,
    began: Instant,
    further: Mutex<[Option<Sender<Frame>>; FURTHER as usize]>,
    /// What comes before the link is up, or after its end, is not for it.
    live: AtomicBool,
    incoming: Mutex<Incoming>,
    /// Until when everything is sent several times, in microseconds since `began`.
    doubling: AtomicU64,
    /// Until when the other side is told that it comes late.
    telling: AtomicU64,
    /// When something came in last, over any connection.
    heard: AtomicU64,
}

struct Incoming {
    order: Order,
    lateness: Lateness,
}

impl Lanes {
    pub(super) fn new(link: u64) -> Self {
        let incoming = Incoming { order: Order::new(), lateness: Lateness::new() };
        Lanes {
            link,
            began: Instant::now(),
            further: Mutex::default(),
            live: AtomicBool::new(false),
            incoming: Mutex::new(incoming),
            doubling: AtomicU64::new(0),
            telling: AtomicU64::new(0),
            heard: AtomicU64::new(0),
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The link is up.
    pub(super) fn begin(&self) {
        self.live.store(true, Ordering::Relaxed);
    }

    /// It is not any more: its further connections are closed.
    pub(super) fn end(&self) {
        self.live.store(false, Ordering::Relaxed);
        *self.further.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
    }

    /// A further connection has been opened, in the place of an older one. What it has to send comes out of the receiver,
    /// which ends with the connection's use.
    pub(super) fn open(&self, lane: u32) -> Option<Receiver<Frame>> {
        let mut further = self.further.lock().unwrap_or_else(PoisonError::into_inner);
        let place = further.get_mut(usize::try_from(lane.checked_sub(1)?).ok()?)?;
        let (frames, receiver) = mpsc::channel(LENGTH);
        *place = Some(frames);
        Some(receiver)
    }

    /// How many further connections are open.
    pub(super) fn opened(&self) -> usize {
        let further = self.further.lock().unwrap_or_else(PoisonError::into_inner);
        further.iter().flatten().filter(|frames| !frames.is_closed()).count()
    }

    /// Whether everything is sent several times at this moment.
    pub(super) fn is_doubling(&self) -> bool {
        micros(self.now()) < self.doubling.load(Ordering::Relaxed)
    }

    /// Completes a frame for the first connection, and sends it over the others too when that is needed.
    pub(super) fn send(&self, frame: &mut Frame, peer: &Peer) {
        let now = micros(self.now());
        frame.sent = now + 1;
        frame.late = now < self.telling.load(Ordering::Relaxed);
        if now < self.doubling.load(Ordering::Relaxed) && frame.encoded_len() <= SMALL {
            let mut further = self.further.lock().unwrap_or_else(PoisonError::into_inner);
            for place in &mut *further {
                match place.as_ref().map(|frames| frames.try_send(frame.clone())) {
                    Some(Ok(())) => add(&peer.doubled, frame.envelopes.len()),
                    Some(Err(_)) => *place = None,
                    None => {}
                }
            }
        }
    }

    /// For how long nothing has come in.
    pub(super) fn silent_for(&self) -> Duration {
        self.now().saturating_sub(Duration::from_micros(self.heard.load(Ordering::Relaxed)))
    }

    /// Takes in a frame of the first connection or of a further one; `deliver` gets the envelopes whose turn it is.
    pub(super) fn take(&self, is_first: bool, frame: Frame, peer: &Peer, deliver: impl FnMut(Envelope)) {
        let mut incoming = self.incoming.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.live.load(Ordering::Relaxed) {
            return;
        }
        self.notice(is_first, &frame, &mut incoming.lateness);
        let taken = match (frame.first, is_first) {
            (0, true) => Taken { ready: frame.envelopes, doubles: 0 },
            (0, false) => Taken::default(),
            (first, true) => incoming.order.take(first, frame.envelopes),
            (first, false) => incoming.order.take_early(first, frame.envelopes),
        };
        if taken.doubles > 0 {
            add(&peer.doubles, taken.doubles);
        }
        // Within the lock: what another connection brings must not overtake it.
        taken.ready.into_iter().for_each(deliver);
    }

    fn notice(&self, is_first: bool, frame: &Frame, lateness: &mut Lateness) {
        let now = self.now();
        let until = micros(now + DOUBLING);
        self.heard.store(micros(now), Ordering::Relaxed);
        if frame.late {
            self.doubling.fetch_max(until, Ordering::Relaxed);
        }
        if is_first && frame.sent > 0 && lateness.note(now, Duration::from_micros(frame.sent - 1)) {
            // A network that loses one way mostly loses the other way too.
            self.doubling.fetch_max(until, Ordering::Relaxed);
            self.telling.fetch_max(until, Ordering::Relaxed);
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
