//! The datapath with real sockets on loopback addresses.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carillon_media::dtmf::KeyPress;
use carillon_media::rtp::Header;
use carillon_media::{Codec, Direction, Negotiated, PayloadTypes, Sound, Source, tone};

use super::*;

/// Whatever is waited for comes long before this, or the test fails.
const DEADLINE: Duration = Duration::from_secs(10);
const EVENTS: u8 = 101;

struct Bench {
    datapath: Datapath,
    events: Receiver<MediaEvent>,
}

impl Bench {
    /// Ports from the range below the ephemeral ones; each test has its own loopback address, so they never meet.
    fn start(last_byte: u8, silence: Duration) -> Self {
        let (sender, events) = mpsc::channel();
        let sender = Mutex::new(sender);
        let address = IpAddr::from([127, 0, 7, last_byte]);
        let config = DatapathConfig { silence, ports: 20_000..=20_199, ..DatapathConfig::new(address) };
        let on_event = move |event| {
            let _ = sender.lock().unwrap().send(event);
        };
        Bench { datapath: Datapath::start(config, Arc::new(on_event)).unwrap(), events }
    }

    /// A leg whose phone is negotiated and sends with `codec`.
    fn leg(&self, leg: u16, codec: Codec) -> Phone {
        let phone = Phone::new(StreamId::new(1, leg), codec);
        self.connect(phone, Latching::Off)
    }

    fn connect(&self, mut phone: Phone, latching: Latching) -> Phone {
        let expected = match latching {
            Latching::Off => Expected::Address(phone.address()),
            Latching::Within(ip) => Expected::Ip(ip),
        };
        phone.ours = Some(self.datapath.allocate(phone.stream, expected).unwrap());
        self.datapath.set_peer(phone.stream, phone.negotiated(), latching).unwrap();
        phone
    }

    /// Bridges two legs and waits until that is done: commands are obeyed in order, so the end of a sound that was asked
    /// for later tells.
    fn bridge(&self, a: &Phone, b: &Phone) {
        self.datapath.bridge(a.stream, b.stream);
        let witness = StreamId::new(1, u16::MAX);
        self.datapath.allocate(witness, Expected::Anyone).unwrap();
        self.datapath.play(witness, Source::once(Arc::new(Sound::from_samples(&[]))), PlayToken(u32::MAX));
        assert_eq!(self.event(), MediaEvent::PlayFinished { stream: witness, token: PlayToken(u32::MAX) });
        self.datapath.release(witness);
    }

    fn event(&self) -> MediaEvent {
        self.events.recv_timeout(DEADLINE).expect("an event")
    }
}

/// A phone at the other end of a leg.
struct Phone {
    stream: StreamId,
    socket: UdpSocket,
    codec: Codec,
    ours: Option<SocketAddr>,
    sequence: u16,
}

impl Phone {
    fn new(stream: StreamId, codec: Codec) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Phone { stream, socket, codec, ours: None, sequence: 0 }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    fn negotiated(&self) -> Negotiated {
        let audio = self.codec.static_payload_type();
        let types = PayloadTypes { codec: self.codec, audio, telephone_event: Some(EVENTS) };
        let direction = Direction::SendRecv;
        Negotiated { peer: self.address(), send: types, receive: types, direction, peer_direction: direction }
    }

    fn send(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) {
        self.sequence += 1;
        let header = Header { marker: false, payload_type, sequence: self.sequence, timestamp, ssrc: 7 };
        self.socket.send_to(&[&header.to_bytes(), payload].concat(), self.ours.unwrap()).unwrap();
    }

    /// Sends audio and waits for it at `other`, frame by frame; the headers with which it arrived and the samples.
    fn talk(&mut self, samples: &[i16], other: &Phone) -> (Vec<Header>, Vec<i16>) {
        let (mut headers, mut heard) = (Vec::new(), Vec::new());
        for (index, frame) in samples.chunks(160).enumerate() {
            let payload: Vec<u8> = frame.iter().map(|&sample| self.codec.encode(sample)).collect();
            self.send(self.codec.static_payload_type(), 160 * index as u32, &payload);
            let (header, payload) = other.hear();
            headers.push(header);
            heard.extend(payload.iter().map(|&byte| other.codec.decode(byte)));
        }
        (headers, heard)
    }

    fn press(&mut self, key: char, timestamp: u32) {
        for event in KeyPress::new(key, 4).unwrap() {
            self.send(EVENTS, timestamp, &event.to_bytes());
        }
    }

