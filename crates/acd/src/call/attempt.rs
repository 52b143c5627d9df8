//! One try to reach an agent, or many at once: reserve, ring, first answer wins.

use std::time::Duration;

use super::core::Core;
use crate::agent::{DeviceKind, Event as AgentEvent, GrantedDevice, Purpose, Refusal, Released, ReservationId};
use crate::explain::Choice;
use crate::ids::{AgentId, LegId};
use crate::leg::{Cause, DialTarget, LegCommand, LegEvent};
use crate::offer::{Invitation, Offered};
use crate::record::Happened;
use crate::time::Moment;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) purpose: Purpose,
    tries: Vec<Try>,
}

#[derive(Clone, Debug)]
struct Try {
    agent: AgentId,
    purpose: Purpose,
    invitation: Invitation,
    /// Those that ring if the leg of his own call cannot be had; empty otherwise.
    devices: Vec<GrantedDevice>,
    reservation: ReservationId,
    hardware_limit: u8,
    ring_for: Duration,
    renew_at: Moment,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    /// The agent's owner was asked.
    Reserving { until: Moment },
    /// His devices ring, or will in a moment.
    Ringing { until: Moment, legs: Vec<LegId>, alerted: Vec<LegId>, rang: bool },
    /// It came to nothing.
    Over(Miss),
}

/// Why an agent was not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// His owner refused (why), or did not answer or took him back (`None`): he was not tried.
    Refused(Option<Refusal>),
    /// It rang, or he declined; the end of his last phone.
    Rang(Cause),
    /// No device could be made to ring.
    Unreachable,
}

/// The agent who answered first.
#[derive(Clone, Debug)]
pub(super) struct Won {
    pub(super) agent: AgentId,
    pub(super) reservation: ReservationId,
    pub(super) leg: LegId,
}

impl Attempt {
    /// `why` these agents, when a queue has chosen them.
    pub(super) fn start(
        core: &mut Core,
        purpose: Purpose,
        agents: Vec<Offered>,
        ring_for: Duration,
        why: Option<Choice>,
    ) -> Self {
        let mut attempt = Attempt { purpose, tries: Vec::with_capacity(agents.len()) };
        attempt.join(core, agents, ring_for, why);
        attempt
    }

    /// Tries these agents too, unless they are known. Who was missed may come back by his own wish.
    pub(super) fn join(&mut self, core: &mut Core, mut agents: Vec<Offered>, ring_for: Duration, why: Option<Choice>) {
        agents.retain(|offered| {
            let comes_back = offered.invitation != Invitation::Chosen;
            let mut known = self.tries.iter().filter(|known| known.agent == offered.agent);
            known.all(|known| comes_back && matches!(known.stage, Stage::Over(_)))
        });
        // He has not been tried until now.
        let untried = |known: &Try| matches!(known.stage, Stage::Over(Miss::Refused(_)));
        self.tries.retain(|known| !untried(known) || agents.iter().all(|offered| offered.agent != known.agent));
        if let Purpose::Queue { offer, .. } = self.purpose
            && !agents.is_empty()
        {
            let agents = agents.iter().map(|offered| offered.agent.clone()).collect();
            core.write(Happened::Offered { offer, agents, why });
        }
        for Offered { agent, hardware_limit, invitation } in agents {
            let (reservation, purpose) = (core.next_reservation(), self.purpose_of(invitation));
            core.tell_agent(&agent, AgentEvent::Reserve { reservation, purpose: purpose.clone() });
            let stage = Stage::Reserving { until: core.now.mono + core.config.reserve_within };
            let renew_at = core.now.mono + core.config.renew;
            let devices = Vec::new();
            self.tries.push(Try {
                agent,
                purpose,
                invitation,
                devices,
                reservation,
                hardware_limit,
                ring_for,
                renew_at,
                stage,
            });
        }
    }

