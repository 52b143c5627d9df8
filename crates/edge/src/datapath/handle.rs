//! The owner's side of the datapath: never waits, except for a short lock.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use carillon_media::rtp::Sequencer;
use carillon_media::{Direction, Negotiated, Source};

use super::counters::{StreamCounters, ThreadCounters};
use super::inbox::{Command, Inbox};
use super::ports::PortPlan;
use super::shard::Shard;
use super::{
    AllocateError, DatapathConfig, Expected, Latching, MediaEvent, PeerTaken, PlayToken, StreamId, StreamStats, Totals,
    sys,
};

/// The RTP datapath: allocates ports, plays, bridges and watches streams. Cheap to clone; the threads end when the last
/// clone is dropped.
///
/// Commands for a stream that does not exist are ignored: messages cross. They take effect within 5 ms, in the order
/// in which one thread gives them; beginning, peer and end of a silent stream with the next packet or other command.
///
/// Silence: counting starts with the first packet received or when the stream is bridged, whichever comes first, so a
/// caller who waits and sends nothing is not reported. It rests while we do not expect RTP (our direction does not
/// receive), and starts anew with each packet, bridge and new peer.
#[derive(Clone)]
pub struct Datapath {
    inner: Arc<Inner>,
}

struct Inner {
    config: DatapathConfig,
    threads: Vec<Thread>,
}

/// What the owner's side knows of one datapath thread.
struct Thread {
    streams: Mutex<Streams>,
    inbox: Arc<Inbox>,
    counters: Arc<ThreadCounters>,
    /// Taken when the datapath ends.
    joins: Option<JoinHandle<()>>,
}

struct Streams {
    plan: PortPlan,
    counters: HashMap<StreamId, Arc<StreamCounters>>,
}

impl Datapath {
    /// Starts the threads and raises the limit of open descriptors as far as the system lets us. `on_event` is called on
    /// those threads and must not block.
    ///
    /// # Errors
    /// When the operating system gives no thread, epoll or event descriptor.
    pub fn start(config: DatapathConfig, on_event: Arc<dyn Fn(MediaEvent) + Send + Sync>) -> io::Result<Self> {
        sys::raise_descriptor_limit();
        let count = config.threads.max(1);
        let start = |index| Thread::start(&config, index, count, on_event.clone());
        let threads = (0..count).map(start).collect::<io::Result<_>>()?;
        Ok(Datapath { inner: Arc::new(Inner { config, threads }) })
    }

    /// Gives the stream a port on which its peer can be told from all others, and returns the address to tell the peer.
    /// Nothing is received yet: packets are dropped until [`Self::set_peer`].
    ///
    /// # Errors
    /// When no port is left or can be opened, or the stream exists: see [`AllocateError`].
    pub fn allocate(&self, stream: StreamId, expected: Expected) -> Result<SocketAddr, AllocateError> {
        let port = self.thread_of(stream).allocate(stream, expected, &self.inner.config)?;
        Ok(SocketAddr::new(self.inner.config.advertise, port))
    }

    /// What was negotiated: where the stream's RTP goes to and comes from, in which formats and directions. Called again
    /// after every offer and answer; also forgets an address that was latched onto.
    ///
    /// # Errors
    /// When the peer cannot be told from another stream's on the same port; nothing has changed then.
    pub fn set_peer(&self, stream: StreamId, media: Negotiated, latching: Latching) -> Result<(), PeerTaken> {
        let thread = self.thread_of(stream);
        let mut streams = thread.lock();
        match latching {
            Latching::Within(ip) => streams.plan.expect(stream, Expected::Ip(ip))?,
            // The old form of hold in a first description: nothing is known of the peer yet.
            Latching::Off if media.peer.ip().is_unspecified() => {}
            Latching::Off => streams.plan.expect(stream, Expected::Address(media.peer))?,
        }
        thread.inbox.push(Command::SetPeer { stream, media, latching });
        Ok(())
    }

    /// Which way audio flows, seen from us; overrides what [`Self::set_peer`] said until its next call.
    pub fn set_direction(&self, stream: StreamId, direction: Direction) {
        self.tell(stream, Command::SetDirection { stream, direction });
    }

