//! A queue explained: the settings that decide, how each agent of the list stands, and each waiting caller.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Lines, Obstacle, listed, ordinal, skills_in_words};
use crate::ids::{AgentId, CallId, QueueId};
use crate::offer::OfferId;
use crate::queue::OverflowReason;
use crate::rank::Ranking;
use crate::skills::Skills;
use crate::ticket::Sequence;
use crate::time::lasting;
use crate::view::{Activity, Availability};

/// A queue as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueExplained {
    /// Which.
    pub queue: QueueId,
    /// What decides, by the names of the configuration.
    pub settings: Vec<Setting>,
    /// What priority is worth here.
    pub ranking: Ranking,
    /// Everybody of the list, in its order.
    pub agents: Vec<AgentStands>,
    /// Callers without an answer, those who are not in `callers` included.
    pub waiting: u32,
    /// The first of them in the order in which they are served, or the one who was asked for.
    pub callers: Vec<CallerExplained>,
}

/// A setting of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As in the configuration.
    pub name: &'static str,
    /// In words.
    pub value: String,
}

/// How an agent stands: to the queue, or to one caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentStands {
    /// Who.
    pub agent: AgentId,
    /// What keeps him; `None` when he is free, or eligible.
    pub obstacle: Option<Obstacle>,
}

/// Agents who stand alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// See [`AgentStands::obstacle`].
    pub obstacle: Option<Obstacle>,
    /// How many there are.
    pub count: u32,
    /// The first of them in list order.
    pub agents: Vec<AgentId>,
}

/// A caller in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerExplained {
    /// Who.
    pub call: CallId,
    /// His place among those for whom no phone rings, from 1; `None` while one does, and when he has to leave.
    pub position: Option<u32>,
    /// Higher is served earlier (Spec: QU-7).
    pub priority: i32,
    /// Since his waiting began, in whatever queue that was.
    pub waited: Duration,
    /// Since he entered this queue.
    pub waited_here: Duration,
    /// The order of entry, which decides among equal priorities.
    pub sequence: Sequence,
    /// The round that he is in, from 1; 0 before the first offer (Spec: UN-1).
    pub round: u32,
    /// What he waits for.
    pub state: CallerState,
    /// Until the wait limit sends him away; `None` without one (Spec: UN-4).
    pub limit: Option<Duration>,
    /// What he needs of his agent by now (Spec: QU-5).
    pub needs: Skills,
    /// When he will need less; `None`: never.
    pub relaxation: Option<Relaxation>,
    /// The free agents, each with what keeps him from this caller; all others are kept by what
    /// [`QueueExplained::agents`] says.
    pub agents: Vec<AgentStands>,
}

/// What a caller in a queue waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerState {
    /// For a free agent.
    Waiting,
    /// For the next round.
    Resting {
        /// Until then.
        left: Duration,
    },
    /// For the end of an offer.
    Offered {
        /// Which.
        offer: OfferId,
        /// Since.
        since: Duration,
        /// To whom; nobody when an owner before this one made it.
        agents: Vec<AgentId>,
    },
    /// He was told to leave.
    Leaving {
        /// Why.
        why: OverflowReason,
    },
}

/// A caller needs less the longer he waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relaxation {
    /// From now.
    pub after: Duration,
    /// What he needs then.
    pub to: Skills,
}

/// Gathers agents who stand alike, the free first, with at most `most` names of each group.
pub fn groups(agents: &[AgentStands], most: usize) -> Vec<Group> {
    let mut groups: BTreeMap<Option<&Obstacle>, Group> = BTreeMap::new();
    for AgentStands { agent, obstacle } in agents {
        let new = || Group { obstacle: obstacle.clone(), count: 0, agents: Vec::new() };
        let group = groups.entry(obstacle.as_ref()).or_insert_with(new);
        group.count += 1;
        if group.agents.len() < most {
            group.agents.push(agent.clone());
        }
    }
    groups.into_values().collect()
}

impl QueueExplained {
    /// The agents of whom the queue does not know everything: see [`QueueExplained::refine`].
    pub fn unsure(&self) -> impl Iterator<Item = &AgentId> {
        let unsure = |stands: &&AgentStands| matches!(stands.obstacle, Some(Obstacle::Busy | Obstacle::LoggedOut));
        self.agents.iter().filter(unsure).map(|stands| &stands.agent)
    }

