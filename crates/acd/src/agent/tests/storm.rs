//! Everything that an owner can hear, in any order: it never fails, tells only the queues that he serves, and does not wake
//! without end.

use std::sync::Arc;

use proptest::prelude::{Just, Strategy as Generator, any, prop, prop_assert, prop_oneof, proptest};
use proptest::test_runner::TestCaseResult;

use super::*;
use crate::whereabouts::{Taken, Whereabouts};

const QUEUES: [&str; 3] = ["support", "sales", "hotline"];

#[derive(Clone, Debug)]
enum Step {
    /// The queues that he serves by their number, and how many phones he has.
    Becomes(Vec<usize>, usize),
    Removed,
    Reserve(u64, Purpose),
    Connected(u64, Option<usize>),
    Release(u64, Released),
    Wants(AgentCommand),
    Registers(u8, bool),
    /// The edge of the calls of even or odd numbers, one of which lives elsewhere.
    EdgeGone(u32, u64),
    Passes(u64),
}

fn purpose() -> impl Generator<Value = Purpose> {
    prop_oneof![
        4 => (0_usize..3, 1_u64..4).prop_map(|(queue, epoch)| from(QUEUES[queue], epoch)),
        1 => Just(Purpose::Direct),
        1 => Just(Purpose::Own),
    ]
}

fn step() -> impl Generator<Value = Step> {
    let call = || 1_u64..7;
    let why = vec![Released::Ended, Released::NotAnswered, Released::NoPenalty, Released::Unreachable];
    let queue = || queue_id(QUEUES[0]);
    let wish = vec![
        AgentCommand::Break,
        AgentCommand::Ready,
        AgentCommand::EndWrapUp,
        AgentCommand::QueueLogIn(queue()),
        AgentCommand::QueueLogOut(queue()),
    ];
    prop_oneof![
        2 => (prop::sample::subsequence(vec![0_usize, 1, 2], 0..=3).prop_shuffle(), 0_usize..3)
            .prop_map(|(queues, phones)| Step::Becomes(queues, phones)),
        1 => Just(Step::Removed),
        6 => (call(), purpose()).prop_map(|(call, purpose)| Step::Reserve(call, purpose)),
        4 => (call(), prop::option::of(0_usize..3)).prop_map(|(call, queue)| Step::Connected(call, queue)),
        4 => (call(), prop::sample::select(why)).prop_map(|(call, why)| Step::Release(call, why)),
        2 => prop::sample::select(wish).prop_map(Step::Wants),
        2 => (0_u8..3, any::<bool>()).prop_map(|(device, there)| Step::Registers(device, there)),
        1 => (1_u32..3, call()).prop_map(|(edge, taken)| Step::EdgeGone(edge, taken)),
        4 => prop::sample::select(vec![1_u64, 50, 5_000, 40_000]).prop_map(Step::Passes),
    ]
}

/// The calls of odd numbers live at one edge, the others at another.
fn spread(call: u64) -> ReservationId {
    let mut reservation = reservation(call, 1);
    reservation.call.node = NodeId(1 + u32::try_from(call % 2).unwrap());
    reservation
}

fn perform(desk: &mut Desk, serves: &mut Vec<QueueId>, step: Step) {
    match step {
        Step::Becomes(queues, phones) => {
            *serves = queues.into_iter().map(|queue| queue_id(QUEUES[queue])).collect();
            let wrap_up = Duration::from_secs(10);
            let queues = serves.iter().map(|queue| Membership { wrap_up, ..Membership::new(queue.clone()) }).collect();
            let devices = vec![DeviceKind::Hardware; phones];
            let config = Config { display_name: "Anna".to_owned(), extension: None, devices, queues };
            desk.tell(Event::Configured(Box::new(config)));
        }
        Step::Removed => {
            serves.clear();
            desk.tell(Event::Removed);
        }
        Step::Reserve(call, purpose) => desk.reserve(spread(call), purpose),
        Step::Connected(call, queue) => {
            let queue = queue.map(|queue| queue_id(QUEUES[queue]));
            desk.tell(Event::Connected { reservation: spread(call), queue });
        }
        Step::Release(call, why) => desk.tell(Event::Release { reservation: spread(call), why }),
        Step::Wants(command) => {
            // A refusal is an answer too.
            let _ = desk.command(&command);
        }
        Step::Registers(device, there) => {
            let contacts = if there { vec![desk_phone()] } else { Vec::new() };
            desk.tell(Event::Reachable { device, edge: EDGE, contacts });
        }
        Step::EdgeGone(edge, taken) => {
            let mut calls = Whereabouts::default();
            let taken = Taken { call: spread(taken).call, edge: NodeId(9), moves: 1 };
            calls.took_over(desk.now.mono, taken);
            desk.tell(Event::EdgeGone { edge: NodeId(edge), calls: Arc::new(calls) });
        }
        Step::Passes(ms) => desk.now.mono = desk.now.mono + Duration::from_millis(ms),
    }
}

fn check(desk: &mut Desk, serves: &[QueueId]) -> TestCaseResult {
    desk.tell(Event::Wake);
    let (now, deadline) = (desk.now.mono, desk.agent.deadline());
    prop_assert!(deadline.is_none_or(|at| at > now), "woken at {:?} for {:?}", now, deadline);
    let held = desk.agent.call();
    prop_assert!(held.is_none() || !desk.agent.is_over(), "an owner ends that holds {:?}", held);
    for effect in std::mem::take(&mut desk.out) {
        match effect {
            Effect::ToQueue(queue, _) => prop_assert!(serves.contains(&queue), "{} is told", queue),
            Effect::ToCall(call, call::Event::Agent(_, _, FromAgent::Granted { .. })) => {
                prop_assert!(held == Some(call), "granted to {}, and holds {:?}", call, held);
            }
            Effect::ToCall(..) | Effect::Save(_) => {}
        }
    }
    Ok(())
}

proptest! {
    // spec: OB-5, CL-3
    #[test]
    fn an_owner_takes_everything_in_any_order(steps in prop::collection::vec(step(), 1..80)) {
        let mut desk = Desk::new(&QUEUES);
        let mut serves = QUEUES.map(queue_id).to_vec();
        desk.out.clear();
        for step in steps {
            perform(&mut desk, &mut serves, step);
            check(&mut desk, &serves)?;
        }
    }
}
