//! The service of call records.

use carillon_acd::record::Record;
use carillon_acd::time::WallTime;
use carillon_rpc::names::{self, NameError};
use carillon_rpc::v1::record_service_server::RecordService;
use carillon_rpc::{Refusal, Timestamp, time, v1};
use carillon_store::{Cursor, Filter, Order, Store};
use prost::Message;
use tonic::{Request, Response, Status};

use crate::page;

/// The page size when none is asked for.
const PAGE: u32 = 100;
/// A page ends early at this many bytes: clients refuse messages of more than 4 MiB unless told otherwise.
const MOST_BYTES: usize = 2 * 1024 * 1024;

pub(crate) struct Records {
    store: Store,
}

impl Records {
    pub(crate) fn new(store: Store) -> Self {
        Records { store }
    }
}

#[tonic::async_trait]
impl RecordService for Records {
    async fn list_records(
        &self,
        request: Request<v1::ListRecordsRequest>,
    ) -> Result<Response<v1::ListRecordsResponse>, Status> {
        let mut filter = filter(request.get_ref())?;
        let size = page::read_size("page_size", request.get_ref().page_size, PAGE)?;
        filter.limit = u32::try_from(size + 1).expect("a page has at most 1000 records");
        let found = read(&self.store, &filter).await?;

        let (mut records, mut bytes, mut last) = (Vec::with_capacity(found.len()), 0, None);
        let mut found = found.into_iter();
        for record in found.by_ref().take(size) {
            last = Some(Cursor::from(&record));
            let record = v1::Record::from(record);
            bytes += record.encoded_len();
            records.push(record);
            if bytes >= MOST_BYTES {
                break;
            }
        }
        let next_page_token = last.filter(|_| !found.as_slice().is_empty()).map_or_else(String::new, write_token);
        Ok(Response::new(v1::ListRecordsResponse { records, next_page_token }))
    }
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

fn write_token(cursor: Cursor) -> String {
    format!("{}/{}", cursor.started.0, cursor.call)
}

fn read_token(token: &str) -> Option<Cursor> {
    let (started, call) = token.split_once('/')?;
    Some(Cursor { started: WallTime(started.parse().ok()?), call: call.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back() {
        let token = "1763639022123456/1-6a0f3c21-42";
        assert_eq!(write_token(read_token(token).unwrap()), token);
        assert!(read_token("1763639022123456").is_none() && read_token("x/1-6a0f3c21-42").is_none());
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
