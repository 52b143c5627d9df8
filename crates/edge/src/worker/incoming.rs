//! Callers whom we have not answered yet: the server side of an INVITE (RFC 3261 §13.3).

use carillon_acd::ids::LegId;
use carillon_acd::leg::{CallerId, Cause, Incoming, LegEvent, Source};
use carillon_media::{Direction, SdpError};
use carillon_sip::check::{ALLOW, Rejection, SDP};
use carillon_sip::dialog::Dialog;
use carillon_sip::endpoint::ServerKey;
use carillon_sip::{Flow, Header, Moment, NameAddr, Request, ResponseBuilder, StatusCode};

use super::senders::Sender;
use super::{RETRY_AFTER, Worker};
use crate::audio::{Audio, AudioError};
use crate::cause::to_status;
use crate::leg::{
    Asked, Exchange, Leg, Line, MAX_TALK, MAX_UNANSWERED, REFRESH, State, Talking, Told, Unacknowledged, WayBack,
};
use crate::shared::count;

/// The refusal of a session description.
pub(super) fn refuse_description(error: &SdpError) -> Rejection {
    match error {
        SdpError::TooLarge | SdpError::Syntax { .. } => Rejection::bad("unreadable session description"),
        SdpError::NoAudio | SdpError::NoCodec | SdpError::Address | SdpError::Unexpected => {
            let warning = format!("304 carillon \"{error}\"");
            Rejection::new(StatusCode::NOT_ACCEPTABLE_HERE).with(Header::Warning, warning)
        }
    }
}

/// 503 with Retry-After.
pub(super) fn congested() -> Rejection {
    Rejection::new(StatusCode::SERVICE_UNAVAILABLE).with(Header::RetryAfter, RETRY_AFTER.as_secs().to_string())
}

impl Worker {
    /// A new call: 100 at once, then it is up to the call what happens.
    pub(super) fn on_invite(&mut self, now: Moment, key: ServerKey, flow: Flow, request: Request) {
        match self.admit(now, &flow, &request) {
            Ok((source, pinned)) => {
                if let Err(rejection) = self.take_call(now, key, flow, pinned, source, &request) {
                    self.reject(key, &request, &rejection);
                }
            }
            Err(rejection) => self.reject(key, &request, &rejection),
        }
    }

    /// Who calls, and whether the way back is pinned to the flow; or why the call is refused.
    fn admit(&self, now: Moment, flow: &Flow, request: &Request) -> Result<(Source, bool), Rejection> {
        self.shared.intake.get().call().inspect_err(|_| count(&self.shared.counters.refused))?;
        let admitted = match self.identify(flow, request) {
            Sender::Trunk(trunk) => (Source::Trunk(trunk), false),
            Sender::Device(device) => (Source::Device(device), false),
            Sender::Claimed => {
                let device = self.authenticate(now, request)?;
                self.mark_known(flow);
                (Source::Device(device), true)
            }
        };
        // A worker that shuts down has room for no call.
        let calls = if self.stop_at.is_some() { usize::MAX } else { self.shared.calls() };
        let queued = self.backlog.len().max(self.inputs.len());
        self.admission.admit(calls, queued).inspect_err(|_| count(&self.shared.counters.refused))?;
        Ok(admitted)
    }

