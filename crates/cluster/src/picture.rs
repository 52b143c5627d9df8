//! Nodes and shards as the coordinator's feed has told of them: from keys and values to the core's events.
//!
//! # When the coordinator has lost its memory
//! An epoch is what everybody compares with what he has seen, so it must never come twice. A revision does: those of an etcd
//! that was set up anew, or restored from an older backup, begin again below what nodes have seen. So an epoch is the sum of
//! a revision and the *era*, a number that stands in the coordinator too and is 0 at first. Whoever finds the coordinator's
//! present below its past ([`Picture::next_era`]) writes a greater one; until then he believes nothing that is new.

use std::collections::{BTreeMap, BTreeSet};

use carillon_acd::ids::{Epoch, NodeId};

use crate::coordinator::{Change, Entry, Key, LeaseId, Listing, News, Revision};
use crate::member::{Node, Registered};
use crate::ownership::{Event, Seat};
use crate::shard::Shard;

/// The name of the key of the era, below the cluster's folder.
pub(crate) const ERA: &str = "era";

/// Nodes and shards, as of the last news.
#[derive(Clone, Debug)]
pub struct Picture {
    folder: Key,
    era: Era,
    /// As of when the last news is, in epochs.
    now: u64,
    /// The latest that this ever was.
    latest: u64,
    nodes: BTreeMap<NodeId, Registered>,
    roster: BTreeSet<NodeId>,
    drains: BTreeSet<NodeId>,
    seats: BTreeMap<Shard, (Revision, NodeId, LeaseId)>,
}

/// What is added to revisions to make epochs, and the revision in which it was written; none when it never was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Era {
    pub(crate) begins: u64,
    pub(crate) written: Option<Revision>,
}

impl Era {
    fn epoch(self, revision: Revision) -> Epoch {
        Epoch(self.begins.saturating_add(revision.0))
    }

    /// The revision of an epoch; one that no key has when the epoch is of an earlier era.
    pub(crate) fn revision(self, epoch: Epoch) -> Revision {
        Revision(epoch.0.checked_sub(self.begins).unwrap_or(u64::MAX))
    }
}

/// What a key below the cluster's folder is about.
enum Place {
    Node(NodeId),
    Shard(Shard),
    Roster(NodeId),
    Drain(NodeId),
    Era,
}

/// What has changed since the events so far.
#[derive(Default)]
struct Changed {
    nodes: bool,
    roster: bool,
    era: bool,
    seats: Vec<(Seat, Option<LeaseId>)>,
}

impl Picture {
    /// The picture before the first news.
    pub(crate) fn new(folder: Key) -> Self {
        let (era, now, latest, nodes, roster, drains, seats) = Default::default();
        Picture { folder, era, now, latest, nodes, roster, drains, seats }
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
        self.held().map(|(seat, _)| seat)
    }

    fn held(&self) -> impl Iterator<Item = (Seat, LeaseId)> {
        let seat = |(shard, (revision, owner, lease)): (&Shard, &(Revision, NodeId, LeaseId))| {
            (Seat { shard: *shard, epoch: self.era.epoch(*revision), owner: Some(*owner) }, *lease)
        };
        self.seats.iter().map(seat)
    }

    /// What makes epochs of revisions.
    pub(crate) fn era(&self) -> Era {
        self.era
    }

