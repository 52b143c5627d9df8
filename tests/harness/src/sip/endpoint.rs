//! One phone's SIP socket: sends requests again until they are answered (RFC 3261 §17), answers repeated requests with
//! what was answered before, and hands the rest to whoever waits for it.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rsip::headers::Header;
use rsip::{Method, Request, Response, SipMessage};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::message;
use super::transport::{Link, Transport};

/// RFC 3261's T1: the first wait before a request goes out again.
const T1: Duration = Duration::from_millis(500);
/// RFC 3261's T2: the longest such wait.
pub(super) const T2: Duration = Duration::from_secs(4);
/// RFC 3261's timers B and F, 64 × T1.
pub const TRANSACTION: Duration = Duration::from_secs(32);
/// Answers kept for requests that come again.
const KEPT_ANSWERS: usize = 128;
/// Messages that may wait for a call or a transaction. A phone that is that far behind is broken.
const BACKLOG: usize = 64;

/// Where the messages of one transaction or dialog go.
type Routes<M> = Mutex<HashMap<String, mpsc::Sender<M>>>;

#[derive(Debug)]
struct Shared {
    link: Link,
    transactions: Routes<Response>,
    dialogs: Routes<Incoming>,
    answers: Mutex<VecDeque<(String, SocketAddr, Vec<u8>)>>,
}

/// A request and where it came from.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The request.
    pub request: Request,
    /// Its sender; answers go there.
    pub from: SocketAddr,
}

/// A SIP socket. Clones share it; it closes with the last one.
#[derive(Clone, Debug)]
pub struct Endpoint {
    shared: Arc<Shared>,
    server: SocketAddr,
    _task: Arc<AbortOnDrop>,
}

#[derive(Debug)]
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Endpoint {
    /// Opens a socket on `ip` that talks to `server`. The receiver gets the requests that start something new.
    pub async fn open(
        transport: Transport,
        ip: IpAddr,
        server: SocketAddr,
    ) -> Result<(Endpoint, mpsc::Receiver<Incoming>)> {
        let (link, mut datagrams) = Link::open(transport, ip, server).await?;
        let shared = Arc::new(Shared {
            link,
            transactions: Routes::default(),
            dialogs: Routes::default(),
            answers: Mutex::default(),
        });
        let (fresh, received) = mpsc::channel(BACKLOG);
        let reader = shared.clone();
        let task = tokio::spawn(async move {
            while let Some((bytes, from)) = datagrams.recv().await {
                reader.take(&bytes, from, &fresh).await;
            }
        });
        Ok((Endpoint { shared, server, _task: Arc::new(AbortOnDrop(task.abort_handle())) }, received))
    }

    /// Our own address.
    pub fn local(&self) -> SocketAddr {
        self.shared.link.local()
    }

    /// Whom we talk to.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// The same socket, which talks to another server from now on.
    pub fn towards(self, server: SocketAddr) -> Endpoint {
        Endpoint { server, ..self }
    }

    /// Our Contact URI for `user`.
    pub fn contact(&self, user: &str) -> String {
        format!("sip:{user}@{};transport={}", self.local(), self.shared.link.transport().parameter())
    }

    /// Writes a new Via on top, with a fresh branch, and returns the branch.
    pub fn sign(&self, request: &mut Request) -> String {
        let branch = message::token("z9hG4bK");
        self.sign_as(request, &branch);
        branch
    }

    /// Writes a Via with this branch: a CANCEL and the ACK of a refusal carry that of their INVITE (RFC 3261 §9.1, §17.1.1.3).
    pub fn sign_as(&self, request: &mut Request, branch: &str) {
        let via = format!("SIP/2.0/{} {};branch={branch};rport", self.shared.link.transport().name(), self.local());
        let mut headers: Vec<Header> = vec![Header::Via(via.into())];
        headers.extend(request.headers.iter().filter(|h| !matches!(h, Header::Via(_))).cloned());
        request.headers = headers.into();
    }

    /// Sends a signed request once: an ACK.
    pub async fn send(&self, request: &Request) -> Result<()> {
        self.shared.link.send(request.to_string().as_bytes(), self.server).await
    }

    /// Sends a signed request and repeats it until something answers. All answers come to the receiver, until it is dropped.
    pub async fn start(&self, request: &Request) -> Result<mpsc::Receiver<Response>> {
        let key = transaction_key(&request.headers_branch()?, &request.method);
        let (tell, mut answers) = mpsc::channel(BACKLOG);
        lock(&self.shared.transactions).insert(key.clone(), tell);
        let (pass_on, out) = mpsc::channel(BACKLOG);
        let (endpoint, bytes, method) = (self.clone(), request.to_string().into_bytes(), request.method);
        endpoint.shared.link.send(&bytes, endpoint.server).await?;
        tokio::spawn(async move {
            let mut wait = T1;
            let mut provisional = false;
            let repeats = endpoint.shared.link.transport() == Transport::Udp;
            loop {
                let next = tokio::select! {
                    () = pass_on.closed() => break,
                    answer = answers.recv() => answer,
                    () = tokio::time::sleep(wait), if repeats && !(provisional && method == Method::Invite) => {
                        wait = (wait * 2).min(if method == Method::Invite { TRANSACTION } else { T2 });
                        let _lost = endpoint.shared.link.send(&bytes, endpoint.server).await;
                        continue;
                    }
                };
                let Some(answer) = next else { break };
                let last = message::status(&answer) >= 200;
                provisional = true;
                if pass_on.send(answer).await.is_err() || (last && method != Method::Invite) {
                    break;
                }
            }
            lock(&endpoint.shared.transactions).remove(&key);
        });
        Ok(out)
    }

    /// Sends a request that is not an INVITE and waits for its final answer.
    pub async fn transact(&self, mut request: Request, within: Duration) -> Result<Response> {
        self.sign(&mut request);
        let mut answers = self.start(&request).await?;
        let last = async {
            while let Some(answer) = answers.recv().await {
                if message::status(&answer) >= 200 {
                    return Some(answer);
                }
            }
            None
        };
        match tokio::time::timeout(within, last).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => bail!("the socket closed while {} waited for its answer", request.method),
            Err(_) => bail!("{} {} got no final answer within {within:?}", request.method, request.uri),
        }
    }

    /// Answers a request; the same answer goes out again when the request does.
    pub async fn answer(&self, incoming: &Incoming, response: &Response) -> Result<()> {
        let bytes = response.to_string().into_bytes();
        if let Ok(branch) = incoming.request.headers_branch() {
            let key = transaction_key(&branch, &incoming.request.method);
            let mut answers = lock(&self.shared.answers);
            answers.retain(|(k, ..)| *k != key);
            answers.push_back((key, incoming.from, bytes.clone()));
            if answers.len() > KEPT_ANSWERS {
                answers.pop_front();
            }
        }
        self.shared.link.send(&bytes, incoming.from).await
    }

    /// Requests with this Call-ID go to the receiver from now on, until [`Endpoint::forget`].
    pub fn follow(&self, call_id: &str) -> mpsc::Receiver<Incoming> {
        let (tell, requests) = mpsc::channel(BACKLOG);
        lock(&self.shared.dialogs).insert(call_id.to_owned(), tell);
        requests
    }

    /// The call is over.
    pub fn forget(&self, call_id: &str) {
        lock(&self.shared.dialogs).remove(call_id);
    }
}

