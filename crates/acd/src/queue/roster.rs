//! The agents of the queue's list, as last heard, and who of them is free.

mod change;

use std::time::Duration;

use super::Config;
use super::selection::{Candidate, Class, Pick, Seat, Selection};
use super::silence::Silence;
use super::table::Table;
use super::waiting::Lane;
use crate::agent::{AgentStatus, Standing, Version};
use crate::explain::Obstacle;
use crate::ids::AgentId;
use crate::skills::Skills;
use crate::time::Moment;

/// An agent repeats himself every 10 s; one who was not heard for so long counts as logged out. For the same time a new
/// owner hopes for the agents that it has not heard yet, so that a restart does not send the callers home.
const UNHEARD: Duration = Duration::from_secs(35);

/// Whether anybody is logged in (Spec: UN-4). Being busy, on break or out of reach is something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// At least one agent.
    Somebody,
    /// Nobody who is known of; but somebody may log in, or be heard for the first time, until then.
    Hoped { until: Moment },
    /// Nobody, for long enough.
    Nobody,
}

impl Presence {
    fn hope(now: Moment, time: Duration) -> Self {
        if time.is_zero() { Presence::Nobody } else { Presence::Hoped { until: now + time } }
    }
}

#[derive(Clone, Debug)]
struct Place {
    agent: AgentId,
    version: Version,
    /// `None` until he is heard.
    standing: Option<Standing>,
    idle_period: u64,
    /// His last word.
    heard_at: Moment,
    candidate: Candidate,
    /// He is part of an offer that is not over.
    offered: bool,
    /// What he said in this version has been used up: he was offered a call on the strength of it and did not get it.
    /// The next thing he says counts again.
    spent: Option<Version>,
    free: bool,
}

impl Place {
    fn unheard(now: Moment, seat: Seat, agent: &AgentId) -> Self {
        Place {
            agent: agent.clone(),
            version: Version::default(),
            standing: None,
            idle_period: 0,
            heard_at: now,
            candidate: Candidate { seat, idle_since: now, calls: 0, talked: Duration::ZERO, hardware: 0, soft: 0 },
            offered: false,
            spent: None,
            free: false,
        }
    }

    fn is_logged_in(&self) -> bool {
        self.standing.is_some_and(|standing| standing != Standing::LoggedOut)
    }

    /// Free or busy.
    const fn works(&self) -> bool {
        matches!(self.standing, Some(Standing::Free | Standing::Busy))
    }
}

