//! A call explained: where it is, its place while it waits, and how it came there.

use std::time::Duration;

use super::history::history;
use super::{Called, Fate, Lines, OfferedAgent, QueueExplained, Step, StepKind, listed};
use crate::call::LEFT_FOR_CALLBACK;
use crate::ids::{AgentId, CallId, QueueId};
use crate::leg::{CallerId, Cause};
use crate::record::{Outcome, Record, Transition};
use crate::time::{WallTime, lasting};
use crate::view::{CallView, Stage};

/// A call that lives or is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallExplained {
    /// Which.
    pub call: CallId,
    /// Who calls.
    pub caller: CallerId,
    /// What was dialled, as it came.
    pub dialled: String,
    /// Where it is.
    pub whereabouts: Whereabouts,
    /// How it came there.
    pub history: Vec<Step>,
    /// Its queue, with this caller alone, while it waits there or a phone rings for it.
    pub place: Option<QueueExplained>,
}

/// Where a call is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// It is not over.
    Alive {
        /// Its stage.
        stage: Stage,
        /// The agent it rings at or talks with.
        agent: Option<AgentId>,
        /// Since the INVITE.
        lasted: Duration,
    },
    /// It is over.
    Over {
        /// How it came out.
        outcome: Outcome,
        /// Who or what ended it.
        cause: Cause,
        /// The agent who talked last.
        agent: Option<AgentId>,
        /// From the INVITE to the end.
        lasted: Duration,
    },
}

impl CallExplained {
    /// A call that lives and began at `started`; [`CallExplained::place`] is for the queue to say.
    pub fn alive(view: CallView, started: WallTime, transitions: &[Transition]) -> Self {
        let CallView { call, caller, dialled, stage, queue: _, agent, lasted, place: _, callback: _ } = view;
        let whereabouts = Whereabouts::Alive { stage, agent, lasted };
        CallExplained { call, caller, dialled, whereabouts, history: history(started, transitions), place: None }
    }

    /// A call that is over.
    pub fn over(record: Record) -> Self {
        let lasted = u64::try_from(record.ended.0.saturating_sub(record.started.0)).unwrap_or(0);
        CallExplained {
            call: record.call,
            history: history(record.started, &record.transitions),
            caller: record.caller,
            dialled: record.dialled,
            whereabouts: Whereabouts::Over {
                outcome: record.outcome,
                cause: record.cause,
                agent: record.agent,
                lasted: Duration::from_micros(lasted),
            },
            place: None,
        }
    }

    /// The queue it entered and has not left unanswered.
    pub fn queue(&self) -> Option<&QueueId> {
        let last = self.history.iter().rev().find_map(|step| match &step.kind {
            StepKind::Entered { queue } => Some(Some(queue)),
            // A callback keeps its place (Spec: UN-7).
            StepKind::Left { queue, why } => Some((why == LEFT_FOR_CALLBACK).then_some(queue)),
            StepKind::Routed { .. } | StepKind::Offered { .. } | StepKind::Called { .. } | StepKind::Stopped { .. } => {
                None
            }
        });
        last.flatten()
    }

    /// In words, line by line, with at most `most` names of a group of agents.
    pub fn lines(&self, most: usize) -> Vec<String> {
        let mut lines = Lines::default();
        let age = match &self.whereabouts {
            Whereabouts::Alive { lasted, .. } => format!(", {} ago", lasting(*lasted)),
            Whereabouts::Over { .. } => String::new(),
        };
        let (call, from, to) = (self.call, &self.caller.number, &self.dialled);
        lines.push(0, format!("call {call} from {from} to {to}{age}: {}", self.words()));
        for step in &self.history {
            step.lines(most, &mut lines);
        }
        if let Some(place) = &self.place {
            place.place(most, &mut lines);
        }
        lines.done()
    }

    fn words(&self) -> String {
        match &self.whereabouts {
            Whereabouts::Alive { stage, agent, .. } => match (stage, agent) {
                (Stage::Routing, _) => "on its way to its target".to_owned(),
                (Stage::Waiting, _) => "waiting".to_owned(),
                (Stage::Ringing, Some(agent)) => format!("rings at {}", agent.name),
                (Stage::Ringing, None) => "rings outside".to_owned(),
                (Stage::Talking, Some(agent)) => format!("talking with {}", agent.name),
                (Stage::Talking, None) => "talking with the outside".to_owned(),
                (Stage::Ending, _) => "ending".to_owned(),
            },
            Whereabouts::Over { outcome, cause, agent, lasted } => {
                let outcome = match (outcome, agent) {
                    (Outcome::Answered, Some(agent)) => format!("answered by {}", agent.name),
                    (Outcome::Answered, None) => "answered outside".to_owned(),
                    (Outcome::Abandoned, _) => "abandoned".to_owned(),
                    (Outcome::Missed, _) => "missed".to_owned(),
                    (Outcome::Refused, _) => "refused".to_owned(),
                    (Outcome::Failed, _) => "failed".to_owned(),
                    (Outcome::Done, _) => "done".to_owned(),
                };
                format!("over after {}, {outcome} ({cause})", lasting(*lasted))
            }
        }
    }
}

impl Step {
    fn lines(&self, most: usize, lines: &mut Lines) {
        let at = lasting(self.after);
        match &self.kind {
            StepKind::Routed { why } => lines.push(1, format!("{at} routed: {why}")),
            StepKind::Entered { queue } => lines.push(1, format!("{at} entered {}", queue.name)),
            StepKind::Left { queue, why } => lines.push(1, format!("{at} left {}: {why}", queue.name)),
            StepKind::Stopped { why } => lines.push(1, format!("{at} stopped: {why}")),
            StepKind::Called { whom, fate } => {
                let whom = match whom {
                    Called::Agent(agent) => agent.name.to_string(),
                    Called::Number(number) => number.to_string(),
                };
                lines.push(1, format!("{at} called {whom}"));
                lines.push(2, format!("{whom} {}", fate.words()));
            }
            StepKind::Offered { agents, why, .. } => {
                let why = why.as_ref().map_or_else(|| "the reason was not recorded".to_owned(), ToString::to_string);
                let names: Vec<AgentId> = agents.iter().take(most).map(|offered| offered.agent.clone()).collect();
                let count = u32::try_from(agents.len()).unwrap_or(u32::MAX);
                lines.push(1, format!("{at} offered to {}: {why}", listed(&names, count)));
                // Where many rang, those who did something are worth more than those who stopped ringing.
                let mut told: Vec<&OfferedAgent> = agents.iter().collect();
                told.sort_by_key(|offered| matches!(offered.fate, Fate::Lost | Fate::Withdrawn));
                for OfferedAgent { agent, fate } in told.into_iter().take(most) {
                    lines.push(2, format!("{} {}", agent.name, fate.words()));
                }
            }
        }
    }
}

impl Fate {
    /// What he did or what was done to him.
    pub fn words(&self) -> String {
        match self {
            Fate::Asked => "was asked".to_owned(),
            Fate::Refused { why } => format!("could not: {why}"),
            Fate::Dialled => "is called".to_owned(),
            Fate::Rings => "rings".to_owned(),
            Fate::NotAnswered { cause } => format!("did not take it: {cause}"),
            Fate::Unreachable { cause } => format!("could not be made to ring: {cause}"),
            Fate::Answered => "answered".to_owned(),
            Fate::Lost => "stopped ringing: another answered first".to_owned(),
            Fate::Withdrawn => "stopped ringing: the call went away".to_owned(),
        }
    }
}
