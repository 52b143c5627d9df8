//! What agents can do, and what callers need: named skills with levels (Spec: QU-5).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::Name;

/// Skills with levels from 1 to [`Skills::MOST`], each once. Of an agent: how well he can. For a caller: the least that is
/// asked for. Clones share one allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "BTreeMap<Name, u8>", into = "BTreeMap<Name, u8>")]
pub struct Skills(Arc<[(Name, u8)]>);

impl Skills {
    /// The highest level.
    pub const MOST: u8 = 10;

    /// These levels. Of a skill that is given twice the higher counts; level 0 is no skill, and none is above
    /// [`Skills::MOST`].
    pub fn new(levels: impl IntoIterator<Item = (Name, u8)>) -> Self {
        let mut sorted: BTreeMap<Name, u8> = BTreeMap::new();
        for (name, level) in levels.into_iter().filter(|(_, level)| *level > 0) {
            let known = sorted.entry(name).or_default();
            *known = level.min(Self::MOST).max(*known);
        }
        Skills(sorted.into_iter().collect())
    }

    /// Both, the higher level of each.
    pub fn and(&self, other: &Skills) -> Skills {
        match (self.0.is_empty(), other.0.is_empty()) {
            (true, _) => other.clone(),
            (_, true) => self.clone(),
            (false, false) => Skills::new(self.0.iter().chain(other.0.iter()).cloned()),
        }
    }

    /// Asks for `steps` levels less of each skill, but never for less than `least`.
    pub fn relaxed(&self, steps: u32, least: u8) -> Skills {
        if steps == 0 {
            return self.clone();
        }
        let steps = u8::try_from(steps).unwrap_or(u8::MAX);
        let lower = |level: u8| level.saturating_sub(steps).max(least.min(level));
        // They stay sorted.
        Skills(
            self.0.iter().map(|(name, level)| (name.clone(), lower(*level))).filter(|(_, level)| *level > 0).collect(),
        )
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each skill with its level, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, u8)> {
        self.0.iter().map(|(name, level)| (name, *level))
    }

    /// The level of a skill; 0 when it is not there.
    pub fn level(&self, skill: &Name) -> u8 {
        self.iter().find(|(name, _)| *name == skill).map_or(0, |(_, level)| level)
    }

    /// How well an agent with these skills suits: the sum of his levels in what is wanted; `None` when one is too low.
    pub fn suit(&self, wanted: &Skills) -> Option<u32> {
        let has = |(name, least): &(Name, u8)| {
            let place = self.0.binary_search_by(|(known, _)| known.cmp(name)).ok()?;
            let level = self.0.get(place).map(|(_, level)| *level)?;
            (level >= *least).then_some(u32::from(level))
        };
        wanted.0.iter().map(has).sum()
    }
}

impl From<BTreeMap<Name, u8>> for Skills {
    fn from(levels: BTreeMap<Name, u8>) -> Self {
        Skills::new(levels)
    }
}

impl From<Skills> for BTreeMap<Name, u8> {
    fn from(skills: Skills) -> Self {
        skills.0.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skills(levels: &[(&str, u8)]) -> Skills {
        Skills::new(levels.iter().map(|(name, level)| (name.parse().unwrap(), *level)))
    }

    // spec: QU-5
    #[test]
    fn qu_5_levels_are_compared_skill_by_skill() {
        let anna = skills(&[("french", 8), ("billing", 3), ("nothing", 0)]);
        assert_eq!(anna.suit(&skills(&[("french", 8)])), Some(8));
        assert_eq!(anna.suit(&skills(&[("french", 5), ("billing", 1)])), Some(11));
        assert_eq!(anna.suit(&skills(&[("french", 9)])), None);
        assert_eq!(anna.suit(&skills(&[("nothing", 1)])), None);
        assert_eq!(anna.suit(&Skills::default()), Some(0));
        let both = skills(&[("french", 2), ("polish", 99)]).and(&skills(&[("french", 4)]));
        assert_eq!(both, skills(&[("french", 4), ("polish", Skills::MOST)]));
    }

    // spec: QU-5
    #[test]
    fn qu_5_what_is_asked_for_sinks_to_the_least() {
        let wanted = skills(&[("french", 5), ("billing", 2)]);
        assert_eq!(wanted.relaxed(0, 1), wanted);
        assert_eq!(wanted.relaxed(2, 1), skills(&[("french", 3), ("billing", 1)]));
        assert_eq!(wanted.relaxed(9, 1), skills(&[("french", 1), ("billing", 1)]));
        assert_eq!(wanted.relaxed(3, 4), skills(&[("french", 4), ("billing", 2)]));
        assert_eq!(wanted.relaxed(u32::MAX, 0), Skills::default());
    }
}
