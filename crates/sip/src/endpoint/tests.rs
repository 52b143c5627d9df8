//! Two endpoints and a wire between them that tests can cut, delay and listen to.

use super::{ClientKey, Effect, Endpoint, EndpointConfig, ServerKey, UnknownTransaction};
use crate::check::Policy;
use crate::dialog::Dialog;
use crate::flow::{Flow, Transport};
use crate::message::{Header, Message, Method, Request, RequestBuilder, Response, ResponseBuilder};
use crate::reason::Reason;
use crate::status::StatusCode;
use crate::time::Moment;
use crate::transaction::Timers;
use bytes::Bytes;
use std::time::Duration;

fn at(ms: u64) -> Moment {
    Moment::at(Duration::from_millis(ms))
}

fn endpoint(seed: u8) -> Endpoint {
    Endpoint::new(EndpointConfig {
        sent_by: format!("192.0.2.{seed}:5060"),
        seed: [seed; 32],
        timers: Timers::default(),
        policy: Policy::default(),
        max_transactions: 100,
    })
}

fn flow_to(host: u8) -> Flow {
    Flow::udp(0, std::net::SocketAddr::from(([192, 0, 2, host], 5060)))
}

fn tcp_to(host: u8) -> Flow {
    Flow { transport: Transport::Tcp, connection: Some(1), ..flow_to(host) }
}

fn parse(bytes: &Bytes) -> Message {
    Message::parse(bytes.clone()).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(bytes)))
}

fn receive(endpoint: &mut Endpoint, now: Moment, flow: Flow, text: &str) {
    let bytes = Bytes::from(text.replace('\n', "\r\n").into_bytes());
    endpoint.handle_message(now, flow, parse(&bytes));
}

fn outgoing(method: Method) -> RequestBuilder {
    RequestBuilder::new(method, &"sip:bob@192.0.2.2".parse().unwrap())
        .from("<sip:alice@192.0.2.1>;tag=a")
        .to("<sip:bob@192.0.2.2>")
        .call_id("call-1")
        .header(Header::Contact, "<sip:alice@192.0.2.1>")
}

/// What an endpoint asked for and told since the last look.
#[derive(Default)]
struct Out {
    sent: Vec<Bytes>,
    told: Vec<Effect>,
}

fn out(endpoint: &mut Endpoint) -> Out {
    let mut all = Out::default();
    while let Some(effect) = endpoint.poll() {
        match effect {
            Effect::Send { bytes, .. } => all.sent.push(bytes),
            told => all.told.push(told),
        }
    }
    all
}

impl Out {
    /// The first lines of what was sent, without version.
    fn lines(&self) -> Vec<String> {
        let line = |b: &Bytes| String::from_utf8_lossy(b).lines().next().unwrap_or_default().replace("SIP/2.0", "");
        self.sent.iter().map(|b| line(b).trim().to_owned()).collect()
    }

    fn request(&self) -> (ServerKey, &Request) {
        match &self.told[..] {
            [Effect::Request { key, request, .. }] => (*key, request),
            other => panic!("no request: {other:?}"),
        }
    }

    fn response(&self) -> (ClientKey, &Response) {
        match &self.told[..] {
            [Effect::Response { key, response, .. }] => (*key, response),
            other => panic!("no response: {other:?}"),
        }
    }

    fn nothing(&self) -> bool {
        self.sent.is_empty() && self.told.is_empty()
    }
}

/// Delivers what was sent.
fn deliver(to: &mut Endpoint, now: Moment, flow: Flow, sent: &[Bytes]) -> Out {
    for bytes in sent {
        to.handle_message(now, flow, parse(bytes));
    }
    out(to)
}

/// Runs an endpoint to the end of all its timers; gives what happened, with the time in milliseconds.
fn run_out(endpoint: &mut Endpoint) -> Vec<(u64, Out)> {
    let mut log = Vec::new();
    while let Some(deadline) = endpoint.deadline() {
        endpoint.tick(deadline);
        log.push((deadline.since_start().as_millis() as u64, out(endpoint)));
        assert!(log.len() < 200, "timers without end");
    }
    assert!(endpoint.is_empty());
    assert!(endpoint.servers.is_empty() && endpoint.by_id.is_empty() && endpoint.by_sequence.is_empty());
    log
}

