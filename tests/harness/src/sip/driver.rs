//! The task behind a [`Call`]: one dialog from its INVITE to its end (RFC 3261 §12–§15).

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rsip::headers::Header;
use rsip::{Method, Request, Response};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::call::{Command, End, Progress};
use super::dialog::Dialog;
use super::digest::Challenge;
use super::endpoint::{Endpoint, Incoming, T2, TRANSACTION};
use super::message::{self, sdp_type};
use super::phone::Account;
use super::sdp::{Direction, Media};
use crate::audio::{Audio, Codec};

/// An INVITE of ours without a final answer.
pub(super) struct Calling {
    pub invite: Request,
    pub branch: String,
    pub answers: mpsc::Receiver<Response>,
    /// A provisional answer came: a CANCEL may go out (RFC 3261 §9.1).
    pub heard_of: bool,
    pub cancelled: bool,
    pub challenged: bool,
}

/// A 2xx of ours that waits for its ACK (RFC 3261 §13.3.1.4).
struct Unacknowledged {
    invite: Incoming,
    response: Response,
    wait: Duration,
    again: Instant,
    until: Instant,
}

/// A re-INVITE of ours has its answer.
struct Redescribed {
    outcome: Result<Response>,
    direction: Direction,
    tell: oneshot::Sender<Result<()>>,
}

pub(super) struct Driver {
    pub endpoint: Endpoint,
    pub account: Option<Account>,
    pub audio: Arc<Audio>,
    pub codec: Codec,
    pub tone: f64,
    pub dialog: Dialog,
    pub progress: watch::Sender<Progress>,
    pub commands: mpsc::Receiver<Command>,
    pub requests: mpsc::Receiver<Incoming>,
    pub calling: Option<Calling>,
    pub ringing: Option<Incoming>,
    state: Run,
}

/// What the loop itself keeps.
struct Run {
    unacknowledged: Option<Unacknowledged>,
    direction: Direction,
    version: u32,
    redescribing: bool,
    done: (mpsc::Sender<Redescribed>, mpsc::Receiver<Redescribed>),
}

impl Default for Run {
    fn default() -> Self {
        Run {
            unacknowledged: None,
            direction: Direction::Both,
            version: 1,
            redescribing: false,
            done: mpsc::channel(1),
        }
    }
}

/// Everything a driver is made from; see [`Driver`]'s fields.
pub(super) struct Parts {
    pub endpoint: Endpoint,
    pub account: Option<Account>,
    pub audio: Arc<Audio>,
    pub codec: Codec,
    pub tone: f64,
    pub dialog: Dialog,
    pub progress: watch::Sender<Progress>,
    pub commands: mpsc::Receiver<Command>,
}

impl Driver {
    pub(super) fn new(parts: Parts, calling: Option<Calling>, ringing: Option<Incoming>) -> Driver {
        let requests = parts.endpoint.follow(&parts.dialog.call_id);
        let Parts { endpoint, account, audio, codec, tone, dialog, progress, commands } = parts;
        let state = Run::default();
        Driver { endpoint, account, audio, codec, tone, dialog, progress, commands, requests, calling, ringing, state }
    }

    /// Runs until the call has ended. A failure to send ends it too.
    pub(super) async fn run(mut self) {
        while self.progress.borrow().end.is_none() {
            if let Err(broken) = self.step().await {
                self.finish(End { by_us: false, status: None, reason: Some(format!("{broken:#}")) });
            }
        }
        self.audio.say(None);
        self.audio.send_to(None, self.codec, None);
        self.linger().await;
        self.endpoint.forget(&self.dialog.call_id);
    }

    /// A call that is over still answers what comes late, for a moment.
    async fn linger(&mut self) {
        let until = Instant::now() + T2;
        while let Ok(Some(incoming)) = tokio::time::timeout_at(until, self.requests.recv()).await {
            self.refuse_late(incoming).await;
        }
    }

    async fn refuse_late(&self, incoming: Incoming) {
        if incoming.request.method != Method::Ack {
            let status = if incoming.request.method == Method::Bye { 200 } else { 481 };
            let response = message::reply(&incoming.request, status, Some(&self.dialog.our_tag), vec![], vec![]);
            let _lost = self.endpoint.answer(&incoming, &response).await;
        }
    }

    fn tell(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }

    fn finish(&self, end: End) {
        self.tell(|p| {
            p.end.get_or_insert(end);
        });
    }

    async fn step(&mut self) -> Result<()> {
        let answers = self.calling.as_mut().map(|c| &mut c.answers);
        let again = self.state.unacknowledged.as_ref().map(|u| u.again);
        tokio::select! {
            Some(response) = receive(answers) => self.take_answer(response).await,
            Some(incoming) = self.requests.recv() => self.take_request(incoming).await,
            Some(done) = self.state.done.1.recv() => { self.take_redescribed(done); Ok(()) }
            Some(command) = self.commands.recv() => self.take_command(command).await,
            () = at(again) => self.repeat_2xx().await,
        }
    }

