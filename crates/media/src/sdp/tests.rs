//! Offers and answers as phones and carriers send them.

use proptest::prelude::*;

use super::*;

fn session() -> Session {
    Session::new(42, "192.0.2.1:10000".parse().unwrap())
}

/// A description with these lines after the first three.
fn described(lines: &[&str]) -> Vec<u8> {
    let mut text = String::from("v=0\r\no=alice 2890844526 7 IN IP4 198.51.100.1\r\ns=-\r\n");
    for line in lines {
        text += line;
        text += "\r\n";
    }
    text.into_bytes()
}

const ADDRESS: &str = "c=IN IP4 198.51.100.1";

fn answered(lines: &[&str]) -> Result<(String, Negotiated), SdpError> {
    session().answer(&described(lines), None, Direction::SendRecv)
}

#[test]
fn our_first_offer_word_for_word() {
    let offer = session().offer(&[Codec::Pcmu, Codec::Pcma], Direction::SendRecv);
    let expected = "v=0\r\no=- 42 0 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 10000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
        a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";
    assert_eq!(offer, expected);
}

#[test]
fn an_offer_is_answered_with_its_first_codec_that_we_know() {
    let lines = [
        ADDRESS,
        "t=0 0",
        "m=audio 4000 RTP/AVP 18 8 0 97",
        "a=rtpmap:97 telephone-event/8000",
        "a=fmtp:97 0-16",
        "a=rtpmap:18 G729/8000",
    ];
    let (text, media) = answered(&lines).unwrap();
    assert!(text.contains("m=audio 10000 RTP/AVP 8 97\r\n"), "{text}");
    assert_eq!(media.peer, "198.51.100.1:4000".parse().unwrap());
    let types = PayloadTypes { codec: Codec::Pcma, audio: 8, telephone_event: Some(97) };
    assert_eq!((media.send, media.receive), (types, types));
    assert_eq!((media.direction, media.held()), (Direction::SendRecv, false));

    let preferred = session().answer(&described(&lines), Some(Codec::Pcmu), Direction::SendRecv).unwrap().1;
    assert_eq!(preferred.send.codec, Codec::Pcmu);
}

