use proptest::prelude::*;

use super::*;
use crate::ids::{CallId, LegId, Name, NodeId};
use crate::leg::{CallerId, Cause};
use crate::record::{Happened, Outcome, Transition};

const CALL: CallId = CallId { node: NodeId(1), boot: 1, number: 1 };
const SECOND: i64 = 1_000_000;
const LEG: LegId = LegId { call: CALL, n: 1 };

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn queue(text: &str) -> QueueId {
    QueueId::new(name("default"), name(text))
}

fn anna() -> AgentId {
    AgentId::new(name("default"), name("anna"))
}

fn number() -> NumberId {
    NumberId::new(name("default"), name("hotline"))
}

/// A record whose steps happen at these tenths of a second.
fn record(outcome: Outcome, steps: Vec<(i64, Happened)>) -> Record {
    let at = |tenths: i64| WallTime(tenths * SECOND / 10);
    Record {
        call: CALL,
        caller: CallerId { number: "+33600000000".into(), name: String::new() },
        dialled: "+33123456789".into(),
        number: Some(number()),
        started: at(0),
        ended: at(steps.last().unwrap().0),
        queue: None,
        agent: None,
        wait_ms: None,
        talk_ms: 0,
        outcome,
        cause: Cause::Normal,
        transitions: steps.into_iter().map(|(tenths, what)| Transition { at: at(tenths), what }).collect(),
    }
}

fn enters(text: &str) -> Happened {
    Happened::Enqueued { queue: queue(text), sequence: None }
}

fn leaves(text: &str, why: &str) -> Happened {
    Happened::LeftQueue { queue: queue(text), why: why.into() }
}

fn dialled() -> Happened {
    Happened::Dialled { leg: LEG, agent: Some(anna()), number: None }
}

fn hung_up() -> Happened {
    Happened::LegEnded { leg: LegId::caller(CALL), cause: Cause::Cancelled }
}

fn sums(records: &[Record]) -> BTreeMap<Subject, Tally> {
    let mut books = Books::default();
    for fact in records.iter().flat_map(|record| of_record(&Definitions::default(), record)) {
        books.post(&fact);
    }
    books.whole().map(|(subject, tally)| (subject.clone(), *tally)).collect()
}

fn answered_after(tenths: i64) -> Record {
    let connected = Happened::Connected { leg: LEG, agent: Some(anna()) };
    record(
        Outcome::Answered,
        vec![
            (0, enters("support")),
            (tenths - 50, dialled()),
            (tenths - 50, Happened::Alerting { leg: LEG }),
            (tenths, connected),
            (tenths + 100, Happened::Held { leg: LEG }),
            (tenths + 130, Happened::Resumed { leg: LEG }),
            (tenths + 600, hung_up()),
        ],
    )
}

fn abandoned_after(tenths: i64) -> Record {
    record(
        Outcome::Abandoned,
        vec![(0, enters("support")), (tenths, hung_up()), (tenths, leaves("support", "caller left"))],
    )
}

// spec: PL-5
#[test]
fn pl_5_the_threshold_is_inclusive_and_a_wait_ends_with_two_way_audio() {
    let of = |tenths| sums(&[answered_after(tenths)])[&Subject::Queue(queue("support"))];
    assert_eq!((of(200).answered_within, of(201).answered_within), (1, 0));
    assert_eq!((of(201).answered, of(201).wait, of(201).longest_wait), (1, 20_100_000, 20_100_000));
}

// spec: PL-5
#[test]
fn pl_5_talk_and_hold_are_apart_and_belong_to_queue_agent_and_number() {
    let sums = sums(&[answered_after(100)]);
    let subjects = [Subject::Queue(queue("support")), Subject::Agent(anna()), Subject::Number(number())];
    for subject in subjects {
        let tally = sums[&subject];
        assert_eq!((tally.offered, tally.answered, tally.handled), (1, 1, 1), "{subject:?}");
        assert_eq!((tally.talk, tally.hold), (57_000_000, 3_000_000), "{subject:?}");
    }
    assert_eq!(sums[&Subject::Agent(anna())].wait, 5_000_000, "an agent's is the ringing");
}

