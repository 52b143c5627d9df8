//! What is told of a confirmed dialog to whoever is to go on with it when its own user agent has died (Spec: CL-4): the
//! state of RFC 3261 §12 without the peer's CSeq number, which may be empty (§12.2.2), and without our Contact, which is
//! another one then.

use super::{Dialog, DialogId, MAX_ROUTES, Route};
use crate::message::NameAddr;
use crate::uri::Uri;
use bytes::Bytes;

/// The longest part of a dialog that is taken back, in bytes.
const MAX_PART: usize = 4_096;
/// CSeq numbers are below 2^31 (RFC 3261 §8.1.1.5).
const MAX_CSEQ: u32 = (1 << 31) - 1;

/// A confirmed dialog without what belongs to one place. [`Dialog::restore`] believes none of it before it is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// The Call-ID.
    pub call_id: Vec<u8>,
    /// Our From value in requests, with our tag.
    pub local: Vec<u8>,
    /// Our To value in requests, with the peer's tag.
    pub remote: Vec<u8>,
    /// The number of our last request.
    pub cseq: u32,
    /// The peer's Contact, a URI.
    pub target: Vec<u8>,
    /// The Route values of our requests, in order.
    pub routes: Vec<Vec<u8>>,
}

/// Why a dialog cannot be taken back: which part of it is no good, and what would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A part with control characters, without content or too long.
    #[error("the {0} of the dialog is no text of 1 to 4096 bytes without control characters")]
    Text(&'static str),
    /// A part that is no address or URI.
    #[error("the {0} of the dialog is no SIP address")]
    Address(&'static str),
    /// Our own address has no tag.
    #[error("our own address in the dialog has no tag")]
    Tag,
    /// More than 32 routes.
    #[error("the dialog has more than 32 routes")]
    Routes,
    /// A number beyond 2^31.
    #[error("the CSeq number {0} of the dialog is not below 2147483648")]
    CSeq(u32),
}

impl Dialog {
    /// What somebody else needs to go on with this dialog, confirmed as it is by then.
    pub fn save(&self) -> Saved {
        Saved {
            call_id: self.id.call_id.to_vec(),
            local: unfolded(&self.local),
            remote: unfolded(&self.remote),
            cseq: self.local_cseq,
            target: self.target.as_bytes().to_vec(),
            routes: self.routes.iter().map(|route| unfolded(&route.value)).collect(),
        }
    }

    /// Goes on with a dialog; `contact` is our Contact value from now on. Requests continue above the saved number, see
    /// [`Dialog::skip`]. The peer may begin with any number.
    ///
    /// # Errors
    /// [`RestoreError`] for what cannot have come from [`Dialog::save`].
    pub fn restore(saved: &Saved, contact: &str) -> Result<Self, RestoreError> {
        if saved.cseq > MAX_CSEQ {
            return Err(RestoreError::CSeq(saved.cseq));
        }
        if saved.routes.len() > MAX_ROUTES {
            return Err(RestoreError::Routes);
        }
        let call_id = text("Call-ID", &saved.call_id)?;
        if call_id.contains(&b' ') {
            return Err(RestoreError::Text("Call-ID"));
        }
        let (local, remote) = (address("local address", &saved.local)?, address("remote address", &saved.remote)?);
        let target = text("remote target", &saved.target)?;
        let target = Uri::parse(Bytes::copy_from_slice(target)).map_err(|_| RestoreError::Address("remote target"))?;
        let route = |value: &Vec<u8>| {
            let uri = address("route", value)?.uri().detached();
            Ok(Route { value: value.as_slice().into(), uri })
        };
        let local_tag = local.tag().ok_or(RestoreError::Tag)?;
        Ok(Dialog {
            id: DialogId::joined(call_id, local_tag, remote.tag()),
            early: false,
            local: saved.local.as_slice().into(),
            remote: saved.remote.as_slice().into(),
            local_cseq: saved.cseq,
            remote_cseq: None,
            target,
            routes: saved.routes.iter().map(route).collect::<Result<_, _>>()?,
            contact: contact.into(),
        })
    }

    /// Leaves out the next `count` CSeq numbers: requests of which the saved state knows nothing may have used them, and
    /// gaps are allowed (RFC 3261 §12.2.2). Stays below 2^31.
    pub fn skip(&mut self, count: u32) {
        self.local_cseq = self.local_cseq.saturating_add(count).min(MAX_CSEQ - 1);
    }

    /// Our Contact value is another one from now on.
    pub fn move_to(&mut self, contact: &str) {
        self.contact = contact.into();
    }

    /// The URIs of the routes of our requests, in order.
    pub fn routes(&self) -> impl Iterator<Item = &Uri> {
        self.routes.iter().map(|route| &route.uri)
    }

    /// Takes the first `count` routes off: they led to where we are.
    pub fn shorten_routes(&mut self, count: usize) {
        self.routes.drain(..count.min(self.routes.len()));
    }
}

/// A header value on one line: folds are white space (RFC 3261 §7.3.1).
fn unfolded(value: &[u8]) -> Vec<u8> {
    value.iter().map(|byte| if byte.is_ascii_control() { b' ' } else { *byte }).collect()
}

fn text<'a>(part: &'static str, value: &'a [u8]) -> Result<&'a [u8], RestoreError> {
    let good = (1..=MAX_PART).contains(&value.len()) && !value.iter().any(u8::is_ascii_control);
    if good { Ok(value) } else { Err(RestoreError::Text(part)) }
}

fn address(part: &'static str, value: &[u8]) -> Result<NameAddr, RestoreError> {
    let value = Bytes::copy_from_slice(text(part, value)?);
    NameAddr::parse(value).map_err(|_| RestoreError::Address(part))
}

#[cfg(test)]
#[path = "saved_tests.rs"]
mod tests;
