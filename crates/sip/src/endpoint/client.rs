//! The client side: requests that we sent.

use super::{ClientKey, Effect, Endpoint, Timed, UnknownTransaction};
use crate::flow::Flow;
use crate::message::{COOKIE, Header, Message, Method, Request, RequestBuilder, Response};
use crate::reason::Reason;
use crate::time::Moment;
use crate::transaction::{Client, ClientEffect, ClientEvent, InviteClient, Timers};
use bytes::Bytes;
use std::time::Duration;

/// The most forks of one INVITE whose 2xx are acknowledged.
const MAX_FORKS: usize = 16;

#[derive(Debug)]
enum Machine {
    Invite(InviteClient),
    Other(Client),
}

impl Machine {
    fn handle(&mut self, now: Moment, event: ClientEvent, timers: &Timers) -> &'static [ClientEffect] {
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
}

/// Whether the transaction user wants the INVITE ended.
#[derive(Debug)]
enum Cancel {
    No,
    /// It does; the CANCEL waits for a provisional response.
    Waiting(Option<String>),
    Sent,
}

/// A 2xx of one fork, and the ACK for its repetitions once the transaction user has sent one.
#[derive(Debug)]
struct Fork {
    to_tag: Bytes,
    ack: Option<(Flow, Bytes)>,
}

/// A request that we sent, from its first byte to its last timer.
#[derive(Debug)]
pub(super) struct ClientTransaction {
    machine: Machine,
    branch: String,
    flow: Flow,
    /// The request, while it may have to be sent again.
    request: Bytes,
    cancel: Cancel,
    /// The ACK for a 3xx–6xx.
    failure_ack: Option<Bytes>,
    forks: Vec<Fork>,
    scheduled: Option<Moment>,
}

impl ClientKey {
    /// The CANCEL of this INVITE has the same branch and the odd key.
    const fn of_cancel(self) -> Self {
        ClientKey(self.0 | 1)
    }

    const fn is_cancel(self) -> bool {
        self.0 & 1 == 1
    }
}

impl Endpoint {
    /// Sends `request` over `flow` in a new client transaction. The endpoint writes the Via. For ACK there is
    /// [`Endpoint::send_ack`], for CANCEL [`Endpoint::cancel`].
    pub fn send_request(&mut self, now: Moment, flow: Flow, request: RequestBuilder) -> ClientKey {
        self.send_request_again_after(now, self.config.timers.t1, flow, request)
    }

    /// The same, but an INVITE that nobody answers is sent again after `first` and not after T1, for networks of one's own
    /// (RFC 3261 §17.1.1.1).
    pub fn send_request_again_after(
        &mut self,
        now: Moment,
        first: Duration,
        flow: Flow,
        request: RequestBuilder,
    ) -> ClientKey {
        let key = ClientKey(self.fresh_key());
        let branch = self.fresh_branch(key);
        let bytes = request.build(&self.via(&flow, &branch));
        let (reliable, timers) = (flow.transport.is_reliable(), &self.config.timers);
        let machine = match request.method() {
            Method::Invite => Machine::Invite(InviteClient::new(now, reliable, first, timers)),
            _ => Machine::Other(Client::new(now, reliable, timers)),
        };
        self.open_client(key, flow, branch, bytes, machine);
        key
    }

    /// The key stands in the branch, so that a response finds its transaction without a table; the token makes the
    /// branch unguessable.
    fn fresh_branch(&mut self, key: ClientKey) -> String {
        format!("z9hG4bK{:x}.{}", key.0, self.tokens.token())
    }

    fn via(&self, flow: &Flow, branch: &str) -> String {
        format!("SIP/2.0/{} {};branch={branch};rport", flow.transport.via_name(), self.config.sent_by)
    }

    fn open_client(&mut self, key: ClientKey, flow: Flow, branch: String, request: Bytes, machine: Machine) {
        let scheduled = machine.deadline();
        self.effects.push_back(Effect::Send { flow, bytes: request.clone() });
        let transaction = ClientTransaction {
            machine,
            branch,
            flow,
            request,
            cancel: Cancel::No,
            failure_ack: None,
            forks: Vec::new(),
            scheduled,
        };
        self.clients.insert(key, Box::new(transaction));
        self.reschedule(Timed::Client(key), None, scheduled);
    }

