use super::{Frame, FrameError, Framer};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

fn message(call: u32, body: &[u8]) -> Vec<u8> {
    let mut m = format!("OPTIONS sip:a SIP/2.0\r\nCall-ID: {call}\r\nl : {}\r\n\r\n", body.len()).into_bytes();
    m.extend_from_slice(body);
    m
}

fn frames(framer: &mut Framer) -> Vec<Frame> {
    std::iter::from_fn(|| framer.next_frame().unwrap()).collect()
}

#[test]
fn two_messages_and_keep_alives_in_one_push() {
    let mut framer = Framer::new();
    let (a, b) = (message(1, b"v=0\r\n\r\n"), message(2, b""));
    framer.push(&[b"\r\n\r\n", &a[..], b"\r\n", &b[..], b"\r\n\r\n"].concat());
    let expected = [Frame::KeepAlive, Frame::Message(a.into()), Frame::Message(b.into()), Frame::KeepAlive];
    assert_eq!(frames(&mut framer), expected);
    assert_eq!(framer.buffered(), 0);
}

// spec: SE-6
#[test]
fn bad_lengths_end_the_stream() {
    for (head, error) in [
        ("Content-Length: 5\r\nContent-Length: 5\r\n", FrameError::ContentLength),
        ("Content-Length: -999\r\n", FrameError::ContentLength),
        ("Content-Length: 99999999999999999999999999\r\n", FrameError::ContentLength),
        ("Content-Length: 18446744073709551615\r\n", FrameError::TooLong),
        ("Content-Length: 70000\r\n", FrameError::TooLong),
        ("Subject: none\r\n", FrameError::ContentLength),
    ] {
        let mut framer = Framer::new();
        framer.push(format!("OPTIONS sip:a SIP/2.0\r\n{head}\r\n").as_bytes());
        assert_eq!(framer.next_frame(), Err(error), "{head}");
    }
}

// spec: SE-6
#[test]
fn a_header_without_end_is_refused_at_the_limit() {
    let mut framer = Framer::new();
    for _ in 0..64 {
        framer.push(&[b'a'; 1024]);
        assert_eq!(framer.next_frame(), if framer.buffered() > 65_535 { Err(FrameError::TooLong) } else { Ok(None) });
    }
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (any::<u32>(), proptest::collection::vec(any::<u8>(), 0..60)).prop_map(|(call, body)| message(call, &body)),
        Just(b"\r\n\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
    ]
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_frames(
        pieces in proptest::collection::vec(piece(), 0..8),
        cuts in proptest::collection::vec(1usize..40, 0..200),
    ) {
        let bytes = pieces.concat();
        let mut whole = Framer::new();
        whole.push(&bytes);
        let expected = frames(&mut whole);
        let (mut framer, mut got, mut rest) = (Framer::new(), Vec::new(), &bytes[..]);
        let mut cuts = cuts.into_iter();
        while !rest.is_empty() {
            let cut = cuts.next().unwrap_or(rest.len()).min(rest.len());
            framer.push(&rest[..cut]);
            got.extend(frames(&mut framer));
            rest = &rest[cut..];
        }
        proptest::prop_assert_eq!(got, expected);
        proptest::prop_assert_eq!(framer.buffered(), whole.buffered());
    }
}
