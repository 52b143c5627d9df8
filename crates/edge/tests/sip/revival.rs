//! A call whose edge has died goes on at another: both parties are asked to come there in their old dialogs. Spec: CL-4.

use std::net::SocketAddr;
use std::time::Duration;

use carillon_acd::ids::{LegId, NodeId};
use carillon_acd::leg::{Cause, LegCommand, LegEvent, LegImage, Playback};
use carillon_edge::{Directory, EdgeConfig, SipTimers};

use crate::support::scene::{Bridged, Scene, Talker, agent_sdp, assert_both_heard, caller_sdp, ends, scene};
use crate::support::{Center, Msg, Phone, Talk, config, eventually, fixed, registering, sdp, trunk};

const HEIR: NodeId = NodeId(2);

/// The edge that takes over.
pub fn heir_with(settings: EdgeConfig, agent: SocketAddr) -> Center {
    let ip = "127.0.9.5".parse().unwrap();
    let config = EdgeConfig { node: HEIR, boot: 9, sip_bind: (ip, 0).into(), advertise: ip, ..settings };
    let devices = vec![fixed("piotr", agent), registering("anna")];
    Center::start_with(config, Directory::new(devices, vec![trunk("127.0.9.2/32", None)]).unwrap())
}

/// A conversation whose edge is about to die, and the heir.
struct Estate {
    scene: Scene,
    talk: Bridged,
    caller: LegImage,
    agent: LegImage,
    heir: Center,
}

/// With more workers than the first edge had, so that Call-IDs meet the wrong one.
fn estate() -> Estate {
    estate_with(EdgeConfig { workers: 3, ..config() })
}

fn estate_with(settings: EdgeConfig) -> Estate {
    let scene = scene();
    let talk = scene.bridged();
    let (caller, agent) = (scene.center.image(talk.caller), scene.center.image(talk.leg));
    let heir = heir_with(settings, scene.agent.addr());
    Estate { scene, talk, caller, agent, heir }
}

impl Estate {
    /// The first edge says nothing any more, and both legs are revived and joined at the heir.
    fn take_over(&mut self) {
        self.scene.center.edge.forsake(self.talk.caller.call, &[]);
        self.scene.center.expect_all_gone();
        let heir = self.heir.addr();
        (self.scene.carrier.edge, self.scene.agent.edge) = (heir, heir);
        self.revive(self.talk.caller, &self.caller);
        self.revive(self.talk.leg, &self.agent);
        self.heir.command(self.talk.caller, LegCommand::Bridge { with: self.talk.leg });
    }

    fn revive(&self, leg: LegId, image: &LegImage) {
        self.heir.command(leg, LegCommand::Revive { image: image.clone() });
    }

    /// Both agree to come; gives what each was asked.
    fn agreed(&mut self) -> (Msg, Msg) {
        self.take_over();
        let (carrier, agent) = (&self.scene.carrier, &self.scene.agent);
        let asked = (carrier.expect_request("INVITE"), agent.expect_request("INVITE"));
        carrier.respond(&asked.0, "200 OK", "", "", &caller_sdp());
        carrier.expect_request("ACK");
        self.heir.expect_event(self.talk.caller, LegEvent::Answered);
        agent.respond(&asked.1, "200 OK", "", "", &agent_sdp("sendrecv"));
        agent.expect_request("ACK");
        self.heir.expect_event(self.talk.leg, LegEvent::Answered);
        self.talk.caller_talk.uri = asked.0.contact().to_owned();
        self.talk.agent_talk.uri = asked.1.contact().to_owned();
        asked
    }

    /// The agent hangs up, then the call ends the caller.
    fn over(&self) {
        self.scene.agent.request("BYE", &self.talk.agent_talk, 50, "", "");
        self.scene.agent.expect(200);
        self.heir.expect_event(self.talk.leg, LegEvent::Ended(Cause::Normal));
        self.heir.command(self.talk.caller, LegCommand::HangUp(Cause::Normal));
        let bye = self.scene.carrier.expect_request("BYE");
        self.scene.carrier.respond(&bye, "200 OK", "", "", "");
        self.heir.expect_all_gone();
    }
}