    /// Plays to the stream from now on; replaces what played. While it plays, nothing is relayed to the stream. It is
    /// heard once the stream has a peer that receives; time passes for it even before.
    pub fn play(&self, stream: StreamId, source: Source, token: PlayToken) {
        self.tell(stream, Command::Play { stream, source, token });
    }

    /// Stops what plays; no [`MediaEvent::PlayFinished`] follows.
    pub fn stop_play(&self, stream: StreamId) {
        self.tell(stream, Command::StopPlay { stream });
    }

    /// Relays audio and digits between two streams of one call, both ways; stops what plays to them and parts them from
    /// others.
    pub fn bridge(&self, a: StreamId, b: StreamId) {
        debug_assert_eq!(a.call, b.call, "only streams of one call are on the same thread");
        self.tell(a, Command::Bridge { a, b });
    }

    /// Parts the stream from the one it is bridged with.
    pub fn unbridge(&self, stream: StreamId) {
        self.tell(stream, Command::Unbridge { stream });
    }

    /// Ends the stream and frees its port.
    pub fn release(&self, stream: StreamId) {
        let thread = self.thread_of(stream);
        let mut streams = thread.lock();
        streams.counters.remove(&stream);
        if streams.plan.release(stream) {
            thread.inbox.push(Command::Release { stream });
        }
    }

    /// What the stream has sent and received; `None` when it does not exist.
    pub fn stats(&self, stream: StreamId) -> Option<StreamStats> {
        self.thread_of(stream).lock().counters.get(&stream).map(|counters| counters.read())
    }

    /// Figures of the whole datapath.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for thread in &self.inner.threads {
            let streams = thread.lock();
            totals.streams += streams.plan.streams() as u64;
            totals.ports += streams.plan.open_ports() as u64;
            thread.counters.add_to(&mut totals);
        }
        totals
    }

    fn thread_of(&self, stream: StreamId) -> &Thread {
        let threads = &self.inner.threads;
        &threads[(stream.call % threads.len() as u64) as usize]
    }

    fn tell(&self, stream: StreamId, command: Command) {
        self.thread_of(stream).inbox.push(command);
    }
}

impl Thread {
    fn start(
        config: &DatapathConfig,
        index: usize,
        count: usize,
        on_event: Arc<dyn Fn(MediaEvent) + Send + Sync>,
    ) -> io::Result<Self> {
        let inbox = Arc::new(Inbox::new()?);
        let counters = Arc::new(ThreadCounters::default());
        let shard = Shard::new(config.silence, inbox.clone(), counters.clone(), on_event)?;
        let joins = thread::Builder::new().name(format!("rtp-{index}")).spawn(move || shard.run())?;
        let plan = PortPlan::new(&config.ports, index, count);
        let streams = Mutex::new(Streams { plan, counters: HashMap::new() });
        Ok(Thread { streams, inbox, counters, joins: Some(joins) })
    }

    /// The commands are handed over while the plan is locked, so that the thread sees ports change hands in the order
    /// of the plan.
    fn allocate(&self, stream: StreamId, expected: Expected, config: &DatapathConfig) -> Result<u16, AllocateError> {
        if self.inbox.crowded() {
            return Err(AllocateError::Overloaded);
        }
        let mut streams = self.lock();
        let placed = streams.plan.allocate(stream, expected, |port| {
            let socket = UdpSocket::bind((config.bind, port))?;
            socket.set_nonblocking(true)?;
            self.inbox.push(Command::Open(socket));
            Ok(())
        })?;
        let counters = Arc::new(StreamCounters::default());
        streams.counters.insert(stream, counters.clone());
        // RFC 3550 §5.1: these three start at random.
        let out = Sequencer::new(rand::random(), rand::random(), rand::random());
        self.inbox.push(Command::Create { stream, socket: placed.socket, out, counters });
        Ok(placed.port)
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for thread in &self.threads {
            thread.inbox.close();
        }
        for thread in &mut self.threads {
            // The last clone may be dropped by the event callback, on one of these threads.
            let own = |join: &JoinHandle<()>| join.thread().id() == thread::current().id();
            if let Some(join) = thread.joins.take().filter(|join| !own(join)) {
                let _ = join.join();
            }
        }
    }
}
