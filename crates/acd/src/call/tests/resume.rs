//! A call whose edge has died, at its heir. The checkpoint travels as it does between nodes.

use super::*;
use crate::call::{Checkpoint, Inheritance};
use crate::leg::LegImage;

/// How old the checkpoint is when the heir goes on.
const AGE: Duration = Duration::from_secs(2);

const HEIR: NodeId = NodeId(2);

fn image(n: u16) -> LegImage {
    LegImage::new(&n.to_be_bytes())
}

/// As it arrives at the heir.
fn sent(checkpoint: &Checkpoint) -> Checkpoint {
    let past = serde_json::from_str(&serde_json::to_string(checkpoint.past()).unwrap()).unwrap();
    let read: Checkpoint = serde_json::from_str(&serde_json::to_string(checkpoint).unwrap()).unwrap();
    let read = read.with_past(past);
    assert_eq!(read, *checkpoint);
    read
}

/// The edge dies at this moment; the heir's clocks are of another kind.
fn heir_of(line: &Line) -> Line {
    let checkpoint = sent(&line.call.checkpoint(line.now).expect("it can be taken over"));
    let now = Now { mono: Moment::at(Duration::from_secs(1_000_000)), wall: WallTime(-3_600_000_000) };
    let images = checkpoint.legs().into_iter().map(|leg| (leg, image(leg.n))).collect();
    let inheritance = Inheritance { from: CALL.node, to: HEIR, planned: false, age: AGE, images };
    let call = Call::resume(now, &checkpoint, inheritance, routing(), Arc::new(Config::default()));
    let mut heir = Line { call, now, out: Vec::new() };
    heir.tell(Event::Start);
    heir
}

fn talking() -> Line {
    let mut line = Line::waiting();
    line.pass(Duration::from_secs(3));
    line.offer(5, 1, &["anna"]);
    line.grant("anna", 1);
    line.leg(leg(1), LegEvent::Answered);
    line.pass(Duration::from_secs(25));
    line
}

fn revive(n: u16) -> LegCommand {
    LegCommand::Revive { image: image(n) }
}

fn connected() -> agent::Event {
    agent::Event::Connected { reservation: reservation(1), queue: Some(support()) }
}

// spec: CL-4
#[test]
fn cl_4_who_waits_comes_back_with_his_place_and_what_he_has_waited() {
    let mut line = Line::waiting();
    line.pass(Duration::from_secs(12));
    let mut heir = heir_of(&line);
    let legs: Vec<LegCommand> = heir
        .out
        .iter()
        .filter_map(|it| match it {
            Effect::Leg(_, command) => Some(command.clone()),
            Effect::ToQueue(..) | Effect::ToAgent(..) | Effect::Finished(_) => None,
        })
        .collect();
    assert_eq!(legs, [revive(0), LegCommand::Play(Playback::Music)]);
    let ticket = heir.tickets().pop().unwrap();
    assert_eq!(ticket.ticket.sequence, Some(Sequence { epoch: Epoch(5), counter: 1 }));
    let waited = Duration::from_secs(12) + AGE;
    assert_eq!((ticket.ticket.waited, ticket.waited_here, ticket.ticket.priority), (waited, waited, 3));
    heir.leg(caller(), LegEvent::Answered);
    heir.out.clear();
    heir.pass(Duration::from_secs(4));
    assert_eq!(heir.tickets().len(), 4, "the owner may be new, or know of an offer that is lost");
    heir.offer(5, 7, &["anna"]);
    heir.out.clear();
    heir.grant("anna", 1_001);
    heir.leg(leg(1_001), LegEvent::Answered);
    assert!(heir.out.contains(&Effect::Leg(caller(), LegCommand::Bridge { with: leg(1_001) })));
    heir.leg(caller(), LegEvent::Ended(Cause::Normal));
    let record = heir.record();
    assert_eq!((record.outcome, record.wait_ms, record.talk_ms), (Outcome::Answered, Some(18_000), 0));
    assert_eq!(record.started, WallTime(-3_600_000_000 - 14_000_000), "on the heir's clock");
    assert!(record.transitions.is_sorted_by_key(|it| it.at));
    let moved = Happened::Moved { from: CALL.node, to: HEIR, planned: false };
    assert!(record.transitions.iter().any(|it| it.what == moved));
}

