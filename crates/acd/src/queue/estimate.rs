//! How long a caller will wait (Spec: UN-8): position × recent handling time / effective agents, with an interval, and
//! "unknown" rather than a guess.
//!
//! A *spell* is the time from which an agent is not free to when he is free again. Ours is counted from the offer, so that
//! it is what a call costs the queue: ringing, conversation, hold, wrap-up. Agents who serve other queues too are there for
//! us only with the share of their busy time that went to us: those are the effective agents.

use std::collections::VecDeque;
use std::time::Duration;

use super::selection::Seat;
use super::table::Table;
use crate::agent::Standing;
use crate::ids::CallId;
use crate::time::Moment;
use crate::view::Estimate;

/// Spells that are remembered, and for how long: what was an hour ago says little of now.
const SPELLS: usize = 128;
const RECENT: Duration = Duration::from_secs(3600);

/// Fewer conversations than this are no history.
const HISTORY: usize = 5;

/// Of the standard normal distribution: one in ten lies beyond it.
const Z_90: f64 = 1.2816;

/// What the queue has learned about its pace.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    busy: Table<Seat, Busy>,
    spells: VecDeque<Spell>,
    /// Of all `spells`.
    sums: Sums,
    /// What callers were told at their entry, to be compared with what came.
    told: Table<CallId, (Moment, Estimate)>,
    judged: u64,
    held: u64,
}

#[derive(Clone, Copy, Debug)]
struct Busy {
    since: Moment,
    with: With,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum With {
    /// A call of ours; so long it rang.
    Ours { rang: Duration },
    /// Our offer, which may still come to nothing.
    Asked,
    /// Something else.
    Other,
}

#[derive(Clone, Copy, Debug)]
struct Spell {
    ended: Moment,
    lasted: Duration,
    /// The ringing, when the call was ours.
    ours: Option<Duration>,
}

impl Pace {
    /// An agent tells how he is; `offered` while an offer of ours is open to him.
    pub(super) fn heard(&mut self, now: Moment, seat: Seat, standing: Standing, offered: bool) {
        if standing == Standing::Busy {
            let with = if offered { With::Asked } else { With::Other };
            self.busy.entry(seat).or_insert(Busy { since: now, with });
            return;
        }
        let Some(Busy { since, with }) = self.busy.remove(&seat) else { return };
        let ours = match with {
            With::Ours { rang } => Some(rang),
            With::Other => None,
            With::Asked => return,
        };
        self.remember(Spell { ended: now, lasted: now.since(since), ours });
    }

    /// The list of agents has changed: who is new in it begins without a past.
    pub(super) fn move_seats(&mut self, to: impl Fn(Seat) -> Option<Seat>) {
        self.busy = self.busy.drain().filter_map(|(seat, busy)| Some((to(seat)?, busy))).collect();
    }

    fn remember(&mut self, spell: Spell) {
        self.sums.add(&spell);
        self.spells.push_back(spell);
        if self.spells.len() > SPELLS
            && let Some(oldest) = self.spells.pop_front()
        {
            self.sums.subtract(&oldest);
        }
    }

    /// An agent has answered a call of ours that was offered at `offered`.
    pub(super) fn connected(&mut self, now: Moment, seat: Seat, offered: Moment) {
        self.busy.insert(seat, Busy { since: offered, with: With::Ours { rang: now.since(offered) } });
    }

    /// A caller has come; what he could be told is kept to be judged.
    pub(super) fn tell(&mut self, now: Moment, call: CallId, estimate: Option<Estimate>) {
        if let Some(estimate) = estimate {
            self.told.insert(call, (now, estimate));
        }
    }

    /// He has left, and waited for an answer to the end or not.
    pub(super) fn left(&mut self, now: Moment, call: CallId, answered: bool) {
        if let Some((came, estimate)) = self.told.remove(&call)
            && answered
        {
            let waited = now.since(came);
            self.judged += 1;
            self.held += u64::from(estimate.at_least <= waited && waited <= estimate.at_most);
        }
    }

    /// Estimates that came to an answer, and those of them whose interval held.
    pub(super) const fn judged(&self) -> (u64, u64) {
        (self.judged, self.held)
    }

    /// The recent past, summed up; `None` when there is no history or nobody works.
    pub(super) fn recent(&self, now: Moment, agents: usize) -> Option<Recent> {
        let mut sums = self.sums;
        self.spells.iter().take_while(|spell| now.since(spell.ended) > RECENT).for_each(|old| sums.subtract(old));
        if sums.count < HISTORY || agents == 0 || sums.ours == 0 {
            return None;
        }
        let seconds = |nanoseconds: u128| nanoseconds as f64 / 1e9;
        let (count, total, all) = (sums.count as f64, seconds(sums.ours), seconds(sums.all));
        // The squares of the differences from the mean, added up, times the number: whole numbers, so nothing is rounded.
        let spread = sums.count as u128 * sums.squares - sums.ours.pow(2);
        Some(Recent {
            pace: total / count / (agents as f64 * total / all),
            unsure: spread as f64 / sums.ours.pow(2) as f64 / count,
            ringing: seconds(sums.ringing) / count,
        })
    }
}

/// Sums over spells, in nanoseconds, kept up to date so that an estimate does not cost a look at each spell.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// Spells that were ours.
    count: usize,
    /// How long those lasted.
    ours: u128,
    /// The squares of it.
    squares: u128,
    /// Their ringing.
    ringing: u128,
    /// How long all lasted.
    all: u128,
}

impl Sums {
    const fn add(&mut self, spell: &Spell) {
        let lasted = spell.lasted.as_nanos();
        self.all += lasted;
        if let Some(rang) = spell.ours {
            self.count += 1;
            self.ours += lasted;
            self.squares += lasted.pow(2);
            self.ringing += rang.as_nanos();
        }
    }

    const fn subtract(&mut self, spell: &Spell) {
        let lasted = spell.lasted.as_nanos();
        self.all -= lasted;
        if let Some(rang) = spell.ours {
            self.count -= 1;
            self.ours -= lasted;
            self.squares -= lasted.pow(2);
            self.ringing -= rang.as_nanos();
        }
    }
}

/// How fast the queue has moved recently.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recent {
    /// Seconds from one agent who becomes free for us to the next.
    pace: f64,
    /// The variance of the mean spell, relative to its square.
    unsure: f64,
    /// The average ringing, in seconds.
    ringing: f64,
}

impl Recent {
    /// For the caller for whom `position` agents must become free.
    pub(super) fn estimate(&self, position: usize) -> Estimate {
        let Recent { pace, unsure, ringing } = *self;
        if position == 0 {
            let wait = Duration::from_secs_f64(ringing);
            return Estimate { wait, at_least: Duration::ZERO, at_most: wait * 3 };
        }
        let wait = position as f64 * pace;
        // Agents become free like raindrops: the time to the k-th is gamma distributed with shape k. What is not known of
        // the mean itself makes it wider.
        let shape = 1.0 / (1.0 / position as f64 + unsure);
        let at = |z: f64| Duration::from_secs_f64(wait * gamma_quantile(shape, z) + ringing);
        Estimate { wait: Duration::from_secs_f64(wait + ringing), at_least: at(-Z_90), at_most: at(Z_90) }
    }
}

/// Of the gamma distribution with mean 1, after Wilson and Hilferty (1931): a cube root makes it nearly normal.
fn gamma_quantile(shape: f64, z: f64) -> f64 {
    let ninth = 1.0 / (9.0 * shape);
    (1.0 - ninth + z * ninth.sqrt()).max(0.0).powi(3)
}

#[cfg(test)]
mod tests;