/// Number and version in the `o=` line.
fn origin(message: &Msg) -> (String, u64, String) {
    let line = message.body().lines().find_map(|line| line.strip_prefix("o=- ")).unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    (words[0].to_owned(), words[1].parse().unwrap(), words[4].to_owned())
}

fn cseq(message: &Msg) -> u32 {
    message.header("CSeq").split(' ').next().unwrap().parse().unwrap()
}

pub fn same_dialog(asked: &Msg, talk: &Talk) {
    assert_eq!(asked.header("Call-ID"), talk.call_id);
    assert_eq!((asked.header("From"), asked.header("To")), (talk.to.as_str(), talk.from.as_str()), "seen from here");
}

// spec: CL-4
#[test]
fn cl_4_both_parties_follow_to_another_edge_and_talk_on() {
    let mut e = estate();
    let (caller, agent) = e.agreed();
    let heir = e.heir.addr();
    same_dialog(&caller, &e.talk.caller_talk);
    same_dialog(&agent, &e.talk.agent_talk);
    for (asked, last) in [(&caller, 1), (&agent, 0)] {
        assert_eq!(asked.contact(), format!("sip:carillon@{heir}"));
        assert!(asked.header("Via").contains(&heir.to_string()), "{}", asked.text);
        assert_eq!(asked.rtp().ip(), heir.ip());
        let (_, version, begun) = origin(asked);
        assert_eq!((version, begun.as_str()), (last + 1, "127.0.9.1"), "the same session: only the version grows");
        assert!(asked.body().contains("a=sendrecv") && asked.body().contains("m=audio"), "{}", asked.text);
    }
    assert_ne!(origin(&caller).0, origin(&agent).0);
    assert_eq!(caller.request_uri(), format!("sip:phone@{}", e.scene.carrier.addr()));
    assert!(cseq(&agent) > 50, "our INVITE was 1, and there may have been more that nobody here knows of");

    let ends = ends();
    assert_both_heard(&Talker(&ends.caller, caller.rtp(), 0), &Talker(&ends.agent, agent.rtp(), 0));
    let stats = e.heir.edge.stats();
    assert_eq!((stats.calls, stats.legs, stats.streams), (1, 2, 2));
    e.over();
    e.scene.carrier.expect_silence();
    e.scene.agent.expect_silence();
    e.scene.center.expect_no_event();
}

#[test]
fn what_they_say_afterwards_is_heard() {
    let mut e = estate();
    let (_, agent_asked) = e.agreed();
    let (carrier, agent) = (&e.scene.carrier, &e.scene.agent);
    carrier.request("OPTIONS", &e.talk.caller_talk, 2, "", "");
    carrier.expect(200);
    let info = agent.text("INFO", &e.talk.agent_talk, 1, "", "5").replace("application/sdp", "application/dtmf");
    agent.send(&info);
    agent.expect(200);
    e.heir.expect_event(e.talk.leg, LegEvent::Digit('5'));
    for (number, direction, event) in [(2, "sendonly", LegEvent::Held), (3, "sendrecv", LegEvent::Resumed)] {
        agent.request("INVITE", &e.talk.agent_talk, number, "", &agent_sdp(direction));
        let passed = carrier.expect_request("INVITE");
        assert!(passed.body().contains(&format!("a={direction}")), "{}", passed.text);
        let answer = if direction == "sendonly" { "recvonly" } else { "sendrecv" };
        carrier.respond(&passed, "200 OK", "", "", &caller_sdp().replace("sendrecv", answer));
        carrier.expect_request("ACK");
        let ok = agent.expect(200);
        assert!(origin(&ok).1 > origin(&agent_asked).1, "{}", ok.text);
        agent.request("ACK", &e.talk.agent_talk, number, "", "");
        e.heir.expect_event(e.talk.leg, event);
    }
    // Digits and silence of its audio are those of the call that another edge began.
    let ends = ends();
    assert_both_heard(&Talker(&ends.caller, e.talk_rtp(carrier), 0), &Talker(&ends.agent, agent_asked.rtp(), 0));
    e.over();
}

