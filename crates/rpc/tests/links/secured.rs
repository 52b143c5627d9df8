//! Links with TLS, and nodes that disagree about it.

use std::time::Duration;

use carillon_acd::ids::NodeId;
use carillon_rpc::cluster::link::Tls;
use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};

use crate::authority::Authority;
use crate::node::{LIMIT, Node, Seen, envelope, reachable};

const LOCAL: &str = "127.0.0.1:0";

async fn node(number: u32, tls: Option<Tls>) -> Node {
    Node::with(number, number * 100, LOCAL.parse().unwrap(), tls).await
}

/// Why node 1 has no link to node 2, once it knows; and node 2 has refused a stranger.
async fn refused(one: &Node, two: &Node) -> String {
    one.meet(two);
    let trouble = one.until("why there is no link", |links| links.troubles().remove(&NodeId(2))).await;
    two.until("the other side saw it too", |links| (links.stats().strangers > 0).then_some(())).await;
    assert_eq!((one.links.up(), two.links.up()), (vec![], vec![]));
    trouble
}

#[tokio::test]
async fn nodes_of_one_authority_have_a_link_and_probe_each_other() {
    let authority = Authority::new("cluster");
    let (first, second) = (authority.files(), authority.files());
    let (mut one, mut two) = (node(1, Some(first.read().unwrap())).await, node(2, Some(second.read().unwrap())).await);
    one.meet(&two);
    assert_eq!(one.next().await, Seen::Link(NodeId(2), Some(200)));
    assert_eq!(two.next().await, Seen::Link(NodeId(1), Some(100)));
    one.links.send(NodeId(2), envelope(7)).unwrap();
    assert_eq!(two.next().await, Seen::Message(NodeId(1), Box::new(reachable(7))));
    assert!(two.links.probe(one.addr, LIMIT).await && one.links.probe(two.addr, LIMIT).await);
}

#[tokio::test]
async fn a_node_with_tls_and_one_without_have_no_link_and_both_know_why() {
    let files = Authority::new("cluster").files();
    let (plain, secured) = (node(1, None).await, node(2, Some(files.read().unwrap())).await);
    let why = refused(&plain, &secured).await;
    assert!(why.contains("may ask for TLS"), "{why}");
    assert!(!plain.links.probe(secured.addr, Duration::from_secs(2)).await);
    let (secured, plain) = (node(1, Some(files.read().unwrap())).await, node(2, None).await);
    let why = refused(&secured, &plain).await;
    assert!(why.contains("may have no `link_tls`"), "{why}");
    assert!(!secured.links.probe(plain.addr, Duration::from_secs(2)).await);
}

#[tokio::test]
async fn who_is_not_of_the_cluster_is_refused_whichever_side_it_stands_on() {
    let (ours, theirs) = (Authority::new("cluster"), Authority::new("somebody"));
    let (our_files, their_files, misnamed) = (ours.files(), theirs.files(), ours.files());
    // Signed by our authority, and not for a node: a web server, say.
    misnamed.renew(&ours.pem(), &ours.sign("web", &[ServerAuth, ClientAuth]));
    for stranger in [&their_files, &misnamed] {
        let read = || if std::ptr::eq(stranger, &misnamed) { stranger.read_for("web") } else { stranger.read() };
        let (one, two) = (node(1, Some(read().unwrap())).await, node(2, Some(our_files.read().unwrap())).await);
        refused(&one, &two).await;
        let (one, two) = (node(1, Some(our_files.read().unwrap())).await, node(2, Some(read().unwrap())).await);
        refused(&one, &two).await;
    }
}

#[tokio::test]
async fn the_name_is_asked_of_those_who_dial_too() {
    let authority = Authority::new("cluster");
    let (files, web) = (authority.files(), authority.files());
    web.renew(&authority.pem(), &authority.sign("web", &[ServerAuth, ClientAuth]));
    // It would take our node 2 for one of its own; ours does not take it for one of ours.
    let both = authority.files();
    let two = node(2, Some(files.read().unwrap())).await;
    let one = node(1, Some(web.read_for("web").unwrap())).await;
    refused(&one, &two).await;
    let one = node(1, Some(both.read().unwrap())).await;
    one.meet(&two);
    one.until("a link with the right name", |links| (links.up() == [NodeId(2)]).then_some(())).await;
}

#[tokio::test]
async fn renewed_certificates_are_used_for_new_links_and_bad_ones_are_not() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (first, second) = (old.files(), old.files());
    let mut one = node(1, Some(first.read().unwrap())).await;
    let two = node(2, Some(second.read().unwrap())).await;
    one.meet(&two);
    assert_eq!(one.next().await, Seen::Link(NodeId(2), Some(200)));
    // Half of a renewal: the key of another certificate. What was there goes on.
    std::fs::write(first.path("tls.key"), new.sign("carillon", &[]).1).unwrap();
    assert!(one.links.probe(two.addr, LIMIT).await);
    // Another authority altogether: a node that has only that one is linked, without a restart of the others.
    let renewed = new.sign("carillon", &[ServerAuth, ClientAuth]);
    first.renew(&new.pem(), &renewed);
    second.renew(&new.pem(), &renewed);
    let three = node(3, Some(new.files().read().unwrap())).await;
    three.know(&[(1, one.addr)]);
    one.know(&[(2, two.addr), (3, three.addr)]);
    assert_eq!(one.next().await, Seen::Link(NodeId(3), Some(300)));
    assert!(one.links.probe(two.addr, LIMIT).await, "both have it");
    assert_eq!(one.links.up(), [NodeId(2), NodeId(3)], "the link that was there goes on");
}

#[test]
fn files_that_cannot_be_used_are_named_with_what_would_be_right() {
    let (authority, other) = (Authority::new("cluster"), Authority::new("other"));
    let said = |spoil: &dyn Fn(&crate::authority::Files)| {
        let files = authority.files();
        spoil(&files);
        files.read().err().expect("it is spoiled").to_string()
    };
    let missing = said(&|files| std::fs::remove_file(files.path("tls.key")).unwrap());
    assert!(missing.contains("`key: ") && missing.contains("cannot be read"), "{missing}");
    let empty = said(&|files| std::fs::write(files.path("ca.crt"), "nothing").unwrap());
    assert!(empty.contains("`authority: ") && empty.contains("holds no certificate"), "{empty}");
    let swapped = said(&|files| assert!(std::fs::copy(files.path("tls.crt"), files.path("tls.key")).is_ok()));
    assert!(swapped.contains("`key: ") && swapped.contains("holds no private key"), "{swapped}");
    let foreign = said(&|files| std::fs::write(files.path("tls.key"), other.sign("carillon", &[]).1).unwrap());
    assert!(foreign.contains("`key` does not belong to `certificate`"), "{foreign}");
    let unsigned = said(&|files| std::fs::write(files.path("ca.crt"), other.pem()).unwrap());
    assert!(unsigned.contains("signed by `authority`") && unsigned.contains("UnknownIssuer"), "{unsigned}");
    let misnamed = said(&|files| files.renew(&authority.pem(), &authority.sign("web", &[ServerAuth, ClientAuth])));
    assert!(misnamed.contains("carry the DNS name `carillon`") && misnamed.contains("\"web\""), "{misnamed}");
    let one_sided = said(&|files| files.renew(&authority.pem(), &authority.sign("carillon", &[ServerAuth])));
    assert!(one_sided.contains("serve servers and clients alike"), "{one_sided}");
    let no_name = authority.files().read_for("10.0.0.1").err().expect("an address").to_string();
    assert!(no_name.contains("`name: 10.0.0.1` is no DNS name"), "{no_name}");
}
