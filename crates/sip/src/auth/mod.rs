//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760). Spec: SE-1.

use crate::check::Rejection;
use crate::message::{Header, Method, Request, Response};
use crate::time::Moment;
use std::time::Duration;

/// Checks credentials and makes challenges. Nonces carry their own time and a MAC; only used ones are remembered.
pub struct Authenticator;
/// What credentials of a request are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The credentials are right.
    Accepted {
        /// Who sent the request.
        username: String,
    },
    /// None, or none that we know: challenge.
    Missing,
    /// Right, but with an old or used nonce: challenge with `stale=true`.
    Stale,
    /// Wrong password or unknown user: challenge again or refuse, count it.
    Wrong {
        /// Who is claimed.
        username: String,
    },
    /// Unreadable credentials: 400.
    Malformed,
}
/// Name and password for a peer that challenges us.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}
#[allow(missing_docs, unused_variables)]
impl Authenticator {
    /// `lifetime` of a nonce, `secret` random at process start (shared by all workers), `capacity` remembered nonces.
    pub fn new(realm: &str, secret: [u8; 32], lifetime: Duration, capacity: usize) -> Self {
        todo!()
    }
    /// Checks `Authorization` of a request; `password_of(username)` looks a user up.
    pub fn verify<'p>(
        &mut self,
        now: Moment,
        request: &Request,
        password_of: impl FnOnce(&str) -> Option<&'p str>,
    ) -> Verdict {
        todo!()
    }
    /// 401 with a SHA-256 and an MD5 challenge; `random` makes the nonce unique.
    pub fn challenge(&self, now: Moment, random: u64, stale: bool) -> Rejection {
        todo!()
    }
}
/// The username in the request's digest credentials (unverified), for a cheap look whether we know it.
pub fn claimed_username(request: &Request) -> Option<String> {
    let _ = request;
    todo!()
}
/// The header that answers the best challenge of a 401 or 407; `None` when there is none that we can answer or it is a
/// repeated refusal (same nonce not stale). `cnonce` is a fresh token.
pub fn answer(
    response: &Response,
    credentials: &Credentials,
    method: &Method,
    uri: &str,
    cnonce: &str,
) -> Option<(Header, String)> {
    let _ = (response, credentials, method, uri, cnonce);
    todo!()
}
