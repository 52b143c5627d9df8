//! A call in a queue: its ticket, and the offers that it tries.

use super::*;

// spec: QU-8
#[test]
fn qu_8_the_ticket_is_repeated_with_its_place_and_the_time_waited() {
    let mut line = Line::waiting();
    line.out.clear();
    line.pass(Duration::from_secs(12));
    let tickets: Vec<_> = line.tickets().into_iter().map(|enqueue| enqueue.ticket).collect();
    assert_eq!(tickets.len(), 2);
    assert_eq!(tickets[1].sequence, Some(Sequence { epoch: Epoch(5), counter: 1 }));
    assert_eq!((tickets[1].waited, tickets[1].priority), (Duration::from_secs(10), 3));
}

// spec: AU-1
#[test]
fn au_1_the_caller_hears_music_even_when_the_owner_of_the_queue_is_silent() {
    let mut line = Line::new(Source::Trunk(trunk()), "+33123456789");
    assert_eq!(line.legs_told(), []);
    line.pass(Duration::from_secs(1));
    let commands = line.legs_told();
    assert_eq!(commands[0], (0, LegCommand::Answer));
    line.queue(FromQueue::Enqueued { sequence: Sequence { epoch: Epoch(5), counter: 1 } });
    assert_eq!(line.legs_told(), [], "once");
}

// spec: QU-2
#[test]
fn qu_2_the_first_answer_wins_and_a_second_one_on_its_way_is_ended() {
    let mut line = Line::waiting();
    line.offer(5, 1, &["anna", "piotr", "ivan"]);
    line.grant("anna", 1);
    line.grant("piotr", 2);
    line.out.clear();
    line.leg(leg(2), LegEvent::Answered);
    let effects = std::mem::take(&mut line.out);
    let elsewhere = LegCommand::HangUp(Cause::AnsweredElsewhere);
    assert!(effects.contains(&Effect::Leg(leg(1), elsewhere.clone())));
    assert!(effects.contains(&Effect::ToAgent(agent_id("anna"), released(1, Released::NoPenalty))));
    assert!(effects.contains(&Effect::ToAgent(agent_id("ivan"), released(3, Released::NoPenalty))));
    line.leg(leg(1), LegEvent::Answered);
    assert_eq!(line.legs_told(), [(1, elsewhere)]);
    line.grant("ivan", 3);
    assert_eq!(line.agents_told(), [released(3, Released::NoPenalty)], "a late grant is given back");
    assert_eq!(line.call.connected_with(), Some((leg(2), Some(&agent_id("piotr")))));
}

// spec: QU-2
#[test]
fn qu_2_agents_join_an_offer_once() {
    let mut line = Line::waiting();
    line.offer(5, 1, &["anna"]);
    line.out.clear();
    line.offer(5, 1, &["anna", "piotr"]);
    line.offer(5, 1, &["anna", "piotr"]);
    assert_eq!(line.agents_told().len(), 1, "Anna is known, Piotr is asked");
}

#[test]
fn an_unanswered_phone_is_reported_and_the_place_is_kept() {
    let mut line = Line::ringing();
    line.leg(leg(1), LegEvent::Alerting { early_media: false });
    line.leg(leg(1), LegEvent::Failed(Cause::NoAnswer));
    assert!(line.out.contains(&Effect::ToAgent(agent_id("anna"), released(1, Released::NotAnswered))));
    let ticket = line.tickets().pop().unwrap();
    let offer = OfferId { epoch: Epoch(5), counter: 1 };
    assert_eq!(ticket.progress, Some(Progress::Failed { offer, refused: Vec::new(), rang: true }));
    assert_eq!((ticket.round, ticket.tried), (1, vec![agent_id("anna")]));
    assert!(ticket.ticket.sequence.is_some());
}

#[test]
fn a_device_that_never_rang_is_no_fault_of_the_agent() {
    let mut line = Line::ringing();
    line.leg(leg(1), LegEvent::Failed(Cause::Unreachable));
    assert!(line.out.contains(&Effect::ToAgent(agent_id("anna"), released(1, Released::Unreachable))));
    let progress = line.tickets().pop().unwrap().progress;
    assert!(matches!(progress, Some(Progress::Failed { rang: false, .. })), "{progress:?}");
}

