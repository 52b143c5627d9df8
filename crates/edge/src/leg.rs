//! One leg as its worker keeps it: a state with its data, audio, partner, and when to look at it again.

use std::net::IpAddr;
use std::time::Duration;

use carillon_acd::ids::{LegId, TrunkId};
use carillon_acd::leg::Cause;
use carillon_media::{Codec, Direction};
use carillon_sip::dialog::Dialog;
use carillon_sip::endpoint::{ClientKey, ServerKey};
use carillon_sip::{Flow, Moment, Request, RequestBuilder};

use crate::audio::Audio;
use crate::timers::WakeUp;

/// A caller may wait this long without an answer; the call's own limits are shorter.
pub(crate) const MAX_UNANSWERED: Duration = Duration::from_secs(2 * 3_600 - 60);
/// A conversation ends after this time even when nobody ends it; the call's own limit is shorter.
pub(crate) const MAX_TALK: Duration = Duration::from_secs(24 * 3_600);
/// Provisional responses are repeated this often, so that proxies on the way do not give up (RFC 3261 §13.3.1.1).
pub(crate) const REFRESH: Duration = Duration::from_secs(60);
/// The longest that a re-INVITE may wait for the other side's answer; the requester's own patience is 32 s.
pub(crate) const MAX_EXCHANGE: Duration = Duration::from_secs(20);

/// Early dialogs of one dialled leg; a phone or a proxy that opens more finds the rest unknown.
pub(crate) const MAX_EARLY: usize = 16;

/// A leg.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) audio: Audio,
    /// The leg whose audio it is joined with.
    pub(crate) partner: Option<LegId>,
    pub(crate) wake_up: WakeUp,
    pub(crate) told: Imaged,
    pub(crate) state: State,
}

/// What others have been let known of a leg.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Imaged {
    /// It may have changed since.
    pub(crate) stale: bool,
    /// Stands for the last image; 0 before the first.
    pub(crate) hash: u64,
}

/// What a leg is doing.
#[derive(Debug)]
pub(crate) enum State {
    /// A caller whom we have not answered.
    Asked(Asked),
    /// Phones that we ring.
    Dialling(Dialling),
    /// A confirmed dialog.
    Talking(Talking),
    /// Hung up while the ACK to our 200 was still on its way: the BYE has to wait for it (RFC 3261 §15).
    Parting(Parting),
}

/// What we have told a caller who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// 100.
    Nothing,
    /// 180.
    Ringing,
    /// 183 with our session description.
    Progress,
}

/// A caller whom we have not answered.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) invite: ServerKey,
    pub(crate) line: Line,
    pub(crate) told: Told,
    /// When the provisional response is due again.
    pub(crate) refresh_at: Option<Moment>,
    pub(crate) give_up: Moment,
}

/// A dialog and the way to its other end.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) dialog: Dialog,
    pub(crate) flow: Flow,
    pub(crate) way: WayBack,
}

/// How requests reach the other end of a dialog.
#[derive(Clone, Debug, Default)]
pub(crate) struct WayBack {
    /// Requests go over the flow whatever the peer's Contact says: it registered or called from behind NAT.
    pub(crate) pinned: bool,
    /// The trunk, when it is one, which may ask for our credentials.
    pub(crate) trunk: Option<TrunkId>,
}

/// Phones that we ring.
#[derive(Debug)]
pub(crate) struct Dialling {
    pub(crate) branches: Vec<Branch>,
    /// The dialogs that provisional responses have opened, [`MAX_EARLY`] at most.
    pub(crate) early: Vec<Line>,
    pub(crate) alerted: bool,
    pub(crate) early_media: bool,
    /// The most telling refusal so far.
    pub(crate) best: Option<u16>,
    pub(crate) give_up: Moment,
}

/// One contact that we ring.
#[derive(Debug)]
pub(crate) struct Branch {
    /// Its INVITE, until it has failed.
    pub(crate) invite: Option<ClientKey>,
    pub(crate) flow: Flow,
    pub(crate) way: WayBack,
    /// Where the phone's audio will come from if it is behind NAT.
    pub(crate) source: IpAddr,
    /// The INVITE without credentials, as long as a challenge may be answered.
    pub(crate) unchallenged: Option<Box<RequestBuilder>>,
}

/// A confirmed dialog.
#[derive(Debug)]
pub(crate) struct Talking {
    pub(crate) line: Line,
    /// Our 200, as long as its ACK has not come: to the first INVITE or to a later one.
    pub(crate) unacknowledged: Option<Unacknowledged>,
    pub(crate) exchange: Exchange,
    /// The other side has put us on hold.
    pub(crate) held: bool,
    /// We sent the first INVITE: we own the Call-ID and wait longer after a collision (RFC 3261 §14.1).
    pub(crate) ours: bool,
    pub(crate) give_up: Moment,
}

