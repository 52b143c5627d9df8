//! SIP over TCP: framing, keep-alives, reuse of the phone's connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use carillon_acd::ids::{CallId, LegId, NodeId};
use carillon_acd::leg::{CallerId, Cause, LegCommand, LegEvent};

use crate::support::{Center, Msg, PATIENCE, authorization, device, fixed, registering, sdp, trunk};

/// A peer on one TCP connection.
struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Wire { stream, buffer: Vec::new() }
    }

    fn connect(edge: SocketAddr) -> Self {
        Self::new(TcpStream::connect(edge).unwrap())
    }

    fn here(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    fn more(&mut self) -> usize {
        let mut chunk = [0; 4_096];
        let length = self.stream.read(&mut chunk).unwrap();
        self.buffer.extend_from_slice(&chunk[..length]);
        length
    }

    /// The next message that is not 100.
    fn recv(&mut self) -> Msg {
        loop {
            if let Some(head) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                let message = Msg::new(&self.buffer[..head + 4]);
                let length = head + 4 + message.header("Content-Length").parse::<usize>().unwrap();
                if self.buffer.len() >= length {
                    let message = Msg::new(&self.buffer.drain(..length).collect::<Vec<_>>());
                    if message.status() != 100 {
                        return message;
                    }
                    continue;
                }
            }
            assert_ne!(self.more(), 0, "closed");
        }
    }

    fn expect_closed(&mut self) {
        while self.more() > 0 {}
    }

    fn request(&self, method: &str, user: &str, edge: SocketAddr, cseq: u32, extra: &str, body: &str) -> String {
        let here = self.here();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:{user}@{edge} SIP/2.0\r\nVia: SIP/2.0/TCP {here};branch=z9hG4bKt{cseq}{method}\r\nFrom: <sip:{user}@{edge}>;tag=f\r\n\
             To: <sip:{user}@{edge}>\r\nCall-ID: tcp{}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContact: <sip:{user}@{here};transport=tcp>\r\n\
             {extra}{kind}Content-Length: {}\r\n\r\n{body}",
            here.port(),
            body.len()
        )
    }

    fn respond(&mut self, request: &Msg, status: &str, body: &str) {
        let here = self.here();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let to = request.header("To");
        let to = if to.contains("tag=") { to.to_owned() } else { format!("{to};tag=tcp") };
        self.send(&format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:x@{here};transport=tcp>\r\n{kind}\
             Content-Length: {}\r\n\r\n{body}",
            request.header("Via"),
            request.header("From"),
            request.header("Call-ID"),
            request.header("CSeq"),
            body.len()
        ));
    }
}

const LEG: LegId = LegId { call: CallId { node: NodeId(1), boot: 7, number: 77 }, n: 1 };

fn dial(center: &Center) {
    let caller = CallerId { number: "1".into(), name: String::new() };
    let target = device("anna");
    let ring_for = Duration::from_secs(30);
    center.command(LEG, LegCommand::Dial { target, caller, partner: LegId::caller(LEG.call), ring_for });
}

fn answer_over(phone: &mut Wire, center: &Center) {
    let invite = phone.recv();
    assert_eq!(invite.method(), "INVITE", "{}", invite.text);
    assert!(invite.header("Via").starts_with("SIP/2.0/TCP"), "{}", invite.text);
    assert!(invite.contact().contains("transport=tcp"), "{}", invite.text);
    phone.respond(&invite, "200 OK", &sdp("127.0.9.2:5000".parse().unwrap(), "0", "sendrecv"));
    assert_eq!(phone.recv().method(), "ACK");
    center.expect_event(LEG, LegEvent::Answered);
    center.command(LEG, LegCommand::HangUp(Cause::Normal));
    let bye = phone.recv();
    assert_eq!(bye.method(), "BYE");
    phone.respond(&bye, "200 OK", "");
    center.expect_all_gone();
}

