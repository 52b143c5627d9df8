//! An edge is killed as the operating system kills: a process of its own, and SIGKILL. Spec: CL-4.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use carillon_acd::ids::LegId;
use carillon_acd::leg::{CallerId, LegCommand, LegEvent, LegImage};
use carillon_edge::Directory;

use crate::revival::{heir_with, same_dialog};
use crate::support::scene::{Talker, agent_sdp, assert_both_heard, caller_sdp, ends};
use crate::support::{Center, Phone, config, device, fixed, trunk};

/// Tells the process of the victim where the agent's phone is.
const AGENT: &str = "CARILLON_TEST_SHOT_AGENT";

/// The victim: answers one caller, rings the agent, joins both, and prints where it is and what it lets be known of its legs.
/// Does nothing unless the test below has started it.
#[test]
#[ignore = "runs in the process that the test kills"]
fn victim() {
    let Ok(agent) = std::env::var(AGENT) else { return };
    let devices = vec![fixed("piotr", agent.parse().unwrap())];
    let center = Center::start_with(config(), Directory::new(devices, vec![trunk("127.0.9.2/32", None)]).unwrap());
    println!("\nat {}", center.addr());
    let call = center.incoming().call;
    let (caller, leg) = (LegId::caller(call), LegId { call, n: 1 });
    center.command(caller, LegCommand::Answer);
    let (target, shown) = (device("piotr"), CallerId::default());
    center.command(leg, LegCommand::Dial { target, caller: shown, partner: caller, ring_for: Duration::from_secs(20) });
    center.expect_event(leg, LegEvent::Answered);
    center.command(caller, LegCommand::Bridge { with: leg });
    // Whoever started it kills it long before; left alone it ends by itself.
    while let Ok((leg, image)) = center.images.recv_timeout(Duration::from_secs(20)) {
        println!("\nimage {} {} {}", leg.call, leg.n, hex::encode(image.bytes()));
    }
}

/// Ends with the test, however that ends.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        // SIGKILL.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

// spec: CL-4
#[test]
fn cl_4_an_edge_is_killed_and_both_talk_on() {
    let agent = Phone::new("127.0.9.3", ([127, 0, 9, 1], 5060).into());
    let victim = Command::new(std::env::current_exe().unwrap())
        .args(["shot::victim", "--exact", "--ignored", "--nocapture"])
        .env(AGENT, agent.addr().to_string())
        .stdout(Stdio::piped())
        .spawn();
    let mut victim = Victim(victim.unwrap());
    let mut said = BufReader::new(victim.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut next = |word: &str| said.find_map(|line| line.strip_prefix(word).map(str::to_owned)).unwrap();
    let there: SocketAddr = next("at ").parse().unwrap();
    let (agent, mut carrier) = (Phone { edge: there, ..agent }, Phone::new("127.0.9.2", there));
    let mut talk = carrier.talk("1", "33123456789");
    carrier.request("INVITE", &talk, 1, "", &caller_sdp());
    let ok = carrier.expect(200);
    Phone::adopt(&mut talk, &ok);
    carrier.request("ACK", &talk, 1, "", "");
    let invite = agent.expect_request("INVITE");
    agent.respond(&invite, "200 OK", "a1", "", &agent_sdp("sendrecv"));
    agent.expect_request("ACK");
    let ends = ends();
    assert_both_heard(&Talker(&ends.caller, ok.rtp(), 0), &Talker(&ends.agent, invite.rtp(), 0));
    let images = [next("image "), next("image ")].map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let leg = LegId { call: words[0].parse().unwrap(), n: words[1].parse().unwrap() };
        (leg, LegImage::new(&hex::decode(words[2]).unwrap()))
    });
    drop(victim);
    let died = Instant::now();

    let heir = heir_with(config(), agent.addr());
    carrier.edge = heir.addr();
    let agent = Phone { edge: heir.addr(), ..agent };
    for (leg, image) in &images {
        heir.command(*leg, LegCommand::Revive { image: image.clone() });
    }
    let (caller, leg) = (images[0].0, images[1].0);
    assert_eq!((caller.n, leg.n), (0, 1));
    heir.command(caller, LegCommand::Bridge { with: leg });
    let (to_caller, to_agent) = (carrier.expect_request("INVITE"), agent.expect_request("INVITE"));
    same_dialog(&to_caller, &talk);
    carrier.respond(&to_caller, "200 OK", "", "", &caller_sdp());
    carrier.expect_request("ACK");
    agent.respond(&to_agent, "200 OK", "", "", &agent_sdp("sendrecv"));
    agent.expect_request("ACK");
    assert_both_heard(&Talker(&ends.caller, to_caller.rtp(), 0), &Talker(&ends.agent, to_agent.rtp(), 0));
    assert!(died.elapsed() < Duration::from_secs(5), "{:?}", died.elapsed());
}
