//! The coordinator's content as plain data: keys with revisions, leases, and the changes since. What the embedded and
//! the simulated coordinator have in common; it knows no task and no clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use carillon_acd::time::Moment;

use crate::coordinator::{Act, Change, Entry, Error, Expect, Key, LeaseId, Listing, MAX_WRITES, Revision, Write};

/// How many changes are kept for those who follow. Who is further behind begins anew.
const HISTORY: usize = 8_192;

#[derive(Debug)]
struct Lease {
    ttl: Duration,
    ends: Moment,
    keys: BTreeSet<Key>,
}

/// The content.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    revision: Revision,
    entries: BTreeMap<Key, Entry>,
    leases: BTreeMap<LeaseId, Lease>,
    last_lease: i64,
    history: VecDeque<Change>,
    /// Changes up to this revision are no longer in the history.
    forgotten: Revision,
}

impl Tree {
    /// The content that was saved: entries without leases, as of a revision.
    pub(crate) fn restored(revision: Revision, entries: Vec<Entry>) -> Self {
        let entries = entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
        Tree { revision, entries, forgotten: revision, ..Tree::default() }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    pub(crate) fn grant(&mut self, now: Moment, ttl: Duration) -> LeaseId {
        self.last_lease += 1;
        let lease = LeaseId(self.last_lease);
        self.leases.insert(lease, Lease { ttl, ends: now + ttl, keys: BTreeSet::new() });
        lease
    }

    pub(crate) fn keep_alive(&mut self, now: Moment, lease: LeaseId) -> Result<(), Error> {
        let lease = self.leases.get_mut(&lease).ok_or(Error::LeaseLost)?;
        lease.ends = now + lease.ttl;
        Ok(())
    }

    pub(crate) fn revoke(&mut self, lease: LeaseId) {
        let keys = self.leases.remove(&lease).map_or(BTreeSet::new(), |lease| lease.keys);
        if !keys.is_empty() {
            self.revision.0 += 1;
            keys.into_iter().for_each(|key| self.remove(key));
        }
    }

    /// Ends the leases whose time is over.
    pub(crate) fn expire(&mut self, now: Moment) {
        let over: Vec<LeaseId> = self.leases.iter().filter(|(_, l)| l.ends <= now).map(|(id, _)| *id).collect();
        over.into_iter().for_each(|lease| self.revoke(lease));
    }

    /// Gives every lease its whole time again, as a new leader of etcd does.
    #[cfg(test)]
    pub(crate) fn renew_all(&mut self, now: Moment) {
        self.leases.values_mut().for_each(|lease| lease.ends = now + lease.ttl);
    }

    /// Forgets everything, its revisions too, as an etcd that was set up anew.
    pub(crate) fn begin_anew(&mut self) {
        *self = Tree { last_lease: self.last_lease, ..Tree::default() };
    }

    /// When the next lease ends.
    pub(crate) fn next_end(&self) -> Option<Moment> {
        self.leases.values().map(|lease| lease.ends).min()
    }

    pub(crate) fn commit(&mut self, writes: Vec<Write>) -> Result<Revision, Error> {
        self.check(&writes)?;
        let changes = |write: &Write| matches!(write.act, Act::Put(..)) || self.entries.contains_key(&write.key);
        if !writes.iter().any(changes) {
            return Ok(self.revision);
        }
        self.revision.0 += 1;
        for Write { key, act, .. } in writes {
            match act {
                Act::Put(value, lease) => self.put(Entry { key, value, revision: self.revision, lease }),
                Act::Delete => self.remove(key),
            }
        }
        Ok(self.revision)
    }

    pub(crate) fn check(&self, writes: &[Write]) -> Result<(), Error> {
        let keys: BTreeSet<&Key> = writes.iter().map(|write| &write.key).collect();
        if keys.len() != writes.len() || writes.len() > MAX_WRITES {
            return Err(Error::Refused(format!("a transaction writes at most {MAX_WRITES} keys, each once")));
        }
        let met = |write: &Write| match (write.expect, self.entries.get(&write.key)) {
            (Expect::Anything, _) | (Expect::Absent, None) => true,
            (Expect::At(revision), Some(entry)) => entry.revision == revision,
            (Expect::Absent, Some(_)) | (Expect::At(_), None) => false,
        };
        if !writes.iter().all(met) {
            return Err(Error::Conflict(keys.into_iter().filter_map(|key| self.entries.get(key).cloned()).collect()));
        }
        let mut leases = writes.iter().filter_map(|write| match write.act {
            Act::Put(_, lease) => lease,
            Act::Delete => None,
        });
        if leases.all(|lease| self.leases.contains_key(&lease)) { Ok(()) } else { Err(Error::LeaseLost) }
    }

    fn put(&mut self, entry: Entry) {
        self.detach(&entry.key);
        if let Some(lease) = entry.lease.and_then(|lease| self.leases.get_mut(&lease)) {
            lease.keys.insert(entry.key.clone());
        }
        self.entries.insert(entry.key.clone(), entry.clone());
        self.remember(Change::Put(entry));
    }

    fn remove(&mut self, key: Key) {
        self.detach(&key);
        if self.entries.remove(&key).is_some() {
            self.remember(Change::Deleted(key, self.revision));
        }
    }

    fn detach(&mut self, key: &Key) {
        let lease = self.entries.get(key).and_then(|entry| entry.lease);
        if let Some(lease) = lease.and_then(|lease| self.leases.get_mut(&lease)) {
            lease.keys.remove(key);
        }
    }

    fn remember(&mut self, change: Change) {
        self.history.push_back(change);
        if self.history.len() > HISTORY
            && let Some(oldest) = self.history.front().map(revision)
        {
            self.forget(oldest);
        }
    }

    /// Forgets the changes up to a revision, as a compaction does.
    pub(crate) fn forget(&mut self, up_to: Revision) {
        self.forgotten = self.forgotten.max(up_to);
        // A transaction's changes go together: half of one would be told as all of it.
        while self.history.front().is_some_and(|change| revision(change) <= up_to) {
            self.history.pop_front();
        }
    }

    pub(crate) fn list(&self, folder: &Key) -> Listing {
        let entries = self.entries.values().filter(|entry| entry.key.below(folder).is_some());
        Listing { revision: self.revision, entries: entries.cloned().collect() }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Entry> {
        self.entries.get(key).cloned()
    }

    /// The changes below a folder after a revision; `None` when some of them are forgotten, or that revision never was.
    pub(crate) fn changes(&self, folder: &Key, after: Revision) -> Option<Vec<Change>> {
        let concerns = |change: &&Change| match change {
            Change::Put(entry) => entry.key.below(folder).is_some(),
            Change::Deleted(key, _) => key.below(folder).is_some(),
        };
        (self.forgotten..=self.revision).contains(&after).then(|| {
            let first = self.history.partition_point(|change| revision(change) <= after);
            self.history.range(first..).filter(concerns).cloned().collect()
        })
    }

    /// What the next commit would change among the entries that stay when all leases end.
    pub(crate) fn lasting_changes(&self, writes: &[Write]) -> Vec<Change> {
        let revision = Revision(self.revision.0 + 1);
        let lasts = |key: &Key| self.entries.get(key).is_some_and(|entry| entry.lease.is_none());
        let change = |write: &Write| match &write.act {
            Act::Put(value, None) => {
                Some(Change::Put(Entry { key: write.key.clone(), value: value.clone(), revision, lease: None }))
            }
            Act::Put(_, Some(_)) | Act::Delete => {
                lasts(&write.key).then(|| Change::Deleted(write.key.clone(), revision))
            }
        };
        writes.iter().filter_map(change).collect()
    }
}

fn revision(change: &Change) -> Revision {
    match change {
        Change::Put(entry) => entry.revision,
        Change::Deleted(_, revision) => *revision,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn put(key: &str, lease: Option<LeaseId>) -> Write {
        Write { key: Key(key.into()), expect: Expect::Anything, act: Act::Put(Bytes::new(), lease) }
    }

    #[test]
    fn a_key_that_moves_to_another_lease_survives_the_first() {
        let mut tree = Tree::default();
        let [first, second] = [1, 2].map(|n| tree.grant(Moment::START, Duration::from_secs(n)));
        tree.commit(vec![put("/a/x", Some(first))]).unwrap();
        tree.commit(vec![put("/a/x", Some(second))]).unwrap();
        tree.expire(Moment::at(Duration::from_secs(1)));
        assert_eq!(tree.list(&Key("/a".into())).entries.len(), 1);
        tree.expire(Moment::at(Duration::from_secs(2)));
        assert_eq!(tree.list(&Key("/a".into())).entries.len(), 0);
    }

    #[test]
    fn who_is_too_far_behind_is_told_so() {
        let (mut tree, folder) = (Tree::default(), Key("/a".into()));
        for _ in 0..HISTORY + 5 {
            tree.commit(vec![put("/a/x", None), put("/a/y", None)]).unwrap();
        }
        assert_eq!(tree.changes(&folder, Revision(1)), None);
        let last = tree.revision();
        assert_eq!(tree.changes(&folder, Revision(last.0 - 1)).map(|changes| changes.len()), Some(2));
        assert_eq!(tree.changes(&folder, last), Some(vec![]));
    }
}