    fn take_call(
        &mut self,
        now: Moment,
        key: ServerKey,
        flow: Flow,
        pinned: bool,
        source: Source,
        request: &Request,
    ) -> Result<(), Rejection> {
        let contact = self.shared.contact(flow.transport);
        let tag = self.endpoint.token();
        let dialog = Dialog::uas(request, &tag, contact).map_err(|_| Rejection::bad("no usable Contact"))?;
        let call = self.next_call();
        let id = LegId::caller(call);
        let mut audio = Audio::new(self.stream_of(id), self.shared.config.advertise, flow.remote.ip());
        if !request.body().is_empty() {
            audio.read_offer(request.body(), None).map_err(|error| refuse_description(&error))?;
        }
        self.reply(key, request, StatusCode::TRYING);
        let trunk = match &source {
            Source::Trunk(trunk) => Some(trunk.clone()),
            Source::Device(_) => None,
        };
        let line = Line { dialog, flow, way: WayBack { pinned, trunk } };
        let asked = Asked { invite: key, line, told: Told::Nothing, refresh_at: None, give_up: now + MAX_UNANSWERED };
        self.insert_leg(id, Leg::new(audio, State::Asked(asked)));
        let text = |uri: &carillon_sip::Uri| uri.user_text().unwrap_or_default().into_owned();
        let from = claimed_caller(request, &source);
        let caller = CallerId { number: text(from.uri()), name: from.display_name().unwrap_or_default().into_owned() };
        let (dialled, to_user) = (text(request.uri()), text(request.to().uri()));
        tracing::debug!(call_id = %call, ?source, "incoming call");
        (self.shared.callbacks.on_incoming)(Incoming { call, source, dialled, to_user, caller });
        Ok(())
    }

    /// Tells the caller that it rings.
    pub(super) fn ring(&mut self, now: Moment, id: LegId) {
        let Some(State::Asked(asked)) = self.legs.get_mut(&id).map(|leg| &mut leg.state) else { return };
        if asked.told == Told::Nothing {
            asked.told = Told::Ringing;
            self.tell_progress(now, id);
        }
    }

    /// Opens early media for a caller who has sent an offer; others can only be told that it rings, because their answer
    /// to our offer could not come before the ACK (RFC 3261 §13.2.1).
    pub(super) fn open_early_media(&mut self, now: Moment, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let State::Asked(asked) = &mut leg.state else { return };
        if leg.audio.negotiated().is_none() {
            return self.ring(now, id);
        }
        if asked.told == Told::Progress {
            return;
        }
        if let Err(error) = leg.audio.answer(&self.shared.datapath) {
            return self.fail_asked(id, &error);
        }
        asked.told = Told::Progress;
        self.tell_progress(now, id);
    }

    /// Sends 180 or 183, the first time or again.
    pub(super) fn tell_progress(&mut self, now: Moment, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let State::Asked(asked) = &mut leg.state else { return };
        asked.refresh_at = Some(now + REFRESH);
        let status = match asked.told {
            Told::Nothing => return,
            Told::Ringing => StatusCode::RINGING,
            Told::Progress => StatusCode::SESSION_PROGRESS,
        };
        let invite = asked.invite;
        let Some(request) = self.endpoint.request(invite) else { return };
        let mut response = in_dialog(request, status, &asked.line);
        if asked.told == Told::Progress
            && let Ok(Some(description)) = leg.audio.answer(&self.shared.datapath)
        {
            response = response.body(SDP, description);
        }
        self.respond(invite, response);
        self.wake_leg(id);
    }

    /// Answers the caller.
    pub(super) fn answer(&mut self, now: Moment, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let State::Asked(asked) = &leg.state else { return };
        let offered = leg.audio.negotiated().is_none();
        let datapath = &self.shared.datapath;
        let description = if offered {
            leg.audio.offer(datapath, None, Direction::SendRecv).map(Some).map_err(AudioError::from)
        } else {
            leg.audio.answer(datapath)
        };
        let description = match description {
            Ok(description) => description.unwrap_or_default(),
            Err(error) => return self.fail_asked(id, &error),
        };
        let invite = asked.invite;
        let Some(request) = self.endpoint.request(invite) else { return };
        let response =
            in_dialog(request, StatusCode::OK, &asked.line).header(Header::Allow, ALLOW).body(SDP, description);
        let (stream, partner) = (leg.audio.stream(), leg.partner);
        if let Some(partner) = partner.and_then(|partner| self.legs.get(&partner)) {
            // Bridged before it had a stream.
            self.shared.datapath.bridge(stream, partner.audio.stream());
        }
        self.respond(invite, response);
        self.confirm(now, id, Unacknowledged { invite, offered });
    }