    /// Sends the ACK for a 2xx with tag `to_tag` to our INVITE; repetitions of that 2xx get the same ACK again, without
    /// the transaction user (RFC 3261 §13.2.2.4).
    pub fn send_ack(&mut self, invite: ClientKey, to_tag: &[u8], flow: Flow, ack: RequestBuilder) {
        let branch = format!("z9hG4bK{}", self.tokens.token());
        let bytes = ack.build(&self.via(&flow, &branch));
        let fork = self.clients.get_mut(&invite).and_then(|t| t.forks.iter_mut().find(|f| f.to_tag == to_tag));
        if let Some(fork) = fork {
            fork.ack = Some((flow, bytes.clone()));
        }
        self.effects.push_back(Effect::Send { flow, bytes });
    }

    /// Gives up an INVITE that has no final response. The CANCEL goes out once a provisional response has come
    /// (RFC 3261 §9.1); the end is told as the final response (usually 487) or as [`Effect::Timeout`].
    ///
    /// # Errors
    /// [`UnknownTransaction`] when the transaction is gone or has its final response.
    pub fn cancel(
        &mut self,
        now: Moment,
        invite: ClientKey,
        reason: Option<&Reason>,
    ) -> Result<(), UnknownTransaction> {
        let transaction = self.clients.get_mut(&invite).ok_or(UnknownTransaction)?;
        let Machine::Invite(machine) = &transaction.machine else { return Err(UnknownTransaction) };
        if !machine.is_pending() {
            return Err(UnknownTransaction);
        }
        if matches!(transaction.cancel, Cancel::No) {
            transaction.cancel = Cancel::Waiting(reason.map(ToString::to_string));
            self.cancel_when_proceeding(now, invite);
        }
        Ok(())
    }

    /// Forgets a request: it is not sent again, and responses to it belong to nothing.
    pub fn forget_client(&mut self, key: ClientKey) {
        for key in [key, key.of_cancel()] {
            if let Some(transaction) = self.clients.remove(&key) {
                self.reschedule(Timed::Client(key), transaction.scheduled, None);
            }
        }
    }

    fn cancel_when_proceeding(&mut self, now: Moment, invite: ClientKey) {
        let Some(transaction) = self.clients.get_mut(&invite) else { return };
        let proceeding = matches!(&transaction.machine, Machine::Invite(m) if m.is_proceeding());
        if !proceeding || !matches!(transaction.cancel, Cancel::Waiting(_)) {
            return;
        }
        let Cancel::Waiting(reason) = std::mem::replace(&mut transaction.cancel, Cancel::Sent) else { return };
        let (flow, branch) = (transaction.flow, transaction.branch.clone());
        let Some(request) = sent_request(&transaction.request) else { return };
        let mut cancel = hop_request(&request, Method::Cancel).to(request.to_raw());
        if let Some(reason) = reason {
            cancel = cancel.header(Header::Reason, reason);
        }
        let bytes = cancel.build(&String::from_utf8_lossy(request.top_via_raw()));
        let machine = Machine::Other(Client::new(now, flow.transport.is_reliable(), &self.config.timers));
        self.open_client(invite.of_cancel(), flow, branch, bytes, machine);
        self.client_event(now, invite, ClientEvent::Cancelled, None);
    }

    pub(super) fn handle_response(&mut self, now: Moment, flow: Flow, response: Response) {
        // RFC 3261 §8.1.3.3: more than one Via means that the response is not for us.
        let key = self.client_of(&response).filter(|_| response.via_elements().nth(1).is_none());
        match key {
            Some(key) => {
                let event = ClientEvent::Response(response.status());
                self.client_event(now, key, event, Some((flow, response)));
                self.cancel_when_proceeding(now, key);
            }
            None => self.counters.stray += 1,
        }
    }

    /// RFC 3261 §17.1.3: branch and CSeq method.
    fn client_of(&self, response: &Response) -> Option<ClientKey> {
        let branch = response.via().branch()?;
        let number = branch.strip_prefix(COOKIE)?.split(|b| *b == b'.').next()?;
        let invite = ClientKey(u64::from_str_radix(std::str::from_utf8(number).ok()?, 16).ok()?);
        let key = if response.cseq_method_raw() == b"CANCEL" { invite.of_cancel() } else { invite };
        let transaction = self.clients.get(&key)?;
        let is_invite = matches!(transaction.machine, Machine::Invite(_));
        let fits = is_invite == (response.cseq_method_raw() == b"INVITE");
        (fits && transaction.branch.as_bytes() == branch).then_some(key)
    }

