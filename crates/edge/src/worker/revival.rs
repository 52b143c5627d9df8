//! Legs whose edge has died, made again here from what it has let be known of them (Spec: CL-4). The other end is told by a
//! re-INVITE in the old dialog: our Contact is where its requests go from now on, our description where its audio goes
//! (RFC 3261 §14, §12.2.1.1; RFC 3264 §8). It need not know that anybody died.
//!
//! ```text
//! image -> Talking, its audio open towards the old address -> re-INVITE -> 200, ACK -> Answered
//!                                                                       -> 491, 500 -> again, a little later
//!                                                                       -> anything else, or nothing -> Ended
//! ```
//!
//! Commands are obeyed from the first moment; what was to be heard before the answer is heard when the peer listens.

use carillon_acd::ids::{CallId, LegId};
use carillon_acd::leg::{Cause, LegEvent, LegImage};
use carillon_sip::check::SDP;
use carillon_sip::endpoint::ClientKey;
use carillon_sip::{Flow, Method, Moment, Response, Transport, Uri};

use super::challenges::is_challenge;
use super::hold::after_collision;
use super::senders::hop;
use super::{Purpose, Worker};
use crate::audio::{Audio, AudioError, AudioImage, is_private};
use crate::cause::of_status;
use crate::directory::Target;
use crate::image::{self, Image, ImageError};
use crate::leg::{Exchange, Leg, Line, MAX_TALK, Reviving, State, Talking};

/// How long the other end may take to agree, repetitions and collisions included, in T1: 8 s by default, in which the
/// re-INVITE is sent five times over UDP. One that is well answers at once.
const PATIENCE: u32 = 16;
/// CSeq numbers that the dead edge may have used after its last image, and an heir that has died since.
const UNKNOWN_REQUESTS: u32 = 100;
/// What a peer may be ahead of that, when it says that our number is too low.
const MORE_UNKNOWN_REQUESTS: u32 = 10_000;

/// Why a leg cannot be made again.
#[derive(Debug, thiserror::Error)]
enum RevivalError {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("its dialog is here already")]
    Known,
    #[error("its connection was the dead edge's, and nobody else reaches it")]
    Connection,
    #[error("no audio: {0}")]
    Audio(#[from] AudioError),
}

impl RevivalError {
    const fn cause(&self) -> Cause {
        match self {
            RevivalError::Image(_) | RevivalError::Known => Cause::Failed(500),
            RevivalError::Connection => Cause::Unreachable,
            RevivalError::Audio(_) => Cause::Congestion,
        }
    }
}

impl Reviving {
    /// About to be asked.
    fn new(audio: &Audio, held: bool, give_up: Moment) -> Self {
        let agreed = audio.negotiated().map(|agreed| agreed.direction);
        // Who holds us goes on holding us: we do not ask to be heard. To others we say what we want, as before.
        let direction = agreed.filter(|_| held).unwrap_or(audio.said());
        Reviving { direction, challenged: false, request: None, again: None, give_up }
    }
}

impl Worker {
    /// Makes a leg again and asks its other end to talk to us. A leg that is here stays as it is: the command was doubled.
    pub(super) fn revive(&mut self, now: Moment, id: LegId, image: &LegImage) {
        if self.legs.contains_key(&id) {
            return;
        }
        if self.stop_at.is_some() {
            return self.report(id, LegEvent::Ended(Cause::Congestion));
        }
        let leg = self.understood(image).and_then(|image| self.revived(now, id, image));
        match leg {
            Ok(leg) => {
                self.insert_leg(id, leg);
                self.keep_dialog_here(id);
                if !self.ask_to_come(now, id, None) {
                    self.break_off(id, Cause::Congestion);
                }
            }
            Err(error) => {
                tracing::warn!(call_id = %id.call, leg = id.n, %error, "a leg cannot be revived");
                self.report(id, LegEvent::Ended(error.cause()));
            }
        }
    }

    /// Another edge has asked the other ends of `theirs` to come there, and gives the call up: they are asked to come back.
    pub(super) fn reclaim(&mut self, call: CallId, theirs: &[LegId]) {
        let now = self.shared.now();
        for id in theirs.iter().copied().filter(|leg| leg.call == call) {
            let in_conversation = self.talking(id).is_some_and(|talking| talking.unacknowledged.is_none());
            if !in_conversation || self.reviving(id).is_some() {
                continue;
            }
            self.abandon_exchange(id);
            let give_up = self.give_up_reviving(now);
            let Some(leg) = self.legs.get_mut(&id) else { continue };
            let State::Talking(talking) = &mut leg.state else { continue };
            talking.exchange = Exchange::Reviving(Reviving::new(&leg.audio, talking.held, give_up));
            // The other edge may have counted on as we do when we are refused.
            talking.line.dialog.skip(2 * MORE_UNKNOWN_REQUESTS);
            if !self.ask_to_come(now, id, None) {
                self.break_off(id, Cause::Congestion);
            }
        }
    }

