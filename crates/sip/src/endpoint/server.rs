//! The server side: requests that were received.

use super::id::{self, TransactionId};
use super::{Effect, Endpoint, ServerKey, Timed, UnknownTransaction};
use crate::check::{self, Rejection};
use crate::flow::Flow;
use crate::message::{Header, Method, Request, ResponseBuilder};
use crate::status::StatusCode;
use crate::time::Moment;
use crate::transaction::{InviteServer, Server, ServerEffect, ServerEvent, Timers};
use bytes::Bytes;

/// Seconds after which a peer may try again when the endpoint is full.
const RETRY_AFTER: &str = "5";

#[derive(Debug)]
enum Machine {
    Invite(InviteServer),
    Other(Server),
}

impl Machine {
    fn handle(&mut self, now: Moment, event: ServerEvent, timers: &Timers) -> &'static [ServerEffect] {
        match self {
            Machine::Invite(m) => m.handle(now, event, timers),
            Machine::Other(m) => m.handle(now, event, timers),
        }
    }

    fn deadline(&self) -> Option<Moment> {
        match self {
            Machine::Invite(m) => m.deadline(),
            Machine::Other(m) => m.deadline(),
        }
    }

    fn is_terminated(&self) -> bool {
        match self {
            Machine::Invite(m) => m.is_terminated(),
            Machine::Other(m) => m.is_terminated(),
        }
    }

    fn is_pending(&self) -> bool {
        match self {
            Machine::Invite(m) => m.is_pending(),
            Machine::Other(m) => m.is_pending(),
        }
    }

    fn repeats_response(&self) -> bool {
        match self {
            Machine::Invite(m) => m.repeats_response(),
            Machine::Other(_) => true,
        }
    }
}

/// A request that was received, from its first byte to its last timer.
#[derive(Debug)]
pub(super) struct ServerTransaction {
    machine: Machine,
    id: TransactionId,
    sequence: Option<TransactionId>,
    /// Where responses go.
    reply: Flow,
    /// The tag that this side added to To; one for all responses of the transaction.
    tag: Option<Bytes>,
    /// The INVITE, while it is unanswered.
    invite: Option<Request>,
    last_response: Option<Bytes>,
    scheduled: Option<Moment>,
}

impl Endpoint {
    pub(super) fn handle_request(&mut self, now: Moment, flow: Flow, request: Request) {
        match request.method() {
            Method::Ack => return self.handle_ack(now, flow, request),
            Method::Cancel => return self.handle_cancel(now, flow, request),
            Method::Invite
            | Method::Bye
            | Method::Register
            | Method::Options
            | Method::Info
            | Method::Update
            | Method::Prack
            | Method::Refer
            | Method::Notify
            | Method::Subscribe
            | Method::Message
            | Method::Publish
            | Method::Other(_) => {}
        }
        let id = id::transaction(&request, request.method(), &flow);
        if let Some(key) = self.by_id.get(&id) {
            return self.server_event(now, *key, ServerEvent::Repeated, None);
        }
        if self.is_full(&request) {
            self.counters.overflowed += 1;
            let refusal = Rejection::new(StatusCode::SERVICE_UNAVAILABLE).with(Header::RetryAfter, RETRY_AFTER);
            return self.refuse_statelessly(flow, &request, &refusal);
        }
        if let Err(rejection) = check::request(&request, &self.config.policy) {
            return self.refuse(now, flow, id, &request, &rejection);
        }
        let is_invite = *request.method() == Method::Invite;
        let sequence = (is_invite || request.is_out_of_dialog()).then(|| id::sequence(&request, request.method()));
        if let Some(sequence) = &sequence
            && request.is_out_of_dialog()
            && self.by_sequence.contains_key(sequence)
        {
            return self.refuse(now, flow, id, &request, &Rejection::new(StatusCode::LOOP_DETECTED));
        }
        let key = self.open_server(now, flow, id, sequence, &request);
        self.effects.push_back(Effect::Request { key, flow, request });
    }

