//! The audio of one leg: its session description, its stream in the datapath, and what both must agree on.

use std::net::{IpAddr, SocketAddr};

use carillon_media::{Codec, Direction, Negotiated, SdpError, Session, Source};

use crate::datapath::{AllocateError, Datapath, Expected, Latching, PeerTaken, PlayToken, StreamId};

/// Why a leg can have no audio.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AudioError {
    /// The peer's description cannot be used: 488, or a failed call when it was an answer.
    #[error(transparent)]
    Description(#[from] SdpError),
    /// Two peers cannot be told apart.
    #[error(transparent)]
    Peer(#[from] PeerTaken),
    /// No port: 503.
    #[error(transparent)]
    Port(#[from] AllocateError),
}

/// One leg's audio. A stream with a port exists from the first moment that somebody needs it: a caller who only hears
/// our 180 costs none.
#[derive(Debug)]
pub(crate) struct Audio {
    stream: StreamId,
    session: Session,
    negotiated: Option<Negotiated>,
    /// Where the peer's signalling comes from, to us or to the edge at which it has registered; behind NAT its RTP comes
    /// from there too.
    signalling: IpAddr,
    open: bool,
    token: PlayToken,
    /// The direction of our last description, before the peer's wish narrowed it.
    said: Direction,
    /// What was to be played before there was a stream; it starts with the stream.
    waiting: Option<Source>,
}

/// What another edge needs to go on with a leg's audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AudioImage {
    /// Our last session description.
    pub(crate) description: String,
    pub(crate) negotiated: Option<Negotiated>,
    pub(crate) signalling: IpAddr,
    pub(crate) said: Direction,
}

/// Names a leg's session in its `o=` line: the same for the leg's whole life, another for each leg.
const fn session_number(stream: StreamId) -> u64 {
    (stream.call << 16) | stream.leg as u64
}

/// What we offer, the wanted codec first.
fn codecs(first: Option<Codec>) -> [Codec; 2] {
    match first {
        Some(Codec::Pcmu) => [Codec::Pcmu, Codec::Pcma],
        Some(Codec::Pcma) | None => Codec::ALL,
    }
}

/// Whether the address exists only within a network of its owner (RFC 1918, RFC 4193).
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

impl Audio {
    /// No stream and no description yet.
    pub(crate) fn new(stream: StreamId, advertise: IpAddr, signalling: IpAddr) -> Self {
        // The port follows when the stream is opened, before anything is said.
        let session = Session::new(session_number(stream), SocketAddr::new(advertise, 0));
        let token = PlayToken::default();
        Audio {
            stream,
            session,
            negotiated: None,
            signalling,
            open: false,
            token,
            said: Direction::SendRecv,
            waiting: None,
        }
    }

    /// Goes on with the audio of a leg of another edge. Nothing is open yet, see [`Audio::reopen`].
    ///
    /// # Errors
    /// When the image holds no session description of an edge.
    pub(crate) fn resume(stream: StreamId, image: &AudioImage, advertise: IpAddr) -> Result<Self, SdpError> {
        let peer = image.negotiated.map(|negotiated| negotiated.peer);
        let session = Session::resume(image.description.as_bytes(), SocketAddr::new(advertise, 0), peer)?;
        Ok(Audio {
            session,
            negotiated: image.negotiated,
            said: image.said,
            ..Audio::new(stream, advertise, image.signalling)
        })
    }

    /// What another edge needs to go on; `None` before the first description.
    pub(crate) fn image(&self) -> Option<AudioImage> {
        let description = self.session.current()?;
        Some(AudioImage { description, negotiated: self.negotiated, signalling: self.signalling, said: self.said })
    }

    /// The stream's name in the datapath.
    pub(crate) fn stream(&self) -> StreamId {
        self.stream
    }

    /// Which of several contacts it is that talks: its signalling comes from here.
    pub(crate) fn comes_from(&mut self, signalling: IpAddr) {
        self.signalling = signalling;
    }

    /// Opens the stream, once, on a port where the peer can be told from others.
    pub(crate) fn open(&mut self, datapath: &Datapath) -> Result<(), AllocateError> {
        if self.open {
            return Ok(());
        }
        let expected = match &self.negotiated {
            Some(negotiated) if self.latching(negotiated.peer) == Latching::Off => Expected::Address(negotiated.peer),
            Some(_) | None => Expected::Ip(self.signalling),
        };
        let local = datapath.allocate(self.stream, expected)?;
        self.session.set_local(local);
        self.open = true;
        if let Some(source) = self.waiting.take() {
            datapath.play(self.stream, source, self.token);
        }
        Ok(())
    }

    /// Reads the first offer of a caller, before anything is said or opened. Of the codecs that it names, `prefer` is taken
    /// first.
    pub(crate) fn read_offer(&mut self, offer: &[u8], prefer: Option<Codec>) -> Result<(), SdpError> {
        let (_, negotiated) = self.session.answer(offer, prefer, Direction::SendRecv)?;
        self.negotiated = Some(negotiated);
        Ok(())
    }

    /// Opens the stream and gives the answer to the offer that [`Audio::read_offer`] took; the same each time.
    pub(crate) fn answer(&mut self, datapath: &Datapath) -> Result<Option<String>, AudioError> {
        if !self.open {
            self.open(datapath)?;
            self.connect(datapath)?;
        }
        Ok(self.negotiated.and_then(|_| self.session.current()))
    }

    /// Opens the stream and makes an offer, `first` codec first.
    pub(crate) fn offer(
        &mut self,
        datapath: &Datapath,
        first: Option<Codec>,
        direction: Direction,
    ) -> Result<String, AllocateError> {
        self.open(datapath)?;
        self.said = direction;
        Ok(self.session.offer(&codecs(first), direction))
    }

    /// Opens the stream of a leg that goes on here, towards where its peer was.
    pub(crate) fn reopen(&mut self, datapath: &Datapath) -> Result<(), AudioError> {
        self.open(datapath)?;
        self.connect(datapath)?;
        Ok(())
    }

    /// Offers a peer what it has agreed to before, now from here: the same codec first, and the same wish.
    pub(crate) fn offer_anew(&mut self, datapath: &Datapath, direction: Direction) -> Result<String, AllocateError> {
        let wish = self.said;
        let offer = self.offer(datapath, self.codec(), direction);
        self.said = wish;
        offer
    }

    /// What an offer within the dialog would lead to; nothing changes.
    pub(crate) fn probe(&self, offer: &[u8]) -> Result<Negotiated, SdpError> {
        self.session.clone().answer(offer, self.codec(), Direction::SendRecv).map(|(_, negotiated)| negotiated)
    }

    /// Answers an offer within the dialog; our direction is no wider than `direction`.
    pub(crate) fn answer_again(
        &mut self,
        datapath: &Datapath,
        offer: &[u8],
        direction: Direction,
    ) -> Result<String, AudioError> {
        self.open(datapath)?;
        let prefer = self.codec();
        let (text, negotiated) = self.session.answer(offer, prefer, direction)?;
        self.said = direction;
        self.negotiated = Some(negotiated);
        self.connect(datapath)?;
        Ok(text)
    }

    /// Takes the peer's answer to our offer.
    pub(crate) fn take_answer(&mut self, datapath: &Datapath, answer: &[u8]) -> Result<(), AudioError> {
        let negotiated = self.session.apply_answer(answer)?;
        self.negotiated = Some(negotiated);
        self.connect(datapath)?;
        Ok(())
    }

    fn connect(&self, datapath: &Datapath) -> Result<(), PeerTaken> {
        match self.negotiated {
            Some(negotiated) => datapath.set_peer(self.stream, negotiated, self.latching(negotiated.peer)),
            None => Ok(()),
        }
    }

    /// A private address cannot be reached when the signalling comes from a public one: the peer is behind NAT, and its
    /// RTP comes from the public side too. Two private addresses are a network of its own, where media has its own hosts.
    fn latching(&self, peer: SocketAddr) -> Latching {
        let behind_nat = is_private(peer.ip()) && !is_private(self.signalling);
        if behind_nat { Latching::Within(self.signalling) } else { Latching::Off }
    }

    /// Whether somebody has needed the stream.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// What the last exchange agreed on.
    pub(crate) fn negotiated(&self) -> Option<&Negotiated> {
        self.negotiated.as_ref()
    }

    /// What we told the peer last, as far as it was ours to say: narrower than both ways when a partner holds.
    pub(crate) fn said(&self) -> Direction {
        self.said
    }

    /// The codec in use, or the one that will be.
    pub(crate) fn codec(&self) -> Option<Codec> {
        self.negotiated.map(|negotiated| negotiated.send.codec)
    }

    /// Plays from now on, or as soon as there is a stream; the token of an older playback is forgotten.
    pub(crate) fn play(&mut self, datapath: &Datapath, source: Source) {
        self.forget_playback();
        if self.open {
            datapath.play(self.stream, source, self.token);
        } else {
            self.waiting = Some(source);
        }
    }

    /// Stops what plays.
    pub(crate) fn stop(&mut self, datapath: &Datapath) {
        self.forget_playback();
        datapath.stop_play(self.stream);
    }

    /// Something else stopped what plays; its end is not reported any more.
    pub(crate) fn forget_playback(&mut self) {
        self.token.0 = self.token.0.wrapping_add(1);
        self.waiting = None;
    }

    /// Whether this is the end of what plays now, not of something older.
    pub(crate) fn is_current(&self, token: PlayToken) -> bool {
        self.token == token
    }

    /// Ends the stream.
    pub(crate) fn release(&mut self, datapath: &Datapath) {
        if std::mem::take(&mut self.open) {
            datapath.release(self.stream);
        }
    }
}
