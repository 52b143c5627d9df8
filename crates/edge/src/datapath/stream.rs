//! The state of one stream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use carillon_media::rtp::{Header, Reception, Sequencer};
use carillon_media::{Codec, Negotiated, Source, dtmf};

use super::clock::Tick;
use super::counters::StreamCounters;
use super::ports::SocketIndex;
use super::sockets::StreamIndex;
use super::{PlayToken, StreamId};

/// How many times longer than in a conversation a peer that holds may be silent: half an hour instead of a minute.
const HOLD_PATIENCE: u32 = 30;

/// One leg's audio. A few hundred bytes; everything larger is shared.
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) socket: SocketIndex,
    /// What was agreed, once it was.
    pub(super) media: Option<Negotiated>,
    /// Where our packets go: the negotiated address, or the one that was latched onto.
    pub(super) remote: SocketAddr,
    pub(super) out: Sequencer,
    pub(super) partner: Option<StreamIndex>,
    pub(super) playing: Option<Playing>,
    /// When RTP was last heard or began to be waited for; `None` while nobody waits.
    pub(super) heard: Option<Tick>,
    pub(super) counters: Arc<StreamCounters>,
    reception: Reception,
    digits: dtmf::Detector,
}

/// What plays to a stream.
pub(super) struct Playing {
    pub(super) source: Source,
    pub(super) token: PlayToken,
    /// In which of the clock's slots its packets go out.
    pub(super) slot: usize,
    /// The frame in which it was heard first.
    pub(super) started: Option<u64>,
}

impl Stream {
    pub(super) fn new(id: StreamId, socket: SocketIndex, out: Sequencer, counters: Arc<StreamCounters>) -> Self {
        Stream {
            id,
            socket,
            media: None,
            remote: SocketAddr::from(([0, 0, 0, 0], 0)),
            out,
            partner: None,
            playing: None,
            heard: None,
            counters,
            reception: Reception::default(),
            digits: dtmf::Detector::default(),
        }
    }

    /// What was agreed, if that lets us send now.
    pub(super) fn sends(&self) -> Option<&Negotiated> {
        let reachable = !self.remote.ip().is_unspecified();
        self.media.as_ref().filter(|media| reachable && media.direction.sends())
    }

    /// Whether RTP should come.
    pub(super) fn receives(&self) -> bool {
        self.media.as_ref().is_some_and(|media| media.direction.receives())
    }

    /// How long no RTP is too long, when `silence` is during a conversation; `None` while none is expected. Many phones send
    /// nothing while they hold, so a hold may last much longer.
    pub(super) fn patience(&self, silence: Duration) -> Option<Duration> {
        let media = self.media.as_ref().filter(|media| media.direction.receives())?;
        Some(if media.held() { silence.saturating_mul(HOLD_PATIENCE) } else { silence })
    }

    /// Begins to wait for RTP anew, if anybody waits: a partner, or who has heard some before.
    pub(super) fn restart_waiting(&mut self, now: Tick) {
        if self.partner.is_some() || self.heard.is_some() {
            self.heard = Some(now);
        }
    }

    /// Takes note of a packet from the peer; the key, when one was pressed.
    pub(super) fn take(&mut self, header: &Header, payload: &[u8], now: Tick) -> Option<char> {
        self.heard = Some(now);
        self.reception.take(header, now.samples());
        self.counters.received.add(1);
        self.counters.lost.set(self.reception.lost());
        self.counters.jitter.store(self.reception.jitter(), Relaxed);
        let is_event = self.media.is_some_and(|media| media.receive.telephone_event == Some(header.payload_type));
        if is_event { self.digits.read(header.timestamp, payload) } else { None }
    }

    /// The next packet of what plays. Time passes for it also while nothing can be sent.
    pub(super) fn next_frame(&mut self, now: Tick) -> NextFrame<'_> {
        let sends = self.sends().map(|media| media.send);
        let Some(playing) = &mut self.playing else { return NextFrame::Unheard };
        let started = *playing.started.get_or_insert(now.frame());
        let codec = sends.map_or(Codec::Pcmu, |types| types.codec);
        let Some(payload) = playing.source.frame(codec, started, now.frame()) else {
            return NextFrame::Finished(playing.token);
        };
        let Some(types) = sends else { return NextFrame::Unheard };
        let header = Header { payload_type: types.audio, ..self.out.own(now.frame_samples()) };
        self.counters.sent.add(1);
        NextFrame::Packet { header, payload }
    }
}

/// What a stream has to send in its slot.
pub(super) enum NextFrame<'a> {
    Packet {
        header: Header,
        payload: &'a [u8],
    },
    /// The source goes on, but the stream may not send now.
    Unheard,
    /// The source has come to its end.
    Finished(PlayToken),
}
