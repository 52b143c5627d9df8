//! The call in a queue: the ticket, and the offer that is being tried.

use super::attempt::{Attempt, Miss, Won};
use super::callback::Callback;
use super::checkpoint::{CallbackLeft, Waiting};
use super::core::Core;
use crate::agent::Purpose;
use crate::ids::{AgentId, Epoch, QueueId};
use crate::leg::{LegCommand, Playback};
use crate::offer::{Offer, OfferId};
use crate::queue::{Enqueue, Event as QueueEvent, Left, Progress};
use crate::rank::Ranking;
use crate::record::Happened;
use crate::route::WaitingSound;
use crate::ticket::{Sequence, Ticket};
use crate::time::Moment;

/// If the owner of the queue has not said a word by then, the caller hears the waiting sound all the same.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(1);

/// How long the tone may take that answers a digit; then what follows it begins all the same.
pub(super) const TONE: std::time::Duration = std::time::Duration::from_secs(3);

/// The reason in the record of a caller who leaves the queue, as statistics count it, and keeps his place as a callback.
pub(crate) const LEFT_FOR_CALLBACK: &str = "callback";

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) queue: QueueId,
    pub(super) attempt: Option<Attempt>,
    /// The caller has hung up to be called back (Spec: UN-7). While the client is dialled there is no attempt.
    pub(super) callback: Option<Box<Callback>>,
    entered: Moment,
    sequence: Option<Sequence>,
    priority: i32,
    ranking: Ranking,
    sound: WaitingSound,
    /// When the waiting sound begins at the latest; `None` once it plays.
    sound_at: Option<Moment>,
    heartbeat_at: Moment,
    /// The newest owner that was heard.
    epoch: Epoch,
    round: u32,
    tried: Vec<AgentId>,
    progress: Option<Progress>,
}

impl Queued {
    pub(super) fn enter(core: &mut Core, queue: QueueId) -> Self {
        let route = core.routing.queue(&queue);
        let (sound, priority, ranking) =
            route.map(|route| (route.waiting_sound, route.priority, route.ranking)).unwrap_or_default();
        let priority = priority.saturating_add(core.priority);
        core.visited.push(queue.clone());
        core.last_rung = None;
        core.ledger.enters(core.now, &queue);
        let now = core.now.mono;
        let mut queued = Queued {
            queue,
            attempt: None,
            callback: None,
            entered: now,
            sequence: None,
            priority,
            ranking,
            sound,
            sound_at: Some(now + SILENCE),
            heartbeat_at: now,
            epoch: Epoch(0),
            round: 0,
            tried: Vec::new(),
            progress: None,
        };
        queued.announce(core);
        queued
    }

    /// What another edge needs to go on with it. The offer that is being tried is not part of it.
    pub(super) fn image(&self, callback: Option<CallbackLeft>, now: Moment) -> Waiting {
        Waiting {
            queue: self.queue.clone(),
            entered: now.since(self.entered),
            sequence: self.sequence,
            priority: self.priority,
            epoch: self.epoch,
            round: self.round,
            tried: self.tried.clone(),
            callback,
        }
    }

    /// From what another edge has let be known `age` ago.
    pub(super) fn from_image(
        core: &Core,
        image: &Waiting,
        callback: Option<Box<Callback>>,
        age: std::time::Duration,
    ) -> Self {
        let route = core.routing.queue(&image.queue);
        let (sound, ranking) = route.map(|route| (route.waiting_sound, route.ranking)).unwrap_or_default();
        let now = core.now.mono;
        Queued {
            queue: image.queue.clone(),
            attempt: None,
            sound_at: callback.is_none().then_some(now),
            callback,
            entered: now - image.entered - age,
            sequence: image.sequence,
            priority: image.priority,
            ranking,
            sound,
            heartbeat_at: now,
            epoch: image.epoch,
            round: image.round,
            tried: image.tried.clone(),
            progress: None,
        }
    }

    /// After the take-over by another edge. It knows of no offer: the owner makes another one when the last is not answered.
    pub(super) fn go_on(&mut self, core: &mut Core) {
        self.play(core);
        self.announce(core);
    }

    pub(super) const fn is_placed(&self) -> bool {
        self.sequence.is_some()
    }

    pub(super) const fn round(&self) -> u32 {
        self.round
    }

