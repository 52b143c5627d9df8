//! `name-addr` and `addr-spec` with parameters: From, To, Contact, Route and their kin (RFC 3261 §20.10).

use super::params::Params;
use super::scan::{Span, quoted_end, trim, trim_start};
use crate::uri::{self, Uri, UriError, decimal};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;

/// Why an address cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A quoted display name or a bracket does not end, or something stands between name and address.
    #[error("the display name or the brackets of the address are malformed")]
    Structure,
    /// The URI is malformed.
    #[error("{0}")]
    Uri(#[from] UriError),
    /// A parameter after the address is malformed.
    #[error("a parameter of the address is malformed")]
    Parameter,
}

/// Where the parts of an address lie in the bytes that were scanned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddressSpans {
    display: Span,
    pub(crate) uri: Span,
    pub(crate) params: Span,
}

/// Splits an address into its parts and checks all of them; nothing is kept.
pub(crate) fn scan(raw: &[u8]) -> Result<AddressSpans, AddressError> {
    let value = trim_start(raw);
    let (display, rest, bracketed) = if value.first() == Some(&b'"') {
        let end = quoted_end(value).ok_or(AddressError::Structure)?;
        let rest = trim_start(&value[end..]);
        (&value[..end], rest.strip_prefix(b"<").ok_or(AddressError::Structure)?, true)
    } else {
        match memchr::memchr2(b'<', b';', value) {
            Some(at) if value[at] == b'<' => (trim(&value[..at]), &value[at + 1..], true),
            _ => (&value[..0], value, false),
        }
    };
    if !display.starts_with(b"\"") && display.iter().any(|b| matches!(b, b',' | b'"' | b':' | b'>')) {
        return Err(AddressError::Structure);
    }
    let (uri, params) = if bracketed {
        let end = memchr::memchr(b'>', rest).ok_or(AddressError::Structure)?;
        (&rest[..end], &rest[end + 1..])
    } else {
        let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
        (trim(&rest[..end]), &rest[end..])
    };
    uri::check(uri)?;
    // RFC 3261 §20: a URI with a question mark or a comma has to stand in brackets.
    if !bracketed && uri.iter().any(|b| matches!(b, b'?' | b',')) {
        return Err(AddressError::Structure);
    }
    if !Params::new(params).are_valid() {
        return Err(AddressError::Parameter);
    }
    let span = |part: &[u8]| if part.is_empty() { Span::default() } else { Span::of(raw, part) };
    Ok(AddressSpans { display: span(display), uri: span(uri), params: span(params) })
}

/// An address with its display name and header parameters; the bytes are slices of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    display: Bytes,
    uri: Uri,
    params: Bytes,
}

impl NameAddr {
    /// Reads a header value such as `"Alice" <sip:alice@example.com>;tag=1`.
    ///
    /// # Errors
    /// [`AddressError`] when quotes, brackets, the URI or a parameter are malformed.
    pub fn parse(raw: impl Into<Bytes>) -> Result<Self, AddressError> {
        let raw = raw.into();
        let spans = scan(&raw)?;
        let part = |span: Span| raw.slice(usize::from(span.start)..usize::from(span.end));
        Ok(NameAddr { display: part(spans.display), uri: Uri::parse(part(spans.uri))?, params: part(spans.params) })
    }

