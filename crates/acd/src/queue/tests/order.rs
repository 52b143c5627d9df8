//! Who is served before whom.

use proptest::prelude::{any, prop, prop_assert_eq, proptest};

use super::*;

// spec: QU-7
#[test]
fn qu_7_thousands_of_callers_are_served_strictly_in_order() {
    let mut hall = Hall::new(config(&["anna"]));
    for number in 1..=3_000 {
        hall.enqueue(first(number));
    }
    hall.said();
    for number in 1..=3_000 {
        hall.status("anna", Standing::Free);
        let offers = hall.offers();
        assert_eq!(whom(&offers), [(number, "anna".to_owned())]);
        let why = Left::Connected { offer: offers[0].id, agent: agent_id("anna") };
        hall.tell(Event::Leave { call: call_id(number), why });
    }
    assert_eq!(hall.queue.view(hall.now).answered, 3_000);
}

proptest! {
    /// Whatever comes and goes in whatever order: a free agent gets the best of those who wait, and nobody is offered while
    /// somebody better waits. The model is a sorted list.
    #[test]
    fn qu_7_the_best_caller_is_next(steps in prop::collection::vec((0_u8..4, any::<u8>()), 1..200)) {
        let mut hall = Hall::new(config(&["anna"]));
        hall.status("anna", Standing::Busy);
        // (reversed priority, order of entry) -> call
        let mut waiting: BTreeMap<(i32, u64), u64> = BTreeMap::new();
        let mut next = 0;
        for (step, choice) in steps {
            match step {
                0 | 1 => {
                    next += 1;
                    let mut enqueue = first(next);
                    enqueue.ticket.priority = i32::from(choice % 3);
                    waiting.insert((-enqueue.ticket.priority, next), next);
                    hall.enqueue(enqueue);
                }
                2 => {
                    let leaver = waiting.iter().nth(usize::from(choice)).map(|(rank, call)| (*rank, *call));
                    if let Some((rank, call)) = leaver {
                        waiting.remove(&rank);
                        hall.tell(Event::Leave { call: call_id(call), why: Left::Abandoned });
                    }
                }
                _ => {
                    hall.said();
                    hall.status("anna", Standing::Free);
                    let best = waiting.pop_first().map(|(_, call)| call);
                    let offers = hall.offers();
                    prop_assert_eq!(offers.first().map(|offer| offer.call.number), best);
                    if let Some(offer) = offers.first() {
                        hall.status("anna", Standing::Busy);
                        let why = Left::Connected { offer: offer.id, agent: agent_id("anna") };
                        hall.tell(Event::Leave { call: offer.call, why });
                    }
                    hall.status("anna", Standing::Busy);
                }
            }
        }
        prop_assert_eq!(hall.queue.view(hall.now).waiting as usize, waiting.len());
    }
}

proptest! {
    // spec: QU-7
    #[test]
    fn qu_7_callers_are_served_in_the_order_of_a_naive_model(
        callers in prop::collection::vec((-3_i32..=3, 0_u64..800, prop::option::of(0_u64..5_000)), 1..12),
        ageing in prop::option::of(1_u64..3_000),
    ) {
        let ranking = Ranking { ageing: ageing.map(Duration::from_millis), ..Ranking::default() };
        let mut hall = Hall::new(Config { ranking, ..config(&["anna"]) });
        hall.status("anna", Standing::Busy);
        let mut model = Vec::new();
        for (n, &(priority, gap, elsewhere)) in (1_u64..).zip(&callers) {
            hall.now.mono = hall.now.mono + Duration::from_millis(gap);
            let waited = Duration::from_millis(elsewhere.unwrap_or(0));
            let mut ticket = first(n);
            ticket.ticket.priority = priority;
            ticket.ticket.waited = waited;
            hall.enqueue(ticket);
            let began = i64::try_from((hall.now.mono - waited).since(Moment::START).as_millis()).unwrap();
            let step = ageing.map(|step| i64::try_from(step).unwrap());
            let ahead = i64::from(priority) * step.unwrap_or(1_000_000_000);
            model.push((began - ahead, n));
        }
        model.sort_unstable();
        hall.said();
        let mut served = Vec::new();
        for _ in &callers {
            hall.status("anna", Standing::Free);
            let offers = hall.offers();
            prop_assert_eq!(offers.len(), 1);
            served.push(offers[0].call.number);
            let why = Left::Connected { offer: offers[0].id, agent: agent_id("anna") };
            hall.tell(Event::Leave { call: offers[0].call, why });
            hall.status("anna", Standing::Busy);
        }
        let expected: Vec<u64> = model.into_iter().map(|(_, n)| n).collect();
        prop_assert_eq!(served, expected);
    }
}

// spec: QU-2, QU-7, QU-10
#[test]
fn a_caller_for_whom_ten_phones_ring_leaves_the_next_phone_to_others_but_not_the_next_browser() {
    let agents: Vec<String> = (10..24).map(|n| format!("a{n}")).collect();
    let agents: Vec<&str> = agents.iter().map(String::as_str).collect();
    let mut hall = Hall::new(Config { strategy: Strategy::AllAtOnce, ..config(&agents) });
    agents[..12].iter().for_each(|agent| hall.status(agent, Standing::Free));
    hall.enqueue(first(1));
    hall.enqueue(first(2));
    let ring = |offers: &[Offer]| offers.iter().map(|o| (o.call.number, o.agents.len())).collect::<Vec<_>>();
    assert_eq!(ring(&hall.offers()), [(1, 10), (2, 2)]);
    hall.with_devices("a22", Standing::Free, 1, 0);
    assert_eq!(whom(&hall.offers()), [(2, "a22".to_owned())]);
    hall.with_devices("a23", Standing::Free, 0, 1);
    assert_eq!(whom(&hall.offers()), [(1, "a23".to_owned())]);
}
