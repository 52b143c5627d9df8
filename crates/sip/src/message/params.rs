//! Parameters after a semicolon, of headers and URIs.

use super::scan::{is_lws, is_token, quoted_end, trim, trim_start};

/// A view of `;name=value;flag` parameters. Names compare without case; values are given without quotes.
#[derive(Clone, Copy, Debug)]
pub struct Params<'a> {
    raw: &'a [u8],
}

impl<'a> Params<'a> {
    pub(crate) const fn new(raw: &'a [u8]) -> Self {
        Params { raw }
    }

    /// The bytes as written, with the first semicolon; empty when there are no parameters.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.raw
    }

    /// All parameters in order; a flag has an empty value. Reading stops at the first malformed one.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut rest = self.raw;
        std::iter::from_fn(move || {
            let (param, tail) = next(rest)?.ok()?;
            rest = tail;
            Some((param.name, unquoted(param.value)))
        })
    }

    /// The value of parameter `name`, empty for a flag; `None` when it is absent.
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        self.get_bytes(name.as_bytes())
    }

    pub(crate) fn get_bytes(self, name: &[u8]) -> Option<&'a [u8]> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The bytes of all parameters but `name`, each as written from its semicolon on.
    pub(crate) fn without(self, name: &str) -> Vec<u8> {
        let (mut rest, mut kept) = (self.raw, Vec::with_capacity(self.raw.len()));
        while let Some(Ok((param, tail))) = next(rest) {
            if !param.name.eq_ignore_ascii_case(name.as_bytes()) {
                kept.extend_from_slice(trim(&rest[..rest.len() - tail.len()]));
            }
            rest = tail;
        }
        kept
    }

    /// Whether every parameter is well formed (RFC 3261 §25.1 `generic-param`), with nothing left over.
    pub(crate) fn are_valid(self) -> bool {
        let mut rest = self.raw;
        loop {
            match next(rest) {
                None => return true,
                Some(Ok((_, tail))) => rest = tail,
                Some(Err(Malformed)) => return false,
            }
        }
    }
}

/// One parameter as written.
struct Param<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

struct Malformed;

/// Reads the parameter that starts with the next semicolon; `None` at the end.
fn next(raw: &[u8]) -> Option<Result<(Param<'_>, &[u8]), Malformed>> {
    let raw = trim_start(raw);
    let (first, rest) = raw.split_first()?;
    if *first != b';' {
        return Some(Err(Malformed));
    }
    let rest = trim_start(rest);
    let name_end = rest.iter().position(|b| matches!(b, b';' | b'=') || is_lws(*b)).unwrap_or(rest.len());
    let (name, tail) = rest.split_at(name_end);
    if name.is_empty() || !name.iter().all(|b| is_token(*b) || matches!(b, b'[' | b']' | b'/' | b':' | b'&' | b'$')) {
        return Some(Err(Malformed));
    }
    match trim_start(tail).split_first() {
        Some((b'=', value)) => Some(value_of(name, trim_start(value))),
        _ => Some(Ok((Param { name, value: b"" }, tail))),
    }
}

fn value_of<'a>(name: &'a [u8], raw: &'a [u8]) -> Result<(Param<'a>, &'a [u8]), Malformed> {
    let end = match raw.first() {
        Some(b'"') => quoted_end(raw).ok_or(Malformed)?,
        _ => memchr::memchr(b';', raw).unwrap_or(raw.len()),
    };
    let (value, tail) = raw.split_at(end);
    let value = trim(value);
    let plain = |b: u8| !(is_lws(b) | (b == b'"') | (b == b'<') | (b == b'>') | (b == b','));
    let plain = !value.is_empty() && value.iter().fold(true, |all, b| all & plain(*b));
    if plain || value.starts_with(b"\"") { Ok((Param { name, value }, tail)) } else { Err(Malformed) }
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::Params;

    #[test]
    fn white_space_quotes_and_flags() {
        let p = Params::new(b" ; newparam =\r\n newvalue ;flag; q = 0.33;x=\"a;b\"");
        assert!(p.are_valid());
        assert_eq!(p.get("NewParam"), Some(&b"newvalue"[..]));
        assert_eq!(p.get("flag"), Some(&b""[..]));
        assert_eq!(p.get("q"), Some(&b"0.33"[..]));
        assert_eq!(p.get("x"), Some(&b"a;b"[..]));
        assert_eq!(p.get("y"), None);
    }

    #[test]
    fn malformed_parameters_are_found() {
        for raw in [&b";;"[..], b";", b";a=", b";a=b c", b"a=b", b";a=\"x", b";=b", b";,;"] {
            assert!(!Params::new(raw).are_valid(), "{}", String::from_utf8_lossy(raw));
        }
    }
}
