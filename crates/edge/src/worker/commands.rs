//! What a call asks of a leg, and what a leg does when its time is up.

use carillon_acd::ids::{CallId, LegId};
use carillon_acd::leg::{Cause, LegCommand, LegEvent, Playback};
use carillon_media::Source;
use carillon_sip::Moment;

use super::Worker;
use crate::leg::{Exchange, State};

impl Worker {
    pub(super) fn handle_command(&mut self, id: LegId, command: LegCommand) {
        let now = self.shared.now();
        match command {
            LegCommand::Dial { target, caller, partner, ring_for } => {
                self.dial(now, id, &target, &caller, partner, ring_for);
            }
            LegCommand::Adopt { from } => self.adopt(now, id, from),
            LegCommand::Revive { image } => self.revive(now, id, &image),
            LegCommand::Ring => self.ring(now, id),
            LegCommand::Answer => self.answer(now, id),
            LegCommand::Play(playback) => self.play(now, id, &playback),
            LegCommand::StopPlaying => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.audio.stop(&self.shared.datapath);
                }
            }
            LegCommand::Bridge { with } => self.bridge(now, id, with),
            LegCommand::Unbridge => self.unbridge(id),
            LegCommand::HangUp(cause) => self.hang_up(now, id, cause),
        }
    }

    fn play(&mut self, now: Moment, id: LegId, playback: &Playback) {
        let source = match playback {
            Playback::Ringing => Some(self.shared.ringing.clone()),
            Playback::Music => Some(self.shared.music().clone()),
            Playback::Done => Some(self.shared.done.clone()),
            Playback::Declined => Some(self.shared.declined.clone()),
            Playback::Sound(sound) => self.shared.directory.load().sound(sound).cloned(),
        };
        let Some(source) = source else {
            // The configuration lost the sound meanwhile; the call must not wait for its end.
            tracing::warn!(call_id = %id.call, ?playback, "no such sound");
            return if self.legs.contains_key(&id) {
                self.report(id, LegEvent::PlayFinished)
            };
        };
        self.open_early_media(now, id);
        self.play_source(id, source);
    }

    fn play_source(&mut self, id: LegId, source: Source) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.audio.play(&self.shared.datapath, source);
        }
    }

    /// Joins the audio of two legs; a caller who is not answered yet hears early media.
    fn bridge(&mut self, now: Moment, id: LegId, with: LegId) {
        if id == with || id.call != with.call || !self.legs.contains_key(&with) || !self.legs.contains_key(&id) {
            return;
        }
        for leg in [id, with] {
            self.unbridge(leg);
            self.open_early_media(now, leg);
        }
        // Opening may have failed and ended a leg.
        if !self.legs.contains_key(&with) || !self.legs.contains_key(&id) {
            return;
        }
        let mut streams = Vec::with_capacity(2);
        for (leg, partner) in [(id, with), (with, id)] {
            if let Some(leg) = self.legs.get_mut(&leg) {
                leg.partner = Some(partner);
                leg.audio.forget_playback();
                streams.push(leg.audio.stream());
            }
        }
        if let [a, b] = streams[..] {
            self.shared.datapath.bridge(a, b);
        }
        self.reopen(now, id, with);
        self.reopen(now, with, id);
    }

    fn unbridge(&mut self, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let stream = leg.audio.stream();
        let Some(partner) = leg.partner.take() else { return };
        if let Some(partner) = self.legs.get_mut(&partner) {
            partner.partner = None;
        }
        self.shared.datapath.unbridge(stream);
    }

    /// Ends a leg in whatever state; nothing more is reported of it.
    pub(super) fn hang_up(&mut self, now: Moment, id: LegId, cause: Cause) {
        let Some(leg) = self.legs.get(&id) else { return };
        match &leg.state {
            State::Asked(_) => self.refuse_asked(id, cause),
            State::Dialling(_) => {
                self.stop_branches(now, id, None, cause);
                self.remove_leg(id);
            }
            State::Talking(_) => self.part(id, cause),
            State::Parting(_) => {}
        }
    }

    /// Ends the legs of a call that has failed; rare, so they are searched for.
    pub(super) fn abandon(&mut self, call: CallId) {
        let now = self.shared.now();
        let legs: Vec<LegId> = self.legs.keys().copied().filter(|leg| leg.call == call).collect();
        for leg in legs {
            self.hang_up(now, leg, Cause::Failed(500));
        }
    }

    /// A shutdown: every leg ends, and its call hears of it, so that the record is closed.
    pub(super) fn end_everything(&mut self) {
        let now = self.shared.now();
        let legs: Vec<LegId> = self.legs.keys().copied().collect();
        for id in legs {
            let event = match self.legs.get(&id).map(|leg| &leg.state) {
                Some(State::Asked(_)) => Some((LegEvent::Ended(Cause::Congestion), Cause::Congestion)),
                Some(State::Dialling(_)) => Some((LegEvent::Failed(Cause::Congestion), Cause::Congestion)),
                Some(State::Talking(_)) => Some((LegEvent::Ended(Cause::Normal), Cause::Normal)),
                Some(State::Parting(_)) | None => None,
            };
            if let Some((event, cause)) = event {
                self.hang_up(now, id, cause);
                self.report(id, event);
            }
        }
    }

    /// A leg's time is up.
    pub(super) fn on_leg_deadline(&mut self, now: Moment, id: LegId) {
        let Some(leg) = self.legs.get(&id) else { return };
        match &leg.state {
            State::Asked(asked) if asked.give_up <= now => {
                self.refuse_asked(id, Cause::NoAnswer);
                self.report(id, LegEvent::Ended(Cause::NoAnswer));
            }
            State::Asked(_) => self.tell_progress(now, id),
            State::Dialling(_) => self.give_up_dialling(now, id),
            State::Talking(talking) if talking.give_up <= now => self.break_off(id, Cause::SignallingTimeout),
            State::Talking(talking) => match &talking.exchange {
                Exchange::Again(..) => self.ask_again(now, id),
                Exchange::Theirs(_) => self.give_up_theirs(now, id),
                Exchange::Reviving(_) => self.go_on_reviving(now, id),
                Exchange::None | Exchange::Ours(_) => {}
            },
            State::Parting(_) => {}
        }
        self.perform();
        self.wake_leg(id);
    }
}
