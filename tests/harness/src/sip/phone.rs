//! A soft phone: an agent's that registers and answers, or a caller's that dials through a trunk.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rsip::headers::Header;
use rsip::{Method, Request, Response, Uri};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::call::{Call, Progress};
use super::dialog::Dialog;
use super::digest::{Challenge, Hash};
use super::driver::{Calling, Driver, Parts};
use super::endpoint::{Endpoint, Incoming, TRANSACTION};
use super::message::{self, sdp_type};
use super::sdp::{Direction, Media};
use super::transport::Transport;
use crate::audio::{Audio, Codec};

/// What a phone proves itself with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// User name, and the user part of its address of record.
    pub username: String,
    /// Password.
    pub password: String,
    /// The hash it prefers.
    pub hash: Hash,
}

/// What a phone does when it rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    /// Answers after it has rung this long.
    After(Duration),
    /// Refuses with this status after it has rung this long: 486 busy, 603 declined.
    Reject(u16, Duration),
    /// Rings until the caller gives up, or until the test answers.
    Never,
}

/// A phone to be.
#[derive(Clone, Debug)]
pub struct PhoneConfig {
    /// The user part of its own address; for a caller, the number that is shown.
    pub user: String,
    /// For a phone that registers.
    pub account: Option<Account>,
    /// Where the center listens.
    pub server: SocketAddr,
    /// The phone's own address: a trunk is recognised by it.
    pub ip: IpAddr,
    /// UDP or TCP.
    pub transport: Transport,
    /// The codec it prefers.
    pub codec: Codec,
    /// The frequency of its voice.
    pub tone: f64,
    /// What it does when it rings.
    pub answering: Answering,
    /// How long it talks before it hangs up a call that it answered; `None`: it waits for the other side.
    pub talk: Option<Duration>,
}

impl PhoneConfig {
    /// A phone with an account that answers at once.
    pub fn agent(server: SocketAddr, username: &str, password: &str, tone: f64) -> Self {
        PhoneConfig {
            user: username.to_owned(),
            account: Some(Account { username: username.to_owned(), password: password.to_owned(), hash: Hash::Md5 }),
            server,
            ip: server.ip(),
            transport: Transport::Udp,
            codec: Codec::Pcmu,
            tone,
            answering: Answering::After(Duration::ZERO),
            talk: None,
        }
    }

    /// A caller outside, who comes in from `ip`.
    pub fn caller(server: SocketAddr, ip: IpAddr, number: &str, tone: f64) -> Self {
        PhoneConfig {
            user: number.to_owned(),
            account: None,
            server,
            ip,
            transport: Transport::Udp,
            codec: Codec::Pcmu,
            tone,
            answering: Answering::Never,
            talk: None,
        }
    }
}

/// What the registrar granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// For how long.
    pub expires: Duration,
    /// All contacts of the address of record, as the registrar lists them.
    pub contacts: Vec<String>,
}

/// Incoming calls that nobody has taken from [`Phone::next_call`] yet.
const CALLS: usize = 64;

/// A running phone. It stops answering when it is dropped; calls that run go on to their end.
#[derive(Debug)]
pub struct Phone {
    line: Line,
    calls: mpsc::Receiver<Call>,
    task: AbortHandle,
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What both the phone and the task that answers need.
#[derive(Clone, Debug)]
struct Line {
    endpoint: Endpoint,
    config: PhoneConfig,
    answering: Arc<Mutex<Answering>>,
    /// Call-ID and CSeq of its registrations (RFC 3261 §10.2).
    registration: Arc<tokio::sync::Mutex<(String, u32)>>,
}

impl Phone {
    /// Opens its socket and begins to answer.
    pub async fn start(config: PhoneConfig) -> Result<Phone> {
        let (endpoint, requests) = Endpoint::open(config.transport, config.ip, config.server).await?;
        let registration = Arc::new(tokio::sync::Mutex::new((message::token("reg-"), 0)));
        let answering = Arc::new(Mutex::new(config.answering));
        let line = Line { endpoint, config, answering, registration };
        let (tell, calls) = mpsc::channel(CALLS);
        let task = tokio::spawn(line.clone().serve(requests, tell)).abort_handle();
        Ok(Phone { line, calls, task })
    }

    /// Its configuration.
    pub fn config(&self) -> &PhoneConfig {
        &self.line.config
    }

    /// Its SIP address.
    pub fn local(&self) -> SocketAddr {
        self.line.endpoint.local()
    }

    /// What it does from the next ring on.
    pub fn set_answering(&self, answering: Answering) {
        *self.line.answering.lock().unwrap_or_else(PoisonError::into_inner) = answering;
    }

