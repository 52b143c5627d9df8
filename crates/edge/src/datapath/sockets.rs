//! A port and who is expected there.

use std::net::{IpAddr, SocketAddr, UdpSocket};

/// A stream, by its place in its thread.
pub(super) type StreamIndex = u32;

/// An open port. The few streams on it are searched one by one: most ports have one, and none has more than a shared
/// port may have.
pub(super) struct Socket {
    pub(super) udp: UdpSocket,
    peers: Vec<(Peer, StreamIndex)>,
}

/// Whose packets belong to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Address(SocketAddr),
    /// Any port of this address: the first packet decides.
    Latching(IpAddr),
}

impl Socket {
    pub(super) fn new(udp: UdpSocket) -> Self {
        Socket { udp, peers: Vec::new() }
    }

    /// Whose packet this is, and whether its sender has to be latched onto.
    pub(super) fn owner(&self, from: SocketAddr) -> Option<(StreamIndex, bool)> {
        self.peers.iter().find_map(|(peer, stream)| match peer {
            Peer::Address(address) => (*address == from).then_some((*stream, false)),
            Peer::Latching(ip) => (*ip == from.ip()).then_some((*stream, true)),
        })
    }

    /// Expects a stream's packets from `peer` from now on, or from nobody.
    pub(super) fn expect(&mut self, stream: StreamIndex, peer: Option<Peer>) {
        self.peers.retain(|(_, owner)| *owner != stream);
        self.peers.extend(peer.map(|peer| (peer, stream)));
    }
}
