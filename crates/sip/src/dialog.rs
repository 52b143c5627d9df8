//! Dialogs (RFC 3261 §12).

use crate::check::Rejection;
use crate::message::{Method, Request, RequestBuilder, Response};
use crate::uri::Uri;
use bytes::Bytes;

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

/// Why a message forms no dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialogError {
    /// It has no usable Contact.
    #[error("no usable Contact")]
    Contact,
    /// The response has no To tag.
    #[error("no To tag")]
    Tag,
    /// A Record-Route is malformed.
    #[error("malformed Record-Route")]
    RecordRoute,
}

/// One dialog, early or confirmed.
#[derive(Clone, Debug)]
pub struct Dialog {
    id: DialogId,
}

#[allow(missing_docs, unused_variables)]
impl DialogId {
    /// The dialog to which a received request belongs; `None` when its To has no tag.
    pub fn of_request(request: &Request) -> Option<Self> {
        todo!()
    }
    /// The dialog to which the response to a request of ours belongs; `None` without To tag.
    pub fn of_response(response: &Response) -> Option<Self> {
        todo!()
    }
}
#[allow(missing_docs, unused_variables)]
impl Dialog {
    /// The dialog that our 1xx/2xx with `local_tag` to `request` forms; `contact` is our Contact value (`<sip:...>`).
    pub fn uas(request: &Request, local_tag: &str, contact: &str) -> Result<Self, DialogError> {
        todo!()
    }
    /// The dialog that a 1xx (with To tag) or 2xx to our INVITE forms; early until a 2xx.
    pub fn uac(response: &Response, contact: &str) -> Result<Self, DialogError> {
        todo!()
    }
    pub fn id(&self) -> &DialogId {
        todo!()
    }
    pub fn is_early(&self) -> bool {
        todo!()
    }
    /// A 2xx was sent (UAS).
    pub fn confirm(&mut self) {
        todo!()
    }
    /// A response to a request of this dialog: confirms (2xx to INVITE; route set is taken again), refreshes the target.
    pub fn on_response(&mut self, response: &Response) {
        todo!()
    }
    /// A request within the dialog: refuses a CSeq out of order with 500, refreshes the target.
    pub fn on_request(&mut self, request: &Request) -> Result<(), Rejection> {
        todo!()
    }
    /// The next request within the dialog: CSeq + 1, Route, From, To, Call-ID, and Contact where the method refreshes.
    pub fn request(&mut self, method: Method) -> RequestBuilder {
        todo!()
    }
    /// The ACK for a 2xx to the INVITE with number `cseq`.
    pub fn ack(&self, cseq: u32) -> RequestBuilder {
        todo!()
    }
    /// Where requests go first: the first route, or the remote target.
    pub fn next_hop(&self) -> &Uri {
        todo!()
    }
    pub fn remote_target(&self) -> &Uri {
        todo!()
    }
    pub fn contact(&self) -> &str {
        todo!()
    }
    /// Sets our Contact value.
    pub fn set_contact(&mut self, contact: &str) {
        todo!()
    }
    pub fn local_cseq(&self) -> u32 {
        todo!()
    }
}
