//! A feed that does not end. A watch of the library ends with its connection and with every restart of etcd; this one
//! goes on with the revision after the last it has brought, and begins anew when etcd no longer has that: after a
//! compaction, or when it was restored from a backup that is older than what we have seen.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{EventType, WatchOptions, WatchResponse, WatchStream};
use rand::RngExt;
use tokio::sync::mpsc;

use super::endpoints::{Endpoints, translate};
use super::{MAX_ANSWER, below, entry, key, list, revision};
use crate::coordinator::{Change, Error, Key, News, Revision};

/// How long to wait after a failure, on average. Not all nodes come back at the same moment.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a watch has ended.
enum Ended {
    /// The reader is gone.
    Unread,
    /// etcd no longer has what comes next.
    Forgotten,
    /// The connection, the member or its leader is gone.
    Failed(Error),
}

/// Brings news of a folder until nobody reads it.
pub(super) async fn watch(endpoints: Arc<Endpoints>, folder: Key, news: mpsc::Sender<News>) {
    let mut seen = None;
    loop {
        let at = endpoints.current();
        let ended = tokio::select! {
            ended = follow(&endpoints, &folder, &mut seen, &news) => ended,
            () = news.closed() => return,
        };
        match ended {
            Ended::Unread => return,
            Ended::Forgotten => seen = None,
            Ended::Failed(error) => {
                tracing::debug!(%error, folder = ?folder, "watch ended");
                endpoints.leave(at);
                let pause = PAUSE.mul_f64(rand::rng().random_range(0.5..1.5));
                tokio::time::sleep(pause).await;
            }
        }
    }
}

async fn follow(endpoints: &Endpoints, folder: &Key, seen: &mut Option<Revision>, news: &mpsc::Sender<News>) -> Ended {
    let mut after = match *seen {
        Some(after) => after,
        None => match list(endpoints, folder).await {
            Ok(listing) => {
                let revision = listing.revision;
                if news.send(News::Everything(listing)).await.is_err() {
                    return Ended::Unread;
                }
                *seen.insert(revision)
            }
            Err(error) => return Ended::Failed(error),
        },
    };
    let mut stream = match open(endpoints, folder, after).await {
        Ok(stream) => stream,
        Err(error) => return Ended::Failed(error),
    };
    loop {
        let answer = match stream.message().await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Ended::Failed(Error::Unavailable("etcd closed the watch".into())),
            Err(error) => return Ended::Failed(translate(&error)),
        };
        let current = answer.header().map_or(after, |header| revision(header.revision()));
        if answer.compact_revision() > 0 || current < after {
            return Ended::Forgotten;
        }
        if answer.canceled() {
            return Ended::Failed(Error::Unavailable(answer.cancel_reason().to_owned()));
        }
        let changes = changes(&answer);
        if let Some(last) = changes.last() {
            after = match last {
                Change::Put(entry) => entry.revision,
                Change::Deleted(_, revision) => *revision,
            };
            if news.send(News::Changes(changes)).await.is_err() {
                return Ended::Unread;
            }
            *seen = Some(after);
        }
    }
}

async fn open(endpoints: &Endpoints, folder: &Key, after: Revision) -> Result<WatchStream, Error> {
    let from = i64::try_from(after.0 + 1).unwrap_or(i64::MAX);
    let options = WatchOptions::new().with_prefix().with_start_revision(from);
    let watch = async {
        let mut client = endpoints.client().await?.watch_client().max_decoding_message_size(MAX_ANSWER);
        client.watch(below(folder), Some(options)).await
    };
    match tokio::time::timeout(endpoints.timeout(), watch).await {
        Ok(stream) => stream.map_err(|error| translate(&error)),
        Err(_) => Err(Error::Unavailable("no watch in time".into())),
    }
}

fn changes(answer: &WatchResponse) -> Vec<Change> {
    let change = |event: &etcd_client::Event| {
        let pair = event.kv()?;
        Some(match event.event_type() {
            EventType::Put => Change::Put(entry(pair)),
            EventType::Delete => Change::Deleted(key(pair), revision(pair.mod_revision())),
        })
    };
    answer.events().iter().filter_map(change).collect()
}
