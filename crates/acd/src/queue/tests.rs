mod callback;
mod configure;
mod explained;
mod order;
mod pickup;
mod storm;
mod survival;

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Config, Effect, Enqueue, Event, Left, NOBODY_GRACE, OverflowReason, PickupRefusal, Progress, Queue, RingingCall,
    Strategy, Then, Unanswered,
};
use crate::agent::{AgentStatus, ReservationId, Standing, Version};
use crate::call::{self, FromQueue};
use crate::ids::{AgentId, CallId, Epoch, LegId, Name, NodeId, QueueId};
use crate::offer::{Invitation, Offer, OfferId, OwnCall};
use crate::rank::Ranking;
use crate::ticket::{Sequence, Ticket};
use crate::time::{Moment, Now, WallTime};

/// An owner, its agents and a clock.
struct Hall {
    queue: Queue,
    now: Now,
    version: u64,
    out: Vec<Effect>,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn id() -> QueueId {
    QueueId::new(name("default"), name("support"))
}

fn agent_id(text: &str) -> AgentId {
    AgentId::new(name("default"), name(text))
}

fn call_id(number: u64) -> CallId {
    CallId { node: NodeId(1), boot: 1, number }
}

fn config(agents: &[&str]) -> Config {
    Config {
        display_name: "Support".to_owned(),
        agents: agents.iter().map(|agent| agent_id(agent)).collect(),
        max_waiting: 100_000,
        ..Config::default()
    }
}

/// The first ticket of a call.
fn first(number: u64) -> Enqueue {
    let ticket = Ticket::new(call_id(number), id());
    Enqueue { ticket, waited_here: Duration::ZERO, round: 0, tried: Vec::new(), progress: None }
}

fn again(number: u64, sequence: Sequence, progress: Option<Progress>) -> Enqueue {
    let mut enqueue = first(number);
    enqueue.ticket.sequence = Some(sequence);
    enqueue.progress = progress;
    enqueue
}

impl Hall {
    fn new(config: Config) -> Self {
        Hall::owned(config, 1)
    }

    fn owned(config: Config, epoch: u64) -> Self {
        let now = Now { mono: Moment::START + Duration::from_secs(100), wall: WallTime(0) };
        Hall { queue: Queue::new(now, id(), config, Epoch(epoch), 1), now, version: 0, out: Vec::new() }
    }

    fn tell(&mut self, event: Event) {
        self.queue.handle(self.now, event, &mut self.out);
    }

    fn enqueue(&mut self, enqueue: Enqueue) {
        self.tell(Event::Enqueue(Box::new(enqueue)));
    }

    fn status(&mut self, agent: &str, standing: Standing) {
        self.with_devices(agent, standing, 1, 0);
    }

    fn with_devices(&mut self, agent: &str, standing: Standing, hardware: u8, soft: u8) {
        self.version += 1;
        let version = Version { epoch: Epoch(1), counter: self.version };
        let status = AgentStatus {
            agent: agent_id(agent),
            version,
            standing,
            idle_for: Duration::ZERO,
            idle_period: 0,
            calls: 0,
            talked: Duration::ZERO,
            hardware,
            soft,
        };
        self.tell(Event::Availability(status));
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now.mono + time;
        while let Some(at) = self.queue.deadline().filter(|at| *at <= until) {
            self.now.mono = self.now.mono.max(at);
            self.tell(Event::Wake);
        }
        self.now.mono = until;
    }

    fn said(&mut self) -> Vec<(u64, FromQueue)> {
        let said = self.out.drain(..).map(|Effect::ToCall(call, event)| match event {
            call::Event::Queue(_, said) => (call.number, said),
            other => panic!("a queue does not say {other:?}"),
        });
        said.collect()
    }

    fn offers(&mut self) -> Vec<Offer> {
        let offers = self.said().into_iter().filter_map(|(_, said)| match said {
            FromQueue::Offer(offer) => Some(offer),
            FromQueue::Enqueued { .. }
            | FromQueue::Rings(_)
            | FromQueue::NotPickedUp { .. }
            | FromQueue::Overflow { .. } => None,
        });
        offers.collect()
    }

