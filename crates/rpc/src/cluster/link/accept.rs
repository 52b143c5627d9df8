//! The connections that come in: TLS is agreed before gRPC hears of them, and who comes without what this node asks for is
//! told apart from noise, and logged once.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::Shared;
use super::transport::{Connection, Listener};

/// How long a node that connects may take to say its first word, and to agree on TLS.
const WELCOME: Duration = Duration::from_secs(2);
/// Connections of which that is not known yet. More wait in the listener's backlog.
const UNKNOWN: usize = 64;
/// Addresses of which it is remembered that they came wrongly.
const REMEMBERED: usize = 64;
/// The pause after a connection could not be taken in: most likely there are no descriptors left.
const PAUSE: Duration = Duration::from_millis(50);
/// With this a TLS connection begins (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

/// Connections that gRPC may have.
pub(super) fn accepted(
    shared: Arc<Shared>,
    mut listener: impl Listener,
) -> ReceiverStream<io::Result<Box<dyn Connection>>> {
    let (sender, receiver) = mpsc::channel(1);
    let door = Arc::new(Door { shared, wrong: Mutex::default() });
    let unknown = Arc::new(Semaphore::new(UNKNOWN));
    tokio::spawn(async move {
        loop {
            let Ok(permit) = unknown.clone().acquire_owned().await else { return };
            let taken = tokio::select! {
                taken = listener.accept() => taken,
                () = sender.closed() => return,
            };
            let (stream, from) = match taken {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::warn!(%error, "a link's connection cannot be taken in");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let (door, sender) = (door.clone(), sender.clone());
            tokio::spawn(async move {
                if let Some(stream) = door.welcome(stream, from).await {
                    // Who serves them is gone when this fails.
                    let _ = sender.send(Ok(stream)).await;
                }
                drop(permit);
            });
        }
    });
    ReceiverStream::new(receiver)
}

struct Door {
    shared: Arc<Shared>,
    /// What was said last of those who came wrongly.
    wrong: Mutex<BTreeMap<IpAddr, String>>,
}

impl Door {
    async fn welcome(&self, stream: Box<dyn Connection>, from: SocketAddr) -> Option<Box<dyn Connection>> {
        let greeted = tokio::time::timeout(WELCOME, self.greet(stream)).await;
        match greeted.unwrap_or_else(|_| Err("says nothing".to_owned())) {
            Ok(stream) => {
                self.wrong.lock().unwrap_or_else(PoisonError::into_inner).remove(&from.ip());
                Some(stream)
            }
            Err(reason) => {
                self.shared.strangers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                self.complain(from, reason);
                None
            }
        }
    }

    async fn greet(&self, stream: Box<dyn Connection>) -> Result<Box<dyn Connection>, String> {
        let mut stream = BufReader::new(stream);
        let first = stream.fill_buf().await.map_err(|error| error.to_string())?.first().copied();
        match (&self.shared.transport.tls, first) {
            // A port scan, or a load balancer that looks whether somebody listens.
            (_, None) => Err("closes the connection without a word".to_owned()),
            (None, Some(HANDSHAKE)) => Err("speaks TLS, and this node has no `link_tls`".to_owned()),
            (None, Some(_)) => Ok(Box::new(stream)),
            (Some(tls), Some(HANDSHAKE)) => {
                tls.accept(Box::new(stream)).await.map_err(|error| format!("TLS was not agreed: {error}"))
            }
            (Some(_), Some(_)) => Err("speaks without TLS, and this node has `link_tls`".to_owned()),
        }
    }

    /// Once for each address and reason, as long as there is room to remember it.
    fn complain(&self, from: SocketAddr, reason: String) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.get(&from.ip()) == Some(&reason) {
            return tracing::debug!(%from, reason, "no link");
        }
        tracing::warn!(%from, reason, "no link: a connection is refused");
        if wrong.len() >= REMEMBERED && !wrong.contains_key(&from.ip()) {
            wrong.pop_first();
        }
        wrong.insert(from.ip(), reason);
    }
}
