mod configure;
mod dialled;
mod storm;
mod survival;

use std::time::Duration;

use super::{
    Agent, AgentStatus, CommandRefusal, Config, DeviceKind, Effect, Event, IdleReset, Membership, Purpose, Refusal,
    Released, ReservationId, SavedAvailability, Standing,
};
use crate::call::{self, FromAgent};
use crate::ids::{AgentId, CallId, Epoch, Name, NodeId, QueueId};
use crate::leg::Contact;
use crate::offer::OfferId;
use crate::queue;
use crate::rank::Bid;
use crate::time::{Moment, Now, WallTime};
use crate::view::{Activity, AgentCommand, Availability};

/// An agent at his desk with one hardware phone, and a clock.
struct Desk {
    agent: Agent,
    now: Now,
    out: Vec<Effect>,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn queue_id(text: &str) -> QueueId {
    QueueId::new(name("default"), name(text))
}

const EDGE: NodeId = NodeId(1);

fn desk_phone() -> Contact {
    Contact::new("sip:anna@10.0.0.7", [192, 0, 2, 9].into()).unwrap()
}

fn reservation(number: u64, n: u32) -> ReservationId {
    ReservationId { call: CallId { node: NodeId(1), boot: 1, number }, n }
}

fn from(queue: &str, epoch: u64) -> Purpose {
    let offer = OfferId { epoch: Epoch(epoch), counter: 1 };
    Purpose::Queue { queue: queue_id(queue), offer, bid: Bid::default(), sequence: None }
}

impl Desk {
    fn new(queues: &[&str]) -> Self {
        Desk::saved(queues, SavedAvailability::default())
    }

    fn saved(queues: &[&str], saved: SavedAvailability) -> Self {
        let serves = |queue: &&str| Membership { wrap_up: Duration::from_secs(10), ..Membership::new(queue_id(queue)) };
        Desk::of(queues.iter().map(serves).collect(), saved)
    }

    fn serving(queues: Vec<Membership>) -> Self {
        Desk::of(queues, SavedAvailability::default())
    }

    fn of(queues: Vec<Membership>, saved: SavedAvailability) -> Self {
        let devices = vec![DeviceKind::Hardware];
        let config = Config { display_name: "Anna".to_owned(), extension: None, devices, queues };
        let now = Now { mono: Moment::START + Duration::from_secs(100), wall: WallTime(0) };
        let id = AgentId::new(name("default"), name("anna"));
        let mut desk = Desk { agent: Agent::new(now, id, config, saved, Epoch(1)), now, out: Vec::new() };
        desk.tell(Event::Start);
        desk.tell(Event::Reachable { device: 0, edge: EDGE, contacts: vec![desk_phone()] });
        desk.said();
        desk
    }

    fn tell(&mut self, event: Event) {
        self.agent.handle(self.now, event, &mut self.out);
    }

    fn command(&mut self, command: &AgentCommand) -> Result<(), CommandRefusal> {
        self.agent.command(self.now, command, &mut self.out)
    }

    fn reserve(&mut self, reservation: ReservationId, purpose: Purpose) {
        self.tell(Event::Reserve { reservation, purpose });
    }

    /// Lets time pass and wakes the machine whenever it wants.
    fn pass(&mut self, time: Duration) {
        let until = self.now.mono + time;
        while let Some(at) = self.agent.deadline().filter(|at| *at <= until) {
            self.now.mono = self.now.mono.max(at);
            self.tell(Event::Wake);
        }
        self.now.mono = until;
    }

    /// What the calls were told since the last time.
    fn said(&mut self) -> Vec<FromAgent> {
        let said = self.out.drain(..).filter_map(|effect| match effect {
            Effect::ToCall(_, call::Event::Agent(_, _, said)) => Some(said),
            Effect::ToCall(..) | Effect::ToQueue(..) | Effect::Save(_) => None,
        });
        said.collect()
    }

    /// What the queues were told since the last time.
    fn statuses(&mut self) -> Vec<(QueueId, AgentStatus)> {
        let statuses = self.out.drain(..).filter_map(|effect| match effect {
            Effect::ToQueue(queue, queue::Event::Availability(status)) => Some((queue, status)),
            Effect::ToQueue(..) | Effect::ToCall(..) | Effect::Save(_) => None,
        });
        statuses.collect()
    }

