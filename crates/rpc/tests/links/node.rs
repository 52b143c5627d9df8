//! A node that is nothing but its links.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_acd::agent;
use carillon_acd::ids::{AgentId, NodeId};
use carillon_rpc::cluster::link::transport::Transport;
use carillon_rpc::cluster::link::{Inbox, Links, Myself, NotUnderstood, PeerStats, Tls};
use carillon_rpc::cluster::{Message, wire};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// No step of these tests takes so long.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    Message(NodeId, Box<Message>),
    Link(NodeId, Option<u32>),
}

pub(crate) struct Node {
    pub(crate) links: Links,
    number: u32,
    seen: UnboundedReceiver<Seen>,
    pub(crate) addr: SocketAddr,
}

impl Node {
    pub(crate) async fn start(node: u32, boot: u32) -> Node {
        Node::listen(node, boot, "127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn listen(node: u32, boot: u32, addr: SocketAddr) -> Node {
        Node::with(node, boot, addr, None).await
    }

    /// A node whose links are secured, or not.
    pub(crate) async fn with(node: u32, boot: u32, addr: SocketAddr, tls: Option<Tls>) -> Node {
        let (sender, seen) = unbounded_channel();
        let (messages, changes) = (sender.clone(), sender);
        let inbox = Inbox {
            on_message: Arc::new(move |from, message| {
                let message = Message::from_wire(message).ok_or(NotUnderstood)?;
                let _ = messages.send(Seen::Message(from, Box::new(message)));
                Ok(())
            }),
            on_link: Arc::new(move |node, boot| drop(changes.send(Seen::Link(node, boot)))),
        };
        let links = Links::new(Myself { node: NodeId(node), boot }, inbox, Transport::tcp(tls));
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let serving = links.clone();
        tokio::spawn(async move { serving.serve(listener).await.unwrap() });
        Node { links, number: node, seen, addr }
    }

    pub(crate) async fn next(&mut self) -> Seen {
        tokio::time::timeout(LIMIT, self.seen.recv()).await.expect("nothing happens").unwrap()
    }

    /// What the links to a node have done.
    pub(crate) fn stats(&self, node: u32) -> PeerStats {
        self.links.stats().peers.into_iter().find(|peer| peer.node == NodeId(node)).expect("it is known")
    }

    /// Looks until it is so: for what nobody announces.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl FnMut(&Links) -> Option<T>) -> T {
        let mut poll = tokio::time::interval(Duration::from_millis(5));
        let looking = async {
            loop {
                poll.tick().await;
                if let Some(found) = look(&self.links) {
                    return found;
                }
            }
        };
        tokio::time::timeout(LIMIT, looking).await.unwrap_or_else(|_| panic!("never: {what}"))
    }

    /// This node and the other one know each other.
    pub(crate) fn meet(&self, other: &Node) {
        other.know(&[(self.number, self.addr)]);
        self.know(&[(other.number, other.addr)]);
    }

    pub(crate) fn know(&self, peers: &[(u32, SocketAddr)]) {
        let peers: Vec<_> = peers.iter().map(|(node, addr)| (NodeId(*node), *addr)).collect();
        self.links.set_peers(&peers);
    }
}

pub(crate) fn reachable(device: u8) -> Message {
    let anna = AgentId::new("default".parse().unwrap(), "anna".parse().unwrap());
    Message::Agent(anna, agent::Event::Reachable { device, edge: NodeId(1), contacts: Vec::new() })
}

pub(crate) fn envelope(device: u8) -> wire::Envelope {
    reachable(device).to_wire().unwrap()
}
