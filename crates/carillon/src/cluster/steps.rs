//! What the cluster asks of this node, in portions: owners of many shards start and end together, and nothing overtakes
//! anything.

use carillon_acd::ids::NodeId;
use carillon_cluster::node::Notice;
use carillon_cluster::ownership::{Message, Tenure};
use carillon_cluster::shard::Shard;

/// Neighbours of one kind, or one notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Start the owners of these shards.
    Serve(Vec<Tenure>),
    /// End those of these.
    Stop(Vec<Shard>),
    /// As [`Notice::Report`].
    Report(NodeId, Vec<Tenure>),
    /// [`Notice::Owned`] of these shards.
    Owned(NodeId, Vec<Tenure>),
    /// As [`Notice::Send`].
    Send(NodeId, Message),
    /// As [`Notice::Probe`].
    Probe(NodeId),
}

/// The same in the same order.
pub(super) fn steps(notices: impl IntoIterator<Item = Notice>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for notice in notices {
        match (notice, steps.last_mut()) {
            (Notice::Serve(tenure, _), Some(Step::Serve(tenures))) => tenures.push(tenure),
            (Notice::Serve(tenure, _), _) => steps.push(Step::Serve(vec![tenure])),
            (Notice::Stop(shard), Some(Step::Stop(shards))) => shards.push(shard),
            (Notice::Stop(shard), _) => steps.push(Step::Stop(vec![shard])),
            (Notice::Report { to, tenures }, _) => steps.push(Step::Report(to, tenures)),
            (Notice::Owned(by, tenure), Some(Step::Owned(owner, tenures))) if *owner == by => tenures.push(tenure),
            (Notice::Owned(by, tenure), _) => steps.push(Step::Owned(by, vec![tenure])),
            (Notice::Send(to, message), _) => steps.push(Step::Send(to, message)),
            (Notice::Probe(node), _) => steps.push(Step::Probe(node)),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use carillon_acd::ids::Epoch;

    use super::*;

    fn tenure(shard: u16, epoch: u64) -> Tenure {
        Tenure { shard: Shard::try_from(shard).unwrap(), epoch: Epoch(epoch) }
    }

    // spec: CL-3
    #[test]
    fn cl_3_nothing_is_reported_before_what_was_to_stop_has_stopped() {
        let [one, two, three] = [1, 2, 3].map(|shard| tenure(shard, 40));
        let newer = tenure(1, 71);
        let (to, answer) = (NodeId(2), Message::Answer(vec![newer]));
        let notices = [
            Notice::Serve(two, vec![]),
            Notice::Serve(three, vec![to]),
            Notice::Stop(one.shard),
            Notice::Stop(two.shard),
            Notice::Report { to, tenures: vec![newer] },
            Notice::Send(to, answer.clone()),
            Notice::Probe(to),
            Notice::Owned(to, one),
            Notice::Owned(to, two),
            Notice::Owned(NodeId(3), three),
            Notice::Stop(three.shard),
            Notice::Serve(one, vec![]),
        ];
        let expected = [
            Step::Serve(vec![two, three]),
            Step::Stop(vec![one.shard, two.shard]),
            Step::Report(to, vec![newer]),
            Step::Send(to, answer),
            Step::Probe(to),
            Step::Owned(to, vec![one, two]),
            Step::Owned(NodeId(3), vec![three]),
            Step::Stop(vec![three.shard]),
            Step::Serve(vec![one]),
        ];
        assert_eq!(steps(notices), expected);
    }
}
