//! Whole nodes on a real etcd of three members.

use std::sync::Arc;
use std::time::Duration;

use carillon_acd::ids::NodeId;
use carillon_cluster::etcd::{Etcd, Options};
use carillon_cluster::ownership::Timing;
use carillon_cluster::shard::Shard;
use carillon_cluster::space::{PREFIX, Space};
use tokio::time::Instant;

use super::hub::{Hub, settled};
use crate::cable::Cable;
use crate::server::Server;

/// With a machine that compiles beside it, elections and all.
const LONG: Duration = Duration::from_secs(60);

fn owners(hub: &Hub) -> Vec<Vec<NodeId>> {
    Shard::all().map(|shard| hub.acting_on(shard)).collect()
}

// spec: CL-2, CL-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cl_2_cl_5_on_a_real_etcd_members_die_unnoticed_and_a_node_that_is_cut_off_is_replaced() {
    let mut server = Server::start(3).await;
    let hub = Hub::default();
    let mut cables = Vec::new();
    for id in 1..=3 {
        let mut endpoints = Vec::new();
        for endpoint in server.endpoints() {
            let cable = Cable::to(&endpoint).await;
            endpoints.push(cable.endpoint());
            cables.push((NodeId(id), cable));
        }
        // A lease that outlasts the pauses of a machine that compiles.
        let timing = Timing { ttl: Duration::from_secs(6), ..Timing::default() };
        let etcd = Etcd::new(Options::new(endpoints)).unwrap();
        hub.join(NodeId(id), timing, Space::new(Arc::new(etcd), PREFIX));
    }
    settled(&hub, LONG).await;

    let (before, stops) = (owners(&hub), hub.stops());
    for member in 0..3 {
        server.kill(member);
        // Long enough for an election and several keep-alives, so that a mistake would show.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(owners(&hub) == before, "one of them led, and nobody noticed");
        server.run(member);
        server.answers().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(hub.stops(), stops);

    for (_, cable) in cables.iter().filter(|(id, _)| *id == NodeId(2)) {
        cable.plug(false);
    }
    let begun = Instant::now();
    let others = [NodeId(1), NodeId(3)];
    let served = || others.iter().map(|id| hub.acting(*id).len()).sum::<usize>();
    while served() < super::ALL {
        assert!(begun.elapsed() < LONG);
        assert!(Shard::all().all(|shard| hub.acting_on(shard).len() <= 1), "never two at once");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("a third of the shards has a new owner {:?} after the cut", begun.elapsed());
    for (_, cable) in &cables {
        cable.plug(true);
    }
    settled(&hub, LONG).await;
    assert!(owners(&hub) == before, "and its own again when it is back");
}

// spec: CL-3, CL-5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cl_5_a_real_etcd_that_lost_everything_is_filled_again() {
    let mut server = Server::start(1).await;
    let hub = Hub::default();
    for id in 1..=2 {
        let timing = Timing { ttl: Duration::from_secs(6), ..Timing::default() };
        let etcd = Etcd::new(Options::new(server.endpoints())).unwrap();
        hub.join(NodeId(id), timing, Space::new(Arc::new(etcd), PREFIX));
    }
    settled(&hub, LONG).await;
    let (before, begun) = (hub.epochs(), Instant::now());
    server.begin_anew().await;
    while !before.iter().zip(hub.epochs()).all(|(before, now)| *before < now) {
        assert!(begun.elapsed() < LONG, "the owners have {:?}, who has seen {before:?} refuses them", hub.epochs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    settled(&hub, LONG).await;
    println!("all shards are served in newer epochs {:?} after etcd was killed", begun.elapsed());
}
