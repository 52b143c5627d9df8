//! Hold, resume and their collisions: what one side says in a re-INVITE reaches the other side.

use crate::support::scene::{agent_sdp, caller_sdp, scene};
use crate::support::{Phone, sdp};
use carillon_acd::leg::{Cause, LegCommand, LegEvent};

fn caller_says(direction: &str) -> String {
    sdp("127.0.9.2:4000".parse().unwrap(), "0 8 101", direction)
}

#[test]
fn hold_and_resume_pass_through_to_the_other_side() {
    let s = scene();
    let b = s.bridged();
    for (cseq, says, answers, event) in
        [(1, "sendonly", "recvonly", LegEvent::Held), (2, "sendrecv", "sendrecv", LegEvent::Resumed)]
    {
        s.agent.request("INVITE", &b.agent_talk, cseq, "", &agent_sdp(says));
        let passed = s.carrier.expect_request("INVITE");
        assert!(passed.body().contains(&format!("a={says}")), "{}", passed.text);
        assert_eq!(passed.header("To"), b.caller_talk.from, "in the caller's dialog");
        s.carrier.respond(&passed, "200 OK", "", "", &caller_says(answers));
        s.carrier.expect_request("ACK");
        let ok = s.agent.expect(200);
        assert!(ok.body().contains(&format!("a={answers}")), "{}", ok.text);
        s.agent.request("ACK", &b.agent_talk, cseq, "", "");
        s.center.expect_event(b.leg, event);
    }
    s.center.expect_no_event();
}

#[test]
fn the_caller_can_hold_too_and_update_means_the_same() {
    let s = scene();
    let b = s.bridged();
    s.carrier.request("UPDATE", &b.caller_talk, 2, "", &caller_says("inactive"));
    let passed = s.agent.expect_request("INVITE");
    assert!(passed.body().contains("a=inactive"), "{}", passed.text);
    s.agent.respond(&passed, "200 OK", "", "", &agent_sdp("inactive"));
    s.agent.expect_request("ACK");
    assert!(s.carrier.expect(200).body().contains("a=inactive"));
    s.center.expect_event(b.caller, LegEvent::Held);
}

#[test]
fn a_refused_hold_is_refused_and_the_conversation_goes_on() {
    let s = scene();
    let b = s.bridged();
    s.agent.request("INVITE", &b.agent_talk, 1, "", &agent_sdp("sendonly"));
    let passed = s.carrier.expect_request("INVITE");
    s.carrier.respond(&passed, "488 Not Acceptable Here", "", "", "");
    s.carrier.expect_request("ACK");
    s.agent.expect(488);
    s.agent.request("ACK", &b.agent_talk, 1, "", "");
    s.center.expect_no_event();
}

#[test]
fn a_re_invite_that_changes_nothing_stays_on_its_side() {
    let s = scene();
    let b = s.bridged();
    s.agent.request("INVITE", &b.agent_talk, 1, "", &agent_sdp("sendrecv"));
    assert!(s.agent.expect(200).body().contains("a=sendrecv"));
    s.agent.request("ACK", &b.agent_talk, 1, "", "");
    s.carrier.expect_silence();
}

#[test]
fn a_caller_who_waits_is_answered_locally() {
    let s = scene();
    let (talk, caller, _) = s.answered();
    s.carrier.request("INVITE", &talk, 2, "", &caller_says("sendonly"));
    assert!(s.carrier.expect(200).body().contains("a=recvonly"));
    s.carrier.request("ACK", &talk, 2, "", "");
    s.center.expect_event(caller, LegEvent::Held);
}

// RFC 3261 §14.1, §14.2
#[test]
fn re_invites_that_meet_are_refused_and_ours_is_tried_again() {
    let s = scene();
    let b = s.bridged();
    s.agent.request("INVITE", &b.agent_talk, 1, "", &agent_sdp("sendonly"));
    let passed = s.carrier.expect_request("INVITE");
    s.carrier.request("INVITE", &b.caller_talk, 2, "", &caller_says("sendonly"));
    s.carrier.expect(491);
    s.carrier.request("ACK", &b.caller_talk, 2, "", "");
    s.carrier.respond(&passed, "491 Request Pending", "", "", "");
    s.carrier.expect_request("ACK");
    let again = s.carrier.expect_request("INVITE");
    s.carrier.respond(&again, "200 OK", "", "", &caller_says("recvonly"));
    s.carrier.expect_request("ACK");
    assert!(s.agent.expect(200).body().contains("a=recvonly"));
    s.center.expect_event(b.leg, LegEvent::Held);
}

#[test]
fn a_side_that_does_not_know_the_dialog_any_more_has_ended() {
    let s = scene();
    let b = s.bridged();
    s.agent.request("INVITE", &b.agent_talk, 1, "", &agent_sdp("sendonly"));
    let passed = s.carrier.expect_request("INVITE");
    s.carrier.respond(&passed, "481 Call/Transaction Does Not Exist", "", "", "");
    s.carrier.expect_request("ACK");
    s.center.expect_event(b.caller, LegEvent::Ended(Cause::SignallingTimeout));
    s.center.command(b.leg, LegCommand::HangUp(Cause::SignallingTimeout));
    s.agent.expect(503);
    s.agent.expect_request("BYE");
}

#[test]
fn an_offerless_re_invite_gets_our_offer_and_its_ack_is_the_answer() {
    let s = scene();
    let b = s.bridged();
    s.agent.request("INVITE", &b.agent_talk, 1, "", "");
    let ok = s.agent.expect(200);
    assert!(ok.body().contains("m=audio") && ok.body().contains("a=sendrecv"), "{}", ok.text);
    s.agent.request("ACK", &b.agent_talk, 1, "", &agent_sdp("sendrecv"));
    s.agent.request("OPTIONS", &b.agent_talk, 2, "", "");
    s.agent.expect(200);
    s.center.expect_no_event();
}

#[test]
fn the_answered_dialog_answers_what_it_does_not_know() {
    let s = scene();
    let b = s.bridged();
    s.agent.request("MESSAGE", &b.agent_talk, 1, "", "");
    s.agent.expect(405);
    s.agent.request("NEWMETHOD", &b.agent_talk, 2, "", "");
    s.agent.expect(501);
    let info = "Content-Type: application/dtmf-relay\r\n";
    let digit = "Signal=5\r\nDuration=160\r\n";
    let text = s.agent.text("INFO", &b.agent_talk, 3, "", digit).replace("Content-Type: application/sdp\r\n", info);
    s.agent.send(&text);
    s.agent.expect(200);
    s.center.expect_event(b.leg, LegEvent::Digit('5'));
    let mut stranger = Phone::talk_back(&crate::support::Msg::new(b"INVITE x SIP/2.0\r\nTo: <sip:a@b>\r\nFrom: <sip:c@d>;tag=1\r\nCall-ID: none\r\nContact: <sip:a@b>\r\n\r\n"), "t");
    stranger.uri = format!("sip:{}", s.center.addr());
    s.carrier.request("BYE", &stranger, 1, "", &caller_sdp());
    s.carrier.expect(481);
}
