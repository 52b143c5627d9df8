//! Changes of a session within a call: hold, resume, another codec or address. What concerns both sides is passed on to
//! the partner as a re-INVITE, and the partner's answer comes back as ours; the rest is answered here.
//! RFC 3261 §14, RFC 3264 §8, RFC 3311.

use std::time::Duration;

use carillon_acd::ids::LegId;
use carillon_acd::leg::{Cause, LegEvent};
use carillon_media::{Direction, Negotiated};
use carillon_sip::check::{Rejection, SDP};
use carillon_sip::endpoint::{ClientKey, ServerKey};
use carillon_sip::{Header, Method, Moment, Request, Response, StatusCode};

use super::challenges::is_challenge;
use super::incoming::{congested, in_dialog, refuse_description};
use super::senders::hop;
use super::{Purpose, Worker};
use crate::audio::AudioError;
use crate::leg::{Exchange, MAX_EXCHANGE, Ours, State, Talking, Theirs, Unacknowledged};

/// Collisions after which a change is refused.
const MAX_COLLISIONS: u8 = 3;

/// How long to wait after a collision (RFC 3261 §14.1): the owner of the Call-ID longer, so that both do not meet again.
pub(super) fn after_collision(ours: bool) -> Duration {
    let millis = if ours { rand::random_range(210..=400) } else { rand::random_range(0..=200) };
    Duration::from_millis(millis * 10)
}

impl Worker {
    pub(super) fn talking(&mut self, id: LegId) -> Option<&mut Talking> {
        match self.legs.get_mut(&id).map(|leg| &mut leg.state) {
            Some(State::Talking(talking)) => Some(talking),
            Some(State::Asked(_) | State::Dialling(_) | State::Parting(_)) | None => None,
        }
    }

    /// A re-INVITE or UPDATE came.
    pub(super) fn on_change(&mut self, now: Moment, id: LegId, key: ServerKey, request: Request) {
        let too_early = || Rejection::new(StatusCode::SERVER_INTERNAL_ERROR).with(Header::RetryAfter, "3");
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let talking = match &mut leg.state {
            State::Talking(talking) => talking,
            State::Asked(asked) if *request.method() == Method::Update && request.body().is_empty() => {
                let response = in_dialog(&request, StatusCode::OK, &asked.line);
                return self.respond(key, response);
            }
            State::Asked(_) => return self.reject(key, &request, &too_early()),
            State::Dialling(_) | State::Parting(_) => return self.reply(key, &request, StatusCode::NO_SUCH_CALL),
        };
        match talking.exchange {
            Exchange::Theirs(_) => return self.reject(key, &request, &too_early()),
            Exchange::Ours(_) | Exchange::Reviving(_) => {
                return self.reply(key, &request, StatusCode::REQUEST_PENDING);
            }
            Exchange::None | Exchange::Again(..) => {}
        }
        if talking.unacknowledged.is_some_and(|unacknowledged| unacknowledged.offered) {
            return self.reply(key, &request, StatusCode::REQUEST_PENDING);
        }
        if request.body().is_empty() {
            return self.on_change_without_offer(id, key, &request);
        }
        let probe = match leg.audio.probe(request.body()) {
            Ok(probe) => probe,
            Err(error) => return self.reject(key, &request, &refuse_description(&error)),
        };
        match self.partner_to_ask(id, &probe) {
            Some(partner) => self.pass_on(now, id, partner, key, request, &probe),
            None => self.answer_change(id, key, &request, Direction::SendRecv),
        }
    }