    /// Registers for `expires`; zero unregisters.
    pub async fn register(&self, expires: Duration) -> Result<Registered> {
        self.line.register(expires).await
    }

    /// Registers, and again before it expires, until the phone is dropped.
    pub async fn stay_registered(&self, expires: Duration) -> Result<Registered> {
        let granted = self.line.register(expires).await?;
        let (line, stop) = (self.line.clone(), self.task.clone());
        let again = granted.expires.mul_f64(0.7).max(Duration::from_secs(1));
        tokio::spawn(async move {
            let mut clock = tokio::time::interval_at(Instant::now() + again, again);
            loop {
                clock.tick().await;
                if stop.is_finished() || line.register(expires).await.is_err() {
                    return;
                }
            }
        });
        Ok(granted)
    }

    /// Talks to another server from its socket from now on, as a phone does whose registrar is gone; calls go on where they
    /// are. Not for TCP.
    pub fn turn_to(&mut self, server: SocketAddr) {
        self.line.endpoint = self.line.endpoint.clone().towards(server);
    }

    /// The next call that rings here.
    pub async fn next_call(&mut self, within: Duration) -> Result<Call> {
        match tokio::time::timeout(within, self.calls.recv()).await {
            Ok(Some(call)) => Ok(call),
            Ok(None) => bail!("phone {} is stopped", self.line.config.user),
            Err(_) => bail!("phone {} did not ring within {within:?}", self.line.config.user),
        }
    }

    /// A call that rings here already and was not taken by [`Phone::next_call`].
    pub fn rung(&mut self) -> Option<Call> {
        self.calls.try_recv().ok()
    }

    /// Dials a number or an extension.
    pub async fn dial(&self, target: &str) -> Result<Call> {
        self.line.dial(target).await.with_context(|| format!("{} dials {target}", self.line.config.user))
    }

    /// Sends an OPTIONS and returns the status of its answer.
    pub async fn ping(&self, within: Duration) -> Result<u16> {
        let line = &self.line;
        let server = line.endpoint.server();
        let (tag, call_id) = (message::token("t"), message::token("ping-"));
        let headers = line.start_of_dialog(&format!("sip:{server}"), "1 OPTIONS".to_owned(), &tag, &call_id);
        let request = message::request(Method::Options, Uri::try_from(format!("sip:{server}"))?, headers, vec![]);
        Ok(message::status(&line.endpoint.transact(request, within).await?))
    }
}

impl Line {
    fn start_of_dialog(&self, to: &str, cseq: String, tag: &str, call_id: &str) -> Vec<Header> {
        let host = self.endpoint.server().ip();
        vec![
            Header::From(format!("<sip:{}@{host}>;tag={tag}", self.config.user).into()),
            Header::To(format!("<{to}>").into()),
            Header::CallId(call_id.to_owned().into()),
            Header::CSeq(cseq.into()),
        ]
    }

    async fn register(&self, expires: Duration) -> Result<Registered> {
        let account = self.config.account.clone().context("a phone without account cannot register")?;
        let uri = Uri::try_from(format!("sip:{}", self.endpoint.server().ip()))?;
        let mut registration = self.registration.lock().await;
        let mut ask = async |answer: Option<String>| {
            registration.1 += 1;
            let (call_id, cseq) = &*registration;
            let request = self.register_request(&uri, call_id, *cseq, expires, answer);
            self.endpoint.transact(request, TRANSACTION).await
        };
        let first = ask(None).await?;
        ensure!(matches!(message::status(&first), 401 | 407), "REGISTER was answered {} at once", first.status_code);
        let challenge = Challenge::of(&first, account.hash)?;
        let text = challenge.answer(&account.username, &account.password, &Method::Register, &uri, 1)?;
        let second = ask(Some(text)).await?;
        ensure!(
            message::status(&second) == 200,
            "REGISTER of {} was answered {}",
            account.username,
            second.status_code
        );
        granted(&second, expires, &self.endpoint.contact(&self.config.user))
    }

    fn register_request(
        &self,
        uri: &Uri,
        call_id: &str,
        cseq: u32,
        expires: Duration,
        answer: Option<String>,
    ) -> Request {
        let us = format!("sip:{}@{}", self.config.user, self.endpoint.server().ip());
        let mut headers = self.start_of_dialog(&us, format!("{cseq} REGISTER"), &message::token("t"), call_id);
        headers.push(Header::Contact(format!("<{}>", self.endpoint.contact(&self.config.user)).into()));
        headers.push(Header::Expires((expires.as_secs() as u32).into()));
        headers.extend(answer.map(|text| Header::Authorization(text.into())));
        message::request(Method::Register, uri.clone(), headers, vec![])
    }

