//! What all phones of the lab share: where the edges are and which of them live, what was seen, and when to stop.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use carillon_tests::sip::{Phone, PhoneConfig};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::journal::Journal;
use crate::network::CARRIER;

/// What carriers and phones know of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EdgeState {
    /// It takes calls.
    Up,
    /// It answers, and refuses.
    Refuses,
    /// It does not answer.
    Dead,
}

/// An edge as phones see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    /// Its node.
    pub(crate) node: u8,
    /// Where it speaks SIP.
    pub(crate) sip: SocketAddr,
    pub(crate) state: EdgeState,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) journal: Journal,
    edges: watch::Sender<Vec<Edge>>,
    /// Whoever is still there hangs up.
    closing: watch::Sender<bool>,
    /// How long agents talk on average.
    pub(crate) talk: Duration,
    attempts: AtomicU64,
}

/// The run, which is a part of the callers' numbers. It counts on from cluster to cluster: what an earlier one's callers
/// still repeat is not taken for a call of this one.
static RUN: AtomicU32 = AtomicU32::new(0);

/// How often carriers and phones try their edge, and after how many failures in a row they go elsewhere: an edge is
/// avoided 1.5 to 2 s after its death.
const KEEP_ALIVE: Duration = Duration::from_millis(500);
const FAILURES: u32 = 3;

impl World {
    /// With these edges, all of them alive.
    pub(crate) fn new(edges: &[(u8, IpAddr)], talk: Duration) -> Arc<World> {
        let edges = edges
            .iter()
            .map(|&(node, ip)| Edge { node, sip: SocketAddr::new(ip, 5060), state: EdgeState::Up })
            .collect();
        Arc::new(World {
            journal: Journal::default(),
            edges: watch::Sender::new(edges),
            closing: watch::Sender::new(false),
            talk,
            attempts: AtomicU64::new(0),
        })
    }

    pub(crate) fn edges(&self) -> watch::Receiver<Vec<Edge>> {
        self.edges.subscribe()
    }

    /// The living edge that comes after `turn` others; a dead one when all are.
    pub(crate) fn edge(&self, turn: usize) -> Edge {
        let edges = self.edges.borrow();
        let up: Vec<&Edge> = edges.iter().filter(|edge| edge.state == EdgeState::Up).collect();
        if up.is_empty() { edges[turn % edges.len()] } else { *up[turn % up.len()] }
    }

    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    pub(crate) fn close(&self, now: bool) {
        self.closing.send_replace(now);
    }

    /// A new run begins: callers show other numbers.
    pub(crate) fn begin_run() {
        RUN.fetch_add(1, Ordering::Relaxed);
    }

    /// What the numbers of this run begin with.
    pub(crate) fn prefix() -> String {
        format!("+336{:03}", RUN.load(Ordering::Relaxed) % 1000)
    }

    /// The number of a new attempt, and its voice.
    pub(crate) fn number(&self) -> (String, f64) {
        let n = self.attempts.fetch_add(1, Ordering::Relaxed);
        (format!("{}{:05}", World::prefix(), n % 100_000), voice(n))
    }

    /// Carriers and phones try their edges all the time; this does it for all of them.
    pub(crate) async fn keep_alive(self: Arc<Self>) -> Result<()> {
        let edges = self.edges.borrow().clone();
        let mut tries = tokio::task::JoinSet::new();
        for edge in edges {
            tries.spawn(self.clone().try_edge(edge));
        }
        while let Some(ended) = tries.join_next().await {
            ended??;
        }
        Ok(())
    }

    async fn try_edge(self: Arc<Self>, edge: Edge) -> Result<()> {
        let phone = Phone::start(PhoneConfig::caller(edge.sip, CARRIER, "keepalive", 0.0)).await?;
        let mut clock = tokio::time::interval(KEEP_ALIVE);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failures = 0;
        loop {
            clock.tick().await;
            let state = match phone.ping(KEEP_ALIVE).await {
                Ok(200) => EdgeState::Up,
                Ok(_) => EdgeState::Refuses,
                Err(_) => EdgeState::Dead,
            };
            failures = if state == EdgeState::Dead { failures + 1 } else { 0 };
            if state != EdgeState::Dead || failures >= FAILURES {
                self.set(edge.node, state);
            }
        }
    }

    fn set(&self, node: u8, state: EdgeState) {
        self.edges.send_if_modified(|edges| {
            let Some(edge) = edges.iter_mut().find(|edge| edge.node == node && edge.state != state) else {
                return false;
            };
            edge.state = state;
            true
        });
    }

    /// Watches how late the lab's own tasks run.
    pub(crate) async fn watch_itself(self: Arc<Self>) {
        let step = Duration::from_millis(10);
        loop {
            let began = Instant::now();
            tokio::time::sleep(step).await;
            let late = began.elapsed().saturating_sub(step);
            if late > Duration::from_millis(30) {
                self.journal.add_late(began, late);
            }
        }
    }
}

/// One of fifty tones that a phone tells apart.
pub(crate) fn voice(n: u64) -> f64 {
    500.0 * 1.025_f64.powi((n % 50) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voices_differ_by_more_than_a_phone_may_be_wrong() {
        for n in 1..50 {
            assert!(voice(n) > voice(n - 1) * 1.02 && voice(n) < 2_000.0);
        }
    }

    #[test]
    fn calls_go_to_living_edges_only() {
        let world = World::new(&[(1, CARRIER), (2, CARRIER), (3, CARRIER)], Duration::ZERO);
        world.set(2, EdgeState::Dead);
        let nodes: Vec<u8> = (0..4).map(|turn| world.edge(turn).node).collect();
        assert_eq!(nodes, [1, 3, 1, 3]);
    }
}
