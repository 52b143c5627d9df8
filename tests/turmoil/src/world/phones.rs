//! What people do at their phones, and what an edge has of it. A phone speaks with the edge that has spoken to it last, and
//! does not know when that edge is dead; an edge has a leg until it ends it, forgets it or is killed.

use std::time::Duration;

use carillon_acd::ids::{AgentId, CallId, LegId, NodeId};
use carillon_acd::leg::{Cause, Contact, DialTarget, LegCommand, LegEvent, LegImage, Playback, Reachability};

use super::{Caller, Leg, State, World};

/// A registration is refreshed so often.
const REFRESH: Duration = Duration::from_secs(10);
/// So soon an edge hears that a phone is not to be had.
const REFUSED: Duration = Duration::from_millis(20);
/// So soon a phone answers a re-INVITE.
const AGREES: Duration = Duration::from_millis(30);
/// An edge that has heard no audio of a leg for so long ends it.
const NO_AUDIO: Duration = Duration::from_secs(20);

/// So long an edge asks a phone to come.
const ASKS: Duration = Duration::from_secs(8);
/// What an edge counts its requests on from, for those that a dead one may have sent; and from what is surely enough.
const UNKNOWN: u32 = 100;
const SURELY_UNKNOWN: u32 = 10_000;

/// What an edge keeps of a leg.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept {
    /// The number of its last request in the dialog.
    number: u32,
    /// Its image has been told with this number.
    told: Option<u32>,
    /// It asks the phone to come, until then at the latest.
    asks_until: Option<Duration>,
    /// Since then nobody speaks here.
    silent_since: Option<Duration>,
}

/// What an edge reports, and what happens at the phone later.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) event: Option<LegEvent>,
    pub(crate) then: Vec<(Duration, LegEvent)>,
}

impl State {
    /// The number of the last request that a phone in conversation has heard; `None` when it is in none.
    fn number_of(&mut self, leg: LegId) -> Option<&mut u32> {
        if leg == LegId::caller(leg.call) {
            return self.callers.get_mut(&leg.call).filter(|it| it.answered && !it.gone).map(|it| &mut it.number);
        }
        self.legs.get_mut(&leg).filter(|phone| phone.answered).map(|phone| &mut phone.number)
    }

    /// The edge that the phone of a leg speaks with; `None` when it is on no line.
    fn edge_of(&self, leg: LegId) -> Option<NodeId> {
        if leg == LegId::caller(leg.call) {
            return self.callers.get(&leg.call).filter(|caller| !caller.gone).map(|caller| caller.edge);
        }
        self.legs.get(&leg).map(|phone| phone.edge)
    }

    fn is_established(&self, leg: LegId) -> bool {
        if leg == LegId::caller(leg.call) {
            return self.callers.get(&leg.call).is_some_and(|caller| caller.answered);
        }
        self.legs.get(&leg).is_some_and(|phone| phone.answered)
    }

    /// Whether an edge and the phone of a leg hear each other.
    pub(super) fn is_on(&self, edge: NodeId, leg: LegId) -> bool {
        self.kept.contains_key(&(edge, leg)) && self.edge_of(leg) == Some(edge)
    }

    /// Whether the phone of a leg speaks with an edge that does not have it.
    pub(super) fn is_astray(&self, leg: LegId) -> bool {
        self.edge_of(leg).is_some_and(|edge| !self.kept.contains_key(&(edge, leg)))
    }

    /// Caller and agent of a leg hear each other.
    pub(super) fn is_heard(&self, leg: LegId, phone: &Leg) -> bool {
        phone.bridged && self.is_on(phone.edge, leg) && self.is_on(phone.edge, LegId::caller(leg.call))
    }

    /// A phone is silent again.
    pub(super) fn silent(&mut self, leg: LegId, now: Duration) {
        self.legs.remove(&leg);
        if self.legs.keys().any(|other| other.call == leg.call) {
            return;
        }
        if let Some(caller) = self.callers.get_mut(&leg.call).filter(|caller| !caller.talked) {
            caller.waits_since = Some(now);
        }
    }