    /// Tells that the connection of `flow` is gone or that nothing can be sent over it: its pending client transactions
    /// end with [`Effect::TransportError`].
    pub fn flow_failed(&mut self, now: Moment, flow: &Flow) {
        let affected = self.clients.iter().filter(|(_, t)| t.flow == *flow && t.machine.is_pending());
        let mut keys: Vec<ClientKey> = affected.map(|(key, _)| *key).collect();
        keys.sort_unstable();
        for key in keys {
            self.client_event(now, key, ClientEvent::TransportError, None);
        }
    }

    pub(super) fn tick_client(&mut self, now: Moment, key: ClientKey) {
        if let Some(transaction) = self.clients.get_mut(&key) {
            transaction.scheduled = None;
            self.client_event(now, key, ClientEvent::Tick, None);
            self.cancel_when_proceeding(now, key);
        }
    }

    fn client_event(&mut self, now: Moment, key: ClientKey, event: ClientEvent, mut got: Option<(Flow, Response)>) {
        let Some(transaction) = self.clients.get_mut(&key) else { return };
        for effect in transaction.machine.handle(now, event, &self.config.timers) {
            let effect = match effect {
                ClientEffect::SendRequest => {
                    Some(Effect::Send { flow: transaction.flow, bytes: transaction.request.clone() })
                }
                ClientEffect::SendAck => transaction.failure_ack(got.as_ref().map(|(_, response)| response)),
                ClientEffect::SendCancel => {
                    transaction.cancel = Cancel::Waiting(None);
                    None
                }
                // The answer to a CANCEL is nobody's business.
                ClientEffect::PassUp | ClientEffect::Timeout | ClientEffect::TransportError if key.is_cancel() => None,
                ClientEffect::PassUp => {
                    got.take().and_then(|(flow, response)| transaction.pass_up(key, flow, response))
                }
                ClientEffect::Timeout => Some(Effect::Timeout { key }),
                ClientEffect::TransportError => Some(Effect::TransportError { key }),
            };
            self.effects.extend(effect);
        }
        if !transaction.machine.is_pending() {
            transaction.request = Bytes::new();
        }
        let (before, deadline) = (transaction.scheduled, transaction.machine.deadline());
        transaction.scheduled = deadline;
        if transaction.machine.is_terminated() {
            self.clients.remove(&key);
        }
        self.reschedule(Timed::Client(key), before, deadline);
    }
}

impl ClientTransaction {
    /// The ACK for a 3xx–6xx: that of the INVITE's hop, with the To of the response (RFC 3261 §17.1.1.3).
    fn failure_ack(&mut self, response: Option<&Response>) -> Option<Effect> {
        if self.failure_ack.is_none() {
            let request = sent_request(&self.request)?;
            let ack = hop_request(&request, Method::Ack).to(response?.to_raw());
            self.failure_ack = Some(ack.build(&String::from_utf8_lossy(request.top_via_raw())));
        }
        self.failure_ack.clone().map(|bytes| Effect::Send { flow: self.flow, bytes })
    }

    /// Passes a response up, but answers the repetition of a 2xx to INVITE itself.
    fn pass_up(&mut self, key: ClientKey, flow: Flow, response: Response) -> Option<Effect> {
        if matches!(self.machine, Machine::Invite(_)) && response.status().is_success() {
            let to_tag = response.to_tag().unwrap_or_default();
            if let Some(fork) = self.forks.iter().find(|f| f.to_tag == to_tag) {
                return fork.ack.clone().map(|(flow, bytes)| Effect::Send { flow, bytes });
            }
            if self.forks.len() >= MAX_FORKS {
                return None;
            }
            self.forks.push(Fork { to_tag: Bytes::copy_from_slice(to_tag), ack: None });
        }
        Some(Effect::Response { key, flow, response })
    }
}

/// Our own request, read back: CANCEL and ACK copy parts of it, and are rare enough that nothing is kept for them.
fn sent_request(bytes: &Bytes) -> Option<Request> {
    match Message::parse(bytes.clone()) {
        Ok(Message::Request(request)) => Some(request),
        Ok(Message::Response(_)) | Err(_) => None,
    }
}

/// A request that follows the INVITE hop by hop: same Request-URI, From, Call-ID, CSeq number and Route
/// (RFC 3261 §9.1, §17.1.1.3). To differs.
fn hop_request(invite: &Request, method: Method) -> RequestBuilder {
    let mut request =
        RequestBuilder::new(method, invite.uri()).from(invite.from_raw()).call_id(invite.call_id()).cseq(invite.cseq());
    for route in invite.lines(Header::Route) {
        request = request.header(Header::Route, route);
    }
    request
}
