//! How objects stand in the coordinator, which takes small transactions only, so that thousands of them change at once for
//! everybody who reads.
//!
//! ```text
//! config/current       which parts there are: { "00": "5f1c…", "01": … }; the revision of this key is the configuration's
//! config/parts/5f1c…   the objects whose names fall into one of 256 parts, as YAML; its name is the hash of its content
//! ```
//!
//! A change writes the parts that are new, which nobody looks at yet, then `current` if it still is as it was read. So a
//! reader has all of a change or nothing of it, two who change at once do not mix, and a change of one object writes a
//! 256th of all. What the change leaves unused is deleted by whoever made it, as it was when he read it: what somebody
//! else has begun to write since is newer, and stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use carillon_cluster::coordinator::{Change, Entry, Error, Expect, Key, MAX_WRITES, News, Revision};
use carillon_cluster::space::{Folder, Wanted as Write};
use carillon_store::config::{DIVIDER, ObjectName, Objects};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const CURRENT: &str = "current";
const PARTS: &str = "parts";
/// What this version writes and reads.
const FORMAT: u32 = 1;
/// etcd takes requests of 1.5 MB by default.
const MOST_BYTES: usize = 1 << 20;
/// A transaction with more is divided: its answer has to come while others wait for theirs.
const BATCH_BYTES: usize = 256 << 10;

/// How a configuration came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum By {
    /// A file that a node was started with.
    File,
    /// Somebody has applied it.
    Apply,
}

/// What stands in `current`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Current {
    format: u32,
    by: By,
    /// The hash of each part that is not empty.
    parts: BTreeMap<String, String>,
}

/// The folder as it was read, or as its feed has brought it.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents(BTreeMap<String, Entry>);

/// A configuration that is stored.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) revision: Revision,
    pub(super) by: By,
    /// The hash of each part that is not empty.
    parts: BTreeMap<String, String>,
    pub(super) objects: Arc<Objects>,
}

/// What is to be stored.
pub(super) struct Wanted<'a> {
    pub(super) objects: &'a Objects,
    /// The parts in which they differ from what is stored, as far as that is known; see [`parts_of`].
    pub(super) touched: Option<BTreeSet<String>>,
    pub(super) by: By,
}

impl Contents {
    /// Takes in what the feed of `folder` brings.
    pub(super) fn take(&mut self, folder: &Key, news: News) {
        match news {
            News::Everything(listing) => {
                self.0 = listing.entries.into_iter().filter_map(|entry| named(folder, entry)).collect();
            }
            News::Changes(changes) => changes.into_iter().for_each(|change| match change {
                Change::Put(entry) => self.0.extend(named(folder, entry)),
                Change::Deleted(key, _) => {
                    key.below(folder).and_then(|name| self.0.remove(name));
                }
            }),
        }
    }

    /// The revision that is current, without reading it.
    pub(super) fn revision(&self) -> Option<Revision> {
        self.0.get(CURRENT).map(|entry| entry.revision)
    }

    /// The current configuration; `None` when there was none yet. Of one that was read before, only the parts are read that
    /// have changed since.
    ///
    /// # Errors
    /// In words, when it cannot be read: a newer version has written it, or somebody else.
    pub(super) fn kept(&self, before: Option<&Kept>) -> Result<Option<Kept>, String> {
        let Some((Current { by, parts, .. }, revision)) = self.current()? else { return Ok(None) };
        let Some(before) = before else {
            let mut objects = Objects::default();
            for hash in parts.values() {
                objects.extend(self.part(hash)?);
            }
            return Ok(Some(Kept { revision, by, parts, objects: Arc::new(objects) }));
        };
        let differs = |part: &&String| before.parts.get(*part) != parts.get(*part);
        let changed: BTreeSet<&String> = before.parts.keys().chain(parts.keys()).filter(differs).collect();
        if changed.is_empty() {
            return Ok(Some(Kept { revision, by, parts, objects: before.objects.clone() }));
        }
        let mut objects = Objects::clone(&before.objects);
        objects.retain(|name| !changed.contains(&part_of(name)));
        for hash in changed.into_iter().filter_map(|part| parts.get(part)) {
            objects.extend(self.part(hash)?.sharing(&before.objects));
        }
        Ok(Some(Kept { revision, by, parts, objects: Arc::new(objects) }))
    }

