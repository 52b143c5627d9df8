//! How the heir of a call reaches its phones: directly, through the edge where they are connected, over a connection of its
//! own. Spec: CL-4.

use std::net::TcpListener;
use std::time::Duration;

use carillon_acd::ids::{LegId, NodeId};
use carillon_acd::leg::{CallerId, Cause, LegCommand, LegEvent, LegImage};
use carillon_edge::{Credentials, Directory, EdgeConfig};

use crate::relay::{Pair, dial, edge, edges, pair, reported};
use crate::revival::same_dialog;
use crate::support::scene::{Scene, Talker, agent_sdp, assert_both_heard, caller_sdp, ends};
use crate::support::wire::Wire;
use crate::support::{Center, Msg, Phone, Talk, config, device, eventually, fixed, sdp, trunk};
use crate::trunk::{CHALLENGE, challenged};

/// The latest image of each leg.
fn images(center: &Center, legs: [LegId; 2]) -> [LegImage; 2] {
    let mut latest = [None, None];
    while let Ok((leg, image)) = center.images.recv_timeout(Duration::from_millis(200)) {
        latest[legs.iter().position(|known| *known == leg).unwrap()] = Some(image);
    }
    latest.map(Option::unwrap)
}

/// A third edge, known to the second, which does not know the first any more.
fn third(b: &Center) -> Center {
    let c = edge(NodeId(3), "127.0.9.6");
    let addresses = [(NodeId(2), b.addr()), (NodeId(3), c.addr())];
    b.edge.update_peers(addresses);
    c.edge.update_peers(addresses);
    c
}

/// The carrier comes to `heir`; where his audio goes.
fn carrier_follows(carrier: &Phone, heir: &Center, leg: LegId) -> Msg {
    let asked = carrier.expect_request("INVITE");
    carrier.respond(&asked, "200 OK", "", "", &caller_sdp());
    carrier.expect_request("ACK");
    heir.expect_event(leg, LegEvent::Answered);
    asked
}

/// Anna's phone at edge B talks with a caller at edge A, and A dies.
fn bereaved() -> (Pair, crate::relay::Conversation, [LegImage; 2]) {
    let pair = pair();
    let talk = pair.talking();
    let images = images(&pair.scene.center, [talk.caller, talk.leg]);
    pair.scene.center.edge.forsake(talk.caller.call, &[]);
    pair.scene.center.expect_all_gone();
    (pair, talk, images)
}

// spec: CL-4
#[test]
fn cl_4_a_phone_that_is_connected_to_the_heir_needs_nobody_between() {
    let (mut pair, talk, [caller, agent]) = bereaved();
    pair.b.edge.update_peers([]);
    let (b, phone) = (&pair.b, &pair.scene.agent);
    b.command(talk.leg, LegCommand::Revive { image: agent });
    let asked = phone.expect_request("INVITE");
    same_dialog(&asked, &talk.agent_talk);
    assert_eq!((asked.headers("Via").len(), asked.headers("Route").len()), (1, 0), "{}", asked.text);
    assert_eq!(asked.contact(), format!("sip:carillon@{}", b.addr()));
    assert_eq!(asked.request_uri(), pair.at[0].contact.uri());
    phone.respond(&asked, "200 OK", "", "", &agent_sdp("sendrecv"));
    assert_eq!(phone.expect_request("ACK").headers("Route").len(), 0);
    b.expect_event(talk.leg, LegEvent::Answered);
    pair.scene.carrier.edge = b.addr();
    b.command(talk.caller, LegCommand::Revive { image: caller });
    b.command(talk.caller, LegCommand::Bridge { with: talk.leg });
    let to_caller = carrier_follows(&pair.scene.carrier, b, talk.caller);
    let ends = ends();
    assert_both_heard(&Talker(&ends.caller, to_caller.rtp(), 0), &Talker(&ends.agent, asked.rtp(), 0));

    // Its route still leads through its edge, which is the call's edge now.
    let there = Talk { uri: asked.contact().to_owned(), ..talk.agent_talk.clone() };
    phone.request("BYE", &there, 1, &talk.routes, "");
    phone.expect(200);
    b.expect_event(talk.leg, LegEvent::Ended(Cause::Normal));
    assert_eq!(b.edge.stats().unrelayed, 0);
}

