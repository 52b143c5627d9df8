//! Every torture message of RFC 4475 and RFC 5118 through parser, checks and endpoint. Spec: SE-6.

use super::common::{endpoint, files, source, torture};
use bytes::Bytes;
use carillon_sip::endpoint::Effect;
use carillon_sip::message::Contact;
use carillon_sip::stream::{Frame, FrameError, Framer};
use carillon_sip::{Flow, Header, Message, Moment, Request, Response, StatusCode, Transport};

/// What becomes of each message at a user agent: `request` and `response` reach the transaction user, `stray` is a
/// well-formed response that belongs to nothing, `drop` gets no answer, a number is the answer.
const OUTCOMES: &[(&str, &str)] = &[
    ("rfc4475/badaspec.dat", "400"),
    ("rfc4475/badbranch.dat", "request"),
    ("rfc4475/baddate.dat", "request"),
    ("rfc4475/baddn.dat", "400"),
    ("rfc4475/badinv01.dat", "400"),
    ("rfc4475/badvers.dat", "505"),
    ("rfc4475/bcast.dat", "stray"),
    ("rfc4475/bext01.dat", "420"),
    ("rfc4475/bigcode.dat", "drop"),
    ("rfc4475/clerr.dat", "400"),
    ("rfc4475/cparam01.dat", "request"),
    ("rfc4475/cparam02.dat", "request"),
    ("rfc4475/dblreq.dat", "request"),
    ("rfc4475/esc01.dat", "request"),
    ("rfc4475/esc02.dat", "501"),
    ("rfc4475/escnull.dat", "request"),
    ("rfc4475/escruri.dat", "400"),
    ("rfc4475/insuf.dat", "400"),
    ("rfc4475/intmeth.dat", "501"),
    ("rfc4475/inv2543.dat", "request"),
    ("rfc4475/invut.dat", "415"),
    ("rfc4475/longreq.dat", "request"),
    ("rfc4475/ltgtruri.dat", "400"),
    ("rfc4475/lwsdisp.dat", "request"),
    ("rfc4475/lwsruri.dat", "400"),
    ("rfc4475/lwsstart.dat", "400"),
    ("rfc4475/mcl01.dat", "400"),
    ("rfc4475/mismatch01.dat", "400"),
    ("rfc4475/mismatch02.dat", "501"),
    // RFC 4475 §3.1.1.11 is a MESSAGE, which this element knows but does not perform.
    ("rfc4475/mpart01.dat", "405"),
    ("rfc4475/multi01.dat", "400"),
    ("rfc4475/ncl.dat", "400"),
    ("rfc4475/noreason.dat", "stray"),
    ("rfc4475/novelsc.dat", "416"),
    ("rfc4475/quotbal.dat", "400"),
    ("rfc4475/regaut01.dat", "request"),
    ("rfc4475/regbadct.dat", "400"),
    ("rfc4475/regescrt.dat", "request"),
    ("rfc4475/scalar02.dat", "400"),
    ("rfc4475/scalarlg.dat", "drop"),
    ("rfc4475/sdp01.dat", "406"),
    ("rfc4475/semiuri.dat", "request"),
    // No version and no Via: there is nowhere to answer to.
    ("rfc4475/test.dat", "drop"),
    ("rfc4475/transports.dat", "request"),
    ("rfc4475/trws.dat", "400"),
    ("rfc4475/unkscm.dat", "416"),
    ("rfc4475/unksm2.dat", "400"),
    ("rfc4475/unreason.dat", "stray"),
    ("rfc4475/wsinv.dat", "request"),
    ("rfc4475/zeromf.dat", "request"),
    ("rfc5118-wire/ipv4-mapped-ipv6.dat", "request"),
    ("rfc5118-wire/ipv6-bad.dat", "400"),
    ("rfc5118-wire/ipv6-bug-abnf-3-colons.dat", "request"),
    ("rfc5118-wire/ipv6-correct-abnf-2-colons.dat", "request"),
    ("rfc5118-wire/ipv6-good.dat", "request"),
    ("rfc5118-wire/ipv6-in-sdp.dat", "request"),
    ("rfc5118-wire/mult-ip-in-header.dat", "request"),
    ("rfc5118-wire/mult-ip-in-sdp.dat", "request"),
    ("rfc5118-wire/port-ambiguous.dat", "request"),
    ("rfc5118-wire/port-unambiguous.dat", "request"),
    ("rfc5118-wire/via-received-param-no-delim.dat", "request"),
    ("rfc5118-wire/via-received-param-with-delim.dat", "request"),
];

