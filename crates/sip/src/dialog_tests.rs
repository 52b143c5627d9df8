use super::{Dialog, DialogError, DialogId};
use crate::message::{Header, Message, Method, Request, RequestBuilder, Response};
use crate::status::StatusCode;

fn parse(text: &str) -> Message {
    Message::parse(text.replace('\n', "\r\n").into_bytes().into()).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn request(text: &str) -> Request {
    match parse(text) {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

fn response(text: &str) -> Response {
    match parse(text) {
        Message::Response(response) => response,
        Message::Request(_) => panic!("a request"),
    }
}

fn built(builder: &RequestBuilder) -> Request {
    let text = String::from_utf8(builder.build("SIP/2.0/UDP us;branch=z9hG4bKx").to_vec()).unwrap();
    request(&text.replace("\r\n", "\n"))
}

fn invite(record_routes: &str) -> Request {
    request(&format!(
        "INVITE sip:us@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\n{record_routes}\
         From: \"A\" <sip:a@x>;tag=a1\nTo: <sip:us@192.0.2.1>\nCall-ID: c1\nCSeq: 7 INVITE\n\
         Contact: <sip:a@192.0.2.9:5080;transport=tcp>\nContent-Length: 0\n\n"
    ))
}

fn answer(status: u16, to_tag: &str, record_routes: &str) -> Response {
    response(&format!(
        "SIP/2.0 {status} X\nVia: SIP/2.0/UDP us;branch=z9hG4bK1\n{record_routes}From: <sip:us@x>;tag=us1\n\
         To: <sip:b@y>{to_tag}\nCall-ID: c2\nCSeq: 3 INVITE\nContact: <sip:b@192.0.2.7>\nContent-Length: 0\n\n"
    ))
}

#[test]
fn called_side_keeps_the_routes_in_order() {
    let routes = "Record-Route: <sip:p2;lr>, <sip:p1;lr>\n";
    let mut dialog = Dialog::uas(&invite(routes), "ours", "<sip:us@192.0.2.1>").unwrap();
    assert!(dialog.is_early());
    let bye = built(&dialog.request(Method::Bye));
    assert_eq!(bye.uri().to_string(), "sip:a@192.0.2.9:5080;transport=tcp");
    assert_eq!(bye.list(Header::Route).collect::<Vec<_>>(), [&b"<sip:p2;lr>"[..], b"<sip:p1;lr>"]);
    assert_eq!((bye.from_tag(), bye.to_tag()), (Some(&b"ours"[..]), Some(&b"a1"[..])));
    assert_eq!(bye.cseq(), 1);
    assert!(bye.contact().is_none());
    assert_eq!(dialog.next_hop().to_string(), "sip:p2;lr");
}

#[test]
fn a_strict_first_router_stands_in_the_request_uri() {
    let mut dialog = Dialog::uas(&invite("Record-Route: <sip:p2>, <sip:p1;lr>\n"), "ours", "<sip:us@u>").unwrap();
    let reinvite = built(&dialog.request(Method::Invite));
    assert_eq!(reinvite.uri().to_string(), "sip:p2");
    let routes: Vec<_> = reinvite.list(Header::Route).collect();
    assert_eq!(routes, [&b"<sip:p1;lr>"[..], b"<sip:a@192.0.2.9:5080;transport=tcp>"]);
    assert_eq!(reinvite.contact().unwrap().uri().to_string(), "sip:us@u");
}

#[test]
fn calling_side_reverses_the_routes_and_takes_them_anew_with_the_2xx() {
    let mut dialog = Dialog::uac(&answer(180, ";tag=b1", "Record-Route: <sip:p2;lr>\n"), "<sip:us@u>").unwrap();
    assert!(dialog.is_early());
    dialog.on_response(&answer(200, ";tag=b1", "Record-Route: <sip:p2;lr>, <sip:p1;lr>\n"));
    assert!(!dialog.is_early());
    let ack = built(&dialog.ack(3));
    assert_eq!((ack.cseq(), ack.method()), (3, &Method::Ack));
    assert_eq!(ack.list(Header::Route).collect::<Vec<_>>(), [&b"<sip:p1;lr>"[..], b"<sip:p2;lr>"]);
    assert_eq!(built(&dialog.request(Method::Bye)).cseq(), 4);
    assert_eq!(Dialog::uac(&answer(180, "", ""), "<sip:us@u>").unwrap_err(), DialogError::Tag);
}

#[test]
fn requests_out_of_order_get_500_and_a_reinvite_moves_the_target() {
    let mut dialog = Dialog::uas(&invite(""), "ours", "<sip:us@u>").unwrap();
    let within = |method: &str, cseq: u32| {
        request(&format!(
            "{method} sip:us@u SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK2\nFrom: <sip:a@x>;tag=a1\n\
             To: <sip:us@u>;tag=ours\nCall-ID: c1\nCSeq: {cseq} {method}\nContact: <sip:a@192.0.2.10>\n\
             Content-Length: 0\n\n"
        ))
    };
    let refusal = dialog.on_request(&within("INVITE", 7)).unwrap_err();
    assert_eq!(refusal.status, StatusCode::SERVER_INTERNAL_ERROR);
    assert_eq!(dialog.remote_target().to_string(), "sip:a@192.0.2.9:5080;transport=tcp");
    dialog.on_request(&within("INFO", 9)).unwrap();
    assert_eq!(dialog.remote_target().to_string(), "sip:a@192.0.2.9:5080;transport=tcp");
    dialog.on_request(&within("INVITE", 10)).unwrap();
    assert_eq!(dialog.remote_target().to_string(), "sip:a@192.0.2.10");
    assert_eq!(DialogId::of_request(&within("BYE", 11)).as_ref(), Some(dialog.id()));
}
