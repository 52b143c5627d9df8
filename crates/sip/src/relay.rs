//! Passing messages on without keeping anything of them: the stateless proxy of RFC 3261 §16.11, as an edge is for the
//! phones that are connected to it when a call lives on another edge (in the spirit of RFC 3327 and RFC 5626 §5).
//!
//! What a proxy would have to remember travels in the messages themselves: the flow to the phone in the Record-Route
//! ([`Seal::token`]), the flow to the sender in the branch of our Via ([`Seal::branch`]). Both are sealed with a secret of
//! this process, so nobody can make us send anywhere that we have not been.

use crate::check::Rejection;
use crate::endpoint::id;
use crate::flow::{Flow, Transport};
use crate::message::{COOKIE, Edit, Header, Method, Request, Response};
use crate::status::StatusCode;
use crate::uri::Uri;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};

/// The most elements of a message's route that may name us at once: both sides of a change of transport.
pub const MAX_OWN_ROUTES: usize = 2;
/// What the branches of relayed requests begin with, after the cookie.
const MARK: &[u8] = b"relay.";
/// Bytes of a seal: 80 bits.
const SEAL: usize = 10;
/// Bytes of a branch that stand for the request.
const DIGEST: usize = 8;

/// What is sealed: nothing that was made for one place counts in the other.
#[derive(Clone, Copy, Debug)]
enum Place {
    Route,
    Branch,
}

/// Seals flows with the secret of one edge.
#[derive(Clone)]
pub struct Seal {
    secret: [u8; 32],
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// With a secret that nobody else knows.
    pub const fn new(secret: [u8; 32]) -> Self {
        Seal { secret }
    }

    /// The user part of a Record-Route of ours: names the flow to the peer of the dialog (RFC 5626 §5.2).
    pub fn token(&self, flow: &Flow) -> String {
        let mut bytes = write(flow);
        bytes.extend_from_slice(&self.mac(Place::Route, &bytes));
        hex::encode(bytes)
    }

    /// The flow that a token names; `None` when we have not made it.
    pub fn flow_of_token(&self, token: &[u8]) -> Option<Flow> {
        read(&self.verified(Place::Route, token)?)
    }

    /// The branch of our Via in a request that came over `from`: the same for its repetitions, its CANCEL and the ACK to
    /// its failure (RFC 3261 §16.11), and it names the way back.
    pub fn branch(&self, request: &Request, from: &Flow) -> String {
        let mut bytes = self.digest(request, from).to_vec();
        bytes.extend(write(from));
        bytes.extend_from_slice(&self.mac(Place::Branch, &bytes));
        let mut branch = Vec::with_capacity(COOKIE.len() + MARK.len() + 2 * bytes.len());
        branch.extend_from_slice(COOKIE);
        branch.extend_from_slice(MARK);
        branch.extend_from_slice(hex::encode(bytes).as_bytes());
        String::from_utf8_lossy(&branch).into_owned()
    }

    /// The flow over which a request came that we passed on with this branch; `None` when we did not.
    pub fn flow_of_branch(&self, branch: &[u8]) -> Option<Flow> {
        let sealed = branch.strip_prefix(COOKIE)?.strip_prefix(MARK)?;
        read(self.verified(Place::Branch, sealed)?.get(DIGEST..)?)
    }

    /// The To tag of our own refusal of a request: the same for its repetitions (RFC 3261 §8.2.7).
    pub fn tag(&self, request: &Request, from: &Flow) -> String {
        hex::encode(self.digest(request, from))
    }

    /// Stands for a request, its repetitions, its CANCEL and its ACK.
    fn digest(&self, request: &Request, from: &Flow) -> [u8; DIGEST] {
        self.hash(b"request", &id::transaction(request, &Method::Invite, from))
    }

    fn verified(&self, place: Place, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = hex::decode(sealed).ok()?;
        let mac = bytes.split_off(bytes.len().checked_sub(SEAL)?);
        let right = self.mac(place, &bytes);
        // All bytes are looked at, so that the time tells nothing.
        let wrong = right.iter().zip(&mac).fold(0, |wrong, (a, b)| wrong | (a ^ b));
        (wrong == 0).then_some(bytes)
    }

    fn mac(&self, place: Place, bytes: &[u8]) -> [u8; SEAL] {
        let label: &[u8; 7] = match place {
            Place::Route => b"route  ",
            Place::Branch => b"branch ",
        };
        self.hash(label, bytes)
    }

    /// The start of a hash, which is too little of it for anybody to extend.
    fn hash<const N: usize>(&self, label: &[u8; 7], bytes: &[u8]) -> [u8; N] {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(label);
        hash.update(bytes);
        let mut start = [0; N];
        start.copy_from_slice(&hash.finalize()[..N]);
        start
    }
}

