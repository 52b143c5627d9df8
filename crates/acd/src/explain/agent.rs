//! An agent explained: how he is, his turn in each of his queues, and whom he gets next.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Lines, Measure, Obstacle, ordinal, skills_in_words};
use crate::ids::{AgentId, CallId, QueueId};
use crate::queue::Strategy;
use crate::rank::Bid;
use crate::ticket::Sequence;
use crate::time::lasting;
use crate::view::{Activity, AgentView, Availability};

/// The most callers who are named for one agent.
pub const MOST_CALLERS: usize = 20;

/// An agent as his owner and the owners of his queues see him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentExplained {
    /// How he is.
    pub view: AgentView,
    /// Each of his queues that answered.
    pub queues: Vec<AgentInQueue>,
    /// The callers whom he could have, over all of his queues, in the order in which he would get them (Spec: QU-7); at most
    /// [`MOST_CALLERS`].
    pub callers: Vec<NextCaller>,
}

/// An agent in the eyes of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentInQueue {
    /// The queue.
    pub queue: QueueId,
    /// How it chooses.
    pub strategy: Strategy,
    /// His place in its list, from 1.
    pub place: u32,
    /// Agents of the list.
    pub agents: u32,
    /// What keeps him from its callers; `None` when he is free.
    pub obstacle: Option<Obstacle>,
    /// Where he stands among the free; `None` when he is not free.
    pub turn: Option<Turn>,
    /// The callers whom he could have, the first [`MOST_CALLERS`] in the order of the queue.
    pub callers: Vec<NextCaller>,
    /// All callers whom he could have.
    pub could: u32,
    /// The other callers: they are offered to somebody, he was tried for them, or they need other skills.
    pub others: u32,
}

/// A free agent's turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Who has 1 gets the next caller, unless that one needs other skills or had him in this round.
    pub rank: u32,
    /// The free agents.
    pub free: u32,
    /// Who has 1.
    pub first: AgentId,
    /// All of this and what the queue compares, in words.
    pub words: String,
}

impl Turn {
    /// His turn by the queue's strategy, which compares `measure`.
    pub fn new(strategy: Strategy, rank: u32, free: u32, first: AgentId, measure: &Measure) -> Self {
        let figure = match measure {
            Measure::Suits { has, .. } => format!("skills: {}", skills_in_words(has)),
            Measure::IdleMs(None) => measure.to_string(),
            Measure::IdleMs(Some(_)) => format!("idle {measure}"),
            Measure::Calls(_) => format!("calls {measure}"),
            Measure::TalkedMs(_) => format!("talked {measure}"),
        };
        let words = match strategy {
            Strategy::AllAtOnce => format!("rings with all {free} free"),
            Strategy::Random => format!("by lot among {free} free"),
            Strategy::InOrder
            | Strategy::LongestIdle
            | Strategy::RoundRobin
            | Strategy::FewestCalls
            | Strategy::LeastTalkTime
            | Strategy::Skills => {
                let behind = if rank > 1 { format!(", {} is first", first.name) } else { String::new() };
                format!("{} of {free} free ({figure}){behind}", ordinal(rank))
            }
        };
        Turn { rank, free, first, words }
    }
}

/// A caller whom an agent could have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextCaller {
    /// Who.
    pub call: CallId,
    /// In which queue.
    pub queue: QueueId,
    /// His priority there.
    pub priority: i32,
    /// Since his waiting began.
    pub waited: Duration,
    /// What he brings into the comparison with the callers of other queues.
    pub bid: Bid,
    /// The order of entry into his queue.
    pub sequence: Sequence,
}

impl AgentExplained {
    /// Puts together what his owner and the owners of his queues say.
    pub fn new(view: AgentView, mut queues: Vec<AgentInQueue>) -> Self {
        let obstacles = queues.iter_mut().filter_map(|queue| queue.obstacle.as_mut());
        obstacles.for_each(|obstacle| obstacle.refine(view.activity, view.availability));
        AgentExplained { view, callers: next_callers(&queues), queues }
    }

    /// In words, line by line.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Lines::default();
        lines.push(0, self.headline());
        for (queue, logged_in) in &self.view.queues {
            match self.queues.iter().find(|seen| seen.queue == *queue) {
                Some(seen) => lines.push(1, seen.line()),
                None if *logged_in => lines.push(1, format!("{}: did not answer, or does not list him", queue.name)),
                None => lines.push(1, format!("{}: logged out of this queue", queue.name)),
            }
        }
        if self.view.queues.is_empty() {
            lines.push(1, "serves no queue".to_owned());
        }
        let could: usize = self.queues.iter().filter(|queue| queue.serves()).map(|queue| queue.could as usize).sum();
        let title = if could == 0 { "no caller waits for him" } else { "the callers he gets when he is free:" };
        lines.push(0, title.to_owned());
        for (rank, caller) in (1..).zip(&self.callers) {
            let NextCaller { call, queue, priority, waited, .. } = caller;
            let words = format!(
                "{} call {call} of {}: waited {}, priority {priority}",
                ordinal(rank),
                queue.name,
                lasting(*waited)
            );
            lines.push(1, words);
        }
        if could > self.callers.len() {
            lines.push(1, format!("and {} more", could - self.callers.len()));
        }
        lines.done()
    }

    fn headline(&self) -> String {
        let view = &self.view;
        let wants = match view.availability {
            Availability::LoggedOut => "logged out",
            Availability::Ready => "ready",
            Availability::OnBreak => "on break",
        };
        let does = match view.activity {
            Activity::Idle => "idle",
            Activity::Reserved => "reserved",
            Activity::Talking => "talking",
            Activity::WrapUp => "in wrap-up",
        };
        let call = view.call.map_or_else(String::new, |call| format!(" (call {call})"));
        let (can, all) = (view.reachable_devices, view.devices);
        let name = &view.agent.name;
        format!("{name}: {wants}, {does}{call} for {}, {can} of {all} devices reachable", lasting(view.activity_for))
    }
}