    /// A re-INVITE without offer asks for ours; an UPDATE without offer only refreshes the dialog.
    fn on_change_without_offer(&mut self, id: LegId, key: ServerKey, request: &Request) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let State::Talking(talking) = &mut leg.state else { return };
        let mut response = in_dialog(request, StatusCode::OK, &talking.line);
        if *request.method() == Method::Invite {
            let codec = leg.audio.codec();
            match leg.audio.offer(&self.shared.datapath, codec, Direction::SendRecv) {
                Ok(offer) => response = response.body(SDP, offer),
                Err(_) => return self.reject(key, request, &congested()),
            }
            talking.unacknowledged = Some(Unacknowledged { invite: key, offered: true });
            self.servers.insert(key, id);
        }
        self.respond(key, response);
        self.image_changed(id);
    }

    /// The partner whom the change concerns, if there is one and he can be asked now.
    fn partner_to_ask(&self, id: LegId, probe: &Negotiated) -> Option<LegId> {
        let leg = self.legs.get(&id)?;
        let current = leg.audio.negotiated()?;
        let same = current.peer_direction == probe.peer_direction && current.send.codec == probe.send.codec;
        let partner = leg.partner.filter(|_| !same)?;
        let State::Talking(talking) = &self.legs.get(&partner)?.state else { return None };
        let free = matches!(talking.exchange, Exchange::None) && talking.unacknowledged.is_none();
        free.then_some(partner)
    }

    /// Offers the partner what the asker offers.
    fn pass_on(
        &mut self,
        now: Moment,
        asker: LegId,
        partner: LegId,
        key: ServerKey,
        request: Request,
        probe: &Negotiated,
    ) {
        let ours = Ours {
            asker,
            codec: probe.send.codec,
            direction: probe.peer_direction,
            collisions: 0,
            challenged: false,
            request: None,
        };
        if !self.ask(now, partner, ours, None) {
            return self.answer_change(asker, key, &request, Direction::SendRecv);
        }
        if *request.method() == Method::Invite {
            self.reply(key, &request, StatusCode::TRYING);
        }
        self.servers.insert(key, asker);
        if let Some(talking) = self.talking(asker) {
            talking.exchange = Exchange::Theirs(Box::new(Theirs { key, request, give_up: now + MAX_EXCHANGE }));
        }
        self.wake_leg(asker);
    }

    /// Sends a re-INVITE, with the credentials that `challenge` asks for.
    pub(super) fn ask(&mut self, now: Moment, id: LegId, ours: Ours, challenge: Option<&Response>) -> bool {
        let Some(leg) = self.legs.get_mut(&id) else { return false };
        let State::Talking(talking) = &mut leg.state else { return false };
        let Ok(offer) = leg.audio.offer(&self.shared.datapath, Some(ours.codec), ours.direction) else { return false };
        let mut request = talking.line.dialog.request(Method::Invite).body(SDP, offer);
        let flow = hop(&talking.line);
        if let Some(challenge) = challenge {
            let trunk = talking.line.way.trunk.clone();
            match self.with_credentials(request, trunk.as_ref(), challenge) {
                Some(answering) => request = answering,
                None => return false,
            }
        }
        let key = self.endpoint.send_request(now, flow, request);
        let Some(talking) = self.talking(id) else { return false };
        talking.exchange = Exchange::Ours(Ours { request: Some(key), ..ours });
        self.clients.insert(key, Purpose::Change { leg: id });
        self.image_changed(id);
        self.wake_leg(id);
        true
    }

    /// The partner's phone answers our re-INVITE.
    pub(super) fn on_change_response(&mut self, now: Moment, key: ClientKey, id: LegId, response: &Response) {
        if response.status().is_provisional() {
            return;
        }
        self.clients.remove(&key);
        self.image_changed(id);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let State::Talking(talking) = &mut leg.state else { return };
        talking.line.dialog.on_response(response);
        if !response.status().is_success() {
            if !self.answer_change_challenge(now, id, response) {
                self.on_change_failed(now, id, response.status().code());
            }
            return;
        }
        let ack = talking.line.dialog.ack(response.cseq());
        let flow = hop(&talking.line);
        self.endpoint.send_ack(key, response.to_tag().unwrap_or_default(), flow, ack);
        let Exchange::Ours(ours) = std::mem::take(&mut talking.exchange) else { return };
        match leg.audio.take_answer(&self.shared.datapath, response.body()) {
            Ok(()) => {
                let heard = leg.audio.negotiated().map_or(Direction::SendRecv, |n| n.peer_direction);
                // Who only agrees to be held does not hold us.
                self.note_hold(id, ours.direction.sends() && !heard.receives());
                if !self.answer_theirs(ours.asker, heard) {
                    self.reopen(now, id, ours.asker);
                }
            }
            Err(error) => {
                tracing::info!(call_id = %id.call, %error, "no usable answer to a re-INVITE");
                self.refuse_theirs(ours.asker, &Rejection::new(StatusCode::NOT_ACCEPTABLE_HERE));
            }
        }
        self.wake_leg(id);
    }

    /// Sends our re-INVITE again with our credentials when the trunk asks for them, once.
    fn answer_change_challenge(&mut self, now: Moment, id: LegId, response: &Response) -> bool {
        let Some(talking) = self.talking(id) else { return false };
        match &talking.exchange {
            Exchange::Ours(ours) if is_challenge(response) && !ours.challenged => {
                let ours = Ours { challenged: true, ..*ours };
                self.ask(now, id, ours, Some(response))
            }
            Exchange::None | Exchange::Theirs(_) | Exchange::Ours(_) | Exchange::Again(..) | Exchange::Reviving(_) => {
                false
            }
        }
    }

    /// Our re-INVITE was refused or got no answer.
    pub(super) fn on_change_failed(&mut self, now: Moment, id: LegId, status: u16) {
        let Some(talking) = self.talking(id) else { return };
        let Exchange::Ours(mut ours) = std::mem::take(&mut talking.exchange) else { return };
        match status {
            491 if ours.collisions < MAX_COLLISIONS => {
                ours.collisions += 1;
                let again = now + after_collision(talking.ours);
                talking.exchange = Exchange::Again(ours, again);
                self.wake_leg(id);
            }
            // RFC 3261 §12.2.1.2: the other side does not know the dialog any more, or is gone.
            408 | 481 => {
                self.refuse_theirs(ours.asker, &congested());
                self.break_off(id, Cause::SignallingTimeout);
            }
            // Another codec only: where the partner will not follow, we transcode.
            400..500 if self.asks_for_a_codec(ours.asker) => {
                let heard = self.legs.get(&id).and_then(|leg| leg.audio.negotiated()).map(|n| n.peer_direction);
                self.answer_theirs(ours.asker, heard.unwrap_or_default());
            }
            _ => {
                // A challenge without its header would tell the asker nothing.
                let status = StatusCode::new(status).filter(|s| s.code() >= 400 && !matches!(s.code(), 401 | 407));
                let status = status.unwrap_or(StatusCode::NOT_ACCEPTABLE_HERE);
                self.refuse_theirs(ours.asker, &Rejection::new(status));
            }
        }
    }

    /// Whether what the asker waits for changes no direction.
    fn asks_for_a_codec(&self, asker: LegId) -> bool {
        let Some(leg) = self.legs.get(&asker) else { return false };
        let (State::Talking(talking), Some(now)) = (&leg.state, leg.audio.negotiated()) else { return false };
        let Exchange::Theirs(theirs) = &talking.exchange else { return false };
        leg.audio.probe(theirs.request.body()).is_ok_and(|probe| probe.peer_direction == now.peer_direction)
    }

    /// The time after a collision is over.
    pub(super) fn ask_again(&mut self, now: Moment, id: LegId) {
        let Some(talking) = self.talking(id) else { return };
        let Exchange::Again(ours, _) = std::mem::take(&mut talking.exchange) else { return };
        if !self.ask(now, id, ours, None) {
            self.refuse_theirs(ours.asker, &congested());
        }
    }

    fn take_theirs(&mut self, asker: LegId) -> Option<Box<Theirs>> {
        let talking = self.talking(asker)?;
        match std::mem::take(&mut talking.exchange) {
            Exchange::Theirs(theirs) => {
                self.servers.remove(&theirs.key);
                self.wake_leg(asker);
                Some(theirs)
            }
            other @ (Exchange::None | Exchange::Ours(_) | Exchange::Again(..) | Exchange::Reviving(_)) => {
                talking.exchange = other;
                None
            }
        }
    }

    /// False when the asker does not wait any more: he gave up, hung up, or there was none.
    fn answer_theirs(&mut self, asker: LegId, direction: Direction) -> bool {
        let Some(theirs) = self.take_theirs(asker) else { return false };
        self.answer_change(asker, theirs.key, &theirs.request, direction);
        true
    }

    /// Tells a leg what its partner says when that is not what it was told last: a caller whom one agent has put on hold
    /// is to be heard by the next, and who has agreed to a hold that was taken back is to talk again.
    pub(super) fn reopen(&mut self, now: Moment, id: LegId, partner: LegId) {
        let joined = self.legs.get(&partner).filter(|leg| leg.partner == Some(id));
        let Some(wanted) = joined.map(|leg| leg.audio.negotiated().map_or(Direction::SendRecv, |n| n.peer_direction))
        else {
            return;
        };
        let Some(leg) = self.legs.get(&id).filter(|leg| leg.audio.said() != wanted) else { return };
        let (State::Talking(talking), Some(codec)) = (&leg.state, leg.audio.codec()) else { return };
        let free = matches!(talking.exchange, Exchange::None) && talking.unacknowledged.is_none();
        if free && !talking.held {
            let ours =
                Ours { asker: partner, codec, direction: wanted, collisions: 0, challenged: false, request: None };
            self.ask(now, id, ours, None);
        }
    }

    pub(super) fn refuse_theirs(&mut self, asker: LegId, rejection: &Rejection) {
        if let Some(theirs) = self.take_theirs(asker) {
            self.reject(theirs.key, &theirs.request, rejection);
        }
    }

    /// The partner takes too long.
    pub(super) fn give_up_theirs(&mut self, now: Moment, asker: LegId) {
        self.withdraw(now, asker);
        self.refuse_theirs(asker, &Rejection::new(StatusCode::SERVER_TIMEOUT));
    }

    /// The peer takes its re-INVITE back.
    pub(super) fn cancel_theirs(&mut self, now: Moment, asker: LegId, invite: ServerKey) {
        let Some(talking) = self.talking(asker) else { return };
        if matches!(&talking.exchange, Exchange::Theirs(theirs) if theirs.key == invite) {
            self.withdraw(now, asker);
            self.refuse_theirs(asker, &Rejection::new(StatusCode::REQUEST_TERMINATED));
        }
    }

    /// Takes back what the partner was asked for somebody who does not wait for it any more. A partner who has agreed
    /// meanwhile is told again what holds, see [`Worker::reopen`].
    pub(super) fn withdraw(&mut self, now: Moment, asker: LegId) {
        let Some(partner) = self.legs.get(&asker).and_then(|leg| leg.partner) else { return };
        let Some(talking) = self.talking(partner) else { return };
        match &talking.exchange {
            Exchange::Ours(Ours { asker: whose, request: Some(key), .. }) if *whose == asker => {
                let key = *key;
                // It fails when the answer is here already; then that counts.
                let _ = self.endpoint.cancel(now, key, None);
            }
            Exchange::Again(ours, _) if ours.asker == asker => talking.exchange = Exchange::None,
            Exchange::None | Exchange::Theirs(_) | Exchange::Ours(_) | Exchange::Again(..) | Exchange::Reviving(_) => {}
        }
        self.wake_leg(partner);
    }

    /// Answers an offer within the dialog, no wider than `direction`.
    fn answer_change(&mut self, id: LegId, key: ServerKey, request: &Request, direction: Direction) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let State::Talking(talking) = &mut leg.state else { return };
        let answer = match leg.audio.answer_again(&self.shared.datapath, request.body(), direction) {
            Ok(answer) => answer,
            Err(AudioError::Description(error)) => return self.reject(key, request, &refuse_description(&error)),
            Err(AudioError::Peer(_)) => return self.reply(key, request, StatusCode::NOT_ACCEPTABLE_HERE),
            Err(AudioError::Port(_)) => return self.reject(key, request, &congested()),
        };
        let response = in_dialog(request, StatusCode::OK, &talking.line).body(SDP, answer);
        if *request.method() == Method::Invite {
            talking.unacknowledged = Some(Unacknowledged { invite: key, offered: false });
            self.servers.insert(key, id);
        }
        let held = leg.audio.negotiated().is_some_and(Negotiated::held);
        self.respond(key, response);
        self.image_changed(id);
        self.note_hold(id, held);
    }

    /// Reports when the peer has put us on hold or resumed.
    pub(super) fn note_hold(&mut self, id: LegId, held: bool) {
        let Some(talking) = self.talking(id) else { return };
        if std::mem::replace(&mut talking.held, held) != held {
            self.report(id, if held { LegEvent::Held } else { LegEvent::Resumed });
        }
    }
}
