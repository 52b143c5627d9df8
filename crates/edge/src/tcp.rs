//! SIP over TCP: accepts, opens, reuses and closes connections (RFC 3261 §18, RFC 5923 in spirit: requests to a phone
//! go over the connection it registered on).
//!
//! Each connection is two tokio tasks, one that reads and one that writes. All bounds are here: connections in all and
//! per peer address, bytes waiting to be written, idle time.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use carillon_sip::stream::{Frame, Framer};
use carillon_sip::{Flow, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::inbox::Push;

/// Connections at one time.
const MAX_CONNECTIONS: usize = 4_096;
/// Connections of one peer address that has not shown who it is.
const MAX_STRANGERS_PER_PEER: usize = 32;
/// Messages that wait for a slow reader before its connection is closed.
const MAX_QUEUED: usize = 256;
/// A peer that has not shown who it is must send something useful in this time.
const STRANGER_IDLE: Duration = Duration::from_secs(30);
/// A known peer may be silent this long: a little more than the longest registration that we grant.
const KNOWN_IDLE: Duration = Duration::from_secs(3_900);
/// A connection must be open, and a write must be done, in this time.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a reader waits when the worker's queue is full before it tries again; the peer feels it as back-pressure.
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// What the connections tell the workers.
pub(crate) trait Receive: Send + Sync + 'static {
    /// A whole message arrived. A full queue hands it back as [`Push::Full`]; it is then offered again.
    fn message(&self, flow: Flow, message: Bytes) -> Push;
    /// What was sent to this peer may not have arrived: the connection could not be opened or broke.
    fn broken(&self, flow: Flow);
}

/// All TCP connections of an edge.
#[derive(Clone)]
pub(crate) struct Connections {
    inner: Arc<Inner>,
}

struct Inner {
    table: Mutex<Table>,
    runtime: Handle,
    bind: IpAddr,
    receive: Box<dyn Receive>,
    stop: watch::Sender<bool>,
}

#[derive(Default)]
struct Table {
    by_id: HashMap<u64, Entry>,
    by_remote: HashMap<SocketAddr, u64>,
    strangers: HashMap<IpAddr, usize>,
    last_id: u64,
}

struct Entry {
    remote: SocketAddr,
    outgoing: mpsc::Sender<Bytes>,
    known: Arc<AtomicBool>,
}

impl Connections {
    /// No connection yet. `bind` is the address that outgoing ones come from. Each run of the edge, `boot`, gives numbers of
    /// its own: what was sealed for a connection of an earlier run leads to nobody.
    pub(crate) fn new(runtime: Handle, bind: IpAddr, boot: u32, receive: Box<dyn Receive>) -> Self {
        let (stop, _) = watch::channel(false);
        let table = Mutex::new(Table { last_id: u64::from(boot) << 32, ..Table::default() });
        Connections { inner: Arc::new(Inner { table, runtime, bind, receive, stop }) }
    }

