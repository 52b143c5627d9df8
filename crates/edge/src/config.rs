//! What an edge is told at its start, what it reports, and how it fails.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use carillon_acd::ids::{LegId, NodeId};
use carillon_acd::leg::{Incoming, LegEvent, LegImage, Reachability};
use carillon_sip::relay::Seal;
use carillon_sip::transaction::Timers;

/// The settings of one edge. They do not change while it runs; what changes is in the
/// [`Directory`](crate::Directory).
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// This node; part of every [`CallId`](carillon_acd::ids::CallId) that the edge gives out.
    pub node: NodeId,
    /// When this run of the node began, in seconds since 1970; part of every call id.
    pub boot: u32,
    /// Where SIP is spoken, over UDP and TCP on the same port. Port 0 takes a free one, see
    /// [`Edge::local_addr`](crate::Edge::local_addr).
    pub sip_bind: SocketAddr,
    /// The address that peers are told in Via, Contact and session descriptions.
    pub advertise: IpAddr,
    /// The UDP ports for RTP; only even ones are used (RFC 3550 §11).
    pub rtp_ports: RangeInclusive<u16>,
    /// A leg whose RTP stops for this long is ended with `MediaTimeout`; zero switches that off. Usually 60 s.
    pub rtp_timeout: Duration,
    /// Signalling threads, 1 to 64. One carries several hundred calls a second.
    pub workers: usize,
    /// Calls at one time; the next is refused with 503 and Retry-After.
    pub max_calls: usize,
    /// The timers of SIP transactions; the default is what RFC 3261 §17 says.
    pub sip_timers: Timers,
    /// The realm of digest authentication, shown by phones; usually the company's domain.
    pub realm: String,
    /// With what the edge seals the ways that phones and other edges carry for it. An edge that keeps it over a restart still
    /// passes on what belongs to conversations at other edges (Spec: CL-6).
    pub seal: Seal,
}

/// What the edge calls when something happened. The functions run on signalling threads: they must not block, and they
/// may call [`Edge::command`](crate::Edge::command).
#[derive(Clone)]
pub struct Callbacks {
    /// A new call came in. The leg `LegId::caller(incoming.call)` waits for commands.
    pub on_incoming: Arc<dyn Fn(Incoming) + Send + Sync>,
    /// Something happened to a leg.
    pub on_leg_event: Arc<dyn Fn(LegId, LegEvent) + Send + Sync>,
    /// Where a device is: at each of its REGISTERs, when it has lost a contact, and when another edge asks for a contact
    /// that is not here. Devices with a fixed contact are
    /// reported at the start and whenever the directory changes them. Called with the registrar's lock held: it must not
    /// call [`Edge::announce`](crate::Edge::announce) or [`Edge::update_directory`](crate::Edge::update_directory).
    pub on_reachability: Arc<dyn Fn(Reachability) + Send + Sync>,
    /// What another edge would need of a leg has changed: see [`LegCommand::Revive`](carillon_acd::leg::LegCommand). Called
    /// for legs in conversation, waiting callers who have been answered among them, never twice with the same image, and
    /// not for a leg's end. `None` on a node that stands alone, which then does nothing for it.
    pub on_image: Option<OnImage>,
}

/// Takes the latest image of a leg.
pub type OnImage = Arc<dyn Fn(LegId, LegImage) + Send + Sync>;

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callbacks")
    }
}

/// What an edge holds and what it has turned away. After the last call has ended, `calls`, `legs` and `streams` are zero,
/// and `transactions` and `remembered` follow within 33 s (RFC 3261 timers).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls with at least one leg.
    pub calls: u64,
    /// Legs in any state.
    pub legs: u64,
    /// SIP transactions, those that only absorb retransmissions included.
    pub transactions: u64,
    /// What is remembered of dialogs and transactions beside legs: BYEs without answer, other forks of an answered INVITE.
    pub remembered: u64,
    /// Media streams with an allocated address.
    pub streams: u64,
    /// Users with at least one registered contact.
    pub registrations: u64,
    /// Open TCP connections.
    pub connections: u64,
    /// Messages received since the start.
    pub received: u64,
    /// Requests of unknown senders that got no answer (Spec: SE-1).
    pub silenced: u64,
    /// Messages that were no SIP at all, or responses to nothing.
    pub malformed: u64,
    /// New calls refused with 503.
    pub refused: u64,
    /// Messages or events that a full queue could not take.
    pub overflowed: u64,
    /// Messages passed on between other edges and phones that are connected here.
    pub relayed: u64,
    /// Messages of that kind that went no further: the phone is not (or no more) here, the connection is gone, the peer of
    /// the dialog is no edge.
    pub unrelayed: u64,
}

/// Why an edge could not start or could not take a command.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// A setting that cannot work.
    #[error("edge configuration: {0}")]
    Config(String),
    /// The SIP address could not be bound.
    #[error("cannot listen for SIP on {addr}: {source}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// [`Edge::start`](crate::Edge::start) was called outside a tokio runtime, which it needs for TCP.
    #[error("the edge must be started inside a tokio runtime")]
    NoRuntime,
    /// A thread or another part of the system could not be had.
    #[error("cannot start the edge: {0}")]
    System(#[from] std::io::Error),
    /// The command queue of the call's worker is full; nothing was done.
    #[error("the edge is overloaded: a command was not taken")]
    Overloaded,
    /// The edge has been shut down.
    #[error("the edge has stopped")]
    Stopped,
}
