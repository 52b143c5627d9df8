use carillon_rpc::cluster::Bequest;

use super::super::heir::tests::{call, record, waiting};
use super::*;

const NEAR: NodeId = NodeId(2);
const FAR: NodeId = NodeId(3);
const FARTHER: NodeId = NodeId(4);

/// What is said to each node: the calls with whether they live and who comes before, and those that are over.
type Said = BTreeMap<NodeId, (Vec<(u64, bool, Option<u32>)>, Vec<u64>)>;

fn said(checkpoints: &Checkpoints) -> Said {
    let mut said = said_to(checkpoints, Which::First);
    for (node, (calls, over)) in said_to(checkpoints, Which::Second) {
        let entry = said.entry(node).or_default();
        entry.0.extend(calls);
        entry.1.extend(over);
    }
    said
}

fn said_to(checkpoints: &Checkpoints, which: Which) -> Said {
    let (letters, more) = checkpoints.portion(which).unwrap_or_default();
    assert!(!more);
    let call = |it: wire::Checkpoint| {
        let (before, bequest) = (it.before, Bequest::from_wire(it).unwrap());
        (bequest.call().number, matches!(bequest, Bequest::Living(_)), before)
    };
    let letter = |letter: Letter| {
        let over = letter.ended.iter().map(|call| call.number).collect();
        (letter.calls.into_iter().map(call).collect(), over)
    };
    letters.into_iter().map(|(node, it)| (node, letter(it))).collect()
}

fn waits(checkpoints: &Checkpoints, number: u64) {
    let it = waiting(number);
    it.images.into_iter().for_each(|(leg, image)| checkpoints.image(leg, image));
    checkpoints.take(call(number), Survival::Needs(Box::new(it.checkpoint)));
}

/// With one heir.
fn with_one_heir() -> Checkpoints {
    let checkpoints = Checkpoints::default();
    checkpoints.heirs(Heirs::new([(FAR, false)]));
    checkpoints
}

// spec: CL-4
#[test]
fn cl_4_heirs_stand_elsewhere_if_any_do_and_share_the_calls() {
    let heirs = Heirs::new([(NEAR, true), (FAR, false), (FARTHER, false)]);
    let firsts = (0..1_000).filter(|number| heirs.of(call(*number))[0] == Some(FAR)).count();
    assert!((400..600).contains(&firsts), "{firsts} of 1000");
    for number in 0..100 {
        let [first, second] = heirs.of(call(number));
        assert!(first != second && first != Some(NEAR) && second != Some(NEAR));
        assert_eq!(heirs.without(first.unwrap()).of(call(number)), [second, Some(NEAR)], "who is second is next");
    }
    assert_eq!(Heirs::default().of(call(1)), [None, None]);
}

// spec: CL-4
#[test]
fn cl_4_heirs_keep_the_record_of_a_call_until_it_is_written() {
    let checkpoints = with_one_heir();
    waits(&checkpoints, 1);
    assert_eq!(said(&checkpoints), [(FAR, (vec![(1, true, None)], vec![]))].into());
    checkpoints.take(call(1), Survival::Over);
    assert_eq!(said(&checkpoints), Said::new(), "its record comes in a moment");
    checkpoints.ended(&record(1));
    assert_eq!(said(&checkpoints), [(FAR, (vec![(1, false, None)], vec![]))].into());
    checkpoints.written(&[call(1)]);
    assert_eq!(said(&checkpoints), [(FAR, (vec![], vec![1]))].into());
    assert!(lock(&checkpoints.inner).calls.is_empty());
}

// spec: CL-4
#[test]
fn cl_4_a_record_that_waits_goes_to_new_heirs_too() {
    let checkpoints = with_one_heir();
    checkpoints.ended(&record(1));
    said(&checkpoints);
    checkpoints.sweep(|_| false);
    checkpoints.sweep(|_| false);
    checkpoints.again(FAR);
    assert_eq!(said(&checkpoints), [(FAR, (vec![(1, false, None)], vec![]))].into());
    checkpoints.heirs(Heirs::new([(FARTHER, false)]));
    assert_eq!(said(&checkpoints), [(FAR, (vec![], vec![1])), (FARTHER, (vec![(1, false, None)], vec![]))].into());
}

