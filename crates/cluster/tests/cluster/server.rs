//! A real etcd from Debian's `etcd-server`, on loopback and free ports, in a folder of its own; gone with the test.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// How long a member may take to answer, on a machine that compiles beside it.
const START: Duration = Duration::from_secs(30);

/// An etcd cluster of one or three members.
pub(crate) struct Server {
    folder: TempDir,
    members: Vec<Member>,
}

struct Member {
    name: String,
    client: u16,
    peer: u16,
    process: Option<Child>,
    arguments: Vec<String>,
    scheme: &'static str,
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

impl Server {
    /// Starts `count` members and waits until they have elected a leader.
    pub(crate) async fn start(count: usize) -> Server {
        let server = Server::start_with(count, "http", &[]).await;
        let mut client = etcd_client::Client::connect(server.endpoints(), None).await.unwrap();
        let elected = async {
            while client.get("leader", None).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(START, elected).await.expect("etcd elects");
        server
    }

    /// Starts members that clients reach by `scheme`, with more arguments.
    pub(crate) async fn start_with(count: usize, scheme: &'static str, more: &[String]) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let mut members: Vec<Member> = (0..count)
            .map(|n| Member {
                name: format!("m{n}"),
                client: free_port(),
                peer: free_port(),
                process: None,
                arguments: more.to_vec(),
                scheme,
            })
            .collect();
        let peers: Vec<String> = members.iter().map(|m| format!("{}=http://127.0.0.1:{}", m.name, m.peer)).collect();
        for member in &mut members {
            member.arguments.extend(["--initial-cluster".to_owned(), peers.join(",")]);
        }
        let mut server = Server { folder, members };
        for n in 0..count {
            server.run(n);
        }
        server.answers().await;
        server
    }

    /// Starts a member, for the first time or again.
    pub(crate) fn run(&mut self, n: usize) {
        let folder = self.folder.path().to_owned();
        let member = &mut self.members[n];
        let client = format!("{}://127.0.0.1:{}", member.scheme, member.client);
        let peer = format!("http://127.0.0.1:{}", member.peer);
        let log = File::options().create(true).append(true).open(folder.join(format!("{}.log", member.name))).unwrap();
        // Short elections: a lease of one second is the shortest that they allow.
        let process = Command::new("etcd")
            .args(["--heartbeat-interval", "50", "--election-timeout", "500", "--logger", "zap"])
            .args(["--name", &member.name])
            .arg("--data-dir")
            .arg(folder.join(&member.name))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(&member.arguments)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("etcd is installed: Debian's etcd-server");
        member.process = Some(process);
    }

    /// Waits until every member that runs accepts connections.
    pub(crate) async fn answers(&self) {
        let ports = self.members.iter().filter(|m| m.process.is_some()).map(|m| m.client);
        for port in ports {
            let connected = async {
                while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(START, connected).await.expect("etcd starts");
        }
    }

    /// The addresses for clients.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(|m| format!("{}://127.0.0.1:{}", m.scheme, m.client)).collect()
    }

    /// Kills a member as a power cut would.
    pub(crate) fn kill(&mut self, n: usize) {
        if let Some(mut process) = self.members[n].process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Kills all members and sets them up anew: what they held is gone.
    pub(crate) async fn begin_anew(&mut self) {
        for n in 0..self.members.len() {
            self.kill(n);
            std::fs::remove_dir_all(self.folder.path().join(&self.members[n].name)).unwrap();
        }
        (0..self.members.len()).for_each(|n| self.run(n));
        self.answers().await;
    }

    /// Stops a member without closing its connections, or lets it go on.
    pub(crate) fn freeze(&self, n: usize, frozen: bool) {
        let pid = self.members[n].process.as_ref().expect("it runs").id().to_string();
        let signal = if frozen { "-STOP" } else { "-CONT" };
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for n in 0..self.members.len() {
            self.kill(n);
        }
    }
}
