//! Which phones must not be shown a SHA-256 challenge. RFC 3261 §22.3 has a phone pass over algorithms that it does not
//! know, but some give up at once, without a word: libre before version 2, and with it baresip 1.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use carillon_sip::auth::Challenges;
use carillon_sip::{Header, Moment, Request};

/// Addresses that are remembered.
const CAPACITY: usize = 65_536;
/// How long an address is remembered after its last request: longer than the longest registration.
const LIFETIME: Duration = Duration::from_secs(2 * 3_600);
/// User agents that are known to give up; they would notice a second try only half a minute later.
const GIVE_UP: [&[u8]; 2] = [b"baresip v0.", b"baresip v1."];

/// What each address was shown, until it answers. Bounded in number and time.
#[derive(Debug, Default)]
pub(crate) struct Challenged {
    shown: HashMap<SocketAddr, (Challenges, Moment)>,
}

impl Challenged {
    /// What to challenge a request with that carries no credentials. A phone that comes a second time without an answer
    /// to both challenges is shown MD5 alone from then on.
    pub(crate) fn show(&mut self, now: Moment, from: SocketAddr, request: &Request) -> Challenges {
        let agent = request.get(Header::UserAgent).unwrap_or_default();
        let gives_up = GIVE_UP.iter().any(|known| agent.starts_with(known));
        let before = self.shown.get(&from).filter(|(_, until)| *until > now);
        let challenges = if gives_up || before.is_some() { Challenges::Md5 } else { Challenges::Both };
        if self.shown.len() < CAPACITY || self.shown.contains_key(&from) {
            self.shown.insert(from, (challenges, now + LIFETIME));
        }
        challenges
    }

    /// The address gave credentials, right or wrong: it understood what it was shown.
    pub(crate) fn answered(&mut self, from: &SocketAddr) {
        if self.shown.get(from).is_some_and(|(challenges, _)| *challenges == Challenges::Both) {
            self.shown.remove(from);
        }
    }

    /// What to challenge credentials with that are stale or wrong: what their sender understands.
    pub(crate) fn again(&self, from: &SocketAddr) -> Challenges {
        self.shown.get(from).map_or(Challenges::Both, |(challenges, _)| *challenges)
    }

    /// Forgets addresses that have not been heard of for long.
    pub(crate) fn sweep(&mut self, now: Moment) {
        self.shown.retain(|_, (_, until)| *until > now);
    }
}