impl Estate {
    /// Where the caller's audio goes now, by an offer of his own.
    fn talk_rtp(&self, carrier: &Phone) -> SocketAddr {
        carrier.request("UPDATE", &self.talk.caller_talk, 9, "", &caller_sdp());
        carrier.expect(200).rtp()
    }
}

// A node that takes over has calls of its own, with the same numbers.
#[test]
fn a_call_of_its_own_with_the_same_number_is_another() {
    let mut e = estate_with(config());
    let other = Phone::new("127.0.9.2", e.heir.addr());
    other.request("INVITE", &other.talk("1", "33123456789"), 1, "", &caller_sdp().replace("4000", "4002"));
    let own = e.heir.incoming().call;
    assert_eq!(own.number, e.talk.caller.call.number);
    e.heir.command(LegId::caller(own), LegCommand::Answer);
    other.expect(200);
    let (caller, agent) = e.agreed();
    let ends = ends();
    assert_both_heard(&Talker(&ends.caller, caller.rtp(), 0), &Talker(&ends.agent, agent.rtp(), 0));
    assert_eq!(e.heir.edge.stats().calls, 2);
    e.heir.edge.abandon(e.talk.caller.call);
    assert!(e.scene.agent.expect_request("BYE").header("Reason").contains("cause=500"));
    e.scene.carrier.expect_request("BYE");
    let stats = e.heir.edge.stats();
    assert_eq!((stats.calls, stats.streams), (1, 1));
}

#[test]
fn a_doubled_command_asks_once() {
    let mut e = estate();
    e.agreed();
    e.revive(e.talk.caller, &e.caller);
    e.revive(e.talk.leg, &e.agent);
    // And under another name it is still the same dialog.
    let other = LegId { n: 7, ..e.talk.leg };
    e.revive(other, &e.agent);
    e.heir.expect_event(other, LegEvent::Ended(Cause::Failed(500)));
    e.scene.carrier.expect_silence();
    e.scene.agent.expect_silence();
    e.over();
}

#[test]
fn a_phone_that_has_hung_up_meanwhile_ends_its_leg() {
    let mut e = estate();
    e.take_over();
    let asked = e.scene.agent.expect_request("INVITE");
    e.scene.agent.respond(&asked, "481 Call/Transaction Does Not Exist", "", "", "");
    e.scene.agent.expect_request("ACK");
    e.heir.expect_event(e.talk.leg, LegEvent::Ended(Cause::SignallingTimeout));
    assert_eq!(e.heir.edge.stats().legs, 1);
}

#[test]
fn who_does_not_answer_is_given_up() {
    let quick = SipTimers { t1: Duration::from_millis(40), ..SipTimers::default() };
    let mut e = estate_with(EdgeConfig { sip_timers: quick, ..config() });
    e.take_over();
    e.scene.agent.expect_request("INVITE");
    let (leg, event) = e.heir.event();
    assert_eq!(event, LegEvent::Ended(Cause::SignallingTimeout));
    e.heir.expect_event(if leg == e.talk.leg { e.talk.caller } else { e.talk.leg }, event);
    e.scene.agent.expect_request("BYE");
    e.heir.expect_all_gone();
}

#[test]
fn one_that_refuses_is_hung_up() {
    let mut e = estate();
    e.take_over();
    let asked = e.scene.agent.expect_request("INVITE");
    e.scene.agent.respond(&asked, "488 Not Acceptable Here", "", "", "");
    e.scene.agent.expect_request("ACK");
    e.heir.expect_event(e.talk.leg, LegEvent::Ended(Cause::NotAcceptable));
    e.scene.agent.expect_request("BYE");
}

// RFC 3261 §14.1: the phone had asked the dead edge for something. §12.2.2: or an heir before us has come further.
#[test]
fn one_that_is_busy_with_a_change_is_asked_again() {
    let mut e = estate();
    e.take_over();
    let (carrier, leg) = (&e.scene.carrier, e.talk.caller);
    let mut last = 0;
    for refusal in ["491 Request Pending", "500 Server Internal Error"] {
        let asked = carrier.expect_request("INVITE");
        assert!(cseq(&asked) > last, "{}", asked.text);
        last = cseq(&asked);
        carrier.respond(&asked, refusal, "", "", "");
        carrier.expect_request("ACK");
    }
    let asked = carrier.expect_request("INVITE");
    assert!(cseq(&asked) > last + 1_000, "{last}: {}", asked.text);
    carrier.respond(&asked, "200 OK", "", "", &caller_sdp());
    carrier.expect_request("ACK");
    e.heir.expect_event(leg, LegEvent::Answered);
}

