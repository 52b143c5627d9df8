mod callback;
mod dialled;
mod queued;
mod resume;

use std::sync::Arc;
use std::time::Duration;

use super::{Call, Config, Effect, Event, FromAgent, FromQueue, gone};
use crate::agent::{self, DeviceKind, GrantedDevice, Purpose, Refusal, Released, ReservationId};
use crate::explain::Choice;
use crate::ids::{AgentId, CallId, DeviceId, Epoch, LegId, Name, NodeId, NumberId, QueueId, TrunkId};
use crate::leg::{CallerId, Cause, Incoming, LegCommand, LegEvent, Playback, Source};
use crate::offer::{Invitation, Offer, OfferId, Offered, OwnCall};
use crate::queue::{self, Enqueue, Left, PickupRefusal, Progress, RingingCall};
use crate::record::{Happened, Outcome, Record};
use crate::route::{AgentRoute, NumberRoute, QueueRoute, Routing, Tables, Target, TrunkRoute, WaitingSound};
use crate::ticket::Sequence;
use crate::time::{Moment, Now, WallTime};
use crate::view::AgentCommand;

/// A call to a queue, and a clock. Queue and agents are played by the test.
struct Line {
    call: Call,
    now: Now,
    out: Vec<Effect>,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn support() -> QueueId {
    QueueId::new(name("default"), name("support"))
}

fn agent_id(text: &str) -> AgentId {
    AgentId::new(name("default"), name(text))
}

fn trunk() -> TrunkId {
    TrunkId::new(name("default"), name("carrier"))
}

/// The owner of every agent.
const OWNER: Epoch = Epoch(1);

const CALL: CallId = CallId { node: NodeId(1), boot: 1, number: 1 };

fn caller() -> LegId {
    LegId::caller(CALL)
}

fn leg(n: u16) -> LegId {
    LegId { call: CALL, n }
}

fn reservation(n: u32) -> ReservationId {
    ReservationId { call: CALL, n }
}

fn routing() -> Arc<Routing> {
    let tables = Tables {
        numbers: vec![NumberRoute::new(
            NumberId::new(name("default"), name("main")),
            "+33123456789".parse().unwrap(),
            trunk(),
            Target::Queue(support()),
        )],
        queues: vec![QueueRoute {
            pickup: vec![agent_id("piotr")],
            waiting_sound: WaitingSound::Music,
            priority: 3,
            exits: [('2', queue::Exit::Callback)].into(),
            ..QueueRoute::new(support())
        }],
        agents: vec![AgentRoute {
            extension: Some("101".parse().unwrap()),
            mobile: Some("+33612345678".parse().unwrap()),
            ..AgentRoute::new(agent_id("anna"))
        }],
        trunks: vec![TrunkRoute { id: trunk(), outbound: true }],
        ..Tables::default()
    };
    Arc::new(Routing::new(tables).unwrap())
}

impl Line {
    fn new(source: Source, dialled: &str) -> Self {
        let now = Now { mono: Moment::START + Duration::from_secs(100), wall: WallTime(0) };
        let caller = CallerId { number: "+33600000000".to_owned(), name: String::new() };
        let incoming = Incoming { call: CALL, source, dialled: dialled.to_owned(), to_user: String::new(), caller };
        let call = Call::new(now, incoming, routing(), Arc::new(Config::default()));
        let mut line = Line { call, now, out: Vec::new() };
        line.tell(Event::Start);
        line
    }

    /// In the queue, and the owner has answered.
    fn waiting() -> Self {
        let mut line = Line::new(Source::Trunk(trunk()), "+33123456789");
        line.queue(FromQueue::Enqueued { sequence: Sequence { epoch: Epoch(5), counter: 1 } });
        line
    }

    /// Anna's phone rings, on leg 1.
    fn ringing() -> Self {
        let mut line = Line::waiting();
        line.offer(5, 1, &["anna"]);
        line.grant("anna", 1);
        line.out.clear();
        line
    }

