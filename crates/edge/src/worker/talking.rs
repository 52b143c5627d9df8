//! Confirmed dialogs: ACK, BYE, and the smaller requests within a call.

use carillon_acd::ids::LegId;
use carillon_acd::leg::{Cause, LegEvent};
use carillon_sip::dialog::Dialog;
use carillon_sip::endpoint::{ClientKey, ServerKey};
use carillon_sip::{Flow, Header, Method, Moment, Request, Response, StatusCode};

use super::incoming::congested;
use super::requests::capabilities;
use super::senders::hop;
use super::{FORKS, Owner, Purpose, Worker};
use crate::cause::to_reason;
use crate::leg::{Exchange, Line, Parting, State, Talking};

impl Worker {
    /// A request within the dialog of a leg.
    pub(super) fn on_dialog_request(&mut self, now: Moment, id: LegId, key: ServerKey, flow: Flow, request: Request) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let (State::Asked(crate::leg::Asked { line, .. })
        | State::Talking(Talking { line, .. })
        | State::Parting(Parting { line, .. })) = &mut leg.state
        else {
            return self.reply(key, &request, StatusCode::NO_SUCH_CALL);
        };
        if let Err(rejection) = line.dialog.on_request(&request) {
            return self.reject(key, &request, &rejection);
        }
        if line.pinned {
            // The phone's address as its NAT shows it now.
            line.flow = flow;
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

    /// A digit in the old way (`application/dtmf-relay`: `Signal=5`), or something that we only acknowledge.
    fn on_info(&mut self, id: LegId, key: ServerKey, request: &Request) {
        self.reply(key, request, StatusCode::OK);
        if request.content_type().is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/dtmf-relay"))
            && let Some(digit) = signalled_digit(request.body())
        {
            self.report(id, LegEvent::Digit(digit));
        }
    }

    /// The ACK to a 200 of ours came; it may bring the answer to our offer.
    pub(super) fn on_ack(&mut self, _now: Moment, invite: ServerKey, request: &Request) {
        let Some(id) = self.servers.remove(&invite) else { return };
        let Some(leg) = self.legs.get_mut(&id) else { return };
        match &mut leg.state {
            State::Talking(talking) => {
                let offered = talking.unacknowledged.take_if(|u| u.invite == invite).is_some_and(|u| u.offered);
                if offered && let Err(error) = leg.audio.take_answer(&self.shared.datapath, request.body()) {
                    tracing::info!(call_id = %id.call, %error, "no usable answer in the ACK");
                    self.break_off(id, Cause::NotAcceptable);
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
        let flow = hop(&line);
        let key = self.endpoint.send_request(self.shared.now(), flow, bye);
        let id = line.dialog.id().clone();
        self.dialogs.insert(id.clone(), Owner::Ending);
        self.clients.insert(key, Purpose::Bye(id));
    }

    pub(super) fn on_response(&mut self, now: Moment, key: ClientKey, flow: Flow, response: &Response) {
        let last = response.status().is_final();
        match self.clients.get(&key) {
            None => {}
            Some(&Purpose::Dial { leg, branch }) => self.on_dial_response(now, key, leg, branch, flow, response),
            Some(&Purpose::Stray { pinned, cause, .. }) => {
                if response.status().is_success() {
                    self.end_stray(now, key, flow, pinned, cause, response);
                } else if last {
                    self.clients.remove(&key);
                }
            }
            Some(&Purpose::Change { leg }) => self.on_change_response(now, key, leg, response),
            Some(Purpose::Bye(dialog)) if last => {
                self.dialogs.remove(dialog);
                self.clients.remove(&key);
            }
            Some(Purpose::Bye(_)) => {}
        }
    }

    /// A request of ours ended without a response: as if the network had answered with `status`.
    pub(super) fn on_no_response(&mut self, now: Moment, key: ClientKey, status: StatusCode) {
        match self.clients.remove(&key) {
            None | Some(Purpose::Stray { .. }) => {}
            Some(Purpose::Dial { leg, branch }) => self.on_branch_failed(now, leg, branch, status.code()),
            Some(Purpose::Change { leg }) => self.on_change_failed(now, leg, status.code()),
            Some(Purpose::Bye(dialog)) => drop(self.dialogs.remove(&dialog)),
        }
    }

    /// Somebody answered an INVITE that nobody waits for any more: acknowledge and hang up (RFC 3261 §13.2.2.4).
    fn end_stray(&mut self, now: Moment, key: ClientKey, flow: Flow, pinned: bool, cause: Cause, response: &Response) {
        if let Some(line) = self.acknowledge(key, flow, pinned, response) {
            self.send_bye(line, cause);
        }
        self.leave_to_forks(now, key, pinned, cause);
    }

    /// Keeps an answered INVITE known for as long as other forks may answer it too.
    pub(super) fn leave_to_forks(&mut self, now: Moment, key: ClientKey, pinned: bool, cause: Cause) {
        let before = self.clients.insert(key, Purpose::Stray { pinned, cause, answered: true });
        if !matches!(before, Some(Purpose::Stray { answered: true, .. })) {
            self.forked.push_back((now + FORKS, key));
        }
    }

    /// Sends the ACK to a 2xx; the dialog that it confirms. `None` when the response forms no dialog.
    pub(super) fn acknowledge(
        &mut self,
        key: ClientKey,
        flow: Flow,
        pinned: bool,
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
        let line = Line { dialog, flow, pinned };
        let ack = line.dialog.ack(response.cseq());
        self.endpoint.send_ack(key, response.to_tag().unwrap_or_default(), hop(&line), ack);
        Some(line)
    }

    /// Ends the change of session that is under way in a leg that ends: its peer's re-INVITE gets its final response, and
    /// a partner who waits for this leg's answer is told that it will not come.
    pub(super) fn abandon_exchange(&mut self, id: LegId) {
        let Some(State::Talking(talking)) = self.legs.get_mut(&id).map(|leg| &mut leg.state) else { return };
        match std::mem::take(&mut talking.exchange) {
            Exchange::None => {}
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
    let signal = body.lines().find_map(|line| line.trim().strip_prefix("Signal="))?.trim();
    let mut chars = signal.chars();
    let digit = chars.next()?.to_ascii_uppercase();
    let known = digit.is_ascii_digit() || matches!(digit, '*' | '#' | 'A'..='D');
    (known && chars.next().is_none()).then_some(digit)
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