#[test]
fn a_call_may_hang_up_before_the_answer() {
    let mut e = estate();
    e.take_over();
    let asked = e.scene.agent.expect_request("INVITE");
    e.heir.command(e.talk.leg, LegCommand::HangUp(Cause::Normal));
    let bye = e.scene.agent.expect_request("BYE");
    same_dialog(&bye, &e.talk.agent_talk);
    // Its answer crosses our BYE, and is acknowledged (RFC 3261 §13.2.2.4).
    e.scene.agent.respond(&asked, "200 OK", "", "", &agent_sdp("sendrecv"));
    assert_eq!(cseq(&e.scene.agent.expect_request("ACK")), cseq(&asked));
    e.scene.agent.respond(&bye, "200 OK", "", "", "");
    e.scene.agent.expect_silence();
}

#[test]
fn the_peer_may_hang_up_before_its_answer() {
    let mut e = estate();
    e.take_over();
    let asked = e.scene.agent.expect_request("INVITE");
    let talk = Talk { uri: asked.contact().to_owned(), ..e.talk.agent_talk.clone() };
    e.scene.agent.request("BYE", &talk, 1, "", "");
    e.scene.agent.expect(200);
    e.heir.expect_event(e.talk.leg, LegEvent::Ended(Cause::Normal));
    e.scene.agent.respond(&asked, "487 Request Terminated", "", "", "");
    e.scene.agent.expect_request("ACK");
    e.scene.agent.expect_silence();
}

#[test]
fn a_waiting_caller_hears_music_again() {
    let scene = scene();
    let (_, caller, _) = scene.answered();
    let image = scene.center.image(caller);
    let heir = heir_with(config(), scene.agent.addr());
    scene.center.edge.forsake(caller.call, &[]);
    heir.command(caller, LegCommand::Revive { image });
    heir.command(caller, LegCommand::Play(Playback::Music));
    let ends = ends();
    ends.caller.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut buffer = [0; 1_500];
    eventually("music, even before he has answered", || {
        let (length, from) = ends.caller.recv_from(&mut buffer).unwrap();
        if (length, from.ip()) == (172, heir.addr().ip()) { Ok(()) } else { Err(from) }
    });
    let carrier = Phone { edge: heir.addr(), ..scene.carrier };
    let asked = carrier.expect_request("INVITE");
    carrier.respond(&asked, "200 OK", "", "", &sdp("127.0.9.2:4000".parse().unwrap(), "8 0 101", "sendrecv"));
    carrier.expect_request("ACK");
    heir.expect_event(caller, LegEvent::Answered);
    heir.command(caller, LegCommand::Play(Playback::Done));
    heir.expect_event(caller, LegEvent::PlayFinished);
}

// The answer to our offer was in the ACK, or still is on its way to the edge that is dead.
#[test]
fn a_caller_without_an_offer_of_his_own_comes_too() {
    let scene = scene();
    let (mut talk, caller) = scene.invite("");
    scene.center.command(caller, LegCommand::Answer);
    let ok = scene.carrier.expect(200);
    Phone::adopt(&mut talk, &ok);
    let early = scene.center.image(caller);
    scene.carrier.request("ACK", &talk, 1, "", &caller_sdp());
    let late = scene.center.image(caller);
    scene.center.edge.forsake(caller.call, &[]);
    for image in [early, late] {
        let heir = heir_with(config(), scene.agent.addr());
        heir.command(caller, LegCommand::Revive { image });
        let carrier = Phone {
            edge: heir.addr(),
            socket: scene.carrier.socket.try_clone().unwrap(),
            ..Phone::new("127.0.9.2", heir.addr())
        };
        let asked = carrier.expect_request("INVITE");
        same_dialog(&asked, &talk);
        carrier.respond(&asked, "200 OK", "", "", &caller_sdp());
        carrier.expect_request("ACK");
        heir.expect_event(caller, LegEvent::Answered);
        heir.edge.forsake(caller.call, &[]);
        heir.expect_all_gone();
    }
}

