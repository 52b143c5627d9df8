//! The edge of the agent's call has died.

use std::sync::Arc;

use super::*;
use crate::whereabouts::{Taken, Whereabouts};

const HEIR: NodeId = NodeId(2);

fn gone(edge: NodeId, taken: &[u64]) -> Event {
    let mut calls = Whereabouts::default();
    for number in taken {
        calls.took_over(Moment::START, Taken { call: reservation(*number, 1).call, edge: HEIR, moves: 1 });
    }
    Event::EdgeGone { edge, calls: Arc::new(calls) }
}

fn talks() -> Event {
    Event::Connected { reservation: reservation(1, 1), queue: Some(queue_id("support")) }
}

/// In conversation in call 1; his phone is registered at another edge.
fn talking() -> Desk {
    let mut desk = Desk::new(&["support"]);
    desk.tell(Event::Reachable { device: 0, edge: NodeId(3), contacts: vec![desk_phone()] });
    desk.reserve(reservation(1, 1), from("support", 1));
    desk.tell(talks());
    desk.said();
    desk
}

// spec: CL-4
#[test]
fn cl_4_a_conversation_that_nobody_takes_over_ends() {
    let mut desk = talking();
    desk.tell(gone(NodeId(7), &[]));
    desk.tell(gone(EDGE, &[]));
    desk.pass(Duration::from_millis(2_900));
    assert_eq!(desk.agent.activity(), Activity::Talking);
    desk.pass(Duration::from_millis(200));
    assert_eq!(desk.agent.activity(), Activity::Idle);
}

// spec: CL-4
#[test]
fn cl_4_a_conversation_that_is_taken_over_goes_on_whatever_is_heard_first() {
    let mut desk = talking();
    desk.tell(gone(EDGE, &[]));
    desk.pass(Duration::from_secs(2));
    desk.tell(talks());
    desk.pass(Duration::from_secs(9));
    assert_eq!(desk.agent.activity(), Activity::Talking);
    desk.tell(gone(EDGE, &[1]));
    desk.pass(Duration::from_secs(9));
    assert_eq!(desk.agent.activity(), Activity::Talking, "it lives at the heir");
    desk.tell(gone(HEIR, &[1]));
    desk.pass(Duration::from_secs(4));
    assert_eq!(desk.agent.activity(), Activity::Idle, "which has died too");
}

// spec: CL-4
#[test]
fn cl_4_who_only_rang_is_free_at_once_and_without_penalty() {
    let mut desk = Desk::new(&["support"]);
    desk.tell(Event::Reachable { device: 0, edge: NodeId(3), contacts: vec![desk_phone()] });
    desk.reserve(reservation(1, 1), from("support", 1));
    desk.out.clear();
    desk.tell(gone(EDGE, &[]));
    desk.pass(Duration::ZERO);
    assert_eq!(desk.agent.activity(), Activity::Idle);
    let (_, status) = desk.statuses().pop().unwrap();
    assert_eq!((status.standing, status.idle_period), (Standing::Free, 0));
    desk.reserve(reservation(1, 1_001), from("support", 1));
    assert_eq!(desk.agent.activity(), Activity::Reserved, "the heir tries again");
}
