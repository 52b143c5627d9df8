//! Who owns which shard: the pure core of the cluster (Spec: CL-2, CL-3, CL-5, CL-6). It hears what the coordinator,
//! the links and the other nodes' cores say, and says what to write, send, serve and stop.
//!
//! # Taking over
//! A shard without an owner is claimed by the candidate that comes first for it; later ones follow at intervals of a
//! `ttl`, should the first be unable. The claim counts when the coordinator's *feed* brings it, not when its answer
//! comes: nodes and shards share one feed, so by then the list of nodes is as of that epoch, and nobody who could serve
//! an older epoch is missing from it. Then every registered node is told the epoch, and every node whose link works:
//! it may have lost its registration in an outage, but not its calls. It refuses older epochs from then on, tells what it
//! holds, and answers. A node that does not answer is waited for until its registration and its link end, at most for
//! `patience`. Only then does the new owner serve.
//!
//! # Stopping
//! An owner acts until the *sending* of its last answered keep-alive + `ttl` - `margin`. The coordinator counts `ttl`
//! from some later moment, so whoever finds the key gone finds an owner that has stopped. [`super::acting::Acting`]
//! carries that moment to the actors, which ask it before they act: a process that was frozen acts on nothing stale when
//! it wakes, even before this core hears of anything.
//!
//! # Without the coordinator
//! While it is out of everybody's reach nobody can get a new epoch, and stopping would only stop the service. But one
//! node cannot tell "it is down" from "I am cut off". So an owner that has lost contact asks all acd nodes that it knows
//! of. Each consents if it has no contact either and knows of exactly the same nodes, and with that promises not to
//! serve, for the time `vouch`, what the asker serves. One that does not consent or answer ends it: the owner stops when its
//! lease ends. Each round of consent is worth `vouch - margin` from its asking; after `outage` no more are asked.
//! What makes it safe: no node outside the circle can own shards (see "Joining"), and a node inside is bound by its
//! promise. When the coordinator is back, leases and keys may be gone. Owners then register anew and claim their keys
//! again without having stopped, and the promises keep everybody else waiting for them.
//! A cluster of one acd node asks nobody, and goes on. An acd node that dies while the coordinator is away ends the
//! consent for all others: its silence cannot be told from that of a node that has found the coordinator. Then they stop
//! offering until it is back, and callers keep waiting.
//!
//! # Joining
//! A node that those vouching do not know of could own shards behind their back. So a new node stands for shards only
//! when a standing node has welcomed it: one that is itself neither vouched for nor bound by a promise, that knows of the
//! new node from then on, and consents to no question that leaves it out. If none stands: when every node of the roster,
//! those that ever stood and did not leave for good, has registered anew, or after `outage` without one, when whoever may
//! have been vouched for has stopped.
//!
//! # Suspicion
//! A link that breaks and a probe that fails let the successor replace the owner's key at once, without waiting for its
//! lease. The suspect may still run, cut off from us. It learns from its feed, or stops when its lease ends; until
//! then it is alone with its offers, because every other node has heard the newer epoch. This is the one case in which two
//! nodes may serve one shard at the same time, and the reason why safety rests with call and agent (design, idea 2).
//!
//! # Moving
//! Owners hand over what another candidate should own: all at once when they drain, `moves_per_second` when a node has
//! joined. They stop, and replace their key by one on the successor's lease if their epoch still stands. A hand-over
//! that fails ends with the old owner announcing its epoch again.

mod authority;
mod event;
mod joining;
mod outage;
mod peers;
mod plan;
mod rendezvous;
mod seat;
#[cfg(test)]
mod storm;
mod takeover;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use carillon_acd::ids::{Epoch, NodeId};
use carillon_acd::time::Moment;

use authority::Authority;
pub use event::{BadTiming, ClaimAnswer, Effect, Event, Message, Seat, Tenure, Timing};
use joining::Joining;
use peers::Peers;
use plan::{Ideal, Pace};
use seat::{Mine, State};

use crate::coordinator::LeaseId;
use crate::member::Node;
use crate::shard::{SHARDS, Shard};

/// One node's view of who owns what. See the module's description.
#[derive(Debug)]
pub struct Ownership {
    me: Node,
    timing: Timing,
    authority: Authority,
    peers: Peers,
    joining: Joining,
    seats: Vec<State>,
    seats_known: bool,
    ideal: Ideal,
    pace: Pace,
    draining: bool,
    left: bool,
    announce_again: Moment,
    ask_again: Moment,
    wake: Option<Moment>,
}

impl Ownership {
    /// The core of the node that `me` describes; it owns nothing yet, and stands for nothing.
    pub fn new(me: Node, timing: Timing) -> Self {
        let seats = vec![State::unknown(); usize::from(SHARDS)];
        Ownership {
            me,
            timing,
            authority: Authority::new(timing),
            peers: Peers::default(),
            joining: Joining::default(),
            seats,
            seats_known: false,
            ideal: Ideal::default(),
            pace: Pace::default(),
            draining: false,
            left: false,
            announce_again: Moment::START,
            ask_again: Moment::START,
            wake: None,
        }
    }