#[test]
fn a_call_from_invite_to_bye() {
    let (mut a, mut b) = (endpoint(1), endpoint(2));
    let invite = a.send_request(at(0), flow_to(2), outgoing(Method::Invite).body("application/sdp", "v=0\r\n"));
    let got = deliver(&mut b, at(1), flow_to(1), &out(&mut a).sent);
    let (server, request) = got.request();
    assert_eq!(request.body(), b"v=0\r\n");
    let ringing = ResponseBuilder::reply_to(request, StatusCode::RINGING).to_tag("bob");
    let ok =
        ResponseBuilder::reply_to(request, StatusCode::OK).to_tag("bob").header(Header::Contact, "<sip:bob@192.0.2.2>");
    let mut b_dialog = Dialog::uas(request, "bob", "<sip:bob@192.0.2.2>").unwrap();
    b.respond(at(2), server, ringing).unwrap();
    assert!(b.request(server).is_some());
    let told = deliver(&mut a, at(3), flow_to(2), &out(&mut b).sent);
    assert_eq!((told.response().0, told.response().1.status()), (invite, StatusCode::RINGING));
    b.respond(at(4), server, ok.clone()).unwrap();
    assert_eq!(b.respond(at(4), server, ok), Err(UnknownTransaction));
    assert!(b.request(server).is_none(), "the INVITE is freed with its final response");
    let ok = out(&mut b).sent;
    let told = deliver(&mut a, at(5), flow_to(2), &ok);
    let dialog = Dialog::uac(told.response().1, "<sip:alice@192.0.2.1>").unwrap();
    a.send_ack(invite, b"bob", flow_to(2), dialog.ack(1));
    let ack = out(&mut a).sent;
    assert_eq!(deliver(&mut a, at(6), flow_to(2), &ok).sent, ack, "a repeated 2xx gets the same ACK, unasked");
    let told = deliver(&mut b, at(7), flow_to(1), &ack);
    assert!(matches!(&told.told[..], [Effect::Ack { invite, .. }] if *invite == server));
    assert!(deliver(&mut b, at(8), flow_to(1), &ack).nothing(), "the second ACK is absorbed");
    let bye = b.send_request(at(9), flow_to(1), b_dialog.request(Method::Bye));
    let got = deliver(&mut a, at(10), flow_to(2), &out(&mut b).sent);
    let (server, request) = got.request();
    assert_eq!(crate::dialog::DialogId::of_request(request).as_ref(), Some(dialog.id()));
    a.respond(at(11), server, ResponseBuilder::reply_to(request, StatusCode::OK)).unwrap();
    let told = deliver(&mut b, at(12), flow_to(1), &out(&mut a).sent);
    assert_eq!(told.response().0, bye);
    assert!(run_out(&mut a).iter().chain(&run_out(&mut b)).all(|(_, o)| o.nothing()), "nothing is left to say");
}

#[test]
fn repeated_requests_get_the_last_response_again() {
    let (mut a, mut b) = (endpoint(1), endpoint(2));
    a.send_request(at(0), flow_to(2), outgoing(Method::Options));
    let options = out(&mut a).sent;
    let got = deliver(&mut b, at(0), flow_to(1), &options);
    let (key, request) = got.request();
    assert!(deliver(&mut b, at(1), flow_to(1), &options).nothing());
    b.respond(at(2), key, ResponseBuilder::reply_to(request, StatusCode::OK)).unwrap();
    let first = out(&mut b).sent;
    assert_eq!(deliver(&mut b, at(3), flow_to(1), &options).sent, first);
    let tag = match parse(&first[0]) {
        Message::Response(response) => response.to_tag().map(<[u8]>::len),
        Message::Request(_) => None,
    };
    assert_eq!(tag, Some(20), "the endpoint made a tag");
}

