//! A configuration that changes while callers wait.

use super::*;

fn becomes(hall: &mut Hall, config: Config) {
    hall.tell(Event::Configured(Box::new(config)));
}

/// Anna is free, Piotr busy; call 1 rings at Anna, the others wait.
fn some_wait(config: Config) -> (Hall, OfferId) {
    let mut hall = Hall::new(config);
    hall.status("anna", Standing::Free);
    hall.status("piotr", Standing::Busy);
    for number in 1..=4 {
        hall.enqueue(first(number));
        hall.pass(Duration::from_millis(100));
    }
    let offers = hall.offers();
    assert_eq!(whom(&offers), [(1, "anna".to_owned())]);
    (hall, offers[0].id)
}

fn places(hall: &Hall) -> Vec<u64> {
    hall.queue.places(hall.now).into_iter().map(|(call, _)| call.number).collect()
}

// spec: QU-8
#[test]
fn qu_8_who_waits_keeps_his_place_and_what_rings_goes_on_ringing() {
    let (mut hall, offer) = some_wait(config(&["anna", "piotr"]));
    for (n, strategy) in (0..).zip(Strategy::ALL) {
        let agents: &[&str] = if n % 2 == 0 { &["ivan", "piotr", "anna"] } else { &["anna", "piotr"] };
        becomes(&mut hall, Config { strategy, ..config(agents) });
        assert_eq!(places(&hall), [2, 3, 4], "{strategy:?}");
        assert_eq!(hall.said(), [], "{strategy:?}: nobody is free, and nothing is said of what rings");
    }
    becomes(&mut hall, config(&["piotr", "anna"]));
    hall.status("piotr", Standing::Free);
    assert_eq!(whom(&hall.offers()), [(2, "piotr".to_owned())]);
    let why = Left::Connected { offer, agent: agent_id("anna") };
    hall.tell(Event::Leave { call: call_id(1), why });
    hall.status("anna", Standing::Busy);
    hall.status("anna", Standing::Free);
    assert_eq!(whom(&hall.offers()), [(3, "anna".to_owned())]);
}

#[test]
fn an_agent_who_is_new_counts_once_he_is_heard_and_one_who_is_gone_does_not() {
    let (mut hall, _) = some_wait(config(&["anna", "piotr"]));
    becomes(&mut hall, config(&["ivan", "anna"]));
    hall.status("piotr", Standing::Free);
    assert_eq!(hall.offers(), [], "he is not on the list any more");
    hall.status("ivan", Standing::Free);
    assert_eq!(whom(&hall.offers()), [(2, "ivan".to_owned())]);
    assert_eq!((hall.queue.view(hall.now).agents, hall.queue.view(hall.now).logged_in), (2, 2));
}

// spec: QU-5
#[test]
fn qu_5_turns_go_on_where_they_were() {
    let turns = |agents: &[&str]| Config { strategy: Strategy::RoundRobin, ..config(agents) };
    let mut hall = Hall::new(turns(&["anna", "piotr", "ivan"]));
    for agent in ["anna", "piotr", "ivan"] {
        hall.status(agent, Standing::Free);
    }
    hall.enqueue(first(1));
    assert_eq!(whom(&hall.offers()), [(1, "anna".to_owned())]);
    becomes(&mut hall, turns(&["maria", "anna", "piotr", "ivan"]));
    hall.status("maria", Standing::Free);
    hall.enqueue(first(2));
    assert_eq!(whom(&hall.offers()), [(2, "piotr".to_owned())], "the next behind Anna");
}

// spec: UN-4
#[test]
fn un_4_a_limit_counts_from_the_entry_also_when_it_is_new() {
    let (mut hall, _) = some_wait(config(&["anna", "piotr"]));
    hall.pass(Duration::from_secs(8));
    becomes(&mut hall, Config { max_wait: Some(Duration::from_secs(9)), ..config(&["anna", "piotr"]) });
    assert_eq!(hall.overflows(), []);
    hall.pass(Duration::from_secs(1));
    let late = |number| (number, OverflowReason::MaxWait);
    assert_eq!(hall.overflows(), [2, 3, 4].map(late), "and the phone that rings for call 1 is not cut");
}

// spec: UN-4
#[test]
fn un_4_a_removed_queue_sends_its_callers_away_and_ends_when_none_comes_any_more() {
    let then = Then::Number("+33123456789".parse().unwrap());
    let mut config = config(&["anna", "piotr"]);
    config.timeout.then = then.clone();
    let (mut hall, offer) = some_wait(config.clone());
    hall.tell(Event::Removed);
    let nobody = |number| (number, OverflowReason::NobodyLoggedIn);
    assert_eq!(hall.overflows(), [2, 3, 4].map(nobody));
    assert!(!hall.queue.is_over());
    for number in 2..=4 {
        hall.tell(Event::Leave { call: call_id(number), why: Left::Overflowed });
    }
    let why = Left::Connected { offer, agent: agent_id("anna") };
    hall.tell(Event::Leave { call: call_id(1), why });
    hall.enqueue(first(5));
    assert_eq!(hall.overflows(), [nobody(5)], "he comes from a greeting");
    hall.tell(Event::Leave { call: call_id(5), why: Left::Overflowed });
    assert!(!hall.queue.is_over());
    hall.pass(Duration::from_secs(61));
    assert!(hall.queue.is_over());
    becomes(&mut hall, config);
    assert!(!hall.queue.is_over(), "it is configured again");
}

#[test]
fn a_queue_that_nobody_has_configured_lets_its_callers_go() {
    let Some(Effect::ToCall(call, said)) = super::super::gone(&id(), &Event::Enqueue(Box::new(first(7)))) else {
        panic!("nothing is said")
    };
    assert_eq!(call, call_id(7));
    let call::Event::Queue(_, FromQueue::Overflow { overflow, .. }) = said else { panic!("{said:?}") };
    assert_eq!(overflow.then, Then::HangUp);
    assert_eq!(super::super::gone(&id(), &Event::Wake), None);
}
