//! The Via header (RFC 3261 §20.42, RFC 3581).

use super::params::Params;
use super::scan::{is_token, split_list, trim, trim_start};
use crate::flow::Flow;
use crate::uri::{Host, decimal, split_host_port};
use std::net::{IpAddr, SocketAddr};

/// What every branch of an RFC 3261 element starts with (§8.1.1.7).
pub(crate) const COOKIE: &[u8] = b"z9hG4bK";

/// One Via value.
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    transport: &'a [u8],
    host: &'a [u8],
    sent_by: &'a [u8],
    port: Option<u16>,
    params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Reads one Via value; `None` when it is malformed. Unknown transports are well formed.
    pub(crate) fn read(raw: &'a [u8]) -> Option<Self> {
        let rest = slash(name(raw, b"SIP")?)?;
        let rest = slash(name(rest, b"2.0")?)?;
        let end = rest.iter().position(|b| !is_token(*b)).filter(|end| *end > 0)?;
        let (transport, rest) = rest.split_at(end);
        let sent = trim_start(rest);
        if sent.len() == rest.len() {
            return None;
        }
        let end = memchr::memchr(b';', sent).unwrap_or(sent.len());
        let (sent_by, params) = (trim(&sent[..end]), Params::new(&sent[end..]));
        let (host, port) = split_host_port(sent_by).ok().or_else(|| spaced_host_port(sent_by))?;
        params.are_valid().then_some(Via { transport, host, sent_by, port, params })
    }

    /// The transport's name as written, for example `UDP`.
    pub fn transport(&self) -> &'a [u8] {
        self.transport
    }

    /// The host of sent-by as written.
    pub fn host_raw(&self) -> &'a [u8] {
        self.host
    }

    /// The host of sent-by.
    pub fn host(&self) -> Option<Host<'a>> {
        Host::read(self.host)
    }

    /// The port of sent-by, when written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Host and port as written.
    pub fn sent_by(&self) -> &'a [u8] {
        self.sent_by
    }

    /// The branch as written; `None` for RFC 2543 elements that send none.
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.params.get("branch").filter(|b| !b.is_empty())
    }

    /// The branch when it identifies a transaction by RFC 3261 §17.2.3: with the cookie and something after it.
    pub fn unique_branch(&self) -> Option<&'a [u8]> {
        self.branch().filter(|b| b.len() > COOKIE.len() && b[..COOKIE.len()].eq_ignore_ascii_case(COOKIE))
    }

    /// The `received` address, also when it stands in brackets (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = std::str::from_utf8(self.params.get("received")?).ok()?;
        text.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// `Some(None)` when the sender asks for `rport`, `Some(Some(port))` when it is filled in (RFC 3581).
    pub fn rport(&self) -> Option<Option<u16>> {
        let value = self.params.get("rport")?;
        Some(decimal(value).and_then(|n| u16::try_from(n).ok()))
    }

    /// All parameters.
    pub fn params(&self) -> Params<'a> {
        self.params
    }

    /// Where the response to a request with this top Via, which came over `flow`, goes (RFC 3261 §18.2.2, RFC 3581 §4).
    /// Never to an address that the Via merely claims: the source address always wins.
    pub(crate) fn response_flow(&self, flow: &Flow) -> Flow {
        if flow.transport.is_reliable() || self.params.get("rport").is_some() {
            return *flow;
        }
        let port = self.port.unwrap_or(flow.transport.default_port());
        Flow { remote: SocketAddr::new(flow.remote.ip(), port), ..*flow }
    }

    /// Writes this Via with `received` and `rport` filled in for a request that came from `source`.
    pub(crate) fn write_received(&self, source: SocketAddr, out: &mut Vec<u8>) {
        out.extend_from_slice(b"SIP/2.0/");
        out.extend_from_slice(self.transport);
        out.push(b' ');
        out.extend_from_slice(self.sent_by);
        let mut rest = self.params.as_bytes();
        let asks_rport = self.params.get("rport").is_some();
        while !rest.is_empty() {
            let end = param_end(rest);
            let param = trim(&rest[..end]);
            let name = trim(param[1..].split(|b| *b == b'=').next().unwrap_or_default());
            if !name.eq_ignore_ascii_case(b"received") && !name.eq_ignore_ascii_case(b"rport") {
                out.extend(param.iter().filter(|b| !matches!(b, b'\r' | b'\n')));
            }
            rest = &rest[end..];
        }
        let same = self.host().and_then(Host::ip) == Some(source.ip());
        if asks_rport || !same {
            out.extend_from_slice(b";received=");
            out.extend_from_slice(source.ip().to_canonical().to_string().as_bytes());
        }
        if asks_rport {
            out.extend_from_slice(b";rport=");
            out.extend_from_slice(source.port().to_string().as_bytes());
        }
    }
}

