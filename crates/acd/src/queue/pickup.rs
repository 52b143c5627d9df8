//! Pickup: an agent takes a call that rings at a colleague (Spec: TR-4). He joins the offer that rings, as agents do who
//! become free while it does; the call and the agent decide whether he gets it.

use super::offering::RING;
use super::selection::Seat;
use super::waiting::{Ringing, State};
use super::{Effect, PickupRefusal, Queue, RingingCall};
use crate::call::FromQueue;
use crate::explain::Choice;
use crate::ids::{AgentId, CallId};
use crate::offer::{Invitation, Offer, Offered, OwnCall};
use crate::time::{Moment, Now};

impl Queue {
    /// The call that has rung for longest; with `only`, whether that one rings.
    ///
    /// # Errors
    /// [`PickupRefusal`] when there is none, or none for this agent.
    pub fn rings(&self, now: Now, agent: &AgentId, only: Option<CallId>) -> Result<RingingCall, PickupRefusal> {
        self.longest_ringing(now.mono, agent, only)
    }

    /// An agent picks a call up with his devices.
    ///
    /// # Errors
    /// As [`Queue::rings`].
    pub fn pick_up(
        &mut self,
        now: Now,
        call: CallId,
        agent: &AgentId,
        out: &mut Vec<Effect>,
    ) -> Result<(), PickupRefusal> {
        self.expire(now.mono, out);
        self.invite(now.mono, call, agent, Invitation::Asked, out)
    }

    pub(super) fn what_rings(&self, now: Moment, asker: CallId, agent: &AgentId, out: &mut Vec<Effect>) {
        self.tell(asker, FromQueue::Rings(self.longest_ringing(now, agent, None)), out);
    }

    pub(super) fn asked_for(
        &mut self,
        now: Moment,
        call: CallId,
        agent: &AgentId,
        own: OwnCall,
        out: &mut Vec<Effect>,
    ) {
        if let Err(why) = self.invite(now, call, agent, Invitation::OwnCall(own), out) {
            self.tell(own.leg.call, FromQueue::NotPickedUp { call, why }, out);
        }
    }

    fn may_pick_up(&self, agent: &AgentId) -> Result<Seat, PickupRefusal> {
        let seat = self.roster.seat(agent).ok_or(PickupRefusal::DoesNotServe)?;
        if self.config.pickup { Ok(seat) } else { Err(PickupRefusal::NotAllowed) }
    }

    fn longest_ringing(
        &self,
        now: Moment,
        agent: &AgentId,
        only: Option<CallId>,
    ) -> Result<RingingCall, PickupRefusal> {
        self.may_pick_up(agent)?;
        let rings = |state: &State| match state {
            State::Offered(ringing) => can_be_joined(ringing).then_some(ringing.made),
            State::Waiting | State::Resting { .. } | State::Leaving(_) => None,
        };
        let callers = self.waiting.iter().filter(|caller| only.is_none_or(|only| only == caller.call));
        let ringing = callers.filter_map(|caller| Some((rings(&caller.state)?, caller.call)));
        let (made, call) = ringing.min().ok_or(PickupRefusal::NothingRings)?;
        Ok(RingingCall { call, ringing_for: now.since(made) })
    }

    /// Makes him part of the offer, and repeats it to the call with him in it.
    fn invite(
        &mut self,
        now: Moment,
        call: CallId,
        agent: &AgentId,
        invitation: Invitation,
        out: &mut Vec<Effect>,
    ) -> Result<(), PickupRefusal> {
        let seat = self.may_pick_up(agent)?;
        let mut caller = self.waiting.take(call).ok_or(PickupRefusal::NothingRings)?;
        let round = caller.round;
        let joined = match &mut caller.state {
            State::Offered(ringing) if can_be_joined(ringing) => {
                let hardware_limit = self.roster.hardware(seat);
                if ringing.seats.iter().all(|(known, _)| *known != seat) {
                    ringing.seats.push((seat, self.roster.summon(seat)));
                }
                // He wants it now: he has one ring at least.
                let ring_for = self.config.ring_for.saturating_sub(now.since(ringing.made)).max(RING);
                let agents = vec![Offered { agent: agent.clone(), hardware_limit, invitation }];
                let (id, queue, why) = (ringing.offer, self.id.clone(), Choice::PickUp);
                Some(Offer { id, queue, call, agents, round, ring_for, why })
            }
            State::Offered(_) | State::Waiting | State::Resting { .. } | State::Leaving(_) => None,
        };
        self.waiting.insert(caller);
        self.tell(call, FromQueue::Offer(joined.ok_or(PickupRefusal::NothingRings)?), out);
        Ok(())
    }
}

/// An offer of an owner before us would be taken for a stale one.
fn can_be_joined(ringing: &Ringing) -> bool {
    !ringing.seats.is_empty()
}
