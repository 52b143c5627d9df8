//! What the agent tells his queues.

use std::time::Duration;

use super::activity::Doing;
use super::{Agent, AgentStatus, Effect, IdleReset, Membership, Standing, Version};
use crate::ids::{AgentId, Epoch, QueueId};
use crate::queue::Event as QueueEvent;
use crate::time::{Moment, Now};
use crate::view::Availability;

/// How often he repeats himself, so that a lost message is made good and a new owner of a queue hears of him.
const REFRESH: Duration = Duration::from_secs(10);

/// After how long he repeats himself when his queues have changed.
const SOON: Duration = Duration::from_secs(1);

/// One way to count how long he has been idle (Spec: QU-3).
#[derive(Clone, Copy, Debug)]
pub(super) struct IdleTime {
    pub(super) since: Moment,
    /// Names it; 0 until he has done something.
    pub(super) period: u64,
}

impl IdleTime {
    pub(super) const fn new(now: Moment) -> Self {
        IdleTime { since: now, period: 0 }
    }
}

/// His side of one queue.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) queue: QueueId,
    pub(super) wrap_up: Duration,
    idle_reset: IdleReset,
    pub(super) pause_after: Option<u32>,
    pub(super) logged_in: bool,
    /// When he logged in to it: his idle time for this queue does not begin before (Spec: QU-3).
    pub(super) login: IdleTime,
    /// Conversations from this queue since his workday began.
    pub(super) calls: u32,
    /// How long they took.
    pub(super) talked: Duration,
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
    pub(super) fn new(membership: &Membership, logged_in: bool, now: Moment) -> Self {
        Member {
            queue: membership.queue.clone(),
            wrap_up: membership.wrap_up,
            idle_reset: membership.idle_reset,
            pause_after: membership.pause_after,
            logged_in,
            login: IdleTime::new(now),
            calls: 0,
            talked: Duration::ZERO,
            newest: Epoch(0),
            told: None,
        }
    }

    /// What was true of this queue before its settings changed.
    pub(super) fn go_on_as(&mut self, before: Member) {
        let Member { queue, wrap_up, idle_reset, pause_after, .. } = self.clone();
        // Told again: its owner may have forgotten him for as long as its list was without him.
        *self = Member { queue, wrap_up, idle_reset, pause_after, told: None, ..before };
    }

    /// His calls and his talking are counted from now.
    pub(super) const fn begin_workday(&mut self) {
        self.calls = 0;
        self.talked = Duration::ZERO;
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
    /// A queue on another node may hear of a new agent later than he does, and what he told it before is lost.
    pub(super) fn refresh_soon(&mut self, now: Moment) {
        self.refresh_at = self.refresh_at.min(now + SOON);
    }

    /// These of his queues have new owners, who know nothing of him: they are told how he is.
    pub fn tell_new_owners(&mut self, now: Now, queue: impl Fn(&QueueId) -> bool, out: &mut Vec<Effect>) {
        self.members.iter_mut().filter(|member| queue(&member.queue)).for_each(|member| member.told = None);
        self.announce(now.mono, out);
    }

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
            let idle = match member.idle_reset {
                IdleReset::Offer => self.idle,
                IdleReset::Handled => self.unhandled,
            };
            let idle_period = idle.period.max(member.login.period);
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
                idle_for: now.since(idle.since.max(member.login.since)),
                idle_period,
                calls: member.calls,
                talked: member.talked,
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
