//! The links of a node: one stream each way with every other node, opened by the one with the lower number. A link carries
//! envelopes in order while it lives, and loses what was on its way when it breaks; what it carries tolerates that. Its
//! queue is bounded: a full link refuses, and counts what it refused.

mod accept;
mod certificates;
mod dial;
mod further;
mod lanes;
mod lateness;
mod order;
mod outgoing;
mod pauses;
mod peer;
mod probe;
mod queue;
mod serve;
mod tls;
pub mod transport;
mod version;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use carillon_acd::ids::NodeId;
use prost::Message;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;
use tonic::Streaming;

pub use peer::{LinkStats, PeerStats};
pub use tls::{Tls, TlsError, TlsFiles};
pub use version::{OLDEST, PROTOCOL};

use super::trace;
use super::wire::link_service_server::LinkServiceServer;
use super::wire::{self, envelope::Message as Wire};
use lanes::{FURTHER, Lanes};
use peer::{Peer, add};
use queue::{AROUND, NotTaken, Queue};
use transport::{Listener, Transport};

/// A link says that it lives so often, when it has nothing else to say.
const HEARTBEAT: Duration = Duration::from_millis(300);
/// A link from which nothing has come for so long is dead.
const SILENCE: Duration = Duration::from_millis(1_500);
/// The largest frame that is taken in.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// What may be on its way before the receiver has said that it has room: with gRPC's usual 64 KiB a link of 50 ms would
/// carry 1 MB a second.
const WINDOW: u32 = 1024 * 1024;

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
    pub on_message: Arc<dyn Fn(NodeId, Wire) -> Result<(), NotUnderstood> + Send + Sync>,
    /// A link came up (with the boot of the other node) or broke (`None`).
    pub on_link: Arc<dyn Fn(NodeId, Option<u32>) + Send + Sync>,
}

/// A message holds what this version does not know: it is counted and dropped, as any message may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this version does not understand the message")]
pub struct NotUnderstood;

/// Why an envelope was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// There is no link to that node at this moment.
    #[error("no link to node {}", .0.0)]
    NoLink(NodeId),
    /// The link does not keep up: its queue is full.
    #[error("the link to node {} is full", .0.0)]
    Full(NodeId),
    /// No frame could hold it; its size in bytes.
    #[error("too large for the link to node {}: {} bytes", .0.0, .1)]
    Oversized(NodeId, usize),
}

/// A link that is up. It ends when this is dropped.
struct Link {
    /// Tells it from one that replaced it.
    id: u64,
    queue: Queue,
    /// What it speaks.
    version: u32,
    peer: Arc<Peer>,
    lanes: Arc<Lanes>,
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
    transport: Transport,
    up: RwLock<HashMap<NodeId, Link>>,
    /// The other nodes, as this one knows them.
    listed: watch::Sender<HashSet<NodeId>>,
    peers: RwLock<BTreeMap<NodeId, Arc<Peer>>>,
    next_id: AtomicU64,
    unaddressed: AtomicU64,
    strangers: AtomicU64,
}

/// All links of a node. Clones share them; they end with the last clone.
#[derive(Clone)]
pub struct Links {
    shared: Arc<Shared>,
    dialled: Arc<RwLock<HashMap<NodeId, Dialled>>>,
}

impl Links {
    /// No link yet: see [`Links::set_peers`] and [`Links::serve`].
    pub fn new(myself: Myself, inbox: Inbox, transport: Transport) -> Self {
        let shared = Shared {
            myself,
            inbox,
            transport,
            up: RwLock::default(),
            listed: watch::Sender::default(),
            peers: RwLock::default(),
            next_id: AtomicU64::new(1),
            unaddressed: AtomicU64::new(0),
            strangers: AtomicU64::new(0),
        };
        Links { shared: Arc::new(shared), dialled: Arc::default() }
    }

    /// Takes in the links of nodes with lower numbers that are among the peers, and answers probes, until it is dropped.
    ///
    /// # Errors
    /// Those of gRPC's server.
    pub async fn serve(&self, listener: impl Listener) -> Result<(), tonic::transport::Error> {
        let service = serve::Service::new(self.shared.clone());
        let service = LinkServiceServer::new(service).max_decoding_message_size(MOST_BYTES);
        let server = tonic::transport::Server::builder().initial_stream_window_size(WINDOW);
        let mut server = server.initial_connection_window_size(WINDOW);
        server.add_service(service).serve_with_incoming(accept::accepted(self.shared.clone(), listener)).await
    }

