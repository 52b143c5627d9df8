//! What the owner of a queue is told.

use std::time::Duration;

use carillon_acd::agent::{AgentStatus, Standing, Version};
use carillon_acd::ids::{CallId, Epoch, QueueId};
use carillon_acd::offer::OwnCall;
use carillon_acd::queue::{Enqueue, Event, Left, Progress};
use carillon_acd::skills::Skills;
use carillon_acd::ticket::{Callback, Ticket};

use super::ids::{Named, leg, micros, reservation};
use super::wire::enqueue::Progress as WireProgress;
use super::wire::leave::Why;
use super::wire::to_queue::Event as Wire;
use super::{Message, wire};

pub(super) fn to_wire(queue: &QueueId, event: &Event) -> Option<wire::ToQueue> {
    let event = match event {
        Event::Enqueue(enqueue) => Wire::Enqueue(enqueue_to_wire(enqueue)),
        Event::Leave { call, why } => {
            Wire::Leave(wire::Leave { call: Some((*call).into()), why: Some(left_to_wire(why)) })
        }
        Event::Availability(status) => Wire::Availability(status_to_wire(status)),
        Event::WhatRings { asker, agent } => {
            Wire::WhatRings(wire::WhatRings { asker: Some((*asker).into()), agent: Some(agent.to_name()) })
        }
        Event::PickUp { call, agent, own } => Wire::PickUp(wire::PickUp {
            call: Some((*call).into()),
            agent: Some(agent.to_name()),
            leg: Some(own.leg.into()),
            own: Some(own.reservation.into()),
        }),
        // Every node sees by itself which edges are gone, and what is configured.
        Event::EdgeGone { .. } | Event::Configured(_) | Event::Removed | Event::Wake => return None,
    };
    Some(wire::ToQueue { queue: Some(queue.to_name()), event: Some(event) })
}

pub(super) fn from_wire(it: wire::ToQueue) -> Option<Message> {
    let queue = QueueId::from_name(it.queue)?;
    let event = match it.event? {
        Wire::Enqueue(it) => Event::Enqueue(Box::new(enqueue_from_wire(&queue, it)?)),
        Wire::Leave(it) => Event::Leave { call: it.call?.into(), why: left_from_wire(it.why?)? },
        Wire::Availability(it) => Event::Availability(status_from_wire(it)?),
        Wire::WhatRings(it) => Event::WhatRings { asker: it.asker?.into(), agent: Named::from_name(it.agent)? },
        Wire::PickUp(it) => Event::PickUp {
            call: it.call?.into(),
            agent: Named::from_name(it.agent)?,
            own: OwnCall { leg: leg(it.leg)?, reservation: reservation(it.own)? },
        },
    };
    Some(Message::Queue(queue, event))
}

fn enqueue_to_wire(it: &Enqueue) -> wire::Enqueue {
    let progress = it.progress.as_ref().map(|progress| match progress {
        Progress::Working(offer) => WireProgress::Working((*offer).into()),
        Progress::Failed { offer, refused, rang } => WireProgress::Failed(wire::Failed {
            offer: Some((*offer).into()),
            refused: refused.iter().map(Named::to_name).collect(),
            rang: *rang,
        }),
    });
    let skill =
        |(name, level): (&carillon_acd::ids::Name, u8)| wire::Skill { name: name.to_string(), level: u32::from(level) };
    wire::Enqueue {
        call: Some(it.ticket.call.into()),
        sequence: it.ticket.sequence.map(Into::into),
        moves: it.ticket.moves,
        priority: it.ticket.priority,
        skills: it.ticket.skills.iter().map(skill).collect(),
        waited_us: micros(it.ticket.waited),
        waited_here_us: micros(it.waited_here),
        round: it.round,
        tried: it.tried.iter().map(Named::to_name).collect(),
        progress,
        max_wait_us: it.ticket.max_wait.map(micros),
        caller: it.ticket.caller.as_ref().map(|number| number.as_str().to_owned()).unwrap_or_default(),
        callback: it
            .ticket
            .callback
            .map(|callback| wire::Callback { rest_us: micros(callback.rest), ring_for_us: micros(callback.ring_for) }),
    }
}

