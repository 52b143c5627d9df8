//! etcd as Debian packages it: one server or a few, on addresses of the test, in folders of their own.

use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::network::free_port;
use super::process;

/// How long the servers may take to accept connections.
const START: Duration = Duration::from_secs(20);

/// Running servers that form one etcd. Dropped, they are killed.
#[derive(Debug)]
pub struct Etcd {
    members: Vec<Server>,
    folder: TempDir,
}

#[derive(Debug)]
struct Server {
    child: Child,
    client: SocketAddr,
}

impl Etcd {
    /// Starts `count` servers on `ip` and waits until they accept connections.
    pub async fn start(ip: IpAddr, count: usize) -> Result<Etcd> {
        let folder = TempDir::with_prefix("carillon-etcd-").context("a temporary folder")?;
        let addresses = (0..count).map(|_| Ok((free_port(ip)?, free_port(ip)?))).collect::<Result<Vec<_>>>()?;
        let cluster: Vec<String> =
            addresses.iter().enumerate().map(|(n, (_, peer))| format!("e{n}=http://{peer}")).collect();
        let mut members = Vec::with_capacity(count);
        for (n, (client, peer)) in addresses.into_iter().enumerate() {
            let log = std::fs::File::create(folder.path().join(format!("log{n}"))).context("the log file")?;
            let child = Command::new("etcd")
                .args(["--name", &format!("e{n}")])
                .arg("--data-dir")
                .arg(folder.path().join(format!("data{n}")))
                .args(["--listen-client-urls", &format!("http://{client}")])
                .args(["--advertise-client-urls", &format!("http://{client}")])
                .args(["--listen-peer-urls", &format!("http://{peer}")])
                .args(["--initial-advertise-peer-urls", &format!("http://{peer}")])
                .args(["--initial-cluster", &cluster.join(",")])
                .args(["--heartbeat-interval", "50", "--election-timeout", "500"])
                .stdin(Stdio::null())
                .stdout(log.try_clone().context("the log file")?)
                .stderr(log)
                .kill_on_drop(true)
                .spawn()
                .context("starting etcd; `cargo xtask set-up` installs it")?;
            members.push(Server { child, client });
        }
        let mut etcd = Etcd { members, folder };
        etcd.wait_until_ready().await?;
        Ok(etcd)
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let began = Instant::now();
        let mut poll = tokio::time::interval(Duration::from_millis(20));
        for n in 0..self.members.len() {
            while TcpStream::connect(self.members[n].client).await.is_err() {
                if let Some(status) = self.members[n].child.try_wait().context("etcd")? {
                    bail!("etcd ended with {status} instead of starting:\n{}", self.log(n));
                }
                ensure!(began.elapsed() < START, "etcd accepts nothing after {START:?}:\n{}", self.log(n));
                poll.tick().await;
            }
        }
        Ok(())
    }

    fn log(&self, n: usize) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("log{n}"))).unwrap_or_else(|e| format!("no log: {e}"))
    }

    /// The clients' addresses.
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(|member| format!("http://{}", member.client)).collect()
    }

    /// CPU time that all servers have used.
    pub fn cpu(&self) -> Result<Duration> {
        self.members.iter().try_fold(Duration::ZERO, |sum, member| {
            let pid = member.child.id().context("etcd has ended")?;
            Ok(sum + process::usage(pid)?.cpu)
        })
    }

    /// Sends all servers a signal by name: `STOP` freezes them, `CONT` lets them go on.
    pub async fn signal(&self, name: &str) -> Result<()> {
        for member in &self.members {
            process::signal(&member.child, name).await?;
        }
        Ok(())
    }
}