    /// An edge ends a leg. Its phone heeds that unless another edge's requests have higher numbers (RFC 3261 §12.2.2).
    fn hangs_up(&mut self, edge: NodeId, leg: LegId, now: Duration) {
        let heard = self.number_of(leg).map(|number| *number);
        let kept = self.kept.remove(&(edge, leg));
        let hears = heard.is_none_or(|number| kept.is_some_and(|kept| kept.number >= number));
        if !hears {
            return;
        }
        if leg == LegId::caller(leg.call) {
            self.callers.get_mut(&leg.call).into_iter().for_each(|caller| caller.gone = true);
        } else {
            self.silent(leg, now);
        }
    }
}

impl World {
    /// What an edge's registrar knows of an agent's phone.
    pub(crate) fn registered(&self, edge: NodeId, agent: &AgentId) -> Option<Reachability> {
        let now = self.now();
        let state = self.state();
        state.registered.get(agent).filter(|(at, from)| *at == edge && *from <= now).map(|_| reachable(agent, edge))
    }

    /// The registrations that come to an edge at this moment.
    pub(crate) fn registrations(&self, edge: NodeId) -> Vec<Reachability> {
        let now = self.now();
        let mut state = self.state();
        let State { registered, reported, .. } = &mut *state;
        let here = registered.iter().filter(|(_, (at, from))| *at == edge && *from <= now);
        let due = here.filter(|(agent, _)| match reported.get(&(edge, (*agent).clone())) {
            Some(last) => now >= *last + REFRESH,
            None => true,
        });
        let due: Vec<AgentId> = due.map(|(agent, _)| agent.clone()).collect();
        reported.extend(due.iter().map(|agent| ((edge, agent.clone()), now)));
        due.iter().map(|agent| reachable(agent, edge)).collect()
    }

    fn can_ring(&self, state: &State, edge: NodeId, target: &DialTarget) -> Option<AgentId> {
        let DialTarget::Device { device, at } = target else { return None };
        let now = self.now();
        let (home, from) = state.registered.get(&device.agent)?;
        let known = *home == edge || at.iter().any(|location| location.edge == *home);
        let reached = known && *from <= now && state.open.contains(home) && !self.are_cut(*home, edge);
        reached.then(|| device.agent.clone())
    }

    /// Whether two nodes do not hear each other now.
    pub(crate) fn are_cut(&self, one: NodeId, other: NodeId) -> bool {
        let now = self.now();
        self.plan.iter().any(|fault| (fault.from..fault.until).contains(&now) && fault.what.cuts(one, other))
    }

    /// An edge performs a command; what the person at the phone will do comes back as a list of (after, event).
    pub(crate) fn command(&self, edge: NodeId, leg: LegId, command: &LegCommand) -> Vec<(Duration, LegEvent)> {
        let now = self.now();
        let mut state = self.state();
        self.tell(&mut state, &format!("{leg} at edge {}: {command:?}", edge.0));
        let here = state.kept.contains_key(&(edge, leg));
        match command {
            LegCommand::Dial { target, ring_for, .. } => self.dial(&mut state, edge, leg, target, *ring_for),
            LegCommand::Revive { image } => self.revive(&mut state, edge, leg, image),
            // It is gone, or was never here.
            _ if !here => Vec::new(),
            LegCommand::Answer => {
                state.callers.get_mut(&leg.call).into_iter().for_each(|caller| caller.is_news(now));
                state.callers.get_mut(&leg.call).into_iter().for_each(|caller| caller.answered = true);
                Vec::new()
            }
            LegCommand::HangUp(_) => {
                state.hangs_up(edge, leg, now);
                Vec::new()
            }
            LegCommand::Play(Playback::Sound(_) | Playback::Done | Playback::Declined) => {
                vec![(Duration::from_millis(400), LegEvent::PlayFinished)]
            }
            LegCommand::Bridge { with } => {
                // Two may answer in the same moment; only one of them may be heard.
                if state.is_on(edge, *with)
                    && let Some(phone) = state.legs.get_mut(with)
                {
                    phone.bridged = true;
                }
                self.phones_fit(&mut state);
                Vec::new()
            }
            LegCommand::Ring
            | LegCommand::Play(Playback::Ringing | Playback::Music)
            | LegCommand::StopPlaying
            | LegCommand::Unbridge
            | LegCommand::Adopt { .. } => Vec::new(),
        }
    }

