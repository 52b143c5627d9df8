//! What an agent spends his time on.

use super::{Fact, Quarter, Subject, Tally};
use crate::ids::{AgentId, QueueId};
use crate::time::WallTime;

/// The most quarters of an hour that one look may fill: after a longer gap (a machine that slept, a clock that was set)
/// only the last ones count.
const MOST: usize = 8;

/// What an agent does, as far as statistics are concerned. Ringing, breaks and the time before and after the workday are
/// none of these (Spec: PL-5).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Spends {
    /// Ready, and nothing happens to him.
    Idle,
    /// In conversation, or on hold in one; from this queue, if from any.
    Talking(Option<QueueId>),
    /// After a conversation; from this queue. The sheet knows which: what an agent tells it does not matter.
    WrapUp(Option<QueueId>),
}

/// A time that an agent spent on one thing. It lies within one quarter of an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// Who.
    pub agent: AgentId,
    /// On what.
    pub spent: Spends,
    /// The queues that he was logged in to.
    pub queues: Vec<QueueId>,
    /// From then.
    pub began: WallTime,
    /// To then, not before.
    pub ended: WallTime,
}

impl Period {
    /// What it adds: to the agent, to the queue that the work came from, and for the occupancy to each queue that he was
    /// logged in to.
    pub fn facts(&self, out: &mut Vec<Fact>) {
        let lasted = u64::try_from(self.ended.0.saturating_sub(self.began.0)).unwrap_or(0);
        let (handling, idle) = match self.spent {
            Spends::Idle => (0, lasted),
            Spends::Talking(_) | Spends::WrapUp(_) => (lasted, 0),
        };
        let shared = Tally { handling, idle, ..Tally::default() };
        let wrap_up = Tally { wrap_up: lasted, ..Tally::default() };
        let mut add = |subject, adds| out.push(Fact { subject, at: self.began, adds });
        add(Subject::Agent(self.agent.clone()), shared);
        for queue in &self.queues {
            add(Subject::Queue(queue.clone()), shared);
        }
        if let Spends::WrapUp(queue) = &self.spent {
            add(Subject::Agent(self.agent.clone()), wrap_up);
            if let Some(queue) = queue {
                add(Subject::Queue(queue.clone()), wrap_up);
            }
        }
    }
}

/// The time sheet of one agent. Shown what he does after every event, it tells each time when a period is over.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    open: Option<(Spends, Vec<QueueId>, WallTime)>,
    /// The queue of his last conversation from one, whose wrap-up may follow.
    last_queue: Option<QueueId>,
}

impl Sheet {
    /// What he does from now on, and the queues that he is logged in to.
    pub fn note(
        &mut self,
        now: WallTime,
        agent: &AgentId,
        does: Option<Spends>,
        queues: impl IntoIterator<Item = QueueId>,
        out: &mut Vec<Period>,
    ) {
        let does = does.map(|does| self.of_queue(does));
        let same = match (&self.open, &does) {
            (Some((spent, _, began)), Some(does)) => spent == does && Quarter::of(*began) == Quarter::of(now),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let queues: Vec<QueueId> = queues.into_iter().collect();
        if same && self.open.as_ref().is_none_or(|(_, before, _)| *before == queues) {
            return;
        }
        if let Some((spent, queues, began)) = self.open.take() {
            close(agent, &spent, &queues, began, now, out);
        }
        self.open = does.map(|does| (does, queues, now));
    }

    /// The wrap-up belongs to the queue of the conversation before it, also when a direct call came in between.
    fn of_queue(&mut self, does: Spends) -> Spends {
        match does {
            Spends::Talking(Some(queue)) => {
                self.last_queue = Some(queue.clone());
                Spends::Talking(Some(queue))
            }
            Spends::WrapUp(_) => Spends::WrapUp(self.last_queue.clone()),
            Spends::Idle | Spends::Talking(None) => does,
        }
    }
}

/// Cuts the time at the quarters of the hour. A clock that was set back yields nothing.
fn close(
    agent: &AgentId,
    spent: &Spends,
    queues: &[QueueId],
    mut began: WallTime,
    now: WallTime,
    out: &mut Vec<Period>,
) {
    let first = Quarter::of(WallTime(now.0.saturating_sub(MOST as i64 * quarter_length()))).start();
    began = began.max(first);
    while began < now {
        let ended = Quarter::of(began).end().min(now);
        let (agent, spent, queues) = (agent.clone(), spent.clone(), queues.to_vec());
        out.push(Period { agent, spent, queues, began, ended });
        began = ended;
    }
}

const fn quarter_length() -> i64 {
    let first = Quarter::of(WallTime(0));
    first.end().0 - first.start().0
}
