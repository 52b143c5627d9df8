use super::{
    AgentRoute, Codes, Feature, NumberRoute, QueueRoute, RouteError, Routing, Step, Tables, Target, TrunkRoute,
    WaitingSound,
};
use crate::ids::{AgentId, CallId, DeviceId, Name, NodeId, NumberId, QueueId, SoundId, TrunkId};
use crate::leg::{CallerId, Cause, Incoming, Source};
use crate::view::AgentCommand;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn queue(tenant: &str) -> QueueId {
    QueueId::new(name(tenant), name("support"))
}

fn anna(tenant: &str) -> AgentId {
    AgentId::new(name(tenant), name("anna"))
}

fn trunk(tenant: &str) -> TrunkId {
    TrunkId::new(name(tenant), name("carrier"))
}

fn number(tenant: &str, id: &str, number: &str) -> NumberRoute {
    NumberRoute {
        greeting: Some(SoundId::new(name(tenant), name("welcome"))),
        ..NumberRoute::new(
            NumberId::new(name(tenant), name(id)),
            number.parse().unwrap(),
            trunk(tenant),
            Target::Queue(queue(tenant)),
        )
    }
}

fn tables() -> Tables {
    Tables {
        numbers: vec![number("acme", "main", "+33123456789")],
        queues: vec![QueueRoute {
            short_number: Some("99900".parse().unwrap()),
            pickup: vec![anna("acme")],
            extension: Some("201".parse().unwrap()),
            waiting_sound: WaitingSound::Music,
            ..QueueRoute::new(queue("acme"))
        }],
        agents: vec![AgentRoute { id: anna("acme"), extension: Some("101".parse().unwrap()), mobile: None }],
        trunks: vec![
            TrunkRoute { id: TrunkId::new(name("acme"), name("inbound")), outbound: false },
            TrunkRoute { id: trunk("acme"), outbound: true },
        ],
        ..Tables::default()
    }
}

fn incoming(source: Source, dialled: &str) -> Incoming {
    let call = CallId { node: NodeId(1), boot: 1, number: 1 };
    Incoming { call, source, dialled: dialled.to_owned(), to_user: String::new(), caller: CallerId::default() }
}

fn steps(source: Source, dialled: &str) -> Vec<Step> {
    let plan = Routing::new(tables()).unwrap().plan(&incoming(source, dialled));
    assert!(!plan.why.is_empty(), "RT-9: every decision is explained");
    plan.steps
}

fn phone() -> Source {
    Source::Device(DeviceId { agent: anna("acme"), index: 0 })
}

// spec: RT-3
#[test]
fn rt_3_a_number_greets_and_then_leads_to_its_target() {
    let greeting = Step::Greeting(SoundId::new(name("acme"), name("welcome")));
    let way = [greeting, Step::Queue(queue("acme"))];
    assert_eq!(steps(Source::Trunk(trunk("acme")), "+33123456789"), way);
    assert_eq!(steps(Source::Trunk(trunk("acme")), "33123456789"), way, "carriers leave out the plus");
    assert_eq!(steps(phone(), "+33 1 23 45 67 89"), way, "our own number is not called through a carrier");
}

// spec: RT-5
#[test]
fn rt_5_agents_dial_extensions_and_callers_do_not() {
    assert_eq!(steps(phone(), "201"), [Step::Queue(queue("acme"))]);
    assert_eq!(steps(phone(), "101"), [Step::Agent(anna("acme"))]);
    assert_eq!(steps(Source::Trunk(trunk("acme")), "201"), [Step::Refuse(Cause::NotFound)]);
}

// spec: SE-2
#[test]
fn se_2_a_trunk_reaches_the_numbers_of_its_own_tenant_only() {
    assert_eq!(steps(Source::Trunk(trunk("other")), "+33123456789"), [Step::Refuse(Cause::NotFound)]);
    assert_eq!(steps(Source::Trunk(trunk("acme")), "+48600000000"), [Step::Refuse(Cause::NotFound)]);
}

