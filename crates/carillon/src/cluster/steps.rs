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

/// The same in the same order; but what stops does so before new owners are told of it, or of what was named before it. A
/// node that loses many shards hears of owner and end in turns, and each owner who is told costs a question to every call.
pub(super) fn steps(notices: impl IntoIterator<Item = Notice>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for notice in notices {
        match (notice, steps.last_mut()) {
            (Notice::Serve(tenure, _), Some(Step::Serve(tenures))) => tenures.push(tenure),
            (Notice::Serve(tenure, _), _) => steps.push(Step::Serve(vec![tenure])),
            (Notice::Stop(shard), _) => stop(&mut steps, shard),
            (Notice::Report { to, tenures }, _) => steps.push(Step::Report(to, tenures)),
            (Notice::Owned(by, tenure), _) => owned(&mut steps, by, tenure),
            (Notice::Send(to, message), _) => steps.push(Step::Send(to, message)),
            (Notice::Probe(node), _) => steps.push(Step::Probe(node)),
        }
    }
    steps
}

/// Where the new owners at the end of `steps` begin.
fn owners_at_the_end(steps: &[Step]) -> usize {
    steps.iter().rposition(|step| !matches!(step, Step::Owned(..))).map_or(0, |last| last + 1)
}

fn stop(steps: &mut Vec<Step>, shard: Shard) {
    let at = owners_at_the_end(steps);
    match at.checked_sub(1).and_then(|before| steps.get_mut(before)) {
        Some(Step::Stop(shards)) => shards.push(shard),
        Some(Step::Serve(_) | Step::Report(..) | Step::Owned(..) | Step::Send(..) | Step::Probe(_)) | None => {
            steps.insert(at, Step::Stop(vec![shard]));
        }
    }
}

fn owned(steps: &mut Vec<Step>, by: NodeId, tenure: Tenure) {
    let at = owners_at_the_end(steps);
    let same = |step: &&mut Step| matches!(step, Step::Owned(owner, _) if *owner == by);
    match steps[at..].iter_mut().find(same) {
        Some(Step::Owned(_, tenures)) => tenures.push(tenure),
        Some(Step::Serve(_) | Step::Stop(_) | Step::Report(..) | Step::Send(..) | Step::Probe(_)) | None => {
            steps.push(Step::Owned(by, vec![tenure]));
        }
    }
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
        // Where nothing but new owners stand between, what stops goes to the others.
        let expected = [
            Step::Serve(vec![two, three]),
            Step::Stop(vec![one.shard, two.shard]),
            Step::Report(to, vec![newer]),
            Step::Send(to, answer),
            Step::Probe(to),
            Step::Stop(vec![three.shard]),
            Step::Owned(to, vec![one, two]),
            Step::Owned(NodeId(3), vec![three]),
            Step::Serve(vec![one]),
        ];
        assert_eq!(steps(notices), expected);
    }

    // spec: CL-4
    #[test]
    fn cl_4_a_node_that_loses_many_shards_asks_its_calls_once_for_each_new_owner() {
        let by = |shard: u16| NodeId(2 + u32::from(shard % 2));
        let lost = |shard| [Notice::Owned(by(shard), tenure(shard, 71)), Notice::Stop(tenure(shard, 71).shard)];
        let steps = steps((0..400).flat_map(lost));
        let [Step::Stop(stopped), Step::Owned(NodeId(2), even), Step::Owned(NodeId(3), odd)] = &steps[..] else {
            panic!("{} steps", steps.len())
        };
        assert_eq!((stopped.len(), even.len(), odd.len()), (400, 200, 200));
    }
}
