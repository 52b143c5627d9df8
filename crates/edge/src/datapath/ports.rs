//! Which stream uses which port: pure bookkeeping, no socket.
//!
//! Streams may share a port as long as no two of them expect the same peer, because the peer's address is all that tells
//! their packets apart. So a carrier with a thousand calls needs a handful of ports here, while a thousand phones behind
//! one address that is not known in full need one each.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use super::StreamId;

/// More streams than this on one port would overrun its receive buffer between two reads: 64 × 50 packets/s × 5 ms is 16
/// packets on average, and up to 64 when all send at once, of the 270 that fit.
const MAX_SHARING: usize = 64;
/// How many partly used ports are looked at before a further one is opened.
const LOOKED_AT: usize = 8;
/// Freed ports rest until this many are waiting, so that a late packet of the last call does not reach the next one.
const RESTING: usize = 32;

/// Whose RTP a stream waits for, as far as it is known when its port is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The peer's description names this address.
    Address(SocketAddr),
    /// The peer sends from this address, but its port is not known or not to be trusted: NAT, or our offer without an
    /// answer yet.
    Ip(IpAddr),
    /// Nothing is known. The stream gets a port to itself until [`Datapath::set_peer`](super::Datapath::set_peer).
    Anyone,
}

impl Expected {
    /// Whether one packet could be for both.
    fn overlaps(&self, other: &Expected) -> bool {
        use Expected::{Address, Anyone, Ip};
        match (self, other) {
            (Anyone, _) | (_, Anyone) => true,
            (Address(a), Address(b)) => a == b,
            (Ip(a), Ip(b)) => a == b,
            (Ip(ip), Address(address)) | (Address(address), Ip(ip)) => *ip == address.ip(),
        }
    }
}

/// Why no port could be given. All of these are answered with 503.
#[derive(Debug, thiserror::Error)]
pub enum AllocateError {
    /// Every port of the range is in use, and none can be shared with this peer.
    #[error("no RTP port of {first}-{last} is left for this peer")]
    Exhausted {
        /// The first port of the range.
        first: u16,
        /// The last port of the range.
        last: u16,
    },
    /// The operating system refuses more sockets.
    #[error("no RTP socket can be opened")]
    Socket(#[source] io::Error),
    /// The datapath thread is behind with its work.
    #[error("the RTP datapath is overloaded")]
    Overloaded,
    /// The stream has a port already.
    #[error("stream {0:?} exists already")]
    Exists(StreamId),
}

/// The peer's address cannot be told apart from another stream's on the same port. The leg needs another port, which
/// takes a new offer; or refuse the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another stream on the same port expects this peer already")]
pub struct PeerTaken;

/// A port, by its place in the order of opening; it stays the same as long as the datapath lives.
pub(super) type SocketIndex = u32;

/// The ports of one datapath thread.
#[derive(Debug)]
pub(super) struct PortPlan {
    range: (u16, u16),
    /// Ports that were never opened, the next one last.
    unopened: Vec<u16>,
    ports: Vec<Port>,
    /// Open ports without a stream, the longest rested first.
    resting: VecDeque<SocketIndex>,
    /// Open ports with room for another stream, taken in turn; entries that are so no more are dropped when seen.
    shareable: VecDeque<SocketIndex>,
    streams: HashMap<StreamId, SocketIndex>,
}

#[derive(Debug)]
struct Port {
    number: u16,
    claims: Vec<(StreamId, Expected)>,
    /// Whether `shareable` contains it.
    listed: bool,
}

impl Port {
    fn has_room_for(&self, expected: &Expected) -> bool {
        self.claims.len() < MAX_SHARING && !self.claims.iter().any(|(_, claim)| claim.overlaps(expected))
    }
}

/// Where a stream was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) socket: SocketIndex,
    pub(super) port: u16,
}

impl PortPlan {
    /// The even ports of `range` that fall to `thread` of `threads`.
    pub(super) fn new(range: &RangeInclusive<u16>, thread: usize, threads: usize) -> Self {
        let even = range.clone().filter(|port| port % 2 == 0 && *port != 0);
        let mut unopened: Vec<u16> = even.skip(thread).step_by(threads.max(1)).collect();
        unopened.reverse();
        PortPlan {
            range: (*range.start(), *range.end()),
            unopened,
            ports: Vec::new(),
            resting: VecDeque::new(),
            shareable: VecDeque::new(),
            streams: HashMap::new(),
        }
    }

