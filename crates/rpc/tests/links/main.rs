//! Links between nodes over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod authority;
mod further;
mod node;
mod secured;
mod traces;
mod versions;

use std::net::SocketAddr;

use carillon_acd::agent;
use carillon_acd::ids::{AgentId, NodeId};
use carillon_acd::leg::Contact;
use carillon_rpc::cluster::Message;
use carillon_rpc::cluster::link::{LinkError, PROTOCOL};

use node::{Node, Seen, envelope, reachable};

#[tokio::test]
async fn two_nodes_have_one_link_and_messages_keep_their_order() {
    let (mut one, mut two) = (Node::start(1, 100).await, Node::start(2, 200).await);
    one.meet(&two);
    assert_eq!(one.next().await, Seen::Link(NodeId(2), Some(200)));
    assert_eq!(two.next().await, Seen::Link(NodeId(1), Some(100)));
    for device in 0..=255 {
        one.links.send(NodeId(2), envelope(device)).unwrap();
        two.links.send(NodeId(1), envelope(device)).unwrap();
    }
    for device in 0..=255 {
        assert_eq!(one.next().await, Seen::Message(NodeId(2), Box::new(reachable(device))));
        assert_eq!(two.next().await, Seen::Message(NodeId(1), Box::new(reachable(device))));
    }
    let stats = one.stats(2);
    assert_eq!((stats.sent, stats.received, stats.opened, stats.unknown), (256, 256, 1, 0));
    assert_eq!((stats.version, stats.waiting, stats.waiting_bytes), (Some(PROTOCOL), 0, 0));
    assert!(stats.bytes_sent > 256 && stats.bytes_received == stats.bytes_sent, "{stats:?}");
}

// spec: CL-4
#[tokio::test]
async fn cl_4_a_node_that_dies_is_noticed_and_its_next_run_is_linked_again() {
    let mut one = Node::start(1, 100).await;
    // The other node's tasks and sockets end with its runtime, as they would with its process.
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // An address of its own: no connection of another test takes its port while it is dead.
    let own = SocketAddr::from(([127, 0, 77, 2], 0));
    let process = runtime();
    let two = process.spawn(Node::listen(2, 200, own)).await.unwrap();
    one.meet(&two);
    assert_eq!(one.next().await, Seen::Link(NodeId(2), Some(200)));
    tokio::task::spawn_blocking(move || process.shutdown_timeout(node::LIMIT)).await.unwrap();
    assert_eq!(one.next().await, Seen::Link(NodeId(2), None));
    assert_eq!(one.links.send(NodeId(2), envelope(0)), Err(LinkError::NoLink(NodeId(2))));
    let process = runtime();
    let again = process.spawn(Node::listen(2, 201, two.addr)).await.unwrap();
    again.know(&[(1, one.addr)]);
    assert_eq!(one.next().await, Seen::Link(NodeId(2), Some(201)));
    drop(again);
    process.shutdown_background();
}

#[tokio::test]
async fn a_node_that_is_no_peer_any_more_is_cut_off() {
    let (mut one, mut two) = (Node::start(1, 100).await, Node::start(2, 200).await);
    one.meet(&two);
    assert_eq!(one.next().await, Seen::Link(NodeId(2), Some(200)));
    assert_eq!(two.next().await, Seen::Link(NodeId(1), Some(100)));
    one.know(&[]);
    assert_eq!(one.next().await, Seen::Link(NodeId(2), None));
    assert_eq!(two.next().await, Seen::Link(NodeId(1), None));
}

// A link that comes up only to be cut costs both sides much: each asks all its calls what they hold.
#[tokio::test]
async fn a_node_that_is_not_known_yet_waits_and_is_linked_once() {
    let (mut one, mut two) = (Node::start(1, 100).await, Node::start(2, 200).await);
    two.know(&[]);
    one.know(&[(2, two.addr)]);
    let trouble = one.until("it is refused in the end", |links| links.troubles().remove(&NodeId(2))).await;
    assert!(trouble.contains("node 2 does not know node 1"), "{trouble}");
    two.know(&[(1, one.addr)]);
    assert_eq!(one.next().await, Seen::Link(NodeId(2), Some(200)));
    assert_eq!(two.next().await, Seen::Link(NodeId(1), Some(100)));
    assert_eq!((one.stats(2).opened, two.stats(1).opened), (1, 1));
    assert!(one.links.troubles().is_empty());
}

#[tokio::test]
async fn a_full_link_refuses_and_counts() {
    let (mut one, two) = (Node::start(1, 100).await, Node::start(2, 200).await);
    one.meet(&two);
    assert_eq!(one.next().await, Seen::Link(NodeId(2), Some(200)));
    assert!(one.links.has_room(NodeId(2)) && !one.links.has_room(NodeId(3)), "there is no third node");
    // Nothing yields here, so nothing is sent meanwhile.
    let refused =
        (0..20_000).filter(|_| one.links.send(NodeId(2), envelope(0)) == Err(LinkError::Full(NodeId(2)))).count();
    assert!(refused > 0 && !one.links.has_room(NodeId(2)), "the queue is bounded");
    assert_eq!(one.stats(2).refused, refused as u64);
    one.until("what waited is sent", |links| links.has_room(NodeId(2)).then_some(())).await;
}

#[tokio::test]
async fn a_link_carries_what_is_large_in_frames_that_it_takes_and_refuses_what_is_too_large() {
    let (mut one, mut two) = (Node::start(1, 100).await, Node::start(2, 200).await);
    one.meet(&two);
    assert_eq!(one.next().await, Seen::Link(NodeId(2), Some(200)));
    assert_eq!(two.next().await, Seen::Link(NodeId(1), Some(100)));
    // Ten megabytes at once: more than the largest frame of 4 MiB.
    let large = |device| large_message(device, 1_000_000);
    for device in 0..10 {
        one.links.send(NodeId(2), large(device).to_wire().unwrap()).unwrap();
    }
    for device in 0..10 {
        assert_eq!(two.next().await, Seen::Message(NodeId(1), Box::new(large(device))));
    }
    let refused = one.links.send(NodeId(2), large_message(0, 5_000_000).to_wire().unwrap());
    assert!(matches!(refused, Err(LinkError::Oversized(NodeId(2), _))), "{refused:?}");
    // What waits is bounded in bytes too. Nothing yields here, so nothing is sent meanwhile.
    let taken = (0..100).take_while(|device| one.links.send(NodeId(2), large(*device).to_wire().unwrap()).is_ok());
    assert!((60..=67).contains(&taken.count()), "64 MiB of about a megabyte each");
    let stats = one.stats(2);
    assert_eq!((stats.oversized, stats.refused, stats.opened), (1, 1, 1), "and the link lives");
    assert!(stats.waiting_bytes > 60_000_000, "{stats:?}");
}

/// A message that is about so many bytes on the wire.
fn large_message(device: u8, bytes: usize) -> Message {
    let anna = AgentId::new("default".parse().unwrap(), "anna".parse().unwrap());
    let uri = format!("sip:anna@127.0.0.1;x={}", "x".repeat(980));
    let contact = Contact::new(&uri, "127.0.0.1".parse().unwrap()).unwrap();
    let contacts = vec![contact; bytes / 1_000];
    Message::Agent(anna, agent::Event::Reachable { device, edge: NodeId(1), contacts })
}
