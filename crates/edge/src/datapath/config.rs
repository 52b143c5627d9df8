//! How a datapath is set up.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How a datapath is set up.
#[derive(Clone, Debug)]
pub struct DatapathConfig {
    /// Where sockets are bound; may be the unspecified address. It decides between IPv4 and IPv6.
    pub bind: IpAddr,
    /// The address that peers are told, which differs from `bind` behind NAT.
    pub advertise: IpAddr,
    /// The UDP ports to use. Only even ones are opened, since some peers insist on RTCP one above.
    pub ports: RangeInclusive<u16>,
    /// How long a stream that should receive RTP may go without, before [`MediaEvent::Silent`](super::MediaEvent). Zero
    /// switches this off. Seconds; checked once a second.
    pub silence: Duration,
    /// How many threads share the streams, at least one. All streams of one call are on the same thread.
    pub threads: usize,
}

impl DatapathConfig {
    /// A datapath on one address with one thread, ports 10000–29999 and 60 s until silence is reported.
    pub fn new(address: IpAddr) -> Self {
        DatapathConfig {
            bind: address,
            advertise: address,
            ports: 10_000..=29_999,
            silence: Duration::from_secs(60),
            threads: 1,
        }
    }
}