/// `rsip` keeps the branch behind several types; this is the one place that asks for it.
trait Branch {
    fn headers_branch(&self) -> Result<String>;
}

impl Branch for Request {
    fn headers_branch(&self) -> Result<String> {
        message::branch(self).with_context(|| format!("a {} without branch", self.method))
    }
}

fn transaction_key(branch: &str, method: &Method) -> String {
    format!("{branch} {method}")
}

impl Shared {
    async fn take(&self, bytes: &[u8], from: SocketAddr, fresh: &mpsc::Sender<Incoming>) {
        // Keep-alives and anything else that is not SIP.
        let Ok(message) = SipMessage::try_from(bytes) else { return };
        match message {
            SipMessage::Response(response) => self.take_response(response),
            SipMessage::Request(request) => self.take_request(Incoming { request, from }, fresh).await,
        }
    }

    fn take_response(&self, response: Response) {
        let (Some(branch), Ok((_, method))) = (message::branch(&response), message::cseq(&response)) else { return };
        if let Some(waiting) = lock(&self.transactions).get(&transaction_key(&branch, &method)) {
            // A full backlog loses the answer, as a network would; its sender repeats it.
            let _lost = waiting.try_send(response);
        }
    }

    async fn take_request(&self, incoming: Incoming, fresh: &mpsc::Sender<Incoming>) {
        let Some(branch) = message::branch(&incoming.request) else { return };
        let key = transaction_key(&branch, &incoming.request.method);
        let known = lock(&self.answers).iter().find(|(k, ..)| *k == key).map(|(_, to, bytes)| (*to, bytes.clone()));
        if let Some((to, bytes)) = known {
            let _lost = self.link.send(&bytes, to).await;
            return;
        }
        let Ok(call_id) = message::call_id(&incoming.request) else { return };
        let dialog = lock(&self.dialogs).get(&call_id).cloned();
        let _lost = match dialog {
            Some(dialog) => dialog.try_send(incoming),
            None => fresh.try_send(incoming),
        };
    }
}
