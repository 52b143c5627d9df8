//! What may never be, asked after every step. The predicates that need only the machines are `acd::invariant`'s; those
//! here compare what was said with what had been said before.

use std::collections::{BTreeMap, BTreeSet};

use carillon_acd::agent::{self, Purpose, Released, ReservationId};
use carillon_acd::call::{self, FromAgent, FromQueue};
use carillon_acd::ids::{AgentId, CallId, Epoch, QueueId};
use carillon_acd::leg::{Cause, LegCommand};
use carillon_acd::queue::{self, OpenCaller, Queue, Strategy};
use carillon_acd::ticket::Sequence;

use crate::phones::Phones;

/// The order in which callers came, as a witness saw it: by owner, then by when the owner gave the place.
type Entry = (Epoch, u64);

/// What was said so far.
#[derive(Default)]
pub(crate) struct Watch {
    /// The newest epoch that a call has heard of its queue.
    call_heard: BTreeMap<(CallId, QueueId), Epoch>,
    reserved: BTreeSet<ReservationId>,
    asked: BTreeMap<(ReservationId, Epoch), (QueueId, Epoch)>,
    /// By owner of the agent: a new one has heard of no owner of a queue yet.
    granted: BTreeMap<(AgentId, Epoch, QueueId), Epoch>,
    /// Places given, by what was told to the call.
    given: BTreeMap<(QueueId, CallId, Epoch), Entry>,
    told: BTreeMap<(QueueId, CallId, Sequence), Entry>,
    /// Where a caller's order is settled.
    entries: BTreeMap<(QueueId, CallId), Entry>,
    places: u64,
    open: Vec<OpenCaller>,
}

impl Watch {
    pub(crate) fn before(&mut self, queue: &Queue) {
        self.open.clear();
        self.open.extend(queue.open_callers());
    }

    /// CL-3: a call that has heard a newer owner of its queue makes no new reservation for an older one. And a release
    /// blames nobody whose phone was taken away (QU-2, QU-3).
    pub(crate) fn call(
        &mut self,
        id: CallId,
        event: &call::Event,
        effects: &[call::Effect],
        phones: &Phones,
    ) -> Result<(), String> {
        if let call::Event::Queue(queue, said) = event {
            match said {
                FromQueue::Enqueued { sequence } => {
                    if let Some(entry) = self.told.get(&(queue.clone(), id, *sequence)) {
                        self.entries.entry((queue.clone(), id)).or_insert(*entry);
                    }
                }
                FromQueue::Offer(offer) => self.heard(id, queue, offer.id.epoch),
                FromQueue::Overflow { epoch, .. } => self.heard(id, queue, *epoch),
            }
        }
        let mut taken = Vec::new();
        for effect in effects {
            match effect {
                call::Effect::ToAgent(_, agent::Event::Reserve { reservation, purpose }) => {
                    self.reserves(id, *reservation, purpose)?;
                }
                call::Effect::Leg(leg, LegCommand::HangUp(Cause::AnsweredElsewhere | Cause::Cancelled)) => {
                    taken.extend(phones.agent_of(*leg));
                }
                call::Effect::ToAgent(agent, agent::Event::Release { why: Released::NotAnswered, .. })
                    if taken.contains(&agent) =>
                {
                    return Err(format!("{agent} is blamed for a phone that was taken away from him by {id}"));
                }
                call::Effect::Leg(..)
                | call::Effect::ToAgent(..)
                | call::Effect::ToQueue(..)
                | call::Effect::Finished(_) => {}
            }
        }
        Ok(())
    }

    fn heard(&mut self, id: CallId, queue: &QueueId, epoch: Epoch) {
        let newest = self.call_heard.entry((id, queue.clone())).or_default();
        *newest = (*newest).max(epoch);
    }

