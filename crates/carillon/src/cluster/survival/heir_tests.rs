use std::sync::Arc;

use carillon_acd::call::{Call, Config, Event, FromQueue};
use carillon_acd::ids::{Epoch, LegId, NumberId, QueueId, TrunkId};
use carillon_acd::leg::{CallerId, Cause, Incoming, LegImage, Source};
use carillon_acd::record::{Outcome, Record};
use carillon_acd::route::{NumberRoute, QueueRoute, Routing, Tables, Target, TrunkRoute, WaitingSound};
use carillon_acd::ticket::Sequence;
use carillon_acd::time::{Moment, Now, WallTime};
use carillon_rpc::cluster::Legacy;

use super::*;

/// The edge that dies.
pub(crate) const EDGE: NodeId = NodeId(1);
/// The heir that comes before the one that is tested.
const FIRST: NodeId = NodeId(2);

pub(crate) fn call(number: u64) -> CallId {
    CallId { node: EDGE, boot: 1, number }
}

fn routing() -> Routing {
    let name = |text: &str| text.parse().unwrap();
    let trunk = TrunkId::new(name("default"), name("carrier"));
    let queue = QueueId::new(name("default"), name("support"));
    let number = NumberId::new(name("default"), name("main"));
    let called = "+33123456789".parse().unwrap();
    Routing::new(Tables {
        numbers: vec![NumberRoute::new(number, called, trunk.clone(), Target::Queue(queue.clone()))],
        queues: vec![QueueRoute { waiting_sound: WaitingSound::Music, ..QueueRoute::new(queue) }],
        trunks: vec![TrunkRoute { id: trunk, outbound: true }],
        ..Tables::default()
    })
    .unwrap()
}

/// A call that waits, as its edge lets it be known.
pub(crate) fn waiting(number: u64) -> Legacy {
    let now = Now { mono: Moment::START, wall: WallTime(1_700_000_000_000_000) };
    let name = |text: &str| text.parse().unwrap();
    let incoming = Incoming {
        call: call(number),
        source: Source::Trunk(TrunkId::new(name("default"), name("carrier"))),
        dialled: "+33123456789".to_owned(),
        to_user: "+33123456789".to_owned(),
        caller: CallerId { number: "+33600000000".to_owned(), name: String::new() },
    };
    let mut machine = Call::new(now, incoming, Arc::new(routing()), Arc::new(Config::default()));
    machine.handle(now, Event::Start, &mut Vec::new());
    let placed = FromQueue::Enqueued { sequence: Sequence { epoch: Epoch(1), counter: number } };
    let queue = QueueId::new(name("default"), name("support"));
    machine.handle(now, Event::Queue(queue, placed), &mut Vec::new());
    let images = [(LegId::caller(call(number)), LegImage::new(&[7; 600]))].into();
    let checkpoint = machine.checkpoint(now).unwrap();
    Legacy { checkpoint, age: Duration::ZERO, images, before: None, now: false }
}

pub(crate) fn record(number: u64) -> Record {
    Record {
        call: call(number),
        caller: CallerId { number: "+33600000000".to_owned(), name: String::new() },
        dialled: "+33123456789".to_owned(),
        number: None,
        started: WallTime(1),
        ended: WallTime(2),
        queue: None,
        agent: None,
        wait_ms: None,
        talk_ms: 0,
        outcome: Outcome::Abandoned,
        cause: Cause::Normal,
        transitions: Vec::new(),
    }
}

fn says(calls: Vec<wire::Checkpoint>) -> wire::Checkpoints {
    wire::Checkpoints { calls, ..Default::default() }
}

fn withdraws(number: u64) -> wire::Checkpoints {
    wire::Checkpoints { ended: vec![call(number).into()], ..Default::default() }
}

fn second(number: u64) -> wire::Checkpoint {
    wire::Checkpoint { before: Some(FIRST.0), ..waiting(number).to_wire() }
}

fn calls(inherited: &[Inherited]) -> Vec<u64> {
    inherited.iter().map(|it| it.what.call().number).collect()
}