    /// Hears an event at `now` and appends what is to be done.
    pub fn handle(&mut self, now: Moment, event: Event, out: &mut Vec<Effect>) {
        self.fence(now, out);
        match event {
            Event::Registered { lease, sent } => self.registered(now, lease, sent),
            Event::KeptAlive { lease, sent } => {
                if self.authority.kept_alive(lease, sent, now) {
                    self.peers.confirmed();
                }
            }
            Event::LeaseLost(lease) => self.authority.lost(lease),
            Event::Nodes(nodes) => {
                self.authority.news(now);
                self.peers.listed(nodes);
            }
            Event::Roster(roster) => self.joining.roster(roster),
            Event::AllSeats(epoch, seats) => {
                self.authority.news(now);
                self.all_seats(now, epoch, seats, out);
            }
            Event::Seats(seats) => {
                self.authority.news(now);
                seats.into_iter().for_each(|(seat, lease)| self.learn(now, seat, lease, out));
            }
            Event::Claimed(shards, answer) => self.claimed(now, &shards, answer),
            Event::HandedOver(shards, answer) => self.handed_over(now, &shards, answer),
            Event::LinkUp(node) => self.peers.link_up(node),
            Event::LinkDown(node) => self.peers.link_down(node, now, &self.timing, out),
            Event::ProbeAnswered(node) => self.peers.probed(node, true),
            Event::ProbeFailed(node) => self.peers.probed(node, false),
            Event::Received(from, message) => self.received(now, from, message, out),
            Event::Drain(wanted) => self.draining = wanted,
            Event::Leave => self.left = true,
            Event::Time => {}
        }
        self.advance(now, out);
    }

    /// When [`Event::Time`] is due at the latest.
    pub fn deadline(&self) -> Option<Moment> {
        self.wake
    }

    /// Until when this node may act on the shards that it serves. It only ever grows, except to the start of time when
    /// the lease is lost.
    pub fn until(&self) -> Moment {
        if self.left { Moment::START } else { self.authority.until() }
    }

    /// In which epoch this node serves a shard; whether it may act on that is [`Ownership::until`]'s to say.
    pub fn serves(&self, shard: Shard) -> Option<Epoch> {
        self.seats[shard.index()].mine.served()
    }

    /// The lease of this node's registration, as far as it knows.
    pub fn lease(&self) -> Option<LeaseId> {
        self.authority.lease()
    }

    /// The newest epoch of any shard that this node has heard of.
    pub fn newest(&self) -> Epoch {
        self.seats.iter().map(|state| state.epoch).max().unwrap_or_default()
    }

    /// Whether this node has heard what all shards' keys say.
    pub fn is_informed(&self) -> bool {
        self.seats_known
    }

    /// Whether this node may own shards.
    pub fn stands(&self) -> bool {
        self.joining.stands()
    }

    /// Whether this node is told to hand over what it owns.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// How many shards this node serves.
    pub fn serving(&self) -> usize {
        self.seats.iter().filter(|state| state.mine.served().is_some()).count()
    }

    /// How many shards this node owns or is about to, serving them or not. A node that drains is done at zero.
    pub fn holdings(&self) -> usize {
        self.seats.iter().filter(|state| state.mine != Mine::No).count()
    }

    /// What a shard's key says, as far as this node has heard.
    pub fn seat(&self, shard: Shard) -> Seat {
        let State { epoch, owner, .. } = self.seats[shard.index()];
        Seat { shard, epoch, owner }
    }

    fn registered(&mut self, now: Moment, lease: LeaseId, sent: Moment) {
        self.joining.begin(now);
        self.authority.registered(lease, sent);
        self.peers.confirmed();
    }

    fn received(&mut self, now: Moment, from: NodeId, message: Message, out: &mut Vec<Effect>) {
        match message {
            Message::Announce(tenures) => self.announced(now, from, tenures, out),
            Message::Answer(tenures) => self.answered(from, &tenures),
            Message::Newer(seats) => {
                let me = Some(self.me.id);
                let foreign = seats.into_iter().filter(|seat| seat.owner != me);
                foreign.for_each(|seat| self.learn(now, seat, None, out));
            }
            Message::AskVouch { round, owners } => self.asked(now, from, round, &owners, out),
            Message::Vouch { round } => self.authority.answered(from, round),
            Message::Join(node) => self.join_asked(now, from, &node, out),
            Message::Welcome { boot } => self.welcomed(boot),
        }
    }

    /// What follows from the state and the time alone. Notes in `wake` when time alone changes something next.
    fn advance(&mut self, now: Moment, out: &mut Vec<Effect>) {
        self.wake = self.peers.advance(now);
        self.authority.tidy(now);
        self.fence(now, out);
        if self.left {
            return;
        }
        self.consult(now, out);
        self.stand(now, out);
        self.progress(now, out);
        self.claim(now, out);
        self.move_away(now, out);
        self.announce(now, out);
        if self.seats.iter().any(|state| state.mine.served().is_some()) {
            self.wake_at(self.authority.until());
        }
    }

    /// Stops everything when the authority to act has ended.
    fn fence(&mut self, now: Moment, out: &mut Vec<Effect>) {
        if self.authority.holds(now) && !self.left {
            return;
        }
        for (shard, state) in Shard::all().zip(&mut self.seats) {
            if state.mine.served().is_some() {
                out.push(Effect::Stop(shard));
            }
            state.mine = state.mine.title().map_or(Mine::No, Mine::Idle);
        }
    }

    fn wake_at(&mut self, at: Moment) {
        self.wake = Some(self.wake.map_or(at, |earlier| earlier.min(at)));
    }

    fn candidates(&self) -> BTreeSet<NodeId> {
        let mut candidates = self.peers.candidates();
        if self.draining {
            candidates.remove(&self.me.id);
        }
        candidates
    }
}
