//! Call records on a real database: written once, found again, kept over a restart.

#![allow(clippy::unwrap_used, reason = "the helpers of a test")]

use std::path::Path;
use std::time::Duration;

use carillon_acd::explain::{Choice, Measure, Next};
use carillon_acd::ids::{AgentId, CallId, Epoch, LegId, Name, NodeId, NumberId, QueueId};
use carillon_acd::leg::{CallerId, Cause};
use carillon_acd::offer::OfferId;
use carillon_acd::record::{Happened, Outcome, Record, Transition};
use carillon_acd::ticket::Sequence;
use carillon_acd::time::WallTime;
use carillon_store::{Cursor, Filter, Order, Store, StoreError};
use sqlx::Connection;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn queue(text: &str) -> QueueId {
    QueueId::new(name("default"), name(text))
}

fn agent(text: &str) -> AgentId {
    AgentId::new(name("default"), name(text))
}

/// Call `n` begins in second `n` and lasts one.
fn record(n: u64) -> Record {
    let call = CallId { node: NodeId(1), boot: 7, number: n };
    let at = |ms: u64| WallTime(((n * 1_000 + ms) * 1_000) as i64);
    let sequence = Some(Sequence { epoch: Epoch(3), counter: n });
    let offer = OfferId { epoch: Epoch(3), counter: 10 * n };
    let answered_by = Some(agent("anna"));
    let next = Next { agent: agent("ivan"), measure: Measure::IdleMs(None) };
    let why = Some(Choice::Best { measure: Measure::IdleMs(Some(1_500)), next: Some(next) });
    let offered = Happened::Offered { offer, agents: vec![agent("anna"), agent("piotr")], why };
    let transitions = vec![
        Transition { at: at(0), what: Happened::Routed { why: "number main → queue support".into() } },
        Transition { at: at(1), what: Happened::CallerAnswered },
        Transition { at: at(2), what: Happened::Enqueued { queue: queue("support"), sequence } },
        Transition { at: at(3), what: offered },
        Transition {
            at: at(4),
            what: Happened::Dialled { leg: LegId { call, n: 1 }, agent: answered_by.clone(), number: None },
        },
        Transition { at: at(500), what: Happened::Connected { leg: LegId { call, n: 1 }, agent: answered_by } },
        Transition { at: at(999), what: Happened::LegEnded { leg: LegId { call, n: 1 }, cause: Cause::Failed(503) } },
    ];
    Record {
        call,
        caller: CallerId { number: "+48600000000".into(), name: "Łucja \"'; DROP TABLE".into() },
        dialled: "33123456789".into(),
        number: Some(NumberId::new(name("default"), name("main"))),
        started: at(0),
        ended: at(999),
        queue: Some(queue("support")),
        agent: Some(agent("anna")),
        wait_ms: Some(498),
        talk_ms: 499,
        outcome: Outcome::Answered,
        cause: Cause::Normal,
        transitions,
    }
}

async fn open(dir: &Path) -> Store {
    Store::open(Some(dir)).await.unwrap()
}

fn all() -> Filter {
    Filter { limit: 10_000, order: Order::OldestFirst, ..Filter::default() }
}

fn numbers(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.call.number).collect()
}

// spec: PL-6
#[tokio::test]
async fn pl_6_a_record_comes_back_with_every_transition() {
    let store = Store::open(None).await.unwrap();
    let mut refused = record(2);
    refused.outcome = Outcome::Refused;
    refused.cause = Cause::Failed(503);
    (refused.number, refused.queue, refused.agent, refused.wait_ms) = (None, None, None, None);
    for record in [record(1), refused.clone()] {
        store.writer().try_write(record).unwrap();
    }
    store.writer().flush().await.unwrap();
    assert_eq!(store.query(&all()).await.unwrap(), [record(1), refused]);
}

// spec: PL-6, CL-5
#[tokio::test]
async fn pl_6_a_record_that_is_sent_again_after_a_crash_is_written_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store.writer().try_write(record(1)).unwrap();
    store.close().await.unwrap();

    let store = open(dir.path()).await;
    let mut again = record(1);
    again.talk_ms = 0;
    for record in [again.clone(), record(2), again] {
        store.writer().try_write(record).unwrap();
    }
    store.close().await.unwrap();
    assert_eq!(open(dir.path()).await.query(&all()).await.unwrap(), [record(1), record(2)]);
}

// spec: CL-4
#[tokio::test]
async fn cl_4_records_of_other_nodes_calls_are_found_by_their_end() {
    let store = Store::open(None).await.unwrap();
    for (n, node) in (1..).zip([1, 10, 2, 2, 2]) {
        let mut record = record(n);
        record.call.node = NodeId(node);
        // The third has begun long before, and the last has ended before.
        record.started = WallTime(record.started.0 - if n == 3 { 3_600_000_000 } else { 0 });
        record.ended = WallTime(record.ended.0 - if n == 5 { 9_000_000 } else { 0 });
        store.writer().try_write(record).unwrap();
    }
    store.writer().flush().await.unwrap();
    let found = store.of_other_nodes(NodeId(1), WallTime(500_000)).await.unwrap();
    let mut found: Vec<(u32, u64)> = found.iter().map(|it| (it.call.node.0, it.call.number)).collect();
    found.sort_unstable();
    assert_eq!(found, [(2, 3), (2, 4), (10, 2)]);
}