    /// The next packet, which must come from the leg's own address.
    fn hear(&self) -> (Header, Vec<u8>) {
        let mut buffer = [0; 2_000];
        let (length, from) = self.socket.recv_from(&mut buffer).expect("a packet");
        assert_eq!(Some(from), self.ours);
        let (header, payload) = Header::read(&buffer[..length]).unwrap();
        (header, buffer[payload].to_vec())
    }
}

fn frames_of(sound: &Sound, codec: Codec) -> Vec<Vec<u8>> {
    (0..sound.frames()).map(|index| sound.frame(codec, index).unwrap().to_vec()).collect()
}

#[test]
fn music_reaches_every_leg_in_its_own_law_and_without_a_gap() {
    let bench = Bench::start(1, Duration::ZERO);
    // 437 Hz makes each of the 50 frames different.
    let sound = Arc::new(Sound::from_samples(&tone::sine(437.0, 0.3, 160 * 50)));
    let codecs = [Codec::Pcmu, Codec::Pcma];
    let phones: Vec<Phone> = (0..20).map(|leg| bench.leg(leg, codecs[usize::from(leg) % 2])).collect();
    for phone in &phones {
        bench.datapath.play(phone.stream, Source::in_step(sound.clone()), PlayToken(0));
    }
    for phone in &phones {
        let frames = frames_of(&sound, phone.codec);
        let heard: Vec<_> = (0..60).map(|_| phone.hear()).collect();
        let first = frames.iter().position(|frame| *frame == heard[0].1).unwrap() as u32;
        let (start, _) = heard[0];
        assert!(start.marker);
        for (count, (header, payload)) in (0u32..).zip(&heard) {
            // A loaded machine may make the thread late; it then skips frames in the sound and in the timestamps alike.
            let frame = header.timestamp.wrapping_sub(start.timestamp) / 160;
            assert_eq!(header.sequence, start.sequence.wrapping_add(count as u16));
            assert_eq!((header.ssrc, header.payload_type), (start.ssrc, phone.codec.static_payload_type()));
            assert_eq!(*payload, frames[((first + frame) % 50) as usize]);
        }
    }
    assert_eq!(bench.datapath.totals().ports, 1, "peers with different addresses share a port");
}

#[test]
fn a_sound_that_ends_is_reported_and_a_stopped_one_is_not() {
    let bench = Bench::start(2, Duration::ZERO);
    let phone = bench.leg(0, Codec::Pcmu);
    let sound = Arc::new(Sound::from_samples(&tone::beep(440.0, 160 * 5)));
    bench.datapath.play(phone.stream, Source::repeated(sound.clone()), PlayToken(1));
    phone.hear();
    bench.datapath.stop_play(phone.stream);
    bench.datapath.play(phone.stream, Source::once(sound.clone()), PlayToken(2));
    bench.datapath.play(phone.stream, Source::once(sound), PlayToken(3));
    assert_eq!(bench.event(), MediaEvent::PlayFinished { stream: phone.stream, token: PlayToken(3) });
}

#[test]
fn bridged_legs_hear_each_other_after_the_music() {
    let bench = Bench::start(3, Duration::ZERO);
    let (mut caller, mut agent) = (bench.leg(0, Codec::Pcmu), bench.leg(1, Codec::Pcmu));
    let music = Arc::new(Sound::from_samples(&tone::sine(440.0, 0.3, 160)));
    bench.datapath.play(caller.stream, Source::in_step(music), PlayToken(0));
    caller.hear();
    bench.bridge(&caller, &agent);
    // The agent's first frame tells the caller's phone that the music is over.
    agent.send(0, 0, &[0x55; 160]);
    let first = std::iter::repeat_with(|| caller.hear()).find(|(_, payload)| *payload == [0x55; 160]).unwrap().0;
    assert!(first.marker, "the source has changed");

    let (headers, heard) = agent.talk(&tone::sine(800.0, 0.3, 3_200), &caller);
    assert!(headers.iter().all(|header| header.ssrc == first.ssrc), "one source identifier for everything");
    assert!((tone::strongest(&heard, 1_000.0).unwrap() - 800.0).abs() < 16.0);
    let (_, heard) = caller.talk(&tone::sine(1_200.0, 0.3, 3_200), &agent);
    assert!((tone::strongest(&heard, 1_000.0).unwrap() - 1_200.0).abs() < 24.0);

    let stats = bench.datapath.stats(agent.stream).unwrap();
    assert_eq!((stats.sent, stats.received, stats.lost, stats.discarded), (20, 21, 0, 0));
}

