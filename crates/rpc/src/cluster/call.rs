//! What a call is told by owners on other nodes.

use std::time::Duration;

use carillon_acd::agent::{CommandRefusal, DeviceKind, GrantedDevice, Refusal};
use carillon_acd::call::{Event, FromAgent, FromQueue};
use carillon_acd::explain::Choice;
use carillon_acd::ids::{AgentId, CallId, DeviceId, Epoch, QueueId};
use carillon_acd::offer::{Invitation, Offer, Offered, OwnCall};
use carillon_acd::queue::{Overflow, OverflowReason, PickupRefusal, RingingCall, Then};

use super::ids::{Named, leg, location, micros, reservation};
use super::wire::commanded::Refusal as Declined;
use super::wire::overflow::Then as WireThen;
use super::wire::to_call::Event as Wire;
use super::{Message, wire};

pub(super) fn to_wire(call: CallId, event: &Event) -> Option<wire::ToCall> {
    let event = match event {
        Event::Queue(queue, said) => from_queue_to_wire(queue, said),
        Event::Agent(agent, epoch, said) => from_agent_to_wire(agent, *epoch, said)?,
        Event::HangUp => Wire::HangUp(wire::HangUp {}),
        Event::Start | Event::Leg(..) | Event::Wake => return None,
    };
    Some(wire::ToCall { call: Some(call.into()), event: Some(event) })
}

pub(super) fn from_wire(it: wire::ToCall) -> Option<Message> {
    let call = CallId::from(it.call?);
    let event = match it.event? {
        Wire::Enqueued(it) => {
            Event::Queue(Named::from_name(it.queue)?, FromQueue::Enqueued { sequence: it.sequence?.into() })
        }
        Wire::Offer(it) => offer_from_wire(call, it)?,
        Wire::Overflow(it) => overflow_from_wire(it)?,
        Wire::Granted(it) => granted_from_wire(it)?,
        Wire::Refused(it) => {
            let why = it.why().into();
            let said = FromAgent::Refused { reservation: reservation(it.reservation)?, why };
            Event::Agent(Named::from_name(it.agent)?, Epoch(it.epoch), said)
        }
        Wire::Lost(it) => {
            let said = FromAgent::Lost { reservation: reservation(it.reservation)? };
            Event::Agent(Named::from_name(it.agent)?, Epoch(it.epoch), said)
        }
        Wire::Commanded(it) => {
            let done = match it.refusal {
                None => Ok(()),
                Some(Declined::NotInWrapUp(_)) => Err(CommandRefusal::NotInWrapUp),
                Some(Declined::DoesNotServe(queue)) => {
                    Err(CommandRefusal::DoesNotServe(Named::from_name(Some(queue))?))
                }
            };
            Event::Agent(Named::from_name(it.agent)?, Epoch(it.epoch), FromAgent::Commanded(done))
        }
        Wire::Rings(it) => {
            let ringing_for = Duration::from_micros(it.ringing_for_us);
            let why = it.why().into();
            let found = it.call.map(|call| RingingCall { call: call.into(), ringing_for }).ok_or(why);
            Event::Queue(Named::from_name(it.queue)?, FromQueue::Rings(found))
        }
        Wire::NotPickedUp(it) => {
            let said = FromQueue::NotPickedUp { call: it.call?.into(), why: it.why().into() };
            Event::Queue(Named::from_name(it.queue)?, said)
        }
        Wire::HangUp(_) => Event::HangUp,
    };
    Some(Message::Call(call, event))
}