    /// What was dialled, and who is shown as the caller.
    fn shown(&self) -> Vec<&str> {
        let shown = |effect| match effect {
            &Effect::Leg(_, LegCommand::Dial { ref caller, .. }) => Some(caller.number.as_str()),
            _ => None,
        };
        self.out.iter().filter_map(shown).collect()
    }

    fn tell(&mut self, event: Event) {
        self.call.handle(self.now, event, &mut self.out);
    }

    fn queue(&mut self, said: FromQueue) {
        self.tell(Event::Queue(support(), said));
    }

    fn offer(&mut self, epoch: u64, counter: u64, agents: &[&str]) {
        let offered =
            |agent: &&str| Offered { agent: agent_id(agent), hardware_limit: 10, invitation: Invitation::Chosen };
        let id = OfferId { epoch: Epoch(epoch), counter };
        let agents = agents.iter().map(offered).collect();
        let ring_for = Duration::from_secs(20);
        let why = Choice::AllAtOnce { joins: false };
        self.queue(FromQueue::Offer(Offer { id, queue: support(), call: CALL, agents, why, round: 1, ring_for }));
    }

    fn grant(&mut self, agent: &str, n: u32) {
        let id = DeviceId { agent: agent_id(agent), index: 0 };
        let devices = vec![GrantedDevice { id, kind: DeviceKind::Hardware, at: Vec::new() }];
        let granted = FromAgent::Granted { reservation: reservation(n), devices };
        self.tell(Event::Agent(agent_id(agent), OWNER, granted));
    }

    fn leg(&mut self, leg: LegId, event: LegEvent) {
        self.tell(Event::Leg(leg, event));
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now.mono + time;
        while let Some(at) = self.call.deadline().filter(|at| *at <= until) {
            assert!(at > self.now.mono || self.now.mono == at, "a deadline in the past stays there");
            self.now.mono = at;
            self.tell(Event::Wake);
        }
        self.now.mono = until;
    }

    fn legs_told(&mut self) -> Vec<(u16, LegCommand)> {
        let commands = self.out.drain(..).filter_map(|effect| match effect {
            Effect::Leg(leg, command) => Some((leg.n, command)),
            Effect::ToQueue(..) | Effect::ToAgent(..) | Effect::Finished(_) => None,
        });
        commands.collect()
    }

    fn agents_told(&mut self) -> Vec<agent::Event> {
        let events = self.out.drain(..).filter_map(|effect| match effect {
            Effect::ToAgent(_, event) => Some(event),
            Effect::Leg(..) | Effect::ToQueue(..) | Effect::Finished(_) => None,
        });
        events.collect()
    }

    fn queues_told(&mut self) -> Vec<queue::Event> {
        let events = self.out.drain(..).filter_map(|effect| match effect {
            Effect::ToQueue(_, event) => Some(event),
            Effect::Leg(..) | Effect::ToAgent(..) | Effect::Finished(_) => None,
        });
        events.collect()
    }

    fn tickets(&mut self) -> Vec<Enqueue> {
        let tickets = self.queues_told().into_iter().filter_map(|event| match event {
            queue::Event::Enqueue(enqueue) => Some(*enqueue),
            queue::Event::Leave { .. }
            | queue::Event::Availability(_)
            | queue::Event::WhatRings { .. }
            | queue::Event::PickUp { .. }
            | queue::Event::EdgeGone { .. }
            | queue::Event::Configured(_)
            | queue::Event::Removed
            | queue::Event::Wake => None,
        });
        tickets.collect()
    }