// spec: PL-5
#[test]
fn pl_5_the_service_level_has_four_readings() {
    let mut calls: Vec<Record> = [100, 150, 200, 300].map(answered_after).into();
    calls.extend([abandoned_after(50), abandoned_after(51), abandoned_after(200), abandoned_after(400)]);
    let tally = sums(&calls)[&Subject::Queue(queue("support"))];
    assert_eq!((tally.offered, tally.answered, tally.answered_within), (8, 4, 3));
    assert_eq!((tally.abandoned, tally.abandoned_short, tally.abandoned_within), (3, 1, 3));
    let expected = ServiceLevels {
        default: Some(3.0 / 5.0),
        negative: Some(3.0 / 8.0),
        positive: Some(6.0 / 8.0),
        of_answered: Some(3.0 / 4.0),
    };
    assert_eq!(tally.figures().service, expected);
    assert_eq!(tally.figures().speed_of_answer, Some(Duration::from_millis(18_750)));
    assert_eq!(Tally::default().figures(), Figures::default(), "nothing is a share of nothing");
}

// spec: PL-5
#[test]
fn pl_5_leaving_by_a_rule_is_a_flow_out_and_the_number_counts_the_call_once() {
    let call = record(
        Outcome::Missed,
        vec![
            (0, enters("support")),
            (600, leaves("support", "max_wait")),
            (600, enters("sales")),
            (700, leaves("sales", "nobody logged in")),
            (700, Happened::LegEnded { leg: LegId::caller(CALL), cause: Cause::NoAnswer }),
        ],
    );
    let sums = sums(&[call]);
    let (support, sales) = (sums[&Subject::Queue(queue("support"))], sums[&Subject::Queue(queue("sales"))]);
    assert_eq!((support.offered, support.flow_outs, support.missed), (1, [0, 1, 0, 0, 0, 0, 0, 0], 0));
    assert_eq!((sales.offered, sales.flow_outs, sales.missed), (1, [0, 0, 0, 1, 0, 0, 0, 0], 1));
    let number = sums[&Subject::Number(number())];
    assert_eq!((number.offered, number.flowed_out(), number.missed), (1, 2, 1));
    assert_eq!(number.longest_wait, 70_000_000);
}

// spec: PL-5, UN-7
#[test]
fn pl_5_a_callback_is_a_flow_out_and_then_handle_time() {
    let client = LegId { call: CALL, n: 2 };
    // The queue's owner was slow: the place is known only when he has left.
    let asks = vec![(0, enters("support")), (100, leaves("support", "callback")), (101, enters("support"))];
    let talks = vec![
        (5_000, dialled()),
        (5_000, Happened::Alerting { leg: LEG }),
        (5_100, Happened::Dialled { leg: client, agent: None, number: None }),
        (5_200, Happened::Connected { leg: LEG, agent: Some(anna()) }),
        (5_800, Happened::LegEnded { leg: LEG, cause: Cause::Normal }),
    ];
    let reached = record(Outcome::Answered, [asks.clone(), talks].concat());
    let stops = (9_000, Happened::Stopped { why: "callback did not reach the client".into() });
    let missed = record(Outcome::Missed, [asks, vec![stops]].concat());
    let (reached, missed) = (sums(&[reached]), sums(&[missed]));
    let queue = Subject::Queue(queue("support"));
    for sums in [&reached, &missed] {
        assert_eq!((sums[&queue].offered, sums[&queue].answered, sums[&queue].flowed_out()), (1, 0, 1));
        assert_eq!(sums[&queue].longest_wait, 10_000_000, "he left the queue when he asked");
    }
    for subject in [&queue, &Subject::Agent(anna())] {
        assert_eq!((reached[subject].handled, reached[subject].talk), (1, 60_000_000), "{subject:?}");
    }
    let number = reached[&Subject::Number(number())];
    assert_eq!((number.offered, number.answered, number.wait), (1, 1, 520_000_000), "until they hear each other");
    assert_eq!((missed[&queue].handled, missed[&queue].missed), (0, 1));
}

