//! URIs: sip, sips and tel read, all others kept; every one byte for byte (RFC 3261 §19.1, RFC 3966).

use crate::flow::Transport;
use crate::message::Params;
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Why a URI cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// There is no scheme before the first colon.
    #[error("a URI needs a scheme")]
    Scheme,
    /// A control character, space, quote or angle bracket.
    #[error("a URI must not contain spaces, quotes, brackets or control characters")]
    Character,
    /// The user part before the `@` is empty.
    #[error("the user part of the URI is empty")]
    User,
    /// The host is empty or no host name, address or bracketed IPv6 reference.
    #[error("the host of the URI is malformed")]
    Host,
    /// The port is no number of 0–65535.
    #[error("the port of the URI is malformed")]
    Port,
    /// More than 65,535 bytes.
    #[error("the URI is too long")]
    Length,
}

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Any other; the URI is opaque.
    Other,
}

/// The host of a SIP URI or a Via.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host<'a> {
    /// An IPv4 address or an IPv6 address in brackets.
    Ip(IpAddr),
    /// A name, or a bracketed reference that is no valid address (RFC 5118 §4.10), as written.
    Name(&'a [u8]),
}

impl<'a> Host<'a> {
    /// Reads a host; `None` when the bytes are no host.
    pub(crate) fn read(raw: &'a [u8]) -> Option<Self> {
        if !Self::is_plausible(raw) {
            return None;
        }
        let text = std::str::from_utf8(raw).ok()?;
        let address = match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None if raw[0].is_ascii_digit() => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            None => None,
        };
        Some(address.map_or(Host::Name(raw), Host::Ip))
    }

    /// Whether the bytes are a name, an IPv4 address, or look like an IPv6 reference (RFC 5118 §4.10: those that the
    /// grammar of RFC 3261 allows by mistake count too).
    fn is_plausible(raw: &[u8]) -> bool {
        match raw {
            [b'[', inner @ .., b']'] => {
                inner.contains(&b':') && inner.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.' | b'%'))
            }
            _ => {
                let name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'%');
                !raw.is_empty() && raw.iter().all(name)
            }
        }
    }

    /// The address, when the host is one.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Host::Ip(ip) => Some(ip),
            Host::Name(_) => None,
        }
    }
}

/// Splits `host[:port]`, where the host may be a bracketed IPv6 reference, and checks both parts.
pub(crate) fn split_host_port(raw: &[u8]) -> Result<(&[u8], Option<u16>), UriError> {
    let host_end = match raw.first() {
        Some(b'[') => memchr::memchr(b']', raw).ok_or(UriError::Host)? + 1,
        _ => memchr::memchr(b':', raw).unwrap_or(raw.len()),
    };
    let (host, rest) = raw.split_at(host_end);
    if !Host::is_plausible(host) {
        return Err(UriError::Host);
    }
    let port = match rest.split_first() {
        None => None,
        Some((b':', digits)) => Some(decimal(digits).and_then(|n| u16::try_from(n).ok()).ok_or(UriError::Port)?),
        Some(_) => return Err(UriError::Host),
    };
    Ok((host, port))
}

/// Reads decimal digits; `None` for anything else, also for more than 64 bits.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |n, b| {
        if !b.is_ascii_digit() {
            return None;
        }
        n.checked_mul(10)?.checked_add(u64::from(b - b'0'))
    })
}

/// Where the parts of a URI lie in its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Parts {
    scheme: Scheme,
    /// The user (for `tel:` the number) from after the colon to here; equal to `user_start` when there is none.
    user: (u16, u16),
    password: (u16, u16),
    host: (u16, u16),
    params: (u16, u16),
    headers: (u16, u16),
    port: Option<u16>,
}

/// A URI, byte for byte as received or given. `==` compares bytes; [`Uri::equivalent`] compares by the SIP rules.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Uri {
    raw: Bytes,
    parts: Parts,
}

/// Checks that `raw` is a URI, without keeping anything.
pub(crate) fn check(raw: &[u8]) -> Result<(), UriError> {
    Parts::scan(raw).map(|_| ())
}

impl Parts {
    fn scan(raw: &[u8]) -> Result<Self, UriError> {
        if raw.len() > usize::from(u16::MAX) {
            return Err(UriError::Length);
        }
        // Looking at all bytes without stopping lets the compiler take many at a time.
        let forbidden = |b: u8| (b <= b' ') | (b == b'<') | (b == b'>') | (b == b'"') | (b == 0x7f);
        if raw.iter().fold(false, |found, b| found | forbidden(*b)) {
            return Err(UriError::Character);
        }
        let colon = memchr::memchr(b':', raw).ok_or(UriError::Scheme)?;
        let name = &raw[..colon];
        let valid = name.first().is_some_and(u8::is_ascii_alphabetic)
            && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        if !valid {
            return Err(UriError::Scheme);
        }
        let scheme = match name {
            n if n.eq_ignore_ascii_case(b"sip") => Scheme::Sip,
            n if n.eq_ignore_ascii_case(b"sips") => Scheme::Sips,
            n if n.eq_ignore_ascii_case(b"tel") => Scheme::Tel,
            _ => Scheme::Other,
        };
        match scheme {
            Scheme::Sip | Scheme::Sips => Self::scan_sip(raw, scheme, colon + 1),
            Scheme::Tel => Self::scan_tel(raw, colon + 1),
            Scheme::Other => Ok(Self::empty(Scheme::Other, raw.len())),
        }
    }

