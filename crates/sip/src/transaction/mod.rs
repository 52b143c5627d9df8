//! The four transaction machines of RFC 3261 §17 with the Accepted states of RFC 6026.
//!
//! Each machine is `handle(now, event) -> effects` over an enum of states; it holds no message and no address.
//! [`crate::endpoint`] keeps the bytes and performs the effects.

mod client;
mod invite_client;
mod invite_server;
mod server;

pub use client::Client;
pub use invite_client::InviteClient;
pub use invite_server::InviteServer;
pub use server::Server;

use crate::status::StatusCode;
use crate::time::Moment;
use std::time::Duration;

/// The timers of RFC 3261 §17 (appendix A lists them), from which A–M follow, and two deadlines of our own for states
/// that the RFC lets wait for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip estimate; timers A and E start with it, B, F, H, J, L and M are 64 times it.
    pub t1: Duration,
    /// The longest interval between retransmissions (timers E and G, and 2xx to INVITE).
    pub t2: Duration,
    /// How long a message may stay in the network; timers I and K.
    pub t4: Duration,
    /// Timer D: how long repeated failures of an INVITE are absorbed on an unreliable transport, at least 32 s.
    pub d: Duration,
    /// Timer C (RFC 3261 §16.6 step 11): how long an INVITE may ring without any news before it is
    /// cancelled.
    pub c: Duration,
    /// How long our own side may leave an INVITE unanswered before the transaction is given up.
    pub unanswered: Duration,
    /// How long our own side may leave an INVITE without any response before 100 is sent for it (RFC 3261 §17.2.1).
    pub trying: Duration,
}

impl Default for Timers {
    /// The RFC's values; timer C five minutes, an unanswered INVITE two hours.
    fn default() -> Self {
        Timers {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            d: Duration::from_secs(32),
            c: Duration::from_secs(300),
            unanswered: Duration::from_secs(7200),
            trying: Duration::from_millis(200),
        }
    }
}

impl Timers {
    /// 64·T1: timers B, F, H, J, L and M, 32 seconds by default.
    pub const fn t64(&self) -> Duration {
        self.t1.saturating_mul(64)
    }
}

/// What happens to a client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// A response arrived.
    Response(StatusCode),
    /// Time passed.
    Tick,
    /// The transport could not send.
    TransportError,
    /// A CANCEL was sent for this INVITE.
    Cancelled,
}

/// What a client transaction asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientEffect {
    /// Send the request again.
    SendRequest,
    /// Send the ACK for a 3xx–6xx.
    SendAck,
    /// Send a CANCEL: timer C fired (RFC 3261 §16.8).
    SendCancel,
    /// Give the response to the transaction user.
    PassUp,
    /// Tell the transaction user that no final response came.
    Timeout,
    /// Tell the transaction user that the transport failed.
    TransportError,
}

/// What happens to a server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    /// The request arrived again.
    Repeated,
    /// An ACK arrived.
    Ack,
    /// The transaction user answers.
    Respond(StatusCode),
    /// Time passed.
    Tick,
}

/// What a server transaction asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerEffect {
    /// Send the last response, if there is one.
    SendResponse,
    /// Send 100 (Trying): the transaction user took its time.
    SendTrying,
    /// Give the ACK to the transaction user.
    PassUpAck,
    /// No ACK came for a 2xx.
    NoAck,
    /// The transaction user did not answer in time.
    Unanswered,
}

/// A retransmission: when, and the interval that led there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Repeat {
    at: Moment,
    interval: Duration,
}

impl Repeat {
    /// The first retransmission after `interval`; none on a reliable transport.
    fn first(now: Moment, interval: Duration, reliable: bool) -> Option<Self> {
        (!reliable).then(|| Repeat { at: now + interval, interval })
    }

    /// The retransmission after this one, whose interval doubles up to `limit`.
    fn next(self, now: Moment, limit: Duration) -> Self {
        let interval = self.interval.saturating_mul(2).min(limit);
        Repeat { at: now + interval, interval }
    }
}

/// Whether the retransmission is due.
fn due(repeat: Option<Repeat>, now: Moment) -> Option<Repeat> {
    repeat.filter(|r| r.at <= now)
}

/// The earlier of a retransmission and the end of a state.
fn earlier(repeat: Option<Repeat>, until: Moment) -> Option<Moment> {
    Some(repeat.map_or(until, |r| r.at.min(until)))
}

#[cfg(test)]
mod tests;
