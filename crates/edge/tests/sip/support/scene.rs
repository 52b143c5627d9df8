//! The scene of most tests: a carrier calls, an agent's phone is dialled.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use carillon_acd::ids::LegId;
use carillon_acd::leg::{LegCommand, LegEvent};
use carillon_edge::{Directory, EdgeConfig};

use super::{Center, Msg, Phone, Talk, device, fixed, sdp, trunk};

/// A carrier, a center, and one agent's phone.
pub struct Scene {
    pub center: Center,
    pub carrier: Phone,
    pub agent: Phone,
}

/// A center with the trunk at 127.0.9.2 and Piotr's fixed phone at 127.0.9.3.
pub fn scene() -> Scene {
    scene_with(super::config())
}

/// The same with other settings.
pub fn scene_with(config: EdgeConfig) -> Scene {
    let agent = Phone::new("127.0.9.3", ([127, 0, 9, 1], 5060).into());
    let directory = Directory::new(vec![fixed("piotr", agent.addr())], vec![trunk("127.0.9.2/32", None)]).unwrap();
    let center = Center::start_with(config, directory);
    let carrier = Phone::new("127.0.9.2", center.addr());
    let agent = Phone { edge: center.addr(), ..agent };
    Scene { center, carrier, agent }
}

pub fn caller_sdp() -> String {
    sdp("127.0.9.2:4000".parse().unwrap(), "0 8 101", "sendrecv")
}

pub fn agent_sdp(direction: &str) -> String {
    sdp("127.0.9.3:5000".parse().unwrap(), "0 101", direction)
}

/// The sockets at the addresses that the session descriptions of caller and agent name. One test at a time has them.
pub struct Ends {
    pub caller: UdpSocket,
    pub agent: UdpSocket,
    _turn: MutexGuard<'static, ()>,
}

pub fn ends() -> Ends {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let bind = |addr: &str| UdpSocket::bind(addr).unwrap();
    Ends { caller: bind("127.0.9.2:4000"), agent: bind("127.0.9.3:5000"), _turn: turn }
}

/// One side's RTP: its socket, where the edge wants its packets, and its payload type.
pub struct Talker<'a>(pub &'a UdpSocket, pub SocketAddr, pub u8);

/// Both talk until each hears the other in his own payload type.
#[track_caller]
pub fn assert_both_heard(a: &Talker, b: &Talker) {
    let mut buffer = [0; 1_500];
    let mut sequence = 0u16;
    super::eventually("both hear each other", || {
        sequence += 1;
        let heard = [(a, b), (b, a)].map(|(from, to)| {
            let mut packet = vec![0x80, from.2, (sequence >> 8) as u8, sequence as u8, 0, 0, 0, 0, 1, 2, 3, from.2];
            packet.extend([0x55; 160]);
            from.0.send_to(&packet, from.1).unwrap();
            to.0.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            to.0.recv(&mut buffer).is_ok_and(|n| n == 172 && buffer[1] & 0x7f == to.2)
        });
        if heard == [true, true] { Ok(()) } else { Err(heard) }
    });
}

/// A conversation: both dialogs, both legs, and where the edge wants each side's RTP.
pub struct Bridged {
    pub caller_talk: Talk,
    pub caller: LegId,
    pub agent_talk: Talk,
    pub leg: LegId,
    pub caller_rtp: SocketAddr,
    pub agent_rtp: SocketAddr,
}

impl Scene {
    /// An INVITE from the carrier, up to the incoming call.
    pub fn invite(&self, body: &str) -> (Talk, LegId) {
        let talk = self.carrier.talk("12.5-000000", "33123456789");
        self.carrier.request("INVITE", &talk, 1, "", body);
        assert_eq!(self.carrier.recv().status(), 100);
        (talk, LegId::caller(self.center.incoming().call))
    }

    /// A caller who has been answered and has acknowledged it.
    pub fn answered(&self) -> (Talk, LegId, Msg) {
        let (mut talk, caller) = self.invite(&caller_sdp());
        self.center.command(caller, LegCommand::Answer);
        let ok = self.carrier.expect(200);
        Phone::adopt(&mut talk, &ok);
        self.carrier.request("ACK", &talk, 1, "", "");
        (talk, caller, ok)
    }

    pub fn dial_agent(&self, caller: LegId) -> (LegId, Msg) {
        let leg = LegId { call: caller.call, n: 1 };
        self.center.command(
            leg,
            LegCommand::Dial {
                target: device("piotr"),
                caller: carillon_acd::leg::CallerId { number: "12.5-000000".into(), name: "Jane \"J\" Doe".into() },
                partner: caller,
                ring_for: Duration::from_secs(20),
            },
        );
        (leg, self.agent.expect_request("INVITE"))
    }

    /// Caller and agent in conversation.
    pub fn bridged(&self) -> Bridged {
        let (caller_talk, caller, ok) = self.answered();
        let (leg, invite) = self.dial_agent(caller);
        self.agent.respond(&invite, "200 OK", "a1", "", &agent_sdp("sendrecv"));
        self.agent.expect_request("ACK");
        self.center.expect_event(leg, LegEvent::Answered);
        self.center.command(caller, LegCommand::Bridge { with: leg });
        let agent_talk = Phone::talk_back(&invite, "a1");
        Bridged { caller_talk, caller, agent_talk, leg, caller_rtp: ok.rtp(), agent_rtp: invite.rtp() }
    }
}