    /// Finds a port for `stream`. `open` binds a port that was not open before; a port that someone else has bound is
    /// passed over for good.
    pub(super) fn allocate(
        &mut self,
        stream: StreamId,
        expected: Expected,
        mut open: impl FnMut(u16) -> io::Result<()>,
    ) -> Result<Placed, AllocateError> {
        if self.streams.contains_key(&stream) {
            return Err(AllocateError::Exists(stream));
        }
        if let Some(socket) = self.look_around(&expected, LOOKED_AT) {
            return Ok(self.put(stream, expected, socket));
        }
        if self.resting.len() > RESTING
            && let Some(socket) = self.resting.pop_front()
        {
            return Ok(self.put(stream, expected, socket));
        }
        while let Some(number) = self.unopened.pop() {
            match open(number) {
                Ok(()) => {
                    self.ports.push(Port { number, claims: Vec::new(), listed: false });
                    let socket = u32::try_from(self.ports.len() - 1).expect("there are 65,536 ports at most");
                    return Ok(self.put(stream, expected, socket));
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => {
                    self.unopened.push(number);
                    return self.last_resort(stream, expected).ok_or(AllocateError::Socket(error));
                }
            }
        }
        let (first, last) = self.range;
        self.last_resort(stream, expected).ok_or(AllocateError::Exhausted { first, last })
    }

    fn last_resort(&mut self, stream: StreamId, expected: Expected) -> Option<Placed> {
        let rested = self.resting.pop_front();
        let socket = rested.or_else(|| self.look_around(&expected, self.shareable.len()))?;
        Some(self.put(stream, expected, socket))
    }

    /// Looks at up to `count` partly used ports, in turn.
    fn look_around(&mut self, expected: &Expected, count: usize) -> Option<SocketIndex> {
        for _ in 0..count {
            let socket = self.shareable.pop_front()?;
            let port = &mut self.ports[socket as usize];
            if port.claims.is_empty() || port.claims.len() >= MAX_SHARING {
                port.listed = false;
                continue;
            }
            if port.has_room_for(expected) {
                self.shareable.push_front(socket);
                return Some(socket);
            }
            self.shareable.push_back(socket);
        }
        None
    }

    fn put(&mut self, stream: StreamId, expected: Expected, socket: SocketIndex) -> Placed {
        let port = &mut self.ports[socket as usize];
        port.claims.push((stream, expected));
        if !port.listed {
            port.listed = true;
            self.shareable.push_back(socket);
        }
        self.streams.insert(stream, socket);
        Placed { socket, port: port.number }
    }

    /// Whose RTP the stream waits for from now on.
    pub(super) fn expect(&mut self, stream: StreamId, expected: Expected) -> Result<(), PeerTaken> {
        let Some(&socket) = self.streams.get(&stream) else { return Ok(()) };
        let claims = &mut self.ports[socket as usize].claims;
        if claims.iter().any(|(other, claim)| *other != stream && claim.overlaps(&expected)) {
            return Err(PeerTaken);
        }
        if let Some((_, claim)) = claims.iter_mut().find(|(owner, _)| *owner == stream) {
            *claim = expected;
        }
        Ok(())
    }

    /// Frees the stream's place; false when it had none.
    pub(super) fn release(&mut self, stream: StreamId) -> bool {
        let Some(socket) = self.streams.remove(&stream) else { return false };
        let port = &mut self.ports[socket as usize];
        port.claims.retain(|(owner, _)| *owner != stream);
        if port.claims.is_empty() {
            port.claims.shrink_to(4);
            self.resting.push_back(socket);
        } else if !port.listed {
            port.listed = true;
            self.shareable.push_back(socket);
        }
        true
    }

    /// Ports that are open.
    pub(super) fn open_ports(&self) -> usize {
        self.ports.len()
    }

    /// Streams that have a port.
    pub(super) fn streams(&self) -> usize {
        self.streams.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(range: RangeInclusive<u16>) -> PortPlan {
        PortPlan::new(&range, 0, 1)
    }

    fn address(text: &str) -> Expected {
        Expected::Address(text.parse().unwrap())
    }

    fn ip(text: &str) -> Expected {
        Expected::Ip(text.parse().unwrap())
    }

    fn put(plan: &mut PortPlan, leg: u16, expected: Expected) -> u16 {
        plan.allocate(StreamId::new(1, leg), expected, |_| Ok(())).unwrap().port
    }

    #[test]
    fn peers_that_can_be_told_apart_share_a_port() {
        let mut plan = plan(10_001..=10_009);
        assert_eq!(put(&mut plan, 0, address("192.0.2.1:4000")), 10_002, "odd ports are not used");
        assert_eq!(put(&mut plan, 1, address("192.0.2.1:4002")), 10_002);
        assert_eq!(put(&mut plan, 2, ip("192.0.2.2")), 10_002);
        assert_eq!(put(&mut plan, 3, ip("192.0.2.1")), 10_004, "its packets could be those of leg 0");
        assert_eq!(put(&mut plan, 4, address("192.0.2.1:4000")), 10_006);
        assert_eq!(put(&mut plan, 5, Expected::Anyone), 10_008);
    }

    #[test]
    fn an_answer_turns_a_port_of_ones_own_into_a_shared_one() {
        let mut plan = plan(10_000..=10_003);
        assert_eq!(put(&mut plan, 0, Expected::Anyone), 10_000);
        assert_eq!(put(&mut plan, 1, address("192.0.2.1:4000")), 10_002);
        plan.expect(StreamId::new(1, 0), address("192.0.2.1:4000")).unwrap();
        assert_eq!(put(&mut plan, 2, address("192.0.2.1:4002")), 10_000);
        assert_eq!(plan.expect(StreamId::new(1, 2), address("192.0.2.1:4000")), Err(PeerTaken));
        plan.expect(StreamId::new(1, 2), address("192.0.2.1:4004")).unwrap();
    }

    #[test]
    fn an_exhausted_range_is_an_error_and_a_release_ends_it() {
        let mut plan = plan(10_000..=10_003);
        let full = |result| matches!(result, Err(AllocateError::Exhausted { first: 10_000, last: 10_003 }));
        for leg in 0..2 {
            put(&mut plan, leg, Expected::Anyone);
        }
        assert!(full(plan.allocate(StreamId::new(1, 2), Expected::Anyone, |_| Ok(()))));
        assert!(plan.release(StreamId::new(1, 0)));
        assert!(!plan.release(StreamId::new(1, 0)));
        assert_eq!(put(&mut plan, 2, Expected::Anyone), 10_000, "reused when nothing else is left");
        assert_eq!((plan.open_ports(), plan.streams()), (2, 2));
    }

    #[test]
    fn freed_ports_rest_before_they_are_used_again() {
        let mut plan = plan(10_000..=20_000);
        let first = put(&mut plan, 0, Expected::Anyone);
        plan.release(StreamId::new(1, 0));
        for leg in 1..=40 {
            let port = put(&mut plan, leg, Expected::Anyone);
            assert!(leg > 32 || port != first, "call {leg} got the port of the call before");
            plan.release(StreamId::new(1, leg));
        }
        assert_eq!(plan.open_ports(), RESTING + 1);
    }

    #[test]
    fn a_port_that_another_program_uses_is_passed_over() {
        let mut plan = plan(10_000..=10_009);
        let open = |port| if port < 10_004 { Err(io::ErrorKind::AddrInUse.into()) } else { Ok(()) };
        assert_eq!(plan.allocate(StreamId::new(1, 0), Expected::Anyone, open).unwrap().port, 10_004);
        let none = |_| Err(io::ErrorKind::Other.into());
        let refused = plan.allocate(StreamId::new(1, 1), Expected::Anyone, none);
        assert!(matches!(refused, Err(AllocateError::Socket(_))));
        assert_eq!(put(&mut plan, 1, Expected::Anyone), 10_006, "it is tried again later");
    }

    #[test]
    fn a_carrier_with_one_address_needs_few_ports() {
        let mut plan = plan(10_000..=20_000);
        for leg in 0..1_000 {
            put(&mut plan, leg, Expected::Address(SocketAddr::from(([192, 0, 2, 1], 20_000 + leg))));
        }
        assert_eq!(plan.open_ports(), 1_000usize.div_ceil(MAX_SHARING));
    }

    #[test]
    fn threads_do_not_share_ports() {
        let plans = [0, 1].map(|thread| PortPlan::new(&(10_000..=10_007), thread, 2).unopened);
        assert_eq!(plans, [vec![10_004, 10_000], vec![10_006, 10_002]]);
    }
}