    fn purpose_of(&self, invitation: Invitation) -> Purpose {
        let own = match invitation {
            Invitation::Chosen => return self.purpose.clone(),
            Invitation::Asked => None,
            Invitation::OwnCall(own) => Some(own.reservation),
        };
        match &self.purpose {
            Purpose::Queue { queue, offer, .. } => Purpose::PickUp { queue: queue.clone(), offer: *offer, own },
            // Only a queue lets somebody join.
            other @ (Purpose::PickUp { .. } | Purpose::Direct | Purpose::Own) => other.clone(),
        }
    }

    /// Whether a reservation belongs to this attempt and is not over.
    pub(super) fn holds(&self, reservation: ReservationId) -> bool {
        self.tries.iter().any(|t| t.reservation == reservation && !matches!(t.stage, Stage::Over(_)))
    }

    pub(super) fn granted(&mut self, core: &mut Core, reservation: ReservationId, devices: &[GrantedDevice]) {
        let Some(attempt) = self.tries.iter_mut().find(|t| t.reservation == reservation) else { return };
        // A repeated grant finds him ringing.
        if !matches!(attempt.stage, Stage::Reserving { .. }) {
            return;
        }
        match attempt.invitation {
            Invitation::Chosen | Invitation::Asked => attempt.ring(core, devices),
            Invitation::OwnCall(own) => attempt.adopt(core, own.leg, devices),
        }
    }

    /// His owner says no.
    pub(super) fn refused(&mut self, core: &mut Core, reservation: ReservationId, why: Refusal) {
        if let Some(attempt) = self.tries.iter_mut().find(|t| t.reservation == reservation) {
            attempt.hang_up(core, Cause::Cancelled);
            attempt.refused(core, Some(why), &why.to_string());
        }
    }

    /// His owner held him for this call, but does not any more.
    pub(super) fn lost(&mut self, core: &mut Core, reservation: ReservationId) {
        if let Some(attempt) = self.tries.iter_mut().find(|t| t.reservation == reservation) {
            attempt.hang_up(core, Cause::Cancelled);
            attempt.refused(core, None, "the reservation ran out");
        }
    }

    /// What a dialled leg reports. The first answer wins; the caller of this function then ends the others.
    pub(super) fn leg(&mut self, core: &mut Core, leg: LegId, event: &LegEvent) -> Option<Won> {
        let attempt = self.tries.iter_mut().find(|t| t.legs().contains(&leg))?;
        match event {
            LegEvent::Alerting { .. } => {
                // A phone says it again and again.
                if attempt.alerts(leg) {
                    core.write(Happened::Alerting { leg });
                    if matches!(self.purpose, Purpose::Direct) {
                        core.ring();
                    }
                }
                None
            }
            LegEvent::Answered => {
                let (agent, reservation) = (attempt.agent.clone(), attempt.reservation);
                Some(Won { agent, reservation, leg })
            }
            LegEvent::Failed(Cause::Unreachable) if matches!(attempt.invitation, Invitation::OwnCall(_)) => {
                attempt.ring_instead(core, leg);
                None
            }
            LegEvent::Failed(cause) | LegEvent::Ended(cause) => {
                attempt.leg_failed(core, leg, *cause);
                None
            }
            LegEvent::TakenOver { .. }
            | LegEvent::Digit(_)
            | LegEvent::PlayFinished
            | LegEvent::Held
            | LegEvent::Resumed => None,
        }
    }

    /// Ends everything that still rings or is asked for, without penalty.
    pub(super) fn cancel(&mut self, core: &mut Core, cause: Cause, winner: Option<&Won>) {
        for attempt in &mut self.tries {
            if winner.is_some_and(|won| won.reservation == attempt.reservation) {
                let won = winner.map(|won| won.leg);
                attempt.legs().iter().filter(|leg| Some(**leg) != won).for_each(|leg| {
                    core.leg(*leg, LegCommand::HangUp(Cause::AnsweredElsewhere));
                });
            } else if !matches!(attempt.stage, Stage::Over(_)) {
                attempt.hang_up(core, cause);
                let lost_penalised = winner.is_some() && mutant!(LoserPenalised);
                let why = if lost_penalised { Released::NotAnswered } else { Released::NoPenalty };
                core.release(&attempt.agent, attempt.reservation, why);
            }
        }
    }

