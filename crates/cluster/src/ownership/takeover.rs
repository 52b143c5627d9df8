//! From a key that names this node to a shard that it serves: announce, collect, serve. And the other side: hearing
//! others announce. See [`super`], "Taking over".

use std::collections::{BTreeMap, BTreeSet};

use carillon_acd::ids::{Epoch, NodeId};
use carillon_acd::time::Moment;

use super::Ownership;
use super::event::{Effect, Message, Seat, Tenure};
use super::seat::{Mine, Title};
use crate::coordinator::LeaseId;
use crate::mutant::Mutant;
use crate::shard::Shard;

impl Ownership {
    /// All keys, as of a revision. What is missing was deleted by then.
    pub(super) fn all_seats(&mut self, now: Moment, epoch: Epoch, seats: Vec<(Seat, LeaseId)>, out: &mut Vec<Effect>) {
        let mut missing: BTreeSet<Shard> = Shard::all().collect();
        for (seat, lease) in seats {
            missing.remove(&seat.shard);
            self.learn(now, seat, Some(lease), out);
        }
        for shard in missing {
            self.learn(now, Seat { shard, epoch, owner: None }, None, out);
        }
        self.seats_known = true;
    }

    /// What a shard's key says. `lease` is known when the feed says so; only then a key can be this node's.
    pub(super) fn learn(&mut self, now: Moment, seat: Seat, lease: Option<LeaseId>, out: &mut Vec<Effect>) {
        let state = &mut self.seats[seat.shard.index()];
        if seat.epoch <= state.epoch {
            return;
        }
        if seat.owner.is_some() || state.owner.is_some() {
            out.push(Effect::Owner(seat));
        }
        (state.epoch, state.owner) = (seat.epoch, seat.owner);
        match seat.owner {
            Some(owner) if owner == self.me.id => match lease {
                Some(lease) if self.authority.lease() == Some(lease) => {
                    self.take(now, seat.shard, Title { epoch: seat.epoch, lease });
                }
                // Written for an earlier registration of this node: it goes with that lease.
                Some(_) | None => self.lose(now, seat.shard, out),
            },
            Some(owner) => {
                self.peers.lives(owner);
                self.lose(now, seat.shard, out);
            }
            None => {
                state.free_since = now;
                self.lose(now, seat.shard, out);
            }
        }
    }

    /// The key is this node's: everybody is told.
    pub(super) fn take(&mut self, now: Moment, shard: Shard, title: Title) {
        let mine = &mut self.seats[shard.index()].mine;
        let served = mine.served();
        *mine = Mine::Announcing { title, served, answered: BTreeSet::new(), until: now + self.timing.patience };
        self.announce_again = now;
    }

    /// Who may hold something for a shard, or rely on its older epoch: every registered node, and those whose link works
    /// although the coordinator has lost them. After an outage all leases are gone, and the first to register anew would
    /// otherwise serve without what the others' calls hold.
    fn to_be_told(&self, now: Moment) -> BTreeSet<NodeId> {
        if Mutant::NotAnnounced.is_made() {
            return BTreeSet::new();
        }
        let others = self.peers.unsuspected().chain(self.peers.linked()).filter(|node| *node != self.me.id);
        others.chain(self.authority.promised(now)).collect()
    }

    /// The key is not this node's.
    fn lose(&mut self, now: Moment, shard: Shard, out: &mut Vec<Effect>) {
        let may_reclaim = |title: Title| {
            self.authority.holds(now) && (self.authority.is_vouched(now) || self.authority.lease() != Some(title.lease))
        };
        let state = &self.seats[shard.index()];
        let next = match &state.mine {
            // The answer to the claim is still to come.
            Mine::Asking { until } if state.owner.is_none() => Mine::Asking { until: *until },
            Mine::Serving(title) if state.owner.is_none() && may_reclaim(*title) => {
                Mine::Reclaiming { epoch: title.epoch, until: now }
            }
            Mine::Reclaiming { epoch, until } if state.owner.is_none() => {
                Mine::Reclaiming { epoch: *epoch, until: *until }
            }
            Mine::No
            | Mine::Asking { .. }
            | Mine::Idle(_)
            | Mine::Announcing { .. }
            | Mine::Serving(_)
            | Mine::Giving { .. }
            | Mine::Reclaiming { .. } => Mine::No,
        };
        if state.mine.served().is_some() && next.served().is_none() {
            out.push(Effect::Stop(shard));
        }
        self.seats[shard.index()].mine = next;
    }

