//! What every state of a call works with: the caller's leg, the tables, the record, and the effects of this moment.

use std::sync::Arc;
use std::time::Duration;

use super::checkpoint::Inheritance;
use super::ledger::Ledger;
use super::{Config, Effect};
use crate::agent::{Event as AgentEvent, Purpose, Released, ReservationId};
use crate::ids::{AgentId, CallId, LegId, Name, PhoneNumber, QueueId, TrunkId};
use crate::leg::{CallerId, Incoming, LegCommand, Playback, Source};
use crate::queue::Event as QueueEvent;
use crate::record::Happened;
use crate::route::{Routing, Step};
use crate::skills::Skills;
use crate::time::{Moment, Now};

/// The owners of what a call holds may have died with its edge, and the next ones may be elected after it is taken over.
const INSISTS: Duration = Duration::from_secs(5);

/// The caller is himself an agent: the call occupies him.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) agent: AgentId,
    pub(super) reservation: ReservationId,
    pub(super) renew_at: Moment,
    /// His owner has said so.
    pub(super) granted: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Core {
    pub(super) incoming: Incoming,
    pub(super) routing: Arc<Routing>,
    pub(super) config: Arc<Config>,
    pub(super) now: Now,
    pub(super) started: Moment,
    /// When the call is ended for its length.
    pub(super) ends_at: Moment,
    /// The caller's number, if it comes from outside and is international.
    pub(super) number: Option<PhoneNumber>,
    /// He has hung up to be called back (Spec: UN-7).
    pub(super) callback: bool,
    /// What the number that was called adds to the priority of a queue.
    pub(super) priority: i32,
    /// What the number asks of the agent.
    pub(super) skills: Skills,
    /// The longest wait in all queues together.
    pub(super) max_wait: Option<Duration>,
    /// The steps not yet taken, the next one last.
    pub(super) steps: Vec<Step>,
    /// The queues it was in (Spec: UN-5).
    pub(super) visited: Vec<QueueId>,
    /// The agent of the last queue whose phone rang last; of those who rang together, the last in the order of the offer.
    pub(super) last_rung: Option<AgentId>,
    pub(super) own: Option<Own>,
    /// How often another edge has taken the call over.
    pub(super) moves: u32,
    pub(super) ledger: Ledger,
    pub(super) out: Vec<Effect>,
    /// What replaced owners of its queues have said, and was refused.
    pub(super) refused: u32,
    /// The leg of the caller: the one he came by, or the one that called him back.
    caller: LegId,
    answered: bool,
    legs: u16,
    reservations: u32,
    revival: Option<Box<Revival>>,
}

/// The call was taken over from another edge.
#[derive(Clone, Debug)]
struct Revival {
    /// Until [`super::Event::Start`].
    inheritance: Option<Inheritance>,
    /// Legs that have not answered.
    legs: Vec<LegId>,
    until: Moment,
    /// Until then owners are told often that it goes on: they may be new themselves.
    insist_until: Moment,
}

impl Core {
    pub(super) fn new(now: Now, mut incoming: Incoming, routing: Arc<Routing>, config: Arc<Config>) -> Self {
        // Colleagues know an agent by his extension, not by the user name of his phone.
        if let Source::Device(device) = &incoming.source
            && let Some(extension) = routing.extension_of(&device.agent)
        {
            incoming.caller.number = extension.as_str().to_owned();
        }
        let number = match incoming.source {
            Source::Trunk(_) => PhoneNumber::from_wire(&incoming.caller.number),
            Source::Device(_) => None,
        };
        Core {
            caller: LegId::caller(incoming.call),
            incoming,
            routing,
            now,
            started: now.mono,
            ends_at: now.mono + config.max_length,
            config,
            number,
            callback: false,
            priority: 0,
            skills: Skills::default(),
            max_wait: None,
            steps: Vec::new(),
            visited: Vec::new(),
            last_rung: None,
            own: None,
            moves: 0,
            ledger: Ledger::new(now),
            out: Vec::new(),
            refused: 0,
            answered: false,
            legs: 0,
            reservations: 0,
            revival: None,
        }
    }

    pub(super) const fn call(&self) -> CallId {
        self.incoming.call
    }

    pub(super) const fn caller_leg(&self) -> LegId {
        self.caller
    }

    /// The caller is on another leg from now on, which he has answered.
    pub(super) const fn caller_is_on(&mut self, leg: LegId) {
        self.caller = leg;
        self.answered = true;
    }

    pub(super) const fn is_answered(&self) -> bool {
        self.answered
    }

    /// The legs and the reservations that were given a number.
    pub(super) const fn counted(&self) -> (u16, u32) {
        (self.legs, self.reservations)
    }

    pub(super) const fn counts_on(&mut self, legs: u16, reservations: u32) {
        (self.legs, self.reservations) = (legs, reservations);
    }

    pub(super) fn inherit(&mut self, legs: Vec<LegId>, inheritance: Inheritance) {
        let (until, insist_until) = (self.now.mono + self.config.revive_within, self.now.mono + INSISTS);
        self.revival = Some(Box::new(Revival { inheritance: Some(inheritance), legs, until, insist_until }));
    }

