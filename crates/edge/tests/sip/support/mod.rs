//! Phones and carriers made of text and plain sockets, and a center that records what the edge reports. Nothing of the
//! edge's own SIP is used here, so both cannot be wrong in the same way.

pub mod scene;
pub mod wire;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use carillon_acd::ids::{AgentId, DeviceId, LegId, Name, NodeId, TrunkId};
use carillon_acd::leg::{Contact, DialTarget, Incoming, LegCommand, LegEvent, LegImage, Reachability};
use carillon_edge::{Callbacks, Credentials, Device, Directory, Edge, EdgeConfig, Stats, Trunk};
use md5::{Digest, Md5};
use sha2::Sha256;

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long nothing must happen where a test says that nothing happens.
pub const QUIET: Duration = Duration::from_millis(300);

pub fn name(s: &str) -> Name {
    s.parse().unwrap()
}

pub fn device_id(agent: &str) -> DeviceId {
    DeviceId { agent: AgentId::new(name("default"), name(agent)), index: 0 }
}

/// An agent's phone, wherever the edge knows it to be.
pub fn device(agent: &str) -> DialTarget {
    DialTarget::Device { device: device_id(agent), at: Vec::new() }
}

pub fn trunk_id() -> TrunkId {
    TrunkId::new(name("default"), name("carrier"))
}

/// A device that registers as `user` with the password `user-secret`.
pub fn registering(user: &str) -> Device {
    let credentials = Credentials { username: user.into(), password: format!("{user}-secret") };
    Device { id: device_id(user), credentials: Some(credentials), contact: None }
}

/// A device at a fixed address.
pub fn fixed(user: &str, at: SocketAddr) -> Device {
    Device { id: device_id(user), credentials: None, contact: Some(format!("sip:{user}@{at}")) }
}

/// The trunk `carrier`: requests from `peers` belong to it, calls go out to `outbound`.
pub fn trunk(peers: &str, outbound: Option<SocketAddr>) -> Trunk {
    Trunk {
        id: trunk_id(),
        peers: vec![peers.parse().unwrap()],
        outbound: outbound.map(|addr| format!("sip:{addr}")),
        credentials: None,
    }
}

/// An edge and everything that it reported.
pub struct Center {
    pub edge: Edge,
    pub incoming: Receiver<Incoming>,
    pub events: Receiver<(LegId, LegEvent)>,
    pub reachability: Receiver<Reachability>,
    pub images: Receiver<(LegId, LegImage)>,
    runtime: tokio::runtime::Runtime,
}

/// The address of the edge under test in every test file.
pub const EDGE_IP: &str = "127.0.9.1";

pub fn config() -> EdgeConfig {
    let ip: IpAddr = EDGE_IP.parse().unwrap();
    EdgeConfig {
        node: NodeId(1),
        boot: 7,
        sip_bind: SocketAddr::new(ip, 0),
        advertise: ip,
        rtp_ports: 21_000..=25_999,
        rtp_timeout: Duration::from_secs(60),
        workers: 1,
        max_calls: 1_000,
        sip_timers: carillon_edge::SipTimers::default(),
        realm: "example.com".into(),
        seal: carillon_edge::Seal::new([9; 32]),
    }
}

impl Center {
    pub fn start(devices: Vec<Device>, trunks: Vec<Trunk>) -> Self {
        Self::start_with(config(), Directory::new(devices, trunks).unwrap())
    }

