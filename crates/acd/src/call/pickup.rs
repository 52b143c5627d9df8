//! A call with which an agent picks up what rings at his colleagues (Spec: TR-4). It holds him, asks his queues what rings,
//! and lets the queue of the longest ringing call make him part of that call's offer. From there everything is that call's
//! doing: it takes over his reservation from this call, and his leg, and this call ends without hanging anything up.

use super::state::State;
use super::{Call, End};
use crate::ids::{AgentId, CallId, LegId, QueueId};
use crate::leg::{Cause, Source};
use crate::offer::OwnCall;
use crate::queue::{Event as QueueEvent, PickupRefusal, RingingCall};
use crate::record::{Happened, Outcome};
use crate::time::Moment;

/// Within the time that an owner may take to answer, a question is asked so often.
const ASKED: u32 = 4;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct PickUp {
    agent: AgentId,
    /// The queues that have not answered.
    unheard: Vec<QueueId>,
    found: Vec<Found>,
    /// What he is about to get; while it is `None`, the queues are asked.
    taking: Option<Found>,
    again_at: Moment,
    until: Moment,
}

/// A call that rings.
#[derive(Clone, Debug)]
struct Found {
    queue: QueueId,
    call: CallId,
    since: Moment,
}

impl PickUp {
    pub(super) fn deadline(&self) -> Moment {
        self.again_at.min(self.until)
    }
}

impl Call {
    pub(super) fn pick_up(&mut self, queues: Vec<QueueId>) {
        let Source::Device(device) = &self.core.incoming.source else {
            // Only a plan for an agent has such a step.
            return self.end(End::by_us(Outcome::Refused, Cause::NotFound));
        };
        // Who is not held may talk on another phone, and nothing could be handed over.
        if self.core.own.as_ref().is_none_or(|own| !own.granted) {
            return self.give_up("no word from the agent's owner");
        }
        let now = self.core.now.mono;
        self.state = State::PickingUp(Box::new(PickUp {
            agent: device.agent.clone(),
            unheard: queues,
            found: Vec::new(),
            taking: None,
            again_at: now,
            until: now + self.core.config.reserve_within,
        }));
        self.expire_pickup();
    }

    /// Asks again, and goes on without those who do not answer.
    pub(super) fn expire_pickup(&mut self) {
        let now = self.core.now.mono;
        let State::PickingUp(pickup) = &mut self.state else { return };
        if pickup.until <= now {
            return match pickup.taking {
                None => self.take_longest(),
                Some(_) => self.give_up("the call was not handed over in time"),
            };
        }
        if pickup.again_at > now {
            return;
        }
        pickup.again_at = now + self.core.config.reserve_within / ASKED;
        let (asker, agent) = (self.core.incoming.call, pickup.agent.clone());
        match (pickup.taking.clone(), &self.core.own) {
            (None, _) => {
                for queue in pickup.unheard.clone() {
                    self.core.tell_queue(&queue, QueueEvent::WhatRings { asker, agent: agent.clone() });
                }
            }
            (Some(Found { queue, call, .. }), Some(own)) => {
                let own = OwnCall { leg: LegId::caller(asker), reservation: own.reservation };
                self.core.tell_queue(&queue, QueueEvent::PickUp { call, agent, own });
            }
            // Nobody holds him for this call, so nobody can hand him over.
            (Some(_), None) => self.give_up("the agent is not held"),
        }
    }

    pub(super) fn rings_there(&mut self, queue: &QueueId, found: Result<RingingCall, PickupRefusal>) {
        let now = self.core.now.mono;
        let State::PickingUp(pickup) = &mut self.state else { return };
        // An answer to a repeated question.
        let Some(place) = pickup.unheard.iter().position(|unheard| unheard == queue) else { return };
        pickup.unheard.swap_remove(place);
        if let Ok(RingingCall { call, ringing_for }) = found {
            pickup.found.push(Found { queue: queue.clone(), call, since: now - ringing_for });
        }
        if pickup.unheard.is_empty() && pickup.taking.is_none() {
            self.take_longest();
        }
    }

    pub(super) fn not_picked_up(&mut self, queue: &QueueId, call: CallId, why: PickupRefusal) {
        let State::PickingUp(pickup) = &self.state else { return };
        if pickup.taking.as_ref().is_some_and(|taking| taking.call == call && taking.queue == *queue) {
            self.core.write(Happened::Routed { why: format!("call {call} of {queue}: {why}") });
            self.take_longest();
        }
    }

    /// The longest ringing call of those that are left (Spec: TR-4).
    fn take_longest(&mut self) {
        let now = self.core.now.mono;
        let State::PickingUp(pickup) = &mut self.state else { return };
        let Some(longest) = (0..pickup.found.len()).min_by_key(|&place| pickup.found[place].since) else {
            return self.give_up("nothing rings");
        };
        pickup.taking = Some(pickup.found.swap_remove(longest));
        pickup.again_at = now;
        // The other call asks its agent's owner, who may take as long as ours.
        pickup.until = now + self.core.config.reserve_within * 2;
        self.expire_pickup();
    }

    fn give_up(&mut self, why: &str) {
        self.core.write(Happened::Routed { why: why.to_owned() });
        self.decline(Cause::NotFound);
    }

    /// The other call goes on with our caller.
    pub(super) fn taken_over(&mut self, by: CallId) {
        self.core.write(Happened::TakenOver { by });
        self.end(End::taken_over());
    }
}
