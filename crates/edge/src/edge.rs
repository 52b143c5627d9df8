//! The handle of a running edge.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use carillon_acd::ids::{AgentId, CallId, DeviceId, LegId, NodeId};
use carillon_acd::leg::{Contact, LegCommand, Reachability};
use carillon_media::{Source, tone};
use carillon_sip::Moment;
use carillon_sip::check::Policy;
use carillon_sip::endpoint::EndpointConfig;
use carillon_sip::transaction::Timers;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::config::{Callbacks, EdgeConfig, EdgeError, Stats};
use crate::datapath::{Datapath, DatapathConfig};
use crate::directory::{Device, Directory};
use crate::inbox::{Inbox, Push};
use crate::intake::{Intake, SharedIntake};
use crate::peers::Peers;
use crate::registry::Registry;
use crate::router::Router;
use crate::shared::{Counters, Shared, contacts_of};
use crate::tcp::Connections;
use crate::worker::{WAKER, Worker};

/// Asked of the kernel for the SIP socket: what comes while a worker is busy waits here. The system's limit applies.
const RECEIVE_BUFFER: usize = 8 << 20;
/// Transactions that a worker holds at most, those included that only absorb retransmissions for 32 s.
const MAX_TRANSACTIONS: usize = 500_000;

/// A running edge. Clones are handles of the same edge; it runs until [`Edge::shutdown`].
#[derive(Clone, Debug)]
pub struct Edge {
    shared: Arc<Shared>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Edge {
    /// Binds the sockets and starts the threads. Must be called inside a tokio runtime, which carries the TCP
    /// connections.
    ///
    /// # Errors
    /// When a setting is impossible or an address or thread cannot be had.
    pub fn start(config: EdgeConfig, directory: Arc<Directory>, callbacks: Callbacks) -> Result<Edge, EdgeError> {
        check(&config)?;
        let runtime = Handle::try_current().map_err(|_| EdgeError::NoRuntime)?;
        let (udp, listener) = bind(config.sip_bind)?;
        let local = udp.local_addr()?;
        let polls = (0..config.workers).map(|_| mio::Poll::new()).collect::<Result<Vec<_>, _>>()?;
        let wakers = polls.iter().map(|poll| mio::Waker::new(poll.registry(), WAKER)).collect::<Result<Vec<_>, _>>()?;
        let router = Arc::new(Router::new(wakers.into_iter().map(Inbox::new).collect()));
        let connections = Connections::new(runtime, config.sip_bind.ip(), config.boot, Box::new(router.clone()));
        let media_router = router.clone();
        let datapath = DatapathConfig {
            ports: config.rtp_ports.clone(),
            silence: config.rtp_timeout,
            advertise: config.advertise,
            ..DatapathConfig::new(config.sip_bind.ip())
        };
        let datapath = Datapath::start(datapath, Arc::new(move |event| media_router.media(event)))?;
        let sent_by = SocketAddr::new(config.advertise, local.port());
        let shared = Arc::new(Shared {
            callbacks,
            registry: Mutex::new(Registry::new(&config.realm, rand::random())),
            router,
            udp,
            local,
            connections,
            datapath,
            counters: Counters::default(),
            transactions: polls.iter().map(|_| AtomicU64::new(0)).collect(),
            remembered: polls.iter().map(|_| AtomicU64::new(0)).collect(),
            stopping: AtomicBool::new(false),
            intake: SharedIntake::default(),
            music: OnceLock::new(),
            ringing: Source::repeated(Arc::new(tone::ringing())),
            done: Source::once(Arc::new(tone::done())),
            declined: Source::once(Arc::new(tone::declined())),
            start: Instant::now(),
            peers: ArcSwap::default(),
            seal: config.seal.clone(),
            sent_by,
            sent_by_host: host(config.advertise),
            contacts: [format!("<sip:carillon@{sent_by}>"), format!("<sip:carillon@{sent_by};transport=tcp>")],
            directory: ArcSwap::from_pointee(Directory::default()),
            config,
        });
        let edge = Edge { shared: shared.clone(), threads: Arc::default() };
        for (index, poll) in polls.into_iter().enumerate() {
            let endpoint = endpoint_config(sent_by, shared.config.sip_timers);
            let worker = Worker::new(index, shared.clone(), poll, endpoint)?;
            let builder = std::thread::Builder::new().name(format!("sip-{index}"));
            let thread = builder.spawn(move || worker.run())?;
            edge.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        // Composing takes longer than the rest of the start; the first caller who would hear it finds it done.
        std::thread::Builder::new().name("music".into()).spawn(move || {
            shared.music();
        })?;
        edge.update_directory(directory);
        edge.shared.connections.listen(listener);
        Ok(edge)
    }

    /// Hands a command to the leg's worker; never blocks. Commands for a leg that is gone are ignored.
    ///
    /// # Errors
    /// [`EdgeError::Overloaded`] when the worker's queue is full, [`EdgeError::Stopped`] after a shutdown.
    pub fn command(&self, leg: LegId, command: LegCommand) -> Result<(), EdgeError> {
        match self.shared.router.command(leg, command) {
            Push::Taken => Ok(()),
            Push::Full => Err(EdgeError::Overloaded),
            Push::Closed => Err(EdgeError::Stopped),
        }
    }

    /// Ends every leg of a call that can no longer command them; nothing is reported of them.
    pub fn abandon(&self, call: CallId) {
        if self.shared.router.abandon(call) == Push::Full {
            tracing::error!(call_id = %call, "legs of a failed call are left to their deadlines: the inbox is full");
        }
    }

    /// Another edge has taken this call over: its legs in conversation are forgotten without a message or an event, and
    /// their audio stops. Later requests in their dialogs are answered as in unknown ones (481). A phone that still rings
    /// for the call has not been taken over: its ringing is cancelled; and so is a caller refused whom nobody has answered.
    /// With `theirs` given, a leg in conversation that is not among them has not been taken over either, and is hung up: a phone
    /// that was answered after that edge had last heard of this one.
    pub fn forsake(&self, call: CallId, theirs: &[LegId]) {
        if self.shared.router.forsake(call, theirs.into()) == Push::Full {
            tracing::error!(call_id = %call, "legs of a call that has gone elsewhere are left to their deadlines: the inbox is full");
        }
    }

    /// Another edge believed to have this call, too, and gives it up. The other ends of `theirs` may have gone there when it asked
    /// them: they are asked to come back, as by [`LegCommand::Revive`], and reported alike. Legs that are not here, or are
    /// just being asked, stay as they are.
    pub fn reclaim(&self, call: CallId, theirs: &[LegId]) {
        if self.shared.router.reclaim(call, theirs.into()) == Push::Full {
            tracing::error!(call_id = %call, "legs that may be elsewhere are left to their deadlines: the inbox is full");
        }
    }

    /// Replaces the directory. Calls in progress go on; registrations of devices that are gone end, and fixed contacts
    /// that came or went are reported.
    pub fn update_directory(&self, directory: Arc<Directory>) {
        let shared = &self.shared;
        let before = shared.directory.swap(directory.clone());
        let now = shared.now();
        let mut registry = shared.registry();
        let was = contacts(&before, &registry, now);
        for username in before.usernames().filter(|username| directory.device_by_username(username).is_none()) {
            registry.remove(username);
        }
        let is = contacts(&directory, &registry, now);
        for device in was.keys().filter(|device| !is.contains_key(device)) {
            shared.report(device, Vec::new());
        }
        for (device, contacts) in is.iter().filter(|(device, contacts)| was.get(device) != Some(contacts)) {
            shared.report(device, contacts.clone());
        }
    }

    /// Replaces the list of the other edges: where each speaks SIP over UDP, as it tells its peers. Phones that are
    /// registered at one of them are rung through it, and its calls may ring phones that are registered here; nothing
    /// else is granted to these addresses. Rings through an edge that is not in the list any more fail at once: nobody
    /// could answer them.
    pub fn update_peers(&self, peers: impl IntoIterator<Item = (NodeId, SocketAddr)>) {
        let others = peers.into_iter().filter(|(node, _)| *node != self.shared.config.node);
        let peers = Arc::new(Peers::new(others));
        let before = self.shared.peers.swap(peers.clone());
        before.gone_from(&peers).for_each(|address| self.shared.router.edge_gone(address));
    }

    /// Takes less, or everything again; calls in progress, dialogs and registrations that are there go on in any case.
    /// Spec: CL-6.
    pub fn set_intake(&self, intake: Intake) {
        self.shared.intake.set(intake);
    }

    /// Reports all devices of an agent again, for an owner who begins without knowing them.
    pub fn announce(&self, agent: &AgentId) {
        for Reachability { agent, device, contacts, .. } in self.reachability(agent) {
            self.shared.report(&DeviceId { agent, index: device }, contacts);
        }
    }

    /// Where each device of an agent can be reached from here.
    pub fn reachability(&self, agent: &AgentId) -> Vec<Reachability> {
        let (directory, registry) = (self.shared.directory.load(), self.shared.registry());
        let now = self.shared.now();
        let report = |device: &Device| Reachability {
            agent: agent.clone(),
            device: device.id.index,
            edge: self.shared.config.node,
            contacts: contacts_of(&directory, &registry, now, device),
        };
        directory.devices_of(agent).map(report).collect()
    }

    /// Where SIP is spoken, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.local
    }

    /// What the edge holds now and has turned away so far.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Ends everything: new calls get 503, calls in progress are cancelled or hung up and reported as ended; returns when
    /// all are gone or after `within`, with what was left. The sockets are closed when the last handle is dropped.
    pub async fn shutdown(&self, within: Duration) -> Stats {
        let shared = &self.shared;
        shared.stopping.store(true, Ordering::Relaxed);
        shared.router.shut_down(shared.now() + within);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())));
        // The workers keep the deadline themselves; a second more only covers one that is stuck.
        let _ = tokio::time::timeout(within + Duration::from_secs(1), joined).await;
        shared.connections.close();
        shared.stats()
    }
}

