//! Queues, agents and registering trunks hash to shards; a shard is what a node owns.

use std::fmt;

use carillon_acd::ids::{AgentId, QueueId, TrunkId};
use serde::{Deserialize, Serialize};

/// How many shards there are: enough that the thousandth part of a day's calls moves at a time, few enough that a node
/// claims its share in a handful of transactions. A constant of the cluster: nodes that disagree on it must not meet.
pub const SHARDS: u16 = 1024;

/// One of the 1,024 parts into which queues, agents and registering trunks fall, 0 to 1023 (Spec: CL-2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Shard(u16);

/// A number that names no shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no shard: there are {SHARDS}, from 0")]
pub struct NoShard(pub u16);

impl Shard {
    /// All of them, in order.
    pub fn all() -> impl DoubleEndedIterator<Item = Shard> + ExactSizeIterator {
        (0..SHARDS).map(Shard)
    }

    /// The shard of a queue.
    pub fn of_queue(queue: &QueueId) -> Self {
        Shard::of("queues", queue.tenant.as_str(), queue.name.as_str())
    }

    /// The shard of an agent.
    pub fn of_agent(agent: &AgentId) -> Self {
        Shard::of("agents", agent.tenant.as_str(), agent.name.as_str())
    }

    /// The shard of a trunk that registers with its carrier.
    pub fn of_trunk(trunk: &TrunkId) -> Self {
        Shard::of("trunks", trunk.tenant.as_str(), trunk.name.as_str())
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Its place in a table of all shards.
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    fn of(kind: &str, tenant: &str, name: &str) -> Self {
        // A slash stands in none of the three, so two different objects never hash the same text.
        let text = [kind, tenant, name].join("/");
        let number = mix(fnv1a(text.as_bytes())) % u64::from(SHARDS);
        Shard(u16::try_from(number).expect("a remainder of 1024 fits"))
    }
}

impl TryFrom<u16> for Shard {
    type Error = NoShard;
    fn try_from(number: u16) -> Result<Self, NoShard> {
        if number < SHARDS { Ok(Shard(number)) } else { Err(NoShard(number)) }
    }
}

impl From<Shard> for u16 {
    fn from(shard: Shard) -> u16 {
        shard.0
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// FNV-1a, 64 bits (draft-eastlake-fnv). Nodes of different versions must agree on the shard of a name, which no hash of
/// the standard library promises.
const fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014): every bit of
/// the input changes every bit of the output with probability one half.
pub(crate) const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(name: &str) -> QueueId {
        QueueId::new("default".parse().unwrap(), name.parse().unwrap())
    }

    #[test]
    fn the_shard_of_a_name_is_part_of_the_protocol() {
        // Changing these numbers splits a cluster that is being updated.
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c, "a test vector of FNV-1a");
        assert_eq!(Shard::of_queue(&queue("support")).number(), 21);
        assert_eq!(Shard::of_queue(&queue("sales")).number(), 33);
    }

    // spec: CL-2
    #[test]
    fn cl_2_ten_thousand_queues_spread_over_all_shards() {
        let mut load = vec![0_u32; usize::from(SHARDS)];
        for n in 0..10_240 {
            load[Shard::of_queue(&queue(&format!("q-{n}"))).index()] += 1;
        }
        assert!(load.iter().all(|&n| (1..=30).contains(&n)), "10 each on average: {load:?}");
    }

    #[test]
    fn a_number_beyond_the_last_is_no_shard() {
        assert_eq!(Shard::try_from(1023).map(Shard::number), Ok(1023));
        assert_eq!(Shard::try_from(1024), Err(NoShard(1024)));
    }
}