#[test]
fn what_nobody_can_keep_is_not_kept_for_them() {
    let checkpoints = Checkpoints::default();
    checkpoints.ended(&record(1));
    assert!(lock(&checkpoints.inner).calls.is_empty());
    let checkpoints = with_one_heir();
    checkpoints.ended(&record(1));
    checkpoints.written(&[call(1)]);
    assert_eq!(said(&checkpoints), Said::new(), "written before anybody was told");
}

// spec: CL-4
#[test]
fn cl_4_the_second_heir_knows_who_comes_before_it() {
    let checkpoints = Checkpoints::default();
    checkpoints.heirs(Heirs::new([(FAR, false), (FARTHER, false)]));
    waits(&checkpoints, 1);
    let [Some(first), Some(second)] = lock(&checkpoints.inner).heirs.of(call(1)) else { panic!("two heirs") };
    let both = [(first, (vec![(1, true, None)], vec![])), (second, (vec![(1, true, Some(first.0))], vec![]))];
    assert_eq!(said(&checkpoints), both.into());
    checkpoints.dies(first);
    let alone = [(first, (vec![], vec![1])), (second, (vec![(1, true, None)], vec![]))];
    assert_eq!(said(&checkpoints), alone.into());
}

#[test]
fn a_call_that_can_be_saved_no_more_is_withdrawn_and_one_without_images_is_not_told() {
    let checkpoints = with_one_heir();
    checkpoints.take(call(1), Survival::Needs(Box::new(waiting(1).checkpoint)));
    assert_eq!(said(&checkpoints), Said::new());
    waits(&checkpoints, 1);
    said(&checkpoints);
    checkpoints.take(call(1), Survival::Lost);
    assert_eq!(said(&checkpoints), [(FAR, (vec![], vec![1]))].into());
    // What is known of its leg goes with the second sweep.
    checkpoints.sweep(|_| false);
    checkpoints.sweep(|_| false);
    assert!(lock(&checkpoints.inner).calls.is_empty());
}

// spec: CL-4: the second heir does not hear of each step, and what it hears is never older than what it knows.
#[test]
fn cl_4_the_second_heir_hears_how_far_a_call_has_come() {
    let checkpoints = Checkpoints::default();
    checkpoints.heirs(Heirs::new([(FAR, false), (FARTHER, false)]));
    let [Some(first), Some(second)] = lock(&checkpoints.inner).heirs.of(call(1)) else { panic!("two heirs") };
    waits(&checkpoints, 1);
    assert_eq!(said_to(&checkpoints, Which::First), [(first, (vec![(1, true, None)], vec![]))].into());
    checkpoints.ended(&record(1));
    assert_eq!(said_to(&checkpoints, Which::Urgent), [(first, (vec![(1, false, None)], vec![]))].into());
    assert_eq!(said_to(&checkpoints, Which::Second), [(second, (vec![(1, false, Some(first.0))], vec![]))].into());
    checkpoints.written(&[call(1)]);
    assert_eq!(said_to(&checkpoints, Which::First), Said::new(), "both hear it in the same moment");
    let both = [(first, (vec![], vec![1])), (second, (vec![], vec![1]))];
    assert_eq!(said_to(&checkpoints, Which::Second), both.into());
    waits(&checkpoints, 2);
    let [Some(first), Some(_)] = lock(&checkpoints.inner).heirs.of(call(2)) else { panic!("two heirs") };
    said_to(&checkpoints, Which::First);
    checkpoints.ended(&record(2));
    checkpoints.written(&[call(2)]);
    assert_eq!(said_to(&checkpoints, Which::Second), [(first, (vec![], vec![2]))].into(), "the second knew nothing");
}

// spec: CL-4
#[test]
fn cl_4_what_is_needed_again_is_not_withdrawn_afterwards() {
    let checkpoints = with_one_heir();
    waits(&checkpoints, 1);
    said(&checkpoints);
    checkpoints.take(call(1), Survival::Lost);
    waits(&checkpoints, 1);
    assert_eq!(said_to(&checkpoints, Which::First), [(FAR, (vec![(1, true, None)], vec![]))].into());
    assert_eq!(said_to(&checkpoints, Which::Second), Said::new());
    checkpoints.ended(&record(1));
    checkpoints.written(&[call(1)]);
    assert_eq!(said(&checkpoints), [(FAR, (vec![], vec![1]))].into());
}
