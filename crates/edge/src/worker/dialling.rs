//! Legs that we dial: every contact is a branch, the first answer wins (RFC 3261 §13.2).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use carillon_acd::ids::{DeviceId, LegId, TrunkId};
use carillon_acd::leg::{CallerId, Cause, DialTarget, LegEvent, Location};
use carillon_media::{Direction, Negotiated};
use carillon_sip::check::{ALLOW, SDP};
use carillon_sip::dialog::{Dialog, DialogId};
use carillon_sip::endpoint::ClientKey;
use carillon_sip::{
    Flow, Header, Method, Moment, Reason, RequestBuilder, Response, StatusCode, Transport, Uri, escape_user,
};

use super::challenges::is_challenge;
use super::{Owner, Purpose, Worker};
use crate::audio::Audio;
use crate::cause::{of_status, rank};
use crate::directory::Target;
use crate::leg::{Branch, Dialling, Exchange, Leg, Line, MAX_EARLY, MAX_TALK, State, Talking, WayBack};

/// Contacts that are rung at one time.
const MAX_BRANCHES: usize = 10;
/// An INVITE that another edge is to pass on is repeated after this time instead of T1: a packet that is lost between nodes
/// must not cost an agent half a second (RFC 3261 §17.1.1.1).
const AGAIN_TO_EDGE: Duration = Duration::from_millis(100);

/// Where one branch goes.
struct Way {
    uri: Uri,
    flow: Flow,
    back: WayBack,
    /// The edge that it leads through, as a Route value.
    through: Option<String>,
    /// Where the peer's audio will come from if it is behind NAT.
    source: IpAddr,
}

impl Worker {
    /// Makes a new leg and rings its target.
    pub(super) fn dial(
        &mut self,
        now: Moment,
        id: LegId,
        target: &DialTarget,
        caller: &CallerId,
        partner: LegId,
        ring_for: Duration,
    ) {
        if self.legs.contains_key(&id) || self.stop_at.is_some() {
            return;
        }
        let ways = match target {
            DialTarget::Device { device, at } => self.ways_to_device(now, device, at),
            DialTarget::Trunk { trunk, number } => self.way_through(trunk, number.as_str()).into_iter().collect(),
        };
        let Some(first) = ways.first() else { return self.report(id, LegEvent::Failed(Cause::Unreachable)) };
        let codec = self.legs.get(&partner).and_then(|partner| partner.audio.codec());
        let source = first.source;
        let mut audio = Audio::new(self.stream_of(id), self.shared.config.advertise, source);
        let offer = match audio.offer(&self.shared.datapath, codec, Direction::SendRecv) {
            Ok(offer) => offer,
            Err(error) => {
                tracing::warn!(call_id = %id.call, %error, "no audio for a dialled leg");
                return self.report(id, LegEvent::Failed(Cause::Congestion));
            }
        };
        let mut branches = Vec::with_capacity(ways.len());
        for (index, way) in ways.into_iter().enumerate() {
            branches.push(self.invite(now, (id, index), way, caller, &offer));
        }
        let dialling = Dialling {
            branches,
            early: Vec::new(),
            alerted: false,
            early_media: false,
            best: None,
            give_up: now + ring_for,
        };
        self.insert_leg(id, Leg::new(audio, State::Dialling(dialling)));
    }

    /// Every contact of a device: its fixed one, those that are registered here, and those at other edges. A contact that
    /// its owner knows to be at another edge has moved there, whatever we remember of it.
    fn ways_to_device(&self, now: Moment, id: &DeviceId, at: &[Location]) -> Vec<Way> {
        let directory = self.shared.directory.load();
        let fixed = directory.fixed_contact(id).map(way_to);
        let mut ways: Vec<Way> = fixed.into_iter().collect();
        let username = directory.device(id).and_then(|device| device.credentials.as_ref()).map(|c| c.username.as_str());
        let Some(username) = username else { return ways };
        let mut elsewhere: Vec<Way> = at.iter().filter_map(|at| self.way_through_edge(username, at)).collect();
        elsewhere.retain(|way| ways.iter().all(|fixed| fixed.uri != way.uri));
        let mut registered = self.shared.registry().flows(now, username);
        registered.retain(|(uri, _)| elsewhere.iter().all(|way| way.uri != *uri));
        ways.extend(registered.into_iter().map(|(uri, flow)| Way {
            uri,
            flow,
            back: WayBack { pinned: true, trunk: None },
            through: None,
            source: flow.remote.ip(),
        }));
        ways.append(&mut elsewhere);
        ways.truncate(MAX_BRANCHES);
        ways
    }

