//! The registrar's bindings (RFC 3261 §10.3).

use crate::check::Rejection;
use crate::flow::Flow;
use crate::message::{Contact, Header, NameAddr, Request, ResponseBuilder};
use crate::status::StatusCode;
use crate::time::Moment;
use crate::uri::Uri;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Limits of a registrar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrarConfig {
    /// Shorter expirations are refused with 423.
    pub min_expires: Duration,
    /// Longer ones are shortened.
    pub max_expires: Duration,
    /// Used when a request names none.
    pub default_expires: Duration,
    /// The most contacts of one address-of-record; a further one replaces the one that would expire first.
    pub max_contacts: usize,
}

impl Default for RegistrarConfig {
    /// One minute to one hour; one hour; 10 contacts.
    fn default() -> Self {
        RegistrarConfig {
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(3600),
            default_expires: Duration::from_secs(3600),
            max_contacts: 10,
        }
    }
}

/// One contact of an address-of-record.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The Contact URI, byte for byte.
    pub uri: Uri,
    /// The Contact's header parameters but `expires`, byte for byte, with the leading semicolon.
    pub params: Box<[u8]>,
    /// Preference in thousandths, 1000 the highest.
    pub q: u16,
    /// When the binding ends.
    pub expires_at: Moment,
    /// The way by which the REGISTER came; requests go back over it, because a phone behind NAT has no other.
    pub flow: Flow,
    instance: Option<Box<[u8]>>,
    call_id: Box<[u8]>,
    cseq: u32,
}

/// The contacts of one address-of-record, and when the first of them expires (as the timer queue has it).
#[derive(Debug, Default)]
struct Record {
    bindings: Vec<Binding>,
    scheduled: Option<Moment>,
}

/// All bindings. An address-of-record is what the caller makes of the To of a REGISTER, usually the device's user name;
/// the caller knows which exist, so their number is bounded by the configuration.
#[derive(Debug)]
pub struct Registrar {
    config: RegistrarConfig,
    records: HashMap<Arc<str>, Record>,
    timers: BTreeSet<(Moment, Arc<str>)>,
}

/// One Contact of a REGISTER: the binding to make, or to remove.
enum Wish {
    Bind(Binding),
    Remove(Uri),
}

impl Registrar {
    /// A registrar without bindings.
    pub fn new(config: RegistrarConfig) -> Self {
        Registrar { config, records: HashMap::new(), timers: BTreeSet::new() }
    }

    /// Performs an authenticated REGISTER for `aor`: gives the 200 with all contacts. All of the request is performed, or
    /// nothing.
    ///
    /// # Errors
    /// 400 for a misused `*`, 423 for a short expiration, 500 when an older request comes after a newer one.
    pub fn register(
        &mut self,
        now: Moment,
        aor: &str,
        request: &Request,
        flow: Flow,
    ) -> Result<ResponseBuilder, Rejection> {
        let mut bindings: Vec<Binding> = self.bindings(now, aor).into_iter().cloned().collect();
        match self.wishes(now, request, flow)? {
            Some(wishes) => {
                for wish in wishes {
                    self.perform(&mut bindings, wish, request)?;
                }
            }
            None => {
                for binding in &bindings {
                    in_order(binding, request)?;
                }
                bindings.clear();
            }
        }
        let mut response = ResponseBuilder::reply_to(request, StatusCode::OK);
        for binding in &bindings {
            response = response.header(Header::Contact, binding.contact(now));
        }
        self.store(aor, bindings);
        Ok(response)
    }

    /// What the Contacts ask for; `None` for `*`.
    fn wishes(&self, now: Moment, request: &Request, flow: Flow) -> Result<Option<Vec<Wish>>, Rejection> {
        let contacts: Vec<Contact> =
            request.contacts().collect::<Result<_, _>>().map_err(|_| Rejection::bad("malformed Contact"))?;
        if contacts.contains(&Contact::All) {
            // RFC 3261 §10.2.2: alone, and only to remove.
            let alone = contacts.len() == 1 && request.expires() == Some(0);
            return if alone { Ok(None) } else { Err(Rejection::bad("misused Contact *")) };
        }
        let mut wishes = Vec::with_capacity(contacts.len());
        for contact in contacts {
            let Contact::Address(address) = contact else { continue };
            let seconds = address.expires().or_else(|| request.expires());
            let expires = seconds.map_or(self.config.default_expires, |s| Duration::from_secs(s.into()));
            wishes.push(if expires.is_zero() {
                Wish::Remove(address.uri().detached())
            } else if expires < self.config.min_expires {
                let min = self.config.min_expires.as_secs().to_string();
                return Err(Rejection::new(StatusCode::INTERVAL_TOO_BRIEF).with(Header::MinExpires, min));
            } else {
                Wish::Bind(Binding::new(&address, now + expires.min(self.config.max_expires), flow, request))
            });
        }
        Ok(Some(wishes))
    }

