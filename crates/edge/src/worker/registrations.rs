//! REGISTER, and the end of registrations.

use carillon_sip::check::Rejection;
use carillon_sip::endpoint::ServerKey;
use carillon_sip::{Flow, Moment, Request, ResponseBuilder, StatusCode};

use super::Worker;

impl Worker {
    /// Performs a REGISTER of the device that it authenticates as (RFC 3261 §10.3).
    pub(super) fn on_register(&mut self, now: Moment, key: ServerKey, flow: Flow, request: &Request) {
        if let Err(rejection) = self.shared.intake.get().registration(request) {
            return self.reject(key, request, &rejection);
        }
        let directory = self.shared.directory.load_full();
        let result = {
            let mut registry = self.shared.registry();
            let done = registry.authenticate(now, request, &directory).and_then(|username| {
                let to = request.to();
                if to.uri().user_text().is_none_or(|user| user != username) {
                    return Err(Rejection::new(StatusCode::FORBIDDEN));
                }
                Ok((registry.register(now, &username, request, flow)?, username))
            });
            done.map(|(response, username)| {
                self.shared.report_user(now, &registry, &username);
                response
            })
        };
        match result {
            Ok(response) => {
                self.mark_known(&flow);
                self.respond(key, response);
            }
            Err(rejection) => self.respond(key, ResponseBuilder::reject(request, &rejection)),
        }
    }

    pub(super) fn expire_registrations(&mut self, now: Moment) {
        let mut registry = self.shared.registry();
        let changed = registry.expire(now);
        changed.iter().for_each(|username| self.shared.report_user(now, &registry, username));
    }

    /// A phone cannot be reached any more over a connection that is gone; it has to register again.
    pub(super) fn forget_connection(&mut self, flow: Flow) {
        let Some(connection) = flow.connection else { return };
        let now = self.shared.now();
        let mut registry = self.shared.registry();
        let changed = registry.connection_closed(connection);
        changed.iter().for_each(|username| self.shared.report_user(now, &registry, username));
    }
}
