//! REGISTER, and the end of registrations.

use carillon_acd::ids::DeviceId;
use carillon_sip::endpoint::ServerKey;
use carillon_sip::registrar::Change;
use carillon_sip::{Flow, Moment, Request, ResponseBuilder, StatusCode};

use super::Worker;

impl Worker {
    /// Performs a REGISTER of the device that it authenticates as (RFC 3261 §10.3).
    pub(super) fn on_register(&mut self, now: Moment, key: ServerKey, flow: Flow, request: &Request) {
        let directory = self.shared.directory.load_full();
        let result = {
            let mut registry = self.shared.registry();
            registry.authenticate(now, request, &directory).and_then(|username| {
                let to = request.to();
                if to.uri().user_text().is_none_or(|user| user != username) {
                    return Err(carillon_sip::check::Rejection::new(StatusCode::FORBIDDEN));
                }
                registry.register(now, &username, request, flow)
            })
        };
        match result {
            Ok((response, change)) => {
                self.mark_known(&flow);
                self.respond(key, response);
                self.report_changes(change);
            }
            Err(rejection) => self.respond(key, ResponseBuilder::reject(request, &rejection)),
        }
    }

    pub(super) fn expire_registrations(&mut self, now: Moment) {
        let changes = self.shared.registry().expire(now);
        self.report_changes(changes);
    }

    /// A phone cannot be reached any more over a connection that is gone; it has to register again.
    pub(super) fn forget_connection(&mut self, flow: Flow) {
        let Some(connection) = flow.connection else { return };
        let changes = self.shared.registry().connection_closed(connection);
        self.report_changes(changes);
    }

    /// Reports devices that came or went; those with a fixed contact stay reachable.
    fn report_changes(&self, changes: impl IntoIterator<Item = Change>) {
        let directory = self.shared.directory.load();
        for change in changes {
            let (username, reachable) = match &change {
                Change::Reachable(username) => (username, true),
                Change::Unreachable(username) => (username, false),
            };
            let device = directory.device_by_username(username).filter(|device| device.contact.is_none());
            if let Some(id) = device.map(|device| -> &DeviceId { &device.id }) {
                self.shared.report_reachability(id, reachable);
            }
        }
    }
}
