//! Links over the simulated network.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use carillon_acd::ids::NodeId;
use carillon_rpc::cluster::link::transport::{Connection, Listener, Network, Transport};
use turmoil::net::{TcpListener, TcpStream};

use crate::world::World;

/// Where every node listens for links.
const PORT: u16 = 7500;

/// The name of a node's host.
pub(crate) fn host(node: NodeId) -> String {
    format!("node-{}", node.0)
}

/// Where other nodes open their links to it.
pub(crate) fn address(node: NodeId) -> SocketAddr {
    SocketAddr::new(turmoil::lookup(host(node)), PORT)
}

/// What a node's links travel over.
pub(crate) fn transport(world: Arc<World>, me: NodeId) -> Transport {
    Transport { network: Arc::new(Simulated { world, me }), tls: None }
}

struct Simulated {
    world: Arc<World>,
    me: NodeId,
}

impl Simulated {
    fn is_cut_off_from(&self, to: SocketAddr) -> bool {
        let mut others = (1..=self.world.nodes()).map(NodeId);
        others.any(|node| address(node) == to && self.world.are_cut(self.me, node))
    }
}

#[tonic::async_trait]
impl Network for Simulated {
    async fn connect(&self, to: SocketAddr) -> io::Result<Box<dyn Connection>> {
        let cut_off = self.is_cut_off_from(to);
        match TcpStream::connect(to).await {
            Ok(stream) => Ok(Box::new(stream)),
            // Turmoil refuses when a message is lost; but only a machine whose process is dead refuses, and a broken network says
            // nothing.
            Err(_) if cut_off || self.is_cut_off_from(to) => std::future::pending().await,
            Err(error) => Err(error),
        }
    }
}

/// Where a node's links come in.
pub(crate) struct Door(TcpListener);

impl Door {
    pub(crate) async fn open() -> io::Result<Self> {
        Ok(Door(TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?))
    }
}

#[tonic::async_trait]
impl Listener for Door {
    async fn accept(&mut self) -> io::Result<(Box<dyn Connection>, SocketAddr)> {
        let (stream, from) = self.0.accept().await?;
        Ok((Box::new(stream), from))
    }
}
