//! The whole: three servers of etcd, three edges, three nodes that own queues and agents.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon_tests::center::{Center, agent_names};
use serde_json::Value;
use tokio::time::Instant;

use crate::network::{CARRIER, Place};
use crate::servers::{Etcd, Node, Role};

/// The queue that everybody calls.
pub(crate) const QUEUE: &str = "support";
/// Servers of etcd.
pub(crate) const ETCDS: u8 = 3;
/// Edges have the numbers 1 to 3, the others 4 to 6; the last number is that of a node that may be added.
pub(crate) const NODES: u8 = 7;
const EDGES: u8 = 3;
/// How long the command line may take.
pub(crate) const ANSWER: Duration = Duration::from_secs(4);
/// How long a node may take to be a part of it all.
const WHOLE: Duration = Duration::from_secs(30);

/// Who owns something, and in which epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) node: u8,
    pub(crate) epoch: u64,
}

/// A running cluster. Dropped, its processes are killed.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) etcds: Vec<Etcd>,
    nodes: BTreeMap<u8, Node>,
    pub(crate) agents: Vec<String>,
}

impl Cluster {
    /// Starts everything in the namespaces of `lab`, with folders below `folder`, and waits until it is whole. `own_clock`
    /// gives each node a clock that can be set.
    pub(crate) async fn start(lab: u32, folder: &Path, agents: usize, own_clock: bool) -> Result<Cluster> {
        let peers: Vec<Place> = (1..=ETCDS).map(|n| Place::etcd(lab, n)).collect();
        for number in 1..=NODES {
            // A fault that broke off has left its rules.
            Place::node(lab, number).unfilter().await?;
        }
        let mut etcds = Vec::new();
        for number in 1..=ETCDS {
            etcds.push(Etcd::new(number, &peers, folder)?);
        }
        etcds.iter_mut().try_for_each(Etcd::spawn)?;
        for etcd in &mut etcds {
            etcd.until_accepts().await?;
        }
        let agents = agent_names(agents);
        let (yaml, endpoints) = (center(&agents), etcds.iter().map(Etcd::endpoint).collect::<Vec<_>>());
        let mut nodes = BTreeMap::new();
        for number in 1..=NODES {
            let role = if number <= EDGES { Role::Edge } else { Role::Acd };
            let mut node = Node::new(number, role, Place::node(lab, number), &yaml, &endpoints, folder)?;
            if own_clock {
                node.give_clock();
            }
            nodes.insert(number, node);
        }
        let mut cluster = Cluster { etcds, nodes, agents };
        cluster.heal().await?;
        Ok(cluster)
    }

    pub(crate) fn edges(&self) -> Vec<(u8, IpAddr)> {
        self.nodes.values().filter(|node| node.role == Role::Edge).map(|node| (node.number, node.place.ip)).collect()
    }

    pub(crate) fn node(&self, number: u8) -> &Node {
        &self.nodes[&number]
    }

    pub(crate) fn node_mut(&mut self, number: u8) -> &mut Node {
        self.nodes.get_mut(&number).expect("nodes have the numbers 1 to 7")
    }

    /// Those that run.
    pub(crate) fn running(&self) -> Vec<u8> {
        self.nodes.values().filter(|node| node.is_running()).map(|node| node.number).collect()
    }

    /// All, whether they run or not.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// Starts again what does not run of the first six, and waits until everything has an owner.
    pub(crate) async fn heal(&mut self) -> Result<()> {
        let missing: Vec<u8> =
            self.nodes.values().filter(|n| n.number < NODES && !n.is_running()).map(|n| n.number).collect();
        for number in &missing {
            self.node_mut(*number).spawn()?;
        }
        for number in &missing {
            self.node_mut(*number).until_accepts().await?;
        }
        self.until_whole().await
    }

    /// What a node answers to a command, as JSON.
    pub(crate) async fn ask(&self, node: u8, arguments: &[&str]) -> Result<Vec<Value>> {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["-o", "json"]).collect();
        let text = self.node(node).cli(&arguments, ANSWER).await?;
        serde_json::from_str(&text).with_context(|| format!("carillon {} printed {text:?}", arguments.join(" ")))
    }

    /// Owners as `node` knows them.
    pub(crate) async fn owners(&self, node: u8) -> Result<BTreeMap<String, Owner>> {
        let rows = self.ask(node, &["owners"]).await?;
        let read = |row: &Value| {
            let name = row["name"].as_str()?.rsplit('/').next()?.to_owned();
            let node = u8::try_from(row["node"].as_u64()?).ok()?;
            Some((name, Owner { node, epoch: row["epoch"].as_u64()? }))
        };
        Ok(rows.iter().filter_map(read).collect())
    }

    /// The owner of the queue, as `asked` knows it.
    pub(crate) async fn owner_of(&self, name: &str, asked: u8) -> Result<Owner> {
        let owners = self.owners(asked).await?;
        owners.get(name).copied().with_context(|| format!("node {asked} knows no owner of {name}"))
    }

    /// Until each node that runs is linked with all others, and each of them names a running owner for everything.
    pub(crate) async fn until_whole(&self) -> Result<()> {
        let running = self.running();
        let began = Instant::now();
        loop {
            let mut missing = None;
            for &node in &running {
                if let Err(error) = self.check_whole(node, &running).await {
                    missing = Some(format!("{error:#}"));
                    break;
                }
            }
            let Some(missing) = missing else { return Ok(()) };
            ensure!(began.elapsed() < WHOLE, "the cluster is not whole after {WHOLE:?}: {missing}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn check_whole(&self, node: u8, running: &[u8]) -> Result<()> {
        let nodes = self.ask(node, &["nodes"]).await?;
        let linked = nodes.iter().filter(|row| row["linked"] == true && row["draining"] == false).count();
        ensure!(linked == running.len(), "node {node} is linked with {linked} of {}", running.len());
        let owners = self.owners(node).await?;
        let wanted = self.agents.len() + 1;
        let alive = owners.values().filter(|owner| running.contains(&owner.node)).count();
        ensure!(alive == wanted, "node {node} knows {alive} of {wanted} owners");
        Ok(())
    }

    /// The sum of a metric over all nodes that run.
    pub(crate) async fn metric(&self, name: &str) -> Result<usize> {
        let mut sum = 0.0;
        for node in self.nodes.values().filter(|node| node.is_running()) {
            sum += node.metric(name).await?;
        }
        Ok(sum as usize)
    }

    /// Which server of etcd leads.
    pub(crate) async fn etcd_leader(&self) -> Result<usize> {
        for (n, etcd) in self.etcds.iter().enumerate() {
            if matches!(etcd.status().await, Ok((true, _))) {
                return Ok(n);
            }
        }
        anyhow::bail!("no server of etcd leads")
    }

    /// How many changes etcd has seen.
    pub(crate) async fn etcd_changes(&self) -> Result<u64> {
        self.etcds[0].status().await.map(|(_, changes)| changes)
    }
}

fn center(agents: &[String]) -> String {
    let fields = ["wrap_up: 0s", "waiting_sound: music", "unanswered: wait", "max_waiting: 20000"];
    let center = Center::with_carrier(CARRIER).queue(QUEUE, "longest_idle", agents, &fields);
    agents.iter().zip(1001..).fold(center, |center, (name, extension)| center.agent(name, extension)).yaml()
}
