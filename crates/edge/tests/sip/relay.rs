//! A call on edge A, a phone at edge B: signalling passes through B, audio does not. Design "A call's way", 6.

use std::net::UdpSocket;
use std::time::Duration;

use carillon_acd::ids::{LegId, NodeId};
use carillon_acd::leg::{CallerId, Cause, DialTarget, LegCommand, LegEvent, Location};
use carillon_edge::{Directory, EdgeConfig};

use crate::support::scene::{Ends, Scene, Talker, agent_sdp, assert_both_heard, caller_sdp, ends};
use crate::support::wire::Wire;
use crate::support::{Center, Msg, Phone, QUIET, Talk, config, device_id, eventually, registering, sdp, trunk};

const B: NodeId = NodeId(2);
const LONG: Duration = Duration::from_secs(30);

/// A caller at edge A, Anna's phone at edge B.
pub struct Pair {
    pub scene: Scene,
    pub b: Center,
    pub at: Vec<Location>,
}

/// An edge of two workers, so that nothing depends on who reads the socket.
pub fn edge(node: NodeId, ip: &str) -> Center {
    let ip = ip.parse().unwrap();
    let config = EdgeConfig { node, sip_bind: (ip, 0).into(), advertise: ip, workers: 2, ..config() };
    let directory =
        Directory::new(vec![registering("anna"), registering("ivan")], vec![trunk("127.0.9.2/32", None)]).unwrap();
    Center::start_with(config, directory)
}

/// Both edges, which know each other; nobody is registered.
pub fn edges() -> (Center, Center) {
    let (a, b) = (edge(NodeId(1), "127.0.9.1"), edge(B, "127.0.9.5"));
    let addresses = [(NodeId(1), a.addr()), (B, b.addr())];
    a.edge.update_peers(addresses);
    b.edge.update_peers(addresses);
    (a, b)
}

/// Where an edge says that Anna is now.
pub fn reported(center: &Center) -> Vec<Location> {
    let told = center.reachability.recv_timeout(LONG).expect("a report");
    told.contacts.into_iter().map(|contact| Location { edge: told.edge, contact }).collect()
}

pub fn pair() -> Pair {
    let (a, b) = edges();
    let (carrier, agent) = (Phone::new("127.0.9.2", a.addr()), Phone::new("127.0.9.3", b.addr()));
    agent.register("anna", "SHA-256", 600);
    let at = reported(&b);
    Pair { scene: Scene { center: a, carrier, agent }, b, at }
}

pub fn dial(center: &Center, caller: LegId, at: &[Location]) -> LegId {
    let leg = LegId { call: caller.call, n: 1 };
    let target = DialTarget::Device { device: device_id("anna"), at: at.to_vec() };
    let shown = CallerId { number: "+48600000000".into(), name: String::new() };
    center.command(leg, LegCommand::Dial { target, caller: shown, partner: caller, ring_for: LONG });
    leg
}

/// Caller and agent in conversation.
pub struct Conversation {
    pub caller_talk: Talk,
    pub caller: LegId,
    pub leg: LegId,
    pub agent_talk: Talk,
    /// The Route lines of the phone's requests.
    pub routes: String,
    pub caller_hears: Msg,
    pub invite: Msg,
}

impl Pair {
    /// Anna's phone rings.
    pub fn ringing(&self) -> (LegId, Msg) {
        let (_, caller, _) = self.scene.answered();
        let leg = dial(&self.scene.center, caller, &self.at);
        let invite = self.scene.agent.expect_request("INVITE");
        self.scene.agent.respond(&invite, "180 Ringing", "a1", "", "");
        self.scene.center.expect_event(leg, LegEvent::Alerting { early_media: false });
        (leg, invite)
    }

    pub fn talking(&self) -> Conversation {
        self.talking_with(&agent_sdp("sendrecv"))
    }

