//! The text of a session description: read tolerantly and with limits, written exactly.

use std::fmt;
use std::net::IpAddr;
use std::str;

use super::{Direction, SdpError};

/// Longer bodies are refused; a phone's description has a few hundred bytes, a browser's a few thousand.
const MAX_BYTES: usize = 32 * 1024;
/// More media streams are refused.
const MAX_MEDIA: usize = 16;
/// More formats of one stream are left out.
const MAX_FORMATS: usize = 64;

/// A description of one side of a session, with the lines that we understand; all others are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionDescription {
    /// The session id of the `o=` line.
    pub session: u64,
    /// The version of the `o=` line; it grows with each change.
    pub version: u64,
    /// The address of the `o=` line, which only names the session; when there is none, `connection` is written.
    pub origin: Option<IpAddr>,
    /// The address of streams that have none of their own. The unspecified address means hold in old phones.
    pub connection: Option<IpAddr>,
    /// The direction of streams that have none of their own.
    pub direction: Option<Direction>,
    /// The streams, in order.
    pub media: Vec<MediaDescription>,
}

/// One `m=` line and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaDescription {
    /// `audio`, `video` and so on.
    pub kind: String,
    /// The UDP port, 0 when the stream is refused.
    pub port: u16,
    /// `RTP/AVP` and so on.
    pub protocol: String,
    /// The formats as written: payload types for RTP, anything for others.
    pub formats: Vec<String>,
    /// The stream's own address.
    pub connection: Option<IpAddr>,
    /// The stream's own direction.
    pub direction: Option<Direction>,
    /// What the payload types stand for.
    pub rtpmaps: Vec<RtpMap>,
    /// The packet time in milliseconds, when told.
    pub ptime: Option<u32>,
}

/// What a payload type stands for (`a=rtpmap`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpMap {
    /// The payload type, 0–127.
    pub payload_type: u8,
    /// The encoding's name as written; it is compared without case.
    pub encoding: String,
    /// Ticks of the RTP clock per second.
    pub clock_rate: u32,
}

impl SessionDescription {
    /// Reads a description. Lines may end with LF or CRLF and come in any order within their section; unknown lines and
    /// attributes are left out, and so is an attribute that cannot be read.
    ///
    /// # Errors
    /// When it is too large, has no `v=0` or `m=` line at all, or when a `c=` or `m=` line cannot be read.
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        if body.len() > MAX_BYTES {
            return Err(SdpError::TooLarge);
        }
        let mut description = SessionDescription {
            session: 0,
            version: 0,
            origin: None,
            connection: None,
            direction: None,
            media: Vec::new(),
        };
        let mut recognised = false;
        for (index, line) in body.split(|&byte| byte == b'\n' || byte == b'\r').enumerate() {
            let Some((kind, value)) = split_line(line) else { continue };
            recognised |= matches!(kind, b'v' | b'm');
            description.read_line(kind, value).map_err(|error| match error {
                SdpError::Syntax { .. } => SdpError::Syntax { line: line_number(body, index) },
                other => other,
            })?;
        }
        if recognised { Ok(description) } else { Err(SdpError::Syntax { line: 0 }) }
    }

    fn read_line(&mut self, kind: u8, value: &str) -> Result<(), SdpError> {
        match kind {
            b'o' => {
                let mut words = value.split_ascii_whitespace().skip(1);
                // A session id that is no number is compared by nobody; the version then counts as 0.
                self.session = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
                self.version = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
                self.origin = words.nth(2).and_then(|word| word.parse().ok());
            }
            b'c' => {
                let address = read_connection(value)?;
                match self.media.last_mut() {
                    Some(media) => media.connection = media.connection.or(address),
                    None => self.connection = address,
                }
            }
            b'm' if self.media.len() == MAX_MEDIA => return Err(SdpError::TooLarge),
            b'm' => self.media.push(read_media(value).ok_or(SdpError::Syntax { line: 0 })?),
            b'a' => self.read_attribute(value),
            _ => {}
        }
        Ok(())
    }

    fn read_attribute(&mut self, attribute: &str) {
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        let direction = match name {
            "sendrecv" => Some(Direction::SendRecv),
            "sendonly" => Some(Direction::SendOnly),
            "recvonly" => Some(Direction::RecvOnly),
            "inactive" => Some(Direction::Inactive),
            _ => None,
        };
        match self.media.last_mut() {
            None => self.direction = direction.or(self.direction),
            Some(media) => {
                media.direction = direction.or(media.direction);
                match name {
                    "rtpmap" if media.rtpmaps.len() < MAX_FORMATS => media.rtpmaps.extend(read_rtpmap(value)),
                    "ptime" => media.ptime = value.trim().parse().ok().or(media.ptime),
                    _ => {}
                }
            }
        }
    }

    /// Where the stream wants its RTP: its own address or the session's.
    pub fn address_of(&self, media: &MediaDescription) -> Option<IpAddr> {
        media.connection.or(self.connection)
    }

    /// The direction of a stream: its own, the session's, or both ways.
    pub fn direction_of(&self, media: &MediaDescription) -> Direction {
        media.direction.or(self.direction).unwrap_or_default()
    }
}

