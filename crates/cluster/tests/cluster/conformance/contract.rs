//! What every coordinator keeps. Each test gets an empty one.

use std::time::Duration;

use bytes::Bytes;
use carillon_cluster::coordinator::{
    Act, Change, Error, Expect, Feed, Key, LeaseId, MAX_WRITES, News, Revision, Write,
};
use tokio::time::timeout;

use super::Subject;

/// As short as etcd allows with the election timeout that the tests give it.
const TTL: Duration = Duration::from_secs(1);

/// Longer than any coordinator needs to notice that a lease is over, on a busy machine.
const LONG: Duration = Duration::from_secs(10);

fn folder() -> Key {
    Key("/test/shards".into())
}

fn put(name: &str, expect: Expect, value: &'static str, lease: Option<LeaseId>) -> Write {
    Write { key: folder().join(name), expect, act: Act::Put(Bytes::from_static(value.as_bytes()), lease) }
}

fn delete(name: &str, expect: Expect) -> Write {
    Write { key: folder().join(name), expect, act: Act::Delete }
}

/// A folder is read whole, however large it is, and so is each of its keys.
pub(crate) async fn a_large_folder_is_read_whole(subject: &Subject) {
    const KEYS: usize = 300;
    let value = |n: usize| Bytes::from(vec![n as u8; if n.is_multiple_of(7) { 60_000 } else { 9 }]);
    for first in (0..KEYS).step_by(20) {
        let put = |n: usize| Write {
            key: folder().join(format!("{n:04}")),
            expect: Expect::Absent,
            act: Act::Put(value(n), None),
        };
        subject.coordinator.commit((first..first + 20).map(put).collect()).await.unwrap();
    }
    let behind = Write { key: Key("/test/shards0".into()), expect: Expect::Absent, act: Act::Put(Bytes::new(), None) };
    let last = subject.coordinator.commit(vec![behind]).await.unwrap();
    let listing = subject.coordinator.list(&folder()).await.unwrap();
    assert_eq!((listing.entries.len(), listing.revision), (KEYS, last));
    for (n, entry) in listing.entries.iter().enumerate() {
        assert_eq!((&entry.key, &entry.value), (&folder().join(format!("{n:04}")), &value(n)));
    }
    let found = subject.coordinator.get(&folder().join("0007")).await.unwrap();
    assert_eq!(found.as_ref(), Some(&listing.entries[7]));
    assert_eq!(subject.coordinator.get(&folder()).await.unwrap(), None);
}

async fn values(subject: &Subject) -> Vec<(String, String)> {
    let listing = subject.coordinator.list(&folder()).await.unwrap();
    let pair = |e: &carillon_cluster::coordinator::Entry| {
        (e.key.below(&folder()).unwrap().to_owned(), String::from_utf8(e.value.to_vec()).unwrap())
    };
    listing.entries.iter().map(pair).collect()
}

async fn next(feed: &mut Feed) -> News {
    timeout(LONG, feed.next()).await.expect("news in time").expect("a feed does not end")
}

/// The changes until one of `name` comes.
async fn until(feed: &mut Feed, name: &str) -> Vec<Change> {
    let mut seen = Vec::new();
    loop {
        let News::Changes(changes) = next(feed).await else { panic!("a feed that lost nothing begins anew") };
        assert!(!changes.is_empty());
        for change in changes {
            let key = match &change {
                Change::Put(entry) => &entry.key,
                Change::Deleted(key, _) => key,
            };
            let found = key == &folder().join(name);
            seen.push(change);
            if found {
                return seen;
            }
        }
    }
}

pub(crate) async fn revisions_grow_and_all_keys_of_a_transaction_share_one(subject: &Subject) {
    let commit = |writes| subject.coordinator.commit(writes);
    let first = commit(vec![put("a", Expect::Absent, "1", None), put("b", Expect::Absent, "2", None)]).await.unwrap();
    let second = commit(vec![put("a", Expect::At(first), "3", None)]).await.unwrap();
    assert!(second > first && first > Revision(0));
    let listing = subject.coordinator.list(&folder()).await.unwrap();
    assert!(listing.entries.iter().map(|entry| entry.revision).eq([second, first]));
    assert!(listing.revision >= second);
}

