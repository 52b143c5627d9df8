//! What the datapath reports of a leg's audio.

use carillon_acd::ids::{CallId, LegId};
use carillon_acd::leg::{Cause, LegEvent};

use super::Worker;
use crate::datapath::{MediaEvent, StreamId};
use crate::leg::State;

impl Worker {
    pub(super) fn handle_media(&mut self, event: MediaEvent) {
        match event {
            MediaEvent::Digit { stream, digit } => {
                let id = self.leg_of(stream);
                if self.legs.contains_key(&id) {
                    self.report(id, LegEvent::Digit(digit));
                }
            }
            MediaEvent::PlayFinished { stream, token } => {
                let id = self.leg_of(stream);
                if self.legs.get(&id).is_some_and(|leg| leg.audio.is_current(token)) {
                    self.report(id, LegEvent::PlayFinished);
                }
            }
            MediaEvent::Silent { stream } => self.on_silence(self.leg_of(stream)),
        }
    }

    /// No RTP for the configured time: the leg is dead, whatever its signalling says.
    fn on_silence(&mut self, id: LegId) {
        if matches!(self.legs.get(&id).map(|leg| &leg.state), Some(State::Talking(_))) {
            self.break_off(id, Cause::MediaTimeout);
        }
    }

    fn leg_of(&self, stream: StreamId) -> LegId {
        let config = &self.shared.config;
        let own = CallId { node: config.node, boot: config.boot, number: stream.call };
        LegId { call: self.foreign.get(&stream.call).copied().unwrap_or(own), n: stream.leg }
    }
}
