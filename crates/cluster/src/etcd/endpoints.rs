//! Which of etcd's endpoints is asked: one, until it fails; then the next. The library's own balancing sends every
//! request somewhere at random, so that one dead endpoint of three fails many requests for as long as it is dead.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::{Channel, Client, ConnectOptions};
use tokio::sync::Mutex;
use tonic::Code;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::Options;
use crate::coordinator::Error;

/// How often a silent connection is tested, and how long it may stay silent after that: a frozen etcd ends streams that
/// would otherwise wait for ever.
const PING: Duration = Duration::from_secs(1);

struct Place {
    endpoint: Endpoint,
    client: Mutex<Option<Client>>,
}

/// All endpoints, and which one is asked.
pub(super) struct Endpoints {
    places: Vec<Place>,
    current: AtomicUsize,
    options: ConnectOptions,
    timeout: Duration,
}

impl std::fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let uris = self.places.iter().map(|place| place.endpoint.uri().to_string());
        f.debug_list().entries(uris).finish()
    }
}

impl Endpoints {
    pub(super) fn new(options: Options) -> Result<Self, Error> {
        let places: Vec<Place> = options.endpoints.iter().map(|url| place(url, &options)).collect::<Result<_, _>>()?;
        if places.is_empty() {
            return Err(Error::Refused("no endpoint of etcd is given".into()));
        }
        let mut connect = ConnectOptions::new().with_require_leader(true).with_auto_token_refresh(true);
        if let Some(user) = options.user {
            connect = connect.with_user(user.name, user.password);
        }
        Ok(Endpoints { places, current: AtomicUsize::new(0), options: connect, timeout: options.timeout })
    }

    /// Asks the current endpoint, and after each failure that is the endpoint's the next. Only for what does no harm
    /// when it is done twice.
    pub(super) async fn ask<T, F, A>(&self, mut ask: F) -> Result<T, Error>
    where
        F: FnMut(Client) -> A,
        A: Future<Output = Result<T, etcd_client::Error>>,
    {
        let mut last = Error::Unavailable(String::new());
        for _ in 0..self.places.len().max(2) {
            let (at, attempt) = (self.current(), async { ask(self.client().await?).await });
            last = match tokio::time::timeout(self.timeout, attempt).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => translate(&error),
                Err(_) => Error::Unavailable(format!("no answer from {} in time", self.places[at].endpoint.uri())),
            };
            if !matches!(last, Error::Unavailable(_)) {
                return Err(last);
            }
            self.leave(at);
        }
        Err(last)
    }

    /// The endpoint that is asked now.
    pub(super) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// Goes on to the next endpoint, unless somebody has done so since `at` was the current one.
    pub(super) fn leave(&self, at: usize) {
        let next = (at + 1) % self.places.len();
        if self.current.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tracing::debug!(from = %self.places[at].endpoint.uri(), to = %self.places[next].endpoint.uri(), "next etcd");
        }
    }

    /// The current endpoint's client. The first time it connects, and logs in when there is a user.
    pub(super) async fn client(&self) -> Result<Client, etcd_client::Error> {
        let place = &self.places[self.current()];
        let mut client = place.client.lock().await;
        match &*client {
            Some(client) => Ok(client.clone()),
            None => {
                let channel = Channel::Tonic(place.endpoint.connect_lazy());
                let fresh = Client::from_channel(channel, Some(self.options.clone())).await?;
                Ok(client.insert(fresh).clone())
            }
        }
    }

    /// How long an endpoint may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }
}

fn place(url: &str, options: &Options) -> Result<Place, Error> {
    let refused = |error: tonic::transport::Error| {
        // What is wrong with a certificate stands in the cause.
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        Error::Refused(format!("{url}: {error} {cause}"))
    };
    let mut endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(refused)?
        .connect_timeout(options.timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .keep_alive_while_idle(true);
    match (&options.tls, endpoint.uri().scheme_str()) {
        (Some(tls), Some("https")) => {
            let mut config = ClientTlsConfig::new();
            if let Some(authority) = &tls.authority {
                config = config.ca_certificate(Certificate::from_pem(authority));
            }
            if let Some((certificate, key)) = &tls.identity {
                config = config.identity(Identity::from_pem(certificate, key));
            }
            if let Some(name) = &tls.server_name {
                config = config.domain_name(name);
            }
            endpoint = endpoint.tls_config(config).map_err(refused)?;
        }
        (None, Some("http")) => {}
        (Some(_), _) => return Err(Error::Refused(format!("{url} is not https, but certificates are given"))),
        (None, _) => return Err(Error::Refused(format!("{url} is not http, and no certificates are given"))),
    }
    Ok(Place { endpoint, client: Mutex::new(None) })
}

/// What a failure means for the asker.
pub(super) fn translate(error: &etcd_client::Error) -> Error {
    match error {
        etcd_client::Error::GRpcStatus(status) => match status.code() {
            Code::NotFound if status.message().contains("lease not found") => Error::LeaseLost,
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::Aborted => Error::Unavailable(status.message().to_owned()),
            Code::Ok
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::DataLoss
            | Code::Unauthenticated => Error::Refused(status.message().to_owned()),
        },
        etcd_client::Error::LeaseKeepAliveError(reason) if reason == "lease not found" => Error::LeaseLost,
        etcd_client::Error::InvalidArgs(_)
        | etcd_client::Error::InvalidUri(_)
        | etcd_client::Error::Utf8Error(_)
        | etcd_client::Error::InvalidMetadataValue(_)
        | etcd_client::Error::EndpointsNotManaged => Error::Refused(error.to_string()),
        etcd_client::Error::IoError(_)
        | etcd_client::Error::TransportError(_)
        | etcd_client::Error::WatchError(_)
        | etcd_client::Error::LeaseKeepAliveError(_)
        | etcd_client::Error::ElectError(_)
        | etcd_client::Error::EndpointError(_)
        | etcd_client::Error::Internal(_) => Error::Unavailable(error.to_string()),
    }
}