// spec: CL-4
#[test]
fn cl_4_the_first_heir_goes_on_when_the_edge_dies_and_knows_how_old_it_all_is() {
    let (mut heir, now) = (Heir::default(), Instant::now());
    assert!(heir.keep(now, EDGE, says(vec![waiting(1).to_wire(), waiting(2).to_wire()])).is_empty());
    heir.keep(now, EDGE, withdraws(2));
    let later = now + Duration::from_secs(3);
    let Some(Inherited { from: EDGE, what: Bequest::Living(legacy) }) = heir.dies(later, EDGE).pop() else {
        panic!("nothing that lives")
    };
    assert_eq!((legacy.checkpoint.call(), legacy.age), (call(1), Duration::from_secs(3)));
    assert!(heir.dies(later, EDGE).is_empty() && heir.kept.is_empty() && heir.bytes == 0);
}

// spec: CL-4
#[test]
fn cl_4_the_second_heir_goes_on_when_the_first_is_dead_too_in_either_order() {
    for order in [[EDGE, FIRST], [FIRST, EDGE]] {
        let (mut heir, now) = (Heir::default(), Instant::now());
        heir.keep(now, EDGE, says(vec![second(1)]));
        assert!(heir.dies(now, order[0]).is_empty());
        assert_eq!(calls(&heir.dies(now, order[1])), [1]);
        assert!(heir.overdue(now + CLAIM).is_empty());
    }
}

// spec: CL-4
#[test]
fn cl_4_the_second_heir_waits_for_the_first_and_not_for_ever() {
    let (mut heir, now) = (Heir::default(), Instant::now());
    heir.keep(now, EDGE, says(vec![second(1), second(2), second(3)]));
    assert!(heir.dies(now, EDGE).is_empty());
    heir.was_taken(call(1), FIRST);
    heir.keep(now, EDGE, says(vec![second(3)]));
    assert!(heir.overdue(now + CLAIM - Duration::from_millis(1)).is_empty());
    assert_eq!(calls(&heir.overdue(now + CLAIM)), [2], "1 was claimed, and the edge of 3 lives after all");
    assert!(heir.overdue(now + 2 * CLAIM).is_empty());
}

// spec: CL-4
#[test]
fn cl_4_what_has_ended_is_inherited_as_its_record() {
    let (mut heir, now) = (Heir::default(), Instant::now());
    heir.keep(now, EDGE, says(vec![waiting(1).to_wire(), waiting(2).to_wire()]));
    heir.keep(now, EDGE, says(vec![Bequest::ended(&record(1)), Bequest::ended(&record(2))]));
    heir.keep(now, EDGE, withdraws(2));
    let left = heir.dies(now, EDGE);
    assert_eq!(left, [Inherited { from: EDGE, what: Bequest::Ended(Box::new(record(1))) }]);
}

#[test]
fn an_edge_that_begins_anew_has_only_what_it_says_then_and_speaks_for_nobody_else() {
    let (mut heir, now) = (Heir::default(), Instant::now());
    heir.keep(now, EDGE, says(vec![waiting(1).to_wire()]));
    heir.keep(now, FIRST, withdraws(1));
    heir.keep(now, FIRST, wire::Checkpoints { anew: true, ..Default::default() });
    assert_eq!(heir.kept.len(), 1);
    heir.keep(now, EDGE, wire::Checkpoints { anew: true, ..says(vec![waiting(2).to_wire()]) });
    assert_eq!(calls(&heir.dies(now, EDGE)), [2]);
}

#[test]
fn what_is_handed_over_is_not_kept() {
    let (mut heir, now) = (Heir::default(), Instant::now());
    let handed = wire::Checkpoint { now: true, ..waiting(1).to_wire() };
    assert_eq!(calls(&heir.keep(now, EDGE, says(vec![handed]))), [1]);
    assert!(heir.dies(now, EDGE).is_empty());
}

#[test]
fn what_cannot_be_read_is_lost_alone() {
    let (mut heir, now) = (Heir::default(), Instant::now());
    let broken = wire::Checkpoint { state: vec![1], ..waiting(1).to_wire() };
    let record = wire::Checkpoint { record: vec![1], ..Bequest::ended(&record(2)) };
    heir.keep(now, EDGE, says(vec![broken, record, waiting(3).to_wire()]));
    assert_eq!(calls(&heir.dies(now, EDGE)), [3]);
}