    pub fn talking_with(&self, answer: &str) -> Conversation {
        let Scene { center, agent, .. } = &self.scene;
        let (caller_talk, caller, caller_hears) = self.scene.answered();
        let leg = dial(center, caller, &self.at);
        let invite = agent.expect_request("INVITE");
        agent.respond(&invite, "200 OK", "a1", "", answer);
        agent.expect_request("ACK");
        center.expect_event(leg, LegEvent::Answered);
        center.command(caller, LegCommand::Bridge { with: leg });
        let (agent_talk, routes) = (Phone::talk_back(&invite, "a1"), invite.routes());
        Conversation { caller_talk, caller, leg, agent_talk, routes, caller_hears, invite }
    }

    /// The caller hangs up, and nothing is left anywhere.
    fn over(&self, conversation: &Conversation) {
        self.scene.center.command(conversation.caller, LegCommand::HangUp(Cause::Normal));
        let bye = self.scene.carrier.expect_request("BYE");
        self.scene.carrier.respond(&bye, "200 OK", "", "", "");
        self.scene.center.expect_all_gone();
    }
}

impl Conversation {
    fn assert_heard(&self, ends: &Ends) {
        let (caller, agent) = (self.caller_hears.rtp(), self.invite.rtp());
        assert_both_heard(&Talker(&ends.caller, caller, 0), &Talker(&ends.agent, agent, 0));
    }
}

#[test]
fn a_phone_at_another_edge_talks_to_the_edge_of_the_call_directly() {
    let pair = pair();
    let talk = pair.talking();
    let (a, b) = (pair.scene.center.addr(), pair.b.addr());
    assert_eq!(talk.invite.request_uri(), pair.at[0].contact.uri());
    assert_eq!(talk.invite.headers("Route"), Vec::<&str>::new(), "the edge's own route is its own business");
    assert_eq!(talk.invite.header("Max-Forwards"), "69");
    let vias = talk.invite.headers("Via");
    assert!(vias[0].starts_with(&format!("SIP/2.0/UDP {b};branch=z9hG4bKrelay.")), "{vias:?}");
    assert!(vias[1].starts_with(&format!("SIP/2.0/UDP {a};")) && vias[1].contains("received="), "{vias:?}");
    assert_eq!(talk.invite.rtp().ip(), a.ip());
    talk.assert_heard(&ends());

    pair.scene.agent.request("BYE", &talk.agent_talk, 1, &talk.routes, "");
    pair.scene.agent.expect(200);
    pair.scene.center.expect_event(talk.leg, LegEvent::Ended(Cause::Normal));
    pair.over(&talk);
    let stats = pair.b.edge.stats();
    assert_eq!((stats.calls, stats.legs, stats.streams, stats.unrelayed), (0, 0, 0, 0), "edge B keeps nothing");
    assert_eq!(stats.relayed, 5, "INVITE, 200, ACK, BYE, 200");
}

#[test]
fn the_edge_of_the_call_hangs_up_through_the_other() {
    let pair = pair();
    let talk = pair.talking();
    pair.scene.center.command(talk.leg, LegCommand::HangUp(Cause::Normal));
    let bye = pair.scene.agent.expect_request("BYE");
    assert_eq!(bye.headers("Route"), Vec::<&str>::new());
    assert_eq!(bye.headers("Record-Route"), Vec::<&str>::new(), "only what opens a dialog is recorded");
    pair.scene.agent.respond(&bye, "200 OK", "", "", "");
    pair.over(&talk);
}

#[test]
fn a_cancelled_ring_is_one_transaction_on_the_way_through() {
    let pair = pair();
    let (_, caller, _) = pair.scene.answered();
    let leg = dial(&pair.scene.center, caller, &pair.at);
    let agent = &pair.scene.agent;
    let invite = agent.expect_request("INVITE");
    assert_eq!(agent.expect_request("INVITE").text, invite.text, "a repetition is the same to the byte");
    agent.respond(&invite, "180 Ringing", "a1", "", "");
    pair.scene.center.expect_event(leg, LegEvent::Alerting { early_media: false });
    pair.scene.center.command(leg, LegCommand::HangUp(Cause::AnsweredElsewhere));
    let cancel = agent.expect_request("CANCEL");
    assert!(cancel.header("Reason").contains("cause=200"), "{}", cancel.text);
    assert_eq!(cancel.header("Via"), invite.header("Via"));
    agent.respond(&cancel, "200 OK", "a1", "", "");
    agent.respond(&invite, "487 Request Terminated", "a1", "", "");
    assert_eq!(agent.expect_request("ACK").header("Via"), invite.header("Via"));
    pair.scene.center.expect_no_event();
}

