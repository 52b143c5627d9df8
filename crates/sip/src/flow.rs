//! Where a message came from and where the next one goes.

use std::fmt;
use std::net::SocketAddr;

/// The transport of a flow, as the Via header names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams; the transaction layer retransmits (RFC 3261 §18.1.1).
    Udp,
    /// A TCP connection.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// A WebSocket (RFC 7118).
    Ws,
    /// A WebSocket over TLS (RFC 7118).
    Wss,
}

impl Transport {
    /// Whether the transport itself delivers or fails, so that timers A, E, G, I, J and K do not run.
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Transport::Udp)
    }

    /// The name in a Via header, in capitals.
    pub const fn via_name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// The value of a `transport=` URI parameter, in small letters.
    pub const fn uri_name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws => "ws",
            Transport::Wss => "wss",
        }
    }

    /// Reads a transport name in any case; `None` for a transport that Carillon does not speak.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss]
            .into_iter()
            .find(|t| name.eq_ignore_ascii_case(t.uri_name().as_bytes()))
    }

    /// The port that a sent-by or URI without a port means (RFC 3261 §18.2.2, RFC 7118 §5.2).
    pub const fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.via_name())
    }
}

/// A way to one peer: transport, our socket, the peer's address and, for streams, the connection. A response goes
/// back over the flow of its request; a request to a registered phone goes over the flow of its REGISTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The transport.
    pub transport: Transport,
    /// Which of our listening sockets; numbers are the edge's own.
    pub local: u32,
    /// The peer's address as the socket reported it.
    pub remote: SocketAddr,
    /// The connection, when the transport has connections; `None` asks the edge to open or to find one.
    pub connection: Option<u64>,
}

impl Flow {
    /// A UDP flow from socket `local` to `remote`.
    pub const fn udp(local: u32, remote: SocketAddr) -> Self {
        Flow { transport: Transport::Udp, local, remote, connection: None }
    }
}