#[test]
fn a_ring_is_missed_with_the_last_phone_and_only_if_one_rang() {
    let second = LegId { call: CALL, n: 2 };
    let missed = |rang: bool| {
        let alerting = if rang { vec![(10, Happened::Alerting { leg: second })] } else { Vec::new() };
        let not = |leg, cause| Happened::NotAnswered { leg, agent: Some(anna()), cause };
        let mut steps = vec![
            (0, enters("support")),
            (5, dialled()),
            (5, Happened::Dialled { leg: second, agent: Some(anna()), number: None }),
        ];
        steps.extend(alerting);
        steps.push((20, not(LEG, Cause::Unreachable)));
        steps.push((205, not(second, Cause::NoAnswer)));
        steps.push((300, hung_up()));
        steps.push((300, leaves("support", "caller left")));
        let tally = sums(&[record(Outcome::Abandoned, steps)])[&Subject::Agent(anna())];
        assert_eq!((tally.offered, tally.answered), (1, 0));
        tally.missed
    };
    assert_eq!((missed(true), missed(false)), (1, 0));
}

#[test]
fn a_broken_caller_is_lost_and_a_missed_number_without_a_queue_is_missed() {
    let broken = Happened::LegEnded { leg: LegId::caller(CALL), cause: Cause::MediaTimeout };
    let steps = vec![(0, enters("support")), (90, broken), (90, leaves("support", "caller left"))];
    let sums_of_broken = sums(&[record(Outcome::Failed, steps)]);
    let tally = sums_of_broken[&Subject::Queue(queue("support"))];
    assert_eq!((tally.abandoned, tally.lost), (0, 1));
    assert_eq!(sums_of_broken[&Subject::Number(number())].lost, 1);
    let refused = Happened::ReservationRefused { agent: anna(), why: "busy".into() };
    let sums_of_direct = sums(&[record(Outcome::Missed, vec![(0, refused)])]);
    let tally = sums_of_direct[&Subject::Number(number())];
    assert_eq!((tally.offered, tally.missed), (1, 1));
}

#[test]
fn a_sheet_is_cut_at_the_quarter_and_the_wrap_up_finds_its_queue() {
    let minute = 60 * SECOND;
    let (mut sheet, mut periods) = (Sheet::default(), Vec::new());
    let mut note = |minutes: i64, does: Option<Spends>, periods: &mut Vec<Period>| {
        sheet.note(WallTime(minutes * minute), &anna(), does, [queue("support")], periods);
    };
    note(10, Some(Spends::Idle), &mut periods);
    note(11, Some(Spends::Idle), &mut periods);
    note(32, Some(Spends::Talking(Some(queue("support")))), &mut periods);
    note(35, Some(Spends::WrapUp(None)), &mut periods);
    note(36, None, &mut periods);
    note(40, Some(Spends::Idle), &mut periods);
    let shown: Vec<_> = periods.iter().map(|p| (p.began.0 / minute, p.ended.0 / minute, p.spent.clone())).collect();
    let expected = [
        (10, 15, Spends::Idle),
        (15, 30, Spends::Idle),
        (30, 32, Spends::Idle),
        (32, 35, Spends::Talking(Some(queue("support")))),
        (35, 36, Spends::WrapUp(Some(queue("support")))),
    ];
    assert_eq!(shown, expected);
    let mut books = Books::default();
    let mut facts = Vec::new();
    periods.iter().for_each(|period| period.facts(&mut facts));
    facts.iter().for_each(|fact| books.post(fact));
    for (subject, tally) in books.whole() {
        assert_eq!((tally.handling, tally.idle), ((4 * minute) as u64, (22 * minute) as u64), "{subject:?}");
        assert_eq!(tally.wrap_up, minute as u64, "{subject:?}");
        assert_eq!(tally.figures().occupancy, Some(4.0 / 26.0));
    }
}