#[test]
fn a_declined_ring_is_acknowledged_and_reported() {
    let pair = pair();
    let (leg, invite) = pair.ringing();
    pair.scene.agent.respond(&invite, "603 Decline", "a1", "", "");
    assert_eq!(pair.scene.agent.expect_request("ACK").header("Via"), invite.header("Via"));
    pair.scene.center.expect_event(leg, LegEvent::Failed(Cause::Declined));
}

#[test]
fn hold_and_resume_pass_in_both_directions() {
    let pair = pair();
    let talk = pair.talking();
    let Scene { center, carrier, agent } = &pair.scene;
    for (cseq, direction, event) in [(1, "sendonly", LegEvent::Held), (2, "sendrecv", LegEvent::Resumed)] {
        agent.request("INVITE", &talk.agent_talk, cseq, &talk.routes, &agent_sdp(direction));
        let passed = carrier.expect_request("INVITE");
        assert!(passed.body().contains(&format!("a={direction}")), "{}", passed.text);
        let answer = if direction == "sendonly" { "recvonly" } else { "sendrecv" };
        carrier.respond(&passed, "200 OK", "", "", &caller_sdp().replace("sendrecv", answer));
        carrier.expect_request("ACK");
        agent.expect(200);
        agent.request("ACK", &talk.agent_talk, cseq, &talk.routes, "");
        center.expect_event(talk.leg, event);
    }
    carrier.request("INVITE", &talk.caller_talk, 2, "", &caller_sdp().replace("sendrecv", "sendonly"));
    let passed = agent.expect_request("INVITE");
    assert_eq!(passed.headers("Route"), Vec::<&str>::new());
    agent.respond(&passed, "200 OK", "", "", &agent_sdp("recvonly"));
    agent.expect_request("ACK");
    carrier.expect(200);
    carrier.request("ACK", &talk.caller_talk, 2, "", "");
    center.expect_event(talk.caller, LegEvent::Held);
    let info = agent.text("INFO", &talk.agent_talk, 3, &talk.routes, "5");
    agent.send(&info.replace("application/sdp", "application/dtmf"));
    agent.expect(200);
    center.expect_event(talk.leg, LegEvent::Digit('5'));
}

#[test]
fn a_phone_on_a_connection_is_rung_over_it() {
    let (a, b) = edges();
    let mut phone = Wire::connect(b.addr());
    phone.register("anna", b.addr());
    let at = reported(&b);
    let carrier = Phone::new("127.0.9.2", a.addr());
    let agent = Phone::new("127.0.9.3", b.addr());
    let scene = Scene { center: a, carrier, agent };
    let (_, caller, _) = scene.answered();
    let leg = dial(&scene.center, caller, &at);
    let invite = phone.recv();
    let here = b.addr();
    let routes = invite.headers("Record-Route");
    assert!(invite.header("Via").starts_with(&format!("SIP/2.0/TCP {here};")), "{}", invite.text);
    assert!(routes[0].ends_with(&format!("@{here};transport=tcp;lr>")), "the phone stays on its connection");
    assert!(routes[1].ends_with(&format!("@{here};lr>")), "and the edge on UDP");
    phone.respond(&invite, "200 OK", &agent_sdp("sendrecv"));
    let ack = phone.recv();
    assert_eq!((ack.method(), ack.headers("Route").len()), ("ACK", 0));
    scene.center.expect_event(leg, LegEvent::Answered);

    let talk = Phone::talk_back(&invite, "tcp");
    let bye = scene.agent.text("BYE", &talk, 1, &invite.routes(), "").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    phone.send(&bye);
    assert_eq!(phone.recv().status(), 200, "the answer comes back over the connection");
    scene.center.expect_event(leg, LegEvent::Ended(Cause::Normal));
}

