//! How the bytes of links travel: over the sockets of the machine, or over those of a simulation; with TLS or without.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint};

use super::WINDOW;
use super::tls::Tls;

/// How long the other node may take to accept a connection, and to agree on TLS.
const CONNECT: Duration = Duration::from_secs(1);

/// An open connection.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connection for T {}

impl Connected for Box<dyn Connection> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

/// Opens connections.
#[tonic::async_trait]
pub trait Network: Send + Sync + 'static {
    /// Opens one that sends small writes at once.
    ///
    /// # Errors
    /// Why the other side cannot be reached.
    async fn connect(&self, to: SocketAddr) -> io::Result<Box<dyn Connection>>;
}

/// Takes in connections.
#[tonic::async_trait]
pub trait Listener: Send + 'static {
    /// The next one, which sends small writes at once, and where it comes from.
    ///
    /// # Errors
    /// Those of the one connection, or of the process: it has no more descriptors.
    async fn accept(&mut self) -> io::Result<(Box<dyn Connection>, SocketAddr)>;
}

/// The machine's sockets.
#[derive(Clone, Copy, Debug)]
pub struct Tcp;

#[tonic::async_trait]
impl Network for Tcp {
    async fn connect(&self, to: SocketAddr) -> io::Result<Box<dyn Connection>> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}

#[tonic::async_trait]
impl Listener for TcpListener {
    async fn accept(&mut self) -> io::Result<(Box<dyn Connection>, SocketAddr)> {
        let (stream, from) = TcpListener::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok((Box::new(stream), from))
    }
}

/// What links travel over.
#[derive(Clone)]
pub struct Transport {
    /// How connections are opened.
    pub network: Arc<dyn Network>,
    /// `None`: plain text, for a network of its own. All nodes of a cluster do the same.
    pub tls: Option<Arc<Tls>>,
}

impl Transport {
    /// The machine's sockets.
    pub fn tcp(tls: Option<Tls>) -> Self {
        Transport { network: Arc::new(Tcp), tls: tls.map(Arc::new) }
    }

    /// A connection for gRPC. It is one connection: when it breaks, so does the channel.
    pub(super) async fn channel(&self, to: SocketAddr) -> Result<Channel, String> {
        let stream = within(self.network.connect(to)).await.map_err(|error| format!("cannot connect: {error}"))?;
        let stream = match &self.tls {
            Some(tls) => within(tls.connect(stream)).await.map_err(|error| no_tls(&error))?,
            None => stream,
        };
        let mut stream = Some(stream);
        let once = tower::service_fn(move |_| {
            let stream = stream.take().map(TokioIo::new);
            async move { stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)) }
        });
        // The host only fills a header.
        let endpoint = Endpoint::from_static("http://node").initial_stream_window_size(WINDOW);
        let endpoint = endpoint.initial_connection_window_size(WINDOW);
        within(async { endpoint.connect_with_connector(once).await.map_err(io::Error::other) })
            .await
            .map_err(|error| reason(&error))
    }
}

async fn within<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(CONNECT, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn no_tls(error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => "; that node may have no `link_tls`",
        _ => "",
    };
    format!("no TLS with that node: {error}{hint}")
}

/// An error with what caused it: tonic says "transport error" and keeps the rest to itself.
pub(super) fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if said.last().is_none_or(|last| !last.contains(&text)) {
            said.push(text);
        }
        next = cause.source();
    }
    said.join(": ")
}
