//! UDP, or one TCP connection to the server with messages framed by Content-Length (RFC 3261 §18.3).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::sync::{Mutex, mpsc};

/// How SIP travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    #[default]
    Udp,
    /// A connection that the phone opens and that serves both directions.
    Tcp,
}

impl Transport {
    /// As in a Via.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        }
    }

    /// As in a URI.
    pub fn parameter(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }
}

/// Whole messages that may wait to be read.
const BACKLOG: usize = 256;
/// The largest message taken from a stream.
const LARGEST: usize = 64 * 1024;

type Datagrams = mpsc::Receiver<(Vec<u8>, SocketAddr)>;

/// The sending side of a socket. Its reading task ends with the receiver of [`Link::open`].
#[derive(Debug)]
pub struct Link {
    local: SocketAddr,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Udp(Arc<UdpSocket>),
    Tcp(Mutex<OwnedWriteHalf>),
}

impl Link {
    /// Opens a socket on `ip`; the receiver gets each message with its sender.
    pub async fn open(transport: Transport, ip: IpAddr, server: SocketAddr) -> Result<(Link, Datagrams)> {
        let (tell, datagrams) = mpsc::channel(BACKLOG);
        let link = match transport {
            Transport::Udp => {
                let socket = UdpSocket::bind((ip, 0)).await.with_context(|| format!("a SIP port on {ip}"))?;
                let socket = Arc::new(socket);
                tokio::spawn(read_datagrams(socket.clone(), tell));
                Link { local: socket.local_addr().context("the SIP socket's address")?, way: Way::Udp(socket) }
            }
            Transport::Tcp => {
                let socket = TcpSocket::new_v4().context("a TCP socket")?;
                socket.bind(SocketAddr::new(ip, 0)).with_context(|| format!("a TCP port on {ip}"))?;
                let stream = socket.connect(server).await.with_context(|| format!("connecting to {server}"))?;
                stream.set_nodelay(true).context("TCP_NODELAY")?;
                let local = stream.local_addr().context("the SIP socket's address")?;
                let (read, write) = stream.into_split();
                tokio::spawn(read_stream(read, server, tell));
                Link { local, way: Way::Tcp(Mutex::new(write)) }
            }
        };
        Ok((link, datagrams))
    }

    /// Our own address.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Which one it is.
    pub fn transport(&self) -> Transport {
        match self.way {
            Way::Udp(_) => Transport::Udp,
            Way::Tcp(_) => Transport::Tcp,
        }
    }

    /// Sends a whole message to `to`; TCP sends it along its connection.
    pub async fn send(&self, bytes: &[u8], to: SocketAddr) -> Result<()> {
        match &self.way {
            Way::Udp(socket) => socket.send_to(bytes, to).await.map(|_| ()),
            Way::Tcp(stream) => stream.lock().await.write_all(bytes).await,
        }
        .with_context(|| format!("sending to {to}"))
    }
}

async fn read_datagrams(socket: Arc<UdpSocket>, tell: mpsc::Sender<(Vec<u8>, SocketAddr)>) {
    let mut datagram = vec![0; LARGEST];
    loop {
        let got = tokio::select! {
            () = tell.closed() => return,
            got = socket.recv_from(&mut datagram) => got,
        };
        // An error here is an ICMP "port unreachable" of something we sent.
        let Ok((length, from)) = got else { continue };
        let _lost = tell.try_send((datagram[..length].to_vec(), from));
    }
}

async fn read_stream(mut read: OwnedReadHalf, from: SocketAddr, tell: mpsc::Sender<(Vec<u8>, SocketAddr)>) {
    let mut buffer = Vec::new();
    loop {
        while let Some(length) = whole_message(&buffer) {
            let rest = buffer.split_off(length);
            if tell.send((std::mem::replace(&mut buffer, rest), from)).await.is_err() {
                return;
            }
        }
        let got = tokio::select! {
            () = tell.closed() => return,
            got = read.read_buf(&mut buffer) => got,
        };
        if !matches!(got, Ok(1..)) || buffer.len() > LARGEST {
            return;
        }
    }
}

/// The length of the first message in `buffer`, once all of it is there.
fn whole_message(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&buffer[..head]);
    let body = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0);
    (buffer.len() >= head + body).then_some(head + body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_by_content_length() {
        let message = b"SIP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nabcSIP";
        assert_eq!(whole_message(message), Some(message.len() - 3));
        assert_eq!(whole_message(&message[..message.len() - 4]), None);
        assert_eq!(whole_message(b"OPTIONS sip:a SIP/2.0\r\n\r\n"), Some(25));
        assert_eq!(whole_message(b"OPTIONS sip:a SIP/2.0\r\n"), None);
    }
}
