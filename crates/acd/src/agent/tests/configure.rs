//! A configuration that changes while the agent is at work.

use super::*;

fn serves(queues: &[(&str, u64)], devices: &[DeviceKind]) -> Event {
    let queue = |(queue, wrap_up): &(&str, u64)| Membership {
        wrap_up: Duration::from_secs(*wrap_up),
        ..Membership::new(queue_id(queue))
    };
    let queues = queues.iter().map(queue).collect();
    let config = Config { display_name: "Anna".to_owned(), extension: None, devices: devices.to_vec(), queues };
    Event::Configured(Box::new(config))
}

const PHONE: &[DeviceKind] = &[DeviceKind::Hardware];

// spec: QU-11
#[test]
fn qu_11_who_talks_goes_on_and_the_new_wrap_up_follows() {
    let mut desk = Desk::new(&["sales", "support"]);
    desk.reserve(reservation(1, 1), from("support", 1));
    desk.tell(Event::Connected { reservation: reservation(1, 1), queue: Some(queue_id("support")) });
    desk.said();
    desk.tell(serves(&[("support", 3)], PHONE));
    assert_eq!((desk.agent.activity(), desk.agent.call().map(|call| call.number)), (Activity::Talking, Some(1)));
    desk.tell(Event::Release { reservation: reservation(1, 1), why: Released::Ended });
    assert_eq!(desk.agent.activity(), Activity::WrapUp);
    desk.pass(Duration::from_secs(3));
    assert_eq!(desk.agent.activity(), Activity::Idle);
}

#[test]
fn a_conversation_from_a_queue_that_he_serves_no_more_ends_without_wrap_up() {
    let mut desk = Desk::new(&["sales", "support"]);
    desk.reserve(reservation(1, 1), from("support", 1));
    desk.tell(Event::Connected { reservation: reservation(1, 1), queue: Some(queue_id("support")) });
    desk.tell(serves(&[("sales", 10)], PHONE));
    desk.tell(Event::Release { reservation: reservation(1, 1), why: Released::Ended });
    assert_eq!(desk.agent.activity(), Activity::Idle);
}

// spec: TR-5
#[test]
fn tr_5_what_he_wants_of_a_queue_stays_and_to_a_new_one_he_is_logged_in() {
    let mut desk = Desk::new(&["sales", "support"]);
    desk.command(&AgentCommand::QueueLogOut(queue_id("support"))).unwrap();
    desk.tell(serves(&[("support", 0), ("hotline", 0), ("sales", 0)], PHONE));
    let logins = desk.agent.view(desk.now).queues;
    let expected =
        [("support", false), ("hotline", true), ("sales", true)].map(|(queue, login)| (queue_id(queue), login));
    assert_eq!(logins, expected);
}

// spec: CL-3
#[test]
fn cl_3_a_replaced_owner_of_a_queue_is_not_believed_after_a_change_either() {
    let mut desk = Desk::new(&["support"]);
    desk.reserve(reservation(1, 1), from("support", 5));
    desk.tell(Event::Release { reservation: reservation(1, 1), why: Released::NoPenalty });
    desk.tell(serves(&[("sales", 0), ("support", 0)], PHONE));
    desk.pass(Duration::from_secs(1));
    desk.said();
    desk.reserve(reservation(2, 1), from("support", 4));
    assert_eq!(desk.agent.activity(), Activity::Idle);
}

#[test]
fn a_device_that_is_reported_before_it_is_configured_is_known_then() {
    let mut desk = Desk::new(&["support"]);
    desk.tell(Event::Reachable { device: 1, edge: EDGE, contacts: vec![desk_phone()] });
    assert_eq!(desk.agent.view(desk.now).reachable_devices, 1);
    desk.tell(serves(&[("support", 0)], &[DeviceKind::Hardware, DeviceKind::Browser]));
    let view = desk.agent.view(desk.now);
    assert_eq!((view.reachable_devices, view.devices), (2, 2));
    desk.tell(serves(&[("support", 0)], &[]));
    assert_eq!(desk.agent.view(desk.now).reachable_devices, 0);
}

#[test]
fn a_removed_agent_is_offered_nothing_and_talks_to_the_end() {
    let mut desk = Desk::new(&["support"]);
    desk.reserve(reservation(1, 1), from("support", 1));
    desk.tell(Event::Connected { reservation: reservation(1, 1), queue: Some(queue_id("support")) });
    desk.tell(Event::Removed);
    assert!(!desk.agent.is_over());
    desk.said();
    desk.reserve(reservation(2, 1), from("support", 1));
    assert_eq!(desk.refusal(), Some(Refusal::NotInQueue));
    desk.tell(Event::Release { reservation: reservation(1, 1), why: Released::Ended });
    assert!(desk.agent.is_over());
    desk.tell(serves(&[("support", 0)], PHONE));
    assert!(!desk.agent.is_over(), "he is back");
}