fn write(flow: &Flow) -> Vec<u8> {
    let transport = match flow.transport {
        Transport::Udp => 0,
        Transport::Tcp => 1,
        Transport::Tls => 2,
        Transport::Ws => 3,
        Transport::Wss => 4,
    };
    let mut bytes = vec![transport];
    bytes.extend_from_slice(&flow.local.to_be_bytes());
    // A connection is counted from 1.
    bytes.extend_from_slice(&flow.connection.unwrap_or(0).to_be_bytes());
    bytes.extend_from_slice(&flow.remote.port().to_be_bytes());
    match flow.remote.ip() {
        IpAddr::V4(ip) => bytes.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => bytes.extend_from_slice(&ip.octets()),
    }
    bytes
}

fn read(bytes: &[u8]) -> Option<Flow> {
    let (transport, rest) = bytes.split_first()?;
    let transport = match transport {
        0 => Transport::Udp,
        1 => Transport::Tcp,
        2 => Transport::Tls,
        3 => Transport::Ws,
        4 => Transport::Wss,
        _ => return None,
    };
    let (local, rest) = rest.split_first_chunk()?;
    let (connection, rest) = rest.split_first_chunk()?;
    let (port, ip) = rest.split_first_chunk()?;
    let ip = match ip.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(ip).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(ip).ok()?),
    };
    Some(Flow {
        transport,
        local: u32::from_be_bytes(*local),
        remote: SocketAddr::new(ip, u16::from_be_bytes(*port)),
        connection: Some(u64::from_be_bytes(*connection)).filter(|connection| *connection > 0),
    })
}

/// The part of a request's route that names us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRoute {
    /// The user part of the topmost Route, as written; empty when it has none.
    pub user: Vec<u8>,
    /// How many of the topmost Routes name us: 1 or 2.
    pub count: usize,
    /// Whether others follow.
    pub more: bool,
}

/// Reads a request's route; `None` when its top does not name `here`, which is what we tell peers.
pub fn own_route(request: &Request, here: SocketAddr) -> Option<OwnRoute> {
    let names_us = |uri: &Uri| uri.is_sip() && uri.socket_addr() == Some(here);
    let mut routes = request.addresses(Header::Route);
    let first = routes.next()?.ok().filter(|route| names_us(route.uri()))?;
    let mut own = OwnRoute { user: first.uri().user_raw().unwrap_or_default().to_vec(), count: 1, more: false };
    for route in routes {
        if own.count < MAX_OWN_ROUTES && route.as_ref().is_ok_and(|route| names_us(route.uri())) {
            own.count += 1;
        } else {
            own.more = true;
            break;
        }
    }
    Some(own)
}

/// What we change in a request that goes on (RFC 3261 §16.6).
#[derive(Clone, Debug)]
pub struct Onward<'a> {
    /// Where it came from; its sender's Via says so from now on (RFC 3261 §18.2.1, RFC 3581 §4).
    pub source: SocketAddr,
    /// How many Routes are ours, and come off.
    pub routes: usize,
    /// Our Via value.
    pub via: &'a str,
    /// Our Record-Route values, the topmost first; for a request that may form a dialog.
    pub record_route: &'a [String],
}

/// The request as it goes on. Bodies and all headers that are no business of a proxy stay byte for byte.
///
/// # Errors
/// 483 when it has come too far, 513 when it has become too long; not to be sent for an ACK.
pub fn request(request: &Request, onward: &Onward<'_>) -> Result<Bytes, Rejection> {
    let hops = match request.max_forwards() {
        Some(0) => return Err(Rejection::new(StatusCode::TOO_MANY_HOPS)),
        Some(hops) => hops - 1,
        // RFC 3261 §16.6 step 3.
        None => 70,
    };
    let mut edit = Edit::new(request);
    edit.add_on_top(Header::Via, onward.via.as_bytes());
    for route in onward.record_route {
        edit.add_on_top(Header::RecordRoute, route.as_bytes());
    }
    match request.get(Header::MaxForwards) {
        Some(value) => edit.replace(value, hops.to_string().into_bytes()),
        None => edit.add_on_top(Header::MaxForwards, hops.to_string().as_bytes()),
    }
    let mut via = Vec::with_capacity(128);
    request.via().write_received(onward.source, &mut via);
    edit.replace(request.top_via_raw(), via);
    edit.remove_first(Header::Route, onward.routes);
    edit.finish().ok_or(Rejection::new(StatusCode::MESSAGE_TOO_LARGE))
}

/// The response as it goes back: without the topmost Via, which was ours (RFC 3261 §16.7 step 3). `None` when that was
/// the last: we were asked, not somebody behind us.
pub fn response(response: &Response) -> Option<Bytes> {
    response.via_elements().nth(1)?;
    let mut edit = Edit::new(response);
    edit.remove_first(Header::Via, 1);
    edit.finish()
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
