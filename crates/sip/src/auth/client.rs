//! The side that is challenged.

use super::digest::{Algorithm, DigestParams, Inputs};
use crate::message::{Header, Method, Response};
use crate::status::StatusCode;
use std::fmt;

/// Name and password for a peer that challenges us.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    /// Never shows the password. Spec: SE-5.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// The header that answers a 401 or 407: SHA-256 when it is offered, else MD5. `uri` is the Request-URI of the request
/// that is sent again, `cnonce` a fresh token. `None` when there is no challenge that can be answered. Each nonce is
/// answered once, so answer only the first refusal of a request.
pub fn answer(
    response: &Response,
    credentials: &Credentials,
    method: &Method,
    uri: &str,
    cnonce: &str,
) -> Option<(Header, String)> {
    let (from, to) = match response.status() {
        StatusCode::UNAUTHORIZED => (Header::WwwAuthenticate, Header::Authorization),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => (Header::ProxyAuthenticate, Header::ProxyAuthorization),
        _ => return None,
    };
    let offered = |wanted: Algorithm| {
        let mut challenges = response.lines(from).filter_map(DigestParams::read);
        challenges.find(|c| Algorithm::read(c.get("algorithm")) == Some(wanted) && speaks_auth(c))
    };
    let (algorithm, challenge) =
        [Algorithm::Sha256, Algorithm::Md5].into_iter().find_map(|a| Some((a, offered(a)?)))?;
    let (realm, nonce) = (challenge.get("realm")?, challenge.get("nonce")?);
    let quality = challenge.get("qop").map(|_| ("00000001", cnonce));
    let method = method.to_string();
    let username = &credentials.username;
    let inputs = Inputs { algorithm, username, realm, method: &method, uri, nonce, quality };
    let digest = inputs.response(&credentials.password);
    let name = algorithm.name();
    let mut value = format!(
        "Digest username=\"{username}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{digest}\", algorithm={name}"
    );
    if let Some((nc, cnonce)) = quality {
        value.push_str(&format!(", qop=auth, nc={nc}, cnonce=\"{cnonce}\""));
    }
    if let Some(opaque) = challenge.get("opaque") {
        value.push_str(&format!(", opaque=\"{opaque}\""));
    }
    Some((to, value))
}

/// Whether the challenge allows plain authentication: no qop (RFC 2069), or `auth` among its qops.
fn speaks_auth(challenge: &DigestParams<'_>) -> bool {
    challenge.get("qop").is_none_or(|qops| qops.split(',').any(|q| q.trim().eq_ignore_ascii_case("auth")))
}