#[test]
fn an_international_number_goes_out_through_the_first_outbound_trunk() {
    let dial = Step::Dial {
        trunk: trunk("acme"),
        number: "+48600000000".parse().unwrap(),
        show: CallerId { number: "+33123456789".to_owned(), name: String::new() },
    };
    assert_eq!(steps(phone(), "0048 600 000 000"), [dial]);
    assert_eq!(steps(phone(), "600000000"), [Step::Refuse(Cause::NotFound)], "OB-6: not international");
}

// spec: OB-4
#[test]
fn ob_4_a_number_that_leads_nowhere_is_an_error() {
    let mut broken = tables();
    broken.numbers[0].target = Target::Agent(anna("other"));
    let error = Routing::new(broken).unwrap_err();
    assert_eq!(error.to_string(), "tenants/acme/numbers/main leads nowhere: there is no tenants/other/agents/anna");
}

// spec: RT-5
#[test]
fn rt_5_an_extension_is_unique_in_its_tenant() {
    let mut broken = tables();
    broken.agents[0].extension = Some("201".parse().unwrap());
    assert!(matches!(Routing::new(broken), Err(RouteError::DuplicateExtension { .. })));
    let mut fine = tables();
    fine.agents.push(AgentRoute { id: anna("other"), extension: Some("201".parse().unwrap()), mobile: None });
    assert!(Routing::new(fine).is_ok(), "another tenant may use it");
}

#[test]
fn a_phone_number_belongs_to_one_number() {
    let mut broken = tables();
    broken.numbers.push(number("acme", "second", "+33 1 23 45 67 89"));
    assert!(matches!(Routing::new(broken), Err(RouteError::DuplicateNumber { .. })));
}

// spec: TR-5, TR-6
#[test]
fn tr_5_codes_are_commands_of_the_agent_who_dials_them() {
    assert_eq!(steps(phone(), "*4199900"), [Step::Command(AgentCommand::QueueLogIn(queue("acme")))]);
    assert_eq!(steps(phone(), "*4299900"), [Step::Command(AgentCommand::QueueLogOut(queue("acme")))]);
    assert_eq!(steps(phone(), "*44"), [Step::Command(AgentCommand::Ready)]);
    for unknown in ["*4199901", "*41", "*4199900999"] {
        assert_eq!(steps(phone(), unknown), [Step::Decline], "{unknown}");
    }
    assert_eq!(steps(Source::Trunk(trunk("acme")), "*44"), [Step::Refuse(Cause::NotFound)], "callers dial no codes");
}

// spec: TR-4
#[test]
fn tr_4_only_the_agents_of_a_queue_pick_up_there() {
    assert_eq!(steps(phone(), "*11"), [Step::PickUp(vec![queue("acme")])]);
    let piotr = AgentId::new(name("acme"), name("piotr"));
    assert_eq!(steps(Source::Device(DeviceId { agent: piotr, index: 0 }), "*11"), [Step::Decline]);
}

// spec: TR-5
#[test]
fn tr_5_each_tenant_has_its_own_codes_and_short_numbers() {
    let mut tables = tables();
    let mut codes = Codes::default();
    codes.set(Feature::QueueLogIn, "#1".parse().unwrap());
    tables.codes.insert(name("acme"), codes);
    let mut other = tables.queues[0].clone();
    other.id = queue("other");
    tables.queues.push(other.clone());
    let plan = |tables: Tables, dialled| Routing::new(tables).unwrap().plan(&incoming(phone(), dialled)).steps;
    assert_eq!(plan(tables.clone(), "#199900"), [Step::Command(AgentCommand::QueueLogIn(queue("acme")))]);
    assert_eq!(plan(tables.clone(), "*4199900"), [Step::Refuse(Cause::NotFound)], "not the code of this tenant");
    other.id = QueueId::new(name("other"), name("sales"));
    other.extension = None;
    tables.queues.push(other);
    let error = Routing::new(tables).unwrap_err().to_string();
    assert_eq!(error, "short number 99900 belongs to tenants/other/queues/support and to tenants/other/queues/sales");
}
