//! Messages that cross or do not come: nothing may be lost, and nothing may stay. The SIP timers are twenty times shorter
//! than usual.

use std::time::Duration;

use carillon_acd::ids::LegId;
use carillon_acd::leg::{Cause, LegCommand, LegEvent};
use carillon_edge::{EdgeConfig, SipTimers};

use crate::support::scene::{Scene, agent_sdp, caller_sdp, scene_with};
use crate::support::{Msg, Phone, Talk, config, eventually, sdp};

fn hasty() -> Scene {
    let ms = Duration::from_millis;
    let sip_timers = SipTimers { t1: ms(25), t2: ms(200), t4: ms(250), d: ms(1_600), ..SipTimers::default() };
    scene_with(EdgeConfig { sip_timers, ..config() })
}

/// A phone has rung for a caller, and is about to hear our CANCEL.
struct GivenUp {
    scene: Scene,
    talk: Talk,
    caller: LegId,
    invite: Msg,
}

fn given_up() -> GivenUp {
    let scene = hasty();
    let (talk, caller, _) = scene.answered();
    let (leg, invite) = scene.dial_agent(caller);
    scene.agent.respond(&invite, "180 Ringing", "a1", "", "");
    scene.center.expect_event(leg, LegEvent::Alerting { early_media: false });
    scene.center.command(leg, LegCommand::HangUp(Cause::Cancelled));
    GivenUp { scene, talk, caller, invite }
}

/// Not a leg, dialog or transaction is left, and nobody waits for one.
fn expect_nothing_left(s: &Scene) {
    eventually("nothing is left", || {
        let stats = s.center.edge.stats();
        let left = [stats.calls, stats.legs, stats.streams, stats.transactions, stats.remembered];
        if left == [0; 5] { Ok(()) } else { Err(stats) }
    });
}

// RFC 3261 §13.3.1.4
#[test]
fn a_caller_who_never_acknowledges_is_hung_up() {
    let s = hasty();
    let (_, caller) = s.invite(&caller_sdp());
    s.center.command(caller, LegCommand::Answer);
    s.carrier.expect(200);
    let mut repeated = 0;
    let bye = loop {
        let message = s.carrier.recv();
        if message.method() == "BYE" {
            break message;
        }
        assert_eq!(message.status(), 200);
        repeated += 1;
    };
    assert!(repeated >= 5, "the 200 was repeated {repeated} times");
    s.center.expect_event(caller, LegEvent::Ended(Cause::SignallingTimeout));
    s.carrier.respond(&bye, "200 OK", "", "", "");
    expect_nothing_left(&s);
}

#[test]
fn who_is_hung_up_before_his_ack_is_told_after_it_or_without_it() {
    for acknowledges in [true, false] {
        let s = hasty();
        let (mut talk, caller) = s.invite(&caller_sdp());
        s.center.command(caller, LegCommand::Answer);
        let ok = s.carrier.expect(200);
        s.center.command(caller, LegCommand::HangUp(Cause::Normal));
        Phone::adopt(&mut talk, &ok);
        if acknowledges {
            s.carrier.request("ACK", &talk, 1, "", "");
        }
        let bye = loop {
            let message = s.carrier.recv();
            if message.status() != 200 {
                break message;
            }
        };
        assert_eq!(bye.method(), "BYE");
        s.carrier.respond(&bye, "200 OK", "", "", "");
        s.center.expect_no_event();
        expect_nothing_left(&s);
    }
}

// RFC 3261 §9.2: a CANCEL that comes after the final response has no effect.
#[test]
fn a_cancel_that_crosses_our_200_changes_nothing() {
    let s = hasty();
    let mut talk = s.carrier.talk("1", "201");
    s.carrier.send(&s.carrier.text_with_branch("INVITE", &talk, 1, "z9hG4bKcrossed", "", &caller_sdp()));
    let caller = LegId::caller(s.center.incoming().call);
    s.center.command(caller, LegCommand::Answer);
    let ok = s.carrier.expect(200);
    s.carrier.send(&s.carrier.text_with_branch("CANCEL", &talk, 1, "z9hG4bKcrossed", "", ""));
    let cancelled = loop {
        let message = s.carrier.recv();
        if message.cseq_method() == "CANCEL" {
            break message;
        }
    };
    assert_eq!(cancelled.status(), 200);
    Phone::adopt(&mut talk, &ok);
    s.carrier.request("ACK", &talk, 1, "", "");
    s.carrier.request("BYE", &talk, 2, "", "");
    eventually("the BYE is answered", || {
        let message = s.carrier.recv();
        if message.cseq_method() == "BYE" && message.status() == 200 { Ok(()) } else { Err(message.text) }
    });
    s.center.expect_event(caller, LegEvent::Ended(Cause::Normal));
    s.center.expect_no_event();
    expect_nothing_left(&s);
}