// RFC 3264 §8.4: who holds is not asked to listen.
#[test]
fn a_hold_lasts() {
    let scene = scene();
    let b = scene.bridged();
    let (caller, _) = (scene.center.image(b.caller), scene.center.image(b.leg));
    scene.agent.request("INVITE", &b.agent_talk, 1, "", &agent_sdp("sendonly"));
    let passed = scene.carrier.expect_request("INVITE");
    scene.carrier.respond(&passed, "200 OK", "", "", &caller_sdp().replace("sendrecv", "recvonly"));
    scene.carrier.expect_request("ACK");
    scene.agent.expect(200);
    scene.agent.request("ACK", &b.agent_talk, 1, "", "");
    scene.center.expect_event(b.leg, LegEvent::Held);
    // Asked, agreed, and what the agent was told: the last of each leg counts.
    let (mut latest_caller, mut latest_agent) = (caller, None);
    while let Ok((leg, image)) = scene.center.images.recv_timeout(Duration::from_millis(200)) {
        if leg == b.caller { latest_caller = image } else { latest_agent = Some(image) }
    }
    let heir = heir_with(config(), scene.agent.addr());
    let mut e = Estate { scene, talk: b, caller: latest_caller, agent: latest_agent.unwrap(), heir };
    e.take_over();
    let (carrier, agent) = (&e.scene.carrier, &e.scene.agent);
    let (to_caller, to_agent) = (carrier.expect_request("INVITE"), agent.expect_request("INVITE"));
    assert!(to_caller.body().contains("a=sendonly"), "{}", to_caller.text);
    assert!(to_agent.body().contains("a=recvonly"), "{}", to_agent.text);
    carrier.respond(&to_caller, "200 OK", "", "", &caller_sdp().replace("sendrecv", "recvonly"));
    carrier.expect_request("ACK");
    e.heir.expect_event(e.talk.caller, LegEvent::Answered);
    agent.respond(&to_agent, "200 OK", "", "", &agent_sdp("sendonly"));
    agent.expect_request("ACK");
    e.heir.expect_event(e.talk.leg, LegEvent::Answered);
    carrier.expect_silence();

    let talk = Talk { uri: to_agent.contact().to_owned(), ..e.talk.agent_talk.clone() };
    agent.request("INVITE", &talk, 2, "", &agent_sdp("sendrecv"));
    let passed = carrier.expect_request("INVITE");
    assert!(passed.body().contains("a=sendrecv"), "{}", passed.text);
    carrier.respond(&passed, "200 OK", "", "", &caller_sdp());
    carrier.expect_request("ACK");
    assert!(agent.expect(200).body().contains("a=sendrecv"));
    e.heir.expect_event(e.talk.leg, LegEvent::Resumed);
    let ends = ends();
    assert_both_heard(&Talker(&ends.caller, passed.rtp(), 0), &Talker(&ends.agent, to_agent.rtp(), 0));
}

#[test]
fn a_caller_who_holds_while_he_waits_is_not_asked_to_listen() {
    let scene = scene();
    let (talk, caller, _) = scene.answered();
    scene.center.image(caller);
    let holding = caller_sdp().replace("sendrecv", "sendonly");
    scene.carrier.request("INVITE", &talk, 2, "", &holding);
    scene.carrier.expect(200);
    scene.carrier.request("ACK", &talk, 2, "", "");
    scene.center.expect_event(caller, LegEvent::Held);
    let image = scene.center.image(caller);
    scene.center.edge.forsake(caller.call, &[]);
    let heir = heir_with(config(), scene.agent.addr());
    let carrier = Phone { edge: heir.addr(), ..scene.carrier };
    heir.command(caller, LegCommand::Revive { image });
    let asked = carrier.expect_request("INVITE");
    assert!(asked.body().contains("a=recvonly"), "{}", asked.text);
    carrier.respond(&asked, "200 OK", "", "", &holding);
    carrier.expect_request("ACK");
    heir.expect_event(caller, LegEvent::Answered);
    heir.expect_no_event();
    let talk = Talk { uri: asked.contact().to_owned(), ..talk };
    carrier.request("INVITE", &talk, 3, "", &caller_sdp());
    assert!(carrier.expect(200).body().contains("a=sendrecv"));
    heir.expect_event(caller, LegEvent::Resumed);
}

