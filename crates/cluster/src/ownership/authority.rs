//! Until when this node may act as an owner: by its own lease, counted from when it asked (Spec: CL-5), or, while the
//! coordinator is out of everybody's reach, by the word of all other owners.
//!
//! The second is a lease that the others grant. A node that vouches promises not to serve, for `vouch` from then, what the
//! asker serves; the asker counts `vouch - margin` from when it asked. So it does not matter how late an answer comes, nor
//! that the coordinator may be back a moment later.

use std::collections::{BTreeMap, BTreeSet};

use carillon_acd::ids::NodeId;
use carillon_acd::lease::Lease;
use carillon_acd::time::Moment;

use super::event::Timing;
use crate::coordinator::LeaseId;

/// A question to all other owners.
#[derive(Debug)]
struct Round {
    number: u64,
    asked: Moment,
    missing: BTreeSet<NodeId>,
}

/// What allows this node to act, and what it allows others.
#[derive(Debug)]
pub(super) struct Authority {
    timing: Timing,
    lease: Option<(LeaseId, Lease)>,
    /// The last sign of life of the coordinator: when a request was sent that it answered, or news came.
    heard: Option<Moment>,
    vouched: Option<Moment>,
    rounds: u64,
    round: Option<Round>,
    promises: BTreeMap<NodeId, Moment>,
}

impl Authority {
    pub(super) fn new(timing: Timing) -> Self {
        let (lease, heard, vouched, round) = (None, None, None, None);
        Authority { timing, lease, heard, vouched, rounds: 0, round, promises: BTreeMap::new() }
    }

    /// The coordinator has given a lease that was asked for at `sent`.
    pub(super) fn registered(&mut self, lease: LeaseId, sent: Moment) {
        self.lease = Some((lease, Lease::new(sent, self.timing.ttl, self.timing.margin)));
        self.heard = self.heard.max(Some(sent));
        self.round = None;
    }

    /// The coordinator has answered at `now` the keep-alive that was sent at `sent`. Whether that was for this lease.
    pub(super) fn kept_alive(&mut self, lease: LeaseId, sent: Moment, now: Moment) -> bool {
        let Some((_, counted)) = self.lease.as_mut().filter(|(own, _)| *own == lease) else { return false };
        counted.confirmed(sent, now);
        self.heard = self.heard.max(Some(sent));
        self.round = None;
        true
    }

    /// The coordinator has sent news: it is not out of reach, though that renews nothing.
    pub(super) fn news(&mut self, now: Moment) {
        self.heard = self.heard.max(Some(now));
    }

    /// The coordinator has ended the lease.
    pub(super) fn lost(&mut self, lease: LeaseId) {
        self.lease.take_if(|(own, _)| *own == lease);
    }

    /// The lease, ended or not as far as this node knows.
    pub(super) fn lease(&self) -> Option<LeaseId> {
        self.lease.map(|(id, _)| id)
    }

    /// Whether this node may act.
    pub(super) fn holds(&self, now: Moment) -> bool {
        now < self.until()
    }

    /// When it has to stop unless it hears from the coordinator or from all others before.
    pub(super) fn until(&self) -> Moment {
        let lease = self.lease.map_or(Moment::START, |(_, lease)| lease.until());
        lease.max(self.vouched.unwrap_or(Moment::START))
    }

    /// Whether this node may begin to own something: only a lease allows that.
    pub(super) fn may_begin(&self, now: Moment) -> bool {
        self.lease.is_some_and(|(_, lease)| lease.holds(now))
    }

    /// Whether it may act only because the others vouch.
    pub(super) fn is_vouched(&self, now: Moment) -> bool {
        self.vouched.is_some_and(|until| now < until)
    }

    /// Until when an answer of the coordinator counts as contact with it: for two keep-alives' time.
    pub(super) fn contact_until(&self) -> Moment {
        self.heard.map_or(Moment::START, |sent| sent + self.timing.keep_alive * 2)
    }