    pub fn start_with(config: EdgeConfig, directory: Directory) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (incoming_tx, incoming) = channel();
        let (events_tx, events) = channel();
        let (reachability_tx, reachability) = channel();
        let (images_tx, images) = channel();
        let callbacks = Callbacks {
            on_incoming: Arc::new(move |i| drop(incoming_tx.send(i))),
            on_leg_event: Arc::new(move |leg, event| drop(events_tx.send((leg, event)))),
            on_reachability: Arc::new(move |r| drop(reachability_tx.send(r))),
            on_image: Some(Arc::new(move |leg, image| drop(images_tx.send((leg, image))))),
        };
        let edge = runtime.block_on(async { Edge::start(config, Arc::new(directory), callbacks).unwrap() });
        Center { edge, incoming, events, reachability, images, runtime }
    }

    pub fn addr(&self) -> SocketAddr {
        self.edge.local_addr()
    }

    pub fn command(&self, leg: LegId, command: LegCommand) {
        self.edge.command(leg, command).unwrap();
    }

    pub fn incoming(&self) -> Incoming {
        self.incoming.recv_timeout(PATIENCE).expect("an incoming call")
    }

    pub fn event(&self) -> (LegId, LegEvent) {
        self.events.recv_timeout(PATIENCE).expect("a leg event")
    }

    #[track_caller]
    pub fn expect_event(&self, leg: LegId, event: LegEvent) {
        assert_eq!(self.event(), (leg, event));
    }

    #[track_caller]
    pub fn expect_reachable(&self, agent: &str, reachable: bool) {
        let told = self.reachability.recv_timeout(PATIENCE).expect("a reachability");
        assert_eq!((told.agent.name.as_str(), !told.contacts.is_empty()), (agent, reachable));
    }

    /// The next report names these phones' contacts at this edge.
    #[track_caller]
    pub fn expect_contacts(&self, agent: &str, phones: &[&Phone]) {
        let told = self.reachability.recv_timeout(PATIENCE).expect("a reachability");
        assert_eq!((told.agent.name.as_str(), told.device, told.edge), (agent, 0, NodeId(1)));
        let contact = |phone: &&Phone| Contact::new(&format!("sip:phone@{}", phone.addr()), phone.addr().ip()).unwrap();
        assert_eq!(told.contacts, phones.iter().map(contact).collect::<Vec<_>>());
    }

    /// The next image, which is of this leg.
    #[track_caller]
    pub fn image(&self, leg: LegId) -> LegImage {
        let (whose, image) = self.images.recv_timeout(PATIENCE).expect("an image");
        assert_eq!(whose, leg);
        image
    }

    #[track_caller]
    pub fn expect_no_event(&self) {
        if let Ok(event) = self.events.recv_timeout(QUIET) {
            panic!("unexpected {event:?}");
        }
    }

    /// Waits until no call, leg and stream is left.
    pub fn expect_all_gone(&self) -> Stats {
        eventually("all calls gone", || {
            let stats = self.edge.stats();
            if (stats.calls, stats.legs, stats.streams) == (0, 0, 0) { Ok(stats) } else { Err(stats) }
        })
    }

    pub fn runtime(&self) -> tokio::runtime::Handle {
        self.runtime.handle().clone()
    }
}

/// Asks until the answer is `Ok`, at most [`PATIENCE`] long.
#[track_caller]
pub fn eventually<T, E: Debug>(what: &str, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(value) => return value,
            Err(e) if Instant::now() > end => panic!("{what}: still {e:?}"),
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// A received message.
#[derive(Clone, Debug)]
pub struct Msg {
    pub text: String,
}

impl Msg {
    pub fn new(bytes: &[u8]) -> Self {
        Msg { text: String::from_utf8_lossy(bytes).into_owned() }
    }

    pub fn start_line(&self) -> &str {
        self.text.lines().next().unwrap_or("")
    }

    /// The status of a response, 0 for a request.
    pub fn status(&self) -> u16 {
        self.start_line().strip_prefix("SIP/2.0 ").map_or(0, |rest| rest[..3].parse().unwrap())
    }

    pub fn method(&self) -> &str {
        self.start_line().split(' ').next().unwrap_or("")
    }

    pub fn request_uri(&self) -> &str {
        self.start_line().split(' ').nth(1).unwrap_or("")
    }

    pub fn headers(&self, name: &str) -> Vec<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or("");
        let lines = head.lines().skip(1).filter_map(|l| l.split_once(':'));
        lines.filter(|(n, _)| n.trim().eq_ignore_ascii_case(name)).map(|(_, v)| v.trim()).collect()
    }

    /// The same header with all its lines, to be copied into an answer.
    pub fn lines_of(&self, name: &str) -> String {
        self.headers(name).iter().map(|value| format!("{name}: {value}\r\n")).collect()
    }

    /// The Route lines of who was called, in the dialog that this request opens (RFC 3261 §12.1.1).
    pub fn routes(&self) -> String {
        self.lines_of("Record-Route").replace("Record-Route", "Route")
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers(name).first().copied().unwrap_or_else(|| panic!("no {name} in\n{}", self.text))
    }

    pub fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    pub fn tag(&self, header: &str) -> &str {
        self.header(header).split(";tag=").nth(1).unwrap_or("").split(';').next().unwrap_or("")
    }

    /// The URI of the Contact header.
    pub fn contact(&self) -> &str {
        self.header("Contact").split('<').nth(1).unwrap().split('>').next().unwrap()
    }

    pub fn cseq_method(&self) -> &str {
        self.header("CSeq").split(' ').nth(1).unwrap_or("")
    }

    /// The RTP port and address of the body.
    pub fn rtp(&self) -> SocketAddr {
        let field = |prefix: &str| {
            self.body()
                .lines()
                .find_map(|l| l.strip_prefix(prefix))
                .unwrap_or_else(|| panic!("{prefix} in\n{}", self.text))
        };
        let ip: IpAddr = field("c=IN IP4 ").trim().parse().unwrap();
        SocketAddr::new(ip, field("m=audio ").split(' ').next().unwrap().parse().unwrap())
    }
}

