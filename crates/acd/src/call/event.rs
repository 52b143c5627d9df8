//! What a call is told, and what it has done.

use std::time::Duration;

use crate::agent::{self, CommandRefusal, GrantedDevice, Refusal, ReservationId};
use crate::ids::{AgentId, CallId, Epoch, LegId, QueueId};
use crate::leg::{LegCommand, LegEvent};
use crate::offer::Offer;
use crate::queue::{self, Overflow, PickupRefusal, RingingCall};
use crate::record::Record;
use crate::ticket::Sequence;

/// The time limits of a call. Every waiting state has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The longest a call may last; then it is hung up.
    pub max_length: Duration,
    /// The longest a greeting or a last message may play.
    pub max_sound: Duration,
    /// The longest that the tone at the end of a dialled code may play.
    pub max_tone: Duration,
    /// How long a directly dialled agent, or a number dialled by an agent, rings.
    pub ring_for: Duration,
    /// How long an agent's owner may take to answer a request.
    pub reserve_within: Duration,
    /// How much longer than the ringing itself the call waits for the edge's word.
    pub ring_slack: Duration,
    /// How long the other ends of a call that was taken over may take to agree.
    pub revive_within: Duration,
    /// How often the ticket is sent again.
    pub heartbeat: Duration,
    /// How often a reservation is renewed.
    pub renew: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            max_length: Duration::from_secs(12 * 3600),
            max_sound: Duration::from_secs(300),
            max_tone: Duration::from_secs(5),
            ring_for: Duration::from_secs(30),
            reserve_within: Duration::from_secs(2),
            ring_slack: Duration::from_secs(2),
            revive_within: Duration::from_secs(10),
            heartbeat: Duration::from_secs(5),
            renew: Duration::from_secs(10),
        }
    }
}

/// What happens to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The machine begins to live: it walks its plan.
    Start,
    /// The edge reports a leg.
    Leg(LegId, LegEvent),
    /// The owner of a queue speaks.
    Queue(QueueId, FromQueue),
    /// An owner of an agent speaks. Its epoch is looked at before the event reaches the machine, by [`crate::fence::Fence`]:
    /// a call that began after an owner was replaced must not believe that owner either.
    Agent(AgentId, Epoch, FromAgent),
    /// A person or a service hangs the call up.
    HangUp,
    /// The deadline has passed.
    Wake,
}

/// What a queue says to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum FromQueue {
    /// The call has its place. Answers every `Enqueue` whose ticket has no sequence.
    Enqueued {
        /// The place, for the ticket.
        sequence: Sequence,
    },
    /// The queue proposes agents.
    Offer(Offer),
    /// What this call's agent could pick up there, or why nothing (Spec: TR-4). Answers [`queue::Event::WhatRings`].
    Rings(Result<RingingCall, PickupRefusal>),
    /// The call that was asked for by [`queue::Event::PickUp`] cannot be picked up.
    NotPickedUp {
        /// Which.
        call: CallId,
        /// Why.
        why: PickupRefusal,
    },
    /// The queue's rules end the waiting. Sent again with every heartbeat until the call leaves.
    Overflow {
        /// The owner's epoch.
        epoch: Epoch,
        /// What to do now.
        overflow: Overflow,
    },
}

/// What an agent says to a call.
#[derive(Clone, Debug, PartialEq)]
pub enum FromAgent {
    /// He is held for the call.
    Granted {
        /// Which reservation.
        reservation: ReservationId,
        /// The devices to ring; none when he is the caller himself.
        devices: Vec<GrantedDevice>,
    },
    /// He is not.
    Refused {
        /// Which reservation.
        reservation: ReservationId,
        /// Why.
        why: Refusal,
    },
    /// He was, but is not any more: the lease has run out.
    Lost {
        /// Which reservation.
        reservation: ReservationId,
    },
    /// What a code on his phone asked for was done, or why not. Answers every [`agent::Event::Command`].
    Commanded(Result<(), CommandRefusal>),
    /// He has a new owner, who asks every living call what it holds of him before it grants anything. The call renews at
    /// once. One that holds nothing says nothing, even if it has asked for him: were a mere wish granted now, a call that
    /// has him and answers a little later would lose him while his phone rings.
    NewOwner,
}

/// What a call has done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// For the edge.
    Leg(LegId, LegCommand),
    /// For the queue's owner.
    ToQueue(QueueId, queue::Event),
    /// For the agent's owner.
    ToAgent(AgentId, agent::Event),
    /// The call is over; its record. Exactly once, as the last effect; the machine ignores everything after it.
    Finished(Box<Record>),
}
