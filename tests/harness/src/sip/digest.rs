//! Answers to digest challenges (RFC 2617, RFC 7616). The hash comes from `rsip`; its header types do not know
//! `SHA-256`'s real name, so the header text is read and written here.

use anyhow::{Context, Result, bail};
use rsip::headers::auth::{Algorithm, AuthQop};
use rsip::services::DigestGenerator;
use rsip::{Method, Response, Uri};

use super::message;

/// Which challenge a phone answers when it is given several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hash {
    /// RFC 2617, what most desk phones do.
    #[default]
    Md5,
    /// RFC 7616.
    Sha256,
}

impl Hash {
    fn name(self) -> &'static str {
        match self {
            Hash::Md5 => "MD5",
            Hash::Sha256 => "SHA-256",
        }
    }
}

/// What a registrar or a proxy asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    qop: bool,
    hash: Hash,
    /// The nonce was good once and is too old now: try again without asking a person.
    pub stale: bool,
}

impl Challenge {
    /// The challenge of `response` that uses `hash`.
    pub fn of(response: &Response, hash: Hash) -> Result<Challenge> {
        let offered: Vec<String> =
            ["WWW-Authenticate", "Proxy-Authenticate"].iter().flat_map(|n| message::values(response, n)).collect();
        let wanted = |text: &String| Challenge::read(text).filter(|c| c.hash == hash);
        offered.iter().find_map(wanted).with_context(|| format!("no {} challenge among {offered:?}", hash.name()))
    }

    fn read(text: &str) -> Option<Challenge> {
        let params = text.trim().strip_prefix("Digest ")?;
        let find = |name: &str| parameters(params).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        let hash = match find("algorithm").as_deref() {
            None | Some("MD5") => Hash::Md5,
            Some("SHA-256") => Hash::Sha256,
            Some(_) => return None,
        };
        Some(Challenge {
            realm: find("realm")?,
            nonce: find("nonce")?,
            opaque: find("opaque"),
            qop: find("qop").is_some_and(|q| q.split(',').any(|part| part.trim() == "auth")),
            hash,
            stale: find("stale").is_some_and(|s| s.eq_ignore_ascii_case("true")),
        })
    }

    /// The value of the Authorization header for the `nc`-th use of the nonce, 1 to 9.
    pub fn answer(&self, username: &str, password: &str, method: &Method, uri: &Uri, nc: u8) -> Result<String> {
        // From 10 on, rsip writes the count in decimal where the RFC has hexadecimal digits.
        if !(1..=9).contains(&nc) {
            bail!("nonce count {nc} is not 1 to 9");
        }
        let cnonce = message::token("");
        let qop = self.qop.then(|| AuthQop::Auth { cnonce: cnonce.clone(), nc });
        let response = DigestGenerator {
            username,
            password,
            nonce: &self.nonce,
            uri,
            realm: &self.realm,
            method,
            qop: qop.as_ref(),
            algorithm: match self.hash {
                Hash::Md5 => Algorithm::Md5,
                Hash::Sha256 => Algorithm::Sha256,
            },
        }
        .compute();
        let Challenge { realm, nonce, .. } = self;
        let mut text = format!(
            "Digest username=\"{username}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", algorithm={}",
            self.hash.name()
        );
        if let Some(opaque) = &self.opaque {
            text += &format!(", opaque=\"{opaque}\"");
        }
        if self.qop {
            text += &format!(", qop=auth, nc={nc:08x}, cnonce=\"{cnonce}\"");
        }
        Ok(text)
    }
}

/// `key=value` and `key="value"` pairs; commas inside quotes do not part them.
fn parameters(text: &str) -> impl Iterator<Item = (String, String)> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '"';
        match parts.last_mut() {
            Some(_) if c == ',' && !quoted => parts.push(String::new()),
            Some(part) => part.push(c),
            None => {}
        }
    }
    parts.into_iter().filter_map(|part| {
        let (key, value) = part.split_once('=')?;
        Some((key.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenged(lines: &str) -> Response {
        let text = format!(
            "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:a@h>;tag=2\r\n\
             Call-ID: 1\r\nCSeq: 1 REGISTER\r\n{lines}Content-Length: 0\r\n\r\n"
        );
        Response::try_from(text.as_str()).unwrap()
    }

    #[test]
    fn the_wanted_hash_is_chosen_among_several() {
        let response = challenged(
            "WWW-Authenticate: Digest realm=\"a, b\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"\r\n\
             WWW-Authenticate: Digest realm=\"a, b\", nonce=\"n2\", algorithm=MD5, qop=\"auth,auth-int\", stale=true\r\n",
        );
        let md5 = Challenge::of(&response, Hash::Md5).unwrap();
        assert_eq!((md5.nonce.as_str(), md5.realm.as_str(), md5.stale), ("n2", "a, b", true));
        assert_eq!(Challenge::of(&response, Hash::Sha256).unwrap().nonce, "n1");
    }

    /// The names of RFC 2617 §3.5's example; the expected hash is md5(md5(A1):nonce:md5(A2)) computed by another tool.
    #[test]
    fn the_answer_is_the_known_hash() {
        let challenge = Challenge {
            realm: "testrealm@host.com".into(),
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093".into(),
            opaque: None,
            qop: false,
            hash: Hash::Md5,
            stale: false,
        };
        let uri = Uri::try_from("sip:h").unwrap();
        let text = challenge.answer("Mufasa", "Circle Of Life", &Method::Register, &uri, 1).unwrap();
        assert!(text.contains("response=\"e871d106cf6d71d7275c3462df0dbc19\""), "{text}");
        assert!(challenge.answer("a", "b", &Method::Register, &uri, 10).is_err());
    }
}
