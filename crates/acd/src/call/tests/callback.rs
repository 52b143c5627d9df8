//! A callback when messages cross, come late or get lost. How it goes in peace is told by the scenarios.

use super::*;
use crate::leg::{DialTarget, Playback};
use crate::queue::{Overflow, OverflowReason, Then};

/// The caller has asked to be called back; the tone plays.
fn asked() -> Line {
    let mut line = Line::waiting();
    line.out.clear();
    line.leg(caller(), LegEvent::Digit('2'));
    line
}

/// His line is hung up, and it is time to call him.
fn waits() -> Line {
    let mut line = asked();
    line.leg(caller(), LegEvent::PlayFinished);
    line.pass(Duration::from_secs(4));
    line.out.clear();
    line
}

/// Anna has answered on leg 1, the client's phone rings on leg 2.
fn dials() -> Line {
    let mut line = waits();
    line.offer(5, 1, &["anna"]);
    line.grant("anna", 1);
    line.leg(leg(1), LegEvent::Answered);
    line.leg(leg(2), LegEvent::Alerting { early_media: false });
    line.out.clear();
    line
}

fn overflow(why: OverflowReason) -> FromQueue {
    let overflow = Overflow { why, message: None, then: Then::HangUp, farewell: None, ring_for: Duration::ZERO };
    FromQueue::Overflow { epoch: Epoch(5), overflow }
}

fn anna_says(line: &mut Line, said: FromAgent) {
    line.tell(Event::Agent(agent_id("anna"), OWNER, said));
}

// spec: UN-7
#[test]
fn un_7_the_ticket_says_that_he_is_called_back_and_keeps_his_place() {
    let mut line = asked();
    let ticket = line.tickets().pop().unwrap().ticket;
    assert_eq!(ticket.sequence, Some(Sequence { epoch: Epoch(5), counter: 1 }));
    let callback = ticket.callback.expect("he has asked");
    assert_eq!((callback.rest.as_secs(), callback.ring_for.as_secs()), (3, 30));
    line.pass(Duration::from_secs(3600));
    let ticket = line.tickets().pop().unwrap().ticket;
    assert_eq!((ticket.waited, ticket.callback.unwrap().rest), (Duration::from_secs(3600), Duration::ZERO));
    assert!(line.call.view(line.now).callback);
}

// spec: UN-7
#[test]
fn un_7_nobody_is_asked_while_he_is_on_the_line() {
    let mut line = asked();
    line.out.clear();
    line.offer(5, 1, &["anna"]);
    assert_eq!(line.tickets().len(), 1, "the owner is told how far we are");
    line.pass(Duration::from_secs(2));
    line.out.clear();
    line.leg(caller(), LegEvent::PlayFinished);
    assert_eq!(line.legs_told(), [(0, LegCommand::HangUp(Cause::Normal))]);
    line.offer(5, 2, &["anna"]);
    assert_eq!(line.agents_told(), [], "his phone may not be free yet");
    line.leg(caller(), LegEvent::Ended(Cause::Normal));
    assert!(!line.call.is_over(), "he hung up at the same moment");
    line.pass(Duration::from_secs(1));
    line.offer(5, 3, &["anna"]);
    assert_eq!(line.agents_told().len(), 1);
}

// spec: UN-7
#[test]
fn un_7_who_hangs_up_during_the_tone_is_called_back_all_the_same() {
    let mut line = asked();
    line.leg(caller(), LegEvent::Ended(Cause::Normal));
    line.pass(Duration::from_secs(4));
    assert!(!line.call.is_over());
    line.offer(5, 1, &["anna"]);
    line.grant("anna", 1);
    line.leg(leg(1), LegEvent::Answered);
    line.out.clear();
    line.leg(leg(2), LegEvent::Answered);
    assert_eq!(line.legs_told(), [(2, LegCommand::Bridge { with: leg(1) })]);
    line.leg(leg(2), LegEvent::Ended(Cause::Normal));
    assert_eq!(line.record().outcome, Outcome::Answered);
}

// spec: UN-7, OU-5
#[test]
fn un_7_the_agent_is_held_while_the_client_rings() {
    let mut line = waits();
    line.offer(5, 1, &["anna"]);
    line.grant("anna", 1);
    line.out.clear();
    line.leg(leg(1), LegEvent::Answered);
    assert_eq!(line.shown(), ["+33123456789"]);
    let [(1, LegCommand::Play(Playback::Ringing)), (2, LegCommand::Dial { target, .. })] = &line.legs_told()[..] else {
        panic!("the agent hears ringing, and the client is called");
    };
    assert!(matches!(target, DialTarget::Trunk { number, .. } if number.as_str() == "+33600000000"));
    line.pass(Duration::from_secs(10));
    let renewed = line.agents_told();
    assert!(matches!(renewed[..], [agent::Event::Reserve { reservation: ReservationId { n: 1, .. }, .. }]));
    line.grant("anna", 1);
    assert_eq!(line.agents_told(), [], "granted again, and kept");
    anna_says(&mut line, FromAgent::NewOwner);
    assert_eq!(line.agents_told(), renewed, "a new owner hears of it at once");
}

