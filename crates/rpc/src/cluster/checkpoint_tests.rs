use std::sync::Arc;

use carillon_acd::call::{Call, Config, Event, FromQueue};
use carillon_acd::ids::{CallId, Epoch, NumberId, QueueId, TrunkId};
use carillon_acd::leg::{CallerId, Incoming, LegEvent, Source};
use carillon_acd::route::{NumberRoute, QueueRoute, Routing, Tables, Target, TrunkRoute, WaitingSound};
use carillon_acd::ticket::Sequence;
use carillon_acd::time::{Moment, Now, WallTime};
use prost::Message as _;

use super::*;

const CALL: CallId = CallId { node: NodeId(3), boot: 0x6a0f_3c21, number: 42 };

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

/// A call that waits, after so many keys.
fn legacy(keys: usize) -> Legacy {
    let now = Now { mono: Moment::START, wall: WallTime(1_700_000_000_000_000) };
    let name = |text: &str| text.parse().unwrap();
    let incoming = Incoming {
        call: CALL,
        source: Source::Trunk(TrunkId::new(name("default"), name("carrier"))),
        dialled: "+33123456789".to_owned(),
        to_user: "+33123456789".to_owned(),
        caller: CallerId { number: "+33600000000".to_owned(), name: "Jeanne".to_owned() },
    };
    let mut call = Call::new(now, incoming, Arc::new(routing()), Arc::new(Config::default()));
    let mut out = Vec::new();
    call.handle(now, Event::Start, &mut out);
    let queue = QueueId::new(name("default"), name("support"));
    let placed = FromQueue::Enqueued { sequence: Sequence { epoch: Epoch(5 << 16), counter: 11 } };
    call.handle(now, Event::Queue(queue, placed), &mut out);
    for _ in 0..keys {
        call.handle(now, Event::Leg(LegId::caller(CALL), LegEvent::Digit('9')), &mut out);
    }
    let images = [(LegId::caller(CALL), LegImage::new(&[7; 600]))].into();
    let checkpoint = call.checkpoint(now).unwrap();
    Legacy { checkpoint, age: Duration::from_millis(25), images, before: Some(NodeId(2)), now: false }
}

// spec: CL-4
#[test]
fn cl_4_what_an_heir_reads_is_what_was_left() {
    let left = legacy(3);
    let sent = wire::Checkpoint::decode(left.to_wire().encode_to_vec().as_slice()).unwrap();
    assert!(size(&sent) < 2_300, "{} bytes, 600 of them the edge's", size(&sent));
    assert_eq!(Legacy::from_wire(sent), Some(left));
}

// spec: CL-4: two versions that follow each other understand each other.
#[test]
fn cl_4_a_checkpoint_of_the_next_version_is_read() {
    let left = legacy(0);
    let mut sent = left.to_wire();
    let state = String::from_utf8(sent.state.clone()).unwrap();
    sent.state = state.replacen('{', r#"{"mood":{"calm":true},"#, 1).into_bytes();
    sent.past.insert(1, br#"{"ago":{"secs":1,"nanos":0},"event":"levitated","height":3}"#.to_vec());
    assert_eq!(Legacy::from_wire(sent.clone()), Some(left), "what is new is left out");
    sent.state.truncate(40);
    assert_eq!(Legacy::from_wire(sent.clone()), None);
    assert_eq!(Legacy::from_wire(wire::Checkpoint { call: None, ..legacy(0).to_wire() }), None);
    let other = wire::CallId { node: 9, ..CALL.into() };
    assert_eq!(Legacy::from_wire(wire::Checkpoint { call: Some(other), ..legacy(0).to_wire() }), None);
}

#[test]
fn a_checkpoint_is_bounded_whatever_its_caller_does() {
    let sent = legacy(3_000).to_wire();
    assert!(size(&sent) < 10_000, "{}", size(&sent));
    let read = Legacy::from_wire(sent).unwrap();
    let decisive = read.checkpoint.past().iter().filter(|past| past.decides()).count();
    assert_eq!(decisive, 2, "the queue, without and with a place");
}
