//! The reader of whole messages.

use super::error::{Draft, ParseError, ParseErrorKind as Kind};
use super::header::Header;
use super::headers::{Core, Headers};
use super::scan::{self, Field, Span, is_lws, is_token, trim, trim_start};
use super::{MAX_MESSAGE, Message, Method, Request, Response, name_addr, via};
use crate::status::StatusCode;
use crate::uri::{Uri, decimal};
use bytes::Bytes;

const VERSION: &[u8] = b"SIP/2.0";

/// What the start line says; spans into the message.
enum Start {
    Request { method: Span, uri: Span },
    Response { status: StatusCode, reason: Span },
}

pub(super) fn message(bytes: Bytes) -> Result<Message, ParseError> {
    if bytes.len() > MAX_MESSAGE {
        return Err(ParseError::without_answer(Kind::TooLong));
    }
    let line_end = scan::line_end(&bytes, 0).map_err(ParseError::without_answer)?;
    let start = start_line(&bytes[..line_end]);
    let mut fields = Vec::with_capacity(16);
    let body = scan::fields(&bytes, line_end + 2, &mut fields);
    let is_request = !bytes.starts_with(b"SIP/");
    // The first fault of the message decides the answer; the start line comes first.
    let read = start.and_then(|start| {
        let body = body_span(&bytes, &fields, body?)?;
        Ok((start, body, core(&bytes, &fields)?))
    });
    let (start, body, core) = match read {
        Ok(read) => read,
        Err(kind) if is_request => return Err(ParseError::with_answer(kind, Draft { bytes, fields })),
        Err(kind) => return Err(ParseError::without_answer(kind)),
    };
    match start {
        Start::Response { status, reason } => {
            let headers = Headers { bytes, fields, body, core };
            Ok(Message::Response(Response { status, reason, headers }))
        }
        Start::Request { method, uri } => {
            let method = Method::of(&bytes, method.get(&bytes));
            match Uri::parse(bytes.slice_ref(uri.get(&bytes))) {
                Ok(uri) => {
                    let headers = Headers { bytes, fields, body, core };
                    Ok(Message::Request(Request { method, uri, headers, source: None }))
                }
                Err(error) => Err(ParseError::with_answer(Kind::RequestUri(error), Draft { bytes, fields })),
            }
        }
    }
}

fn start_line(line: &[u8]) -> Result<Start, Kind> {
    if line.starts_with(b"SIP/") {
        return status_line(line);
    }
    // RFC 3261 §7.1: exactly one space between the three parts, none at the end.
    let mut parts = line.split(|b| *b == b' ');
    let (Some(method), Some(uri), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Kind::StartLine);
    };
    if method.is_empty() || !method.iter().all(|b| is_token(*b)) || uri.is_empty() {
        return Err(Kind::StartLine);
    }
    version_is_ours(version)?;
    Ok(Start::Request { method: Span::of(line, method), uri: Span::of(line, uri) })
}

fn version_is_ours(version: &[u8]) -> Result<(), Kind> {
    if version.eq_ignore_ascii_case(VERSION) {
        return Ok(());
    }
    let foreign = version.get(..4).is_some_and(|v| v.eq_ignore_ascii_case(b"SIP/"))
        && version[4..].iter().all(|b| b.is_ascii_digit() || *b == b'.');
    Err(if foreign { Kind::Version } else { Kind::StartLine })
}

fn status_line(line: &[u8]) -> Result<Start, Kind> {
    let space = memchr::memchr(b' ', line).ok_or(Kind::StartLine)?;
    version_is_ours(&line[..space])?;
    let code = line.get(space + 1..space + 4).and_then(decimal).ok_or(Kind::StartLine)?;
    let rest = &line[space + 4..];
    // The space after the code is mandatory; its absence with an empty reason is common and harmless.
    if !rest.is_empty() && rest[0] != b' ' {
        return Err(Kind::StartLine);
    }
    let status = u16::try_from(code).ok().and_then(StatusCode::new).ok_or(Kind::StatusCode)?;
    Ok(Start::Response { status, reason: Span::new((space + 5).min(line.len()), line.len()) })
}

