//! The record while it is written.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::NumberId;
use crate::ids::{AgentId, LegId, QueueId};
use crate::leg::{Cause, Incoming};
use crate::record::{Happened, Outcome, Record, Transition};
use crate::time::{Moment, Now, WallTime};

/// From here on only the steps that decide the outcome are written: a caller may press keys or circle in a queue for
/// hours, and a record must stay a record.
const FULL: usize = 4_000;

/// How long ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Times {
    queued: Option<Duration>,
    waited_until: Option<Duration>,
    talk_began: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(super) struct Ledger {
    pub(super) started: WallTime,
    pub(super) number: Option<NumberId>,
    pub(super) queue: Option<QueueId>,
    pub(super) agent: Option<AgentId>,
    /// First entry into a queue.
    queued_at: Option<Moment>,
    /// Two-way audio, or leaving the last queue.
    waited_until: Option<Moment>,
    talk_began: Option<Moment>,
    transitions: Vec<Transition>,
}

impl Ledger {
    pub(super) fn new(now: Now) -> Self {
        Ledger {
            started: now.wall,
            number: None,
            queue: None,
            agent: None,
            queued_at: None,
            waited_until: None,
            talk_began: None,
            transitions: Vec::new(),
        }
    }

    pub(super) fn write(&mut self, now: Now, what: Happened) {
        if self.transitions.len() < FULL || what.decides() {
            self.transitions.push(Transition { at: now.wall, what });
        }
    }

    pub(super) fn enters(&mut self, now: Now, queue: &QueueId) {
        self.queued_at.get_or_insert(now.mono);
        self.waited_until = None;
        self.queue = Some(queue.clone());
        self.write(now, Happened::Enqueued { queue: queue.clone(), sequence: None });
    }

    pub(super) fn leaves(&mut self, now: Now, queue: &QueueId, why: &str) {
        self.waited_until = Some(now.mono);
        self.write(now, Happened::LeftQueue { queue: queue.clone(), why: why.to_owned() });
    }

    pub(super) fn connects(&mut self, now: Now, leg: LegId, agent: Option<&AgentId>, from_queue: bool) {
        if from_queue {
            self.waited_until = Some(now.mono);
        }
        self.talk_began = Some(now.mono);
        if let Some(agent) = agent {
            self.agent = Some(agent.clone());
        }
        self.write(now, Happened::Connected { leg, agent: agent.cloned() });
    }

    /// How long the caller has waited since he first entered a queue.
    pub(super) fn waited(&self, now: Now) -> Duration {
        self.queued_at.map_or(Duration::ZERO, |at| self.waited_until.unwrap_or(now.mono).since(at))
    }

    pub(super) fn times(&self, now: Moment) -> Times {
        let ago = |at: Option<Moment>| at.map(|at| now.since(at));
        Times { queued: ago(self.queued_at), waited_until: ago(self.waited_until), talk_began: ago(self.talk_began) }
    }

    /// What another edge has written of this call, whose times lie before `then`.
    pub(super) fn restore(&mut self, started: WallTime, transitions: Vec<Transition>, times: Times, then: Moment) {
        let at = |ago: Option<Duration>| ago.map(|ago| then - ago);
        (self.started, self.transitions) = (started, transitions);
        self.queued_at = at(times.queued);
        self.waited_until = at(times.waited_until);
        self.talk_began = at(times.talk_began);
    }

    pub(super) fn transitions(&self) -> &[Transition] {
        &self.transitions
    }

    pub(super) const fn talked(&self) -> bool {
        self.talk_began.is_some()
    }

    pub(super) fn close(&mut self, now: Now, incoming: &Incoming, outcome: Outcome, cause: Cause) -> Record {
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        Record {
            call: incoming.call,
            caller: incoming.caller.clone(),
            dialled: incoming.dialled.clone(),
            number: self.number.take(),
            started: self.started,
            ended: now.wall,
            queue: self.queue.take(),
            agent: self.agent.take(),
            wait_ms: self.queued_at.map(|_| ms(self.waited(now))),
            talk_ms: self.talk_began.map_or(0, |began| ms(now.mono.since(began))),
            outcome,
            cause,
            transitions: std::mem::take(&mut self.transitions),
        }
    }
}