// spec: CL-4
#[test]
fn cl_4_who_talks_goes_on_when_both_sides_have_agreed() {
    let mut heir = heir_of(&talking());
    assert_eq!(
        std::mem::take(&mut heir.out),
        [
            Effect::Leg(caller(), revive(0)),
            Effect::Leg(leg(1), revive(1)),
            Effect::ToAgent(agent_id("anna"), connected()),
        ]
    );
    assert_eq!(heir.call.connected_with(), Some((leg(1), Some(&agent_id("anna")))));
    heir.leg(leg(1), LegEvent::Answered);
    assert_eq!(heir.legs_told(), []);
    heir.leg(caller(), LegEvent::Answered);
    assert_eq!(heir.legs_told(), [(0, LegCommand::Bridge { with: leg(1) })]);
    heir.leg(caller(), LegEvent::Answered);
    assert_eq!(heir.legs_told(), [], "once");
    heir.pass(Duration::from_secs(5));
    assert_eq!(heir.agents_told(), vec![connected(); 5], "his owner may be new");
    heir.pass(Duration::from_secs(20));
    assert_eq!(heir.agents_told(), vec![connected(); 2]);
    heir.leg(leg(1), LegEvent::Ended(Cause::Normal));
    let record = heir.record();
    assert_eq!((record.outcome, record.wait_ms, record.talk_ms), (Outcome::Answered, Some(3_000), 52_000));
    assert_eq!((record.agent, record.queue), (Some(agent_id("anna")), Some(support())));
    assert!(heir.out.contains(&Effect::ToAgent(agent_id("anna"), released(1, Released::Ended))));
}

// spec: CL-4
#[test]
fn cl_4_a_side_that_does_not_come_back_ends_the_call() {
    let mut heir = heir_of(&talking());
    heir.leg(leg(1), LegEvent::Answered);
    heir.out.clear();
    heir.leg(caller(), LegEvent::Ended(Cause::SignallingTimeout));
    assert_eq!(heir.record().outcome, Outcome::Answered);
    let gone = Effect::Leg(leg(1), LegCommand::HangUp(Cause::SignallingTimeout));
    assert_eq!(heir.out, [gone, Effect::ToAgent(agent_id("anna"), released(1, Released::Ended))]);

    let mut heir = heir_of(&talking());
    heir.leg(caller(), LegEvent::Answered);
    heir.pass(Duration::from_secs(10));
    assert_eq!(heir.record().cause, Cause::SignallingTimeout, "nobody said a word of the other");
    let commands = heir.legs_told();
    assert!(commands.contains(&(0, LegCommand::HangUp(Cause::SignallingTimeout))), "{commands:?}");
    assert!(commands.contains(&(1, LegCommand::HangUp(Cause::SignallingTimeout))), "{commands:?}");

    let mut heir = heir_of(&Line::waiting());
    heir.out.clear();
    heir.leg(caller(), LegEvent::Ended(Cause::Unreachable));
    assert_eq!(heir.record().outcome, Outcome::Abandoned);
    assert_eq!(heir.queues_told(), [left(Left::Abandoned)]);
}

// spec: CL-4, QU-8
#[test]
fn cl_4_what_rang_is_lost_and_the_caller_waits_on() {
    let mut line = Line::waiting();
    line.offer(5, 1, &["anna"]);
    line.grant("anna", 1);
    let mut heir = heir_of(&line);
    assert!(heir.call.view(heir.now).agent.is_none());
    assert_eq!(heir.tickets().pop().unwrap().progress, None, "so that the owner offers him anew");
    heir.offer(5, 1, &["anna"]);
    let reserve = heir.agents_told().pop();
    assert!(
        matches!(reserve, Some(agent::Event::Reserve { reservation: it, .. }) if it == reservation(1_002)),
        "not one that the dead edge may have used: {reserve:?}"
    );
}

// spec: CL-4, UN-7
#[test]
fn cl_4_a_callback_is_kept() {
    let mut line = Line::waiting();
    line.leg(caller(), LegEvent::Digit('2'));
    line.leg(caller(), LegEvent::PlayFinished);
    line.pass(Duration::from_secs(60));
    let mut heir = heir_of(&line);
    assert_eq!(heir.out.len(), 1, "it has no leg: {:?}", heir.out);
    let ticket = heir.tickets().pop().unwrap().ticket;
    assert_eq!(ticket.callback.unwrap().rest, Duration::ZERO);
    heir.offer(5, 4, &["anna"]);
    heir.grant("anna", 1_001);
    heir.out.clear();
    heir.leg(leg(1_001), LegEvent::Answered);
    let dialled = heir.legs_told().into_iter().any(|(n, it)| n == 1_002 && matches!(it, LegCommand::Dial { .. }));
    assert!(dialled, "the client");
    heir.leg(leg(1_002), LegEvent::Answered);
    assert_eq!(heir.call.connected_with(), Some((leg(1_001), Some(&agent_id("anna")))));
    let mut next = heir_of(&heir);
    assert_eq!(next.legs_told()[..2], [(1_002, revive(1_002)), (1_001, revive(1_001))]);
}

