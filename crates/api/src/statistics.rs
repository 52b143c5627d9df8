//! The service of statistics.

use std::time::Duration;

use carillon_acd::ids::Name;
use carillon_acd::stats::{Books, Definitions, Fact, Subject, Tally, of_record};
use carillon_acd::time::WallTime;
use carillon_actors::Center;
use carillon_rpc::names::{NameError, Parent};
use carillon_rpc::statistics::{self, Row};
use carillon_rpc::v1::statistics_service_server::StatisticsService;
use carillon_rpc::{Refusal, names, v1};
use carillon_store::{Cursor, Filter, Order, PeriodsAfter, Store, StoreError};
use tonic::{Request, Response, Status};

use crate::page::PageRequest;
use crate::record::read_time;

/// The page size when none is asked for.
const PAGE: u32 = 1000;
/// Records and periods read at a time: the node's calls wait while one page is decoded.
const READ: u32 = 200;
/// The longest period.
const MOST: Duration = Duration::from_secs(31 * 86_400);
/// No call lasts longer, so one that entered a queue in the period began at most so long before it.
const LONGEST_CALL: Duration = Duration::from_secs(12 * 3600);

pub(crate) struct StatisticsPages {
    center: Center,
    store: Store,
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
struct Span {
    since: WallTime,
    until: WallTime,
}

/// In order of name, then of time.
type Key = (String, i64);

impl StatisticsPages {
    pub(crate) fn new(center: Center, store: Store) -> Self {
        StatisticsPages { center, store }
    }

    fn level(&self, subject: &Subject) -> carillon_acd::stats::ServiceLevel {
        match subject {
            Subject::Queue(queue) => self.center.statistics().definitions().of(Some(queue)),
            Subject::Agent(_) | Subject::Number(_) => Default::default(),
        }
    }

    /// The rows of `books` that are asked for, each with its place in the list.
    fn rows(&self, books: &Books, span: Span, wanted: &Wanted) -> Vec<(Key, v1::Statistics)> {
        let row = |start: WallTime, end: WallTime, subject: &Subject, tally: &Tally| {
            wanted.takes(subject).then(|| {
                let row = Row { subject, start, end, tally, level: self.level(subject) };
                ((statistics::name(subject), start.0), v1::Statistics::from(row))
            })
        };
        let mut rows: Vec<_> = if wanted.quarters {
            books.quarters().filter_map(|(q, subject, tally)| row(q.start(), q.end(), subject, tally)).collect()
        } else {
            books.whole().filter_map(|(subject, tally)| row(span.since, span.until, subject, tally)).collect()
        };
        rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        rows
    }
}

#[tonic::async_trait]
impl StatisticsService for StatisticsPages {
    async fn list_statistics(
        &self,
        request: Request<v1::ListStatisticsRequest>,
    ) -> Result<Response<v1::ListStatisticsResponse>, Status> {
        let request = request.into_inner();
        let wanted = Wanted::read(&request)?;
        let page = PageRequest::read(request.page_size, PAGE, &request.page_token, read_token)?;
        let live = self.center.statistics();
        let now = self.center.now().wall;
        let rows = match read_span(&request, now)? {
            None => live.with(|books| self.rows(books, Span { since: live.since(), until: now }, &wanted)),
            Some(span) => {
                let books = history(&self.store, &live.definitions(), span).await.map_err(|error| {
                    tracing::error!(%error, "cannot read statistics");
                    Refusal::Unavailable("the call records cannot be read now; the server's log says why".into())
                })?;
                self.rows(&books, span, &wanted)
            }
        };
        let (rows, next_page_token) = page.cut(rows, |(key, _)| key, |(name, start)| format!("{start}/{name}"));
        let statistics = rows.into_iter().map(|(_, row)| row).collect();
        Ok(Response::new(v1::ListStatisticsResponse { statistics, next_page_token }))
    }
}

/// Which rows are asked for.
struct Wanted {
    parent: Parent,
    subject: v1::Subject,
    name: String,
    quarters: bool,
}

impl Wanted {
    fn read(request: &v1::ListStatisticsRequest) -> Result<Self, Refusal> {
        let subject = v1::Subject::try_from(request.subject).unwrap_or_default();
        if subject == v1::Subject::Unspecified {
            let expected = "a subject: SUBJECT_QUEUES, SUBJECT_AGENTS or SUBJECT_NUMBERS";
            return Err(Refusal::invalid("subject", request.subject, expected));
        }
        let parent = names::parent(&request.parent).map_err(|error| Refusal::name("parent", error))?;
        Ok(Wanted { parent, subject, name: request.name.clone(), quarters: request.quarters })
    }

