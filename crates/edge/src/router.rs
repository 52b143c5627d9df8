//! Which worker a message, a command or a media event belongs to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use carillon_acd::ids::{CallId, LegId};
use carillon_acd::leg::LegCommand;
use carillon_sip::message::peek_call_id;
use carillon_sip::{Flow, Moment};

use crate::datapath::MediaEvent;
use crate::inbox::{Inbox, Lane, Push};
use crate::tcp::Receive;

/// What a worker is told.
#[derive(Debug)]
pub(crate) enum Input {
    /// A message came from the network.
    Wire {
        /// The way it came.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// A connection could not be opened or is gone.
    Broken(Flow),
    /// The other edge at this address is gone.
    EdgeGone(SocketAddr),
    /// A call asks something of a leg.
    Command(LegId, LegCommand),
    /// A call has failed: end what legs it has.
    Abandon(CallId),
    /// Another edge has taken a call over: forget it.
    Forsake(CallId, Box<[LegId]>),
    /// Another edge gives a call up that is here, and may have drawn the other ends of these legs away.
    Reclaim(CallId, Box<[LegId]>),
    /// The call of the second leg wants the first, which is here, but cannot have it.
    Yield(LegId, LegId),
    /// Something happened to a leg's audio.
    Media(MediaEvent),
    /// End everything until then.
    ShutDown(Moment),
}

/// The inboxes of all workers. All messages of one SIP dialog and all legs of one call meet in one worker: a call's number
/// modulo the workers is its worker, and the edge chooses its own Call-IDs so that they hash to the same one.
///
/// The Call-IDs of a call that another edge began were chosen for that edge's workers. Those that would meet another worker
/// here are kept in a list, which is empty as long as all edges have as many workers.
#[derive(Debug)]
pub(crate) struct Router {
    inboxes: Vec<Inbox<Input>>,
    strays: RwLock<HashMap<Box<[u8]>, usize>>,
    has_strays: AtomicBool,
}

impl Router {
    pub(crate) fn new(inboxes: Vec<Inbox<Input>>) -> Self {
        Router { inboxes, strays: RwLock::default(), has_strays: AtomicBool::new(false) }
    }

    /// How many workers there are.
    pub(crate) fn workers(&self) -> usize {
        self.inboxes.len()
    }

    /// The inbox of one worker.
    pub(crate) fn inbox(&self, worker: usize) -> &Inbox<Input> {
        &self.inboxes[worker]
    }

    /// The worker of a call.
    pub(crate) fn of_call(&self, number: u64) -> usize {
        (number % self.inboxes.len() as u64) as usize
    }

    /// The worker of a Call-ID.
    pub(crate) fn of_call_id(&self, call_id: &[u8]) -> usize {
        self.stray(call_id).unwrap_or_else(|| self.by_hash(call_id))
    }

    fn by_hash(&self, call_id: &[u8]) -> usize {
        (hash(call_id) % self.inboxes.len() as u64) as usize
    }

    fn stray(&self, call_id: &[u8]) -> Option<usize> {
        if !self.has_strays.load(Ordering::Acquire) {
            return None;
        }
        self.strays.read().unwrap_or_else(PoisonError::into_inner).get(call_id).copied()
    }

    /// Messages with this Call-ID belong to `worker` until [`Router::let_go`], whatever their hash says.
    pub(crate) fn keep(&self, call_id: &[u8], worker: usize) {
        if self.by_hash(call_id) != worker {
            self.strays.write().unwrap_or_else(PoisonError::into_inner).insert(call_id.into(), worker);
            self.has_strays.store(true, Ordering::Release);
        }
    }

    /// Whether [`Router::keep`] had to note this Call-ID.
    pub(crate) fn is_kept(&self, call_id: &[u8]) -> bool {
        self.stray(call_id).is_some()
    }

    /// Nothing with this Call-ID is expected any more.
    pub(crate) fn let_go(&self, call_id: &[u8]) {
        let mut strays = self.strays.write().unwrap_or_else(PoisonError::into_inner);
        strays.remove(call_id);
        self.has_strays.store(!strays.is_empty(), Ordering::Release);
    }

    /// The worker of a message that is not parsed yet; one without Call-ID may go anywhere.
    pub(crate) fn of_message(&self, bytes: &[u8]) -> usize {
        if self.inboxes.len() == 1 {
            return 0;
        }
        peek_call_id(bytes).map_or(0, |call_id| self.of_call_id(call_id))
    }