#[test]
fn a_refused_invite_is_acknowledged_hop_by_hop() {
    let (mut a, mut b) = (endpoint(1), endpoint(2));
    let invite = outgoing(Method::Invite).header(Header::Route, "<sip:192.0.2.2;lr>");
    a.send_request(at(0), flow_to(2), invite);
    let got = deliver(&mut b, at(1), flow_to(1), &out(&mut a).sent);
    let (key, request) = got.request();
    b.respond(at(2), key, ResponseBuilder::reply_to(request, StatusCode::BUSY_HERE)).unwrap();
    let busy = out(&mut b).sent;
    let answer = deliver(&mut a, at(3), flow_to(2), &busy);
    assert_eq!(answer.response().1.status(), StatusCode::BUSY_HERE);
    assert_eq!(answer.lines(), ["ACK sip:bob@192.0.2.2"]);
    let Message::Request(ack) = parse(&answer.sent[0]) else { panic!("an ACK is a request") };
    assert_eq!(ack.top_via_raw(), request.top_via_raw());
    assert_eq!(ack.get(Header::Route), Some(&b"<sip:192.0.2.2;lr>"[..]));
    assert!(ack.to_tag().is_some());
    assert_eq!(deliver(&mut a, at(4), flow_to(2), &busy).sent, answer.sent, "again for each repetition");
    assert!(deliver(&mut b, at(5), flow_to(1), &answer.sent).nothing(), "it ends with the transaction");
    assert_eq!(run_out(&mut b).last().map(|(ms, _)| *ms), Some(5005), "timer I");
}

#[test]
fn cancel_waits_for_a_provisional_and_carries_the_reason() {
    let (mut a, mut b) = (endpoint(1), endpoint(2));
    let invite = a.send_request(at(0), flow_to(2), outgoing(Method::Invite));
    let sent = out(&mut a).sent;
    a.cancel(at(1), invite, Some(&Reason::completed_elsewhere())).unwrap();
    assert!(out(&mut a).nothing(), "RFC 3261 §9.1");
    let got = deliver(&mut b, at(2), flow_to(1), &sent);
    let (key, request) = got.request();
    let terminated = ResponseBuilder::reply_to(request, StatusCode::REQUEST_TERMINATED);
    b.respond(at(3), key, ResponseBuilder::reply_to(request, StatusCode::RINGING)).unwrap();
    let answer = deliver(&mut a, at(4), flow_to(2), &out(&mut b).sent);
    assert_eq!(answer.lines(), ["CANCEL sip:bob@192.0.2.2"]);
    let told = deliver(&mut b, at(5), flow_to(1), &answer.sent);
    assert_eq!(told.lines(), ["200 OK"]);
    match &told.told[..] {
        [Effect::Cancel { invite, request }] => {
            assert_eq!(*invite, key);
            assert_eq!(request.reason(), Some(Reason::completed_elsewhere()));
        }
        other => panic!("{other:?}"),
    }
    b.respond(at(6), key, terminated).unwrap();
    let answer = deliver(&mut a, at(7), flow_to(2), &[told.sent, out(&mut b).sent].concat());
    assert_eq!(answer.response().1.status(), StatusCode::REQUEST_TERMINATED, "and nothing about the CANCEL");
    assert_eq!(a.cancel(at(8), invite, None), Err(UnknownTransaction));
    run_out(&mut a);
    run_out(&mut b);
}

#[test]
fn a_cancel_that_is_never_answered_times_out() {
    let mut a = endpoint(1);
    let invite = a.send_request(at(0), tcp_to(2), outgoing(Method::Invite));
    let Message::Request(request) = parse(&out(&mut a).sent[0]) else { panic!("a request") };
    let trying = ResponseBuilder::reply_to(&request, StatusCode::TRYING).build().bytes;
    deliver(&mut a, at(1), tcp_to(2), &[trying]);
    a.cancel(at(1000), invite, None).unwrap();
    let log = run_out(&mut a);
    let ends: Vec<_> = log.iter().filter(|(_, o)| !o.told.is_empty()).map(|(ms, o)| (*ms, &o.told[..])).collect();
    assert!(matches!(&ends[..], [(33_000, [Effect::Timeout { key }])] if *key == invite), "{ends:?}");
}

#[test]
fn a_phone_that_rings_for_ever_is_cancelled_by_timer_c() {
    let mut a = endpoint(1);
    let invite = a.send_request(at(0), tcp_to(2), outgoing(Method::Invite));
    let Message::Request(request) = parse(&out(&mut a).sent[0]) else { panic!("a request") };
    let ringing = ResponseBuilder::reply_to(&request, StatusCode::RINGING).to_tag("t").build().bytes;
    deliver(&mut a, at(0), tcp_to(2), &[ringing]);
    a.tick(at(300_000));
    assert_eq!(out(&mut a).lines(), ["CANCEL sip:bob@192.0.2.2"]);
    assert_eq!(a.cancel(at(300_001), invite, None), Ok(()));
    assert!(out(&mut a).nothing(), "once is enough");
    let log = run_out(&mut a);
    assert!(log.iter().any(|(_, o)| matches!(&o.told[..], [Effect::Timeout { key }] if *key == invite)));
}