/// A 200 to an INVITE that waits for its ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unacknowledged {
    pub(crate) invite: ServerKey,
    /// It carried our offer: the ACK brings the answer.
    pub(crate) offered: bool,
}

/// A change of the session that is under way in a dialog. There is one at a time (RFC 3261 §14.2).
#[derive(Debug, Default)]
pub(crate) enum Exchange {
    /// None.
    #[default]
    None,
    /// The peer asked, and we wait for the partner's answer.
    Theirs(Box<Theirs>),
    /// We asked, for the partner.
    Ours(Ours),
    /// We will ask again after a collision.
    Again(Ours, Moment),
    /// The leg's edge has died, or has given the leg up, and we ask the peer to come here.
    Reviving(Reviving),
}

/// What a peer is asked whose edge has died.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reviving {
    /// The direction that we offer.
    pub(crate) direction: Direction,
    /// We have answered a challenge: a second one is final.
    pub(crate) challenged: bool,
    /// Our re-INVITE, as long as it has no final response.
    pub(crate) request: Option<ClientKey>,
    /// When to ask again, after a collision.
    pub(crate) again: Option<Moment>,
    /// Until then the peer must have agreed.
    pub(crate) give_up: Moment,
}

/// A change that the peer asks for.
#[derive(Debug)]
pub(crate) struct Theirs {
    pub(crate) key: ServerKey,
    /// The re-INVITE or UPDATE with the offer.
    pub(crate) request: Request,
    pub(crate) give_up: Moment,
}

/// A change that we ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ours {
    /// The leg whose peer wants it.
    pub(crate) asker: LegId,
    /// The codec that we offer first.
    pub(crate) codec: Codec,
    /// The direction that we offer.
    pub(crate) direction: Direction,
    /// Collisions so far.
    pub(crate) collisions: u8,
    /// It carries credentials: a second challenge is final.
    pub(crate) challenged: bool,
    /// Our re-INVITE, once it is sent.
    pub(crate) request: Option<ClientKey>,
}

/// A dialog that ends as soon as its ACK has come.
#[derive(Debug)]
pub(crate) struct Parting {
    pub(crate) line: Line,
    pub(crate) invite: ServerKey,
    pub(crate) cause: Cause,
}

impl Leg {
    pub(crate) fn new(audio: Audio, state: State) -> Self {
        Leg { audio, partner: None, wake_up: WakeUp::default(), told: Imaged::default(), state }
    }

    /// When the leg must be looked at even if nothing happens.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        match &self.state {
            State::Asked(asked) => Some(asked.refresh_at.map_or(asked.give_up, |refresh| refresh.min(asked.give_up))),
            State::Dialling(dialling) => Some(dialling.give_up),
            State::Talking(talking) => Some(match &talking.exchange {
                Exchange::None | Exchange::Ours(_) => talking.give_up,
                Exchange::Theirs(theirs) => theirs.give_up.min(talking.give_up),
                Exchange::Again(_, at) => (*at).min(talking.give_up),
                Exchange::Reviving(reviving) => reviving.again.unwrap_or(reviving.give_up).min(reviving.give_up),
            }),
            // The endpoint reports the ACK or its absence.
            State::Parting(_) => None,
        }
    }

    /// The leg's dialog, once it has one.
    pub(crate) fn line(&self) -> Option<&Line> {
        match &self.state {
            State::Asked(asked) => Some(&asked.line),
            State::Dialling(_) => None,
            State::Talking(talking) => Some(&talking.line),
            State::Parting(parting) => Some(&parting.line),
        }
    }

    /// The server transactions that point to this leg.
    pub(crate) fn invites(&self) -> impl Iterator<Item = ServerKey> {
        let (first, second) = match &self.state {
            State::Asked(asked) => (Some(asked.invite), None),
            State::Dialling(_) => (None, None),
            State::Talking(talking) => {
                let theirs = match &talking.exchange {
                    Exchange::Theirs(theirs) => Some(theirs.key),
                    Exchange::None | Exchange::Ours(_) | Exchange::Again(..) | Exchange::Reviving(_) => None,
                };
                (talking.unacknowledged.map(|u| u.invite), theirs)
            }
            State::Parting(parting) => (Some(parting.invite), None),
        };
        first.into_iter().chain(second)
    }
}
