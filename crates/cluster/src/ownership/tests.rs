//! One rule at a time; the storm has them all at once.

use std::collections::BTreeSet;
use std::time::Duration;

use carillon_acd::ids::{Epoch, NodeId};
use carillon_acd::time::Moment;

use super::rendezvous;
use super::{ClaimAnswer, Effect, Event, Message, Ownership, Seat, Tenure, Timing};
use crate::coordinator::{LeaseId, MAX_WRITES};
use crate::member::{Addresses, Node, Registered, Roles};
use crate::shard::{SHARDS, Shard};

const ME: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);
const LEASE: LeaseId = LeaseId(11);

fn node(id: NodeId, standing: bool) -> Node {
    Node {
        id,
        boot: 1,
        roles: Roles { edge: true, acd: true, api: false },
        addresses: Addresses::default(),
        zone: None,
        version: "1".into(),
        draining: false,
        standing,
    }
}

fn registered(id: NodeId, standing: bool) -> Registered {
    Registered { node: node(id, standing), lease: LeaseId(i64::from(id.0) + 10) }
}

/// A core, its clock, and what it wanted since it was last asked.
struct Stage {
    core: Ownership,
    now: Moment,
    wanted: Vec<Effect>,
}

impl Stage {
    /// Registered just now, with no shard owned by anybody.
    fn new() -> Stage {
        let now = Moment::at(Duration::from_secs(100));
        let mut stage = Stage { core: Ownership::new(node(ME, false), Timing::default()), now, wanted: Vec::new() };
        stage.hears(Event::Registered { lease: LEASE, sent: now });
        stage
    }

    /// With `others` that stand, standing too.
    fn among(others: &[NodeId]) -> Stage {
        let mut stage = Stage::new();
        stage.lists(others, false);
        stage.hears(Event::Roster(BTreeSet::new()));
        stage.hears(Event::Received(OTHER, Message::Welcome { boot: 1 }));
        stage.lists(others, true);
        others.iter().for_each(|other| stage.hears(Event::LinkUp(*other)));
        stage.hears(Event::AllSeats(Epoch(1), Vec::new()));
        stage
    }

    fn lists(&mut self, others: &[NodeId], standing: bool) {
        let others = others.iter().map(|other| registered(*other, true));
        self.hears(Event::Nodes(others.chain([registered(ME, standing)]).collect()));
    }

    fn hears(&mut self, event: Event) {
        self.core.handle(self.now, event, &mut self.wanted);
    }

    fn passes(&mut self, milliseconds: u64) {
        self.now = self.now + Duration::from_millis(milliseconds);
        self.hears(Event::Time);
    }

    fn kept_alive(&mut self) {
        self.hears(Event::KeptAlive { lease: LEASE, sent: self.now });
    }

    /// What was wanted since the last time.
    fn takes(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.wanted)
    }

    fn claims(&mut self) -> Vec<(Shard, Option<Epoch>)> {
        let claims = self.takes().into_iter().filter_map(|effect| match effect {
            Effect::Claim(_, shards) => Some(shards),
            _ => None,
        });
        claims.flatten().collect()
    }

    fn feed(&mut self, shard: Shard, epoch: u64, owner: Option<NodeId>) {
        let lease = owner.map(|owner| LeaseId(i64::from(owner.0) + 10));
        self.hears(Event::Seats(vec![(Seat { shard, epoch: Epoch(epoch), owner }, lease)]));
    }

    /// Owns `shard`, and everybody has answered.
    fn serves(&mut self, shard: Shard, epoch: u64) {
        self.feed(shard, epoch, Some(ME));
        self.hears(Event::Received(OTHER, Message::Answer(vec![tenure(shard, epoch)])));
        assert_eq!(self.core.serves(shard), Some(Epoch(epoch)));
        self.takes();
    }
}

fn tenure(shard: Shard, epoch: u64) -> Tenure {
    Tenure { shard, epoch: Epoch(epoch) }
}