#[test]
fn a_phone_at_a_third_edge_is_reached_through_that() {
    let (mut pair, talk, [caller, agent]) = bereaved();
    let c = third(&pair.b);
    let phone = &pair.scene.agent;
    c.command(talk.leg, LegCommand::Revive { image: agent });
    let asked = phone.expect_request("INVITE");
    same_dialog(&asked, &talk.agent_talk);
    assert_eq!((asked.headers("Via").len(), asked.headers("Route").len()), (2, 0), "{}", asked.text);
    assert_eq!(asked.contact(), format!("sip:carillon@{}", c.addr()));
    phone.respond(&asked, "200 OK", "", "", &agent_sdp("sendrecv"));
    phone.expect_request("ACK");
    c.expect_event(talk.leg, LegEvent::Answered);
    pair.scene.carrier.edge = c.addr();
    c.command(talk.caller, LegCommand::Revive { image: caller });
    c.command(talk.caller, LegCommand::Bridge { with: talk.leg });
    let to_caller = carrier_follows(&pair.scene.carrier, &c, talk.caller);
    let ends = ends();
    assert_both_heard(&Talker(&ends.caller, to_caller.rtp(), 0), &Talker(&ends.agent, asked.rtp(), 0));

    let there = Talk { uri: asked.contact().to_owned(), ..talk.agent_talk.clone() };
    phone.request("BYE", &there, 1, &talk.routes, "");
    phone.expect(200);
    c.expect_event(talk.leg, LegEvent::Ended(Cause::Normal));
    assert_eq!(pair.b.edge.stats().unrelayed, 0);
}

#[test]
fn a_phone_behind_nat_is_heard_at_the_heir_from_the_address_that_its_edge_saw() {
    let mut pair = pair();
    let private = sdp("10.0.0.7:5000".parse().unwrap(), "0 101", "sendrecv");
    let talk = pair.talking_with(&private);
    let [caller, agent] = images(&pair.scene.center, [talk.caller, talk.leg]);
    pair.scene.center.edge.forsake(talk.caller.call, &[]);
    let c = third(&pair.b);
    pair.scene.carrier.edge = c.addr();
    c.command(talk.caller, LegCommand::Revive { image: caller });
    c.command(talk.leg, LegCommand::Revive { image: agent });
    c.command(talk.caller, LegCommand::Bridge { with: talk.leg });
    let to_caller = carrier_follows(&pair.scene.carrier, &c, talk.caller);
    let asked = pair.scene.agent.expect_request("INVITE");
    pair.scene.agent.respond(&asked, "200 OK", "", "", &private);
    pair.scene.agent.expect_request("ACK");
    c.expect_event(talk.leg, LegEvent::Answered);
    let ends = ends();
    eventually("the caller hears the phone, which opens its NAT", || {
        let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
        packet.extend([0x55; 160]);
        ends.agent.send_to(&packet, asked.rtp()).unwrap();
        ends.caller.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        ends.caller.recv(&mut [0; 1_500]).map(drop)
    });
    assert_both_heard(&Talker(&ends.caller, to_caller.rtp(), 0), &Talker(&ends.agent, asked.rtp(), 0));
}

/// Anna's phone is on a TCP connection to edge B, her call on edge A, which dies.
fn bereaved_over_tcp() -> (Center, Wire, LegId, LegImage, Msg) {
    let (a, b) = edges();
    let mut phone = Wire::connect(b.addr());
    phone.register("anna", b.addr());
    let at = reported(&b);
    let scene =
        Scene { carrier: Phone::new("127.0.9.2", a.addr()), agent: Phone::new("127.0.9.3", b.addr()), center: a };
    let (_, caller, _) = scene.answered();
    let leg = dial(&scene.center, caller, &at);
    let invite = phone.recv();
    phone.respond(&invite, "200 OK", &agent_sdp("sendrecv"));
    assert_eq!(phone.recv().method(), "ACK");
    scene.center.expect_event(leg, LegEvent::Answered);
    let [_, image] = images(&scene.center, [caller, leg]);
    scene.center.edge.forsake(caller.call, &[]);
    (b, phone, leg, image, invite)
}