    async fn take_command(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Answer => self.answer().await,
            Command::Reject(status) => self.reject(status).await,
            Command::HangUp => self.hang_up().await,
            Command::Hold(tell) => self.redescribe(Direction::SendOnly, tell).await,
            Command::Resume(tell) => self.redescribe(Direction::Both, tell).await,
        }
    }

    async fn take_answer(&mut self, response: Response) -> Result<()> {
        let status = message::status(&response);
        let Some(calling) = self.calling.as_mut() else { return Ok(()) };
        if status < 200 {
            let first = !std::mem::replace(&mut calling.heard_of, true);
            if first && calling.cancelled {
                self.cancel().await?;
            }
            return self.take_provisional(status, &response);
        }
        if status < 300 {
            return self.take_2xx(&response).await;
        }
        self.acknowledge_refusal(&response).await?;
        if matches!(status, 401 | 407) && self.try_with_credentials(&response).await? {
            return Ok(());
        }
        let by_us = self.calling.as_ref().is_some_and(|c| c.cancelled);
        let reason = message::value(&response, "Reason");
        self.finish(End { by_us, status: Some(status), reason });
        Ok(())
    }

    fn take_provisional(&mut self, status: u16, response: &Response) -> Result<()> {
        if status > 100 {
            self.tell(|p| p.ringing |= matches!(status, 180 | 183));
            if !response.body.is_empty() {
                self.take_media(&Media::read(&response.body)?);
                self.tell(|p| p.early_media = true);
            }
        }
        Ok(())
    }

    async fn take_2xx(&mut self, response: &Response) -> Result<()> {
        let repeated = self.progress.borrow().answered.is_some();
        if !repeated {
            self.dialog.learn(response);
        }
        let (cseq, _) = message::cseq(response)?;
        let mut ack = self.dialog.request(Method::Ack, cseq, vec![], vec![]);
        self.endpoint.sign(&mut ack);
        self.endpoint.send(&ack).await?;
        if self.calling.as_ref().is_some_and(|c| c.cancelled) {
            // The answer crossed our CANCEL: the call exists and we do not want it.
            return self.bye().await;
        }
        if !repeated {
            self.take_media(&Media::read(&response.body)?);
            self.audio.say(Some(self.tone));
            self.tell(|p| p.answered = Some(Instant::now()));
        }
        Ok(())
    }

    async fn acknowledge_refusal(&mut self, response: &Response) -> Result<()> {
        let Some(calling) = self.calling.as_ref() else { return Ok(()) };
        let (cseq, _) = message::cseq(response)?;
        let mut ack = self.dialog.request(Method::Ack, cseq, vec![], vec![]);
        if let Some(to) = message::value(response, "To") {
            ack.headers.unique_push(Header::To(to.into()));
        }
        ack.uri = calling.invite.uri.clone();
        self.endpoint.sign_as(&mut ack, &calling.branch);
        self.endpoint.send(&ack).await
    }

    /// Answers a challenge with a new INVITE, once.
    async fn try_with_credentials(&mut self, response: &Response) -> Result<bool> {
        let (Some(account), Some(calling)) = (self.account.clone(), self.calling.as_mut()) else { return Ok(false) };
        if calling.challenged || calling.cancelled {
            return Ok(false);
        }
        let challenge = Challenge::of(response, account.hash)?;
        let mut invite = calling.invite.clone();
        let text = challenge.answer(&account.username, &account.password, &Method::Invite, &invite.uri, 1)?;
        self.dialog.cseq += 1;
        invite.headers.unique_push(Header::CSeq(format!("{} INVITE", self.dialog.cseq).into()));
        invite.headers.push(match message::status(response) {
            407 => Header::ProxyAuthorization(text.into()),
            _ => Header::Authorization(text.into()),
        });
        let branch = self.endpoint.sign(&mut invite);
        let answers = self.endpoint.start(&invite).await?;
        *calling = Calling { invite, branch, answers, heard_of: false, cancelled: false, challenged: true };
        Ok(true)
    }

    async fn hang_up(&mut self) -> Result<()> {
        if self.progress.borrow().answered.is_some() {
            return self.bye().await;
        }
        if self.ringing.is_some() {
            return self.reject(603).await;
        }
        let Some(calling) = self.calling.as_mut() else { return self.bye().await };
        calling.cancelled = true;
        if calling.heard_of { self.cancel().await } else { Ok(()) }
    }

    async fn cancel(&mut self) -> Result<()> {
        let Some(calling) = self.calling.as_ref() else { return Ok(()) };
        let (cseq, _) = message::cseq(&calling.invite)?;
        let mut cancel = self.dialog.request(Method::Cancel, cseq, vec![], vec![]);
        cancel.uri = calling.invite.uri.clone();
        self.endpoint.sign_as(&mut cancel, &calling.branch);
        let mut answers = self.endpoint.start(&cancel).await?;
        // The INVITE's own 487 ends the call; the CANCEL's answer only stops its repetition.
        tokio::spawn(async move { tokio::time::timeout(TRANSACTION, answers.recv()).await });
        Ok(())
    }

    async fn bye(&mut self) -> Result<()> {
        let bye = self.dialog.next(Method::Bye, vec![], vec![]);
        let endpoint = self.endpoint.clone();
        let mut answered = pin!(endpoint.transact(bye, TRANSACTION));
        // Whoever sends BYE has left, however long the answer takes (RFC 3261 §15.1.1).
        let response = loop {
            tokio::select! {
                response = &mut answered => break response?,
                Some(incoming) = self.requests.recv() => self.refuse_late(incoming).await,
            }
        };
        let status = message::status(&response);
        ensure!(status == 200, "BYE was answered {status}");
        self.finish(End { by_us: true, status: None, reason: None });
        Ok(())
    }

    async fn reject(&mut self, status: u16) -> Result<()> {
        let Some(invite) = self.ringing.take() else { bail!("nothing rings") };
        let response = message::reply(&invite.request, status, Some(&self.dialog.our_tag), vec![], vec![]);
        self.endpoint.answer(&invite, &response).await?;
        self.finish(End { by_us: true, status: Some(status), reason: None });
        Ok(())
    }

    async fn answer(&mut self) -> Result<()> {
        let Some(invite) = self.ringing.take() else { bail!("nothing rings") };
        let response = self.describe(&invite.request)?;
        self.audio.say(Some(self.tone));
        self.send_2xx(invite, response).await
    }

    /// The 200 for an INVITE or a re-INVITE, with the answer to its offer, or an offer when it had none.
    fn describe(&mut self, invite: &Request) -> Result<Response> {
        let media = if invite.body.is_empty() {
            Media::offer(self.audio.local(), self.codec, self.state.direction)
        } else {
            let offer = Media::read(&invite.body)?;
            self.take_media(&offer);
            let direction = match self.state.direction {
                Direction::Both => offer.direction.mirrored(),
                Direction::SendOnly if offer.direction == Direction::Both => Direction::SendOnly,
                Direction::SendOnly | Direction::ReceiveOnly | Direction::Inactive => Direction::Inactive,
            };
            offer.answer(self.audio.local(), self.codec, direction)?
        };
        self.state.version += 1;
        let extra = vec![self.dialog.contact_header(), sdp_type()];
        Ok(message::reply(invite, 200, Some(&self.dialog.our_tag), extra, media.write(self.state.version)))
    }

    async fn send_2xx(&mut self, invite: Incoming, response: Response) -> Result<()> {
        self.endpoint.answer(&invite, &response).await?;
        let (now, wait) = (Instant::now(), Duration::from_millis(500));
        self.state.unacknowledged =
            Some(Unacknowledged { invite, response, wait, again: now + wait, until: now + TRANSACTION });
        Ok(())
    }

    async fn repeat_2xx(&mut self) -> Result<()> {
        let Some(open) = self.state.unacknowledged.as_mut() else { return Ok(()) };
        let now = Instant::now();
        ensure!(now < open.until, "no ACK for our 200 within {TRANSACTION:?}");
        open.wait = (open.wait * 2).min(T2);
        open.again = now + open.wait;
        self.endpoint.answer(&open.invite, &open.response).await
    }

    async fn take_request(&mut self, incoming: Incoming) -> Result<()> {
        let tag = self.dialog.our_tag.clone();
        let simple = |status: u16| message::reply(&incoming.request, status, Some(&tag), vec![], vec![]);
        match incoming.request.method {
            Method::Ack => self.take_ack(&incoming.request),
            Method::Bye => {
                self.endpoint.answer(&incoming, &simple(200)).await?;
                let reason = message::value(&incoming.request, "Reason");
                self.finish(End { by_us: false, status: None, reason });
                Ok(())
            }
            Method::Cancel => {
                self.endpoint.answer(&incoming, &simple(200)).await?;
                let Some(invite) = self.ringing.take() else { return Ok(()) };
                let gone = message::reply(&invite.request, 487, Some(&tag), vec![], vec![]);
                self.endpoint.answer(&invite, &gone).await?;
                let reason = message::value(&incoming.request, "Reason");
                self.finish(End { by_us: false, status: Some(487), reason });
                Ok(())
            }
            Method::Invite | Method::Update if self.state.redescribing => {
                self.endpoint.answer(&incoming, &simple(491)).await
            }
            Method::Invite => {
                self.dialog.retarget(message::value(&incoming.request, "Contact"));
                self.follow_to(incoming.from);
                let response = self.describe(&incoming.request)?;
                self.tell(|p| p.redescribed += 1);
                self.send_2xx(incoming, response).await
            }
            Method::Options | Method::Info | Method::Notify | Method::Message => {
                self.endpoint.answer(&incoming, &simple(200)).await
            }
            Method::Update | Method::PRack | Method::Publish | Method::Refer | Method::Register | Method::Subscribe => {
                self.endpoint.answer(&incoming, &simple(501)).await
            }
        }
    }

    /// Another edge speaks for the center in this dialog: it has the call now (RFC 3261 §12.2.1.1: without a route the request
    /// goes to the remote target).
    fn follow_to(&mut self, from: SocketAddr) {
        if from != self.endpoint.server() && self.dialog.routes.is_empty() {
            self.endpoint = self.endpoint.clone().towards(from);
        }
    }

    fn take_ack(&mut self, ack: &Request) -> Result<()> {
        if self.state.unacknowledged.take().is_none() {
            return Ok(());
        }
        if !ack.body.is_empty() {
            self.take_media(&Media::read(&ack.body)?);
        }
        self.tell(|p| {
            p.answered.get_or_insert_with(Instant::now);
        });
        Ok(())
    }

    fn take_media(&mut self, media: &Media) {
        let codec = media.codecs.iter().copied().find(|&c| c == self.codec).or(media.codecs.first().copied());
        let listens = matches!(media.direction, Direction::Both | Direction::ReceiveOnly);
        let open = listens && media.address.port() != 0 && !media.address.ip().is_unspecified();
        self.audio.send_to(open.then_some(media.address), codec.unwrap_or(self.codec), media.event_type);
        let held = matches!(media.direction, Direction::SendOnly | Direction::Inactive);
        self.tell(|p| p.held = held);
    }

    async fn redescribe(&mut self, direction: Direction, tell: oneshot::Sender<Result<()>>) -> Result<()> {
        let refusal = match () {
            () if self.progress.borrow().answered.is_none() => Some("the call is not answered"),
            () if self.state.redescribing => Some("another re-INVITE is not answered yet"),
            () => None,
        };
        if let Some(why) = refusal {
            let _nobody_waits = tell.send(Err(anyhow::anyhow!(why)));
            return Ok(());
        }
        self.state.redescribing = true;
        self.state.version += 1;
        let offer = Media::offer(self.audio.local(), self.codec, direction).write(self.state.version);
        let invite = self.dialog.next(Method::Invite, vec![self.dialog.contact_header(), sdp_type()], offer);
        let (endpoint, dialog, done) = (self.endpoint.clone(), self.dialog.clone(), self.state.done.0.clone());
        tokio::spawn(async move {
            let outcome = reinvite(&endpoint, &dialog, invite).await;
            let _call_over = done.send(Redescribed { outcome, direction, tell }).await;
        });
        Ok(())
    }

    fn take_redescribed(&mut self, done: Redescribed) {
        self.state.redescribing = false;
        let outcome = done.outcome.and_then(|response| {
            self.dialog.retarget(message::value(&response, "Contact"));
            self.take_media(&Media::read(&response.body)?);
            self.state.direction = done.direction;
            self.audio.say((done.direction == Direction::Both).then_some(self.tone));
            Ok(())
        });
        let _nobody_waits = done.tell.send(outcome);
    }
}