    async fn dial(&self, target: &str) -> Result<Call> {
        let to = format!("sip:{target}@{}", self.endpoint.server());
        let uri = Uri::try_from(to.as_str()).map_err(|e| anyhow!("{e}"))?;
        let audio = Arc::new(Audio::open(self.config.ip).await?);
        let dialog = Dialog {
            call_id: message::token("call-"),
            our_tag: message::token("t"),
            us: String::new(),
            them: format!("<{to}>"),
            contact: self.endpoint.contact(&self.config.user),
            target: uri.clone(),
            routes: vec![],
            cseq: 1,
        };
        let us = format!("<sip:{}@{}>;tag={}", self.config.user, self.endpoint.server().ip(), dialog.our_tag);
        let dialog = Dialog { us, ..dialog };
        let offer = Media::offer(audio.local(), self.config.codec, Direction::Both).write(1);
        let headers = vec![
            Header::From(dialog.us.clone().into()),
            Header::To(dialog.them.clone().into()),
            Header::CallId(dialog.call_id.clone().into()),
            Header::CSeq("1 INVITE".to_owned().into()),
            Header::Contact(format!("<{}>", dialog.contact).into()),
            sdp_type(),
        ];
        let mut invite = message::request(Method::Invite, uri, headers, offer);
        let branch = self.endpoint.sign(&mut invite);
        let (call, parts) = self.new_call(audio, dialog, self.config.user.clone(), target.to_owned());
        let answers = self.endpoint.start(&invite).await?;
        let calling = Calling { invite, branch, answers, heard_of: false, cancelled: false, challenged: false };
        tokio::spawn(Driver::new(parts, Some(calling), None).run());
        Ok(call)
    }

    fn new_call(&self, audio: Arc<Audio>, dialog: Dialog, from: String, to: String) -> (Call, Parts) {
        let (tell, progress) = watch::channel(Progress::default());
        let (send, commands) = mpsc::channel(8);
        let id = dialog.call_id.clone();
        let call = Call { id, from, to, began: Instant::now(), audio: audio.clone(), progress, commands: send };
        let parts = Parts {
            endpoint: self.endpoint.clone(),
            account: self.config.account.clone(),
            audio,
            codec: self.config.codec,
            tone: self.config.tone,
            dialog,
            progress: tell,
            commands,
        };
        (call, parts)
    }

    async fn serve(self, mut requests: mpsc::Receiver<Incoming>, calls: mpsc::Sender<Call>) {
        while let Some(incoming) = requests.recv().await {
            let status = match incoming.request.method {
                Method::Invite => match self.ring(&incoming).await {
                    // A test that does not look at the calls need not take them.
                    Ok(call) => {
                        let _not_taken = calls.try_send(call);
                        continue;
                    }
                    Err(_) => 488,
                },
                Method::Ack => continue,
                Method::Options | Method::Notify => 200,
                Method::Bye
                | Method::Cancel
                | Method::Info
                | Method::Message
                | Method::PRack
                | Method::Publish
                | Method::Refer
                | Method::Register
                | Method::Subscribe
                | Method::Update => 481,
            };
            let response = message::reply(&incoming.request, status, Some("none"), vec![], vec![]);
            let _lost = self.endpoint.answer(&incoming, &response).await;
        }
    }

    /// Rings, and starts what the phone does about it.
    async fn ring(&self, incoming: &Incoming) -> Result<Call> {
        let request = &incoming.request;
        let header = |name: &str| message::value(request, name).with_context(|| format!("an INVITE without {name}"));
        let (from, to) = (header("From")?, header("To")?);
        let our_tag = message::token("t");
        let dialog = Dialog {
            call_id: message::call_id(request)?,
            us: format!("{to};tag={our_tag}"),
            them: from.clone(),
            contact: self.endpoint.contact(&self.config.user),
            target: message::uri_in(&header("Contact")?)?,
            routes: message::values(request, "Record-Route"),
            our_tag,
            cseq: 0,
        };
        let audio = Arc::new(Audio::open(self.config.ip).await?);
        let contact = Header::Contact(format!("<{}>", dialog.contact).into());
        let rings = message::reply(request, 180, Some(&dialog.our_tag), vec![contact], vec![]);
        // What belongs to this call goes to whoever brought it, wherever the phone registers meanwhile.
        let line = Line { endpoint: self.endpoint.clone().towards(incoming.from), ..self.clone() };
        let (call, parts) = line.new_call(audio, dialog, message::user_in(&from), message::user_in(&to));
        let driver = Driver::new(parts, None, Some(incoming.clone()));
        driver.progress.send_modify(|p| p.ringing = true);
        self.endpoint.answer(incoming, &rings).await?;
        tokio::spawn(driver.run());
        tokio::spawn(self.clone().react(call.clone()));
        Ok(call)
    }