    fn record(&mut self) -> Record {
        assert!(self.call.is_over());
        let finished: Vec<&Effect> = self.out.iter().filter(|e| matches!(e, Effect::Finished(_))).collect();
        assert_eq!(finished.len(), 1);
        assert!(matches!(self.out.last(), Some(Effect::Finished(_))), "the record comes last");
        match self.out.pop() {
            Some(Effect::Finished(record)) => *record,
            Some(Effect::Leg(..) | Effect::ToQueue(..) | Effect::ToAgent(..)) | None => unreachable!("checked above"),
        }
    }
}

fn released(n: u32, why: Released) -> agent::Event {
    agent::Event::Release { reservation: reservation(n), why }
}

fn left(why: Left) -> queue::Event {
    queue::Event::Leave { call: CALL, why }
}

#[test]
fn a_queued_call_goes_its_way() {
    let mut line = Line::waiting();
    line.pass(Duration::from_secs(3));
    line.offer(5, 1, &["anna"]);
    line.grant("anna", 1);
    line.leg(leg(1), LegEvent::Alerting { early_media: false });
    line.out.clear();
    line.leg(leg(1), LegEvent::Answered);
    let offer = OfferId { epoch: Epoch(5), counter: 1 };
    let connected = agent::Event::Connected { reservation: reservation(1), queue: Some(support()) };
    assert_eq!(
        std::mem::take(&mut line.out),
        [
            Effect::ToQueue(support(), left(Left::Connected { offer, agent: agent_id("anna") })),
            Effect::Leg(caller(), LegCommand::Bridge { with: leg(1) }),
            Effect::ToAgent(agent_id("anna"), connected.clone()),
        ]
    );
    line.pass(Duration::from_secs(25));
    assert_eq!(line.agents_told(), [connected.clone(), connected], "the lease is renewed");
    line.leg(caller(), LegEvent::Digit('5'));
    line.leg(caller(), LegEvent::Ended(Cause::Normal));
    let record = line.record();
    assert_eq!(
        line.out,
        [
            Effect::Leg(leg(1), LegCommand::HangUp(Cause::Normal)),
            Effect::ToAgent(agent_id("anna"), released(1, Released::Ended)),
        ]
    );
    assert_eq!((record.wait_ms, record.talk_ms), (Some(3_000), 25_000));
    assert_eq!((record.outcome, record.agent.clone()), (Outcome::Answered, Some(agent_id("anna"))));
    let steps: Vec<&str> = record.transitions.iter().map(|transition| step(&transition.what)).collect();
    let expected = [
        "routed",
        "enqueued",
        "enqueued",
        "answered by us",
        "offered",
        "dialled",
        "alerting",
        "connected",
        "digit",
        "leg ended",
    ];
    assert_eq!(steps, expected);
}

fn step(what: &Happened) -> &'static str {
    match what {
        Happened::Routed { .. } => "routed",
        Happened::Playing { .. } => "playing",
        Happened::CallerAnswered => "answered by us",
        Happened::Enqueued { .. } => "enqueued",
        Happened::Offered { .. } => "offered",
        Happened::ReservationRefused { .. } => "refused",
        Happened::Dialled { .. } => "dialled",
        Happened::Alerting { .. } => "alerting",
        Happened::NotAnswered { .. } => "not answered",
        Happened::Connected { .. } => "connected",
        Happened::Held { .. } => "held",
        Happened::Resumed { .. } => "resumed",
        Happened::Digit { .. } => "digit",
        Happened::LeftQueue { .. } => "left",
        Happened::PickedUp { .. } => "picked up",
        Happened::TakenOver { .. } => "taken over",
        Happened::Moved { .. } => "moved",
        Happened::Commanded { .. } => "commanded",
        Happened::Stopped { .. } => "stopped",
        Happened::LegEnded { .. } => "leg ended",
    }
}

#[test]
fn a_caller_who_gives_up_leaves_no_phone_ringing_and_nobody_blamed() {
    let mut line = Line::ringing();
    line.leg(caller(), LegEvent::Ended(Cause::Cancelled));
    let record = line.record();
    assert_eq!(
        line.out,
        [
            Effect::Leg(leg(1), LegCommand::HangUp(Cause::Cancelled)),
            Effect::ToAgent(agent_id("anna"), released(1, Released::NoPenalty)),
            Effect::ToQueue(support(), left(Left::Abandoned)),
        ]
    );
    assert_eq!((record.outcome, record.cause), (Outcome::Abandoned, Cause::Cancelled));
}

