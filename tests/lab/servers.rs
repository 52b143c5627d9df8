//! The servers of the lab: each a process in a namespace of its own, that can be killed, frozen and started again with what
//! it had on disk.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use carillon_tests::real::carillon::{binary, run_cli};
use carillon_tests::real::{http, process};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::network::Place;

/// How long a server may take to accept connections.
const START: Duration = Duration::from_secs(20);
/// The ports of etcd.
const CLIENT: u16 = 2379;
const PEER: u16 = 2380;
/// The port of a node's API.
const API: u16 = 7400;
/// The port of its metrics.
const METRICS: u16 = 9400;

/// A process, its place, and what it wrote.
#[derive(Debug)]
struct Server {
    place: Place,
    folder: PathBuf,
    child: Option<Child>,
}

impl Server {
    fn new(place: Place, folder: PathBuf) -> Result<Server> {
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Server { place, folder, child: None })
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn spawn(&mut self, mut command: Command) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log()).context("the log file")?;
        command.stdin(Stdio::null()).stdout(log.try_clone().context("the log file")?).stderr(log);
        self.child = Some(command.spawn().with_context(|| format!("starting {command:?}"))?);
        Ok(())
    }

    async fn until_accepts(&mut self, port: u16) -> Result<()> {
        let mut poll = tokio::time::interval(Duration::from_millis(10));
        let began = Instant::now();
        while TcpStream::connect((self.place.ip, port)).await.is_err() {
            let ended = self.child.as_mut().map(Child::try_wait).transpose().context("the process")?.flatten();
            ensure!(ended.is_none(), "ended with {ended:?} instead of starting: {}", self.tail());
            ensure!(began.elapsed() < START, "accepts nothing after {START:?}: {}", self.tail());
            poll.tick().await;
        }
        Ok(())
    }

    fn tail(&self) -> String {
        let text = std::fs::read_to_string(self.log()).unwrap_or_else(|error| format!("no log: {error}"));
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    async fn signal(&self, name: &str) -> Result<()> {
        let child = self.child.as_ref().context("it does not run")?;
        process::signal(child, name).await
    }

    async fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("it does not run")?;
        child.kill().await.context("kill")
    }

    /// Waits for the end of a process that was asked to end. `false` when it had to be killed.
    async fn ended(&mut self, within: Duration) -> Result<bool> {
        let mut child = self.child.take().context("it does not run")?;
        match tokio::time::timeout(within, child.wait()).await {
            Ok(status) => Ok(status.context("wait")?.success()),
            Err(_) => {
                child.kill().await.context("kill")?;
                Ok(false)
            }
        }
    }
}

/// A server of etcd.
#[derive(Debug)]
pub(crate) struct Etcd {
    number: u8,
    server: Server,
    peers: Vec<Place>,
}

impl Etcd {
    /// Server `number` of those that live in `peers`, numbered from 1.
    pub(crate) fn new(number: u8, peers: &[Place], folder: &Path) -> Result<Etcd> {
        let place = peers[usize::from(number) - 1].clone();
        let server = Server::new(place, folder.join(format!("etcd{number}")))?;
        Ok(Etcd { number, server, peers: peers.to_vec() })
    }

    /// Where clients find it.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}:{CLIENT}", self.server.place.ip)
    }

    /// Starts it. It accepts nothing before most of its peers run.
    pub(crate) fn spawn(&mut self) -> Result<()> {
        let ip = self.server.place.ip;
        let cluster: Vec<String> =
            (1..).zip(&self.peers).map(|(n, peer)| format!("e{n}=http://{}:{PEER}", peer.ip)).collect();
        let mut command = self.server.place.command("etcd");
        command
            .args(["--name", &format!("e{}", self.number)])
            .arg("--data-dir")
            .arg(self.server.folder.join("data"))
            .args(["--listen-client-urls", &format!("http://{ip}:{CLIENT}")])
            .args(["--advertise-client-urls", &format!("http://{ip}:{CLIENT}")])
            .args(["--listen-peer-urls", &format!("http://{ip}:{PEER}")])
            .args(["--initial-advertise-peer-urls", &format!("http://{ip}:{PEER}")])
            .args(["--initial-cluster", &cluster.join(",")])
            .args(["--heartbeat-interval", "50", "--election-timeout", "500"]);
        self.server.spawn(command)
    }

    /// Waits until it accepts connections.
    pub(crate) async fn until_accepts(&mut self) -> Result<()> {
        self.server.until_accepts(CLIENT).await.with_context(|| format!("etcd {}", self.number))
    }

    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.server.kill().await
    }

    pub(crate) async fn signal(&self, name: &str) -> Result<()> {
        self.server.signal(name).await
    }

    /// Whether it leads, and the number of changes that it has seen.
    pub(crate) async fn status(&self) -> Result<(bool, u64)> {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &self.endpoint(), "endpoint", "status", "-w", "json"]);
        let out = tokio::time::timeout(Duration::from_secs(3), command.kill_on_drop(true).output()).await;
        let out = out.context("etcdctl does not answer")?.context("etcdctl")?;
        let answer: Value = serde_json::from_slice(&out.stdout).context("etcdctl's answer")?;
        let status = &answer[0]["Status"];
        let leads = !status["leader"].is_null() && status["leader"] == status["header"]["member_id"];
        Ok((leads, status["header"]["revision"].as_u64().unwrap_or(0)))
    }
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Calls live there.
    Edge,
    /// It owns queues and agents.
    Acd,
}

