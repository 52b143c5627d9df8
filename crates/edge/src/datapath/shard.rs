//! One datapath thread: its loop, and what commands do to its streams.
//!
//! While anything plays or packets are relayed the thread works in steps of 5 ms: it sleeps, reads whatever has come,
//! relays it and sends what is due. Waking up for every packet would cost more than relaying it. Otherwise, also while
//! both sides of a bridge are silent, it sleeps until a packet or a command comes.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use carillon_media::{Direction, Negotiated, Source};

use super::batch::Batch;
use super::clock::{Clock, Tick};
use super::counters::ThreadCounters;
use super::inbox::{Command, Inbox};
use super::ports::SocketIndex;
use super::schedule::Schedule;
use super::sockets::{Peer, Socket, StreamIndex};
use super::stream::{Playing, Stream};
use super::sys::{Epoll, Received};
use super::{Latching, MediaEvent, PlayToken, StreamId, sys};

/// How long after the last relayed packet the next one is expected: three frames of 20 ms.
const LINGER: Duration = Duration::from_millis(60);
/// Silence is looked for at least this often.
const LONGEST_WATCH: Duration = Duration::from_secs(1);
/// Silence is looked for no more often than this.
const SHORTEST_WATCH: Duration = Duration::from_millis(10);
/// How often epoll is asked in one step while it names as many sockets as it can; the rest waits for the next step.
const MOST_LOOKS: usize = 64;
/// The number of the event descriptor in the epoll; sockets have their index.
pub(super) const WAKE: u64 = u64::MAX;

/// What a thread owns. How packets pass through it is in `traffic`.
pub(super) struct Shard {
    pub(super) inbox: Arc<Inbox>,
    pub(super) counters: Arc<ThreadCounters>,
    pub(super) on_event: Arc<dyn Fn(MediaEvent) + Send + Sync>,
    pub(super) epoll: Epoll,
    pub(super) clock: Clock,
    pub(super) sockets: Vec<Socket>,
    pub(super) streams: Vec<Option<Stream>>,
    vacant: Vec<StreamIndex>,
    places: HashMap<StreamId, StreamIndex>,
    pub(super) schedule: Schedule,
    /// When a packet was last relayed.
    pub(super) relayed: Option<Tick>,
    pub(super) batch: Batch,
    /// Sockets to read, kept here for its memory.
    pub(super) readable: Vec<u64>,
    /// Datagrams of one read, kept here for its memory.
    pub(super) received: Vec<Received>,
    /// How long a stream may be silent, if that matters, and when that was looked at.
    silence: Option<Duration>,
    watched: Tick,
}