/// A call of any shape: what a record may say, and also what it never should.
fn any_step() -> impl Strategy<Value = Happened> {
    let queues = prop_oneof![Just("support"), Just("sales")];
    let whys =
        prop_oneof![Just("caller left"), Just("call ended"), Just("max_wait"), Just("callback"), Just("another rule")];
    let legs = prop_oneof![Just(LegId::caller(CALL)), Just(LEG), Just(LegId { call: CALL, n: 2 })];
    let agents = prop_oneof![Just(None), Just(Some(anna()))];
    prop_oneof![
        queues.clone().prop_map(enters),
        (queues, whys).prop_map(|(queue, why)| leaves(queue, why)),
        (legs.clone(), agents.clone()).prop_map(|(leg, agent)| Happened::Dialled { leg, agent, number: None }),
        legs.clone().prop_map(|leg| Happened::Alerting { leg }),
        legs.clone().prop_map(|leg| Happened::NotAnswered { leg, agent: None, cause: Cause::NoAnswer }),
        (legs.clone(), agents).prop_map(|(leg, agent)| Happened::Connected { leg, agent }),
        legs.clone().prop_map(|leg| Happened::Held { leg }),
        legs.clone().prop_map(|leg| Happened::Resumed { leg }),
        legs.prop_map(|leg| Happened::LegEnded { leg, cause: Cause::Normal }),
    ]
}

fn any_record() -> impl Strategy<Value = Record> {
    let outcomes =
        [Outcome::Answered, Outcome::Abandoned, Outcome::Missed, Outcome::Refused, Outcome::Failed, Outcome::Done]
            .map(Just);
    let [answered, abandoned, missed, refused, failed, done] = outcomes;
    let outcome = prop_oneof![answered, abandoned, missed, refused, failed, done];
    (outcome, prop::collection::vec((0_i64..200_000, any_step()), 1..20)).prop_map(|(outcome, mut steps)| {
        steps.sort_by_key(|(at, _)| *at);
        record(outcome, steps)
    })
}

proptest! {
    // spec: PL-4
    #[test]
    fn pl_4_live_equals_history(record in any_record(), looks in prop::collection::vec(0_usize..20, 0..5)) {
        let definitions = Definitions::default();
        let mut looks: Vec<usize> = looks.into_iter().map(|n| n.min(record.transitions.len())).collect();
        looks.sort_unstable();
        let (mut follower, mut live) = (Follower::default(), Vec::new());
        for look in looks {
            follower.follow(&definitions, record.number.as_ref(), &record.transitions[..look], &mut live);
        }
        follower.finish(&definitions, &record, &mut live);
        prop_assert_eq!(live, of_record(&definitions, &record));
    }

    // spec: PL-4
    #[test]
    fn pl_4_quarters_add_up_to_the_whole_in_any_order(records in prop::collection::vec(any_record(), 0..10)) {
        let facts: Vec<Fact> =
            records.iter().flat_map(|record| of_record(&Definitions::default(), record)).collect();
        let (mut books, mut backwards) = (Books::default(), Books::default());
        facts.iter().for_each(|fact| books.post(fact));
        facts.iter().rev().for_each(|fact| backwards.post(fact));
        let mut summed: BTreeMap<Subject, Tally> = BTreeMap::new();
        for (_, subject, tally) in books.quarters() {
            summed.entry(subject.clone()).or_default().add(&tally);
        }
        let whole = |books: &Books| -> BTreeMap<Subject, Tally> {
            books.whole().map(|(subject, tally)| (subject.clone(), *tally)).collect()
        };
        prop_assert_eq!(&summed, &whole(&books));
        prop_assert_eq!(&summed, &whole(&backwards));
    }
}

