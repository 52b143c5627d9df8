use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::{Strategy as _, any, prop, prop_assert, prop_assert_eq, proptest};

use super::{Candidate, Class, HARDWARE_PHONES, Pick, Seat, Selection};
use crate::queue::Strategy;
use crate::skills::Skills;
use crate::time::Moment;

fn candidate(seat: Seat) -> Candidate {
    Candidate { seat, idle_since: Moment::START, calls: 0, talked: Duration::ZERO, hardware: 1, soft: 0 }
}

/// Free agents by seat, and some who were tried, sorted.
fn rosters() -> impl proptest::strategy::Strategy<Value = (Vec<Candidate>, Vec<Seat>)> {
    let candidate = (0_u32..60, 0_u64..50, 0_u32..5, 0_u64..5, 0_u8..3, 0_u8..3);
    (prop::collection::vec(candidate, 0..60), prop::collection::btree_set(0_u32..60, 0..20)).prop_map(
        |(agents, tried)| {
            let unique: BTreeMap<Seat, Candidate> = agents
                .into_iter()
                .filter(|(.., hardware, soft)| hardware + soft > 0)
                .map(|(seat, idle, calls, talked, hardware, soft)| {
                    let idle_since = Moment::at(Duration::from_secs(idle));
                    let talked = Duration::from_secs(talked);
                    (seat, Candidate { seat, idle_since, calls, talked, hardware, soft })
                })
                .collect();
            (unique.into_values().collect(), tried.into_iter().collect())
        },
    )
}

fn filled(strategy: Strategy, seed: u64, agents: &[Candidate]) -> Selection {
    let mut selection = Selection::new(strategy, seed, || vec![Skills::default(); 60]);
    agents.iter().for_each(|&agent| selection.strategy().insert(agent));
    selection
}

fn untried<'a>(agents: &'a [Candidate], tried: &'a [Seat]) -> impl Iterator<Item = &'a Candidate> {
    agents.iter().filter(|agent| !tried.contains(&agent.seat))
}

fn seats(picks: &[Pick]) -> Vec<Seat> {
    picks.iter().map(|pick| pick.seat).collect()
}