    /// Calls in progress may use twice the room, so that new calls cannot choke them.
    fn is_full(&self, request: &Request) -> bool {
        let room = self.config.max_transactions;
        let room = if request.is_out_of_dialog() { room } else { room.saturating_mul(2) };
        self.len() >= room
    }

    /// Refuses a request without a transaction: it takes no memory, and its repetitions are refused again.
    fn refuse_statelessly(&mut self, flow: Flow, request: &Request, rejection: &Rejection) {
        let tag = self.tokens.token();
        let response = ResponseBuilder::reject(request, rejection).to_tag(&tag).build();
        let flow = request.via().response_flow(&flow);
        self.effects.push_back(Effect::Send { flow, bytes: response.bytes });
    }

    /// Refuses a request in a transaction of its own, so that its repetitions cost little.
    fn refuse(&mut self, now: Moment, flow: Flow, id: TransactionId, request: &Request, rejection: &Rejection) {
        let key = self.open_server(now, flow, id, None, request);
        let answered = self.respond(now, key, ResponseBuilder::reject(request, rejection));
        debug_assert!(answered.is_ok(), "a new transaction takes a response");
    }

    fn open_server(
        &mut self,
        now: Moment,
        flow: Flow,
        id: TransactionId,
        sequence: Option<TransactionId>,
        request: &Request,
    ) -> ServerKey {
        let key = ServerKey(self.fresh_key());
        let (reliable, timers) = (flow.transport.is_reliable(), &self.config.timers);
        let is_invite = *request.method() == Method::Invite;
        let machine = if is_invite {
            Machine::Invite(InviteServer::new(now, reliable, timers))
        } else {
            Machine::Other(Server::new(now, reliable, timers))
        };
        let scheduled = machine.deadline();
        let transaction = ServerTransaction {
            machine,
            id: id.clone(),
            sequence: sequence.clone(),
            reply: request.via().response_flow(&flow),
            tag: None,
            invite: is_invite.then(|| request.clone()),
            last_response: None,
            scheduled,
        };
        self.by_id.insert(id, key);
        if let Some(sequence) = sequence {
            self.by_sequence.insert(sequence, key);
        }
        self.servers.insert(key, Box::new(transaction));
        self.reschedule(Timed::Server(key), None, scheduled);
        key
    }

    fn handle_ack(&mut self, now: Moment, flow: Flow, ack: Request) {
        // The ACK of a 3xx–6xx has the branch of its INVITE, that of a 2xx a branch of its own (RFC 3261 §17.1.1.3).
        let id = id::transaction(&ack, &Method::Invite, &flow);
        let key = self.by_id.get(&id).or_else(|| self.by_sequence.get(&id::sequence(&ack, &Method::Invite))).copied();
        let ours = |t: &ServerTransaction| t.tag.as_deref().is_none_or(|tag| ack.to_tag() == Some(tag));
        match key.filter(|key| self.servers.get(key).is_some_and(|t| ours(t))) {
            Some(key) => self.server_event(now, key, ServerEvent::Ack, Some((flow, ack))),
            None => self.counters.stray += 1,
        }
    }

    fn handle_cancel(&mut self, now: Moment, flow: Flow, cancel: Request) {
        let id = id::transaction(&cancel, &Method::Cancel, &flow);
        if let Some(key) = self.by_id.get(&id) {
            return self.server_event(now, *key, ServerEvent::Repeated, None);
        }
        let invite = self.by_id.get(&id::transaction(&cancel, &Method::Invite, &flow)).copied();
        let Some(invite) = invite else {
            return self.refuse_statelessly(flow, &cancel, &Rejection::new(StatusCode::NO_SUCH_CALL));
        };
        // RFC 3261 §9.2: 200 whatever the state of the INVITE, with the To tag of its responses.
        let key = self.open_server(now, flow, id, None, &cancel);
        let tag = self.server_tag(invite);
        let response = ResponseBuilder::reply_to(&cancel, StatusCode::OK).to_tag(&tag);
        let answered = self.respond(now, key, response);
        debug_assert!(answered.is_ok(), "a new transaction takes a response");
        if self.servers.get(&invite).is_some_and(|t| t.machine.is_pending()) {
            self.effects.push_back(Effect::Cancel { invite, request: cancel });
        }
    }

