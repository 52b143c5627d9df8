//! A changed configuration, taken up without disturbing what happens to the agent: who talks goes on talking, who rings goes
//! on ringing, and for the next offer the new configuration holds.

use super::status::Member;
use super::{Agent, Config, Effect, Refusal};
use crate::call::{Event as CallEvent, FromAgent};
use crate::time::Moment;

impl Agent {
    /// From now on `config` holds. Of a queue that he goes on serving everything stays as it was; to one that is new to him he
    /// is logged in. A conversation from a queue that he does not serve any more ends without its wrap-up.
    pub(super) fn configure(&mut self, now: Moment, config: Config, out: &mut Vec<Effect>) {
        let before = self.saved();
        let place = |member: &Member| config.queues.iter().position(|membership| membership.queue == member.queue);
        let moved: Vec<Option<usize>> = self.members.iter().map(place).collect();
        let mut members: Vec<Member> =
            config.queues.iter().map(|membership| Member::new(membership, true, now)).collect();
        for (old, place) in self.members.drain(..).zip(&moved) {
            if let Some(place) = place {
                members[*place].go_on_as(old);
            }
        }
        self.members = members;
        self.devices.configure(&config.devices);
        self.config = config;
        self.removed = false;
        let moved = |place: usize| moved.get(place).copied().flatten();
        self.doing.move_places(&moved);
        if let Some(second) = &mut self.second {
            second.move_places(&moved);
        }
        for reservation in self.gather.move_places(&moved) {
            let refused = FromAgent::Refused { reservation, why: Refusal::NotInQueue };
            out.push(Effect::ToCall(reservation.call, CallEvent::Agent(self.id.clone(), self.epoch, refused)));
        }
        self.refresh_soon(now);
        self.save(&before, out);
    }

    /// He is not configured any more: nobody offers him anything, nothing rings, and what he is in the middle of goes on to
    /// its end.
    pub(super) fn remove(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let config = Config { devices: Vec::new(), queues: Vec::new(), ..self.config.clone() };
        self.configure(now, config, out);
        self.removed = true;
    }

    /// Whether he was removed, and no call holds him any more: his owner ends.
    pub fn is_over(&self) -> bool {
        self.removed && self.doing.hold().is_none() && self.second.is_none()
    }
}
