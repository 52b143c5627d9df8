//! The phones at the end of the legs. They ring at once, and until their time is over; a scenario says what else they do.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_acd::ids::{AgentId, CallId, DeviceId, LegId};
use carillon_acd::leg::{Cause, DialTarget, LegCommand, LegEvent, Playback};
use carillon_acd::time::Moment;

#[derive(Clone, Debug)]
pub(crate) struct Phone {
    pub(crate) target: DialTarget,
    pub(crate) answered: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Phones {
    /// Devices that cannot be made to ring.
    pub(crate) dead: Vec<AgentId>,
    legs: BTreeMap<LegId, Phone>,
    /// Legs of agents who call and are not answered.
    calling: BTreeMap<LegId, DeviceId>,
    plans: BTreeMap<(Moment, LegId, u64), LegEvent>,
    plan_count: u64,
}

impl Phones {
    pub(crate) fn command(&mut self, now: Moment, leg: LegId, command: &LegCommand) {
        match command {
            LegCommand::Dial { target, ring_for, .. } => {
                self.legs.insert(leg, Phone { target: target.clone(), answered: false });
                let dead = matches!(target, DialTarget::Device { device, .. } if self.dead.contains(&device.agent));
                if dead {
                    self.plan(now, leg, LegEvent::Failed(Cause::Unreachable));
                } else {
                    self.plan(now, leg, LegEvent::Alerting { early_media: false });
                    self.plan(now + *ring_for, leg, LegEvent::Failed(Cause::NoAnswer));
                }
            }
            LegCommand::Adopt { from } => self.adopt(now, leg, *from),
            LegCommand::HangUp(_) => self.forget(leg),
            LegCommand::Play(Playback::Done | Playback::Declined) => {
                self.plan(now + Duration::from_secs(1), leg, LegEvent::PlayFinished);
            }
            LegCommand::Answer => {
                self.calling.remove(&leg);
            }
            LegCommand::Ring
            | LegCommand::Play(_)
            | LegCommand::StopPlaying
            | LegCommand::Bridge { .. }
            | LegCommand::Unbridge
            | LegCommand::Revive { .. } => {}
        }
    }

    /// Keeps what was said in step with what is.
    pub(crate) fn reported(&mut self, leg: LegId, event: &LegEvent) {
        match event {
            LegEvent::Answered => {
                self.plans.retain(|(_, l, _), planned| *l != leg || matches!(planned, LegEvent::Ended(_)));
                if let Some(phone) = self.legs.get_mut(&leg) {
                    phone.answered = true;
                }
            }
            LegEvent::Failed(_) | LegEvent::Ended(_) => self.forget(leg),
            LegEvent::Alerting { .. }
            | LegEvent::TakenOver { .. }
            | LegEvent::Digit(_)
            | LegEvent::PlayFinished
            | LegEvent::Held
            | LegEvent::Resumed => {}
        }
    }

    /// An agent's phone has called: his leg can be adopted until it is answered or gone.
    pub(crate) fn calls(&mut self, leg: LegId, device: DeviceId) {
        self.calling.insert(leg, device);
    }

    fn adopt(&mut self, now: Moment, leg: LegId, from: LegId) {
        match self.calling.remove(&from) {
            Some(device) => {
                self.legs.insert(leg, Phone { target: DialTarget::Device { device, at: Vec::new() }, answered: false });
                self.plan(now, from, LegEvent::TakenOver { by: leg });
                self.plan(now, leg, LegEvent::Answered);
            }
            None => self.plan(now, leg, LegEvent::Failed(Cause::Cancelled)),
        }
    }

    fn forget(&mut self, leg: LegId) {
        self.calling.remove(&leg);
        self.legs.remove(&leg);
        self.plans.retain(|(_, l, _), _| *l != leg);
    }

    pub(crate) fn plan(&mut self, at: Moment, leg: LegId, event: LegEvent) {
        self.plan_count += 1;
        self.plans.insert((at, leg, self.plan_count), event);
    }

    pub(crate) fn next_at(&self) -> Option<Moment> {
        self.plans.keys().next().map(|(at, ..)| *at)
    }

    pub(crate) fn next_due(&mut self, at: Moment) -> Option<(LegId, LegEvent)> {
        let (&(when, leg, n), _) = self.plans.first_key_value()?;
        if when > at {
            return None;
        }
        self.plans.remove(&(when, leg, n)).map(|event| (leg, event))
    }

    /// The leg to a device of `agent`, the newest first; `device` by its place when it matters.
    pub(crate) fn of_agent(&self, agent: &AgentId, device: Option<u8>) -> Option<LegId> {
        let is = |phone: &Phone| match &phone.target {
            DialTarget::Device { device: id, .. } => id.agent == *agent && device.is_none_or(|index| id.index == index),
            DialTarget::Trunk { .. } => false,
        };
        self.legs.iter().rev().find(|(_, phone)| is(phone)).map(|(leg, _)| *leg)
    }

    /// The leg to a number outside.
    pub(crate) fn outside(&self) -> Option<LegId> {
        let is = |phone: &Phone| matches!(phone.target, DialTarget::Trunk { .. });
        self.legs.iter().rev().find(|(_, phone)| is(phone)).map(|(leg, _)| *leg)
    }

    /// What the machines believe is one thing, what people hear another: no caller has two agents on the line, and the
    /// phones of an agent belong to one call.
    pub(crate) fn check(&self) {
        let mut lines = BTreeMap::new();
        let mut agents: BTreeMap<&AgentId, CallId> = BTreeMap::new();
        for (leg, phone) in &self.legs {
            // The client of a callback is outside, too.
            if phone.answered
                && matches!(phone.target, DialTarget::Device { .. })
                && let Some(other) = lines.insert(leg.call, *leg)
            {
                panic!("{leg} and {other} are connected with one caller");
            }
            if let DialTarget::Device { device, .. } = &phone.target {
                let call = *agents.entry(&device.agent).or_insert(leg.call);
                assert_eq!(call, leg.call, "{} is wanted by two calls", device.agent);
            }
        }
    }
}