// spec: PL-4
#[test]
fn pl_4_what_is_taken_back_of_a_call_was_never_counted() {
    let call = record(Outcome::Answered, vec![(0, enters("support")), (30, dialled()), (50, hung_up())]);
    let facts = |record: &Record| {
        let mut facts = Vec::new();
        Follower::default().follow(&Definitions::default(), record.number.as_ref(), &record.transitions, &mut facts);
        facts
    };
    let (mut books, other) = (Books::keeping(8), record(Outcome::Missed, vec![(0, enters("support")), (9, hung_up())]));
    facts(&other).iter().for_each(|fact| books.post(fact));
    let before: Vec<(Subject, Tally)> = books.whole().map(|(subject, tally)| (subject.clone(), *tally)).collect();
    facts(&call).iter().for_each(|fact| books.post(fact));
    assert!(!facts(&call).is_empty());
    facts(&call).iter().for_each(|fact| books.retract(fact));
    for (subject, tally) in books.whole() {
        let was = before.iter().find(|(known, _)| known == subject).map_or(Tally::default(), |(_, tally)| *tally);
        assert_eq!(*tally, was, "{subject:?}");
    }
    assert!(books.quarters().map(|(_, _, tally)| tally.offered).sum::<u64>() == 2, "the number's and the queue's");
}

proptest! {
    // spec: PL-4: what is packed is what would have been kept.
    #[test]
    fn pl_4_the_last_quarters_are_those_of_books_that_forget_nothing(
        facts in prop::collection::vec((0_i64..7_200, 0_usize..12, 0_u64..50), 0..400)
    ) {
        const KEPT: usize = 3;
        let fact = |(minutes, agent, wait): (i64, usize, u64)| Fact {
            subject: Subject::Agent(agent_id(agent)),
            at: WallTime(minutes * 1_000_000),
            adds: Tally { offered: 1, wait, longest_wait: wait, ..Tally::default() },
        };
        let (mut all, mut last) = (Books::default(), Books::keeping(KEPT));
        // Hardly anything comes for a quarter that is long over.
        let mut facts = facts;
        facts.sort_by_key(|(at, _, wait)| at + if wait % 5 == 0 { 1_500 } else { 0 });
        for fact in facts.into_iter().map(fact) {
            all.post(&fact);
            last.post(&fact);
        }
        let rows = |books: &Books| -> BTreeMap<(Quarter, Subject), Tally> {
            books.quarters().map(|(quarter, subject, tally)| ((quarter, subject.clone()), tally)).collect()
        };
        let mut quarters: Vec<Quarter> = all.quarters().map(|(quarter, ..)| quarter).collect();
        quarters.sort_unstable();
        quarters.dedup();
        let kept = &quarters[quarters.len().saturating_sub(KEPT)..];
        let mut expected = rows(&all);
        expected.retain(|(quarter, _), _| kept.contains(quarter));
        prop_assert_eq!(last.quarters().count(), expected.len(), "each row once");
        prop_assert_eq!(rows(&last), expected);
        prop_assert_eq!(all.whole().collect::<Vec<_>>(), last.whole().collect::<Vec<_>>());
    }
}

fn agent_id(number: usize) -> AgentId {
    AgentId::new("default".parse().unwrap(), format!("a{number}").parse().unwrap())
}

/// Twenty thousand agents, each in conversation or idle all the time, for more than the two hours that are kept.
#[test]
fn busy_agents_of_a_large_center_leave_room_for_everything_else() {
    const AGENTS: usize = 20_000;
    let mut books = Books::keeping(8);
    let quarter = 15 * 60 * 1_000_000;
    for n in 0..10 {
        for agent in 0..AGENTS {
            let subject = Subject::Agent(agent_id(agent));
            let more = 1_234_567 + agent as u64;
            for call in 0..3 {
                let at = WallTime(n * quarter + call * 300_000_000);
                let adds = Tally {
                    offered: 1,
                    answered: 1,
                    wait: more,
                    longest_wait: more,
                    handled: 1,
                    talk: 100 * more,
                    wrap_up: 8 * more,
                    handling: 108 * more,
                    idle: 90 * more,
                    ..Tally::default()
                };
                books.post(&Fact { subject: subject.clone(), at, adds });
            }
        }
    }
    let rows = books.quarters().count();
    assert_eq!(rows, 8 * AGENTS);
    let (bytes, unpacked) = (books.bytes() / AGENTS, 9 * (size_of::<Subject>() + size_of::<Tally>()) * 3 / 2);
    println!("{bytes} bytes for an agent; {unpacked} if nothing were packed");
    assert!(bytes < 1_500, "{bytes} bytes for an agent");
}