pub(crate) async fn a_failed_requirement_writes_nothing_and_shows_what_is_there(subject: &Subject) {
    let first = subject.coordinator.commit(vec![put("a", Expect::Absent, "1", None)]).await.unwrap();
    let both = vec![put("a", Expect::Absent, "2", None), put("b", Expect::Absent, "2", None)];
    let Err(Error::Conflict(found)) = subject.coordinator.commit(both).await else { panic!("a exists") };
    assert_eq!(found.len(), 1, "b does not exist");
    assert_eq!((found[0].revision, &found[0].value[..]), (first, &b"1"[..]));
    assert_eq!(values(subject).await, [("a".to_owned(), "1".to_owned())]);
    let stale = vec![put("a", Expect::At(Revision(first.0 + 100)), "2", None)];
    assert!(matches!(subject.coordinator.commit(stale).await, Err(Error::Conflict(_))));
}

pub(crate) async fn a_delete_wants_what_it_was_told(subject: &Subject) {
    let first = subject.coordinator.commit(vec![put("a", Expect::Anything, "1", None)]).await.unwrap();
    let second = subject.coordinator.commit(vec![put("a", Expect::Anything, "2", None)]).await.unwrap();
    let stale = subject.coordinator.commit(vec![delete("a", Expect::At(first))]).await;
    assert!(matches!(stale, Err(Error::Conflict(_))));
    subject.coordinator.commit(vec![delete("a", Expect::At(second))]).await.unwrap();
    assert_eq!(values(subject).await, []);
    subject.coordinator.commit(vec![delete("a", Expect::Anything)]).await.expect("removing nothing is no error");
    let gone = subject.coordinator.commit(vec![delete("a", Expect::At(second))]).await;
    assert_eq!(gone, Err(Error::Conflict(vec![])));
}