    fn takes(&self, subject: &Subject) -> bool {
        let (kind, tenant): (_, &Name) = match subject {
            Subject::Queue(queue) => (v1::Subject::Queues, &queue.tenant),
            Subject::Agent(agent) => (v1::Subject::Agents, &agent.tenant),
            Subject::Number(number) => (v1::Subject::Numbers, &number.tenant),
        };
        kind == self.subject
            && self.parent.holds(tenant)
            && (self.name.is_empty() || self.name == statistics::name(subject))
    }
}

/// The period that is asked for; `None` for the live figures.
fn read_span(request: &v1::ListStatisticsRequest, now: WallTime) -> Result<Option<Span>, Refusal> {
    let since = request.since.map(|time| read_time("since", time)).transpose()?;
    let until = request.until.map(|time| read_time("until", time)).transpose()?;
    let span = match (since, until) {
        (None, None) => return Ok(None),
        (Some(since), until) => Span { since, until: until.unwrap_or(now) },
        (None, Some(until)) => {
            let expected = "the time from which on is counted, when there is an `until`";
            return Err(Refusal::invalid("since", format_args!("none, until {}", until.0), expected));
        }
    };
    let long = span.until.0.saturating_sub(span.since.0);
    if u128::try_from(long).is_ok_and(|long| long > MOST.as_micros()) {
        return Err(Refusal::invalid("since", format_args!("{} days ago", long / 86_400_000_000), "at most 31 days"));
    }
    Ok(Some(span))
}

/// Adds up what the records and the agents' time of a period say, a page at a time so that calls are not kept waiting.
async fn history(store: &Store, definitions: &Definitions, span: Span) -> Result<Books, StoreError> {
    let mut books = Books::default();
    let mut post = |facts: &[Fact]| {
        let inside = |fact: &&Fact| span.since <= fact.at && fact.at < span.until;
        facts.iter().filter(inside).for_each(|fact| books.post(fact));
    };
    let before = i64::try_from(LONGEST_CALL.as_micros()).expect("half a day");
    let mut filter = Filter {
        since: Some(WallTime(span.since.0.saturating_sub(before))),
        until: Some(span.until),
        order: Order::OldestFirst,
        limit: READ,
        ..Filter::default()
    };
    loop {
        let records = store.query(&filter).await?;
        records.iter().for_each(|record| post(&of_record(definitions, record)));
        let Some(last) = records.last().filter(|_| records.len() == READ as usize) else { break };
        filter.after = Some(Cursor::from(last));
        tokio::task::yield_now().await;
    }
    let mut after: Option<PeriodsAfter> = None;
    loop {
        let periods = store.periods(span.since, span.until, after.as_ref(), READ).await?;
        let mut facts = Vec::new();
        periods.iter().for_each(|period| period.facts(&mut facts));
        post(&facts);
        let Some(last) = periods.last().filter(|_| periods.len() == READ as usize) else { break };
        after = Some(PeriodsAfter::from(last));
        tokio::task::yield_now().await;
    }
    Ok(books)
}

fn read_token(token: &str) -> Result<Key, NameError> {
    let read = || {
        let (start, name) = token.split_once('/')?;
        Some((name.to_owned(), start.parse().ok()?))
    };
    read().ok_or_else(|| NameError { given: token.into(), expected: "a token" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use carillon_rpc::time;

    #[test]
    fn a_period_has_a_beginning_and_a_limit() {
        let day = 86_400_000_000;
        let now = WallTime(100 * day);
        let span = |since: Option<i64>, until: Option<i64>| {
            let wire = |at: Option<i64>| at.map(|at| time::timestamp(WallTime(at)));
            let request = v1::ListStatisticsRequest { since: wire(since), until: wire(until), ..Default::default() };
            read_span(&request, now).map(|span| span.map(|span| (span.since.0, span.until.0)))
        };
        assert_eq!(span(None, None).unwrap(), None);
        assert_eq!(span(Some(70 * day), None).unwrap(), Some((70 * day, 100 * day)));
        assert_eq!(span(Some(day), Some(2 * day)).unwrap(), Some((day, 2 * day)));
        for wrong in [span(None, Some(day)), span(Some(day), None)] {
            assert!(matches!(wrong, Err(Refusal::Invalid { field: "since", .. })));
        }
        assert_eq!(read_token("5/tenants/a/queues/b").unwrap(), ("tenants/a/queues/b".into(), 5));
    }
}