    /// Whether it was taken over and has not begun yet.
    pub(super) fn is_inherited(&self) -> bool {
        self.revival.as_ref().is_some_and(|revival| revival.inheritance.is_some())
    }

    /// Once, for a call that was taken over.
    pub(super) fn inheritance(&mut self) -> Option<Inheritance> {
        self.revival.as_mut().and_then(|revival| revival.inheritance.take())
    }

    /// The legs that were not revived yet.
    pub(super) fn reviving(&self) -> &[LegId] {
        self.revival.as_ref().map_or(&[], |revival| &revival.legs)
    }

    /// A leg has been revived, or has ended; `true` when that is news.
    pub(super) fn is_revived(&mut self, leg: LegId) -> bool {
        let Some(revival) = &mut self.revival else { return false };
        let before = revival.legs.len();
        revival.legs.retain(|other| *other != leg);
        revival.legs.len() < before
    }

    /// A leg that has had its time, once.
    pub(super) fn not_revived(&mut self) -> Option<LegId> {
        let revival = self.revival.as_mut().filter(|revival| revival.until <= self.now.mono)?;
        revival.legs.pop()
    }

    pub(super) fn revival_deadline(&self) -> Option<Moment> {
        self.revival.as_ref().filter(|revival| !revival.legs.is_empty()).map(|revival| revival.until)
    }

    /// When what is told every `every` is told again.
    pub(super) fn again_in(&self, every: Duration) -> Moment {
        let insists = self.revival.as_ref().is_some_and(|revival| self.now.mono < revival.insist_until);
        self.now.mono + if insists { every.min(INSISTS / 5) } else { every }
    }

    pub(super) const fn tenant(&self) -> &Name {
        match &self.incoming.source {
            Source::Trunk(trunk) => &trunk.tenant,
            Source::Device(device) => &device.agent.tenant,
        }
    }

    pub(super) const fn next_leg(&mut self) -> LegId {
        // A call that has dialled 65,535 legs dials its last one again and again; they ended long ago.
        self.legs = self.legs.saturating_add(1);
        LegId { call: self.incoming.call, n: self.legs }
    }

    pub(super) const fn next_reservation(&mut self) -> ReservationId {
        self.reservations += 1;
        ReservationId { call: self.incoming.call, n: self.reservations }
    }

    pub(super) fn leg(&mut self, leg: LegId, command: LegCommand) {
        self.out.push(Effect::Leg(leg, command));
    }

    pub(super) fn tell_queue(&mut self, queue: &QueueId, event: QueueEvent) {
        self.out.push(Effect::ToQueue(queue.clone(), event));
    }

    pub(super) fn tell_agent(&mut self, agent: &AgentId, event: AgentEvent) {
        self.out.push(Effect::ToAgent(agent.clone(), event));
    }

    pub(super) fn release(&mut self, agent: &AgentId, reservation: ReservationId, why: Released) {
        self.tell_agent(agent, AgentEvent::Release { reservation, why });
    }

    pub(super) fn write(&mut self, what: Happened) {
        self.ledger.write(self.now, what);
    }

    /// Answers the caller, once.
    pub(super) fn answer(&mut self) {
        if !self.answered {
            self.answered = true;
            self.leg(self.caller_leg(), LegCommand::Answer);
            self.write(Happened::CallerAnswered);
        }
    }

    /// Lets the caller hear that a phone rings: by signalling before the answer, by a tone after it.
    pub(super) fn ring(&mut self) {
        let command = if self.answered { LegCommand::Play(Playback::Ringing) } else { LegCommand::Ring };
        self.leg(self.caller_leg(), command);
    }

    pub(super) fn play_music(&mut self) {
        self.answer();
        self.leg(self.caller_leg(), LegCommand::Play(Playback::Music));
    }

    pub(super) fn play_sound(&mut self, sound: crate::ids::SoundId) {
        self.answer();
        self.write(Happened::Playing { sound: sound.to_string() });
        self.leg(self.caller_leg(), LegCommand::Play(Playback::Sound(sound)));
    }

    /// What a phone outside that is called for the caller shows: the number that he called, or the first of the trunk
    /// (Spec: OU-5).
    pub(super) fn caller_id(&self, trunk: &TrunkId) -> CallerId {
        let called = self.ledger.number.as_ref().and_then(|_| PhoneNumber::from_wire(&self.incoming.dialled));
        let shown = called.as_ref().or_else(|| self.routing.own_number(trunk));
        CallerId { number: shown.map(|n| n.as_str().to_owned()).unwrap_or_default(), name: String::new() }
    }

    /// Holds the calling agent, for the first time or again.
    pub(super) fn occupy_own(&mut self, agent: AgentId, reservation: ReservationId) {
        self.tell_agent(&agent, AgentEvent::Reserve { reservation, purpose: Purpose::Own });
        let renew_at = self.again_in(self.config.renew);
        let granted = self.own.as_ref().is_some_and(|own| own.granted);
        self.own = Some(Own { agent, reservation, renew_at, granted });
    }
}
