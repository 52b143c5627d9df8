//! What an edge leaves behind of a call, on the wire.

use std::collections::HashMap;
use std::time::Duration;

use carillon_acd::call::{Checkpoint, Past};
use carillon_acd::ids::{CallId, LegId, NodeId};
use carillon_acd::leg::LegImage;
use carillon_acd::record::Record;

use prost::Message as _;

use super::ids::micros;
use super::wire;

/// What a checkpoint may hold of the past, in bytes; beyond it what decides the outcome is kept, and the latest.
const MOST_PAST: usize = 8 * 1024;

/// A call for an heir.
#[derive(Clone, Debug, PartialEq)]
pub struct Legacy {
    /// The call.
    pub checkpoint: Checkpoint,
    /// How old it is.
    pub age: Duration,
    /// The legs that the checkpoint has to revive.
    pub images: HashMap<LegId, LegImage>,
    /// The heir that comes before the receiver.
    pub before: Option<NodeId>,
    /// The receiver takes it over although the sender lives.
    pub now: bool,
}

impl Legacy {
    /// As it is sent.
    pub fn to_wire(&self) -> wire::Checkpoint {
        let image =
            |(leg, image): (&LegId, &LegImage)| wire::LegImage { n: u32::from(leg.n), image: image.bytes().to_vec() };
        wire::Checkpoint {
            call: Some(self.checkpoint.call().into()),
            age_us: micros(self.age),
            state: serde_json::to_vec(&self.checkpoint).expect("a checkpoint has only string keys"),
            past: past_to_wire(self.checkpoint.past()),
            legs: self.images.iter().map(image).collect(),
            before: self.before.map(|node| node.0),
            now: self.now,
            record: Vec::new(),
        }
    }

    /// `None` for what this version does not understand.
    pub fn from_wire(it: wire::Checkpoint) -> Option<Legacy> {
        let call = CallId::from(it.call?);
        let past = it.past.iter().filter_map(|past| serde_json::from_slice(past).ok()).collect();
        let checkpoint: Checkpoint = serde_json::from_slice(&it.state).ok()?;
        let image = |it: wire::LegImage| Some((LegId { call, n: u16::try_from(it.n).ok()? }, LegImage::new(&it.image)));
        (checkpoint.call() == call).then_some(())?;
        Some(Legacy {
            checkpoint: checkpoint.with_past(past),
            age: Duration::from_micros(it.age_us),
            images: it.legs.into_iter().map(image).collect::<Option<_>>()?,
            before: it.before.map(NodeId),
            now: it.now,
        })
    }
}

/// What an edge leaves to an heir.
#[derive(Clone, Debug, PartialEq)]
pub enum Bequest {
    /// A call that goes on.
    Living(Box<Legacy>),
    /// The record of one that has ended.
    Ended(Box<Record>),
}

impl Bequest {
    /// A call that has ended, for as long as its record is not on the disk.
    pub fn ended(record: &Record) -> wire::Checkpoint {
        let json = serde_json::to_vec(record).expect("a record has only string keys");
        wire::Checkpoint { call: Some(record.call.into()), record: json, ..Default::default() }
    }

    /// `None` for what this version does not understand.
    pub fn from_wire(it: wire::Checkpoint) -> Option<Bequest> {
        if it.record.is_empty() {
            return Legacy::from_wire(it).map(|legacy| Bequest::Living(Box::new(legacy)));
        }
        let record: Record = serde_json::from_slice(&it.record).ok()?;
        (record.call == CallId::from(it.call?)).then(|| Bequest::Ended(Box::new(record)))
    }

    /// Whose.
    pub const fn call(&self) -> CallId {
        match self {
            Bequest::Living(legacy) => legacy.checkpoint.call(),
            Bequest::Ended(record) => record.call,
        }
    }
}

/// What a checkpoint takes on the wire, in bytes.
pub fn size(it: &wire::Checkpoint) -> usize {
    it.encoded_len()
}

fn past_to_wire(past: &[Past]) -> Vec<Vec<u8>> {
    let written = |past| serde_json::to_vec(past).expect("a transition has only string keys");
    let mut written: Vec<Vec<u8>> = past.iter().map(written).collect();
    let mut room = MOST_PAST;
    let mut kept = vec![false; past.len()];
    for (n, json) in written.iter().enumerate().rev() {
        kept[n] = json.len() <= room || past[n].decides();
        room = room.saturating_sub(if kept[n] { json.len() } else { 0 });
    }
    Past::keep_holds_whole(past, &mut kept);
    let mut kept = kept.into_iter();
    written.retain(|_| kept.next().unwrap_or_default());
    written
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
