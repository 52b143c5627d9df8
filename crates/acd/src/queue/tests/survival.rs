//! The edge of waiting callers has died.

use std::sync::Arc;

use super::*;
use crate::whereabouts::{Taken, Whereabouts};

const HEIR: NodeId = NodeId(2);

fn gone(taken: &[u64]) -> Event {
    let mut calls = Whereabouts::default();
    for number in taken {
        calls.took_over(Moment::START, Taken { call: call_id(*number), edge: HEIR, moves: 1 });
    }
    Event::EdgeGone { edge: NodeId(1), calls: Arc::new(calls) }
}

// spec: CL-4
#[test]
fn cl_4_callers_of_a_dead_edge_are_not_offered_until_they_are_back_in_their_places() {
    let mut hall = Hall::new(config(&["anna"]));
    for number in 1..=3 {
        hall.enqueue(first(number));
    }
    let places: Vec<Sequence> = hall
        .said()
        .into_iter()
        .map(|(_, said)| match said {
            FromQueue::Enqueued { sequence } => sequence,
            other => panic!("{other:?}"),
        })
        .collect();
    hall.tell(gone(&[3]));
    assert_eq!(hall.queue.view(hall.now).waiting, 1);
    hall.status("anna", Standing::Free);
    assert!(matches!(hall.said()[..], [(3, FromQueue::Offer(_))]), "he lives at the heir");
    hall.enqueue(again(2, places[1], None));
    hall.enqueue(again(1, places[0], None));
    let offered = Progress::Failed { offer: OfferId { epoch: Epoch(1), counter: 1 }, refused: Vec::new(), rang: false };
    hall.enqueue(again(3, places[2], Some(offered)));
    hall.pass(Duration::from_secs(10));
    hall.status("anna", Standing::Free);
    assert!(matches!(hall.said()[..], [(1, FromQueue::Offer(_)), ..]), "the first is the first again");
    assert_eq!(hall.queue.view(hall.now).offered, 3);
}

// spec: CL-4
#[test]
fn cl_4_an_agent_offered_to_a_call_that_is_lost_is_offered_to_the_next() {
    let mut hall = Hall::new(config(&["anna"]));
    hall.status("anna", Standing::Free);
    hall.enqueue(first(1));
    let mut elsewhere = first(2);
    elsewhere.ticket.call.node = NodeId(3);
    hall.enqueue(elsewhere);
    hall.said();
    hall.tell(gone(&[]));
    hall.status("anna", Standing::Free);
    assert!(matches!(hall.said()[..], [(2, FromQueue::Offer(_))]));
}

// spec: CL-4, QU-8: he was connected in the moment in which his edge died, and nobody else has heard of it.
#[test]
fn cl_4_a_caller_whose_heir_does_not_know_that_he_had_left_waits_in_his_place() {
    let mut hall = Hall::new(config(&["anna"]));
    hall.enqueue(first(1));
    let [(1, FromQueue::Enqueued { sequence })] = hall.said()[..] else { panic!("no place") };
    let connected = |counter| Left::Connected { offer: OfferId { epoch: Epoch(1), counter }, agent: agent_id("anna") };
    hall.tell(Event::Leave { call: call_id(1), why: connected(1) });
    hall.tell(gone(&[1]));
    hall.enqueue(first(2));
    let mut back = again(1, sequence, None);
    back.ticket.moves = 1;
    for _ in 0..2 {
        // The second is a heartbeat.
        hall.enqueue(back.clone());
    }
    hall.said();
    hall.status("anna", Standing::Free);
    assert!(matches!(hall.said()[..], [(1, FromQueue::Offer(_))]));
    hall.tell(Event::Leave { call: call_id(1), why: connected(2) });
    hall.enqueue(back);
    assert_eq!(hall.queue.view(hall.now).waiting, 1, "a ticket that was on its way makes no ghost");
}

// spec: CL-4, QU-7: his edge fell asleep before the offer arrived.
#[test]
fn cl_4_a_caller_whom_an_offer_did_not_reach_in_time_is_not_overtaken_when_another_edge_has_him() {
    let mut hall = Hall::new(config(&["anna"]));
    hall.status("anna", Standing::Free);
    hall.enqueue(first(1));
    let [(1, FromQueue::Enqueued { sequence }), (1, FromQueue::Offer(_))] = hall.said()[..] else { panic!("no offer") };
    hall.enqueue(first(2));
    hall.said();
    let mut back = again(1, sequence, None);
    back.ticket.moves = 1;
    hall.pass(Duration::from_secs(1));
    hall.enqueue(back.clone());
    let [offer] = &hall.offers()[..] else { panic!("not one offer") };
    assert_eq!((offer.call, offer.id.counter), (call_id(1), 2));
    // A heartbeat that crosses the offer.
    hall.enqueue(back);
    assert_eq!(hall.offers(), []);
}

// spec: CL-3, CL-4: nothing stale acts when an edge wakes.
#[test]
fn cl_4_what_an_edge_that_has_slept_says_of_a_call_that_another_has_is_not_heeded() {
    let mut hall = Hall::new(config(&["anna", "piotr"]));
    hall.status("anna", Standing::Free);
    hall.enqueue(first(1));
    let [(1, FromQueue::Enqueued { sequence }), (1, FromQueue::Offer(_))] = hall.said()[..] else { panic!("no offer") };
    let working = |counter| Some(Progress::Working(OfferId { epoch: Epoch(1), counter }));
    let mut back = again(1, sequence, None);
    back.ticket.moves = 1;
    hall.enqueue(back);
    let mut rings = again(1, sequence, working(2));
    rings.ticket.moves = 1;
    hall.enqueue(rings);
    hall.status("piotr", Standing::Free);
    hall.said();
    hall.pass(Duration::from_secs(4));
    hall.enqueue(again(1, sequence, working(1)));
    assert_eq!(hall.offers(), [], "a phone rings for him at the other edge");
}
