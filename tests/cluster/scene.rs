//! Three nodes and an etcd, with phones.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon_tests::center::{Center, NUMBER, password};
use carillon_tests::real::{Block, Carillon, Etcd, Launch};
use carillon_tests::records::{self, Record};
use carillon_tests::sip::{Answering, Call, Phone, PhoneConfig, Transport};
use carillon_tests::suite::SOON;
use serde_json::Value;
use tempfile::TempDir;

/// How long a take-over may take, with what the machine's other work adds to its 3 s.
pub(crate) const TAKEN_OVER: Duration = Duration::from_secs(30);

/// The roles of an ordinary node.
const ALL: &str = "[edge, acd, api]";

/// A cluster.
pub(crate) struct Scene {
    block: Block,
    etcd: Etcd,
    center: Option<String>,
    nodes: BTreeMap<u8, Carillon>,
    /// The folders of those that were killed.
    graves: Vec<TempDir>,
    agents: usize,
}

impl Scene {
    /// With the agent `anna`.
    pub(crate) async fn start() -> Result<Scene> {
        Scene::start_with(&[(1, ALL), (2, ALL), (3, ALL)]).await
    }

    /// The same with these roles.
    pub(crate) async fn start_with(roles: &[(u8, &'static str)]) -> Result<Scene> {
        Scene::with(roles, &["anna"]).await
    }

    /// Three nodes, one queue `support` of these agents, who may pick up; everything has an owner.
    pub(crate) async fn of(agents: &[&str]) -> Result<Scene> {
        Scene::with(&[(1, ALL), (2, ALL), (3, ALL)], agents).await
    }

    async fn with(roles: &[(u8, &'static str)], agents: &[&str]) -> Result<Scene> {
        let block = Block::fresh();
        let center = Scene::center_of(block, agents).yaml();
        let mut scene = Scene::of_nodes(block, Some(center), roles).await?;
        scene.agents = agents.len();
        scene.until_all_own().await?;
        scene.until_all_ready().await?;
        Ok(scene)
    }

    pub(crate) const fn block(&self) -> Block {
        self.block
    }

    /// Three nodes that nobody has configured, and the addresses for a center of theirs.
    pub(crate) async fn unconfigured() -> Result<(Scene, Block)> {
        let block = Block::fresh();
        Ok((Scene::of_nodes(block, None, &[(1, ALL), (2, ALL), (3, ALL)]).await?, block))
    }

    /// The center of [`Scene::start`].
    pub(crate) fn center(block: Block) -> Center {
        Scene::center_of(block, &["anna"])
    }

    fn center_of(block: Block, agents: &[&str]) -> Center {
        let fields = ["wrap_up: 0s", "waiting_sound: music", "pickup: true"];
        let names: Vec<String> = agents.iter().map(|&name| name.to_owned()).collect();
        let center = Center::new(block).queue("support", "in_order", &names, &fields);
        (101..).zip(agents).fold(center, |center, (extension, name)| center.agent(name, extension))
    }

    async fn of_nodes(block: Block, center: Option<String>, roles: &[(u8, &'static str)]) -> Result<Scene> {
        let etcd = Etcd::start(block.etcd(), 1).await?;
        let mut nodes = BTreeMap::new();
        for &(node, roles) in roles {
            let launch = Launch::member(block, center.clone(), node, etcd.endpoints()).roles(roles);
            nodes.insert(node, Carillon::start(launch).await?);
        }
        Ok(Scene { block, etcd, center, nodes, graves: Vec::new(), agents: 1 })
    }

    /// Applies objects at a node.
    pub(crate) async fn apply(&self, node: u8, yaml: &str, options: &[&str]) -> Result<String> {
        let file = tempfile::Builder::new().suffix(".yaml").tempfile().context("a temporary file")?;
        std::fs::write(file.path(), yaml).context("the objects")?;
        let path = file.path().to_str().context("a path in UTF-8")?;
        self.cli(node, &[&["apply", "-f", path], options].concat()).await
    }

    pub(crate) const fn etcd(&self) -> &Etcd {
        &self.etcd
    }

    /// The living nodes.
    pub(crate) fn nodes(&self) -> Vec<u8> {
        self.nodes.keys().copied().collect()
    }

    /// A living node that is none of these.
    pub(crate) fn another_than(&self, these: &[u8]) -> u8 {
        *self.nodes.keys().find(|node| !these.contains(node)).expect("three nodes")
    }

    pub(crate) fn node(&self, node: u8) -> &Carillon {
        &self.nodes[&node]
    }

    /// A node that will end by itself.
    pub(crate) fn let_go(&mut self, node: u8) -> Result<Carillon> {
        self.nodes.remove(&node).context("it lives")
    }

    /// An agent's phone, registered at `node`.
    pub(crate) async fn agent(&self, node: u8, name: &str, tone: f64, answering: Answering) -> Result<Phone> {
        let config = PhoneConfig::agent(self.node(node).sip, name, &password(name), tone);
        self.phone(PhoneConfig { answering, ..config }).await
    }

    /// The same over a connection; it answers at once.
    pub(crate) async fn connected_agent(&self, node: u8, name: &str, tone: f64) -> Result<Phone> {
        let config = PhoneConfig::agent(self.node(node).sip, name, &password(name), tone);
        self.phone(PhoneConfig { transport: Transport::Tcp, ..config }).await
    }

    async fn phone(&self, config: PhoneConfig) -> Result<Phone> {
        let phone = Phone::start(PhoneConfig { ip: self.block.agents(), ..config }).await?;
        phone.register(Duration::from_secs(300)).await?;
        Ok(phone)
    }

    /// A caller who has dialled [`NUMBER`] at `node`. His phone lives as long as his call.
    pub(crate) async fn call(&self, node: u8, number: &str, tone: f64) -> Result<Call> {
        self.dial(node, NUMBER, number, tone).await
    }

    /// A caller who has dialled `to` at `node`; see [`Scene::call`].
    pub(crate) async fn dial(&self, node: u8, to: &str, number: &str, tone: f64) -> Result<Call> {
        let config = PhoneConfig::caller(self.node(node).sip, self.block.carrier(), number, tone);
        let phone = Phone::start(config).await?;
        let call = phone.dial(to).await?;
        // The phone's sockets stay open for the rest of the test.
        std::mem::forget(phone);
        Ok(call)
    }

    /// Asks the living nodes in turn until the answer of one is as wanted. Each answers for all of them.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        args: &[&str],
        look: impl FnMut(&[Value]) -> Option<T>,
    ) -> Result<T> {
        self.until_at(&self.nodes(), what, args, look).await
    }

    /// The same, asking only these.
    async fn until_at<T>(
        &self,
        nodes: &[u8],
        what: &str,
        args: &[&str],
        mut look: impl FnMut(&[Value]) -> Option<T>,
    ) -> Result<T> {
        let mut poll = tokio::time::interval(Duration::from_millis(50));
        let mut last = Vec::new();
        let looking = async {
            loop {
                for carillon in nodes.iter().filter_map(|node| self.nodes.get(node)) {
                    poll.tick().await;
                    // One that sleeps does not answer.
                    let asked = tokio::time::timeout(Duration::from_secs(4), carillon.cli_json(args)).await;
                    if let Ok(Ok(Value::Array(answer))) = asked {
                        last = answer;
                        if let Some(found) = look(&last) {
                            return found;
                        }
                    }
                }
            }
        };
        let found = tokio::time::timeout(TAKEN_OVER, looking).await;
        found.with_context(|| {
            let logs: Vec<String> = self.nodes.iter().map(|(n, it)| format!("== node {n}\n{}", it.log())).collect();
            format!("never: {what}; last {last:?}\n{}", logs.join("\n"))
        })
    }

    /// Until the queue and the agents have their owners, and these answer for them.
    pub(crate) async fn until_all_own(&self) -> Result<()> {
        self.until("one queue", &["get", "queues", "-o", "json"], |all| (all.len() == 1).then_some(())).await?;
        let complete = |all: &[Value]| (all.len() == self.agents).then_some(());
        self.until("all agents", &["get", "agents", "-o", "json"], complete).await
    }

    /// The living node that owns a queue or an agent.
    pub(crate) async fn owner(&self, name: &str) -> Result<u8> {
        let nodes = self.nodes();
        let what = format!("{name} has an owner");
        let owner = |all: &[Value]| named(all, name)?["node"].as_u64().and_then(|node| u8::try_from(node).ok());
        let living = |all: &[Value]| owner(all).filter(|node| nodes.contains(node));
        self.until(&what, &["owners", "-o", "json"], living).await
    }

    /// Until somebody else owns a queue or an agent than the node that sleeps.
    pub(crate) async fn until_owned_elsewhere(&self, name: &str, sleeps: u8) -> Result<()> {
        let what = format!("{name} is taken over");
        let elsewhere = |all: &[Value]| named(all, name)?["node"].as_u64().filter(|node| *node != u64::from(sleeps));
        self.until(&what, &["owners", "-o", "json"], |all| elsewhere(all).map(drop)).await
    }

    /// Until the owner of a queue knows so many waiting callers.
    pub(crate) async fn until_waiting(&self, name: &str, count: usize) -> Result<()> {
        let what = format!("{count} callers wait");
        let waiting = |all: &[Value]| named(all, name).filter(|it| it["waiting"] == count).map(drop);
        self.until(&what, &["get", "queues", "-o", "json"], waiting).await
    }

    /// Until the owner of a queue knows that so many agents are free.
    pub(crate) async fn until_free(&self, name: &str, count: usize) -> Result<()> {
        let what = format!("{count} agents are free");
        let free = |all: &[Value]| named(all, name).filter(|it| it["free"] == count).map(drop);
        self.until(&what, &["get", "queues", "-o", "json"], free).await
    }

    /// Until the owner of an agent says that this happens to her.
    pub(crate) async fn until_activity(&self, name: &str, activity: &str) -> Result<()> {
        let what = format!("{name} is {activity}");
        let doing = |all: &[Value]| named(all, name).filter(|it| it["activity"] == activity).map(drop);
        self.until(&what, &["get", "agents", "-o", "json"], doing).await
    }

    pub(crate) async fn until_idle(&self, name: &str) -> Result<()> {
        self.until_activity(name, "idle").await
    }

    /// Runs a command again until it succeeds: an owner that changes is not there for a moment.
    pub(crate) async fn cli_soon(&self, node: u8, args: &[&str]) -> Result<String> {
        let mut poll = tokio::time::interval(Duration::from_millis(50));
        let trying = async {
            loop {
                poll.tick().await;
                if let Ok(said) = self.cli(node, args).await {
                    return said;
                }
            }
        };
        let done = tokio::time::timeout(TAKEN_OVER, trying).await;
        done.with_context(|| format!("node {node} never did carillon {}", args.join(" ")))
    }

    /// Runs the command line against a node.
    pub(crate) async fn cli(&self, node: u8, args: &[&str]) -> Result<String> {
        self.node(node).cli(args).await
    }

    /// The records of a node, once there are so many.
    pub(crate) async fn records(&self, node: u8, count: usize) -> Result<Vec<Record>> {
        let records = records::all(self.node(node), count, SOON).await?;
        ensure!(records.len() == count, "{} records instead of {count}", records.len());
        Ok(records)
    }

    /// The records of all living nodes: any of them tells.
    pub(crate) async fn all_records_now(&self) -> Result<Vec<Record>> {
        let node = self.nodes.values().next().context("nobody lives")?;
        records::all(node, 0, SOON).await
    }

    /// Of how many calls a node has the record on its disk.
    pub(crate) async fn records_on_disk(&self, node: u8) -> Result<usize> {
        let data = self.node(node).data();
        let data = data.to_str().context("a path in UTF-8")?;
        let json = self.cli(node, &["records", "--data", data, "--limit", "0", "-o", "json"]).await?;
        Ok(records::read(&json)?.len())
    }

    /// The records of all living nodes but one, once there are so many.
    pub(crate) async fn all_records_but(&self, sleeps: u8, count: usize) -> Result<()> {
        let awake = self.nodes.iter().find(|(node, _)| **node != sleeps).context("nobody is awake")?;
        records::all(awake.1, count, TAKEN_OVER).await.map(drop)
    }

    /// Starts a node again that was killed, without what it had on its disk.
    pub(crate) async fn again(&mut self, node: u8) -> Result<()> {
        self.again_with(node, &[]).await
    }

    /// Starts the node again that was killed last, with what it had on its disk, and does not wait for its links.
    pub(crate) async fn risen(&mut self, node: u8) -> Result<()> {
        let grave = self.graves.last().context("nobody was killed")?;
        let launch = Launch::member(self.block, self.center.clone(), node, self.etcd.endpoints());
        self.nodes.insert(node, Carillon::start(launch.data_of(grave.path())).await?);
        Ok(())
    }

    /// Starts a node again that was killed, with more options of the command line, and their values.
    pub(crate) async fn again_with(&mut self, node: u8, options: &[(&str, &str)]) -> Result<()> {
        let launch = Launch::member(self.block, self.center.clone(), node, self.etcd.endpoints());
        let launch = options.iter().fold(launch, |launch, (name, value)| launch.option(name, value));
        self.nodes.insert(node, Carillon::start(launch).await?);
        self.until_all_linked().await?;
        self.until_all_ready().await
    }

    /// Until every node takes calls and phones.
    pub(crate) async fn until_all_ready(&self) -> Result<()> {
        let mut poll = tokio::time::interval(Duration::from_millis(20));
        let asking = async {
            for node in self.nodes.values() {
                while node.get("/healthz/ready").await.with_context(|| node.log())?.0 != 200 {
                    poll.tick().await;
                }
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(TAKEN_OVER, asking).await.context("a node does not become ready")?
    }

    /// Until every node has a link to every other.
    pub(crate) async fn until_all_linked(&self) -> Result<()> {
        let count = self.nodes.len();
        for node in self.nodes() {
            let what = format!("node {node} is linked with all");
            let linked =
                |all: &[Value]| (all.len() == count && all.iter().all(|it| it["linked"] == true)).then_some(());
            self.until_at(&[node], &what, &["nodes", "-o", "json"], linked).await?;
        }
        Ok(())
    }

    /// The records of all living nodes, once there are so many.
    pub(crate) async fn all_records(&self, count: usize) -> Result<Vec<Record>> {
        let mut poll = tokio::time::interval(Duration::from_millis(50));
        let mut all = Vec::new();
        let asking = async {
            while all.len() < count {
                poll.tick().await;
                all = self.all_records_now().await?;
            }
            anyhow::Ok(())
        };
        let asked = tokio::time::timeout(SOON, asking).await;
        ensure!(asked.is_ok() && all.len() == count, "{} records instead of {count}: {all:?}", all.len());
        Ok(all)
    }

    /// kill -9.
    pub(crate) async fn kill(&mut self, node: u8) -> Result<()> {
        let carillon = self.nodes.remove(&node).context("it lives")?;
        self.graves.push(carillon.kill().await?);
        Ok(())
    }

    pub(crate) async fn signal(&self, node: u8, name: &str) -> Result<()> {
        self.node(node).signal(name).await
    }

    /// Ends everything as an operator would; a node that does not end cleanly fails the test.
    pub(crate) async fn stop(self) -> Result<()> {
        for (_, node) in self.nodes {
            node.stop().await?;
        }
        Ok(())
    }
}

pub(crate) fn named<'a>(all: &'a [Value], name: &str) -> Option<&'a Value> {
    all.iter().find(|it| it["name"].as_str().is_some_and(|full| full.rsplit('/').next() == Some(name)))
}
