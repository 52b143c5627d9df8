//! What one side of a link sends: a hello, then everything that waits in its queue, as much at once as there is and fits.

use std::iter::Peekable;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use tokio::time::{Instant, Sleep};
use tokio_stream::Stream;

use super::lanes::Lanes;
use super::peer::{Peer, add};
use super::queue::{Queued, Waiting};
use super::{HEARTBEAT, wire};

/// Envelopes of one frame. More make it no cheaper, and hold back the first.
const BATCH: usize = 256;
/// A frame holds one envelope, or several that are no more bytes than this.
const FRAME: usize = 256 * 1024;

pub(super) struct Outgoing {
    hello: Option<wire::Frame>,
    queue: Waiting,
    /// Taken from the queue for a frame in which there was no more room.
    taken: Peekable<vec::IntoIter<Queued>>,
    heartbeat: Pin<Box<Sleep>>,
    /// The number of the next envelope.
    next: u64,
    lanes: Arc<Lanes>,
    /// Something waits, and whoever is about to add to it has had his turn.
    gathered: bool,
    peer: Arc<Peer>,
}

impl Outgoing {
    pub(super) fn new(hello: wire::Frame, queue: Waiting, lanes: Arc<Lanes>, peer: Arc<Peer>) -> Self {
        let heartbeat = Box::pin(tokio::time::sleep(HEARTBEAT));
        Outgoing {
            hello: Some(hello),
            queue,
            taken: Vec::new().into_iter().peekable(),
            heartbeat,
            gathered: false,
            next: 1,
            lanes,
            peer,
        }
    }

    fn next_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<wire::Frame>> {
        if let Some(hello) = self.hello.take() {
            return Poll::Ready(Some(hello));
        }
        if self.taken.peek().is_none() {
            // What a moment brings to this link comes from several tasks, one after the other. A frame of its own for each costs
            // both nodes more than all that they say.
            self.gathered = !self.queue.is_empty() && !self.gathered;
            if self.gathered {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.queue.poll_take(cx, BATCH) {
                // The link was cut.
                Poll::Ready(taken) if taken.is_empty() => return Poll::Ready(None),
                Poll::Ready(taken) => self.taken = taken.into_iter().peekable(),
                Poll::Pending => {
                    std::task::ready!(self.heartbeat.as_mut().poll(cx));
                    return Poll::Ready(Some(self.complete(wire::Frame::default())));
                }
            }
        }
        let frame = self.full_frame();
        Poll::Ready(Some(self.complete(frame)))
    }

    fn complete(&self, mut frame: wire::Frame) -> wire::Frame {
        self.lanes.send(&mut frame, &self.peer);
        frame
    }

    fn full_frame(&mut self) -> wire::Frame {
        let (mut bytes, mut envelopes) = (0, Vec::new());
        while let Some(next) = self.taken.next_if(|next| envelopes.is_empty() || bytes + next.bytes <= FRAME) {
            bytes += next.bytes;
            envelopes.push(next.envelope);
        }
        add(&self.peer.bytes_sent, bytes);
        let first = self.next;
        self.next += envelopes.len() as u64;
        wire::Frame { envelopes, first, ..wire::Frame::default() }
    }
}

impl Stream for Outgoing {
    type Item = wire::Frame;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<wire::Frame>> {
        let frame = std::task::ready!(self.next_frame(cx));
        self.heartbeat.as_mut().reset(Instant::now() + HEARTBEAT);
        Poll::Ready(frame)
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt;

    use super::super::queue::queue;
    use super::*;

    #[tokio::test]
    async fn what_several_tasks_say_in_one_moment_is_one_frame() {
        let (queue, waiting) = queue();
        let mut outgoing = Outgoing::new(wire::Frame::default(), waiting, Arc::new(Lanes::new(1)), Arc::default());
        assert_eq!(outgoing.next().await, Some(wire::Frame::default()), "the hello");
        let queue = Arc::new(queue);
        let other = queue.clone();
        queue.put(wire::Envelope::default()).unwrap();
        tokio::spawn(async move { other.put(wire::Envelope::default()).unwrap() });
        assert_eq!(outgoing.next().await.unwrap().envelopes.len(), 2);
        queue.put(wire::Envelope::default()).unwrap();
        assert_eq!(outgoing.next().await.unwrap().envelopes.len(), 1, "nobody else says anything");
        drop(queue);
        assert_eq!(outgoing.next().await, None);
    }
}