#[test]
fn a_phone_on_a_connection_to_the_heir_stays_on_it() {
    let (b, mut phone, leg, image, invite) = bereaved_over_tcp();
    b.command(leg, LegCommand::Revive { image: image.clone() });
    let asked = phone.recv();
    assert!(asked.header("Via").starts_with(&format!("SIP/2.0/TCP {};", b.addr())), "{}", asked.text);
    assert_eq!((asked.headers("Via").len(), asked.headers("Route").len()), (1, 0), "{}", asked.text);
    assert_eq!(asked.contact(), format!("sip:carillon@{};transport=tcp", b.addr()));
    phone.respond(&asked, "200 OK", &agent_sdp("sendrecv"));
    assert_eq!(phone.recv().method(), "ACK");
    b.expect_event(leg, LegEvent::Answered);
    let talk = Talk { uri: asked.contact().to_owned(), ..Phone::talk_back(&invite, "tcp") };
    let text = Phone::new("127.0.9.3", b.addr()).text("BYE", &talk, 1, &invite.routes(), "");
    phone.send(&text.replace("SIP/2.0/UDP", "SIP/2.0/TCP"));
    assert_eq!(phone.recv().status(), 200);
    b.expect_event(leg, LegEvent::Ended(Cause::Normal));

    // Once it is gone, nobody can reach it, and nobody waits.
    drop(phone);
    assert_eq!(reported(&b), []);
    let another = LegId { n: 2, ..leg };
    b.command(another, LegCommand::Revive { image });
    b.expect_event(another, LegEvent::Ended(Cause::Unreachable));
}

#[test]
fn a_phone_on_a_connection_to_a_third_edge_stays_on_it() {
    let (b, mut phone, leg, image, _) = bereaved_over_tcp();
    let c = third(&b);
    c.command(leg, LegCommand::Revive { image: image.clone() });
    let asked = phone.recv();
    assert!(asked.header("Via").starts_with(&format!("SIP/2.0/TCP {};", b.addr())), "{}", asked.text);
    phone.respond(&asked, "200 OK", &agent_sdp("sendrecv"));
    assert_eq!(phone.recv().method(), "ACK");
    c.expect_event(leg, LegEvent::Answered);
    c.edge.forsake(leg.call, &[]);
    drop(phone);
    assert_eq!(reported(&b), []);
    c.command(leg, LegCommand::Revive { image });
    c.expect_event(leg, LegEvent::Ended(Cause::Unreachable));
}

#[test]
fn a_phone_that_was_registered_at_the_dead_edge_is_asked_where_it_was() {
    let a = edge(NodeId(1), "127.0.9.1");
    let mut phone = Phone::new("127.0.9.3", a.addr());
    phone.register("anna", "SHA-256", 600);
    let at = reported(&a);
    let scene =
        Scene { carrier: Phone::new("127.0.9.2", a.addr()), agent: Phone::new("127.0.9.3", a.addr()), center: a };
    let (_, caller, _) = scene.answered();
    let leg = dial(&scene.center, caller, &at);
    let invite = phone.expect_request("INVITE");
    phone.respond(&invite, "200 OK", "a1", "", &agent_sdp("sendrecv"));
    phone.expect_request("ACK");
    scene.center.expect_event(leg, LegEvent::Answered);
    let [_, image] = images(&scene.center, [caller, leg]);
    scene.center.edge.forsake(caller.call, &[]);
    let heir = edge(NodeId(3), "127.0.9.6");
    phone.edge = heir.addr();
    heir.command(leg, LegCommand::Revive { image });
    let asked = phone.expect_request("INVITE");
    phone.respond(&asked, "200 OK", "", "", &agent_sdp("sendrecv"));
    phone.expect_request("ACK");
    heir.expect_event(leg, LegEvent::Answered);
    // It has registered nowhere else, but in its dialog it may speak.
    let talk = Talk { uri: asked.contact().to_owned(), ..Phone::talk_back(&invite, "a1") };
    phone.request("BYE", &talk, 1, "", "");
    phone.expect(200);
    heir.expect_event(leg, LegEvent::Ended(Cause::Normal));
}