#[tokio::test]
async fn records_are_found_by_time_queue_agent_and_number() {
    let store = Store::open(None).await.unwrap();
    for n in 1..=10 {
        let mut record = record(n);
        if n % 2 == 0 {
            record.queue = Some(queue("sales"));
        }
        if n % 5 == 0 {
            record.agent = None;
            record.number = None;
        }
        store.writer().try_write(record).unwrap();
    }
    store.writer().flush().await.unwrap();

    let main = NumberId::new(name("default"), name("main"));
    let second = |n: i64| Some(WallTime(n * 1_000_000));
    for (filter, expected) in [
        (Filter { since: second(4), until: second(7), ..all() }, vec![4, 5, 6]),
        (Filter { queue: Some(queue("sales")), ..all() }, vec![2, 4, 6, 8, 10]),
        (Filter { queue: Some(queue("support")), agent: Some(agent("anna")), ..all() }, vec![1, 3, 7, 9]),
        (Filter { number: Some(main), until: second(5), ..all() }, vec![1, 2, 3, 4]),
        (Filter { call: Some(CallId { node: NodeId(1), boot: 7, number: 3 }), ..all() }, vec![3]),
        (Filter { agent: Some(agent("piotr")), ..all() }, vec![]),
        (Filter { limit: 3, ..Filter::default() }, vec![10, 9, 8]),
    ] {
        assert_eq!(numbers(&store.query(&filter).await.unwrap()), expected, "{filter:?}");
    }
}

#[tokio::test]
async fn pages_neither_repeat_nor_miss_a_record() {
    let store = Store::open(None).await.unwrap();
    for n in 1..=7 {
        // Several begin in the same microsecond.
        let mut record = record(n);
        record.started = WallTime(n as i64 / 3);
        store.writer().try_write(record).unwrap();
    }
    store.writer().flush().await.unwrap();
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let mut after = None;
        let mut seen = Vec::new();
        loop {
            let page = store.query(&Filter { limit: 2, after, order, ..Filter::default() }).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(Cursor::from(last));
            seen.extend(numbers(&page));
        }
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7], "{order:?}");
    }
}

// spec: CL-5
#[tokio::test]
async fn cl_5_a_disk_that_refuses_delays_records_and_loses_only_what_the_queue_cannot_hold() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let url = format!("sqlite://{}", dir.path().join("carillon.db").display());
    let mut other = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();

    let writer = store.writer();
    let accepted: Vec<u64> = (1..=9_000).filter(|n| writer.try_write(record(*n)).is_ok()).collect();
    let dropped = 9_000 - accepted.len() as u64;
    assert!(dropped > 0 && accepted.len() >= 8_192, "{} accepted", accepted.len());
    assert_eq!(writer.stats().dropped, dropped);
    assert_eq!(writer.stats().written, 0);

    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    writer.flush().await.unwrap();
    assert_eq!(writer.stats().written, accepted.len() as u64);
    assert_eq!(numbers(&store.query(&all()).await.unwrap()), accepted);
}

#[tokio::test]
async fn a_running_store_can_be_read_by_another_process() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Store::open_read_only(dir.path()).await, Err(StoreError::Absent { .. })));
    let store = open(dir.path()).await;
    store.writer().try_write(record(1)).unwrap();
    store.writer().flush().await.unwrap();

    let reader = Store::open_read_only(dir.path()).await.unwrap();
    assert_eq!(reader.query(&all()).await.unwrap(), [record(1)]);
    assert!(reader.writer().try_write(record(2)).is_err());
    reader.close().await.unwrap();
}

#[tokio::test]
async fn a_closed_store_refuses_records_and_counts_them() {
    let store = Store::open(None).await.unwrap();
    let writer = store.writer();
    store.close().await.unwrap();
    assert!(writer.try_write(record(1)).is_err());
    assert_eq!(writer.stats().dropped, 1);
    assert!(tokio::time::timeout(Duration::from_secs(60), writer.flush()).await.unwrap().is_err());
}

// spec: CL-4
#[tokio::test]
async fn cl_4_a_record_that_another_node_has_is_removed_written_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let writer = store.writer();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    writer.on_written(move |calls| drop(tell.send(calls.to_vec())));
    for n in 1..=3 {
        writer.try_write(record(n)).unwrap();
    }
    writer.flush().await.unwrap();
    let calls = |numbers: &[u64]| numbers.iter().map(|n| record(*n).call).collect::<Vec<_>>();
    assert_eq!(told.try_recv().unwrap(), calls(&[1, 2, 3]));
    writer.try_write(record(4)).unwrap();
    writer.forget(calls(&[2, 4, 9]));
    assert_eq!(numbers(&store.query(&all()).await.unwrap()), [1, 3]);
    store.close().await.unwrap();
}