    fn confirm(&mut self, now: Moment, id: LegId, unacknowledged: Unacknowledged) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let State::Asked(asked) = &leg.state else { return };
        let mut line = asked.line.clone();
        line.dialog.confirm();
        leg.state = State::Talking(Talking {
            line,
            unacknowledged: Some(unacknowledged),
            exchange: Exchange::None,
            held: leg.audio.negotiated().is_some_and(carillon_media::Negotiated::held),
            ours: false,
            give_up: now + MAX_TALK,
        });
        self.image_changed(id);
        self.wake_leg(id);
    }

    /// The caller can get no audio: 503 or 488, and the call hears of it.
    fn fail_asked(&mut self, id: LegId, error: &AudioError) {
        tracing::warn!(call_id = %id.call, %error, "no audio for a caller");
        let cause = match error {
            AudioError::Description(_) => Cause::NotAcceptable,
            AudioError::Peer(_) | AudioError::Port(_) => Cause::Congestion,
        };
        self.refuse_asked(id, cause);
        self.report(id, LegEvent::Ended(cause));
    }

    /// Gives an unanswered caller the final response that tells him why.
    pub(super) fn refuse_asked(&mut self, id: LegId, cause: Cause) {
        let Some(leg) = self.legs.get(&id) else { return };
        let State::Asked(asked) = &leg.state else { return };
        let invite = asked.invite;
        if let Some(request) = self.endpoint.request(invite) {
            let (status, phrase) = to_status(cause);
            let status = StatusCode::new(status).unwrap_or(StatusCode::SERVER_INTERNAL_ERROR);
            let mut response = ResponseBuilder::with_phrase(request, status, phrase);
            response = response.to_tag(&String::from_utf8_lossy(&asked.line.dialog.id().local_tag));
            if status == StatusCode::SERVICE_UNAVAILABLE {
                response = response.header(Header::RetryAfter, RETRY_AFTER.as_secs().to_string());
            }
            self.respond(invite, response);
        }
        self.remove_leg(id);
    }

    /// The caller gave up (RFC 3261 §9.2).
    pub(super) fn on_cancel(&mut self, now: Moment, invite: ServerKey) {
        let Some(&id) = self.servers.get(&invite) else { return };
        let Some(leg) = self.legs.get(&id) else { return };
        match &leg.state {
            State::Asked(_) => {
                self.refuse_asked(id, Cause::Cancelled);
                self.report(id, LegEvent::Ended(Cause::Cancelled));
            }
            State::Talking(_) => self.cancel_theirs(now, id, invite),
            State::Dialling(_) | State::Parting(_) => {}
        }
    }

    /// We never gave a final answer, and the transaction is gone.
    pub(super) fn on_unanswered(&mut self, key: ServerKey) {
        let Some(&id) = self.servers.get(&key) else { return };
        if matches!(self.legs.get(&id).map(|leg| &leg.state), Some(State::Asked(_))) {
            self.remove_leg(id);
            self.report(id, LegEvent::Ended(Cause::NoAnswer));
        }
    }
}

/// Who calls: what the trunk asserts (RFC 3325), else what From says. From a phone, an assertion is worth nothing.
fn claimed_caller(request: &Request, source: &Source) -> NameAddr {
    match source {
        Source::Trunk(_) => {
            let asserted = request.addresses(Header::PAssertedIdentity).find_map(Result::ok);
            asserted.filter(|address| address.uri().user_raw().is_some()).unwrap_or_else(|| request.from())
        }
        Source::Device(_) => request.from(),
    }
}

/// A response that forms or belongs to the dialog: our tag and our Contact.
pub(super) fn in_dialog(request: &Request, status: StatusCode, line: &Line) -> ResponseBuilder {
    ResponseBuilder::reply_to(request, status)
        .to_tag(&String::from_utf8_lossy(&line.dialog.id().local_tag))
        .header(Header::Contact, line.dialog.contact())
}
