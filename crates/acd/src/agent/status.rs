//! What the agent tells his queues.

use std::time::Duration;

use super::activity::Doing;
use super::{Agent, AgentStatus, Effect, Standing, Version};
use crate::ids::{AgentId, Epoch, QueueId};
use crate::queue::Event as QueueEvent;
use crate::time::Moment;
use crate::view::Availability;

/// How often he repeats himself, so that a lost message is made good and a new owner of a queue hears of him.
const REFRESH: Duration = Duration::from_secs(10);

/// His side of one queue.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) queue: QueueId,
    pub(super) wrap_up: Duration,
    pub(super) logged_in: bool,
    /// When he logged in to it: his idle time for this queue does not begin before (Spec: QU-3).
    pub(super) since: Moment,
    pub(super) period: u64,
    /// The newest epoch of its owner that he has seen.
    pub(super) newest: Epoch,
    /// What it was told last; `None` makes it be told again.
    pub(super) told: Option<Told>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    standing: Standing,
    idle_period: u64,
    hardware: u8,
    soft: u8,
}

impl Member {
    pub(super) const fn new(queue: QueueId, wrap_up: Duration, logged_in: bool, now: Moment) -> Self {
        Member { queue, wrap_up, logged_in, since: now, period: 0, newest: Epoch(0), told: None }
    }
}

/// The first repetition comes after a part of [`REFRESH`] that depends on the name, so that thousands of agents who
/// start together do not speak together ever after.
pub(super) fn first_refresh(now: Moment, agent: &AgentId) -> Moment {
    let spread =
        agent.name.as_str().bytes().fold(17_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    now + Duration::from_millis(1 + spread % 10_000).min(REFRESH)
}

impl Agent {
    /// Tells each queue what has changed for it, and everything when a refresh is due.
    pub(super) fn announce(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let refresh = self.refresh_at <= now;
        if refresh {
            self.refresh_at = now + REFRESH;
        }
        let (hardware, soft) = self.devices.counts();
        for place in 0..self.members.len() {
            let standing = self.standing(place, hardware > 0 || soft > 0);
            let member = &mut self.members[place];
            let idle_period = self.idle_period.max(member.period);
            let tell = Told { standing, idle_period, hardware, soft };
            if !refresh && member.told == Some(tell) {
                continue;
            }
            member.told = Some(tell);
            self.counter += 1;
            let status = AgentStatus {
                agent: self.id.clone(),
                version: Version { epoch: self.epoch, counter: self.counter },
                standing,
                idle_for: now.since(self.idle_since.max(member.since)),
                idle_period,
                hardware,
                soft,
            };
            out.push(Effect::ToQueue(member.queue.clone(), QueueEvent::Availability(status)));
        }
    }

    fn standing(&self, place: usize, can_ring: bool) -> Standing {
        if !self.members[place].logged_in {
            return Standing::LoggedOut;
        }
        match (self.availability, &self.doing) {
            (Availability::LoggedOut, _) => Standing::LoggedOut,
            (Availability::OnBreak, _) => Standing::OnBreak,
            (Availability::Ready, Doing::Held(_) | Doing::WrapUp { .. }) => Standing::Busy,
            (Availability::Ready, Doing::Idle) if can_ring => Standing::Free,
            (Availability::Ready, Doing::Idle) => Standing::Unreachable,
        }
    }
}
