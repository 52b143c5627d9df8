//! The Reason header (RFC 3326).

use crate::message::Params;
use crate::message::scan::trim;
use crate::uri::decimal;
use std::fmt;

/// Why a request was sent, for example why a branch was cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// `SIP` or `Q.850`.
    pub protocol: String,
    /// The status code or the Q.850 cause.
    pub cause: Option<u16>,
    /// Words for people.
    pub text: Option<String>,
}

impl Reason {
    /// A reason of protocol SIP.
    pub fn sip(cause: u16, text: &str) -> Self {
        Reason { protocol: "SIP".to_owned(), cause: Some(cause), text: Some(text.to_owned()) }
    }

    /// A reason of protocol Q.850.
    pub fn q850(cause: u16, text: &str) -> Self {
        Reason { protocol: "Q.850".to_owned(), cause: Some(cause), text: Some(text.to_owned()) }
    }

    /// Another phone answered: the ringing ones show no missed call (RFC 3326 §2).
    pub fn completed_elsewhere() -> Self {
        Self::sip(200, "Call completed elsewhere")
    }

    /// Reads one value of a Reason header; `None` when it is malformed.
    pub fn read(raw: &[u8]) -> Option<Self> {
        let end = memchr::memchr(b';', raw).unwrap_or(raw.len());
        let protocol = std::str::from_utf8(trim(&raw[..end])).ok().filter(|p| !p.is_empty())?;
        let params = Params::new(&raw[end..]);
        let cause = params.get("cause").and_then(decimal).and_then(|n| u16::try_from(n).ok());
        let text = params.get("text").map(|t| String::from_utf8_lossy(t).into_owned());
        Some(Reason { protocol: protocol.to_owned(), cause, text })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.protocol)?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        if let Some(text) = &self.text {
            write!(f, ";text=\"{}\"", text.replace(['"', '\\'], "'"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn written_and_read_back() {
        let reason = Reason::completed_elsewhere();
        assert_eq!(reason.to_string(), "SIP;cause=200;text=\"Call completed elsewhere\"");
        assert_eq!(Reason::read(reason.to_string().as_bytes()), Some(reason));
        assert_eq!(
            Reason::read(b"Q.850 ;cause=16"),
            Some(Reason { protocol: "Q.850".into(), cause: Some(16), text: None })
        );
        assert_eq!(Reason::read(b";cause=16"), None);
    }
}