    /// Asks the node at `addr`, over a connection of its own, whether it lives; `true` when it answers within `patience`.
    pub async fn probe(&self, addr: SocketAddr, patience: Duration) -> bool {
        probe::probe(&self.shared.transport, addr, patience).await
    }

    /// Opens a connection to `addr` and closes it again: whether somebody listens there, be it a node or not.
    ///
    /// # Errors
    /// Why there is no connection; it may take long to find out.
    pub async fn connect(&self, addr: SocketAddr) -> std::io::Result<()> {
        self.shared.transport.network.connect(addr).await.map(drop)
    }

    /// The other nodes and where they listen. Links to nodes that are not among them end, and those that such nodes dial are
    /// refused; nodes with a higher number are dialled, again and again with growing pauses (50 ms to 2 s). Must be called
    /// inside a tokio runtime.
    pub fn set_peers(&self, peers: &[(NodeId, SocketAddr)]) {
        self.shared.listed.send_replace(peers.iter().map(|(node, _)| *node).collect());
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
        let mut known = self.shared.peers.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|node, _| peers.iter().any(|(peer, _)| peer == node));
    }

    /// Puts an envelope on its way, without waiting; the trace that the caller is in goes with it.
    ///
    /// # Errors
    /// See [`LinkError`]; the envelope is lost then, as it could have been on its way.
    pub fn send(&self, to: NodeId, mut envelope: wire::Envelope) -> Result<(), LinkError> {
        let up = self.shared.up.read().unwrap_or_else(PoisonError::into_inner);
        let Some(link) = up.get(&to) else {
            drop(up);
            let peers = self.shared.peers.read().unwrap_or_else(PoisonError::into_inner);
            add(peers.get(&to).map_or(&self.shared.unaddressed, |peer| &peer.unlinked), 1);
            return Err(LinkError::NoLink(to));
        };
        envelope.traceparent = trace::here();
        let (counter, outcome) = match link.queue.put(envelope) {
            Ok(()) => (&link.peer.sent, Ok(())),
            Err(NotTaken::Full) => (&link.peer.refused, Err(LinkError::Full(to))),
            Err(NotTaken::Oversized(bytes)) => (&link.peer.oversized, Err(LinkError::Oversized(to, bytes))),
            Err(NotTaken::Closed) => (&link.peer.unlinked, Err(LinkError::NoLink(to))),
        };
        add(counter, 1);
        outcome
    }

    /// Whether the link to a node is up and takes much more: no more than half of what it holds waits for it.
    pub fn has_room(&self, node: NodeId) -> bool {
        let up = self.shared.up.read().unwrap_or_else(PoisonError::into_inner);
        up.get(&node).is_some_and(|link| link.queue.has_room())
    }

    /// The nodes with a link.
    pub fn up(&self) -> Vec<NodeId> {
        let up = self.shared.up.read().unwrap_or_else(PoisonError::into_inner);
        let mut nodes: Vec<NodeId> = up.keys().copied().collect();
        nodes.sort_unstable();
        nodes
    }

    /// Why there is no link to these nodes, as far as is known here.
    pub fn troubles(&self) -> HashMap<NodeId, String> {
        let stats = self.stats().peers.into_iter();
        stats.filter_map(|peer| Some((peer.node, peer.trouble.filter(|_| peer.version.is_none())?))).collect()
    }

    /// What they have done, and how they are.
    pub fn stats(&self) -> LinkStats {
        let up = self.shared.up.read().unwrap_or_else(PoisonError::into_inner);
        let peers = self.shared.peers.read().unwrap_or_else(PoisonError::into_inner);
        let one = |(node, peer): (&NodeId, &Arc<Peer>)| {
            let link = up.get(node);
            let (waiting, waiting_bytes) = link.map(|link| link.queue.depth()).unwrap_or_default();
            let version = link.map(|link| link.version);
            let further = link.map_or(0, |link| link.lanes.opened());
            let doubling = link.is_some_and(|link| link.lanes.is_doubling());
            PeerStats { version, waiting, waiting_bytes, further, doubling, ..peer.stats(*node) }
        };
        LinkStats {
            peers: peers.iter().map(one).collect(),
            unaddressed: self.shared.unaddressed.load(Ordering::Relaxed),
            strangers: self.shared.strangers.load(Ordering::Relaxed),
        }
    }
}

