//! The phones at the end of the legs, and what people do with them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use carillon_acd::ids::{AgentId, CallId, DeviceId, LegId};
use carillon_acd::leg::{Cause, DialTarget, LegCommand, LegEvent, Playback};
use carillon_acd::rng::Rng;

#[derive(Clone, Debug)]
struct Phone {
    target: DialTarget,
    answered: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Phones {
    legs: BTreeMap<LegId, Phone>,
    /// Legs of agents who call and are not answered.
    calling: BTreeMap<LegId, DeviceId>,
    /// Legs that could not be adopted and have not said so.
    failing: BTreeSet<LegId>,
}

impl Phones {
    /// Performs a command; what the person at the phone will do comes back as a list of (after, event).
    pub(crate) fn command(&mut self, leg: LegId, command: &LegCommand, rng: &mut Rng) -> Vec<(Duration, LegEvent)> {
        match command {
            LegCommand::Dial { target, ring_for, .. } => {
                self.legs.insert(leg, Phone { target: target.clone(), answered: false });
                mood(*ring_for, rng)
            }
            // `adopts` came before.
            LegCommand::Adopt { .. } if self.legs.contains_key(&leg) => {
                let talk = Duration::from_millis(1_000 + rng.below(60_000) as u64);
                vec![(Duration::ZERO, LegEvent::Answered), (talk, LegEvent::Ended(Cause::Normal))]
            }
            LegCommand::Adopt { from } => {
                self.failing.insert(leg);
                let elsewhere = leg.call.node != from.call.node;
                let cause = if elsewhere { Cause::Unreachable } else { Cause::Cancelled };
                vec![(Duration::ZERO, LegEvent::Failed(cause))]
            }
            LegCommand::HangUp(_) => {
                self.calling.remove(&leg);
                self.failing.remove(&leg);
                self.legs.remove(&leg);
                Vec::new()
            }
            LegCommand::Answer => {
                self.calling.remove(&leg);
                Vec::new()
            }
            LegCommand::Play(Playback::Sound(_)) => vec![(Duration::from_secs(3), LegEvent::PlayFinished)],
            LegCommand::Play(Playback::Done | Playback::Declined) => {
                vec![(Duration::from_millis(400), LegEvent::PlayFinished)]
            }
            LegCommand::Ring
            | LegCommand::Play(Playback::Ringing | Playback::Music)
            | LegCommand::StopPlaying
            | LegCommand::Bridge { .. }
            | LegCommand::Unbridge
            | LegCommand::Revive { .. } => Vec::new(),
        }
    }

    /// An agent's phone has called: his leg can be adopted until it is answered or gone.
    pub(crate) fn calls(&mut self, leg: LegId, device: DeviceId) {
        self.calling.insert(leg, device);
    }

    /// The caller is gone.
    pub(crate) fn stops_calling(&mut self, leg: LegId) {
        self.calling.remove(&leg);
    }

    /// A leg elsewhere is refused for another call.
    pub(crate) fn yields(&mut self, leg: LegId, from: LegId) -> bool {
        leg.call.node != from.call.node && self.calling.remove(&from).is_some()
    }

    /// A leg becomes one of another call, if it is there and on the same edge.
    pub(crate) fn adopts(&mut self, leg: LegId, from: LegId) -> bool {
        if leg.call.node != from.call.node {
            return false;
        }
        let Some(device) = self.calling.remove(&from) else { return false };
        self.legs.insert(leg, Phone { target: DialTarget::Device { device, at: Vec::new() }, answered: false });
        true
    }

    /// Whether a leg is there to report this; keeps what is said in step with what is.
    pub(crate) fn reports(&mut self, leg: LegId, event: &LegEvent) -> bool {
        let Some(phone) = self.legs.get_mut(&leg) else { return self.failing.remove(&leg) };
        match event {
            LegEvent::Alerting { .. }
            | LegEvent::TakenOver { .. }
            | LegEvent::Digit(_)
            | LegEvent::PlayFinished
            | LegEvent::Held
            | LegEvent::Resumed => {}
            LegEvent::Answered => phone.answered = true,
            // A phone that was answered does not ring in vain.
            LegEvent::Failed(_) if phone.answered => return false,
            LegEvent::Failed(_) | LegEvent::Ended(_) => {
                self.legs.remove(&leg);
            }
        }
        true
    }

    /// The agent whose device a leg rings.
    pub(crate) fn agent_of(&self, leg: LegId) -> Option<&AgentId> {
        match &self.legs.get(&leg)?.target {
            DialTarget::Device { device, .. } => Some(&device.agent),
            DialTarget::Trunk { .. } => None,
        }
    }

    /// All legs of a call are gone, and nobody is told.
    pub(crate) fn edge_dies(&mut self, call: CallId) {
        self.legs.retain(|leg, _| leg.call != call);
        self.calling.retain(|leg, _| leg.call != call);
    }

    /// What the machines believe is one thing, what people hear another: no caller has two agents on the line, and the
    /// phones of an agent belong to one call.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut line: Option<LegId> = None;
        let mut agents: Vec<(&AgentId, CallId)> = Vec::with_capacity(self.legs.len());
        for (leg, phone) in &self.legs {
            // The client of a callback is on a dialled leg, too.
            if phone.answered && matches!(phone.target, DialTarget::Device { .. }) {
                if let Some(other) = line.filter(|other| other.call == leg.call) {
                    return Err(format!("{leg} and {other} are connected with one caller"));
                }
                line = Some(*leg);
            }
            if let DialTarget::Device { device, .. } = &phone.target {
                match agents.iter().find(|(agent, _)| **agent == device.agent) {
                    Some((agent, call)) if *call != leg.call => {
                        return Err(format!("{agent} is wanted by {call} and by {}", leg.call));
                    }
                    Some(_) => {}
                    None => agents.push((&device.agent, leg.call)),
                }
            }
        }
        Ok(())
    }

    /// The legs that nobody has taken down.
    pub(crate) fn left(&self) -> Vec<LegId> {
        self.legs.keys().copied().collect()
    }
}

fn mood(ring_for: Duration, rng: &mut Rng) -> Vec<(Duration, LegEvent)> {
    let after = Duration::from_millis(rng.below(12_000) as u64);
    let rings = (Duration::ZERO, LegEvent::Alerting { early_media: false });
    match rng.below(10) {
        0 => vec![(Duration::ZERO, LegEvent::Failed(Cause::Unreachable))],
        1 => vec![rings, (after, LegEvent::Failed(Cause::Declined))],
        2 | 3 => vec![rings, (ring_for, LegEvent::Failed(Cause::NoAnswer))],
        _ => {
            let talk = Duration::from_millis(1_000 + rng.below(60_000) as u64);
            let unanswered = (ring_for, LegEvent::Failed(Cause::NoAnswer));
            vec![rings, (after, LegEvent::Answered), unanswered, (after + talk, LegEvent::Ended(Cause::Normal))]
        }
    }
}
