//! The phones at the end of the legs. They ring at once; what they do then is told by a scenario or drawn by lot.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_acd::ids::{AgentId, CallId, LegId};
use carillon_acd::leg::{Cause, DialTarget, LegCommand, LegEvent, Playback};
use carillon_acd::rng::Rng;
use carillon_acd::time::Moment;

/// What a phone does by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Temper {
    /// Rings until its time is over.
    #[default]
    Patient,
    /// Answers, declines, fails or rings in vain, and hangs up some time; callers lose patience.
    Moody,
}

#[derive(Clone, Debug)]
pub(crate) struct Phone {
    pub(crate) target: DialTarget,
    pub(crate) answered: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Phones {
    pub(crate) temper: Temper,
    /// Devices that cannot be made to ring.
    pub(crate) dead: Vec<AgentId>,
    legs: BTreeMap<LegId, Phone>,
    plans: BTreeMap<(Moment, LegId, u64), LegEvent>,
    plan_count: u64,
    /// Legs that were dialled and wait for their mood.
    fresh: Vec<(Moment, LegId, Duration)>,
}

impl Phones {
    pub(crate) fn command(&mut self, now: Moment, leg: LegId, command: &LegCommand) {
        match command {
            LegCommand::Dial { target, ring_for, .. } => {
                self.legs.insert(leg, Phone { target: target.clone(), answered: false });
                let dead = matches!(target, DialTarget::Device(device) if self.dead.contains(&device.agent));
                if dead {
                    self.plan(now, leg, LegEvent::Failed(Cause::Unreachable));
                } else {
                    self.plan(now, leg, LegEvent::Alerting { early_media: false });
                    match self.temper {
                        Temper::Patient => self.plan(now + *ring_for, leg, LegEvent::Failed(Cause::NoAnswer)),
                        Temper::Moody => self.fresh.push((now, leg, *ring_for)),
                    }
                }
            }
            LegCommand::HangUp(_) => self.forget(leg),
            LegCommand::Play(Playback::Sound(_)) if self.temper == Temper::Moody => {
                self.plan(now + Duration::from_secs(3), leg, LegEvent::PlayFinished);
            }
            LegCommand::Play(Playback::Accepted | Playback::Refused) => {
                self.plan(now + Duration::from_millis(400), leg, LegEvent::PlayFinished);
            }
            LegCommand::Ring
            | LegCommand::Answer
            | LegCommand::Play(_)
            | LegCommand::StopPlaying
            | LegCommand::Bridge { .. }
            | LegCommand::Unbridge => {}
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
            | LegEvent::Digit(_)
            | LegEvent::PlayFinished
            | LegEvent::Held
            | LegEvent::Resumed => {}
        }
    }

    fn forget(&mut self, leg: LegId) {
        self.legs.remove(&leg);
        self.plans.retain(|(_, l, _), _| *l != leg);
        self.fresh.retain(|(_, l, _)| *l != leg);
    }

    /// All legs of a call are gone, and nobody is told.
    pub(crate) fn edge_dies(&mut self, call: CallId) {
        self.legs.retain(|leg, _| leg.call != call);
        self.plans.retain(|(_, leg, _), _| leg.call != call);
        self.fresh.retain(|(_, leg, _)| leg.call != call);
    }

    pub(crate) fn plan(&mut self, at: Moment, leg: LegId, event: LegEvent) {
        self.plan_count += 1;
        self.plans.insert((at, leg, self.plan_count), event);
    }

    pub(crate) fn next_at(&self) -> Option<Moment> {
        self.fresh.first().map(|(at, ..)| *at).into_iter().chain(self.plans.keys().next().map(|(at, ..)| *at)).min()
    }

    pub(crate) fn next_due(&mut self, at: Moment, rng: &mut Rng) -> Option<(LegId, LegEvent)> {
        for (dialled, leg, ring_for) in std::mem::take(&mut self.fresh) {
            self.choose(dialled, leg, ring_for, rng);
        }
        let (&(when, leg, n), _) = self.plans.first_key_value()?;
        if when > at {
            return None;
        }
        self.plans.remove(&(when, leg, n)).map(|event| (leg, event))
    }

    fn choose(&mut self, dialled: Moment, leg: LegId, ring_for: Duration, rng: &mut Rng) {
        let after = Duration::from_millis(rng.below(12_000) as u64);
        match rng.below(10) {
            0 => self.plan(dialled, leg, LegEvent::Failed(Cause::Unreachable)),
            1 => self.plan(dialled + after, leg, LegEvent::Failed(Cause::Declined)),
            2 | 3 => self.plan(dialled + ring_for, leg, LegEvent::Failed(Cause::NoAnswer)),
            4..=9 => {
                self.plan(dialled + after, leg, LegEvent::Answered);
                let talk = Duration::from_millis(1_000 + rng.below(60_000) as u64);
                self.plan(dialled + after + talk, leg, LegEvent::Ended(Cause::Normal));
            }
            10.. => unreachable!("below 10"),
        }
    }

    /// The leg to a device of `agent`, the newest first; `device` by its place when it matters.
    pub(crate) fn of_agent(&self, agent: &AgentId, device: Option<u8>) -> Option<LegId> {
        let is = |phone: &Phone| match &phone.target {
            DialTarget::Device(id) => id.agent == *agent && device.is_none_or(|index| id.index == index),
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
                && matches!(phone.target, DialTarget::Device(_))
                && let Some(other) = lines.insert(leg.call, *leg)
            {
                panic!("{leg} and {other} are connected with one caller");
            }
            if let DialTarget::Device(device) = &phone.target {
                let call = *agents.entry(&device.agent).or_insert(leg.call);
                assert_eq!(call, leg.call, "{} is wanted by two calls", device.agent);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }
}
