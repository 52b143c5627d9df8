//! The coordinator of a node that stands alone: in its own process, kept in its store (Spec: CL-7).

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use carillon_cluster::coordinator::{Change, Coordinator, Entry, Key, Revision};
use carillon_cluster::embedded::{Embedded, Journal, Saved, Step};
use carillon_cluster::space::{PREFIX, Space};
use carillon_store::{Kept, Store};

struct Journaled(Store);

#[async_trait]
impl Journal for Journaled {
    async fn keep(&mut self, step: &Step) -> io::Result<()> {
        let (mut put, mut delete) = (Vec::new(), Vec::new());
        for change in &step.changes {
            match change {
                Change::Put(Entry { key, value, revision, .. }) => {
                    put.push(Kept { key: key.0.clone(), value: value.to_vec(), revision: revision.0 });
                }
                Change::Deleted(key, _) => delete.push(key.0.clone()),
            }
        }
        self.0.keep(step.reserved.0, &put, &delete).await.map_err(io::Error::other)
    }
}

/// The only node's part of its own coordinator, as its store has kept it.
pub(super) async fn space(store: &Store) -> anyhow::Result<Space> {
    let (reserved, kept) = store.load_kept().await?;
    let entry = |Kept { key, value, revision }| Entry {
        key: Key(key),
        value: Bytes::from(value),
        revision: Revision(revision),
        lease: None,
    };
    let saved = Saved { reserved: Revision(reserved), entries: kept.into_iter().map(entry).collect() };
    let coordinator: Arc<dyn Coordinator> = Arc::new(Embedded::open(saved, Box::new(Journaled(store.clone()))).await?);
    Ok(Space::new(coordinator, PREFIX))
}
