//! The registrar's bindings (RFC 3261 §10.3).

use crate::check::Rejection;
use crate::flow::Flow;
use crate::message::{Request, ResponseBuilder};
use crate::time::Moment;
use crate::uri::Uri;
use std::time::Duration;

/// Limits of a registrar.
#[derive(Clone, Copy, Debug)]
pub struct RegistrarConfig {
    /// Shorter expirations are refused with 423.
    pub min_expires: Duration,
    /// Longer ones are shortened.
    pub max_expires: Duration,
    /// Used when a request names none.
    pub default_expires: Duration,
    /// The most contacts of one address-of-record.
    pub max_contacts: usize,
}
/// One contact of an address-of-record.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The Contact URI, byte for byte.
    pub uri: Uri,
    /// The Contact's header parameters but expires, byte for byte, with leading semicolon.
    pub params: String,
    /// Preference in thousandths.
    pub q: u16,
    /// When the binding ends.
    pub expires_at: Moment,
    /// The way by which the REGISTER came: requests go back over it.
    pub flow: Flow,
    call_id: Vec<u8>,
    cseq: u32,
}
/// What changed for one address-of-record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has its first contact.
    Reachable(String),
    /// Its last contact went.
    Unreachable(String),
}
/// All bindings; an address-of-record is named by the caller (the device's user name).
#[derive(Debug)]
pub struct Registrar;
#[allow(missing_docs, unused_variables)]
impl Registrar {
    pub fn new(config: RegistrarConfig) -> Self {
        todo!()
    }
    /// Performs an authenticated REGISTER for `aor`: the 200 to send with all contacts (or the refusal), and the change.
    pub fn register(
        &mut self,
        now: Moment,
        aor: &str,
        request: &Request,
        flow: Flow,
    ) -> Result<(ResponseBuilder, Option<Change>), Rejection> {
        todo!()
    }
    /// The living contacts of `aor`, best first.
    pub fn bindings(&self, now: Moment, aor: &str) -> Vec<&Binding> {
        todo!()
    }
    /// Which address-of-record has a binding that came over this flow (source address and connection).
    pub fn aor_of_flow(&self, flow: &Flow) -> Option<&str> {
        todo!()
    }
    /// Removes what has expired.
    pub fn expire(&mut self, now: Moment) -> Vec<Change> {
        todo!()
    }
    /// Removes the bindings of a closed connection.
    pub fn connection_closed(&mut self, connection: u64) -> Vec<Change> {
        todo!()
    }
    pub fn deadline(&self) -> Option<Moment> {
        todo!()
    }
    pub fn len(&self) -> usize {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        todo!()
    }
}
