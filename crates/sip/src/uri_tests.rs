use super::{Host, Scheme, Uri, UriError, escape_user};
use crate::flow::Transport;

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn parts_of_a_full_uri() {
    let u = uri("sip:alice:secret@[2001:db8::10]:5070;transport=tcp;lr?subject=a%20b&x=y");
    assert_eq!(u.user_raw(), Some(&b"alice"[..]));
    assert_eq!(u.password(), Some(&b"secret"[..]));
    assert_eq!(u.host(), Some(Host::Ip("2001:db8::10".parse().unwrap())));
    assert_eq!(u.port(), Some(5070));
    assert_eq!(u.transport(), Some(Transport::Tcp));
    assert_eq!(u.param("LR"), Some(&b""[..]));
    assert_eq!(u.headers_raw(), Some(&b"subject=a%20b&x=y"[..]));
    assert_eq!(u.socket_addr(), Some("[2001:db8::10]:5070".parse().unwrap()));
}

#[test]
fn tel_and_unknown_schemes_are_kept() {
    let tel = uri("tel:+1-201-555-0123;phone-context=example.com");
    assert_eq!(tel.scheme(), Scheme::Tel);
    assert_eq!(tel.user_raw(), Some(&b"+1-201-555-0123"[..]));
    assert_eq!(tel.param("phone-context"), Some(&b"example.com"[..]));
    let other = uri("soap.beep://192.0.2.103:3002");
    assert_eq!(other.scheme(), Scheme::Other);
    assert_eq!(other.to_string(), "soap.beep://192.0.2.103:3002");
}

#[test]
fn malformed_uris_name_the_part() {
    for (text, error) in [
        ("2001:db8::10", UriError::Scheme),
        ("sip:2001:db8::10", UriError::Port),
        ("sip:@example.com", UriError::User),
        ("sip:", UriError::Host),
        ("sip:a b@c", UriError::Character),
        ("sip:a@c:99999", UriError::Port),
        ("sip:a@[::1", UriError::Host),
        ("sip:a@[::1]x", UriError::Host),
    ] {
        assert_eq!(text.parse::<Uri>(), Err(error), "{text}");
    }
}

#[test]
fn equality_of_rfc_3261_19_1_4() {
    for (a, b) in [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ] {
        assert!(uri(a).equivalent(&uri(b)), "{a} = {b}");
        assert!(uri(b).equivalent(&uri(a)), "{b} = {a}");
    }
    for (a, b) in [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com:6000;transport=tcp", "sip:bob@biloxi.com"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    ] {
        assert!(!uri(a).equivalent(&uri(b)), "{a} <> {b}");
    }
}

#[test]
fn escapes_resolve_once_and_nulls_survive() {
    assert_eq!(uri("sip:sips%3Auser%40example.com@example.net").user_text().unwrap(), "sips:user@example.com");
    assert_eq!(uri("sip:null-%00-null@example.com").user().unwrap().as_ref(), b"null-\0-null");
    assert_eq!(uri("sip:%25%34%31@h").user_text().unwrap(), "%41");
    assert_eq!(uri("sip:100%@h").user_text().unwrap(), "100%");
}

#[test]
fn escaped_users_read_back() {
    for text in ["1763640000.000000-123456.000000", "a b@c", "*41#", "Łódź%"] {
        let u = uri(&format!("sip:{}@h", escape_user(text)));
        assert_eq!(u.user_text().unwrap(), text);
    }
    assert_eq!(escape_user("1763640000.000000-12.000000"), "1763640000.000000-12.000000");
}