    fn give_up_reviving(&self, now: Moment) -> Moment {
        now + self.shared.config.sip_timers.t1 * PATIENCE
    }

    /// What an image says, and the way to the leg's other end from here.
    fn understood(&self, image: &LegImage) -> Result<Image, RevivalError> {
        let mut image = image::read(image, |transport| self.shared.contact(transport))?;
        if self.dialogs.contains_key(image.line.dialog.id()) {
            return Err(RevivalError::Known);
        }
        image.line.dialog.skip(UNKNOWN_REQUESTS);
        self.find_way(&mut image.line)?;
        Ok(image)
    }

    fn revived(&mut self, now: Moment, id: LegId, image: Image) -> Result<Leg, RevivalError> {
        let Image { line, held, ours, audio } = image;
        let audio = match self.reopened(id, &audio) {
            Ok(audio) => audio,
            Err(error) => {
                // The other end shall not wait for somebody who will never speak.
                self.send_bye(line, Cause::Congestion);
                return Err(error.into());
            }
        };
        let reviving = Reviving::new(&audio, held, self.give_up_reviving(now));
        let talking = Talking {
            line,
            unacknowledged: None,
            exchange: Exchange::Reviving(reviving),
            held,
            ours,
            give_up: now + MAX_TALK,
        };
        Ok(Leg::new(audio, State::Talking(talking)))
    }

    /// The audio of a leg, towards where its peer was.
    fn reopened(&mut self, id: LegId, image: &AudioImage) -> Result<Audio, AudioError> {
        let stream = self.stream_of(id);
        let mut audio = Audio::resume(stream, image, self.shared.config.advertise)?;
        audio.reopen(&self.shared.datapath)?;
        Ok(audio)
    }

    /// The way to the other end from here. A phone that is connected here, while its call was at the dead edge, was reached
    /// through us: the route says over which flow. Others are reached as the dead edge reached them, but for connections.
    fn find_way(&self, line: &mut Line) -> Result<(), RevivalError> {
        let names_us = |uri: &&Uri| uri.is_sip() && uri.socket_addr() == Some(self.shared.sent_by);
        let own = line.dialog.routes().take_while(names_us).count();
        if own > 0 {
            let token = line.dialog.routes().next().and_then(Uri::user_raw).unwrap_or_default();
            let flow = self.shared.seal.flow_of_token(token).filter(|flow| self.is_open(flow));
            line.flow = flow.ok_or(RevivalError::Connection)?;
            line.way.pinned = true;
            line.dialog.shorten_routes(own);
            line.dialog.move_to(self.shared.contact(line.flow.transport));
            return Ok(());
        }
        if line.flow.transport == Transport::Tcp {
            line.flow = connect_to(line.flow, line.dialog.next_hop()).ok_or(RevivalError::Connection)?;
        }
        Ok(())
    }

    /// Sends the re-INVITE, with the credentials that `challenge` asks for.
    fn ask_to_come(&mut self, now: Moment, id: LegId, challenge: Option<&Response>) -> bool {
        let Some(leg) = self.legs.get_mut(&id) else { return false };
        let State::Talking(Talking { line, exchange: Exchange::Reviving(reviving), .. }) = &mut leg.state else {
            return false;
        };
        let Ok(offer) = leg.audio.offer_anew(&self.shared.datapath, reviving.direction) else { return false };
        let mut request = line.dialog.request(Method::Invite).body(SDP, offer);
        let (flow, trunk) = (hop(line), line.way.trunk.clone());
        if let Some(challenge) = challenge {
            match self.with_credentials(request, trunk.as_ref(), challenge) {
                Some(answering) => request = answering,
                None => return false,
            }
        }
        let key = self.endpoint.send_request(now, flow, request);
        self.clients.insert(key, Purpose::Revive { leg: id });
        if let Some(reviving) = self.reviving(id) {
            reviving.request = Some(key);
            reviving.again = None;
        }
        self.image_changed(id);
        self.wake_leg(id);
        true
    }

    fn reviving(&mut self, id: LegId) -> Option<&mut Reviving> {
        match self.talking(id).map(|talking| &mut talking.exchange) {
            Some(Exchange::Reviving(reviving)) => Some(reviving),
            Some(Exchange::None | Exchange::Theirs(_) | Exchange::Ours(_) | Exchange::Again(..)) | None => None,
        }
    }