/// A shard that `node` of the two should own.
fn shard_of(node: NodeId) -> Shard {
    Shard::all().find(|shard| rendezvous::first(*shard, [ME, OTHER]) == Some(node)).unwrap()
}

// spec: CL-2
#[test]
fn cl_2_a_node_claims_what_it_comes_first_for_and_later_what_nobody_took() {
    let mut stage = Stage::among(&[OTHER]);
    let claims = stage.claims();
    assert!((400..600).contains(&claims.len()), "about half of {SHARDS}: {}", claims.len());
    assert!(claims.iter().all(|(shard, epoch)| rendezvous::first(*shard, [ME, OTHER]) == Some(ME) && epoch.is_none()));
    for _ in 0..3 {
        stage.passes(1_000);
        stage.kept_alive();
    }
    let later = stage.claims();
    assert_eq!(claims.len() + later.len(), usize::from(SHARDS), "the other one is not able to");
}

#[test]
fn claims_go_in_transactions_that_a_coordinator_takes() {
    let mut stage = Stage::among(&[OTHER]);
    let sizes: Vec<usize> = stage
        .takes()
        .iter()
        .filter_map(|effect| match effect {
            Effect::Claim(_, shards) => Some(shards.len()),
            _ => None,
        })
        .collect();
    assert!(!sizes.is_empty() && sizes.iter().all(|size| (1..=MAX_WRITES).contains(size)), "{sizes:?}");
}

#[test]
fn a_claim_counts_when_the_feed_brings_it() {
    let (mut stage, shard) = (Stage::among(&[OTHER]), shard_of(ME));
    stage.takes();
    stage.hears(Event::Claimed(vec![shard], ClaimAnswer::Done));
    assert_eq!(stage.takes(), [], "the list of nodes may be older than the claim");
    stage.feed(shard, 7, Some(ME));
    assert!(stage.takes().contains(&Effect::Send(OTHER, Message::Announce(vec![tenure(shard, 7)]))));
}

// spec: CL-3
#[test]
fn cl_3_an_owner_serves_when_every_node_has_told_what_it_holds() {
    let (mut stage, shard) = (Stage::among(&[OTHER]), shard_of(ME));
    stage.feed(shard, 7, Some(ME));
    stage.hears(Event::Received(OTHER, Message::Answer(vec![tenure(shard, 6)])));
    assert_eq!(stage.core.serves(shard), None, "an answer to an older epoch is none");
    stage.takes();
    stage.passes(400);
    assert!(stage.takes().contains(&Effect::Send(OTHER, Message::Announce(vec![tenure(shard, 7)]))), "once more");
    stage.hears(Event::Received(OTHER, Message::Answer(vec![tenure(shard, 7)])));
    assert_eq!(stage.takes(), [Effect::Serve(tenure(shard, 7), vec![])]);
}

// spec: CL-3, CL-5: all leases were lost in an outage, and the other node has not registered anew yet.
#[test]
fn cl_3_who_is_linked_is_asked_though_not_registered() {
    let (mut stage, shard) = (Stage::among(&[OTHER]), shard_of(ME));
    stage.lists(&[], true);
    stage.feed(shard, 7, Some(ME));
    assert!(stage.takes().contains(&Effect::Send(OTHER, Message::Announce(vec![tenure(shard, 7)]))));
    assert_eq!(stage.core.serves(shard), None);
    stage.hears(Event::Received(OTHER, Message::Answer(vec![tenure(shard, 7)])));
    assert_eq!(stage.core.serves(shard), Some(Epoch(7)));
}

#[test]
fn a_node_that_never_answers_is_not_waited_for_for_ever() {
    let (mut stage, shard) = (Stage::among(&[OTHER]), shard_of(ME));
    stage.feed(shard, 7, Some(ME));
    for _ in 0..10 {
        stage.passes(1_000);
        stage.kept_alive();
    }
    assert!(stage.takes().contains(&Effect::Serve(tenure(shard, 7), vec![OTHER])), "and it is said who is missing");
}