/// The body by Content-Length; without one, all that is left (RFC 3261 §18.3).
fn body_span(bytes: &[u8], fields: &[Field], start: usize) -> Result<Span, Kind> {
    let mut lengths = fields.iter().filter(|f| f.header == Some(Header::ContentLength));
    let Some(length) = lengths.next() else { return Ok(Span::new(start, bytes.len())) };
    if lengths.next().is_some() {
        return Err(Kind::ContentLength);
    }
    let length = decimal(length.value.get(bytes)).and_then(|n| usize::try_from(n).ok()).ok_or(Kind::ContentLength)?;
    let end = start.checked_add(length).filter(|end| *end <= bytes.len()).ok_or(Kind::ContentLength)?;
    Ok(Span::new(start, end))
}

/// Finds and checks the headers that every message must have.
fn core(bytes: &[u8], fields: &[Field]) -> Result<Core, Kind> {
    let mut core = Core::default();
    let (mut via, mut from, mut to, mut call_id, mut cseq, mut max_forwards) =
        (false, false, false, false, false, false);
    for field in fields {
        let value = field.value.get(bytes);
        match field.header {
            Some(Header::Via) if !via => {
                via = true;
                core.via = top_via(bytes, value)?;
            }
            Some(Header::From) => {
                once(&mut from, Header::From)?;
                (core.from, core.from_tag) = address(bytes, value, Header::From)?;
            }
            Some(Header::To) => {
                once(&mut to, Header::To)?;
                (core.to, core.to_tag) = address(bytes, value, Header::To)?;
            }
            Some(Header::CallId) => {
                once(&mut call_id, Header::CallId)?;
                if value.is_empty() || value.iter().any(|b| is_lws(*b)) {
                    return Err(Kind::Malformed(Header::CallId));
                }
                core.call_id = field.value;
            }
            Some(Header::CSeq) => {
                once(&mut cseq, Header::CSeq)?;
                (core.cseq, core.cseq_method) = sequence(bytes, value)?;
            }
            Some(Header::MaxForwards) => once(&mut max_forwards, Header::MaxForwards)?,
            _ => {}
        }
    }
    for (present, header) in
        [(via, Header::Via), (from, Header::From), (to, Header::To), (call_id, Header::CallId), (cseq, Header::CSeq)]
    {
        if !present {
            return Err(Kind::Missing(header));
        }
    }
    Ok(core)
}

fn once(seen: &mut bool, header: Header) -> Result<(), Kind> {
    if std::mem::replace(seen, true) { Err(Kind::Repeated(header)) } else { Ok(()) }
}

fn top_via(bytes: &[u8], value: &[u8]) -> Result<Span, Kind> {
    let top = via::elements(value).next().ok_or(Kind::Malformed(Header::Via))?;
    via::Via::read(top).ok_or(Kind::Malformed(Header::Via))?;
    Ok(Span::of(bytes, top))
}

fn address(bytes: &[u8], value: &[u8], header: Header) -> Result<(Span, Span), Kind> {
    let spans = name_addr::scan(value).map_err(|_| Kind::Malformed(header))?;
    let tag = super::Params::new(spans.params.get(value)).get("tag").unwrap_or_default();
    let tag = if tag.is_empty() { Span::default() } else { Span::of(bytes, tag) };
    Ok((Span::of(bytes, value), tag))
}

/// `number LWS method`; the number must be below 2^31 (RFC 3261 §8.1.1.5).
fn sequence(bytes: &[u8], value: &[u8]) -> Result<(u32, Span), Kind> {
    let malformed = Kind::Malformed(Header::CSeq);
    let digits = value.iter().position(|b| is_lws(*b)).ok_or(malformed)?;
    let method = trim(trim_start(&value[digits..]));
    let number = decimal(&value[..digits]).and_then(|n| u32::try_from(n).ok()).filter(|n| *n < 1 << 31);
    if method.is_empty() || !method.iter().all(|b| is_token(*b)) {
        return Err(malformed);
    }
    Ok((number.ok_or(malformed)?, Span::of(bytes, method)))
}
