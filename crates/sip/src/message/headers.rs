//! Everything of a message but its start line, as typed views.

use super::header::Header;
use super::method::Method;
use super::name_addr::{AddressError, Contact, NameAddr, lenient_seconds};
use super::scan::{Field, Span, split_list};
use super::via::{self, Via};
use crate::reason::Reason;
use crate::uri::decimal;
use bytes::Bytes;

/// The header fields and the body. The mandatory ones were checked when the message was read, so their accessors
/// cannot fail; the others answer `None` or nothing when they are absent or malformed.
#[derive(Clone, Debug)]
pub struct Headers {
    pub(super) bytes: Bytes,
    pub(super) fields: Vec<Field>,
    pub(super) body: Span,
    pub(super) core: Core,
}

/// Where the mandatory headers lie: checked once, used by every look-up of a transaction or dialog.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Core {
    pub(super) via: Span,
    pub(super) from: Span,
    pub(super) from_tag: Span,
    pub(super) to: Span,
    pub(super) to_tag: Span,
    pub(super) call_id: Span,
    pub(super) cseq: u32,
    pub(super) cseq_method: Span,
}

impl Headers {
    /// The whole message as received.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    fn text(&self, span: Span) -> &[u8] {
        span.get(&self.bytes)
    }

    fn shared(&self, part: &[u8]) -> Bytes {
        self.bytes.slice_ref(part)
    }

    /// All fields in order: name and value as written (a value may contain folds).
    pub fn all(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|f| (self.text(f.name), self.text(f.value)))
    }

    /// The values of every field `header`, one per line, as written.
    pub fn lines(&self, header: Header) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().filter(move |f| f.header == Some(header)).map(|f| self.text(f.value))
    }

    /// The value of the first field `header`, as written.
    pub fn get(&self, header: Header) -> Option<&[u8]> {
        self.lines(header).next()
    }

    /// The values of every field with this name, which need not be one of [`Header`].
    pub fn named(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.all().filter(move |(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The elements of a header that is a comma-separated list, over all its lines.
    pub fn list(&self, header: Header) -> impl Iterator<Item = &[u8]> {
        self.lines(header).flat_map(split_list)
    }

    /// Whether a header that is a list of tokens contains `token` in any case.
    pub fn lists(&self, header: Header, token: &str) -> bool {
        self.list(header).any(|t| t.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The body, cut to Content-Length.
    pub fn body(&self) -> &[u8] {
        self.text(self.body)
    }

    /// The body, sharing the memory of the message.
    pub fn body_bytes(&self) -> Bytes {
        self.shared(self.body())
    }

    /// The top Via.
    pub fn via(&self) -> Via<'_> {
        Via::read(self.top_via_raw()).expect("the top Via was read when the message was parsed")
    }

    pub(crate) fn top_via_raw(&self) -> &[u8] {
        self.text(self.core.via)
    }

    /// All Via values from the top; malformed ones below the top are left out.
    pub fn vias(&self) -> impl Iterator<Item = Via<'_>> {
        self.via_elements().filter_map(Via::read)
    }

    pub(crate) fn via_elements(&self) -> impl Iterator<Item = &[u8]> {
        self.lines(Header::Via).flat_map(via::elements)
    }

    /// The From address with its tag.
    pub fn from(&self) -> NameAddr {
        self.address(self.from_raw())
    }

    /// The To address with its tag, if any.
    pub fn to(&self) -> NameAddr {
        self.address(self.to_raw())
    }

    fn address(&self, raw: &[u8]) -> NameAddr {
        NameAddr::parse(self.shared(raw)).expect("From and To were read when the message was parsed")
    }

    /// The From value as written, with its tag.
    pub fn from_raw(&self) -> &[u8] {
        self.text(self.core.from)
    }

    /// The To value as written.
    pub fn to_raw(&self) -> &[u8] {
        self.text(self.core.to)
    }

    /// The tag of From; `None` for RFC 2543 peers that send none.
    pub fn from_tag(&self) -> Option<&[u8]> {
        Some(self.text(self.core.from_tag)).filter(|t| !t.is_empty())
    }

    /// The tag of To.
    pub fn to_tag(&self) -> Option<&[u8]> {
        Some(self.text(self.core.to_tag)).filter(|t| !t.is_empty())
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &[u8] {
        self.text(self.core.call_id)
    }

    /// The CSeq number, below 2^31.
    pub fn cseq(&self) -> u32 {
        self.core.cseq
    }

    /// The CSeq method.
    pub fn cseq_method(&self) -> Method {
        Method::of(&self.bytes, self.cseq_method_raw())
    }

    pub(crate) fn cseq_method_raw(&self) -> &[u8] {
        self.text(self.core.cseq_method)
    }

    /// The Contact values in order.
    ///
    /// # Errors
    /// For each value that is malformed.
    pub fn contacts(&self) -> impl Iterator<Item = Result<Contact, AddressError>> {
        self.list(Header::Contact).map(|raw| match raw {
            b"*" => Ok(Contact::All),
            _ => NameAddr::parse(self.shared(raw)).map(Contact::Address),
        })
    }

    /// The first Contact when it is a well-formed address: the remote target of a dialog.
    pub fn contact(&self) -> Option<NameAddr> {
        match self.contacts().next()?.ok()? {
            Contact::All => None,
            Contact::Address(address) => Some(address),
        }
    }

    /// The addresses of a Route-like header (Route, Record-Route, Path, Service-Route) in order.
    ///
    /// # Errors
    /// For each value that is malformed.
    pub fn addresses(&self, header: Header) -> impl Iterator<Item = Result<NameAddr, AddressError>> {
        self.list(header).map(|raw| NameAddr::parse(self.shared(raw)))
    }

    /// The Expires header in seconds, read as leniently as RFC 3261 §10.3 step 6 asks.
    pub fn expires(&self) -> Option<u32> {
        self.get(Header::Expires).map(lenient_seconds)
    }

    /// Max-Forwards; `None` when absent or no number. Numbers above 255 count as 255.
    pub fn max_forwards(&self) -> Option<u8> {
        decimal(self.get(Header::MaxForwards)?).map(|n| u8::try_from(n).unwrap_or(u8::MAX))
    }

    /// The media type of the body, `type/subtype` without parameters.
    pub fn content_type(&self) -> Option<&[u8]> {
        let raw = self.get(Header::ContentType)?;
        Some(super::scan::trim(raw.split(|b| *b == b';').next().unwrap_or_default()))
    }

    /// The first Reason of protocol SIP or Q.850 (RFC 3326).
    pub fn reason(&self) -> Option<Reason> {
        self.list(Header::Reason).find_map(Reason::read)
    }
}