/// Sends a re-INVITE, waits for its final answer and acknowledges it.
async fn reinvite(endpoint: &Endpoint, dialog: &Dialog, mut invite: Request) -> Result<Response> {
    let branch = endpoint.sign(&mut invite);
    let mut answers = endpoint.start(&invite).await?;
    let last = async {
        while let Some(response) = answers.recv().await {
            if message::status(&response) >= 200 {
                return Ok(response);
            }
        }
        bail!("the socket closed")
    };
    let response = tokio::time::timeout(TRANSACTION, last).await.context("no final answer to the re-INVITE")??;
    let (cseq, _) = message::cseq(&invite)?;
    let mut ack = dialog.request(Method::Ack, cseq, vec![], vec![]);
    let status = message::status(&response);
    if status < 300 {
        endpoint.sign(&mut ack);
    } else {
        endpoint.sign_as(&mut ack, &branch);
    }
    endpoint.send(&ack).await?;
    ensure!(status < 300, "the re-INVITE was answered {status}");
    Ok(response)
}

/// The next message of a channel that may not be there.
async fn receive<T>(channel: Option<&mut mpsc::Receiver<T>>) -> Option<T> {
    match channel {
        Some(channel) => channel.recv().await,
        None => std::future::pending().await,
    }
}

/// A point in time that may not be there.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
