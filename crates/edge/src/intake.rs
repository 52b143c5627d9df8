//! What of the new an edge takes: everything, or less and less while its node drains (Spec: CL-6). What it has already,
//! dialogs and registrations, it keeps and serves in any case.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use carillon_sip::check::Rejection;
use carillon_sip::message::Contact;
use carillon_sip::{Header, Request, StatusCode};

/// For how long carriers and phones are told to go elsewhere. Short, because a drain often is only a restart.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// What of the new an edge takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intake {
    /// Calls and registrations.
    #[default]
    Everything,
    /// Registrations only: phones have no other edge to go to.
    Registrations,
    /// Neither: carriers and phones go on to another edge, as 503 tells them to (RFC 3261 §21.5.4, RFC 3263 §4.3).
    /// A phone may still take its registration back.
    Nothing,
}

impl Intake {
    /// Whether a new call may come, and whether OPTIONS may say so (RFC 3261 §11.2: the answer is an INVITE's).
    ///
    /// # Errors
    /// 503 with Retry-After.
    pub(crate) fn call(self) -> Result<(), Rejection> {
        match self {
            Intake::Everything => Ok(()),
            Intake::Registrations | Intake::Nothing => Err(elsewhere()),
        }
    }

    /// Whether a REGISTER may be performed.
    ///
    /// # Errors
    /// As for [`Intake::call`].
    pub(crate) fn registration(self, request: &Request) -> Result<(), Rejection> {
        match self {
            Intake::Everything | Intake::Registrations => Ok(()),
            Intake::Nothing if binds(request) => Err(elsewhere()),
            Intake::Nothing => Ok(()),
        }
    }
}

fn elsewhere() -> Rejection {
    Rejection::new(StatusCode::SERVICE_UNAVAILABLE).with(Header::RetryAfter, RETRY_AFTER.as_secs().to_string())
}

/// Whether a REGISTER asks for more than to remove or to list contacts (RFC 3261 §10.2.2).
fn binds(request: &Request) -> bool {
    request.contacts().filter_map(Result::ok).any(|contact| match contact {
        Contact::All => false,
        Contact::Address(address) => address.expires().or_else(|| request.expires()) != Some(0),
    })
}

/// The intake as all workers read it.
#[derive(Debug, Default)]
pub(crate) struct SharedIntake(AtomicU8);

impl SharedIntake {
    pub(crate) fn set(&self, intake: Intake) {
        self.0.store(intake as u8, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Intake {
        let all = [Intake::Everything, Intake::Registrations, Intake::Nothing];
        let stored = self.0.load(Ordering::Relaxed);
        all.into_iter().find(|intake| *intake as u8 == stored).unwrap_or_default()
    }
}
