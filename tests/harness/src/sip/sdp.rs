//! Session descriptions with one audio stream (RFC 4566, RFC 3264), as a plain telephone writes and reads them.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, bail};

use crate::audio::Codec;
use crate::audio::rtp::EVENT_TYPE;

/// Who may send, seen from the writer of the description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// The writer sends, and hears nothing: hold.
    SendOnly,
    /// The writer listens.
    ReceiveOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Direction::Both => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::ReceiveOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// What the answer to an offer of this direction says (RFC 3264 §6.1).
    pub fn mirrored(self) -> Self {
        match self {
            Direction::SendOnly => Direction::ReceiveOnly,
            Direction::ReceiveOnly => Direction::SendOnly,
            Direction::Both | Direction::Inactive => self,
        }
    }
}

/// The audio stream of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Where the writer wants its packets.
    pub address: SocketAddr,
    /// G.711 codecs, the preferred one first.
    pub codecs: Vec<Codec>,
    /// Payload type of telephone-event.
    pub event_type: Option<u8>,
    /// Who sends.
    pub direction: Direction,
}

impl Media {
    /// The text; `version` grows with each new description of a session (RFC 3264 §8).
    pub fn write(&self, version: u32) -> Vec<u8> {
        let ip = self.address.ip();
        let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
        let mut types: Vec<String> = self.codecs.iter().map(|c| c.payload_type().to_string()).collect();
        let mut maps: Vec<String> =
            self.codecs.iter().map(|c| format!("a=rtpmap:{} {}/8000\r\n", c.payload_type(), c.name())).collect();
        if let Some(event) = self.event_type {
            types.push(event.to_string());
            maps.push(format!("a=rtpmap:{event} telephone-event/8000\r\na=fmtp:{event} 0-15\r\n"));
        }
        format!(
            "v=0\r\no=phone 1 {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {} RTP/AVP {}\r\n{}a=ptime:20\r\na={}\r\n",
            self.address.port(),
            types.join(" "),
            maps.concat(),
            self.direction.name()
        )
        .into_bytes()
    }

    /// Reads the first audio stream.
    pub fn read(body: &[u8]) -> Result<Media> {
        let text = std::str::from_utf8(body).context("a session description that is not UTF-8")?;
        let mut reader = Reader::default();
        for line in text.lines() {
            reader.line(line).with_context(|| format!("the line {line:?} of {text:?}"))?;
        }
        let (Some(ip), Some(port)) = (reader.ip, reader.port) else { bail!("no address or no audio in {text:?}") };
        Ok(Media {
            address: SocketAddr::new(ip, port),
            codecs: reader.codecs,
            event_type: reader.event_type,
            direction: reader.direction,
        })
    }

    /// Our own description with all codecs this harness has, `first` preferred.
    pub fn offer(address: SocketAddr, first: Codec, direction: Direction) -> Media {
        let second = if first == Codec::Pcmu { Codec::Pcma } else { Codec::Pcmu };
        Media { address, codecs: vec![first, second], event_type: Some(EVENT_TYPE), direction }
    }

    /// The answer to this offer: `preferred` if it is offered, else the offer's first codec.
    pub fn answer(&self, address: SocketAddr, preferred: Codec, direction: Direction) -> Result<Media> {
        let codec = self.codecs.iter().copied().find(|&c| c == preferred).or(self.codecs.first().copied());
        let codec = codec.context("the offer has neither PCMU nor PCMA")?;
        Ok(Media { address, codecs: vec![codec], event_type: self.event_type, direction })
    }
}

#[derive(Default)]
struct Reader {
    ip: Option<IpAddr>,
    port: Option<u16>,
    in_other_media: bool,
    codecs: Vec<Codec>,
    event_type: Option<u8>,
    direction: Direction,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<()> {
        if let Some(media) = line.strip_prefix("m=") {
            self.in_other_media = !media.starts_with("audio ") || self.port.is_some();
            if !self.in_other_media {
                self.media(media)?;
            }
        } else if !self.in_other_media {
            self.attribute(line)?;
        }
        Ok(())
    }

    fn media(&mut self, media: &str) -> Result<()> {
        let mut words = media.split_whitespace().skip(1);
        self.port = Some(words.next().context("no port")?.parse().context("the port")?);
        self.codecs = words
            .skip(1)
            .filter_map(|payload_type| match payload_type {
                "0" => Some(Codec::Pcmu),
                "8" => Some(Codec::Pcma),
                _ => None,
            })
            .collect();
        Ok(())
    }

    fn attribute(&mut self, line: &str) -> Result<()> {
        if let Some(connection) = line.strip_prefix("c=IN ") {
            let address = connection.split_whitespace().nth(1).context("no address")?;
            self.ip = Some(address.parse().context("the address")?);
        } else if let Some(map) = line.strip_prefix("a=rtpmap:") {
            let (payload_type, name) = map.split_once(' ').context("no name")?;
            if name.starts_with("telephone-event/8000") {
                self.event_type = Some(payload_type.parse().context("the payload type")?);
            }
        } else if let Some(name) = line.strip_prefix("a=") {
            let all = [Direction::Both, Direction::SendOnly, Direction::ReceiveOnly, Direction::Inactive];
            self.direction = all.into_iter().find(|d| d.name() == name).unwrap_or(self.direction);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_reads_back() {
        let written = Media::offer("127.0.0.1:4000".parse().unwrap(), Codec::Pcma, Direction::SendOnly);
        assert_eq!(Media::read(&written.write(3)).unwrap(), written);
        let answer = written.answer("127.0.0.2:4002".parse().unwrap(), Codec::Pcmu, written.direction.mirrored());
        let answer = answer.unwrap();
        assert_eq!((answer.codecs.as_slice(), answer.direction), (&[Codec::Pcmu][..], Direction::ReceiveOnly));
    }

    #[test]
    fn other_streams_do_not_matter() {
        let text = "v=0\r\nc=IN IP4 10.0.0.1\r\nm=video 9 RTP/AVP 31\r\nc=IN IP4 10.0.0.9\r\nm=audio 4000 RTP/AVP 8 96\r\nc=IN IP4 10.0.0.2\r\n\
                    a=rtpmap:96 telephone-event/8000\r\nm=audio 5000 RTP/AVP 0\r\na=inactive\r\n";
        let media = Media::read(text.as_bytes()).unwrap();
        assert_eq!(media.address, "10.0.0.2:4000".parse().unwrap());
        assert_eq!((media.codecs, media.event_type, media.direction), (vec![Codec::Pcma], Some(96), Direction::Both));
    }
}
