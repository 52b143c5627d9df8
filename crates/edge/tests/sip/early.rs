//! Requests in a dialog that is not confirmed yet: RFC 3261 §12.2, RFC 3311.

use carillon_acd::leg::{Cause, LegCommand, LegEvent};

use crate::support::scene::{agent_sdp, caller_sdp, scene};
use crate::support::{Msg, Phone, Talk};

/// `INFO` with a digit in the old way.
fn digit(phone: &Phone, talk: &Talk, cseq: u32, kind: &str, body: &str) {
    let text = phone.text("INFO", talk, cseq, "", body).replace("application/sdp", kind);
    phone.send(&text);
}

#[test]
fn a_phone_that_rings_may_ask_before_it_answers() {
    let s = scene();
    let (_, caller, _) = s.answered();
    let (leg, invite) = s.dial_agent(caller);
    s.agent.respond(&invite, "180 Ringing", "a1", "", "");
    s.center.expect_event(leg, LegEvent::Alerting { early_media: false });
    let talk = Phone::talk_back(&invite, "a1");
    s.agent.request("UPDATE", &talk, 1, "", "");
    s.agent.expect(200);
    s.agent.request("UPDATE", &talk, 2, "", &agent_sdp("sendrecv"));
    s.agent.expect(491);
    digit(&s.agent, &talk, 3, "application/dtmf-relay", "Signal=7\r\nDuration=100\r\n");
    s.agent.expect(200);
    s.center.expect_event(leg, LegEvent::Digit('7'));
    s.agent.request("OPTIONS", &talk, 4, "", "");
    s.agent.expect(200);
    s.agent.request("BYE", &talk, 5, "", "");
    s.agent.expect(481);
    s.agent.request("UPDATE", &Phone::talk_back(&invite, "unheard"), 1, "", "");
    s.agent.expect(481);

    s.agent.respond(&invite, "200 OK", "a1", "", &agent_sdp("sendrecv"));
    s.agent.expect_request("ACK");
    s.center.expect_event(leg, LegEvent::Answered);
    s.agent.request("BYE", &talk, 6, "", "");
    s.agent.expect(200);
    s.center.expect_event(leg, LegEvent::Ended(Cause::Normal));
}

#[test]
fn an_early_dialog_ends_with_its_invite() {
    let s = scene();
    let (_, caller, _) = s.answered();
    let (leg, invite) = s.dial_agent(caller);
    s.agent.respond(&invite, "180 Ringing", "a1", "", "");
    s.center.expect_event(leg, LegEvent::Alerting { early_media: false });
    s.center.command(leg, LegCommand::HangUp(Cause::Cancelled));
    s.agent.expect_request("CANCEL");
    s.agent.request("UPDATE", &Phone::talk_back(&invite, "a1"), 1, "", "");
    s.agent.expect(481);
}

#[test]
fn a_caller_may_refresh_before_our_answer_but_not_offer_again() {
    let s = scene();
    let (mut talk, caller) = s.invite(&caller_sdp());
    s.center.command(caller, LegCommand::Ring);
    let ringing: Msg = s.carrier.expect(180);
    Phone::adopt(&mut talk, &ringing);
    s.carrier.request("UPDATE", &talk, 2, "", "");
    s.carrier.expect(200);
    s.carrier.request("UPDATE", &talk, 3, "", &caller_sdp());
    assert!(!s.carrier.expect(500).header("Retry-After").is_empty());
    digit(&s.carrier, &talk, 4, "application/dtmf", "5");
    s.carrier.expect(200);
    s.center.expect_event(caller, LegEvent::Digit('5'));
    s.center.command(caller, LegCommand::Answer);
    s.carrier.expect(200);
}