    /// The way to a contact that is registered at another edge: that one knows the flow to the phone (RFC 3327 §5.3). `None`
    /// for what is registered here, and for an edge that is gone.
    fn way_through_edge(&self, username: &str, location: &Location) -> Option<Way> {
        let edge = self.shared.peers.load().address(location.edge)?;
        Some(Way {
            uri: location.contact.uri().parse().ok()?,
            flow: Flow::udp(0, edge),
            back: WayBack::default(),
            through: Some(format!("<sip:{}@{edge};lr>", escape_user(username))),
            source: location.contact.source(),
        })
    }

    /// The way to a number through a trunk.
    fn way_through(&self, trunk: &TrunkId, number: &str) -> Option<Way> {
        let directory = self.shared.directory.load();
        let target = directory.outbound(trunk)?;
        let transport = match target.transport {
            Transport::Udp => String::new(),
            other => format!(";transport={}", other.uri_name()),
        };
        let uri = format!("sip:{}@{}{transport}", escape_user(number), target.addr).parse().ok()?;
        let back = WayBack { pinned: false, trunk: Some(trunk.clone()) };
        Some(Way { uri, back, ..way_to(target) })
    }

    /// Rings one contact, the branch of this number of a leg.
    fn invite(
        &mut self,
        now: Moment,
        (leg, branch): (LegId, usize),
        way: Way,
        caller: &CallerId,
        offer: &str,
    ) -> Branch {
        let from = format!("{};tag={}", self.caller_address(caller), self.endpoint.token());
        let mut request = RequestBuilder::new(Method::Invite, &way.uri)
            .from(from)
            .to(format!("<{}>", way.uri))
            .call_id(self.fresh_call_id())
            .header(Header::Contact, self.shared.contact(way.flow.transport))
            .header(Header::Allow, ALLOW)
            .body(SDP, offer.to_owned());
        if let Some(edge) = &way.through {
            request = request.header(Header::Route, edge);
        }
        let unchallenged = way.back.trunk.as_ref().map(|_| Box::new(request.clone()));
        let key = match &way.through {
            Some(_) => self.endpoint.send_request_again_after(now, AGAIN_TO_EDGE, way.flow, request),
            None => self.endpoint.send_request(now, way.flow, request),
        };
        self.clients.insert(key, Purpose::Dial { leg, branch });
        Branch { invite: Some(key), flow: way.flow, way: way.back, source: way.source, unchallenged }
    }

    /// Who calls, as the phone that rings shows it.
    fn caller_address(&self, caller: &CallerId) -> String {
        let host = &self.shared.sent_by_host;
        let user = match caller.number.as_str() {
            "" => "anonymous".into(),
            number => escape_user(number),
        };
        if caller.name.is_empty() {
            return format!("<sip:{user}@{host}>");
        }
        let mut name = String::with_capacity(caller.name.len() + 8);
        for c in caller.name.chars().filter(|c| !c.is_control()) {
            if matches!(c, '"' | '\\') {
                name.push('\\');
            }
            name.push(c);
        }
        format!("\"{name}\" <sip:{user}@{host}>")
    }

    /// A Call-ID whose messages come back to this worker.
    fn fresh_call_id(&mut self) -> String {
        loop {
            let call_id = self.endpoint.token();
            if self.shared.router.of_call_id(call_id.as_bytes()) == self.index {
                return call_id;
            }
        }
    }

    pub(super) fn on_dial_response(
        &mut self,
        now: Moment,
        key: ClientKey,
        id: LegId,
        branch: usize,
        flow: Flow,
        response: &Response,
    ) {
        let status = response.status();
        if status.is_provisional() {
            self.on_dial_progress(id, branch, flow, response);
        } else if status.is_success() {
            self.on_dial_answer(now, key, id, branch, flow, response);
        } else {
            self.clients.remove(&key);
            if !self.answer_challenge(now, id, branch, response) {
                self.on_branch_failed(now, id, branch, status.code());
            }
        }
    }

