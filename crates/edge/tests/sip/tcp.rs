//! SIP over TCP: framing, keep-alives, reuse of the phone's connection.

use std::net::TcpListener;
use std::time::Duration;

use carillon_acd::ids::{CallId, LegId, NodeId};
use carillon_acd::leg::{CallerId, Cause, LegCommand, LegEvent};

use crate::support::wire::Wire;
use crate::support::{Center, authorization, device, fixed, registering, sdp, trunk};

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
    phone.register("anna", edge);
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