#[test]
fn after_the_end_everything_is_ignored_or_turned_away() {
    let mut line = Line::waiting();
    line.tell(Event::HangUp);
    let record = line.record();
    assert_eq!(record.outcome, Outcome::Missed);
    line.out.clear();
    line.leg(caller(), LegEvent::Ended(Cause::Normal));
    line.tell(Event::HangUp);
    line.tell(Event::Wake);
    assert_eq!(line.out, []);
    assert_eq!(line.call.deadline(), None);
    line.offer(5, 1, &["anna"]);
    assert_eq!(line.queues_told(), [left(Left::Gone)]);
    line.grant("anna", 1);
    assert_eq!(line.agents_told(), [released(1, Released::NoPenalty)]);
}

#[test]
fn a_queue_that_missed_the_connection_is_told_again() {
    let mut line = Line::ringing();
    line.leg(leg(1), LegEvent::Answered);
    line.out.clear();
    line.offer(5, 2, &["piotr"]);
    let offer = OfferId { epoch: Epoch(5), counter: 1 };
    assert_eq!(line.queues_told(), [left(Left::Connected { offer, agent: agent_id("anna") })]);
}

#[test]
fn a_silent_leg_ends_the_conversation_and_the_record_says_so() {
    let mut line = Line::ringing();
    line.leg(leg(1), LegEvent::Answered);
    line.leg(leg(1), LegEvent::Ended(Cause::MediaTimeout));
    let record = line.record();
    assert_eq!((record.outcome, record.cause), (Outcome::Answered, Cause::MediaTimeout));
    assert!(line.out.contains(&Effect::Leg(caller(), LegCommand::HangUp(Cause::MediaTimeout))));
    let mut line = Line::waiting();
    line.leg(caller(), LegEvent::Ended(Cause::MediaTimeout));
    assert_eq!(line.record().outcome, Outcome::Failed);
}

#[test]
fn no_call_lasts_for_ever() {
    let mut line = Line::ringing();
    line.leg(leg(1), LegEvent::Answered);
    line.pass(Duration::from_secs(12 * 3600));
    let record = line.record();
    let stopped = |what: &Happened| matches!(what, Happened::Stopped { why } if why.contains("longest"));
    assert!(record.transitions.iter().any(|transition| stopped(&transition.what)));
}

#[test]
fn the_record_is_bounded() {
    let mut line = Line::ringing();
    line.leg(leg(1), LegEvent::Answered);
    for _ in 0..10_000 {
        line.leg(caller(), LegEvent::Digit('1'));
    }
    line.leg(caller(), LegEvent::Ended(Cause::Normal));
    let record = line.record();
    assert!(record.transitions.len() < 5_000);
    assert_eq!(step(&record.transitions.last().unwrap().what), "leg ended", "what decides is never left out");
}

// spec: CL-3
#[test]
fn cl_3_a_new_owner_of_an_agent_hears_at_once_what_the_call_holds() {
    let mut line = Line::ringing();
    line.tell(Event::Agent(agent_id("piotr"), OWNER, FromAgent::NewOwner));
    assert_eq!(line.agents_told(), [], "nothing is held of him");
    line.tell(Event::Agent(agent_id("anna"), OWNER, FromAgent::NewOwner));
    let told = line.agents_told();
    assert!(matches!(&told[..], [agent::Event::Reserve { reservation: r, .. }] if *r == reservation(1)), "{told:?}");
    line.leg(leg(1), LegEvent::Answered);
    line.out.clear();
    line.tell(Event::Agent(agent_id("anna"), OWNER, FromAgent::NewOwner));
    let connected = agent::Event::Connected { reservation: reservation(1), queue: Some(support()) };
    assert_eq!(line.agents_told(), [connected]);
}

// spec: CL-3: another call may have her, and is asked a moment later.
#[test]
fn cl_3_a_new_owner_of_an_agent_does_not_hear_mere_wishes() {
    let mut line = Line::waiting();
    line.offer(5, 1, &["anna"]);
    line.out.clear();
    line.tell(Event::Agent(agent_id("anna"), OWNER, FromAgent::NewOwner));
    assert_eq!(line.agents_told(), []);
    line.grant("anna", 1);
    assert_eq!(line.legs_told().len(), 1, "she is still asked for");

    let phone = DeviceId { agent: agent_id("piotr"), index: 0 };
    let mut line = Line::new(Source::Device(phone), "101");
    line.out.clear();
    line.tell(Event::Agent(agent_id("piotr"), OWNER, FromAgent::NewOwner));
    assert_eq!(line.agents_told(), []);
}

