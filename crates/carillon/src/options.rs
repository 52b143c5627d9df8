//! The options of `carillon serve` and `carillon dev`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

/// What a node needs to know beside its center.
#[derive(Args, Clone, Debug)]
pub(crate) struct NodeOptions {
    /// Where to speak SIP, over UDP and TCP. Port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:5060")]
    pub(crate) sip: SocketAddr,

    /// The address that phones and carriers are told. Default: the address of --sip, or else this machine's main one.
    #[arg(long, value_name = "IP")]
    pub(crate) advertise: Option<IpAddr>,

    /// The UDP ports for audio; even ones are used, many calls share one where their addresses differ.
    #[arg(long, value_name = "A-B", default_value = "20000-29998", value_parser = port_range)]
    pub(crate) rtp_ports: RangeInclusive<u16>,

    /// End a leg whose audio stops for this long; 0s never does.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    pub(crate) rtp_timeout: Duration,

    /// Where the gRPC API listens. It is not encrypted: keep it on loopback, or in a network of the nodes' own when there are
    /// several: they ask each other. Port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7400")]
    pub(crate) api: SocketAddr,

    /// Where health (/healthz/live, /healthz/ready) and metrics (/metrics) are served over plain HTTP. Default: nowhere.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<SocketAddr>,

    /// How long calls may go on after SIGTERM; what is left then goes on at other nodes, or is hung up.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    pub(crate) drain_limit: Duration,

    /// Calls at one time; more are refused with 503 and Retry-After.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_calls: u32,

    /// Signalling threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) sip_workers: u16,

    /// How the log is written. RUST_LOG filters it, for example RUST_LOG=carillon_edge=debug.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// Send traces of calls to this OpenTelemetry collector (OTLP over gRPC), as in http://127.0.0.1:4317. Default: none.
    #[arg(long, value_name = "URL", value_parser = collector)]
    pub(crate) otlp: Option<String>,
}

impl NodeOptions {
    /// The address that peers are told.
    pub(crate) fn advertised(&self) -> IpAddr {
        if let Some(ip) = self.advertise {
            return ip;
        }
        if self.sip.ip().is_unspecified() { main_address() } else { self.sip.ip() }
    }
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The address this machine would use to reach others, or loopback without a network. Connecting a UDP socket only asks
/// the routing table; nothing is sent (192.0.2.0/24 is for documentation, RFC 5737).
fn main_address() -> IpAddr {
    let ask = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    ask().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn collector(text: &str) -> Result<String, String> {
    let wanted = || "an address like http://127.0.0.1:4317; TLS is not spoken".to_owned();
    text.strip_prefix("http://").filter(|host| !host.is_empty()).map(|_| text.to_owned()).ok_or_else(wanted)
}

pub(crate) fn port_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let wanted = || "a range of ports like 20000-29998, the first not above the last, at least 1024".to_owned();
    let (first, last) = text.split_once('-').ok_or_else(wanted)?;
    let (first, last): (u16, u16) = (first.parse().map_err(|_| wanted())?, last.parse().map_err(|_| wanted())?);
    if first < 1024 || first > last || (first == last && first % 2 == 1) {
        return Err(wanted());
    }
    Ok(first..=last)
}

/// `carillon serve`.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServeOptions {
    /// The center: a YAML file, or a folder of them. Once something was applied to the running center, that holds, and this is
    /// not read any more; it may then be left out.
    #[arg(long, value_name = "DIR|FILE", conflicts_with = "config")]
    pub(crate) center: Option<PathBuf>,

    /// Run as a node of a cluster: its file says who it is, where its data are, and where etcd is. What it
    /// does not say is taken from the other options.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Where call records and the agents' availability are kept.
    #[arg(long, value_name = "DIR", default_value = "carillon-data")]
    pub(crate) data: PathBuf,

    #[command(flatten)]
    pub(crate) node: NodeOptions,
}

/// `carillon dev`.
#[derive(Args, Clone, Debug)]
pub(crate) struct DevOptions {
    /// A center of your own instead of the built-in one: a YAML file, or a folder of them.
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) center: Option<PathBuf>,

    /// Where to keep records and availability. Default: in memory, gone at the end.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) node: NodeOptions,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_reached_without_tls() {
        assert_eq!(collector("http://127.0.0.1:4317").unwrap(), "http://127.0.0.1:4317");
        for bad in ["127.0.0.1:4317", "https://127.0.0.1:4317", "http://", ""] {
            assert!(collector(bad).unwrap_err().contains("http://127.0.0.1:4317"), "{bad}");
        }
    }

    #[test]
    fn a_port_range_names_what_would_be_right() {
        assert_eq!(port_range("20000-20010").unwrap(), 20000..=20010);
        for bad in ["", "20000", "20010-20000", "80-90", "20000-70000", "20001-20001"] {
            assert!(port_range(bad).unwrap_err().contains("20000-29998"), "{bad}");
        }
    }
}
