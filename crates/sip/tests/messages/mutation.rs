//! Damaged messages: whatever a peer sends, nothing panics, memory stays bounded, and answers stay well formed.
//! Spec: SE-6.

use super::common::{endpoint, files, source, torture};
use bytes::Bytes;
use carillon_sip::endpoint::{Effect, Endpoint};
use carillon_sip::message::{peek_call_id, peek_is_initial_invite};
use carillon_sip::relay::{self, Onward};
use carillon_sip::stream::Framer;
use carillon_sip::{Flow, Header, Headers, Message, Moment, ResponseBuilder, StatusCode};
use std::time::Duration;

/// Marsaglia's xorshift64: reproducible, and enough to choose bytes.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Bytes that mean something to a SIP parser.
const SPICE: &[u8] = b"\r\n \t:;,<>\"\\@%?=/[]()*\0\x7f\xff09azSIP";

fn damage(random: &mut Random, seeds: &[Bytes]) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let spice = SPICE[random.below(SPICE.len())];
        match random.below(6) {
            0 => bytes[at] = random.next() as u8,
            1 => bytes[at] = spice,
            2 => bytes.insert(at, spice),
            3 => drop(bytes.drain(at..(at + 1 + random.below(20)).min(bytes.len()))),
            4 => {
                let end = (at + random.below(60)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            _ => {
                let other = &seeds[random.below(seeds.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(&other[random.below(other.len())..]);
            }
        }
        if bytes.is_empty() {
            bytes.push(spice);
        }
    }
    bytes
}

/// Reads everything that can be read on demand.
fn look_at(message: &Message) {
    let h = message.headers();
    let _ = (
        h.via().received(),
        h.via().rport(),
        h.vias().count(),
        h.from().display_name().is_some(),
        h.to().tag().is_some(),
    );
    let _ =
        (h.contacts().count(), h.contact().map(|c| (c.q(), c.expires())), h.expires(), h.max_forwards(), h.reason());
    let _ = (h.content_type().is_some(), h.body().len(), h.all().count(), h.list(Header::Accept).count());
    for address in [h.from(), h.to()].iter().chain(h.contact().iter()) {
        let uri = address.uri();
        let _ = (uri.user_text().is_some(), uri.host(), uri.socket_addr(), uri.params().iter().count());
        assert!(uri.equivalent(uri));
    }
}

/// Passes a message on as a relay does. What comes out is the same message again, but for the headers of a proxy.
fn pass_on(message: &Message) {
    let (before, count) = (message.headers(), |h: &Headers, header| h.list(header).count());
    let (bytes, vias, routes) = match message {
        Message::Request(request) => {
            let routes = count(before, Header::Route).min(2);
            let via = "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKrelay.1";
            let onward = Onward { source: source(), routes, via, record_route: &["<sip:192.0.2.2;lr>".to_owned()] };
            (
                relay::request(request, &onward).ok(),
                count(before, Header::Via) + 1,
                count(before, Header::Route) - routes,
            )
        }
        Message::Response(response) => {
            (relay::response(response), count(before, Header::Via).saturating_sub(1), count(before, Header::Route))
        }
    };
    let Some(bytes) = bytes else { return };
    let Ok(after) = Message::parse(bytes) else {
        // The Via below the top is not read before it is the top.
        return assert!(matches!(message, Message::Response(_)), "{:?}", before.as_bytes());
    };
    let after = after.headers();
    assert_eq!((count(after, Header::Via), count(after, Header::Route)), (vias, routes), "{:?}", before.as_bytes());
    assert_eq!((after.call_id(), after.from_raw(), after.body()), (before.call_id(), before.from_raw(), before.body()));
}

/// Takes the effects; answers every other request. What is sent has to be a message again.
fn drain(endpoint: &mut Endpoint, now: Moment, random: &mut Random) {
    while let Some(effect) = endpoint.poll() {
        match effect {
            Effect::Request { key, request, .. } if random.below(2) == 0 => {
                let ok = ResponseBuilder::reply_to(&request, StatusCode::OK).header(Header::Contact, request.call_id());
                endpoint.respond(now, key, ok).expect("a new request takes an answer");
            }
            Effect::Send { bytes, .. } => {
                assert!(bytes.starts_with(b"SIP/2.0 ") && bytes.ends_with(b"Content-Length: 0\r\n\r\n"));
                let text = &bytes[..bytes.len() - 4];
                assert!(!text.windows(4).any(|w| w == b"\r\n\r\n"), "an answer has one header and no body");
            }
            _ => {}
        }
    }
}

// spec: SE-6
#[test]
fn a_hundred_thousand_damaged_messages() {
    let seeds: Vec<Bytes> = files().iter().map(|file| torture(file)).collect();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut endpoint, flow) = (endpoint(), Flow::udp(0, source()));
    let (mut parsed, mut framer) = (0, Framer::new());
    for n in 0..100_000u64 {
        let now = Moment::at(Duration::from_millis(n));
        let bytes = Bytes::from(damage(&mut random, &seeds));
        let _ = (peek_call_id(&bytes), peek_is_initial_invite(&bytes));
        if n % 16 == 0 {
            framer.push(&bytes);
            if framer.next_frame().is_err() {
                framer = Framer::new();
            }
        }
        match Message::parse(bytes) {
            Ok(message) => {
                parsed += 1;
                look_at(&message);
                pass_on(&message);
                endpoint.handle_message(now, flow, message);
            }
            Err(error) => endpoint.handle_malformed(flow, &error),
        }
        drain(&mut endpoint, now, &mut random);
        endpoint.tick(now);
        drain(&mut endpoint, now, &mut random);
        assert!(endpoint.len() <= 2000, "bounded by the configuration");
    }
    assert!(parsed > 10_000, "damage that destroys everything tests nothing: {parsed}");
    while let Some(deadline) = endpoint.deadline() {
        endpoint.tick(deadline);
        drain(&mut endpoint, deadline, &mut random);
    }
    assert!(endpoint.is_empty(), "everything is freed");
}
