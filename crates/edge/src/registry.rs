//! Who is registered, and who may say so: the part of an edge that its workers share. It is touched by REGISTER, by the
//! challenge of a phone's INVITE, and once when a device is dialled; not by messages within calls.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use carillon_acd::leg::Contact;
use carillon_sip::auth::{Authenticator, Challenges, Verdict};
use carillon_sip::check::Rejection;
use carillon_sip::overload::SourceLimiter;
use carillon_sip::registrar::{Registrar, RegistrarConfig};
use carillon_sip::{Flow, Moment, NameAddr, Request, ResponseBuilder, Uri, message};

use crate::challenged::Challenged;
use crate::directory::{Device, Directory};

/// How long a nonce can be used.
const NONCE_LIFETIME: Duration = Duration::from_secs(300);
/// Nonces in use that are remembered against replay.
const NONCES: usize = 65_536;
/// What registrations are granted; the shortest is what phones behind NAT use to keep their binding open.
const EXPIRES: RegistrarConfig = RegistrarConfig {
    min_expires: Duration::from_secs(30),
    max_expires: Duration::from_secs(3_600),
    default_expires: Duration::from_secs(600),
    max_contacts: 10,
};

/// How often the addresses of phones that have gone are forgotten.
const SWEEP: Duration = Duration::from_secs(60);

/// Requests that one unknown address may have challenged: in the long run, at once, and for how many addresses. An
/// office of some hundred phones behind one address comes back at once after a power cut.
const STRANGERS_PER_SECOND: u32 = 50;
const STRANGERS_AT_ONCE: u32 = 500;
const STRANGERS: usize = 65_536;

/// Registrations and digest authentication.
pub(crate) struct Registry {
    registrar: Registrar,
    authenticator: Authenticator,
    challenged: Challenged,
    /// Addresses from which a phone has registered, until its registration would end at the latest.
    addresses: HashMap<SocketAddr, Moment>,
    sweep_at: Moment,
    limiter: SourceLimiter,
}

impl Registry {
    pub(crate) fn new(realm: &str, secret: [u8; 32]) -> Self {
        let authenticator = Authenticator::new(realm, secret, NONCE_LIFETIME, NONCES);
        Registry {
            registrar: Registrar::new(EXPIRES),
            authenticator,
            challenged: Challenged::default(),
            addresses: HashMap::new(),
            sweep_at: Moment::START + SWEEP,
            limiter: SourceLimiter::new(STRANGERS_PER_SECOND, STRANGERS_AT_ONCE, STRANGERS),
        }
    }

    /// The username whose credentials the request carries.
    ///
    /// # Errors
    /// The challenge, or 400, to answer with.
    pub(crate) fn authenticate(
        &mut self,
        now: Moment,
        request: &Request,
        directory: &Directory,
    ) -> Result<String, Rejection> {
        let password = |username: &str| {
            let device = directory.device_by_username(username)?;
            device.credentials.as_ref().map(|c| c.password.as_str())
        };
        let source = request.source();
        let verdict = self.authenticator.verify(now, request, password);
        if let (Some(source), false) = (source, matches!(verdict, Verdict::Missing)) {
            self.challenged.answered(&source);
        }
        let again = || source.map_or(Challenges::Both, |source| self.challenged.again(&source));
        let (stale, challenges) = match verdict {
            Verdict::Accepted { username } => return Ok(username),
            Verdict::Missing => {
                (false, source.map_or(Challenges::Both, |source| self.challenged.show(now, source, request)))
            }
            Verdict::Stale => (true, again()),
            Verdict::Wrong { username } => {
                tracing::info!(username, ?source, "wrong SIP password");
                (false, again())
            }
            Verdict::Malformed => return Err(Rejection::bad("malformed Authorization")),
        };
        Err(self.authenticator.challenge(now, rand::random(), stale, challenges))
    }

    /// Performs an authenticated REGISTER.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub(crate) fn register(
        &mut self,
        now: Moment,
        username: &str,
        request: &Request,
        flow: Flow,
    ) -> Result<ResponseBuilder, Rejection> {
        let known = |address: &NameAddr| contact(address.uri(), &flow).is_some();
        let mut addresses = request.contacts().filter_map(Result::ok).filter_map(|contact| match contact {
            message::Contact::Address(address) => Some(address),
            message::Contact::All => None,
        });
        if !addresses.all(|address| known(&address)) {
            return Err(Rejection::bad("unusable Contact"));
        }
        let response = self.registrar.register(now, username, request, flow)?;
        self.addresses.insert(flow.remote, now + EXPIRES.max_expires);
        Ok(response)
    }

    /// Where a user is registered now, best first, and the way to each.
    pub(crate) fn flows(&self, now: Moment, username: &str) -> Vec<(Uri, Flow)> {
        self.registrar.bindings(now, username).into_iter().map(|b| (b.uri.clone(), b.flow)).collect()
    }

    /// The way to one contact of a user.
    pub(crate) fn flow_of(&self, now: Moment, username: &str, contact: &Uri) -> Option<Flow> {
        self.registrar.bindings(now, username).into_iter().find(|binding| binding.uri == *contact).map(|b| b.flow)
    }

    /// All contacts of a device, as others are told of them.
    pub(crate) fn contacts(&self, now: Moment, device: &Device) -> Vec<Contact> {
        let username = device.credentials.as_ref().map(|c| c.username.as_str());
        let registered = username.map(|username| self.registrar.bindings(now, username)).unwrap_or_default();
        registered.into_iter().filter_map(|binding| contact(&binding.uri, &binding.flow)).collect()
    }

    /// Whether a phone has registered from this address lately.
    pub(crate) fn knows_address(&self, now: Moment, address: &SocketAddr) -> bool {
        self.addresses.get(address).is_some_and(|until| *until > now)
    }

    /// Whether an address from which nobody has registered may have one more request challenged.
    pub(crate) fn may_try(&mut self, now: Moment, address: &SocketAddr) -> bool {
        self.limiter.allow(now, address.ip())
    }

    /// Forgets the registrations of a device that is no more.
    pub(crate) fn remove(&mut self, username: &str) {
        self.registrar.remove(username);
    }

    /// Forgets what has expired; gives the users who lost a contact.
    pub(crate) fn expire(&mut self, now: Moment) -> Vec<Arc<str>> {
        if self.sweep_at <= now {
            self.sweep_at = now + SWEEP;
            self.addresses.retain(|_, until| *until > now);
            self.challenged.sweep(now);
        }
        match self.registrar.deadline() {
            Some(deadline) if deadline <= now => self.registrar.expire(now),
            Some(_) | None => Vec::new(),
        }
    }

    /// Forgets what was registered over a connection that is gone; gives the users who lost a contact.
    pub(crate) fn connection_closed(&mut self, connection: u64) -> Vec<Arc<str>> {
        self.registrar.connection_closed(connection)
    }

    /// Users registered now.
    pub(crate) fn registrations(&self) -> usize {
        self.registrar.len()
    }
}

/// A registered contact, as others are told of it; `None` when it is nothing that could be dialled.
fn contact(uri: &Uri, flow: &Flow) -> Option<Contact> {
    Contact::new(std::str::from_utf8(uri.as_bytes()).ok()?, flow.remote.ip()).ok()
}
