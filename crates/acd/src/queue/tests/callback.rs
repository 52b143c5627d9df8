//! Callbacks as the owner of a queue sees them (Spec: UN-7).

use super::*;
use crate::ticket::Callback;

fn number() -> crate::ids::PhoneNumber {
    "+33600000000".parse().unwrap()
}

/// A ticket of a callback that was given `place` by owner 1.
fn called_back(call: u64, place: u64, rest: u64) -> Enqueue {
    let mut enqueue = again(call, seq(1, place), None);
    enqueue.ticket.caller = Some(number());
    enqueue.ticket.callback = Some(Callback { rest: Duration::from_secs(rest), ring_for: Duration::from_secs(30) });
    enqueue
}

// spec: UN-7
#[test]
fn un_7_the_earlier_place_is_kept_in_whatever_order_a_new_owner_hears_of_them() {
    for order in [[1, 2], [2, 1]] {
        let mut hall = Hall::owned(config(&["anna"]), 2);
        hall.status("anna", Standing::Busy);
        for call in order {
            hall.enqueue(called_back(call, call, 0));
        }
        assert_eq!(hall.overflows(), [(2, OverflowReason::Merged(call_id(1)))]);
        hall.enqueue(called_back(2, 2, 0));
        assert_eq!(hall.overflows(), [(2, OverflowReason::Merged(call_id(1)))], "until it has left");
        hall.tell(Event::Leave { call: call_id(2), why: Left::Gone });
        let view = hall.queue.view(hall.now);
        assert_eq!((view.callbacks, view.waiting), (1, 0));
    }
}

// spec: UN-7
#[test]
fn un_7_a_phone_that_rings_for_one_is_not_taken_away_for_the_other() {
    let mut hall = Hall::owned(config(&["anna"]), 2);
    hall.status("anna", Standing::Free);
    hall.enqueue(called_back(2, 2, 0));
    assert_eq!(whom(&hall.offers()), [(2, "anna".to_owned())]);
    hall.enqueue(called_back(1, 1, 0));
    assert_eq!(hall.overflows(), [(1, OverflowReason::Merged(call_id(2)))]);
}

// spec: UN-7, PL-5
#[test]
fn un_7_he_leaves_as_statistics_count_when_he_asks_and_only_once() {
    let mut hall = Hall::new(config(&["anna"]));
    hall.status("anna", Standing::Busy);
    hall.enqueue(first(1));
    hall.enqueue(called_back(1, 1, 3));
    hall.enqueue(called_back(1, 1, 0));
    let counts = |hall: &Hall| {
        let view = hall.queue.view(hall.now);
        (view.offered, view.answered, view.overflowed, view.waiting, view.callbacks)
    };
    assert_eq!(counts(&hall), (1, 0, 1, 0, 1));
    let offer = OfferId { epoch: Epoch(1), counter: 1 };
    hall.tell(Event::Leave { call: call_id(1), why: Left::CalledBack { offer, agent: agent_id("anna") } });
    assert_eq!(counts(&hall), (1, 0, 1, 0, 0));
}

// spec: UN-7, OU-4
#[test]
fn ou_4_a_callback_that_rests_is_passed_over_and_keeps_its_place() {
    let mut hall = Hall::new(config(&["anna", "piotr"]));
    hall.enqueue(called_back(1, 1, 12));
    hall.enqueue(again(2, seq(1, 2), None));
    hall.status("anna", Standing::Free);
    assert_eq!(whom(&hall.offers()), [(2, "anna".to_owned())]);
    hall.enqueue(again(3, seq(1, 3), None));
    hall.pass(Duration::from_secs(12));
    hall.status("piotr", Standing::Free);
    assert_eq!(whom(&hall.offers()), [(1, "piotr".to_owned())]);
}

// spec: UN-7, UN-4
#[test]
fn un_7_a_word_to_leave_that_crossed_the_digit_is_taken_back() {
    let mut hall = Hall::new(Config { max_wait: Some(Duration::from_secs(10)), ..config(&["anna"]) });
    hall.status("anna", Standing::Busy);
    hall.enqueue(first(1));
    hall.pass(Duration::from_secs(10));
    assert_eq!(hall.overflows(), [(1, OverflowReason::MaxWait)]);
    hall.enqueue(called_back(1, 1, 0));
    hall.pass(Duration::from_secs(10));
    assert_eq!(hall.overflows(), []);
    hall.status("anna", Standing::Free);
    assert_eq!(whom(&hall.offers()), [(1, "anna".to_owned())]);
}

// spec: UN-7
#[test]
fn un_7_an_offer_lasts_until_the_client_was_called_too() {
    let mut hall = Hall::new(config(&["anna"]));
    hall.status("anna", Standing::Free);
    hall.enqueue(called_back(1, 1, 0));
    let offer = hall.offers().pop().unwrap().id;
    for _ in 0..11 {
        hall.pass(Duration::from_secs(5));
        let mut working = called_back(1, 1, 0);
        working.progress = Some(Progress::Working(offer));
        hall.enqueue(working);
    }
    hall.status("anna", Standing::Free);
    assert_eq!(hall.offers(), [], "20 s for the agent, 30 s for the client, and some slack");
}

// spec: UN-7
#[test]
fn un_7_who_is_answered_needs_no_callback_any_more() {
    let mut hall = Hall::new(config(&["anna"]));
    hall.status("anna", Standing::Busy);
    hall.enqueue(called_back(1, 1, 0));
    let mut calls_again = first(2);
    calls_again.ticket.caller = Some(number());
    hall.enqueue(calls_again);
    hall.said();
    let offer = OfferId { epoch: Epoch(1), counter: 1 };
    hall.tell(Event::Leave { call: call_id(2), why: Left::Connected { offer, agent: agent_id("anna") } });
    assert_eq!(hall.overflows(), [(1, OverflowReason::Reached(call_id(2)))]);
}
