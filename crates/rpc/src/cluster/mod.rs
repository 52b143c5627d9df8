//! What nodes say to each other: the messages of the three machines on the wire, and the link that carries them.
//!
//! A message that this version does not understand is dropped, as any message may be lost; what a newer version adds to one
//! that it does understand is ignored. So two versions that follow each other work side by side.

mod agent;
mod call;
mod checkpoint;
pub mod held;
mod ids;
pub mod link;
mod queue;
pub mod trace;

use carillon_acd::ids::{AgentId, CallId, QueueId};
use carillon_acd::{agent as agents, call as calls, queue as queues};

pub use checkpoint::{Bequest, Legacy, size};
use wire::envelope::Message as Wire;

/// The generated messages, client and server of `proto/carillon/cluster/v1`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod wire {
    tonic::include_proto!("carillon.cluster.v1");
}

impl From<Wire> for wire::Envelope {
    fn from(message: Wire) -> Self {
        wire::Envelope { message: Some(message), ..Default::default() }
    }
}

/// A message for a machine on another node.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// For a call.
    Call(CallId, calls::Event),
    /// For the owner of an agent.
    Agent(AgentId, agents::Event),
    /// For the owner of a queue.
    Queue(QueueId, queues::Event),
}

impl Message {
    /// As it is sent; `None` for what concerns only the node itself: starts, timers, legs.
    pub fn to_wire(&self) -> Option<wire::Envelope> {
        let message = match self {
            Message::Call(call, event) => Wire::ToCall(call::to_wire(*call, event)?),
            Message::Agent(agent, event) => Wire::ToAgent(agent::to_wire(agent, event)?),
            Message::Queue(queue, event) => Wire::ToQueue(queue::to_wire(queue, event)?),
        };
        Some(message.into())
    }

    /// The call that says it; `None` when somebody else does.
    pub const fn said_by(&self) -> Option<CallId> {
        match self {
            Message::Agent(
                _,
                agents::Event::Reserve { reservation, .. }
                | agents::Event::Connected { reservation, .. }
                | agents::Event::Release { reservation, .. },
            ) => Some(reservation.call),
            Message::Agent(_, agents::Event::Command { call, .. })
            | Message::Queue(_, queues::Event::Leave { call, .. } | queues::Event::WhatRings { asker: call, .. }) => {
                Some(*call)
            }
            Message::Queue(_, queues::Event::Enqueue(enqueue)) => Some(enqueue.ticket.call),
            Message::Queue(_, queues::Event::PickUp { own, .. }) => Some(own.leg.call),
            Message::Call(..)
            | Message::Agent(
                _,
                agents::Event::Start
                | agents::Event::Reachable { .. }
                | agents::Event::EdgeGone { .. }
                | agents::Event::Configured(_)
                | agents::Event::Removed
                | agents::Event::Wake,
            )
            | Message::Queue(
                _,
                queues::Event::Availability(_)
                | queues::Event::EdgeGone { .. }
                | queues::Event::Configured(_)
                | queues::Event::Removed
                | queues::Event::Wake,
            ) => None,
        }
    }

    /// Reads a message for a machine; `None` for one that this version does not understand.
    pub fn from_wire(message: Wire) -> Option<Message> {
        match message {
            Wire::ToCall(it) => call::from_wire(it),
            Wire::ToAgent(it) => agent::from_wire(it),
            Wire::ToQueue(it) => queue::from_wire(it),
            Wire::Core(_) | Wire::Held(_) | Wire::Checkpoints(_) | Wire::TookOver(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