#[test]
fn the_workload_of_the_bench_is_understood() {
    let lines = [ADDRESS, "t=0 0", "m=audio 6000 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "a=ptime:20"];
    let (text, media) = answered(&lines).unwrap();
    assert_eq!(media.send, PayloadTypes { codec: Codec::Pcmu, audio: 0, telephone_event: None });
    assert!(!text.contains("telephone-event"), "it was not offered");
}

#[test]
fn lines_in_any_order_and_other_line_ends_are_read() {
    let body = b"v=0\nm=audio 4000 RTP/AVP 96\na=sendonly\na=rtpmap:96 pcma/8000/1\nc=IN IP4 198.51.100.7/127\n\
        o=x y z IN IP4 h\nt=0 0\nx=what\nb=AS:64\na=\xff\xfe\n\na=ptime:nonsense";
    let (text, media) = session().answer(body, None, Direction::SendRecv).unwrap();
    assert_eq!(media.send, PayloadTypes { codec: Codec::Pcma, audio: 96, telephone_event: None });
    assert_eq!(media.peer, "198.51.100.7:4000".parse().unwrap());
    assert_eq!((media.direction, media.held()), (Direction::RecvOnly, true));
    assert!(text.contains("a=rtpmap:96 PCMA/8000\r\n"));
}

#[test]
fn only_the_first_usable_audio_stream_is_taken() {
    let (text, media) = answered(&[
        ADDRESS,
        "t=0 0",
        "m=video 5000 RTP/AVP 31 34",
        "m=audio 4002 RTP/SAVP 0",
        "m=audio 4000 RTP/AVP 0",
        "c=IN IP4 198.51.100.9",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    ])
    .unwrap();
    assert_eq!(media.peer, "198.51.100.9:4000".parse().unwrap());
    let streams: Vec<&str> = text.lines().filter(|line| line.starts_with("m=")).collect();
    let expected = [
        "m=video 0 RTP/AVP 31",
        "m=audio 0 RTP/SAVP 0",
        "m=audio 10000 RTP/AVP 0",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
    ];
    assert_eq!(streams, expected);
}

#[test]
fn what_cannot_be_used_is_refused_with_its_reason() {
    let refused = |lines: &[&str]| answered(lines).unwrap_err();
    assert_eq!(refused(&[ADDRESS, "m=audio 4000 RTP/AVP 18 96", "a=rtpmap:96 opus/48000/2"]), SdpError::NoCodec);
    assert_eq!(refused(&[ADDRESS, "m=audio 4000 RTP/AVP 0", "a=rtpmap:0 PCMU/16000"]), SdpError::NoCodec);
    assert_eq!(refused(&[ADDRESS, "m=video 4000 RTP/AVP 31"]), SdpError::NoAudio);
    assert_eq!(refused(&[ADDRESS, "m=audio 0 RTP/AVP 0"]), SdpError::NoAudio);
    assert_eq!(refused(&["m=audio 4000 RTP/AVP 0"]), SdpError::Address);
    assert_eq!(refused(&["c=IN IP4 phone.example.com", "m=audio 4000 RTP/AVP 0"]), SdpError::Address);
    assert_eq!(refused(&["c=IN IP4 224.2.1.1/127", "m=audio 4000 RTP/AVP 0"]), SdpError::Address);
    assert_eq!(refused(&["c=IN IP6 2001:db8::1", "m=audio 4000 RTP/AVP 0"]), SdpError::Address);
    assert_eq!(refused(&[ADDRESS, "m=audio many RTP/AVP 0"]), SdpError::Syntax { line: 5 });
    assert_eq!(session().answer(b"hello", None, Direction::SendRecv).unwrap_err(), SdpError::Syntax { line: 0 });
    let long = vec![b'a'; 40_000];
    assert_eq!(session().answer(&long, None, Direction::SendRecv).unwrap_err(), SdpError::TooLarge);
    assert_eq!(refused(&["m=audio 4000 RTP/AVP 0"; 17]), SdpError::TooLarge);
}

#[test]
fn ipv6_peers_are_reached_from_an_ipv6_address() {
    let mut session = Session::new(1, "[2001:db8::1]:10000".parse().unwrap());
    let offer = described(&["c=IN IP6 2001:db8::7", "m=audio 4000 RTP/AVP 0"]);
    let (text, media) = session.answer(&offer, None, Direction::SendRecv).unwrap();
    assert_eq!(media.peer, "[2001:db8::7]:4000".parse().unwrap());
    assert!(text.contains("c=IN IP6 2001:db8::1\r\n"));
}

#[test]
fn an_answer_gives_each_direction_its_own_numbers() {
    let mut session = session();
    assert_eq!(session.apply_answer(&described(&[ADDRESS])).unwrap_err(), SdpError::Unexpected);
    session.offer(&[Codec::Pcmu, Codec::Pcma], Direction::SendRecv);
    let lines = [ADDRESS, "m=audio 4000 RTP/AVP 8 97", "a=rtpmap:8 PCMA/8000", "a=rtpmap:97 telephone-event/8000"];
    let media = session.apply_answer(&described(&lines)).unwrap();
    assert_eq!(media.send, PayloadTypes { codec: Codec::Pcma, audio: 8, telephone_event: Some(97) });
    assert_eq!(media.receive, PayloadTypes { codec: Codec::Pcma, audio: 8, telephone_event: Some(101) });
    let other_fork = session.apply_answer(&described(&["c=IN IP4 198.51.100.2", "m=audio 4000 RTP/AVP 0"])).unwrap();
    assert_eq!(other_fork.receive, PayloadTypes { codec: Codec::Pcmu, audio: 0, telephone_event: None });
    assert_eq!(session.apply_answer(&described(&[ADDRESS, "m=audio 0 RTP/AVP 0"])).unwrap_err(), SdpError::NoAudio);
    assert_eq!(session.apply_answer(&described(&[ADDRESS, "m=audio 1 RTP/AVP 9"])).unwrap_err(), SdpError::NoCodec);
}

#[test]
fn hold_and_resume_in_all_their_forms() {
    let mut session = session();
    let stream = "m=audio 4000 RTP/AVP 0";
    let mut answer = |lines: &[&str]| session.answer(&described(lines), None, Direction::SendRecv).unwrap();
    let (first, _) = answer(&[ADDRESS, stream]);
    let (repeated, _) = answer(&[ADDRESS, stream]);
    assert_eq!(first, repeated, "nothing has changed, so the version stays");

    let (text, media) = answer(&[ADDRESS, stream, "a=sendonly"]);
    assert!(text.contains("o=- 42 1 ") && text.contains("a=recvonly"), "{text}");
    assert_eq!((media.direction, media.held()), (Direction::RecvOnly, true));

    let (text, media) = answer(&[ADDRESS, "a=inactive", stream]);
    assert!(text.contains("o=- 42 2 ") && text.contains("a=inactive"), "{text}");
    assert_eq!((media.direction, media.held()), (Direction::Inactive, true));

    // RFC 2543's form; the address of before stays for what may still come.
    let (_, media) = answer(&["c=IN IP4 0.0.0.0", stream]);
    assert_eq!((media.direction, media.held()), (Direction::RecvOnly, true));
    assert_eq!(media.peer, "198.51.100.1:4000".parse().unwrap());

    let (_, media) = answer(&[ADDRESS, stream]);
    assert_eq!((media.direction, media.held()), (Direction::SendRecv, false));
}

#[test]
fn hold_is_passed_on_by_a_re_offer_that_keeps_the_streams() {
    let mut session = session();
    let offer = [ADDRESS, "m=video 5000 RTP/AVP 31", "m=audio 4000 RTP/AVP 96 101", "a=rtpmap:96 PCMA/8000"];
    session.answer(&described(&offer), None, Direction::SendRecv).unwrap();
    let text = session.offer(&[Codec::Pcma], Direction::SendOnly);
    assert!(text.contains("o=- 42 1 "), "{text}");
    assert!(text.contains("m=video 0 RTP/AVP 31\r\nm=audio 10000 RTP/AVP 96 101\r\na=rtpmap:96 PCMA"), "{text}");
    assert_eq!(session.current().unwrap(), text);
    let answer = [ADDRESS, "m=video 0 RTP/AVP 31", "m=audio 4000 RTP/AVP 96", "a=rtpmap:96 PCMA/8000", "a=recvonly"];
    let media = session.apply_answer(&described(&answer)).unwrap();
    assert_eq!((media.direction, media.held()), (Direction::SendOnly, false));
}

#[test]
fn a_narrower_wish_of_ours_narrows_the_answer() {
    let offer = described(&[ADDRESS, "m=audio 4000 RTP/AVP 0"]);
    let (text, media) = session().answer(&offer, None, Direction::SendOnly).unwrap();
    assert!(text.contains("a=sendonly"));
    assert_eq!((media.direction, media.held()), (Direction::SendOnly, false));
}

#[test]
fn digits_get_another_number_when_theirs_is_taken() {
    let mut session = session();
    let offer = described(&[ADDRESS, "m=audio 4000 RTP/AVP 101", "a=rtpmap:101 PCMA/8000"]);
    session.answer(&offer, None, Direction::SendRecv).unwrap();
    let text = session.offer(&[Codec::Pcma], Direction::SendRecv);
    assert!(text.contains("m=audio 10000 RTP/AVP 101 102\r\n"), "{text}");
}

proptest! {
    // spec: SE-6
    #[test]
    fn no_bytes_are_too_odd(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = SessionDescription::parse(&body);
    }

    // spec: SE-6
    #[test]
    fn no_lines_are_too_odd(lines in proptest::collection::vec("[vosctma]=[ -~]{0,40}", 0..30)) {
        let body = lines.join("\n");
        if let Ok((text, _)) = session().answer(body.as_bytes(), None, Direction::SendRecv) {
            prop_assert!(SessionDescription::parse(text.as_bytes()).is_ok());
        }
    }

    #[test]
    fn what_we_write_reads_back(port in 1u16.., version in any::<u64>(), direction in 0usize..4) {
        let directions = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
        let mut session = Session::new(version, SocketAddr::from(([192, 0, 2, 1], port)));
        let text = session.offer(&Codec::ALL, directions[direction]);
        let read = SessionDescription::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(read.to_string(), text);
        prop_assert_eq!(read.media[0].port, port);
    }
}

// spec: CL-4
#[test]
fn cl_4_a_session_that_goes_on_elsewhere_is_the_same_session() {
    let offer = "v=0\r\no=- 5 5 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=video 9 RTP/AVP 99\r\n\
        m=audio 4000 RTP/AVP 96 97\r\na=rtpmap:96 PCMA/8000\r\na=rtpmap:97 telephone-event/8000\r\n";
    let mut session = Session::new(77, "192.0.2.1:20000".parse().unwrap());
    let (said, agreed) = session.answer(offer.as_bytes(), None, Direction::SendRecv).unwrap();
    let heir = "192.0.2.2:0".parse().unwrap();
    let mut resumed = Session::resume(said.as_bytes(), heir, Some(agreed.peer)).unwrap();
    assert_eq!(resumed.current(), None, "nothing has been said here");
    resumed.set_local("192.0.2.2:30000".parse().unwrap());
    let again = resumed.offer(&Codec::ALL, Direction::SendRecv);
    let read = SessionDescription::parse(again.as_bytes()).unwrap();
    assert_eq!((read.session, read.version), (77, 1));
    assert_eq!((read.origin, read.connection), ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok()));
    let streams: Vec<_> = read.media.iter().map(|media| (media.kind.as_str(), media.port)).collect();
    assert_eq!(streams, [("video", 0), ("audio", 30_000)], "number and order of the streams stay (RFC 3264 §8)");
    assert_eq!(read.media[1].payload_types().collect::<Vec<_>>(), [96, 0, 97], "and so do the payload types in use");
    // What it says next is the next version, and an old form of hold still finds the address.
    let held = "v=0\r\no=- 5 6 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=video 0 RTP/AVP 99\r\n\
        m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 PCMA/8000\r\n";
    let (answer, negotiated) = resumed.answer(held.as_bytes(), None, Direction::SendRecv).unwrap();
    assert_eq!(SessionDescription::parse(answer.as_bytes()).unwrap().version, 2);
    assert_eq!(negotiated.peer, agreed.peer);
}

#[test]
fn only_a_description_of_ours_can_be_resumed() {
    let here = "192.0.2.2:0".parse().unwrap();
    let resume = |text: &str| Session::resume(text.as_bytes(), here, None).map(drop);
    let good = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n";
    assert_eq!(resume(good), Ok(()));
    assert_eq!(resume(&good.replace("4000", "0")), Err(SdpError::NoAudio));
    assert_eq!(resume(&good.replace("AVP 0", "AVP 3")), Err(SdpError::NoCodec));
    assert_eq!(resume(&good.replace("o=- 1 1 IN IP4 192.0.2.1\r\n", "")), Err(SdpError::Address));
    assert_eq!(resume(&good.replace("1 1 IN", &format!("1 {} IN", u64::MAX))), Err(SdpError::Unexpected));
    assert!(resume("").is_err());
}
