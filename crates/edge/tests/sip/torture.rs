//! The messages of RFC 4475 and RFC 5118 at a running edge, each from a trunk's address of its own: all are survived,
//! and answered as the index of the set asks.

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use carillon_acd::ids::LegId;
use carillon_acd::leg::{Cause, LegCommand};

use crate::support::scene::{agent_sdp, scene};
use crate::support::{Center, Msg, PATIENCE, Phone, QUIET, trunk};

/// What the edge answers, `0` for silence. A call that it takes is refused by the test with 404, as a number that does
/// not exist is.
const ANSWERS: &[(&str, u16)] = &[
    ("rfc4475/badaspec.dat", 400),
    ("rfc4475/badbranch.dat", 200),
    ("rfc4475/baddate.dat", 404),
    ("rfc4475/baddn.dat", 400),
    ("rfc4475/badinv01.dat", 400),
    ("rfc4475/badvers.dat", 505),
    ("rfc4475/bcast.dat", 0),
    ("rfc4475/bext01.dat", 420),
    ("rfc4475/bigcode.dat", 0),
    ("rfc4475/clerr.dat", 400),
    // A registrar that authenticates asks for that first; so do the other REGISTERs.
    ("rfc4475/cparam01.dat", 401),
    ("rfc4475/cparam02.dat", 401),
    ("rfc4475/dblreq.dat", 401),
    ("rfc4475/esc01.dat", 404),
    ("rfc4475/esc02.dat", 501),
    ("rfc4475/escnull.dat", 401),
    ("rfc4475/escruri.dat", 400),
    ("rfc4475/insuf.dat", 400),
    ("rfc4475/intmeth.dat", 501),
    // It has no Contact, without which no dialog can be made.
    ("rfc4475/inv2543.dat", 400),
    ("rfc4475/invut.dat", 415),
    ("rfc4475/longreq.dat", 404),
    ("rfc4475/ltgtruri.dat", 400),
    ("rfc4475/lwsdisp.dat", 200),
    ("rfc4475/lwsruri.dat", 400),
    ("rfc4475/lwsstart.dat", 400),
    ("rfc4475/mcl01.dat", 400),
    ("rfc4475/mismatch01.dat", 400),
    ("rfc4475/mismatch02.dat", 501),
    ("rfc4475/mpart01.dat", 405),
    ("rfc4475/multi01.dat", 400),
    ("rfc4475/ncl.dat", 400),
    ("rfc4475/noreason.dat", 0),
    ("rfc4475/novelsc.dat", 416),
    ("rfc4475/quotbal.dat", 400),
    ("rfc4475/regaut01.dat", 401),
    ("rfc4475/regbadct.dat", 400),
    ("rfc4475/regescrt.dat", 401),
    ("rfc4475/scalar02.dat", 400),
    ("rfc4475/scalarlg.dat", 0),
    ("rfc4475/sdp01.dat", 406),
    ("rfc4475/semiuri.dat", 200),
    ("rfc4475/test.dat", 0),
    ("rfc4475/transports.dat", 200),
    ("rfc4475/trws.dat", 400),
    ("rfc4475/unkscm.dat", 416),
    ("rfc4475/unksm2.dat", 400),
    ("rfc4475/unreason.dat", 0),
    // Its To has a tag: it belongs to a dialog that we do not have.
    ("rfc4475/wsinv.dat", 481),
    ("rfc4475/zeromf.dat", 200),
    // An edge on IPv4 has no way to these media addresses.
    ("rfc5118-wire/ipv4-mapped-ipv6.dat", 488),
    ("rfc5118-wire/ipv6-bad.dat", 400),
    ("rfc5118-wire/ipv6-bug-abnf-3-colons.dat", 200),
    ("rfc5118-wire/ipv6-correct-abnf-2-colons.dat", 200),
    ("rfc5118-wire/ipv6-good.dat", 401),
    ("rfc5118-wire/ipv6-in-sdp.dat", 488),
    ("rfc5118-wire/mult-ip-in-header.dat", 481),
    ("rfc5118-wire/mult-ip-in-sdp.dat", 404),
    ("rfc5118-wire/port-ambiguous.dat", 401),
    ("rfc5118-wire/port-unambiguous.dat", 401),
    ("rfc5118-wire/via-received-param-no-delim.dat", 200),
    ("rfc5118-wire/via-received-param-with-delim.dat", 481),
];

/// The top Via of a message, folded lines joined, without spaces.
fn via_of(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message).replace("\r\n ", " ").replace("\r\n\t", " ");
    let via = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        matches!(name.trim().to_ascii_lowercase().as_str(), "via" | "v").then(|| value.trim().to_owned())
    });
    via.unwrap_or_default().split(',').next().unwrap_or("").to_owned()
}

/// The port to which RFC 3261 §18.2.2 sends the answer: that of the top Via, when the request names no other way.
fn answer_port(message: &[u8]) -> u16 {
    let via = via_of(message);
    let sent_by = via.split(';').next().unwrap_or("").trim().rsplit(['/', ' ']).next().unwrap_or("");
    let after_host = sent_by.rsplit(']').next().unwrap_or("");
    after_host.rsplit_once(':').and_then(|(_, port)| port.trim().parse().ok()).unwrap_or(5060)
}

