//! The transaction user's view of SIP: owns every transaction, tells through [`Effect`]s what to send and what happened.
//!
//! One endpoint belongs to one worker; nothing in it is shared. The worker feeds it messages, its own requests and
//! responses, and the time; then it takes the effects with [`Endpoint::poll`] until there are none, and sleeps until
//! [`Endpoint::deadline`].

mod client;
pub(crate) mod id;
mod server;

use crate::check::Policy;
use crate::flow::Flow;
use crate::message::{Message, ParseError, Request, Response};
use crate::time::Moment;
use crate::tokens::Tokens;
use crate::transaction::Timers;
use bytes::Bytes;
use client::ClientTransaction;
use id::TransactionId;
use server::ServerTransaction;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// Names a server transaction: a request that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerKey(u64);

/// Names a client transaction: a request that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientKey(u64);

/// How an endpoint is set up.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Host and port of our Via, for example `192.0.2.1:5060`.
    pub sent_by: String,
    /// The secret from which branches and tags are made; random at the start of the process.
    pub seed: [u8; 32],
    /// The timers of the transaction machines.
    pub timers: Timers,
    /// What is refused without asking the transaction user.
    pub policy: Policy,
    /// The most transactions at a time; new requests beyond it get a stateless 503.
    pub max_transactions: usize,
}

/// What the endpoint asks for, and what it tells.
#[derive(Debug)]
pub enum Effect {
    /// Send these bytes.
    Send {
        /// The way to go. Responses name the connection of their request; when it is gone they are lost, and the
        /// peer's timers decide.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// A new request, checked by [`crate::check::request`] and neither a retransmission nor a CANCEL or ACK. Answer it
    /// with [`Endpoint::respond`].
    Request {
        /// Its transaction.
        key: ServerKey,
        /// How it came.
        flow: Flow,
        /// The request; [`Endpoint::request`] gives it again while an INVITE is unanswered.
        request: Request,
    },
    /// The caller gives up an INVITE that has no final response yet. The CANCEL is answered already; answer the INVITE
    /// with 487.
    Cancel {
        /// The transaction of the INVITE.
        invite: ServerKey,
        /// The CANCEL, whose Reason may say why.
        request: Request,
    },
    /// The first ACK to a 2xx that [`Endpoint::respond`] sent. It may carry the answer to our offer.
    Ack {
        /// The transaction of the INVITE.
        invite: ServerKey,
        /// How it came.
        flow: Flow,
        /// The ACK.
        request: Request,
    },
    /// A response: any provisional; the first final; and for an INVITE each 2xx of another fork (another To tag), also
    /// late ones, which the transaction user acknowledges and ends (RFC 3261 §13.2.2.4).
    Response {
        /// The transaction of the request.
        key: ClientKey,
        /// How it came.
        flow: Flow,
        /// The response.
        response: Response,
    },
    /// No final response in time (timers B, C, F, or 64·T1 after a CANCEL): count it as 408.
    Timeout {
        /// The transaction, which is gone.
        key: ClientKey,
    },
    /// The flow of the request failed: count it as 503 (RFC 3261 §8.1.3.1).
    TransportError {
        /// The transaction, which is gone.
        key: ClientKey,
    },
    /// No ACK came for a 2xx within 64·T1: end the dialog with BYE (RFC 3261 §13.3.1.4).
    NoAck {
        /// The transaction of the INVITE, which is gone.
        invite: ServerKey,
    },
    /// The transaction user did not answer in time; the request is forgotten (RFC 4320 for non-INVITE).
    Unanswered {
        /// The transaction, which is gone.
        key: ServerKey,
    },
}

/// The transaction is gone: its deadline passed or it was answered already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such transaction, or it has its final response")]
pub struct UnknownTransaction;
/// What an endpoint has refused or ignored since its start; for statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Malformed requests that were refused.
    pub malformed: u64,
    /// Requests refused because [`EndpointConfig::max_transactions`] was reached.
    pub overflowed: u64,
    /// Responses and ACKs that belong to nothing.
    pub stray: u64,
}

/// A transaction of either side, as the timer queue names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timed {
    Server(ServerKey),
    Client(ClientKey),
}

/// All transactions of one worker. Memory is freed when they end; nothing is kept per call or peer.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    tokens: Tokens,
    next_key: u64,
    servers: HashMap<ServerKey, Box<ServerTransaction>>,
    /// Received requests by their transaction id (RFC 3261 §17.2.3).
    by_id: HashMap<TransactionId, ServerKey>,
    /// Received INVITEs and out-of-dialog requests by Call-ID, From tag and CSeq: finds the INVITE of an ACK to a 2xx,
    /// and merged requests (RFC 3261 §8.2.2.2).
    by_sequence: HashMap<TransactionId, ServerKey>,
    clients: HashMap<ClientKey, Box<ClientTransaction>>,
    timers: BTreeSet<(Moment, Timed)>,
    effects: VecDeque<Effect>,
    counters: Counters,
}

impl Endpoint {
    /// An endpoint without transactions.
    pub fn new(config: EndpointConfig) -> Self {
        Endpoint {
            tokens: Tokens::new(config.seed),
            config,
            next_key: 0,
            servers: HashMap::new(),
            by_id: HashMap::new(),
            by_sequence: HashMap::new(),
            clients: HashMap::new(),
            timers: BTreeSet::new(),
            effects: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Takes a message that came over `flow`; effects follow. Whether the sender may talk to us at all is decided
    /// before.
    pub fn handle_message(&mut self, now: Moment, flow: Flow, message: Message) {
        match message {
            Message::Request(mut request) => {
                request.set_source(flow.remote);
                self.handle_request(now, flow, request);
            }
            Message::Response(response) => self.handle_response(now, flow, response),
        }
    }

    /// Takes a message that could not be read: a request is refused without a transaction where that is possible.
    pub fn handle_malformed(&mut self, flow: Flow, error: &ParseError) {
        if let Some((flow, bytes)) = error.rejection(&flow) {
            self.counters.malformed += 1;
            self.effects.push_back(Effect::Send { flow, bytes });
        }
    }

    /// Performs what is due at `now`.
    pub fn tick(&mut self, now: Moment) {
        while let Some((at, timed)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, timed));
            match timed {
                Timed::Server(key) => self.tick_server(now, key),
                Timed::Client(key) => self.tick_client(now, key),
            }
        }
    }

    /// When [`Endpoint::tick`] has to be called next; `None` when nothing waits.
    pub fn deadline(&self) -> Option<Moment> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The next effect; call until `None` after each input.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// A fresh unguessable token, for tags and Call-IDs.
    pub fn token(&mut self) -> String {
        self.tokens.token()
    }

    /// How many transactions live.
    pub fn len(&self) -> usize {
        self.servers.len() + self.clients.len()
    }

    /// Whether no transaction lives.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.clients.is_empty()
    }

    /// What was refused or ignored since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Keys are even; the CANCEL of a client transaction has the odd key after it.
    fn fresh_key(&mut self) -> u64 {
        self.next_key += 2;
        self.next_key
    }

    /// Moves the timer of a transaction from `scheduled` to `deadline`.
    fn reschedule(&mut self, timed: Timed, scheduled: Option<Moment>, deadline: Option<Moment>) {
        if scheduled == deadline {
            return;
        }
        if let Some(at) = scheduled {
            self.timers.remove(&(at, timed));
        }
        if let Some(at) = deadline {
            self.timers.insert((at, timed));
        }
    }
}

#[cfg(test)]
mod tests;
