//! Offer and answer (RFC 3264) for one audio stream, from our side.

use std::net::{IpAddr, SocketAddr};

use super::{Direction, MediaDescription, Negotiated, PayloadTypes, RtpMap, SdpError, SessionDescription, reachable};
use crate::{Codec, FRAME_MILLIS};

/// The payload type of telephone events in our own offers.
const OFFERED_EVENTS: u8 = 101;
const TELEPHONE_EVENT: &str = "telephone-event";
/// No session of ours changes that often; whoever goes on with it can count further without overflow.
const LAST_VERSION: u64 = u64::MAX / 2;

/// Our side of one leg's session: what we said last, so that re-offers keep the streams' number and order and the
/// `o=` version grows with each change (RFC 3264 §8).
///
/// Only audio is taken; every other stream of the peer is refused with port 0 and kept in its place.
#[derive(Clone, Debug)]
pub struct Session {
    id: u64,
    version: u64,
    /// Where the session began: an address that only names it.
    origin: IpAddr,
    local: SocketAddr,
    /// What we said last, once we have said anything.
    said: Option<Said>,
    /// What was said elsewhere before we went on with the session.
    before: Option<Box<Said>>,
    /// The peer's address of the last exchange, for the old form of hold, which names none.
    peer: Option<SocketAddr>,
}

/// One description of ours, without what is the same in all.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    /// Our formats, best first: payload types and codec.
    audio: Vec<(u8, Codec)>,
    telephone_event: Option<u8>,
    direction: Direction,
    /// `RTP/AVP` in our offers, the peer's word in our answers.
    protocol: String,
    /// Which of the streams is ours.
    place: usize,
    /// The refused streams around it, in order.
    refused: Vec<Refused>,
    /// Whether it was an offer, so that an answer may come.
    offered: bool,
}

/// A stream that we do not take.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refused {
    kind: String,
    protocol: String,
    format: String,
}

impl Session {
    /// A session that has said nothing yet. `id` names it in the `o=` line and must differ from call to call; `local` is
    /// where the peer shall send its RTP: the advertised address.
    pub fn new(id: u64, local: SocketAddr) -> Self {
        Session { id, version: 0, origin: local.ip(), local, said: None, before: None, peer: None }
    }

    /// Goes on with a session elsewhere: `said` is the last description of the one who began it, `peer` where the peer's
    /// audio was then. What is said next is the next version of the same session (RFC 3264 §8).
    ///
    /// # Errors
    /// When `said` is no description of ours.
    pub fn resume(said: &[u8], local: SocketAddr, peer: Option<SocketAddr>) -> Result<Self, SdpError> {
        let said = SessionDescription::parse(said)?;
        if said.version > LAST_VERSION {
            return Err(SdpError::Unexpected);
        }
        let place = said.media.iter().position(usable).ok_or(SdpError::NoAudio)?;
        let stream = &said.media[place];
        let audio = known_codecs(stream);
        if audio.is_empty() {
            return Err(SdpError::NoCodec);
        }
        let before = Said {
            audio,
            telephone_event: known_events(stream),
            direction: said.direction_of(stream),
            protocol: stream.protocol.clone(),
            place,
            refused: refused_streams(&said, place),
            offered: false,
        };
        Ok(Session {
            id: said.session,
            version: said.version + 1,
            origin: said.origin.ok_or(SdpError::Address)?,
            local,
            said: None,
            before: Some(Box::new(before)),
            peer,
        })
    }

    /// Names another local address from the next description on, as when a leg has to move to another port.
    pub fn set_local(&mut self, local: SocketAddr) {
        if self.local != local {
            self.local = local;
            self.version += u64::from(self.said.is_some());
        }
    }

    /// Our offer: the codecs in this order (none twice), telephone events, 20 ms. Within an established session it is a
    /// re-offer, which keeps the streams and the payload types already in use.
    pub fn offer(&mut self, codecs: &[Codec], direction: Direction) -> String {
        let before = self.known();
        let number = |codec: Codec| {
            let used = before.and_then(|said| said.audio.iter().find(|(_, known)| *known == codec));
            used.map_or(codec.static_payload_type(), |(payload_type, _)| *payload_type)
        };
        let audio: Vec<_> = codecs.iter().map(|&codec| (number(codec), codec)).collect();
        let free = |number: &u8| audio.iter().all(|(taken, _)| taken != number);
        let unused = || (OFFERED_EVENTS..128).find(free);
        let telephone_event = before.and_then(|said| said.telephone_event).filter(free).or_else(unused);
        let (protocol, place, refused) = match before {
            Some(said) => (said.protocol.clone(), said.place, said.refused.clone()),
            None => ("RTP/AVP".to_owned(), 0, Vec::new()),
        };
        self.say(Said { audio, telephone_event, direction, protocol, place, refused, offered: true })
    }

