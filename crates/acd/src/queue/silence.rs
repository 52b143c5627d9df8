//! Since when each agent has said nothing: a list in the order of their last words. Thousands of agents repeat themselves
//! all the time and hardly ever fall silent, so a word moves its agent to the end in a few steps, however many there are.

use super::selection::Seat;
use crate::time::Moment;

#[derive(Clone, Copy, Debug)]
struct Link {
    since: Moment,
    before: Option<Seat>,
    after: Option<Seat>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Silence {
    /// By seat; `None` for those who are not in the list.
    links: Vec<Option<Link>>,
    longest: Option<Seat>,
    shortest: Option<Seat>,
}

impl Silence {
    /// Nobody of so many is in the list.
    pub(super) fn new(seats: usize) -> Self {
        Silence { links: vec![None; seats], longest: None, shortest: None }
    }

    /// An agent speaks: his silence begins anew. Time never goes back.
    pub(super) fn broken(&mut self, now: Moment, seat: Seat) {
        self.end(seat);
        let before = self.shortest.replace(seat);
        self.links[seat as usize] = Some(Link { since: now, before, after: None });
        match before {
            Some(before) => self.link(before).after = Some(seat),
            None => self.longest = Some(seat),
        }
    }

    /// Takes him out of the list.
    pub(super) fn end(&mut self, seat: Seat) {
        let Some(Link { before, after, .. }) = self.links[seat as usize].take() else { return };
        match before {
            Some(before) => self.link(before).after = after,
            None => self.longest = after,
        }
        match after {
            Some(after) => self.link(after).before = before,
            None => self.shortest = before,
        }
    }

    /// Who has been silent for longest, and since when.
    pub(super) fn longest(&self) -> Option<(Moment, Seat)> {
        let seat = self.longest?;
        self.links[seat as usize].map(|link| (link.since, seat))
    }

    fn link(&mut self, seat: Seat) -> &mut Link {
        self.links[seat as usize].as_mut().expect("a neighbour is in the list")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn the_longest_silence_is_the_one_that_began_first(
            steps in prop::collection::vec((0_u32..8, any::<bool>()), 0..100),
        ) {
            let mut silence = Silence::new(8);
            let mut since: Vec<(Moment, Seat)> = Vec::new();
            for (second, (seat, speaks)) in (0..).zip(steps) {
                let now = Moment::START + Duration::from_secs(second / 2);
                since.retain(|(_, known)| *known != seat);
                if speaks {
                    silence.broken(now, seat);
                    since.push((now, seat));
                } else {
                    silence.end(seat);
                }
                prop_assert_eq!(silence.longest(), since.first().copied());
            }
            // Backwards too, all are where they belong.
            while let Some(last) = since.pop() {
                prop_assert_eq!(silence.shortest, Some(last.1));
                silence.end(last.1);
            }
            prop_assert_eq!(silence.longest(), None);
        }
    }
}
