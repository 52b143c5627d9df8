//! A node's own file: who it is, what it does, where it is reached, and where the cluster's coordinator is.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use carillon_acd::ids::NodeId;
use carillon_cluster::coordinator::Coordinator;
use carillon_cluster::etcd::{self, Etcd, Options, User};
use carillon_cluster::member::{Addresses, Node, Roles};
use carillon_cluster::space::{PREFIX, Space};
use carillon_rpc::cluster::link::transport::Transport;
use carillon_rpc::cluster::link::{Tls, TlsFiles};
use serde::Deserialize;

use crate::options::{NodeOptions, port_range};

/// The DNS name in the nodes' certificates, unless the file says another.
const LINK_NAME: &str = "carillon";

/// What stands in the file. See docs/cluster.md.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeFile {
    node: u32,
    #[serde(default = "all_roles")]
    roles: Vec<Role>,
    zone: Option<String>,
    /// What the cluster begins with when nothing is stored yet: a YAML file or a folder, relative to this file.
    pub(crate) center: Option<PathBuf>,
    /// Records, relative to this file.
    pub(crate) data: PathBuf,
    sip: Option<SocketAddr>,
    advertise: Option<IpAddr>,
    rtp_ports: Option<String>,
    api: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
    drain_limit: Option<String>,
    link: SocketAddr,
    link_advertise: Option<SocketAddr>,
    link_tls: Option<LinkTlsFile>,
    etcd: EtcdFile,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    Edge,
    Acd,
    Api,
}

fn all_roles() -> Vec<Role> {
    vec![Role::Edge, Role::Acd, Role::Api]
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EtcdFile {
    endpoints: Vec<String>,
    prefix: Option<String>,
    user: Option<String>,
    password: Option<Password>,
    authority: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    server_name: Option<String>,
}

/// The certificates of links; without them links are plain text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkTlsFile {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    name: Option<String>,
}

/// A secret comes from the environment, or from a file that the orchestrator mounts.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Password {
    Env(String),
    File(PathBuf),
}

