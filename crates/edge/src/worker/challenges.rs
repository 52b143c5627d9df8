//! Challenges to our own requests: a trunk that wants our credentials gets them, once for each request (RFC 3261 §22).

use carillon_acd::ids::TrunkId;
use carillon_sip::auth::{self, Credentials};
use carillon_sip::{RequestBuilder, Response, StatusCode};

use super::Worker;

/// Whether a response asks for credentials.
pub(super) fn is_challenge(response: &Response) -> bool {
    matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED)
}

impl Worker {
    /// The request with the credentials that `response` asks for; `None` when there are none for this trunk, or the
    /// challenge cannot be answered.
    pub(super) fn with_credentials(
        &mut self,
        request: RequestBuilder,
        trunk: Option<&TrunkId>,
        response: &Response,
    ) -> Option<RequestBuilder> {
        let directory = self.shared.directory.load();
        let known = directory.trunk(trunk?)?.credentials.as_ref()?;
        let credentials = Credentials { username: known.username.clone(), password: known.password.clone() };
        let uri = String::from_utf8_lossy(request.uri()).into_owned();
        let cnonce = self.endpoint.token();
        let (header, value) = auth::answer(response, &credentials, request.method(), &uri, &cnonce)?;
        Some(request.header(header, value))
    }
}
