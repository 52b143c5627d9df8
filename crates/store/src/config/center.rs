//! The configuration objects of a center, checked and typed (Spec: OB).
//!
//! A [`Center`] that exists is consistent: every reference leads to an object, names, extensions, numbers and user
//! names are unique, and values are in their ranges.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use carillon_acd::agent::{DeviceKind, IdleReset};
use carillon_acd::ids::{AgentId, Extension, Name, NumberId, PhoneNumber, QueueId, ShortNumber, SoundId, TrunkId};
use carillon_acd::queue::{CallbackRule, Exit, Strategy, Timeout, Unanswered};
use carillon_acd::rank::Ranking;
use carillon_acd::route::{Codes, Target, WaitingSound};
use carillon_acd::skills::Skills;
use carillon_acd::stats::ServiceLevel;
use ipnet::IpNet;

use super::secret::Secret;

/// All objects of a center, each list in the order of the files. Those of which there are thousands are shared with whoever has
/// read them before.
#[derive(Clone, Debug, PartialEq)]
pub struct Center {
    /// The company that owns everything below (Spec: OB-1).
    pub tenant: Tenant,
    /// Its SIP connections.
    pub trunks: Vec<Trunk>,
    /// The phone numbers it answers.
    pub numbers: Vec<Arc<Number>>,
    /// Its queues.
    pub queues: Vec<Arc<Queue>>,
    /// Its agents.
    pub agents: Vec<Arc<Agent>>,
    /// Its sounds.
    pub sounds: Vec<Sound>,
}

/// A company. One, named `default`, exists out of the box (Spec: OB-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its name; `default` in this version.
    pub name: Name,
    /// For people.
    pub display_name: String,
    /// An IANA time zone that the database of time zones knows; times are shown in it. Default `UTC`.
    pub time_zone: String,
    /// What its agents dial for pickup, login and breaks (Spec: TR-4, TR-5, TR-6). They can be told apart, and hide no
    /// extension and no number.
    pub codes: Codes,
}

/// A SIP connection to a carrier or a PBX (Spec: OB-2).
#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    /// Its name.
    pub id: TrunkId,
    /// What stands at the other end.
    pub connection: Connection,
    /// The addresses whose requests belong to this trunk (Spec: SE-1). No network stands in two trunks; where one
    /// contains another, the narrower decides.
    pub peers: Vec<IpNet>,
    /// Where calls go out; `None` when the trunk only brings calls in.
    pub outbound: Option<SipUri>,
}

/// The kind of a connection (Spec: OB-2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Connection {
    /// `rented`: a number of our own carrier.
    Rented,
    /// `own`: a number that the company brought along. The default.
    #[default]
    Own,
    /// `pbx`: an office or cloud PBX.
    Pbx,
    /// `application`: a program.
    Application,
}

/// A phone number that we answer, and where its calls go (Spec: OB-2, OB-4).
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// Its name.
    pub id: NumberId,
    /// The number itself, unique in the center.
    pub number: PhoneNumber,
    /// The trunk that it comes in by.
    pub trunk: TrunkId,
    /// Played before anything else (Spec: RT-3).
    pub greeting: Option<SoundId>,
    /// Who gets the call (Spec: OB-4).
    pub target: Target,
    /// Added to the priority of the queues that its callers come to (Spec: QU-12). −100–100, default 0.
    pub priority: i32,
    /// What its callers need of their agent, where the queue goes by skills (Spec: QU-5). Default nothing.
    pub skills: Skills,
    /// The longest wait in all queues together (Spec: UN-4). 1 s–24 h; `None` without a limit.
    pub max_wait: Option<Duration>,
}

