//! A network of the lab's own: a namespace in the middle with a bridge, where the phones and the lab itself live, and one
//! namespace for each server. Nothing of it touches the machine's own network, and the names tell whose it is:
//! `carlab-PID-…`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

/// The prefix of all namespaces of all labs.
const PREFIX: &str = "carlab-";
const BRIDGE: &str = "bridge";

/// Where the carrier's calls come from; the center has it as a trunk.
pub(crate) const CARRIER: IpAddr = ip(0, 1);
/// Where the agents' phones are.
pub(crate) const AGENTS: IpAddr = ip(0, 2);
/// All servers of Carillon, in iptables' words.
pub(crate) const NODES: &str = "10.77.1.0/24";
/// All servers of etcd.
pub(crate) const ETCD: &str = "10.77.3.0/24";

const fn ip(third: u8, last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 77, third, last))
}

/// A namespace with one server in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    namespace: String,
    /// Its only address.
    pub(crate) ip: IpAddr,
}

/// The name of the namespace in the middle. `owner` is the process that removes everything in the end.
pub(crate) fn middle(owner: u32) -> String {
    format!("{PREFIX}{owner}-middle")
}

async fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let what = format!("{program} {}", arguments.join(" "));
    let out = Command::new(program).args(arguments).output().await.with_context(|| what.clone())?;
    ensure!(out.status.success(), "{what}: {}: {}", out.status, String::from_utf8_lossy(&out.stderr).trim());
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// An error where namespaces or packet filters cannot be made, whoever asks.
pub(crate) async fn is_possible() -> Result<()> {
    let own = format!("{PREFIX}{}-try", std::process::id());
    run("ip", &["netns", "add", &own]).await?;
    let filter = run("ip", &["netns", "exec", &own, "iptables", "-L", "-n"]).await;
    run("ip", &["netns", "delete", &own]).await?;
    filter.map(drop)
}

/// Makes the namespace in the middle, and one for each of `nodes` nodes and `etcds` servers of etcd. Whoever runs in the
/// one in the middle sees no namespace that is made later.
pub(crate) async fn make(owner: u32, nodes: u8, etcds: u8) -> Result<()> {
    let name = middle(owner);
    run("ip", &["netns", "add", &name]).await?;
    run("ip", &["-n", &name, "link", "set", "lo", "up"]).await?;
    run("ip", &["-n", &name, "link", "add", BRIDGE, "type", "bridge"]).await?;
    for address in [CARRIER, AGENTS] {
        run("ip", &["-n", &name, "address", "add", &format!("{address}/16"), "dev", BRIDGE]).await?;
    }
    run("ip", &["-n", &name, "link", "set", BRIDGE, "up"]).await?;
    for place in (1..=nodes).map(|n| Place::node(owner, n)).chain((1..=etcds).map(|n| Place::etcd(owner, n))) {
        place.connect(&name).await?;
    }
    Ok(())
}

/// Ends what runs in the namespaces of `owner` and removes them.
pub(crate) async fn remove(owner: u32) -> Result<()> {
    for name in namespaces(owner).await? {
        let inside = run("ip", &["netns", "pids", &name]).await?;
        for pid in inside.split_whitespace() {
            // It may have ended by itself meanwhile.
            let _gone = run("kill", &["-9", pid]).await;
        }
        run("ip", &["netns", "delete", &name]).await?;
    }
    Ok(())
}

/// Removes what labs left behind that were killed themselves. Returns how many they were.
pub(crate) async fn remove_left_overs() -> Result<usize> {
    let names = run("ip", &["netns", "list"]).await?;
    let mut owners: Vec<u32> = names.lines().filter_map(owner_of).collect();
    owners.sort_unstable();
    owners.dedup();
    owners.retain(|pid| !Path::new(&format!("/proc/{pid}")).exists());
    for owner in &owners {
        remove(*owner).await?;
    }
    Ok(owners.len())
}

async fn namespaces(owner: u32) -> Result<Vec<String>> {
    let names = run("ip", &["netns", "list"]).await?;
    let own = names.lines().filter(|line| owner_of(line) == Some(owner));
    Ok(own.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// `7` of `carlab-7-node1 (id: 3)`.
fn owner_of(line: &str) -> Option<u32> {
    line.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

impl Place {
    /// The namespace of a node of Carillon.
    pub(crate) fn node(owner: u32, number: u8) -> Place {
        Place { namespace: format!("{PREFIX}{owner}-node{number}"), ip: ip(1, number) }
    }

    /// The namespace of a server of etcd.
    pub(crate) fn etcd(owner: u32, number: u8) -> Place {
        Place { namespace: format!("{PREFIX}{owner}-etcd{number}"), ip: ip(3, number) }
    }

    /// Makes it, and connects it with the bridge of `middle`.
    async fn connect(&self, middle: &str) -> Result<()> {
        let (own, address) = (self.namespace.as_str(), format!("{}/16", self.ip));
        // The bridge's side of the cable, whose name has at most 15 letters.
        let port = own.rsplit('-').next().unwrap_or(own);
        run("ip", &["netns", "add", own]).await?;
        run("ip", &["-n", middle, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", own]).await?;
        run("ip", &["-n", middle, "link", "set", port, "master", BRIDGE, "up"]).await?;
        run("ip", &["-n", own, "address", "add", &address, "dev", "eth0"]).await?;
        run("ip", &["-n", own, "link", "set", "eth0", "up"]).await?;
        run("ip", &["-n", own, "link", "set", "lo", "up"]).await.map(drop)
    }

    /// A command that runs in it.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]).arg(program).kill_on_drop(true);
        command
    }

    /// Adds a rule of its packet filter, in iptables' words.
    pub(crate) async fn filter(&self, rule: &str) -> Result<()> {
        let mut arguments = vec!["netns", "exec", &self.namespace, "iptables", "-w"];
        arguments.extend(rule.split_whitespace());
        run("ip", &arguments).await.map(drop)
    }

    /// Lets everything through again.
    pub(crate) async fn unfilter(&self) -> Result<()> {
        self.filter("-F").await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_namespaces_of_labs_have_an_owner() {
        assert_eq!(owner_of("carlab-712-node1 (id: 3)"), Some(712));
        assert_eq!(owner_of("carlab-712-middle"), Some(712));
        assert_eq!(owner_of("carlab-x-middle"), None);
        assert_eq!(owner_of("somebody"), None);
    }
}
