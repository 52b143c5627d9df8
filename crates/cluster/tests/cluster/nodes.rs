//! Whole nodes of this crate on one coordinator, with links of the test's own making. On the simulated coordinator the
//! clock is paused, so a minute takes no time; `real.rs` does it on etcd.

mod hub;
mod real;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use carillon_acd::ids::{Epoch, NodeId};
use carillon_acd::time::Moment;
use carillon_cluster::embedded::{Embedded, Saved};
use carillon_cluster::ownership::Timing;
use carillon_cluster::shard::{SHARDS, Shard};
use carillon_cluster::simulated::Simulated;
use carillon_cluster::space::{PREFIX, Space};
use tokio::time::Instant;

use hub::{Hub, settled};

const ALL: usize = SHARDS as usize;

/// Nodes 1 to `count` on one coordinator, at rest.
async fn cluster(count: u32) -> (Simulated, Hub) {
    let (coordinator, hub) = (Simulated::new(5), Hub::default());
    for id in 1..=count {
        join(&coordinator, &hub, id);
    }
    settled(&hub, Duration::from_secs(30)).await;
    (coordinator, hub)
}

fn join(coordinator: &Simulated, hub: &Hub, id: u32) {
    let space = Space::new(Arc::new(coordinator.reached_by(NodeId(id))), PREFIX);
    hub.join(NodeId(id), Timing::default(), space);
}

fn cut_off(coordinator: &Simulated, node: NodeId) {
    coordinator.change_weather(|weather| {
        weather.cut_off.insert(node);
    });
}

/// Time passes; the clock is paused, so this costs none.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

// spec: CL-2
#[tokio::test(start_paused = true)]
async fn cl_2_three_nodes_share_everything_evenly_and_agree_on_it() {
    let (_coordinator, hub) = cluster(3).await;
    let shares: Vec<usize> = hub.ids().into_iter().map(|id| hub.acting(id).len()).collect();
    assert_eq!(shares.iter().sum::<usize>(), ALL);
    assert!(shares.iter().all(|share| (270..=410).contains(share)), "{shares:?}");
    for shard in Shard::all() {
        let owners: Vec<_> = hub.ids().into_iter().map(|id| hub.node(id).directory().owner(shard)).collect();
        assert!(owners.iter().all(|owner| owner.is_some() && *owner == owners[0]), "{shard}: {owners:?}");
    }
}

// spec: CL-2
#[tokio::test(start_paused = true)]
async fn cl_2_a_node_that_joins_gets_its_share_at_a_measured_pace_and_nothing_else_moves() {
    let (coordinator, hub) = cluster(2).await;
    let before: Vec<_> = Shard::all().map(|shard| hub.node(NodeId(1)).directory().owner(shard)).collect();
    join(&coordinator, &hub, 3);
    pass(2).await;
    let early = hub.acting(NodeId(3)).len();
    assert!((1..=2 * 2 * 100).contains(&early), "two owners give at most 100 a second: {early}");
    settled(&hub, Duration::from_secs(30)).await;
    for (shard, was) in Shard::all().zip(before) {
        let is = hub.node(NodeId(1)).directory().owner(shard);
        assert!(is == was || is.is_some_and(|owner| owner.node == NodeId(3)), "{shard}: {was:?} to {is:?}");
    }
}

// spec: CL-6
#[tokio::test(start_paused = true)]
async fn cl_6_a_drained_node_gives_everything_away_and_leaves_without_being_missed() {
    let (_coordinator, hub) = cluster(3).await;
    let drained = hub.node(NodeId(2));
    drained.space().drain(NodeId(2), true).await.unwrap();
    let begun = Instant::now();
    let mut status = drained.status();
    status.wait_for(|status| status.draining && status.holdings == 0).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    drained.leave().await;
    hub.forget(NodeId(2));
    settled(&hub, Duration::from_secs(5)).await;
    let picture = hub.node(NodeId(1)).space().list().await.unwrap();
    assert!(picture.nodes().map(|registered| registered.node.id).eq([NodeId(1), NodeId(3)]));
    assert!(!picture.roster().contains(&NodeId(2)), "nobody waits for it");
}

// spec: CL-6
#[tokio::test(start_paused = true)]
async fn cl_6_a_node_that_retires_gives_everything_away_for_this_run_alone() {
    let (coordinator, hub) = cluster(2).await;
    let retired = hub.node(NodeId(2));
    retired.space().drain(NodeId(2), true).await.unwrap();
    let mut status = retired.status();
    retired.retire().await;
    status.wait_for(|status| status.draining && status.holdings == 0).await.unwrap();
    retired.space().drain(NodeId(2), false).await.unwrap();
    pass(10).await;
    let now = *status.borrow();
    assert!(now.draining && now.holdings == 0, "an order to take part again comes too late: {now:?}");
    retired.leave().await;
    hub.forget(NodeId(2));
    join(&coordinator, &hub, 2);
    settled(&hub, Duration::from_secs(30)).await;
    assert!(!hub.acting(NodeId(2)).is_empty(), "its next run takes part");
}

// spec: CL-4
#[tokio::test(start_paused = true)]
async fn cl_4_a_dead_nodes_shards_are_served_within_three_seconds() {
    let (coordinator, hub) = cluster(3).await;
    let lost: Vec<Shard> = hub.acting(NodeId(2));
    cut_off(&coordinator, NodeId(2));
    let begun = Instant::now();
    hub.dies(NodeId(2));
    settled(&hub, Duration::from_secs(3)).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "suspicion does not wait for the lease: {:?}", begun.elapsed());
    // It was cut off and not dead, so it stops by itself.
    pass(3).await;
    assert!(lost.iter().all(|shard| hub.acting_on(*shard).len() == 1), "{lost:?}");
}

