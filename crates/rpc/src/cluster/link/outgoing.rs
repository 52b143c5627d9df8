//! What one side of a link sends: a hello, then everything that waits in its queue, as much at once as there is.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, Sleep};
use tokio_stream::Stream;

use super::{HEARTBEAT, wire};

/// Envelopes of one frame. More make it no cheaper, and hold back the first.
const BATCH: usize = 256;

pub(super) struct Outgoing {
    hello: Option<wire::Frame>,
    queue: Receiver<wire::Envelope>,
    heartbeat: Pin<Box<Sleep>>,
}

impl Outgoing {
    pub(super) fn new(hello: wire::Frame, queue: Receiver<wire::Envelope>) -> Self {
        Outgoing { hello: Some(hello), queue, heartbeat: Box::pin(tokio::time::sleep(HEARTBEAT)) }
    }

    fn next_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<wire::Frame>> {
        if let Some(hello) = self.hello.take() {
            return Poll::Ready(Some(hello));
        }
        let mut envelopes = Vec::new();
        match self.queue.poll_recv_many(cx, &mut envelopes, BATCH) {
            // The link was cut.
            Poll::Ready(0) => Poll::Ready(None),
            Poll::Ready(_) => Poll::Ready(Some(wire::Frame { hello: None, envelopes })),
            Poll::Pending => {
                std::task::ready!(self.heartbeat.as_mut().poll(cx));
                Poll::Ready(Some(wire::Frame::default()))
            }
        }
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