// spec: CL-4, OB-5
#[test]
fn cl_4_an_agent_who_calls_stays_held() {
    let device = DeviceId { agent: agent_id("anna"), index: 0 };
    let mut line = Line::new(Source::Device(device), "+33699999999");
    line.tell(Event::Agent(
        agent_id("anna"),
        OWNER,
        FromAgent::Granted { reservation: reservation(1), devices: Vec::new() },
    ));
    assert_eq!(line.call.checkpoint(line.now), None, "what only rings is lost");
    line.leg(leg(1), LegEvent::Answered);
    let mut heir = heir_of(&line);
    let held = agent::Event::Reserve { reservation: reservation(1), purpose: Purpose::Own };
    assert_eq!(heir.agents_told(), [held]);
}

// spec: CL-4: an ordinary call costs few checkpoints.
#[test]
fn cl_4_only_what_an_heir_needs_is_worth_a_checkpoint() {
    let mut line = Line::new(Source::Trunk(trunk()), "+33123456789");
    let mut marks = vec![line.call.mark()];
    let mut look = |line: &Line| marks.push(line.call.mark());
    line.queue(FromQueue::Enqueued { sequence: Sequence { epoch: Epoch(5), counter: 1 } });
    look(&line);
    for counter in 1..5 {
        line.offer(5, counter, &["anna"]);
        line.tell(Event::Agent(
            agent_id("anna"),
            OWNER,
            FromAgent::Refused { reservation: reservation(u32::try_from(counter).unwrap()), why: Refusal::Busy },
        ));
        line.pass(Duration::from_secs(20));
        look(&line);
    }
    line.offer(5, 9, &["anna"]);
    line.grant("anna", 5);
    line.leg(leg(1), LegEvent::Answered);
    look(&line);
    line.leg(caller(), LegEvent::Digit('5'));
    look(&line);
    marks.dedup();
    assert_eq!(marks.len(), 4, "in the queue with its ring tone or music, its place, two-way audio: {marks:?}");
}

#[test]
fn a_long_past_travels_in_part() {
    let mut line = Line::waiting();
    for _ in 0..500 {
        line.leg(caller(), LegEvent::Digit('7'));
    }
    line.offer(5, 1, &["anna"]);
    line.grant("anna", 1);
    line.leg(leg(1), LegEvent::Answered);
    for _ in 0..500 {
        line.leg(leg(1), LegEvent::Digit('7'));
    }
    let checkpoint = line.call.checkpoint(line.now).unwrap();
    assert!((64..80).contains(&checkpoint.past().len()), "{}", checkpoint.past().len());
    let mut heir = heir_of(&line);
    heir.leg(caller(), LegEvent::Ended(Cause::Normal));
    let record = heir.record();
    let decides = |it: &&crate::record::Transition| it.what.decides();
    let steps: Vec<&str> = record.transitions.iter().filter(decides).map(|it| step(&it.what)).collect();
    assert_eq!(steps, ["enqueued", "enqueued", "connected", "leg ended"]);
}

// spec: CL-4, PL-5: what is left out of the past changes no time on hold.
#[test]
fn cl_4_a_hold_travels_with_its_end_and_one_that_lasts_travels() {
    // Whatever is cut between.
    for keys in 0..3 {
        let mut line = talking();
        (0..keys).for_each(|_| line.leg(caller(), LegEvent::Digit('7')));
        for _ in 0..200 {
            line.leg(leg(1), LegEvent::Held);
            line.leg(caller(), LegEvent::Digit('7'));
            line.leg(leg(1), LegEvent::Resumed);
        }
        line.leg(caller(), LegEvent::Held);
        (0..100).for_each(|_| line.leg(leg(1), LegEvent::Digit('7')));
        let mut heir = heir_of(&line);
        heir.leg(caller(), LegEvent::Ended(Cause::Normal));
        let record = heir.record();
        let theirs = |it: &crate::record::Transition| matches!(&it.what, Happened::Held { leg: l } | Happened::Resumed { leg: l } if *l == leg(1));
        let holds: Vec<&str> = record.transitions.iter().filter(|it| theirs(it)).map(|it| step(&it.what)).collect();
        assert!(holds.len() >= 2 && holds.chunks(2).all(|pair| pair == ["held", "resumed"]), "{holds:?}");
        let lasts = |it: &&crate::record::Transition| it.what == Happened::Held { leg: caller() };
        assert_eq!(record.transitions.iter().filter(lasts).count(), 1);
    }
}
