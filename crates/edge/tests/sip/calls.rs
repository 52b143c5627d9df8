//! Incoming calls: answered, given up, refused, broken, bridged with an agent's phone.

use std::net::UdpSocket;
use std::time::Duration;

use crate::support::scene::{Scene, Talker, agent_sdp, assert_both_heard, caller_sdp, ends, scene};
use crate::support::{Center, Phone, device_id, fixed, sdp, trunk, trunk_id};
use carillon_acd::ids::LegId;
use carillon_acd::leg::{Cause, LegCommand, LegEvent, Playback, Source};

#[test]
fn a_call_comes_in_rings_is_answered_and_ends_from_either_side() {
    let s = scene();
    let (mut talk, caller) = s.invite(&caller_sdp());
    s.center.command(caller, LegCommand::Ring);
    let ringing = s.carrier.expect(180);
    assert!(!ringing.tag("To").is_empty());
    s.center.command(caller, LegCommand::Answer);
    let ok = s.carrier.expect(200);
    assert_eq!(ok.tag("To"), ringing.tag("To"));
    assert_eq!(ok.rtp().ip(), s.center.addr().ip());
    Phone::adopt(&mut talk, &ok);
    s.carrier.request("ACK", &talk, 1, "", "");
    s.carrier.request("BYE", &talk, 2, "", "");
    s.carrier.expect(200);
    s.center.expect_event(caller, LegEvent::Ended(Cause::Normal));
    s.center.expect_all_gone();

    let (_, caller, _) = s.answered();
    s.center.command(caller, LegCommand::HangUp(Cause::Normal));
    let bye = s.carrier.expect_request("BYE");
    assert!(bye.header("Reason").contains("cause=16"));
    s.carrier.respond(&bye, "200 OK", "", "", "");
    s.center.expect_all_gone();
    s.center.expect_no_event();
}

#[test]
fn what_the_invite_says_arrives_as_the_incoming_call() {
    let s = scene();
    let mut talk = s.carrier.talk("x", "33123456789");
    talk.from = "\"Jane \\\"J\\\" Doe\" <sip:+48600@127.0.9.2>;tag=1".into();
    talk.to = "<sip:101@carillon>".into();
    s.carrier.request("INVITE", &talk, 1, "", &caller_sdp());
    let incoming = s.center.incoming();
    assert_eq!(incoming.source, Source::Trunk(trunk_id()));
    assert_eq!((incoming.dialled.as_str(), incoming.to_user.as_str()), ("33123456789", "101"));
    assert_eq!((incoming.caller.number.as_str(), incoming.caller.name.as_str()), ("+48600", "Jane \"J\" Doe"));
}

#[test]
fn a_trunk_asserts_who_calls_and_a_phone_does_not() {
    let s = scene();
    let asserted = "P-Asserted-Identity: \"Jane\" <tel:+48600111222>\r\n";
    s.carrier.request("INVITE", &s.carrier.talk("anonymous", "1"), 1, asserted, &caller_sdp());
    let incoming = s.center.incoming();
    assert_eq!((incoming.caller.number.as_str(), incoming.caller.name.as_str()), ("+48600111222", "Jane"));
    s.agent.request("INVITE", &s.agent.talk("piotr", "1"), 1, asserted, &agent_sdp("sendrecv"));
    let incoming = s.center.incoming();
    assert_eq!(incoming.source, Source::Device(device_id("piotr")));
    assert_eq!(incoming.caller.number, "piotr");
}

#[test]
fn with_several_workers_each_call_stays_in_one() {
    let agent = Phone::new("127.0.9.3", ([127, 0, 9, 1], 5060).into());
    let directory =
        carillon_edge::Directory::new(vec![fixed("piotr", agent.addr())], vec![trunk("127.0.9.2/32", None)]).unwrap();
    let center = Center::start_with(carillon_edge::EdgeConfig { workers: 4, ..crate::support::config() }, directory);
    let carrier = Phone::new("127.0.9.2", center.addr());
    let s = Scene { agent: Phone { edge: center.addr(), ..agent }, center, carrier };
    let mut numbers = std::collections::HashSet::new();
    for _ in 0..12 {
        let b = s.bridged();
        assert!(numbers.insert(b.caller.call.number), "no number twice");
        s.agent.request("BYE", &b.agent_talk, 1, "", "");
        s.agent.expect(200);
        s.center.expect_event(b.leg, LegEvent::Ended(Cause::Normal));
        s.center.command(b.caller, LegCommand::HangUp(Cause::Normal));
        let bye = s.carrier.expect_request("BYE");
        s.carrier.respond(&bye, "200 OK", "", "", "");
    }
    s.center.expect_all_gone();
}