#[test]
fn cancel_for_nothing_gets_481() {
    let mut b = endpoint(2);
    let cancel = "CANCEL sip:b SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\nFrom: <sip:a@h>;tag=1\nTo: <sip:b@h>\n\
                  Call-ID: c\nCSeq: 1 CANCEL\nContent-Length: 0\n\n";
    receive(&mut b, at(0), flow_to(1), cancel);
    assert_eq!(out(&mut b).lines(), ["481 Call/Transaction Does Not Exist"]);
    assert!(b.is_empty(), "and takes no memory");
}

#[test]
fn forked_and_late_2xx_are_passed_up_once_each() {
    let mut a = endpoint(1);
    let invite = a.send_request(at(0), flow_to(2), outgoing(Method::Invite));
    let Message::Request(request) = parse(&out(&mut a).sent[0]) else { panic!("a request") };
    let ok = |tag: &str| ResponseBuilder::reply_to(&request, StatusCode::OK).to_tag(tag).build().bytes;
    for (ms, tag, told) in [(1, "x", 1), (2, "x", 0), (3, "y", 1), (20_000, "z", 1), (20_001, "y", 0)] {
        let got = deliver(&mut a, at(ms), flow_to(2), &[ok(tag)]);
        assert_eq!(got.told.len(), told, "{tag} at {ms}");
        assert!(got.sent.is_empty());
    }
    a.send_ack(invite, b"y", flow_to(2), outgoing(Method::Ack));
    let ack = out(&mut a).sent;
    assert_eq!(deliver(&mut a, at(20_002), flow_to(2), &[ok("y")]).sent, ack);
    run_out(&mut a);
    assert!(deliver(&mut a, at(60_000), flow_to(2), &[ok("x")]).nothing());
    assert_eq!(a.counters().stray, 1);
}

#[test]
fn a_2xx_without_ack_repeats_and_ends_the_call() {
    let mut b = endpoint(2);
    let mut a = endpoint(1);
    a.send_request(at(0), tcp_to(2), outgoing(Method::Invite));
    let got = deliver(&mut b, at(0), tcp_to(1), &out(&mut a).sent);
    let (key, request) = got.request();
    b.respond(at(0), key, ResponseBuilder::reply_to(request, StatusCode::OK).to_tag("t")).unwrap();
    out(&mut b);
    let log = run_out(&mut b);
    assert_eq!(log.iter().map(|(_, o)| o.sent.len()).sum::<usize>(), 10, "also on reliable transports");
    assert!(
        matches!(log.last(), Some((32_000, o)) if matches!(&o.told[..], [Effect::NoAck { invite }] if *invite == key))
    );
}

#[test]
fn merged_requests_get_482() {
    let mut b = endpoint(2);
    let invite = |branch: &str| {
        format!(
            "INVITE sip:b@h SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK{branch}\nFrom: <sip:a@h>;tag=1\nTo: <sip:b@h>\n\
             Call-ID: c\nCSeq: 1 INVITE\nContact: <sip:a@h>\nContent-Length: 0\n\n"
        )
    };
    receive(&mut b, at(0), flow_to(1), &invite("1"));
    out(&mut b).request();
    receive(&mut b, at(1), flow_to(1), &invite("2"));
    assert_eq!(out(&mut b).lines(), ["482 Loop Detected"]);
    receive(&mut b, at(2), flow_to(1), &invite("1"));
    assert!(out(&mut b).nothing());
}