    /// The URI.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The display name without quotes and escapes, invalid UTF-8 replaced; `None` when there is none.
    pub fn display_name(&self) -> Option<Cow<'_, str>> {
        if self.display.is_empty() {
            return None;
        }
        let Some(inner) = self.display.strip_prefix(b"\"").and_then(|d| d.strip_suffix(b"\"")) else {
            return Some(String::from_utf8_lossy(&self.display));
        };
        if !inner.contains(&b'\\') {
            return Some(String::from_utf8_lossy(inner));
        }
        let mut plain = Vec::with_capacity(inner.len());
        let mut bytes = inner.iter();
        while let Some(b) = bytes.next() {
            plain.extend(if *b == b'\\' { bytes.next() } else { Some(b) });
        }
        Some(Cow::Owned(String::from_utf8_lossy(&plain).into_owned()))
    }

    /// The header parameters (not those of the URI).
    pub fn params(&self) -> Params<'_> {
        Params::new(&self.params)
    }

    /// The `tag` parameter of a From or To.
    pub fn tag(&self) -> Option<&[u8]> {
        self.params().get("tag").filter(|t| !t.is_empty())
    }

    /// The `expires` parameter of a Contact in seconds; a value beyond 32 bits is the largest, an unreadable one 3600
    /// (RFC 3261 §10.3 step 6).
    pub fn expires(&self) -> Option<u32> {
        let raw = self.params().get("expires")?;
        Some(lenient_seconds(raw))
    }

    /// The `q` parameter of a Contact in thousandths, 0–1000; 1000 when absent or malformed.
    pub fn q(&self) -> u16 {
        self.params().get("q").and_then(thousandths).unwrap_or(1000)
    }
}

/// Reads seconds: digits beyond 32 bits are the largest value, anything else is an hour.
pub(crate) fn lenient_seconds(raw: &[u8]) -> u32 {
    let raw = trim(raw);
    match decimal(raw) {
        Some(n) => u32::try_from(n).unwrap_or(u32::MAX),
        None if !raw.is_empty() && raw.iter().all(u8::is_ascii_digit) => u32::MAX,
        None => 3600,
    }
}

fn thousandths(raw: &[u8]) -> Option<u16> {
    let (whole, fraction) = match raw.iter().position(|b| *b == b'.') {
        Some(dot) => (&raw[..dot], &raw[dot + 1..]),
        None => (raw, &b""[..]),
    };
    if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut n = decimal(whole)? * 1000;
    for (digit, weight) in fraction.iter().zip([100, 10, 1]) {
        n += u64::from(digit - b'0') * weight;
    }
    u16::try_from(n).ok().filter(|n| *n <= 1000)
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.display.is_empty() {
            write!(f, "{} ", String::from_utf8_lossy(&self.display))?;
        }
        write!(f, "<{}>{}", self.uri, String::from_utf8_lossy(&self.params))
    }
}

/// One value of a Contact header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// `*`: all bindings (only in REGISTER, RFC 3261 §10.2.2).
    All,
    /// An address with `q`, `expires` and others.
    Address(NameAddr),
}

#[cfg(test)]
mod tests {
    use super::{AddressError, NameAddr};
    use bytes::Bytes;

    fn read(text: &'static str) -> Result<NameAddr, AddressError> {
        NameAddr::parse(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn forms_of_an_address() {
        let a = read("\"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8").unwrap();
        assert_eq!(a.display_name().unwrap(), "J Rosenberg \\\"");
        assert_eq!(a.tag(), Some(&b"98asjd8"[..]));
        let b = read("caller<sip:caller@example.com>;tag=323").unwrap();
        assert_eq!(b.display_name().unwrap(), "caller");
        let c = read("sip:+16505552222@ss1.example.net;user=phone").unwrap();
        assert_eq!(c.uri().params().as_bytes(), b"");
        assert_eq!(c.params().get("user"), Some(&b"phone"[..]));
        let d = read("<sip:x@[::1];lr>;+sip.instance=\"<urn:uuid:1>\";q=0.5;expires=99999999999").unwrap();
        assert_eq!((d.q(), d.expires()), (500, Some(u32::MAX)));
        assert_eq!(d.params().get("+sip.instance"), Some(&b"<urn:uuid:1>"[..]));
    }

    #[test]
    fn malformed_addresses() {
        assert_eq!(read("Bell, Alexander <sip:a@b>"), Err(AddressError::Structure));
        assert_eq!(read("\"Mr. J. User <sip:j.user@example.com>"), Err(AddressError::Structure));
        assert_eq!(read("sip:user@example.com?Route=%3Csip:s%3E"), Err(AddressError::Structure));
        assert_eq!(read("\"Joe\" <sip:joe@example.org>;;;;"), Err(AddressError::Parameter));
        assert!(matches!(read("\"W\" < sip:t.watson@example.org >"), Err(AddressError::Uri(_))));
    }
}
