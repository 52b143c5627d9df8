//! Why? What a queue, an agent and a call can say about their decisions (Spec: RT-9, QU-6, QU-7): plain data, made by
//! whoever decided, and its words. Nothing in here decides or changes anything.

mod agent;
mod call;
mod choice;
mod history;
mod obstacle;
mod queue;

pub use agent::{AgentExplained, AgentInQueue, MOST_CALLERS, NextCaller, Turn, next_callers};
pub use call::{CallExplained, Whereabouts};
pub use choice::{Choice, Measure, Next, Passed};
pub use history::{Called, Fate, OfferedAgent, Step, StepKind, history};
pub use obstacle::Obstacle;
pub use queue::{AgentStands, CallerExplained, CallerState, Group, QueueExplained, Relaxation, Setting, groups};

use crate::ids::AgentId;
use crate::skills::Skills;

/// An explanation as it is written, two blanks for each step inwards.
#[derive(Debug, Default)]
struct Lines(Vec<String>);

impl Lines {
    fn push(&mut self, depth: usize, line: String) {
        self.0.push("  ".repeat(depth) + &line);
    }

    fn done(self) -> Vec<String> {
        self.0
    }
}

/// Some of `count` agents by name.
fn listed(agents: &[AgentId], count: u32) -> String {
    let names: Vec<&str> = agents.iter().map(|agent| agent.name.as_str()).collect();
    match (count as usize).saturating_sub(names.len()) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// `billing 3, french 8`.
fn skills_in_words(skills: &Skills) -> String {
    let levels: Vec<String> = skills.iter().map(|(skill, level)| format!("{skill} {level}")).collect();
    if levels.is_empty() { "no skill".to_owned() } else { levels.join(", ") }
}

/// `1st`, `2nd`, `3rd`, `11th`.
fn ordinal(n: u32) -> String {
    let ending = match (n % 100, n % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        (_, _) => "th",
    };
    format!("{n}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_have_their_endings() {
        let shown = [1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(ordinal);
        assert_eq!(shown, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]);
    }
}
