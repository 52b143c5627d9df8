//! Why an agent does not get a call.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::Name;
use crate::time::lasting;

/// What keeps an agent from a caller (Spec: QU-6). Its text completes the sentence "he is …".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// He was tried in this round of the caller (Spec: UN-1).
    Tried,
    /// One of his skills is too weak (Spec: QU-5).
    Lacks {
        /// Which.
        skill: Name,
        /// His level; 0 when he does not have it.
        has: u8,
        /// The least that the caller needs now.
        needs: u8,
    },
    /// The queue offers him a call at this moment.
    Offered,
    /// A call holds him; his phone rings or is about to.
    Reserved,
    /// He is in conversation.
    Talking,
    /// He is in wrap-up (Spec: QU-11).
    WrapUp,
    /// One of the three before; the queue does not know which.
    Busy,
    /// He was offered a call on the strength of his last word and did not get it; the next word counts again.
    Spent,
    /// None of his devices can ring.
    Unreachable,
    /// He is on break.
    OnBreak,
    /// He has logged out of this queue (Spec: TR-5).
    NotLoggedIn,
    /// His workday has not started, or he has logged out of this queue: the queue does not know which.
    LoggedOut,
    /// His owner has not been heard for so long that he counts as logged out.
    Silent {
        /// How long, in whole seconds.
        seconds: u64,
    },
    /// His owner has not been heard since the queue's owner started.
    Unheard,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Obstacle::Lacks { skill, has, needs } => return write!(f, "short of {skill}: has {has}, needs {needs}"),
            Obstacle::Silent { seconds } => {
                return write!(f, "not heard for {}", lasting(Duration::from_secs(*seconds)));
            }
            Obstacle::Tried => "tried in this round",
            Obstacle::Offered => "offered a call",
            Obstacle::Reserved => "reserved for a call",
            Obstacle::Talking => "talking",
            Obstacle::WrapUp => "in wrap-up",
            Obstacle::Busy => "busy",
            Obstacle::Spent => "asked in vain just now",
            Obstacle::Unreachable => "without a device that can ring",
            Obstacle::OnBreak => "on break",
            Obstacle::NotLoggedIn => "logged out of this queue",
            Obstacle::LoggedOut => "logged out",
            Obstacle::Unheard => "not heard yet",
        })
    }
}
