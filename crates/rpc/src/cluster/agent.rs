//! What the owner of an agent is told.

use std::time::Duration;

use carillon_acd::agent::{Event, Purpose, Released};
use carillon_acd::ids::{AgentId, NodeId};
use carillon_acd::rank::Bid;
use carillon_acd::view::AgentCommand;

use super::ids::{Named, contact, micros, reservation};
use super::wire::command::Wish as WireWish;
use super::wire::reserve::{self, Purpose as WirePurpose};
use super::wire::to_agent::Event as Wire;
use super::{Message, wire};

pub(super) fn to_wire(agent: &AgentId, event: &Event) -> Option<wire::ToAgent> {
    let event = match event {
        Event::Reachable { device, edge, contacts } => Wire::Reachable(wire::Reachable {
            device: u32::from(*device),
            edge: edge.0,
            contacts: contacts.iter().map(Into::into).collect(),
        }),
        Event::Reserve { reservation, purpose } => {
            let purpose = Some(purpose_to_wire(purpose));
            Wire::Reserve(wire::Reserve { reservation: Some((*reservation).into()), purpose })
        }
        Event::Connected { reservation, queue } => Wire::Connected(wire::Connected {
            reservation: Some((*reservation).into()),
            queue: queue.as_ref().map(Named::to_name),
        }),
        Event::Command { call, command } => {
            Wire::Command(wire::Command { call: Some((*call).into()), wish: Some(wish_to_wire(command)) })
        }
        Event::Release { reservation, why } => Wire::Release(wire::Release {
            reservation: Some((*reservation).into()),
            why: wire::Released::from(*why).into(),
        }),
        // Every node sees by itself which edges are gone.
        Event::EdgeGone { .. } | Event::Configured(_) | Event::Removed | Event::Start | Event::Wake => return None,
    };
    Some(wire::ToAgent { agent: Some(agent.to_name()), event: Some(event) })
}

pub(super) fn from_wire(it: wire::ToAgent) -> Option<Message> {
    let agent = AgentId::from_name(it.agent)?;
    let event = match it.event? {
        Wire::Reachable(it) => Event::Reachable {
            device: u8::try_from(it.device).ok()?,
            edge: NodeId(it.edge),
            contacts: it.contacts.into_iter().map(contact).collect::<Option<_>>()?,
        },
        Wire::Reserve(it) => {
            Event::Reserve { reservation: reservation(it.reservation)?, purpose: purpose_from_wire(it.purpose?)? }
        }
        Wire::Connected(it) => {
            Event::Connected { reservation: reservation(it.reservation)?, queue: Named::from_name(it.queue) }
        }
        Wire::Command(it) => Event::Command { call: it.call?.into(), command: wish_from_wire(it.wish?)? },
        Wire::Release(it) => Event::Release { why: it.why().into(), reservation: reservation(it.reservation)? },
    };
    Some(Message::Agent(agent, event))
}

fn purpose_to_wire(purpose: &Purpose) -> WirePurpose {
    match purpose {
        Purpose::Queue { queue, offer, bid, sequence } => WirePurpose::Queue(reserve::FromQueue {
            queue: Some(queue.to_name()),
            offer: Some((*offer).into()),
            bid: Some((*bid).into()),
            sequence: sequence.map(Into::into),
        }),
        Purpose::PickUp { queue, offer, own } => WirePurpose::PickUp(reserve::PickUp {
            queue: Some(queue.to_name()),
            offer: Some((*offer).into()),
            own: own.map(Into::into),
        }),
        Purpose::Direct => WirePurpose::Direct(reserve::Direct {}),
        Purpose::Own => WirePurpose::Own(reserve::Own {}),
    }
}

fn purpose_from_wire(it: WirePurpose) -> Option<Purpose> {
    Some(match it {
        WirePurpose::Queue(it) => Purpose::Queue {
            queue: Named::from_name(it.queue)?,
            offer: it.offer?.into(),
            bid: it.bid?.into(),
            sequence: it.sequence.map(Into::into),
        },
        WirePurpose::PickUp(it) => Purpose::PickUp {
            queue: Named::from_name(it.queue)?,
            offer: it.offer?.into(),
            own: match it.own {
                None => None,
                own => Some(reservation(own)?),
            },
        },
        WirePurpose::Direct(_) => Purpose::Direct,
        WirePurpose::Own(_) => Purpose::Own,
    })
}

fn wish_to_wire(command: &AgentCommand) -> WireWish {
    let plain = |wish: wire::Wish| WireWish::Plain(wish.into());
    match command {
        AgentCommand::Ready => plain(wire::Wish::Ready),
        AgentCommand::Break => plain(wire::Wish::Break),
        AgentCommand::LogOut => plain(wire::Wish::LogOut),
        AgentCommand::EndWrapUp => plain(wire::Wish::EndWrapUp),
        AgentCommand::QueueLogIn(queue) => WireWish::LogIn(queue.to_name()),
        AgentCommand::QueueLogOut(queue) => WireWish::LogOut(queue.to_name()),
    }
}

fn wish_from_wire(it: WireWish) -> Option<AgentCommand> {
    Some(match it {
        WireWish::Plain(wish) => match wire::Wish::try_from(wish).unwrap_or_default() {
            wire::Wish::Ready => AgentCommand::Ready,
            wire::Wish::Break => AgentCommand::Break,
            wire::Wish::LogOut => AgentCommand::LogOut,
            wire::Wish::EndWrapUp => AgentCommand::EndWrapUp,
            wire::Wish::Unspecified => return None,
        },
        WireWish::LogIn(queue) => AgentCommand::QueueLogIn(Named::from_name(Some(queue))?),
        WireWish::LogOut(queue) => AgentCommand::QueueLogOut(Named::from_name(Some(queue))?),
    })
}

impl From<Bid> for wire::Bid {
    fn from(bid: Bid) -> Self {
        let waited_us = i64::try_from(bid.waited_us()).unwrap_or(i64::MAX);
        wire::Bid { strict_weight_us: micros(bid.strict_weight()), priority: bid.priority(), waited_us }
    }
}

impl From<wire::Bid> for Bid {
    fn from(it: wire::Bid) -> Self {
        Bid::new(Duration::from_micros(it.strict_weight_us), it.priority, i128::from(it.waited_us))
    }
}

impl From<Released> for wire::Released {
    fn from(why: Released) -> Self {
        match why {
            Released::Ended => wire::Released::Ended,
            Released::NotAnswered => wire::Released::NotAnswered,
            Released::NoPenalty => wire::Released::NoPenalty,
            Released::Unreachable => wire::Released::Unreachable,
        }
    }
}

impl From<wire::Released> for Released {
    fn from(it: wire::Released) -> Self {
        match it {
            wire::Released::Ended => Released::Ended,
            wire::Released::NotAnswered => Released::NotAnswered,
            wire::Released::NoPenalty | wire::Released::Unspecified => Released::NoPenalty,
            wire::Released::Unreachable => Released::Unreachable,
        }
    }
}
