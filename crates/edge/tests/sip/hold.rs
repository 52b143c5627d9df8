//! Hold, resume and their collisions: what one side says in a re-INVITE reaches the other side.

use std::net::UdpSocket;

use crate::support::scene::{Talker, agent_sdp, assert_both_heard, caller_sdp, ends, scene};
use crate::support::{Phone, device, sdp};
use carillon_acd::ids::LegId;
use carillon_acd::leg::{CallerId, Cause, LegCommand, LegEvent};

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
    let again = s.carrier.expect_another("INVITE");
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
fn another_codec_and_another_address_of_one_side_keep_the_audio() {
    let s = scene();
    let b = s.bridged();
    let (ends, moved) = (ends(), UdpSocket::bind("127.0.9.3:5002").unwrap());
    assert_both_heard(&Talker(&ends.caller, b.caller_rtp, 0), &Talker(&ends.agent, b.agent_rtp, 0));

    let elsewhere = sdp("127.0.9.3:5002".parse().unwrap(), "0 101", "sendrecv");
    s.agent.request("INVITE", &b.agent_talk, 1, "", &elsewhere);
    let agent_rtp = s.agent.expect(200).rtp();
    s.agent.request("ACK", &b.agent_talk, 1, "", "");
    assert_both_heard(&Talker(&ends.caller, b.caller_rtp, 0), &Talker(&moved, agent_rtp, 0));

    // The caller could follow to PCMA but stays, so the edge transcodes.
    s.agent.request("INVITE", &b.agent_talk, 2, "", &sdp("127.0.9.3:5002".parse().unwrap(), "8 101", "sendrecv"));
    let passed = s.carrier.expect_request("INVITE");
    assert!(passed.body().contains("RTP/AVP 8 0 101"), "{}", passed.text);
    s.carrier.respond(&passed, "200 OK", "", "", &sdp("127.0.9.2:4000".parse().unwrap(), "0 101", "sendrecv"));
    s.carrier.expect_request("ACK");
    let agent_rtp = s.agent.expect(200).rtp();
    s.agent.request("ACK", &b.agent_talk, 2, "", "");
    assert_both_heard(&Talker(&ends.caller, passed.rtp(), 0), &Talker(&moved, agent_rtp, 8));
}

#[test]
fn another_codec_that_the_partner_refuses_is_transcoded() {
    let s = scene();
    let b = s.bridged();
    let ends = ends();
    s.agent.request("INVITE", &b.agent_talk, 1, "", &sdp("127.0.9.3:5000".parse().unwrap(), "8 101", "sendrecv"));
    let passed = s.carrier.expect_request("INVITE");
    s.carrier.respond(&passed, "488 Not Acceptable Here", "", "", "");
    s.carrier.expect_request("ACK");
    let agent_rtp = s.agent.expect(200).rtp();
    s.agent.request("ACK", &b.agent_talk, 1, "", "");
    assert_both_heard(&Talker(&ends.caller, b.caller_rtp, 0), &Talker(&ends.agent, agent_rtp, 8));
}

#[test]
fn a_hold_that_is_taken_back_does_not_stay_with_the_partner() {
    let s = scene();
    let b = s.bridged();
    s.agent.send(&s.agent.text_with_branch("INVITE", &b.agent_talk, 1, "z9hG4bKback", "", &agent_sdp("sendonly")));
    let passed = s.carrier.expect_request("INVITE");
    s.agent.send(&s.agent.text_with_branch("CANCEL", &b.agent_talk, 1, "z9hG4bKback", "", ""));
    s.agent.expect(200);
    s.agent.expect(487);
    s.carrier.respond(&passed, "200 OK", "", "", &caller_says("recvonly"));
    s.carrier.expect_request("ACK");
    let reopened = s.carrier.expect_request("INVITE");
    assert!(reopened.body().contains("a=sendrecv"), "{}", reopened.text);
    s.carrier.respond(&reopened, "200 OK", "", "", &caller_says("sendrecv"));
    s.carrier.expect_request("ACK");
    s.carrier.expect_silence();
}

