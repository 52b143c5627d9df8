//! The lexer: lines, fields, and spans of a message. Nothing here allocates per header.

use super::header::Header;
use super::{MAX_HEADERS, MAX_MESSAGE, ParseErrorKind};

/// A range of bytes in a message of at most 65,535 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u16,
    pub(crate) end: u16,
}

impl Span {
    /// The range `start..end`; a message is never longer than [`MAX_MESSAGE`], so both fit.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end <= MAX_MESSAGE);
        Span { start: start as u16, end: end as u16 }
    }

    /// Where `part`, a slice of `whole`, lies in it.
    pub(crate) fn of(whole: &[u8], part: &[u8]) -> Self {
        let start = part.as_ptr() as usize - whole.as_ptr() as usize;
        Span::new(start, start + part.len())
    }

    pub(crate) fn get(self, whole: &[u8]) -> &[u8] {
        &whole[usize::from(self.start)..usize::from(self.end)]
    }
}

/// One header field: its name, when known, and where name and value lie. Values may contain folds (CRLF and space).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) header: Option<Header>,
    pub(crate) name: Span,
    pub(crate) value: Span,
}

/// Whether `b` may stand in a token (RFC 3261 §25.1).
pub(crate) const fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

/// Whether `b` is linear white space; line ends inside a value are folds.
pub(crate) const fn is_lws(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

/// `raw` without white space at both ends.
pub(crate) fn trim(mut raw: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = raw
        && is_lws(*first)
    {
        raw = rest;
    }
    while let [rest @ .., last] = raw
        && is_lws(*last)
    {
        raw = rest;
    }
    raw
}

/// `raw` without white space at its start.
pub(crate) fn trim_start(mut raw: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = raw
        && is_lws(*first)
    {
        raw = rest;
    }
    raw
}

/// The end of the line that starts at `from`: the position of its CRLF.
pub(crate) fn line_end(bytes: &[u8], from: usize) -> Result<usize, ParseErrorKind> {
    let end = memchr::memchr2(b'\r', b'\n', &bytes[from..]).ok_or(ParseErrorKind::Truncated)? + from;
    match (bytes[end], bytes.get(end + 1)) {
        (b'\r', Some(b'\n')) => Ok(end),
        (b'\r', None) => Err(ParseErrorKind::Truncated),
        _ => Err(ParseErrorKind::LineEnd),
    }
}

/// Reads the header fields that start at `at` into `fields`; gives the position of the body. What could be read stays
/// in `fields` also on an error, so that a 400 can be addressed.
pub(crate) fn fields(bytes: &[u8], mut at: usize, fields: &mut Vec<Field>) -> Result<usize, ParseErrorKind> {
    let mut broken = None;
    loop {
        let mut end = line_end(bytes, at)?;
        if end == at {
            return broken.map_or(Ok(end + 2), Err);
        }
        while matches!(bytes.get(end + 2), Some(b' ' | b'\t')) {
            end = line_end(bytes, end + 2)?;
        }
        match field(bytes, at, end) {
            Some(_) if fields.len() >= MAX_HEADERS => return Err(ParseErrorKind::TooManyHeaders),
            Some(field) => fields.push(field),
            None => broken = Some(ParseErrorKind::HeaderName),
        }
        at = end + 2;
    }
}

fn field(bytes: &[u8], start: usize, end: usize) -> Option<Field> {
    let colon = memchr::memchr(b':', &bytes[start..end])? + start;
    let name = trim(&bytes[start..colon]);
    let header = Header::from_name(name);
    let valid = header.is_some() || (!name.is_empty() && name.iter().all(|b| is_token(*b)));
    if !valid || is_lws(bytes[start]) {
        return None;
    }
    let value = trim(&bytes[colon + 1..end]);
    let value = if value.is_empty() { Span::new(end, end) } else { Span::of(bytes, value) };
    Some(Field { header, name: Span::of(bytes, name), value })
}

/// The position after the quoted string that starts at `raw[0]`, a quote; `None` when it does not end.
pub(crate) fn quoted_end(raw: &[u8]) -> Option<usize> {
    let mut at = 1;
    while let Some(b) = raw.get(at) {
        match b {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// The elements of a comma-separated list; commas inside quotes and angle brackets do not separate. Empty elements
/// are left out (RFC 3261 §7.3.1 allows none; tolerating them loses nothing).
pub(crate) fn split_list(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(raw);
    std::iter::from_fn(move || {
        loop {
            let now = rest?;
            let end = element_end(now);
            rest = now.get(end + 1..);
            let element = trim(&now[..end]);
            if !element.is_empty() {
                return Some(element);
            }
        }
    })
}

fn element_end(raw: &[u8]) -> usize {
    let (mut at, mut bracket) = (0, false);
    while let Some(b) = raw.get(at) {
        match b {
            b'"' if !bracket => match quoted_end(&raw[at..]) {
                Some(end) => at += end - 1,
                None => return raw.len(),
            },
            b'<' => bracket = true,
            b'>' => bracket = false,
            b',' if !bracket => return at,
            _ => {}
        }
        at += 1;
    }
    raw.len()
}
