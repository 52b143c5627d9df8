//! What a queue says about itself.

use super::*;
use crate::explain::Choice;

// spec: RT-9, QU-6
#[test]
fn rt_9_what_keeps_an_agent_is_told_as_the_queue_heard_it() {
    let mut hall = Hall::new(config(&["anna", "piotr", "ivan", "olga", "zofia"]));
    hall.status("zofia", Standing::Free);
    hall.pass(Duration::from_secs(40));
    hall.status("anna", Standing::Free);
    hall.status("piotr", Standing::Busy);
    hall.enqueue(first(1));
    let offer = hall.offers().remove(0);
    assert_eq!(offer.why, Choice::InOrder { place: 1, passed: None });
    hall.status("ivan", Standing::OnBreak);
    let obstacles = |hall: &Hall| {
        let agents = hall.queue.explain(hall.now, 0).agents.into_iter();
        agents
            .map(|stands| stands.obstacle.map_or_else(String::new, |obstacle| obstacle.to_string()))
            .collect::<Vec<_>>()
    };
    let expected = ["offered a call", "busy", "on break", "not heard yet", "not heard for 40s"];
    assert_eq!(obstacles(&hall), expected);

    // Her owner refuses: what she said before is used up, until she speaks again.
    let failed = Progress::Failed { offer: offer.id, refused: vec![agent_id("anna")], rang: false };
    hall.enqueue(again(1, seq(1, 1), Some(failed)));
    assert_eq!(obstacles(&hall)[0], "asked in vain just now");
    hall.status("piotr", Standing::Free);
    let why = hall.offers().remove(0).why;
    assert_eq!(why.to_string(), "in order: 2nd of the list; anna was asked in vain just now");
}

// spec: RT-9
#[test]
fn rt_9_an_explanation_names_as_many_callers_and_agents_as_are_asked_for() {
    let mut hall = Hall::new(config(&["anna", "piotr", "ivan"]));
    ["anna", "piotr", "ivan"].into_iter().for_each(|agent| hall.status(agent, Standing::OnBreak));
    (1..=4).for_each(|number| hall.enqueue(first(number)));
    let explained = hall.queue.explain(hall.now, 2);
    assert_eq!((explained.waiting, explained.callers.len()), (4, 2));
    let lines = explained.lines(1);
    assert!(lines.contains(&"  on break: anna and 2 more".to_owned()), "{lines:?}");
    assert!(lines.contains(&"  and 2 more".to_owned()), "{lines:?}");
    let third = hall.queue.explain_caller(hall.now, call_id(3)).unwrap();
    assert_eq!(third.callers[0].position, Some(3));
    assert_eq!(hall.queue.explain_caller(hall.now, call_id(9)), None);
}