// spec: CL-3
#[test]
fn cl_3_the_stale_is_told_who_owns_now() {
    let (mut stage, shard) = (Stage::among(&[OTHER]), shard_of(OTHER));
    stage.feed(shard, 9, Some(OTHER));
    stage.takes();
    stage.hears(Event::Received(NodeId(3), Message::Announce(vec![tenure(shard, 8)])));
    let seat = Seat { shard, epoch: Epoch(9), owner: Some(OTHER) };
    assert_eq!(stage.takes(), [Effect::Send(NodeId(3), Message::Newer(vec![seat]))]);
    stage.hears(Event::Received(OTHER, Message::Announce(vec![tenure(shard, 9)])));
    assert_eq!(stage.takes(), [Effect::Report { to: OTHER, tenures: vec![tenure(shard, 9)] }], "as often as asked");
}

// spec: CL-5
#[test]
fn cl_5_an_owner_whose_keep_alives_are_not_answered_stops_in_time_and_announces_again() {
    let (mut stage, shard) = (Stage::among(&[OTHER]), shard_of(ME));
    stage.serves(shard, 7);
    let until = stage.core.until();
    assert_eq!(until, stage.now + Timing::default().ttl - Timing::default().margin);
    while stage.now < until {
        let next = stage.core.deadline().expect("it waits for its end");
        assert!(next > stage.now && next <= until, "the core sleeps beyond its end");
        stage.now = next;
        stage.hears(Event::Time);
    }
    assert!(stage.takes().contains(&Effect::Stop(shard)));
    // The answer came late, but the lease was renewed and the key never lost.
    stage.kept_alive();
    let again = stage.takes();
    assert!(again.contains(&Effect::Send(OTHER, Message::Announce(vec![tenure(shard, 7)]))), "{again:?}");
    assert_eq!(stage.core.serves(shard), None);
}

// spec: CL-5
#[test]
fn cl_5_one_that_has_contact_vouches_for_nobody() {
    let mut stage = Stage::among(&[OTHER]);
    let ask = Message::AskVouch { round: 3, owners: BTreeSet::from([ME, OTHER]) };
    stage.takes();
    stage.hears(Event::Received(OTHER, ask.clone()));
    assert_eq!(stage.takes(), []);
    stage.passes(1_000);
    stage.takes();
    stage.hears(Event::Received(OTHER, Message::AskVouch { round: 3, owners: BTreeSet::from([OTHER]) }));
    assert_eq!(stage.takes(), [], "it does not know of us");
    stage.hears(Event::Received(OTHER, ask));
    assert_eq!(stage.takes(), [Effect::Send(OTHER, Message::Vouch { round: 3 })]);
}

// spec: CL-5
#[test]
fn cl_5_who_has_vouched_waits_for_whom_it_vouched_for() {
    let (mut stage, shard) = (Stage::among(&[OTHER]), shard_of(ME));
    stage.passes(1_000);
    let owners = BTreeSet::from([ME, OTHER]);
    stage.hears(Event::Received(OTHER, Message::AskVouch { round: 1, owners }));
    stage.kept_alive();
    // The coordinator is back and has given the other one up; nobody can ask it.
    stage.lists(&[], true);
    stage.hears(Event::LinkDown(OTHER));
    stage.feed(shard, 7, Some(ME));
    assert_eq!(stage.core.serves(shard), None, "the other one still counts on our word");
    stage.passes(2_000);
    stage.kept_alive();
    stage.passes(1_000);
    assert_eq!(stage.core.serves(shard), Some(Epoch(7)));
}