    /// The tag of this side in the transaction, made when it has none.
    fn server_tag(&mut self, key: ServerKey) -> String {
        let fresh = self.tokens.token();
        match self.servers.get_mut(&key) {
            Some(transaction) => {
                let tag = transaction.tag.get_or_insert_with(|| Bytes::from(fresh));
                String::from_utf8_lossy(tag).into_owned()
            }
            None => fresh,
        }
    }

    /// Answers a request. When the builder has no To tag the endpoint adds one, the same for all responses of the
    /// transaction. A 2xx to INVITE is repeated until its ACK comes.
    ///
    /// # Errors
    /// [`UnknownTransaction`] when the transaction is gone or has its final response.
    pub fn respond(
        &mut self,
        now: Moment,
        key: ServerKey,
        response: ResponseBuilder,
    ) -> Result<(), UnknownTransaction> {
        let pending = self.servers.get(&key).is_some_and(|t| t.machine.is_pending());
        if !pending {
            return Err(UnknownTransaction);
        }
        let response = if response.needs_tag() { response.to_tag(&self.server_tag(key)) } else { response };
        let built = response.build();
        let Some(transaction) = self.servers.get_mut(&key) else { return Err(UnknownTransaction) };
        if !built.to_tag.is_empty() {
            transaction.tag = Some(built.to_tag);
        }
        transaction.last_response = Some(built.bytes);
        self.server_event(now, key, ServerEvent::Respond(built.status), None);
        Ok(())
    }

    /// The request of an INVITE transaction that has no final response yet.
    pub fn request(&self, key: ServerKey) -> Option<&Request> {
        self.servers.get(&key)?.invite.as_ref()
    }

    /// Forgets a received request and our response to it: neither is repeated any more.
    pub fn forget_server(&mut self, key: ServerKey) {
        self.close_server(key);
    }

    pub(super) fn tick_server(&mut self, now: Moment, key: ServerKey) {
        if let Some(transaction) = self.servers.get_mut(&key) {
            transaction.scheduled = None;
            self.server_event(now, key, ServerEvent::Tick, None);
        }
    }

    fn server_event(&mut self, now: Moment, key: ServerKey, event: ServerEvent, mut ack: Option<(Flow, Request)>) {
        let Some(transaction) = self.servers.get_mut(&key) else { return };
        for effect in transaction.machine.handle(now, event, &self.config.timers) {
            let effect = match effect {
                ServerEffect::SendResponse => {
                    let flow = transaction.reply;
                    transaction.last_response.clone().map(|bytes| Effect::Send { flow, bytes })
                }
                ServerEffect::SendTrying => transaction.invite.as_ref().map(|invite| {
                    let bytes = ResponseBuilder::reply_to(invite, StatusCode::TRYING).build().bytes;
                    transaction.last_response = Some(bytes.clone());
                    Effect::Send { flow: transaction.reply, bytes }
                }),
                ServerEffect::PassUpAck => ack.take().map(|(flow, request)| Effect::Ack { invite: key, flow, request }),
                ServerEffect::NoAck => Some(Effect::NoAck { invite: key }),
                ServerEffect::Unanswered => Some(Effect::Unanswered { key }),
            };
            self.effects.extend(effect);
        }
        if !transaction.machine.is_pending() {
            transaction.invite = None;
        }
        if !transaction.machine.repeats_response() {
            transaction.last_response = None;
        }
        if transaction.machine.is_terminated() {
            return self.close_server(key);
        }
        let (before, deadline) = (transaction.scheduled, transaction.machine.deadline());
        transaction.scheduled = deadline;
        self.reschedule(Timed::Server(key), before, deadline);
    }

    fn close_server(&mut self, key: ServerKey) {
        let Some(transaction) = self.servers.remove(&key) else { return };
        self.by_id.remove(&transaction.id);
        if let Some(sequence) = &transaction.sequence
            && self.by_sequence.get(sequence) == Some(&key)
        {
            self.by_sequence.remove(sequence);
        }
        self.reschedule(Timed::Server(key), transaction.scheduled, None);
    }
}
