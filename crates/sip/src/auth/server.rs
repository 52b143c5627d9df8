//! The side that challenges.

use super::digest::{Algorithm, DigestParams, Inputs};
use super::nonce::{Nonces, same};
use crate::check::Rejection;
use crate::message::{Header, Request};
use crate::status::StatusCode;
use crate::time::Moment;
use std::time::Duration;

/// What the credentials of a request are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are right and fresh.
    Accepted {
        /// Who sent the request.
        username: String,
    },
    /// There are none for our realm and algorithms: challenge.
    Missing,
    /// They are right, but the nonce is old, used or not ours: challenge with `stale=true`.
    Stale,
    /// The password is wrong or the user unknown: challenge again or refuse, and count it.
    Wrong {
        /// Who the sender claims to be.
        username: String,
    },
    /// They cannot be read: 400.
    Malformed,
}

/// Which algorithms a challenge names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenges {
    /// SHA-256 and MD5, the stronger first (RFC 8760 §2.2).
    Both,
    /// MD5 alone, for phones that give up at the sight of another algorithm instead of passing over it.
    Md5,
}

/// Checks credentials and makes challenges. Workers that share users should share one: a nonce's uses are counted here.
#[derive(Debug)]
pub struct Authenticator {
    realm: String,
    nonces: Nonces,
}

impl Authenticator {
    /// `secret` is random at the start of the process; nonces live for `lifetime`; the uses of at most `capacity` nonces
    /// are remembered, older ones become stale early.
    pub fn new(realm: &str, secret: [u8; 32], lifetime: Duration, capacity: usize) -> Self {
        let realm = realm.chars().filter(|c| !matches!(c, '"' | '\\') && !c.is_control()).collect();
        Authenticator { realm, nonces: Nonces::new(secret, lifetime, capacity) }
    }

    /// Checks the `Authorization` of a request. `password_of` looks a user up; it is asked at most once. The digest's
    /// `uri` need not equal the Request-URI: phones differ in its parameters, and each count is good for one request.
    pub fn verify<'p>(
        &mut self,
        now: Moment,
        request: &Request,
        password_of: impl FnOnce(&str) -> Option<&'p str>,
    ) -> Verdict {
        let Some((params, algorithm)) = self.credentials(request) else { return Verdict::Missing };
        let required = (params.get("username"), params.get("nonce"), params.get("uri"), params.get("response"));
        let (Some(username), Some(nonce), Some(uri), Some(response)) = required else { return Verdict::Malformed };
        let quality = match params.get("qop") {
            Some(qop) if qop.eq_ignore_ascii_case("auth") => match (params.get("nc"), params.get("cnonce")) {
                (Some(nc), Some(cnonce)) => Some((nc, cnonce)),
                _ => return Verdict::Malformed,
            },
            Some(_) => return Verdict::Malformed,
            None => None,
        };
        let count = match quality.map(|(nc, _)| u32::from_str_radix(nc, 16)) {
            Some(Ok(count)) if count < u32::MAX => Some(count),
            Some(_) => return Verdict::Malformed,
            None => None,
        };
        let method = String::from_utf8_lossy(request.method().as_bytes());
        let inputs = Inputs { algorithm, username, realm: &self.realm, method: &method, uri, nonce, quality };
        let password = password_of(username);
        // An unknown user costs the same time as a known one.
        let expected = inputs.response(password.unwrap_or_default());
        let right = same(expected.as_bytes(), response.to_ascii_lowercase().as_bytes()) && password.is_some();
        let username = username.to_owned();
        if !right {
            Verdict::Wrong { username }
        } else if self.nonces.spend(now, nonce, count) {
            Verdict::Accepted { username }
        } else {
            Verdict::Stale
        }
    }

    /// The credentials for our realm in an algorithm that we speak.
    fn credentials<'a>(&self, request: &'a Request) -> Option<(DigestParams<'a>, Algorithm)> {
        request.lines(Header::Authorization).find_map(|value| {
            let params = DigestParams::read(value)?;
            let algorithm = Algorithm::read(params.get("algorithm"))?;
            (params.get("realm") == Some(&self.realm)).then_some((params, algorithm))
        })
    }

    /// 401 with the challenges that are asked for. `random` makes the nonce unique.
    pub fn challenge(&self, now: Moment, random: u64, stale: bool, challenges: Challenges) -> Rejection {
        let nonce = self.nonces.issue(now, random);
        let stale = if stale { ", stale=true" } else { "" };
        let challenge = |algorithm: Algorithm| {
            let (realm, name) = (&self.realm, algorithm.name());
            format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={name}, qop=\"auth\"{stale}")
        };
        let rejection = Rejection::new(StatusCode::UNAUTHORIZED);
        let rejection = match challenges {
            Challenges::Both => rejection.with(Header::WwwAuthenticate, challenge(Algorithm::Sha256)),
            Challenges::Md5 => rejection,
        };
        rejection.with(Header::WwwAuthenticate, challenge(Algorithm::Md5))
    }
}

/// The user name in a request's digest credentials, not verified: for a cheap look whether we know it at all.
pub fn claimed_username(request: &Request) -> Option<String> {
    let mut digests = request.lines(Header::Authorization).filter_map(DigestParams::read);
    digests.find_map(|params| params.get("username").map(str::to_owned))
}