    fn part(&self, hash: &str) -> Result<Objects, String> {
        let part = self.0.get(&part_name(hash)).ok_or_else(|| format!("the part {hash} is not there"))?;
        let text = std::str::from_utf8(&part.value).map_err(|error| format!("the part {hash}: {error}"))?;
        Objects::read(text).map_err(|error| format!("the part {hash}: {error}"))
    }

    fn current(&self) -> Result<Option<(Current, Revision)>, String> {
        let Some(entry) = self.0.get(CURRENT) else { return Ok(None) };
        let current: Current =
            serde_json::from_slice(&entry.value).map_err(|error| format!("{:?} cannot be read: {error}", entry.key))?;
        match current.format {
            FORMAT => Ok(Some((current, entry.revision))),
            other => Err(format!("{:?} has the format {other}: a newer version of Carillon wrote it", entry.key)),
        }
    }

    fn parts(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.0.iter().filter(|(name, _)| *name != CURRENT)
    }
}

fn named(folder: &Key, entry: Entry) -> Option<(String, Entry)> {
    Some((entry.key.below(folder)?.to_owned(), entry))
}

fn part_name(hash: &str) -> String {
    format!("{PARTS}/{hash}")
}

/// Reads the folder.
///
/// # Errors
/// Those of the coordinator.
pub(super) async fn read(folder: &Folder) -> Result<Contents, Error> {
    let mut contents = Contents::default();
    contents.take(folder.key(), News::Everything(folder.list().await?));
    Ok(contents)
}

/// The revision that is current now, of which a feed may not have told yet.
///
/// # Errors
/// Those of the coordinator.
pub(super) async fn current_revision(folder: &Folder) -> Result<Option<Revision>, Error> {
    Ok(folder.get(CURRENT).await?.map(|entry| entry.revision))
}

/// Puts what is wanted in the place of what `before` holds; the new revision. `told` hears how many of how many parts are
/// written.
///
/// # Errors
/// [`Error::Conflict`] when the configuration is not as it was read any more; then nothing has changed. Others of the
/// coordinator.
pub(super) async fn write(
    folder: &Folder,
    before: &Contents,
    Wanted { objects, touched, by }: Wanted<'_>,
    told: &(dyn Fn(usize, usize) + Sync),
) -> Result<Revision, Error> {
    let (mut parts, expect) = match before.current().map_err(Error::Refused)? {
        Some((current, revision)) => (current.parts, Expect::At(revision)),
        None => (BTreeMap::new(), Expect::Absent),
    };
    let known: BTreeSet<String> = parts.values().cloned().collect();
    parts.retain(|part, _| touched.as_ref().is_some_and(|touched| !touched.contains(part)));
    let divided = divide(objects, touched.as_ref());
    let fresh = divided.values().filter(|(hash, _)| !known.contains(hash));
    let fresh = fresh.map(|(hash, text)| (part_name(hash), Expect::Anything, Some(Bytes::from(text.clone()))));
    let fresh: Vec<Write> = fresh.collect();
    let (mut written, of) = (0, fresh.len());
    for batch in batches(fresh)? {
        let count = batch.len();
        folder.write(batch).await?;
        written += count;
        told(written, of);
    }
    parts.extend(divided.into_iter().map(|(part, (hash, _))| (part, hash)));
    let current = Current { format: FORMAT, by, parts };
    let value = serde_json::to_vec(&current).expect("it has only string keys");
    let revision = folder.write(vec![(CURRENT.to_owned(), expect, Some(value.into()))]).await?;
    sweep(folder, before, &current).await;
    Ok(revision)
}

/// Deletes what was there before and is not used any more. What fails is left for the next change.
async fn sweep(folder: &Folder, before: &Contents, current: &Current) {
    let used: BTreeSet<String> = current.parts.values().map(|hash| part_name(hash)).collect();
    let unused = before.parts().filter(|(name, _)| !used.contains(*name));
    let deletes: Vec<Write> = unused.map(|(name, entry)| (name.clone(), Expect::At(entry.revision), None)).collect();
    for batch in deletes.chunks(MAX_WRITES) {
        if let Err(error) = folder.write(batch.to_vec()).await {
            tracing::debug!(%error, "parts of an earlier configuration stay");
        }
    }
}