/// A node of Carillon.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) number: u8,
    pub(crate) role: Role,
    pub(crate) place: Place,
    server: Server,
    /// Whether it sees the clock that [`Node::set_clock`] sets.
    own_clock: bool,
}

impl Node {
    /// A node with this center, which finds etcd at `etcd`.
    pub(crate) fn new(
        number: u8,
        role: Role,
        place: Place,
        center: &str,
        etcd: &[String],
        folder: &Path,
    ) -> Result<Node> {
        let server = Server::new(place.clone(), folder.join(format!("node{number}")))?;
        let ip = place.ip;
        let (roles, sip) = match role {
            Role::Edge => ("edge, api", format!("sip: {ip}:5060\nadvertise: {ip}\n")),
            Role::Acd => ("acd, api", String::new()),
        };
        let endpoints: Vec<String> = etcd.iter().map(|endpoint| format!("\"{endpoint}\"")).collect();
        let yaml = format!(
            "node: {number}\nroles: [{roles}]\ncenter: center.yaml\ndata: data\n{sip}api: {ip}:{API}\nlink: {ip}:7500\n\
             metrics: {ip}:{METRICS}\netcd: {{ endpoints: [{}] }}\n",
            endpoints.join(", ")
        );
        let write = |name: &str, text: &str| std::fs::write(server.folder.join(name), text).context("a node's files");
        write("center.yaml", center)?;
        write("node.yaml", &yaml)?;
        write("clock", "+0")?;
        Ok(Node { number, role, place, server, own_clock: false })
    }

    pub(crate) fn spawn(&mut self) -> Result<()> {
        let mut command = self.server.place.command(binary()?);
        command.arg("serve").arg("--config").arg(self.server.folder.join("node.yaml"));
        if self.own_clock {
            command
                .env("LD_PRELOAD", FAKETIME)
                .env("FAKETIME_TIMESTAMP_FILE", self.server.folder.join("clock"))
                .env("FAKETIME_CACHE_DURATION", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        self.server.spawn(command)
    }

    /// Waits until its API accepts connections.
    pub(crate) async fn until_accepts(&mut self) -> Result<()> {
        self.server.until_accepts(API).await.with_context(|| format!("node {}", self.number))
    }

    pub(crate) fn is_running(&self) -> bool {
        self.server.child.is_some()
    }

    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.server.kill().await
    }

    pub(crate) async fn signal(&self, name: &str) -> Result<()> {
        self.server.signal(name).await
    }

    /// Asks it to end, and waits for that. `false` when it had to be killed or failed.
    pub(crate) async fn terminate(&mut self, within: Duration) -> Result<bool> {
        self.signal("TERM").await?;
        self.server.ended(within).await
    }

    /// From its next start on it sees a clock of its own.
    pub(crate) const fn give_clock(&mut self) {
        self.own_clock = true;
    }

    /// Puts that clock forward or back; within a second it sees it.
    pub(crate) fn set_clock(&self, by: &str) -> Result<()> {
        std::fs::write(self.server.folder.join("clock"), by).context("the clock")
    }

    /// The configuration that it was given.
    pub(crate) fn center(&self) -> PathBuf {
        self.server.folder.join("center.yaml")
    }

    /// Where its API is.
    pub(crate) fn api(&self) -> String {
        format!("http://{}:{API}", self.place.ip)
    }

    /// The sum of all its metrics of this name, whatever their labels are.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        let (_, text) = http::get(SocketAddr::new(self.place.ip, METRICS), "/metrics").await?;
        let values = text.lines().filter_map(|line| {
            let (key, value) = line.rsplit_once(' ')?;
            (key.split('{').next() == Some(name)).then_some(value)?.parse::<f64>().ok()
        });
        let values: Vec<f64> = values.collect();
        ensure!(!values.is_empty(), "node {} has no metric {name}", self.number);
        Ok(values.iter().sum())
    }

    /// Runs the command line against it, or against a given API.
    pub(crate) async fn cli(&self, arguments: &[&str], within: Duration) -> Result<String> {
        cli(&self.api(), arguments, within).await
    }

    /// The records on its disk.
    pub(crate) async fn records(&self) -> Result<String> {
        let data = self.server.folder.join("data");
        if !data.exists() {
            return Ok("[]".to_owned());
        }
        let data = data.display().to_string();
        let arguments = ["records", "--data", &data, "--limit", "0", "-o", "json"];
        cli("http://127.0.0.1:1", &arguments, Duration::from_secs(30)).await
    }
}

/// Debian's libfaketime.
pub(crate) const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// Runs `carillon ARGUMENTS` against an API; an error when it fails or takes longer.
pub(crate) async fn cli(api: &str, arguments: &[&str], within: Duration) -> Result<String> {
    let environment = [("CARILLON_API", api)];
    let out = tokio::time::timeout(within, run_cli(arguments, &environment)).await;
    let out = out.with_context(|| format!("carillon {} takes longer than {within:?}", arguments.join(" ")))??;
    ensure!(
        out.status.success(),
        "carillon {}: {}: {}",
        arguments.join(" "),
        out.status,
        String::from_utf8_lossy(&out.stderr).trim()
    );
    String::from_utf8(out.stdout).context("its output is not UTF-8")
}