    pub(crate) fn command(&self, leg: LegId, command: LegCommand) -> Push {
        self.inboxes[self.of_call(leg.call.number)].push(Lane::Control, Input::Command(leg, command))
    }

    /// Tells the worker of `leg` to give it up for another call's leg `by`.
    pub(crate) fn give_up(&self, leg: LegId, by: LegId) -> Push {
        self.inboxes[self.of_call(leg.call.number)].push(Lane::Control, Input::Yield(leg, by))
    }

    pub(crate) fn abandon(&self, call: CallId) -> Push {
        self.inboxes[self.of_call(call.number)].push(Lane::Control, Input::Abandon(call))
    }

    pub(crate) fn forsake(&self, call: CallId, theirs: Box<[LegId]>) -> Push {
        self.inboxes[self.of_call(call.number)].push(Lane::Control, Input::Forsake(call, theirs))
    }

    pub(crate) fn reclaim(&self, call: CallId, theirs: Box<[LegId]>) -> Push {
        self.inboxes[self.of_call(call.number)].push(Lane::Control, Input::Reclaim(call, theirs))
    }

    /// Hands on what the datapath reports. A full inbox loses it; a lost end of a sound is covered by the call's own
    /// deadline, a lost silence is reported by no one else, but such a worker has other troubles.
    pub(crate) fn media(&self, event: MediaEvent) {
        let (MediaEvent::Digit { stream, .. }
        | MediaEvent::PlayFinished { stream, .. }
        | MediaEvent::Silent { stream }) = event;
        self.inboxes[self.of_call(stream.call)].push(Lane::Control, Input::Media(event));
    }

    pub(crate) fn edge_gone(&self, address: SocketAddr) {
        for inbox in &self.inboxes {
            inbox.push(Lane::Control, Input::EdgeGone(address));
        }
    }

    pub(crate) fn shut_down(&self, until: Moment) {
        for inbox in &self.inboxes {
            inbox.push(Lane::Control, Input::ShutDown(until));
        }
    }
}

impl Receive for std::sync::Arc<Router> {
    fn message(&self, flow: Flow, bytes: Bytes) -> Push {
        self.inboxes[self.of_message(&bytes)].push(Lane::Network, Input::Wire { flow, bytes })
    }

    fn broken(&self, flow: Flow) {
        for inbox in &self.inboxes {
            inbox.push(Lane::Control, Input::Broken(flow));
        }
    }
}

/// FNV-1a with a final mix, so that few workers are filled evenly.
fn hash(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(workers: usize) -> (Vec<mio::Poll>, Router) {
        let polls: Vec<_> = (0..workers).map(|_| mio::Poll::new().unwrap()).collect();
        let inboxes = polls.iter().map(|p| Inbox::new(mio::Waker::new(p.registry(), mio::Token(0)).unwrap())).collect();
        (polls, Router::new(inboxes))
    }

    #[test]
    fn call_ids_spread_evenly_and_stay() {
        let (_polls, router) = router(4);
        let mut counts = [0; 4];
        for i in 0..4_000 {
            let call_id = format!("call{i}@127.0.0.1");
            let message = format!("BYE sip:a SIP/2.0\r\ni: {call_id}\r\n\r\n");
            assert_eq!(router.of_message(message.as_bytes()), router.of_call_id(call_id.as_bytes()));
            counts[router.of_call_id(call_id.as_bytes())] += 1;
        }
        assert!(counts.iter().all(|c| (800..1_200).contains(c)), "{counts:?}");
    }

    #[test]
    fn a_dialog_of_another_edge_meets_the_worker_of_its_call() {
        let (_polls, router) = router(3);
        let (call_id, message) = (b"call1@127.0.0.1", b"BYE sip:a SIP/2.0\r\ni: call1@127.0.0.1\r\n\r\n");
        let by_hash = router.of_call_id(call_id);
        router.keep(call_id, by_hash);
        assert!(!router.is_kept(call_id), "nothing to note");
        let other = (by_hash + 1) % 3;
        router.keep(call_id, other);
        assert_eq!((router.of_message(message), router.of_call_id(b"call2")), (other, router.by_hash(b"call2")));
        router.let_go(call_id);
        assert_eq!(router.of_message(message), by_hash);
        assert!(!router.has_strays.load(Ordering::Relaxed));
    }
}
