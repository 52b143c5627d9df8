//! What the edge of this node takes, by the node's place in the cluster (Spec: CL-6).

use carillon_acd::ids::NodeId;
use carillon_cluster::member::Registered;
use carillon_cluster::node::{Cluster, Status};
use carillon_edge::{Edge, Intake};

/// Lets the edge follow until the node has left.
pub(crate) async fn follow(edge: Edge, cluster: Cluster) {
    let (mut status, mut nodes) = (cluster.status(), cluster.nodes());
    // A handle kept here would keep the node from leaving by being dropped.
    let me = cluster.id();
    drop(cluster);
    loop {
        edge.set_intake(intake(*status.borrow_and_update(), &nodes.borrow_and_update(), me));
        let changed = tokio::select! {
            changed = status.changed() => changed,
            changed = nodes.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Nothing before it knows all owners: it could not tell old epochs from new, and its phones' owners would not hear of them.
/// While it drains, phones go to other edges if there are any.
fn intake(status: Status, nodes: &[Registered], me: NodeId) -> Intake {
    let takes_phones = |it: &Registered| it.node.id != me && it.node.roles.edge && !it.node.draining;
    match (status.informed, status.draining) {
        (false, _) => Intake::Nothing,
        (true, false) => Intake::Everything,
        (true, true) if nodes.iter().any(takes_phones) => Intake::Nothing,
        (true, true) => Intake::Registrations,
    }
}

#[cfg(test)]
mod tests {
    use carillon_cluster::coordinator::LeaseId;
    use carillon_cluster::member::{Addresses, Node, Roles};

    use super::*;

    fn node(id: u32, edge: bool, draining: bool) -> Registered {
        let roles = Roles { edge, acd: true, api: true };
        let (addresses, version) = (Addresses::default(), String::new());
        let node = Node { id: NodeId(id), boot: 1, roles, addresses, zone: None, version, draining, standing: true };
        Registered { node, lease: LeaseId(i64::from(id)) }
    }

    // spec: CL-6
    #[test]
    fn cl_6_phones_are_sent_away_only_when_another_edge_takes_them() {
        let me = NodeId(1);
        let at = |informed, draining| Status { informed, draining, ..Status::default() };
        let with = |others: &[Registered]| intake(at(true, true), others, me);
        assert_eq!(intake(at(false, false), &[], me), Intake::Nothing);
        assert_eq!(intake(at(true, false), &[], me), Intake::Everything);
        assert_eq!(with(&[node(1, true, false)]), Intake::Registrations, "it is alone");
        assert_eq!(with(&[node(1, true, true), node(2, false, false)]), Intake::Registrations, "no other edge");
        assert_eq!(with(&[node(1, true, true), node(2, true, true)]), Intake::Registrations, "all drain");
        assert_eq!(with(&[node(1, true, true), node(2, true, false)]), Intake::Nothing);
    }
}