/// The callers whom an agent of these queues gets next: see [`AgentExplained::callers`].
pub fn next_callers(queues: &[AgentInQueue]) -> Vec<NextCaller> {
    // Each queue offers its first; the best of those gets him.
    let serves = queues.iter().filter(|queue| queue.serves());
    let mut lanes: Vec<VecDeque<&NextCaller>> = serves.map(|queue| queue.callers.iter().collect()).collect();
    let mut callers = Vec::new();
    while callers.len() < MOST_CALLERS {
        let heads = lanes.iter_mut().filter(|lane| !lane.is_empty());
        let best = heads.max_by_key(|lane| {
            lane.front().map(|head| (head.bid, std::cmp::Reverse(head.sequence), std::cmp::Reverse(head.call)))
        });
        let Some(next) = best.and_then(VecDeque::pop_front) else { break };
        callers.push(next.clone());
    }
    callers
}

impl AgentInQueue {
    /// Whether he takes its calls, perhaps not at this moment.
    const fn serves(&self) -> bool {
        !matches!(
            self.obstacle,
            Some(Obstacle::LoggedOut | Obstacle::NotLoggedIn | Obstacle::Silent { .. } | Obstacle::Unheard)
        )
    }

    /// His turn in words, or why he has none.
    pub fn turn(&self) -> String {
        match (&self.turn, &self.obstacle) {
            (Some(turn), _) => turn.words.clone(),
            (None, Some(obstacle)) => format!("none, {obstacle}"),
            (None, None) => "free".to_owned(),
        }
    }

    /// All of it in words.
    pub fn line(&self) -> String {
        let waiting = match (self.could, self.others) {
            (0, 0) => "nobody waits".to_owned(),
            (could, others) if !self.serves() => format!("{} waiting", could + others),
            (could, others) => format!("{could} of {} waiting are for him", could + others),
        };
        let place = format!("{} of {} in the list", ordinal(self.place), self.agents);
        format!("{} ({}): {place}; turn: {}; {waiting}", self.queue.name, self.strategy.as_str(), self.turn())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Epoch, NodeId};
    use crate::rank::Ranking;

    fn view() -> AgentView {
        AgentView {
            agent: AgentId::new("default".parse().unwrap(), "anna".parse().unwrap()),
            display_name: String::new(),
            extension: None,
            availability: Availability::Ready,
            activity: Activity::WrapUp,
            activity_for: Duration::ZERO,
            call: None,
            queues: Vec::new(),
            reachable_devices: 1,
            devices: 1,
            handled: 0,
        }
    }

    /// A queue with callers who bring so many seconds, in its own order.
    fn queue(name: &str, obstacle: Obstacle, brings: &[u64]) -> AgentInQueue {
        let id = QueueId::new("default".parse().unwrap(), name.parse().unwrap());
        let caller = |(counter, seconds): (u64, &u64)| NextCaller {
            call: CallId { node: NodeId(1), boot: 1, number: *seconds },
            queue: id.clone(),
            priority: 0,
            waited: Duration::from_secs(*seconds),
            bid: Ranking::default().bid(0, Duration::from_secs(*seconds)),
            sequence: Sequence { epoch: Epoch(1), counter },
        };
        AgentInQueue {
            callers: (1..).zip(brings).map(caller).collect(),
            queue: id,
            strategy: Strategy::InOrder,
            place: 1,
            agents: 1,
            obstacle: Some(obstacle),
            turn: None,
            could: u32::try_from(brings.len()).unwrap(),
            others: 0,
        }
    }

    // spec: QU-7
    #[test]
    fn qu_7_the_queues_offer_their_first_and_the_best_of_those_is_next() {
        // A new owner of `support` has measured a wait too long: the order of entry holds within a queue all the same.
        let support = queue("support", Obstacle::Busy, &[5, 100]);
        let sales = queue("sales", Obstacle::Busy, &[50]);
        let left = queue("left", Obstacle::LoggedOut, &[500]);
        let explained = AgentExplained::new(view(), vec![support, sales, left]);
        let next: Vec<u64> = explained.callers.iter().map(|caller| caller.call.number).collect();
        assert_eq!(next, [50, 5, 100]);
        let obstacles: Vec<_> = explained.queues.into_iter().filter_map(|queue| queue.obstacle).collect();
        assert_eq!(obstacles, [Obstacle::WrapUp, Obstacle::WrapUp, Obstacle::NotLoggedIn]);
    }
}
