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
