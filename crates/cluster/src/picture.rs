//! Nodes and shards as the coordinator's feed has told of them: from keys and values to the core's events.

use std::collections::{BTreeMap, BTreeSet};

use carillon_acd::ids::{Epoch, NodeId};

use crate::coordinator::{Change, Entry, Key, LeaseId, Listing, News, Revision};
use crate::member::{Node, Registered};
use crate::ownership::{Event, Seat};
use crate::shard::Shard;

/// Nodes and shards, as of the last news.
#[derive(Clone, Debug)]
pub struct Picture {
    folder: Key,
    nodes: BTreeMap<NodeId, Registered>,
    roster: BTreeSet<NodeId>,
    drains: BTreeSet<NodeId>,
    seats: BTreeMap<Shard, (Seat, LeaseId)>,
}

/// What a key below the cluster's folder is about.
enum Place {
    Node(NodeId),
    Shard(Shard),
    Roster(NodeId),
    Drain(NodeId),
}

/// What has changed since the events so far.
#[derive(Default)]
struct Changed {
    nodes: bool,
    roster: bool,
    seats: Vec<(Seat, Option<LeaseId>)>,
}

impl Picture {
    /// The picture before the first news.
    pub(crate) fn new(folder: Key) -> Self {
        let (nodes, roster, drains, seats) = Default::default();
        Picture { folder, nodes, roster, drains, seats }
    }

    /// What a listing shows.
    pub(crate) fn of(folder: &Key, listing: Listing) -> Self {
        let mut picture = Picture::new(folder.clone());
        picture.apply(News::Everything(listing));
        picture
    }

    /// The registered nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Registered> {
        self.nodes.values()
    }

    /// The shards that have owners.
    pub fn seats(&self) -> impl Iterator<Item = Seat> {
        self.seats.values().map(|(seat, _)| *seat)
    }

    /// The nodes that are told to drain, registered or not.
    pub fn drains(&self) -> &BTreeSet<NodeId> {
        &self.drains
    }

    /// The nodes that have stood and not left: one of them that is not registered has died.
    pub fn roster(&self) -> &BTreeSet<NodeId> {
        &self.roster
    }

    /// Takes news in; what the core is to hear, in the order in which it happened.
    pub(crate) fn apply(&mut self, news: News) -> Vec<Event> {
        match news {
            News::Everything(listing) => self.everything(listing),
            News::Changes(changes) => {
                let mut events = Vec::new();
                let mut changed = Changed::default();
                for change in changes {
                    self.change(change, &mut changed, &mut events);
                }
                self.flush(&mut changed, &mut events);
                events
            }
        }
    }

    fn everything(&mut self, listing: Listing) -> Vec<Event> {
        *self = Picture::new(self.folder.clone());
        let (mut changed, mut events) = (Changed::default(), Vec::new());
        for entry in listing.entries {
            self.put(&entry, &mut changed);
        }
        changed.seats.clear();
        (changed.nodes, changed.roster) = (true, true);
        self.flush(&mut changed, &mut events);
        events.push(Event::AllSeats(Epoch(listing.revision.0), self.seats.values().copied().collect()));
        events
    }

    /// Nodes are told before the shards that change after them, and after those that changed before.
    fn change(&mut self, change: Change, changed: &mut Changed, events: &mut Vec<Event>) {
        let key = match &change {
            Change::Put(entry) => &entry.key,
            Change::Deleted(key, _) => key,
        };
        let is_seat = matches!(self.place(key), Some(Place::Shard(_)));
        if is_seat && (changed.nodes || changed.roster) || !is_seat && !changed.seats.is_empty() {
            self.flush(changed, events);
        }
        match change {
            Change::Put(entry) => self.put(&entry, changed),
            Change::Deleted(key, revision) => self.deleted(&key, revision, changed),
        }
    }

    fn flush(&self, changed: &mut Changed, events: &mut Vec<Event>) {
        if std::mem::take(&mut changed.nodes) {
            events.push(Event::Nodes(self.nodes.values().cloned().collect()));
        }
        if std::mem::take(&mut changed.roster) {
            events.push(Event::Roster(self.roster.clone()));
        }
        if !changed.seats.is_empty() {
            events.push(Event::Seats(std::mem::take(&mut changed.seats)));
        }
    }

    fn put(&mut self, entry: &Entry, changed: &mut Changed) {
        match (self.place(&entry.key), entry.lease) {
            (Some(Place::Node(id)), Some(lease)) => match serde_json::from_slice::<Node>(&entry.value) {
                Ok(node) if node.id == id => {
                    self.nodes.insert(id, Registered { node, lease });
                    changed.nodes = true;
                }
                Ok(_) | Err(_) => tracing::warn!(key = ?entry.key, "entry of a node cannot be read"),
            },
            (Some(Place::Shard(shard)), Some(lease)) => {
                let owner = std::str::from_utf8(&entry.value).ok().and_then(|text| text.parse().ok());
                let Some(owner) = owner else {
                    tracing::warn!(key = ?entry.key, "owner of a shard cannot be read");
                    return;
                };
                let seat = Seat { shard, epoch: Epoch(entry.revision.0), owner: Some(NodeId(owner)) };
                self.seats.insert(shard, (seat, lease));
                changed.seats.push((seat, Some(lease)));
            }
            (Some(Place::Roster(id)), _) => changed.roster |= self.roster.insert(id),
            (Some(Place::Drain(id)), _) => drop(self.drains.insert(id)),
            (Some(Place::Node(_) | Place::Shard(_)), None) | (None, _) => {
                tracing::warn!(key = ?entry.key, "unknown key in the cluster's folder");
            }
        }
    }

    fn deleted(&mut self, key: &Key, revision: Revision, changed: &mut Changed) {
        match self.place(key) {
            Some(Place::Node(id)) => changed.nodes |= self.nodes.remove(&id).is_some(),
            Some(Place::Shard(shard)) => {
                self.seats.remove(&shard);
                changed.seats.push((Seat { shard, epoch: Epoch(revision.0), owner: None }, None));
            }
            Some(Place::Roster(id)) => changed.roster |= self.roster.remove(&id),
            Some(Place::Drain(id)) => drop(self.drains.remove(&id)),
            None => {}
        }
    }

    fn place(&self, key: &Key) -> Option<Place> {
        let (folder, name) = key.below(&self.folder)?.split_once('/')?;
        let number: u32 = name.parse().ok()?;
        match folder {
            "nodes" => Some(Place::Node(NodeId(number))),
            "roster" => Some(Place::Roster(NodeId(number))),
            "drain" => Some(Place::Drain(NodeId(number))),
            "shards" => Some(Place::Shard(u16::try_from(number).ok()?.try_into().ok()?)),
            _ => None,
        }
    }
}
