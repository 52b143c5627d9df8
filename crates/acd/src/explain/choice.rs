//! Why an agent was offered a call. It is written down when the queue decides, for later it cannot be found out any more.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Obstacle, ordinal};
use crate::ids::AgentId;
use crate::skills::Skills;
use crate::time::lasting;

/// The reason of an offer: the rule of the queue's strategy and what it compared. Cheap to make: it holds figures and
/// shared names, and nothing is searched for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Choice {
    /// From the top of the list (Spec: QU-1).
    InOrder {
        /// His place in the list, from 1.
        place: u32,
        /// Who stands directly before him; `None` for the first of the list.
        passed: Option<Passed>,
    },
    /// Every eligible agent rings (Spec: QU-2).
    AllAtOnce {
        /// They became free while the phones of others rang for this caller.
        joins: bool,
    },
    /// He picks the call up that rings at a colleague (Spec: TR-4).
    PickUp,
    /// For a reason that this version does not know: the owner of the queue is newer.
    Unknown,
    /// By lot (Spec: QU-4).
    Random {
        /// The agents among whom the lot decided, he included.
        free: u32,
    },
    /// In turns (Spec: QU-5).
    RoundRobin {
        /// Who had the turn before; `None` when the owner of the queue had given none yet.
        after: Option<AgentId>,
    },
    /// His figure was the best (Spec: QU-3, QU-5).
    Best {
        /// What was compared.
        measure: Measure,
        /// Who would have come next; `None` when nobody else could take the call.
        next: Option<Next>,
    },
}

/// An agent who was passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// Who.
    pub agent: AgentId,
    /// Why.
    pub obstacle: Obstacle,
}

/// The second best.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// Who.
    pub agent: AgentId,
    /// What he had.
    pub measure: Measure,
}

/// What a strategy compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// How long he has been idle, in milliseconds; `None` when he has done nothing since his owner started, which counts as
    /// the longest (Spec: QU-3).
    IdleMs(Option<u64>),
    /// Calls of the queue since his workday began.
    Calls(u32),
    /// How long he has talked in them, in milliseconds.
    TalkedMs(u64),
    /// How well he suits: the sum of his levels in what is needed.
    Suits {
        /// What the caller needed at that time.
        needs: Skills,
        /// What the agent can do.
        has: Skills,
    },
}

impl Measure {
    const fn rule(&self) -> &'static str {
        match self {
            Measure::IdleMs(_) => "longest idle",
            Measure::Calls(_) => "fewest calls",
            Measure::TalkedMs(_) => "least talk time",
            Measure::Suits { .. } => "skills",
        }
    }

    /// In one word, to be compared with another.
    fn short(&self) -> String {
        match self {
            Measure::Suits { needs, has } => has.suit(needs).unwrap_or(0).to_string(),
            Measure::IdleMs(_) | Measure::Calls(_) | Measure::TalkedMs(_) => self.to_string(),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Measure::IdleMs(None) => f.write_str("no call yet"),
            Measure::IdleMs(Some(ms)) | Measure::TalkedMs(ms) => f.write_str(&lasting(Duration::from_millis(*ms))),
            Measure::Calls(calls) => calls.fmt(f),
            Measure::Suits { needs, has } => {
                let levels: Vec<String> =
                    needs.iter().map(|(skill, _)| format!("{skill} {}", has.level(skill))).collect();
                match &levels[..] {
                    [] => f.write_str("none needed, idle for longest"),
                    [one] => f.write_str(one),
                    more => write!(f, "{} = {}", more.join(" + "), has.suit(needs).unwrap_or(0)),
                }
            }
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::InOrder { place, passed: None } => write!(f, "in order: {} of the list", ordinal(*place)),
            Choice::InOrder { place, passed: Some(Passed { agent, obstacle }) } => {
                write!(f, "in order: {} of the list; {} was {obstacle}", ordinal(*place), agent.name)
            }
            Choice::AllAtOnce { joins: false } => f.write_str("all at once: every free agent rings"),
            Choice::AllAtOnce { joins: true } => f.write_str("all at once: became free while others ring"),
            Choice::Unknown => f.write_str("for a reason that this version does not know"),
            Choice::PickUp => f.write_str("picks it up"),
            Choice::Random { free } => write!(f, "random: 1 of {free} free"),
            Choice::RoundRobin { after: None } => f.write_str("round robin: the first turn"),
            Choice::RoundRobin { after: Some(agent) } => write!(f, "round robin: next after {}", agent.name),
            Choice::Best { measure, next } => {
                write!(f, "{}: {measure}", measure.rule())?;
                match next {
                    None => f.write_str(", nobody else was eligible"),
                    Some(next) if next.measure.short() == measure.short() => {
                        write!(f, ", next was {} with the same", next.agent.name)
                    }
                    Some(next) => write!(f, ", next was {} with {}", next.agent.name, next.measure.short()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str) -> AgentId {
        AgentId::new("default".parse().unwrap(), name.parse().unwrap())
    }

    fn skills(levels: &[(&str, u8)]) -> Skills {
        Skills::new(levels.iter().map(|(name, level)| (name.parse().unwrap(), *level)))
    }

    fn best(measure: Measure, next: Option<Measure>) -> Choice {
        Choice::Best { measure, next: next.map(|measure| Next { agent: agent("piotr"), measure }) }
    }

    // spec: RT-9
    #[test]
    fn rt_9_each_strategy_has_its_words() {
        let needs = skills(&[("billing", 1), ("french", 5)]);
        let suits =
            |french| Measure::Suits { needs: needs.clone(), has: skills(&[("french", french), ("billing", 3)]) };
        let passed = |obstacle| Some(Passed { agent: agent("anna"), obstacle });
        let said = [
            (Choice::InOrder { place: 1, passed: None }, "in order: 1st of the list"),
            (Choice::InOrder { place: 2, passed: passed(Obstacle::Busy) }, "in order: 2nd of the list; anna was busy"),
            (Choice::AllAtOnce { joins: false }, "all at once: every free agent rings"),
            (Choice::Random { free: 5 }, "random: 1 of 5 free"),
            (Choice::RoundRobin { after: Some(agent("anna")) }, "round robin: next after anna"),
            (
                best(Measure::IdleMs(Some(312_400)), Some(Measure::IdleMs(Some(120_000)))),
                "longest idle: 5m12s, next was piotr with 2m00s",
            ),
            (
                best(Measure::IdleMs(None), Some(Measure::IdleMs(None))),
                "longest idle: no call yet, next was piotr with the same",
            ),
            (best(Measure::Calls(3), None), "fewest calls: 3, nobody else was eligible"),
            (best(suits(8), Some(suits(6))), "skills: billing 3 + french 8 = 11, next was piotr with 9"),
        ];
        for (choice, words) in said {
            assert_eq!(choice.to_string(), words);
        }
    }
}