/// A session description of a phone at `rtp`.
pub fn sdp(rtp: SocketAddr, formats: &str, direction: &str) -> String {
    let ip = rtp.ip();
    let port = rtp.port();
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {formats}\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
    )
}

/// What stays the same in the requests of one dialog or one registration.
#[derive(Clone, Debug)]
pub struct Talk {
    pub uri: String,
    pub from: String,
    pub to: String,
    pub call_id: String,
}

/// A phone or a carrier on a UDP socket.
pub struct Phone {
    pub socket: UdpSocket,
    pub edge: SocketAddr,
    pub counter: Cell<u32>,
    /// What has come, to know repetitions.
    pub seen: RefCell<HashSet<String>>,
}

impl Phone {
    /// A phone at a free port of `ip`.
    pub fn new(ip: &str, edge: SocketAddr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        Phone { socket, edge, counter: Cell::new(0), seen: RefCell::default() }
    }

    pub fn addr(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    pub fn count(&self) -> u32 {
        self.counter.set(self.counter.get() + 1);
        self.counter.get()
    }

    pub fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.edge).unwrap();
    }

    pub fn recv_within(&self, time: Duration) -> Option<Msg> {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let mut buffer = [0; 65_536];
        self.socket.recv_from(&mut buffer).ok().map(|(n, _)| Msg::new(&buffer[..n]))
    }

    #[track_caller]
    pub fn recv(&self) -> Msg {
        self.recv_within(PATIENCE).expect("a message")
    }

    #[track_caller]
    pub fn expect_silence(&self) {
        if let Some(message) = self.recv_within(QUIET) {
            panic!("unexpected\n{}", message.text);
        }
    }

    /// The next response that is not 100 nor a repetition of something else; it must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Msg {
        loop {
            let message = self.recv();
            let repeated = !self.seen.borrow_mut().insert(message.text.clone()) && message.status() != status;
            if message.status() != 100 && !repeated {
                assert_eq!(message.status(), status, "\n{}", message.text);
                return message;
            }
        }
    }

    /// The next message that is no response 100 nor a repetition of something else; it must be this request.
    #[track_caller]
    pub fn expect_request(&self, method: &str) -> Msg {
        loop {
            let message = self.recv();
            let repeated = !self.seen.borrow_mut().insert(message.text.clone()) && message.method() != method;
            if message.status() != 100 && !repeated {
                assert_eq!(message.method(), method, "\n{}", message.text);
                return message;
            }
        }
    }

    /// The same for a request of which another may be repeated until this one comes.
    #[track_caller]
    pub fn expect_another(&self, method: &str) -> Msg {
        loop {
            let message = self.recv();
            if self.seen.borrow_mut().insert(message.text.clone()) {
                assert_eq!(message.method(), method, "\n{}", message.text);
                return message;
            }
        }
    }

    /// A conversation with `target` as `user`, ready for its first request.
    pub fn talk(&self, user: &str, target: &str) -> Talk {
        let here = self.addr();
        Talk {
            uri: format!("sip:{target}@{}", self.edge),
            from: format!("<sip:{user}@{here}>;tag=from{}", self.count()),
            to: format!("<sip:{target}@{}>", self.edge),
            call_id: format!("call{}-{here}", self.count()),
        }
    }

    /// The text of a request with a fresh branch.
    pub fn text(&self, method: &str, talk: &Talk, cseq: u32, extra: &str, body: &str) -> String {
        let branch = format!("z9hG4bK-{}-{}", self.addr().port(), self.count());
        self.text_with_branch(method, talk, cseq, &branch, extra, body)
    }

    pub fn text_with_branch(
        &self,
        method: &str,
        talk: &Talk,
        cseq: u32,
        branch: &str,
        extra: &str,
        body: &str,
    ) -> String {
        let here = self.addr();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch={branch};rport\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\n\
             Call-ID: {}\r\nCSeq: {cseq} {method}\r\nContact: <sip:phone@{here}>\r\n{extra}{kind}Content-Length: {}\r\n\r\n{body}",
            talk.uri,
            talk.from,
            talk.to,
            talk.call_id,
            body.len()
        )
    }

    pub fn request(&self, method: &str, talk: &Talk, cseq: u32, extra: &str, body: &str) {
        self.send(&self.text(method, talk, cseq, extra, body));
    }

    /// Takes the tag and contact of a 2xx into the talk, as a dialog does.
    pub fn adopt(talk: &mut Talk, response: &Msg) {
        talk.to = response.header("To").to_owned();
        talk.uri = response.contact().to_owned();
    }

    /// A response to a received request.
    pub fn respond(&self, request: &Msg, status: &str, tag: &str, extra: &str, body: &str) {
        let (vias, routes) = (request.lines_of("Via"), request.lines_of("Record-Route"));
        let to = request.header("To");
        let to = if to.contains(";tag=") || tag.is_empty() { to.to_owned() } else { format!("{to};tag={tag}") };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        self.send(&format!(
            "SIP/2.0 {status}\r\n{vias}{routes}From: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:phone@{}>\r\n{extra}{kind}\
             Content-Length: {}\r\n\r\n{body}",
            request.header("From"),
            request.header("Call-ID"),
            request.header("CSeq"),
            self.addr(),
            body.len()
        ));
    }

    /// How a callee sends requests in the dialog that `invite` and its answer with `tag` opened.
    pub fn talk_back(invite: &Msg, tag: &str) -> Talk {
        Talk {
            uri: invite.contact().to_owned(),
            from: format!("{};tag={tag}", invite.header("To")),
            to: invite.header("From").to_owned(),
            call_id: invite.header("Call-ID").to_owned(),
        }
    }

    /// Registers as `user`; panics unless it ends with 200.
    pub fn register(&self, user: &str, algorithm: &str, expires: u32) -> Msg {
        self.register_as(user, &format!("sip:phone@{}", self.addr()), algorithm, expires)
    }

    /// The same with another contact, as a phone behind NAT has it.
    pub fn register_as(&self, user: &str, contact: &str, algorithm: &str, expires: u32) -> Msg {
        let mut talk = self.talk(user, user);
        talk.uri = format!("sip:{}", self.edge);
        let extra = format!("Expires: {expires}\r\n");
        self.request("REGISTER", &talk, 1, &extra, "");
        let challenge = self.expect(401);
        let answer = authorization(&challenge, algorithm, "REGISTER", &talk.uri, user, &format!("{user}-secret"), 1);
        let text = self.text("REGISTER", &talk, 2, &format!("{extra}{answer}"), "");
        self.send(&text.replace(&format!("sip:phone@{}", self.addr()), contact));
        self.expect(200)
    }
}

