use super::{Onward, Seal, own_route, request, response};
use crate::flow::{Flow, Transport};
use crate::message::{Message, Request, Response};
use crate::status::StatusCode;
use std::net::SocketAddr;

const INVITE: &str = "INVITE sip:anna@10.0.0.7:5062;ob SIP/2.0\r\n\
    v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2.aa;rport , SIP/2.0/UDP far.example.com\r\n\
    Max-Forwards:  70\r\n\
    Route: <sip:anna@192.0.2.2:5060;lr>\r\n\
    From: \"A, \\\"B\\\"\" <sip:1@192.0.2.1>;tag=f\r\n\
    To: <sip:anna@10.0.0.7:5062;ob>\r\n\
    Call-ID: c1\r\n\
    CSeq: 1 INVITE\r\n\
    X-Odd:\tfolded\r\n  value\r\n\
    Content-Length: 4\r\n\r\nv=0\n trailing bytes of the datagram";

fn a_request(text: &str) -> Request {
    match Message::parse(text.to_owned().into()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn a_response(text: &str) -> Response {
    match Message::parse(text.to_owned().into()) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn onward<'a>(routes: usize, record_route: &'a [String]) -> Onward<'a> {
    Onward { source: address("192.0.2.1:5060"), routes, via: "SIP/2.0/TCP 192.0.2.2:5060;branch=b", record_route }
}

fn sent(text: &str, routes: usize, record_route: &[String]) -> String {
    let bytes = request(&a_request(text), &onward(routes, record_route)).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_request_goes_on_with_our_via_and_without_our_route() {
    let own = ["<sip:t@192.0.2.2;transport=tcp;lr>".to_owned(), "<sip:t@192.0.2.2;lr>".to_owned()];
    let expected = "INVITE sip:anna@10.0.0.7:5062;ob SIP/2.0\r\n\
        Via: SIP/2.0/TCP 192.0.2.2:5060;branch=b\r\n\
        Record-Route: <sip:t@192.0.2.2;transport=tcp;lr>\r\n\
        Record-Route: <sip:t@192.0.2.2;lr>\r\n\
        v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2.aa;received=192.0.2.1;rport=5060 , SIP/2.0/UDP far.example.com\r\n\
        Max-Forwards:  69\r\n\
        From: \"A, \\\"B\\\"\" <sip:1@192.0.2.1>;tag=f\r\n\
        To: <sip:anna@10.0.0.7:5062;ob>\r\n\
        Call-ID: c1\r\n\
        CSeq: 1 INVITE\r\n\
        X-Odd:\tfolded\r\n  value\r\n\
        Content-Length: 4\r\n\r\nv=0\n";
    assert_eq!(sent(INVITE, 1, &own), expected);
}

#[test]
fn only_our_own_routes_come_off_wherever_they_stand() {
    let with = |routes: &str| INVITE.replace("Route: <sip:anna@192.0.2.2:5060;lr>\r\n", routes);
    let left = |routes: &str, count| {
        let text = sent(&with(routes), count, &[]);
        let lines: Vec<&str> = text.lines().filter(|line| line.to_ascii_lowercase().starts_with("route")).collect();
        lines.join("|")
    };
    assert_eq!(left("Route: <sip:a;lr>, <sip:b;lr>,<sip:c;lr>\r\n", 2), "Route: <sip:c;lr>");
    assert_eq!(left("Route: <sip:a;lr>\r\nRoute : <sip:b;lr> , <sip:c;lr>\r\n", 2), "Route : <sip:c;lr>");
    assert_eq!(left("Route:\r\n <sip:a;lr>\r\n \r\nROUTE: <sip:b;lr>\r\n", 1), "ROUTE: <sip:b;lr>");
    assert_eq!(left("Route: <sip:a;lr>\r\n", 1), "");
}

#[test]
fn a_request_that_has_come_too_far_goes_no_further() {
    let refused = |text: &str| request(&a_request(text), &onward(0, &[])).unwrap_err().status;
    assert_eq!(refused(&INVITE.replace("Max-Forwards:  70", "Max-Forwards: 0")), StatusCode::TOO_MANY_HOPS);
    assert!(sent(&INVITE.replace("Max-Forwards:  70\r\n", ""), 1, &[]).contains("\r\nMax-Forwards: 70\r\n"));
    assert!(sent(&INVITE.replace("Max-Forwards:  70", "Max-Forwards: soon"), 1, &[]).contains("Max-Forwards: 70\r\n"));
    let of_length = |length: usize| {
        let head = INVITE.split("X-Odd").next().unwrap();
        format!("{head}X-Long: {}\r\n\r\n", "x".repeat(length - head.len() - "X-Long: \r\n\r\n".len()))
    };
    let added = "Via: SIP/2.0/TCP 192.0.2.2:5060;branch=b\r\n;received=192.0.2.1=5060".len();
    assert_eq!(sent(&of_length(65_535 - added), 0, &[]).len(), 65_535);
    assert_eq!(refused(&of_length(65_535 - added + 1)), StatusCode::MESSAGE_TOO_LARGE);
}

#[test]
fn a_response_goes_back_without_our_via() {
    let rest =
        "From: <sip:1@a>;tag=f\r\nTo: <sip:2@b>;tag=t\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    let back = |vias: &str| {
        let bytes = response(&a_response(&format!("SIP/2.0 180 Ringing\r\n{vias}{rest}")))?;
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Some(text.strip_prefix("SIP/2.0 180 Ringing\r\n").unwrap().strip_suffix(rest).unwrap().to_owned())
    };
    let (ours, theirs) = ("SIP/2.0/UDP b;branch=z9hG4bK1", "SIP/2.0/UDP a;branch=z9hG4bK2;received=192.0.2.1");
    assert_eq!(back(&format!("Via: {ours}\r\nv:  {theirs}\r\n")), Some(format!("v:  {theirs}\r\n")));
    assert_eq!(back(&format!("Via: {ours} ,\r\n {theirs}\r\n")), Some(format!("Via: {theirs}\r\n")));
    assert_eq!(back(&format!("Via: {ours}\r\n")), None, "a response to ourselves");
}

#[test]
fn our_own_part_of_a_route_is_found() {
    let here = address("192.0.2.2:5060");
    let own = |routes: &str| {
        let text = INVITE.replace("Route: <sip:anna@192.0.2.2:5060;lr>\r\n", routes);
        own_route(&a_request(&text), here).map(|own| (String::from_utf8(own.user).unwrap(), own.count, own.more))
    };
    assert_eq!(own("Route: <sip:anna@192.0.2.2;lr>\r\n"), Some(("anna".into(), 1, false)));
    assert_eq!(own("Route: <sip:192.0.2.2;lr>, <sip:192.0.2.3;lr>\r\n"), Some((String::new(), 1, true)));
    let both = "Route: <sip:t@192.0.2.2;transport=tcp;lr>\r\nRoute: <sip:t@192.0.2.2;lr>\r\n";
    assert_eq!(own(both), Some(("t".into(), 2, false)));
    assert_eq!(own(&both.repeat(2)), Some(("t".into(), 2, true)));
    for foreign in ["", "Route: <sip:t@192.0.2.2:5070;lr>\r\n", "Route: <tel:1>\r\n", "Route: <sip:\r\n"] {
        assert_eq!(own(foreign), None, "{foreign}");
    }
}

#[test]
fn a_seal_names_its_flow_and_cannot_be_made_by_others() {
    let seal = Seal::new([7; 32]);
    let tcp =
        |remote: &str| Flow { transport: Transport::Tcp, local: 3, remote: address(remote), connection: Some(1 << 40) };
    for flow in [Flow::udp(0, address("192.0.2.9:31000")), tcp("[2001:db8::9]:5060")] {
        let token = seal.token(&flow);
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric()), "it can stand in a URI");
        assert_eq!(seal.flow_of_token(token.as_bytes()), Some(flow));
        assert_eq!(Seal::new([8; 32]).flow_of_token(token.as_bytes()), None);
        for at in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(seal.flow_of_token(&forged), None);
        }
        let branch = seal.branch(&a_request(INVITE), &flow);
        assert_eq!(seal.flow_of_branch(branch.as_bytes()), Some(flow));
        assert_eq!(seal.flow_of_token(branch.strip_prefix("z9hG4bKrelay.").unwrap().as_bytes()), None);
        assert_eq!(seal.flow_of_branch(format!("z9hG4bKrelay.{token}").as_bytes()), None);
    }
    for foreign in ["", "anna", "00", "z9hG4bK2.aa", "z9hG4bKrelay."] {
        assert_eq!(seal.flow_of_token(foreign.as_bytes()), None);
        assert_eq!(seal.flow_of_branch(foreign.as_bytes()), None);
    }
}

// RFC 3261 §16.11
#[test]
fn all_requests_of_one_transaction_get_one_branch() {
    let (seal, from) = (Seal::new([7; 32]), Flow::udp(0, address("192.0.2.1:5060")));
    let branch = |text: &str| seal.branch(&a_request(text), &from);
    let cancel = INVITE.replace("1 INVITE", "1 CANCEL").replace("INVITE sip", "CANCEL sip");
    let ack = INVITE
        .replace("1 INVITE", "1 ACK")
        .replace("INVITE sip", "ACK sip")
        .replace("5062;ob>\r\nC", "5062>;tag=t\r\nC");
    assert_eq!([branch(&cancel), branch(&ack)], [branch(INVITE), branch(INVITE)]);
    let others = [INVITE.replace("z9hG4bK2.aa", "z9hG4bK2.ab"), INVITE.replace("UDP 192.0.2.1;", "UDP 192.0.2.3;")];
    assert!(others.iter().all(|other| branch(other) != branch(INVITE)));
}
