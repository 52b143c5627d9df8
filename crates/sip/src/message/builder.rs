//! Writing messages. No value that is written can end its line: CR and LF become spaces, so nothing that a peer sent
//! (or a configuration holds) can add a header.

use super::Request;
use super::header::Header;
use super::method::Method;
use super::scan::is_token;
use crate::check::Rejection;
use crate::status::StatusCode;
use crate::uri::Uri;
use bytes::Bytes;

/// Appends a header value; line ends become spaces.
pub(crate) fn copy_value(value: &[u8], out: &mut Vec<u8>) {
    if memchr::memchr2(b'\r', b'\n', value).is_none() {
        out.extend_from_slice(value);
    } else {
        out.extend(value.iter().map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { *b }));
    }
}

pub(super) fn field(out: &mut Vec<u8>, header: Header, value: &[u8]) {
    out.extend_from_slice(header.name().as_bytes());
    out.extend_from_slice(b": ");
    copy_value(value, out);
    out.extend_from_slice(b"\r\n");
}

fn custom_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend(name.bytes().map(|b| if is_token(b) { b } else { b'-' }));
    out.extend_from_slice(b": ");
    copy_value(value, out);
    out.extend_from_slice(b"\r\n");
}

fn decimal(out: &mut Vec<u8>, number: u32) {
    let mut digits = [0u8; 10];
    let (mut at, mut rest) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

/// The end of a message: the body's type and length, the empty line, the body.
fn finish(mut out: Vec<u8>, body: &Option<(String, Bytes)>) -> Bytes {
    let content = body.as_ref().map_or(&[][..], |(_, content)| content);
    if let Some((content_type, _)) = body {
        field(&mut out, Header::ContentType, content_type.as_bytes());
    }
    out.extend_from_slice(b"Content-Length: ");
    decimal(&mut out, content.len() as u32);
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(content);
    out.into()
}

/// Builds a request. Via is written by [`crate::endpoint::Endpoint`], which owns the branch.
#[derive(Clone, Debug)]
pub struct RequestBuilder {
    method: Method,
    uri: Bytes,
    cseq: u32,
    fields: Vec<u8>,
    body: Option<(String, Bytes)>,
}

impl RequestBuilder {
    /// A request with `Max-Forwards: 70` and nothing else. From (with tag), To, Call-ID and CSeq are the caller's duty.
    pub fn new(method: Method, uri: &Uri) -> Self {
        let mut fields = Vec::with_capacity(512);
        field(&mut fields, Header::MaxForwards, b"70");
        RequestBuilder { method, uri: uri.shared(), cseq: 1, fields, body: None }
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The Request-URI.
    pub fn uri(&self) -> &[u8] {
        &self.uri
    }

    /// The CSeq number; 1 when it was not set.
    pub fn cseq_number(&self) -> u32 {
        self.cseq
    }

    /// Sets the CSeq number; a repetition with credentials needs the next one.
    #[must_use]
    pub fn cseq(mut self, number: u32) -> Self {
        self.cseq = number;
        self
    }

    /// The From value, with its tag.
    #[must_use]
    pub fn from(self, value: impl AsRef<[u8]>) -> Self {
        self.header(Header::From, value)
    }

    /// The To value.
    #[must_use]
    pub fn to(self, value: impl AsRef<[u8]>) -> Self {
        self.header(Header::To, value)
    }

    /// The Call-ID.
    #[must_use]
    pub fn call_id(self, value: impl AsRef<[u8]>) -> Self {
        self.header(Header::CallId, value)
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, header: Header, value: impl AsRef<[u8]>) -> Self {
        field(&mut self.fields, header, value.as_ref());
        self
    }

    /// Adds a header field that [`Header`] does not list.
    #[must_use]
    pub fn custom(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        custom_field(&mut self.fields, name, value.as_ref());
        self
    }

    /// Sets the body and its media type.
    #[must_use]
    pub fn body(mut self, content_type: &str, content: impl Into<Bytes>) -> Self {
        self.body = Some((content_type.to_owned(), content.into()));
        self
    }

    /// The bytes, with `via` as the only Via value.
    pub fn build(&self, via: &str) -> Bytes {
        let body = self.body.as_ref().map_or(0, |(_, content)| content.len());
        let mut out = Vec::with_capacity(self.uri.len() + self.fields.len() + body + via.len() + 128);
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(&self.uri);
        out.extend_from_slice(b" SIP/2.0\r\n");
        field(&mut out, Header::Via, via.as_bytes());
        out.extend_from_slice(&self.fields);
        out.extend_from_slice(b"CSeq: ");
        decimal(&mut out, self.cseq);
        out.push(b' ');
        out.extend_from_slice(self.method.as_bytes());
        out.extend_from_slice(b"\r\n");
        finish(out, &self.body)
    }
}

/// Builds the response to a request: Via, From, To, Call-ID, CSeq and, where a dialog may form, Record-Route are copied
/// (RFC 3261 §8.2.6.2, §12.1.1).
#[derive(Clone, Debug)]
pub struct ResponseBuilder {
    status: StatusCode,
    fields: Vec<u8>,
    /// The To of the request.
    to: Bytes,
    /// The tag that the request's To has already.
    dialog_tag: Option<Bytes>,
    /// The tag that this side adds otherwise.
    tag: Option<String>,
    body: Option<(String, Bytes)>,
}

/// A response ready to be sent.
#[derive(Clone, Debug)]
pub struct BuiltResponse {
    /// The status code.
    pub status: StatusCode,
    /// The tag of To; empty when it has none (100).
    pub to_tag: Bytes,
    /// The message.
    pub bytes: Bytes,
}

impl ResponseBuilder {
    /// A response with the registry's reason phrase.
    pub fn reply_to(request: &Request, status: StatusCode) -> Self {
        Self::with_phrase(request, status, status.reason())
    }

    /// A response with a reason phrase of its own.
    pub fn with_phrase(request: &Request, status: StatusCode, phrase: &str) -> Self {
        let mut fields = Vec::with_capacity(640);
        fields.extend_from_slice(b"SIP/2.0 ");
        decimal(&mut fields, u32::from(status.code()));
        fields.push(b' ');
        copy_value(phrase.as_bytes(), &mut fields);
        fields.extend_from_slice(b"\r\n");
        let mut vias = request.via_elements();
        if let (Some(source), Some(_)) = (request.source(), vias.next()) {
            fields.extend_from_slice(b"Via: ");
            request.via().write_received(source, &mut fields);
            fields.extend_from_slice(b"\r\n");
        } else {
            vias = request.via_elements();
        }
        for via in vias {
            field(&mut fields, Header::Via, via);
        }
        field(&mut fields, Header::From, request.from_raw());
        field(&mut fields, Header::CallId, request.call_id());
        fields.extend_from_slice(b"CSeq: ");
        decimal(&mut fields, request.cseq());
        fields.push(b' ');
        fields.extend_from_slice(request.cseq_method_raw());
        fields.extend_from_slice(b"\r\n");
        let forms_dialog = matches!(request.method(), Method::Invite | Method::Subscribe | Method::Refer);
        if forms_dialog && status > StatusCode::TRYING && !status.is_failure() {
            for route in request.lines(Header::RecordRoute) {
                field(&mut fields, Header::RecordRoute, route);
            }
        }
        let shared = |part: &[u8]| request.as_bytes().slice_ref(part);
        let (to, dialog_tag) = (shared(request.to_raw()), request.to_tag().map(shared));
        ResponseBuilder { status, fields, to, dialog_tag, tag: None, body: None }
    }

    /// A response that refuses the request.
    pub fn reject(request: &Request, rejection: &Rejection) -> Self {
        let mut builder = Self::with_phrase(request, rejection.status, rejection.phrase());
        for (header, value) in &rejection.headers {
            builder = builder.header(*header, value);
        }
        builder
    }

    /// The status code.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Adds `tag` to To, unless the request's To had one. The endpoint adds one of its own when this is not called.
    #[must_use]
    pub fn to_tag(mut self, tag: &str) -> Self {
        self.tag = Some(tag.to_owned());
        self
    }

    pub(crate) fn needs_tag(&self) -> bool {
        self.tag.is_none() && self.dialog_tag.is_none() && self.status > StatusCode::TRYING
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, header: Header, value: impl AsRef<[u8]>) -> Self {
        field(&mut self.fields, header, value.as_ref());
        self
    }

    /// Adds a header field that [`Header`] does not list.
    #[must_use]
    pub fn custom(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        custom_field(&mut self.fields, name, value.as_ref());
        self
    }

    /// Sets the body and its media type.
    #[must_use]
    pub fn body(mut self, content_type: &str, content: impl Into<Bytes>) -> Self {
        self.body = Some((content_type.to_owned(), content.into()));
        self
    }

    /// The message.
    pub fn build(mut self) -> BuiltResponse {
        self.fields.extend_from_slice(b"To: ");
        copy_value(&self.to, &mut self.fields);
        let to_tag = match (self.dialog_tag, self.tag) {
            (Some(tag), _) => Bytes::copy_from_slice(&tag),
            (None, Some(tag)) => {
                let tag: Vec<u8> = tag.bytes().filter(|b| is_token(*b)).collect();
                self.fields.extend_from_slice(b";tag=");
                self.fields.extend_from_slice(&tag);
                tag.into()
            }
            (None, None) => Bytes::new(),
        };
        self.fields.extend_from_slice(b"\r\n");
        BuiltResponse { status: self.status, to_tag, bytes: finish(self.fields, &self.body) }
    }
}
