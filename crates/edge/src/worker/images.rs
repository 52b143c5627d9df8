//! What other edges are told of the legs here, and what happens when they have made use of it (Spec: CL-4).

use std::hash::Hasher;

use bytes::Bytes;
use carillon_acd::ids::{CallId, LegId};
use carillon_acd::leg::{Cause, LegImage};
use carillon_sip::Moment;

use super::{Purpose, Worker};
use crate::image::{self, MAX_IMAGE};
use crate::leg::{Exchange, Leg, State};

impl Worker {
    /// Something of a leg's image may have changed. It is told at the end of the turn, so that one message costs one image.
    pub(super) fn image_changed(&mut self, id: LegId) {
        if self.shared.callbacks.on_image.is_some()
            && let Some(leg) = self.legs.get_mut(&id)
            && !std::mem::replace(&mut leg.told.stale, true)
        {
            self.stale.push(id);
        }
    }

    /// Tells of all legs that have changed.
    pub(super) fn tell_images(&mut self) {
        let Some(on_image) = &self.shared.callbacks.on_image else { return };
        for id in self.stale.drain(..) {
            let Some(leg) = self.legs.get_mut(&id) else { continue };
            leg.told.stale = false;
            let Some(image) = image_of(leg) else { continue };
            if image.bytes().len() > MAX_IMAGE {
                let bytes = image.bytes().len();
                tracing::warn!(call_id = %id.call, leg = id.n, bytes, "a leg that would be lost with this edge");
                continue;
            }
            let mut hasher = std::hash::DefaultHasher::new();
            hasher.write(image.bytes());
            // Zero stands for none.
            let hash = hasher.finish().max(1);
            if std::mem::replace(&mut leg.told.hash, hash) != hash {
                on_image(id, image);
            }
        }
    }

    /// Messages of a leg that has come from another edge shall reach this worker.
    pub(super) fn keep_dialog_here(&mut self, id: LegId) {
        if let Some(line) = self.legs.get(&id).and_then(|leg| leg.line()) {
            self.shared.router.keep(&line.dialog.id().call_id, self.index);
        }
    }

    /// A dialog is over, but its BYE and repetitions are still under way.
    pub(super) fn expect_stragglers(&mut self, call_id: &Bytes) {
        if self.shared.router.is_kept(call_id) {
            let until = self.shared.now() + self.shared.config.sip_timers.t64() * 2;
            self.leaving.push_back((until, call_id.clone()));
        }
    }

    pub(super) fn let_dialogs_go(&mut self, now: Moment) {
        while self.leaving.front().is_some_and(|(until, _)| *until <= now) {
            let Some((_, call_id)) = self.leaving.pop_front() else { return };
            // It may have been revived again meanwhile.
            if !self.dialogs.keys().any(|dialog| dialog.call_id == call_id) {
                self.shared.router.let_go(&call_id);
            }
        }
    }

    /// Another edge has the call now. What that edge could not take over ends in the ordinary way: a phone that rings, a
    /// caller without an answer, and a leg that is not among `theirs`, if these are known.
    pub(super) fn forsake(&mut self, call: CallId, theirs: &[LegId]) {
        let now = self.shared.now();
        let legs: Vec<LegId> = self.legs.keys().copied().filter(|leg| leg.call == call).collect();
        for id in legs {
            match self.legs.get(&id).map(|leg| &leg.state) {
                Some(State::Asked(_)) => self.refuse_asked(id, Cause::Congestion),
                Some(State::Dialling(_)) => {
                    self.stop_branches(now, id, None, Cause::Cancelled);
                    self.remove_leg(id);
                }
                Some(State::Talking(_)) if !theirs.is_empty() && !theirs.contains(&id) => {
                    self.hang_up(now, id, Cause::AnsweredElsewhere);
                }
                Some(State::Talking(_) | State::Parting(_)) => self.forget_dialog(id),
                None => {}
            }
        }
    }

    /// Forgets a leg and its transactions, so that nothing is repeated. A request of the peer that waits for an answer is left
    /// without one: 481 would end what goes on elsewhere.
    fn forget_dialog(&mut self, id: LegId) {
        let Some(leg) = self.remove_leg(id) else { return };
        let (unacknowledged, request) = match leg.state {
            State::Talking(talking) => {
                let request = match talking.exchange {
                    Exchange::Ours(ours) => ours.request,
                    Exchange::Reviving(reviving) => reviving.request,
                    Exchange::None | Exchange::Theirs(_) | Exchange::Again(..) => None,
                };
                (talking.unacknowledged.map(|unacknowledged| unacknowledged.invite), request)
            }
            State::Parting(parting) => (Some(parting.invite), None),
            State::Asked(_) | State::Dialling(_) => (None, None),
        };
        if let Some(invite) = unacknowledged {
            self.endpoint.forget_server(invite);
        }
        if let Some(key) = request {
            self.endpoint.forget_client(key);
            debug_assert!(matches!(self.clients.get(&key), Some(Purpose::Change { .. } | Purpose::Revive { .. })));
            self.clients.remove(&key);
        }
    }
}

/// The image of a leg in conversation whose session has been described.
fn image_of(leg: &Leg) -> Option<LegImage> {
    match &leg.state {
        State::Talking(talking) => Some(image::write(talking, &leg.audio.image()?)),
        State::Asked(_) | State::Dialling(_) | State::Parting(_) => None,
    }
}
