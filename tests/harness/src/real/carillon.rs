//! The product as a process: started with a folder of its own, watched, and ended as an operator would end it.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::network::{Block, free_port};
use super::process::{self, Usage};

/// How long a start may take before it counts as failed; the budget itself is 0.5 s.
const START: Duration = Duration::from_secs(15);
/// How long a clean end may take.
const END: Duration = Duration::from_secs(15);

/// How to start it.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Its addresses.
    pub block: Block,
    /// The center's YAML; `None` starts `carillon dev` with its built-in center, or a node of a cluster that has one already
    /// or will get one.
    pub center: Option<String>,
    /// The SIP port; `None` takes a free one.
    pub sip_port: Option<u16>,
    /// More options of the command line.
    pub options: Vec<String>,
    /// Which node of which cluster it is; `None` for a node that stands alone.
    pub member: Option<Membership>,
    /// The data folder of one that has ended; it is moved.
    pub data: Option<PathBuf>,
}

/// A node's place in a cluster.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Its number, 1 to 99.
    pub node: u8,
    /// etcd's client addresses.
    pub etcd: Vec<String>,
    /// As the node's file lists them: `[edge, acd, api]`. Every node of a test has an API.
    pub roles: &'static str,
}

impl Launch {
    /// `carillon serve` with this center.
    pub fn serve(block: Block, center: String) -> Self {
        Launch { block, center: Some(center), sip_port: None, options: vec![], member: None, data: None }
    }

    /// `carillon dev`.
    pub fn dev(block: Block) -> Self {
        Launch { block, center: None, sip_port: None, options: vec![], member: None, data: None }
    }

    /// `carillon serve --config`: a node of a cluster, on an address of its own.
    pub fn member(block: Block, center: Option<String>, node: u8, etcd: Vec<String>) -> Self {
        let member = Membership { node, etcd, roles: "[edge, acd, api]" };
        Launch { member: Some(member), center, ..Launch::dev(block) }
    }

    /// With these roles.
    pub fn roles(mut self, roles: &'static str) -> Self {
        self.member.iter_mut().for_each(|member| member.roles = roles);
        self
    }

    fn speaks_sip(&self) -> bool {
        self.member.as_ref().is_none_or(|member| member.roles.contains("edge"))
    }

    /// Where it lives.
    fn ip(&self) -> IpAddr {
        self.member.as_ref().map_or(self.block.center(), |member| self.block.node(member.node))
    }

    /// With the data of one that has ended, whose folder this is.
    pub fn data_of(mut self, folder: &Path) -> Self {
        self.data = Some(folder.join("data"));
        self
    }

    /// One more option and its value.
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.extend([name.to_owned(), value.to_owned()]);
        self
    }
}

/// The running product. Dropped without [`Carillon::stop`], it is killed.
#[derive(Debug)]
pub struct Carillon {
    /// Where it speaks SIP.
    pub sip: SocketAddr,
    /// Where its API listens.
    pub api: SocketAddr,
    /// Where health and metrics are served over plain HTTP.
    pub http: SocketAddr,
    /// How long it took until both answered.
    pub start_up: Duration,
    child: Child,
    folder: TempDir,
}

/// The binary under test: `CARILLON_BIN`, or the one beside the test's own target folder.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CARILLON_BIN") {
        let path = PathBuf::from(path);
        ensure!(path.is_file(), "CARILLON_BIN={} is not a file", path.display());
        return path.canonicalize().context("CARILLON_BIN");
    }
    let own = std::env::current_exe().context("this program's path")?;
    let beside = own.ancestors().flat_map(|folder| [folder.join("carillon"), folder.join("release/carillon")]);
    beside.into_iter().find(|p| p.is_file()).context("no `carillon` binary; run `cargo build -p carillon` first")
}

impl Membership {
    /// The node's file.
    fn yaml(&self, center: bool, link: SocketAddr) -> String {
        let endpoints: Vec<String> = self.etcd.iter().map(|endpoint| format!("\"{endpoint}\"")).collect();
        format!(
            "node: {}\nroles: {}\n{}data: data\nlink: {link}\netcd: {{ endpoints: [{}] }}\n",
            self.node,
            self.roles,
            if center { "center: center.yaml\n" } else { "" },
            endpoints.join(", ")
        )
    }
}

