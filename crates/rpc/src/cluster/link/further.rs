//! The further connections of a link, on both sides: opened by the node that dialled the link, silent until frames come late,
//! and gone with the link. One that breaks is opened again and does no harm meanwhile.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use carillon_acd::ids::NodeId;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tokio_stream::Stream;
use tonic::{Status, Streaming};

use super::lanes::{FURTHER, Lanes};
use super::pauses::Pauses;
use super::wire::link_service_client::LinkServiceClient;
use super::wire::{Frame, Hello};
use super::{MOST_BYTES, SILENCE, Shared};

/// A further connection says that it lives so often, when nothing else goes over it: for firewalls, which forget those that
/// are silent.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// One from which nothing has come for so long is opened anew.
const DEAD: Duration = Duration::from_secs(35);

/// Opens the further connections of a link, as many as both sides take, and keeps them open until the result is dropped. Must
/// be called inside a tokio runtime.
pub(super) fn dial(shared: &Arc<Shared>, hello: &Hello, addr: SocketAddr, lanes: &Arc<Lanes>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for lane in 1..=hello.lanes.min(FURTHER) {
        tasks.spawn(keep(shared.clone(), NodeId(hello.node), addr, lanes.clone(), lane));
    }
    tasks
}

async fn keep(shared: Arc<Shared>, node: NodeId, addr: SocketAddr, lanes: Arc<Lanes>, lane: u32) {
    let mut pauses = Pauses::new();
    loop {
        let lasted = match open(&shared, addr, &lanes, lane).await {
            Ok((incoming, unused)) => {
                let opened = Instant::now();
                read(&shared, node, &lanes, incoming, unused).await;
                opened.elapsed()
            }
            Err(reason) => {
                tracing::debug!(node = node.0, lane, reason, "no further connection");
                Duration::ZERO
            }
        };
        pauses.wait(lasted).await;
    }
}

async fn open(
    shared: &Shared,
    addr: SocketAddr,
    lanes: &Lanes,
    lane: u32,
) -> Result<(Streaming<Frame>, Unused), String> {
    let channel = shared.transport.channel(addr).await?;
    let mut client = LinkServiceClient::new(channel).max_decoding_message_size(MOST_BYTES);
    let frames = lanes.open(lane).ok_or("there is no such connection")?;
    let (frames, unused) = Frames::new(shared.hello(lanes.link, lane), frames);
    let opening = async {
        let mut incoming = client.open(frames).await?.into_inner();
        incoming.message().await?.and_then(|frame| frame.hello).ok_or_else(|| Status::unknown("no hello"))?;
        Ok::<_, Status>((incoming, unused))
    };
    let opened = tokio::time::timeout(SILENCE, opening).await.map_err(|_| "no hello in time".to_owned())?;
    opened.map_err(|status| status.message().to_owned())
}

/// The other side: takes in a further connection of a link that is up.
///
/// # Errors
/// There is no such link, or no such connection of it.
pub(super) fn accept(shared: &Arc<Shared>, hello: &Hello, incoming: Streaming<Frame>) -> Result<Frames, Status> {
    let node = NodeId(hello.node);
    let lanes = shared.lanes_of(node, hello.link);
    let lanes = lanes.ok_or_else(|| Status::failed_precondition("that link is not up"))?;
    let frames = lanes.open(hello.lane);
    let frames = frames.ok_or_else(|| {
        Status::invalid_argument(format!("lane {}: a link has {FURTHER} further connections", hello.lane))
    })?;
    let shared = shared.clone();
    let (frames, unused) = Frames::new(shared.hello(hello.link, hello.lane), frames);
    tokio::spawn(async move { read(&shared, node, &lanes, incoming, unused).await });
    Ok(frames)
}

/// Until it breaks, or is not used any more.
async fn read(shared: &Shared, node: NodeId, lanes: &Lanes, mut incoming: Streaming<Frame>, unused: Unused) {
    let peer = shared.peer(node);
    let reading = async {
        while let Ok(Ok(Some(frame))) = tokio::time::timeout(DEAD, incoming.message()).await {
            shared.take_frame(node, &peer, lanes, false, frame);
        }
    };
    tokio::select! {
        () = reading => {}
        _ = unused => {}
    }
}

/// Tells that nothing goes out over a connection any more.
type Unused = oneshot::Receiver<()>;

/// What goes out over a further connection.
pub(super) struct Frames {
    hello: Option<Frame>,
    frames: Receiver<Frame>,
    heartbeat: Pin<Box<Sleep>>,
    _used: oneshot::Sender<()>,
}

impl Frames {
    fn new(hello: Frame, frames: Receiver<Frame>) -> (Self, Unused) {
        let (used, unused) = oneshot::channel();
        let heartbeat = Box::pin(tokio::time::sleep(HEARTBEAT));
        (Frames { hello: Some(hello), frames, heartbeat, _used: used }, unused)
    }
}

impl Stream for Frames {
    type Item = Frame;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        if let Some(hello) = self.hello.take() {
            return Poll::Ready(Some(hello));
        }
        let frame = match self.frames.poll_recv(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                std::task::ready!(self.heartbeat.as_mut().poll(cx));
                Some(Frame::default())
            }
        };
        self.heartbeat.as_mut().reset(Instant::now() + HEARTBEAT);
        Poll::Ready(frame)
    }
}
