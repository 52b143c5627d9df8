//! Nonces that prove themselves, and the memory of those that were used.

use crate::time::Moment;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

/// How far behind the highest count a request may arrive: datagrams overtake each other.
const WINDOW: u32 = 64;

/// Which nonce: when it was made (milliseconds since the node's start) and the random part.
type Issue = (u64, u64);

/// The counts of one nonce that were seen.
#[derive(Clone, Copy, Debug)]
struct Used {
    highest: u32,
    /// Bit `i` set: count `highest - i` was seen.
    seen: u64,
}

/// Makes and checks nonces. Only those that came back with right credentials take memory, at most `capacity` of them.
#[derive(Debug)]
pub(super) struct Nonces {
    secret: [u8; 32],
    lifetime: Duration,
    capacity: usize,
    used: BTreeMap<Issue, Used>,
    /// Nonces up to this one were forgotten for room; they count as stale.
    floor: Option<Issue>,
}

impl Nonces {
    pub(super) fn new(secret: [u8; 32], lifetime: Duration, capacity: usize) -> Self {
        Nonces { secret, lifetime, capacity: capacity.max(1), used: BTreeMap::new(), floor: None }
    }

    /// A nonce: time, random part, and a MAC over both, in hexadecimal.
    pub(super) fn issue(&self, now: Moment, random: u64) -> String {
        let issued = millis(now);
        let mut bytes = Vec::with_capacity(32);
        bytes.extend_from_slice(&issued.to_be_bytes());
        bytes.extend_from_slice(&random.to_be_bytes());
        bytes.extend_from_slice(&self.mac((issued, random)));
        hex::encode(bytes)
    }

    fn mac(&self, (issued, random): Issue) -> [u8; 16] {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(issued.to_be_bytes());
        hash.update(random.to_be_bytes());
        let mut mac = [0; 16];
        mac.copy_from_slice(&hash.finalize()[..16]);
        mac
    }

    /// Uses `nonce` with count `nc` (`None` for peers without counts, who may use a nonce once). False when it is not
    /// ours, too old, or was used with this count before: the peer has to take a new one.
    pub(super) fn spend(&mut self, now: Moment, nonce: &str, nc: Option<u32>) -> bool {
        let Some(issue) = self.verify(nonce) else { return false };
        let oldest = millis(now - self.lifetime);
        let aged_out = now.since_start() > self.lifetime && issue.0 < oldest;
        if aged_out || issue.0 > millis(now) || self.floor.is_some_and(|floor| issue <= floor) {
            return false;
        }
        self.make_room(now);
        let nc = nc.unwrap_or(u32::MAX);
        match self.used.get_mut(&issue) {
            Some(used) => used.spend(nc),
            None => {
                self.used.insert(issue, Used { highest: nc, seen: 1 });
                true
            }
        }
    }

    fn verify(&self, nonce: &str) -> Option<Issue> {
        let bytes: [u8; 32] = hex::decode(nonce).ok()?.try_into().ok()?;
        let (head, mac) = bytes.split_at(16);
        let (issued, random) = head.split_at(8);
        let issue = (u64::from_be_bytes(issued.try_into().ok()?), u64::from_be_bytes(random.try_into().ok()?));
        same(&self.mac(issue), mac).then_some(issue)
    }

    fn make_room(&mut self, now: Moment) {
        if now.since_start() > self.lifetime {
            let oldest = millis(now - self.lifetime);
            while self.used.first_key_value().is_some_and(|(issue, _)| issue.0 < oldest) {
                self.used.pop_first();
            }
        }
        while self.used.len() >= self.capacity {
            self.floor = self.used.pop_first().map(|(issue, _)| issue);
        }
    }
}

impl Used {
    fn spend(&mut self, nc: u32) -> bool {
        if nc > self.highest {
            let ahead = nc - self.highest;
            self.seen = if ahead < WINDOW { self.seen << ahead | 1 } else { 1 };
            self.highest = nc;
            return true;
        }
        let behind = self.highest - nc;
        let fresh = behind < WINDOW && self.seen & (1 << behind) == 0;
        if fresh {
            self.seen |= 1 << behind;
        }
        fresh
    }
}

fn millis(moment: Moment) -> u64 {
    u64::try_from(moment.since_start().as_millis()).unwrap_or(u64::MAX)
}

/// Compares without telling by its duration where the difference is.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}