    /// Sends the ticket: entry, heartbeat, return after a failed offer, all alike.
    fn announce(&mut self, core: &mut Core) {
        self.heartbeat_at = core.again_in(core.config.heartbeat);
        let ticket = Ticket {
            call: core.call(),
            queue: self.queue.clone(),
            sequence: self.sequence,
            moves: core.moves,
            priority: self.priority,
            skills: core.skills.clone(),
            waited: core.ledger.waited(core.now),
            max_wait: core.max_wait,
            caller: core.number.clone(),
            callback: self.callback.as_ref().map(|callback| callback.ticket(core.now.mono)),
        };
        let enqueue = Enqueue {
            ticket,
            waited_here: core.now.mono.since(self.entered),
            round: self.round,
            tried: self.tried.clone(),
            progress: self.progress.clone(),
        };
        core.tell_queue(&self.queue, QueueEvent::Enqueue(Box::new(enqueue)));
    }

    /// Whether this owner may still speak: none that is newer has been heard (Spec: CL-3).
    pub(super) fn heeds(&mut self, core: &mut Core, epoch: Epoch) -> bool {
        self.epoch = self.epoch.max(epoch);
        let heeds = self.epoch == epoch || mutant!(OfferWithoutEpoch);
        core.refused += u32::from(!heeds);
        heeds
    }

    /// Announces itself to a new owner of the queue.
    pub(super) fn announce_to(&mut self, core: &mut Core, epoch: Epoch) {
        if self.heeds(core, epoch) {
            self.announce(core);
        }
    }

    pub(super) fn enqueued(&mut self, core: &mut Core, sequence: Sequence) {
        if self.sequence.is_none() {
            self.sequence = Some(sequence);
            self.epoch = self.epoch.max(sequence.epoch);
            core.write(Happened::Enqueued { queue: self.queue.clone(), sequence: Some(sequence) });
        }
        self.play(core);
    }

    fn play(&mut self, core: &mut Core) {
        if self.sound_at.take().is_some() {
            match self.sound {
                WaitingSound::Ringing => core.ring(),
                WaitingSound::Music => core.play_music(),
            }
        }
    }

    pub(super) fn offered(&mut self, core: &mut Core, offer: Offer) {
        if !self.heeds(core, offer.id.epoch) {
            return;
        }
        let last = self.last_offer();
        if let Some(attempt) = &mut self.attempt
            && last == Some(offer.id)
        {
            return attempt.join(core, offer.agents, offer.ring_for, Some(offer.why));
        }
        let unready = self.callback.as_ref().is_some_and(|callback| !callback.is_ready(core.now.mono));
        if self.attempt.is_some() || unready || last.is_some_and(|last| offer.id <= last) {
            // The owner does not know how far we are.
            return self.announce(core);
        }
        self.play(core);
        if offer.round > self.round {
            self.round = offer.round;
            self.tried.clear();
        }
        let purpose = Purpose::Queue {
            queue: self.queue.clone(),
            offer: offer.id,
            bid: self.ranking.bid(self.priority, core.ledger.waited(core.now)),
            sequence: self.sequence,
        };
        self.progress = Some(Progress::Working(offer.id));
        self.attempt = Some(Attempt::start(core, purpose, offer.agents, offer.ring_for, Some(offer.why)));
    }

    pub(super) const fn last_offer(&self) -> Option<OfferId> {
        match self.progress {
            Some(Progress::Working(offer) | Progress::Failed { offer, .. }) => Some(offer),
            None => None,
        }
    }

    /// Back to the queue when nobody of the offer can answer any more (Spec: QU-8).
    pub(super) fn settle(&mut self, core: &mut Core) {
        let Some(missed) = self.attempt.as_ref().and_then(Attempt::failed) else { return };
        self.attempt = None;
        let last_rung = missed.iter().rfind(|(_, miss)| matches!(miss, Miss::Rang(_)));
        let rang = last_rung.is_some();
        core.last_rung = last_rung.map(|(agent, _)| agent.clone()).or(core.last_rung.take());
        let (refused, tried): (Vec<_>, Vec<_>) =
            missed.into_iter().partition(|(_, miss)| matches!(miss, Miss::Refused(_)));
        self.tried.extend(tried.into_iter().map(|(agent, _)| agent));
        if let Some(offer) = self.last_offer() {
            let refused = refused.into_iter().map(|(agent, _)| agent).collect();
            self.progress = Some(Progress::Failed { offer, refused, rang });
        }
        self.announce(core);
    }

