//! Reading and writing messages.
//!
//! The reader keeps the bytes as they came and notes where things are; typed values are made on demand and share the
//! message's memory. What it demands of every message: a start line, CRLF line ends, well-formed field names, exactly
//! one readable From, To, Call-ID and CSeq, a readable top Via, and a Content-Length that fits. Everything else is
//! checked by [`crate::check`] or when it is used, because a peer's odd header must not cost a call (RFC 4475).

mod builder;
mod edit;
mod error;
mod header;
mod headers;
mod method;
mod name_addr;
mod params;
mod parse;
mod peek;
pub(crate) mod scan;
mod via;

pub use builder::{BuiltResponse, RequestBuilder, ResponseBuilder};
pub use error::{ParseError, ParseErrorKind};
pub use header::Header;
pub use headers::Headers;
pub use method::Method;
pub use name_addr::{AddressError, Contact, NameAddr};
pub use params::Params;
pub use peek::{peek_call_id, peek_is_initial_invite};
pub use via::Via;

pub(crate) use edit::Edit;
pub(crate) use via::COOKIE;

use crate::status::StatusCode;
use crate::uri::Uri;
use bytes::Bytes;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::ops::Deref;

/// The longest message that is read, in bytes.
pub const MAX_MESSAGE: usize = 65_535;
/// The most header fields that a message may have.
pub const MAX_HEADERS: usize = 256;

/// A SIP message.
#[derive(Clone, Debug)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Message {
    /// Reads one message: a datagram, or a message that [`crate::stream::Framer`] cut out of a stream. Bytes after
    /// Content-Length are ignored (RFC 3261 §18.3); the body of a message without Content-Length is the rest.
    ///
    /// # Errors
    /// [`ParseError`] says what is wrong and, for requests, what to answer ([`ParseError::rejection`]); malformed
    /// responses are to be dropped.
    pub fn parse(bytes: Bytes) -> Result<Self, ParseError> {
        parse::message(bytes)
    }

    /// The header fields, whichever kind of message this is.
    pub fn headers(&self) -> &Headers {
        match self {
            Message::Request(request) => request,
            Message::Response(response) => response,
        }
    }
}

/// A request; its header fields are reached through [`Headers`].
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    uri: Uri,
    headers: Headers,
    source: Option<SocketAddr>,
}

impl Request {
    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The Request-URI.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Notes the address that the request came from; answers name it in the top Via (RFC 3261 §18.2.1, RFC 3581).
    /// [`crate::endpoint::Endpoint`] does this for every request that it hands out.
    pub fn set_source(&mut self, source: SocketAddr) {
        self.source = Some(source);
    }

    /// The address that the request came from, when noted.
    pub fn source(&self) -> Option<SocketAddr> {
        self.source
    }

    /// Whether the request belongs to no dialog: its To has no tag.
    pub fn is_out_of_dialog(&self) -> bool {
        self.to_tag().is_none()
    }
}

impl Deref for Request {
    type Target = Headers;
    fn deref(&self) -> &Headers {
        &self.headers
    }
}

/// A response; its header fields are reached through [`Headers`].
#[derive(Clone, Debug)]
pub struct Response {
    status: StatusCode,
    reason: scan::Span,
    headers: Headers,
}

impl Response {
    /// The status code.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason phrase, invalid UTF-8 replaced; may be empty.
    pub fn reason_phrase(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.reason.get(self.headers.as_bytes()))
    }
}

impl Deref for Response {
    type Target = Headers;
    fn deref(&self) -> &Headers {
        &self.headers
    }
}
