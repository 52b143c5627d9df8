//! Codes and pickup (Spec: TR-4, TR-5, TR-6).

use super::*;

fn code(dialled: &str) -> Line {
    Line::new(Source::Device(DeviceId { agent: agent_id("anna"), index: 0 }), dialled)
}

// spec: TR-6
#[test]
fn tr_6_a_code_asks_again_when_nobody_answers_and_gives_up_in_the_end() {
    let mut line = code("*43");
    let asks = agent::Event::Command { call: CALL, command: AgentCommand::Break };
    assert_eq!(line.agents_told(), std::slice::from_ref(&asks), "nothing else: the call does not occupy him");
    line.pass(Duration::from_secs(5));
    assert_eq!(line.agents_told(), [asks.clone(), asks]);
    assert_eq!(line.legs_told(), []);
    line.pass(Duration::from_secs(1));
    assert_eq!(line.legs_told(), [(0, LegCommand::Answer), (0, LegCommand::Play(Playback::Declined))]);
    line.leg(caller(), LegEvent::PlayFinished);
    let record = line.record();
    assert_eq!((record.outcome, record.cause), (Outcome::Refused, Cause::Congestion));
    let why =
        |what: &Happened| matches!(what, Happened::Commanded { refused: Some(why), .. } if why.contains("no word"));
    assert!(record.transitions.iter().any(|transition| why(&transition.what)));
}

// spec: TR-6
#[test]
fn tr_6_a_code_that_was_obeyed_is_heard_and_ends_the_call() {
    let mut line = code("*43");
    line.out.clear();
    for _ in 0..2 {
        line.tell(Event::Agent(agent_id("anna"), OWNER, FromAgent::Commanded(Ok(()))));
    }
    assert_eq!(line.legs_told(), [(0, LegCommand::Answer), (0, LegCommand::Play(Playback::Done))]);
    // An edge that forgets the tone does not hold the call.
    line.pass(Duration::from_secs(5));
    let record = line.record();
    assert_eq!((record.outcome, record.cause), (Outcome::Done, Cause::Normal));
    assert!(line.out.contains(&Effect::Leg(caller(), LegCommand::HangUp(Cause::Normal))));
}

const OWN: CallId = CallId { node: NodeId(1), boot: 1, number: 9 };

/// Anna's phone rings, and Piotr picks the call up with his own.
fn picked_up() -> Line {
    let mut line = Line::ringing();
    let own = OwnCall { leg: LegId::caller(OWN), reservation: ReservationId { call: OWN, n: 1 } };
    let piotr = Offered { agent: agent_id("piotr"), hardware_limit: 1, invitation: Invitation::OwnCall(own) };
    let id = OfferId { epoch: Epoch(5), counter: 1 };
    let (queue, ring_for) = (support(), Duration::from_secs(15));
    let offer = Offer { id, queue, call: CALL, agents: vec![piotr], round: 1, ring_for, why: Choice::PickUp };
    for _ in 0..2 {
        line.queue(FromQueue::Offer(offer.clone()));
    }
    let purpose = Purpose::PickUp { queue: support(), offer: id, own: Some(own.reservation) };
    assert_eq!(line.agents_told(), [agent::Event::Reserve { reservation: reservation(2), purpose }], "once");
    line.out.clear();
    line.grant("piotr", 2);
    assert_eq!(line.legs_told(), [(2, LegCommand::Adopt { from: LegId::caller(OWN) })]);
    line.out.clear();
    line
}

// spec: TR-4
#[test]
fn tr_4_the_leg_of_the_own_call_wins_like_any_other() {
    let mut line = picked_up();
    line.leg(leg(2), LegEvent::Answered);
    let blameless = Effect::ToAgent(agent_id("anna"), released(1, Released::NoPenalty));
    assert!(line.out.contains(&blameless), "Anna is not blamed");
    let elsewhere = (1, LegCommand::HangUp(Cause::AnsweredElsewhere));
    assert_eq!(line.legs_told(), [elsewhere, (0, LegCommand::Bridge { with: leg(2) })]);
    assert_eq!(line.call.connected_with(), Some((leg(2), Some(&agent_id("piotr")))));
}

// spec: TR-4
#[test]
fn tr_4_an_own_call_that_is_gone_costs_nobody_anything() {
    let mut line = picked_up();
    line.leg(leg(2), LegEvent::Failed(Cause::Cancelled));
    let release = Effect::ToAgent(agent_id("piotr"), released(2, Released::NoPenalty));
    assert_eq!(line.out, [release], "and Anna's phone rings on");
    let mut line = picked_up();
    line.pass(Duration::from_secs(2));
    assert!(line.out.contains(&Effect::ToAgent(agent_id("piotr"), released(2, Released::NoPenalty))), "no word");
    let mut line = picked_up();
    line.leg(leg(1), LegEvent::Answered);
    assert!(line.legs_told().contains(&(2, LegCommand::HangUp(Cause::AnsweredElsewhere))), "Anna was faster");
}

