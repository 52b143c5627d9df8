//! One signalling thread: reads, runs the transactions and legs that belong to it, and sleeps until the next deadline.
//!
//! The first worker also reads the UDP socket, without a thread in between; with several workers it hands messages of
//! others to their inboxes.

mod adoption;
mod challenges;
mod commands;
mod dialling;
mod hold;
mod images;
mod incoming;
mod legs;
mod media;
mod registrations;
mod relay;
mod requests;
mod revival;
mod senders;
mod talking;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use carillon_acd::ids::{CallId, LegId};
use carillon_acd::leg::{Cause, LegEvent};
use carillon_sip::check::Rejection;
use carillon_sip::dialog::DialogId;
use carillon_sip::endpoint::{ClientKey, Effect, Endpoint, EndpointConfig, ServerKey};
use carillon_sip::overload::Admission;
use carillon_sip::{Flow, Message, Moment, Request, ResponseBuilder, StatusCode, Transport};

use crate::inbox::Lane;
use crate::leg::{Leg, Line, WayBack};
use crate::router::Input;
use crate::shared::{Shared, count};
use crate::timers::Timers;
use legs::Held;

/// Names the inbox in a worker's poll.
pub(crate) const WAKER: mio::Token = mio::Token(0);
const SOCKET: mio::Token = mio::Token(1);

/// Datagrams that wait in our memory while the worker is behind.
const BACKLOG: usize = 8_192;
/// Messages handled between two looks at the socket.
const BATCH: usize = 64;
/// A worker wakes at least this often, to forget expired registrations.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// What callers who are refused for lack of room are told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// An answered INVITE may still bring 2xx responses of other forks for 64·T1 (RFC 3261 §13.2.2.4), and this much longer it
/// is remembered, so that the transaction ends first.
const AFTER_FORKS: Duration = Duration::from_secs(1);

/// What a client transaction of ours is for.
#[derive(Debug)]
enum Purpose {
    /// The INVITE of one branch of a leg that is dialled.
    Dial { leg: LegId, branch: usize },
    /// An INVITE that nobody waits for any more: whoever answers is hung up.
    Stray { way: WayBack, cause: Cause, answered: bool },
    /// A re-INVITE.
    Change { leg: LegId },
    /// A re-INVITE to the other end of a leg whose edge has died.
    Revive { leg: LegId },
    /// A re-INVITE whose leg has ended: a 2xx still wants its ACK (RFC 3261 §13.2.2.4).
    Late(Box<Line>),
    /// A BYE.
    Bye(Box<Ending>),
}

/// A dialog whose BYE is on its way.
#[derive(Debug)]
struct Ending {
    line: Line,
    cause: Cause,
    /// The BYE carries credentials: a second challenge is final.
    challenged: bool,
}

/// Whose dialog it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Leg(LegId),
    /// Our BYE is on its way; a BYE that crosses it is answered politely.
    Ending,
}

/// A signalling thread that panicked would leave its calls to nobody, with the process looking alive: better that the
/// process ends and is started again.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// One signalling thread.
pub(crate) struct Worker {
    index: usize,
    shared: Arc<Shared>,
    poll: mio::Poll,
    /// The UDP socket, in the first worker.
    socket: Option<mio::net::UdpSocket>,
    readable: bool,
    buffer: Box<[u8]>,
    backlog: VecDeque<(SocketAddr, Bytes)>,
    inputs: VecDeque<Input>,
    endpoint: Endpoint,
    admission: Admission,
    legs: HashMap<LegId, Box<Leg>>,
    calls: HashMap<CallId, Held>,
    /// The calls that other edges began, by the number of their streams.
    foreign: HashMap<u64, CallId>,
    dialogs: HashMap<DialogId, Owner>,
    servers: HashMap<ServerKey, LegId>,
    clients: HashMap<ClientKey, Purpose>,
    /// Answered INVITEs, until no other fork can answer; in order of time.
    forked: VecDeque<(Moment, ClientKey)>,
    timers: Timers,
    last_call: u64,
    /// Legs of which others may have to be told.
    stale: Vec<LegId>,
    /// Call-IDs that will no longer be kept here, in order of time.
    leaving: VecDeque<(Moment, Bytes)>,
    /// Flows that failed while effects were performed.
    failed: Vec<Flow>,
    /// When to stop waiting, once a shutdown was asked for.
    stop_at: Option<Moment>,
}

impl Worker {
    pub(crate) fn new(index: usize, shared: Arc<Shared>, poll: mio::Poll, config: EndpointConfig) -> io::Result<Self> {
        let mut socket = None;
        if index == 0 {
            let mut udp = mio::net::UdpSocket::from_std(shared.udp.try_clone()?);
            poll.registry().register(&mut udp, SOCKET, mio::Interest::READABLE)?;
            socket = Some(udp);
        }
        Ok(Worker {
            index,
            poll,
            readable: socket.is_some(),
            buffer: if socket.is_some() { vec![0; 65_536].into() } else { Box::default() },
            socket,
            backlog: VecDeque::new(),
            inputs: VecDeque::new(),
            endpoint: Endpoint::new(config),
            admission: Admission {
                max_calls: shared.config.max_calls,
                max_queued: BACKLOG / 4 * 3,
                retry_after: RETRY_AFTER,
            },
            legs: HashMap::new(),
            calls: HashMap::new(),
            foreign: HashMap::new(),
            dialogs: HashMap::new(),
            servers: HashMap::new(),
            clients: HashMap::new(),
            forked: VecDeque::new(),
            timers: Timers::default(),
            // The numbers that are this worker's modulo the workers; the first is not 0.
            last_call: index as u64,
            stale: Vec::new(),
            leaving: VecDeque::new(),
            failed: Vec::new(),
            stop_at: None,
            shared,
        })
    }