impl Carillon {
    /// Starts it and waits until SIP and the API accept connections.
    pub async fn start(launch: Launch) -> Result<Carillon> {
        let folder = TempDir::with_prefix("carillon-").context("a temporary folder")?;
        if let Some(before) = &launch.data {
            std::fs::rename(before, folder.path().join("data")).context("its data")?;
        }
        let ip = launch.ip();
        let sip = match launch.sip_port {
            Some(port) => SocketAddr::new(ip, port),
            None => free_port(ip)?,
        };
        let (api, http) = (free_port(ip)?, free_port(ip)?);
        let mut command = Command::new(binary()?);
        let file = folder.path().join("center.yaml");
        if let Some(yaml) = &launch.center {
            std::fs::write(&file, yaml).context("center.yaml")?;
        }
        match (&launch.member, &launch.center) {
            (Some(member), center) => {
                let node = folder.path().join("node.yaml");
                std::fs::write(&node, member.yaml(center.is_some(), free_port(ip)?)).context("node.yaml")?;
                command.arg("serve").arg("--config").arg(node);
            }
            (None, Some(_)) => drop(command.arg("serve").arg("--center").arg(file)),
            (None, None) => drop(command.arg("dev")),
        }
        let log = std::fs::File::create(folder.path().join("log")).context("the log file")?;
        command
            .arg("--data")
            .arg(folder.path().join("data"))
            .args(["--sip", &sip.to_string(), "--api", &api.to_string(), "--advertise", &ip.to_string()])
            .args(["--metrics", &http.to_string()])
            .args(&launch.options)
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("the log file")?)
            .stderr(log)
            .kill_on_drop(true);
        let began = Instant::now();
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let mut running = Carillon { sip, api, http, start_up: Duration::ZERO, child, folder };
        running.wait_until_ready(began, launch.speaks_sip()).await?;
        Ok(running)
    }

    async fn wait_until_ready(&mut self, began: Instant, sip: bool) -> Result<()> {
        let mut poll = tokio::time::interval(Duration::from_millis(5));
        for address in sip.then_some(self.sip).into_iter().chain([self.api]) {
            while TcpStream::connect(address).await.is_err() {
                if let Some(status) = self.child.try_wait().context("the process")? {
                    bail!("carillon ended with {status} instead of starting:\n{}", self.log());
                }
                ensure!(began.elapsed() < START, "{address} accepts nothing after {START:?}:\n{}", self.log());
                poll.tick().await;
            }
        }
        self.start_up = began.elapsed();
        Ok(())
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_else(|e| format!("no log: {e}"))
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its process id.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().context("carillon has ended")
    }

    /// Sends it a signal by name: `STOP`, `CONT`, `TERM`.
    pub async fn signal(&self, name: &str) -> Result<()> {
        process::signal(&self.child, name).await
    }

    /// Kills it, as a power cut would. Its data folder stays until the returned handle is dropped.
    pub async fn kill(mut self) -> Result<TempDir> {
        self.child.kill().await.context("killing carillon")?;
        Ok(self.folder)
    }

    /// CPU time and memory so far.
    pub fn usage(&self) -> Result<Usage> {
        process::usage(self.pid()?)
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait().context("the process")?.is_none())
    }

    /// Runs `carillon ARGS` against this one's API and returns what it printed.
    pub async fn cli(&self, args: &[&str]) -> Result<String> {
        let api = format!("http://{}", self.api);
        let out = run_cli(args, &[("CARILLON_API", &api)]).await?;
        ensure!(
            out.status.success(),
            "carillon {}: {}\n{}",
            args.join(" "),
            out.status,
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).context("its output is not UTF-8")
    }

    /// The same, read as JSON.
    pub async fn cli_json(&self, args: &[&str]) -> Result<serde_json::Value> {
        let text = self.cli(args).await?;
        serde_json::from_str(&text).with_context(|| format!("carillon {} printed {text:?}", args.join(" ")))
    }

    /// What it answers to `GET path`: status and body.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        super::http::get(self.http, path).await
    }

    /// Interrupts it, as Ctrl-C does, and waits for its clean end. Returns its log.
    pub async fn stop(self) -> Result<String> {
        process::signal(&self.child, "INT").await?;
        Ok(self.ended("carillon after SIGINT", END).await?.0)
    }

    /// Waits for its clean end. Returns its log, and its folder, which stays until it is dropped.
    pub async fn ended(mut self, what: &str, within: Duration) -> Result<(String, TempDir)> {
        let status = process::wait(&mut self.child, what, within).await;
        let log = self.log();
        let status = status.with_context(|| log.clone())?;
        ensure!(status.success(), "carillon ended with {status}:\n{log}");
        ensure!(!log.contains("panicked"), "a thread panicked:\n{log}");
        Ok((log, self.folder))
    }
}

/// Runs the command line tool to its end.
pub async fn run_cli(args: &[&str], environment: &[(&str, &str)]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    command.args(args).envs(environment.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    let done = tokio::time::timeout(Duration::from_secs(30), command.output()).await;
    done.with_context(|| format!("carillon {} ran longer than 30 s", args.join(" ")))?.context("running carillon")
}
