//! The service of call records. Each node keeps the records of the calls that ended on it.

use std::cmp::Reverse;
use std::collections::HashSet;

use carillon_acd::record::Record;
use carillon_acd::time::WallTime;
use carillon_rpc::names::{self, NameError};
use carillon_rpc::v1::record_service_client::RecordServiceClient;
use carillon_rpc::v1::record_service_server::RecordService;
use carillon_rpc::{Refusal, Timestamp, time, v1};
use carillon_store::{Cursor, Filter, Order, Store};
use prost::Message;
use tonic::{Request, Response, Status};

use crate::elsewhere::{self, Elsewhere, ask_all, forwarded, marked, merged};
use crate::page;

/// The page size when none is asked for.
const PAGE: u32 = 100;
/// A page ends early at this many bytes: clients refuse messages of more than 4 MiB unless told otherwise.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// Records, and where the next page begins.
type Page = (Vec<v1::Record>, String);

pub(crate) struct Records {
    store: Store,
    elsewhere: Elsewhere,
}

impl Records {
    pub(crate) fn new(store: Store, elsewhere: Elsewhere) -> Self {
        Records { store, elsewhere }
    }
}

#[tonic::async_trait]
impl RecordService for Records {
    async fn list_records(
        &self,
        request: Request<v1::ListRecordsRequest>,
    ) -> Result<Response<v1::ListRecordsResponse>, Status> {
        let others = self.elsewhere.others(&request, |it| it.edge);
        let request = request.into_inner();
        let mut filter = filter(&request)?;
        let size = page::read_size("page_size", request.page_size, PAGE)?;
        filter.limit = u32::try_from(size + 1).expect("a page has at most 1000 records");
        let pages = ask_all(others, |channel| {
            let request = forwarded(request.clone());
            async move {
                let mut client = RecordServiceClient::new(channel).max_decoding_message_size(elsewhere::MOST_BYTES);
                let page = client.list_records(request).await?.into_inner();
                Ok((page.records, page.next_page_token))
            }
        });
        let (found, pages) = tokio::join!(read(&self.store, &filter), pages);
        let own = cut(found?.into_iter().map(v1::Record::from).collect(), size);
        let (records, next_page_token) = fitting(once(merged(size, own, pages.of, order, write_token)));
        Ok(marked(v1::ListRecordsResponse { records, next_page_token }, &pages.missing))
    }
}

/// The first `size` of what was read, which is one more if more follow.
fn cut(mut records: Vec<v1::Record>, size: usize) -> Page {
    let more = records.len() > size;
    records.truncate(size);
    let next = records.last().filter(|_| more).map(write_token).unwrap_or_default();
    (records, next)
}

/// Each call once: an edge that was taken for dead may still have a record of a call that another edge has closed, until it hears
/// so (Spec: CL-4). Their starts differ by what their clocks do; the later one is the other edge's.
fn once((mut records, next): Page) -> Page {
    let mut seen = HashSet::new();
    records.retain(|record| seen.insert(record.call.clone()));
    (records, next)
}

/// As many records as fit into an answer.
fn fitting((mut records, next): Page) -> Page {
    let mut bytes = 0;
    let full = records.iter().position(|record| {
        bytes += record.encoded_len();
        bytes >= MOST_BYTES
    });
    match full.map(|last| last + 1).filter(|fitting| *fitting < records.len()) {
        Some(fitting) => {
            records.truncate(fitting);
            let next = records.last().map(write_token).unwrap_or_default();
            (records, next)
        }
        None => (records, next),
    }
}

/// The latest start first; the names of calls decide between equal ones, as they do in the store.
fn order(record: &v1::Record) -> Reverse<(WallTime, String)> {
    Reverse((started(record), record.call.clone()))
}

fn started(record: &v1::Record) -> WallTime {
    record.start_time.as_ref().and_then(time::wall_time).unwrap_or_default()
}

/// Reads records; why that fails is for the server's log.
pub(crate) async fn read(store: &Store, filter: &Filter) -> Result<Vec<Record>, Refusal> {
    store.query(filter).await.map_err(|error| {
        tracing::error!(%error, "cannot read call records");
        Refusal::Unavailable("the call records cannot be read now; the server's log says why".into())
    })
}

fn filter(request: &v1::ListRecordsRequest) -> Result<Filter, Refusal> {
    let after = match request.page_token.as_str() {
        "" => None,
        token => Some(read_token(token).ok_or_else(|| {
            Refusal::invalid("page_token", format_args!("{token:?}"), "the next_page_token of the page before")
        })?),
    };
    Ok(Filter {
        since: request.since.map(|time| read_time("since", time)).transpose()?,
        until: request.until.map(|time| read_time("until", time)).transpose()?,
        queue: read_name("queue", &request.queue, names::queue)?,
        agent: read_name("agent", &request.agent, names::agent)?,
        after,
        order: Order::NewestFirst,
        ..Filter::default()
    })
}