    pub(super) fn expire(&mut self, core: &mut Core) {
        let now = core.now.mono;
        if let Some(attempt) = &mut self.attempt {
            attempt.expire(core);
        }
        self.settle(core);
        self.expire_callback(core);
        if self.sound_at.is_some_and(|at| at <= now) {
            self.play(core);
        }
        if self.heartbeat_at <= now && mutant!(NoTicketRefresh) {
            self.heartbeat_at = now + core.config.max_length;
        } else if self.heartbeat_at <= now {
            self.announce(core);
        }
    }

    pub(super) fn deadline(&self) -> Moment {
        let attempt = self.attempt.as_ref().and_then(Attempt::deadline);
        let callback = self.callback.as_ref().and_then(|callback| callback.deadline(self.attempt.is_some()));
        self.sound_at.into_iter().chain(attempt).chain(callback).fold(self.heartbeat_at, Moment::min)
    }

    /// The agent whose phone rings, or who waits until his client answers.
    pub(super) fn agent(&self) -> Option<&AgentId> {
        let waits = self.callback.as_ref().and_then(|callback| callback.agent());
        waits.or_else(|| self.attempt.as_ref().and_then(Attempt::agent))
    }

    /// Those who are reserved, or asked for.
    pub(super) fn agents(&self) -> Vec<AgentId> {
        let waits = self.callback.iter().filter_map(|callback| callback.agent());
        self.attempt.iter().flat_map(Attempt::agents).chain(waits).cloned().collect()
    }

    /// Tells a new owner of `agent` that he is held, or wanted.
    pub(super) fn renew_for(&mut self, core: &mut Core, agent: &AgentId) {
        self.attempt.iter_mut().for_each(|attempt| attempt.renew_for(core, agent));
        self.callback.iter_mut().for_each(|callback| callback.renew_for(core, agent));
    }

    /// A digit that leads nowhere: he hears so, and then what he heard before.
    pub(super) fn refuse_digit(&mut self, core: &mut Core) {
        core.leg(core.caller_leg(), LegCommand::Play(Playback::Declined));
        self.sound_at = Some(core.now.mono + TONE);
    }

    /// A tone that a digit was answered by has come to its end.
    pub(super) fn tone_played(&mut self, core: &mut Core) {
        match &mut self.callback {
            Some(callback) => callback.hang_up_line(core),
            None => self.play(core),
        }
    }

    /// The caller hangs up and keeps his place. What rings for him stops, without penalty for anybody.
    pub(super) fn call_back(&mut self, core: &mut Core, callback: Callback) {
        if let Some(mut attempt) = self.attempt.take() {
            attempt.cancel(core, crate::leg::Cause::Cancelled, None);
            self.offer_failed(Vec::new());
        }
        core.write(Happened::LeftQueue { queue: self.queue.clone(), why: LEFT_FOR_CALLBACK.to_owned() });
        self.sound_at = None;
        self.callback = Some(Box::new(callback));
        self.announce(core);
    }

    /// Nobody of the offer talks with the caller; `spent` are agents who are known to be still about to tell that they are
    /// free again.
    fn offer_failed(&mut self, spent: Vec<AgentId>) {
        if let Some(offer) = self.last_offer() {
            self.progress = Some(Progress::Failed { offer, refused: spent, rang: false });
        }
    }

    /// The client was not reached: the agent is free, and all agents may be asked again after a rest.
    pub(super) fn client_missed(&mut self, core: &mut Core, agent: AgentId) {
        self.offer_failed(vec![agent]);
        self.round += 1;
        self.tried.clear();
        self.announce(core);
    }

    pub(super) fn leave(&self, core: &mut Core, why: Left) {
        core.tell_queue(&self.queue, QueueEvent::Leave { call: core.call(), why });
    }

    /// The offer is won: the queue is told, the others stop ringing.
    pub(super) fn won(mut self, core: &mut Core, won: &Won) -> Option<(QueueId, OfferId)> {
        if let Some(attempt) = &mut self.attempt {
            attempt.cancel(core, crate::leg::Cause::AnsweredElsewhere, Some(won));
        }
        let offer = self.last_offer()?;
        self.leave(core, Left::Connected { offer, agent: won.agent.clone() });
        Some((self.queue, offer))
    }
}