    /// Answers the peer's offer, a first one or a later one: the first usable audio stream is taken with `prefer` when
    /// it is offered, else with the peer's first choice; the direction mirrors the offer and is never wider than
    /// `direction`.
    ///
    /// # Errors
    /// When the offer cannot be read or used; the session then stays as it was. Answer 488.
    pub fn answer(
        &mut self,
        offer: &[u8],
        prefer: Option<Codec>,
        direction: Direction,
    ) -> Result<(String, Negotiated), SdpError> {
        let offer = SessionDescription::parse(offer)?;
        let place = self.choose(&offer)?;
        let stream = &offer.media[place];
        let codecs = known_codecs(stream);
        let preferred = codecs.iter().find(|(_, codec)| Some(*codec) == prefer);
        let &(audio, codec) = preferred.or(codecs.first()).ok_or(SdpError::NoCodec)?;
        let telephone_event = known_events(stream);
        let (peer, peer_direction) = self.peer_of(&offer, stream)?;

        let direction = peer_direction.reversed().and(direction);
        let types = PayloadTypes { codec, audio, telephone_event };
        let text = self.say(Said {
            audio: vec![(audio, codec)],
            telephone_event,
            direction,
            protocol: stream.protocol.clone(),
            place,
            refused: refused_streams(&offer, place),
            offered: false,
        });
        self.peer = Some(peer);
        Ok((text, Negotiated { peer, send: types, receive: types, direction, peer_direction }))
    }

    /// Reads the peer's answer to our last offer. It may be called again for the same offer: forks answer one by one,
    /// and a final answer follows an early one.
    ///
    /// # Errors
    /// When the answer cannot be read or used, or when we have offered nothing; the session then stays as it was.
    pub fn apply_answer(&mut self, answer: &[u8]) -> Result<Negotiated, SdpError> {
        let said = self.said.as_ref().filter(|said| said.offered).ok_or(SdpError::Unexpected)?;
        let answer = SessionDescription::parse(answer)?;
        let stream = answer.media.get(said.place).ok_or(SdpError::NoAudio)?;
        if !usable(stream) {
            return Err(SdpError::NoAudio);
        }
        let common = known_codecs(stream).into_iter().find_map(|(number, codec)| {
            let ours = said.audio.iter().find(|(_, offered)| *offered == codec)?;
            Some((number, ours.0, codec))
        });
        let (theirs, ours, codec) = common.ok_or(SdpError::NoCodec)?;
        let events = known_events(stream);
        let (peer, peer_direction) = self.peer_of(&answer, stream)?;
        let direction = said.direction.and(peer_direction.reversed());
        let receive_events = said.telephone_event.filter(|_| events.is_some());
        let send = PayloadTypes { codec, audio: theirs, telephone_event: events };
        let receive = PayloadTypes { codec, audio: ours, telephone_event: receive_events };
        self.peer = Some(peer);
        Ok(Negotiated { peer, send, receive, direction, peer_direction })
    }

    /// What we said last, word for word, for a response that has to repeat it; `None` before the first.
    pub fn current(&self) -> Option<String> {
        self.said.as_ref().map(|said| self.write(said))
    }

    /// What was said last, here or elsewhere.
    fn known(&self) -> Option<&Said> {
        self.said.as_ref().or(self.before.as_deref())
    }

    /// Says something: the version grows when it differs from what we said before.
    fn say(&mut self, mut next: Said) -> String {
        if let Some(said) = &mut self.said {
            said.offered = next.offered;
            self.version += u64::from(*said != next);
        }
        next.refused.shrink_to_fit();
        let text = self.write(&next);
        self.said = Some(next);
        self.before = None;
        text
    }

    fn write(&self, said: &Said) -> String {
        let mut media: Vec<_> = said.refused.iter().map(Refused::describe).collect();
        media.insert(said.place.min(media.len()), self.describe_audio(said));
        let description = SessionDescription {
            session: self.id,
            version: self.version,
            origin: Some(self.origin),
            connection: Some(self.local.ip()),
            direction: None,
            media,
        };
        description.to_string()
    }

