use super::{Dialog, RestoreError, Saved};
use crate::message::{Header, Message, Method, Request};
use proptest::prelude::{Strategy, any, proptest};

fn request(text: &str) -> Request {
    match Message::parse(text.replace('\n', "\r\n").into_bytes().into()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn invite() -> Request {
    request(
        "INVITE sip:us@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\nRecord-Route: <sip:p2;lr>, <sip:p1;lr>\n\
         From: \"A, with a comma\"\n <sip:a@x>;tag=a1\nTo: <sip:us@192.0.2.1>\nCall-ID: c1@x\nCSeq: 7 INVITE\n\
         Contact: <sip:a@192.0.2.9:5080;transport=tcp>\nContent-Length: 0\n\n",
    )
}

fn dialog() -> Dialog {
    let mut dialog = Dialog::uas(&invite(), "ours", "<sip:us@192.0.2.1>").unwrap();
    dialog.confirm();
    dialog.request(Method::Invite);
    dialog
}

fn built(dialog: &mut Dialog, method: Method) -> Request {
    let bytes = dialog.request(method).build("SIP/2.0/UDP us;branch=z9hG4bKx");
    request(&String::from_utf8(bytes.to_vec()).unwrap().replace("\r\n", "\n"))
}

// spec: CL-4
#[test]
fn cl_4_a_restored_dialog_is_the_same_one_with_another_contact() {
    let mut before = dialog();
    let saved = before.save();
    let mut after = Dialog::restore(&saved, "<sip:heir@192.0.2.2>").unwrap();
    assert_eq!(after.id(), before.id());
    assert!(!after.is_early());
    let (bye, again) = (built(&mut before, Method::Bye), built(&mut after, Method::Bye));
    for header in [Header::CallId, Header::From, Header::CSeq, Header::Route] {
        assert_eq!(bye.list(header).collect::<Vec<_>>(), again.list(header).collect::<Vec<_>>());
    }
    assert_eq!(bye.uri(), again.uri());
    assert_eq!(again.to_raw(), b"\"A, with a comma\"   <sip:a@x>;tag=a1", "its fold is white space");
    let change = built(&mut after, Method::Invite);
    assert_eq!(change.contact().unwrap().uri().to_string(), "sip:heir@192.0.2.2");
    assert_eq!(after.save().cseq, saved.cseq + 2);
}

#[test]
fn the_peer_may_begin_with_any_number_and_then_only_go_on() {
    let mut dialog = Dialog::restore(&dialog().save(), "<sip:heir@192.0.2.2>").unwrap();
    let bye = |cseq: u32| {
        request(&format!(
            "BYE sip:us@u SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK2\nFrom: <sip:a@x>;tag=a1\n\
             To: <sip:us@u>;tag=ours\nCall-ID: c1@x\nCSeq: {cseq} BYE\nContent-Length: 0\n\n"
        ))
    };
    dialog.on_request(&bye(8)).unwrap();
    dialog.on_request(&bye(8)).unwrap_err();
    dialog.on_request(&bye(9)).unwrap();
}

#[test]
fn numbers_are_left_out_below_the_limit() {
    let mut dialog = dialog();
    dialog.skip(100);
    assert_eq!(built(&mut dialog, Method::Bye).cseq(), 102);
    dialog.skip(u32::MAX);
    assert_eq!(built(&mut dialog, Method::Bye).cseq(), (1 << 31) - 1);
}

#[test]
fn routes_that_led_to_us_come_off() {
    let mut dialog = Dialog::restore(&dialog().save(), "<sip:heir@192.0.2.2>").unwrap();
    assert_eq!(dialog.routes().map(ToString::to_string).collect::<Vec<_>>(), ["sip:p2;lr", "sip:p1;lr"]);
    dialog.shorten_routes(1);
    assert_eq!(dialog.next_hop().to_string(), "sip:p1;lr");
    dialog.shorten_routes(9);
    assert_eq!(dialog.next_hop().to_string(), "sip:a@192.0.2.9:5080;transport=tcp");
}

// spec: SE-6
#[test]
fn what_cannot_have_been_saved_is_refused_by_name() {
    let with = |change: fn(&mut Saved)| {
        let mut saved = dialog().save();
        change(&mut saved);
        Dialog::restore(&saved, "<sip:heir@192.0.2.2>").unwrap_err()
    };
    assert_eq!(with(|saved| saved.call_id.clear()), RestoreError::Text("Call-ID"));
    assert_eq!(with(|saved| saved.call_id = b"a b".to_vec()), RestoreError::Text("Call-ID"));
    assert_eq!(
        with(|saved| saved.remote = b"<sip:a@x>;tag=a1\r\nVia: evil".to_vec()),
        RestoreError::Text("remote address")
    );
    assert_eq!(with(|saved| saved.local = vec![b'x'; 5_000]), RestoreError::Text("local address"));
    assert_eq!(with(|saved| saved.local = b"<sip:a@x>".to_vec()), RestoreError::Tag);
    assert_eq!(with(|saved| saved.target = b"nobody".to_vec()), RestoreError::Address("remote target"));
    assert_eq!(with(|saved| saved.routes.push(b"<sip:".to_vec())), RestoreError::Address("route"));
    assert_eq!(with(|saved| saved.routes = vec![b"<sip:p;lr>".to_vec(); 33]), RestoreError::Routes);
    assert_eq!(with(|saved| saved.cseq = 1 << 31), RestoreError::CSeq(1 << 31));
    assert_eq!(with(|saved| saved.routes[0].push(b'\n')).to_string(), {
        "the route of the dialog is no text of 1 to 4096 bytes without control characters"
    });
}

fn part() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..60)
}

proptest! {
    // spec: SE-6
    #[test]
    fn se_6_whatever_is_restored_makes_requests_that_can_be_read(
        call_id in "[!-~]{1,40}", tag in "[a-z0-9]{0,10}", noise in part(), target in "sip:[a-z]{1,9}@[a-z]{1,9}", cseq in any::<u32>(),
    ) {
        let remote = [b"<sip:b@y>;tag=".as_slice(), tag.as_bytes(), &noise].concat();
        let route = [b"<sip:p".as_slice(), &noise, b">"].concat();
        let local = b"<sip:a@x>;tag=1".to_vec();
        let saved = Saved { call_id: call_id.into(), local, remote, cseq, target: target.into(), routes: vec![route] };
        if let Ok(mut dialog) = Dialog::restore(&saved, "<sip:us@u>") {
            let bytes = dialog.request(Method::Invite).build("SIP/2.0/UDP us;branch=z9hG4bKx");
            let Ok(Message::Request(request)) = Message::parse(bytes) else { panic!("{saved:?}") };
            assert_eq!(request.call_id(), saved.call_id);
            assert_eq!(request.list(Header::Via).count(), 1);
        }
    }

    #[test]
    fn se_6_noise_is_no_dialog(call_id in part(), local in part(), remote in part(), target in part(), route in part()) {
        let saved = Saved { call_id, local, remote, cseq: 1, target, routes: vec![route] };
        let _ = Dialog::restore(&saved, "<sip:us@u>");
    }
}
