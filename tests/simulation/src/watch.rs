//! What may never be, asked after every step. The predicates that need only the machines are `acd::invariant`'s; those
//! here compare what was said with what had been said before.

use std::collections::{BTreeMap, BTreeSet};

use carillon_acd::agent::{self, Purpose, Refusal, Released, ReservationId};
use carillon_acd::call::{self, FromAgent, FromQueue};
use carillon_acd::ids::{AgentId, CallId, Epoch, QueueId};
use carillon_acd::leg::{Cause, LegCommand};
use carillon_acd::rank::Bid;

use crate::phones::Phones;

/// What was said so far.
#[derive(Default)]
pub(crate) struct Watch {
    /// The newest epoch that a call has heard of its queue.
    call_heard: BTreeMap<(CallId, QueueId), Epoch>,
    reserved: BTreeSet<ReservationId>,
    bids: BTreeMap<ReservationId, Bid>,
    asked: BTreeMap<(ReservationId, Epoch), (QueueId, Epoch)>,
    /// By owner of the agent: a new one has heard of no owner of a queue yet.
    granted: BTreeMap<(AgentId, Epoch, QueueId), Epoch>,
}

impl Watch {
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
                FromQueue::Enqueued { .. } => {}
                FromQueue::Offer(offer) => self.heard(id, queue, offer.id.epoch),
                FromQueue::Overflow { epoch, .. } => self.heard(id, queue, *epoch),
                FromQueue::Rings(_) | FromQueue::NotPickedUp { .. } => {}
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
        let (Purpose::Queue { queue, offer, .. } | Purpose::PickUp { queue, offer, .. }) = purpose else {
            return Ok(());
        };
        if !self.reserved.insert(reservation) {
            return Ok(());
        }
        if let Purpose::Queue { bid, .. } = purpose {
            self.bids.insert(reservation, *bid);
        }
        match self.call_heard.get(&(id, queue.clone())) {
            Some(newest) if offer.epoch < *newest => {
                Err(format!("{id} takes an offer of {} although it has heard {newest} of {queue}", offer.epoch))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// CL-3: an agent who was granted to a newer owner of a queue is not granted to an older one. QU-7: of the callers of
    /// several queues who ask for him together he is given to the best.
    pub(crate) fn agent(
        &mut self,
        id: &AgentId,
        owner: Epoch,
        event: &agent::Event,
        effects: &[agent::Effect],
    ) -> Result<(), String> {
        if let agent::Event::Reserve { reservation, purpose } = event
            && let Purpose::Queue { queue, offer, .. } | Purpose::PickUp { queue, offer, .. } = purpose
        {
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
            self.is_the_best(id, *reservation, event, effects)?;
        }
        Ok(())
    }

    fn is_the_best(
        &self,
        id: &AgentId,
        granted: ReservationId,
        event: &agent::Event,
        effects: &[agent::Effect],
    ) -> Result<(), String> {
        let Some(bid) = self.bids.get(&granted) else { return Ok(()) };
        // Who asks at this moment comes after the others have been chosen from.
        let too_late =
            |other: &ReservationId| matches!(event, agent::Event::Reserve { reservation, .. } if reservation == other);
        for effect in effects {
            if let agent::Effect::ToCall(call, call::Event::Agent(_, _, said)) = effect
                && let FromAgent::Refused { reservation, why: Refusal::Busy } = said
                && !too_late(reservation)
                && self.bids.get(reservation).is_some_and(|other| other > bid)
            {
                return Err(format!("{id} is given to {} although {call} bids more", granted.call));
            }
        }
        Ok(())
    }
}
