//! Everything that an owner can hear, in any order: it never fails, counts its agents right, and does not wake without end.

use std::sync::Arc;

use proptest::prelude::{Just, Strategy as Generator, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::TestCaseResult;

use super::*;
use crate::queue::SkillRule;
use crate::ticket::Callback;
use crate::whereabouts::{Taken, Whereabouts};

const AGENTS: [&str; 4] = ["anna", "piotr", "ivan", "maria"];

#[derive(Clone, Debug)]
enum Step {
    /// The agents of the list by their number, and the strategy.
    Becomes(Vec<usize>, Strategy, bool),
    Removed,
    Says(usize, Standing),
    Enters(u64),
    /// A call of this number repeats its ticket with the place that it was given; perhaps its last offer has failed.
    Repeats(u64, bool),
    IsCalledBack(u64),
    Leaves(u64),
    Connects(u64, usize),
    /// The edge of the calls of even or odd numbers, some of which live elsewhere.
    EdgeGone(u32, u64),
    Passes(u64),
}

fn step() -> impl Generator<Value = Step> {
    let list = prop::sample::subsequence(vec![0_usize, 1, 2, 3], 0..=4).prop_shuffle();
    let standing = prop::sample::select(vec![
        Standing::Free,
        Standing::Free,
        Standing::Busy,
        Standing::LoggedOut,
        Standing::OnBreak,
        Standing::Unreachable,
    ]);
    let call = || 1_u64..9;
    prop_oneof![
        2 => (list, prop::sample::select(Strategy::ALL.to_vec()), any::<bool>()).prop_map(|(a, s, w)| Step::Becomes(a, s, w)),
        1 => Just(Step::Removed),
        6 => (0_usize..4, standing).prop_map(|(agent, standing)| Step::Says(agent, standing)),
        4 => call().prop_map(Step::Enters),
        4 => (call(), any::<bool>()).prop_map(|(call, failed)| Step::Repeats(call, failed)),
        1 => call().prop_map(Step::IsCalledBack),
        1 => call().prop_map(Step::Leaves),
        2 => (call(), 0_usize..4).prop_map(|(call, agent)| Step::Connects(call, agent)),
        1 => (1_u32..3, call()).prop_map(|(edge, taken)| Step::EdgeGone(edge, taken)),
        4 => prop::sample::select(vec![1_u64, 50, 5_000, 40_000]).prop_map(Step::Passes),
    ]
}

/// The calls of odd numbers live at one edge, the others at another.
fn spread(call: u64) -> CallId {
    CallId { node: NodeId(1 + u32::try_from(call % 2).unwrap()), ..call_id(call) }
}

struct Storm {
    hall: Hall,
    places: BTreeMap<u64, Sequence>,
    offers: BTreeMap<u64, OfferId>,
}

impl Storm {
    fn ticket(call: u64) -> Enqueue {
        let mut enqueue = first(call);
        enqueue.ticket.call = spread(call);
        enqueue.ticket.caller = Some("+33600000000".parse().unwrap());
        enqueue
    }

    fn perform(&mut self, step: Step) {
        let hall = &mut self.hall;
        match step {
            Step::Becomes(agents, strategy, limited) => {
                let agents: Vec<&str> = agents.into_iter().map(|agent| AGENTS[agent]).collect();
                let skills = SkillRule { relax: Some(Duration::from_secs(1)), ..SkillRule::default() };
                let max_wait = limited.then_some(Duration::from_secs(20));
                let config = Config { strategy, skills, max_wait, ..config(&agents) };
                hall.tell(Event::Configured(Box::new(config)));
            }
            Step::Removed => hall.tell(Event::Removed),
            Step::Says(agent, standing) => hall.status(AGENTS[agent], standing),
            Step::Enters(call) => {
                let ticket = Self::ticket(call);
                self.hall.enqueue(ticket);
            }
            Step::Repeats(call, failed) => {
                let mut ticket = Self::ticket(call);
                ticket.ticket.sequence = self.places.get(&call).copied();
                let offer = self.offers.get(&call).copied();
                ticket.progress = offer.map(|offer| {
                    if failed {
                        Progress::Failed { offer, refused: Vec::new(), rang: true }
                    } else {
                        Progress::Working(offer)
                    }
                });
                self.hall.enqueue(ticket);
            }
            Step::IsCalledBack(call) => {
                let mut ticket = Self::ticket(call);
                ticket.ticket.sequence = self.places.get(&call).copied();
                ticket.ticket.callback =
                    Some(Callback { rest: Duration::from_secs(1), ring_for: Duration::from_secs(30) });
                self.hall.enqueue(ticket);
            }
            Step::Leaves(call) => hall.tell(Event::Leave { call: spread(call), why: Left::Abandoned }),
            Step::Connects(call, agent) => {
                if let Some(offer) = self.offers.get(&call).copied() {
                    let why = Left::Connected { offer, agent: agent_id(AGENTS[agent]) };
                    hall.tell(Event::Leave { call: spread(call), why });
                }
            }
            Step::EdgeGone(edge, taken) => {
                let mut calls = Whereabouts::default();
                calls.took_over(hall.now.mono, Taken { call: spread(taken), edge: NodeId(9), moves: 1 });
                hall.tell(Event::EdgeGone { edge: NodeId(edge), calls: Arc::new(calls) });
            }
            Step::Passes(ms) => hall.now.mono = hall.now.mono + Duration::from_millis(ms),
        }
    }

    fn check(&mut self) -> TestCaseResult {
        let hall = &mut self.hall;
        hall.tell(Event::Wake);
        let deadline = hall.queue.deadline();
        prop_assert!(deadline.is_none_or(|at| at > hall.now.mono), "woken at {:?} for {deadline:?}", hall.now.mono);
        let roster = &hall.queue.roster;
        let seats = || 0..u32::try_from(roster.len()).unwrap();
        prop_assert_eq!(seats().filter(|seat| roster.is_free(*seat)).count(), roster.free());
        let mut free = 0;
        roster.each_free(crate::queue::selection::Class::ANY, &mut |_| {
            free += 1;
            true
        });
        prop_assert_eq!(free, roster.free(), "whom the strategy knows");
        let view = hall.queue.view(hall.now);
        prop_assert!(view.free <= view.logged_in && view.logged_in <= view.agents);
        for (call, said) in hall.said() {
            match said {
                FromQueue::Enqueued { sequence } => {
                    self.places.insert(call, sequence);
                }
                FromQueue::Offer(offer) => {
                    let listed = offer.agents.iter().all(|it| hall.queue.config.agents.contains(&it.agent));
                    prop_assert!(listed, "{offer:?}");
                    self.offers.insert(call, offer.id);
                }
                FromQueue::Rings(_) | FromQueue::NotPickedUp { .. } | FromQueue::Overflow { .. } => {}
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn an_owner_takes_everything_in_any_order(steps in prop::collection::vec(step(), 1..80)) {
        let hall = Hall::new(config(&AGENTS));
        let mut storm = Storm { hall, places: BTreeMap::new(), offers: BTreeMap::new() };
        for step in steps {
            storm.perform(step);
            storm.check()?;
        }
    }
}