// spec: TR-4
#[test]
fn tr_4_where_the_leg_cannot_go_over_the_agents_own_phone_rings() {
    let mut line = picked_up();
    line.leg(leg(2), LegEvent::Failed(Cause::Unreachable));
    let legs = line.legs_told();
    assert!(matches!(&legs[..], [(3, LegCommand::Dial { .. })]), "{legs:?}");
    line.pass(Duration::from_secs(10));
    let purpose = |event: &agent::Event| {
        matches!(event, agent::Event::Reserve { purpose: Purpose::PickUp { own: None, .. }, .. })
    };
    assert!(line.agents_told().iter().any(purpose), "his own call is over");
    line.leg(leg(3), LegEvent::Failed(Cause::Declined));
    let release = Effect::ToAgent(agent_id("piotr"), released(2, Released::NoPenalty));
    assert_eq!(line.out, [release], "he is not blamed for a call that was not meant for him");
}

/// Piotr has dialled the code and is held.
fn dials_pickup() -> Line {
    let mut line = Line::new(Source::Device(DeviceId { agent: agent_id("piotr"), index: 0 }), "*11");
    line.out.clear();
    let granted = FromAgent::Granted { reservation: reservation(1), devices: Vec::new() };
    line.tell(Event::Agent(agent_id("piotr"), OWNER, granted));
    line
}

fn rings() -> FromQueue {
    FromQueue::Rings(Ok(RingingCall { call: OWN, ringing_for: Duration::from_secs(3) }))
}

// spec: TR-4
#[test]
fn tr_4_the_queue_is_asked_until_it_answers() {
    let mut line = dials_pickup();
    let asks = queue::Event::WhatRings { asker: CALL, agent: agent_id("piotr") };
    line.pass(Duration::from_millis(1_999));
    assert_eq!(line.queues_told(), vec![asks; 4]);
    assert_eq!(line.legs_told(), []);
    line.out.clear();
    line.pass(Duration::from_millis(1));
    assert_eq!(line.legs_told(), [(0, LegCommand::Answer), (0, LegCommand::Play(Playback::Declined))]);
    line.leg(caller(), LegEvent::PlayFinished);
    let record = line.record();
    assert_eq!((record.outcome, record.cause), (Outcome::Refused, Cause::NotFound));
    assert!(line.agents_told().contains(&released(1, Released::NoPenalty)), "it was no conversation");
}

// spec: TR-4, CL-3
#[test]
fn tr_4_who_is_not_held_picks_nothing_up() {
    let mut line = Line::new(Source::Device(DeviceId { agent: agent_id("piotr"), index: 0 }), "*11");
    line.out.clear();
    line.pass(Duration::from_secs(2));
    assert_eq!(line.legs_told(), [(0, LegCommand::Answer), (0, LegCommand::Play(Playback::Declined))]);
}

// spec: TR-4
#[test]
fn tr_4_the_call_that_rings_takes_the_leg_and_this_one_ends() {
    let mut line = dials_pickup();
    line.out.clear();
    line.queue(rings());
    line.queue(rings());
    let own = OwnCall { leg: caller(), reservation: reservation(1) };
    assert_eq!(line.queues_told(), [queue::Event::PickUp { call: OWN, agent: agent_id("piotr"), own }], "once");
    line.out.clear();
    line.leg(caller(), LegEvent::TakenOver { by: LegId { call: OWN, n: 2 } });
    let record = line.record();
    assert_eq!((record.outcome, record.cause), (Outcome::Done, Cause::Normal));
    assert_eq!(line.legs_told(), [], "nothing is hung up");
    let last = record.transitions.last().unwrap();
    assert_eq!(last.what, Happened::TakenOver { by: OWN });
}

// spec: TR-4
#[test]
fn tr_4_too_late_is_heard_and_silence_is_not_waited_for() {
    let declined = [(0, LegCommand::Answer), (0, LegCommand::Play(Playback::Declined))];
    let mut line = dials_pickup();
    line.queue(rings());
    line.out.clear();
    line.queue(FromQueue::NotPickedUp { call: OWN, why: PickupRefusal::NothingRings });
    assert_eq!(line.legs_told(), declined);
    let mut line = dials_pickup();
    line.queue(rings());
    line.out.clear();
    line.pass(Duration::from_secs(4));
    assert_eq!(line.legs_told(), declined);
    line.out.clear();
    // The other call was not faster by much: the phone is there already.
    line.leg(caller(), LegEvent::TakenOver { by: LegId { call: OWN, n: 2 } });
    assert_eq!(line.record().outcome, Outcome::Done);
}