fn request(file: &str) -> Request {
    match Message::parse(torture(file)) {
        Ok(Message::Request(request)) => request,
        other => panic!("{file}: {other:?}"),
    }
}

fn answer(bytes: Bytes) -> Response {
    match Message::parse(bytes) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

/// Feeds one datagram to a fresh endpoint; gives the outcome in the words of [`OUTCOMES`], and what was sent.
fn outcome(bytes: Bytes) -> (String, Option<Bytes>) {
    let (mut endpoint, flow) = (endpoint(), Flow::udp(0, source()));
    match Message::parse(bytes) {
        Ok(message) => endpoint.handle_message(Moment::START, flow, message),
        Err(error) => endpoint.handle_malformed(flow, &error),
    }
    let stray = endpoint.counters().stray > 0;
    let effect = endpoint.poll();
    assert!(endpoint.poll().is_none(), "one message, one effect");
    match effect {
        None if stray => ("stray".into(), None),
        None => ("drop".into(), None),
        Some(Effect::Send { bytes, .. }) => (String::from_utf8_lossy(&bytes[8..11]).into_owned(), Some(bytes)),
        Some(Effect::Request { .. }) => ("request".into(), None),
        Some(other) => panic!("{other:?}"),
    }
}

// spec: SE-6
#[test]
fn each_message_has_its_outcome() {
    let rows: Vec<String> = files();
    assert_eq!(rows.len(), 62);
    assert_eq!(OUTCOMES.iter().map(|(file, _)| *file).collect::<Vec<_>>(), rows, "one outcome per row of the index");
    let wrong: Vec<_> = OUTCOMES
        .iter()
        .map(|(file, expected)| (file, expected, outcome(torture(file)).0))
        .filter(|(_, expected, got)| *expected != got)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn refusals_can_be_read_and_name_what_they_must() {
    for (file, expected) in OUTCOMES.iter().filter(|(_, outcome)| outcome.parse::<u16>().is_ok()) {
        let Some(bytes) = outcome(torture(file)).1 else { panic!("{file} is answered") };
        // What the request lacks or garbles, its answer does too.
        let garbled = ["badinv01", "insuf", "scalar02", "quotbal", "baddn", "badaspec", "badvers"];
        if garbled.iter().any(|name| file.contains(name)) {
            continue;
        }
        let response = answer(bytes);
        let header = match *expected {
            "420" => Header::Unsupported,
            "501" | "405" => Header::Allow,
            "415" | "406" => Header::Accept,
            _ => Header::To,
        };
        assert!(response.get(header).is_some(), "{file}: {response:?}");
        assert!(response.to_tag().is_some(), "{file}");
    }
    let refusal = answer(outcome(torture("rfc4475/bext01.dat")).1.unwrap());
    let named: Vec<_> = refusal.list(Header::Unsupported).collect();
    assert_eq!(named, [&b"nothingSupportsThis"[..], b"nothingSupportsThisEither"]);
}

#[test]
fn a_tortuous_invite_is_read_right() {
    let r = request("rfc4475/wsinv.dat");
    assert_eq!((r.cseq(), r.max_forwards()), (9, Some(68)));
    assert_eq!(r.from().display_name().unwrap(), "J Rosenberg \\\"");
    assert_eq!((r.from_tag(), r.to_tag()), (Some(&b"98asjd8"[..]), Some(&b"1918181833n"[..])));
    let hosts: Vec<_> = r.vias().map(|v| String::from_utf8_lossy(v.host_raw()).into_owned()).collect();
    assert_eq!(hosts, ["192.0.2.2", "spindle.example.com", "192.168.255.111"]);
    let branches: Vec<_> = r.vias().map(|v| v.branch().unwrap().to_vec()).collect();
    assert_eq!(branches, [&b"390skdjuw"[..], b"z9hG4bK9ikj8", b"z9hG4bK30239"]);
    assert_eq!(r.get(Header::Subject), Some(&b""[..]));
    assert_eq!(r.named("UnknownHeaderWithUnusualValue").collect::<Vec<_>>(), [b";;,,;;,;"]);
    let contact = r.contact().unwrap();
    assert_eq!((contact.display_name().unwrap().as_ref(), contact.q()), ("Quoted string \"\"", 330));
    assert_eq!(contact.params().get("newparam"), Some(&b"newvalue"[..]));
    assert_eq!(r.addresses(Header::Route).next().unwrap().unwrap().uri().param("lr"), Some(&b""[..]));
    assert_eq!(r.body().len(), 150);
}

#[test]
fn escapes_are_resolved_once_and_only_in_uris() {
    let r = request("rfc4475/esc01.dat");
    assert_eq!(r.uri().user_text().unwrap(), "sips:user@example.com");
    assert_eq!(r.to().uri().user_text().unwrap(), "user");
    assert_eq!(r.from().uri().user_text().unwrap(), "I have spaces");
    let r = request("rfc4475/esc02.dat");
    assert_eq!(r.method().as_bytes(), b"RE%47IST%45R");
    assert_eq!(r.from().display_name().unwrap(), "%Z%45");
    assert_eq!(r.contacts().count(), 2);
    let r = request("rfc4475/escnull.dat");
    assert_eq!(r.to().uri().user().unwrap().as_ref(), b"null-\0-null");
    let users = r.contacts().map(|c| match c {
        Ok(Contact::Address(address)) => address.uri().user().unwrap().into_owned(),
        other => panic!("{other:?}"),
    });
    assert_eq!(users.collect::<Vec<_>>(), [vec![0], vec![0, 0]]);
    assert_eq!(request("rfc4475/semiuri.dat").uri().user_text().unwrap(), "user;par=u@example.net");
}

#[test]
fn odd_bytes_survive_in_values() {
    let r = request("rfc4475/intmeth.dat");
    assert_eq!(r.call_id(), b"intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
    assert!(r.to_raw().contains(&0) && r.to_raw().contains(&0x7f));
    assert_eq!(r.uri().password(), Some(&b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"[..]));
    assert_eq!(r.from_tag(), Some(&b"_token~1'+`*%!-."[..]));
    let refusal = outcome(torture("rfc4475/intmeth.dat")).1.unwrap();
    assert!(refusal.windows(r.to_raw().len()).any(|w| w == r.to_raw()), "To comes back byte for byte");
    let r = request("rfc4475/longreq.dat");
    assert_eq!(r.as_bytes().len(), 3515);
    assert_eq!(r.vias().count(), 34);
    let Ok(Message::Response(unreason)) = Message::parse(torture("rfc4475/unreason.dat")) else { panic!() };
    assert!(unreason.reason_phrase().starts_with("= 2**3 * 5**2 но сто девяносто девять"));
    let Ok(Message::Response(noreason)) = Message::parse(torture("rfc4475/noreason.dat")) else { panic!() };
    assert_eq!((noreason.status(), noreason.reason_phrase().as_ref()), (StatusCode::TRYING, ""));
}

#[test]
fn what_follows_content_length_is_no_message_on_udp_and_one_on_tcp() {
    let bytes = torture("rfc4475/dblreq.dat");
    assert!(request("rfc4475/dblreq.dat").body().is_empty());
    let mut framer = Framer::new();
    framer.push(&bytes);
    let mut methods = Vec::new();
    while let Ok(Some(Frame::Message(message))) = framer.next_frame() {
        methods.push(String::from_utf8_lossy(&message[..6]).into_owned());
    }
    assert_eq!(methods, ["REGIST", "INVITE"]);
    for (file, end) in [
        ("rfc4475/mcl01.dat", Err(FrameError::ContentLength)),
        ("rfc4475/ncl.dat", Err(FrameError::ContentLength)),
        ("rfc4475/clerr.dat", Ok(None)),
    ] {
        let mut framer = Framer::new();
        framer.push(&torture(file));
        assert_eq!(framer.next_frame(), end, "{file}");
    }
}

#[test]
fn ipv6_hosts_and_ports() {
    let uri = |file: &str| request(file).uri().clone();
    let ambiguous = uri("rfc5118-wire/port-ambiguous.dat");
    assert_eq!((ambiguous.host_raw(), ambiguous.port()), (&b"[2001:db8::10:5070]"[..], None));
    let plain = uri("rfc5118-wire/port-unambiguous.dat");
    assert_eq!((plain.host_raw(), plain.port()), (&b"[2001:db8::10]"[..], Some(5070)));
    assert_eq!(uri("rfc5118-wire/ipv6-bug-abnf-3-colons.dat").to_string(), "sip:user@[2001:db8:::192.0.2.1]");
    let via = request("rfc5118-wire/via-received-param-with-delim.dat");
    assert_eq!(via.via().received(), Some("2001:db8::9:255".parse().unwrap()));
}

#[test]
fn unknown_transports_answer_over_the_flow() {
    let mut endpoint = endpoint();
    let flow = Flow { transport: Transport::Tcp, connection: Some(9), ..Flow::udp(0, source()) };
    endpoint.handle_message(Moment::START, flow, Message::Request(request("rfc4475/bext01.dat")));
    match endpoint.poll() {
        Some(Effect::Send { flow: reply, .. }) => assert_eq!(reply, flow),
        other => panic!("{other:?}"),
    }
}