/// The devices that can be dialled, and where.
fn contacts(directory: &Directory, registry: &Registry, now: Moment) -> HashMap<DeviceId, Vec<Contact>> {
    let of = |device: &Device| (device.id.clone(), contacts_of(directory, registry, now, device));
    directory.devices().map(of).filter(|(_, contacts)| !contacts.is_empty()).collect()
}

/// An address as a URI writes it.
fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

fn check(config: &EdgeConfig) -> Result<(), EdgeError> {
    let wrong = |what: &str| Err(EdgeError::Config(what.into()));
    if !(1..=64).contains(&config.workers) {
        return wrong("workers must be 1 to 64");
    }
    if config.advertise.is_unspecified() {
        return wrong("the advertised address must be one that peers can reach");
    }
    if config.rtp_ports.start() >= config.rtp_ports.end() {
        return wrong("the RTP port range is empty");
    }
    if config.realm.contains(['"', '\\']) || config.realm.chars().any(char::is_control) {
        return wrong("the realm must not contain quotes, backslashes or control characters");
    }
    Ok(())
}

fn endpoint_config(sent_by: SocketAddr, timers: Timers) -> EndpointConfig {
    EndpointConfig {
        sent_by: sent_by.to_string(),
        seed: rand::random(),
        timers,
        policy: Policy::default(),
        max_transactions: MAX_TRANSACTIONS,
    }
}

/// UDP and TCP on one port. With port 0 the system chooses a UDP port whose TCP twin may be taken: then another is tried.
fn bind(addr: SocketAddr) -> Result<(UdpSocket, TcpListener), EdgeError> {
    let attempts = if addr.port() == 0 { 20 } else { 1 };
    let mut last = None;
    for _ in 0..attempts {
        match bind_once(addr) {
            Ok(sockets) => return Ok(sockets),
            Err(source) => last = Some(source),
        }
    }
    let source = last.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into());
    Err(EdgeError::Bind { addr, source })
}

fn bind_once(addr: SocketAddr) -> std::io::Result<(UdpSocket, TcpListener)> {
    let udp = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    udp.set_nonblocking(true)?;
    // A smaller buffer than asked for is no reason not to start.
    let _ = udp.set_recv_buffer_size(RECEIVE_BUFFER);
    udp.bind(&addr.into())?;
    let udp = UdpSocket::from(udp);
    let tcp = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    tcp.set_nonblocking(true)?;
    tcp.set_reuse_address(true)?;
    tcp.bind(&udp.local_addr()?.into())?;
    tcp.listen(1_024)?;
    Ok((udp, TcpListener::from_std(tcp.into())?))
}