#[test]
fn a_suspect_is_replaced_at_once_and_one_that_answers_its_probe_is_not() {
    let mut stage = Stage::among(&[OTHER]);
    let shard = shard_of(OTHER);
    stage.feed(shard, 5, Some(OTHER));
    stage.takes();
    stage.hears(Event::LinkDown(OTHER));
    assert_eq!(stage.takes(), [Effect::Probe(OTHER)]);
    stage.hears(Event::ProbeAnswered(OTHER));
    assert_eq!(stage.claims(), []);
    stage.hears(Event::LinkUp(OTHER));
    stage.hears(Event::LinkDown(OTHER));
    stage.hears(Event::ProbeFailed(OTHER));
    assert!(stage.claims().contains(&(shard, Some(Epoch(5)))), "by compare-and-swap");
}

#[test]
fn two_that_cannot_reach_each_other_do_not_take_each_others_shards_for_ever() {
    let mut stage = Stage::among(&[OTHER]);
    let shard = shard_of(ME);
    stage.serves(shard, 5);
    stage.hears(Event::LinkDown(OTHER));
    stage.hears(Event::ProbeFailed(OTHER));
    stage.takes();
    // It suspected us too, and has taken the shard: so it lives.
    stage.feed(shard, 8, Some(OTHER));
    assert_eq!(stage.claims(), []);
    stage.passes(1_000);
    assert_eq!(stage.claims(), []);
}

// spec: CL-6
#[test]
fn cl_6_a_hand_over_that_fails_ends_with_the_old_owner_serving_again() {
    let mut stage = Stage::among(&[OTHER]);
    let shard = shard_of(ME);
    stage.serves(shard, 5);
    stage.hears(Event::Drain(true));
    let wanted = stage.takes();
    let stop = wanted.iter().position(|effect| *effect == Effect::Stop(shard)).expect("it stops first");
    let given = Effect::HandOver { to: OTHER, lease: LeaseId(12), tenures: vec![tenure(shard, 5)] };
    assert!(wanted.iter().position(|effect| *effect == given).expect("and then gives") > stop);
    stage.hears(Event::Drain(false));
    stage.hears(Event::HandedOver(vec![shard], ClaimAnswer::LeaseLost));
    stage.hears(Event::Received(OTHER, Message::Answer(vec![tenure(shard, 5)])));
    assert_eq!(stage.core.serves(shard), Some(Epoch(5)));
}

// spec: CL-2
#[test]
fn cl_2_a_stranger_waits_when_some_that_were_there_are_not() {
    let mut stage = Stage::new();
    stage.lists(&[], false);
    stage.hears(Event::Roster(BTreeSet::from([OTHER])));
    stage.hears(Event::AllSeats(Epoch(1), Vec::new()));
    assert!(!stage.core.stands(), "the other may be serving, vouched for by one we do not know");
    for _ in 0..Timing::default().outage.as_secs() {
        stage.passes(1_000);
        stage.kept_alive();
    }
    assert!(stage.core.stands());
    let record = Effect::Record { lease: LEASE, draining: false, standing: true };
    assert!(stage.takes().contains(&record), "and tells everybody");
}

#[test]
fn a_node_welcomes_a_stranger_only_when_nobody_relies_on_its_word() {
    let mut stage = Stage::among(&[OTHER]);
    let welcome = Effect::Send(NodeId(3), Message::Welcome { boot: 1 });
    stage.passes(1_000);
    stage.hears(Event::Received(OTHER, Message::AskVouch { round: 1, owners: BTreeSet::from([ME, OTHER]) }));
    stage.takes();
    stage.hears(Event::Received(NodeId(3), Message::Join(node(NodeId(3), false))));
    assert!(!stage.takes().contains(&welcome));
    stage.kept_alive();
    stage.passes(2_000);
    stage.kept_alive();
    stage.passes(1_000);
    stage.takes();
    stage.hears(Event::Received(NodeId(3), Message::Join(node(NodeId(3), false))));
    assert!(stage.takes().contains(&welcome));
    stage.passes(1_000);
    stage.takes();
    stage.hears(Event::Received(OTHER, Message::AskVouch { round: 2, owners: BTreeSet::from([ME, OTHER]) }));
    assert_eq!(stage.takes(), [], "the circle is larger now");
}