    /// Adds what the agents' own owners know better: what they are busy with, and what they are logged out of.
    pub fn refine<'a>(&mut self, known: impl IntoIterator<Item = (&'a AgentId, Activity, Availability)>) {
        let known: BTreeMap<_, _> = known.into_iter().map(|(agent, does, wants)| (agent, (does, wants))).collect();
        for stands in &mut self.agents {
            if let (Some(obstacle), Some((does, wants))) = (&mut stands.obstacle, known.get(&stands.agent)) {
                obstacle.refine(*does, *wants);
            }
        }
    }

    /// The place of the one caller who was asked for, in words, line by line.
    pub fn place_lines(&self, most: usize) -> Vec<String> {
        let mut lines = Lines::default();
        self.place(most, &mut lines);
        lines.done()
    }

    pub(super) fn place(&self, most: usize, lines: &mut Lines) {
        lines.push(0, format!("place in {}, {} waiting:", self.queue.name, self.waiting));
        for caller in &self.callers {
            caller.lines(1, self.ranking, most, lines);
        }
        let others: Vec<_> = self.agents.iter().filter(|stands| stands.obstacle.is_some()).cloned().collect();
        let title = match (self.agents.is_empty(), others.is_empty()) {
            (true, _) => "the queue has no agents",
            (false, true) => "all agents are free",
            (false, false) => "agents who are not free:",
        };
        lines.push(0, title.to_owned());
        agent_lines(&others, "free", most, 1, lines);
    }

    /// In words, line by line, with at most `most` names of a group of agents.
    pub fn lines(&self, most: usize) -> Vec<String> {
        let mut lines = Lines::default();
        let settings: Vec<String> =
            self.settings.iter().map(|Setting { name, value }| format!("{name} {value}")).collect();
        lines.push(0, format!("{}: {} waiting", self.queue.name, self.waiting));
        lines.push(0, format!("settings: {}", settings.join(", ")));
        if self.agents.is_empty() {
            lines.push(0, "agents: none".to_owned());
        } else {
            lines.push(0, "agents:".to_owned());
        }
        agent_lines(&self.agents, "free", most, 1, &mut lines);
        if !self.callers.is_empty() {
            lines.push(0, "callers:".to_owned());
        }
        for caller in &self.callers {
            caller.lines(1, self.ranking, most, &mut lines);
        }
        let hidden = (self.waiting as usize).saturating_sub(self.callers.len());
        if hidden > 0 {
            lines.push(1, format!("and {hidden} more"));
        }
        lines.done()
    }
}

/// A line for each group of agents; `free` is the word for those whom nothing keeps.
fn agent_lines(agents: &[AgentStands], free: &str, most: usize, depth: usize, lines: &mut Lines) {
    for group in groups(agents, most) {
        let how = group.obstacle.as_ref().map_or_else(|| free.to_owned(), Obstacle::to_string);
        lines.push(depth, format!("{how}: {}", listed(&group.agents, group.count)));
    }
}

impl Obstacle {
    /// What the agent's own owner knows better.
    pub(super) fn refine(&mut self, does: Activity, wants: Availability) {
        *self = match (&*self, does, wants) {
            (Obstacle::Busy, Activity::Reserved, _) => Obstacle::Reserved,
            (Obstacle::Busy, Activity::Talking, _) => Obstacle::Talking,
            (Obstacle::Busy, Activity::WrapUp, _) => Obstacle::WrapUp,
            (Obstacle::LoggedOut, _, Availability::Ready | Availability::OnBreak) => Obstacle::NotLoggedIn,
            (known, ..) => known.clone(),
        };
    }
}

impl CallerExplained {
    /// The rank in words: what decides who is served first (Spec: QU-7).
    pub fn rank(&self, ranking: Ranking) -> String {
        let mut words = format!("waited {}", lasting(self.waited));
        if self.waited_here < self.waited {
            words += &format!(" ({} here)", lasting(self.waited_here));
        }
        words += &format!(", priority {}", self.priority);
        let steps = self.priority.unsigned_abs();
        match ranking.ageing {
            _ if steps == 0 => {}
            None => words += " before all waiting",
            Some(step) => {
                let when = if self.priority > 0 { "earlier" } else { "later" };
                words += &format!(" (as if {} {when})", lasting(step.saturating_mul(steps)));
            }
        }
        words + &format!(", entry {}/{}", self.sequence.epoch.0, self.sequence.counter)
    }

    fn lines(&self, depth: usize, ranking: Ranking, most: usize, lines: &mut Lines) {
        let position = self.position.map_or_else(|| "-".to_owned(), ordinal);
        lines.push(depth, format!("{position} call {}: {}; {}", self.call, self.state.words(), self.rank(ranking)));
        let mut more = Vec::new();
        if self.round > 1 {
            more.push(format!("round {}", self.round));
        }
        if let Some(limit) = self.limit {
            more.push(format!("leaves by max_wait in {}", lasting(limit)));
        }
        if !more.is_empty() {
            lines.push(depth + 1, more.join(", "));
        }
        if self.needs != Skills::default() {
            let then = self.relaxation.as_ref().map_or_else(String::new, |relaxation| {
                format!(", {} in {}", skills_in_words(&relaxation.to), lasting(relaxation.after))
            });
            lines.push(depth + 1, format!("needs {}{then}", skills_in_words(&self.needs)));
        }
        match self.state {
            CallerState::Waiting | CallerState::Resting { .. } if self.agents.is_empty() => {
                lines.push(depth + 1, "no agent is free".to_owned());
            }
            CallerState::Waiting | CallerState::Resting { .. } => {
                agent_lines(&self.agents, "eligible", most, depth + 1, lines);
            }
            CallerState::Offered { .. } | CallerState::Leaving { .. } => {}
        }
    }
}

impl CallerState {
    fn words(&self) -> String {
        match self {
            CallerState::Waiting => "waits for an agent".to_owned(),
            CallerState::Resting { left } => format!("next round in {}", lasting(*left)),
            CallerState::Offered { agents, since, .. } if agents.is_empty() => {
                format!("offered for {} by the owner before", lasting(*since))
            }
            CallerState::Offered { agents, since, .. } => {
                let count = u32::try_from(agents.len()).unwrap_or(u32::MAX);
                format!("offered to {} for {}", listed(&agents[..agents.len().min(10)], count), lasting(*since))
            }
            CallerState::Leaving { why } => format!("has to leave: {}", why),
        }
    }
}