/// Those of the touched parts that are not empty, each with its hash.
fn divide(objects: &Objects, touched: Option<&BTreeSet<String>>) -> BTreeMap<String, (String, String)> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for (name, object) in objects.iter() {
        let part = part_of(name);
        if touched.is_some_and(|touched| !touched.contains(&part)) {
            continue;
        }
        let text = texts.entry(part).or_default();
        if !text.is_empty() {
            text.push_str(DIVIDER);
        }
        text.push_str(object.document());
    }
    texts.into_iter().map(|(part, text)| (part, (hex(&Sha256::digest(&text)), text))).collect()
}

/// The parts that these objects fall into.
pub(super) fn parts_of<'a>(names: impl Iterator<Item = &'a ObjectName>) -> BTreeSet<String> {
    names.map(part_of).collect()
}

/// Which part an object falls into. It must never change: other versions look for it there.
fn part_of(name: &ObjectName) -> String {
    hex(&Sha256::digest(name.to_string())[..1])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Divides writes so that each transaction is small enough.
fn batches(writes: Vec<Write>) -> Result<Vec<Vec<Write>>, Error> {
    let mut batches: Vec<Vec<Write>> = Vec::new();
    let mut room = 0;
    for write in writes {
        let bytes = write.2.as_ref().map_or(0, Bytes::len);
        if bytes > MOST_BYTES {
            let message =
                format!("a 256th of the objects has {bytes} bytes, more than {MOST_BYTES}: one of them is too large");
            return Err(Error::Refused(message));
        }
        match batches.last_mut().filter(|batch| bytes <= room && batch.len() < MAX_WRITES) {
            Some(batch) => batch.push(write),
            None => {
                batches.push(vec![write]);
                room = BATCH_BYTES;
            }
        }
        room = room.saturating_sub(bytes);
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use carillon_cluster::coordinator::Coordinator;
    use carillon_cluster::embedded::{Embedded, Saved, Step};
    use carillon_cluster::space::{PREFIX, Space};

    use super::*;

    async fn folder() -> Folder {
        let embedded = Embedded::open(Saved::default(), Box::new(|_: &Step| Ok(()))).await.unwrap();
        let coordinator: Arc<dyn Coordinator> = Arc::new(embedded);
        Space::new(coordinator, PREFIX).folder("config")
    }

    fn queues(count: usize, rings: usize) -> Objects {
        let one = |n: usize| format!("kind: Queue\nname: q{n}\nspec:\n  rings: {rings}\n");
        Objects::read(&(0..count).map(one).collect::<Vec<_>>().join(DIVIDER)).unwrap()
    }

    async fn kept(folder: &Folder) -> Kept {
        read(folder).await.unwrap().kept(None).unwrap().unwrap()
    }

    async fn put(folder: &Folder, before: &Contents, objects: &Objects, by: By) -> Result<Revision, Error> {
        write(folder, before, Wanted { objects, touched: None, by }, &|_, _| {}).await
    }

    #[tokio::test]
    async fn what_is_written_is_what_is_read_and_nothing_is_left_behind() {
        let folder = folder().await;
        assert!(read(&folder).await.unwrap().kept(None).unwrap().is_none());
        let mut last = Revision(0);
        for (count, rings, by) in [(3_000, 4, By::File), (3_000, 5, By::Apply), (2, 5, By::Apply), (0, 0, By::Apply)] {
            let before = read(&folder).await.unwrap();
            let revision = put(&folder, &before, &queues(count, rings), by).await.unwrap();
            let now = kept(&folder).await;
            assert!(revision > last && now.revision == revision && now.by == by);
            assert_eq!(now.objects.changes_to(&queues(count, rings)), []);
            let contents = read(&folder).await.unwrap();
            let used = contents.current().unwrap().unwrap().0.parts.len();
            assert_eq!(contents.parts().count(), used, "{count} objects");
            last = revision;
        }
    }

    #[tokio::test]
    async fn one_object_costs_one_part() {
        let folder = folder().await;
        put(&folder, &read(&folder).await.unwrap(), &queues(3_000, 4), By::File).await.unwrap();
        let before = read(&folder).await.unwrap();
        let was = before.kept(None).unwrap().unwrap();
        let mut objects = Objects::clone(&was.objects);
        objects.extend(queues(1, 5));
        let touched = parts_of(was.objects.changes_to(&objects).iter().map(|change| &change.name));
        let written = std::sync::Mutex::new(Vec::new());
        let wanted = Wanted { objects: &objects, touched: Some(touched), by: By::Apply };
        let revision = write(&folder, &before, wanted, &|part, of| written.lock().unwrap().push((part, of))).await;
        assert_eq!(*written.lock().unwrap(), [(1, 1)]);
        let after = read(&folder).await.unwrap();
        assert_eq!(after.parts().filter(|(name, _)| !before.0.contains_key(*name)).count(), 1);
        let now = after.kept(Some(&was)).unwrap().unwrap();
        assert_eq!((now.revision, now.objects.len()), (revision.unwrap(), 3_000));
        assert_eq!(now.objects.changes_to(&objects), []);
        assert_eq!(now.objects.changes_to(&kept(&folder).await.objects), [], "as if nothing had been known before");
        let shared = now.objects.iter().filter(|(name, object)| was.objects.get(name).is_some_and(|it| it.is(object)));
        assert_eq!(shared.count(), 2_999, "what has not changed is not read again");
    }

    #[tokio::test]
    async fn of_two_who_change_at_once_one_is_refused_and_disturbs_nothing() {
        let folder = folder().await;
        put(&folder, &read(&folder).await.unwrap(), &queues(500, 4), By::File).await.unwrap();
        let (one, other) = (read(&folder).await.unwrap(), read(&folder).await.unwrap());
        put(&folder, &one, &queues(500, 5), By::Apply).await.unwrap();
        let late = put(&folder, &other, &queues(500, 6), By::Apply).await;
        assert!(matches!(late, Err(Error::Conflict(_))), "{late:?}");
        assert_eq!(kept(&folder).await.objects.changes_to(&queues(500, 5)), []);
        // What he began to write is swept up by the next.
        let before = read(&folder).await.unwrap();
        put(&folder, &before, &queues(500, 7), By::Apply).await.unwrap();
        let contents = read(&folder).await.unwrap();
        assert_eq!(contents.parts().count(), contents.current().unwrap().unwrap().0.parts.len());
        assert_eq!(kept(&folder).await.objects.changes_to(&queues(500, 7)), []);
    }

    /// Somebody goes back to what was there before, while the one who replaced it still sweeps.
    #[tokio::test]
    async fn a_part_that_is_written_again_is_not_swept_away() {
        let folder = folder().await;
        put(&folder, &read(&folder).await.unwrap(), &queues(5, 4), By::File).await.unwrap();
        let first = read(&folder).await.unwrap();
        put(&folder, &first, &queues(5, 5), By::Apply).await.unwrap();
        let second = read(&folder).await.unwrap();
        put(&folder, &second, &queues(5, 4), By::Apply).await.unwrap();
        // The late sweep of the one who went from 4 to 5 rings.
        let fives = divide(&queues(5, 5), None).into_iter().map(|(part, (hash, _))| (part, hash)).collect();
        sweep(&folder, &first, &Current { format: FORMAT, by: By::Apply, parts: fives }).await;
        assert_eq!(kept(&folder).await.objects.changes_to(&queues(5, 4)), []);
    }

    #[tokio::test]
    async fn a_feed_never_shows_half_of_a_change() {
        let folder = folder().await;
        let mut feed = folder.follow();
        let mut contents = Contents::default();
        contents.take(folder.key(), feed.next().await.unwrap());
        let writing = tokio::spawn({
            let folder = folder.clone();
            async move {
                for rings in 1..8 {
                    put(&folder, &read(&folder).await.unwrap(), &queues(400, rings), By::Apply).await.unwrap();
                }
            }
        });
        let mut seen = None;
        while contents.kept(None).unwrap().is_none_or(|kept| !kept.objects.changes_to(&queues(400, 7)).is_empty()) {
            contents.take(folder.key(), feed.next().await.unwrap());
            if let Some(kept) = contents.kept(None).unwrap().filter(|kept| seen != Some(kept.revision)) {
                let whole = |rings| kept.objects.changes_to(&queues(400, rings)).is_empty();
                assert!((1..8).any(whole), "revision {:?}", kept.revision);
                seen = Some(kept.revision);
            }
        }
        writing.await.unwrap();
    }

    #[test]
    fn a_newer_format_is_not_guessed() {
        let key = Key("/c/config/current".into());
        let value = Bytes::from_static(b"{\"format\":2,\"by\":\"apply\",\"parts\":{}}");
        let entry = Entry { key, value, revision: Revision(3), lease: None };
        let contents = Contents(BTreeMap::from([(CURRENT.to_owned(), entry)]));
        assert!(contents.kept(None).unwrap_err().contains("newer version"));
    }
}
