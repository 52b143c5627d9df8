use super::{Registrar, RegistrarConfig};
use crate::flow::{Flow, Transport};
use crate::message::{Header, Message, Request, Response, ResponseBuilder};
use crate::status::StatusCode;
use crate::time::Moment;
use std::time::Duration;

fn at(s: u64) -> Moment {
    Moment::at(Duration::from_secs(s))
}

fn flow(port: u16) -> Flow {
    Flow::udp(0, std::net::SocketAddr::from(([192, 0, 2, 9], port)))
}

fn register(call_id: &str, cseq: u32, headers: &str) -> Request {
    let text = format!(
        "REGISTER sip:carillon SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{cseq}\r\n\
         From: <sip:anna@carillon>;tag=1\r\nTo: <sip:anna@carillon>\r\nCall-ID: {call_id}\r\nCSeq: {cseq} REGISTER\r\n\
         {headers}Content-Length: 0\r\n\r\n"
    );
    match Message::parse(text.into_bytes().into()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn contacts(response: ResponseBuilder) -> Vec<String> {
    let response: Response = match Message::parse(response.build().bytes) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    };
    assert_eq!(response.status(), StatusCode::OK);
    response.lines(Header::Contact).map(|c| String::from_utf8(c.to_vec()).unwrap()).collect()
}

fn registrar() -> Registrar {
    Registrar::new(RegistrarConfig { max_contacts: 2, ..RegistrarConfig::default() })
}

#[test]
fn register_refresh_query_and_unregister() {
    let mut r = registrar();
    let first = "Contact: <sip:anna@192.0.2.9:5062>;expires=120\r\n";
    let ok = r.register(at(0), "anna", &register("c", 1, first), flow(5062)).unwrap();
    assert_eq!(contacts(ok), ["<sip:anna@192.0.2.9:5062>;expires=120"]);
    assert_eq!(r.deadline(), Some(at(120)));
    r.register(at(60), "anna", &register("c", 2, first), flow(5062)).unwrap();
    assert_eq!(r.deadline(), Some(at(180)));
    let ok = r.register(at(70), "anna", &register("c", 3, ""), flow(5062)).unwrap();
    assert_eq!(contacts(ok), ["<sip:anna@192.0.2.9:5062>;expires=110"]);
    assert!(r.is_registered_over(at(70), "anna", &flow(5062)));
    assert!(!r.is_registered_over(at(70), "anna", &flow(5063)));
    let gone = "Contact: <sip:anna@192.0.2.9:5062>\r\nExpires: 0\r\n";
    let ok = r.register(at(80), "anna", &register("c", 4, gone), flow(5062)).unwrap();
    assert!(contacts(ok).is_empty());
    assert!(r.is_empty() && r.deadline().is_none());
}

#[test]
fn expiry_tells_who_lost_a_contact() {
    let mut r = registrar();
    let two = "Contact: <sip:a@192.0.2.9>;expires=60, <sip:b@192.0.2.9>;expires=90;q=0.5\r\n";
    r.register(at(0), "anna", &register("c", 1, two), flow(1)).unwrap();
    assert_eq!(r.bindings(at(0), "anna").iter().map(|b| b.q).collect::<Vec<_>>(), [1000, 500]);
    assert_eq!(r.expire(at(59)), []);
    assert_eq!(r.expire(at(60)), ["anna".into()]);
    assert_eq!(r.bindings(at(60), "anna").len(), 1);
    assert_eq!(r.expire(at(90)), ["anna".into()]);
    assert!(r.is_empty());
}

#[test]
fn a_star_removes_all_and_only_with_expires_zero() {
    let mut r = registrar();
    r.register(at(0), "anna", &register("c", 5, "Contact: <sip:a@h>\r\n"), flow(1)).unwrap();
    for bad in ["Contact: *\r\n", "Contact: *, <sip:a@h>\r\nExpires: 0\r\n", "Contact: *\r\nExpires: 60\r\n"] {
        let refusal = r.register(at(1), "anna", &register("d", 1, bad), flow(1)).unwrap_err();
        assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let star = "Contact: *\r\nExpires: 0\r\n";
    let old = r.register(at(1), "anna", &register("c", 5, star), flow(1)).unwrap_err();
    assert_eq!(old.status, StatusCode::SERVER_INTERNAL_ERROR);
    r.register(at(1), "anna", &register("c", 6, star), flow(1)).unwrap();
    assert!(r.is_empty());
}

#[test]
fn short_expirations_get_423_and_long_ones_are_cut() {
    let mut r = registrar();
    let short = register("c", 1, "Contact: <sip:a@h>;expires=59\r\n");
    let refusal = r.register(at(0), "anna", &short, flow(1)).unwrap_err();
    assert_eq!(
        (refusal.status, refusal.headers),
        (StatusCode::INTERVAL_TOO_BRIEF, vec![(Header::MinExpires, "60".into())])
    );
    let long = register("c", 2, "Contact: <sip:a@h>;expires=280297596632815\r\n");
    assert_eq!(contacts(r.register(at(0), "anna", &long, flow(1)).unwrap()), ["<sip:a@h>;expires=3600"]);
}

#[test]
fn contacts_are_bounded_and_one_instance_has_one() {
    let mut r = registrar();
    for (n, expires) in [(1, 600), (2, 120), (3, 300)] {
        let contact = format!("Contact: <sip:a@192.0.2.{n}>;expires={expires}\r\n");
        r.register(at(0), "anna", &register("c", n, &contact), flow(1)).unwrap();
    }
    let hosts: Vec<_> = r.bindings(at(0), "anna").iter().map(|b| b.uri.to_string()).collect();
    assert_eq!(hosts, ["sip:a@192.0.2.1", "sip:a@192.0.2.3"]);
    let mut r = registrar();
    for port in [4001, 4002] {
        let contact = format!("Contact: <sip:a@h:{port}>;+sip.instance=\"<urn:uuid:1>\"\r\n");
        r.register(at(0), "anna", &register("c", port, &contact), flow(1)).unwrap();
    }
    assert_eq!(r.bindings(at(0), "anna").len(), 1);
}

// RFC 4475 §3.3.12–3.3.14
#[test]
fn parameters_come_back_where_they_stood() {
    for (sent, back) in [
        (
            "sip:+19725552222@gw1.example.net;unknownparam",
            "<sip:+19725552222@gw1.example.net>;unknownparam;expires=3600",
        ),
        (
            "<sip:+19725552222@gw1.example.net;unknownparam>",
            "<sip:+19725552222@gw1.example.net;unknownparam>;expires=3600",
        ),
        (
            "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>",
            "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>;expires=3600",
        ),
        ("<sip:a@h>;expires=7200 ; x=\"y;z\";q=0.7", "<sip:a@h>; x=\"y;z\";q=0.7;expires=3600"),
    ] {
        let request = register("c", 1, &format!("Contact: {sent}\r\n"));
        assert_eq!(contacts(registrar().register(at(0), "anna", &request, flow(1)).unwrap()), [back]);
    }
}

#[test]
fn a_closed_connection_takes_its_bindings_along() {
    let mut r = registrar();
    let tcp = Flow { transport: Transport::Tcp, connection: Some(3), ..flow(1) };
    r.register(at(0), "anna", &register("c", 1, "Contact: <sip:a@h>\r\n"), tcp).unwrap();
    r.register(at(0), "bert", &register("d", 1, "Contact: <sip:b@h>\r\n"), flow(2)).unwrap();
    assert_eq!(r.connection_closed(3), ["anna".into()]);
    assert_eq!(r.connection_closed(3), []);
    assert_eq!(r.len(), 1);
}
