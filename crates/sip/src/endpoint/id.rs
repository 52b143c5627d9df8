//! How received requests are told apart (RFC 3261 §17.2.3).

use crate::flow::Flow;
use crate::message::{Headers, Method, Request};

/// The bytes that identify a transaction, in one allocation.
pub(crate) type TransactionId = Box<[u8]>;

/// Joins parts, each after its length, so that different parts never give the same bytes.
fn join(parts: &[&[u8]]) -> TransactionId {
    let mut id = Vec::with_capacity(parts.iter().map(|p| p.len() + 2).sum());
    for part in parts {
        // A message has at most 65,535 bytes, and so has each of its parts.
        id.extend_from_slice(&(part.len() as u16).to_be_bytes());
        id.extend_from_slice(part);
    }
    id.into_boxed_slice()
}

/// The id of the transaction that `request` belongs to. ACK and CANCEL are looked up as `method` INVITE to find their
/// INVITE.
pub(crate) fn transaction(request: &Request, method: &Method, flow: &Flow) -> TransactionId {
    let via = request.via();
    match via.unique_branch() {
        Some(branch) => join(&[b"3261", method.as_bytes(), branch, via.sent_by()]),
        // RFC 2543 peers: Request-URI, From tag, Call-ID, CSeq and top Via; the source too, because a Via without a
        // unique branch may be shared by peers (RFC 4475 §3.2.1). Our To tag is in the ACK but not in the INVITE.
        None => join(&[
            b"2543",
            method.as_bytes(),
            request.uri().as_bytes(),
            request.call_id(),
            &request.cseq().to_be_bytes(),
            flow.remote.ip().to_string().as_bytes(),
            request.from_tag().unwrap_or_default(),
            request.top_via_raw(),
        ]),
    }
}

/// The id of a request among the requests of one sender: what an ACK to a 2xx and its INVITE have in common, and what
/// the two copies of a forked request that meet again here have in common.
pub(super) fn sequence(headers: &Headers, method: &Method) -> TransactionId {
    join(&[method.as_bytes(), headers.call_id(), &headers.cseq().to_be_bytes(), headers.from_tag().unwrap_or_default()])
}
