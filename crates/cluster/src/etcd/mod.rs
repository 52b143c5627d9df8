//! etcd as the coordinator. The client library sends one request to one place and no more; what a cluster needs beyond
//! that is here: [`endpoints`] (which of several to ask, and when to ask another), [`keeper`] (a lease kept alive) and
//! [`watcher`] (a feed that survives restarts and compactions).

mod endpoints;
mod keeper;
mod watcher;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::{Compare, CompareOp, GetOptions, KeyValue, PutOptions, Txn, TxnOp, TxnOpResponse};

use crate::coordinator::{
    Act, Coordinator, Entry, Error, Expect, Feed, Key, LeaseId, Listing, MAX_WRITES, Revision, Write,
};
use endpoints::Endpoints;

/// The largest answer that is read: twenty thousand agents and ten thousand queues are some 30 MB.
const MAX_ANSWER: usize = 128 * 1024 * 1024;

/// How many keys the first page of a folder has, and any page.
const FIRST_PAGE: i64 = 64;
const MOST_KEYS: i64 = 4_096;
/// About how much a page of a folder has.
const PAGE_BYTES: i64 = 1 << 20;

/// How etcd is reached.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its client addresses, `http://host:2379` or `https://…`. All of one etcd cluster; any order.
    pub endpoints: Vec<String>,
    /// Certificates, when the endpoints are `https`.
    pub tls: Option<Tls>,
    /// Who we are, when etcd's authentication is on.
    pub user: Option<User>,
    /// How long one endpoint may take to answer before the next is asked. A request asks each once, and at least two
    /// times; so keep-alives stay possible while one endpoint is frozen when this is below a fifth of the lease's time.
    pub timeout: Duration,
}

impl Options {
    /// These endpoints, without certificates and password.
    pub fn new(endpoints: Vec<String>) -> Self {
        Options { endpoints, tls: None, user: None, timeout: Duration::from_millis(500) }
    }
}

