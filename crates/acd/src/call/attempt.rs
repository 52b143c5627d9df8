//! One try to reach an agent, or many at once: reserve, ring, first answer wins.

use std::time::Duration;

use super::core::Core;
use crate::agent::{DeviceKind, Event as AgentEvent, Purpose, Refusal, Released, ReservationId};
use crate::explain::Choice;
use crate::ids::{AgentId, DeviceId, LegId};
use crate::leg::{Cause, DialTarget, LegCommand, LegEvent};
use crate::offer::Offered;
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

    /// Tries these agents too, unless they are known.
    pub(super) fn join(&mut self, core: &mut Core, mut agents: Vec<Offered>, ring_for: Duration, why: Option<Choice>) {
        agents.retain(|offered| self.tries.iter().all(|known| known.agent != offered.agent));
        if let Purpose::Queue { offer, .. } = self.purpose
            && !agents.is_empty()
        {
            let agents = agents.iter().map(|offered| offered.agent.clone()).collect();
            core.write(Happened::Offered { offer, agents, why });
        }
        for Offered { agent, hardware_limit } in agents {
            let reservation = core.next_reservation();
            core.tell_agent(&agent, AgentEvent::Reserve { reservation, purpose: self.purpose.clone() });
            let stage = Stage::Reserving { until: core.now.mono + core.config.reserve_within };
            let renew_at = core.now.mono + core.config.renew;
            self.tries.push(Try { agent, reservation, hardware_limit, ring_for, renew_at, stage });
        }
    }

    /// Whether a reservation belongs to this attempt and is not over.
    pub(super) fn holds(&self, reservation: ReservationId) -> bool {
        self.tries.iter().any(|t| t.reservation == reservation && !matches!(t.stage, Stage::Over(_)))
    }

    pub(super) fn granted(&mut self, core: &mut Core, reservation: ReservationId, devices: &[(DeviceId, DeviceKind)]) {
        let Some(attempt) = self.tries.iter_mut().find(|t| t.reservation == reservation) else { return };
        // A repeated grant finds him ringing.
        if !matches!(attempt.stage, Stage::Reserving { .. }) {
            return;
        }
        let legs = attempt.dial(core, devices);
        if legs.is_empty() {
            core.release(&attempt.agent, reservation, Released::NoPenalty);
            attempt.refused(core, None, "no device may ring");
        } else {
            attempt.stage = Stage::Ringing {
                until: core.now.mono + attempt.ring_for + core.config.ring_slack,
                legs,
                alerted: Vec::new(),
                rang: false,
            };
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
            LegEvent::Failed(cause) | LegEvent::Ended(cause) => {
                attempt.leg_failed(core, leg, *cause);
                None
            }
            LegEvent::Digit(_) | LegEvent::PlayFinished | LegEvent::Held | LegEvent::Resumed => None,
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
                Stage::Ringing { .. } if attempt.renew_at <= now => attempt.renew(core, &self.purpose),
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
        held.for_each(|t| t.renew(core, &self.purpose));
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

    /// The first agent whose phone rings.
    pub(super) fn agent(&self) -> Option<&AgentId> {
        self.tries.iter().find(|t| matches!(t.stage, Stage::Ringing { .. })).map(|t| &t.agent)
    }
}

impl Try {
    fn renew(&mut self, core: &mut Core, purpose: &Purpose) {
        self.renew_at = core.now.mono + core.config.renew;
        let (reservation, purpose) = (self.reservation, purpose.clone());
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
    fn dial(&self, core: &mut Core, devices: &[(DeviceId, DeviceKind)]) -> Vec<LegId> {
        let mut hardware = 0;
        let mut legs = Vec::with_capacity(devices.len());
        for (device, kind) in devices {
            if *kind == DeviceKind::Hardware {
                hardware += 1;
                if hardware > self.hardware_limit {
                    continue;
                }
            }
            let leg = core.next_leg();
            core.write(Happened::Dialled { leg, agent: Some(self.agent.clone()), number: None });
            let (caller, partner) = (core.incoming.caller.clone(), core.caller_leg());
            let (target, ring_for) = (DialTarget::Device(device.clone()), self.ring_for);
            core.leg(leg, LegCommand::Dial { target, caller, partner, ring_for });
            legs.push(leg);
        }
        legs
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
            let (miss, why) = if rang {
                (Miss::Rang(cause), Released::NotAnswered)
            } else {
                (Miss::Unreachable, Released::Unreachable)
            };
            core.release(&self.agent, self.reservation, why);
            self.stage = Stage::Over(miss);
        }
    }
}