    /// Deadlines and renewals.
    pub(super) fn expire(&mut self, core: &mut Core) {
        let now = core.now.mono;
        for attempt in &mut self.tries {
            match attempt.stage {
                Stage::Reserving { until } if until <= now => {
                    core.release(&attempt.agent, attempt.reservation, Released::NoPenalty);
                    attempt.refused(core, None, "no word from the agent's owner");
                }
                Stage::Ringing { until, .. } if until <= now => {
                    for leg in attempt.legs().to_vec() {
                        core.leg(leg, LegCommand::HangUp(Cause::NoAnswer));
                        attempt.leg_failed(core, leg, Cause::NoAnswer);
                    }
                }
                Stage::Ringing { .. } if attempt.renew_at <= now => attempt.renew(core),
                Stage::Reserving { .. } | Stage::Ringing { .. } | Stage::Over(_) => {}
            }
        }
    }

    /// Tells a new owner of `agent` that he is held. Who is only asked for is not.
    pub(super) fn renew_for(&mut self, core: &mut Core, agent: &AgentId) {
        let is_held = |stage: &Stage| match stage {
            Stage::Ringing { .. } => true,
            Stage::Reserving { .. } => mutant!(WishForHold),
            Stage::Over(_) => false,
        };
        let held = self.tries.iter_mut().filter(|t| t.agent == *agent && is_held(&t.stage));
        held.for_each(|t| t.renew(core));
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        let of = |attempt: &Try| match attempt.stage {
            Stage::Reserving { until } => Some(until),
            Stage::Ringing { until, .. } => Some(until.min(attempt.renew_at)),
            Stage::Over(_) => None,
        };
        self.tries.iter().filter_map(of).min()
    }

    /// How each agent was missed, once nobody can answer any more.
    pub(super) fn failed(&self) -> Option<Vec<(AgentId, Miss)>> {
        let miss = |attempt: &Try| match attempt.stage {
            Stage::Over(miss) => Some((attempt.agent.clone(), miss)),
            Stage::Reserving { .. } | Stage::Ringing { .. } => None,
        };
        self.tries.iter().map(miss).collect()
    }

    /// Those who are reserved, or asked for.
    pub(super) fn agents(&self) -> impl Iterator<Item = &AgentId> {
        self.tries.iter().filter(|t| !matches!(t.stage, Stage::Over(_))).map(|t| &t.agent)
    }

    /// The first agent whose phone rings.
    pub(super) fn agent(&self) -> Option<&AgentId> {
        self.tries.iter().find(|t| matches!(t.stage, Stage::Ringing { .. })).map(|t| &t.agent)
    }
}

impl Try {
    fn renew(&mut self, core: &mut Core) {
        self.renew_at = core.now.mono + core.config.renew;
        let (reservation, purpose) = (self.reservation, self.purpose.clone());
        core.tell_agent(&self.agent, AgentEvent::Reserve { reservation, purpose });
    }

    fn legs(&self) -> &[LegId] {
        match &self.stage {
            Stage::Ringing { legs, .. } => legs,
            Stage::Reserving { .. } | Stage::Over(_) => &[],
        }
    }

    /// `true` when it is news.
    fn alerts(&mut self, leg: LegId) -> bool {
        match &mut self.stage {
            Stage::Ringing { alerted, rang, .. } if !alerted.contains(&leg) => {
                alerted.push(leg);
                *rang = true;
                true
            }
            Stage::Reserving { .. } | Stage::Ringing { .. } | Stage::Over(_) => false,
        }
    }