impl Shared {
    /// How this node begins a connection of a link.
    fn hello(&self, link: u64, lane: u32) -> wire::Frame {
        let Myself { node, boot } = self.myself;
        let (protocol, oldest, lanes) = (PROTOCOL, Some(OLDEST), FURTHER);
        let hello = wire::Hello { node: node.0, boot, protocol, oldest, link, lane, lanes };
        wire::Frame { hello: Some(hello), ..wire::Frame::default() }
    }

    /// The connections of the link to a node, if it is up and still the one of this name.
    fn lanes_of(&self, node: NodeId, link: u64) -> Option<Arc<Lanes>> {
        let up = self.up.read().unwrap_or_else(PoisonError::into_inner);
        up.get(&node).map(|link| link.lanes.clone()).filter(|lanes| lanes.link == link)
    }

    /// What is known of a node.
    fn peer(&self, node: NodeId) -> Arc<Peer> {
        self.peers.write().unwrap_or_else(PoisonError::into_inner).entry(node).or_default().clone()
    }

    /// Lives as long as the link: makes its queue known, in the place of an older link to the same node, and reads what comes
    /// in.
    async fn live(
        self: Arc<Self>,
        hello: &wire::Hello,
        version: u32,
        queue: Queue,
        lanes: Arc<Lanes>,
        incoming: Streaming<wire::Frame>,
    ) {
        let (node, id) = (NodeId(hello.node), self.next_id.fetch_add(1, Ordering::Relaxed));
        self.cut(node);
        let (cut, is_cut) = oneshot::channel();
        let peer = self.peer(node);
        peer.complain(node, None);
        add(&peer.opened, 1);
        let link = Link { id, queue, version, peer: peer.clone(), lanes: lanes.clone(), _cut: cut };
        self.up.write().unwrap_or_else(PoisonError::into_inner).insert(node, link);
        tracing::info!(node = node.0, version, "link up");
        (self.inbox.on_link)(node, Some(hello.boot));
        lanes.begin();
        // Also when this future is dropped half way.
        let _down = Down { shared: &self, node, id };
        tokio::select! {
            () = self.read(node, &peer, &lanes, incoming) => {}
            _ = is_cut => {}
        }
    }

    async fn read(&self, node: NodeId, peer: &Peer, lanes: &Lanes, mut incoming: Streaming<wire::Frame>) {
        let mut silent_for = Duration::ZERO;
        loop {
            match tokio::time::timeout(SILENCE.saturating_sub(silent_for), incoming.message()).await {
                Ok(Ok(Some(frame))) => self.take_frame(node, peer, lanes, true, frame),
                Ok(Ok(None)) => return tracing::info!(node = node.0, "link closed by the other side"),
                Ok(Err(status)) => return tracing::info!(node = node.0, %status, "link broken"),
                Err(_) if lanes.silent_for() < SILENCE => {}
                Err(_) => return tracing::warn!(node = node.0, "link silent"),
            }
            silent_for = lanes.silent_for();
        }
    }

    /// A frame of the link's first connection, or of a further one.
    fn take_frame(&self, node: NodeId, peer: &Peer, lanes: &Lanes, is_first: bool, frame: wire::Frame) {
        if is_first {
            add(&peer.received, frame.envelopes.len());
            let bytes = frame.envelopes.iter().map(|envelope| envelope.encoded_len() + AROUND).sum();
            add(&peer.bytes_received, bytes);
        }
        lanes.take(is_first, frame, peer, |envelope| self.take_in(node, peer, envelope));
    }

    fn take_in(&self, node: NodeId, peer: &Peer, envelope: wire::Envelope) {
        let _within = trace::carried(envelope.traceparent, node).entered();
        let read = envelope.message.ok_or(NotUnderstood).and_then(|message| (self.inbox.on_message)(node, message));
        if read == Err(NotUnderstood) {
            add(&peer.unknown, 1);
        }
    }

    /// Ends the link to a node, if there is one.
    fn cut(&self, node: NodeId) {
        self.take_down(node, |_| true);
    }

    fn take_down(&self, node: NodeId, which: impl Fn(&Link) -> bool) {
        let mut up = self.up.write().unwrap_or_else(PoisonError::into_inner);
        let link = up.get(&node).is_some_and(which).then(|| up.remove(&node)).flatten();
        drop(up);
        if let Some(link) = link {
            link.lanes.end();
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
