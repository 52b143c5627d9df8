//! The kind Trunk: a SIP connection (Spec: OB-2, SE-1).

use std::net::IpAddr;

use carillon_acd::ids::TrunkId;
use ipnet::IpNet;

use crate::config::center::{Connection, SipUri, Trunk};
use crate::config::decoder::{Decoder, Fields, Shape};
use crate::config::findings::{Problem, Unique};
use crate::config::sip_uri;
use crate::config::yaml::{Entry, Node};

pub(crate) const SHAPE: Shape =
    Shape { what: "a Trunk", fields: &["connection", "peers", "outbound"], later: &["register", "max_call_length"] };

const CONNECTIONS: [(&str, Connection); 4] = [
    ("rented", Connection::Rented),
    ("own", Connection::Own),
    ("pbx", Connection::Pbx),
    ("application", Connection::Application),
];

pub(crate) fn decode(decoder: &mut Decoder<'_>, id: TrunkId, fields: &Fields<'_>) -> Trunk {
    let connection = fields.get("connection").and_then(|entry| decoder.word(entry, &CONNECTIONS, &[]));
    let peers = fields.get("peers").map_or(&[][..], |entry| decoder.list(entry, "[192.0.2.1, 198.51.100.0/24]"));
    let peers = peers.iter().filter_map(|node| peer(decoder, node)).collect();
    let outbound = fields.get("outbound").and_then(|entry| address(decoder, entry));
    if fields.get("peers").is_none() && fields.get("outbound").is_none() {
        let problem = Problem::error(format!("trunk `{}` carries no call", id.name));
        let help = "add `peers: [192.0.2.1]` for calls that come in, `outbound: sip:192.0.2.1` for calls that go out";
        decoder.report(problem.at(fields.head(), "neither `peers` nor `outbound`").help(help));
    }
    Trunk { id, connection: connection.unwrap_or_default(), peers, outbound }
}

/// An address or a network; host bits of a network do not matter.
fn peer(decoder: &mut Decoder<'_>, node: &Node) -> Option<IpNet> {
    let text = decoder.text_of("peers", node)?;
    let Ok(net) = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) else {
        let problem = Problem::error("a peer must be an IP address or a network").at(node.place, "neither");
        decoder.report(problem.help("write `192.0.2.1`, `198.51.100.0/24` or `2001:db8::/64`"));
        return None;
    };
    let net = net.trunc();
    decoder.findings.take(Unique::Peer, &net.to_string(), node.place);
    Some(net)
}

/// A SIP address that this version can send to.
pub(super) fn address(decoder: &mut Decoder<'_>, entry: &Entry) -> Option<SipUri> {
    let text = decoder.text(entry)?;
    sip_uri::check(text)
        .map_err(|why| {
            let problem = Problem::error(format!("`{}` must be a SIP address: {why}", entry.key));
            let help = "write `sip:192.0.2.1:5060` or `\"sip:anna@192.0.2.1;transport=tcp\"`";
            decoder.report(problem.at(entry.value.place, "cannot be called").help(help));
        })
        .ok()
}