#[test]
fn a_lost_connection_is_not_replaced() {
    let (a, b) = edges();
    let mut phone = Wire::connect(b.addr());
    phone.register("anna", b.addr());
    let at = reported(&b);
    let carrier = Phone::new("127.0.9.2", a.addr());
    let scene = Scene { center: a, carrier, agent: Phone::new("127.0.9.3", b.addr()) };
    let (_, caller, _) = scene.answered();
    let leg = dial(&scene.center, caller, &at);
    let invite = phone.recv();
    phone.respond(&invite, "200 OK", &agent_sdp("sendrecv"));
    assert_eq!(phone.recv().method(), "ACK");
    scene.center.expect_event(leg, LegEvent::Answered);
    drop(phone);
    assert_eq!(reported(&b), [], "it is gone");
    scene.center.command(leg, LegCommand::HangUp(Cause::Normal));
    eventually("430 to the BYE", || match b.edge.stats().unrelayed {
        1 => Ok(()),
        n => Err(n),
    });
    assert_eq!(b.edge.stats().connections, 0);

    dial(&scene.center, caller, &at);
    scene.center.expect_event(leg, LegEvent::Failed(Cause::Unreachable));
}

#[test]
fn a_phone_that_has_left_its_edge_is_unreachable() {
    let pair = pair();
    let (_, caller, _) = pair.scene.answered();
    pair.scene.agent.register("anna", "MD5", 0);
    assert_eq!(reported(&pair.b), []);
    let leg = dial(&pair.scene.center, caller, &pair.at);
    pair.scene.center.expect_event(leg, LegEvent::Failed(Cause::Unreachable));
    assert_eq!(pair.b.edge.stats().unrelayed, 1);
    assert_eq!(reported(&pair.b), [], "who asks for it has not heard that it is gone");
    pair.scene.center.edge.update_peers([]);
    let leg = dial(&pair.scene.center, caller, &pair.at);
    pair.scene.center.expect_event(leg, LegEvent::Failed(Cause::Unreachable));
    pair.scene.agent.expect_silence();
}

// spec: SE-2
#[test]
fn se_2_nobody_but_an_edge_reaches_a_phone_through_its_edge() {
    let pair = pair();
    let stranger = Phone::new("127.0.9.4", pair.b.addr());
    let mut talk = stranger.talk("someone", "anna");
    talk.uri = pair.at[0].contact.uri().to_owned();
    let here = pair.b.addr();
    let forged = "00".repeat(29);
    for user in ["anna@", "", &format!("{forged}@")] {
        stranger.request("INVITE", &talk, 1, &format!("Route: <sip:{user}{here};lr>\r\n"), &caller_sdp());
        stranger.request("BYE", &talk, 2, &format!("Route: <sip:{user}{here};lr>\r\n"), "");
    }
    pair.scene.agent.expect_silence();
    // An edge that is taken out of the list is a stranger, too.
    pair.b.edge.update_peers([]);
    let (_, caller, _) = pair.scene.answered();
    dial(&pair.scene.center, caller, &pair.at);
    pair.scene.agent.expect_silence();
    assert_eq!(pair.b.edge.stats().relayed, 0);
}