    fn describe_audio(&self, said: &Said) -> MediaDescription {
        let map =
            |payload_type, encoding: &str| RtpMap { payload_type, encoding: encoding.to_owned(), clock_rate: 8_000 };
        let mut rtpmaps: Vec<_> =
            said.audio.iter().map(|(number, codec)| map(*number, codec.encoding_name())).collect();
        rtpmaps.extend(said.telephone_event.map(|number| map(number, TELEPHONE_EVENT)));
        MediaDescription {
            kind: "audio".to_owned(),
            port: self.local.port(),
            protocol: said.protocol.clone(),
            formats: rtpmaps.iter().map(|map| map.payload_type.to_string()).collect(),
            connection: None,
            direction: Some(said.direction),
            rtpmaps,
            ptime: Some(FRAME_MILLIS),
        }
    }

    /// Which stream of an offer is ours: the one we had, as long as it can be used, else the first that can.
    fn choose(&self, offer: &SessionDescription) -> Result<usize, SdpError> {
        let had = self.known().map(|said| said.place);
        let fits = |place: usize| offer.media.get(place).is_some_and(usable);
        let with_codec = || offer.media.iter().position(|stream| usable(stream) && !known_codecs(stream).is_empty());
        let first = || offer.media.iter().position(usable);
        had.filter(|&place| fits(place)).or_else(with_codec).or_else(first).ok_or(SdpError::NoAudio)
    }

    /// The peer's address and direction. The unspecified address is the old form of hold: the peer does not receive, and
    /// what we knew of its address stays (RFC 3264 §8.4).
    fn peer_of(
        &self,
        theirs: &SessionDescription,
        stream: &MediaDescription,
    ) -> Result<(SocketAddr, Direction), SdpError> {
        let ip = theirs.address_of(stream).ok_or(SdpError::Address)?;
        if !reachable(ip) || ip.is_ipv4() != self.local.is_ipv4() {
            return Err(SdpError::Address);
        }
        let direction = theirs.direction_of(stream);
        if ip.is_unspecified() {
            let peer = self.peer.unwrap_or(SocketAddr::new(ip, stream.port));
            return Ok((peer, direction.and(Direction::SendOnly)));
        }
        Ok((SocketAddr::new(ip.to_canonical(), stream.port), direction))
    }
}

impl Refused {
    fn describe(&self) -> MediaDescription {
        MediaDescription {
            kind: self.kind.clone(),
            port: 0,
            protocol: self.protocol.clone(),
            formats: vec![self.format.clone()],
            connection: None,
            direction: None,
            rtpmaps: Vec::new(),
            ptime: None,
        }
    }
}

/// Audio over plain RTP that is not refused. The feedback profile is taken too: nothing obliges us to send feedback.
fn usable(stream: &MediaDescription) -> bool {
    let plain = ["RTP/AVP", "RTP/AVPF"].iter().any(|known| stream.protocol.eq_ignore_ascii_case(known));
    stream.kind == "audio" && plain && stream.port != 0
}

/// The payload types of a stream that are ours, in the peer's order.
fn known_codecs(stream: &MediaDescription) -> Vec<(u8, Codec)> {
    let codec = |payload_type| {
        let (encoding, clock_rate) = stream.encoding_of(payload_type)?;
        let known = |codec: &Codec| clock_rate == 8_000 && encoding.eq_ignore_ascii_case(codec.encoding_name());
        Some((payload_type, Codec::ALL.into_iter().find(known)?))
    };
    stream.payload_types().filter_map(codec).collect()
}

/// The payload type of telephone events at our clock rate.
fn known_events(stream: &MediaDescription) -> Option<u8> {
    stream.payload_types().find(|&payload_type| {
        let encoding = stream.encoding_of(payload_type);
        encoding.is_some_and(|(name, rate)| name.eq_ignore_ascii_case(TELEPHONE_EVENT) && rate == 8_000)
    })
}

fn refused_streams(offer: &SessionDescription, taken: usize) -> Vec<Refused> {
    let others = offer.media.iter().enumerate().filter(|(place, _)| *place != taken);
    let refuse = |stream: &MediaDescription| Refused {
        kind: stream.kind.clone(),
        protocol: stream.protocol.clone(),
        format: stream.formats.first().cloned().unwrap_or_else(|| "0".to_owned()),
    };
    others.map(|(_, stream)| refuse(stream)).collect()
}