    fn dial(
        &self,
        state: &mut State,
        edge: NodeId,
        leg: LegId,
        target: &DialTarget,
        ring_for: Duration,
    ) -> Vec<(Duration, LegEvent)> {
        let DialTarget::Device { device, .. } = target else { return Vec::new() };
        let agent = device.agent.clone();
        let silent = Leg { agent, edge, number: 0, rings: false, answered: false, bridged: false, until: None };
        state.kept.insert((edge, leg), Kept::default());
        let Some(agent) = self.can_ring(state, edge, target) else {
            state.legs.insert(leg, silent);
            state.callers.get_mut(&leg.call).into_iter().for_each(|caller| caller.in_vain = true);
            return vec![(REFUSED, LegEvent::Failed(Cause::Unreachable))];
        };
        self.in_order(state, leg.call, &agent);
        let excused = self.is_excused(state, edge, leg, &agent);
        if let Some(caller) = state.callers.get_mut(&leg.call) {
            caller.tried.insert(agent);
        }
        if excused {
            state.legs.insert(leg, silent);
            return vec![(REFUSED, LegEvent::Failed(Cause::Busy))];
        }
        if let Some(caller) = state.callers.get_mut(&leg.call) {
            caller.waits_since = None;
        }
        let (mood, until) = mood(state, ring_for);
        state.legs.insert(leg, Leg { rings: true, until: until.map(|after| self.now() + after), ..silent });
        self.phones_fit(state);
        mood
    }

    /// An edge makes a leg again, and asks its phone to come.
    fn revive(&self, state: &mut State, edge: NodeId, leg: LegId, image: &LegImage) -> Vec<(Duration, LegEvent)> {
        if state.kept.contains_key(&(edge, leg)) {
            return Vec::new();
        }
        let number = number_of(leg, image);
        self.note(state, number.is_none().then(|| format!("{leg} is revived with the image of another")));
        let number = number.unwrap_or_default() + UNKNOWN;
        let kept = Kept { number, asks_until: Some(self.now() + ASKS), ..Kept::default() };
        state.kept.insert((edge, leg), kept);
        vec![(AGREES, LegEvent::Answered)]
    }

    /// Another edge has asked the phone of a leg to come, and gives it up: this one asks it to come back.
    pub(crate) fn reclaim(&self, edge: NodeId, leg: LegId) -> Vec<(Duration, LegEvent)> {
        let mut state = self.state();
        self.tell(&mut state, &format!("edge {} reclaims {leg}", edge.0));
        let asks_until = Some(self.now() + ASKS);
        let Some(kept) = state.kept.get_mut(&(edge, leg)).filter(|kept| kept.asks_until.is_none()) else {
            return Vec::new();
        };
        kept.number += 2 * SURELY_UNKNOWN;
        kept.asks_until = asks_until;
        vec![(AGREES, LegEvent::Answered)]
    }

    /// A phone answers an edge that has asked it to come. It does not know a call that it has left, and does not heed an edge
    /// whose number is too low: then that asks again a little later (RFC 3261 §12.2.2).
    fn agrees(&self, state: &mut State, edge: NodeId, leg: LegId) -> Said {
        let now = self.now();
        let phones = state.number_of(leg).map(|number| *number);
        let Some(kept) = state.kept.get_mut(&(edge, leg)) else { return Said::default() };
        let tired = kept.asks_until.is_some_and(|until| until <= now);
        let Some(phones) = phones.filter(|_| !tired) else {
            state.kept.remove(&(edge, leg));
            return Said { event: Some(LegEvent::Ended(Cause::SignallingTimeout)), then: Vec::new() };
        };
        if phones >= kept.number {
            kept.number += SURELY_UNKNOWN;
            let later = state.milliseconds(4_000);
            return Said { event: None, then: vec![(later, LegEvent::Answered)] };
        }
        kept.asks_until = None;
        let number = kept.number;
        state.number_of(leg).into_iter().for_each(|phones| *phones = number);
        let then = self.comes(state, edge, leg);
        self.phones_fit(state);
        Said { event: Some(LegEvent::Answered), then }
    }

