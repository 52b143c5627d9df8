//! The arithmetic of digest, and the parameters of its headers.

use crate::message::scan::{split_list, trim, trim_start};
use md5::Md5;
use sha2::{Digest, Sha256};

/// The hash of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    /// Reads an `algorithm` parameter; absent means MD5. `None` for one that is not spoken here.
    pub(super) fn read(value: Option<&str>) -> Option<Self> {
        match value {
            None => Some(Algorithm::Md5),
            Some(name) if name.eq_ignore_ascii_case("MD5") => Some(Algorithm::Md5),
            Some(name) if name.eq_ignore_ascii_case("SHA-256") => Some(Algorithm::Sha256),
            Some(_) => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    /// The hash of `parts` joined by colons, in hexadecimal.
    fn hash(self, parts: &[&str]) -> String {
        match self {
            Algorithm::Md5 => hex::encode(joined(Md5::new(), parts)),
            Algorithm::Sha256 => hex::encode(joined(Sha256::new(), parts)),
        }
    }
}

fn joined<D: Digest>(mut hash: D, parts: &[&str]) -> impl AsRef<[u8]> {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            hash.update(b":");
        }
        hash.update(part.as_bytes());
    }
    hash.finalize()
}

/// What goes into a response besides the password (RFC 7616 §3.4.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Inputs<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) username: &'a str,
    pub(super) realm: &'a str,
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) nonce: &'a str,
    /// `nc` and `cnonce` for qop=auth; `None` for peers of RFC 2069.
    pub(super) quality: Option<(&'a str, &'a str)>,
}

impl Inputs<'_> {
    /// The `response` parameter for `password`.
    pub(super) fn response(&self, password: &str) -> String {
        let secret = self.algorithm.hash(&[self.username, self.realm, password]);
        let request = self.algorithm.hash(&[self.method, self.uri]);
        match self.quality {
            Some((nc, cnonce)) => self.algorithm.hash(&[&secret, self.nonce, nc, cnonce, "auth", &request]),
            None => self.algorithm.hash(&[&secret, self.nonce, &request]),
        }
    }
}

/// The parameters of one `Digest ...` header value.
#[derive(Debug)]
pub(super) struct DigestParams<'a> {
    raw: &'a [u8],
}

impl<'a> DigestParams<'a> {
    /// `None` when the scheme is not Digest.
    pub(super) fn read(value: &'a [u8]) -> Option<Self> {
        let (scheme, raw) = value.split_at_checked(6)?;
        let digest = scheme.eq_ignore_ascii_case(b"Digest") && trim_start(raw).len() < raw.len();
        digest.then_some(DigestParams { raw })
    }

    /// A parameter without its quotes; `None` when absent or not UTF-8. Escapes inside quotes stay as they are, because
    /// the digest is computed over them (RFC 7616 §3.4.1 `unq`).
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        split_list(self.raw).find_map(|param| {
            let equals = memchr::memchr(b'=', param)?;
            if !trim(&param[..equals]).eq_ignore_ascii_case(name.as_bytes()) {
                return None;
            }
            let value = trim(&param[equals + 1..]);
            let value = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
            std::str::from_utf8(value).ok()
        })
    }
}