    /// The era that has to be written, if the coordinator has lost its memory; `known` is the newest epoch that this node
    /// has heard of from anybody.
    pub(crate) fn next_era(&self, known: Epoch) -> Option<u64> {
        (self.now < self.latest).then(|| self.latest.max(known.0))
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

    /// The news are as of `revision`.
    fn is_as_of(&mut self, revision: Revision) {
        self.now = self.era.epoch(revision).0;
        self.latest = self.latest.max(self.now);
    }

    fn everything(&mut self, listing: Listing) -> Vec<Event> {
        *self = Picture { latest: self.latest, ..Picture::new(self.folder.clone()) };
        let (mut changed, mut events) = (Changed::default(), Vec::new());
        for entry in listing.entries {
            self.put(&entry, &mut changed);
        }
        self.is_as_of(listing.revision);
        (changed.nodes, changed.roster, changed.era) = (true, true, true);
        self.flush(&mut changed, &mut events);
        events
    }

    /// Nodes are told before the shards that change after them, and after those that changed before.
    fn change(&mut self, change: Change, changed: &mut Changed, events: &mut Vec<Event>) {
        let (key, revision) = match &change {
            Change::Put(entry) => (&entry.key, entry.revision),
            Change::Deleted(key, revision) => (key, *revision),
        };
        let is_seat = matches!(self.place(key), Some(Place::Shard(_)));
        if is_seat && (changed.nodes || changed.roster || changed.era) || !is_seat && !changed.seats.is_empty() {
            self.flush(changed, events);
        }
        match change {
            Change::Put(entry) => self.put(&entry, changed),
            Change::Deleted(key, revision) => self.deleted(&key, revision, changed),
        }
        self.is_as_of(revision);
    }

    fn flush(&self, changed: &mut Changed, events: &mut Vec<Event>) {
        if std::mem::take(&mut changed.nodes) {
            events.push(Event::Nodes(self.nodes.values().cloned().collect()));
        }
        if std::mem::take(&mut changed.roster) {
            events.push(Event::Roster(self.roster.clone()));
        }
        let seats = std::mem::take(&mut changed.seats);
        if std::mem::take(&mut changed.era) {
            events.push(Event::AllSeats(Epoch(self.now), self.held().collect()));
        } else if !seats.is_empty() {
            events.push(Event::Seats(seats));
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
                self.seats.insert(shard, (entry.revision, NodeId(owner), lease));
                let seat = Seat { shard, epoch: self.era.epoch(entry.revision), owner: Some(NodeId(owner)) };
                changed.seats.push((seat, Some(lease)));
            }
            (Some(Place::Era), _) => match std::str::from_utf8(&entry.value).ok().and_then(|text| text.parse().ok()) {
                Some(begins) => {
                    self.era = Era { begins, written: Some(entry.revision) };
                    changed.era = true;
                }
                None => tracing::error!(key = ?entry.key, "the era cannot be read"),
            },
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
                changed.seats.push((Seat { shard, epoch: self.era.epoch(revision), owner: None }, None));
            }
            Some(Place::Roster(id)) => changed.roster |= self.roster.remove(&id),
            Some(Place::Drain(id)) => drop(self.drains.remove(&id)),
            // Nobody deletes it; who did would find epochs below those that everybody has seen, and they are refused.
            Some(Place::Era) => tracing::error!(?key, "the era was deleted"),
            None => {}
        }
    }

    fn place(&self, key: &Key) -> Option<Place> {
        let name = key.below(&self.folder)?;
        if name == ERA {
            return Some(Place::Era);
        }
        let (folder, name) = name.split_once('/')?;
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const LEASE: LeaseId = LeaseId(5);

    fn entry(name: &str, value: &str, revision: u64, lease: Option<LeaseId>) -> Entry {
        let value = Bytes::copy_from_slice(value.as_bytes());
        Entry { key: Key(format!("/c/cluster/{name}")), value, revision: Revision(revision), lease }
    }

    fn node(id: u32, revision: u64) -> Entry {
        let text = format!(
            r#"{{"id":{id},"boot":1,"roles":{{"acd":true,"fax":true}},"addresses":{{"link":"n{id}:7401"}},
                 "version":"9.0","standing":true,"colour":"blue"}}"#
        );
        entry(&format!("nodes/{id}"), &text, revision, Some(LEASE))
    }

    fn seat(number: u16, epoch: u64, owner: Option<u32>) -> Seat {
        Seat { shard: number.try_into().unwrap(), epoch: Epoch(epoch), owner: owner.map(NodeId) }
    }

    fn picture() -> Picture {
        Picture::new(Key("/c/cluster".into()))
    }

    #[test]
    fn what_a_newer_node_says_beyond_our_knowledge_is_tolerated() {
        let mut picture = picture();
        picture.apply(News::Changes(vec![Change::Put(node(1, 3)), Change::Put(entry("lamps/1", "on", 4, None))]));
        assert!(picture.nodes().map(|registered| registered.node.id).eq([NodeId(1)]));
        assert!(picture.nodes().all(|registered| registered.node.is_candidate()));
    }

    #[test]
    fn the_core_hears_in_the_order_in_which_it_happened() {
        let mut picture = picture();
        let changes = vec![
            Change::Put(node(1, 3)),
            Change::Put(entry("shards/0007", "1", 4, Some(LEASE))),
            Change::Put(node(2, 5)),
            Change::Deleted(Key("/c/cluster/shards/0007".into()), Revision(6)),
        ];
        let told = picture.apply(News::Changes(changes));
        let [Event::Nodes(one), Event::Seats(owned), Event::Nodes(two), Event::Seats(freed)] = &told[..] else {
            panic!("{told:?}")
        };
        assert_eq!((one.len(), two.len()), (1, 2));
        assert_eq!(owned[..], [(seat(7, 4, Some(1)), Some(LEASE))]);
        assert_eq!(freed[..], [(seat(7, 6, None), None)]);
    }

    // spec: CL-3
    #[test]
    fn cl_3_an_era_makes_epochs_of_all_revisions_and_is_missed_when_news_are_older_than_before() {
        let mut picture = picture();
        let shard = || entry("shards/0009", "2", 8, Some(LEASE));
        picture.apply(News::Everything(Listing { revision: Revision(100), entries: vec![shard()] }));
        assert_eq!(picture.next_era(Epoch(105)), None, "an announcement may be faster than the feed");
        let told = picture.apply(News::Everything(Listing { revision: Revision(10), entries: vec![shard()] }));
        assert_eq!(told.last(), Some(&Event::AllSeats(Epoch(10), vec![(seat(9, 8, Some(2)), LEASE)])));
        assert_eq!(picture.next_era(Epoch(105)), Some(105));
        let told = picture.apply(News::Changes(vec![
            Change::Put(entry("era", "105", 11, None)),
            Change::Put(entry("shards/0009", "3", 12, Some(LEASE))),
        ]));
        let expected = [
            Event::AllSeats(Epoch(116), vec![(seat(9, 113, Some(2)), LEASE)]),
            Event::Seats(vec![(seat(9, 117, Some(3)), Some(LEASE))]),
        ];
        assert_eq!(told, expected);
        assert_eq!(picture.next_era(Epoch(117)), None);
        assert_eq!(picture.era().revision(Epoch(117)), Revision(12));
        assert_eq!(picture.era().revision(Epoch(100)), Revision(u64::MAX), "of the era before");
    }

    #[test]
    fn everything_forgets_what_was_there_before() {
        let mut picture = picture();
        picture.apply(News::Changes(vec![Change::Put(node(1, 3)), Change::Put(node(2, 4))]));
        let entries = vec![node(2, 4), entry("roster/1", "", 2, None), entry("shards/0009", "2", 8, Some(LEASE))];
        let told = picture.apply(News::Everything(Listing { revision: Revision(10), entries }));
        let expected = Event::AllSeats(Epoch(10), vec![(seat(9, 8, Some(2)), LEASE)]);
        assert_eq!(told.last(), Some(&expected));
        assert!(told.contains(&Event::Roster(BTreeSet::from([NodeId(1)]))));
        assert!(picture.nodes().map(|registered| registered.node.id).eq([NodeId(2)]));
    }
}
