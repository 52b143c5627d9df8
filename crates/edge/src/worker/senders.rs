//! Who may talk to the edge, and as whom. Spec: SE-1.

use std::net::IpAddr;

use carillon_acd::ids::{DeviceId, TrunkId};
use carillon_sip::auth::claimed_username;
use carillon_sip::dialog::DialogId;
use carillon_sip::{Flow, Method, Moment, Request, Transport};

use super::Worker;
use crate::audio::is_private;
use crate::directory::{Device, Directory, Target};
use crate::leg::Line;

/// Who sent a request outside of a dialog.
pub(super) enum Sender {
    /// A trunk, by its address.
    Trunk(TrunkId),
    /// A device at its fixed contact.
    Device(DeviceId),
    /// Somebody who has to prove that he is the device that he names.
    Claimed,
}

/// Where a request within a dialog is sent: over the pinned flow, else to the first route or the remote target
/// (RFC 3261 §8.1.2), else, when that is a name or a transport of which we know nothing, back where the dialog came from.
pub(super) fn hop(line: &Line) -> Flow {
    if line.way.pinned {
        return line.flow;
    }
    let Some(target) = Target::of(line.dialog.next_hop().clone()) else { return line.flow };
    if is_private(target.addr.ip()) && !is_private(line.flow.remote.ip()) {
        // The peer names an address behind its NAT.
        return line.flow;
    }
    let same_peer = target.addr.ip() == line.flow.remote.ip();
    if same_peer && line.flow.transport.is_reliable() && !target.transport.is_reliable() {
        // Phones that came over TCP and forgot to say so in their Contact.
        return line.flow;
    }
    let connection = line.flow.connection.filter(|_| same_peer && target.transport == Transport::Tcp);
    Flow { transport: target.transport, local: line.flow.local, remote: target.addr, connection }
}

/// Whether the request's From says that it comes from a user of ours: a known username at our own domain, which phones
/// write and carriers do not. Matters only where phones and a trunk share an address.
fn says_it_is_ours(request: &Request, directory: &Directory, ours: &dyn Fn(&[u8]) -> bool) -> bool {
    if claimed_username(request).is_some_and(|username| directory.device_by_username(&username).is_some()) {
        return true;
    }
    let from = request.from();
    let uri = from.uri();
    uri.user_text().is_some_and(|user| directory.device_by_username(&user).is_some())
        && (ours(uri.host_raw()) || uri.host_raw().eq_ignore_ascii_case(request.uri().host_raw()))
}

/// The device that a request names: in its credentials, in From, or, for REGISTER and calls between phones, in To.
fn names_a_device(request: &Request, directory: &Directory) -> bool {
    let known = |username: &str| directory.device_by_username(username).is_some();
    claimed_username(request).is_some_and(|username| known(&username))
        || request.from().uri().user_text().is_some_and(|user| known(&user))
        || (*request.method() == Method::Register && request.to().uri().user_text().is_some_and(|user| known(&user)))
}

impl Worker {
    /// Whether a request may be answered at all. Everything else gets silence: a scanner learns nothing, not even that
    /// somebody listens.
    pub(super) fn may_speak(&self, now: Moment, flow: &Flow, request: &Request) -> bool {
        // An ACK is never answered, so it tells nothing; the endpoint finds out whether it belongs to anything.
        *request.method() == Method::Ack
            || self.is_known_address(now, flow)
            || DialogId::of_request(request).is_some_and(|id| self.dialogs.contains_key(&id))
            || (names_a_device(request, &self.shared.directory.load())
                && self.shared.registry().may_try(now, &flow.remote))
    }

    /// Whether a trunk, a fixed contact or a registered phone is at the other end of the flow.
    pub(super) fn is_known_address(&self, now: Moment, flow: &Flow) -> bool {
        let directory = self.shared.directory.load();
        directory.trunk_at(flow.remote.ip()).is_some()
            || directory.is_fixed_address(flow.remote.ip())
            || self.shared.registry().knows_address(now, &flow.remote)
    }

    /// The peer of a connection has shown that he is one of ours: it is not closed for being idle during a call.
    pub(super) fn mark_known(&self, flow: &Flow) {
        if let Some(connection) = flow.connection {
            self.shared.connections.mark_known(connection);
        }
    }

    /// As whom the sender of a request outside of a dialog is treated.
    pub(super) fn identify(&self, flow: &Flow, request: &Request) -> Sender {
        let directory = self.shared.directory.load();
        let from = request.from();
        let user = from.uri().user_text().unwrap_or_default();
        if let Some(Device { id, .. }) = directory.fixed_at(flow.remote, &user) {
            return Sender::Device(id.clone());
        }
        if let Some(trunk) = directory.trunk_at(flow.remote.ip()) {
            let ours = says_it_is_ours(request, &directory, &|host| self.is_our_host(host));
            return if ours { Sender::Claimed } else { Sender::Trunk(trunk.id.clone()) };
        }
        directory.fixed_alone_at(flow.remote.ip()).map_or(Sender::Claimed, |device| Sender::Device(device.id.clone()))
    }

    fn is_our_host(&self, host: &[u8]) -> bool {
        let config = &self.shared.config;
        match std::str::from_utf8(host).ok().map(|text| text.trim_matches(['[', ']']).parse()) {
            Some(Ok::<IpAddr, _>(ip)) => ip == config.advertise || ip == config.sip_bind.ip(),
            Some(Err(_)) | None => host.eq_ignore_ascii_case(config.realm.as_bytes()),
        }
    }
}
