//! The call: owns its legs, its reservations and its record, and knows everything that a lost owner of a queue or of an
//! agent would need to be told again.

mod event;

pub use event::{Config, Effect, Event, FromAgent, FromQueue};

use std::sync::Arc;

use crate::ids::CallId;
use crate::leg::Incoming;
use crate::route::Routing;
use crate::time::{Moment, Now};
use crate::view::CallView;

/// The machine of one call.
#[derive(Clone, Debug)]
pub struct Call {
    id: CallId,
}

impl Call {
    /// A new call. It plans its way by `routing` and keeps those tables to its end; [`Event::Start`] sets it going.
    pub fn new(now: Now, incoming: Incoming, routing: Arc<Routing>, config: Arc<Config>) -> Self {
        let _ = (now, routing, config);
        Call { id: incoming.call }
    }

    /// Which call it is.
    pub const fn id(&self) -> CallId {
        self.id
    }

    /// Takes in one event; what follows from it is appended to `out`.
    pub fn handle(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        let _ = (now, event, out);
    }

    /// When [`Event::Wake`] is due; `None` once it has ended.
    pub fn deadline(&self) -> Option<Moment> {
        None
    }

    /// Whether [`Effect::Finished`] was given: the machine can be dropped.
    pub const fn is_over(&self) -> bool {
        false
    }

    /// How it is now.
    pub fn view(&self, now: Now) -> CallView {
        let _ = now;
        unreachable!("filled in next")
    }
}

/// The answer in the name of a call that has ended or never was: the shell asks this for every event whose call it does
/// not find, so that no agent is held and no queue waits for it.
pub fn gone(call: CallId, event: &Event) -> Option<Effect> {
    let _ = (call, event);
    None
}