    /// A phone speaks with this edge from now on.
    fn comes(&self, state: &mut State, edge: NodeId, leg: LegId) -> Vec<(Duration, LegEvent)> {
        let now = self.now();
        let waits = !state.legs.keys().any(|other| other.call == leg.call);
        if leg == LegId::caller(leg.call) {
            if let Some(caller) = state.callers.get_mut(&leg.call) {
                caller.resumed += usize::from(caller.edge != edge);
                (caller.edge, caller.astray) = (edge, None);
                caller.is_news(now);
                caller.waits_since = (waits && !caller.talked).then_some(now);
            }
            return Vec::new();
        }
        let Some(phone) = state.legs.get_mut(&leg) else { return Vec::new() };
        (phone.edge, phone.bridged) = (edge, false);
        let left = phone.until.map(|until| until.saturating_sub(now));
        left.map(|left| (left.max(AGREES), LegEvent::Ended(Cause::Normal))).into_iter().collect()
    }

    /// What an edge has to tell of a leg in conversation, once.
    pub(crate) fn image(&self, edge: NodeId, leg: LegId) -> Option<LegImage> {
        let mut state = self.state();
        let established = state.is_established(leg);
        let kept = state.kept.get_mut(&(edge, leg)).filter(|kept| established && kept.told != Some(kept.number))?;
        kept.told = Some(kept.number);
        Some(image_of(leg, kept.number))
    }

    /// What an edge reports when this happens at a phone, if the phone speaks with it; and what happens then.
    pub(crate) fn happens(&self, edge: NodeId, leg: LegId, event: LegEvent) -> Said {
        let now = self.now();
        let mut state = self.state();
        let Some(kept) = state.kept.get(&(edge, leg)) else { return Said::default() };
        let said = if kept.asks_until.is_some() && event == LegEvent::Answered {
            self.agrees(&mut state, edge, leg)
        } else {
            let is_there = state.is_on(edge, leg) || event == LegEvent::Ended(Cause::MediaTimeout);
            // A phone that was answered does not ring in vain.
            let in_vain = matches!(event, LegEvent::Failed(_)) && state.is_established(leg);
            if !is_there || in_vain {
                return Said::default();
            }
            match event {
                LegEvent::Answered => self.answers(&mut state, leg),
                LegEvent::Failed(_) | LegEvent::Ended(_) => state.hangs_up(edge, leg, now),
                LegEvent::Alerting { .. }
                | LegEvent::TakenOver { .. }
                | LegEvent::Digit(_)
                | LegEvent::PlayFinished
                | LegEvent::Held
                | LegEvent::Resumed => {}
            }
            Said { event: Some(event), then: Vec::new() }
        };
        said.event.iter().for_each(|event| self.tell(&mut state, &format!("{leg} at edge {}: {event:?}", edge.0)));
        said
    }

    fn answers(&self, state: &mut State, leg: LegId) {
        state.legs.get_mut(&leg).into_iter().for_each(|phone| phone.answered = true);
        if let Some(caller) = state.callers.get_mut(&leg.call) {
            caller.talked = true;
            caller.is_news(self.now());
        }
        self.phones_fit(state);
    }

    /// Another edge has the call: what this one has of it is forgotten without a word, but for what that one does not have.
    pub(crate) fn forsake(&self, edge: NodeId, call: CallId, theirs: &[LegId]) {
        let now = self.now();
        let mut state = self.state();
        self.tell(&mut state, &format!("edge {} forsakes {call}", edge.0));
        let legs: Vec<LegId> =
            state.kept.keys().filter(|(at, leg)| *at == edge && leg.call == call).map(|it| it.1).collect();
        for leg in legs {
            let theirs = theirs.is_empty() || theirs.contains(&leg);
            if theirs && state.is_established(leg) {
                state.kept.remove(&(edge, leg));
            } else {
                state.hangs_up(edge, leg, now);
            }
        }
    }