/// The Authorization header line that answers the challenge of this algorithm (RFC 7616).
pub fn authorization(
    challenge: &Msg,
    algorithm: &str,
    method: &str,
    uri: &str,
    user: &str,
    password: &str,
    nc: u32,
) -> String {
    let challenges = challenge.headers("WWW-Authenticate");
    let matching = challenges.iter().find(|c| {
        let stated = parameter(c, "algorithm").unwrap_or_else(|| "MD5".into());
        stated.eq_ignore_ascii_case(algorithm)
    });
    let challenge = matching.unwrap_or_else(|| panic!("no {algorithm} challenge in {challenges:?}"));
    let (realm, nonce) = (parameter(challenge, "realm").unwrap(), parameter(challenge, "nonce").unwrap());
    let hash = |text: String| match algorithm {
        "MD5" => hex::encode(Md5::digest(text)),
        "SHA-256" => hex::encode(Sha256::digest(text)),
        other => panic!("{other}"),
    };
    let a1 = hash(format!("{user}:{realm}:{password}"));
    let a2 = hash(format!("{method}:{uri}"));
    let response = hash(format!("{a1}:{nonce}:{nc:08x}:cafe:auth:{a2}"));
    format!(
        "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm={algorithm}, \
         response=\"{response}\", qop=auth, nc={nc:08x}, cnonce=\"cafe\"\r\n"
    )
}

/// A parameter of a challenge, without quotes.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let rest = challenge.trim_start_matches("Digest");
    rest.split(',').find_map(|p| {
        let (n, v) = p.trim().split_once('=')?;
        n.eq_ignore_ascii_case(name).then(|| v.trim_matches('"').to_owned())
    })
}
