//! What one edge lets another know of a leg, so that the other can go on with it (Spec: CL-4): a few hundred bytes of
//! protobuf. Fields may be added; none changes its meaning or number, so edges of two versions understand each other.
//!
//! An image comes from another node over a link, and is believed no more than a message from the network: it has a limit
//! in size, and what it names is checked before it is used.

use std::net::{IpAddr, SocketAddr};

use carillon_acd::ids::{IdError, Name, TrunkId};
use carillon_acd::leg::LegImage;
use carillon_media::{Codec, Direction, Negotiated, PayloadTypes, SdpError};
use carillon_sip::dialog::{Dialog, RestoreError, Saved};
use carillon_sip::{Flow, Transport};
use prost::Message as _;

use crate::audio::AudioImage;
use crate::leg::{Line, Talking, WayBack};

/// The first byte. Another one stands for a form that this edge cannot read.
const VERSION: u8 = 1;
/// A larger image is neither told nor read. Usual are 400 to 800 bytes; long display names and routes make the rest.
pub(crate) const MAX_IMAGE: usize = 16 * 1_024;

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    #[error("its form {0:?} is not {VERSION}")]
    Version(Option<u8>),
    #[error("it has {0} bytes, {MAX_IMAGE} at most are read")]
    Size(usize),
    #[error("it cannot be read: {0}")]
    Protobuf(#[from] prost::DecodeError),
    #[error("its field {field} has the value {value:?}")]
    Value { field: &'static str, value: String },
    #[error("its trunk has no name: {0}")]
    Trunk(#[from] IdError),
    #[error(transparent)]
    Dialog(#[from] RestoreError),
    #[error("its session description: {0}")]
    Session(#[from] SdpError),
}

/// The parts of an image that have been read and checked.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) line: Line,
    pub(crate) held: bool,
    pub(crate) ours: bool,
    pub(crate) audio: AudioImage,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Wire {
    #[prost(message, required, tag = "1")]
    dialog: WireDialog,
    /// `udp`, `tcp`, as a URI writes it.
    #[prost(string, tag = "2")]
    transport: String,
    /// Where requests go or went.
    #[prost(string, tag = "3")]
    remote: String,
    #[prost(bool, tag = "4")]
    pinned: bool,
    #[prost(string, tag = "5")]
    trunk_tenant: String,
    /// Empty when the other end is no trunk.
    #[prost(string, tag = "6")]
    trunk: String,
    #[prost(bool, tag = "7")]
    held: bool,
    #[prost(bool, tag = "8")]
    ours: bool,
    /// Our last session description, which holds number and version of the session, payload types and refused streams.
    #[prost(string, tag = "9")]
    description: String,
    /// A direction by its number, see [`direction_number`].
    #[prost(uint32, tag = "10")]
    said: u32,
    #[prost(string, tag = "11")]
    signalling: String,
    /// Absent as long as our offer in a 200 has no answer.
    #[prost(message, optional, tag = "12")]
    agreed: Option<WireAgreed>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireDialog {
    #[prost(bytes = "vec", tag = "1")]
    call_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    local: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    remote: Vec<u8>,
    #[prost(uint32, tag = "4")]
    cseq: u32,
    #[prost(bytes = "vec", tag = "5")]
    target: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "6")]
    routes: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireAgreed {
    /// Where the peer's audio was.
    #[prost(string, tag = "1")]
    peer: String,
    /// `PCMU` or `PCMA`.
    #[prost(string, tag = "2")]
    codec: String,
    #[prost(uint32, tag = "3")]
    send_audio: u32,
    #[prost(uint32, optional, tag = "4")]
    send_event: Option<u32>,
    #[prost(uint32, tag = "5")]
    receive_audio: u32,
    #[prost(uint32, optional, tag = "6")]
    receive_event: Option<u32>,
    #[prost(uint32, tag = "7")]
    direction: u32,
    #[prost(uint32, tag = "8")]
    peer_direction: u32,
}

/// The image of a leg in conversation. One of more than [`MAX_IMAGE`] bytes will not be read.
pub(crate) fn write(talking: &Talking, audio: &AudioImage) -> LegImage {
    let Line { dialog, flow, way } = &talking.line;
    let (trunk_tenant, trunk) =
        way.trunk.as_ref().map(|id| (id.tenant.to_string(), id.name.to_string())).unwrap_or_default();
    let wire = Wire {
        dialog: dialog.save().into(),
        transport: flow.transport.uri_name().into(),
        remote: flow.remote.to_string(),
        pinned: way.pinned,
        trunk_tenant,
        trunk,
        held: talking.held,
        ours: talking.ours,
        description: audio.description.clone(),
        said: direction_number(audio.said),
        signalling: audio.signalling.to_string(),
        agreed: audio.negotiated.as_ref().map(WireAgreed::from),
    };
    let mut bytes = Vec::with_capacity(1 + wire.encoded_len());
    bytes.push(VERSION);
    wire.encode_raw(&mut bytes);
    LegImage::new(&bytes)
}

/// Reads an image. `contact` gives our Contact value for a transport.
///
/// # Errors
/// [`ImageError`] for whatever is not as [`write`] writes it.
pub(crate) fn read<'a>(image: &LegImage, contact: impl Fn(Transport) -> &'a str) -> Result<Image, ImageError> {
    let bytes = image.bytes();
    if bytes.len() > MAX_IMAGE {
        return Err(ImageError::Size(bytes.len()));
    }
    let bytes = bytes.strip_prefix(&[VERSION]).ok_or_else(|| ImageError::Version(bytes.first().copied()))?;
    let wire = Wire::decode(bytes)?;
    let transport = Transport::from_name(wire.transport.as_bytes())
        .filter(|transport| matches!(transport, Transport::Udp | Transport::Tcp))
        .ok_or_else(|| wrong("transport", &wire.transport))?;
    let remote = wire.remote.parse().map_err(|_| wrong("remote", &wire.remote))?;
    let trunk = match wire.trunk.as_str() {
        "" => None,
        name => Some(TrunkId::new(wire.trunk_tenant.parse::<Name>()?, name.parse()?)),
    };
    let line = Line {
        dialog: Dialog::restore(&wire.dialog.into(), contact(transport))?,
        flow: Flow { transport, local: 0, remote, connection: None },
        way: WayBack { pinned: wire.pinned, trunk },
    };
    let audio = AudioImage {
        description: wire.description,
        negotiated: wire.agreed.map(Negotiated::try_from).transpose()?,
        signalling: wire.signalling.parse::<IpAddr>().map_err(|_| wrong("signalling", &wire.signalling))?,
        said: direction("said", wire.said)?,
    };
    Ok(Image { line, held: wire.held, ours: wire.ours, audio })
}

impl From<Saved> for WireDialog {
    fn from(saved: Saved) -> Self {
        let Saved { call_id, local, remote, cseq, target, routes } = saved;
        WireDialog { call_id, local, remote, cseq, target, routes }
    }
}

impl From<WireDialog> for Saved {
    fn from(wire: WireDialog) -> Self {
        let WireDialog { call_id, local, remote, cseq, target, routes } = wire;
        Saved { call_id, local, remote, cseq, target, routes }
    }
}

impl From<&Negotiated> for WireAgreed {
    fn from(agreed: &Negotiated) -> Self {
        WireAgreed {
            peer: agreed.peer.to_string(),
            codec: agreed.send.codec.encoding_name().into(),
            send_audio: agreed.send.audio.into(),
            send_event: agreed.send.telephone_event.map(u32::from),
            receive_audio: agreed.receive.audio.into(),
            receive_event: agreed.receive.telephone_event.map(u32::from),
            direction: direction_number(agreed.direction),
            peer_direction: direction_number(agreed.peer_direction),
        }
    }
}

impl TryFrom<WireAgreed> for Negotiated {
    type Error = ImageError;

    fn try_from(wire: WireAgreed) -> Result<Self, ImageError> {
        let codec = Codec::ALL.into_iter().find(|codec| codec.encoding_name() == wire.codec);
        let codec = codec.ok_or_else(|| wrong("codec", &wire.codec))?;
        let types = |audio, event: Option<u32>| {
            let telephone_event = event.map(payload_type).transpose()?;
            Ok::<_, ImageError>(PayloadTypes { codec, audio: payload_type(audio)?, telephone_event })
        };
        Ok(Negotiated {
            peer: wire.peer.parse::<SocketAddr>().map_err(|_| wrong("peer", &wire.peer))?,
            send: types(wire.send_audio, wire.send_event)?,
            receive: types(wire.receive_audio, wire.receive_event)?,
            direction: direction("direction", wire.direction)?,
            peer_direction: direction("peer_direction", wire.peer_direction)?,
        })
    }
}

fn wrong(field: &'static str, value: &str) -> ImageError {
    ImageError::Value { field, value: value.chars().take(100).collect() }
}

/// A payload type of RTP has seven bits (RFC 3550 §5.1).
fn payload_type(number: u32) -> Result<u8, ImageError> {
    u8::try_from(number).ok().filter(|number| *number < 128).ok_or_else(|| wrong("payload type", &number.to_string()))
}

const fn direction_number(direction: Direction) -> u32 {
    match direction {
        Direction::SendRecv => 0,
        Direction::SendOnly => 1,
        Direction::RecvOnly => 2,
        Direction::Inactive => 3,
    }
}

fn direction(field: &'static str, number: u32) -> Result<Direction, ImageError> {
    match number {
        0 => Ok(Direction::SendRecv),
        1 => Ok(Direction::SendOnly),
        2 => Ok(Direction::RecvOnly),
        3 => Ok(Direction::Inactive),
        other => Err(wrong(field, &other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use carillon_media::Session;
    use carillon_sip::{Message, Moment};
    use proptest::prelude::{any, proptest};

    use super::*;
    use crate::leg::Exchange;

    const CONTACT: &str = "<sip:carillon@192.0.2.2:5060>";

    fn line() -> Line {
        let invite = b"INVITE sip:1@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nRecord-Route: <sip:p;lr>\r\n\
            From: \"A\" <sip:a@x>;tag=a1\r\nTo: <sip:1@192.0.2.1>\r\nCall-ID: c1\r\nCSeq: 7 INVITE\r\n\
            Contact: <sip:a@192.0.2.9:5080>\r\nContent-Length: 0\r\n\r\n";
        let Ok(Message::Request(invite)) = Message::parse(invite.to_vec().into()) else { panic!("no request") };
        let mut dialog = Dialog::uas(&invite, "ours", "<sip:carillon@192.0.2.1:5060>").unwrap();
        dialog.confirm();
        let trunk = TrunkId::new("default".parse().unwrap(), "carrier".parse().unwrap());
        let flow = Flow {
            transport: Transport::Tcp,
            local: 0,
            remote: "192.0.2.9:5080".parse().unwrap(),
            connection: Some(3),
        };
        Line { dialog, flow, way: WayBack { pinned: true, trunk: Some(trunk) } }
    }

    fn audio() -> AudioImage {
        let types = |audio, event| PayloadTypes { codec: Codec::Pcmu, audio, telephone_event: event };
        let negotiated = Negotiated {
            peer: "[2001:db8::1]:4000".parse().unwrap(),
            send: types(0, Some(96)),
            receive: types(0, None),
            direction: Direction::RecvOnly,
            peer_direction: Direction::SendOnly,
        };
        let mut session = Session::new(7, "192.0.2.1:20000".parse().unwrap());
        AudioImage {
            description: session.offer(&Codec::ALL, Direction::SendRecv),
            negotiated: Some(negotiated),
            signalling: "192.0.2.9".parse().unwrap(),
            said: Direction::SendOnly,
        }
    }

    fn image(line: Line, audio: &AudioImage) -> LegImage {
        let give_up = Moment::at(Duration::from_secs(1));
        let talking =
            Talking { line, unacknowledged: None, exchange: Exchange::None, held: true, ours: false, give_up };
        write(&talking, audio)
    }

    // spec: CL-4
    #[test]
    fn cl_4_an_image_holds_what_was_agreed_and_nothing_of_the_place() {
        let written = image(line(), &audio());
        assert!(written.bytes().len() < 700, "{}", written.bytes().len());
        let read = read(&written, |_| CONTACT).unwrap();
        assert_eq!(read.audio, audio());
        assert_eq!((read.held, read.ours), (true, false));
        let (was, is) = (line(), read.line);
        assert_eq!((is.dialog.save(), is.dialog.contact()), (was.dialog.save(), CONTACT));
        assert_eq!(is.flow, Flow { connection: None, ..was.flow }, "connections die with their edge");
        assert_eq!((is.way.pinned, is.way.trunk), (was.way.pinned, was.way.trunk));
    }

    #[test]
    fn an_image_before_the_answer_to_our_offer_has_no_agreement() {
        let waiting = AudioImage { negotiated: None, ..audio() };
        assert_eq!(read(&image(line(), &waiting), |_| CONTACT).unwrap().audio, waiting);
    }

    #[test]
    fn a_field_of_a_later_version_is_passed_over() {
        let mut bytes = image(line(), &audio()).bytes().to_vec();
        // Field 100, three bytes.
        bytes.extend([0xa2, 0x06, 3, 1, 2, 3]);
        assert_eq!(read(&LegImage::new(&bytes), |_| CONTACT).unwrap().audio, audio());
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let long = AudioImage { description: "x".repeat(MAX_IMAGE), ..audio() };
        let give_up = Moment::at(Duration::from_secs(1));
        let talking =
            Talking { line: line(), unacknowledged: None, exchange: Exchange::None, held: false, ours: true, give_up };
        let image = write(&talking, &long);
        assert!(matches!(read(&image, |_| CONTACT), Err(ImageError::Size(size)) if size == image.bytes().len()));
    }

    #[test]
    fn a_wrong_value_is_named() {
        let refused = |change: fn(&mut Wire)| {
            let mut wire = Wire::decode(&image(line(), &audio()).bytes()[1..]).unwrap();
            change(&mut wire);
            let bytes = [vec![VERSION], wire.encode_to_vec()].concat();
            read(&LegImage::new(&bytes), |_| CONTACT).unwrap_err().to_string()
        };
        assert_eq!(refused(|wire| wire.transport = "ws".into()), "its field transport has the value \"ws\"");
        assert_eq!(refused(|wire| wire.remote = "x".into()), "its field remote has the value \"x\"");
        assert_eq!(refused(|wire| wire.said = 4), "its field said has the value \"4\"");
        let agreed = |wire: &mut Wire| wire.agreed.as_mut().unwrap().send_audio = 128;
        assert_eq!(refused(agreed), "its field payload type has the value \"128\"");
        assert!(refused(|wire| wire.trunk = "A".into()).starts_with("its trunk has no name"));
        assert!(refused(|wire| wire.dialog.local.clear()).contains("local address"));
    }

    proptest! {
        // spec: SE-6
        #[test]
        fn se_6_a_damaged_image_is_an_error_or_another_image(place in 0usize..2_000, byte in any::<u8>(), cut in 0usize..2_000) {
            let whole = image(line(), &audio());
            let mut bytes = whole.bytes().to_vec();
            let place = place % bytes.len();
            bytes[place] = byte;
            let _ = read(&LegImage::new(&bytes), |_| CONTACT);
            bytes.truncate(cut % bytes.len());
            let _ = read(&LegImage::new(&bytes), |_| CONTACT);
        }

        // spec: SE-6
        #[test]
        fn se_6_noise_is_no_image(mut noise in proptest::collection::vec(any::<u8>(), 0..300)) {
            assert!(read(&LegImage::new(&noise), |_| CONTACT).is_err());
            if let Some(first) = noise.first_mut() {
                *first = VERSION;
            }
            assert!(read(&LegImage::new(&noise), |_| CONTACT).is_err());
        }
    }
}
