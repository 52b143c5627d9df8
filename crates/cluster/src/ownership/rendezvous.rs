//! Who should own a shard: each candidate draws a number for each shard, and the highest has it (rendezvous hashing;
//! Thaler, Ravishankar, "Using name-based mappings to increase hit rates", 1998). A node that leaves frees only its own
//! shards, evenly for all others; one that joins takes its share evenly from all others (Spec: CL-2).

use carillon_acd::ids::NodeId;

use crate::shard::{Shard, mix};

/// The number that `node` draws for `shard`. Part of the protocol, like the shard of a name.
fn draw(node: NodeId, shard: Shard) -> (u64, NodeId) {
    let pair = u64::from(node.0) << 16 | u64::from(shard.number());
    (mix(pair.wrapping_add(0x9e37_79b9_7f4a_7c15)), node)
}

/// The candidate that should own `shard`; `None` without candidates.
pub(crate) fn first(shard: Shard, candidates: impl IntoIterator<Item = NodeId>) -> Option<NodeId> {
    candidates.into_iter().max_by_key(|node| draw(*node, shard))
}

/// How many candidates come before `node` for `shard`; 0 when it should own it.
pub(crate) fn place(shard: Shard, node: NodeId, candidates: impl IntoIterator<Item = NodeId>) -> u32 {
    let mine = draw(node, shard);
    let before = candidates.into_iter().filter(|other| draw(*other, shard) > mine).count();
    u32::try_from(before).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::shard::SHARDS;

    fn owners(nodes: &[u32]) -> Vec<NodeId> {
        Shard::all().map(|shard| first(shard, nodes.iter().map(|n| NodeId(*n))).unwrap()).collect()
    }

    // spec: CL-2
    #[test]
    fn cl_2_shards_spread_evenly_over_two_to_twelve_nodes() {
        for count in 2..=12 {
            let nodes: Vec<u32> = (1..=count).collect();
            let mut load = BTreeMap::new();
            for owner in owners(&nodes) {
                *load.entry(owner).or_insert(0_u32) += 1;
            }
            let fair = f64::from(SHARDS) / f64::from(count);
            let (least, most) = (*load.values().min().unwrap(), *load.values().max().unwrap());
            assert_eq!(load.len(), nodes.len());
            assert!(f64::from(least) > fair * 0.7 && f64::from(most) < fair * 1.3, "{count} nodes: {least} to {most}");
        }
    }

    proptest! {
        // spec: CL-2
        #[test]
        fn cl_2_a_node_that_joins_takes_its_share_and_nothing_else_moves(
            nodes in proptest::collection::btree_set(0_u32..10_000, 1..10), joins in 10_000_u32..20_000
        ) {
            let before: Vec<u32> = nodes.into_iter().collect();
            let mut after = before.clone();
            after.push(joins);
            let moved: Vec<(NodeId, NodeId)> =
                owners(&before).into_iter().zip(owners(&after)).filter(|(old, new)| old != new).collect();
            prop_assert!(moved.iter().all(|(_, new)| *new == NodeId(joins)), "only towards the node that joined");
            let fair = usize::from(SHARDS) / after.len();
            prop_assert!(moved.len() < fair * 2, "{} moved, {fair} would be fair", moved.len());
        }

        #[test]
        fn the_first_has_nobody_before_it(
            nodes in proptest::collection::btree_set(0_u32..10_000, 1..10), shard in 0_u16..SHARDS
        ) {
            let shard = Shard::try_from(shard).unwrap();
            let nodes: Vec<NodeId> = nodes.into_iter().map(NodeId).collect();
            let mut places: Vec<u32> = nodes.iter().map(|n| place(shard, *n, nodes.iter().copied())).collect();
            let best = first(shard, nodes.iter().copied()).unwrap();
            prop_assert_eq!(place(shard, best, nodes.iter().copied()), 0);
            places.sort_unstable();
            prop_assert!(places.iter().copied().eq(0..nodes.len() as u32), "every place is taken once");
        }
    }
}