#[test]
fn rfc_2543_requests_match_without_a_branch_but_never_across_peers() {
    let mut b = endpoint(2);
    let message = |method: &str, tag: &str| {
        format!(
            "{method} sip:b@h SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK\nFrom: <sip:a@h>;tag=1\nTo: <sip:b@h>{tag}\n\
             Call-ID: c\nCSeq: 1 {}\nContent-Length: 0\n\n",
            method
        )
    };
    receive(&mut b, at(0), flow_to(1), &message("INVITE", ""));
    let got = out(&mut b);
    let (key, request) = got.request();
    receive(&mut b, at(1), flow_to(1), &message("INVITE", ""));
    assert!(out(&mut b).nothing(), "a repetition");
    b.respond(at(2), key, ResponseBuilder::reply_to(request, StatusCode::BUSY_HERE).to_tag("t")).unwrap();
    assert_eq!(out(&mut b).lines(), ["486 Busy Here"]);
    receive(&mut b, at(3), flow_to(1), &message("ACK", ";tag=t"));
    assert_eq!(run_out(&mut b).len(), 1, "acknowledged: no repetition, only timer I");
    let options = message("OPTIONS", "").replace("Call-ID: c", "Call-ID: d");
    receive(&mut b, at(9000), flow_to(1), &options);
    out(&mut b).request();
    receive(&mut b, at(9001), flow_to(7), &options);
    assert_eq!(out(&mut b).lines(), ["482 Loop Detected"], "another peer: another transaction");
}

#[test]
fn lost_requests_time_out_and_broken_flows_are_told() {
    let mut a = endpoint(1);
    let options = a.send_request(at(0), flow_to(2), outgoing(Method::Options));
    let log = run_out(&mut a);
    assert!(matches!(&log.last().unwrap().1.told[..], [Effect::Timeout { key }] if *key == options));
    assert_eq!(log.iter().map(|(_, o)| o.sent.len()).sum::<usize>(), 11);
    let invite = a.send_request(at(40_000), tcp_to(2), outgoing(Method::Invite));
    a.send_request(at(40_000), tcp_to(3), outgoing(Method::Options));
    out(&mut a);
    a.flow_failed(at(40_001), &tcp_to(2));
    assert!(matches!(&out(&mut a).told[..], [Effect::TransportError { key }] if *key == invite));
    assert_eq!(a.len(), 1);
}

#[test]
fn an_invite_left_alone_gets_100_after_200_ms() {
    let (mut a, mut b) = (endpoint(1), endpoint(2));
    a.send_request(at(0), flow_to(2), outgoing(Method::Invite));
    deliver(&mut b, at(0), flow_to(1), &out(&mut a).sent);
    assert_eq!(b.deadline(), Some(at(200)));
    b.tick(at(200));
    assert_eq!(out(&mut b).lines(), ["100 Trying"]);
}

// spec: SE-6
#[test]
fn a_full_endpoint_refuses_new_calls_without_memory_but_serves_dialogs() {
    let mut b = endpoint(2);
    b.config.max_transactions = 2;
    let message = |n: u32, tag: &str| {
        format!(
            "OPTIONS sip:b@h SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK{n}\nFrom: <sip:a@h>;tag=1\nTo: <sip:b@h>{tag}\n\
             Call-ID: c{n}\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n"
        )
    };
    for n in 0..2 {
        receive(&mut b, at(0), flow_to(1), &message(n, ""));
        out(&mut b).request();
    }
    receive(&mut b, at(0), flow_to(1), &message(2, ""));
    let refused = out(&mut b);
    assert_eq!(refused.lines(), ["503 Service Unavailable"]);
    assert!(String::from_utf8_lossy(&refused.sent[0]).contains("Retry-After: 5\r\n"));
    receive(&mut b, at(0), flow_to(1), &message(3, ";tag=x"));
    out(&mut b).request();
    assert_eq!((b.len(), b.counters().overflowed), (3, 1));
}

#[test]
fn responses_that_are_not_ours_are_dropped() {
    let mut a = endpoint(1);
    a.send_request(at(0), flow_to(2), outgoing(Method::Options));
    let Message::Request(request) = parse(&out(&mut a).sent[0]) else { panic!("a request") };
    let ok = String::from_utf8(ResponseBuilder::reply_to(&request, StatusCode::OK).build().bytes.to_vec()).unwrap();
    let second_via = ok.replacen("\r\nFrom", "\r\nVia: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1\r\nFrom", 1);
    let other_method = ok.replace("1 OPTIONS", "1 INVITE");
    let guessed = ok.replacen("z9hG4bK2.", "z9hG4bK2.0", 1);
    for text in [second_via, other_method, guessed] {
        assert!(deliver(&mut a, at(1), flow_to(2), &[Bytes::from(text)]).nothing());
    }
    assert_eq!(a.counters().stray, 3);
    assert_eq!(deliver(&mut a, at(2), flow_to(2), &[Bytes::from(ok)]).told.len(), 1);
}
