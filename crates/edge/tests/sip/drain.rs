//! An edge whose node drains: what is new goes elsewhere, what is there goes on. Spec: CL-6.

use carillon_acd::leg::{Cause, LegCommand, LegEvent};
use carillon_edge::Intake;

use crate::support::scene::scene;
use crate::support::{Center, Phone, Talk, registering};

fn options(phone: &Phone) {
    let talk = phone.talk("12.5-000000", "33123456789");
    phone.request("OPTIONS", &talk, 1, "", "");
}

// spec: CL-6
#[test]
fn cl_6_a_draining_edge_takes_no_new_call_and_lets_conversations_go_on() {
    let scene = scene();
    let talking = scene.bridged();
    scene.center.edge.set_intake(Intake::Registrations);
    let next = scene.carrier.talk("12.5-000001", "33123456789");
    scene.carrier.request("INVITE", &next, 1, "", "");
    let refused = scene.carrier.expect(503);
    assert!(refused.header("Retry-After").parse::<u32>().is_ok(), "{}", refused.text);
    scene.carrier.request("ACK", &next, 1, "", "");
    options(&scene.carrier);
    assert!(scene.carrier.expect(503).header("Retry-After").parse::<u32>().is_ok());
    assert_eq!(scene.center.edge.stats().refused, 1);

    scene.carrier.request("BYE", &talking.caller_talk, 2, "", "");
    scene.carrier.expect(200);
    scene.center.expect_event(talking.caller, LegEvent::Ended(Cause::Normal));
    scene.center.command(talking.leg, LegCommand::HangUp(Cause::Normal));
    let bye = scene.agent.expect_request("BYE");
    scene.agent.respond(&bye, "200 OK", "a1", "", "");

    scene.center.edge.set_intake(Intake::Everything);
    options(&scene.carrier);
    scene.carrier.expect(200);
    let (_, caller) = scene.invite("");
    scene.center.command(caller, LegCommand::HangUp(Cause::Busy));
    scene.carrier.expect(486);
}

// spec: CL-6
#[test]
fn cl_6_phones_are_sent_to_another_edge_when_there_is_one_and_keep_what_they_have() {
    let center = Center::start(vec![registering("anna")], vec![]);
    let phone = Phone::new("127.0.9.2", center.addr());
    phone.register("anna", "MD5", 600);
    center.expect_reachable("anna", true);
    center.edge.set_intake(Intake::Registrations);
    phone.register("anna", "MD5", 600);
    center.expect_reachable("anna", true);

    center.edge.set_intake(Intake::Nothing);
    let talk = Talk { uri: format!("sip:{}", center.addr()), ..phone.talk("anna", "anna") };
    phone.request("REGISTER", &talk, 9, "Expires: 600\r\n", "");
    assert!(phone.expect(503).header("Retry-After").parse::<u32>().is_ok());
    assert_eq!(center.edge.stats().registrations, 1, "what it has stays until it ends");
    phone.register("anna", "MD5", 0);
    center.expect_reachable("anna", false);
}
