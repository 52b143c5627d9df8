//! Phones that are connected here while their call lives on another edge: messages pass, and nothing of them is kept
//! (RFC 3261 §16.11; RFC 3327 and RFC 5626 for the idea). Audio does not come this way.
//!
//! ```text
//! edge A                          edge B (this one)                        the phone
//! INVITE contact                  looks up the registration,
//!   Route: <sip:user@B;lr>   ->   Record-Route: <sip:token@B;lr>    ->   over the flow of its REGISTER
//! BYE contact
//!   Route: <sip:token@B;lr>  ->   the flow is in the token          ->
//!                            <-   Request-URI must be an edge       <-   BYE A, Route: <sip:token@B;lr>
//! responses                  <-   the way back is in our branch     <->
//! ```
//!
//! Only edges may begin anything, only towards phones that are registered here; what a phone sends with a token that we
//! have sealed goes to edges only (Spec: SE-2). Everything else is treated as if this file did not exist.

use carillon_sip::check::Rejection;
use carillon_sip::relay::{self, Onward, OwnRoute};
use carillon_sip::{
    Flow, Message, Method, Moment, Request, Response, ResponseBuilder, StatusCode, Transport, unescape_user,
};

use super::Worker;
use crate::shared::count;

impl Worker {
    /// Passes a message on when that is all that we have to do with it; `false` when it is ours.
    pub(super) fn relay(&mut self, now: Moment, flow: Flow, message: &Message) -> bool {
        match message {
            Message::Request(request) => self.relay_request(now, flow, request),
            Message::Response(response) => self.relay_response(response),
        }
    }

    fn relay_request(&mut self, now: Moment, from: Flow, request: &Request) -> bool {
        let Some(own) = relay::own_route(request, self.shared.sent_by) else { return false };
        if self.shared.peers.load().is_peer(&from) {
            match self.flow_to_phone(now, request, &own) {
                Ok(to) => self.forward(from, to, request, &own),
                Err(status) => self.refuse_to_relay(from, request, &Rejection::new(status)),
            }
            return true;
        }
        if self.shared.seal.flow_of_token(&own.user).is_none() {
            // A phone may well name us as its outbound proxy; it is none of a relay's business.
            return false;
        }
        if !own.more && request.uri().socket_addr() == Some(self.shared.sent_by) {
            // A dialog that began at another edge and has come here, where the phone is: its route leads through us to us.
            return false;
        }
        match self.flow_to_edge(request, &own) {
            Some(to) => self.forward(from, to, request, &own),
            None => {
                tracing::debug!(source = %from.remote, method = %request.method(), "silence: not for an edge");
                count(&self.shared.counters.unrelayed);
            }
        }
        true
    }

    /// The way that an edge asks for: by a token in a dialog, else by the registration that it names with user and
    /// contact.
    ///
    /// # Errors
    /// 430 when the phone's connection is gone (RFC 5626 §5.3), 480 when there is no such registration.
    fn flow_to_phone(&self, now: Moment, request: &Request, own: &OwnRoute) -> Result<Flow, StatusCode> {
        let registered = || {
            let username = unescape_user(&own.user)?;
            let registry = self.shared.registry();
            let flow = registry.flow_of(now, &username, request.uri());
            if flow.is_none() && *request.method() != Method::Ack {
                // Somebody remembers what is no more: the report of its end was lost, or is on its way.
                self.shared.report_user(now, &registry, &username);
            }
            flow
        };
        let flow = self.shared.seal.flow_of_token(&own.user).or_else(registered);
        let flow = flow.ok_or(StatusCode::TEMPORARILY_UNAVAILABLE)?;
        if self.is_open(&flow) { Ok(flow) } else { Err(StatusCode::FLOW_FAILED) }
    }

    /// Where a phone's request in a dialog with an edge goes; nowhere when it is none, or for somebody else.
    fn flow_to_edge(&self, request: &Request, own: &OwnRoute) -> Option<Flow> {
        let uri = request.uri();
        let target = uri.socket_addr().filter(|_| uri.transport() == Some(Transport::Udp))?;
        let in_dialog = request.to_tag().is_some() && !own.more;
        (in_dialog && self.shared.peers.load().is_address(target)).then(|| Flow::udp(0, target))
    }

    fn forward(&mut self, from: Flow, to: Flow, request: &Request, own: &OwnRoute) {
        let branch = self.shared.seal.branch(request, &from);
        let via = format!("SIP/2.0/{} {};branch={branch};rport", to.transport.via_name(), self.shared.sent_by);
        let record_route = if *request.method() == Method::Invite && request.is_out_of_dialog() {
            self.record_route(&to)
        } else {
            Vec::new()
        };
        let onward = Onward { source: from.remote, routes: own.count, via: &via, record_route: &record_route };
        match relay::request(request, &onward) {
            Ok(bytes) => {
                count(&self.shared.counters.relayed);
                self.send(to, bytes);
            }
            Err(rejection) => self.refuse_to_relay(from, request, &rejection),
        }
    }

    /// Ours for a dialog with the phone at the end of this flow; over a connection one for each side, so that the phone
    /// stays on it and the edge on UDP (RFC 5658 §3.2).
    fn record_route(&self, to: &Flow) -> Vec<String> {
        let (token, here) = (self.shared.seal.token(to), self.shared.sent_by);
        let edges_side = format!("<sip:{token}@{here};lr>");
        match to.transport {
            Transport::Udp => vec![edges_side],
            other => vec![format!("<sip:{token}@{here};transport={};lr>", other.uri_name()), edges_side],
        }
    }

    /// Refuses without a transaction: the same answer to each repetition (RFC 3261 §8.2.7).
    fn refuse_to_relay(&mut self, from: Flow, request: &Request, rejection: &Rejection) {
        if *request.method() == Method::Ack {
            // It acknowledges a refusal of ours.
            return;
        }
        count(&self.shared.counters.unrelayed);
        tracing::debug!(source = %from.remote, method = %request.method(), status = %rejection.status, "not relayed");
        let tag = self.shared.seal.tag(request, &from);
        let mut request = request.clone();
        request.set_source(from.remote);
        let response = ResponseBuilder::reject(&request, rejection).to_tag(&tag).build();
        // Only edges are refused in words, and they ask for rport.
        self.send(from, response.bytes);
    }

    /// A response to what we passed on, back to where that came from.
    fn relay_response(&mut self, response: &Response) -> bool {
        let branch = response.via().branch();
        let Some(back) = branch.and_then(|branch| self.shared.seal.flow_of_branch(branch)) else { return false };
        match relay::response(response).filter(|_| self.is_open(&back)) {
            Some(bytes) => {
                count(&self.shared.counters.relayed);
                self.send(back, bytes);
            }
            None => count(&self.shared.counters.unrelayed),
        }
        true
    }

    /// Whether a message can still go over a flow: a connection that is gone cannot be replaced by one of ours, because
    /// the phone is behind NAT or does not listen.
    pub(super) fn is_open(&self, flow: &Flow) -> bool {
        flow.connection.is_none_or(|connection| self.shared.connections.is_open(connection))
    }
}