impl MediaDescription {
    /// What a payload type stands for: its `a=rtpmap` line, else its static meaning by RFC 3551 §6 where we know it.
    pub fn encoding_of(&self, payload_type: u8) -> Option<(&str, u32)> {
        let mapped = self.rtpmaps.iter().find(|map| map.payload_type == payload_type);
        match (mapped, payload_type) {
            (Some(map), _) => Some((&map.encoding, map.clock_rate)),
            (None, 0) => Some(("PCMU", 8_000)),
            (None, 8) => Some(("PCMA", 8_000)),
            (None, _) => None,
        }
    }

    /// The payload types of an RTP stream, in the order of preference; what is no payload type is left out.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + '_ {
        self.formats.iter().filter_map(|format| format.parse().ok()).filter(|payload_type| *payload_type < 128)
    }
}

impl fmt::Display for SessionDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.origin.or(self.connection).unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        write!(f, "v=0\r\no=- {} {} IN {}\r\ns=-\r\n", self.session, self.version, Net(owner))?;
        if let Some(address) = self.connection {
            write!(f, "c=IN {}\r\n", Net(address))?;
        }
        f.write_str("t=0 0\r\n")?;
        if let Some(direction) = self.direction {
            write!(f, "a={}\r\n", direction.attribute())?;
        }
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}

impl fmt::Display for MediaDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={} {} {}", self.kind, self.port, self.protocol)?;
        for format in &self.formats {
            write!(f, " {format}")?;
        }
        f.write_str("\r\n")?;
        if let Some(address) = self.connection {
            write!(f, "c=IN {}\r\n", Net(address))?;
        }
        for map in &self.rtpmaps {
            write!(f, "a=rtpmap:{} {}/{}\r\n", map.payload_type, map.encoding, map.clock_rate)?;
            if map.encoding.eq_ignore_ascii_case("telephone-event") {
                write!(f, "a=fmtp:{} 0-15\r\n", map.payload_type)?;
            }
        }
        if let Some(ptime) = self.ptime {
            write!(f, "a=ptime:{ptime}\r\n")?;
        }
        match self.direction {
            Some(direction) => write!(f, "a={}\r\n", direction.attribute()),
            None => Ok(()),
        }
    }
}

/// An address as `c=` and `o=` lines write it.
struct Net(IpAddr);

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => write!(f, "IP4 {v4}"),
            IpAddr::V6(v6) => write!(f, "IP6 {v6}"),
        }
    }
}

/// `x=value` as its letter and its trimmed value; `None` for anything else, also for bytes that are not UTF-8, which
/// only free text may carry.
fn split_line(line: &[u8]) -> Option<(u8, &str)> {
    match line.trim_ascii() {
        [kind, b'=', value @ ..] => Some((*kind, str::from_utf8(value).ok()?.trim())),
        _ => None,
    }
}

/// The number of a line as a person counts it, from the index of the piece that splitting at CR and LF gave.
fn line_number(body: &[u8], index: usize) -> usize {
    let pieces = body.split(|&byte| byte == b'\n' || byte == b'\r').take(index);
    let offset: usize = pieces.map(|piece| piece.len() + 1).sum();
    body[..offset].iter().filter(|&&byte| byte == b'\n').count() + 1
}

/// `IN IP4 192.0.2.1/127` as its address; a host name reads as no address.
fn read_connection(value: &str) -> Result<Option<IpAddr>, SdpError> {
    let mut words = value.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(net), Some(_), Some(address)) if net.eq_ignore_ascii_case("IN") => {
            let address = address.split('/').next().unwrap_or(address);
            Ok(address.parse().ok())
        }
        _ => Err(SdpError::Syntax { line: 0 }),
    }
}

/// `audio 4000/2 RTP/AVP 0 8 101`.
fn read_media(value: &str) -> Option<MediaDescription> {
    let mut words = value.split_ascii_whitespace();
    let kind = words.next()?.to_ascii_lowercase();
    let port = words.next()?.split('/').next()?.parse().ok()?;
    let protocol = words.next()?.to_owned();
    let formats = words.take(MAX_FORMATS).map(str::to_owned).collect();
    Some(MediaDescription {
        kind,
        port,
        protocol,
        formats,
        connection: None,
        direction: None,
        rtpmaps: Vec::new(),
        ptime: None,
    })
}

/// `101 telephone-event/8000` (and `/1` for one channel); more channels are no format of ours.
fn read_rtpmap(value: &str) -> Option<RtpMap> {
    let (payload_type, encoding) = value.trim().split_once([' ', '\t'])?;
    let payload_type = payload_type.parse().ok().filter(|payload_type| *payload_type < 128)?;
    let mut parts = encoding.trim().split('/');
    let encoding = parts.next()?.to_owned();
    let clock_rate = parts.next()?.trim().parse().ok()?;
    match parts.next().map(str::trim) {
        None | Some("1") => Some(RtpMap { payload_type, encoding, clock_rate }),
        Some(_) => Some(RtpMap { payload_type, encoding: "multichannel".to_owned(), clock_rate }),
    }
}