    /// When this node gives up being vouched for; `None` if it has never heard of the coordinator.
    pub(super) fn outage_until(&self) -> Option<Moment> {
        self.heard.map(|sent| sent + self.timing.outage)
    }

    /// Begins a new question to `others`; its number. Nobody to ask is everybody's consent.
    pub(super) fn ask(&mut self, now: Moment, others: BTreeSet<NodeId>) -> u64 {
        self.rounds += 1;
        self.round = Some(Round { number: self.rounds, asked: now, missing: others });
        self.settle();
        self.rounds
    }

    /// Forgets the question that is open: it was asked of too few.
    pub(super) fn ask_no_more(&mut self) {
        self.round = None;
    }

    /// `from` has vouched.
    pub(super) fn answered(&mut self, from: NodeId, round: u64) {
        if let Some(open) = &mut self.round
            && open.number == round
        {
            open.missing.remove(&from);
            self.settle();
        }
    }

    fn settle(&mut self) {
        if let Some(round) = self.round.take_if(|round| round.missing.is_empty()) {
            let until = round.asked + self.timing.vouch.saturating_sub(self.timing.margin);
            self.vouched = self.vouched.max(Some(until));
        }
    }

    /// Vouches for `node`: until the promise ends, nothing of its may be served here.
    pub(super) fn promise(&mut self, node: NodeId, now: Moment) {
        self.promises.insert(node, now + self.timing.vouch);
    }

    /// To whom this node is bound at `now`.
    pub(super) fn promised(&self, now: Moment) -> impl Iterator<Item = NodeId> {
        self.promises.iter().filter(move |(_, until)| now < **until).map(|(node, _)| *node)
    }

    /// When the next promise ends.
    pub(super) fn promise_ends(&self, now: Moment) -> Option<Moment> {
        self.promises.values().copied().filter(|until| now < *until).min()
    }

    /// Forgets promises that have ended.
    pub(super) fn tidy(&mut self, now: Moment) {
        self.promises.retain(|_, until| now < *until);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::at(Duration::from_millis(milliseconds))
    }

    fn others() -> BTreeSet<NodeId> {
        BTreeSet::from([NodeId(2), NodeId(3)])
    }

    // spec: CL-5
    #[test]
    fn cl_5_all_others_must_vouch_and_the_time_of_asking_counts() {
        let mut authority = Authority::new(Timing::default());
        authority.registered(LeaseId(1), at(0));
        let round = authority.ask(at(2_000), others());
        authority.answered(NodeId(2), round);
        assert!(!authority.is_vouched(at(2_000)), "one is missing");
        authority.answered(NodeId(3), round);
        assert_eq!(authority.until(), at(2_000) + Timing::default().vouch - Timing::default().margin);
    }

    #[test]
    fn an_answer_to_an_earlier_question_does_not_count_for_a_later_one() {
        let mut authority = Authority::new(Timing::default());
        let first = authority.ask(at(0), others());
        let second = authority.ask(at(400), others());
        authority.answered(NodeId(2), second);
        authority.answered(NodeId(3), first);
        assert!(!authority.holds(at(401)));
    }

    #[test]
    fn a_promise_outlasts_what_the_asker_counts_whenever_it_was_given() {
        let slow = Timing::with_lease(Duration::from_secs(20));
        let (mut asker, mut voucher) = (Authority::new(slow), Authority::new(Timing::default()));
        let round = asker.ask(at(100), BTreeSet::from([NodeId(2)]));
        voucher.promise(NodeId(1), at(100));
        asker.answered(NodeId(2), round);
        let last = asker.until();
        assert!(voucher.promised(last).eq([NodeId(1)]));
        voucher.tidy(last + Duration::from_secs(1));
        assert_eq!(voucher.promises.len(), 0);
    }

    #[test]
    fn a_lost_lease_is_the_own_one() {
        let mut authority = Authority::new(Timing::default());
        authority.registered(LeaseId(2), at(0));
        authority.lost(LeaseId(1));
        assert!(authority.may_begin(at(1)));
        authority.lost(LeaseId(2));
        assert!(!authority.holds(at(1)));
    }
}