/// Certificates, as PEM.
#[derive(Clone, Default)]
pub struct Tls {
    /// Who may have signed etcd's certificate; `None` refuses all, for there is no built-in list.
    pub authority: Option<String>,
    /// Our own certificate and key, when etcd asks for one.
    pub identity: Option<(String, String)>,
    /// The name in etcd's certificate, when it is not the endpoints' host.
    pub server_name: Option<String>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// A user of etcd.
#[derive(Clone)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password; never shown (Spec: SE-5).
    pub password: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// etcd.
#[derive(Clone, Debug)]
pub struct Etcd {
    endpoints: Arc<Endpoints>,
}

impl Etcd {
    /// etcd as `options` say. Nothing is asked yet: a node starts while its coordinator is away.
    ///
    /// # Errors
    /// [`Error::Refused`] when an address or a certificate cannot be read.
    pub fn new(options: Options) -> Result<Self, Error> {
        Ok(Etcd { endpoints: Arc::new(Endpoints::new(options)?) })
    }
}

#[async_trait]
impl Coordinator for Etcd {
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, Error> {
        // etcd counts whole seconds; more time than asked is harmless.
        let seconds = i64::try_from(ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0)).unwrap_or(i64::MAX);
        let grant = |client: etcd_client::Client| async move { client.lease_client().grant(seconds, None).await };
        // A grant whose answer was lost leaves a lease that ends by itself.
        Ok(LeaseId(self.endpoints.ask(grant).await?.id()))
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), Error> {
        keeper::keep_alive(&self.endpoints, lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), Error> {
        let revoke = |client: etcd_client::Client| async move { client.lease_client().revoke(lease.0).await };
        match self.endpoints.ask(revoke).await {
            Ok(_) | Err(Error::LeaseLost) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Revision, Error> {
        if writes.len() > MAX_WRITES {
            return Err(Error::Refused(format!("a transaction writes at most {MAX_WRITES} keys")));
        }
        let transaction = transaction(&writes);
        let mut attempts = 0;
        let answer = self
            .endpoints
            .ask(|client| {
                attempts += 1;
                let transaction = transaction.clone();
                async move { client.kv_client().txn(transaction).await }
            })
            .await?;
        if answer.succeeded() {
            let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
            return Ok(self::revision(revision));
        }
        let found: Vec<Entry> = answer.op_responses().into_iter().flat_map(entries).collect();
        // The first attempt may have been done and its answer lost. Then everything is as it was to be.
        match already(&writes, &found).filter(|_| attempts > 1) {
            Some(revision) => Ok(revision),
            None => Err(Error::Conflict(found)),
        }
    }

    async fn list(&self, folder: &Key) -> Result<Listing, Error> {
        list(&self.endpoints, folder).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let get = |client: etcd_client::Client| async move { client.kv_client().get(key.0.as_str(), None).await };
        let answer = self.endpoints.ask(get).await?;
        Ok(answer.kvs().first().map(entry))
    }

    fn follow(&self, folder: &Key) -> Feed {
        let (news, feed) = Feed::new();
        tokio::spawn(watcher::watch(Arc::clone(&self.endpoints), folder.clone(), news));
        feed
    }
}

/// In pages of about [`PAGE_BYTES`], all at the revision of the first: an endpoint has the same time for each request, and a
/// folder may be large.
async fn list(endpoints: &Endpoints, folder: &Key) -> Result<Listing, Error> {
    let end = behind(folder);
    let (mut listing, mut from, mut limit) = (Listing::default(), below(folder), FIRST_PAGE);
    loop {
        let options = GetOptions::new().with_range(end.clone()).with_limit(limit);
        let options = options.with_revision(i64::try_from(listing.revision.0).unwrap_or(i64::MAX));
        let get = |client: etcd_client::Client| {
            let (from, options) = (from.clone(), options.clone());
            async move {
                let mut kv = client.kv_client().max_decoding_message_size(MAX_ANSWER);
                kv.get(from, Some(options)).await
            }
        };
        let answer = endpoints.ask(get).await?;
        if listing.entries.is_empty() {
            let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
            listing.revision = self::revision(revision);
        }
        listing.entries.extend(answer.kvs().iter().map(entry));
        let Some(last) = answer.kvs().last().filter(|_| answer.more()) else { return Ok(listing) };
        from = [last.key(), b"\0"].concat();
        let bytes: usize = answer.kvs().iter().map(|pair| pair.key().len() + pair.value().len()).sum();
        limit = (limit * PAGE_BYTES / i64::try_from(bytes.max(1)).unwrap_or(i64::MAX)).clamp(1, MOST_KEYS);
    }
}

fn transaction(writes: &[Write]) -> Txn {
    let compare = |write: &Write| match write.expect {
        Expect::Anything => None,
        Expect::Absent => Some(Compare::create_revision(write.key.0.as_str(), CompareOp::Equal, 0)),
        // A key that is absent has revision 0, which is nobody's.
        Expect::At(Revision(at)) => {
            let at = i64::try_from(at).unwrap_or(i64::MAX);
            Some(Compare::mod_revision(write.key.0.as_str(), CompareOp::Equal, at))
        }
    };
    let operation = |write: &Write| match &write.act {
        Act::Put(value, lease) => {
            let options = lease.map(|LeaseId(lease)| PutOptions::new().with_lease(lease));
            TxnOp::put(write.key.0.as_str(), value.as_ref(), options)
        }
        Act::Delete => TxnOp::delete(write.key.0.as_str(), None),
    };
    Txn::new()
        .when(writes.iter().filter_map(compare).collect::<Vec<_>>())
        .and_then(writes.iter().map(operation).collect::<Vec<_>>())
        .or_else(writes.iter().map(|write| TxnOp::get(write.key.0.as_str(), None)).collect::<Vec<_>>())
}

/// The revision in which all of `writes` were done, if what was found is what they would have left.
fn already(writes: &[Write], found: &[Entry]) -> Option<Revision> {
    let done = |write: &Write| {
        let entry = found.iter().find(|entry| entry.key == write.key);
        match (&write.act, entry) {
            (Act::Put(value, lease), Some(entry)) => entry.value == value && entry.lease == *lease,
            (Act::Delete, None) => true,
            (Act::Put(..), None) | (Act::Delete, Some(_)) => false,
        }
    };
    let revision = found.first().map_or(Revision::default(), |entry| entry.revision);
    let at_once = found.iter().all(|entry| entry.revision == revision);
    (at_once && writes.iter().all(done)).then_some(revision)
}

fn entries(answer: TxnOpResponse) -> Vec<Entry> {
    match answer {
        TxnOpResponse::Get(answer) => answer.kvs().iter().map(entry).collect(),
        TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => Vec::new(),
    }
}

fn entry(pair: &KeyValue) -> Entry {
    Entry {
        key: key(pair),
        value: Bytes::copy_from_slice(pair.value()),
        revision: revision(pair.mod_revision()),
        lease: (pair.lease() != 0).then(|| LeaseId(pair.lease())),
    }
}

fn key(pair: &KeyValue) -> Key {
    Key(String::from_utf8_lossy(pair.key()).into_owned())
}

fn revision(number: i64) -> Revision {
    Revision(u64::try_from(number).unwrap_or_default())
}

/// The prefix of all keys below a folder.
fn below(folder: &Key) -> Vec<u8> {
    format!("{}/", folder.0).into_bytes()
}

/// The first key behind all of those.
fn behind(folder: &Key) -> Vec<u8> {
    let after_slash = char::from(b'/' + 1);
    format!("{}{after_slash}", folder.0).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_write_knows_its_own_work_and_nobody_elses() {
        let put = |value: &'static str, lease| Write {
            key: Key("/c/shards/0001".into()),
            expect: Expect::Absent,
            act: Act::Put(Bytes::from_static(value.as_bytes()), Some(LeaseId(lease))),
        };
        let found = Entry {
            key: Key("/c/shards/0001".into()),
            value: Bytes::from_static(b"7"),
            revision: Revision(12),
            lease: Some(LeaseId(3)),
        };
        assert_eq!(already(&[put("7", 3)], std::slice::from_ref(&found)), Some(Revision(12)));
        assert_eq!(already(&[put("7", 4)], std::slice::from_ref(&found)), None, "of an earlier registration");
        assert_eq!(already(&[put("8", 3)], &[found]), None);
    }

    // spec: SE-5
    #[test]
    fn se_5_a_password_is_never_shown() {
        let mut options = Options::new(vec!["https://etcd-1:2379".into()]);
        options.user = Some(User { name: "carillon".into(), password: "s3cret".into() });
        options.tls = Some(Tls { identity: Some(("cert".into(), "k3y".into())), ..Tls::default() });
        let shown = format!("{options:?}");
        assert!(shown.contains("carillon") && !shown.contains("s3cret") && !shown.contains("k3y"), "{shown}");
    }
}