fn from_queue_to_wire(queue: &QueueId, said: &FromQueue) -> Wire {
    let queue = Some(queue.to_name());
    match said {
        FromQueue::Enqueued { sequence } => {
            Wire::Enqueued(wire::Enqueued { queue, sequence: Some((*sequence).into()) })
        }
        FromQueue::Offer(offer) => Wire::Offer(wire::Offer {
            queue,
            id: Some(offer.id.into()),
            agents: offer.agents.iter().map(offered_to_wire).collect(),
            round: offer.round,
            ring_for_us: micros(offer.ring_for),
            // A reason has only string keys; one that could not be written would be unknown to the reader.
            why: serde_json::to_vec(&offer.why).unwrap_or_default(),
        }),
        FromQueue::Rings(found) => {
            let (call, ringing_for_us, why) = match found {
                Ok(ringing) => (Some(ringing.call.into()), micros(ringing.ringing_for), None),
                Err(why) => (None, 0, Some(*why)),
            };
            let why = why.map(wire::PickupRefusal::from).unwrap_or_default().into();
            Wire::Rings(wire::Rings { queue, call, ringing_for_us, why })
        }
        FromQueue::NotPickedUp { call, why } => Wire::NotPickedUp(wire::NotPickedUp {
            queue,
            call: Some((*call).into()),
            why: wire::PickupRefusal::from(*why).into(),
        }),
        FromQueue::Overflow { epoch, overflow } => Wire::Overflow(wire::Overflow {
            queue,
            epoch: epoch.0,
            why: wire::OverflowReason::from(overflow.why).into(),
            message: overflow.message.as_ref().map(Named::to_name),
            then: then_to_wire(&overflow.then),
            farewell: overflow.farewell.as_ref().map(Named::to_name),
            ring_for_us: micros(overflow.ring_for),
            other_call: match overflow.why {
                OverflowReason::Merged(other) | OverflowReason::Reached(other) => Some(other.into()),
                OverflowReason::RoundUnanswered
                | OverflowReason::MaxWait
                | OverflowReason::MaxTotalWait
                | OverflowReason::NobodyLoggedIn
                | OverflowReason::MaxWaiting => None,
            },
        }),
    }
}

fn offered_to_wire(it: &Offered) -> wire::Offered {
    let (invitation, own) = match it.invitation {
        Invitation::Chosen => (wire::Invitation::Unspecified, None),
        Invitation::Asked => (wire::Invitation::Asked, None),
        Invitation::OwnCall(own) => (wire::Invitation::OwnCall, Some(own)),
    };
    wire::Offered {
        agent: Some(it.agent.to_name()),
        hardware_limit: u32::from(it.hardware_limit),
        invitation: invitation.into(),
        own_leg: own.map(|own| own.leg.into()),
        own_reservation: own.map(|own| own.reservation.into()),
    }
}

fn offered_from_wire(it: wire::Offered) -> Option<Offered> {
    let invitation = match it.invitation() {
        wire::Invitation::Unspecified => Invitation::Chosen,
        wire::Invitation::Asked => Invitation::Asked,
        wire::Invitation::OwnCall => {
            Invitation::OwnCall(OwnCall { leg: leg(it.own_leg)?, reservation: reservation(it.own_reservation)? })
        }
    };
    let hardware_limit = u8::try_from(it.hardware_limit).unwrap_or(u8::MAX);
    Some(Offered { agent: Named::from_name(it.agent)?, hardware_limit, invitation })
}

fn offer_from_wire(call: CallId, it: wire::Offer) -> Option<Event> {
    let queue = QueueId::from_name(it.queue)?;
    let offer = Offer {
        id: it.id?.into(),
        queue: queue.clone(),
        call,
        agents: it.agents.into_iter().map(offered_from_wire).collect::<Option<_>>()?,
        why: serde_json::from_slice(&it.why).unwrap_or(Choice::Unknown),
        round: it.round,
        ring_for: Duration::from_micros(it.ring_for_us),
    };
    Some(Event::Queue(queue, FromQueue::Offer(offer)))
}

fn then_to_wire(then: &Then) -> Option<WireThen> {
    match then {
        Then::HangUp => None,
        Then::Queue(queue) => Some(WireThen::OtherQueue(queue.to_name())),
        Then::Agent(agent) => Some(WireThen::Agent(agent.to_name())),
        Then::Number(number) => Some(WireThen::Number(number.as_str().to_owned())),
        Then::LastAgentPhone => Some(WireThen::LastAgentPhone(true)),
    }
}

