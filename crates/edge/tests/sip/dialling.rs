//! Outgoing legs: every contact rings, the first answer wins, all the ways in which it does not come.

use std::time::Duration;

use crate::support::{Center, Phone, Talk, device, registering, sdp, trunk, trunk_id};
use carillon_acd::ids::{CallId, LegId, NodeId};
use carillon_acd::leg::{CallerId, Cause, DialTarget, LegCommand, LegEvent};

const CALL: CallId = CallId { node: NodeId(1), boot: 7, number: 900 };
const LEG: LegId = LegId { call: CALL, n: 1 };

fn dial(center: &Center, target: DialTarget, ring_for: Duration) {
    let caller = CallerId { number: "+48600000000".into(), name: String::new() };
    center.command(LEG, LegCommand::Dial { target, caller, partner: LegId::caller(CALL), ring_for });
}

fn anna() -> DialTarget {
    device("anna")
}

fn answer_of(phone: &Phone) -> String {
    let mut rtp = phone.addr();
    rtp.set_port(5_000);
    sdp(rtp, "0 101", "sendrecv")
}

const LONG: Duration = Duration::from_secs(30);

/// Anna with two registered phones.
fn two_phones() -> (Center, Phone, Phone) {
    let center = Center::start(vec![registering("anna")], vec![]);
    let (desk, mobile) = (Phone::new("127.0.9.2", center.addr()), Phone::new("127.0.9.3", center.addr()));
    desk.register("anna", "MD5", 600);
    mobile.register("anna", "SHA-256", 600);
    (center, desk, mobile)
}

