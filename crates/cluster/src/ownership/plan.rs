//! What this node should own and does not, and what it owns and should not. See [`super`], "Taking over", "Suspicion" and
//! "Moving".

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use carillon_acd::ids::{Epoch, NodeId};
use carillon_acd::time::Moment;

use super::event::{ClaimAnswer, Effect, Tenure};
use super::seat::Mine;
use super::{Ownership, rendezvous};
use crate::coordinator::MAX_WRITES;
use crate::shard::Shard;

/// How many shards may still move in the second that began at `since`.
#[derive(Debug, Default)]
pub(super) struct Pace {
    since: Option<Moment>,
    moved: u32,
}

impl Pace {
    const WINDOW: Duration = Duration::from_secs(1);

    /// Takes one move, or says when there are moves again.
    fn take(&mut self, now: Moment, per_second: u32) -> Result<(), Moment> {
        let begun = self.since.filter(|since| now < *since + Self::WINDOW);
        if begun.is_none() {
            (self.since, self.moved) = (Some(now), 0);
        }
        if self.moved < per_second {
            self.moved += 1;
            return Ok(());
        }
        Err(begun.unwrap_or(now) + Self::WINDOW)
    }
}

/// Who should own each shard, for one set of candidates.
#[derive(Debug, Default)]
pub(super) struct Ideal {
    candidates: BTreeSet<NodeId>,
    first: Vec<NodeId>,
}

impl Ideal {
    fn update(&mut self, candidates: &BTreeSet<NodeId>) {
        if self.candidates != *candidates {
            let first = |shard| rendezvous::first(shard, candidates.iter().copied());
            // Without candidates it stays empty.
            self.first = Shard::all().filter_map(first).collect();
            self.candidates.clone_from(candidates);
        }
    }

    fn first(&self, shard: Shard) -> Option<NodeId> {
        self.first.get(shard.index()).copied()
    }
}

impl Ownership {
    /// Claims what has no owner, or a suspected one, as far as this node comes first for it.
    pub(super) fn claim(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let Some(lease) = self.authority.lease() else { return };
        let candidates = self.candidates();
        let may_begin = self.authority.may_begin(now) && self.seats_known;
        let stands = may_begin && candidates.contains(&self.me.id);
        let mut wanted = Vec::new();
        for shard in Shard::all() {
            match &self.seats[shard.index()].mine {
                Mine::No if stands => wanted.extend(self.is_due(now, shard, &candidates)),
                Mine::Reclaiming { until, .. } if may_begin && *until <= now => wanted.push((shard, None)),
                Mine::No
                | Mine::Idle(_)
                | Mine::Asking { .. }
                | Mine::Announcing { .. }
                | Mine::Serving(_)
                | Mine::Giving { .. }
                | Mine::Reclaiming { .. } => {}
            }
        }
        for batch in wanted.chunks(MAX_WRITES) {
            batch.iter().for_each(|(shard, _)| self.wait_for_claim(*shard, now + self.timing.patience));
            out.push(Effect::Claim(lease, batch.to_vec()));
        }
    }

    /// How this shard is to be claimed, if it is this node's turn.
    fn is_due(&mut self, now: Moment, shard: Shard, candidates: &BTreeSet<NodeId>) -> Option<(Shard, Option<Epoch>)> {
        let place = || rendezvous::place(shard, self.me.id, candidates.iter().copied());
        let state = &self.seats[shard.index()];
        let Some(owner) = state.owner else {
            let turn = state.free_since + self.timing.ttl * place();
            if now < turn {
                self.wake_at(turn);
            }
            return (turn <= now).then_some((shard, None));
        };
        (self.peers.is_suspected(owner) && place() == 0).then_some((shard, Some(state.epoch)))
    }

    fn wait_for_claim(&mut self, shard: Shard, until: Moment) {
        let mine = &mut self.seats[shard.index()].mine;
        *mine = match mine {
            Mine::No | Mine::Asking { .. } => Mine::Asking { until },
            Mine::Reclaiming { epoch, .. } => Mine::Reclaiming { epoch: *epoch, until },
            // The feed was faster.
            Mine::Idle(_) | Mine::Announcing { .. } | Mine::Serving(_) | Mine::Giving { .. } => return,
        };
        self.wake_at(until);
    }

    /// A claim was answered. One that is done waits for the feed, any other is tried again after a while.
    pub(super) fn claimed(&mut self, now: Moment, shards: &[Shard], answer: ClaimAnswer) {
        match answer {
            ClaimAnswer::Done => {}
            ClaimAnswer::Conflict | ClaimAnswer::LeaseLost | ClaimAnswer::Unknown => {
                for shard in shards {
                    if matches!(self.seats[shard.index()].mine, Mine::Asking { .. } | Mine::Reclaiming { .. }) {
                        self.wait_for_claim(*shard, now + self.timing.retry);
                    }
                }
            }
        }
    }

    /// Hands over what another node should own and can be told.
    pub(super) fn move_away(&mut self, now: Moment, out: &mut Vec<Effect>) {
        if !self.authority.may_begin(now) {
            return;
        }
        let candidates = self.candidates();
        // After an outage a node serves again before it stands again; that is no reason to give anything away.
        if !self.draining && !candidates.contains(&self.me.id) {
            return;
        }
        self.ideal.update(&candidates);
        let mut going: BTreeMap<NodeId, Vec<Tenure>> = BTreeMap::new();
        for shard in Shard::all() {
            let Mine::Serving(title) = self.seats[shard.index()].mine else { continue };
            let Some(to) = self.successor(shard) else { continue };
            if !self.draining
                && let Err(later) = self.pace.take(now, self.timing.moves_per_second)
            {
                self.wake_at(later);
                break;
            }
            let until = now + self.timing.patience;
            self.seats[shard.index()].mine = Mine::Giving { title, until };
            self.wake_at(until);
            out.push(Effect::Stop(shard));
            going.entry(to).or_default().push(Tenure { shard, epoch: title.epoch });
        }
        for (to, tenures) in going {
            let Some(lease) = self.peers.lease(to) else { continue };
            let batches = tenures.chunks(MAX_WRITES);
            out.extend(batches.map(|batch| Effect::HandOver { to, lease, tenures: batch.to_vec() }));
        }
    }

    fn successor(&self, shard: Shard) -> Option<NodeId> {
        let first = self.ideal.first(shard)?;
        (first != self.me.id && self.peers.is_linked(first)).then_some(first)
    }

    /// A hand-over was answered. One that is done waits for the feed; after any other the shard is this node's again,
    /// if the feed does not say otherwise by then.
    pub(super) fn handed_over(&mut self, now: Moment, shards: &[Shard], answer: ClaimAnswer) {
        let wait = match answer {
            ClaimAnswer::Done => return,
            ClaimAnswer::LeaseLost => Duration::ZERO,
            ClaimAnswer::Conflict | ClaimAnswer::Unknown => self.timing.retry,
        };
        for shard in shards {
            if let Mine::Giving { until, .. } = &mut self.seats[shard.index()].mine {
                *until = now + wait;
            }
        }
    }
}