    /// Dials his devices: the hardware phones up to the limit of the offer, the others all (Spec: QU-10).
    fn dial(&self, core: &mut Core, devices: &[GrantedDevice]) -> Vec<LegId> {
        let mut hardware = 0;
        let mut legs = Vec::with_capacity(devices.len());
        for GrantedDevice { id, kind, at } in devices {
            if *kind == DeviceKind::Hardware {
                hardware += 1;
                if hardware > self.hardware_limit {
                    continue;
                }
            }
            let leg = core.next_leg();
            core.write(Happened::Dialled { leg, agent: Some(self.agent.clone()), number: None });
            let (caller, partner) = (core.incoming.caller.clone(), core.caller_leg());
            let (target, ring_for) = (DialTarget::Device { device: id.clone(), at: at.clone() }, self.ring_for);
            core.leg(leg, LegCommand::Dial { target, caller, partner, ring_for });
            legs.push(leg);
        }
        legs
    }

    fn ring(&mut self, core: &mut Core, devices: &[GrantedDevice]) {
        let legs = self.dial(core, devices);
        if legs.is_empty() {
            core.release(&self.agent, self.reservation, Released::NoPenalty);
            self.refused(core, None, "no device may ring");
        } else {
            self.rings(core, legs, self.ring_for);
        }
    }

    fn rings(&mut self, core: &Core, legs: Vec<LegId>, ring_for: Duration) {
        let until = core.now.mono + ring_for + core.config.ring_slack;
        self.stage = Stage::Ringing { until, legs, alerted: Vec::new(), rang: false };
    }

    /// The leg with which he asked for the call becomes his leg of it.
    fn adopt(&mut self, core: &mut Core, from: LegId, devices: &[GrantedDevice]) {
        let leg = core.next_leg();
        core.write(Happened::PickedUp { leg, agent: self.agent.clone(), with: from.call });
        core.leg(leg, LegCommand::Adopt { from });
        self.devices = devices.to_vec();
        self.rings(core, vec![leg], Duration::ZERO);
    }

    /// His leg is where it cannot become ours: his devices ring, as if he had asked otherwise.
    fn ring_instead(&mut self, core: &mut Core, leg: LegId) {
        core.write(Happened::NotAnswered { leg, agent: Some(self.agent.clone()), cause: Cause::Unreachable });
        self.invitation = Invitation::Asked;
        if let Purpose::PickUp { own, .. } = &mut self.purpose {
            *own = None;
        }
        let devices = std::mem::take(&mut self.devices);
        self.ring(core, &devices);
    }

    fn refused(&mut self, core: &mut Core, why: Option<Refusal>, words: &str) {
        if !matches!(self.stage, Stage::Over(_)) {
            core.write(Happened::ReservationRefused { agent: self.agent.clone(), why: words.to_owned() });
            self.stage = Stage::Over(Miss::Refused(why));
        }
    }

    fn hang_up(&self, core: &mut Core, cause: Cause) {
        self.legs().iter().for_each(|leg| core.leg(*leg, LegCommand::HangUp(cause)));
    }

    /// One of his devices is out. With the last one he is.
    fn leg_failed(&mut self, core: &mut Core, leg: LegId, cause: Cause) {
        let Stage::Ringing { legs, rang, .. } = &mut self.stage else { return };
        legs.retain(|other| *other != leg);
        // Busy and declined are somebody's answer, if not the one we hoped for.
        *rang |= matches!(cause, Cause::Busy | Cause::Declined);
        let (rang, last) = (*rang, legs.is_empty());
        core.write(Happened::NotAnswered { leg, agent: Some(self.agent.clone()), cause });
        if last {
            let (miss, why) = match (self.invitation, rang) {
                (Invitation::Chosen, true) => (Miss::Rang(cause), Released::NotAnswered),
                // Nobody is blamed for a call that was not meant for him.
                (Invitation::Asked, true) => (Miss::Rang(cause), Released::NoPenalty),
                (Invitation::Chosen | Invitation::Asked, false) => (Miss::Unreachable, Released::Unreachable),
                // No phone of his rang: he was faster with his own call, or it is gone.
                (Invitation::OwnCall(_), _) => (Miss::Refused(None), Released::NoPenalty),
            };
            core.release(&self.agent, self.reservation, why);
            self.stage = Stage::Over(miss);
        }
    }
}