#[test]
fn a_caller_who_gives_up_is_cancelled() {
    let s = scene();
    let talk = s.carrier.talk("1", "201");
    s.carrier.send(&s.carrier.text_with_branch("INVITE", &talk, 1, "z9hG4bKcancelled", "", &caller_sdp()));
    let caller = LegId::caller(s.center.incoming().call);
    s.center.command(caller, LegCommand::Ring);
    s.carrier.expect(180);
    s.carrier.send(&s.carrier.text_with_branch("CANCEL", &talk, 1, "z9hG4bKcancelled", "", ""));
    let mut got = [s.carrier.recv(), s.carrier.recv()].map(|m| (m.status(), m.cseq_method().to_owned()));
    got.sort();
    assert_eq!(got, [(200, "CANCEL".to_owned()), (487, "INVITE".to_owned())]);
    s.center.expect_event(caller, LegEvent::Ended(Cause::Cancelled));
    s.center.expect_all_gone();
}

#[test]
fn an_unanswered_caller_is_told_why() {
    let s = scene();
    for (cause, status) in [
        (Cause::Busy, 486),
        (Cause::NotFound, 404),
        (Cause::NoAnswer, 480),
        (Cause::Congestion, 503),
        (Cause::Declined, 603),
        (Cause::Forbidden, 403),
    ] {
        let (talk, caller) = s.invite(&caller_sdp());
        s.center.command(caller, LegCommand::HangUp(cause));
        let refused = s.carrier.expect(status);
        let mut ack = talk.clone();
        ack.to = refused.header("To").to_owned();
        s.carrier.request("ACK", &ack, 1, "", "");
    }
    s.center.expect_all_gone();
}

#[test]
fn music_before_the_answer_is_early_media() {
    let s = scene();
    let (_, caller) = s.invite(&caller_sdp());
    s.center.command(caller, LegCommand::Play(Playback::Music));
    let progress = s.carrier.expect(183);
    s.center.command(caller, LegCommand::Answer);
    let ok = s.carrier.expect(200);
    assert_eq!(progress.body(), ok.body(), "one answer to one offer");
}

#[test]
fn an_invite_without_offer_gets_ours_and_answers_it_in_the_ack() {
    let s = scene();
    let (mut talk, caller) = s.invite("");
    let rtp = std::net::UdpSocket::bind("127.0.9.2:0").unwrap();
    s.center.command(caller, LegCommand::Answer);
    let ok = s.carrier.expect(200);
    assert!(ok.body().contains("PCMA") && ok.body().contains("PCMU"), "{}", ok.text);
    Phone::adopt(&mut talk, &ok);
    s.carrier.request("ACK", &talk, 1, "", &sdp(rtp.local_addr().unwrap(), "8", "sendrecv"));
    s.center.command(caller, LegCommand::Play(Playback::Music));
    rtp.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    let mut packet = [0; 1_500];
    let (n, from) = rtp.recv_from(&mut packet).expect("music");
    assert_eq!((n, packet[1] & 0x7f, from), (172, 8, ok.rtp()));
}

#[test]
fn what_is_to_be_played_to_a_caller_without_offer_starts_with_the_answer() {
    let s = scene();
    let (mut talk, caller) = s.invite("");
    let rtp = UdpSocket::bind("127.0.9.2:0").unwrap();
    s.center.command(caller, LegCommand::Play(Playback::Music));
    s.carrier.expect(180);
    s.center.command(caller, LegCommand::Answer);
    let ok = s.carrier.expect(200);
    Phone::adopt(&mut talk, &ok);
    s.carrier.request("ACK", &talk, 1, "", &sdp(rtp.local_addr().unwrap(), "0", "sendrecv"));
    rtp.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    assert_eq!(rtp.recv(&mut [0; 1_500]).expect("music"), 172);
}