    fn overflows(&mut self) -> Vec<(u64, OverflowReason)> {
        let overflows = self.said().into_iter().filter_map(|(call, said)| match said {
            FromQueue::Overflow { overflow, .. } => Some((call, overflow.why)),
            FromQueue::Enqueued { .. } | FromQueue::Offer(_) | FromQueue::Rings(_) | FromQueue::NotPickedUp { .. } => {
                None
            }
        });
        overflows.collect()
    }
}

fn whom(offers: &[Offer]) -> Vec<(u64, String)> {
    let pairs = offers.iter().map(|offer| (offer.call.number, offer.agents[0].agent.name.to_string()));
    pairs.collect()
}

fn seq(epoch: u64, counter: u64) -> Sequence {
    Sequence { epoch: Epoch(epoch), counter }
}

#[test]
fn entering_twice_is_entering_once() {
    let mut hall = Hall::new(config(&["anna"]));
    hall.enqueue(first(1));
    hall.enqueue(first(1));
    let enqueued = FromQueue::Enqueued { sequence: seq(1, 1) };
    assert_eq!(hall.said(), [(1, enqueued.clone()), (1, enqueued)]);
    let view = hall.queue.view(hall.now);
    assert_eq!((view.waiting, view.offered), (1, 1));
}

// spec: QU-8
#[test]
fn qu_8_a_new_owner_serves_in_the_old_order() {
    let mut hall = Hall::owned(config(&["anna"]), 5);
    hall.enqueue(first(9));
    hall.enqueue(again(2, seq(1, 2), None));
    hall.enqueue(again(1, seq(1, 1), None));
    hall.status("anna", Standing::Free);
    assert_eq!(whom(&hall.offers()), [(1, "anna".to_owned())]);
    hall.tell(Event::Leave { call: call_id(1), why: Left::Abandoned });
    hall.tell(Event::Leave { call: call_id(2), why: Left::Abandoned });
    assert_eq!(whom(&hall.offers()), [(2, "anna".to_owned()), (9, "anna".to_owned())]);
}

// spec: QU-8
#[test]
fn qu_8_a_new_owner_leaves_a_ringing_phone_alone() {
    let mut hall = Hall::owned(config(&["anna", "piotr"]), 5);
    hall.status("piotr", Standing::Free);
    let theirs = OfferId { epoch: Epoch(1), counter: 7 };
    hall.enqueue(again(1, seq(1, 1), Some(Progress::Working(theirs))));
    assert_eq!(hall.offers(), [], "the caller's phones ring already");
    let failed = Progress::Failed { offer: theirs, refused: Vec::new(), rang: true };
    let mut back = again(1, seq(1, 1), Some(failed));
    (back.round, back.tried) = (1, vec![agent_id("anna")]);
    hall.enqueue(back);
    assert_eq!(whom(&hall.offers()), [(1, "piotr".to_owned())], "Anna was tried by the old owner");
}

// spec: UN-2, QU-8: when his round began, only the owner before knew.
#[test]
fn un_2_a_round_that_an_earlier_owner_began_does_not_begin_its_ring_anew() {
    let mut hall = Hall::owned(config(&["anna"]), 5);
    hall.status("anna", Standing::Free);
    let failed = Progress::Failed { offer: OfferId { epoch: Epoch(1), counter: 7 }, refused: Vec::new(), rang: true };
    let mut back = again(1, seq(1, 1), Some(failed));
    (back.round, back.tried) = (1, vec![agent_id("anna")]);
    hall.enqueue(back);
    assert_eq!(whom(&hall.offers()), [(1, "anna".to_owned())], "the next round begins at once");
}

#[test]
fn a_caller_who_is_silent_is_forgotten_with_his_offer() {
    let mut hall = Hall::new(config(&["anna"]));
    hall.status("anna", Standing::Free);
    hall.enqueue(first(1));
    hall.enqueue(first(2));
    assert_eq!(whom(&hall.offers()), [(1, "anna".to_owned())]);
    hall.pass(Duration::from_secs(10));
    hall.enqueue(again(2, seq(1, 2), None));
    hall.status("anna", Standing::Free);
    hall.pass(Duration::from_secs(10));
    assert_eq!(whom(&hall.offers()), [(2, "anna".to_owned())], "call 1 sent no ticket for 20 s");
    assert_eq!(hall.queue.view(hall.now).waiting, 1);
}

// spec: QU-8: the answer with his place was lost, and so were his next tickets.
#[test]
fn qu_8_a_caller_who_was_not_heard_for_long_comes_back_to_his_place() {
    let mut hall = Hall::new(config(&["anna"]));
    hall.enqueue(first(1));
    hall.enqueue(first(2));
    hall.pass(Duration::from_secs(15));
    hall.enqueue(again(2, seq(1, 2), None));
    hall.pass(Duration::from_secs(5));
    assert_eq!(hall.queue.view(hall.now).waiting, 1);
    hall.said();
    hall.enqueue(first(1));
    assert_eq!(hall.said(), [(1, FromQueue::Enqueued { sequence: seq(1, 1) })]);
    let view = hall.queue.view(hall.now);
    assert_eq!((view.waiting, view.offered), (2, 2), "he entered once");
    hall.status("anna", Standing::Free);
    assert_eq!(whom(&hall.offers()), [(1, "anna".to_owned())]);
}

// spec: QU-8: two owners gave him a place, and he heard first of the other's.
#[test]
fn qu_8_a_caller_comes_back_to_the_place_that_he_had_here() {
    let mut hall = Hall::owned(config(&["anna"]), 5);
    hall.enqueue(first(1));
    hall.enqueue(first(2));
    hall.pass(Duration::from_secs(15));
    hall.enqueue(again(1, seq(4, 1), None));
    hall.pass(Duration::from_secs(5));
    hall.enqueue(again(2, seq(4, 2), None));
    hall.status("anna", Standing::Free);
    assert_eq!(whom(&hall.offers()), [(1, "anna".to_owned())], "4.2 is an earlier place than 5.1, but not here");
}

// spec: PL-4: messages overtake each other, and a question that comes after the end is answered before it is heard of.
#[test]
fn pl_4_everybody_is_counted_once_in_whatever_order_it_is_heard() {
    let mut hall = Hall::new(config(&["anna"]));
    let leave = |why| Event::Leave { call: call_id(1), why };
    let counted = |hall: &Hall| {
        let view = hall.queue.view(hall.now);
        (view.offered, view.answered, view.abandoned, view.overflowed)
    };
    hall.tell(leave(Left::Gone));
    hall.tell(leave(Left::Abandoned));
    hall.tell(leave(Left::Abandoned));
    assert_eq!(counted(&hall), (0, 0, 1, 0));
    hall.enqueue(first(1));
    hall.enqueue(first(1));
    assert_eq!(counted(&hall), (1, 0, 1, 0));
    assert_eq!(hall.queue.view(hall.now).waiting, 0);
}

#[test]
fn a_lost_offer_is_made_again_when_the_next_ticket_does_not_know_it() {
    let mut hall = Hall::new(config(&["anna"]));
    hall.status("anna", Standing::Free);
    hall.enqueue(first(1));
    assert_eq!(hall.offers().len(), 1);
    hall.enqueue(again(1, seq(1, 1), None));
    assert_eq!(hall.offers(), [], "they crossed each other");
    hall.pass(Duration::from_secs(5));
    hall.enqueue(again(1, seq(1, 1), None));
    assert_eq!(hall.offers().len(), 1);
}

#[test]
fn an_agent_who_was_refused_is_not_offered_on_the_same_word_again() {
    let mut hall = Hall::new(config(&["anna"]));
    hall.status("anna", Standing::Free);
    hall.enqueue(first(1));
    let offer = hall.offers()[0].id;
    let refused = Progress::Failed { offer, refused: vec![agent_id("anna")], rang: false };
    hall.enqueue(again(1, seq(1, 1), Some(refused)));
    assert_eq!(hall.offers(), []);
    hall.status("anna", Standing::Free);
    assert_eq!(whom(&hall.offers()), [(1, "anna".to_owned())]);
}

#[test]
fn messages_of_the_past_change_nothing() {
    let mut hall = Hall::new(config(&["anna"]));
    hall.status("anna", Standing::Free);
    hall.enqueue(first(1));
    let offer = hall.offers()[0].id;
    let failed = Progress::Failed { offer, refused: vec![agent_id("anna")], rang: false };
    hall.enqueue(again(1, seq(1, 1), Some(failed.clone())));
    hall.status("anna", Standing::Free);
    assert_eq!(hall.offers().len(), 1);
    hall.enqueue(again(1, seq(1, 1), Some(failed)));
    hall.enqueue(again(1, seq(1, 1), Some(Progress::Working(offer))));
    assert_eq!(hall.queue.view(hall.now).offered_now, 1, "the second offer stands");
    let old = AgentStatus {
        agent: agent_id("anna"),
        version: Version { epoch: Epoch(1), counter: 1 },
        standing: Standing::LoggedOut,
        idle_for: Duration::ZERO,
        idle_period: 0,
        calls: 0,
        talked: Duration::ZERO,
        hardware: 0,
        soft: 0,
    };
    hall.tell(Event::Availability(old));
    assert_eq!(hall.queue.view(hall.now).logged_in, 1);
}

// spec: UN-4
#[test]
fn un_4_a_restarted_owner_does_not_send_callers_home_before_it_heard_the_agents() {
    let mut hall = Hall::new(config(&["anna"]));
    hall.enqueue(first(1));
    hall.pass(Duration::from_secs(15));
    assert_eq!(hall.overflows(), []);
    hall.enqueue(again(1, seq(1, 1), None));
    hall.pass(Duration::from_secs(15));
    hall.enqueue(again(1, seq(1, 1), None));
    hall.pass(Duration::from_secs(5));
    assert_eq!(hall.overflows(), [(1, OverflowReason::NobodyLoggedIn)]);
}

// spec: UN-4
#[test]
fn un_4_an_agent_who_was_not_heard_for_long_counts_as_logged_out() {
    let mut hall = Hall::new(config(&["anna"]));
    hall.status("anna", Standing::Busy);
    hall.pass(Duration::from_secs(30));
    hall.enqueue(first(1));
    assert_eq!(hall.overflows(), []);
    hall.pass(Duration::from_secs(5) + NOBODY_GRACE - Duration::from_millis(1));
    assert_eq!(hall.overflows(), []);
    hall.pass(Duration::from_millis(1));
    assert_eq!(hall.overflows(), [(1, OverflowReason::NobodyLoggedIn)]);
}

// spec: UN-4
#[test]
fn un_4_a_new_owner_counts_the_grace_from_the_moment_it_has_heard_everybody() {
    let mut hall = Hall::new(config(&["anna", "piotr"]));
    hall.status("anna", Standing::LoggedOut);
    hall.enqueue(first(1));
    hall.pass(Duration::from_secs(4));
    hall.status("piotr", Standing::LoggedOut);
    hall.pass(NOBODY_GRACE - Duration::from_millis(1));
    assert_eq!(hall.overflows(), []);
    hall.pass(Duration::from_millis(1));
    assert_eq!(hall.overflows(), [(1, OverflowReason::NobodyLoggedIn)]);
}

// spec: UN-4
#[test]
fn un_4_a_new_owner_learns_the_total_limit_from_the_ticket() {
    let mut hall = Hall::owned(Config { max_wait: Some(Duration::from_secs(60)), ..config(&["anna"]) }, 2);
    hall.status("anna", Standing::Busy);
    let mut enqueue = again(1, seq(1, 1), None);
    enqueue.waited_here = Duration::from_secs(50);
    enqueue.ticket.waited = Duration::from_secs(80);
    enqueue.ticket.max_wait = Some(Duration::from_secs(85));
    hall.enqueue(enqueue);
    hall.pass(Duration::from_millis(4_999));
    assert_eq!(hall.overflows(), []);
    hall.pass(Duration::from_millis(1));
    assert_eq!(hall.overflows(), [(1, OverflowReason::MaxTotalWait)]);
}

#[test]
fn an_overflow_is_repeated_until_the_call_has_left() {
    let mut hall = Hall::new(Config { max_waiting: 0, ..config(&["anna"]) });
    hall.enqueue(first(1));
    hall.enqueue(first(1));
    assert_eq!(hall.overflows(), [(1, OverflowReason::MaxWaiting), (1, OverflowReason::MaxWaiting)]);
    hall.tell(Event::Leave { call: call_id(1), why: Left::Overflowed });
    let view = hall.queue.view(hall.now);
    assert_eq!((view.waiting, view.offered, view.overflowed), (0, 1, 1));
}

// spec: UN-2
#[test]
fn un_2_phones_that_fail_at_once_do_not_ring_at_the_speed_of_the_network() {
    let mut hall = Hall::new(config(&["anna"]));
    hall.status("anna", Standing::Free);
    hall.enqueue(first(1));
    let offer = hall.offers()[0].id;
    let failed = Progress::Failed { offer, refused: Vec::new(), rang: true };
    let mut back = again(1, seq(1, 1), Some(failed));
    (back.round, back.tried) = (1, vec![agent_id("anna")]);
    hall.enqueue(back);
    hall.status("anna", Standing::Free);
    assert_eq!(hall.offers(), [], "the next round begins 5 s after the first");
    hall.pass(Duration::from_secs(5));
    let offers = hall.offers();
    assert_eq!((whom(&offers), offers[0].round), (vec![(1, "anna".to_owned())], 2));
}

// spec: UN-1
#[test]
fn un_1_the_rule_table() {
    let rules = [
        (Unanswered::Wait, Strategy::InOrder, true, None),
        (Unanswered::Wait, Strategy::AllAtOnce, false, None),
        (Unanswered::Wait, Strategy::AllAtOnce, true, Some(Then::HangUp)),
        (Unanswered::Leave(Then::HangUp), Strategy::Random, true, Some(Then::HangUp)),
        (Unanswered::Leave(Then::Queue(id())), Strategy::LongestIdle, false, Some(Then::Queue(id()))),
    ];
    for (unanswered, strategy, rang, then) in rules {
        let config = Config { unanswered, strategy, ..config(&[]) };
        let leaves = match super::unanswered::after_round(&config, rang, false) {
            super::unanswered::Verdict::NewRound => None,
            super::unanswered::Verdict::Leave(overflow) => Some(overflow.then),
        };
        assert_eq!(leaves, then, "{:?} {strategy:?} rang: {rang}", config.unanswered);
    }
}