    fn refusal(&mut self) -> Option<Refusal> {
        match self.said().pop() {
            Some(FromAgent::Refused { why, .. }) => Some(why),
            Some(
                FromAgent::Granted { .. } | FromAgent::Lost { .. } | FromAgent::Commanded(_) | FromAgent::NewOwner,
            )
            | None => None,
        }
    }
}

// spec: OB-5
#[test]
fn ob_5_one_reservation_at_a_time_and_asking_twice_is_asking_once() {
    let mut desk = Desk::new(&["support"]);
    desk.reserve(reservation(1, 1), from("support", 1));
    desk.reserve(reservation(1, 1), from("support", 1));
    let said = desk.said();
    assert_eq!(said.len(), 2);
    assert_eq!(said[0], said[1]);
    desk.reserve(reservation(2, 1), from("support", 1));
    assert_eq!(desk.refusal(), Some(Refusal::Busy));
    desk.reserve(reservation(3, 1), Purpose::Own);
    assert_eq!(desk.refusal(), Some(Refusal::Busy));
    assert_eq!(desk.agent.call(), Some(reservation(1, 1).call));
}

#[test]
fn a_request_that_comes_after_its_release_is_refused() {
    let mut desk = Desk::new(&["support"]);
    desk.tell(Event::Release { reservation: reservation(1, 2), why: Released::NoPenalty });
    desk.reserve(reservation(1, 1), from("support", 1));
    assert_eq!(desk.refusal(), Some(Refusal::Over));
    desk.reserve(reservation(1, 3), from("support", 1));
    assert_eq!(desk.refusal(), None);
    assert_eq!(desk.agent.activity(), Activity::Reserved);
}

#[test]
fn a_dead_call_lets_him_go_when_the_lease_ends() {
    let mut desk = Desk::new(&["support"]);
    desk.reserve(reservation(1, 1), from("support", 1));
    desk.pass(Duration::from_secs(29));
    desk.reserve(reservation(1, 1), from("support", 1));
    desk.pass(Duration::from_secs(29));
    assert_eq!(desk.agent.activity(), Activity::Reserved, "the repetition renewed the lease");
    desk.said();
    desk.pass(Duration::from_secs(1));
    assert_eq!(desk.agent.activity(), Activity::Idle);
    assert_eq!(desk.said(), [FromAgent::Lost { reservation: reservation(1, 1) }]);
}

#[test]
fn a_conversation_that_the_owner_does_not_know_is_taken_over() {
    let mut desk = Desk::new(&["support"]);
    let connected = |n| Event::Connected { reservation: reservation(1, n), queue: Some(queue_id("support")) };
    desk.tell(connected(1));
    assert_eq!(desk.agent.activity(), Activity::Talking);
    desk.tell(Event::Release { reservation: reservation(1, 1), why: Released::Ended });
    assert_eq!(desk.agent.activity(), Activity::WrapUp);
    desk.tell(connected(1));
    assert_eq!(desk.agent.activity(), Activity::WrapUp, "a late repetition of a conversation that is over");
}

// spec: CL-3: the link to the edge of his call was lost for longer than a lease.
#[test]
fn cl_3_a_conversation_whose_lease_ran_out_has_him_again_when_it_is_heard() {
    let mut desk = Desk::new(&["support"]);
    let connected = |n| Event::Connected { reservation: reservation(1, n), queue: Some(queue_id("support")) };
    desk.reserve(reservation(1, 1), from("support", 1));
    desk.tell(connected(1));
    desk.pass(Duration::from_secs(30));
    assert_eq!(desk.agent.activity(), Activity::Idle);
    desk.tell(connected(1));
    assert_eq!(desk.agent.activity(), Activity::Talking);
    desk.tell(Event::Release { reservation: reservation(1, 1), why: Released::Ended });
    desk.tell(connected(1));
    assert_eq!(desk.agent.activity(), Activity::WrapUp, "now it is over");
}

#[test]
fn a_conversation_is_told_when_he_is_held_for_another() {
    let mut desk = Desk::new(&["support"]);
    desk.reserve(reservation(1, 1), from("support", 1));
    desk.said();
    desk.tell(Event::Connected { reservation: reservation(2, 1), queue: None });
    assert_eq!(desk.said(), [FromAgent::Lost { reservation: reservation(2, 1) }]);
    assert_eq!(desk.agent.call(), Some(reservation(1, 1).call));
}

// spec: CL-3: his owner was replaced while he called somebody himself, and both calls claim him.
#[test]
fn cl_3_an_agent_in_two_calls_is_free_after_both() {
    let mut desk = Desk::new(&["support"]);
    let talking = Event::Connected { reservation: reservation(2, 1), queue: Some(queue_id("support")) };
    desk.reserve(reservation(1, 1), Purpose::Own);
    desk.tell(talking.clone());
    desk.tell(Event::Release { reservation: reservation(1, 1), why: Released::Ended });
    assert_eq!((desk.agent.activity(), desk.agent.call()), (Activity::Talking, Some(reservation(2, 1).call)));
    desk.tell(Event::Release { reservation: reservation(2, 1), why: Released::Ended });
    assert_ne!(desk.agent.activity(), Activity::Talking);

    desk.reserve(reservation(3, 1), Purpose::Own);
    desk.tell(Event::Release { reservation: reservation(2, 1), why: Released::Ended });
    desk.tell(talking);
    desk.tell(Event::Release { reservation: reservation(3, 1), why: Released::Ended });
    assert_ne!(desk.agent.activity(), Activity::Talking, "a conversation that was over before");
}

// spec: CL-3
#[test]
fn cl_3_an_offer_of_a_replaced_owner_is_refused() {
    let mut desk = Desk::new(&["support"]);
    desk.reserve(reservation(1, 1), from("support", 7));
    desk.tell(Event::Release { reservation: reservation(1, 1), why: Released::NoPenalty });
    desk.said();
    desk.reserve(reservation(2, 1), from("support", 6));
    assert_eq!(desk.refusal(), Some(Refusal::StaleEpoch));
}

// spec: QU-6
#[test]
fn qu_6_every_reason_not_to_take_a_call_has_its_name() {
    let mut desk = Desk::new(&["support", "sales"]);
    let mut ask = {
        let mut number = 0;
        move |desk: &mut Desk, queue: &str| {
            number += 1;
            desk.reserve(reservation(number, 1), from(queue, 1));
            desk.refusal()
        }
    };
    assert_eq!(ask(&mut desk, "elsewhere"), Some(Refusal::NotInQueue));
    desk.command(&AgentCommand::QueueLogOut(queue_id("sales"))).unwrap();
    assert_eq!(ask(&mut desk, "sales"), Some(Refusal::NotInQueue));
    desk.command(&AgentCommand::Break).unwrap();
    assert_eq!(ask(&mut desk, "support"), Some(Refusal::OnBreak));
    desk.command(&AgentCommand::LogOut).unwrap();
    assert_eq!(ask(&mut desk, "support"), Some(Refusal::LoggedOut));
    desk.command(&AgentCommand::Ready).unwrap();
    desk.tell(Event::Reachable { device: 0, edge: EDGE, contacts: Vec::new() });
    assert_eq!(ask(&mut desk, "support"), Some(Refusal::Unreachable));
}

#[test]
fn a_queue_that_was_refused_is_told_how_he_is() {
    let mut desk = Desk::new(&["support"]);
    desk.reserve(reservation(1, 1), from("support", 1));
    assert_eq!(desk.statuses()[0].1.standing, Standing::Busy);
    desk.reserve(reservation(2, 1), from("support", 1));
    let statuses = desk.statuses();
    assert_eq!(statuses.len(), 1, "its view was wrong, although nothing has changed for him");
    assert_eq!(statuses[0].1.standing, Standing::Busy);
}

#[test]
fn he_repeats_his_status_with_rising_versions() {
    let mut desk = Desk::new(&["support", "sales"]);
    desk.pass(Duration::from_secs(31));
    let statuses = desk.statuses();
    assert!((6..=8).contains(&statuses.len()), "two queues, three or four times: {statuses:?}");
    assert!(statuses.is_sorted_by(|a, b| a.1.version < b.1.version));
}

// spec: QU-3
#[test]
fn qu_3_idle_time_begins_anew_only_for_his_own_doing() {
    for (why, restarts) in [(Released::NotAnswered, true), (Released::NoPenalty, false), (Released::Unreachable, false)]
    {
        let mut desk = Desk::new(&["support"]);
        desk.pass(Duration::from_secs(50));
        desk.reserve(reservation(1, 1), from("support", 1));
        desk.statuses();
        desk.tell(Event::Release { reservation: reservation(1, 1), why });
        let status = desk.statuses().pop().unwrap().1;
        assert_eq!(status.idle_for == Duration::ZERO, restarts, "{why:?}");
        assert_eq!(status.idle_period > 0, restarts, "{why:?}");
        assert_eq!(desk.agent.activity(), Activity::Idle, "QU-11: no wrap-up after {why:?}");
    }
}

// spec: QU-3
#[test]
fn qu_3_a_colleague_who_rings_in_vain_is_no_offer() {
    let mut desk = Desk::new(&["support"]);
    desk.pass(Duration::from_secs(50));
    desk.reserve(reservation(1, 1), Purpose::Direct);
    desk.tell(Event::Release { reservation: reservation(1, 1), why: Released::NotAnswered });
    assert_eq!(desk.statuses().pop().unwrap().1.idle_period, 0);
}

// spec: QU-11
#[test]
fn qu_11_a_call_of_his_own_does_not_shorten_wrap_up() {
    let mut desk = Desk::new(&["support"]);
    desk.reserve(reservation(1, 1), from("support", 1));
    desk.tell(Event::Connected { reservation: reservation(1, 1), queue: Some(queue_id("support")) });
    desk.tell(Event::Release { reservation: reservation(1, 1), why: Released::Ended });
    desk.pass(Duration::from_secs(4));
    desk.reserve(reservation(2, 1), Purpose::Own);
    assert_eq!(desk.agent.activity(), Activity::Talking);
    desk.pass(Duration::from_secs(2));
    desk.tell(Event::Release { reservation: reservation(2, 1), why: Released::Ended });
    assert_eq!(desk.agent.activity(), Activity::WrapUp);
    desk.pass(Duration::from_secs(4));
    assert_eq!(desk.agent.activity(), Activity::Idle);
}

#[test]
fn devices_that_could_not_ring_rest_for_a_while() {
    let mut desk = Desk::new(&["support"]);
    desk.reserve(reservation(1, 1), from("support", 1));
    desk.statuses();
    desk.tell(Event::Release { reservation: reservation(1, 1), why: Released::Unreachable });
    assert_eq!(desk.statuses().pop().unwrap().1.standing, Standing::Unreachable);
    desk.pass(Duration::from_secs(5));
    assert_eq!(desk.statuses().pop().unwrap().1.standing, Standing::Free);
}

// spec: QU-7
#[test]
fn qu_7_an_agent_of_one_queue_does_not_make_callers_wait_for_bids() {
    let mut desk = Desk::new(&["support"]);
    desk.command(&AgentCommand::Break).unwrap();
    desk.command(&AgentCommand::Ready).unwrap();
    desk.reserve(reservation(1, 1), from("support", 1));
    assert_eq!(desk.agent.activity(), Activity::Reserved);
}

// spec: QU-7
#[test]
fn qu_7_a_bid_that_is_withdrawn_does_not_win() {
    let mut desk = Desk::new(&["support", "sales"]);
    desk.command(&AgentCommand::Break).unwrap();
    desk.command(&AgentCommand::Ready).unwrap();
    desk.reserve(reservation(1, 1), from("support", 1));
    desk.reserve(reservation(2, 1), from("sales", 1));
    desk.tell(Event::Release { reservation: reservation(1, 1), why: Released::NoPenalty });
    assert_eq!(desk.agent.activity(), Activity::Idle);
    desk.pass(Duration::from_millis(20));
    assert_eq!(desk.agent.call(), Some(reservation(2, 1).call));
}

// spec: TR-6
#[test]
fn tr_6_what_is_stored_is_what_he_wishes() {
    let mut desk = Desk::new(&["support"]);
    desk.reserve(reservation(1, 1), from("support", 1));
    desk.out.clear();
    desk.command(&AgentCommand::LogOut).unwrap();
    let saved = SavedAvailability { availability: Availability::LoggedOut, logged_out_of: Vec::new() };
    assert!(desk.out.contains(&Effect::Save(saved.clone())), "{:?}", desk.out);
    desk.out.clear();
    desk.command(&AgentCommand::LogOut).unwrap();
    assert!(desk.out.is_empty(), "nothing new to store");
    let mut next_day = Desk::saved(&["support"], saved);
    next_day.reserve(reservation(2, 1), from("support", 1));
    assert_eq!(next_day.refusal(), Some(Refusal::LoggedOut));
}

// spec: TR-5
#[test]
fn tr_5_logging_in_to_a_foreign_queue_is_refused() {
    let mut desk = Desk::new(&["support"]);
    let foreign = queue_id("sales");
    let refused = desk.command(&AgentCommand::QueueLogIn(foreign.clone()));
    assert_eq!(refused, Err(CommandRefusal::DoesNotServe(foreign)));
}

// spec: QU-3
#[test]
fn qu_3_a_queue_that_counts_what_is_handled_ignores_an_unanswered_offer() {
    let handled = Membership { idle_reset: IdleReset::Handled, ..Membership::new(queue_id("support")) };
    let mut desk = Desk::serving(vec![handled, Membership::new(queue_id("sales"))]);
    let mut periods = |why| {
        desk.pass(Duration::from_secs(5));
        desk.statuses();
        let next = desk.agent.last_over.map_or(1, |last| last.call.number + 1);
        desk.reserve(reservation(next, 1), from("support", 1));
        desk.pass(Duration::from_secs(1));
        if why == Released::Ended {
            desk.tell(Event::Connected { reservation: reservation(next, 1), queue: Some(queue_id("support")) });
        }
        desk.statuses();
        desk.tell(Event::Release { reservation: reservation(next, 1), why });
        let statuses = desk.statuses();
        assert_eq!(statuses.len(), 2);
        (statuses[0].1.idle_for.is_zero(), statuses[1].1.idle_for.is_zero())
    };
    assert_eq!(periods(Released::NotAnswered), (false, true), "only the second queue counts the offer");
    assert_eq!(periods(Released::NoPenalty), (false, false));
    assert_eq!(periods(Released::Ended), (true, true));
    assert_eq!(periods(Released::NotAnswered), (false, true));
}

// spec: QU-5
#[test]
fn qu_5_calls_and_talk_are_counted_for_their_queue_and_workday() {
    let queues = ["support", "sales"].map(|queue| Membership::new(queue_id(queue)));
    let mut desk = Desk::serving(queues.to_vec());
    let mut number = 0;
    let mut talk = |desk: &mut Desk, seconds| {
        number += 1;
        let reservation = reservation(number, 1);
        desk.reserve(reservation, from("support", 1));
        desk.pass(Duration::from_secs(5));
        desk.tell(Event::Connected { reservation, queue: Some(queue_id("support")) });
        desk.tell(Event::Connected { reservation, queue: Some(queue_id("support")) });
        desk.pass(Duration::from_secs(seconds));
        desk.tell(Event::Release { reservation, why: Released::Ended });
        desk.tell(Event::Release { reservation, why: Released::Ended });
    };
    let counts = |desk: &mut Desk| {
        let statuses = desk.statuses();
        let last = |queue| statuses.iter().rev().find(|(id, _)| *id == queue_id(queue)).map(|(_, status)| status);
        ["support", "sales"].map(|queue| last(queue).map(|status| (status.calls, status.talked.as_secs())).unwrap())
    };
    talk(&mut desk, 30);
    talk(&mut desk, 12);
    assert_eq!(counts(&mut desk), [(2, 42), (0, 0)]);
    desk.command(&AgentCommand::Break).unwrap();
    desk.command(&AgentCommand::Ready).unwrap();
    assert_eq!(counts(&mut desk), [(2, 42), (0, 0)], "a break does not end the workday");
    desk.command(&AgentCommand::LogOut).unwrap();
    desk.command(&AgentCommand::Ready).unwrap();
    assert_eq!(counts(&mut desk), [(0, 0), (0, 0)]);
}

#[test]
fn offers_let_go_by_in_a_row_end_in_a_break_that_is_stored() {
    let mut desk = Desk::serving(vec![Membership { pause_after: Some(2), ..Membership::new(queue_id("support")) }]);
    let mut number = 0;
    let mut offer = |desk: &mut Desk, why| {
        number += 1;
        desk.reserve(reservation(number, 1), from("support", 1));
        desk.out.clear();
        desk.tell(Event::Release { reservation: reservation(number, 1), why });
        desk.agent.availability
    };
    let fails = Released::NotAnswered;
    assert_eq!(offer(&mut desk, fails), Availability::Ready);
    for innocent in [Released::NoPenalty, Released::Unreachable] {
        assert_eq!(offer(&mut desk, innocent), Availability::Ready);
        desk.pass(Duration::from_secs(6));
    }
    assert_eq!(offer(&mut desk, fails), Availability::OnBreak, "the second in a row");
    let saved = SavedAvailability { availability: Availability::OnBreak, logged_out_of: Vec::new() };
    assert!(desk.out.contains(&Effect::Save(saved)));
    desk.command(&AgentCommand::Ready).unwrap();
    assert_eq!(offer(&mut desk, fails), Availability::Ready, "the count begins anew");
    number += 1;
    desk.reserve(reservation(number, 1), from("support", 1));
    desk.tell(Event::Connected { reservation: reservation(number, 1), queue: Some(queue_id("support")) });
    desk.command(&AgentCommand::LogOut).unwrap();
    desk.tell(Event::Release { reservation: reservation(number, 1), why: fails });
    assert_eq!(desk.agent.availability, Availability::LoggedOut, "his own wish comes first");
}