#[test]
fn an_edge_that_forgets_a_ringing_phone_does_not_hold_the_caller() {
    let mut line = Line::ringing();
    line.leg(leg(1), LegEvent::Alerting { early_media: false });
    line.pass(Duration::from_secs(22));
    assert!(line.out.contains(&Effect::Leg(leg(1), LegCommand::HangUp(Cause::NoAnswer))));
    assert!(line.out.contains(&Effect::ToAgent(agent_id("anna"), released(1, Released::NotAnswered))));
}

#[test]
fn an_agents_owner_that_does_not_answer_costs_two_seconds() {
    let mut line = Line::waiting();
    line.offer(5, 1, &["anna"]);
    line.out.clear();
    line.pass(Duration::from_secs(2));
    let ticket = line.out.iter().find_map(|effect| match effect {
        Effect::ToQueue(_, queue::Event::Enqueue(enqueue)) => Some(enqueue.progress.clone()),
        _ => None,
    });
    let offer = OfferId { epoch: Epoch(5), counter: 1 };
    assert_eq!(ticket, Some(Some(Progress::Failed { offer, refused: vec![agent_id("anna")], rang: false })));
    assert!(line.out.contains(&Effect::ToAgent(agent_id("anna"), released(1, Released::NoPenalty))));
}

#[test]
fn a_ringing_reservation_is_renewed() {
    let mut line = Line::ringing();
    line.pass(Duration::from_secs(10));
    let renewed = line.agents_told();
    assert!(matches!(&renewed[..], [agent::Event::Reserve { reservation: r, .. }] if *r == reservation(1)));
    line.grant("anna", 1);
    assert_eq!(line.legs_told(), [], "a repeated grant dials nothing");
    let lost = FromAgent::Lost { reservation: reservation(1) };
    line.tell(Event::Agent(agent_id("anna"), OWNER, lost));
    assert_eq!(line.legs_told(), [(1, LegCommand::HangUp(Cause::Cancelled))], "he is held for somebody else");
}

// spec: CL-3
#[test]
fn cl_3_a_replaced_owner_is_not_obeyed() {
    let mut line = Line::waiting();
    line.out.clear();
    line.offer(4, 99, &["anna"]);
    let overflow = queue::Overflow {
        why: queue::OverflowReason::MaxWait,
        message: None,
        then: queue::Then::HangUp,
        farewell: None,
        ring_for: Duration::ZERO,
    };
    line.queue(FromQueue::Overflow { epoch: Epoch(4), overflow });
    assert_eq!((&line.out[..], line.call.refused()), (&[][..], 2));
    line.offer(6, 1, &["anna"]);
    assert_eq!(line.agents_told().len(), 1);
}

// spec: PL-6: a caller who is sent home has flowed out, and has not abandoned as well.
#[test]
fn pl_6_a_call_leaves_a_queue_once() {
    let mut line = Line::waiting();
    let overflow = queue::Overflow {
        why: queue::OverflowReason::MaxWait,
        message: None,
        then: queue::Then::HangUp,
        farewell: None,
        ring_for: Duration::ZERO,
    };
    line.out.clear();
    line.queue(FromQueue::Overflow { epoch: Epoch(5), overflow });
    let record = line.record();
    assert_eq!(line.queues_told(), [left(Left::Overflowed)]);
    let times = record.transitions.iter().filter(|t| step(&t.what) == "left").count();
    assert_eq!(times, 1);
}

#[test]
fn an_offer_during_an_offer_is_answered_with_how_far_we_are() {
    let mut line = Line::ringing();
    line.offer(6, 1, &["piotr"]);
    let working = Progress::Working(OfferId { epoch: Epoch(5), counter: 1 });
    assert_eq!(line.tickets().pop().unwrap().progress, Some(working));
    assert_eq!(line.agents_told(), []);
}