#[test]
fn tones_survive_transcoding_both_ways() {
    let bench = Bench::start(4, Duration::ZERO);
    let (mut caller, mut agent) = (bench.leg(0, Codec::Pcmu), bench.leg(1, Codec::Pcma));
    bench.bridge(&caller, &agent);
    let (headers, heard) = caller.talk(&tone::sine(1_004.0, 0.3, 3_200), &agent);
    assert!(headers.iter().all(|header| header.payload_type == 8));
    assert!((tone::strongest(&heard, 1_000.0).unwrap() - 1_004.0).abs() < 20.0);
    let (headers, heard) = agent.talk(&tone::sine(600.0, 0.3, 3_200), &caller);
    assert!(headers.iter().all(|header| header.payload_type == 0));
    assert!((tone::strongest(&heard, 1_000.0).unwrap() - 600.0).abs() < 12.0);
}

#[test]
fn digits_are_reported_once_and_passed_on() {
    let bench = Bench::start(5, Duration::ZERO);
    let mut caller = bench.leg(0, Codec::Pcmu);
    let agent = Phone::new(StreamId::new(1, 1), Codec::Pcmu);
    let mut media = agent.negotiated();
    media.send.telephone_event = Some(96);
    let agent = bench.connect(agent, Latching::Off);
    bench.datapath.set_peer(agent.stream, media, Latching::Off).unwrap();
    bench.bridge(&caller, &agent);
    caller.press('5', 1_600);
    caller.press('#', 8_000);
    for digit in ['5', '#'] {
        assert_eq!(bench.event(), MediaEvent::Digit { stream: caller.stream, digit });
    }
    let heard: Vec<_> = (0..14).map(|_| agent.hear()).collect();
    assert!(heard.iter().all(|(header, _)| header.payload_type == 96));
    assert_eq!((heard[0].1[0], heard[13].1[0]), (5, 11));
    assert_eq!(heard[0].0.timestamp, heard[6].0.timestamp, "a key press has one timestamp");
    assert!(bench.events.try_recv().is_err());
}

// spec: SE-3
#[test]
fn rtp_from_elsewhere_is_dropped_and_counted() {
    let bench = Bench::start(6, Duration::ZERO);
    let (mut caller, agent) = (bench.leg(0, Codec::Pcmu), bench.leg(1, Codec::Pcmu));
    bench.bridge(&caller, &agent);
    let mut intruder = Phone::new(caller.stream, Codec::Pcmu);
    intruder.ours = caller.ours;
    intruder.send(0, 0, &[1; 160]);
    caller.send(0, 0, &[2; 160]);
    assert_eq!(agent.hear().1, [2; 160]);
    assert_eq!(bench.datapath.totals().stray, 1);
    assert_eq!(bench.datapath.stats(caller.stream).unwrap().received, 1);
}

// spec: SE-3
#[test]
fn a_leg_behind_nat_is_latched_onto_once_until_the_next_offer() {
    let bench = Bench::start(7, Duration::ZERO);
    let mut agent = bench.leg(1, Codec::Pcmu);
    // The description names an address that is never used.
    let nat = Latching::Within(IpAddr::from([127, 0, 0, 1]));
    let mut caller = bench.connect(Phone::new(StreamId::new(1, 0), Codec::Pcmu), nat);
    let media = Negotiated { peer: "127.9.9.9:4000".parse().unwrap(), ..caller.negotiated() };
    bench.datapath.set_peer(caller.stream, media, nat).unwrap();
    bench.bridge(&caller, &agent);
    caller.talk(&tone::sine(800.0, 0.3, 160), &agent);
    agent.talk(&tone::sine(800.0, 0.3, 160), &caller);

    let mut second = Phone::new(caller.stream, Codec::Pcmu);
    second.ours = caller.ours;
    second.send(0, 0, &[1; 160]);
    caller.send(0, 160, &[2; 160]);
    assert_eq!(agent.hear().1, [2; 160], "another port of that address comes too late");
    bench.datapath.set_peer(caller.stream, media, nat).unwrap();
    bench.bridge(&caller, &agent);
    second.talk(&tone::sine(800.0, 0.3, 160), &agent);
}

#[test]
fn silence_is_reported_once_where_rtp_is_expected() {
    let bench = Bench::start(8, Duration::from_millis(200));
    let (waiting, mut caller, held) = (bench.leg(2, Codec::Pcmu), bench.leg(0, Codec::Pcmu), bench.leg(1, Codec::Pcmu));
    bench.datapath.set_direction(held.stream, Direction::SendOnly);
    bench.datapath.bridge(caller.stream, held.stream);
    assert_eq!(bench.event(), MediaEvent::Silent { stream: caller.stream }, "it is bridged and sends nothing");
    caller.send(0, 0, &[0xff; 160]);
    assert_eq!(bench.event(), MediaEvent::Silent { stream: caller.stream }, "it came back and stopped again");
    bench.datapath.set_direction(held.stream, Direction::SendRecv);
    assert_eq!(bench.event(), MediaEvent::Silent { stream: held.stream });
    assert!(bench.events.try_recv().is_err(), "who waits and has sent nothing yet is not reported");
    bench.datapath.release(waiting.stream);
}

