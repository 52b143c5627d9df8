//! Phones register, refresh, come with several contacts and leave. Spec: SE-1, issue 2 item 4.

use crate::support::{Center, Msg, Phone, Talk, authorization, fixed, registering};

fn center() -> Center {
    Center::start(vec![registering("anna"), registering("ivan")], vec![])
}

// spec: SE-1
#[test]
fn se_1_a_phone_registers_with_either_algorithm() {
    let center = center();
    for (user, algorithm) in [("anna", "MD5"), ("ivan", "SHA-256")] {
        let phone = Phone::new("127.0.9.2", center.addr());
        let ok = phone.register(user, algorithm, 600);
        let contact = ok.header("Contact");
        assert!(contact.contains(&format!("<sip:phone@{}>", phone.addr())), "{contact}");
        assert!(contact.contains("expires="), "{contact}");
        center.expect_reachable(user, true);
    }
    assert_eq!(center.edge.stats().registrations, 2);
}

// spec: SE-1
#[test]
fn se_1_a_wrong_password_and_a_replayed_answer_are_challenged_again() {
    let center = center();
    let phone = Phone::new("127.0.9.2", center.addr());
    let mut talk = phone.talk("anna", "anna");
    talk.uri = format!("sip:{}", center.addr());
    phone.request("REGISTER", &talk, 1, "", "");
    let challenge = phone.expect(401);
    let wrong = authorization(&challenge, "MD5", "REGISTER", &talk.uri, "anna", "guess", 1);
    phone.request("REGISTER", &talk, 2, &wrong, "");
    let challenge = phone.expect(401);
    let right = authorization(&challenge, "MD5", "REGISTER", &talk.uri, "anna", "anna-secret", 1);
    phone.request("REGISTER", &talk, 3, &right, "");
    phone.expect(200);
    phone.request("REGISTER", &talk, 4, &right, "");
    phone.expect(401);
    let next = authorization(&challenge, "MD5", "REGISTER", &talk.uri, "anna", "anna-secret", 2);
    phone.request("REGISTER", &talk, 5, &next, "");
    phone.expect(200);
}

// baresip 1 gives up when a challenge names an algorithm that it does not know, instead of passing over it.
#[test]
fn a_phone_that_gives_up_at_sha_256_is_shown_md5_alone() {
    let center = center();
    let known = Phone::new("127.0.9.2", center.addr());
    let talk = Talk { uri: format!("sip:{}", center.addr()), ..known.talk("anna", "anna") };
    known.request("REGISTER", &talk, 1, "User-Agent: baresip v1.0.0 (x86_64/linux)\r\n", "");
    assert_eq!(algorithms(&known.expect(401)), ["MD5"]);

    let unknown = Phone::new("127.0.9.3", center.addr());
    let talk = Talk { uri: format!("sip:{}", center.addr()), ..unknown.talk("ivan", "ivan") };
    unknown.request("REGISTER", &talk, 1, "", "");
    assert_eq!(algorithms(&unknown.expect(401)), ["SHA-256", "MD5"]);
    unknown.request("REGISTER", &talk, 2, "", "");
    let challenge = unknown.expect(401);
    assert_eq!(algorithms(&challenge), ["MD5"], "it did not answer both");
    let answer = authorization(&challenge, "MD5", "REGISTER", &talk.uri, "ivan", "ivan-secret", 1);
    unknown.request("REGISTER", &talk, 3, &answer, "");
    unknown.expect(200);
    unknown.request("REGISTER", &talk, 4, "", "");
    assert_eq!(algorithms(&unknown.expect(401)), ["MD5"], "and would not now");
}

#[test]
fn a_phone_that_answers_goes_on_being_shown_both_algorithms() {
    let center = center();
    let phone = Phone::new("127.0.9.2", center.addr());
    for _ in 0..3 {
        phone.register("anna", "SHA-256", 600);
    }
}

fn algorithms(challenge: &Msg) -> Vec<&str> {
    let challenges = challenge.headers("WWW-Authenticate").into_iter();
    challenges.map(|c| c.split("algorithm=").nth(1).unwrap().split(',').next().unwrap()).collect()
}

#[test]
fn one_user_cannot_register_another() {
    let center = center();
    let phone = Phone::new("127.0.9.2", center.addr());
    let mut talk = phone.talk("anna", "ivan");
    talk.uri = format!("sip:{}", center.addr());
    phone.request("REGISTER", &talk, 1, "", "");
    let challenge = phone.expect(401);
    let answer = authorization(&challenge, "MD5", "REGISTER", &talk.uri, "anna", "anna-secret", 1);
    phone.request("REGISTER", &talk, 2, &answer, "");
    phone.expect(403);
    assert_eq!(center.edge.stats().registrations, 0);
}

#[test]
fn several_contacts_live_side_by_side_and_leave_one_by_one() {
    let center = center();
    let (desk, mobile) = (Phone::new("127.0.9.2", center.addr()), Phone::new("127.0.9.3", center.addr()));
    desk.register("anna", "MD5", 600);
    center.expect_contacts("anna", &[&desk]);
    let both = mobile.register("anna", "MD5", 600);
    center.expect_contacts("anna", &[&desk, &mobile]);
    assert_eq!(both.headers("Contact").join(",").matches("sip:phone@").count(), 2, "{}", both.text);
    desk.register("anna", "MD5", 0);
    assert_eq!(center.edge.stats().registrations, 1);
    center.expect_contacts("anna", &[&mobile]);
    mobile.register("anna", "MD5", 600);
    center.expect_contacts("anna", &[&mobile]);
    mobile.register("anna", "MD5", 0);
    center.expect_contacts("anna", &[]);
    assert_eq!(center.edge.stats().registrations, 0);
}

#[test]
fn a_contact_that_no_edge_could_dial_is_refused() {
    let center = center();
    let phone = Phone::new("127.0.9.2", center.addr());
    for contact in [format!("sip:{}@10.0.0.7", "x".repeat(1_100)), "sip:\u{fc}@10.0.0.7".into()] {
        let talk = Talk { uri: format!("sip:{}", center.addr()), ..phone.talk("anna", "anna") };
        phone.request("REGISTER", &talk, 1, "", "");
        let challenge = phone.expect(401);
        let answer = authorization(&challenge, "MD5", "REGISTER", &talk.uri, "anna", "anna-secret", 1);
        let text = phone.text("REGISTER", &talk, 2, &answer, "");
        phone.send(&text.replace(&format!("sip:phone@{}", phone.addr()), &contact));
        assert!(phone.expect(400).start_line().contains("unusable Contact"));
    }
    assert_eq!(center.edge.stats().registrations, 0);
}

#[test]
fn a_fixed_contact_is_reachable_from_the_start_until_it_is_taken_out() {
    let phone = Phone::new("127.0.9.2", ([127, 0, 9, 1], 5060).into());
    let center = Center::start(vec![fixed("piotr", phone.addr())], vec![]);
    center.expect_reachable("piotr", true);
    let empty = carillon_edge::Directory::new(vec![], vec![]).unwrap();
    center.edge.update_directory(std::sync::Arc::new(empty));
    center.expect_reachable("piotr", false);
}

#[test]
fn a_registration_ends_with_its_device() {
    let center = center();
    let phone = Phone::new("127.0.9.2", center.addr());
    phone.register("anna", "MD5", 600);
    center.expect_reachable("anna", true);
    let only_ivan = carillon_edge::Directory::new(vec![registering("ivan")], vec![]).unwrap();
    center.edge.update_directory(std::sync::Arc::new(only_ivan));
    center.expect_reachable("anna", false);
    assert_eq!(center.edge.stats().registrations, 0);
}