fn overflow_from_wire(it: wire::Overflow) -> Option<Event> {
    let queue = QueueId::from_name(it.queue.clone())?;
    let overflow = Overflow {
        why: reason(it.why(), it.other_call)?,
        message: Named::from_name(it.message),
        then: match it.then {
            None => Then::HangUp,
            Some(WireThen::OtherQueue(queue)) => Then::Queue(Named::from_name(Some(queue))?),
            Some(WireThen::Agent(agent)) => Then::Agent(Named::from_name(Some(agent))?),
            Some(WireThen::Number(number)) => Then::Number(number.parse().ok()?),
            Some(WireThen::LastAgentPhone(_)) => Then::LastAgentPhone,
        },
        farewell: Named::from_name(it.farewell),
        ring_for: Duration::from_micros(it.ring_for_us),
    };
    Some(Event::Queue(queue, FromQueue::Overflow { epoch: Epoch(it.epoch), overflow }))
}

/// [`FromAgent::NewOwner`] does not travel: a new owner announces itself to nodes, and they ask their calls.
fn from_agent_to_wire(agent: &AgentId, epoch: Epoch, said: &FromAgent) -> Option<Wire> {
    let (name, epoch) = (Some(agent.to_name()), epoch.0);
    Some(match said {
        FromAgent::Granted { reservation, devices } => {
            let device = |device: &GrantedDevice| wire::Device {
                index: u32::from(device.id.index),
                kind: wire::DeviceKind::from(device.kind).into(),
                at: device.at.iter().map(Into::into).collect(),
            };
            let devices = devices.iter().map(device).collect();
            Wire::Granted(wire::Granted { agent: name, reservation: Some((*reservation).into()), devices, epoch })
        }
        FromAgent::Refused { reservation, why } => Wire::Refused(wire::Refused {
            agent: name,
            reservation: Some((*reservation).into()),
            why: wire::Refusal::from(*why).into(),
            epoch,
        }),
        FromAgent::Lost { reservation } => {
            Wire::Lost(wire::Lost { agent: name, reservation: Some((*reservation).into()), epoch })
        }
        FromAgent::Commanded(done) => {
            let refusal = done.as_ref().err().map(|why| match why {
                CommandRefusal::NotInWrapUp => Declined::NotInWrapUp(true),
                CommandRefusal::DoesNotServe(queue) => Declined::DoesNotServe(queue.to_name()),
            });
            Wire::Commanded(wire::Commanded { agent: name, epoch, refusal })
        }
        FromAgent::NewOwner => return None,
    })
}

fn granted_from_wire(it: wire::Granted) -> Option<Event> {
    let agent = AgentId::from_name(it.agent)?;
    let device = |it: wire::Device| {
        let id = DeviceId { agent: agent.clone(), index: u8::try_from(it.index).ok()? };
        let kind = it.kind().into();
        Some(GrantedDevice { id, kind, at: it.at.into_iter().map(location).collect::<Option<_>>()? })
    };
    let devices = it.devices.into_iter().map(device).collect::<Option<_>>()?;
    let said = FromAgent::Granted { reservation: reservation(it.reservation)?, devices };
    Some(Event::Agent(agent, Epoch(it.epoch), said))
}

impl From<OverflowReason> for wire::OverflowReason {
    fn from(why: OverflowReason) -> Self {
        match why {
            OverflowReason::RoundUnanswered => wire::OverflowReason::RoundUnanswered,
            OverflowReason::MaxWait => wire::OverflowReason::MaxWait,
            OverflowReason::NobodyLoggedIn => wire::OverflowReason::NobodyLoggedIn,
            OverflowReason::MaxWaiting => wire::OverflowReason::MaxWaiting,
            OverflowReason::MaxTotalWait => wire::OverflowReason::MaxTotalWait,
            OverflowReason::Merged(_) => wire::OverflowReason::Merged,
            OverflowReason::Reached(_) => wire::OverflowReason::Reached,
        }
    }
}