#[test]
fn a_carrier_that_wants_credentials_gets_those_of_the_heir() {
    let carrier = Phone::new("127.0.9.4", ([127, 0, 9, 1], 5060).into());
    let mut known = trunk("127.0.9.4/32", Some(carrier.addr()));
    known.credentials = Some(Credentials { username: "acme".into(), password: "pass".into() });
    let edge = |node, ip: &str| {
        let ip = ip.parse().unwrap();
        let config = EdgeConfig { node, sip_bind: (ip, 0).into(), advertise: ip, ..config() };
        Center::start_with(config, Directory::new(vec![], vec![known.clone()]).unwrap())
    };
    let (a, heir) = (edge(NodeId(1), "127.0.9.1"), edge(NodeId(2), "127.0.9.5"));
    let scene =
        Scene { carrier: Phone { edge: a.addr(), ..carrier }, agent: Phone::new("127.0.9.3", a.addr()), center: a };
    let (talk, caller, _) = scene.answered();
    let image = scene.center.image(caller);
    scene.center.edge.forsake(caller.call, &[]);
    let carrier = Phone { edge: heir.addr(), ..scene.carrier };
    heir.command(caller, LegCommand::Revive { image: image.clone() });
    let asked = challenged(&carrier, &carrier.expect_request("INVITE"));
    same_dialog(&asked, &talk);
    carrier_follows_again(&carrier, &asked, &heir, caller);

    // Credentials that are refused are not tried again.
    heir.edge.forsake(caller.call, &[]);
    heir.command(caller, LegCommand::Revive { image });
    let asked = challenged(&carrier, &carrier.expect_request("INVITE"));
    carrier.respond(&asked, "407 Proxy Authentication Required", "", CHALLENGE, "");
    carrier.expect_request("ACK");
    heir.expect_event(caller, LegEvent::Ended(Cause::Forbidden));
}

fn carrier_follows_again(carrier: &Phone, asked: &Msg, heir: &Center, leg: LegId) {
    carrier.respond(asked, "200 OK", "", "", &sdp("127.0.9.4:4000".parse().unwrap(), "0 8 101", "sendrecv"));
    carrier.expect_request("ACK");
    heir.expect_event(leg, LegEvent::Answered);
}

#[test]
fn a_connection_is_opened_anew_where_somebody_listens() {
    let listener = TcpListener::bind("127.0.9.3:0").unwrap();
    let mut listening = fixed("piotr", listener.local_addr().unwrap());
    listening.contact.as_mut().unwrap().push_str(";transport=tcp");
    let directory = || Directory::new(vec![listening.clone()], vec![trunk("127.0.9.2/32", None)]).unwrap();
    let center = Center::start_with(config(), directory());
    let carrier = Phone::new("127.0.9.2", center.addr());
    let scene = Scene { center, carrier, agent: Phone::new("127.0.9.3", ([127, 0, 9, 1], 5060).into()) };
    let (_, caller, _) = scene.answered();
    let leg = LegId { call: caller.call, n: 1 };
    let (target, ring_for) = (device("piotr"), Duration::from_secs(20));
    let shown = CallerId::default();
    scene.center.command(leg, LegCommand::Dial { target, caller: shown, partner: caller, ring_for });
    let mut phone = Wire::new(listener.accept().unwrap().0);
    let invite = phone.recv();
    let contact = format!("<sip:x@{};transport=tcp>", listener.local_addr().unwrap());
    phone.respond_from(&invite, "200 OK", &agent_sdp("sendrecv"), &contact);
    assert_eq!(phone.recv().method(), "ACK");
    scene.center.expect_event(leg, LegEvent::Answered);
    let (_, image) = (scene.center.image(caller), scene.center.image(leg));
    scene.center.edge.forsake(caller.call, &[]);

    let ip = "127.0.9.5".parse().unwrap();
    let settings = EdgeConfig { node: NodeId(2), sip_bind: (ip, 0).into(), advertise: ip, ..config() };
    let heir = Center::start_with(settings, directory());
    heir.command(leg, LegCommand::Revive { image: image.clone() });
    let mut phone = Wire::new(listener.accept().unwrap().0);
    let asked = phone.recv();
    assert_eq!(asked.contact(), format!("sip:carillon@{};transport=tcp", heir.addr()));
    phone.respond_from(&asked, "200 OK", &agent_sdp("sendrecv"), &contact);
    assert_eq!(phone.recv().method(), "ACK");
    heir.expect_event(leg, LegEvent::Answered);
    heir.command(leg, LegCommand::HangUp(Cause::Normal));
    let bye = phone.recv();
    assert_eq!(bye.method(), "BYE");
    phone.respond(&bye, "200 OK", "");

    drop((listener, phone));
    eventually("its dialog is over", || match heir.edge.stats().remembered {
        0 => Ok(()),
        left => Err(left),
    });
    let another = LegId { n: 2, ..leg };
    heir.command(another, LegCommand::Revive { image });
    heir.expect_event(another, LegEvent::Ended(Cause::Unreachable));
}
