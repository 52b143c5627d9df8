//! What a call and an edge say to each other about a leg. `edge` performs [`LegCommand`]s and reports [`LegEvent`]s;
//! neither knows the other's insides, and SIP does not appear here.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, CallId, DeviceId, LegId, NodeId, PhoneNumber, SoundId, TrunkId};

/// Why a leg ended or was refused. The edge turns it into a SIP status or Reason and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Hung up in the ordinary way (BYE).
    Normal,
    /// The caller gave up before an answer (CANCEL).
    Cancelled,
    /// Another phone answered first (RFC 3326: `SIP;cause=200;text="Call completed elsewhere"`).
    AnsweredElsewhere,
    /// 486 or 600.
    Busy,
    /// 603, or 480 while ringing: a person pressed "reject".
    Declined,
    /// Rang, and nobody answered in time (408, 480, 487 after our own deadline).
    NoAnswer,
    /// The device never rang: no route, no registration, no response to the INVITE.
    Unreachable,
    /// 404, 410, 484: the target does not exist.
    NotFound,
    /// 403 or 401/407 that we cannot satisfy.
    Forbidden,
    /// 488, 415, 606: no codec or media in common.
    NotAcceptable,
    /// 503, or our own limit.
    Congestion,
    /// No RTP for the configured time (default 60 s).
    MediaTimeout,
    /// The peer stopped answering in the dialog (481, 408 on a request within it, no ACK).
    SignallingTimeout,
    /// Any other final status.
    Failed(u16),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Normal => "hung up",
            Cause::Cancelled => "cancelled",
            Cause::AnsweredElsewhere => "answered elsewhere",
            Cause::Busy => "busy",
            Cause::Declined => "declined",
            Cause::NoAnswer => "no answer",
            Cause::Unreachable => "unreachable",
            Cause::NotFound => "not found",
            Cause::Forbidden => "not allowed",
            Cause::NotAcceptable => "no codec in common",
            Cause::Congestion => "congestion",
            Cause::MediaTimeout => "no audio any more",
            Cause::SignallingTimeout => "no signalling any more",
            Cause::Failed(status) => return write!(f, "SIP status {status}"),
        })
    }
}

/// Who calls, as the edge read it and as it is shown to the phone that rings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallerId {
    /// The user part of the From URI, or what the trunk asserts; may be anything, also empty.
    pub number: String,
    /// The display name, empty when none was given.
    pub name: String,
}

/// Whom a new incoming call comes from. Everything else gets no answer at all (Spec: SE-1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A trunk, recognised by its address.
    Trunk(TrunkId),
    /// A device of an agent: authenticated, or a fixed contact's address.
    Device(DeviceId),
}

/// A new call, as the edge hands it over. The caller's leg is `LegId::caller(call)`; it is not answered and has sent no
/// provisional response but 100.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// Allocated by the edge.
    pub call: CallId,
    /// Trunk or device.
    pub source: Source,
    /// The user part of the Request-URI: what was dialled.
    pub dialled: String,
    /// The user part of the To header (Spec: RT-2).
    pub to_user: String,
    /// Who calls.
    pub caller: CallerId,
}

/// The longest contact URI that is kept, in bytes. Phones write less than a hundred.
const MAX_CONTACT: usize = 1_024;

/// Why a contact cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a contact is a URI of 1 to 1024 printable ASCII characters")]
pub struct ContactError;

/// One contact of a device, as the edge knows it where the device has registered (RFC 3261 §10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    uri: Arc<str>,
    source: IpAddr,
}

impl Contact {
    /// `uri` is the Contact URI byte for byte; `source` is where the registration came from.
    ///
    /// # Errors
    /// [`ContactError`] for anything that RFC 3261 §25.1 cannot write as a URI, and for one that is too long.
    pub fn new(uri: &str, source: IpAddr) -> Result<Self, ContactError> {
        let good = (1..=MAX_CONTACT).contains(&uri.len()) && uri.bytes().all(|b| b.is_ascii_graphic());
        if good { Ok(Contact { uri: uri.into(), source }) } else { Err(ContactError) }
    }

    /// The URI, byte for byte as it was registered.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The address that the registration came from: behind NAT the public one, from which the device's audio will come.
    pub fn source(&self) -> IpAddr {
        self.source
    }
}

/// Where a device is: a contact, and the edge that can reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The edge where the contact is registered. A phone that is connected there, or behind NAT, hears nobody else.
    pub edge: NodeId,
    /// The contact.
    pub contact: Contact,
}

/// Where a new leg goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialTarget {
    /// A device, at every contact.
    Device {
        /// Which.
        device: DeviceId,
        /// Where its owner knows it to be, the latest first. What the dialling edge knows itself counts as well: its own
        /// registrations, and a fixed contact, which every edge reaches without any other.
        at: Vec<Location>,
    },
    /// Out through a trunk.
    Trunk {
        /// The trunk.
        trunk: TrunkId,
        /// The number to call.
        number: PhoneNumber,
    },
}

