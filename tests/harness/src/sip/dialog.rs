//! What the two sides of a call agreed on (RFC 3261 §12).

use rsip::headers::Header;
use rsip::{Method, Request, Response, Uri};

use super::message;

/// The names of a dialog and what its next request needs.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub call_id: String,
    /// Our side as in a From header, with our tag.
    pub us: String,
    /// Theirs as in a To header; without a tag until they have answered.
    pub them: String,
    pub our_tag: String,
    pub contact: String,
    pub target: Uri,
    pub routes: Vec<String>,
    pub cseq: u32,
}

impl Dialog {
    /// A request with this CSeq: an ACK or a CANCEL has that of its INVITE.
    pub(super) fn request(&self, method: Method, cseq: u32, extra: Vec<Header>, body: Vec<u8>) -> Request {
        let mut headers = vec![
            Header::From(self.us.clone().into()),
            Header::To(self.them.clone().into()),
            Header::CallId(self.call_id.clone().into()),
            Header::CSeq(format!("{cseq} {method}").into()),
        ];
        headers.extend(self.routes.iter().map(|route| Header::Route(route.clone().into())));
        headers.extend(extra);
        message::request(method, self.target.clone(), headers, body)
    }

    /// The next request in it.
    pub(super) fn next(&mut self, method: Method, extra: Vec<Header>, body: Vec<u8>) -> Request {
        self.cseq += 1;
        self.request(method, self.cseq, extra, body)
    }

    pub(super) fn contact_header(&self) -> Header {
        Header::Contact(format!("<{}>", self.contact).into())
    }

    /// Takes the far side's tag, Contact and Record-Route (RFC 3261 §12.1.2).
    pub(super) fn learn(&mut self, response: &Response) {
        if let Some(to) = message::value(response, "To") {
            self.them = to;
        }
        self.routes = message::values(response, "Record-Route");
        self.routes.reverse();
        self.retarget(message::value(response, "Contact"));
    }

    /// A new Contact is the new remote target (RFC 3261 §12.2.1.2).
    pub(super) fn retarget(&mut self, contact: Option<String>) {
        if let Some(Ok(uri)) = contact.map(|c| message::uri_in(&c)) {
            self.target = uri;
        }
    }
}
