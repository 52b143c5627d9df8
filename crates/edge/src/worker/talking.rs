//! Confirmed dialogs: ACK, BYE, and the smaller requests within a call.

use carillon_acd::ids::LegId;
use carillon_acd::leg::{Cause, LegEvent};
use carillon_sip::dialog::{Dialog, DialogId};
use carillon_sip::endpoint::{ClientKey, ServerKey};
use carillon_sip::{Flow, Header, Method, Moment, Request, Response, StatusCode};

use super::challenges::is_challenge;
use super::incoming::{congested, in_dialog};
use super::requests::capabilities;
use super::senders::hop;
use super::{AFTER_FORKS, Ending, Owner, Purpose, Worker};
use crate::cause::to_reason;
use crate::leg::{Asked, Exchange, Line, Ours, Parting, Reviving, State, Talking, WayBack};

impl Worker {
    /// A request within the dialog of a leg.
    pub(super) fn on_dialog_request(&mut self, now: Moment, id: LegId, key: ServerKey, flow: Flow, request: Request) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let line = match &mut leg.state {
            State::Asked(Asked { line, .. })
            | State::Talking(Talking { line, .. })
            | State::Parting(Parting { line, .. }) => line,
            State::Dialling(_) => return self.on_early_request(id, key, &request),
        };
        if let Err(rejection) = line.dialog.on_request(&request) {
            return self.reject(key, &request, &rejection);
        }
        let moved = line.way.pinned && line.flow != flow;
        if moved {
            // The phone's address as its NAT shows it now.
            line.flow = flow;
        }
        if moved || request.method().refreshes_target() {
            self.image_changed(id);
        }
        match request.method() {
            Method::Bye => self.on_bye(id, key, &request),
            Method::Invite | Method::Update => self.on_change(now, id, key, request),
            Method::Options => self.respond(key, capabilities(&request)),
            Method::Info => self.on_info(id, key, &request),
            // The endpoint refuses all other methods by its policy; a REGISTER has no business in a dialog.
            _ => self.reply(key, &request, StatusCode::FORBIDDEN),
        }
    }

    /// A request of a phone that we ring, before its answer. Our offer still waits for that, so there can be no other
    /// (RFC 3311 §5.2); and who is called cannot hang up before (RFC 3261 §15).
    fn on_early_request(&mut self, id: LegId, key: ServerKey, request: &Request) {
        let Some(State::Dialling(dialling)) = self.legs.get_mut(&id).map(|leg| &mut leg.state) else { return };
        let dialog = DialogId::of_request(request);
        let Some(line) = dialling.early.iter_mut().find(|line| Some(line.dialog.id()) == dialog.as_ref()) else {
            return self.reply(key, request, StatusCode::NO_SUCH_CALL);
        };
        if let Err(rejection) = line.dialog.on_request(request) {
            return self.reject(key, request, &rejection);
        }
        match request.method() {
            Method::Invite => self.reply(key, request, StatusCode::REQUEST_PENDING),
            Method::Update if !request.body().is_empty() => self.reply(key, request, StatusCode::REQUEST_PENDING),
            Method::Update => {
                let response = in_dialog(request, StatusCode::OK, line);
                self.respond(key, response);
            }
            Method::Options => self.respond(key, capabilities(request)),
            Method::Info => self.on_info(id, key, request),
            Method::Bye => self.reply(key, request, StatusCode::NO_SUCH_CALL),
            _ => self.reply(key, request, StatusCode::FORBIDDEN),
        }
    }

    /// The other side hung up; before our answer, that is as good as CANCEL (RFC 3261 §15.1.2).
    fn on_bye(&mut self, id: LegId, key: ServerKey, request: &Request) {
        self.reply(key, request, StatusCode::OK);
        let Some(leg) = self.legs.get(&id) else { return };
        match &leg.state {
            State::Asked(_) => {
                self.refuse_asked(id, Cause::Cancelled);
                self.report(id, LegEvent::Ended(Cause::Cancelled));
            }
            State::Talking(_) => {
                self.abandon_exchange(id);
                self.remove_leg(id);
                self.report(id, LegEvent::Ended(Cause::Normal));
            }
            State::Parting(_) => drop(self.remove_leg(id)),
            State::Dialling(_) => {}
        }
    }

    /// A digit in one of the old ways (`application/dtmf-relay`: `Signal=5`; `application/dtmf`: `5`), or something that
    /// we only acknowledge.
    fn on_info(&mut self, id: LegId, key: ServerKey, request: &Request) {
        self.reply(key, request, StatusCode::OK);
        let kind = request.content_type().unwrap_or_default();
        let digit = if kind.eq_ignore_ascii_case(b"application/dtmf-relay") {
            signalled_digit(request.body())
        } else if kind.eq_ignore_ascii_case(b"application/dtmf") {
            digit_of(request.body())
        } else {
            None
        };
        if let Some(digit) = digit {
            self.report(id, LegEvent::Digit(digit));
        }
    }

    /// The ACK to a 200 of ours came; it may bring the answer to our offer.
    pub(super) fn on_ack(&mut self, now: Moment, invite: ServerKey, request: &Request) {
        let Some(id) = self.servers.remove(&invite) else { return };
        let Some(leg) = self.legs.get_mut(&id) else { return };
        match &mut leg.state {
            State::Talking(talking) => {
                let offered = talking.unacknowledged.take_if(|u| u.invite == invite).is_some_and(|u| u.offered);
                if offered && let Err(error) = leg.audio.take_answer(&self.shared.datapath, request.body()) {
                    tracing::info!(call_id = %id.call, %error, "no usable answer in the ACK");
                    return self.break_off(id, Cause::NotAcceptable);
                }
                let partner = leg.partner;
                if offered {
                    self.image_changed(id);
                }
                if let Some(partner) = partner {
                    // What he said meanwhile had to wait.
                    self.reopen(now, id, partner);
                }
            }
            State::Parting(parting) => {
                let (line, cause) = (parting.line.clone(), parting.cause);
                self.remove_leg(id);
                self.send_bye(line, cause);
            }
            State::Asked(_) | State::Dialling(_) => {}
        }
    }

    /// The peer never acknowledged our 200 (RFC 3261 §13.3.1.4).
    pub(super) fn on_no_ack(&mut self, _now: Moment, invite: ServerKey) {
        let Some(id) = self.servers.remove(&invite) else { return };
        let Some(leg) = self.legs.get_mut(&id) else { return };
        match &mut leg.state {
            State::Talking(talking) => {
                talking.unacknowledged = None;
                self.break_off(id, Cause::SignallingTimeout);
            }
            State::Parting(parting) => {
                let (line, cause) = (parting.line.clone(), parting.cause);
                self.remove_leg(id);
                self.send_bye(line, cause);
            }
            State::Asked(_) | State::Dialling(_) => {}
        }
    }

    /// Ends a conversation from our side because something broke, and reports it.
    pub(super) fn break_off(&mut self, id: LegId, cause: Cause) {
        self.part(id, cause);
        self.report(id, LegEvent::Ended(cause));
    }

    /// Ends a conversation from our side: BYE, at once or as soon as the ACK to our 200 has come.
    pub(super) fn part(&mut self, id: LegId, cause: Cause) {
        self.abandon_exchange(id);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let State::Talking(talking) = &leg.state else { return };
        let line = talking.line.clone();
        match talking.unacknowledged {
            None => {
                self.remove_leg(id);
                self.send_bye(line, cause);
            }
            Some(unacknowledged) => {
                leg.audio.release(&self.shared.datapath);
                leg.state = State::Parting(Parting { line, invite: unacknowledged.invite, cause });
                self.wake_leg(id);
            }
        }
    }

    /// Sends BYE in a dialog that no leg holds any more.
    pub(super) fn send_bye(&mut self, mut line: Line, cause: Cause) {
        let bye = line.dialog.request(Method::Bye).header(Header::Reason, to_reason(cause));
        let key = self.endpoint.send_request(self.shared.now(), hop(&line), bye);
        self.dialogs.insert(line.dialog.id().clone(), Owner::Ending);
        self.clients.insert(key, Purpose::Bye(Box::new(Ending { line, cause, challenged: false })));
    }

    /// Our BYE has its final response; a trunk that wants credentials for it gets them.
    fn on_bye_response(&mut self, key: ClientKey, response: &Response) {
        let Some(Purpose::Bye(mut ending)) = self.clients.remove(&key) else { return };
        if is_challenge(response) && !ending.challenged {
            let line = &mut ending.line;
            let bye = line.dialog.request(Method::Bye).header(Header::Reason, to_reason(ending.cause));
            if let Some(bye) = self.with_credentials(bye, line.way.trunk.as_ref(), response) {
                ending.challenged = true;
                let key = self.endpoint.send_request(self.shared.now(), hop(&ending.line), bye);
                self.clients.insert(key, Purpose::Bye(ending));
                return;
            }
        }
        self.dialogs.remove(ending.line.dialog.id());
    }

    pub(super) fn on_response(&mut self, now: Moment, key: ClientKey, flow: Flow, response: &Response) {
        let last = response.status().is_final();
        match self.clients.get(&key) {
            None => {}
            Some(&Purpose::Dial { leg, branch }) => self.on_dial_response(now, key, leg, branch, flow, response),
            Some(Purpose::Stray { way, cause, .. }) => {
                if response.status().is_success() {
                    let (way, cause) = (way.clone(), *cause);
                    self.end_stray(now, key, flow, way, cause, response);
                } else if last {
                    self.clients.remove(&key);
                }
            }
            Some(&Purpose::Change { leg }) => self.on_change_response(now, key, leg, response),
            Some(&Purpose::Revive { leg }) => self.on_revival_response(now, key, leg, response),
            Some(Purpose::Late(line)) if last => {
                let (ack, flow) = (line.dialog.ack(response.cseq()), hop(line));
                if response.status().is_success() {
                    self.endpoint.send_ack(key, response.to_tag().unwrap_or_default(), flow, ack);
                }
                self.clients.remove(&key);
            }
            Some(Purpose::Bye(_)) if last => self.on_bye_response(key, response),
            Some(Purpose::Bye(_) | Purpose::Late(_)) => {}
        }
    }

    /// A request of ours ended without a response: as if the network had answered with `status`.
    pub(super) fn on_no_response(&mut self, now: Moment, key: ClientKey, status: StatusCode) {
        match self.clients.remove(&key) {
            None | Some(Purpose::Stray { .. } | Purpose::Late(_)) => {}
            Some(Purpose::Dial { leg, branch }) => self.on_branch_failed(now, leg, branch, status.code()),
            Some(Purpose::Change { leg }) => self.on_change_failed(now, leg, status.code()),
            Some(Purpose::Revive { leg }) => self.on_revival_failed(now, leg, status.code()),
            Some(Purpose::Bye(ending)) => drop(self.dialogs.remove(ending.line.dialog.id())),
        }
    }

    /// Somebody answered an INVITE that nobody waits for any more: acknowledge and hang up (RFC 3261 §13.2.2.4).
    fn end_stray(&mut self, now: Moment, key: ClientKey, flow: Flow, way: WayBack, cause: Cause, response: &Response) {
        if let Some(line) = self.acknowledge(key, flow, way.clone(), response) {
            self.send_bye(line, cause);
        }
        self.leave_to_forks(now, key, way, cause);
    }

    /// Keeps an answered INVITE known for as long as other forks may answer it too.
    pub(super) fn leave_to_forks(&mut self, now: Moment, key: ClientKey, way: WayBack, cause: Cause) {
        let before = self.clients.insert(key, Purpose::Stray { way, cause, answered: true });
        if !matches!(before, Some(Purpose::Stray { answered: true, .. })) {
            let until = now + self.shared.config.sip_timers.t64() + AFTER_FORKS;
            self.forked.push_back((until, key));
        }
    }

    /// Sends the ACK to a 2xx; the dialog that it confirms. `None` when the response forms no dialog.
    pub(super) fn acknowledge(
        &mut self,
        key: ClientKey,
        flow: Flow,
        way: WayBack,
        response: &Response,
    ) -> Option<Line> {
        let contact = self.shared.contact(flow.transport);
        let dialog = match Dialog::uac(response, contact) {
            Ok(dialog) => dialog,
            Err(error) => {
                tracing::info!(source = %flow.remote, %error, "a 2xx that forms no dialog");
                return None;
            }
        };
        let line = Line { dialog, flow, way };
        let ack = line.dialog.ack(response.cseq());
        self.endpoint.send_ack(key, response.to_tag().unwrap_or_default(), hop(&line), ack);
        Some(line)
    }

    /// Ends the change of session that is under way in a leg that ends: its peer's re-INVITE gets its final response, and
    /// a partner who waits for this leg's answer is told that it will not come.
    pub(super) fn abandon_exchange(&mut self, id: LegId) {
        self.withdraw(self.shared.now(), id);
        let Some(State::Talking(talking)) = self.legs.get_mut(&id).map(|leg| &mut leg.state) else { return };
        let request = match &talking.exchange {
            Exchange::Ours(Ours { request, .. }) | Exchange::Reviving(Reviving { request, .. }) => *request,
            Exchange::None | Exchange::Theirs(_) | Exchange::Again(..) => None,
        };
        if let Some(key) = request {
            self.clients.insert(key, Purpose::Late(Box::new(talking.line.clone())));
        }
        match std::mem::take(&mut talking.exchange) {
            Exchange::None | Exchange::Reviving(_) => {}
            Exchange::Theirs(theirs) => {
                self.servers.remove(&theirs.key);
                self.reply(theirs.key, &theirs.request, StatusCode::REQUEST_TERMINATED);
            }
            Exchange::Ours(ours) | Exchange::Again(ours, _) => {
                self.refuse_theirs(ours.asker, &congested());
            }
        }
    }
}

/// The digit of a `application/dtmf-relay` body.
fn signalled_digit(body: &[u8]) -> Option<char> {
    let body = std::str::from_utf8(body).ok()?;
    digit_of(body.lines().find_map(|line| line.trim().strip_prefix("Signal="))?.as_bytes())
}

/// One digit and nothing else.
fn digit_of(text: &[u8]) -> Option<char> {
    let &[digit] = text.trim_ascii() else { return None };
    let digit = char::from(digit).to_ascii_uppercase();
    (digit.is_ascii_digit() || matches!(digit, '*' | '#' | 'A'..='D')).then_some(digit)
}

#[cfg(test)]
mod tests {
    use super::signalled_digit;

    #[test]
    fn digits_by_info() {
        assert_eq!(signalled_digit(b"Signal=5\r\nDuration=160\r\n"), Some('5'));
        assert_eq!(signalled_digit(b"Duration=160\nSignal= #\n"), Some('#'));
        assert_eq!(signalled_digit(b"Signal=d"), Some('D'));
        for bad in [&b"Signal=11"[..], b"Signal=x", b"Signal=", b"\xff", b""] {
            assert_eq!(signalled_digit(bad), None);
        }
    }
}