fn selection(config: &Config, seed: u64) -> Selection {
    let can = |agent| config.skills.agents.get(agent).cloned().unwrap_or_default();
    Selection::new(config.strategy, seed, || config.agents.iter().map(can).collect())
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Roster {
    places: Vec<Place>,
    seats: Table<AgentId, Seat>,
    selection: Selection,
    /// Names the random choices.
    seed: u64,
    /// Of those who were heard in the last [`UNHEARD`].
    silence: Silence,
    free: usize,
    logged_in: usize,
    /// Free or busy.
    working: usize,
    unheard: usize,
    presence: Presence,
    nobody_grace: Duration,
}

impl Roster {
    pub(super) fn new(now: Moment, config: &Config, seed: u64) -> Self {
        let agents = &config.agents;
        let place = |(seat, agent): (Seat, &AgentId)| Place::unheard(now, seat, agent);
        Roster {
            places: (0..).zip(agents).map(place).collect(),
            seats: agents.iter().cloned().zip(0..).collect(),
            selection: selection(config, seed),
            seed,
            silence: Silence::new(agents.len()),
            free: 0,
            logged_in: 0,
            working: 0,
            unheard: agents.len(),
            presence: Presence::hope(now, if agents.is_empty() { Duration::ZERO } else { UNHEARD }),
            nobody_grace: config.nobody_grace,
        }
    }

    /// Takes in what an agent says, unless he has said something newer already. Tells who he is, and whether an offer is
    /// open to him.
    pub(super) fn heard(&mut self, now: Moment, status: &AgentStatus) -> Option<(Seat, bool)> {
        let seat = self.seat(&status.agent)?;
        let place = &mut self.places[seat as usize];
        let first = place.standing.is_none();
        if !first && status.version <= place.version {
            return None;
        }
        let offered = place.offered;
        let AgentStatus { calls, talked, hardware, soft, .. } = *status;
        let mut candidate = Candidate { calls, talked, hardware, soft, ..place.candidate };
        if first || status.idle_period != place.idle_period {
            candidate.idle_since = match status.idle_period {
                // Nobody has done anything yet: list order decides (Spec: QU-3).
                0 => Moment::START,
                _ => now - status.idle_for,
            };
        }
        place.version = status.version;
        place.idle_period = status.idle_period;
        self.unheard -= usize::from(first);
        place.heard_at = now;
        self.silence.broken(now, seat);
        self.set(seat, status.standing, candidate);
        self.look_around(now, first && self.unheard == 0);
        Some((seat, offered))
    }

    /// Begins to wait for somebody when the last agent has logged out, or `all_heard` and nobody is logged in.
    fn look_around(&mut self, now: Moment, all_heard: bool) {
        self.presence = match self.presence {
            _ if self.logged_in > 0 => Presence::Somebody,
            Presence::Hoped { until } if all_heard => match Presence::hope(now, self.nobody_grace) {
                Presence::Hoped { until: sooner } => Presence::Hoped { until: until.min(sooner) },
                other => other,
            },
            Presence::Somebody => Presence::hope(now, self.nobody_grace),
            other @ (Presence::Hoped { .. } | Presence::Nobody) => other,
        };
    }

    /// Forgets those who have been silent for too long.
    pub(super) fn expire(&mut self, now: Moment) {
        while let Some((since, seat)) = self.silence.longest()
            && since + UNHEARD <= now
        {
            self.silence.end(seat);
            let candidate = self.places[seat as usize].candidate;
            self.set(seat, Standing::LoggedOut, candidate);
            self.look_around(now, false);
        }
        if matches!(self.presence, Presence::Hoped { until } if until <= now) {
            self.presence = Presence::Nobody;
        }
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        let hoped = match self.presence {
            Presence::Hoped { until } => Some(until),
            Presence::Somebody | Presence::Nobody => None,
        };
        self.silence.longest().map(|(since, _)| since + UNHEARD).into_iter().chain(hoped).min()
    }

    fn set(&mut self, seat: Seat, standing: Standing, candidate: Candidate) {
        self.withdraw(seat);
        let place = &mut self.places[seat as usize];
        self.logged_in -= usize::from(place.is_logged_in());
        self.working -= usize::from(place.works());
        place.standing = Some(standing);
        place.candidate = candidate;
        self.logged_in += usize::from(place.is_logged_in());
        self.working += usize::from(place.works());
        self.restore(seat);
    }

    /// Takes him out of the free, where he stands under the candidate that he was.
    fn withdraw(&mut self, seat: Seat) {
        let place = &mut self.places[seat as usize];
        if std::mem::take(&mut place.free) {
            self.free -= 1;
            self.selection.strategy().remove(&place.candidate);
        }
    }

    fn restore(&mut self, seat: Seat) {
        let place = &mut self.places[seat as usize];
        place.free = place.standing == Some(Standing::Free) && !place.offered && place.spent != Some(place.version);
        if place.free {
            self.free += 1;
            self.selection.strategy().insert(place.candidate);
        }
    }

    /// Chooses agents for a caller; they are not free from now on.
    pub(super) fn pick(&mut self, class: Class, tried: &[Seat], phones: u8) -> Vec<Pick> {
        let picks = self.selection.strategy().pick_for(class, tried, phones);
        for pick in &picks {
            self.withdraw(pick.seat);
            self.places[pick.seat as usize].offered = true;
        }
        picks
    }

    /// He comes to an offer by his own wish: he is not free from now on. Tells which version of his status that was.
    pub(super) fn summon(&mut self, seat: Seat) -> Version {
        self.withdraw(seat);
        self.places[seat as usize].offered = true;
        self.version(seat)
    }

    /// His hardware phones that can ring.
    pub(super) fn hardware(&self, seat: Seat) -> u8 {
        self.places[seat as usize].candidate.hardware
    }

    /// An offer on the strength of `version` is over for this agent. `spend` when he did not get the call although he was
    /// asked, or did get it: what he said then is not true any more.
    pub(super) fn unpick(&mut self, seat: Seat, version: Version, spend: bool) {
        self.withdraw(seat);
        let place = &mut self.places[seat as usize];
        place.offered = false;
        if spend {
            place.spent = Some(version);
        }
        self.restore(seat);
    }

    /// The class of the callers who need this.
    pub(super) fn class(&mut self, wanted: &Skills) -> Class {
        self.selection.class(wanted)
    }

    /// Whether a free agent suits the callers of this lane, if anybody is free at all.
    pub(super) fn suits_somebody(&self, lane: &Lane) -> bool {
        self.selection.suits_somebody(lane.class, lane.full)
    }

    pub(super) fn version(&self, seat: Seat) -> Version {
        self.places[seat as usize].version
    }

    pub(super) fn agent(&self, seat: Seat) -> &AgentId {
        &self.places[seat as usize].agent
    }

    pub(super) fn seat(&self, agent: &AgentId) -> Option<Seat> {
        self.seats.get(agent).copied()
    }

    /// Who was chosen last, where the agents take turns.
    pub(super) fn last_turn(&self) -> Option<Seat> {
        self.selection.last_turn()
    }

    /// The free agents who suit a class in the order in which they would be chosen, until `see` says `false`.
    pub(super) fn each_free(&self, class: Class, see: &mut dyn FnMut(Seat) -> bool) {
        self.selection.each(class, see);
    }

    /// What a class needs, and what an agent can do: nothing unless the strategy goes by skills.
    pub(super) fn skills(&self, class: Class, seat: Seat) -> (Skills, Skills) {
        self.selection.skills(class, seat)
    }

    pub(super) fn candidate(&self, seat: Seat) -> Candidate {
        self.places[seat as usize].candidate
    }

    pub(super) fn is_free(&self, seat: Seat) -> bool {
        self.places[seat as usize].free
    }

    /// What keeps him from every caller, as far as the queue knows; `None` when he is free.
    pub(super) fn obstacle(&self, now: Moment, seat: Seat) -> Option<Obstacle> {
        let place = &self.places[seat as usize];
        match place.standing {
            _ if place.offered => Some(Obstacle::Offered),
            None => Some(Obstacle::Unheard),
            Some(Standing::LoggedOut) if place.heard_at + UNHEARD <= now => {
                Some(Obstacle::Silent { seconds: now.since(place.heard_at).as_secs() })
            }
            Some(Standing::LoggedOut) => Some(Obstacle::LoggedOut),
            Some(Standing::OnBreak) => Some(Obstacle::OnBreak),
            Some(Standing::Busy) => Some(Obstacle::Busy),
            Some(Standing::Unreachable) => Some(Obstacle::Unreachable),
            Some(Standing::Free) => (!place.free).then_some(Obstacle::Spent),
        }
    }

    pub(super) const fn free(&self) -> usize {
        self.free
    }

    pub(super) const fn logged_in(&self) -> usize {
        self.logged_in
    }

    pub(super) const fn working(&self) -> usize {
        self.working
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether UN-4's "no agent is logged in" holds, and has for the grace.
    pub(super) fn nobody_logged_in(&self) -> bool {
        self.presence == Presence::Nobody
    }
}
