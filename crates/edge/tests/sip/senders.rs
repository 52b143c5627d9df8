//! Who gets an answer and who does not. Spec: SE-1.

use crate::support::{Center, Phone, authorization, registering, sdp, trunk};

// spec: SE-1
#[test]
fn se_1_a_scanner_gets_no_answer_at_all() {
    let center = Center::start(vec![registering("anna")], vec![trunk("127.0.9.2/32", None)]);
    let scanner = Phone::new("127.0.9.66", center.addr());
    let body = sdp("127.0.9.66:4000".parse().unwrap(), "0", "sendrecv");
    for method in ["OPTIONS", "INVITE", "REGISTER", "SUBSCRIBE", "BYE", "MESSAGE", "ODD"] {
        let talk = scanner.talk("100", "100");
        scanner.request(method, &talk, 1, "", if method == "INVITE" { &body } else { "" });
    }
    scanner.send("not SIP at all\r\n\r\n");
    scanner.expect_silence();
    let stats = center.edge.stats();
    assert_eq!((stats.silenced, stats.malformed, stats.transactions), (7, 1, 0));
}

// spec: SE-1
#[test]
fn se_1_a_known_user_at_an_unknown_address_is_challenged() {
    let center = Center::start(vec![registering("anna")], vec![]);
    let phone = Phone::new("127.0.9.3", center.addr());
    let talk = phone.talk("anna", "201");
    let body = sdp("127.0.9.3:4000".parse().unwrap(), "0", "sendrecv");
    phone.request("INVITE", &talk, 1, "", &body);
    let challenge = phone.expect(401);
    phone.request("ACK", &talk, 1, "", "");
    let answer = authorization(&challenge, "SHA-256", "INVITE", &talk.uri, "anna", "anna-secret", 1);
    phone.request("INVITE", &talk, 2, &answer, &body);
    assert_eq!(phone.recv().status(), 100);
    let incoming = center.incoming();
    assert_eq!(incoming.source, carillon_acd::leg::Source::Device(crate::support::device_id("anna")));
    assert_eq!((incoming.dialled.as_str(), incoming.caller.number.as_str()), ("201", "anna"));
}

#[test]
fn a_trunk_learns_what_we_understand() {
    let center = Center::start(vec![], vec![trunk("127.0.9.2/32", None)]);
    let carrier = Phone::new("127.0.9.2", center.addr());
    let talk = carrier.talk("carrier", "ping");
    carrier.request("OPTIONS", &talk, 1, "", "");
    let ok = carrier.expect(200);
    assert!(ok.header("Allow").contains("INVITE"), "{}", ok.text);
    assert!(ok.header("Accept").contains("application/sdp"), "{}", ok.text);
    carrier.request("BYE", &carrier.talk("carrier", "x"), 1, "", "");
    carrier.expect(481);
    carrier.request("NEWMETHOD", &carrier.talk("carrier", "x"), 1, "", "");
    assert!(carrier.expect(501).header("Allow").contains("INVITE"));
    carrier.request("MESSAGE", &carrier.talk("carrier", "x"), 1, "", "");
    assert!(carrier.expect(405).header("Allow").contains("INVITE"));
    let body = sdp("127.0.9.2:4000".parse().unwrap(), "0", "sendrecv");
    carrier.request("INVITE", &carrier.talk("carrier", "x"), 1, "Require: 100rel\r\n", &body);
    assert!(carrier.expect(420).header("Unsupported").contains("100rel"));
}

#[test]
fn the_next_call_over_the_limit_is_refused_for_a_while() {
    let directory = carillon_edge::Directory::new(vec![], vec![trunk("127.0.9.2/32", None)]).unwrap();
    let center = Center::start_with(carillon_edge::EdgeConfig { max_calls: 1, ..crate::support::config() }, directory);
    let carrier = Phone::new("127.0.9.2", center.addr());
    let body = sdp("127.0.9.2:4000".parse().unwrap(), "0", "sendrecv");
    carrier.request("INVITE", &carrier.talk("1", "201"), 1, "", &body);
    center.incoming();
    carrier.request("INVITE", &carrier.talk("2", "201"), 1, "", &body);
    let refused = carrier.expect(503);
    assert!(!refused.header("Retry-After").is_empty());
    assert_eq!((center.edge.stats().refused, center.edge.stats().calls), (1, 1));
}
