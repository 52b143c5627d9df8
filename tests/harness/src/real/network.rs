//! Addresses. Each running center gets 256 loopback addresses of its own, so that suites that run side by side never meet.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

static NEXT: AtomicU8 = AtomicU8::new(1);

/// The addresses 127.a.b.0 to 127.a.b.255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    a: u8,
    b: u8,
}

impl Block {
    /// A block that no other test of this machine uses: `a` comes from the process, `b` counts within it.
    pub fn fresh() -> Block {
        let a = 64 + (std::process::id() % 128) as u8;
        Block { a, b: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// One address of it.
    pub fn ip(self, last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, self.a, self.b, last))
    }

    /// Where the center lives.
    pub fn center(self) -> IpAddr {
        self.ip(1)
    }

    /// Where the carrier's calls come from; the centers of the suites have it as a trunk.
    pub fn carrier(self) -> IpAddr {
        self.ip(2)
    }

    /// Where a node of a cluster lives.
    pub fn node(self, number: u8) -> IpAddr {
        self.ip(100 + number)
    }

    /// Where etcd lives.
    pub fn etcd(self) -> IpAddr {
        self.ip(4)
    }

    /// Where the agents' phones live.
    pub fn agents(self) -> IpAddr {
        self.ip(3)
    }
}

/// What [`free_port`] has given away: nobody may have bound it yet.
static GIVEN: Mutex<BTreeSet<SocketAddr>> = Mutex::new(BTreeSet::new());

/// A port of `ip` that is free over UDP and TCP now, and that this process has not been given before.
pub fn free_port(ip: IpAddr) -> Result<SocketAddr> {
    for _ in 0..64 {
        let udp = UdpSocket::bind((ip, 0)).with_context(|| format!("a port on {ip}"))?;
        let address = udp.local_addr().context("the socket's address")?;
        let free = std::net::TcpListener::bind(address).is_ok();
        if free && GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(address) {
            return Ok(address);
        }
    }
    anyhow::bail!("no port of {ip} is free over both UDP and TCP")
}
