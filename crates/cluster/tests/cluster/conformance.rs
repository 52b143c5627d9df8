//! One contract, three coordinators: every test of `contract.rs` runs on the embedded one, on the simulated one and on a
//! real etcd. `etcd.rs` adds what only a real one can show: members that die, freeze and come back.

mod contract;
mod etcd;

use std::sync::Arc;

use carillon_acd::ids::NodeId;
use carillon_cluster::coordinator::Coordinator;
use carillon_cluster::embedded::{Embedded, Saved, Step};
use carillon_cluster::etcd::{Etcd, Options};
use carillon_cluster::simulated::Simulated;

use crate::server::Server;

/// A coordinator under test, and what has to live as long.
pub(crate) struct Subject {
    pub(crate) coordinator: Arc<dyn Coordinator>,
    _server: Option<Server>,
}

async fn embedded() -> Subject {
    let embedded = Embedded::open(Saved::default(), Box::new(|_: &Step| Ok(()))).await.unwrap();
    Subject { coordinator: Arc::new(embedded), _server: None }
}

fn simulated() -> Subject {
    Subject { coordinator: Arc::new(Simulated::new(7).reached_by(NodeId(1))), _server: None }
}

async fn real() -> Subject {
    let server = Server::start(1).await;
    let coordinator = Etcd::new(Options::new(server.endpoints())).unwrap();
    Subject { coordinator: Arc::new(coordinator), _server: Some(server) }
}

/// The contract's tests, once for each coordinator. The embedded and the simulated one run on a paused clock.
macro_rules! on_all {
    ($($test:ident),* $(,)?) => {
        mod on_embedded {
            $(#[tokio::test(start_paused = true)]
            async fn $test() { super::contract::$test(&super::embedded().await).await; })*
        }
        mod on_simulated {
            $(#[tokio::test(start_paused = true)]
            async fn $test() { super::contract::$test(&super::simulated()).await; })*
        }
        mod on_etcd {
            $(#[tokio::test]
            async fn $test() { super::contract::$test(&super::real().await).await; })*
        }
    };
}

on_all!(
    revisions_grow_and_all_keys_of_a_transaction_share_one,
    a_failed_requirement_writes_nothing_and_shows_what_is_there,
    a_delete_wants_what_it_was_told,
    cl_2_only_one_of_many_gets_a_key_that_was_absent,
    a_lease_that_ends_takes_its_keys_with_it,
    a_lease_that_is_kept_alive_keeps_its_keys,
    a_revoked_lease_is_lost,
    nothing_can_be_written_on_a_lost_lease,
    cl_6_a_key_handed_over_lives_with_its_new_lease,
    a_feed_begins_with_everything_and_misses_nothing,
    a_feed_tells_what_ends_with_a_lease,
    a_feed_brings_only_its_own_folder,
    a_large_folder_is_read_whole,
    a_transaction_of_the_largest_size_is_taken_and_a_larger_one_refused,
);
