//! The links of a node: one stream each way with every other node, opened by the one with the lower number. A link carries
//! envelopes in order while it lives, and loses what was on its way when it breaks; what it carries tolerates that. Its
//! queue is bounded: a full link refuses, and counts what it refused.

mod dial;
mod outgoing;
mod probe;
mod serve;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use carillon_acd::ids::NodeId;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tonic::Streaming;

pub use probe::probe;

use super::wire::link_service_server::LinkServiceServer;
use super::wire::{self, envelope::Message as Wire};

/// The version of the messages that this program writes.
pub const PROTOCOL: u32 = 1;
/// Envelopes that wait for one link. At 100 calls a second a link carries some 2,000 a second, so this is seconds of
/// silence, after which the link is dead anyway.
const QUEUE: usize = 8_192;
/// A link says that it lives so often, when it has nothing else to say.
const HEARTBEAT: Duration = Duration::from_millis(300);
/// A link from which nothing has come for so long is dead.
const SILENCE: Duration = Duration::from_millis(1_500);
/// The largest frame. 256 envelopes are a hundredth of it, but for an answer to a new owner.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// This node, as it introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Myself {
    /// Its number.
    pub node: NodeId,
    /// When it started, in seconds since 1970.
    pub boot: u32,
}

/// What a link reports to its node. Both functions are called on the runtime's threads and must not block.
#[derive(Clone)]
pub struct Inbox {
    /// A message of another node, in the order in which that node sent it.
    pub on_message: Arc<dyn Fn(NodeId, Wire) + Send + Sync>,
    /// A link came up (with the boot of the other node) or broke (`None`).
    pub on_link: Arc<dyn Fn(NodeId, Option<u32>) + Send + Sync>,
}

/// Why an envelope was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// There is no link to that node at this moment.
    #[error("no link to node {}", .0.0)]
    NoLink(NodeId),
    /// The link does not keep up: its queue is full.
    #[error("the link to node {} is full", .0.0)]
    Full(NodeId),
}

/// What the links have done since the node's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Links that are up.
    pub up: usize,
    /// Envelopes taken for sending.
    pub sent: u64,
    /// Envelopes received.
    pub received: u64,
    /// Envelopes refused because a queue was full.
    pub refused: u64,
    /// Envelopes for nodes without a link.
    pub unlinked: u64,
}

#[derive(Default)]
struct Counters {
    sent: AtomicU64,
    received: AtomicU64,
    refused: AtomicU64,
    unlinked: AtomicU64,
}

/// A link that is up. It ends when this is dropped.
struct Link {
    /// Tells it from one that replaced it.
    id: u64,
    queue: Sender<wire::Envelope>,
    _cut: oneshot::Sender<()>,
}

/// A node that we dial.
struct Dialled {
    addr: SocketAddr,
    task: AbortHandle,
}

impl Drop for Dialled {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Shared {
    myself: Myself,
    inbox: Inbox,
    up: RwLock<HashMap<NodeId, Link>>,
    next_id: AtomicU64,
    counters: Counters,
}

/// All links of a node. Clones share them; they end with the last clone.
#[derive(Clone)]
pub struct Links {
    shared: Arc<Shared>,
    dialled: Arc<RwLock<HashMap<NodeId, Dialled>>>,
}

impl Links {
    /// No link yet: see [`Links::set_peers`] and [`Links::service`].
    pub fn new(myself: Myself, inbox: Inbox) -> Self {
        let shared =
            Shared { myself, inbox, up: RwLock::default(), next_id: AtomicU64::new(1), counters: Counters::default() };
        Links { shared: Arc::new(shared), dialled: Arc::default() }
    }

    /// The service behind which other nodes reach this one; to be put behind the node's cluster listener.
    pub fn service(&self) -> LinkServiceServer<impl wire::link_service_server::LinkService> {
        LinkServiceServer::new(serve::Service::new(self.shared.clone())).max_decoding_message_size(MOST_BYTES)
    }

    /// The other nodes and where they listen. Links to nodes that are not among them end; those with a higher number are
    /// dialled, again and again with growing pauses (50 ms to 2 s). Must be called inside a tokio runtime.
    pub fn set_peers(&self, peers: &[(NodeId, SocketAddr)]) {
        let mut dialled = self.dialled.write().unwrap_or_else(PoisonError::into_inner);
        dialled.retain(|node, known| peers.contains(&(*node, known.addr)));
        for &(node, addr) in peers.iter().filter(|(node, _)| self.shared.myself.node < *node) {
            dialled.entry(node).or_insert_with(|| {
                let task = tokio::spawn(dial::forever(self.shared.clone(), node, addr)).abort_handle();
                Dialled { addr, task }
            });
        }
        drop(dialled);
        let gone: Vec<NodeId> = {
            let up = self.shared.up.read().unwrap_or_else(PoisonError::into_inner);
            up.keys().filter(|node| peers.iter().all(|(peer, _)| peer != *node)).copied().collect()
        };
        gone.into_iter().for_each(|node| self.shared.cut(node));
    }

