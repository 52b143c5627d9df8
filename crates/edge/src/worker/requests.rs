//! Requests that begin a server transaction, by dialog and method.

use carillon_sip::check::{ALLOW, Rejection, SDP};
use carillon_sip::dialog::DialogId;
use carillon_sip::endpoint::ServerKey;
use carillon_sip::{Flow, Header, Method, Moment, Request, ResponseBuilder, StatusCode};

use super::senders::Sender;
use super::{Owner, Worker};

impl Worker {
    pub(super) fn on_request(&mut self, now: Moment, key: ServerKey, flow: Flow, request: Request) {
        let owner = DialogId::of_request(&request).map(|id| self.dialogs.get(&id).copied());
        match owner {
            None => self.on_new_request(now, key, flow, request),
            Some(Some(Owner::Leg(leg))) => self.on_dialog_request(now, leg, key, flow, request),
            Some(Some(Owner::Ending)) if *request.method() == Method::Bye => self.reply(key, &request, StatusCode::OK),
            Some(Some(Owner::Ending) | None) => self.reply(key, &request, StatusCode::NO_SUCH_CALL),
        }
    }

    /// A request outside of any dialog.
    fn on_new_request(&mut self, now: Moment, key: ServerKey, flow: Flow, request: Request) {
        match request.method() {
            Method::Invite => self.on_invite(now, key, flow, request),
            Method::Register => self.on_register(now, key, flow, &request),
            Method::Options => self.on_options(now, key, &flow, &request),
            Method::Bye | Method::Update | Method::Info => self.reply(key, &request, StatusCode::NO_SUCH_CALL),
            // The endpoint refuses all other methods by its policy.
            _ => self.reply(key, &request, StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// What we can do (RFC 3261 §11.2). A stranger who names one of our users has to prove that first.
    fn on_options(&mut self, now: Moment, key: ServerKey, flow: &Flow, request: &Request) {
        if matches!(self.identify(flow, request), Sender::Claimed) && !self.is_known_address(now, flow) {
            let directory = self.shared.directory.load_full();
            let verdict = self.shared.registry().authenticate(now, request, &directory);
            if let Err(rejection) = verdict {
                return self.reject(key, request, &rejection);
            }
        }
        match self.shared.intake.get().call() {
            Ok(()) => self.respond(key, capabilities(request)),
            Err(rejection) => self.reject(key, request, &rejection),
        }
    }

    /// Checks a caller's or phone's claim to be one of our devices.
    ///
    /// # Errors
    /// The challenge or refusal to answer with.
    pub(super) fn authenticate(
        &self,
        now: Moment,
        request: &Request,
    ) -> Result<carillon_acd::ids::DeviceId, Rejection> {
        let directory = self.shared.directory.load();
        let username = self.shared.registry().authenticate(now, request, &directory)?;
        let device = directory.device_by_username(&username).ok_or(Rejection::new(StatusCode::FORBIDDEN))?;
        Ok(device.id.clone())
    }
}

/// 200 to OPTIONS.
pub(super) fn capabilities(request: &Request) -> ResponseBuilder {
    ResponseBuilder::reply_to(request, StatusCode::OK)
        .header(Header::Allow, ALLOW)
        .header(Header::Accept, SDP)
        .header(Header::Supported, "")
}