    fn empty(scheme: Scheme, end: usize) -> Self {
        let nothing = (end as u16, end as u16);
        Parts { scheme, user: nothing, password: nothing, host: nothing, params: nothing, headers: nothing, port: None }
    }

    fn scan_sip(raw: &[u8], scheme: Scheme, start: usize) -> Result<Self, UriError> {
        let span = |a: usize, b: usize| (a as u16, b as u16);
        let mut parts = Self::empty(scheme, raw.len());
        let mut host_start = start;
        // The user part may contain `;`, `?` and `:`-separated passwords, so the `@` is looked for first.
        if let Some(at) = memchr::memchr(b'@', &raw[start..]).map(|i| i + start) {
            let user_end = memchr::memchr(b':', &raw[start..at]).map_or(at, |i| i + start);
            if user_end == start {
                return Err(UriError::User);
            }
            parts.user = span(start, user_end);
            parts.password = if user_end < at { span(user_end + 1, at) } else { span(at, at) };
            host_start = at + 1;
        }
        let host_end = memchr::memchr2(b';', b'?', &raw[host_start..]).map_or(raw.len(), |i| i + host_start);
        let (host, port) = split_host_port(&raw[host_start..host_end])?;
        parts.host = span(host_start, host_start + host.len());
        parts.port = port;
        let params_end = memchr::memchr(b'?', &raw[host_end..]).map_or(raw.len(), |i| i + host_end);
        parts.params = span(host_end, params_end);
        parts.headers =
            if params_end < raw.len() { span(params_end + 1, raw.len()) } else { span(raw.len(), raw.len()) };
        Ok(parts)
    }

    fn scan_tel(raw: &[u8], start: usize) -> Result<Self, UriError> {
        let mut parts = Self::empty(Scheme::Tel, raw.len());
        let end = memchr::memchr(b';', &raw[start..]).map_or(raw.len(), |i| i + start);
        if end == start {
            return Err(UriError::User);
        }
        parts.user = (start as u16, end as u16);
        parts.params = (end as u16, raw.len() as u16);
        Ok(parts)
    }
}

impl Uri {
    /// Reads a URI. The bytes are kept (a slice of the message when they come from one).
    ///
    /// # Errors
    /// [`UriError`] says which part is malformed. Unknown schemes are not an error.
    pub fn parse(raw: impl Into<Bytes>) -> Result<Self, UriError> {
        let raw = raw.into();
        let parts = Parts::scan(&raw)?;
        Ok(Uri { raw, parts })
    }

    /// The same URI in memory of its own, so that it does not keep the whole message alive.
    pub fn detached(&self) -> Self {
        Uri { raw: Bytes::copy_from_slice(&self.raw), parts: self.parts }
    }

    /// The whole URI, sharing its memory.
    pub(crate) fn shared(&self) -> Bytes {
        self.raw.clone()
    }

    /// The whole URI.
    pub fn as_bytes(&self) -> &[u8] {
        &self.raw
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.parts.scheme
    }

    /// The scheme's name as written.
    pub fn scheme_name(&self) -> &[u8] {
        self.raw.split(|b| *b == b':').next().unwrap_or_default()
    }

    /// Whether this is a `sip:` or `sips:` URI.
    pub fn is_sip(&self) -> bool {
        matches!(self.parts.scheme, Scheme::Sip | Scheme::Sips)
    }

    fn part(&self, (start, end): (u16, u16)) -> &[u8] {
        &self.raw[usize::from(start)..usize::from(end)]
    }

    /// The user part (for `tel:` the number) as written; `None` when there is none.
    pub fn user_raw(&self) -> Option<&[u8]> {
        Some(self.part(self.parts.user)).filter(|u| !u.is_empty())
    }