#[test]
fn an_answer_that_crosses_our_cancel_is_acknowledged_and_hung_up() {
    let GivenUp { scene: s, talk, caller, invite } = given_up();
    let cancel = s.agent.expect_request("CANCEL");
    s.agent.respond(&invite, "200 OK", "a1", "", &agent_sdp("sendrecv"));
    s.agent.respond(&cancel, "200 OK", "a1", "", "");
    s.agent.expect_request("ACK");
    let bye = s.agent.expect_request("BYE");
    s.agent.respond(&bye, "200 OK", "", "", "");
    s.carrier.request("BYE", &talk, 2, "", "");
    s.carrier.expect(200);
    s.center.expect_event(caller, LegEvent::Ended(Cause::Normal));
    s.center.expect_no_event();
    expect_nothing_left(&s);
}

#[test]
fn byes_that_cross_are_both_answered() {
    let s = hasty();
    let (talk, caller, _) = s.answered();
    s.center.command(caller, LegCommand::HangUp(Cause::Normal));
    let bye = s.carrier.expect_request("BYE");
    s.carrier.request("BYE", &talk, 2, "", "");
    let ok = loop {
        let message = s.carrier.recv();
        if message.method() != "BYE" {
            break message;
        }
    };
    assert_eq!(ok.status(), 200);
    s.carrier.respond(&bye, "200 OK", "", "", "");
    s.center.expect_no_event();
    expect_nothing_left(&s);
}

#[test]
fn a_peer_that_answers_nothing_any_more_leaves_nothing() {
    let s = hasty();
    let b = s.bridged();
    s.agent.request("INVITE", &b.agent_talk, 1, "", &agent_sdp("sendonly"));
    s.carrier.expect_request("INVITE");
    s.center.expect_event(b.caller, LegEvent::Ended(Cause::SignallingTimeout));
    s.center.command(b.leg, LegCommand::HangUp(Cause::SignallingTimeout));
    expect_nothing_left(&s);
}

#[test]
fn a_phone_that_rings_for_ever_after_a_cancel_leaves_nothing() {
    let GivenUp { scene: s, talk, caller, .. } = given_up();
    s.carrier.request("BYE", &talk, 2, "", "");
    s.center.expect_event(caller, LegEvent::Ended(Cause::Normal));
    expect_nothing_left(&s);
}

#[test]
fn a_caller_who_hangs_up_while_his_hold_is_passed_on_leaves_an_open_line() {
    let s = hasty();
    let b = s.bridged();
    let says = |direction| sdp("127.0.9.2:4000".parse().unwrap(), "0 8 101", direction);
    s.carrier.request("INVITE", &b.caller_talk, 2, "", &says("sendonly"));
    let passed = s.agent.expect_request("INVITE");
    s.carrier.request("BYE", &b.caller_talk, 3, "", "");
    let mut left = vec![(200, "BYE"), (487, "INVITE")];
    while !left.is_empty() {
        let message = s.carrier.recv();
        let got = (message.status(), message.cseq_method());
        // On a slow machine also 100, and the 200 to the first INVITE again.
        assert!(left.contains(&got) || matches!(got, (100 | 200, "INVITE")), "{}", message.text);
        left.retain(|wanted| *wanted != got);
    }
    s.agent.respond(&passed, "200 OK", "", "", &agent_sdp("recvonly"));
    s.agent.expect_request("ACK");
    s.center.expect_event(b.caller, LegEvent::Ended(Cause::Normal));
    s.center.command(b.leg, LegCommand::HangUp(Cause::Normal));
    let bye = s.agent.expect_request("BYE");
    s.agent.respond(&bye, "200 OK", "", "", "");
    expect_nothing_left(&s);
}
