//! What the datapath is told and tells: names, events and figures.

/// The audio of one leg. The owner chooses the numbers; a pair must not be used again while it is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// The call; streams of one call share a thread, so that they can be bridged.
    pub call: u64,
    /// The leg within the call.
    pub leg: u16,
}

impl StreamId {
    /// The audio of leg `leg` of call `call`.
    pub const fn new(call: u64, leg: u16) -> Self {
        StreamId { call, leg }
    }
}

/// Names one playback of a stream, so that the end of an older one is not taken for the end of a newer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PlayToken(pub u32);

/// What happened on a stream. Events are delivered on a datapath thread: the receiver must not block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// A key was pressed (RFC 4733), once per key press: `0`–`9`, `*`, `#`, `A`–`D`.
    Digit {
        /// Whose key.
        stream: StreamId,
        /// The key.
        digit: char,
    },
    /// A source that plays once has come to its end. Not sent when it was stopped or replaced.
    PlayFinished {
        /// Who heard it.
        stream: StreamId,
        /// Which playback.
        token: PlayToken,
    },
    /// No RTP came for the configured time, although it should have: see [`Datapath`](super::Datapath). Sent once, and
    /// again only after RTP has come back and stopped again.
    Silent {
        /// Whose RTP is missing.
        stream: StreamId,
    },
}

/// What one stream has sent and received so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// Packets that we sent.
    pub sent: u64,
    /// Packets that came from the peer and could be read.
    pub received: u64,
    /// Packets that the peer's sequence numbers say are missing (RFC 3550 §A.3).
    pub lost: u64,
    /// Interarrival jitter in RTP ticks of 1/8000 s (RFC 3550 §A.8). Arrival is measured when the thread reads, which
    /// adds up to 5 ms of its own.
    pub jitter: u32,
    /// Packets from the peer that were not used: unknown payload types, late copies.
    pub discarded: u64,
}

/// Figures of a whole datapath.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Streams that exist now.
    pub streams: u64,
    /// UDP ports that are open now.
    pub ports: u64,
    /// Packets sent since the start.
    pub sent: u64,
    /// Packets received from negotiated addresses since the start.
    pub received: u64,
    /// Packets dropped since the start because nobody expects their sender (Spec: SE-3).
    pub stray: u64,
    /// Packets dropped since the start because they are no RTP, or longer than 1,500 bytes.
    pub malformed: u64,
    /// Packets that the operating system refused to send since the start.
    pub unsent: u64,
}

/// Whether a stream follows its peer to another address than the negotiated one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latching {
    /// RTP is taken from the negotiated address only.
    Off,
    /// The peer may be behind NAT: the first RTP packet from this IP address, whatever its port, fixes where RTP comes
    /// from and goes to, once, until the peer is set again.
    Within(std::net::IpAddr),
}