    /// The user part with `%XX` resolved, once (RFC 3261 §19.1.2).
    pub fn user(&self) -> Option<Cow<'_, [u8]>> {
        self.user_raw().map(unescape)
    }

    /// The user part with `%XX` resolved, when that is UTF-8.
    pub fn user_text(&self) -> Option<Cow<'_, str>> {
        unescape_user(self.user_raw()?)
    }

    /// The password as written. RFC 3261 §19.1.1 advises against it; it is read so that it can be kept.
    pub fn password(&self) -> Option<&[u8]> {
        Some(self.part(self.parts.password)).filter(|p| !p.is_empty())
    }

    /// The host as written, with brackets; empty for URIs other than sip and sips.
    pub fn host_raw(&self) -> &[u8] {
        self.part(self.parts.host)
    }

    /// The host; `None` for URIs other than sip and sips.
    pub fn host(&self) -> Option<Host<'_>> {
        Host::read(self.host_raw())
    }

    /// The port, when it is written.
    pub fn port(&self) -> Option<u16> {
        self.parts.port
    }

    /// The parameters.
    pub fn params(&self) -> Params<'_> {
        Params::new(self.part(self.parts.params))
    }

    /// The value of parameter `name` (empty when it has none); `None` when it is absent.
    pub fn param(&self, name: &str) -> Option<&[u8]> {
        self.params().get(name)
    }

    /// Everything after the `?`, still escaped.
    pub fn headers_raw(&self) -> Option<&[u8]> {
        Some(self.part(self.parts.headers)).filter(|h| !h.is_empty())
    }

    /// The transport that the URI asks for: its `transport` parameter, TLS for `sips:`, else UDP; `None` for a
    /// transport that Carillon does not speak.
    pub fn transport(&self) -> Option<Transport> {
        match self.param("transport") {
            Some(name) => match (Transport::from_name(name)?, self.parts.scheme) {
                (Transport::Tcp | Transport::Udp, Scheme::Sips) => Some(Transport::Tls),
                (Transport::Ws, Scheme::Sips) => Some(Transport::Wss),
                (transport, _) => Some(transport),
            },
            None if self.parts.scheme == Scheme::Sips => Some(Transport::Tls),
            None => Some(Transport::Udp),
        }
    }

    /// The address that the URI names without any look-up: `maddr` or the host when it is an IP address, and the port
    /// or the transport's default.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        let ip = match self.param("maddr") {
            Some(maddr) => Host::read(maddr)?.ip()?,
            None => self.host()?.ip()?,
        };
        Some(SocketAddr::new(ip, self.port().unwrap_or(self.transport()?.default_port())))
    }

    /// Whether both URIs mean the same by RFC 3261 §19.1.4. Not an equivalence relation: it is not transitive.
    pub fn equivalent(&self, other: &Uri) -> bool {
        if self.raw == other.raw {
            return true;
        }
        if self.parts.scheme != other.parts.scheme {
            return false;
        }
        if !self.is_sip() {
            return self.raw.eq_ignore_ascii_case(&other.raw);
        }
        let same_user = match (self.user(), other.user()) {
            (Some(a), Some(b)) => a == b,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_user
            && self.password().map(unescape) == other.password().map(unescape)
            && unescape(self.host_raw()).eq_ignore_ascii_case(&unescape(other.host_raw()))
            && self.port() == other.port()
            && same_params(self.params(), other.params())
            && same_params(other.params(), self.params())
            && same_headers(self.headers_raw(), other.headers_raw())
    }
}

/// Parameters that must be in both URIs or in neither; others count only when both have them.
const MUST_MATCH: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

fn same_params(ours: Params<'_>, theirs: Params<'_>) -> bool {
    ours.iter().all(|(name, value)| match theirs.get_bytes(name) {
        Some(other) => unescape(value).eq_ignore_ascii_case(&unescape(other)),
        None => !MUST_MATCH.iter().any(|m| name.eq_ignore_ascii_case(m.as_bytes())),
    })
}

fn same_headers(ours: Option<&[u8]>, theirs: Option<&[u8]>) -> bool {
    let sorted = |raw: Option<&[u8]>| {
        let fields = raw.unwrap_or_default().split(|b| *b == b'&');
        let mut list: Vec<Vec<u8>> = fields.map(|h| unescape(h).to_ascii_lowercase()).collect();
        list.sort_unstable();
        list
    };
    ours == theirs || sorted(ours) == sorted(theirs)
}

/// Resolves `%XX` once; a `%` that is no escape stays as it is.
pub(crate) fn unescape(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.contains(&b'%') {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((first, tail)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| tail.get(..2)).flatten().and_then(|d| hex::decode(d).ok());
        match escaped.as_deref() {
            Some([byte]) => {
                out.push(*byte);
                rest = &tail[2..];
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    Cow::Owned(out)
}

/// The text that a user part means, its `%XX` resolved; `None` when that is no UTF-8.
pub fn unescape_user(raw: &[u8]) -> Option<Cow<'_, str>> {
    match unescape(raw) {
        Cow::Borrowed(b) => std::str::from_utf8(b).ok().map(Cow::Borrowed),
        Cow::Owned(b) => String::from_utf8(b).ok().map(Cow::Owned),
    }
}

/// Escapes `text` so that it can stand as the user part of a SIP URI (RFC 3261 §25.1 `user`). What needs no escape
/// stays byte for byte.
pub fn escape_user(text: &str) -> Cow<'_, str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&b);
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for b in text.bytes() {
        if plain(b) {
            out.push(char::from(b));
        } else {
            out.push('%');
            out.push_str(&hex::encode_upper([b]));
        }
    }
    Cow::Owned(out)
}

impl FromStr for Uri {
    type Err = UriError;
    fn from_str(text: &str) -> Result<Self, UriError> {
        Uri::parse(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.raw))
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uri({self})")
    }
}

#[cfg(test)]
#[path = "uri_tests.rs"]
mod tests;
