//! What is sent is what arrives, and what nobody understands is dropped.

use std::time::Duration;

use carillon_acd::agent::{
    AgentStatus, CommandRefusal, DeviceKind, Event as ToAgent, GrantedDevice, Purpose, Refusal, Released,
    ReservationId, Standing, Version,
};
use carillon_acd::call::{Event as ToCall, FromAgent, FromQueue};
use carillon_acd::explain::Choice;
use carillon_acd::ids::{AgentId, CallId, DeviceId, Epoch, LegId, NodeId, QueueId, SoundId};
use carillon_acd::leg::{Contact, Location};
use carillon_acd::offer::{Invitation, Offer, OfferId, Offered, OwnCall};
use carillon_acd::queue::{
    Enqueue, Event as ToQueue, Left, Overflow, OverflowReason, PickupRefusal, Progress, RingingCall, Then,
};
use carillon_acd::rank::Ranking;
use carillon_acd::skills::Skills;
use carillon_acd::ticket::{Callback, Sequence, Ticket};
use carillon_acd::view::AgentCommand;
use prost::Message as _;

use super::{Message, wire};

const CALL: CallId = CallId { node: NodeId(3), boot: 0x6a0f_3c21, number: 42 };
const OFFER: OfferId = OfferId { epoch: Epoch(7), counter: 9 };
const SEQUENCE: Sequence = Sequence { epoch: Epoch(5), counter: 11 };
const LEG: LegId = LegId { call: CALL, n: 3 };
const RESERVATION: ReservationId = ReservationId { call: CALL, n: 2 };

fn agent(name: &str) -> AgentId {
    AgentId::new("default".parse().unwrap(), name.parse().unwrap())
}

fn queue() -> QueueId {
    QueueId::new("default".parse().unwrap(), "support".parse().unwrap())
}

fn sound() -> SoundId {
    SoundId::new("default".parse().unwrap(), "closed".parse().unwrap())
}