// spec: CL-2
pub(crate) async fn cl_2_only_one_of_many_gets_a_key_that_was_absent(subject: &Subject) {
    let mut claims = tokio::task::JoinSet::new();
    for value in ["1", "2", "3", "4", "5", "6", "7", "8"] {
        let coordinator = std::sync::Arc::clone(&subject.coordinator);
        claims.spawn(async move { coordinator.commit(vec![put("a", Expect::Absent, value, None)]).await });
    }
    let answers = claims.join_all().await;
    let lost = answers.iter().filter(|answer| matches!(answer, Err(Error::Conflict(found)) if found.len() == 1));
    assert_eq!(lost.count(), 7, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
}

pub(crate) async fn a_lease_that_ends_takes_its_keys_with_it(subject: &Subject) {
    let mut feed = subject.coordinator.follow(&folder());
    assert!(matches!(next(&mut feed).await, News::Everything(_)));
    let lease = subject.coordinator.grant(TTL).await.unwrap();
    let writes = vec![put("a", Expect::Absent, "1", Some(lease)), put("b", Expect::Absent, "2", None)];
    subject.coordinator.commit(writes).await.unwrap();
    until(&mut feed, "b").await;
    assert!(matches!(until(&mut feed, "a").await.last(), Some(Change::Deleted(..))));
    assert_eq!(values(subject).await, [("b".to_owned(), "2".to_owned())]);
    assert_eq!(subject.coordinator.keep_alive(lease).await, Err(Error::LeaseLost));
}

pub(crate) async fn a_lease_that_is_kept_alive_keeps_its_keys(subject: &Subject) {
    let lease = subject.coordinator.grant(TTL).await.unwrap();
    subject.coordinator.commit(vec![put("a", Expect::Absent, "1", Some(lease))]).await.unwrap();
    let mut beat = tokio::time::interval(TTL / 5);
    for _ in 0..15 {
        beat.tick().await;
        subject.coordinator.keep_alive(lease).await.unwrap();
    }
    assert_eq!(values(subject).await.len(), 1, "after three times its time");
}

pub(crate) async fn a_revoked_lease_is_lost(subject: &Subject) {
    let lease = subject.coordinator.grant(LONG).await.unwrap();
    subject.coordinator.commit(vec![put("a", Expect::Absent, "1", Some(lease))]).await.unwrap();
    subject.coordinator.revoke(lease).await.unwrap();
    assert_eq!(values(subject).await, []);
    assert_eq!(subject.coordinator.keep_alive(lease).await, Err(Error::LeaseLost));
    subject.coordinator.revoke(lease).await.expect("ending what has ended is no error");
}

pub(crate) async fn nothing_can_be_written_on_a_lost_lease(subject: &Subject) {
    let lease = subject.coordinator.grant(LONG).await.unwrap();
    subject.coordinator.revoke(lease).await.unwrap();
    let answer = subject.coordinator.commit(vec![put("a", Expect::Absent, "1", Some(lease))]).await;
    assert_eq!(answer, Err(Error::LeaseLost));
    assert_eq!(values(subject).await, []);
}

// spec: CL-6
pub(crate) async fn cl_6_a_key_handed_over_lives_with_its_new_lease(subject: &Subject) {
    let leases = [subject.coordinator.grant(LONG).await.unwrap(), subject.coordinator.grant(LONG).await.unwrap()];
    let first = subject.coordinator.commit(vec![put("a", Expect::Absent, "1", Some(leases[0]))]).await.unwrap();
    let handed = vec![put("a", Expect::At(first), "2", Some(leases[1]))];
    let second = subject.coordinator.commit(handed.clone()).await.unwrap();
    assert!(second > first, "a new epoch");
    subject.coordinator.revoke(leases[0]).await.unwrap();
    assert_eq!(values(subject).await, [("a".to_owned(), "2".to_owned())]);
    assert!(matches!(subject.coordinator.commit(handed).await, Err(Error::Conflict(_))), "only once");
    subject.coordinator.revoke(leases[1]).await.unwrap();
    assert_eq!(values(subject).await, []);
}

pub(crate) async fn a_feed_begins_with_everything_and_misses_nothing(subject: &Subject) {
    subject.coordinator.commit(vec![put("0", Expect::Absent, "0", None)]).await.unwrap();
    let mut feed = subject.coordinator.follow(&folder());
    let News::Everything(listing) = next(&mut feed).await else { panic!("everything first") };
    assert_eq!(listing.entries.len(), 1);
    let mut revisions = Vec::new();
    for n in 1..=50 {
        let name = if n == 50 { "last" } else { "a" };
        revisions.push(subject.coordinator.commit(vec![put(name, Expect::Anything, "1", None)]).await.unwrap());
    }
    let seen = until(&mut feed, "last").await;
    let told = seen.iter().map(|change| match change {
        Change::Put(entry) => entry.revision,
        Change::Deleted(_, revision) => *revision,
    });
    assert!(told.eq(revisions), "each once, in order: {seen:?}");
}

pub(crate) async fn a_feed_tells_what_ends_with_a_lease(subject: &Subject) {
    let lease = subject.coordinator.grant(LONG).await.unwrap();
    let writes = vec![put("a", Expect::Absent, "1", Some(lease)), put("b", Expect::Absent, "1", Some(lease))];
    let written = subject.coordinator.commit(writes).await.unwrap();
    let mut feed = subject.coordinator.follow(&folder());
    let News::Everything(listing) = next(&mut feed).await else { panic!("everything first") };
    assert!(listing.entries.iter().all(|entry| entry.lease == Some(lease)));
    subject.coordinator.revoke(lease).await.unwrap();
    let seen = until(&mut feed, "b").await;
    let revisions: Vec<Revision> = seen
        .iter()
        .map(|change| match change {
            Change::Deleted(_, revision) => *revision,
            Change::Put(entry) => panic!("{entry:?} instead of its end"),
        })
        .collect();
    assert!(revisions.len() == 2 && revisions[0] == revisions[1] && revisions[0] > written, "all at once");
}

pub(crate) async fn a_feed_brings_only_its_own_folder(subject: &Subject) {
    let mut feed = subject.coordinator.follow(&folder());
    assert!(matches!(next(&mut feed).await, News::Everything(_)));
    let other = |key: &str| Write {
        key: Key(key.into()),
        expect: Expect::Anything,
        act: Act::Put(Bytes::from_static(b"x"), None),
    };
    subject.coordinator.commit(vec![other("/test/shards-2/a"), other("/test/shards")]).await.unwrap();
    subject.coordinator.commit(vec![put("a", Expect::Absent, "1", None)]).await.unwrap();
    assert_eq!(until(&mut feed, "a").await.len(), 1);
    assert_eq!(values(subject).await.len(), 1);
}

pub(crate) async fn a_transaction_of_the_largest_size_is_taken_and_a_larger_one_refused(subject: &Subject) {
    let names: Vec<String> = (0..=MAX_WRITES).map(|n| format!("{n:04}")).collect();
    let writes: Vec<Write> = names.iter().map(|name| put(name, Expect::Absent, "1", None)).collect();
    subject.coordinator.commit(writes[..MAX_WRITES].to_vec()).await.unwrap();
    assert_eq!(values(subject).await.len(), MAX_WRITES);
    assert!(matches!(subject.coordinator.commit(writes).await, Err(Error::Refused(_))));
}
