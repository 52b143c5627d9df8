//! RTP (RFC 3550): reading and writing headers, one continuous outgoing stream from changing sources, and what a
//! receiver learns about loss and jitter.

use std::ops::Range;

use crate::FRAME_SAMPLES;

/// The length of a header without contributing sources and extension.
pub const HEADER_LENGTH: usize = 12;

/// Jumps of the sequence number up to here are loss (RFC 3550 §A.1, MAX_DROPOUT).
const MAX_DROPOUT: i16 = 3_000;
/// Steps back up to here are packets in the wrong order (RFC 3550 §A.1, MAX_MISORDER).
const MAX_MISORDER: i16 = 100;

/// The fields of a header that matter to us (RFC 3550 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Set on the first packet of a stretch of speech.
    pub marker: bool,
    /// What the payload is, 0–127.
    pub payload_type: u8,
    /// Grows by one with each packet.
    pub sequence: u16,
    /// When the first sample of the payload was taken, in samples.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
}

/// Why a datagram is not RTP that we can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Shorter than its header says.
    #[error("the packet is shorter than its header says")]
    Short,
    /// Not version 2: STUN, DTLS or anything else.
    #[error("the packet is not RTP version 2")]
    Version,
    /// RTCP on the RTP port (RFC 5761 §4).
    #[error("the packet is RTCP")]
    Rtcp,
    /// More padding than payload.
    #[error("the packet has more padding than payload")]
    Padding,
}

impl Header {
    /// Reads a datagram: its header, and where its payload lies, without contributing sources, extension and padding.
    ///
    /// # Errors
    /// When it is not RTP that we can use; see [`RtpError`].
    pub fn read(datagram: &[u8]) -> Result<(Header, Range<usize>), RtpError> {
        let fixed: &[u8; HEADER_LENGTH] = datagram.first_chunk().ok_or(RtpError::Short)?;
        let [flags, kind, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *fixed;
        if flags >> 6 != 2 {
            return Err(RtpError::Version);
        }
        if (192..=223).contains(&kind) {
            return Err(RtpError::Rtcp);
        }
        let mut start = HEADER_LENGTH + 4 * usize::from(flags & 0x0f);
        if flags & 0x10 != 0 {
            let length = datagram.get(start + 2..start + 4).ok_or(RtpError::Short)?;
            start += 4 + 4 * usize::from(u16::from_be_bytes([length[0], length[1]]));
        }
        let payload = datagram.get(start..).ok_or(RtpError::Short)?;
        let padding = match payload.last() {
            Some(&length) if flags & 0x20 != 0 => usize::from(length),
            Some(_) | None => 0,
        };
        let end = datagram.len() - padding.min(payload.len());
        if padding > payload.len() || (flags & 0x20 != 0 && padding == 0) {
            return Err(RtpError::Padding);
        }
        let header = Header {
            marker: kind & 0x80 != 0,
            payload_type: kind & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
        };
        Ok((header, start..end))
    }

    /// The header as bytes, without contributing sources, extension and padding.
    pub fn to_bytes(&self) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        bytes[0] = 0x80;
        bytes[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }
}

/// What an outgoing stream is made from at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feed {
    Nothing,
    Own,
    Relayed {
        ssrc: u32,
        /// Added to incoming sequence numbers.
        sequence_offset: u16,
        /// Added to incoming timestamps.
        timestamp_offset: u32,
        /// The newest incoming sequence number.
        newest: u16,
        /// How many packets this feed has brought at least; older ones belong to before the switch.
        depth: u16,
    },
}

/// One outgoing stream whose source changes — music, a prompt, the other leg — while the receiver sees one source
/// identifier, sequence numbers without a gap and timestamps that follow the clock. A change sets the marker bit.
///
/// Clocks are given in samples of 1/8000 s from any fixed point, and may wrap.
#[derive(Clone, Debug)]
pub struct Sequencer {
    ssrc: u32,
    /// The last sequence number sent.
    sequence: u16,
    /// The last timestamp sent.
    timestamp: u32,
    /// The timestamp at clock 0.
    base: u32,
    feed: Feed,
}

impl Sequencer {
    /// A stream that has sent nothing. All three numbers should be random (RFC 3550 §5.1); `base` is the timestamp at
    /// clock 0.
    pub fn new(ssrc: u32, sequence: u16, base: u32) -> Self {
        Sequencer { ssrc, sequence, timestamp: base, base, feed: Feed::Nothing }
    }

    /// The header of a packet of our own whose first sample belongs to `clock`. Its payload type is 0.
    pub fn own(&mut self, clock: u32) -> Header {
        let marker = self.feed != Feed::Own;
        self.feed = Feed::Own;
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.continue_at(clock);
        self.header(marker, self.sequence, self.timestamp)
    }

    /// The header under which a packet of another stream goes out now; payload type as it came. `None` for a packet that
    /// is older than the moment when this source took over: its number is in use already.
    pub fn relay(&mut self, incoming: &Header, clock: u32) -> Option<Header> {
        let Feed::Relayed { ssrc, sequence_offset, timestamp_offset, newest, depth } = &mut self.feed else {
            return Some(self.take_over(incoming, clock));
        };
        let step = incoming.sequence.wrapping_sub(*newest).cast_signed();
        if *ssrc != incoming.ssrc || !(-MAX_MISORDER..=MAX_DROPOUT).contains(&step) {
            return Some(self.take_over(incoming, clock));
        }
        let sequence = incoming.sequence.wrapping_add(*sequence_offset);
        let timestamp = incoming.timestamp.wrapping_add(*timestamp_offset);
        if step > 0 {
            *newest = incoming.sequence;
            *depth = depth.saturating_add(step.unsigned_abs());
            (self.sequence, self.timestamp) = (sequence, timestamp);
        } else if step.unsigned_abs() >= *depth {
            return None;
        }
        Some(self.header(incoming.marker, sequence, timestamp))
    }

    /// The first packet of a new relayed source.
    fn take_over(&mut self, incoming: &Header, clock: u32) -> Header {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.continue_at(clock);
        self.feed = Feed::Relayed {
            ssrc: incoming.ssrc,
            sequence_offset: self.sequence.wrapping_sub(incoming.sequence),
            timestamp_offset: self.timestamp.wrapping_sub(incoming.timestamp),
            newest: incoming.sequence,
            depth: 1,
        };
        self.header(true, self.sequence, self.timestamp)
    }

    /// The timestamp of `clock`; when a relayed source has run ahead of the clock, a frame after its last, and the clock
    /// counts from there.
    fn continue_at(&mut self, clock: u32) -> u32 {
        let by_clock = self.base.wrapping_add(clock);
        let begun = self.feed != Feed::Nothing;
        if begun && by_clock.wrapping_sub(self.timestamp).cast_signed() <= 0 {
            let next = self.timestamp.wrapping_add(FRAME_SAMPLES as u32);
            self.base = next.wrapping_sub(clock);
            return next;
        }
        by_clock
    }

    fn header(&self, marker: bool, sequence: u16, timestamp: u32) -> Header {
        Header { marker, payload_type: 0, sequence, timestamp, ssrc: self.ssrc }
    }
}