fn contact(source: &str) -> Contact {
    Contact::new("sip:anna@10.0.0.7:5062;ob", source.parse().unwrap()).unwrap()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn crosses(message: Message) {
    let bytes = message.to_wire().expect("it is for another node").encode_to_vec();
    let read = wire::Envelope::decode(bytes.as_slice()).unwrap().message.unwrap();
    assert_eq!(Message::from_wire(read), Some(message));
}

#[test]
fn what_an_agent_is_told_crosses() {
    let ranking = Ranking { ageing: None, weight: seconds(30), strict_weight: true };
    let purposes = [
        Purpose::Direct,
        Purpose::Own,
        Purpose::PickUp { queue: queue(), offer: OFFER, own: Some(RESERVATION) },
        Purpose::PickUp { queue: queue(), offer: OFFER, own: None },
        Purpose::Queue { queue: queue(), offer: OFFER, bid: ranking.bid(-3, seconds(5)), sequence: Some(SEQUENCE) },
        Purpose::Queue { queue: queue(), offer: OFFER, bid: Ranking::default().bid(-300, seconds(5)), sequence: None },
    ];
    for purpose in purposes {
        crosses(Message::Agent(agent("anna"), ToAgent::Reserve { reservation: RESERVATION, purpose }));
    }
    for why in [Released::Ended, Released::NotAnswered, Released::NoPenalty, Released::Unreachable] {
        crosses(Message::Agent(agent("anna"), ToAgent::Release { reservation: RESERVATION, why }));
    }
    for queue in [None, Some(queue())] {
        crosses(Message::Agent(agent("anna"), ToAgent::Connected { reservation: RESERVATION, queue }));
    }
    for contacts in [Vec::new(), vec![contact("192.0.2.9"), contact("2001:db8::9")]] {
        crosses(Message::Agent(agent("anna"), ToAgent::Reachable { device: 255, edge: NodeId(7), contacts }));
    }
}

#[test]
fn what_an_agent_dials_crosses() {
    let plain = [AgentCommand::Ready, AgentCommand::Break, AgentCommand::LogOut, AgentCommand::EndWrapUp];
    let queues = [AgentCommand::QueueLogIn(queue()), AgentCommand::QueueLogOut(queue())];
    for command in plain.into_iter().chain(queues) {
        crosses(Message::Agent(agent("anna"), ToAgent::Command { call: CALL, command }));
    }
    crosses(Message::Queue(queue(), ToQueue::WhatRings { asker: CALL, agent: agent("anna") }));
    let own = OwnCall { leg: LEG, reservation: RESERVATION };
    crosses(Message::Queue(queue(), ToQueue::PickUp { call: CALL, agent: agent("anna"), own }));
}

#[test]
fn what_a_queue_is_told_crosses() {
    let skills = Skills::new([("french".parse().unwrap(), 8), ("billing".parse().unwrap(), 1)]);
    let (call, waited) = (CALL, Duration::from_micros(1_234_567));
    let ticket = Ticket {
        call,
        queue: queue(),
        sequence: Some(SEQUENCE),
        moves: 2,
        priority: -2,
        skills,
        waited,
        max_wait: Some(seconds(90)),
        caller: "+33123456789".parse().ok(),
        callback: Some(Callback { rest: seconds(3), ring_for: seconds(20) }),
    };
    let bare = Enqueue {
        ticket: Ticket::new(call, queue()),
        waited_here: Duration::ZERO,
        round: 0,
        tried: Vec::new(),
        progress: None,
    };
    crosses(Message::Queue(queue(), ToQueue::Enqueue(Box::new(bare))));
    let progress = [
        None,
        Some(Progress::Working(OFFER)),
        Some(Progress::Failed { offer: OFFER, refused: vec![agent("anna")], rang: true }),
    ];
    for progress in progress {
        let tried = vec![agent("piotr"), agent("anna")];
        let enqueue = Enqueue { ticket: ticket.clone(), waited_here: seconds(1), round: 3, tried, progress };
        crosses(Message::Queue(queue(), ToQueue::Enqueue(Box::new(enqueue))));
    }
    let connected = Left::Connected { offer: OFFER, agent: agent("anna") };
    let called_back = Left::CalledBack { offer: OFFER, agent: agent("anna") };
    for why in [connected, called_back, Left::Abandoned, Left::Overflowed, Left::Gone] {
        crosses(Message::Queue(queue(), ToQueue::Leave { call, why }));
    }
    let standings = [Standing::LoggedOut, Standing::OnBreak, Standing::Busy, Standing::Unreachable, Standing::Free];
    for standing in standings {
        let status = AgentStatus {
            agent: agent("anna"),
            version: Version { epoch: Epoch(9), counter: 10 },
            standing,
            idle_for: seconds(77),
            idle_period: 4,
            calls: 5,
            talked: seconds(900),
            hardware: 1,
            soft: 2,
        };
        crosses(Message::Queue(queue(), ToQueue::Availability(status)));
    }
}

#[test]
fn what_a_call_is_told_crosses() {
    let from_queue = |said| crosses(Message::Call(CALL, ToCall::Queue(queue(), said)));
    from_queue(FromQueue::Enqueued { sequence: SEQUENCE });
    let agents =
        [Invitation::Chosen, Invitation::Asked, Invitation::OwnCall(OwnCall { leg: LEG, reservation: RESERVATION })]
            .map(|invitation| Offered { agent: agent("anna"), hardware_limit: 255, invitation })
            .to_vec();
    from_queue(FromQueue::Offer(Offer {
        id: OFFER,
        queue: queue(),
        call: CALL,
        agents,
        round: 2,
        ring_for: seconds(20),
        why: Choice::PickUp,
    }));
    let reasons = [
        (OverflowReason::RoundUnanswered, Then::HangUp),
        (OverflowReason::MaxWait, Then::Queue(queue())),
        (OverflowReason::NobodyLoggedIn, Then::Agent(agent("anna"))),
        (OverflowReason::MaxWaiting, Then::Number("+33123456789".parse().unwrap())),
        (OverflowReason::MaxTotalWait, Then::LastAgentPhone),
        (OverflowReason::Merged(CALL), Then::HangUp),
        (OverflowReason::Reached(CALL), Then::HangUp),
    ];
    for (why, then) in reasons {
        let overflow = Overflow { why, message: Some(sound()), then, farewell: None, ring_for: seconds(20) };
        from_queue(FromQueue::Overflow { epoch: Epoch(7), overflow });
    }
    let from_agent = |said| crosses(Message::Call(CALL, ToCall::Agent(agent("anna"), Epoch(4), said)));
    let kinds = [DeviceKind::Hardware, DeviceKind::Browser, DeviceKind::Desktop, DeviceKind::Mobile];
    let at = vec![Location { edge: NodeId(7), contact: contact("192.0.2.9") }];
    let device = |(index, kind)| GrantedDevice { id: DeviceId { agent: agent("anna"), index }, kind, at: at.clone() };
    let devices = (0..).zip(kinds).map(device).collect();
    from_agent(FromAgent::Granted { reservation: RESERVATION, devices });
    let refusals = [
        Refusal::Busy,
        Refusal::WrapUp,
        Refusal::OnBreak,
        Refusal::LoggedOut,
        Refusal::NotInQueue,
        Refusal::Unreachable,
        Refusal::StaleEpoch,
        Refusal::Over,
    ];
    for why in refusals {
        from_agent(FromAgent::Refused { reservation: RESERVATION, why });
    }
    from_agent(FromAgent::Lost { reservation: RESERVATION });
    for done in [Ok(()), Err(CommandRefusal::NotInWrapUp), Err(CommandRefusal::DoesNotServe(queue()))] {
        from_agent(FromAgent::Commanded(done));
    }
    from_queue(FromQueue::Rings(Ok(RingingCall { call: CALL, ringing_for: seconds(7) })));
    for why in [PickupRefusal::NotAllowed, PickupRefusal::DoesNotServe, PickupRefusal::NothingRings] {
        from_queue(FromQueue::Rings(Err(why)));
        from_queue(FromQueue::NotPickedUp { call: CALL, why });
    }
    crosses(Message::Call(CALL, ToCall::HangUp));
}

#[test]
fn what_concerns_one_node_alone_does_not_travel() {
    assert_eq!(Message::Call(CALL, ToCall::Wake).to_wire(), None);
    assert_eq!(Message::Call(CALL, ToCall::Agent(agent("anna"), Epoch(4), FromAgent::NewOwner)).to_wire(), None);
    assert_eq!(Message::Agent(agent("anna"), ToAgent::Start).to_wire(), None);
    assert_eq!(Message::Queue(queue(), ToQueue::Wake).to_wire(), None);
}

#[test]
fn what_is_not_understood_is_dropped() {
    let unknown = wire::ToCall { call: Some(CALL.into()), event: None };
    assert_eq!(Message::from_wire(wire::envelope::Message::ToCall(unknown)), None);
    let nameless = wire::ToAgent {
        agent: Some(wire::ObjectName { tenant: "default".into(), name: "Not a name".into() }),
        event: Some(wire::to_agent::Event::Reachable(wire::Reachable::default())),
    };
    assert_eq!(Message::from_wire(wire::envelope::Message::ToAgent(nameless)), None);
    // A newer version sends an envelope with a message that has no number here yet.
    let newer = [0xaa, 0x06, 0x02, 0x08, 0x01];
    assert_eq!(wire::Envelope::decode(newer.as_slice()).unwrap().message, None);
}