/// A sound to play to a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Playback {
    /// The ringing tone of the country that most people know: 425 Hz, 1 s on, 4 s off (ITU-T E.180), until stopped.
    Ringing,
    /// The built-in hold music, until stopped.
    Music,
    /// A sound, once; [`LegEvent::PlayFinished`] follows.
    Sound(SoundId),
    /// What was asked for by a code or a digit is done, or will be: a rising tone, once (the positive indication of ITU-T
    /// E.182); [`LegEvent::PlayFinished`] follows.
    Done,
    /// It cannot be done: low tones, once (the negative indication of ITU-T E.182); [`LegEvent::PlayFinished`] follows.
    Declined,
}

/// What another edge needs to go on with a leg should its edge die: the dialog, the way to its other end, and what was
/// agreed for audio. Only `edge` reads it; to everybody else it is bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct LegImage(Arc<[u8]>);

impl LegImage {
    /// What an edge has written, or another one is to read.
    pub fn new(bytes: &[u8]) -> Self {
        LegImage(bytes.into())
    }

    /// As the edge wrote it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for LegImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LegImage({} bytes)", self.0.len())
    }
}

/// What a call asks of an edge for one leg. Commands for a leg that is gone are ignored: messages cross.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegCommand {
    /// Tell the caller that somebody's phone rings: 180, no media. Repeats are harmless.
    Ring,
    /// Answer the caller (200 with our session description). Repeats are harmless.
    Answer,
    /// Play to the leg; replaces what played. On a caller that is not answered it opens early media (183).
    Play(Playback),
    /// Stop playing.
    StopPlaying,
    /// Make a new outgoing leg with this id.
    Dial {
        /// Whom to ring.
        target: DialTarget,
        /// Whom to show.
        caller: CallerId,
        /// Whose leg it will most likely be bridged with; its codec is offered first so that nothing is transcoded.
        partner: LegId,
        /// How long it may take until the answer; then it ends with `NoAnswer` or `Unreachable`.
        ring_for: Duration,
    },
    /// Make the leg of a caller who is not answered yet, of another call, this call's new leg, and answer it: an agent picks
    /// a ringing call up with his own (Spec: TR-4). [`LegEvent::TakenOver`] ends the old leg for its call,
    /// [`LegEvent::Answered`] begins the new one. If the old one is gone or answered, [`LegEvent::Failed`] comes with
    /// [`Cause::Cancelled`]; with [`Cause::Unreachable`] when it is where its audio cannot be joined with this call's: then it
    /// is refused, which ends it as [`LegEvent::TakenOver`], too, and his devices are free to ring.
    Adopt {
        /// The caller's leg of the other call.
        from: LegId,
    },
    /// Make a leg again whose edge has died, with this id: tell its other end by a re-INVITE in the old dialog to send
    /// requests and audio here (Spec: CL-4). [`LegEvent::Answered`] follows when it has agreed, and [`LegEvent::Ended`] when it
    /// has not, or knows the dialog no more.
    Revive {
        /// The last that the dead edge has let be known of it.
        image: LegImage,
    },
    /// Join the audio (and hold, resume, telephone-events) of this leg and another of the same call, both ways. Stops what plays.
    /// A leg that is not answered yet gives and gets early media.
    Bridge {
        /// The other leg.
        with: LegId,
    },
    /// Part them again.
    Unbridge,
    /// End the leg, whatever its state: final response, CANCEL or BYE with a Reason. No event follows for it.
    HangUp(Cause),
}

/// What an edge reports of one leg. After `Failed`, `Ended` or `TakenOver` nothing more follows for that leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegEvent {
    /// The dialled phone rings (180, 183).
    Alerting {
        /// It also sends audio before the answer.
        early_media: bool,
    },
    /// The dialled leg was answered; media is set up.
    Answered,
    /// The dialled leg ended without an answer.
    Failed(Cause),
    /// The other side ended the leg, or it broke.
    Ended(Cause),
    /// Another call has the caller from now on: it has adopted the leg, or rings his devices instead.
    TakenOver {
        /// As this leg.
        by: LegId,
    },
    /// A digit was pressed (once per key press): `0`–`9`, `*`, `#`, `A`–`D`.
    Digit(char),
    /// A `Playback` that plays once came to its end.
    PlayFinished,
    /// The other side put us on hold.
    Held,
    /// It resumed.
    Resumed,
}

/// Where an agent's device is at one edge; sent by the edge's registrar to the agent, at every change, at every refresh of
/// a registration, and when somebody asks the edge for a contact that it does not have: a lost report is made good by the
/// next, and the latest report of a contact tells at which of two edges the phone is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reachability {
    /// The agent.
    pub agent: AgentId,
    /// The device's place in his list.
    pub device: u8,
    /// The edge that reports.
    pub edge: NodeId,
    /// All contacts of the device at this edge, the preferred first; none when it cannot be reached from here (any more).
    pub contacts: Vec<Contact>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_is_what_can_stand_in_a_request() {
        let source = "192.0.2.9".parse().unwrap();
        assert_eq!(Contact::new("sip:anna@10.0.0.7:5062;ob", source).unwrap().uri(), "sip:anna@10.0.0.7:5062;ob");
        for bad in ["", "sip:a b@c", "sip:a\r\n@c", "sip:\u{fc}@c", &"x".repeat(1_025)] {
            assert_eq!(Contact::new(bad, source), Err(ContactError), "{bad:?}");
        }
    }
}
