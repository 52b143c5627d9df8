//! Dialogs (RFC 3261 §12): who the peer is, where it is, and in which order requests go.

mod saved;

use crate::check::Rejection;
use crate::message::{Header, Headers, Method, Request, RequestBuilder, Response};
use crate::status::StatusCode;
use crate::uri::Uri;
use bytes::Bytes;
pub use saved::{RestoreError, Saved};

/// The most routes that a dialog keeps.
const MAX_ROUTES: usize = 32;

/// Names a dialog: Call-ID and both tags, seen from our side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DialogId {
    /// The Call-ID.
    pub call_id: Bytes,
    /// Our tag.
    pub local_tag: Bytes,
    /// The peer's tag; empty for RFC 2543 peers.
    pub remote_tag: Bytes,
}

impl DialogId {
    fn new(headers: &Headers, local_tag: &[u8], remote_tag: Option<&[u8]>) -> Self {
        Self::joined(headers.call_id(), local_tag, remote_tag)
    }

    /// One allocation for the three, and none that keeps a message alive.
    fn joined(call_id: &[u8], local_tag: &[u8], remote_tag: Option<&[u8]>) -> Self {
        let mut all = Bytes::from([call_id, local_tag, remote_tag.unwrap_or_default()].concat());
        let call_id = all.split_to(call_id.len());
        let local_tag = all.split_to(local_tag.len());
        DialogId { call_id, local_tag, remote_tag: all }
    }

    /// The dialog to which a received request belongs; `None` when its To has no tag.
    pub fn of_request(request: &Request) -> Option<Self> {
        Some(Self::new(request, request.to_tag()?, request.from_tag()))
    }

    /// The dialog to which a response to a request of ours belongs; `None` when a tag is missing.
    pub fn of_response(response: &Response) -> Option<Self> {
        Some(Self::new(response, response.from_tag()?, Some(response.to_tag()?)))
    }
}

/// Why a message forms no dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialogError {
    /// It has no usable Contact.
    #[error("no usable Contact")]
    Contact,
    /// A response without To tag, or without the From tag that we sent.
    #[error("no tag")]
    Tag,
    /// A Record-Route is malformed, or there are more than 32.
    #[error("malformed Record-Route")]
    RecordRoute,
}

/// One dialog, early or confirmed. Keeps copies of what it needs, never a whole message.
#[derive(Clone, Debug)]
pub struct Dialog {
    id: DialogId,
    early: bool,
    /// Our From value in requests, with tag.
    local: Box<[u8]>,
    /// Our To value in requests, with the peer's tag.
    remote: Box<[u8]>,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    target: Uri,
    routes: Vec<Route>,
    contact: Box<str>,
}

/// One element of the route set.
#[derive(Clone, Debug)]
struct Route {
    /// The Route value, with brackets and parameters, byte for byte.
    value: Box<[u8]>,
    uri: Uri,
}

impl Route {
    fn is_loose(&self) -> bool {
        self.uri.param("lr").is_some()
    }
}

impl Dialog {
    /// The dialog that our 1xx or 2xx with tag `local_tag` to `request` forms; early until [`Dialog::confirm`].
    /// `contact` is our Contact value, for example `<sip:192.0.2.1:5060>`.
    ///
    /// # Errors
    /// [`DialogError`] when the request lacks what a dialog needs (RFC 3261 §12.1.1); answer 400.
    pub fn uas(request: &Request, local_tag: &str, contact: &str) -> Result<Self, DialogError> {
        let mut local = request.to_raw().to_vec();
        if request.to_tag().is_none() {
            local.extend_from_slice(b";tag=");
            local.extend_from_slice(local_tag.as_bytes());
        }
        let local_tag = request.to_tag().unwrap_or(local_tag.as_bytes());
        Ok(Dialog {
            id: DialogId::new(request, local_tag, request.from_tag()),
            early: true,
            local: local.into(),
            remote: request.from_raw().into(),
            // RFC 3261 §12.1.1 leaves the local number empty; any start is right.
            local_cseq: 0,
            remote_cseq: Some(request.cseq()),
            target: target_of(request).ok_or(DialogError::Contact)?,
            routes: route_set(request, false)?,
            contact: contact.into(),
        })
    }

    /// The dialog that a 101–199 or 2xx with To tag to our INVITE forms; early until a 2xx.
    ///
    /// # Errors
    /// [`DialogError`] when the response lacks what a dialog needs (RFC 3261 §12.1.2).
    pub fn uac(response: &Response, contact: &str) -> Result<Self, DialogError> {
        Ok(Dialog {
            id: DialogId::of_response(response).ok_or(DialogError::Tag)?,
            early: !response.status().is_success(),
            local: response.from_raw().into(),
            remote: response.to_raw().into(),
            local_cseq: response.cseq(),
            remote_cseq: None,
            target: target_of(response).ok_or(DialogError::Contact)?,
            routes: route_set(response, true)?,
            contact: contact.into(),
        })
    }