    fn on_dial_progress(&mut self, id: LegId, branch: usize, flow: Flow, response: &Response) {
        if response.status() == StatusCode::TRYING {
            return;
        }
        self.note_early_dialog(id, branch, flow, response);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let State::Dialling(dialling) = &mut leg.state else { return };
        if let Some(branch) = dialling.branches.get(branch) {
            leg.audio.comes_from(branch.source);
        }
        let media =
            !response.body().is_empty() && leg.audio.take_answer(&self.shared.datapath, response.body()).is_ok();
        let news = !dialling.alerted || (media && !dialling.early_media);
        dialling.alerted = true;
        dialling.early_media |= media;
        if news {
            self.report(id, LegEvent::Alerting { early_media: media });
        }
    }

    /// Remembers the dialog that a provisional response opens, for the requests that the phone may send before its answer.
    fn note_early_dialog(&mut self, id: LegId, branch: usize, flow: Flow, response: &Response) {
        let Some(State::Dialling(dialling)) = self.legs.get_mut(&id).map(|leg| &mut leg.state) else { return };
        let Some(branch) = dialling.branches.get(branch) else { return };
        let Some(dialog) = DialogId::of_response(response) else { return };
        if dialling.early.len() >= MAX_EARLY || self.dialogs.contains_key(&dialog) {
            return;
        }
        if let Ok(dialog) = Dialog::uac(response, self.shared.contact(flow.transport)) {
            self.dialogs.insert(dialog.id().clone(), Owner::Leg(id));
            dialling.early.push(Line { dialog, flow, way: branch.way.clone() });
        }
    }

    /// Somebody picked up: acknowledge, stop the other branches, connect the audio.
    fn on_dial_answer(
        &mut self,
        now: Moment,
        key: ClientKey,
        id: LegId,
        branch: usize,
        flow: Flow,
        response: &Response,
    ) {
        let Some(leg) = self.legs.get(&id) else { return };
        let State::Dialling(dialling) = &leg.state else { return };
        let Some((way, source)) = dialling.branches.get(branch).map(|branch| (branch.way.clone(), branch.source))
        else {
            return;
        };
        let line = self.acknowledge(key, flow, way.clone(), response);
        self.leave_to_forks(now, key, way, Cause::AnsweredElsewhere);
        let Some(line) = line else { return self.on_branch_failed(now, id, branch, 502) };
        self.stop_branches(now, id, Some(branch), Cause::AnsweredElsewhere);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.audio.comes_from(source);
        let body = response.body();
        let agreed = if body.is_empty() && leg.audio.negotiated().is_some() {
            Ok(())
        } else {
            leg.audio.take_answer(&self.shared.datapath, body)
        };
        if let Err(error) = agreed {
            tracing::info!(call_id = %id.call, %error, "no usable answer from the phone");
            self.send_bye(line, Cause::NotAcceptable);
            self.remove_leg(id);
            return self.report(id, LegEvent::Failed(Cause::NotAcceptable));
        }
        if let State::Dialling(dialling) = &leg.state {
            for early in &dialling.early {
                self.dialogs.remove(early.dialog.id());
            }
        }
        self.dialogs.insert(line.dialog.id().clone(), Owner::Leg(id));
        leg.state = State::Talking(Talking {
            line,
            unacknowledged: None,
            exchange: Exchange::None,
            held: leg.audio.negotiated().is_some_and(Negotiated::held),
            ours: true,
            give_up: now + MAX_TALK,
        });
        self.image_changed(id);
        self.wake_leg(id);
        // First: whoever is told of the connected call is told of both legs.
        self.tell_images();
        self.report(id, LegEvent::Answered);
    }

    /// Sends the INVITE again with our credentials when the trunk asks for them, once (RFC 3261 §22).
    fn answer_challenge(&mut self, now: Moment, id: LegId, branch: usize, response: &Response) -> bool {
        if !is_challenge(response) {
            return false;
        }
        let Some(State::Dialling(dialling)) = self.legs.get_mut(&id).map(|leg| &mut leg.state) else { return false };
        let Some(branch_state) = dialling.branches.get_mut(branch) else { return false };
        let Some(request) = branch_state.unchallenged.take() else { return false };
        let (flow, trunk) = (branch_state.flow, branch_state.way.trunk.clone());
        let number = request.cseq_number() + 1;
        let Some(request) = self.with_credentials(request.cseq(number), trunk.as_ref(), response) else { return false };
        let key = self.endpoint.send_request(now, flow, request);
        self.clients.insert(key, Purpose::Dial { leg: id, branch });
        if let Some(State::Dialling(dialling)) = self.legs.get_mut(&id).map(|leg| &mut leg.state)
            && let Some(branch) = dialling.branches.get_mut(branch)
        {
            branch.invite = Some(key);
        }
        true
    }

