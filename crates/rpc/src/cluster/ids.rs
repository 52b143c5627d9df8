//! Names, ids and durations between nodes.

use std::time::Duration;

use carillon_acd::agent::ReservationId;
use carillon_acd::ids::{AgentId, CallId, Epoch, LegId, Name, NodeId, QueueId, SoundId};
use carillon_acd::leg::{Contact, Location};
use carillon_acd::offer::OfferId;
use carillon_acd::ticket::Sequence;

use super::wire;

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn names(it: wire::ObjectName) -> Option<(Name, Name)> {
    Some((it.tenant.parse().ok()?, it.name.parse().ok()?))
}

/// An object's name each way.
pub(super) trait Named: Sized {
    fn to_name(&self) -> wire::ObjectName;
    fn from_name(it: Option<wire::ObjectName>) -> Option<Self>;
}

macro_rules! named {
    ($($id:ident),*) => {
        $(impl Named for $id {
            fn to_name(&self) -> wire::ObjectName {
                wire::ObjectName { tenant: self.tenant.to_string(), name: self.name.to_string() }
            }

            fn from_name(it: Option<wire::ObjectName>) -> Option<Self> {
                let (tenant, name) = names(it?)?;
                Some($id::new(tenant, name))
            }
        })*
    };
}

named!(AgentId, QueueId, SoundId);

impl From<CallId> for wire::CallId {
    fn from(id: CallId) -> Self {
        wire::CallId { node: id.node.0, boot: id.boot, number: id.number }
    }
}

impl From<wire::CallId> for CallId {
    fn from(id: wire::CallId) -> Self {
        CallId { node: NodeId(id.node), boot: id.boot, number: id.number }
    }
}

impl From<OfferId> for wire::OfferId {
    fn from(id: OfferId) -> Self {
        wire::OfferId { epoch: id.epoch.0, counter: id.counter }
    }
}

impl From<wire::OfferId> for OfferId {
    fn from(id: wire::OfferId) -> Self {
        OfferId { epoch: Epoch(id.epoch), counter: id.counter }
    }
}

impl From<Sequence> for wire::Sequence {
    fn from(it: Sequence) -> Self {
        wire::Sequence { epoch: it.epoch.0, counter: it.counter }
    }
}

impl From<wire::Sequence> for Sequence {
    fn from(it: wire::Sequence) -> Self {
        Sequence { epoch: Epoch(it.epoch), counter: it.counter }
    }
}

impl From<ReservationId> for wire::ReservationId {
    fn from(id: ReservationId) -> Self {
        wire::ReservationId { call: Some(id.call.into()), n: id.n }
    }
}

impl From<&Contact> for wire::Contact {
    fn from(it: &Contact) -> Self {
        wire::Contact { uri: it.uri().to_owned(), source: it.source().to_string() }
    }
}

pub(super) fn contact(it: wire::Contact) -> Option<Contact> {
    Contact::new(&it.uri, it.source.parse().ok()?).ok()
}

impl From<&Location> for wire::Location {
    fn from(it: &Location) -> Self {
        wire::Location { edge: it.edge.0, contact: Some((&it.contact).into()) }
    }
}

pub(super) fn location(it: wire::Location) -> Option<Location> {
    Some(Location { edge: NodeId(it.edge), contact: contact(it.contact?)? })
}

impl From<LegId> for wire::LegId {
    fn from(id: LegId) -> Self {
        wire::LegId { call: Some(id.call.into()), n: u32::from(id.n) }
    }
}

pub(super) fn leg(it: Option<wire::LegId>) -> Option<LegId> {
    let it = it?;
    Some(LegId { call: it.call?.into(), n: u16::try_from(it.n).ok()? })
}

pub(super) fn reservation(it: Option<wire::ReservationId>) -> Option<ReservationId> {
    let it = it?;
    Some(ReservationId { call: it.call?.into(), n: it.n })
}
