use super::digest::{Algorithm, Inputs};
use super::{Authenticator, Challenges, Credentials, Verdict, answer, claimed_username};
use crate::message::{Header, Message, Method, Request, RequestBuilder, Response, ResponseBuilder};
use crate::time::Moment;
use std::time::Duration;

fn at(s: u64) -> Moment {
    Moment::at(Duration::from_secs(s))
}

fn authenticator() -> Authenticator {
    Authenticator::new("carillon", [7; 32], Duration::from_secs(60), 4)
}

fn register(authorization: Option<&str>) -> Request {
    let mut builder = RequestBuilder::new(Method::Register, &"sip:carillon".parse().unwrap())
        .from("<sip:alice@carillon>;tag=1")
        .to("<sip:alice@carillon>")
        .call_id("c");
    if let Some(value) = authorization {
        builder = builder.header(Header::Authorization, value);
    }
    match Message::parse(builder.build("SIP/2.0/UDP h;branch=z9hG4bK1")) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn challenged(auth: &Authenticator, now: Moment, stale: bool, only: Option<&str>) -> Response {
    let mut rejection = auth.challenge(now, 42, stale, Challenges::Both);
    rejection.headers.retain(|(_, value)| only.is_none_or(|a| value.contains(a)));
    match Message::parse(ResponseBuilder::reject(&register(None), &rejection).build().bytes) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

fn credentials(password: &str) -> Credentials {
    Credentials { username: "alice".to_owned(), password: password.to_owned() }
}

fn answered(response: &Response, password: &str) -> Request {
    let (header, value) =
        answer(response, &credentials(password), &Method::Register, "sip:carillon", "0a4f113b").unwrap();
    assert_eq!(header, Header::Authorization);
    register(Some(&value))
}

fn verify(auth: &mut Authenticator, now: Moment, request: &Request) -> Verdict {
    auth.verify(now, request, |user| (user == "alice").then_some("secret"))
}

fn accepted() -> Verdict {
    Verdict::Accepted { username: "alice".to_owned() }
}

// spec: SE-1
#[test]
fn responses_of_rfc_7616_3_9_1() {
    for (algorithm, expected) in [
        (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
        (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let inputs = Inputs {
            algorithm,
            username: "Mufasa",
            realm: "http-auth@example.org",
            method: "GET",
            uri: "/dir/index.html",
            nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            quality: Some(("00000001", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")),
        };
        assert_eq!(inputs.response("Circle of Life"), expected);
    }
}

// spec: SE-1
#[test]
fn both_algorithms_are_offered_and_accepted_sha_256_preferred() {
    let mut auth = authenticator();
    let both = challenged(&auth, at(0), false, None);
    assert!(both.lines(Header::WwwAuthenticate).next().unwrap().windows(7).any(|w| w == b"SHA-256"));
    let request = answered(&both, "secret");
    assert!(request.get(Header::Authorization).unwrap().windows(7).any(|w| w == b"SHA-256"));
    assert_eq!(verify(&mut auth, at(1), &request), accepted());
    assert_eq!(claimed_username(&request).as_deref(), Some("alice"));
    let mut auth = authenticator();
    let md5 = answered(&challenged(&auth, at(0), false, Some("MD5")), "secret");
    assert_eq!(verify(&mut auth, at(1), &md5), accepted());
}

// spec: SE-1
#[test]
fn replays_and_old_or_foreign_nonces_are_stale() {
    let mut auth = authenticator();
    let request = answered(&challenged(&auth, at(0), false, None), "secret");
    assert_eq!(verify(&mut auth, at(1), &request), accepted());
    assert_eq!(verify(&mut auth, at(1), &request), Verdict::Stale, "the same count again");
    let late = answered(&challenged(&auth, at(100), false, None), "secret");
    assert_eq!(verify(&mut auth, at(161), &late), Verdict::Stale, "after its lifetime");
    let stranger = Authenticator::new("carillon", [8; 32], Duration::from_secs(60), 4);
    let foreign = answered(&challenged(&stranger, at(100), true, None), "secret");
    assert_eq!(verify(&mut auth, at(101), &foreign), Verdict::Stale, "another secret: the node was started again");
}

// spec: SE-1
#[test]
fn wrong_unknown_and_unreadable() {
    let mut auth = authenticator();
    let challenge = challenged(&auth, at(0), false, None);
    let wrong = Verdict::Wrong { username: "alice".to_owned() };
    assert_eq!(verify(&mut auth, at(1), &answered(&challenge, "guess")), wrong);
    assert_eq!(auth.verify(at(1), &answered(&challenge, ""), |_| None), wrong, "an unknown user has no empty password");
    assert_eq!(verify(&mut auth, at(1), &register(None)), Verdict::Missing);
    assert_eq!(verify(&mut auth, at(1), &register(Some("NoOneKnowsThisScheme opaque-data=here"))), Verdict::Missing);
    assert_eq!(verify(&mut auth, at(1), &register(Some("Digest realm=\"carillon\""))), Verdict::Malformed);
    assert_eq!(verify(&mut auth, at(1), &answered(&challenge, "secret")), accepted(), "failures spend no nonce");
}

// spec: SE-1
#[test]
fn counts_may_overtake_but_never_repeat_and_memory_is_bounded() {
    let mut nonces = super::nonce::Nonces::new([1; 32], Duration::from_secs(60), 2);
    let nonce = nonces.issue(at(0), 1);
    let spent = [1, 3, 2, 2, 3, 200, 100, 199].map(|nc| nonces.spend(at(1), &nonce, Some(nc)));
    assert_eq!(spent, [true, true, true, false, false, true, false, true]);
    let (second, third) = (nonces.issue(at(2), 2), nonces.issue(at(3), 3));
    assert!(nonces.spend(at(4), &second, None));
    assert!(!nonces.spend(at(4), &second, None), "without counts a nonce is good once");
    assert!(nonces.spend(at(4), &third, Some(1)));
    assert!(!nonces.spend(at(4), &nonce, Some(300)), "forgotten for room: stale, not replayable");
}