    /// Puts an envelope on its way, without waiting.
    ///
    /// # Errors
    /// See [`LinkError`]; the envelope is lost then, as it could have been on its way.
    pub fn send(&self, to: NodeId, envelope: wire::Envelope) -> Result<(), LinkError> {
        let up = self.shared.up.read().unwrap_or_else(PoisonError::into_inner);
        let counters = &self.shared.counters;
        let Some(link) = up.get(&to) else {
            counters.unlinked.fetch_add(1, Ordering::Relaxed);
            return Err(LinkError::NoLink(to));
        };
        match link.queue.try_send(envelope) {
            Ok(()) => {
                counters.sent.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(mpsc::error::TrySendError::Full(_)) => {
                counters.refused.fetch_add(1, Ordering::Relaxed);
                Err(LinkError::Full(to))
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                counters.unlinked.fetch_add(1, Ordering::Relaxed);
                Err(LinkError::NoLink(to))
            }
        }
    }

    /// The nodes with a link.
    pub fn up(&self) -> Vec<NodeId> {
        let up = self.shared.up.read().unwrap_or_else(PoisonError::into_inner);
        let mut nodes: Vec<NodeId> = up.keys().copied().collect();
        nodes.sort_unstable();
        nodes
    }

    /// What they have done.
    pub fn stats(&self) -> LinkStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.shared.counters;
        LinkStats {
            up: self.up().len(),
            sent: count(&counters.sent),
            received: count(&counters.received),
            refused: count(&counters.refused),
            unlinked: count(&counters.unlinked),
        }
    }
}

impl Shared {
    fn hello(&self) -> wire::Frame {
        let Myself { node, boot } = self.myself;
        wire::Frame { hello: Some(wire::Hello { node: node.0, boot, protocol: PROTOCOL }), envelopes: Vec::new() }
    }

    /// Lives as long as the link: makes its queue known, in the place of an older link to the same node, and reads what comes
    /// in.
    async fn live(
        self: Arc<Self>,
        hello: wire::Hello,
        queue: Sender<wire::Envelope>,
        incoming: Streaming<wire::Frame>,
    ) {
        let (node, id) = (NodeId(hello.node), self.next_id.fetch_add(1, Ordering::Relaxed));
        self.cut(node);
        let (cut, is_cut) = oneshot::channel();
        let link = Link { id, queue, _cut: cut };
        self.up.write().unwrap_or_else(PoisonError::into_inner).insert(node, link);
        tracing::info!(node = node.0, "link up");
        (self.inbox.on_link)(node, Some(hello.boot));
        // Also when this future is dropped half way.
        let _down = Down { shared: &self, node, id };
        tokio::select! {
            () = self.read(node, incoming) => {}
            _ = is_cut => {}
        }
    }

    async fn read(&self, node: NodeId, mut incoming: Streaming<wire::Frame>) {
        loop {
            match tokio::time::timeout(SILENCE, incoming.message()).await {
                Ok(Ok(Some(frame))) => {
                    self.counters.received.fetch_add(frame.envelopes.len() as u64, Ordering::Relaxed);
                    let messages = frame.envelopes.into_iter().filter_map(|envelope| envelope.message);
                    messages.for_each(|message| (self.inbox.on_message)(node, message));
                }
                Ok(Ok(None)) => return tracing::info!(node = node.0, "link closed by the other side"),
                Ok(Err(status)) => return tracing::info!(node = node.0, %status, "link broken"),
                Err(_) => return tracing::warn!(node = node.0, "link silent"),
            }
        }
    }

    /// Ends the link to a node, if there is one.
    fn cut(&self, node: NodeId) {
        self.take_down(node, |_| true);
    }

    fn take_down(&self, node: NodeId, which: impl Fn(&Link) -> bool) {
        let mut up = self.up.write().unwrap_or_else(PoisonError::into_inner);
        let link = up.get(&node).is_some_and(which).then(|| up.remove(&node));
        drop(up);
        if link.is_some() {
            (self.inbox.on_link)(node, None);
        }
    }
}

/// Takes a link down when it ends, unless another has taken its place.
struct Down<'a> {
    shared: &'a Shared,
    node: NodeId,
    id: u64,
}

impl Drop for Down<'_> {
    fn drop(&mut self) {
        self.shared.take_down(self.node, |link| link.id == self.id);
    }
}

/// Refuses a node that speaks a version too far from ours.
fn check(hello: &wire::Hello) -> Result<(), tonic::Status> {
    if hello.protocol.abs_diff(PROTOCOL) <= 1 {
        return Ok(());
    }
    Err(tonic::Status::failed_precondition(format!(
        "node {} speaks version {} of the cluster's protocol, this node version {PROTOCOL}: they may differ by one",
        hello.node, hello.protocol
    )))
}

fn queue() -> (Sender<wire::Envelope>, Receiver<wire::Envelope>) {
    mpsc::channel(QUEUE)
}