// spec: UN-7, CL-3
#[test]
fn un_7_an_agent_whose_owner_took_him_back_is_let_go() {
    for said in [
        FromAgent::Lost { reservation: reservation(1) },
        FromAgent::Refused { reservation: reservation(1), why: Refusal::Busy },
    ] {
        let mut line = dials();
        anna_says(&mut line, said);
        let cancelled = LegCommand::HangUp(Cause::Cancelled);
        assert_eq!(line.legs_told(), [(2, cancelled.clone()), (1, cancelled)]);
        line.leg(leg(2), LegEvent::Answered);
        let late = [(2, LegCommand::HangUp(Cause::AnsweredElsewhere))];
        assert_eq!(line.legs_told(), late, "the client's answer was on its way");
    }
}

// spec: UN-7, OU-4
#[test]
fn ou_4_a_client_who_was_not_reached_rests_in_his_place() {
    let mut line = dials();
    line.leg(leg(2), LegEvent::Failed(Cause::Busy));
    assert!(line.out.contains(&Effect::ToAgent(agent_id("anna"), released(1, Released::NoPenalty))));
    let back = line.tickets().pop().unwrap();
    let (offer, refused) = (OfferId { epoch: Epoch(5), counter: 1 }, vec![agent_id("anna")]);
    assert_eq!(back.progress, Some(Progress::Failed { offer, refused, rang: false }));
    assert_eq!((back.round, back.tried), (2, Vec::new()));
    assert_eq!(back.ticket.callback.unwrap().rest, Duration::from_secs(120));
    line.pass(Duration::from_millis(119_999));
    line.out.clear();
    line.offer(5, 2, &["anna"]);
    assert_eq!(line.agents_told(), [], "the owner has not heard that it rests");
    line.pass(Duration::from_millis(1));
    line.offer(5, 3, &["anna"]);
    assert_eq!(line.agents_told().len(), 1);
}

// spec: OU-4
#[test]
fn ou_4_the_edge_may_be_silent_about_the_client() {
    let mut line = dials();
    line.pass(Duration::from_secs(33));
    let told = line.legs_told();
    assert!(told.contains(&(2, LegCommand::HangUp(Cause::Cancelled))));
    assert!(told.contains(&(1, LegCommand::HangUp(Cause::NoAnswer))));
}

// spec: UN-7
#[test]
fn un_7_a_word_to_leave_that_crossed_the_digit_is_not_obeyed() {
    let mut line = asked();
    line.out.clear();
    for why in [OverflowReason::MaxWait, OverflowReason::NobodyLoggedIn, OverflowReason::RoundUnanswered] {
        line.queue(overflow(why));
    }
    assert_eq!(line.out, []);
}

// spec: UN-7
#[test]
fn un_7_who_is_merged_hears_the_tone_to_its_end() {
    let mut line = asked();
    line.out.clear();
    let other = CallId { number: 2, ..CALL };
    line.queue(overflow(OverflowReason::Merged(other)));
    assert_eq!(line.queues_told(), [left(Left::Gone)]);
    line.leg(caller(), LegEvent::PlayFinished);
    let record = line.record();
    assert_eq!(record.outcome, Outcome::Missed);
    let why = Happened::Stopped { why: format!("merged with call {other}") };
    assert!(record.transitions.iter().any(|step| step.what == why));
}

// spec: UN-7
#[test]
fn un_7_a_client_who_was_reached_otherwise_is_called_no_more() {
    let mut line = dials();
    line.queue(overflow(OverflowReason::Reached(CallId { number: 2, ..CALL })));
    let record = line.record();
    assert_eq!(record.outcome, Outcome::Missed);
    let cancelled = LegCommand::HangUp(Cause::Cancelled);
    assert_eq!(line.legs_told(), [(2, cancelled.clone()), (1, cancelled)]);
}

// spec: UN-7
#[test]
fn un_7_a_callback_lasts_as_long_as_it_is_kept_and_a_conversation_may_follow() {
    let mut line = waits();
    line.pass(Duration::from_secs(8 * 3600 - 10));
    line.offer(5, 1, &["anna"]);
    line.grant("anna", 1);
    line.pass(Duration::from_secs(15));
    assert!(!line.call.is_over(), "a phone that rings is not cut");
    line.leg(leg(1), LegEvent::Answered);
    line.leg(leg(2), LegEvent::Answered);
    line.pass(Duration::from_secs(6 * 3600));
    assert!(line.call.connected_with().is_some(), "14 hours after the INVITE");
    let mut line = waits();
    line.pass(Duration::from_secs(8 * 3600));
    assert!(line.call.is_over());
}
