//! Links over the simulated network.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use carillon_acd::ids::NodeId;
use carillon_rpc::cluster::link::transport::{Connection, Listener, Network, Transport};
use turmoil::net::{TcpListener, TcpStream};

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

/// What links travel over.
pub(crate) fn transport() -> Transport {
    Transport { network: Arc::new(Simulated), tls: None }
}

struct Simulated;

#[tonic::async_trait]
impl Network for Simulated {
    async fn connect(&self, to: SocketAddr) -> io::Result<Box<dyn Connection>> {
        Ok(Box::new(TcpStream::connect(to).await?))
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
