//! A carrier that wants our credentials, for each of our requests.

use std::time::Duration;

use carillon_acd::ids::{CallId, LegId, NodeId};
use carillon_acd::leg::{CallerId, Cause, DialTarget, LegCommand, LegEvent};
use carillon_edge::Credentials;

use crate::support::scene::caller_sdp;
use crate::support::{Center, Msg, Phone, fixed, sdp, trunk, trunk_id};

pub const CHALLENGE: &str = "Proxy-Authenticate: Digest realm=\"c\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"\r\n";

/// A center with the trunk at 127.0.9.4, which knows us as `acme`, and Piotr's phone at 127.0.9.3.
fn center() -> (Center, Phone, Phone) {
    let edge = ([127, 0, 9, 1], 5060).into();
    let (carrier, agent) = (Phone::new("127.0.9.4", edge), Phone::new("127.0.9.3", edge));
    let mut known = trunk("127.0.9.4/32", Some(carrier.addr()));
    known.credentials = Some(Credentials { username: "acme".into(), password: "pass".into() });
    let center = Center::start(vec![fixed("piotr", agent.addr())], vec![known]);
    let (carrier, agent) = (Phone { edge: center.addr(), ..carrier }, Phone { edge: center.addr(), ..agent });
    (center, carrier, agent)
}

/// Refuses the request, and expects it again with credentials that are made for its URI.
#[track_caller]
pub fn challenged(carrier: &Phone, request: &Msg) -> Msg {
    carrier.respond(request, "407 Proxy Authentication Required", "t", CHALLENGE, "");
    let again = loop {
        let message = carrier.recv();
        if message.method() != "ACK" {
            break message;
        }
    };
    assert_eq!(again.method(), request.method(), "{}", again.text);
    let answer = again.header("Proxy-Authorization");
    assert!(answer.contains("username=\"acme\"") && answer.contains("nonce=\"n1\""), "{answer}");
    assert!(answer.contains(&format!("uri=\"{}\"", again.request_uri())), "{answer}");
    let number = |m: &Msg| m.header("CSeq").split(' ').next().unwrap().parse::<u32>().unwrap();
    assert_eq!(number(&again), number(request) + 1);
    assert_eq!(again.body(), request.body());
    again
}

fn carrier_sdp(direction: &str) -> String {
    sdp("127.0.9.4:4000".parse().unwrap(), "0 8 101", direction)
}

#[test]
fn a_call_out_through_a_trunk_that_challenges_every_request() {
    let (center, carrier, agent) = center();
    let call = CallId { node: NodeId(1), boot: 7, number: 900 };
    let (leg, caller) = (LegId { call, n: 1 }, CallerId { number: "101".into(), name: String::new() });
    let target = DialTarget::Trunk { trunk: trunk_id(), number: "+33123456789".parse().unwrap() };
    let ring_for = Duration::from_secs(30);
    center.command(leg, LegCommand::Dial { target, caller, partner: LegId::caller(call), ring_for });
    let invite = challenged(&carrier, &carrier.expect_request("INVITE"));
    carrier.respond(&invite, "200 OK", "t2", "", &carrier_sdp("sendrecv"));
    carrier.expect_request("ACK");
    center.expect_event(leg, LegEvent::Answered);
    center.command(leg, LegCommand::HangUp(Cause::Normal));
    let bye = challenged(&carrier, &carrier.expect_request("BYE"));
    carrier.respond(&bye, "200 OK", "", "", "");
    center.expect_all_gone();
    drop(agent);
}

#[test]
fn a_hold_and_a_bye_towards_a_caller_from_a_trunk_that_challenges_them() {
    let (center, carrier, agent) = center();
    let s = crate::support::scene::Scene { center, carrier, agent };
    let talk = s.carrier.talk("1", "201");
    s.carrier.request("INVITE", &talk, 1, "", &caller_sdp());
    let caller = LegId::caller(s.center.incoming().call);
    s.center.command(caller, LegCommand::Answer);
    let mut talk = talk;
    Phone::adopt(&mut talk, &s.carrier.expect(200));
    s.carrier.request("ACK", &talk, 1, "", "");
    let (leg, invite) = s.dial_agent(caller);
    s.agent.respond(&invite, "200 OK", "a1", "", &crate::support::scene::agent_sdp("sendrecv"));
    s.agent.expect_request("ACK");
    s.center.expect_event(leg, LegEvent::Answered);
    s.center.command(caller, LegCommand::Bridge { with: leg });
    let agent_talk = Phone::talk_back(&invite, "a1");

    s.agent.request("INVITE", &agent_talk, 1, "", &crate::support::scene::agent_sdp("sendonly"));
    let again = challenged(&s.carrier, &s.carrier.expect_request("INVITE"));
    s.carrier.respond(&again, "200 OK", "", "", &carrier_sdp("recvonly"));
    s.carrier.expect_request("ACK");
    assert!(s.agent.expect(200).body().contains("a=recvonly"));
    s.agent.request("ACK", &agent_talk, 1, "", "");
    s.center.expect_event(leg, LegEvent::Held);

    s.agent.request("INVITE", &agent_talk, 2, "", &crate::support::scene::agent_sdp("sendrecv"));
    let again = challenged(&s.carrier, &s.carrier.expect_request("INVITE"));
    s.carrier.respond(&again, "407 Proxy Authentication Required", "", CHALLENGE, "");
    s.carrier.expect_request("ACK");
    assert_eq!(s.agent.expect(488).cseq_method(), "INVITE", "credentials that are refused are not tried again");
    s.agent.request("ACK", &agent_talk, 2, "", "");

    s.center.command(caller, LegCommand::HangUp(Cause::Normal));
    let bye = challenged(&s.carrier, &s.carrier.expect_request("BYE"));
    s.carrier.respond(&bye, "407 Proxy Authentication Required", "", CHALLENGE, "");
    s.center.command(leg, LegCommand::HangUp(Cause::Normal));
    let bye = s.agent.expect_request("BYE");
    s.agent.respond(&bye, "200 OK", "", "", "");
    s.center.expect_all_gone();
    s.carrier.expect_silence();
}