#[test]
fn a_hold_that_is_taken_back_while_the_partner_hesitates_is_cancelled_there_too() {
    let s = scene();
    let b = s.bridged();
    s.agent.send(&s.agent.text_with_branch("INVITE", &b.agent_talk, 1, "z9hG4bKback", "", &agent_sdp("sendonly")));
    let passed = s.carrier.expect_request("INVITE");
    s.carrier.respond(&passed, "180 Ringing", "", "", "");
    // Answered after the 180, which is then known.
    s.carrier.request("OPTIONS", &b.caller_talk, 2, "", "");
    s.carrier.expect(200);
    s.agent.send(&s.agent.text_with_branch("CANCEL", &b.agent_talk, 1, "z9hG4bKback", "", ""));
    s.agent.expect(200);
    s.agent.expect(487);
    let cancel = s.carrier.expect_request("CANCEL");
    s.carrier.respond(&cancel, "200 OK", "", "", "");
    s.carrier.respond(&passed, "487 Request Terminated", "", "", "");
    s.carrier.expect_request("ACK");
    s.carrier.expect_silence();
    s.center.expect_no_event();
}

#[test]
fn a_hold_that_is_earlier_than_the_callers_ack_is_passed_on_after_it() {
    let s = scene();
    let (mut talk, caller) = s.invite(&caller_sdp());
    s.center.command(caller, LegCommand::Answer);
    let ok = s.carrier.expect(200);
    let (leg, invite) = s.dial_agent(caller);
    s.agent.respond(&invite, "200 OK", "a1", "", &agent_sdp("sendrecv"));
    s.agent.expect_request("ACK");
    s.center.expect_event(leg, LegEvent::Answered);
    s.center.command(caller, LegCommand::Bridge { with: leg });
    s.agent.request("INVITE", &Phone::talk_back(&invite, "a1"), 1, "", &agent_sdp("sendonly"));
    s.agent.expect(200);
    s.center.expect_event(leg, LegEvent::Held);
    Phone::adopt(&mut talk, &ok);
    s.carrier.request("ACK", &talk, 1, "", "");
    let passed = loop {
        // Our 200 may have been repeated.
        let message = s.carrier.recv();
        if message.status() != 200 {
            break message;
        }
    };
    assert!(passed.body().contains("a=sendonly"), "{}", passed.text);
}

#[test]
fn a_caller_whom_one_agent_held_is_heard_by_the_next() {
    let s = scene();
    let b = s.bridged();
    s.agent.request("INVITE", &b.agent_talk, 1, "", &agent_sdp("sendonly"));
    let passed = s.carrier.expect_request("INVITE");
    s.carrier.respond(&passed, "200 OK", "", "", &caller_says("recvonly"));
    s.carrier.expect_request("ACK");
    s.agent.expect(200);
    s.agent.request("ACK", &b.agent_talk, 1, "", "");
    s.center.expect_event(b.leg, LegEvent::Held);
    s.agent.request("BYE", &b.agent_talk, 2, "", "");
    s.agent.expect(200);
    s.center.expect_event(b.leg, LegEvent::Ended(Cause::Normal));

    let next = LegId { call: b.caller.call, n: 2 };
    let target = device("piotr");
    let (caller, ring_for) = (CallerId::default(), std::time::Duration::from_secs(20));
    s.center.command(next, LegCommand::Dial { target, caller, partner: b.caller, ring_for });
    let invite = s.agent.expect_request("INVITE");
    s.agent.respond(&invite, "200 OK", "a2", "", &agent_sdp("sendrecv"));
    s.agent.expect_request("ACK");
    s.center.expect_event(next, LegEvent::Answered);
    s.center.command(b.caller, LegCommand::Bridge { with: next });
    let reopened = s.carrier.expect_request("INVITE");
    assert!(reopened.body().contains("a=sendrecv"), "{}", reopened.text);
    s.carrier.respond(&reopened, "200 OK", "", "", &caller_says("sendrecv"));
    s.carrier.expect_request("ACK");
    let ends = ends();
    assert_both_heard(&Talker(&ends.caller, b.caller_rtp, 0), &Talker(&ends.agent, invite.rtp(), 0));
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