    /// RFC 3261 §10.3 step 7. A contact with the same instance id is the same phone, whatever its port (RFC 5626).
    fn perform(&self, bindings: &mut Vec<Binding>, wish: Wish, request: &Request) -> Result<(), Rejection> {
        let same = |b: &Binding| match &wish {
            Wish::Bind(new) => b.uri.equivalent(&new.uri) || (b.instance.is_some() && b.instance == new.instance),
            Wish::Remove(uri) => b.uri.equivalent(uri),
        };
        for known in bindings.iter().filter(|b| same(b)) {
            in_order(known, request)?;
        }
        bindings.retain(|b| !same(b));
        if let Wish::Bind(new) = wish {
            if bindings.len() >= self.config.max_contacts {
                let first = bindings.iter().enumerate().min_by_key(|(_, b)| b.expires_at).map(|(i, _)| i);
                first.map(|i| bindings.remove(i));
            }
            bindings.push(new);
            bindings.sort_by_key(|b| std::cmp::Reverse(b.q));
        }
        Ok(())
    }

    /// The living contacts of `aor`, the preferred first.
    pub fn bindings(&self, now: Moment, aor: &str) -> Vec<&Binding> {
        let record = self.records.get(aor);
        record.map_or_else(Vec::new, |r| r.bindings.iter().filter(|b| b.expires_at > now).collect())
    }

    /// Whether `aor` has a living contact that registered over this very flow.
    pub fn is_registered_over(&self, now: Moment, aor: &str, flow: &Flow) -> bool {
        self.bindings(now, aor).iter().any(|b| b.flow == *flow)
    }

    /// Removes what has expired by `now`; gives the addresses-of-record that lost a contact.
    pub fn expire(&mut self, now: Moment) -> Vec<Arc<str>> {
        let mut changed = Vec::new();
        while let Some((_, aor)) = self.timers.first().filter(|(at, _)| *at <= now).cloned() {
            self.retain(&aor, |b| b.expires_at > now);
            changed.push(aor);
        }
        changed
    }

    /// Removes the bindings that came over a connection that is closed: nobody can be reached over it any more. Gives the
    /// addresses-of-record that lost a contact.
    pub fn connection_closed(&mut self, connection: u64) -> Vec<Arc<str>> {
        let over = |b: &Binding| b.flow.connection == Some(connection);
        let affected = self.records.iter().filter(|(_, record)| record.bindings.iter().any(over));
        let mut aors: Vec<Arc<str>> = affected.map(|(aor, _)| aor.clone()).collect();
        aors.sort_unstable();
        aors.iter().for_each(|aor| self.retain(aor, |b| !over(b)));
        aors
    }

    /// Removes all bindings of `aor`, for example because its device was deleted.
    pub fn remove(&mut self, aor: &str) {
        self.retain(aor, |_| false);
    }

    /// When [`Registrar::expire`] has to be called next.
    pub fn deadline(&self) -> Option<Moment> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// How many addresses-of-record have contacts.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nobody is registered.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn retain(&mut self, aor: &str, keep: impl Fn(&Binding) -> bool) {
        let Some(record) = self.records.get(aor) else { return };
        let bindings = record.bindings.iter().filter(|b| keep(b)).cloned().collect();
        self.store(aor, bindings);
    }

    /// Sets the contacts of `aor`.
    fn store(&mut self, aor: &str, bindings: Vec<Binding>) {
        let aor: Arc<str> = self.records.get_key_value(aor).map_or_else(|| aor.into(), |(key, _)| key.clone());
        let before = self.records.remove(&aor).unwrap_or_default();
        if let Some(at) = before.scheduled {
            self.timers.remove(&(at, aor.clone()));
        }
        if let Some(at) = bindings.iter().map(|b| b.expires_at).min() {
            self.timers.insert((at, aor.clone()));
            self.records.insert(aor.clone(), Record { bindings, scheduled: Some(at) });
        }
    }
}

/// RFC 3261 §10.3 step 7: within one Call-ID only a higher number changes a binding.
fn in_order(binding: &Binding, request: &Request) -> Result<(), Rejection> {
    if &*binding.call_id == request.call_id() && request.cseq() <= binding.cseq {
        return Err(Rejection {
            reason: Some("CSeq out of order"),
            ..Rejection::new(StatusCode::SERVER_INTERNAL_ERROR)
        });
    }
    Ok(())
}

impl Binding {
    fn new(address: &NameAddr, expires_at: Moment, flow: Flow, request: &Request) -> Self {
        Binding {
            uri: address.uri().detached(),
            params: address.params().without("expires").into(),
            q: address.q(),
            expires_at,
            flow,
            instance: address.params().get("+sip.instance").map(Into::into),
            call_id: request.call_id().into(),
            cseq: request.cseq(),
        }
    }

    /// The Contact value of a 200: URI and parameters byte for byte, and the seconds that are left.
    fn contact(&self, now: Moment) -> Vec<u8> {
        let left = self.expires_at.since(now).as_secs().to_string();
        [b"<", self.uri.as_bytes(), b">", &self.params, b";expires=", left.as_bytes()].concat()
    }
}

#[cfg(test)]
#[path = "registrar_tests.rs"]
mod tests;