// spec: SE-2
#[test]
fn se_2_a_phone_reaches_edges_only_and_only_in_a_dialog() {
    let pair = pair();
    let talk = pair.talking();
    let Scene { center, agent, .. } = &pair.scene;
    let relayed = pair.b.edge.stats().relayed;
    let victim = UdpSocket::bind("127.0.9.6:0").unwrap();
    victim.set_read_timeout(Some(QUIET)).unwrap();
    let elsewhere = Talk { uri: format!("sip:x@{}", victim.local_addr().unwrap()), ..talk.agent_talk.clone() };
    agent.request("BYE", &elsewhere, 1, &talk.routes, "");
    let fresh = Talk { to: "<sip:carillon@127.0.9.1>".into(), ..talk.agent_talk.clone() };
    agent.request("INVITE", &fresh, 2, &talk.routes, &agent_sdp("sendrecv"));
    let further = format!("{}Route: <sip:{};lr>\r\n", talk.routes, victim.local_addr().unwrap());
    agent.request("BYE", &talk.agent_talk, 3, &further, "");
    let tcp = Talk { uri: format!("{};transport=tcp", talk.agent_talk.uri), ..talk.agent_talk.clone() };
    agent.request("BYE", &tcp, 4, &talk.routes, "");
    agent.expect_silence();
    assert!(victim.recv(&mut [0; 100]).is_err());
    assert_eq!((pair.b.edge.stats().relayed, pair.b.edge.stats().unrelayed), (relayed, 4));

    // A response to nothing that we have passed on goes nowhere.
    let mut invite = talk.invite.clone();
    invite.text = invite.text.replace("z9hG4bKrelay.", "z9hG4bKrelay.00");
    agent.respond(&invite, "200 OK", "a2", "", &agent_sdp("sendrecv"));
    center.expect_no_event();
    assert_eq!(pair.b.edge.stats().relayed, relayed);
}

#[test]
fn a_request_that_has_come_too_far_is_refused_to_its_edge() {
    let pair = pair();
    let other = Phone::new("127.0.9.6", pair.b.addr());
    pair.b.edge.update_peers([(NodeId(3), other.addr())]);
    let mut talk = other.talk("someone", "anna");
    talk.uri = pair.at[0].contact.uri().to_owned();
    let route = format!("Route: <sip:anna@{};lr>\r\n", pair.b.addr());
    let text = other.text("INVITE", &talk, 1, &route, &caller_sdp()).replace("Max-Forwards: 70", "Max-Forwards: 0");
    other.send(&text);
    let refused = other.expect(483);
    other.send(&text);
    assert_eq!(other.recv().text, refused.text, "the same answer to a repetition");
    other.request("ACK", &talk, 1, &route.replace("anna", "nobody"), "");
    pair.scene.agent.expect_silence();
    // And nothing else is granted to an edge: without a route through us it is a stranger.
    other.request("INVITE", &talk, 2, "", &caller_sdp());
    other.expect_silence();
}

#[test]
fn a_phone_behind_nat_is_heard_from_the_address_that_its_edge_saw() {
    let pair = pair();
    let talk = pair.talking_with(&sdp("10.0.0.7:5000".parse().unwrap(), "0 101", "sendrecv"));
    let ends = ends();
    // Its network opens the way from inside.
    eventually("the caller hears the phone", || {
        let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
        packet.extend([0x55; 160]);
        ends.agent.send_to(&packet, talk.invite.rtp()).unwrap();
        ends.caller.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        ends.caller.recv(&mut [0; 1_500]).map(drop)
    });
    talk.assert_heard(&ends);
}

// Two home offices have the same private addresses.
#[test]
fn two_phones_with_one_contact_are_told_apart_by_their_users() {
    let (a, b) = edges();
    let (anna, ivan) = (Phone::new("127.0.9.3", b.addr()), Phone::new("127.0.9.4", b.addr()));
    let contact = "sip:phone@10.0.0.7:5060";
    anna.register_as("anna", contact, "MD5", 600);
    let at = reported(&b);
    ivan.register_as("ivan", contact, "MD5", 600);
    let carrier = Phone::new("127.0.9.2", a.addr());
    let pair = Pair { scene: Scene { center: a, carrier, agent: anna }, b, at };
    let (_, invite) = pair.ringing();
    assert_eq!(invite.request_uri(), contact);
    ivan.expect_silence();
}