impl NodeFile {
    /// Reads the file. Paths in it are relative to it.
    pub(crate) fn read(path: &Path) -> anyhow::Result<NodeFile> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut file: NodeFile =
            serde_saphyr::from_str(&text).with_context(|| format!("{} cannot be used", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        file.data = folder.join(&file.data);
        file.center = file.center.map(|center| folder.join(center));
        let etcd = &mut file.etcd;
        for path in [&mut etcd.authority, &mut etcd.certificate, &mut etcd.key].into_iter().flatten() {
            *path = folder.join(&*path);
        }
        if let Some(tls) = &mut file.link_tls {
            for path in [&mut tls.authority, &mut tls.certificate, &mut tls.key] {
                *path = folder.join(&*path);
            }
        }
        file.check().with_context(|| format!("{} cannot be used", path.display()))?;
        Ok(file)
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.node == 0 {
            bail!("`node: 0`: a node's number is 1 or more, and no two nodes have the same");
        }
        if self.etcd.endpoints.is_empty() {
            bail!("`etcd.endpoints: []`: name at least one, like http://127.0.0.1:2379");
        }
        if self.roles.is_empty() {
            bail!("`roles: []`: at least one of edge, acd, api");
        }
        if self.link_advertise.is_none() && self.link.ip().is_unspecified() {
            bail!(
                "`link: {}` is every address of this machine: say which of them the others use in `link_advertise`",
                self.link
            );
        }
        if let Some(limit) = &self.drain_limit {
            humantime::parse_duration(limit)
                .map_err(|error| anyhow::anyhow!("`drain_limit: {limit}` is not a duration like 1h or 90s: {error}"))?;
        }
        if let Some(ports) = &self.rtp_ports {
            port_range(ports).map_err(|wanted| anyhow::anyhow!("`rtp_ports: {ports}` is not {wanted}"))?;
        }
        Ok(())
    }

    /// The node's number.
    pub(crate) const fn id(&self) -> NodeId {
        NodeId(self.node)
    }

    /// Where other nodes' links come in.
    pub(crate) const fn link(&self) -> SocketAddr {
        self.link
    }

    /// What links travel over.
    pub(crate) fn transport(&self) -> anyhow::Result<Transport> {
        let tls = self.link_tls.as_ref().map(|it| {
            let name = it.name.clone().unwrap_or_else(|| LINK_NAME.to_owned());
            let (authority, certificate, key) = (it.authority.clone(), it.certificate.clone(), it.key.clone());
            Tls::new(TlsFiles { authority, certificate, key, name })
        });
        Ok(Transport::tcp(tls.transpose().context("`link_tls` cannot be used")?))
    }

    /// What it does.
    pub(crate) fn roles(&self) -> Roles {
        let is = |role| self.roles.contains(&role);
        Roles { edge: is(Role::Edge), acd: is(Role::Acd), api: is(Role::Api) }
    }

    /// The options of the command line, with what the file says in their place.
    pub(crate) fn options(&self, mut options: NodeOptions) -> NodeOptions {
        options.sip = self.sip.unwrap_or(options.sip);
        options.advertise = self.advertise.or(options.advertise);
        options.api = self.api.unwrap_or(options.api);
        options.metrics = self.metrics.or(options.metrics);
        if let Some(limit) = self.drain_limit.as_deref().and_then(|limit| humantime::parse_duration(limit).ok()) {
            options.drain_limit = limit;
        }
        if let Some(ports) = self.rtp_ports.as_deref().and_then(|ports| port_range(ports).ok()) {
            options.rtp_ports = ports;
        }
        options
    }

    /// How the node introduces itself; `link`, `sip` and `api` are where it really listens.
    pub(crate) fn member(&self, boot: u32, link: SocketAddr, sip: Option<SocketAddr>, api: Option<SocketAddr>) -> Node {
        let link = self.link_advertise.unwrap_or(link).to_string();
        let signalling = sip.map(|addr| addr.to_string()).into_iter().collect();
        let media = sip.map(|addr| addr.ip()).into_iter().collect();
        Node {
            id: self.id(),
            boot,
            roles: self.roles(),
            addresses: Addresses { link, signalling, media, api: api.map(|addr| addr.to_string()) },
            zone: self.zone.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            draining: false,
            standing: false,
        }
    }

    /// The cluster's part of etcd.
    pub(crate) fn space(&self) -> anyhow::Result<Space> {
        let etcd = Etcd::new(self.etcd.options()?).context("`etcd` cannot be used")?;
        let coordinator: std::sync::Arc<dyn Coordinator> = std::sync::Arc::new(etcd);
        Ok(Space::new(coordinator, self.etcd.prefix.as_deref().unwrap_or(PREFIX)))
    }
}

impl EtcdFile {
    fn options(&self) -> anyhow::Result<Options> {
        let mut options = Options::new(self.endpoints.clone());
        if self.endpoints.iter().any(|endpoint| endpoint.starts_with("https")) {
            let authority = self.authority.as_deref().map(read).transpose()?;
            let identity = match (&self.certificate, &self.key) {
                (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
                (None, None) => None,
                (Some(_), None) | (None, Some(_)) => bail!("`etcd.certificate` and `etcd.key` go together"),
            };
            options.tls = Some(etcd::Tls { authority, identity, server_name: self.server_name.clone() });
        }
        options.user = match (&self.user, &self.password) {
            (Some(name), Some(password)) => Some(User { name: name.clone(), password: password.read()? }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => bail!("`etcd.user` and `etcd.password` go together"),
        };
        Ok(options)
    }
}

impl Password {
    fn read(&self) -> anyhow::Result<String> {
        match self {
            Password::Env(name) => {
                std::env::var(name).with_context(|| format!("`etcd.password`: the variable {name} is not set"))
            }
            Password::File(path) => Ok(read(path)?.trim_end().to_owned()),
        }
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> anyhow::Result<NodeFile> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("node.yaml");
        std::fs::write(&path, text)?;
        NodeFile::read(&path)
    }

    const GOOD: &str = "node: 3\ncenter: center\ndata: data\nlink: 127.0.0.3:7500\nrtp_ports: 21000-21998\netcd: { endpoints: [\"http://127.0.0.1:2379\"] }\n";

    #[test]
    fn a_node_says_who_it_is_and_its_paths_are_relative_to_its_file() {
        let file = written(GOOD).unwrap();
        assert_eq!(file.id(), NodeId(3));
        let center = file.center.as_ref().unwrap();
        assert!(center.is_absolute() && center.ends_with("center"), "{}", center.display());
        assert!(written(&GOOD.replace("center: center\n", "")).unwrap().center.is_none(), "etcd may hold it already");
        let roles = file.roles();
        assert!(roles.edge && roles.acd && roles.api, "all of them unless it says otherwise");
        let only = written(&GOOD.replace("node: 3", "node: 3\nroles: [acd]")).unwrap().roles();
        assert!(only.acd && !only.edge && !only.api);
    }

    #[test]
    fn what_cannot_be_is_named_with_what_would_be_right() {
        let bad = [
            ("node: 3", "node: 0", "1 or more"),
            ("node: 3", "nod: 3", "nod"),
            ("127.0.0.3:7500", "0.0.0.0:7500", "link_advertise"),
            ("link: 127.0.0.3:7500", "link: 0.0.0.0:7500\nlink_advertise: node-3:7500", "link_advertise: node-3:7500"),
            ("[\"http://127.0.0.1:2379\"]", "[]", "http://127.0.0.1:2379"),
            ("21000-21998", "21998-21000", "20000-29998"),
            ("node: 3", "node: 3\ndrain_limit: soon", "1h"),
            ("center: center", "center: center\nroles: [queen]", "queen"),
            ("center: center", "center: center\nlink_tls: { authority: ca.crt }", "certificate"),
        ];
        for (right, wrong, said) in bad {
            let error = format!("{:#}", written(&GOOD.replace(right, wrong)).unwrap_err());
            assert!(error.contains(said), "{wrong}: {error}");
        }
    }

    #[test]
    fn certificates_that_cannot_be_used_are_named_with_their_field() {
        let plain = written(GOOD).unwrap();
        assert!(plain.transport().unwrap().tls.is_none());
        let tls = "center: center\nlink_tls: { authority: ca.crt, certificate: tls.crt, key: tls.key }";
        let secured = written(&GOOD.replace("center: center", tls)).unwrap();
        let error = format!("{:#}", secured.transport().err().expect("there is no such file"));
        assert!(error.contains("`link_tls` cannot be used: `authority: /") && error.contains("ca.crt"), "{error}");
    }
}