#[test]
fn a_caller_without_offer_who_is_joined_before_the_answer_is_heard_after_it() {
    let s = scene();
    let (mut talk, caller) = s.invite("");
    let (leg, invite) = s.dial_agent(caller);
    s.agent.respond(&invite, "200 OK", "a1", "", &agent_sdp("sendrecv"));
    s.agent.expect_request("ACK");
    s.center.expect_event(leg, LegEvent::Answered);
    s.center.command(caller, LegCommand::Play(Playback::Ringing));
    s.center.command(caller, LegCommand::Bridge { with: leg });
    s.carrier.expect(180);
    s.center.command(caller, LegCommand::Answer);
    let ok = s.carrier.expect(200);
    Phone::adopt(&mut talk, &ok);
    let (theirs, ends) = (UdpSocket::bind("127.0.9.2:0").unwrap(), ends());
    s.carrier.request("ACK", &talk, 1, "", &sdp(theirs.local_addr().unwrap(), "0", "sendrecv"));
    assert_both_heard(&Talker(&theirs, ok.rtp(), 0), &Talker(&ends.agent, invite.rtp(), 0));
}

#[test]
fn offers_that_cannot_work_are_refused() {
    let s = scene();
    for (body, status) in [
        (sdp("127.0.9.2:4000".parse().unwrap(), "18", "sendrecv"), 488),
        ("no session description".to_owned(), 400),
        (caller_sdp().replace("m=audio", "m=video"), 488),
    ] {
        s.carrier.request("INVITE", &s.carrier.talk("1", "201"), 1, "", &body);
        let refused = s.carrier.expect(status);
        assert_eq!(refused.cseq_method(), "INVITE");
    }
    assert!(s.center.incoming.recv_timeout(crate::support::QUIET).is_err());
    s.center.expect_all_gone();
}

#[test]
fn caller_and_agent_are_joined_and_part() {
    let s = scene();
    let b = s.bridged();
    let ends = ends();
    assert_both_heard(&Talker(&ends.caller, b.caller_rtp, 0), &Talker(&ends.agent, b.agent_rtp, 0));
    s.agent.request("BYE", &b.agent_talk, 1, "", "");
    s.agent.expect(200);
    s.center.expect_event(b.leg, LegEvent::Ended(Cause::Normal));
    s.center.command(b.caller, LegCommand::HangUp(Cause::Normal));
    let bye = s.carrier.expect_request("BYE");
    assert_eq!(bye.header("To"), b.caller_talk.from);
    s.carrier.respond(&bye, "200 OK", "", "", "");
    s.center.expect_all_gone();
}

#[test]
fn the_agent_sees_who_calls_byte_for_byte() {
    let s = scene();
    let (_, caller, _) = s.answered();
    let (_, invite) = s.dial_agent(caller);
    assert!(invite.header("From").contains("<sip:12.5-000000@127.0.9.1"), "{}", invite.header("From"));
    assert!(invite.header("From").starts_with(r#""Jane \"J\" Doe""#), "{}", invite.header("From"));
    assert_eq!(invite.request_uri(), format!("sip:piotr@{}", s.agent.addr()));
    assert!(invite.body().contains("RTP/AVP 0 8 101"), "the caller's codec first: {}", invite.body());
}

#[test]
fn media_timeout_ends_the_leg() {
    let agent = Phone::new("127.0.9.3", ([127, 0, 9, 1], 5060).into());
    let directory =
        carillon_edge::Directory::new(vec![fixed("piotr", agent.addr())], vec![trunk("127.0.9.2/32", None)]).unwrap();
    let config = carillon_edge::EdgeConfig { rtp_timeout: Duration::from_secs(1), ..crate::support::config() };
    let center = Center::start_with(config, directory);
    let carrier = Phone::new("127.0.9.2", center.addr());
    let s = Scene { agent: Phone { edge: center.addr(), ..agent }, center, carrier };
    let _both_silent = s.bridged();
    assert!(matches!(s.center.event(), (_, LegEvent::Ended(Cause::MediaTimeout))));
}

#[test]
fn shutdown_ends_calls_and_returns_when_all_are_gone() {
    let s = scene();
    let _ = s.answered();
    let (_, caller) = s.invite(&caller_sdp());
    let (edge, runtime) = (s.center.edge.clone(), s.center.runtime());
    std::thread::scope(|scope| {
        let ended = scope.spawn(move || runtime.block_on(edge.shutdown(Duration::from_secs(3))));
        let mut left = vec!["BYE", "503"];
        while !left.is_empty() {
            let message = s.carrier.recv();
            if message.method() == "BYE" {
                s.carrier.respond(&message, "200 OK", "", "", "");
                left.retain(|l| *l != "BYE");
            } else if message.status() == 503 {
                left.retain(|l| *l != "503");
            }
        }
        let stats = ended.join().unwrap();
        assert_eq!((stats.calls, stats.legs, stats.streams), (0, 0, 0));
    });
    assert!(s.center.edge.command(caller, LegCommand::Ring).is_err());
}
