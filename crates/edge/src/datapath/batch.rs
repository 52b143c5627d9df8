//! Packets on their way through a thread: received into slots, changed in place, sent from there.

use std::net::SocketAddr;
use std::ops::Range;

use carillon_media::rtp::HEADER_LENGTH;

use super::counters::ThreadCounters;
use super::ports::SocketIndex;
use super::sockets::Socket;
use super::sys::{self, AT_ONCE, Datagram, Received};

/// The longest datagram that is taken.
const SLOT_LENGTH: usize = 1_500;
/// Packets that are collected before they are sent.
const SLOTS: usize = 256;

/// A few hundred packets in fixed memory, reused for ever.
pub(super) struct Batch {
    bytes: Box<[u8]>,
    /// Slots in use, from the first on.
    used: usize,
    outgoing: Vec<Outgoing>,
}

struct Outgoing {
    socket: SocketIndex,
    slot: u16,
    start: u16,
    end: u16,
    to: SocketAddr,
}

impl Batch {
    pub(super) fn new() -> Self {
        let bytes = vec![0; SLOTS * SLOT_LENGTH].into_boxed_slice();
        Batch { bytes, used: 0, outgoing: Vec::with_capacity(SLOTS) }
    }

    /// Whether another [`Self::receive`] or [`Self::compose`] fits.
    pub(super) fn has_room(&self) -> bool {
        self.used + AT_ONCE <= SLOTS
    }

    /// Receives what fits into one system call; true when the socket may hold more.
    pub(super) fn receive(&mut self, socket: &Socket, received: &mut Vec<Received>) -> bool {
        debug_assert!(self.has_room(), "the caller sends before the batch is full");
        let count = sys::receive(&socket.udp, &mut self.bytes, SLOT_LENGTH, self.used, received);
        self.used += count;
        count == AT_ONCE
    }

    /// The bytes of a received datagram.
    pub(super) fn bytes_of(&mut self, packet: &Received) -> &mut [u8] {
        let start = packet.slot * SLOT_LENGTH;
        &mut self.bytes[start..start + packet.length]
    }

    /// Sends on a part of a received datagram, as it is in its slot when [`Self::flush`] comes.
    pub(super) fn send_on(&mut self, packet: &Received, part: Range<usize>, socket: SocketIndex, to: SocketAddr) {
        self.push(packet.slot, part, socket, to);
    }

    /// Sends a packet of our own.
    pub(super) fn compose(
        &mut self,
        header: &[u8; HEADER_LENGTH],
        payload: &[u8],
        socket: SocketIndex,
        to: SocketAddr,
    ) {
        let slot = self.used;
        let length = HEADER_LENGTH + payload.len();
        let bytes = &mut self.bytes[slot * SLOT_LENGTH..][..length];
        bytes[..HEADER_LENGTH].copy_from_slice(header);
        bytes[HEADER_LENGTH..].copy_from_slice(payload);
        self.used += 1;
        self.push(slot, 0..length, socket, to);
    }

    fn push(&mut self, slot: usize, part: Range<usize>, socket: SocketIndex, to: SocketAddr) {
        let small = |number: usize| u16::try_from(number).expect("a slot's number and length are below 65,536");
        let (slot, start, end) = (small(slot), small(part.start), small(part.end));
        self.outgoing.push(Outgoing { socket, slot, start, end, to });
    }

    /// Where the batch stands, for [`Self::rewind`].
    pub(super) fn mark(&self) -> (usize, usize) {
        (self.used, self.outgoing.len())
    }

    /// Takes back the slots since `mark` when nothing in them is to be sent: unwanted packets then never fill the batch,
    /// and the next ones land in warm memory.
    pub(super) fn rewind(&mut self, mark: (usize, usize)) {
        if self.outgoing.len() == mark.1 {
            self.used = mark.0;
        }
    }

    /// Sends everything, packets of one socket together and in their order, and makes room.
    pub(super) fn flush(&mut self, sockets: &[Socket], counters: &ThreadCounters) {
        self.outgoing.sort_unstable_by_key(|packet| (packet.socket, packet.slot));
        let mut taken = 0;
        for same_socket in self.outgoing.chunk_by(|a, b| a.socket == b.socket) {
            for group in same_socket.chunks(AT_ONCE) {
                let datagram = |packet: &Outgoing| Datagram { bytes: self.slice(packet), to: packet.to };
                let mut datagrams = [datagram(&group[0]); AT_ONCE];
                for (place, packet) in datagrams.iter_mut().zip(group) {
                    *place = datagram(packet);
                }
                let socket = &sockets[group[0].socket as usize];
                taken += sys::send(&socket.udp, &datagrams[..group.len()]);
            }
        }
        counters.sent.add(taken as u64);
        counters.unsent.add((self.outgoing.len() - taken) as u64);
        self.outgoing.clear();
        self.used = 0;
    }

    fn slice(&self, packet: &Outgoing) -> &[u8] {
        let slot = usize::from(packet.slot) * SLOT_LENGTH;
        &self.bytes[slot + usize::from(packet.start)..slot + usize::from(packet.end)]
    }
}
