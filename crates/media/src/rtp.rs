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

/// What a receiver learns of one incoming stream: loss (RFC 3550 §A.3) and jitter (§A.8).
#[derive(Clone, Copy, Debug, Default)]
pub struct Reception {
    current: Option<Incoming>,
    /// Missing from sources that were replaced.
    lost_before: u64,
}

#[derive(Clone, Copy, Debug)]
struct Incoming {
    ssrc: u32,
    /// The first sequence number, extended to 32 bits as all here.
    first: u32,
    highest: u32,
    received: u32,
    transit: u32,
    /// Sixteen times the jitter.
    jitter: u32,
}

impl Reception {
    /// Takes the header of a packet that arrived at `clock`, in samples of 1/8000 s from any fixed point. A new source or
    /// a jump that is neither loss nor disorder starts the count anew.
    pub fn take(&mut self, header: &Header, clock: u32) {
        let transit = clock.wrapping_sub(header.timestamp);
        let known = self.current.as_mut().filter(|known| known.ssrc == header.ssrc);
        if let Some(known) = known {
            let step = header.sequence.wrapping_sub(known.highest as u16).cast_signed();
            if (-MAX_MISORDER..=MAX_DROPOUT).contains(&step) {
                known.received = known.received.saturating_add(1);
                known.highest = known.highest.wrapping_add(u32::from(step.max(0).unsigned_abs()));
                let change = transit.wrapping_sub(known.transit).cast_signed().unsigned_abs();
                known.transit = transit;
                known.jitter = known.jitter.saturating_add(change).saturating_sub((known.jitter + 8) >> 4);
                return;
            }
        }
        self.lost_before = self.lost();
        // One cycle above zero, so that a packet from before the first does not count below it.
        let first = 0x1_0000 + u32::from(header.sequence);
        self.current = Some(Incoming { ssrc: header.ssrc, first, highest: first, received: 1, transit, jitter: 0 });
    }

    /// Packets that are missing so far; copies can hide some.
    pub fn lost(&self) -> u64 {
        let missing = self.current.map_or(0, |known| {
            let expected = known.highest.wrapping_sub(known.first).wrapping_add(1);
            u64::from(expected.saturating_sub(known.received))
        });
        self.lost_before + missing
    }

    /// The interarrival jitter in samples.
    pub fn jitter(&self) -> u32 {
        self.current.map_or(0, |known| known.jitter >> 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(ssrc: u32, sequence: u16, timestamp: u32) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc }
    }

    #[test]
    fn a_header_reads_back() {
        let written = Header { marker: true, payload_type: 101, sequence: 0xfffe, timestamp: 0xdead_beef, ssrc: 7 };
        let mut datagram = written.to_bytes().to_vec();
        datagram.extend([1, 2, 3]);
        assert_eq!(Header::read(&datagram), Ok((written, 12..15)));
    }

    #[test]
    fn sources_extension_and_padding_are_stepped_over() {
        let mut datagram = header(7, 1, 2).to_bytes().to_vec();
        datagram[0] = 0x80 | 0x20 | 0x10 | 2;
        datagram.extend([0; 8]);
        datagram.extend([0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
        datagram.extend([5, 6, 7, 0, 0, 3]);
        assert_eq!(Header::read(&datagram).unwrap().1, 28..31);
    }

    #[test]
    fn what_is_no_rtp_is_told_apart() {
        let good = header(7, 1, 2).to_bytes();
        let with = |index: usize, byte: u8| {
            let mut datagram = good.to_vec();
            datagram[index] = byte;
            Header::read(&datagram).map(|(_, payload)| payload)
        };
        assert_eq!(with(1, 0), Ok(12..12));
        assert_eq!(Header::read(&good[..11]).unwrap_err(), RtpError::Short);
        assert_eq!(with(0, 0x00), Err(RtpError::Version));
        assert_eq!(with(0, 0x81), Err(RtpError::Short), "a source that is not there");
        assert_eq!(with(0, 0x90), Err(RtpError::Short), "an extension that is not there");
        assert_eq!(with(0, 0xa0), Err(RtpError::Padding));
        assert_eq!(with(1, 200), Err(RtpError::Rtcp));
        let padded = [good.as_slice(), &[4]].concat();
        assert_eq!(Header::read(&[&[0xa0], &padded[1..]].concat()), Err(RtpError::Padding));
    }

    #[test]
    fn own_packets_follow_the_clock_and_skip_with_it() {
        let mut out = Sequencer::new(7, u16::MAX, 1_000);
        let sent = [160, 320, 960].map(|clock| out.own(clock));
        assert_eq!(sent.map(|h| h.marker), [true, false, false]);
        assert_eq!(sent.map(|h| h.sequence), [0, 1, 2]);
        assert_eq!(sent.map(|h| h.timestamp), [1_160, 1_320, 1_960]);
    }

    #[test]
    fn a_relayed_source_continues_what_played_before() {
        let mut out = Sequencer::new(7, 9, 0);
        out.own(160);
        let first = out.relay(&header(1, 5_000, 90_000), 400).unwrap();
        assert_eq!((first.marker, first.sequence, first.timestamp, first.ssrc), (true, 11, 400, 7));
        let after_a_loss = out.relay(&header(1, 5_002, 90_320), 720).unwrap();
        assert_eq!((after_a_loss.marker, after_a_loss.sequence, after_a_loss.timestamp), (false, 13, 720));
        let late = out.relay(&header(1, 5_001, 90_160), 720).unwrap();
        assert_eq!((late.sequence, late.timestamp), (12, 560));
        assert_eq!(out.relay(&header(1, 4_999, 89_840), 720), None, "from before the switch");
        let music = out.own(880);
        assert_eq!((music.marker, music.sequence, music.timestamp), (true, 14, 880));
    }

    #[test]
    fn a_new_source_or_a_restart_takes_over_without_a_jump() {
        let mut out = Sequencer::new(7, 0, 0);
        out.relay(&header(1, 10, 1_000), 0);
        let other = out.relay(&header(2, 60_000, 77), 160).unwrap();
        assert_eq!((other.marker, other.sequence, other.timestamp), (true, 2, 160));
        let restarted = out.relay(&header(2, 100, 5), 320).unwrap();
        assert_eq!((restarted.marker, restarted.sequence, restarted.timestamp), (true, 3, 320));
    }

    #[test]
    fn timestamps_never_step_back_when_a_source_ran_ahead() {
        let mut out = Sequencer::new(7, 0, 0);
        out.relay(&header(1, 1, 0), 0);
        out.relay(&header(1, 2, 8_000), 160);
        let sent = [320, 480].map(|clock| out.own(clock).timestamp);
        assert_eq!(sent, [8_160, 8_320]);
    }

    #[test]
    fn loss_is_what_the_numbers_leave_out() {
        let mut reception = Reception::default();
        for sequence in [65_534u16, 65_535, 1, 0, 5] {
            reception.take(&header(1, sequence, 0), 0);
        }
        assert_eq!(reception.lost(), 3);
        reception.take(&header(2, 100, 0), 0);
        reception.take(&header(2, 102, 0), 0);
        assert_eq!(reception.lost(), 4, "the loss of the source before counts on");
    }

    #[test]
    fn jitter_grows_with_uneven_arrival_only() {
        let jitter = |uneven: u32| {
            let mut reception = Reception::default();
            for n in 0..1_000u32 {
                reception.take(&header(1, n as u16, n * 160), n * 160 + uneven * (n % 2));
            }
            reception.jitter()
        };
        assert_eq!(jitter(0), 0);
        assert!((75..=80).contains(&jitter(80)), "{}", jitter(80));
    }
}