    /// The name of the dialog.
    pub fn id(&self) -> &DialogId {
        &self.id
    }

    /// Whether no 2xx has been sent or received yet.
    pub fn is_early(&self) -> bool {
        self.early
    }

    /// A 2xx was sent (the side that was called).
    pub fn confirm(&mut self) {
        self.early = false;
    }

    /// Takes a response to a request of this dialog, also the 2xx that ends its early time: the target is refreshed
    /// where the method does that, and the route set is taken anew by the first 2xx (RFC 3261 §13.2.2.4).
    pub fn on_response(&mut self, response: &Response) {
        if !response.status().is_success() || !response.cseq_method().refreshes_target() {
            return;
        }
        if let Some(target) = target_of(response) {
            self.target = target;
        }
        if self.early {
            self.early = false;
            if let Ok(routes) = route_set(response, true) {
                self.routes = routes;
            }
        }
    }

    /// Takes a request within the dialog (not ACK or CANCEL, whose numbers are those of their INVITE).
    ///
    /// # Errors
    /// 500 when its number is not above the last one (RFC 3261 §12.2.2).
    pub fn on_request(&mut self, request: &Request) -> Result<(), Rejection> {
        if self.remote_cseq.is_some_and(|last| request.cseq() <= last) {
            return Err(Rejection {
                reason: Some("CSeq out of order"),
                ..Rejection::new(StatusCode::SERVER_INTERNAL_ERROR)
            });
        }
        self.remote_cseq = Some(request.cseq());
        if request.method().refreshes_target()
            && let Some(target) = target_of(request)
        {
            self.target = target;
        }
        Ok(())
    }

    /// The next request within the dialog: the next CSeq number, Route, From, To, Call-ID, and Contact where the method
    /// refreshes the target.
    pub fn request(&mut self, method: Method) -> RequestBuilder {
        self.local_cseq += 1;
        self.build(method, self.local_cseq)
    }

    /// The ACK for a 2xx to our INVITE with number `cseq`.
    pub fn ack(&self, cseq: u32) -> RequestBuilder {
        self.build(Method::Ack, cseq)
    }

    /// RFC 3261 §12.2.1.1.
    fn build(&self, method: Method, cseq: u32) -> RequestBuilder {
        let strict = self.routes.first().is_some_and(|first| !first.is_loose());
        let uri = if strict { &self.routes[0].uri } else { &self.target };
        let refreshes = method.refreshes_target();
        let mut request =
            RequestBuilder::new(method, uri).cseq(cseq).from(&self.local).to(&self.remote).call_id(&self.id.call_id);
        // A strict router finds itself in the Request-URI, and the target at the end of the routes.
        for route in &self.routes[usize::from(strict)..] {
            request = request.header(Header::Route, &route.value);
        }
        if strict {
            request = request.header(Header::Route, format!("<{}>", self.target));
        }
        if refreshes {
            request = request.header(Header::Contact, self.contact.as_bytes());
        }
        request
    }

    /// Where requests go first: the first route, or the target.
    pub fn next_hop(&self) -> &Uri {
        self.routes.first().map_or(&self.target, |route| &route.uri)
    }

    /// The peer's Contact.
    pub fn remote_target(&self) -> &Uri {
        &self.target
    }

    /// Our Contact value.
    pub fn contact(&self) -> &str {
        &self.contact
    }

    /// The number of our last request; the ACK of an INVITE needs it.
    pub fn local_cseq(&self) -> u32 {
        self.local_cseq
    }
}

fn target_of(headers: &Headers) -> Option<Uri> {
    headers.contact().map(|contact| contact.uri().detached())
}

/// The Record-Routes: in order for the side that was called, reversed for the side that calls (RFC 3261 §12.1).
fn route_set(headers: &Headers, reversed: bool) -> Result<Vec<Route>, DialogError> {
    let mut routes = Vec::new();
    for (value, address) in headers.list(Header::RecordRoute).zip(headers.addresses(Header::RecordRoute)) {
        let address = address.map_err(|_| DialogError::RecordRoute)?;
        if routes.len() >= MAX_ROUTES {
            return Err(DialogError::RecordRoute);
        }
        routes.push(Route { value: value.into(), uri: address.uri().detached() });
    }
    if reversed {
        routes.reverse();
    }
    Ok(routes)
}

#[cfg(test)]
#[path = "dialog_tests.rs"]
mod tests;