    /// Moves on whoever has waited long enough, or for nobody.
    pub(super) fn progress(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let told = self.to_be_told(now);
        let mut wakes = Vec::new();
        let mut again = Vec::new();
        for (shard, state) in Shard::all().zip(&mut self.seats) {
            match &mut state.mine {
                Mine::No | Mine::Serving(_) => {}
                Mine::Idle(title) => {
                    if self.authority.may_begin(now) && self.authority.lease() == Some(title.lease) {
                        again.push((shard, *title));
                    }
                }
                Mine::Asking { until } if *until <= now => state.mine = Mine::No,
                Mine::Giving { title, until } if *until <= now => again.push((shard, *title)),
                Mine::Asking { until } | Mine::Giving { until, .. } => wakes.push(*until),
                // When it is due and no lease allows a claim, the next lease wakes it.
                Mine::Reclaiming { until, .. } => wakes.extend((now < *until).then_some(*until)),
                Mine::Announcing { title, answered, until, .. } => {
                    let unheard: Vec<NodeId> = told.difference(answered).copied().collect();
                    if unheard.is_empty() || *until <= now {
                        out.push(Effect::Serve(Tenure { shard, epoch: title.epoch }, unheard));
                        state.mine = Mine::Serving(*title);
                    } else {
                        wakes.push(*until);
                    }
                }
            }
        }
        wakes.extend(self.authority.promise_ends(now));
        wakes.into_iter().for_each(|at| self.wake_at(at));
        again.into_iter().for_each(|(shard, title)| self.take(now, shard, title));
    }

    /// Tells every node that has not answered, all its shards in one message, and again after a while.
    pub(super) fn announce(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let mut messages: BTreeMap<NodeId, Vec<Tenure>> = BTreeMap::new();
        let told = self.to_be_told(now);
        for (shard, state) in Shard::all().zip(&self.seats) {
            if let Mine::Announcing { title, answered, .. } = &state.mine {
                for node in told.difference(answered) {
                    messages.entry(*node).or_default().push(Tenure { shard, epoch: title.epoch });
                }
            }
        }
        if messages.is_empty() {
            return;
        }
        if now >= self.announce_again {
            out.extend(messages.into_iter().map(|(to, tenures)| Effect::Send(to, Message::Announce(tenures))));
            self.announce_again = now + self.timing.retry;
        }
        self.wake_at(self.announce_again);
    }

    /// `from` has told all that it holds for these.
    pub(super) fn answered(&mut self, from: NodeId, tenures: &[Tenure]) {
        for tenure in tenures {
            if let Mine::Announcing { title, answered, .. } = &mut self.seats[tenure.shard.index()].mine
                && title.epoch == tenure.epoch
            {
                answered.insert(from);
            }
        }
    }

    /// Another node announces: older epochs are refused from now on, and it gets what this node holds.
    pub(super) fn announced(&mut self, now: Moment, from: NodeId, tenures: Vec<Tenure>, out: &mut Vec<Effect>) {
        let mut accepted = Vec::new();
        let mut newer = Vec::new();
        for tenure in tenures {
            let known = self.seat(tenure.shard);
            if known.epoch > tenure.epoch {
                newer.push(known);
            } else {
                self.learn(now, Seat { shard: tenure.shard, epoch: tenure.epoch, owner: Some(from) }, None, out);
                accepted.push(tenure);
            }
        }
        if !accepted.is_empty() {
            out.push(Effect::Report { to: from, tenures: accepted });
        }
        if !newer.is_empty() {
            out.push(Effect::Send(from, Message::Newer(newer)));
        }
    }
}