    /// Runs until a shutdown is complete.
    pub(crate) fn run(mut self) {
        let _guard = AbortOnPanic;
        let mut events = mio::Events::with_capacity(8);
        while !self.is_finished() {
            self.turn();
            if let Err(error) = self.sleep(&mut events)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, worker = self.index, "a signalling thread cannot poll");
                break;
            }
        }
        self.shared.router.inbox(self.index).close();
        self.shared.transactions[self.index].store(0, Ordering::Relaxed);
        self.shared.remembered[self.index].store(0, Ordering::Relaxed);
        let left: Vec<LegId> = self.legs.keys().copied().collect();
        for leg in left {
            self.remove_leg(leg);
        }
    }

    /// Handles everything that is there.
    fn turn(&mut self) {
        self.tick();
        // Before the inbox is emptied: a command that was given before a message was sent is there, and comes first.
        self.read_socket();
        self.shared.router.inbox(self.index).take(&mut self.inputs);
        while let Some(input) = self.inputs.pop_front() {
            self.handle_input(input);
        }
        for _ in 0..BATCH {
            let Some((remote, bytes)) = self.backlog.pop_front() else { break };
            self.handle_wire(Flow::udp(0, remote), bytes);
        }
        self.tell_images();
        let transactions = self.endpoint.len() as u64;
        self.shared.transactions[self.index].store(transactions, Ordering::Relaxed);
        let remembered = self.dialogs.len() + self.servers.len() + self.clients.len() + self.forked.len();
        self.shared.remembered[self.index].store(remembered as u64, Ordering::Relaxed);
    }

    fn sleep(&mut self, events: &mut mio::Events) -> io::Result<()> {
        if self.readable || !self.backlog.is_empty() {
            // More work waits; while it is done, the socket is looked at without asking whether it holds something.
            self.readable = self.socket.is_some();
            return Ok(());
        }
        if !self.shared.router.inbox(self.index).going_to_sleep() {
            return Ok(());
        }
        self.poll.poll(events, Some(self.until_deadline()))?;
        self.shared.router.inbox(self.index).woke();
        self.readable = self.socket.is_some() && events.iter().any(|event| event.token() == SOCKET);
        Ok(())
    }

    fn until_deadline(&self) -> Duration {
        let now = self.shared.now();
        let next = [self.endpoint.deadline(), self.timers.next()].into_iter().flatten().min();
        next.map_or(LONGEST_SLEEP, |at| at.since(now).min(LONGEST_SLEEP))
    }

    /// Takes what the socket holds, as long as there is room for it.
    fn read_socket(&mut self) {
        let Some(socket) = &self.socket else { return };
        while self.readable && self.backlog.len() < BACKLOG {
            match socket.recv_from(&mut self.buffer) {
                Ok((length, remote)) => {
                    count(&self.shared.counters.received);
                    let bytes = &self.buffer[..length];
                    let worker = self.shared.router.of_message(bytes);
                    let bytes = Bytes::copy_from_slice(bytes);
                    if worker == self.index {
                        self.backlog.push_back((remote, bytes));
                    } else {
                        let input = Input::Wire { flow: Flow::udp(0, remote), bytes };
                        // The inbox counts what it cannot take.
                        self.shared.router.inbox(worker).push(Lane::Network, input);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                // An ICMP error of an earlier datagram; the transaction's own timers notice.
                Err(_) => {}
            }
        }
    }

    fn tick(&mut self) {
        let now = self.shared.now();
        if self.endpoint.deadline().is_some_and(|at| at <= now) {
            self.endpoint.tick(now);
            self.perform();
        }
        while let Some(id) = self.timers.pop(now) {
            if let Some(leg) = self.legs.get_mut(&id) {
                leg.wake_up.fired();
                self.on_leg_deadline(now, id);
            }
        }
        while self.forked.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, invite)) = self.forked.pop_front() {
                self.clients.remove(&invite);
            }
        }
        self.let_dialogs_go(now);
        if self.index == 0 {
            self.expire_registrations(now);
        }
    }

    fn handle_input(&mut self, input: Input) {
        match input {
            Input::Wire { flow, bytes } => {
                count(&self.shared.counters.received);
                self.handle_wire(flow, bytes);
            }
            Input::Broken(flow) => {
                // Requests that asked for any connection to the peer went over this one too.
                for flow in [flow, Flow { connection: None, ..flow }] {
                    self.endpoint.flow_failed(self.shared.now(), &flow);
                }
                self.perform();
                if self.index == 0 {
                    self.forget_connection(flow);
                }
            }
            Input::EdgeGone(address) => {
                self.stop_ringing_through(address);
                self.perform();
            }
            Input::Command(leg, command) => {
                self.handle_command(leg, command);
                self.perform();
            }
            Input::Abandon(call) => {
                self.abandon(call);
                self.perform();
            }
            Input::Forsake(call, theirs) => {
                self.forsake(call, &theirs);
                self.perform();
            }
            Input::Reclaim(call, theirs) => {
                self.reclaim(call, &theirs);
                self.perform();
            }
            Input::Yield(leg, by) => {
                self.give_up(leg, by);
                self.perform();
            }
            Input::Media(event) => {
                self.handle_media(event);
                self.perform();
            }
            Input::ShutDown(until) => {
                self.stop_at = Some(until);
                self.end_everything();
                self.perform();
            }
        }
    }

    /// A message came.
    fn handle_wire(&mut self, flow: Flow, bytes: Bytes) {
        if bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
            // Keep-alive over UDP.
            return;
        }
        let now = self.shared.now();
        match Message::parse(bytes) {
            Ok(message) if self.relay(now, flow, &message) => {}
            Ok(message) => {
                if let Message::Request(request) = &message
                    && !self.may_speak(now, &flow, request)
                {
                    tracing::debug!(source = %flow.remote, method = %request.method(), "silence for an unknown sender");
                    return count(&self.shared.counters.silenced);
                }
                if flow.connection.is_some() && self.is_known_address(now, &flow) {
                    self.mark_known(&flow);
                }
                self.endpoint.handle_message(now, flow, message);
            }
            Err(error) => {
                count(&self.shared.counters.malformed);
                if self.is_known_address(now, &flow) {
                    self.endpoint.handle_malformed(flow, &error);
                }
            }
        }
        self.perform();
    }

    /// Performs what the endpoint asks for until there is nothing left.
    fn perform(&mut self) {
        loop {
            while let Some(effect) = self.endpoint.poll() {
                self.handle_effect(effect);
            }
            let Some(flow) = self.failed.pop() else { return };
            self.endpoint.flow_failed(self.shared.now(), &flow);
        }
    }

    fn handle_effect(&mut self, effect: Effect) {
        let now = self.shared.now();
        match effect {
            Effect::Send { flow, bytes } => self.send(flow, bytes),
            Effect::Request { key, flow, request } => self.on_request(now, key, flow, request),
            Effect::Cancel { invite, request: _ } => self.on_cancel(now, invite),
            Effect::Ack { invite, flow: _, request } => self.on_ack(now, invite, &request),
            Effect::Response { key, flow, response } => self.on_response(now, key, flow, &response),
            Effect::Timeout { key } => self.on_no_response(now, key, StatusCode::REQUEST_TIMEOUT),
            Effect::TransportError { key } => self.on_no_response(now, key, StatusCode::BAD_GATEWAY),
            Effect::NoAck { invite } => self.on_no_ack(now, invite),
            Effect::Unanswered { key } => self.on_unanswered(key),
        }
    }

    fn send(&mut self, flow: Flow, bytes: Bytes) {
        tracing::trace!(remote = %flow.remote, transport = %flow.transport, bytes = bytes.len(), "send");
        match flow.transport {
            Transport::Udp => match self.shared.udp.send_to(&bytes, flow.remote) {
                Ok(_) => {}
                // As if the network had lost it: the transaction sends it again.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => count(&self.shared.counters.overflowed),
                Err(error) => {
                    tracing::debug!(remote = %flow.remote, %error, "cannot send");
                    self.failed.push(flow);
                }
            },
            Transport::Tcp => {
                if self.shared.connections.send(flow, bytes).is_err() {
                    count(&self.shared.counters.overflowed);
                    self.failed.push(flow);
                }
            }
            Transport::Tls | Transport::Ws | Transport::Wss => self.failed.push(flow),
        }
    }

    /// Answers a request; a transaction that is gone needs no answer.
    fn respond(&mut self, key: ServerKey, response: ResponseBuilder) {
        let _ = self.endpoint.respond(self.shared.now(), key, response);
    }

    fn reject(&mut self, key: ServerKey, request: &Request, rejection: &Rejection) {
        self.respond(key, ResponseBuilder::reject(request, rejection));
    }

    fn reply(&mut self, key: ServerKey, request: &Request, status: StatusCode) {
        self.respond(key, ResponseBuilder::reply_to(request, status));
    }

    fn report(&self, leg: LegId, event: LegEvent) {
        tracing::debug!(call_id = %leg.call, leg = leg.n, ?event, "leg");
        (self.shared.callbacks.on_leg_event)(leg, event);
    }

    fn is_finished(&self) -> bool {
        let Some(until) = self.stop_at else { return false };
        let waits = |purpose: &Purpose| !matches!(purpose, Purpose::Stray { answered: true, .. } | Purpose::Late(_));
        let quiet = self.legs.is_empty() && !self.clients.values().any(waits);
        quiet || self.shared.now() >= until
    }
}