impl Shard {
    pub(super) fn new(
        silence: Duration,
        inbox: Arc<Inbox>,
        counters: Arc<ThreadCounters>,
        on_event: Arc<dyn Fn(MediaEvent) + Send + Sync>,
    ) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(&inbox.wake, WAKE)?;
        let clock = Clock::new(Instant::now());
        let watched = clock.tick(Instant::now());
        Ok(Shard {
            inbox,
            counters,
            on_event,
            epoll,
            clock,
            sockets: Vec::new(),
            streams: Vec::new(),
            vacant: Vec::new(),
            places: HashMap::new(),
            schedule: Schedule::default(),
            relayed: None,
            batch: Batch::new(),
            readable: Vec::new(),
            received: Vec::new(),
            silence: (!silence.is_zero()).then_some(silence),
            watched,
        })
    }

    /// Works until the inbox is closed.
    pub(super) fn run(mut self) {
        if !sys::prefer_this_thread() {
            tracing::debug!("rtp thread runs at ordinary priority");
        }
        let mut commands = Vec::new();
        while !self.inbox.is_closed() {
            self.wait();
            let now = Instant::now();
            let tick = self.clock.tick(now);
            // Before the packets, so that a packet that follows a command finds it obeyed.
            self.inbox.take(&mut commands);
            for command in commands.drain(..) {
                self.obey(command, tick);
            }
            self.relay(tick);
            for due in self.clock.due(now) {
                self.play_slot(due);
            }
            self.watch(tick);
        }
    }

    /// Sleeps until the next step, or until something happens; then `readable` names what to read.
    fn wait(&mut self) {
        let now = Instant::now();
        let relaying = self.relayed.is_some_and(|relayed| self.clock.tick(now).since(relayed) <= LINGER);
        let working = relaying || !self.schedule.is_empty();
        let unread = !self.readable.is_empty();
        if working {
            thread::sleep(self.clock.until_next(now));
        }
        if working || unread || !self.inbox.fall_asleep() {
            let mut looks = 0;
            while looks < MOST_LOOKS && self.epoll.wait(Some(Duration::ZERO), &mut self.readable) {
                looks += 1;
            }
            return;
        }
        let timeout = self.silence.filter(|_| !self.places.is_empty()).map(watch_interval);
        self.epoll.wait(timeout, &mut self.readable);
        self.inbox.woken();
    }

    fn obey(&mut self, command: Command, now: Tick) {
        match command {
            Command::Open(udp) => {
                // Without this the socket would be deaf: its legs end by silence, and the log says why.
                if let Err(error) = self.epoll.add(&udp, self.sockets.len() as u64) {
                    tracing::error!(%error, "rtp socket cannot be watched");
                }
                self.sockets.push(Socket::new(udp));
            }
            Command::Create { stream, socket, out, counters } => {
                self.create(Stream::new(stream, socket, out, counters));
            }
            Command::SetPeer { stream, media, latching } => self.set_peer(stream, media, latching, now),
            Command::SetDirection { stream, direction } => self.set_direction(stream, direction, now),
            Command::Play { stream, source, token } => self.play(stream, source, token),
            Command::StopPlay { stream } => {
                if let Some(index) = self.find(stream) {
                    self.stop_play(index);
                }
            }
            Command::Bridge { a, b } => self.bridge(a, b, now),
            Command::Unbridge { stream } => {
                if let Some(index) = self.find(stream) {
                    self.unbridge(index);
                }
            }
            Command::Release { stream } => self.release(stream),
        }
    }

    fn create(&mut self, stream: Stream) {
        let id = stream.id;
        let index = match self.vacant.pop() {
            Some(index) => {
                self.streams[index as usize] = Some(stream);
                index
            }
            None => {
                self.streams.push(Some(stream));
                StreamIndex::try_from(self.streams.len() - 1).expect("streams are bounded by ports and their sharing")
            }
        };
        self.places.insert(id, index);
    }

    fn set_peer(&mut self, id: StreamId, media: Negotiated, latching: Latching, now: Tick) {
        let Some((index, stream)) = self.find_mut(id) else { return };
        // A refreshed session with the same address keeps the one that was latched onto until a packet comes.
        if stream.media.is_none_or(|before| before.peer != media.peer) || latching == Latching::Off {
            stream.remote = media.peer;
        }
        stream.media = Some(media);
        stream.restart_waiting(now);
        let peer = match latching {
            Latching::Within(ip) => Some(Peer::Latching(ip)),
            Latching::Off => Some(media.peer).filter(|peer| !peer.ip().is_unspecified()).map(Peer::Address),
        };
        let socket = stream.socket;
        self.sockets[socket as usize].expect(index, peer);
    }

    fn set_direction(&mut self, id: StreamId, direction: Direction, now: Tick) {
        let Some((_, stream)) = self.find_mut(id) else { return };
        stream.restart_waiting(now);
        if let Some(media) = &mut stream.media {
            media.direction = direction;
        }
    }

    fn play(&mut self, id: StreamId, source: Source, token: PlayToken) {
        let Some(index) = self.find(id) else { return };
        self.stop_play(index);
        let Some(stream) = &mut self.streams[index as usize] else { return };
        let slot = self.schedule.join(stream.socket, index);
        stream.playing = Some(Playing { source, token, slot, started: None });
    }

    pub(super) fn stop_play(&mut self, index: StreamIndex) {
        let stream = self.streams[index as usize].as_mut();
        if let Some(playing) = stream.and_then(|stream| stream.playing.take()) {
            self.schedule.leave(playing.slot);
        }
    }

    fn bridge(&mut self, a: StreamId, b: StreamId, now: Tick) {
        let (Some(a), Some(b)) = (self.find(a), self.find(b)) else { return };
        if a == b {
            return;
        }
        for (index, partner) in [(a, b), (b, a)] {
            self.stop_play(index);
            self.unbridge(index);
            if let Some(stream) = &mut self.streams[index as usize] {
                stream.heard = Some(now);
                stream.partner = Some(partner);
            }
        }
    }

    fn unbridge(&mut self, index: StreamIndex) {
        let partner = self.streams[index as usize].as_mut().and_then(|stream| stream.partner.take());
        let Some(partner) = partner else { return };
        if let Some(other) = &mut self.streams[partner as usize] {
            other.partner = None;
        }
    }

    fn release(&mut self, id: StreamId) {
        let Some(index) = self.places.remove(&id) else { return };
        self.stop_play(index);
        self.unbridge(index);
        if let Some(stream) = self.streams[index as usize].take() {
            self.sockets[stream.socket as usize].expect(index, None);
            self.vacant.push(index);
        }
    }

    /// Reports streams whose RTP is missing.
    fn watch(&mut self, now: Tick) {
        let Some(silence) = self.silence else { return };
        if now.since(self.watched) < watch_interval(silence) {
            return;
        }
        self.watched = now;
        for stream in self.streams.iter_mut().flatten() {
            let silent_for = stream.heard.map(|heard| now.since(heard));
            if let (Some(silent_for), Some(patience)) = (silent_for, stream.patience(silence))
                && silent_for >= patience
            {
                stream.heard = None;
                (self.on_event)(MediaEvent::Silent { stream: stream.id });
            }
        }
    }

    fn find(&self, id: StreamId) -> Option<StreamIndex> {
        self.places.get(&id).copied()
    }

    fn find_mut(&mut self, id: StreamId) -> Option<(StreamIndex, &mut Stream)> {
        let index = self.find(id)?;
        Some((index, self.streams[index as usize].as_mut()?))
    }

    /// Whose packets the stream takes from now on, after it has latched onto an address.
    pub(super) fn latch(&mut self, socket: SocketIndex, index: StreamIndex, from: SocketAddr) {
        self.sockets[socket as usize].expect(index, Some(Peer::Address(from)));
        if let Some(stream) = &mut self.streams[index as usize] {
            stream.remote = from;
        }
    }
}

/// How often to look for streams that have been silent for `silence`.
fn watch_interval(silence: Duration) -> Duration {
    (silence / 4).clamp(SHORTEST_WATCH, LONGEST_WATCH)
}