#[test]
fn an_heir_has_an_heir() {
    let mut e = estate();
    let (first, _) = e.agreed();
    let mut image = None;
    while let Ok((leg, latest)) = e.heir.images.recv_timeout(Duration::from_millis(200)) {
        if leg == e.talk.caller {
            image = Some(latest);
        }
    }
    e.heir.edge.forsake(e.talk.caller.call, &[]);
    e.heir.expect_all_gone();
    let ip = "127.0.9.6".parse().unwrap();
    let config = EdgeConfig { node: NodeId(3), sip_bind: (ip, 0).into(), advertise: ip, ..config() };
    let next = Center::start_with(config, Directory::new(vec![], vec![trunk("127.0.9.2/32", None)]).unwrap());
    let carrier = Phone { edge: next.addr(), ..e.scene.carrier };
    next.command(e.talk.caller, LegCommand::Revive { image: image.unwrap() });
    let asked = carrier.expect_request("INVITE");
    same_dialog(&asked, &e.talk.caller_talk);
    assert!(cseq(&asked) > cseq(&first));
    assert_eq!(origin(&asked), (origin(&first).0, origin(&first).1 + 1, "127.0.9.1".to_owned()));
    carrier.respond(&asked, "200 OK", "", "", &caller_sdp());
    carrier.expect_request("ACK");
    next.expect_event(e.talk.caller, LegEvent::Answered);

    // And back where it began: that edge has only slept.
    let image = std::iter::from_fn(|| next.images.recv_timeout(Duration::from_millis(200)).ok()).last();
    next.edge.forsake(e.talk.caller.call, &[]);
    let carrier = Phone { edge: e.scene.center.addr(), ..carrier };
    e.scene.center.command(e.talk.caller, LegCommand::Revive { image: image.unwrap().1 });
    let asked = carrier.expect_request("INVITE");
    same_dialog(&asked, &e.talk.caller_talk);
    carrier.respond(&asked, "200 OK", "", "", &caller_sdp());
    carrier.expect_request("ACK");
    e.scene.center.expect_event(e.talk.caller, LegEvent::Answered);
    assert_eq!(e.scene.center.edge.stats().calls, 1);
}

// Two edges that did not hear each other both had the call, and the one that was heard last yields.
#[test]
fn cl_4_phones_that_another_edge_has_drawn_away_are_asked_to_come_back() {
    let mut e = estate();
    let (first, call) = (e.scene.center.addr(), e.talk.caller.call);
    e.scene.carrier.edge = e.heir.addr();
    e.revive(e.talk.caller, &e.caller);
    let away = e.scene.carrier.expect_request("INVITE");
    e.scene.carrier.respond(&away, "200 OK", "", "", &caller_sdp());
    e.scene.carrier.expect_request("ACK");
    e.heir.expect_event(e.talk.caller, LegEvent::Answered);
    e.heir.edge.forsake(call, &[]);
    e.heir.expect_all_gone();

    e.scene.carrier.edge = first;
    e.scene.center.edge.reclaim(call, &[e.talk.caller]);
    let asked = e.scene.carrier.expect_request("INVITE");
    same_dialog(&asked, &e.talk.caller_talk);
    assert!(cseq(&asked) > cseq(&away), "{}", asked.text);
    // It is asked already.
    e.scene.center.edge.reclaim(call, &[e.talk.caller]);
    e.scene.carrier.respond(&asked, "200 OK", "", "", &caller_sdp());
    e.scene.carrier.expect_request("ACK");
    e.scene.center.expect_event(e.talk.caller, LegEvent::Answered);
    e.scene.carrier.expect_silence();
    e.scene.agent.expect_silence();
    assert_eq!(e.scene.center.edge.stats().calls, 1);
}