    pub(crate) fn abandon(&self, edge: NodeId, call: CallId) {
        let now = self.now();
        let mut state = self.state();
        self.tell(&mut state, &format!("edge {} hangs {call} up", edge.0));
        let legs: Vec<LegId> =
            state.kept.keys().filter(|(at, leg)| *at == edge && leg.call == call).map(|it| it.1).collect();
        legs.into_iter().for_each(|leg| state.hangs_up(edge, leg, now));
    }

    /// The legs of an edge that end because nobody has spoken for long.
    pub(crate) fn without_audio(&self, edge: NodeId) -> Vec<LegId> {
        let now = self.now();
        let mut state = self.state();
        let legs: Vec<LegId> = state.kept.keys().filter(|(at, _)| *at == edge).map(|(_, leg)| *leg).collect();
        let mut ends = Vec::new();
        for leg in legs {
            let speaks = state.is_on(edge, leg);
            let Some(kept) = state.kept.get_mut(&(edge, leg)) else { continue };
            let since = *kept.silent_since.get_or_insert(now);
            if speaks {
                kept.silent_since = None;
            } else if since + NO_AUDIO <= now {
                ends.push(leg);
            }
        }
        ends
    }

    /// The callers at an edge who hang up in this moment.
    pub(crate) fn impatient(&self, edge: NodeId) -> Vec<CallId> {
        let now = self.now();
        let mut state = self.state();
        let leaves = |caller: &Caller| !caller.gone && caller.patience.is_some_and(|patience| patience <= now);
        let on = |call: CallId| state.is_on(edge, LegId::caller(call));
        let leave = state.callers.iter().filter(|(call, caller)| leaves(caller) && on(**call));
        let leave: Vec<CallId> = leave.map(|(call, _)| *call).collect();
        for call in &leave {
            state.hangs_up(edge, LegId::caller(*call), now);
            self.tell(&mut state, &format!("{call}: the caller hangs up"));
        }
        leave
    }
}

/// What another edge would need to go on with a leg: whose it is, and how far its requests are numbered.
fn image_of(leg: LegId, number: u32) -> LegImage {
    LegImage::new(format!("{leg} {number}").as_bytes())
}

/// `None` when it is the image of another leg.
fn number_of(leg: LegId, image: &LegImage) -> Option<u32> {
    let text = std::str::from_utf8(image.bytes()).ok()?;
    let (of, number) = text.split_once(' ')?;
    (of == leg.to_string()).then(|| number.parse().ok()).flatten()
}

fn reachable(agent: &AgentId, edge: NodeId) -> Reachability {
    let uri = format!("sip:{}@192.0.2.{}", agent.name, edge.0);
    let contact = Contact::new(&uri, [192, 0, 2, 9].into()).expect("a URI");
    Reachability { agent: agent.clone(), device: 0, edge, contacts: vec![contact] }
}

/// What an agent does whose phone rings, and after how long he hangs up if he answers.
fn mood(state: &mut State, ring_for: Duration) -> (Vec<(Duration, LegEvent)>, Option<Duration>) {
    let rings = (Duration::from_millis(10), LegEvent::Alerting { early_media: false });
    let after = Duration::from_millis(100) + state.milliseconds(3_000);
    let talk = Duration::from_millis(500) + state.milliseconds(7_000);
    match state.dice(12) {
        0 => (vec![rings, (after, LegEvent::Failed(Cause::Declined))], None),
        1 => (vec![rings, (ring_for, LegEvent::Failed(Cause::NoAnswer))], None),
        _ => {
            let until = after + talk;
            (vec![rings, (after, LegEvent::Answered), (until, LegEvent::Ended(Cause::Normal))], Some(until))
        }
    }
}
