//! How packets pass through a datapath thread: in from sockets, over to the other leg, out by the clock.

use std::mem;
use std::ops::Range;

use carillon_media::PayloadTypes;
use carillon_media::bridge::Passage;
use carillon_media::rtp::{HEADER_LENGTH, Header};

use super::MediaEvent;
use super::clock::Tick;
use super::ports::SocketIndex;
use super::shard::{Shard, WAKE};
use super::sockets::StreamIndex;
use super::stream::{NextFrame, Stream};
use super::sys::Received;

/// Reads from one socket before others get their turn: a flood at one port does not starve the rest.
const READS_IN_TURN: usize = 16;

impl Shard {
    /// Reads all readable sockets and relays what came. A socket that may hold more stays in `readable`.
    pub(super) fn relay(&mut self, now: Tick) {
        let mut readable = mem::take(&mut self.readable);
        readable.retain(|&number| number != WAKE && self.read_socket(number as SocketIndex, now));
        self.batch.flush(&self.sockets, &self.counters);
        self.readable = readable;
    }

    /// Reads one socket; true when it may hold more.
    fn read_socket(&mut self, socket: SocketIndex, now: Tick) -> bool {
        for _ in 0..READS_IN_TURN {
            if !self.batch.has_room() {
                self.batch.flush(&self.sockets, &self.counters);
            }
            let mark = self.batch.mark();
            let mut received = mem::take(&mut self.received);
            let more = self.batch.receive(&self.sockets[socket as usize], &mut received);
            for packet in received.drain(..) {
                self.take_packet(socket, &packet, now);
            }
            self.received = received;
            self.batch.rewind(mark);
            if !more {
                return false;
            }
        }
        true
    }

    fn take_packet(&mut self, socket: SocketIndex, packet: &Received, now: Tick) {
        let Some((index, latching)) = self.sockets[socket as usize].owner(packet.from) else {
            return self.counters.stray.add(1);
        };
        let datagram = self.batch.bytes_of(packet);
        let (header, payload) = match Header::read(datagram) {
            Ok(read) if !packet.truncated => read,
            Ok(_) | Err(_) => return self.counters.malformed.add(1),
        };
        if latching {
            self.latch(socket, index, packet.from);
        }
        let Some(stream) = &mut self.streams[index as usize] else { return };
        self.counters.received.add(1);
        let datagram = self.batch.bytes_of(packet);
        if let Some(digit) = stream.take(&header, &datagram[payload.clone()], now) {
            (self.on_event)(MediaEvent::Digit { stream: stream.id, digit });
        }
        let Some(partner) = stream.partner.filter(|_| stream.receives()) else { return };
        self.relayed = Some(now);
        let agreed = stream.media.map(|media| media.receive);
        let passed = agreed.is_some_and(|types| self.pass(&types, partner, packet, &header, payload, now));
        if !passed && let Some(stream) = &self.streams[index as usize] {
            stream.counters.discarded.add(1);
        }
    }

    /// Hands a packet that came in the numbering of `types` to the partner, rewritten in its slot; false when the partner
    /// has no use for it.
    fn pass(
        &mut self,
        types: &PayloadTypes,
        to: StreamIndex,
        packet: &Received,
        header: &Header,
        payload: Range<usize>,
        now: Tick,
    ) -> bool {
        let partner = self.streams[to as usize].as_mut().filter(|partner| partner.playing.is_none());
        let Some(partner) = partner else { return false };
        let Some(theirs) = partner.sends() else { return false };
        let passage = Passage::of(header.payload_type, types, &theirs.send);
        let payload_type = match passage {
            Passage::Unchanged { payload_type } | Passage::Transcoded { payload_type, .. } => payload_type,
            Passage::Nothing => return false,
        };
        let Some(outgoing) = partner.out.relay(header, now.samples()) else { return false };
        let outgoing = Header { payload_type, ..outgoing };

        let datagram = self.batch.bytes_of(packet);
        if let Passage::Transcoded { from, to, .. } = passage {
            from.transcode(to, &mut datagram[payload.clone()]);
        }
        let start = payload.start - HEADER_LENGTH;
        datagram[start..payload.start].copy_from_slice(&outgoing.to_bytes());
        self.batch.send_on(packet, start..payload.end, partner.socket, partner.remote);
        partner.counters.sent.add(1);
        true
    }

    /// Sends everybody who listens in this slot their next frame.
    pub(super) fn play_slot(&mut self, now: Tick) {
        let slot = now.slot();
        let streams = &self.streams;
        let listens = |socket, index: StreamIndex| {
            let stream = streams[index as usize].as_ref().filter(|stream| stream.socket == socket);
            stream.and_then(|stream| stream.playing.as_ref()).is_some_and(|playing| playing.slot == slot)
        };
        let listeners = self.schedule.take(slot, listens);
        for &(_, index) in &listeners {
            if !self.batch.has_room() {
                self.batch.flush(&self.sockets, &self.counters);
            }
            self.play_frame(index, now);
        }
        self.schedule.put_back(slot, listeners);
        self.batch.flush(&self.sockets, &self.counters);
    }

    fn play_frame(&mut self, index: StreamIndex, now: Tick) {
        let Some(stream) = &mut self.streams[index as usize] else { return };
        let Stream { id, socket, remote, .. } = *stream;
        match stream.next_frame(now) {
            NextFrame::Packet { header, payload } => self.batch.compose(&header.to_bytes(), payload, socket, remote),
            NextFrame::Unheard => {}
            NextFrame::Finished(token) => {
                self.stop_play(index);
                (self.on_event)(MediaEvent::PlayFinished { stream: id, token });
            }
        }
    }
}