pub(crate) fn read_time(field: &'static str, given: Timestamp) -> Result<WallTime, Refusal> {
    let expected = "a time between the years 1 and 9999 with 0 to 999999999 nanoseconds";
    time::wall_time(&given)
        .ok_or_else(|| Refusal::invalid(field, format_args!("{} s {} ns", given.seconds, given.nanos), expected))
}

fn read_name<T>(
    field: &'static str,
    name: &str,
    read: impl FnOnce(&str) -> Result<T, NameError>,
) -> Result<Option<T>, Refusal> {
    match name {
        "" => Ok(None),
        name => read(name).map(Some).map_err(|error| Refusal::name(field, error)),
    }
}

fn write_token(record: &v1::Record) -> String {
    let call = record.call.strip_prefix("calls/").unwrap_or(&record.call);
    format!("{}/{call}", started(record).0)
}

fn read_token(token: &str) -> Option<Cursor> {
    let (started, call) = token.split_once('/')?;
    Some(Cursor { started: WallTime(started.parse().ok()?), call: call.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(started: i64, number: u64, name: &str) -> v1::Record {
        v1::Record {
            call: format!("calls/1-6a0f3c21-{number}"),
            start_time: Some(time::timestamp(WallTime(started))),
            dialled: name.to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn a_token_reads_back() {
        let token = write_token(&record(1_763_639_022_123_456, 42, ""));
        assert_eq!(token, "1763639022123456/1-6a0f3c21-42");
        let cursor = read_token(&token).unwrap();
        assert_eq!((cursor.started.0, cursor.call.number), (1_763_639_022_123_456, 42));
        assert!(read_token("1763639022123456").is_none() && read_token("x/1-6a0f3c21-42").is_none());
    }

    #[test]
    fn a_page_ends_before_it_is_too_large_and_says_that_more_follows() {
        let long = "x".repeat(MOST_BYTES / 2 - 20);
        let records = vec![record(3, 3, &long), record(2, 2, &long), record(1, 1, &long)];
        let (two, next) = fitting((records.clone(), String::new()));
        assert_eq!((two.len(), next.as_str()), (2, "2/1-6a0f3c21-2"));
        assert_eq!(fitting((two.clone(), String::new())), (two, String::new()), "nothing follows the last");
        let (one, next) = cut(records[..2].to_vec(), 1);
        assert_eq!((one.len(), next.as_str()), (1, "3/1-6a0f3c21-3"));
    }

    #[test]
    fn records_of_all_nodes_are_in_the_order_of_the_store() {
        let mut records = [record(1, 9, ""), record(2, 10, ""), record(2, 9, "")];
        records.sort_by_key(order);
        let calls: Vec<&str> = records.iter().map(|record| record.call.as_str()).collect();
        assert_eq!(calls, ["calls/1-6a0f3c21-9", "calls/1-6a0f3c21-10", "calls/1-6a0f3c21-9"]);
        assert_eq!(started(&records[0]), WallTime(2));
    }

    // spec: CL-4
    #[test]
    fn cl_4_a_call_that_two_nodes_have_closed_is_shown_once() {
        let (own, heirs, other) = (record(5, 42, "own"), record(7, 42, "heir's"), record(6, 43, "other"));
        let page = |records: &[v1::Record]| (records.to_vec(), String::new());
        let pages = vec![(carillon_acd::ids::NodeId(2), page(&[heirs.clone()]))];
        let merged = merged(10, page(&[other.clone(), own]), pages, order, write_token);
        assert_eq!(once(merged), page(&[heirs, other]));
    }

    #[test]
    fn a_request_becomes_a_filter() {
        let request = v1::ListRecordsRequest {
            since: Some(time::timestamp(WallTime(5))),
            queue: "tenants/default/queues/support".into(),
            ..Default::default()
        };
        let queue = names::queue("tenants/default/queues/support").unwrap();
        let expected = Filter { since: Some(WallTime(5)), queue: Some(queue), ..Filter::default() };
        assert_eq!(filter(&request).unwrap(), expected);
    }

    #[test]
    fn each_wrong_field_is_named() {
        let timestamp = Timestamp { seconds: 0, nanos: -1 };
        let wrong = [
            ("since", v1::ListRecordsRequest { since: Some(timestamp), ..Default::default() }),
            ("until", v1::ListRecordsRequest { until: Some(timestamp), ..Default::default() }),
            ("queue", v1::ListRecordsRequest { queue: "support".into(), ..Default::default() }),
            ("agent", v1::ListRecordsRequest { agent: "anna".into(), ..Default::default() }),
            ("page_token", v1::ListRecordsRequest { page_token: "2".into(), ..Default::default() }),
        ];
        for (field, request) in wrong {
            let refusal = filter(&request).unwrap_err();
            assert!(matches!(refusal, Refusal::Invalid { field: named, .. } if named == field), "{field}: {refusal}");
        }
    }
}