#[test]
fn a_phone_that_moves_rings_once_where_it_is_now() {
    let pair = pair();
    let socket = pair.scene.agent.socket.try_clone().unwrap();
    let at_a = Phone { socket, ..Phone::new("127.0.9.3", pair.scene.center.addr()) };
    at_a.register("anna", "MD5", 600);
    let now = reported(&pair.scene.center);
    let (_, caller, _) = pair.scene.answered();
    let leg = dial(&pair.scene.center, caller, &pair.at);
    let through_b = pair.scene.agent.expect_request("INVITE");
    assert_eq!(through_b.headers("Via").len(), 2, "its owner knows that it has gone to B since");
    pair.scene.agent.respond(&through_b, "486 Busy Here", "a1", "", "");
    pair.scene.agent.expect_request("ACK");
    pair.scene.center.expect_event(leg, LegEvent::Failed(Cause::Busy));
    let leg = dial(&pair.scene.center, caller, &now);
    let direct = at_a.expect_request("INVITE");
    assert_eq!(direct.headers("Via").len(), 1);
    at_a.respond(&direct, "486 Busy Here", "a2", "", "");
    at_a.expect_request("ACK");
    pair.scene.center.expect_event(leg, LegEvent::Failed(Cause::Busy));
    assert_eq!(pair.b.edge.stats().relayed, 3);

    // Nobody knows edge B any more: what A remembers is worth a try.
    pair.scene.center.edge.update_peers([]);
    dial(&pair.scene.center, caller, &pair.at);
    assert_eq!(at_a.expect_request("INVITE").headers("Via").len(), 1);
}

#[test]
fn when_the_phones_edge_dies_nobody_waits_for_the_ring() {
    let pair = pair();
    let (leg, _) = pair.ringing();
    pair.b.runtime().block_on(pair.b.edge.shutdown(Duration::from_secs(1)));
    pair.scene.center.edge.update_peers([]);
    pair.scene.center.expect_event(leg, LegEvent::Failed(Cause::Unreachable));
}

#[test]
fn when_the_phones_edge_dies_they_go_on_talking() {
    let mut pair = pair();
    let talk = pair.talking();
    let ends = ends();
    talk.assert_heard(&ends);
    let runtime = pair.b.runtime();
    runtime.block_on(pair.b.edge.shutdown(Duration::from_secs(1)));
    talk.assert_heard(&ends);
    pair.scene.center.expect_no_event();

    pair.scene.agent.edge = pair.scene.center.addr();
    pair.scene.agent.register("anna", "SHA-256", 600);
    let at = reported(&pair.scene.center);
    pair.scene.center.command(talk.leg, LegCommand::HangUp(Cause::Normal));
    let next = LegId { call: talk.caller.call, n: 2 };
    let target = DialTarget::Device { device: device_id("anna"), at };
    let (caller, partner) = (CallerId::default(), talk.caller);
    pair.scene.center.command(next, LegCommand::Dial { target, caller, partner, ring_for: LONG });
    assert_eq!(pair.scene.agent.expect_request("INVITE").headers("Via").len(), 1, "new calls reach it directly");
}

// spec: CL-6
#[test]
fn cl_6_a_phone_hangs_up_through_its_edge_after_that_has_started_again() {
    let mut pair = pair();
    let talk = pair.talking();
    let (a, at) = (pair.scene.center.addr(), pair.b.addr());
    pair.b.runtime().block_on(pair.b.edge.shutdown(Duration::from_secs(1)));
    // Its socket closes with it.
    drop(std::mem::replace(&mut pair.b, edge(NodeId(3), "127.0.9.6")));
    let again = EdgeConfig { node: B, boot: 8, sip_bind: at, advertise: at.ip(), ..config() };
    let again = Center::start_with(again, Directory::new(vec![registering("anna")], vec![]).unwrap());
    again.edge.update_peers([(NodeId(1), a), (B, at)]);

    pair.scene.agent.request("BYE", &talk.agent_talk, 1, &talk.routes, "");
    pair.scene.agent.expect(200);
    pair.scene.center.expect_event(talk.leg, LegEvent::Ended(Cause::Normal));
    pair.over(&talk);
}
