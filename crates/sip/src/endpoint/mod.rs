//! The transaction user's view of SIP: owns every transaction, tells through [`Effect`]s what to send and what happened.
//!
//! One endpoint belongs to one worker; nothing in it is shared. The worker feeds it messages, its own requests and
//! responses, and the time; then it takes the effects with [`Endpoint::poll`] until there are none, and sleeps until
//! [`Endpoint::deadline`].

use crate::check::Policy;
use crate::flow::Flow;
use crate::message::{Message, ParseError, Request, RequestBuilder, Response, ResponseBuilder};
use crate::reason::Reason;
use crate::time::Moment;
use crate::transaction::Timers;
use bytes::Bytes;

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
/// All transactions of one worker.
pub struct Endpoint;
#[allow(missing_docs, unused_variables)]
impl Endpoint {
    /// An endpoint without transactions.
    pub fn new(config: EndpointConfig) -> Self {
        todo!()
    }
    /// A message arrived over `flow`; effects follow.
    pub fn handle_message(&mut self, now: Moment, flow: Flow, message: Message) {
        todo!()
    }
    /// A malformed message arrived; a request is refused statelessly where RFC 3261 asks for it.
    pub fn handle_malformed(&mut self, flow: Flow, error: &ParseError) {
        todo!()
    }
    /// Sends a request in a new client transaction. The endpoint writes the Via.
    pub fn send_request(&mut self, now: Moment, flow: Flow, request: RequestBuilder) -> ClientKey {
        todo!()
    }
    /// Acknowledges a 2xx to INVITE; kept so that repeated 2xx with the same To tag (`to_tag`) are acknowledged again.
    pub fn send_ack(&mut self, invite: ClientKey, to_tag: &[u8], flow: Flow, ack: RequestBuilder) {
        todo!()
    }
    /// Gives up an INVITE without final response; the CANCEL waits for a provisional one (RFC 3261 §9.1).
    pub fn cancel(
        &mut self,
        now: Moment,
        invite: ClientKey,
        reason: Option<&Reason>,
    ) -> Result<(), UnknownTransaction> {
        todo!()
    }
    /// Answers a request. Adds a To tag of its own when the builder has none (the same for all answers of a transaction).
    pub fn respond(
        &mut self,
        now: Moment,
        key: ServerKey,
        response: ResponseBuilder,
    ) -> Result<(), UnknownTransaction> {
        todo!()
    }
    /// The request of an INVITE that has no final response yet.
    pub fn request(&self, key: ServerKey) -> Option<&Request> {
        todo!()
    }
    /// The connection of `flow` is gone or refused; its client transactions end with [`Effect::TransportError`].
    pub fn flow_failed(&mut self, now: Moment, flow: &Flow) {
        todo!()
    }
    /// Performs what is due at `now`.
    pub fn tick(&mut self, now: Moment) {
        todo!()
    }
    /// When [`Endpoint::tick`] has to be called next.
    pub fn deadline(&self) -> Option<Moment> {
        todo!()
    }
    /// The next effect; call until `None`.
    pub fn poll(&mut self) -> Option<Effect> {
        todo!()
    }
    /// A fresh unguessable token for tags and Call-IDs.
    pub fn token(&mut self) -> String {
        todo!()
    }
    /// How many transactions live.
    pub fn len(&self) -> usize {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        todo!()
    }
}
