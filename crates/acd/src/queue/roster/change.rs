//! Another list of agents, in the place of the one that was.

use super::{Place, Presence, Roster, UNHEARD, selection};
use crate::ids::AgentId;
use crate::queue::Config;
use crate::queue::selection::Seat;
use crate::queue::silence::Silence;
use crate::queue::table::Table;
use crate::time::Moment;

impl Roster {
    /// Takes up the list and the strategy of `config`. Who was on the list and still is keeps everything that was heard of
    /// him; for those who are new callers are kept as by a new owner. Tells the new seat of each old one.
    pub(in crate::queue) fn configure(&mut self, now: Moment, config: &Config) -> Vec<Option<Seat>> {
        let places = std::mem::take(&mut self.places);
        let silent_for = self.silent_for();
        let turn = self.selection.last_turn();
        let seats: Table<AgentId, Seat> = config.agents.iter().cloned().zip(0..).collect();
        let moved: Vec<Option<Seat>> = places.iter().map(|place| seats.get(&place.agent).copied()).collect();
        let to = |seat: Seat| moved.get(seat as usize).copied().flatten();

        let mut all: Vec<Place> =
            (0..).zip(&config.agents).map(|(seat, agent)| Place::unheard(now, seat, agent)).collect();
        for mut place in places {
            if let Some(seat) = to(place.candidate.seat) {
                place.candidate.seat = seat;
                place.free = false;
                all[seat as usize] = place;
            }
        }
        *self = Roster {
            unheard: all.iter().filter(|place| place.standing.is_none()).count(),
            logged_in: all.iter().filter(|place| place.is_logged_in()).count(),
            working: all.iter().filter(|place| place.works()).count(),
            places: all,
            seats,
            selection: selection(config, self.seed),
            seed: self.seed,
            silence: Silence::new(config.agents.len()),
            free: 0,
            presence: self.presence,
            nobody_grace: config.nobody_grace,
        };
        for (since, seat) in silent_for.into_iter().filter_map(|(since, seat)| Some((since, to(seat)?))) {
            self.silence.broken(since, seat);
        }
        if let Some(seat) = turn.and_then(to) {
            self.selection.take_turns_after(seat);
        }
        for seat in (0..).take(self.places.len()) {
            self.restore(seat);
        }
        self.presence = self.presence_after(now);
        moved
    }

    /// Those who were heard, the longest silence first.
    fn silent_for(&mut self) -> Vec<(Moment, Seat)> {
        let mut all = Vec::new();
        while let Some((since, seat)) = self.silence.longest() {
            self.silence.end(seat);
            all.push((since, seat));
        }
        all
    }

    fn presence_after(&self, now: Moment) -> Presence {
        match self.presence {
            _ if self.logged_in > 0 => Presence::Somebody,
            _ if self.places.is_empty() => Presence::Nobody,
            _ if self.unheard > 0 => Presence::hope(now, UNHEARD),
            Presence::Somebody => Presence::hope(now, self.nobody_grace),
            other @ (Presence::Hoped { .. } | Presence::Nobody) => other,
        }
    }
}