// The edge that was believed dead has only slept.
#[test]
fn a_forsaken_call_is_silent() {
    let e = estate();
    e.scene.carrier.request("INVITE", &e.talk.caller_talk, 2, "", &caller_sdp().replace("sendrecv", "sendonly"));
    assert_eq!(e.scene.carrier.recv().status(), 100);
    let passed = e.scene.agent.expect_request("INVITE");
    e.scene.center.edge.forsake(e.talk.caller.call, &[]);
    e.scene.center.expect_all_gone();
    e.scene.agent.respond(&passed, "200 OK", "", "", &agent_sdp("recvonly"));
    e.scene.agent.expect_silence();
    e.scene.carrier.expect_silence();
    e.scene.agent.request("BYE", &e.talk.agent_talk, 1, "", "");
    e.scene.agent.expect(481);
    e.scene.center.command(e.talk.caller, LegCommand::HangUp(Cause::Normal));
    e.scene.carrier.expect_silence();
    e.scene.center.expect_no_event();
}

// A phone answered while the edge slept: the other edge does not know that it talks.
#[test]
fn a_leg_that_could_not_be_taken_over_is_hung_up() {
    let e = estate();
    e.scene.center.edge.forsake(e.talk.caller.call, &[e.talk.caller]);
    let bye = e.scene.agent.expect_request("BYE");
    same_dialog(&bye, &e.talk.agent_talk);
    e.scene.agent.respond(&bye, "200 OK", "", "", "");
    e.scene.center.expect_all_gone();
    e.scene.carrier.expect_silence();
    e.scene.center.expect_no_event();
}

#[test]
fn what_could_not_be_taken_over_stops_ringing() {
    let scene = scene();
    let (_, caller, _) = scene.answered();
    let (_, invite) = scene.dial_agent(caller);
    scene.agent.respond(&invite, "180 Ringing", "a1", "", "");
    scene.center.event();
    scene.center.edge.forsake(caller.call, &[]);
    let cancel = scene.agent.expect_request("CANCEL");
    scene.agent.respond(&cancel, "200 OK", "a1", "", "");
    scene.agent.respond(&invite, "487 Request Terminated", "a1", "", "");
    scene.agent.expect_request("ACK");
    scene.carrier.expect_silence();
}

// spec: SE-6
#[test]
fn an_image_that_makes_no_sense_ends_the_leg() {
    let e = estate();
    let bytes = e.caller.bytes().to_vec();
    assert!(bytes.len() < 1_500, "{}", bytes.len());
    let mut other_version = bytes.clone();
    other_version[0] = 99;
    let bad = [vec![], other_version, bytes[..bytes.len() / 2].to_vec(), vec![1; 100_000]];
    for (n, bytes) in (0..).zip(&bad) {
        let leg = LegId { n, ..e.talk.caller };
        e.revive(leg, &LegImage::new(bytes));
        e.heir.expect_event(leg, LegEvent::Ended(Cause::Failed(500)));
    }
    e.heir.expect_all_gone();
}

#[test]
fn nothing_is_told_when_nothing_has_changed() {
    let e = estate();
    let (carrier, agent) = (&e.scene.carrier, &e.scene.agent);
    carrier.request("OPTIONS", &e.talk.caller_talk, 2, "", "");
    carrier.expect(200);
    agent.request("UPDATE", &e.talk.agent_talk, 1, "", "");
    agent.expect(200);
    carrier.request("INVITE", &e.talk.caller_talk, 3, "", &caller_sdp());
    carrier.expect(200);
    carrier.request("ACK", &e.talk.caller_talk, 3, "", "");
    let quiet = || e.scene.center.images.recv_timeout(Duration::from_millis(300));
    assert!(quiet().is_err());
    // A new address of its phone is news.
    agent.request("INVITE", &e.talk.agent_talk, 2, "", &sdp("127.0.9.3:5004".parse().unwrap(), "0 101", "sendrecv"));
    agent.expect(200);
    assert_ne!(e.scene.center.image(e.talk.leg), e.agent);
    agent.request("BYE", &e.talk.agent_talk, 3, "", "");
    agent.expect(200);
    assert!(quiet().is_err());
}