    fn reserves(&mut self, id: CallId, reservation: ReservationId, purpose: &Purpose) -> Result<(), String> {
        let Purpose::Queue { queue, offer, .. } = purpose else { return Ok(()) };
        if !self.reserved.insert(reservation) {
            return Ok(());
        }
        match self.call_heard.get(&(id, queue.clone())) {
            Some(newest) if offer.epoch < *newest => {
                Err(format!("{id} takes an offer of {} although it has heard {newest} of {queue}", offer.epoch))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// CL-3: an agent who was granted to a newer owner of a queue is not granted to an older one.
    pub(crate) fn agent(
        &mut self,
        id: &AgentId,
        owner: Epoch,
        event: &agent::Event,
        effects: &[agent::Effect],
    ) -> Result<(), String> {
        if let agent::Event::Reserve { reservation, purpose: Purpose::Queue { queue, offer, .. } } = event {
            self.asked.insert((*reservation, owner), (queue.clone(), offer.epoch));
        }
        for effect in effects {
            let agent::Effect::ToCall(_, call::Event::Agent(_, _, FromAgent::Granted { reservation, .. })) = effect
            else {
                continue;
            };
            let Some((queue, epoch)) = self.asked.remove(&(*reservation, owner)) else { continue };
            let newest = self.granted.entry((id.clone(), owner, queue.clone())).or_default();
            if epoch < *newest {
                return Err(format!("{id} is granted to {epoch} of {queue} although {newest} had him before"));
            }
            *newest = epoch;
        }
        Ok(())
    }

    /// QU-7: nobody is overtaken by a caller of the same priority who came later, unless the agent was tried for him, or one
    /// of the two waited in another queue before.
    pub(crate) fn queue(
        &mut self,
        id: &QueueId,
        epoch: Epoch,
        strategy: Strategy,
        effects: &[queue::Effect],
        after: &Queue,
    ) -> Result<(), String> {
        for queue::Effect::ToCall(call, said) in effects {
            let call::Event::Queue(_, said) = said else { continue };
            match said {
                FromQueue::Enqueued { sequence } => {
                    self.places += 1;
                    let next = (epoch, self.places);
                    let entry = *self.given.entry((id.clone(), *call, epoch)).or_insert(next);
                    self.told.entry((id.clone(), *call, *sequence)).or_insert(entry);
                }
                FromQueue::Offer(offer) if strategy != Strategy::AllAtOnce => {
                    self.nobody_is_overtaken(id, epoch, *call, &offer.agents[0].agent, after)?;
                }
                FromQueue::Offer(_) | FromQueue::Overflow { .. } => {}
            }
        }
        Ok(())
    }

    fn nobody_is_overtaken(
        &self,
        id: &QueueId,
        epoch: Epoch,
        call: CallId,
        agent: &AgentId,
        after: &Queue,
    ) -> Result<(), String> {
        // An owner and its predecessor may both have given a caller his place; then the one who offers is right to follow
        // its own book, and the next owner will follow the ticket.
        let settled = |call: CallId| self.entries.get(&(id.clone(), call)).copied();
        let own = |call: CallId| self.given.get(&(id.clone(), call, epoch)).copied();
        let is_before = |first: CallId, second: CallId| {
            let by = |entry: &dyn Fn(CallId) -> Option<Entry>, or: &dyn Fn(CallId) -> Option<Entry>| {
                let (first, second) = (entry(first).or_else(|| or(first)), entry(second).or_else(|| or(second)));
                first.zip(second).is_some_and(|(first, second)| first < second)
            };
            by(&settled, &own) && by(&own, &settled)
        };
        let Some(offered) = self.open.iter().find(|open| open.call == call) else { return Ok(()) };
        for still in after.open_callers() {
            let waited = self.open.iter().any(|open| open.call == still.call && open.priority == offered.priority);
            let entered_here = !offered.came_over && !still.came_over;
            if waited && entered_here && !still.tried.contains(agent) && is_before(still.call, call) {
                return Err(format!("{call} is offered to {agent} before {}, who came earlier to {id}", still.call));
            }
        }
        Ok(())
    }
}