#[test]
fn a_phone_is_rung_over_the_connection_on_which_it_registered() {
    let center = Center::start(vec![registering("anna")], vec![]);
    let edge = center.addr();
    let mut phone = Wire::connect(edge);
    phone.send(&phone.request("REGISTER", "anna", edge, 1, "", ""));
    let challenge = phone.recv();
    assert_eq!(challenge.status(), 401);
    let uri = format!("sip:anna@{edge}");
    let answer = authorization(&challenge, "SHA-256", "REGISTER", &uri, "anna", "anna-secret", 1);
    phone.send(&phone.request("REGISTER", "anna", edge, 2, &answer, ""));
    assert_eq!(phone.recv().status(), 200);
    center.expect_reachable("anna", true);
    dial(&center);
    answer_over(&mut phone, &center);
    drop(phone);
    center.expect_reachable("anna", false);
}

#[test]
fn a_tcp_contact_is_dialled_over_a_new_connection() {
    let listener = TcpListener::bind("127.0.9.2:0").unwrap();
    let mut device = fixed("anna", listener.local_addr().unwrap());
    device.contact.as_mut().unwrap().push_str(";transport=tcp");
    let center = Center::start(vec![device], vec![]);
    dial(&center);
    let mut phone = Wire::new(listener.accept().unwrap().0);
    answer_over(&mut phone, &center);
    assert_eq!(center.edge.stats().connections, 1);
}

#[test]
fn a_tcp_contact_where_nobody_listens_is_unreachable() {
    let gone = TcpListener::bind("127.0.9.2:0").unwrap().local_addr().unwrap();
    let mut device = fixed("anna", gone);
    device.contact.as_mut().unwrap().push_str(";transport=tcp");
    let center = Center::start(vec![device], vec![]);
    dial(&center);
    center.expect_event(LEG, LegEvent::Failed(Cause::Unreachable));
    center.expect_all_gone();
}

#[test]
fn messages_are_cut_out_of_the_stream_wherever_it_breaks() {
    let center = Center::start(vec![], vec![trunk("127.0.0.0/8", None)]);
    let edge = center.addr();
    let mut peer = Wire::connect(edge);
    let both = peer.request("OPTIONS", "x", edge, 1, "", "") + &peer.request("OPTIONS", "x", edge, 2, "", "");
    let (first, second) = both.split_at(both.len() / 3);
    peer.send(first);
    peer.send(second);
    assert_eq!([peer.recv(), peer.recv()].map(|m| m.status()), [200, 200]);
    peer.send("\r\n\r\n");
    peer.more();
    assert_eq!(peer.buffer, b"\r\n", "the pong of RFC 5626");
}

// spec: SE-6
/// A connection of a stranger is closed after half a minute without a message, and one address has few of them.
#[test]
fn connections_of_trunks_and_callers_are_no_strangers() {
    let center = Center::start(vec![], vec![trunk("127.0.0.0/8", None)]);
    let connections: Vec<Wire> = (0..40)
        .map(|_| {
            let mut carrier = Wire::connect(center.addr());
            let options = carrier.request("OPTIONS", "carrier", center.addr(), 1, "", "");
            carrier.send(&options);
            assert_eq!(carrier.recv().status(), 200);
            carrier
        })
        .collect();
    assert_eq!(center.edge.stats().connections, 40);
    drop(connections);

    let center = Center::start(vec![registering("anna")], vec![]);
    let body = sdp("127.0.0.1:4000".parse().unwrap(), "0", "sendrecv");
    let mut calls = Vec::new();
    for _ in 0..40 {
        let mut phone = Wire::connect(center.addr());
        let invite = phone.request("INVITE", "anna", center.addr(), 1, "", &body);
        phone.send(&invite);
        let challenge = phone.recv();
        let uri = format!("sip:anna@{}", center.addr());
        let answer = authorization(&challenge, "MD5", "INVITE", &uri, "anna", "anna-secret", 1);
        let invite = phone.request("INVITE", "anna", center.addr(), 2, &answer, &body);
        phone.send(&invite);
        center.incoming();
        calls.push(phone);
    }
}

#[test]
fn a_stream_that_cannot_be_cut_is_closed() {
    let center = Center::start(vec![], vec![trunk("127.0.0.0/8", None)]);
    let mut peer = Wire::connect(center.addr());
    peer.send("OPTIONS sip:x SIP/2.0\r\nContent-Length: 5\r\nContent-Length: 13\r\n\r\n");
    peer.expect_closed();
    let mut peer = Wire::connect(center.addr());
    peer.send("OPTIONS sip:x SIP/2.0\r\nContent-Length: 99999999999\r\n\r\n");
    peer.expect_closed();
}
