//! Codes and pickup (Spec: TR-4, TR-5, TR-6).

use super::*;

// spec: TR-5
#[test]
fn tr_5_a_code_that_comes_twice_does_not_undo_a_later_one() {
    let mut desk = Desk::new(&["support"]);
    let dialled = |number, command| Event::Command { call: reservation(number, 1).call, command };
    let (out, back) = (AgentCommand::QueueLogOut(queue_id("support")), AgentCommand::QueueLogIn(queue_id("support")));
    desk.tell(dialled(1, out.clone()));
    desk.tell(dialled(2, back));
    desk.tell(dialled(1, out));
    desk.tell(dialled(3, AgentCommand::EndWrapUp));
    let commanded = |answer| FromAgent::Commanded(answer);
    let refused = Err(CommandRefusal::NotInWrapUp);
    assert_eq!(desk.said(), [commanded(Ok(())), commanded(Ok(())), commanded(Ok(())), commanded(refused)]);
    assert_eq!(desk.agent.logged_in_to().count(), 1);
}

// spec: TR-6
#[test]
fn tr_6_the_end_of_wrap_up_is_not_refused_because_its_answer_was_lost() {
    let mut desk = Desk::new(&["support"]);
    desk.reserve(reservation(1, 1), from("support", 1));
    desk.tell(Event::Connected { reservation: reservation(1, 1), queue: Some(queue_id("support")) });
    desk.tell(Event::Release { reservation: reservation(1, 1), why: Released::Ended });
    desk.said();
    for _ in 0..2 {
        desk.tell(Event::Command { call: reservation(2, 1).call, command: AgentCommand::EndWrapUp });
    }
    assert_eq!(desk.said(), [FromAgent::Commanded(Ok(())), FromAgent::Commanded(Ok(()))]);
    assert_eq!(desk.agent.activity(), Activity::Idle);
}

fn picks_up(epoch: u64, own: Option<ReservationId>) -> Purpose {
    let offer = OfferId { epoch: Epoch(epoch), counter: 1 };
    Purpose::PickUp { queue: queue_id("support"), offer, own }
}

// spec: TR-4
#[test]
fn tr_4_the_own_call_hands_him_over_in_one_step() {
    let mut desk = Desk::new(&["support"]);
    let (own, picked) = (reservation(1, 1), reservation(2, 1));
    desk.reserve(own, Purpose::Own);
    desk.said();
    desk.reserve(picked, picks_up(1, Some(own)));
    assert!(matches!(&desk.said()[..], [FromAgent::Granted { reservation, .. }] if *reservation == picked));
    assert_eq!((desk.agent.activity(), desk.agent.call()), (Activity::Reserved, Some(picked.call)));
    desk.reserve(own, Purpose::Own);
    assert_eq!(desk.refusal(), Some(Refusal::Over), "what the own call wants later comes too late");
    desk.tell(Event::Release { reservation: own, why: Released::NoPenalty });
    assert_eq!(desk.agent.call(), Some(picked.call), "and its end frees nobody");
    desk.tell(Event::Connected { reservation: picked, queue: Some(queue_id("support")) });
    desk.tell(Event::Release { reservation: picked, why: Released::Ended });
    assert_eq!(desk.agent.activity(), Activity::WrapUp, "as after any call of the queue");
}

// spec: TR-4, CL-3
#[test]
fn tr_4_who_is_not_held_by_his_own_call_picks_nothing_up() {
    let mut desk = Desk::new(&["support"]);
    let own = reservation(1, 1);
    desk.reserve(reservation(2, 1), picks_up(3, Some(own)));
    assert_eq!(desk.refusal(), Some(Refusal::Over));
    desk.reserve(own, Purpose::Own);
    desk.reserve(reservation(2, 2), picks_up(2, Some(own)));
    assert_eq!(desk.refusal(), Some(Refusal::StaleEpoch), "a newer owner of the queue was heard");
    for other in [None, Some(reservation(4, 1))] {
        desk.reserve(reservation(2, 3), picks_up(3, other));
        assert_eq!(desk.refusal(), Some(Refusal::Busy));
    }
    assert_eq!(desk.agent.call(), Some(own.call));
}

// spec: TR-4
#[test]
fn tr_4_by_the_console_his_phone_rings_also_on_break() {
    let mut desk = Desk::new(&["support"]);
    desk.command(&AgentCommand::Break).unwrap();
    desk.reserve(reservation(1, 1), picks_up(1, None));
    assert!(matches!(&desk.said()[..], [FromAgent::Granted { devices, .. }] if devices.len() == 1));
    desk.tell(Event::Release { reservation: reservation(1, 1), why: Released::NoPenalty });
    desk.tell(Event::Reachable { device: 0, edge: EDGE, contacts: Vec::new() });
    desk.reserve(reservation(2, 1), picks_up(1, None));
    assert_eq!(desk.refusal(), Some(Refusal::Unreachable));
}

// spec: TR-4, CL-3
#[test]
fn tr_4_who_talks_on_another_phone_picks_nothing_up() {
    let mut desk = Desk::new(&["support"]);
    let own = reservation(1, 1);
    desk.reserve(own, Purpose::Own);
    // His owner was replaced, and hears only now of a conversation.
    desk.tell(Event::Connected { reservation: reservation(3, 1), queue: Some(queue_id("support")) });
    desk.said();
    desk.reserve(reservation(2, 1), picks_up(1, Some(own)));
    assert_eq!(desk.refusal(), Some(Refusal::Busy));
}