/// The first final answer, while calls that come in are refused.
fn final_answer(center: &Center, socket: &UdpSocket, patience: Duration) -> u16 {
    socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let end = Instant::now() + patience;
    let mut buffer = [0; 65_536];
    while Instant::now() < end {
        if let Ok(incoming) = center.incoming.try_recv() {
            center.command(LegId::caller(incoming.call), LegCommand::HangUp(Cause::NotFound));
        }
        if let Ok((length, _)) = socket.recv_from(&mut buffer) {
            let status = Msg::new(&buffer[..length]).status();
            if status >= 200 {
                return status;
            }
        }
    }
    0
}

// spec: SE-6
#[test]
fn se_6_every_torture_message_is_survived_and_answered() {
    let start = || Center::start(vec![], vec![trunk("127.0.9.0/24", None)]);
    let mut center = start();
    let mut branches = HashSet::new();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../sip/tests/torture");
    let mut wrong = Vec::new();
    println!("{:<50} {:>8} {:>8}", "message", "expected", "answered");
    for (index, &(file, expected)) in ANSWERS.iter().enumerate() {
        let message = std::fs::read(folder.join(file)).unwrap();
        // Some share a branch, and one edge would take the later for a retransmission (RFC 3261 §17.2.3).
        if !branches.insert(via_of(&message)) {
            center.expect_all_gone();
            branches.clear();
            center = start();
        }
        let ip = format!("127.0.9.{}", 100 + index);
        let socket = UdpSocket::bind((ip.as_str(), answer_port(&message))).unwrap();
        socket.send_to(&message, center.addr()).unwrap();
        let answered = final_answer(&center, &socket, if expected == 0 { QUIET } else { PATIENCE });
        println!("{file:<50} {expected:>8} {answered:>8}");
        if answered != expected {
            wrong.push((file, expected, answered));
        }
        let pinger = Phone::new(&ip, center.addr());
        pinger.request("OPTIONS", &pinger.talk("ping", "ping"), 1, "", "");
        pinger.expect(200);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    center.expect_all_gone();
}

// spec: SE-6
#[test]
fn se_6_messages_of_unknown_senders_are_survived_in_silence() {
    let center = Center::start(vec![], vec![trunk("127.0.9.2/32", None)]);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../sip/tests/torture");
    let socket = UdpSocket::bind("127.0.9.66:5060").unwrap();
    for (file, _) in ANSWERS {
        socket.send_to(&std::fs::read(folder.join(file)).unwrap(), center.addr()).unwrap();
    }
    assert_eq!(final_answer(&center, &socket, QUIET), 0);
    let trusted = Phone::new("127.0.9.2", center.addr());
    trusted.request("OPTIONS", &trusted.talk("ping", "ping"), 1, "", "");
    let sender: SocketAddr = trusted.addr();
    assert!(trusted.expect(200).header("Via").contains(&format!("rport={}", sender.port())));
}

/// Marsaglia's xorshift64: reproducible damage.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n.max(1) as u64).unwrap()
    }
}

// spec: SE-6
#[test]
fn se_6_damaged_messages_leave_a_conversation_alone_and_nothing_behind() {
    let s = scene();
    let b = s.bridged();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../sip/tests/torture");
    let seeds: Vec<Vec<u8>> = ANSWERS.iter().map(|(file, _)| std::fs::read(folder.join(file)).unwrap()).collect();
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for _ in 0..20_000 {
        let mut message = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(4) {
            let at = random.below(message.len());
            match random.below(3) {
                0 => message[at] = u8::try_from(random.below(256)).unwrap(),
                1 => message.insert(at, b"\r\n;:<>@,\"% \0"[random.below(12)]),
                _ => drop(message.drain(at..(at + 1 + random.below(16)).min(message.len()))),
            }
            if message.is_empty() {
                message.push(b'x');
            }
        }
        s.carrier.socket.send_to(&message, s.carrier.edge).unwrap();
        while let Ok(incoming) = s.center.incoming.try_recv() {
            s.center.command(LegId::caller(incoming.call), LegCommand::HangUp(Cause::NotFound));
        }
    }
    let fresh = Phone::new("127.0.9.2", s.center.addr());
    crate::support::eventually("an answer behind the flood, which may have crowded out the first requests", || {
        fresh.request("OPTIONS", &fresh.talk("ping", "ping"), 1, "", "");
        fresh.recv_within(QUIET).map(|answer| assert_eq!(answer.status(), 200)).ok_or("silence")
    });
    s.agent.request("INVITE", &b.agent_talk, 1, "", "");
    s.agent.expect(200);
    s.agent.request("ACK", &b.agent_talk, 1, "", &agent_sdp("sendrecv"));
    s.agent.request("BYE", &b.agent_talk, 2, "", "");
    s.agent.expect(200);
    s.center.command(b.caller, LegCommand::HangUp(Cause::Normal));
    crate::support::eventually("only the refused calls' transactions are left", || {
        while let Ok(incoming) = s.center.incoming.try_recv() {
            s.center.command(LegId::caller(incoming.call), LegCommand::HangUp(Cause::NotFound));
        }
        let stats = s.center.edge.stats();
        if (stats.calls, stats.legs, stats.streams) == (0, 0, 0) { Ok(()) } else { Err(stats) }
    });
}