proptest! {
    // spec: RT-9
    #[test]
    fn rt_9_the_order_that_is_explained_is_the_order_of_choice((agents, _) in rosters(), turn in 0_usize..60) {
        for strategy in Strategy::ALL.into_iter().filter(|strategy| *strategy != Strategy::Random) {
            let mut selection = filled(strategy, 0, &agents);
            if let (Strategy::RoundRobin, Some(agent)) = (strategy, agents.get(turn)) {
                let others: Vec<Seat> = agents.iter().map(|a| a.seat).filter(|seat| *seat != agent.seat).collect();
                selection.strategy().pick(&others, HARDWARE_PHONES);
            }
            let mut explained = Vec::new();
            selection.each(Class::ANY, &mut |seat| { explained.push(seat); true });
            let mut chosen = Vec::new();
            loop {
                let mut tried = chosen.clone();
                tried.sort_unstable();
                // Soft phones are not limited, so nobody is left out.
                let picks = seats(&selection.strategy().pick(&tried, u8::MAX));
                if picks.is_empty() {
                    break;
                }
                chosen.extend(picks);
            }
            prop_assert_eq!(explained, chosen, "{:?}", strategy);
        }
    }

    // spec: QU-1
    #[test]
    fn qu_1_in_order_takes_the_topmost((agents, tried) in rosters()) {
        let picks = filled(Strategy::InOrder, 0, &agents).strategy().pick(&tried, HARDWARE_PHONES);
        let topmost = untried(&agents, &tried).map(|agent| agent.seat).min();
        prop_assert_eq!(seats(&picks), topmost.into_iter().collect::<Vec<_>>());
    }

    // spec: QU-2, QU-10
    #[test]
    fn qu_2_all_at_once_takes_everybody_up_to_ten_hardware_phones((agents, tried) in rosters()) {
        let picks = filled(Strategy::AllAtOnce, 0, &agents).strategy().pick(&tried, HARDWARE_PHONES);
        let by_seat: BTreeMap<Seat, &Candidate> = agents.iter().map(|agent| (agent.seat, agent)).collect();
        let ringing: u32 = picks.iter().map(|pick| u32::from(pick.hardware_limit)).sum();
        let wanted: u32 = untried(&agents, &tried).map(|agent| u32::from(agent.hardware)).sum();
        prop_assert_eq!(ringing, wanted.min(10));
        prop_assert!(picks.is_sorted_by_key(|pick| pick.seat));
        let chosen: BTreeSet<Seat> = seats(&picks).into_iter().collect();
        for agent in untried(&agents, &tried) {
            prop_assert!(agent.soft == 0 || chosen.contains(&agent.seat), "a soft device was left out");
        }
        for pairs in picks.windows(2) {
            let cut = pairs[0].hardware_limit < by_seat[&pairs[0].seat].hardware;
            prop_assert!(!cut || pairs[1].hardware_limit == 0, "a later phone rings and an earlier one does not");
        }
        let mut selection = filled(Strategy::AllAtOnce, 0, &agents);
        let soft = selection.strategy().pick(&[], 0);
        prop_assert_eq!(selection.suits_somebody(Class::ANY, true), !soft.is_empty());
    }

    // spec: QU-3
    #[test]
    fn qu_3_longest_idle_takes_the_earliest_then_list_order((agents, tried) in rosters()) {
        let picks = filled(Strategy::LongestIdle, 0, &agents).strategy().pick(&tried, HARDWARE_PHONES);
        let first = untried(&agents, &tried).min_by_key(|agent| (agent.idle_since, agent.seat)).map(|agent| agent.seat);
        prop_assert_eq!(seats(&picks), first.into_iter().collect::<Vec<_>>());
    }

    // spec: QU-4
    #[test]
    fn qu_4_random_takes_one_of_the_untried((agents, tried) in rosters(), seed in any::<u64>()) {
        let picks = seats(&filled(Strategy::Random, seed, &agents).strategy().pick(&tried, HARDWARE_PHONES));
        let possible: BTreeSet<Seat> = untried(&agents, &tried).map(|agent| agent.seat).collect();
        prop_assert_eq!(picks.len(), usize::from(!possible.is_empty()));
        prop_assert!(picks.iter().all(|seat| possible.contains(seat)));
    }

    // spec: QU-5
    #[test]
    fn qu_5_fewest_calls_takes_the_least_called_then_the_longest_idle((agents, tried) in rosters()) {
        let picks = filled(Strategy::FewestCalls, 0, &agents).strategy().pick(&tried, HARDWARE_PHONES);
        let first = untried(&agents, &tried).min_by_key(|agent| (agent.calls, agent.idle_since, agent.seat));
        prop_assert_eq!(seats(&picks), first.map(|agent| agent.seat).into_iter().collect::<Vec<_>>());
    }

    // spec: QU-5
    #[test]
    fn qu_5_least_talk_time_takes_the_quietest_then_the_longest_idle((agents, tried) in rosters()) {
        let picks = filled(Strategy::LeastTalkTime, 0, &agents).strategy().pick(&tried, HARDWARE_PHONES);
        let first = untried(&agents, &tried).min_by_key(|agent| (agent.talked, agent.idle_since, agent.seat));
        prop_assert_eq!(seats(&picks), first.map(|agent| agent.seat).into_iter().collect::<Vec<_>>());
    }

    // spec: QU-5, QU-6
    #[test]
    fn qu_5_skills_take_the_best_of_those_who_suit(
        (agents, tried) in rosters(), can in prop::collection::vec((0_u8..=10, 0_u8..=10), 60),
        needs in prop::collection::vec((0_u8..=6, 0_u8..=6), 1..5), late in any::<bool>(),
    ) {
        let skills = |(french, polish): (u8, u8)| {
            Skills::new([("french".parse().unwrap(), french), ("polish".parse().unwrap(), polish)])
        };
        let by_seat: Vec<Skills> = can.iter().copied().map(skills).collect();
        let mut selection = Selection::new(Strategy::Skills, 0, || by_seat.clone());
        let insert_all = |selection: &mut Selection| agents.iter().for_each(|&agent| selection.strategy().insert(agent));
        if late {
            insert_all(&mut selection);
        }
        let classes: Vec<Class> = needs.iter().map(|&need| selection.class(&skills(need))).collect();
        if !late {
            insert_all(&mut selection);
        }
        let gone = agents.iter().filter(|agent| agent.seat.is_multiple_of(3));
        gone.for_each(|agent| selection.strategy().remove(agent));
        for (&class, &need) in classes.iter().zip(&needs) {
            let suits = |agent: &&Candidate| {
                let (french, polish) = can[agent.seat as usize];
                !agent.seat.is_multiple_of(3) && french >= need.0 && polish >= need.1
            };
            let level = |agent: &Candidate| {
                let (french, polish) = can[agent.seat as usize];
                u32::from(french) * u32::from(need.0 > 0) + u32::from(polish) * u32::from(need.1 > 0)
            };
            prop_assert_eq!(selection.suits_somebody(class, false), agents.iter().any(|agent| suits(&agent)));
            let best = untried(&agents, &tried)
                .filter(suits)
                .min_by_key(|agent| (std::cmp::Reverse(level(agent)), agent.idle_since, agent.seat));
            let picks = seats(&selection.strategy().pick_for(class, &tried, HARDWARE_PHONES));
            prop_assert_eq!(picks, best.map(|agent| agent.seat).into_iter().collect::<Vec<_>>());
        }
    }

    // spec: QU-5
    #[test]
    fn qu_5_round_robin_goes_on_behind_the_last((agents, _) in rosters(), rounds in prop::collection::vec(
        prop::collection::btree_set(0_u32..60, 0..20), 1..8,
    )) {
        let mut selection = filled(Strategy::RoundRobin, 0, &agents);
        let mut last = None;
        for tried in rounds {
            let tried: Vec<Seat> = tried.into_iter().collect();
            let picks = seats(&selection.strategy().pick(&tried, HARDWARE_PHONES));
            // How far down the list an agent stands, seen from behind the last one.
            let turn = |seat: Seat| (last.is_some_and(|last| seat <= last), seat);
            let first = untried(&agents, &tried).map(|agent| agent.seat).min_by_key(|&seat| turn(seat));
            prop_assert_eq!(&picks, &first.into_iter().collect::<Vec<_>>());
            last = first.or(last);
        }
    }

    // spec: QU-6
    #[test]
    fn qu_6_who_is_not_free_any_more_is_never_chosen((agents, _) in rosters(), seed in any::<u64>()) {
        for strategy in Strategy::ALL {
            let mut selection = filled(strategy, seed, &agents);
            let (gone, left): (Vec<_>, Vec<_>) = agents.iter().partition(|agent| agent.seat % 2 == 0);
            gone.iter().for_each(|agent| selection.strategy().remove(agent));
            let picks = seats(&selection.strategy().pick(&[], HARDWARE_PHONES));
            prop_assert_eq!(picks.is_empty(), left.is_empty());
            prop_assert!(picks.iter().all(|seat| seat % 2 == 1));
        }
    }
}

#[test]
fn qu_4_random_gives_everybody_about_the_same_share() {
    let agents: Vec<Candidate> = (0..5).map(candidate).collect();
    let mut selection = filled(Strategy::Random, 42, &agents);
    let mut share = [0_u32; 5];
    for _ in 0..5_000 {
        share[selection.strategy().pick(&[], HARDWARE_PHONES)[0].seat as usize] += 1;
    }
    assert!(share.iter().all(|&n| (900..1_100).contains(&n)), "{share:?}");
}