fn enqueue_from_wire(queue: &QueueId, it: wire::Enqueue) -> Option<Enqueue> {
    let progress = match it.progress {
        None => None,
        Some(WireProgress::Working(offer)) => Some(Progress::Working(offer.into())),
        Some(WireProgress::Failed(it)) => Some(Progress::Failed {
            offer: it.offer?.into(),
            refused: it.refused.into_iter().filter_map(|agent| Named::from_name(Some(agent))).collect(),
            rang: it.rang,
        }),
    };
    let skill = |it: wire::Skill| Some((it.name.parse().ok()?, u8::try_from(it.level).ok()?));
    let ticket = Ticket {
        call: CallId::from(it.call?),
        queue: queue.clone(),
        sequence: it.sequence.map(Into::into),
        moves: it.moves,
        priority: it.priority,
        skills: Skills::new(it.skills.into_iter().filter_map(skill)),
        waited: Duration::from_micros(it.waited_us),
        max_wait: it.max_wait_us.map(Duration::from_micros),
        caller: it.caller.parse().ok(),
        callback: it.callback.map(|callback| Callback {
            rest: Duration::from_micros(callback.rest_us),
            ring_for: Duration::from_micros(callback.ring_for_us),
        }),
    };
    Some(Enqueue {
        ticket,
        waited_here: Duration::from_micros(it.waited_here_us),
        round: it.round,
        tried: it.tried.into_iter().filter_map(|agent| Named::from_name(Some(agent))).collect(),
        progress,
    })
}

fn left_to_wire(why: &Left) -> Why {
    match why {
        Left::Connected { offer, agent } => {
            Why::Connected(wire::Winner { offer: Some((*offer).into()), agent: Some(agent.to_name()) })
        }
        Left::CalledBack { offer, agent } => {
            Why::CalledBack(wire::Winner { offer: Some((*offer).into()), agent: Some(agent.to_name()) })
        }
        Left::Abandoned => Why::Left(wire::LeftBy::Abandoned.into()),
        Left::Overflowed => Why::Left(wire::LeftBy::Overflowed.into()),
        Left::Gone => Why::Left(wire::LeftBy::Gone.into()),
    }
}

fn left_from_wire(it: Why) -> Option<Left> {
    Some(match it {
        Why::Connected(it) => Left::Connected { offer: it.offer?.into(), agent: Named::from_name(it.agent)? },
        Why::CalledBack(it) => Left::CalledBack { offer: it.offer?.into(), agent: Named::from_name(it.agent)? },
        Why::Left(it) => match wire::LeftBy::try_from(it).unwrap_or_default() {
            wire::LeftBy::Abandoned => Left::Abandoned,
            wire::LeftBy::Overflowed => Left::Overflowed,
            wire::LeftBy::Gone | wire::LeftBy::Unspecified => Left::Gone,
        },
    })
}

fn status_to_wire(it: &AgentStatus) -> wire::AgentStatus {
    wire::AgentStatus {
        agent: Some(it.agent.to_name()),
        epoch: it.version.epoch.0,
        counter: it.version.counter,
        standing: wire::Standing::from(it.standing).into(),
        idle_for_us: micros(it.idle_for),
        idle_period: it.idle_period,
        calls: it.calls,
        talked_us: micros(it.talked),
        hardware: u32::from(it.hardware),
        soft: u32::from(it.soft),
    }
}

fn status_from_wire(it: wire::AgentStatus) -> Option<AgentStatus> {
    Some(AgentStatus {
        standing: match it.standing() {
            wire::Standing::Unspecified => return None,
            wire::Standing::LoggedOut => Standing::LoggedOut,
            wire::Standing::OnBreak => Standing::OnBreak,
            wire::Standing::Busy => Standing::Busy,
            wire::Standing::Unreachable => Standing::Unreachable,
            wire::Standing::Free => Standing::Free,
        },
        agent: Named::from_name(it.agent)?,
        version: Version { epoch: Epoch(it.epoch), counter: it.counter },
        idle_for: Duration::from_micros(it.idle_for_us),
        idle_period: it.idle_period,
        calls: it.calls,
        talked: Duration::from_micros(it.talked_us),
        hardware: u8::try_from(it.hardware).ok()?,
        soft: u8::try_from(it.soft).ok()?,
    })
}

impl From<Standing> for wire::Standing {
    fn from(it: Standing) -> Self {
        match it {
            Standing::LoggedOut => wire::Standing::LoggedOut,
            Standing::OnBreak => wire::Standing::OnBreak,
            Standing::Busy => wire::Standing::Busy,
            Standing::Unreachable => wire::Standing::Unreachable,
            Standing::Free => wire::Standing::Free,
        }
    }
}