    /// The other end answers.
    pub(super) fn on_revival_response(&mut self, now: Moment, key: ClientKey, id: LegId, response: &Response) {
        if response.status().is_provisional() {
            return;
        }
        self.clients.remove(&key);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let State::Talking(talking) = &mut leg.state else { return };
        talking.line.dialog.on_response(response);
        if !response.status().is_success() {
            let challenged = self
                .reviving(id)
                .is_some_and(|reviving| is_challenge(response) && !std::mem::replace(&mut reviving.challenged, true));
            if !(challenged && self.ask_to_come(now, id, Some(response))) {
                self.on_revival_failed(now, id, response.status().code());
            }
            return;
        }
        let ack = talking.line.dialog.ack(response.cseq());
        let flow = hop(&talking.line);
        self.endpoint.send_ack(key, response.to_tag().unwrap_or_default(), flow, ack);
        let Exchange::Reviving(reviving) = std::mem::take(&mut talking.exchange) else { return };
        if let Err(error) = leg.audio.take_answer(&self.shared.datapath, response.body()) {
            tracing::info!(call_id = %id.call, leg = id.n, %error, "no usable answer of a leg that is revived");
            return self.break_off(id, Cause::NotAcceptable);
        }
        let held = leg.audio.negotiated().is_some_and(carillon_media::Negotiated::held);
        let partner = leg.partner;
        self.report(id, LegEvent::Answered);
        if reviving.direction.sends() {
            self.note_hold(id, held);
        }
        self.image_changed(id);
        self.wake_leg(id);
        if let Some(partner) = partner {
            // What one said before the other was there had to wait.
            self.reopen(now, id, partner);
            self.reopen(now, partner, id);
        }
    }

    /// The other end refused, or did not answer.
    pub(super) fn on_revival_failed(&mut self, now: Moment, id: LegId, status: u16) {
        let Some(talking) = self.talking(id) else { return };
        let ours = talking.ours;
        let Exchange::Reviving(reviving) = &mut talking.exchange else { return };
        reviving.request = None;
        match status {
            // It has asked the dead edge for a change, or something of an heir before us; or our number is too low
            // (RFC 3261 §12.2.2).
            491 | 500 => {
                reviving.again = Some(now + after_collision(ours).min(reviving.give_up.since(now)));
                if status == 500 {
                    talking.line.dialog.skip(MORE_UNKNOWN_REQUESTS);
                }
                self.wake_leg(id);
            }
            // RFC 3261 §12.2.1.2.
            408 | 481 => self.break_off(id, Cause::SignallingTimeout),
            // The way there is broken: a BYE would not arrive either.
            502 => self.end_revival(id, Cause::Unreachable),
            // The dialog stays, says RFC 3261 §14.1, but its audio goes to an edge that is dead.
            other => self.break_off(id, of_status(other, false)),
        }
    }

    /// The time after a collision is over, or all of it.
    pub(super) fn go_on_reviving(&mut self, now: Moment, id: LegId) {
        let Some(reviving) = self.reviving(id) else { return };
        if reviving.give_up <= now {
            self.give_up_request(id);
            self.break_off(id, Cause::SignallingTimeout);
        } else if reviving.again.is_some_and(|at| at <= now) && !self.ask_to_come(now, id, None) {
            self.break_off(id, Cause::Congestion);
        }
    }

    /// Repeats our re-INVITE no more.
    fn give_up_request(&mut self, id: LegId) {
        if let Some(key) = self.reviving(id).and_then(|reviving| reviving.request.take()) {
            self.clients.remove(&key);
            self.endpoint.forget_client(key);
        }
    }

    fn end_revival(&mut self, id: LegId, cause: Cause) {
        self.give_up_request(id);
        self.remove_leg(id);
        self.report(id, LegEvent::Ended(cause));
    }
}

/// The way to a peer whose connection has died with its edge: where it says that it listens, over another connection. `None`
/// for a name, and for an address behind the peer's NAT.
fn connect_to(dead: Flow, target: &Uri) -> Option<Flow> {
    let remote = Target::of(target.clone())?.addr;
    let behind_nat = is_private(remote.ip()) && !is_private(dead.remote.ip());
    (!behind_nat).then_some(Flow { remote, connection: None, ..dead })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_connection_goes_where_the_peer_listens_unless_that_is_behind_nat() {
        let flow = |remote: &str| Flow { transport: Transport::Tcp, ..Flow::udp(0, remote.parse().unwrap()) };
        let dead = |remote: &str| Flow { connection: Some(7), ..flow(remote) };
        let to = |remote: &str, target: &str| connect_to(dead(remote), &target.parse().unwrap());
        assert_eq!(to("192.0.2.9:40000", "sip:a@192.0.2.9:5080;transport=tcp"), Some(flow("192.0.2.9:5080")));
        assert_eq!(to("10.0.0.9:40000", "sip:a@10.0.0.9"), Some(flow("10.0.0.9:5060")));
        assert_eq!(to("192.0.2.9:40000", "sip:a@10.0.0.9:5080;transport=tcp"), None);
        assert_eq!(to("192.0.2.9:40000", "sip:a@phone.invalid;transport=tcp"), None);
    }
}