    /// Accepts on `listener` until [`Connections::close`].
    pub(crate) fn listen(&self, listener: TcpListener) {
        let this = self.clone();
        let mut stopped = self.inner.stop.subscribe();
        self.inner.runtime.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    _ = stopped.changed() => return,
                };
                match accepted {
                    Ok((stream, remote)) => this.accepted(stream, remote),
                    // Out of descriptors, or a connection that died in the queue: others may fare better a little later.
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a SIP connection");
                        sleep(FULL_PAUSE).await;
                    }
                }
            }
        });
    }

    fn accepted(&self, stream: TcpStream, remote: SocketAddr) {
        let Some((id, outgoing, known)) = self.register(remote, false) else { return };
        let this = self.clone();
        self.inner.runtime.spawn(async move {
            this.carry(stream, remote, id, outgoing, known).await;
        });
    }

    /// Sends `message` over the flow's connection, over another to the same peer, or over a new one.
    ///
    /// # Errors
    /// When the peer reads too slowly or no further connection may be opened; the transport has then failed for it.
    pub(crate) fn send(&self, flow: Flow, message: Bytes) -> io::Result<()> {
        let full = || io::Error::from(io::ErrorKind::WouldBlock);
        {
            let table = self.table();
            let id = flow.connection.filter(|id| table.by_id.contains_key(id));
            let id = id.or_else(|| table.by_remote.get(&flow.remote).copied());
            if let Some(entry) = id.and_then(|id| table.by_id.get(&id)) {
                return entry.outgoing.try_send(message).map_err(|_| full());
            }
        }
        let (id, outgoing, known) = self.register(flow.remote, true).ok_or_else(full)?;
        if let Some(entry) = self.table().by_id.get(&id) {
            entry.outgoing.try_send(message).map_err(|_| full())?;
        }
        let this = self.clone();
        self.inner.runtime.spawn(async move {
            match this.connect(flow.remote).await {
                Ok(stream) => this.carry(stream, flow.remote, id, outgoing, known).await,
                Err(error) => {
                    tracing::debug!(remote = %flow.remote, %error, "cannot open a SIP connection");
                    this.forget(id);
                    this.inner.receive.broken(Flow { connection: Some(id), ..flow });
                }
            }
        });
        Ok(())
    }

    async fn connect(&self, remote: SocketAddr) -> io::Result<TcpStream> {
        let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if self.inner.bind.is_ipv4() == remote.is_ipv4() {
            socket.bind(SocketAddr::new(self.inner.bind, 0))?;
        }
        timeout(PATIENCE, socket.connect(remote)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Notes that the peer of this connection is one of ours: it may idle as long as a registration lasts.
    pub(crate) fn mark_known(&self, id: u64) {
        let mut table = self.table();
        if let Some(entry) = table.by_id.get(&id)
            && !entry.known.swap(true, Ordering::Relaxed)
        {
            let ip = entry.remote.ip();
            table.leave_strangers(ip);
        }
    }

    /// Whether this connection is open.
    pub(crate) fn is_open(&self, id: u64) -> bool {
        self.table().by_id.contains_key(&id)
    }

    /// How many are open or being opened.
    pub(crate) fn len(&self) -> usize {
        self.table().by_id.len()
    }

    /// Stops listening and closes all connections once what waits has been written.
    pub(crate) fn close(&self) {
        self.inner.stop.send_replace(true);
        let mut table = self.table();
        table.by_id.clear();
        table.by_remote.clear();
        table.strangers.clear();
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.inner.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, remote: SocketAddr, known: bool) -> Option<(u64, mpsc::Receiver<Bytes>, Arc<AtomicBool>)> {
        let mut table = self.table();
        if table.by_id.len() >= MAX_CONNECTIONS || *self.inner.stop.borrow() {
            return None;
        }
        if !known {
            let strangers = table.strangers.entry(remote.ip()).or_default();
            if *strangers >= MAX_STRANGERS_PER_PEER {
                return None;
            }
            *strangers += 1;
        }
        table.last_id += 1;
        let id = table.last_id;
        let (outgoing, queue) = mpsc::channel(MAX_QUEUED);
        let known = Arc::new(AtomicBool::new(known));
        table.by_remote.insert(remote, id);
        table.by_id.insert(id, Entry { remote, outgoing, known: known.clone() });
        Some((id, queue, known))
    }

    fn forget(&self, id: u64) {
        let mut table = self.table();
        let Some(entry) = table.by_id.remove(&id) else { return };
        if table.by_remote.get(&entry.remote) == Some(&id) {
            table.by_remote.remove(&entry.remote);
        }
        if !entry.known.load(Ordering::Relaxed) {
            table.leave_strangers(entry.remote.ip());
        }
    }

    /// Runs one connection to its end.
    async fn carry(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        id: u64,
        outgoing: mpsc::Receiver<Bytes>,
        known: Arc<AtomicBool>,
    ) {
        // Messages are whole writes; waiting for more of them would only delay.
        let _ = stream.set_nodelay(true);
        let flow = Flow { transport: Transport::Tcp, local: 0, remote, connection: Some(id) };
        let (read, write) = stream.into_split();
        let (pong, pongs) = mpsc::channel(4);
        let mut writer = self.inner.runtime.spawn(write_all(write, outgoing, pongs));
        let writes = tokio::select! {
            () = self.read_all(read, flow, &known, pong) => true,
            _ = &mut writer => false,
        };
        self.forget(id);
        self.inner.receive.broken(flow);
        // Forgetting dropped the sender, so the writer ends when its queue is written; a stuck one within its patience.
        if writes {
            let _ = timeout(PATIENCE, writer).await;
        }
    }

    async fn read_all(&self, mut read: OwnedReadHalf, flow: Flow, known: &AtomicBool, pong: mpsc::Sender<Bytes>) {
        let mut framer = Framer::new();
        let mut buffer = BytesMut::with_capacity(4_096);
        let mut stopped = self.inner.stop.subscribe();
        loop {
            let patience = if known.load(Ordering::Relaxed) { KNOWN_IDLE } else { STRANGER_IDLE };
            buffer.reserve(2_048);
            let got = tokio::select! {
                got = timeout(patience, read.read_buf(&mut buffer)) => got,
                _ = stopped.changed() => return,
            };
            match got {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) | Err(_) => return,
            }
            framer.push(&buffer.split());
            if !self.deliver(&mut framer, flow, &pong).await {
                return;
            }
        }
    }

    /// Hands on the whole messages that the framer holds; false when the stream can no longer be read.
    async fn deliver(&self, framer: &mut Framer, flow: Flow, pong: &mpsc::Sender<Bytes>) -> bool {
        loop {
            match framer.next_frame() {
                Ok(None) => return true,
                Ok(Some(Frame::KeepAlive)) => {
                    // More pings than we can answer are answered once; RFC 5626 §4.4.1 asks for no more.
                    let _ = pong.try_send(Bytes::from_static(b"\r\n"));
                }
                Ok(Some(Frame::Message(message))) => {
                    while self.inner.receive.message(flow, message.clone()) == Push::Full {
                        sleep(FULL_PAUSE).await;
                    }
                }
                Err(error) => {
                    tracing::debug!(remote = %flow.remote, %error, "closing a SIP connection");
                    return false;
                }
            }
        }
    }
}

impl Table {
    fn leave_strangers(&mut self, ip: IpAddr) {
        if let Some(count) = self.strangers.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.strangers.remove(&ip);
            }
        }
    }
}

/// Writes messages and keep-alive answers until the connection is forgotten, breaks or stops taking bytes.
async fn write_all(mut write: OwnedWriteHalf, mut outgoing: mpsc::Receiver<Bytes>, mut pongs: mpsc::Receiver<Bytes>) {
    loop {
        let next = tokio::select! {
            next = outgoing.recv() => next,
            Some(pong) = pongs.recv() => Some(pong),
        };
        let Some(bytes) = next else { break };
        match timeout(PATIENCE, write.write_all(&bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
    let _ = timeout(PATIENCE, write.shutdown()).await;
}