// spec: CL-5
#[tokio::test(start_paused = true)]
async fn cl_5_an_owner_without_its_coordinator_stops_before_the_next_one_begins() {
    let (coordinator, hub) = cluster(3).await;
    cut_off(&coordinator, NodeId(2));
    let begun = Instant::now();
    let mut served = false;
    while begun.elapsed() < Duration::from_secs(8) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(Shard::all().all(|shard| hub.acting_on(shard).len() <= 1));
        served = hub.acting(NodeId(2)).is_empty() && hub.acting(NodeId(1)).len() + hub.acting(NodeId(3)).len() == ALL;
        if served {
            break;
        }
    }
    assert!(served && begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    coordinator.change_weather(|weather| weather.cut_off.clear());
    settled(&hub, Duration::from_secs(30)).await;
    assert!(!hub.acting(NodeId(2)).is_empty(), "it is back and has its share again");
}

// spec: CL-5
#[tokio::test(start_paused = true)]
async fn cl_5_without_any_coordinator_for_a_minute_nothing_stops_and_nothing_moves() {
    let (coordinator, hub) = cluster(3).await;
    let before: Vec<_> = Shard::all().map(|shard| hub.acting_on(shard)).collect();
    let stops = hub.stops();
    coordinator.change_weather(|weather| weather.outage = true);
    for _ in 0..600 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(Shard::all().zip(&before).all(|(shard, was)| hub.acting_on(shard) == *was));
    }
    coordinator.change_weather(|weather| weather.outage = false);
    settled(&hub, Duration::from_secs(30)).await;
    pass(10).await;
    assert!(Shard::all().zip(&before).all(|(shard, was)| hub.acting_on(shard) == *was), "all have claimed their own");
    assert_eq!(hub.stops(), stops, "no shard was stopped on the way");
}

// spec: CL-3, CL-5
#[tokio::test(start_paused = true)]
async fn cl_5_a_coordinator_that_was_set_up_anew_is_filled_again_and_no_epoch_comes_twice() {
    let (coordinator, hub) = cluster(3).await;
    for _ in 0..2 {
        let before = hub.epochs();
        coordinator.begin_anew();
        pass(1).await;
        settled(&hub, Duration::from_secs(30)).await;
        let now = hub.epochs();
        assert!(before.iter().zip(&now).all(|(before, now)| before < now), "who has seen {before:?} refuses {now:?}");
        assert!(Shard::all().all(|shard| hub.acting_on(shard).len() == 1));
    }
}

// spec: CL-3
#[tokio::test(start_paused = true)]
async fn cl_3_lost_requests_and_answers_and_a_compaction_never_make_two_owners() {
    let (coordinator, hub) = cluster(3).await;
    coordinator.change_weather(|weather| (weather.lost_requests, weather.lost_answers) = (150, 150));
    for round in 0..6_u32 {
        let node = NodeId(round % 3 + 1);
        cut_off(&coordinator, node);
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(Shard::all().all(|shard| hub.acting_on(shard).len() <= 1));
        }
        coordinator.compact();
        coordinator.change_weather(|weather| weather.cut_off.clear());
        pass(5).await;
    }
    coordinator.change_weather(|weather| (weather.lost_requests, weather.lost_answers) = (0, 0));
    settled(&hub, Duration::from_secs(30)).await;
    let shares: Vec<usize> = hub.ids().into_iter().map(|id| hub.acting(id).len()).collect();
    assert!(shares.iter().all(|share| (270..=410).contains(share)), "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_node_with_the_same_number_waits_until_the_first_is_gone() {
    let (coordinator, hub) = cluster(2).await;
    let other = Hub::default();
    join(&coordinator, &other, 2);
    pass(10).await;
    let status = *other.node(NodeId(2)).status().borrow();
    assert!(status.informed && !status.holds && other.acting(NodeId(2)).is_empty(), "{status:?}");
    assert_eq!(hub.acting(NodeId(1)).len() + hub.acting(NodeId(2)).len(), ALL);
    hub.node(NodeId(2)).leave().await;
    hub.forget(NodeId(2));
    pass(2).await;
    assert!(other.node(NodeId(2)).status().borrow().holds);
}

// spec: CL-7
#[tokio::test(start_paused = true)]
async fn cl_7_a_node_alone_owns_everything_at_once_and_no_epoch_comes_twice() {
    let saved = Arc::new(Mutex::new(Saved::default()));
    let mut last = Epoch(0);
    for run in 0..2 {
        let journal = Arc::clone(&saved);
        let before = saved.lock().unwrap().clone();
        let keep = move |step: &carillon_cluster::embedded::Step| {
            journal.lock().unwrap().reserved = step.reserved;
            Ok(())
        };
        let embedded = Embedded::open(before, Box::new(keep)).await.unwrap();
        let hub = Hub::default();
        hub.join(NodeId(1), Timing::alone(), Space::new(Arc::new(embedded), PREFIX));
        let begun = Instant::now();
        settled(&hub, Duration::from_secs(1)).await;
        assert!(begun.elapsed() < Duration::from_millis(200), "run {run}: {:?}", begun.elapsed());
        let now = Moment::at(Duration::ZERO);
        let node = hub.node(NodeId(1));
        let epochs: Vec<Epoch> = Shard::all().filter_map(|shard| node.acting().epoch(shard, now)).collect();
        assert!(epochs.len() == ALL && epochs.iter().all(|epoch| *epoch > last), "run {run}");
        last = epochs.into_iter().max().unwrap();
        pass(3600).await;
        assert_eq!(hub.acting(NodeId(1)).len(), ALL, "an hour later");
    }
}