// spec: OB-5
#[test]
fn ob_5_a_calling_agent_is_held_before_anything_is_dialled() {
    let source = Source::Device(DeviceId { agent: agent_id("piotr"), index: 0 });
    let mut line = Line::new(source.clone(), "101");
    let own = agent::Event::Reserve { reservation: reservation(1), purpose: Purpose::Own };
    assert_eq!(line.agents_told(), std::slice::from_ref(&own));
    let granted = FromAgent::Granted { reservation: reservation(1), devices: Vec::new() };
    line.tell(Event::Agent(agent_id("piotr"), OWNER, granted));
    let direct = agent::Event::Reserve { reservation: reservation(2), purpose: Purpose::Direct };
    assert_eq!(line.agents_told(), [direct]);
    line.grant("anna", 2);
    line.leg(leg(1), LegEvent::Answered);
    line.out.clear();
    line.pass(Duration::from_secs(10));
    assert!(line.agents_told().contains(&own), "his lease is renewed, too");
    line.leg(leg(1), LegEvent::Ended(Cause::Normal));
    line.record();
    assert_eq!(line.agents_told(), [released(2, Released::Ended), released(1, Released::Ended)]);

    let mut line = Line::new(source, "101");
    let refused = FromAgent::Refused { reservation: reservation(1), why: Refusal::Busy };
    line.tell(Event::Agent(agent_id("piotr"), OWNER, refused));
    let record = line.record();
    assert_eq!((record.outcome, record.cause), (Outcome::Refused, Cause::Busy));
}

#[test]
fn an_outgoing_call_passes_early_media_on() {
    let source = Source::Device(DeviceId { agent: agent_id("piotr"), index: 0 });
    let mut line = Line::new(source, "+48 600 000 000");
    let granted = FromAgent::Granted { reservation: reservation(1), devices: Vec::new() };
    line.tell(Event::Agent(agent_id("piotr"), OWNER, granted));
    line.out.clear();
    line.leg(leg(1), LegEvent::Alerting { early_media: false });
    line.leg(leg(1), LegEvent::Alerting { early_media: false });
    assert_eq!(line.legs_told(), [(0, LegCommand::Ring)], "once");
    line.leg(leg(1), LegEvent::Alerting { early_media: true });
    line.leg(leg(1), LegEvent::Alerting { early_media: true });
    assert_eq!(line.legs_told(), [(0, LegCommand::Bridge { with: leg(1) })]);
    line.leg(leg(1), LegEvent::Answered);
    assert_eq!(line.legs_told(), [(0, LegCommand::Answer)], "they are joined already");
}

#[test]
fn an_unknown_call_turns_everybody_away() {
    let granted = FromAgent::Granted { reservation: reservation(1), devices: Vec::new() };
    let answer = gone(CALL, &Event::Agent(agent_id("anna"), OWNER, granted));
    assert_eq!(answer, Some(Effect::ToAgent(agent_id("anna"), released(1, Released::NoPenalty))));
    assert_eq!(gone(CALL, &Event::Wake), None);
}

// spec: RT-5: a colleague sees the extension that he would dial to call back, not the user name of the phone.
#[test]
fn an_agent_who_calls_is_shown_by_his_extension() {
    let phone = DeviceId { agent: agent_id("anna"), index: 0 };
    let mut line = Line::new(Source::Device(phone), "+33123456789");
    let own = line.out.iter().find_map(|effect| match effect {
        Effect::ToAgent(_, agent::Event::Reserve { reservation, .. }) => Some(*reservation),
        _ => None,
    });
    let granted = FromAgent::Granted { reservation: own.unwrap(), devices: Vec::new() };
    line.tell(Event::Agent(agent_id("anna"), OWNER, granted));
    line.queue(FromQueue::Enqueued { sequence: Sequence { epoch: Epoch(5), counter: 1 } });
    line.offer(5, 1, &["piotr"]);
    line.grant("piotr", 2);
    assert_eq!(line.shown(), ["101"]);
}