    /// One contact refused or was never reached; the leg fails with the last of them.
    pub(super) fn on_branch_failed(&mut self, now: Moment, id: LegId, branch: usize, status: u16) {
        let Some(State::Dialling(dialling)) = self.legs.get_mut(&id).map(|leg| &mut leg.state) else { return };
        if let Some(branch) = dialling.branches.get_mut(branch) {
            branch.invite = None;
        }
        let best = dialling.best.filter(|best| rank(*best) <= rank(status)).unwrap_or(status);
        dialling.best = Some(best);
        // RFC 3261 §16.7 step 5: a 6xx speaks for the person, wherever else it may ring.
        let person_refused = (600..700).contains(&status);
        if person_refused || dialling.branches.iter().all(|branch| branch.invite.is_none()) {
            let cause = of_status(best, dialling.alerted);
            self.stop_branches(now, id, None, cause);
            self.remove_leg(id);
            self.report(id, LegEvent::Failed(cause));
        }
    }

    /// The edge at this address is gone, and with it whoever would answer what we ring through it.
    pub(super) fn stop_ringing_through(&mut self, edge: SocketAddr) {
        let (now, through) = (self.shared.now(), Flow::udp(0, edge));
        let mut lost: Vec<(LegId, usize)> = Vec::new();
        for (id, leg) in &self.legs {
            if let State::Dialling(dialling) = &leg.state {
                let through_it = (0..).zip(&dialling.branches).filter(|(_, branch)| branch.flow == through);
                lost.extend(through_it.map(|(n, _)| (*id, n)));
            }
        }
        for (id, branch) in lost {
            if self.stop_branch(now, id, branch, Cause::Unreachable) {
                self.on_branch_failed(now, id, branch, StatusCode::BAD_GATEWAY.code());
            }
        }
    }

    /// Nobody answered in time.
    pub(super) fn give_up_dialling(&mut self, now: Moment, id: LegId) {
        let Some(State::Dialling(dialling)) = self.legs.get(&id).map(|leg| &leg.state) else { return };
        let cause = if dialling.alerted { Cause::NoAnswer } else { Cause::Unreachable };
        self.stop_branches(now, id, None, cause);
        self.remove_leg(id);
        self.report(id, LegEvent::Failed(cause));
    }

    /// Cancels every branch but `winner`; who answers all the same is hung up.
    pub(super) fn stop_branches(&mut self, now: Moment, id: LegId, winner: Option<usize>, cause: Cause) {
        let Some(State::Dialling(dialling)) = self.legs.get(&id).map(|leg| &leg.state) else { return };
        for branch in (0..dialling.branches.len()).filter(|branch| Some(*branch) != winner) {
            self.stop_branch(now, id, branch, cause);
        }
    }

    /// Cancels one branch; `false` when it has failed before.
    fn stop_branch(&mut self, now: Moment, id: LegId, branch: usize, cause: Cause) -> bool {
        let Some(State::Dialling(dialling)) = self.legs.get_mut(&id).map(|leg| &mut leg.state) else { return false };
        let Some(branch) = dialling.branches.get_mut(branch) else { return false };
        let Some(key) = branch.invite.take() else { return false };
        let reason = match cause {
            Cause::AnsweredElsewhere => Some(Reason::completed_elsewhere()),
            _ => None,
        };
        let stray = Purpose::Stray { way: branch.way.clone(), cause, answered: false };
        self.clients.insert(key, stray);
        if self.endpoint.cancel(now, key, reason.as_ref()).is_err() {
            self.clients.remove(&key);
        }
        true
    }
}

/// The way to a fixed contact or a trunk.
fn way_to(target: &Target) -> Way {
    let flow = Flow { transport: target.transport, local: 0, remote: target.addr, connection: None };
    Way { uri: target.uri.clone(), flow, back: WayBack::default(), through: None, source: target.addr.ip() }
}
