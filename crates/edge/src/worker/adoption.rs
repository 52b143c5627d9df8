//! A caller's leg becomes one of another call: an agent who has dialled the code for pickup has the ringing call
//! (Spec: TR-4). For his phone nothing happens but the answer to its INVITE.

use carillon_acd::ids::LegId;
use carillon_acd::leg::{Cause, LegEvent};
use carillon_sip::Moment;

use super::Worker;
use crate::audio::Audio;
use crate::leg::{Leg, State};

impl Worker {
    /// Renames the leg `from` to `id` and answers it. Only a caller who has heard nothing yet can go over: an answered one
    /// has its audio where the streams of its call are. One whose dialog belongs to another worker is refused, and his
    /// devices ring instead.
    pub(super) fn adopt(&mut self, now: Moment, id: LegId, from: LegId) {
        if self.legs.contains_key(&id) || id.call == from.call {
            return;
        }
        let router = &self.shared.router;
        let other_edge = !self.is_own(from.call);
        if other_edge || router.of_call(from.call.number) != self.index {
            if !other_edge {
                router.give_up(from, id);
            }
            return self.report(id, LegEvent::Failed(Cause::Unreachable));
        }
        let Some(audio) = self.audio_for(id, from) else {
            return self.report(id, LegEvent::Failed(Cause::Cancelled));
        };
        let Some(leg) = self.remove_leg(from) else { return };
        self.insert_leg(id, Leg::new(audio, leg.state));
        self.report(from, LegEvent::TakenOver { by: id });
        self.answer(now, id);
        if self.legs.contains_key(&id) {
            self.report(id, LegEvent::Answered);
        }
    }

    /// Refuses a caller who is about to be rung for the call of `by`. One who has been answered stays: his call ends him.
    pub(super) fn give_up(&mut self, leg: LegId, by: LegId) {
        if matches!(self.legs.get(&leg).map(|leg| &leg.state), Some(State::Asked(_))) {
            self.refuse_asked(leg, Cause::Busy);
            self.report(leg, LegEvent::TakenOver { by });
        }
    }

    /// New audio for the offer of a caller who has not been given any, with the codec of the call that he goes over to.
    fn audio_for(&mut self, id: LegId, from: LegId) -> Option<Audio> {
        let stream = self.stream_of(id);
        let leg = self.legs.get(&from)?;
        let State::Asked(asked) = &leg.state else { return None };
        if leg.audio.is_open() {
            return None;
        }
        let partner = self.legs.get(&LegId::caller(id.call))?;
        let offer = self.endpoint.request(asked.invite)?.body();
        let peer = asked.line.flow.remote.ip();
        let mut audio = Audio::new(stream, self.shared.config.advertise, peer);
        if !offer.is_empty() {
            audio.read_offer(offer, partner.audio.codec()).ok()?;
        }
        Some(audio)
    }
}
