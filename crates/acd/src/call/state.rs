//! Where a call is. Data that only one state has lives in that state.

use std::time::Duration;

use super::attempt::Attempt;
use super::codes::Commanding;
use super::pickup::PickUp;
use super::queued::Queued;
use crate::agent::ReservationId;
use crate::ids::{AgentId, LegId, QueueId};
use crate::leg::Cause;
use crate::offer::OfferId;
use crate::queue::Then;
use crate::record::Outcome;
use crate::time::Moment;
use crate::view::Stage;

#[derive(Clone, Debug)]
pub(super) enum State {
    /// Before [`super::Event::Start`].
    New,
    /// The caller is an agent; his owner was asked to hold him.
    Occupying { until: Moment },
    /// A calling agent has dialled a code; his owner was asked.
    Commanding(Commanding),
    /// A calling agent picks up what rings at his colleagues.
    PickingUp(Box<PickUp>),
    /// A greeting or a last message plays.
    Playing { until: Moment, after: After },
    /// In a queue, perhaps with phones ringing.
    Queued(Box<Queued>),
    /// One agent's phones ring, without a queue.
    Ringing(Attempt),
    /// A number outside is called.
    Dialling { leg: LegId, until: Moment, alerted: bool, bridged: bool },
    /// Two sides hear each other.
    Talking(Box<Talk>),
    /// The record is written.
    Ended,
}

/// What follows a sound.
#[derive(Clone, Debug)]
pub(super) enum After {
    /// The next step of the plan.
    NextStep,
    /// What the queue's rule says.
    Go { then: Then, ring_for: Duration },
    /// The call ends: a code was obeyed, or not.
    End { outcome: Outcome, cause: Cause },
}

#[derive(Clone, Debug)]
pub(super) struct Talk {
    pub(super) leg: LegId,
    pub(super) agent: Option<(AgentId, ReservationId)>,
    /// The queue and the offer that it came from.
    pub(super) from: Option<(QueueId, OfferId)>,
    pub(super) renew_at: Moment,
    /// The longest that the queue lets a conversation last (Spec: QU-12).
    pub(super) ends_at: Option<Moment>,
}

impl State {
    pub(super) fn deadline(&self) -> Option<Moment> {
        match self {
            State::New | State::Ended => None,
            State::Occupying { until } | State::Playing { until, .. } | State::Dialling { until, .. } => Some(*until),
            State::Commanding(commanding) => Some(commanding.deadline()),
            State::PickingUp(pickup) => Some(pickup.deadline()),
            State::Queued(queued) => Some(queued.deadline()),
            State::Ringing(attempt) => attempt.deadline(),
            State::Talking(talk) => talk.agent.as_ref().map(|_| talk.renew_at).into_iter().chain(talk.ends_at).min(),
        }
    }

    pub(super) fn stage(&self) -> Stage {
        match self {
            State::New
            | State::Occupying { .. }
            | State::Commanding(_)
            | State::PickingUp(_)
            | State::Playing { after: After::NextStep, .. } => Stage::Routing,
            State::Queued(queued) if queued.agent().is_some() => Stage::Ringing,
            State::Queued(_) => Stage::Waiting,
            State::Ringing(_) | State::Dialling { .. } => Stage::Ringing,
            State::Talking(_) => Stage::Talking,
            State::Playing { after: After::Go { .. } | After::End { .. }, .. } | State::Ended => Stage::Ending,
        }
    }

    /// The agents that are reserved, or asked for.
    pub(super) fn agents(&self) -> Vec<AgentId> {
        match self {
            State::Queued(queued) => queued.agents(),
            State::Ringing(attempt) => attempt.agents().cloned().collect(),
            State::Talking(talk) => talk.agent.iter().map(|(agent, _)| agent.clone()).collect(),
            State::New
            | State::Occupying { .. }
            | State::Commanding(_)
            | State::PickingUp(_)
            | State::Playing { .. }
            | State::Dialling { .. }
            | State::Ended => Vec::new(),
        }
    }

    /// The agent whose phone rings or who talks.
    pub(super) fn agent(&self) -> Option<&AgentId> {
        match self {
            State::Queued(queued) => queued.agent(),
            State::Ringing(attempt) => attempt.agent(),
            State::Talking(talk) => talk.agent.as_ref().map(|(agent, _)| agent),
            State::New
            | State::Occupying { .. }
            | State::Commanding(_)
            | State::PickingUp(_)
            | State::Playing { .. }
            | State::Dialling { .. }
            | State::Ended => None,
        }
    }
}