/// The end of the first parameter of `raw`, which starts with a semicolon (white space before it counts to it).
fn param_end(raw: &[u8]) -> usize {
    let start = memchr::memchr(b';', raw).map_or(raw.len(), |i| i + 1);
    let mut quoted = false;
    let end = raw[start..].iter().position(|b| {
        quoted ^= *b == b'"';
        *b == b';' && !quoted
    });
    end.map_or(raw.len(), |i| i + start)
}

fn name<'a>(raw: &'a [u8], expected: &[u8]) -> Option<&'a [u8]> {
    let raw = trim_start(raw);
    let (head, tail) = raw.split_at_checked(expected.len())?;
    head.eq_ignore_ascii_case(expected).then_some(tail)
}

fn slash(raw: &[u8]) -> Option<&[u8]> {
    trim_start(raw).strip_prefix(b"/").map(trim_start)
}

/// `host : port` with the white space that RFC 3261 §25.1 allows around the colon.
fn spaced_host_port(raw: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let colon = memchr::memrchr(b':', raw)?;
    let (host, _) = split_host_port(trim(&raw[..colon])).ok()?;
    let port = decimal(trim(&raw[colon + 1..])).and_then(|n| u16::try_from(n).ok())?;
    Some((host, Some(port)))
}

/// The elements of one Via header line.
pub(crate) fn elements(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    split_list(raw)
}

#[cfg(test)]
mod tests {
    use super::Via;
    use crate::flow::Flow;

    fn received(raw: &str, source: &str) -> String {
        let mut out = Vec::new();
        Via::read(raw.as_bytes()).unwrap().write_received(source.parse().unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn folds_and_spaces_around_the_slashes() {
        let via = Via::read(b"SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw").unwrap();
        assert_eq!(via.transport(), b"UDP");
        assert_eq!(via.host_raw(), b"192.0.2.2");
        assert_eq!(via.branch(), Some(&b"390skdjuw"[..]));
        assert_eq!(via.unique_branch(), None);
        assert!(Via::read(b"SIP/2.0/UDP 192.0.2.15;;,;,,").is_none());
        assert!(Via::read(b"SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw").is_none());
        assert_eq!(Via::read(b"SIP/2.0/UDP host : 5070 ;a=b").unwrap().port(), Some(5070));
    }

    #[test]
    fn received_and_rport_are_filled_in() {
        assert_eq!(
            received("SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff", "192.0.2.1:9988"),
            "SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkjshdyff;received=192.0.2.1;rport=9988"
        );
        assert_eq!(
            received("SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1", "192.0.2.1:1"),
            "SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1"
        );
        // RFC 5118 §4.5: never brackets in received.
        assert_eq!(
            received("SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bK1", "[2001:db8::2]:5060"),
            "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bK1;received=2001:db8::2"
        );
    }

    #[test]
    fn responses_go_to_the_source_address() {
        let flow = Flow::udp(0, "192.0.2.9:31000".parse().unwrap());
        let to = |raw: &str| Via::read(raw.as_bytes()).unwrap().response_flow(&flow).remote.to_string();
        assert_eq!(to("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1"), "192.0.2.9:5060");
        assert_eq!(to("SIP/2.0/UDP 10.0.0.1:5080;branch=z9hG4bK1"), "192.0.2.9:5080");
        assert_eq!(to("SIP/2.0/UDP 10.0.0.1:5080;rport;branch=z9hG4bK1"), "192.0.2.9:31000");
    }
}
