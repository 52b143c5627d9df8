//! The fault matrix: each fault is a file that says what is injected and what is measured beside that which is measured for
//! all of them.

mod clock;
mod cut_off;
mod edge_killed;
mod etcd;
mod membership;
mod network;
mod nothing;
mod owner_killed;
mod stopped;

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use crate::figures::Figure;
use crate::measure::{Seen, Window};
use crate::scene::{Run, View};

/// A row of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// Nothing happens: what the machine and the load alone come to.
    Nothing,
    /// kill -9 of the node that owns the queue.
    QueueOwnerKilled,
    /// kill -9 of a node that owns agents and not the queue.
    AgentOwnerKilled,
    /// kill -9 of an edge.
    EdgeKilled,
    /// kill -9 of the server of etcd that leads.
    EtcdLeaderKilled,
    /// SIGSTOP of the server of etcd that leads.
    EtcdLeaderFrozen,
    /// SIGSTOP of all servers of etcd.
    EtcdFrozen,
    /// The queue's owner reaches everybody but etcd.
    CutOff,
    /// SIGSTOP of the queue's owner for 10 s.
    OwnerStopped,
    /// SIGSTOP of an edge for 10 s.
    EdgeStopped,
    /// The clocks of the queue's owner and of an edge jump by an hour, back in each second repeat.
    Clock,
    /// A node joins.
    NodeAdded,
    /// The queue's owner is drained and undrained.
    OwnerDrained,
    /// An edge is drained and undrained.
    EdgeDrained,
    /// Every node is ended by SIGTERM and started again, one after the other.
    RollingRestart,
    /// 5 % of the packets between nodes are lost, the others take 50 ms.
    SlowNetwork,
}

/// What must hold of that which is measured for all faults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Without any offer of the queue.
    pub(crate) offers: Duration,
    /// Without sound.
    pub(crate) gap: Duration,
    /// From an agent's end of a call to his next ring, for 99 of 100.
    pub(crate) hand_out: Option<Duration>,
    /// The same for the unluckiest agent. None where his phone has to find another edge first.
    pub(crate) unluckiest: Option<Duration>,
}

impl Fault {
    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Fault::Nothing => "nothing",
            Fault::QueueOwnerKilled => "queue-owner-killed",
            Fault::AgentOwnerKilled => "agent-owner-killed",
            Fault::EdgeKilled => "edge-killed",
            Fault::EtcdLeaderKilled => "etcd-leader-killed",
            Fault::EtcdLeaderFrozen => "etcd-leader-frozen",
            Fault::EtcdFrozen => "etcd-frozen",
            Fault::CutOff => "cut-off",
            Fault::OwnerStopped => "owner-stopped",
            Fault::EdgeStopped => "edge-stopped",
            Fault::Clock => "clock",
            Fault::NodeAdded => "node-added",
            Fault::OwnerDrained => "owner-drained",
            Fault::EdgeDrained => "edge-drained",
            Fault::RollingRestart => "rolling-restart",
            Fault::SlowNetwork => "slow-network",
        }
    }

    /// Whether the nodes need clocks of their own.
    pub(crate) const fn needs_clock(self) -> bool {
        matches!(self, Fault::Clock)
    }

    pub(crate) const fn limits(self) -> Limits {
        let (offers, hand_out, same_edge) = match self {
            Fault::Nothing
            | Fault::EtcdLeaderKilled
            | Fault::EtcdLeaderFrozen
            | Fault::EtcdFrozen
            | Fault::Clock
            | Fault::NodeAdded
            | Fault::OwnerDrained => (1_000, None, true),
            Fault::QueueOwnerKilled | Fault::AgentOwnerKilled => (3_000, None, true),
            Fault::CutOff | Fault::OwnerStopped => (5_000, None, true),
            Fault::EdgeDrained | Fault::RollingRestart => (1_000, None, false),
            Fault::EdgeKilled | Fault::EdgeStopped => (3_000, None, false),
            Fault::SlowNetwork => (3_000, Some(Duration::from_millis(500)), false),
        };
        let offers = Duration::from_millis(offers);
        Limits {
            offers,
            gap: Duration::from_millis(100),
            hand_out,
            unluckiest: if same_edge { Some(offers) } else { None },
        }
    }

    /// Lets it happen, and waits until what is looked at is over.
    pub(crate) async fn inject(self, run: &mut Run<'_>) -> Result<()> {
        match self {
            Fault::Nothing => nothing::inject(run).await,
            Fault::QueueOwnerKilled => owner_killed::of_the_queue(run).await,
            Fault::AgentOwnerKilled => owner_killed::of_agents(run).await,
            Fault::EdgeKilled => edge_killed::inject(run).await,
            Fault::EtcdLeaderKilled => etcd::leader_killed(run).await,
            Fault::EtcdLeaderFrozen => etcd::leader_frozen(run).await,
            Fault::EtcdFrozen => etcd::all_frozen(run).await,
            Fault::CutOff => cut_off::inject(run).await,
            Fault::OwnerStopped => stopped::owner(run).await,
            Fault::EdgeStopped => stopped::edge(run).await,
            Fault::Clock => clock::inject(run).await,
            Fault::NodeAdded => membership::added(run).await,
            Fault::OwnerDrained => membership::owner_drained(run).await,
            Fault::EdgeDrained => membership::edge_drained(run).await,
            Fault::RollingRestart => membership::rolling_restart(run).await,
            Fault::SlowNetwork => network::inject(run).await,
        }
    }

    /// What else the phones' observations come to.
    pub(crate) fn judge(self, seen: &Seen, window: Window, interrupted: Option<u8>, views: &[View]) -> Vec<Figure> {
        match (self, interrupted) {
            (Fault::EdgeKilled | Fault::EdgeStopped, Some(edge)) => edge_killed::judge(seen, window, edge, views),
            (Fault::EdgeKilled | Fault::EdgeStopped, None)
            | (
                Fault::Nothing
                | Fault::QueueOwnerKilled
                | Fault::AgentOwnerKilled
                | Fault::EtcdLeaderKilled
                | Fault::EtcdLeaderFrozen
                | Fault::EtcdFrozen
                | Fault::CutOff
                | Fault::OwnerStopped
                | Fault::Clock
                | Fault::NodeAdded
                | Fault::OwnerDrained
                | Fault::EdgeDrained
                | Fault::RollingRestart
                | Fault::SlowNetwork,
                _,
            ) => vec![],
        }
    }
}
