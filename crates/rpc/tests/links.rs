//! Links between nodes over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_acd::agent;
use carillon_acd::ids::{AgentId, NodeId};
use carillon_rpc::cluster::link::{Inbox, LinkError, Links, Myself};
use carillon_rpc::cluster::{Message, wire};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// No step of these tests takes so long.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug, PartialEq)]
enum Seen {
    Message(NodeId, Box<Message>),
    Link(NodeId, Option<u32>),
}

struct Node {
    links: Links,
    seen: UnboundedReceiver<Seen>,
    addr: SocketAddr,
}

impl Node {
    async fn start(node: u32, boot: u32) -> Node {
        Node::listen(node, boot, "127.0.0.1:0".parse().unwrap()).await
    }

    async fn listen(node: u32, boot: u32, addr: SocketAddr) -> Node {
        let (sender, seen) = unbounded_channel();
        let (messages, changes) = (sender.clone(), sender);
        let inbox = Inbox {
            on_message: Arc::new(move |from, message| {
                if let Some(message) = Message::from_wire(message) {
                    let _ = messages.send(Seen::Message(from, Box::new(message)));
                }
            }),
            on_link: Arc::new(move |node, boot| drop(changes.send(Seen::Link(node, boot)))),
        };
        let links = Links::new(Myself { node: NodeId(node), boot }, inbox);
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let service = links.service();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let serving = tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming);
        tokio::spawn(async move { serving.await.unwrap() });
        Node { links, seen, addr }
    }

    async fn next(&mut self) -> Seen {
        tokio::time::timeout(LIMIT, self.seen.recv()).await.expect("nothing happens").unwrap()
    }

    fn know(&self, peers: &[(u32, SocketAddr)]) {
        let peers: Vec<_> = peers.iter().map(|(node, addr)| (NodeId(*node), *addr)).collect();
        self.links.set_peers(&peers);
    }
}

fn reachable(device: u8) -> Message {
    let anna = AgentId::new("default".parse().unwrap(), "anna".parse().unwrap());
    Message::Agent(anna, agent::Event::Reachable { device, edge: NodeId(1), contacts: Vec::new() })
}

fn envelope(device: u8) -> wire::Envelope {
    reachable(device).to_wire().unwrap()
}

#[tokio::test]
async fn two_nodes_have_one_link_and_messages_keep_their_order() {
    let (mut one, mut two) = (Node::start(1, 100).await, Node::start(2, 200).await);
    one.know(&[(2, two.addr)]);
    two.know(&[(1, one.addr)]);
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
    assert_eq!((one.links.stats().sent, one.links.stats().received), (256, 256));
    assert_eq!(one.links.stats().up, 1);
}

// spec: CL-4
#[tokio::test]
async fn cl_4_a_node_that_dies_is_noticed_and_its_next_run_is_linked_again() {
    let mut one = Node::start(1, 100).await;
    // The other node's tasks and sockets end with its runtime, as they would with its process.
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let process = runtime();
    let two = process.spawn(Node::start(2, 200)).await.unwrap();
    one.know(&[(2, two.addr)]);
    assert_eq!(one.next().await, Seen::Link(NodeId(2), Some(200)));
    process.shutdown_background();
    assert_eq!(one.next().await, Seen::Link(NodeId(2), None));
    assert_eq!(one.links.send(NodeId(2), envelope(0)), Err(LinkError::NoLink(NodeId(2))));
    let process = runtime();
    let again = process.spawn(Node::listen(2, 201, two.addr)).await.unwrap();
    assert_eq!(one.next().await, Seen::Link(NodeId(2), Some(201)));
    drop(again);
    process.shutdown_background();
}

#[tokio::test]
async fn a_node_that_is_no_peer_any_more_is_cut_off() {
    let (mut one, mut two) = (Node::start(1, 100).await, Node::start(2, 200).await);
    one.know(&[(2, two.addr)]);
    assert_eq!(one.next().await, Seen::Link(NodeId(2), Some(200)));
    assert_eq!(two.next().await, Seen::Link(NodeId(1), Some(100)));
    one.know(&[]);
    assert_eq!(one.next().await, Seen::Link(NodeId(2), None));
    assert_eq!(two.next().await, Seen::Link(NodeId(1), None));
}

#[tokio::test]
async fn a_full_link_refuses_and_counts() {
    let (mut one, two) = (Node::start(1, 100).await, Node::start(2, 200).await);
    one.know(&[(2, two.addr)]);
    assert_eq!(one.next().await, Seen::Link(NodeId(2), Some(200)));
    // Nothing yields here, so nothing is sent meanwhile.
    let refused =
        (0..20_000).filter(|_| one.links.send(NodeId(2), envelope(0)) == Err(LinkError::Full(NodeId(2)))).count();
    assert!(refused > 0, "the queue is bounded");
    assert_eq!(one.links.stats().refused, refused as u64);
}

#[tokio::test]
async fn a_version_that_is_too_far_away_is_refused_with_both_numbers() {
    let one = Node::start(1, 100).await;
    let channel =
        tonic::transport::Endpoint::from_shared(format!("http://{}", one.addr)).unwrap().connect().await.unwrap();
    let hello = wire::Hello { node: 0, boot: 1, protocol: 9 };
    let frames = tokio_stream::iter([wire::Frame { hello: Some(hello), envelopes: Vec::new() }]);
    let refused = wire::link_service_client::LinkServiceClient::new(channel).open(frames).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    assert!(
        refused.message().contains("version 9") && refused.message().contains("version 1"),
        "{}",
        refused.message()
    );
}
