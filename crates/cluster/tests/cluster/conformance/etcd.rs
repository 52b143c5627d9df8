//! What only a real etcd can show: members that die, freeze and come back; passwords and certificates; compaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use carillon_cluster::coordinator::{
    Act, Change, Coordinator, Error, Expect, Feed, Key, LeaseId, News, Revision, Write,
};
use carillon_cluster::etcd::{Etcd, Options, Tls, User};
use tokio::time::timeout;

use crate::cable::Cable;
use crate::server::Server;

/// Elections take half a second here, and the machine compiles beside.
const LONG: Duration = Duration::from_secs(20);

fn folder() -> Key {
    Key("/test/a".into())
}

fn put(name: &str, lease: Option<LeaseId>) -> Vec<Write> {
    let act = Act::Put(Bytes::from_static(b"x"), lease);
    vec![Write { key: folder().join(name), expect: Expect::Anything, act }]
}

fn reach(endpoints: Vec<String>) -> Arc<Etcd> {
    Arc::new(Etcd::new(Options::new(endpoints)).unwrap())
}

/// Writes a new key, until it is there: elections make some attempts fail, and some answers get lost.
async fn commit(etcd: &Etcd, name: &str) -> Revision {
    let mut writes = put(name, None);
    writes[0].expect = Expect::Absent;
    let tried = async {
        loop {
            match etcd.commit(writes.clone()).await {
                Ok(revision) => return revision,
                Err(Error::Conflict(found)) => return found[0].revision,
                Err(Error::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    timeout(LONG, tried).await.expect("etcd is back in time")
}

/// The names in the order in which they were written, until `last`; whether the feed began anew on the way.
async fn names(feed: &mut Feed, last: &str) -> (Vec<String>, bool) {
    let (mut names, mut anew) = (Vec::new(), false);
    while names.last().is_none_or(|name| name != last) {
        match timeout(LONG, feed.next()).await.expect("news in time").expect("a feed does not end") {
            News::Everything(listing) => {
                anew = true;
                names = listing.entries.iter().map(|e| e.key.below(&folder()).unwrap().to_owned()).collect();
            }
            News::Changes(changes) => names.extend(changes.iter().map(|change| match change {
                Change::Put(entry) => entry.key.below(&folder()).unwrap().to_owned(),
                Change::Deleted(key, _) => format!("-{}", key.0),
            })),
        }
    }
    (names, anew)
}

async fn first_news(feed: &mut Feed) {
    let first = timeout(LONG, feed.next()).await.expect("news in time");
    assert!(matches!(first, Some(News::Everything(_))));
}

#[tokio::test]
async fn a_dead_endpoint_costs_no_request() {
    let mut server = Server::start(3).await;
    let etcd = reach(server.endpoints());
    commit(&etcd, "0").await;
    server.kill(0);
    // Member 0 is asked first; when it led, an election is held too.
    commit(&etcd, "1").await;
    for n in 0..100 {
        etcd.commit(put(&n.to_string(), None)).await.expect("two of three are there");
    }
}

#[tokio::test]
async fn a_frozen_endpoint_is_left_for_the_next() {
    let server = Server::start(3).await;
    let etcd = reach(server.endpoints());
    let mut feed = etcd.follow(&folder());
    first_news(&mut feed).await;
    commit(&etcd, "1").await;
    assert_eq!(names(&mut feed, "1").await.0, ["1"]);
    server.freeze(0, true);
    commit(&etcd, "2").await;
    commit(&etcd, "3").await;
    let (seen, _) = names(&mut feed, "3").await;
    assert_eq!(seen, ["2", "3"], "the feed has left it too, and missed nothing");
    server.freeze(0, false);
}

// spec: CL-5
#[tokio::test]
async fn cl_5_leases_and_feeds_outlive_every_member_in_turn() {
    let mut server = Server::start(3).await;
    let etcd = reach(server.endpoints());
    let lease = etcd.grant(LONG * 3).await.unwrap();
    etcd.commit(put("leased", Some(lease))).await.unwrap();
    let mut feed = etcd.follow(&folder());
    first_news(&mut feed).await;
    // One of the three leads; whichever it is, it dies once.
    for n in 0..3 {
        server.kill(n);
        let name = format!("without-{n}");
        commit(&etcd, &name).await;
        assert_ne!(etcd.keep_alive(lease).await, Err(Error::LeaseLost), "a new leader gives leases their whole time");
        let (seen, anew) = names(&mut feed, &name).await;
        assert!(!anew && seen == [name], "{seen:?}");
        server.run(n);
        server.answers().await;
        commit(&etcd, &format!("with-{n}")).await;
        names(&mut feed, &format!("with-{n}")).await;
    }
    let listing = etcd.list(&folder()).await.unwrap();
    assert!(listing.entries.iter().any(|entry| entry.lease == Some(lease)), "{listing:?}");
}

// spec: CL-5
#[tokio::test]
async fn cl_5_while_all_of_it_is_frozen_requests_fail_in_time_and_afterwards_all_resumes() {
    let server = Server::start(1).await;
    let etcd = reach(server.endpoints());
    let mut feed = etcd.follow(&folder());
    first_news(&mut feed).await;
    server.freeze(0, true);
    let begun = Instant::now();
    assert!(matches!(etcd.commit(put("1", None)).await, Err(Error::Unavailable(_))));
    assert!(begun.elapsed() < LONG, "each attempt is bounded");
    server.freeze(0, false);
    commit(&etcd, "2").await;
    // The frozen write may have happened after all.
    let (seen, anew) = names(&mut feed, "2").await;
    assert!(!anew && (seen == ["2"] || seen == ["1", "2"] || seen == ["1", "1", "2"]), "{seen:?}");
}

#[tokio::test]
async fn a_feed_begins_anew_only_when_etcd_has_forgotten_what_comes_next() {
    let server = Server::start(1).await;
    let cable = Cable::to(&server.endpoints()[0]).await;
    let (near, far) = (reach(server.endpoints()), reach(vec![cable.endpoint()]));
    let mut feed = far.follow(&folder());
    first_news(&mut feed).await;

    cable.plug(false);
    commit(&near, "1").await;
    commit(&near, "2").await;
    cable.plug(true);
    assert_eq!(names(&mut feed, "2").await, (vec!["1".to_owned(), "2".to_owned()], false), "resumed");

    cable.plug(false);
    commit(&near, "3").await;
    let last = commit(&near, "4").await;
    let mut direct = etcd_client::Client::connect(server.endpoints(), None).await.unwrap();
    direct.compact(i64::try_from(last.0).unwrap(), None).await.unwrap();
    cable.plug(true);
    let (seen, anew) = names(&mut feed, "4").await;
    assert!(anew && seen.len() == 4, "everything once more: {seen:?}");
}

#[tokio::test]
async fn a_restarted_etcd_ends_no_feed() {
    let mut server = Server::start(1).await;
    let etcd = reach(server.endpoints());
    let mut feed = etcd.follow(&folder());
    first_news(&mut feed).await;
    server.kill(0);
    server.run(0);
    commit(&etcd, "1").await;
    assert_eq!(names(&mut feed, "1").await, (vec!["1".to_owned()], false));
}

#[tokio::test]
async fn a_user_logs_in_and_a_wrong_password_is_told_at_once() {
    let mut server = Server::start(1).await;
    let mut root = etcd_client::Client::connect(server.endpoints(), None).await.unwrap();
    root.user_add("root", "s3cret", None).await.unwrap();
    root.user_grant_role("root", "root").await.unwrap();
    root.auth_enable().await.unwrap();
    let as_root = |password: &str| {
        let user = Some(User { name: "root".into(), password: password.into() });
        Etcd::new(Options { user, ..Options::new(server.endpoints()) }).unwrap()
    };
    let refused = as_root("guess").commit(put("1", None)).await;
    assert!(matches!(&refused, Err(Error::Refused(reason)) if reason.contains("authentication failed")), "{refused:?}");
    assert!(matches!(reach(server.endpoints()).list(&folder()).await, Err(Error::Refused(_))), "nobody is nobody");

    let etcd = as_root("s3cret");
    commit(&etcd, "1").await;
    let mut feed = etcd.follow(&folder());
    first_news(&mut feed).await;
    // etcd forgets who has logged in when it restarts.
    server.kill(0);
    server.run(0);
    commit(&etcd, "2").await;
    assert_eq!(names(&mut feed, "2").await.0, ["2"]);
}

#[tokio::test]
async fn se_3_a_certificate_is_checked_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let (certificate, key) = authority.sign();
    let arguments = [
        "--cert-file".to_owned(),
        write("server.pem", &certificate),
        "--key-file".to_owned(),
        write("server.key", &key),
        "--trusted-ca-file".to_owned(),
        write("ca.pem", &authority.certificate()),
        "--client-cert-auth".to_owned(),
    ];
    let server = Server::start_with(1, "https", &arguments).await;
    let with = |trusted: &Authority, identity| {
        let tls = Tls { authority: Some(trusted.certificate()), identity, server_name: None };
        Etcd::new(Options { tls: Some(tls), ..Options::new(server.endpoints()) }).unwrap()
    };
    commit(&with(&authority, Some(authority.sign())), "1").await;
    let stranger = Authority::new("theirs");
    assert!(with(&stranger, Some(authority.sign())).commit(put("2", None)).await.is_err(), "not our etcd");
    assert!(with(&authority, Some(stranger.sign())).commit(put("2", None)).await.is_err(), "not their client");
    assert!(with(&authority, None).commit(put("2", None)).await.is_err(), "nobody's client");
    let plain = Etcd::new(Options::new(server.endpoints()));
    assert!(matches!(plain, Err(Error::Refused(_))), "https without certificates is a mistake");
}

/// Somebody who signs certificates.
struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        Authority { issuer: rcgen::Issuer::new(parameters, key), certificate }
    }

    fn certificate(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate and its key, for a server or a client on loopback.
    fn sign(&self) -> (String, String) {
        let mut parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let usages = [rcgen::ExtendedKeyUsagePurpose::ServerAuth, rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        parameters.extended_key_usages.extend(usages);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}