/// A group of agents that shares incoming calls (Spec: OB-3).
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Its name.
    pub id: QueueId,
    /// For people; the name when the configuration gives none.
    pub display_name: String,
    /// Its internal number, unique among queues and agents (Spec: RT-5).
    pub extension: Option<Extension>,
    /// The digits behind the codes of login and logout, unique among queues (Spec: TR-5).
    pub short_number: Option<ShortNumber>,
    /// In list order (Spec: QU-1), each once.
    pub agents: Vec<AgentId>,
    /// Whether its agents may take a call that rings at another of them (Spec: TR-4). Default no.
    pub pickup: bool,
    /// Who is rung first. Default in order.
    pub strategy: Strategy,
    /// What longest idle counts as activity (Spec: QU-3). Default the offer.
    pub idle_reset: IdleReset,
    /// Rings per agent; one ring is 5 s (Spec: QU-9). 1–20, default 4.
    pub rings: u8,
    /// Unanswered offers in a row after which an agent goes on break. 1–100; `None` for never.
    pub pause_after: Option<u32>,
    /// The rest after a conversation (Spec: QU-11). 0–1 h, default none.
    pub wrap_up: Duration,
    /// The longest wait (Spec: UN-4). 1 s–24 h; `None` without a limit.
    pub max_wait: Option<Duration>,
    /// The longest that nobody may be logged in before callers are sent away (Spec: UN-4). 0–1 h, default 10 s.
    pub nobody_grace: Duration,
    /// The longest conversation of its callers (Spec: QU-12). 1 s–24 h; `None` without a limit.
    pub max_talk: Option<Duration>,
    /// What happens after a round without an answer (Spec: UN-1). Default wait.
    pub unanswered: Unanswered,
    /// What happens at the longest wait, when nobody is logged in, and when the queue is full (Spec: UN-4, QU-12).
    /// An extension of the configuration stands here as the agent or queue that has it.
    pub timeout: Timeout,
    /// What the digits do that callers press while they wait (Spec: UN-7): `0`–`9`, `*` and `#`. An extension of the
    /// configuration stands here as the agent or queue that has it.
    pub exits: BTreeMap<char, Exit>,
    /// How callers are called back (Spec: UN-7, OU-4).
    pub callback: CallbackRule,
    /// What callers hear (Spec: AU-1). Default ringing.
    pub waiting_sound: WaitingSound,
    /// How many callers may wait (Spec: QU-12). 1–100,000, default 1,000.
    pub max_waiting: usize,
    /// Higher is served earlier where agents serve several queues (Spec: QU-7, QU-12). −100–100, default 0.
    pub priority: i32,
    /// What counts as good service in statistics (Spec: PL-5).
    pub service_level: ServiceLevel,
    /// What priority is worth, and the queue's weight among the queues of an agent (Spec: QU-7).
    pub ranking: Ranking,
    /// What every caller needs of his agent, when the strategy goes by skills (Spec: QU-5). Default nothing.
    pub skills: Skills,
    /// After each such time of waiting one level less is needed. 1 s–24 h; `None` for never.
    pub relax: Option<Duration>,
    /// But not less than this level. 0–10, default 1.
    pub relax_to: u8,
}

/// An employee who takes calls (Spec: OB-5).
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// Its name.
    pub id: AgentId,
    /// For people; the name when the configuration gives none.
    pub display_name: String,
    /// His internal number, unique among queues and agents (Spec: RT-5).
    pub extension: Option<Extension>,
    /// His mobile phone (Spec: OB-6).
    pub mobile: Option<PhoneNumber>,
    /// What he can do (Spec: QU-5).
    pub skills: Skills,
    /// His phones; a `DeviceId` counts them from 0. At most 16.
    pub devices: Vec<Device>,
}

/// One phone of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// What it is; queues limit how many hardware phones ring at once (Spec: QU-10). Default hardware.
    pub kind: DeviceKind,
    /// How it is reached.
    pub access: Access,
}

/// How a device is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// It registers with digest (Spec: SE-1).
    Registers {
        /// The user name of its address of record and of the digest, unique in the center.
        username: Username,
        /// The digest password.
        password: Secret,
    },
    /// It is always at this address.
    Fixed {
        /// The address.
        contact: SipUri,
    },
}

/// An uploaded sound (Spec: OB-7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Its name.
    pub id: SoundId,
    /// A WAV file that exists: mono, at most 2 MB. The path is complete: relative ones start at the file that names it.
    pub file: PathBuf,
}

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(super) Arc<str>);

        impl $name {
            /// The text as configured.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_text!(/// A `sip:` address with a host, an optional user, port and `transport` of `udp` or `tcp` (RFC 3261 §19.1).
    SipUri);
checked_text!(/// The user name of a device: 1–64 characters of `A-Z a-z 0-9 . _ -`, which need no escape in a SIP address.
    Username);