// spec: QU-2
#[test]
fn the_first_phone_that_answers_wins_and_the_other_hears_why() {
    let (center, desk, mobile) = two_phones();
    dial(&center, anna(), LONG);
    let (at_desk, at_mobile) = (desk.expect_request("INVITE"), mobile.expect_request("INVITE"));
    desk.respond(&at_desk, "180 Ringing", "d", "", "");
    center.expect_event(LEG, LegEvent::Alerting { early_media: false });
    mobile.respond(&at_mobile, "180 Ringing", "m", "", "");
    mobile.respond(&at_mobile, "200 OK", "m", "", &answer_of(&mobile));
    mobile.expect_request("ACK");
    center.expect_event(LEG, LegEvent::Answered);
    let cancel = desk.expect_request("CANCEL");
    assert_eq!(cancel.header("Reason"), r#"SIP;cause=200;text="Call completed elsewhere""#);
    desk.respond(&cancel, "200 OK", "d", "", "");
    desk.respond(&at_desk, "487 Request Terminated", "d", "", "");
    desk.expect_request("ACK");
    center.expect_no_event();
    center.command(LEG, LegCommand::HangUp(Cause::Normal));
    let bye = mobile.expect_request("BYE");
    mobile.respond(&bye, "200 OK", "", "", "");
    center.expect_all_gone();
}

#[test]
fn a_late_answer_is_acknowledged_and_ended() {
    let (center, desk, mobile) = two_phones();
    dial(&center, anna(), LONG);
    let (at_desk, at_mobile) = (desk.expect_request("INVITE"), mobile.expect_request("INVITE"));
    desk.respond(&at_desk, "180 Ringing", "d", "", "");
    mobile.respond(&at_mobile, "200 OK", "m", "", &answer_of(&mobile));
    mobile.expect_request("ACK");
    desk.expect_request("CANCEL");
    desk.respond(&at_desk, "200 OK", "d", "", &answer_of(&desk));
    desk.expect_request("ACK");
    let bye = desk.expect_request("BYE");
    assert!(bye.header("Reason").contains("Call completed elsewhere"), "{}", bye.text);
    assert!(bye.header("To").contains("tag=d"));
}

#[test]
fn a_forked_answer_is_acknowledged_and_ended_and_the_first_goes_on() {
    let center = Center::start(vec![registering("anna")], vec![]);
    let proxy = Phone::new("127.0.9.2", center.addr());
    proxy.register("anna", "MD5", 600);
    dial(&center, anna(), LONG);
    let invite = proxy.expect_request("INVITE");
    for fork in ["f1", "f2"] {
        proxy.respond(&invite, "180 Ringing", fork, "", "");
    }
    proxy.respond(&invite, "183 Session Progress", "f2", "", &answer_of(&proxy));
    center.expect_event(LEG, LegEvent::Alerting { early_media: false });
    center.expect_event(LEG, LegEvent::Alerting { early_media: true });
    for fork in ["f1", "f2"] {
        proxy.respond(&invite, "200 OK", fork, "", &answer_of(&proxy));
    }
    assert!(proxy.expect_request("ACK").header("To").contains("tag=f1"));
    center.expect_event(LEG, LegEvent::Answered);
    assert!(proxy.expect_request("ACK").header("To").contains("tag=f2"));
    assert!(proxy.expect_request("BYE").header("To").contains("tag=f2"));
    proxy.respond(&invite, "200 OK", "f1", "", &answer_of(&proxy));
    assert!(proxy.expect_request("ACK").header("To").contains("tag=f1"), "a repeated 200 is acknowledged again");
    let mut talk = Phone::talk_back(&invite, "f1");
    talk.uri = format!("sip:{}", center.addr());
    proxy.request("BYE", &talk, 1, "", "");
    proxy.expect(200);
    center.expect_event(LEG, LegEvent::Ended(Cause::Normal));
}

#[test]
fn refusals_come_back_as_causes() {
    let center = Center::start(vec![registering("anna")], vec![]);
    let phone = Phone::new("127.0.9.2", center.addr());
    phone.register("anna", "MD5", 600);
    for (status, rings, cause) in [
        ("486 Busy Here", true, Cause::Busy),
        ("603 Decline", true, Cause::Declined),
        ("480 Temporarily Unavailable", true, Cause::Declined),
        ("480 Temporarily Unavailable", false, Cause::Unreachable),
        ("404 Not Found", false, Cause::NotFound),
        ("403 Forbidden", false, Cause::Forbidden),
        ("488 Not Acceptable Here", false, Cause::NotAcceptable),
        ("503 Service Unavailable", false, Cause::Congestion),
        ("302 Moved Temporarily", false, Cause::Failed(302)),
    ] {
        dial(&center, anna(), LONG);
        let invite = phone.expect_request("INVITE");
        if rings {
            phone.respond(&invite, "180 Ringing", "t", "", "");
            center.expect_event(LEG, LegEvent::Alerting { early_media: false });
        }
        phone.respond(&invite, status, "t", "", "");
        phone.expect_request("ACK");
        center.expect_event(LEG, LegEvent::Failed(cause));
    }
    center.expect_all_gone();
}

#[test]
fn nobody_answers_in_time() {
    let center = Center::start(vec![registering("anna")], vec![]);
    let phone = Phone::new("127.0.9.2", center.addr());
    phone.register("anna", "MD5", 600);
    dial(&center, anna(), Duration::from_millis(300));
    let invite = phone.expect_request("INVITE");
    phone.respond(&invite, "180 Ringing", "t", "", "");
    center.expect_event(LEG, LegEvent::Alerting { early_media: false });
    let cancel = phone.expect_request("CANCEL");
    center.expect_event(LEG, LegEvent::Failed(Cause::NoAnswer));
    phone.respond(&cancel, "200 OK", "t", "", "");
    phone.respond(&invite, "487 Request Terminated", "t", "", "");
    phone.expect_request("ACK");
    center.expect_all_gone();
}

#[test]
fn a_phone_that_says_nothing_was_never_reached() {
    let center = Center::start(vec![registering("anna"), registering("ivan")], vec![]);
    let phone = Phone::new("127.0.9.2", center.addr());
    phone.register("anna", "MD5", 600);
    dial(&center, anna(), Duration::from_millis(300));
    phone.expect_request("INVITE");
    center.expect_event(LEG, LegEvent::Failed(Cause::Unreachable));
    dial(&center, device("ivan"), LONG);
    center.expect_event(LEG, LegEvent::Failed(Cause::Unreachable));
    center.expect_all_gone();
}

#[test]
fn a_hung_up_dial_is_cancelled_and_says_nothing_more() {
    let (center, desk, mobile) = two_phones();
    dial(&center, anna(), LONG);
    let (at_desk, _at_mobile) = (desk.expect_request("INVITE"), mobile.expect_request("INVITE"));
    desk.respond(&at_desk, "180 Ringing", "d", "", "");
    center.expect_event(LEG, LegEvent::Alerting { early_media: false });
    center.command(LEG, LegCommand::HangUp(Cause::AnsweredElsewhere));
    assert!(desk.expect_request("CANCEL").header("Reason").contains("cause=200"));
    center.expect_all_gone();
    center.expect_no_event();
}

#[test]
fn a_trunk_that_asks_for_credentials_gets_them() {
    let carrier_socket = Phone::new("127.0.9.4", ([127, 0, 9, 1], 5060).into());
    let mut carrier = trunk("127.0.9.4/32", Some(carrier_socket.addr()));
    carrier.credentials = Some(carillon_edge::Credentials { username: "acme".into(), password: "pass".into() });
    let center = Center::start(vec![], vec![carrier]);
    let carrier = Phone { edge: center.addr(), ..carrier_socket };
    let target = DialTarget::Trunk { trunk: trunk_id(), number: "+33123456789".parse().unwrap() };
    dial(&center, target, LONG);
    let first = carrier.expect_request("INVITE");
    assert_eq!(first.request_uri(), format!("sip:+33123456789@{}", carrier.addr()));
    let challenge = "Proxy-Authenticate: Digest realm=\"c\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"\r\n";
    carrier.respond(&first, "407 Proxy Authentication Required", "t", challenge, "");
    carrier.expect_request("ACK");
    let second = carrier.expect_request("INVITE");
    let answer = second.header("Proxy-Authorization");
    assert!(answer.contains("username=\"acme\"") && answer.contains("nonce=\"n1\""), "{answer}");
    assert_eq!(second.header("Call-ID"), first.header("Call-ID"));
    assert_ne!(second.header("CSeq"), first.header("CSeq"));
    carrier.respond(&second, "407 Proxy Authentication Required", "t", challenge, "");
    carrier.expect_request("ACK");
    center.expect_event(LEG, LegEvent::Failed(Cause::Forbidden));
    center.expect_all_gone();
}

#[test]
fn the_edges_requests_follow_the_contact_and_route_of_the_answer() {
    let center = Center::start(vec![registering("anna")], vec![]);
    let phone = Phone::new("127.0.9.2", center.addr());
    phone.register("anna", "MD5", 600);
    dial(&center, anna(), LONG);
    let invite = phone.expect_request("INVITE");
    let route = format!("Record-Route: <sip:{};lr>\r\n", phone.addr());
    phone.respond(&invite, "200 OK", "t", &route, &answer_of(&phone));
    let ack = phone.expect_request("ACK");
    assert_eq!(ack.header("Route"), format!("<sip:{};lr>", phone.addr()));
    assert_eq!(ack.request_uri(), format!("sip:phone@{}", phone.addr()));
    let mut talk: Talk = Phone::talk_back(&invite, "t");
    phone.request("BYE", &talk, 1, "", "");
    phone.expect(200);
    talk.to.push('x');
    center.expect_event(LEG, LegEvent::Answered);
    center.expect_event(LEG, LegEvent::Ended(Cause::Normal));
    center.expect_all_gone();
}
