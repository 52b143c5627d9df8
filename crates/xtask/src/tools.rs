//! Programs that the suites use, and where they come from.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// A program, or a file by its whole path, and the Debian package that holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    program: &'static str,
    package: &'static str,
}

/// Carriers and crowds of phones.
pub(crate) const SIPP: Tool = Tool { program: "sipp", package: "sip-tester" };
/// A phone that other people wrote.
pub(crate) const BARESIP: Tool = Tool { program: "baresip", package: "baresip-core" };
/// For the bench's RTP sink.
pub(crate) const CC: Tool = Tool { program: "cc", package: "gcc" };
/// The coordinator of a cluster.
pub(crate) const ETCD: Tool = Tool { program: "etcd", package: "etcd-server" };
/// What asks a coordinator how it is.
pub(crate) const ETCDCTL: Tool = Tool { program: "etcdctl", package: "etcd-client" };
/// For the lab: namespaces, packet filters, clocks that are wrong.
pub(crate) const LAB: [Tool; 3] = [
    Tool { program: "ip", package: "iproute2" },
    Tool { program: "iptables", package: "iptables" },
    Tool { program: "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", package: "libfaketime" },
];
/// For building etcd's client, which compiles etcd's protocol: the compiler, and what the protocol includes.
pub(crate) const PROTOCOL: [Tool; 2] = [
    Tool { program: "protoc", package: "protobuf-compiler" },
    Tool { program: "/usr/include/google/protobuf/empty.proto", package: "libprotobuf-dev" },
];

fn is_there(program: &str) -> bool {
    // A whole path joined to any folder stays what it is.
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Installs those of `tools` that are missing, with apt-get, by sudo when this is not root.
pub(crate) fn install(tools: &[Tool]) -> Result<()> {
    let missing: Vec<&str> = tools.iter().filter(|t| !is_there(t.program)).map(|t| t.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_there("apt-get") {
        bail!("missing: {}; install these Debian packages' programs by hand, there is no apt-get", missing.join(", "));
    }
    println!("installing {}", missing.join(", "));
    // A fresh image has no package lists, an old one has outdated lists; without a network the lists it has must do.
    if let Err(error) = apt_get(&["update", "--quiet"]) {
        println!("{error:#}; going on with the lists that are there");
    }
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(&missing);
    apt_get(&arguments)
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let root =
        Path::new("/proc/self").metadata().map(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0).unwrap_or(false);
    let mut command = Command::new(if root { "apt-get" } else { "sudo" });
    if !root {
        command.args(["--non-interactive", "apt-get"]);
    }
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    let what = format!("apt-get {}", arguments.join(" "));
    let status = command.status().with_context(|| what.clone())?;
    ensure!(status.success(), "{what}: {status}");
    Ok(())
}
