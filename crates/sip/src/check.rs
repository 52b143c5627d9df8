//! What a user agent refuses before it looks at the meaning of a request (RFC 3261 §8.2).

use crate::message::{Contact, Header, Method, Request};
use crate::status::StatusCode;
use crate::uri::Scheme;

/// The methods that Carillon performs, as an Allow header lists them.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, UPDATE, INFO";
/// The methods of [`ALLOW`].
pub const METHODS: &[Method] = &[
    Method::Invite,
    Method::Ack,
    Method::Cancel,
    Method::Bye,
    Method::Options,
    Method::Register,
    Method::Update,
    Method::Info,
];
/// The only session description that an INVITE may carry.
pub const SDP: &str = "application/sdp";

/// What this element can do; requests that need more are refused.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The methods that are performed.
    pub methods: Vec<Method>,
    /// The option tags that a Require may name.
    pub extensions: Vec<String>,
}

impl Default for Policy {
    /// [`METHODS`], and no extension.
    fn default() -> Self {
        Policy { methods: METHODS.to_vec(), extensions: Vec::new() }
    }
}

impl Policy {
    /// The value of an Allow header.
    pub fn allow(&self) -> String {
        let names: Vec<String> = self.methods.iter().map(ToString::to_string).collect();
        names.join(", ")
    }

    /// The value of a Supported header.
    pub fn supported(&self) -> String {
        self.extensions.join(", ")
    }
}

/// Why a request is refused, and the headers that say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The status.
    pub status: StatusCode,
    /// The reason phrase, when it says more than the registry's.
    pub reason: Option<&'static str>,
    /// Headers that the status demands.
    pub headers: Vec<(Header, String)>,
}

impl Rejection {
    /// A refusal with the registry's reason phrase.
    pub const fn new(status: StatusCode) -> Self {
        Rejection { status, reason: None, headers: Vec::new() }
    }

    /// 400 with a phrase that says what is bad.
    pub const fn bad(reason: &'static str) -> Self {
        Rejection { status: StatusCode::BAD_REQUEST, reason: Some(reason), headers: Vec::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, header: Header, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    /// The reason phrase to send.
    pub fn phrase(&self) -> &'static str {
        self.reason.unwrap_or(self.status.reason())
    }
}

/// Checks a request that starts a server transaction, in the order of RFC 3261 §8.2: method, headers, URI, extensions,
/// content. Max-Forwards 0 is no fault for a user agent (RFC 4475 §3.3.11).
///
/// # Errors
/// The refusal to send, except to ACK.
pub fn request(request: &Request, policy: &Policy) -> Result<(), Rejection> {
    method(request, policy)?;
    headers(request)?;
    target(request)?;
    extensions(request, policy)?;
    match request.method() {
        Method::Invite => content(request),
        _ => Ok(()),
    }
}

fn method(request: &Request, policy: &Policy) -> Result<(), Rejection> {
    if policy.methods.contains(request.method()) {
        return Ok(());
    }
    let status = match request.method() {
        Method::Other(_) => StatusCode::NOT_IMPLEMENTED,
        _ => StatusCode::METHOD_NOT_ALLOWED,
    };
    Err(Rejection::new(status).with(Header::Allow, policy.allow()))
}

fn headers(request: &Request) -> Result<(), Rejection> {
    if request.cseq_method_raw() != request.method().as_bytes() {
        return Err(Rejection::bad("CSeq method does not match"));
    }
    let mut contacts = 0usize;
    for contact in request.contacts() {
        contacts += 1;
        match contact {
            Ok(Contact::Address(_)) => {}
            Ok(Contact::All) if *request.method() == Method::Register => {}
            Ok(Contact::All) | Err(_) => return Err(Rejection::bad("malformed Contact")),
        }
    }
    if *request.method() == Method::Invite && contacts > 1 {
        return Err(Rejection::bad("more than one Contact"));
    }
    if request.addresses(Header::RecordRoute).chain(request.addresses(Header::Route)).any(|a| a.is_err()) {
        return Err(Rejection::bad("malformed Route"));
    }
    Ok(())
}

fn target(request: &Request) -> Result<(), Rejection> {
    match request.uri().scheme() {
        Scheme::Sip | Scheme::Sips if request.uri().headers_raw().is_some() => {
            return Err(Rejection::bad("headers in the Request-URI"));
        }
        Scheme::Sip | Scheme::Sips | Scheme::Tel => {}
        Scheme::Other => return Err(Rejection::new(StatusCode::UNSUPPORTED_URI_SCHEME)),
    }
    // RFC 3261 §10.3 step 5: the To of a REGISTER is an address-of-record.
    if *request.method() == Method::Register && !request.to().uri().is_sip() {
        return Err(Rejection::bad("To is no address-of-record"));
    }
    Ok(())
}

/// RFC 3261 §8.2.2.3: not for CANCEL and ACK. Proxy-Require is no business of a user agent.
fn extensions(request: &Request, policy: &Policy) -> Result<(), Rejection> {
    if matches!(request.method(), Method::Cancel | Method::Ack) {
        return Ok(());
    }
    let known = |tag: &[u8]| policy.extensions.iter().any(|e| tag.eq_ignore_ascii_case(e.as_bytes()));
    let unknown: Vec<_> =
        request.list(Header::Require).filter(|t| !known(t)).map(|t| String::from_utf8_lossy(t)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Rejection::new(StatusCode::BAD_EXTENSION).with(Header::Unsupported, unknown.join(", ")))
}

/// RFC 3261 §8.2.3 and §13.3.1: an INVITE carries SDP or nothing, and its sender has to accept SDP.
fn content(request: &Request) -> Result<(), Rejection> {
    if !request.body().is_empty() {
        let sdp = request.content_type().is_some_and(|t| t.eq_ignore_ascii_case(SDP.as_bytes()));
        let plain = request.get(Header::ContentEncoding).is_none_or(|e| e.eq_ignore_ascii_case(b"identity"));
        if !sdp || !plain {
            return Err(Rejection::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).with(Header::Accept, SDP));
        }
    }
    let mut accept = request.list(Header::Accept).peekable();
    let accepts_sdp = accept.peek().is_none()
        || accept.any(|range| {
            let range = range.split(|b| *b == b';').next().unwrap_or_default();
            [&b"application/sdp"[..], b"application/*", b"*/*"]
                .iter()
                .any(|r| range.trim_ascii().eq_ignore_ascii_case(r))
        });
    if accepts_sdp {
        return Ok(());
    }
    let warning = "399 carillon \"only application/sdp is spoken here\"";
    Err(Rejection::new(StatusCode::NOT_ACCEPTABLE).with(Header::Accept, SDP).with(Header::Warning, warning))
}
