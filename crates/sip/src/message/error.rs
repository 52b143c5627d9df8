//! What is wrong with a message, and what a malformed request deserves.

use super::builder::copy_value;
use super::header::Header;
use super::scan::{Field, trim};
use super::via::{self, Via};
use crate::flow::Flow;
use crate::status::StatusCode;
use crate::uri::UriError;
use bytes::Bytes;
use std::fmt;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseErrorKind {
    /// Longer than [`super::MAX_MESSAGE`].
    #[error("message too long")]
    TooLong,
    /// No empty line after the header fields.
    #[error("message ends before its body")]
    Truncated,
    /// A CR or LF that is not part of a CRLF.
    #[error("lone CR or LF")]
    LineEnd,
    /// Neither a request line nor a status line.
    #[error("malformed start line")]
    StartLine,
    /// A version other than SIP/2.0.
    #[error("unknown SIP version")]
    Version,
    /// A status code outside 100–699.
    #[error("status code out of range")]
    StatusCode,
    /// The Request-URI is malformed.
    #[error("malformed Request-URI: {0}")]
    RequestUri(UriError),
    /// A line that is no header field.
    #[error("malformed header field")]
    HeaderName,
    /// More than [`super::MAX_HEADERS`] fields.
    #[error("too many header fields")]
    TooManyHeaders,
    /// A mandatory header is absent.
    #[error("missing {}", .0.name())]
    Missing(Header),
    /// A header that may stand once stands twice.
    #[error("repeated {}", .0.name())]
    Repeated(Header),
    /// A mandatory header is malformed.
    #[error("malformed {}", .0.name())]
    Malformed(Header),
    /// Content-Length is no number, stands twice, or is more than there is.
    #[error("bad Content-Length")]
    ContentLength,
}

/// As much of a malformed request as could be read.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) bytes: Bytes,
    pub(super) fields: Vec<Field>,
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Draft({} bytes, {} fields)", self.bytes.len(), self.fields.len())
    }
}

/// A message that cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind}")]
pub struct ParseError {
    kind: ParseErrorKind,
    draft: Option<Box<Draft>>,
}

impl ParseError {
    pub(super) fn without_answer(kind: ParseErrorKind) -> Self {
        ParseError { kind, draft: None }
    }

    pub(super) fn with_answer(kind: ParseErrorKind, draft: Draft) -> Self {
        ParseError { kind, draft: Some(Box::new(draft)) }
    }

    /// What is wrong.
    pub fn kind(&self) -> ParseErrorKind {
        self.kind
    }

    /// The status that the sender of a malformed request gets.
    pub fn status(&self) -> StatusCode {
        match self.kind {
            ParseErrorKind::Version => StatusCode::VERSION_NOT_SUPPORTED,
            ParseErrorKind::TooLong | ParseErrorKind::TooManyHeaders => StatusCode::MESSAGE_TOO_LARGE,
            ParseErrorKind::Truncated
            | ParseErrorKind::LineEnd
            | ParseErrorKind::StartLine
            | ParseErrorKind::StatusCode
            | ParseErrorKind::RequestUri(_)
            | ParseErrorKind::HeaderName
            | ParseErrorKind::Missing(_)
            | ParseErrorKind::Repeated(_)
            | ParseErrorKind::Malformed(_)
            | ParseErrorKind::ContentLength => StatusCode::BAD_REQUEST,
        }
    }

    /// The stateless answer to a malformed request that came over `flow`, and the flow on which to send it. `None`
    /// for responses, ACKs, and requests that name no Via to answer to.
    pub fn rejection(&self, flow: &Flow) -> Option<(Flow, Bytes)> {
        let draft = self.draft.as_ref()?;
        if draft.bytes.starts_with(b"ACK ") {
            return None;
        }
        let mut vias = draft.values(Header::Via);
        let top_line = vias.next()?;
        let mut elements = via::elements(top_line);
        let top = elements.next()?;
        let readable = Via::read(top);
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(format!("SIP/2.0 {} {}", self.status(), self.kind).as_bytes());
        out.extend_from_slice(b"\r\nVia: ");
        match &readable {
            Some(via) => via.write_received(flow.remote, &mut out),
            None => copy_value(top, &mut out),
        }
        for below in elements.chain(vias) {
            out.extend_from_slice(b"\r\nVia: ");
            copy_value(below, &mut out);
        }
        for header in [Header::From, Header::To, Header::CallId, Header::CSeq] {
            if let Some(value) = draft.values(header).next() {
                out.extend_from_slice(format!("\r\n{}: ", header.name()).as_bytes());
                copy_value(value, &mut out);
                if header == Header::To && !value.windows(4).any(|w| w.eq_ignore_ascii_case(b"tag=")) {
                    out.extend_from_slice(b";tag=malformed");
                }
            }
        }
        out.extend_from_slice(b"\r\nContent-Length: 0\r\n\r\n");
        Some((readable.map_or(*flow, |via| via.response_flow(flow)), out.into()))
    }
}

impl Draft {
    fn values(&self, header: Header) -> impl Iterator<Item = &[u8]> {
        self.fields
            .iter()
            .filter(move |f| f.header == Some(header))
            .map(|f| trim(f.value.get(&self.bytes)))
            .filter(|v| !v.is_empty())
    }
}