fn reason(it: wire::OverflowReason, other: Option<wire::CallId>) -> Option<OverflowReason> {
    Some(match it {
        wire::OverflowReason::RoundUnanswered | wire::OverflowReason::Unspecified => OverflowReason::RoundUnanswered,
        wire::OverflowReason::MaxWait => OverflowReason::MaxWait,
        wire::OverflowReason::NobodyLoggedIn => OverflowReason::NobodyLoggedIn,
        wire::OverflowReason::MaxWaiting => OverflowReason::MaxWaiting,
        wire::OverflowReason::MaxTotalWait => OverflowReason::MaxTotalWait,
        wire::OverflowReason::Merged => OverflowReason::Merged(other?.into()),
        wire::OverflowReason::Reached => OverflowReason::Reached(other?.into()),
    })
}

impl From<PickupRefusal> for wire::PickupRefusal {
    fn from(why: PickupRefusal) -> Self {
        match why {
            PickupRefusal::NotAllowed => wire::PickupRefusal::NotAllowed,
            PickupRefusal::DoesNotServe => wire::PickupRefusal::DoesNotServe,
            PickupRefusal::NothingRings => wire::PickupRefusal::NothingRings,
        }
    }
}

impl From<wire::PickupRefusal> for PickupRefusal {
    fn from(it: wire::PickupRefusal) -> Self {
        match it {
            wire::PickupRefusal::NotAllowed => PickupRefusal::NotAllowed,
            wire::PickupRefusal::DoesNotServe => PickupRefusal::DoesNotServe,
            wire::PickupRefusal::NothingRings | wire::PickupRefusal::Unspecified => PickupRefusal::NothingRings,
        }
    }
}

impl From<DeviceKind> for wire::DeviceKind {
    fn from(kind: DeviceKind) -> Self {
        match kind {
            DeviceKind::Hardware => wire::DeviceKind::Hardware,
            DeviceKind::Browser => wire::DeviceKind::Browser,
            DeviceKind::Desktop => wire::DeviceKind::Desktop,
            DeviceKind::Mobile => wire::DeviceKind::Mobile,
        }
    }
}

impl From<wire::DeviceKind> for DeviceKind {
    fn from(it: wire::DeviceKind) -> Self {
        match it {
            wire::DeviceKind::Hardware => DeviceKind::Hardware,
            wire::DeviceKind::Browser => DeviceKind::Browser,
            wire::DeviceKind::Desktop | wire::DeviceKind::Unspecified => DeviceKind::Desktop,
            wire::DeviceKind::Mobile => DeviceKind::Mobile,
        }
    }
}

impl From<Refusal> for wire::Refusal {
    fn from(why: Refusal) -> Self {
        match why {
            Refusal::Busy => wire::Refusal::Busy,
            Refusal::WrapUp => wire::Refusal::WrapUp,
            Refusal::OnBreak => wire::Refusal::OnBreak,
            Refusal::LoggedOut => wire::Refusal::LoggedOut,
            Refusal::NotInQueue => wire::Refusal::NotInQueue,
            Refusal::Unreachable => wire::Refusal::Unreachable,
            Refusal::StaleEpoch => wire::Refusal::StaleEpoch,
            Refusal::Over => wire::Refusal::Over,
        }
    }
}

impl From<wire::Refusal> for Refusal {
    fn from(it: wire::Refusal) -> Self {
        match it {
            wire::Refusal::Busy | wire::Refusal::Unspecified => Refusal::Busy,
            wire::Refusal::WrapUp => Refusal::WrapUp,
            wire::Refusal::OnBreak => Refusal::OnBreak,
            wire::Refusal::LoggedOut => Refusal::LoggedOut,
            wire::Refusal::NotInQueue => Refusal::NotInQueue,
            wire::Refusal::Unreachable => Refusal::Unreachable,
            wire::Refusal::StaleEpoch => Refusal::StaleEpoch,
            wire::Refusal::Over => Refusal::Over,
        }
    }
}