// Many phones send nothing while they hold.
#[test]
fn a_peer_that_holds_may_be_silent_until_it_resumes() {
    let silence = Duration::from_millis(200);
    let bench = Bench::start(12, silence);
    let (caller, holding) = (bench.leg(0, Codec::Pcmu), bench.leg(1, Codec::Pcmu));
    bench.datapath.set_direction(caller.stream, Direction::SendOnly);
    let says = |peer_direction: Direction| {
        let direction = peer_direction.reversed();
        let media = Negotiated { direction, peer_direction, ..holding.negotiated() };
        bench.datapath.set_peer(holding.stream, media, Latching::Off).unwrap();
    };
    says(Direction::SendOnly);
    bench.datapath.bridge(caller.stream, holding.stream);
    assert!(bench.events.recv_timeout(silence * 3).is_err(), "it holds");
    says(Direction::SendRecv);
    assert_eq!(bench.event(), MediaEvent::Silent { stream: holding.stream }, "it resumed and sends nothing");
    says(Direction::SendRecv);
    assert_eq!(bench.event(), MediaEvent::Silent { stream: holding.stream }, "each description starts the time anew");
}

#[test]
fn nothing_is_sent_to_who_does_not_listen() {
    let bench = Bench::start(9, Duration::ZERO);
    let (listening, holding) = (bench.leg(0, Codec::Pcmu), bench.leg(1, Codec::Pcmu));
    let sound = Arc::new(Sound::from_samples(&tone::sine(440.0, 0.3, 800)));
    bench.datapath.set_direction(holding.stream, Direction::RecvOnly);
    for phone in [&holding, &listening] {
        bench.datapath.play(phone.stream, Source::in_step(sound.clone()), PlayToken(0));
    }
    for _ in 0..10 {
        listening.hear();
    }
    assert_eq!(bench.datapath.stats(holding.stream).unwrap().sent, 0);
    bench.datapath.set_direction(holding.stream, Direction::SendRecv);
    assert!(holding.hear().0.marker);
}

#[test]
fn garbage_disturbs_nobody() {
    let bench = Bench::start(10, Duration::ZERO);
    let (mut caller, agent) = (bench.leg(0, Codec::Pcmu), bench.leg(1, Codec::Pcmu));
    bench.bridge(&caller, &agent);
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut garbage = [0u8; 1_800];
    for round in 0..5_000u32 {
        for byte in &mut garbage[..64] {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            *byte = random as u8;
        }
        // A quarter looks like version 2 and fails later, or is told apart by its payload type.
        garbage[0] = if round % 4 == 0 { garbage[0] & 0x3f | 0x80 } else { garbage[0] & 0x7f };
        garbage[1] = 0x40 | garbage[1] & 0x0f;
        let length = [1, 12, 40, 172, 1_500, 1_800][round as usize % 6];
        caller.socket.send_to(&garbage[..length], caller.ours.unwrap()).unwrap();
    }
    // Packets may be lost in the flood, so the tone is sent until it is heard.
    agent.socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut buffer = [0; 2_000];
    let heard = (0..100).any(|round| {
        caller.send(0, round * 160, &[0x33; 160]);
        agent.socket.recv_from(&mut buffer).is_ok_and(|(length, _)| buffer[..length].ends_with(&[0x33; 160]))
    });
    assert!(heard);
    assert!(bench.datapath.totals().malformed > 0);
}

#[test]
fn released_streams_leave_nothing_behind() {
    let bench = Bench::start(11, Duration::ZERO);
    for call in 0..50 {
        let ids = [StreamId::new(call, 0), StreamId::new(call, 1)];
        for id in ids {
            let mut phone = Phone::new(id, Codec::Pcmu);
            phone.ours = None;
            bench.connect(phone, Latching::Off);
        }
        bench.datapath.bridge(ids[0], ids[1]);
        for id in ids {
            bench.datapath.release(id);
        }
    }
    let totals = bench.datapath.totals();
    assert_eq!(totals.streams, 0);
    assert!(totals.ports <= 40, "{} ports are open", totals.ports);
    assert!(bench.datapath.stats(StreamId::new(0, 0)).is_none());
    let phone = bench.leg(0, Codec::Pcmu);
    bench.datapath.play(phone.stream, Source::repeated(Arc::new(tone::ringing())), PlayToken(0));
    phone.hear();
    // Joins the threads: a thread that does not end would hang the test.
    drop(bench.datapath);
}
