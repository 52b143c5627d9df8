//! A caller's leg that goes over to another call: pickup (Spec: TR-4).

use carillon_acd::ids::LegId;
use carillon_acd::leg::{Cause, LegCommand, LegEvent, Playback};
use carillon_edge::EdgeConfig;

use crate::support::scene::{Scene, Talker, agent_sdp, assert_both_heard, caller_sdp, ends, scene, scene_with};
use crate::support::{Phone, Talk, config};

/// Piotr dials the code; nobody has answered him.
fn dials(s: &Scene, branch: &str) -> (Talk, LegId) {
    let talk = s.agent.talk("piotr", "*11");
    s.agent.send(&s.agent.text_with_branch("INVITE", &talk, 1, branch, "", &agent_sdp("sendrecv")));
    assert_eq!(s.agent.recv().status(), 100);
    let incoming = s.center.incoming();
    assert_eq!(incoming.dialled, "*11");
    (talk, LegId::caller(incoming.call))
}

fn adopt(s: &Scene, ringing: LegId, from: LegId) -> LegId {
    let leg = LegId { call: ringing.call, n: 1 };
    s.center.command(leg, LegCommand::Adopt { from });
    leg
}

// spec: TR-4
#[test]
fn tr_4_a_calling_phone_becomes_the_leg_of_the_call_that_it_picks_up() {
    let (s, ends) = (scene(), ends());
    let (mut caller_talk, caller) = s.invite(&caller_sdp());
    let (mut talk, from) = dials(&s, "z9hG4bKcode");
    let leg = adopt(&s, caller, from);
    s.center.expect_event(from, LegEvent::TakenOver { by: leg });
    s.center.expect_event(leg, LegEvent::Answered);
    // What its old call still wants of it is too late.
    s.center.command(from, LegCommand::Play(Playback::Declined));
    s.center.command(from, LegCommand::HangUp(Cause::Normal));
    s.center.command(leg, LegCommand::Adopt { from });
    let ok = s.agent.expect(200);
    Phone::adopt(&mut talk, &ok);
    s.agent.request("ACK", &talk, 1, "", "");
    s.center.command(caller, LegCommand::Answer);
    s.center.command(caller, LegCommand::Bridge { with: leg });
    let caller_ok = s.carrier.expect(200);
    Phone::adopt(&mut caller_talk, &caller_ok);
    s.carrier.request("ACK", &caller_talk, 1, "", "");
    assert_both_heard(&Talker(&ends.caller, caller_ok.rtp(), 0), &Talker(&ends.agent, ok.rtp(), 0));
    s.agent.request("BYE", &talk, 2, "", "");
    s.agent.expect(200);
    s.center.expect_event(leg, LegEvent::Ended(Cause::Normal));
    s.center.command(caller, LegCommand::HangUp(Cause::Normal));
    let bye = s.carrier.expect_request("BYE");
    s.carrier.respond(&bye, "200 OK", "", "", "");
    s.center.expect_all_gone();
    s.center.expect_no_event();
}

// spec: TR-4
#[test]
fn tr_4_a_phone_that_hung_up_or_was_answered_picks_nothing_up() {
    let s = scene();
    let (_, caller) = s.invite(&caller_sdp());
    let (talk, from) = dials(&s, "z9hG4bKcode");
    s.agent.send(&s.agent.text_with_branch("CANCEL", &talk, 1, "z9hG4bKcode", "", ""));
    s.center.expect_event(from, LegEvent::Ended(Cause::Cancelled));
    let leg = adopt(&s, caller, from);
    s.center.expect_event(leg, LegEvent::Failed(Cause::Cancelled));
    let mut got = [s.agent.recv(), s.agent.recv()].map(|message| message.status());
    got.sort_unstable();
    assert_eq!(got, [200, 487]);
    s.agent.send(&s.agent.text_with_branch("ACK", &talk, 1, "z9hG4bKcode", "", ""));

    let (mut talk, from) = dials(&s, "z9hG4bKsecond");
    s.center.command(from, LegCommand::Answer);
    let ok = s.agent.expect(200);
    Phone::adopt(&mut talk, &ok);
    s.agent.request("ACK", &talk, 1, "", "");
    s.center.expect_event(adopt(&s, caller, from), LegEvent::Failed(Cause::Cancelled));
    s.agent.request("BYE", &talk, 2, "", "");
    s.agent.expect(200);
    s.center.expect_event(from, LegEvent::Ended(Cause::Normal));

    // Nor for a caller who has given up.
    let (_, from) = dials(&s, "z9hG4bKthird");
    s.center.command(caller, LegCommand::HangUp(Cause::Cancelled));
    s.center.expect_event(adopt(&s, caller, from), LegEvent::Failed(Cause::Cancelled));
    s.center.command(from, LegCommand::HangUp(Cause::NotFound));
    s.agent.expect(404);
}

// spec: TR-4
#[test]
fn tr_4_a_phone_without_an_offer_is_offered_the_callers_codec() {
    let s = scene();
    let (_, caller) = s.invite(&caller_sdp());
    let mut talk = s.agent.talk("piotr", "*11");
    s.agent.request("INVITE", &talk, 1, "", "");
    assert_eq!(s.agent.recv().status(), 100);
    let from = LegId::caller(s.center.incoming().call);
    let leg = adopt(&s, caller, from);
    s.center.expect_event(from, LegEvent::TakenOver { by: leg });
    s.center.expect_event(leg, LegEvent::Answered);
    let ok = s.agent.expect(200);
    assert!(ok.body().contains("m=audio"), "{}", ok.body());
    Phone::adopt(&mut talk, &ok);
    s.agent.request("ACK", &talk, 1, "", &agent_sdp("sendrecv"));
    s.center.command(leg, LegCommand::HangUp(Cause::Normal));
    s.agent.expect_request("BYE");
}

// spec: TR-4
#[test]
fn tr_4_a_phone_in_another_worker_is_refused_and_can_be_rung_instead() {
    let s = scene_with(EdgeConfig { workers: 4, ..config() });
    let (_, caller) = s.invite(&caller_sdp());
    let worker = |leg: LegId| leg.call.number % 4;
    for n in 1.. {
        let (_, from) = dials(&s, &format!("z9hG4bKcode{n}"));
        let leg = LegId { call: caller.call, n };
        if worker(from) == worker(caller) {
            s.center.command(from, LegCommand::HangUp(Cause::Normal));
            s.agent.expect(480);
            continue;
        }
        s.center.command(leg, LegCommand::Adopt { from });
        let mut told = [s.center.event(), s.center.event()];
        told.sort_by_key(|(leg, _)| leg.call != caller.call);
        let refused = (leg, LegEvent::Failed(Cause::Unreachable));
        assert_eq!(told, [refused, (from, LegEvent::TakenOver { by: leg })]);
        s.agent.expect(486);
        return;
    }
}