    /// Does what the phone does when it rings. The call may end at any moment; then there is nothing more to do.
    async fn react(self, call: Call) -> Result<()> {
        let answering = *self.answering.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = |p: &Progress| p.end.is_some();
        match answering {
            Answering::Never => return Ok(()),
            Answering::Reject(status, after) => {
                if call.until("end", after, gone).await.is_err() {
                    call.reject(status).await?;
                }
                return Ok(());
            }
            Answering::After(after) => {
                if call.until("end", after, gone).await.is_ok() {
                    return Ok(());
                }
                call.answer().await?;
            }
        }
        call.answered(TRANSACTION).await?;
        if let Some(talk) = self.config.talk
            && call.until("end", talk, gone).await.is_err()
        {
            call.hang_up().await?;
        }
        Ok(())
    }
}

/// Reads the 200 of a REGISTER: ours must be among the contacts, unless we took it away.
fn granted(response: &Response, asked: Duration, ours: &str) -> Result<Registered> {
    let contacts: Vec<String> = message::values(response, "Contact")
        .iter()
        .flat_map(|line| line.split(',').map(|c| c.trim().to_owned()).collect::<Vec<_>>())
        .collect();
    let own = contacts.iter().find(|c| c.contains(ours));
    if asked.is_zero() {
        ensure!(own.is_none(), "unregistered, but still listed: {contacts:?}");
        return Ok(Registered { expires: Duration::ZERO, contacts });
    }
    let own = own.with_context(|| format!("{ours} is not among the contacts {contacts:?}"))?;
    let parameter = own.split(';').find_map(|p| p.trim().strip_prefix("expires=")).map(str::to_owned);
    let seconds = parameter.or_else(|| message::value(response, "Expires")).context("no expiry in the answer")?;
    let expires = Duration::from_secs(seconds.parse().with_context(|| format!("the expiry {seconds:?}"))?);
    Ok(Registered { expires, contacts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const SOON: Duration = Duration::from_secs(10);
    const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// Two phones, the second one dialling the first directly.
    async fn pair(answering: Answering) -> Result<(Phone, Phone)> {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let config = PhoneConfig { answering, ..PhoneConfig::caller(nowhere, HOST, "anna", 1_000.0) };
        let agent = Phone::start(config).await?;
        let config = PhoneConfig { codec: Codec::Pcma, ..PhoneConfig::caller(agent.local(), HOST, "0123", 640.0) };
        // The agent's phone sends its requests to the caller, not to a center; it only answers here.
        Ok((agent, Phone::start(config).await?))
    }

    #[tokio::test]
    async fn two_phones_hear_each_other_through_hold_and_resume() -> Result<()> {
        let (mut agent, caller) = pair(Answering::After(Duration::from_millis(50))).await?;
        let there = caller.dial("anna").await?;
        there.answered(SOON).await?;
        let here = agent.next_call(SOON).await?;
        assert_eq!((here.from.as_str(), there.progress().ringing), ("0123", true));
        here.audio().hears_tone(640.0, 0.01, SOON).await?;
        there.audio().hears_tone(1_000.0, 0.01, SOON).await?;
        there.audio().press("4#");
        here.audio().hears_keys("4#", SOON).await?;
        there.hold().await?;
        assert!(here.until("hold", SOON, |p| p.held).await?.redescribed == 1);
        there.resume().await?;
        here.until("resume", SOON, |p| !p.held).await?;
        here.audio().hears_tone(640.0, 0.01, SOON).await?;
        there.audio().hears_tone(1_000.0, 0.01, SOON).await?;
        assert!(there.hang_up().await?.by_us);
        assert!(!here.ended(SOON).await?.by_us);
        Ok(())
    }

    #[tokio::test]
    async fn a_ringing_call_can_be_cancelled_or_refused() -> Result<()> {
        let (mut agent, caller) = pair(Answering::Never).await?;
        let there = caller.dial("anna").await?;
        let here = agent.next_call(SOON).await?;
        there.until("ringing", SOON, |p| p.ringing).await?;
        assert_eq!(there.hang_up().await?.status, Some(487));
        assert!(!here.ended(SOON).await?.by_us);
        agent.set_answering(Answering::Reject(486, Duration::ZERO));
        let refused = caller.dial("anna").await?;
        assert_eq!(refused.ended(SOON).await?.status, Some(486));
        assert!(refused.answered(SOON).await.is_err());
        Ok(())
    }
}
