//! The service of statistics. Each node counts the calls that live on it and the time of the agents whom it owns: the sums
//! of a cluster are the sums of its nodes'.

use std::time::Duration;

use carillon_acd::ids::Name;
use carillon_acd::stats::{Books, Definitions, Fact, Subject, Tally, of_record};
use carillon_acd::time::WallTime;
use carillon_actors::Center;
use carillon_rpc::names::{NameError, Parent};
use carillon_rpc::statistics::{self, Row};
use carillon_rpc::v1::statistics_service_client::StatisticsServiceClient;
use carillon_rpc::v1::statistics_service_server::StatisticsService;
use carillon_rpc::{Refusal, names, time, v1};
use carillon_store::{Cursor, Filter, Order, PeriodsAfter, Store, StoreError};
use tonic::{Request, Response, Status};

use crate::elsewhere::{self, Elsewhere, ask_all, forwarded_within, joined, marked};
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

/// How long another node may take to add up its records; the server gives up a request a little later.
const ADDED_UP_WITHIN: Duration = Duration::from_secs(8);

pub(crate) struct StatisticsPages {
    center: Center,
    store: Store,
    elsewhere: Elsewhere,
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
struct Span {
    since: WallTime,
    until: WallTime,
}

/// In order of name, then of the quarter's start; 0 for a row of the whole time.
type Key = (String, i64);

/// A row before it is written.
#[derive(Clone, Debug)]
struct Counted {
    key: Key,
    subject: Subject,
    start: WallTime,
    end: WallTime,
    tally: Tally,
}

impl Counted {
    fn new(subject: Subject, start: WallTime, end: WallTime, tally: Tally, quarters: bool) -> Self {
        let key = (statistics::name(&subject), if quarters { start.0 } else { 0 });
        Counted { key, subject, start, end, tally }
    }

    /// Adds what another node counted.
    fn join(&mut self, other: &Counted) {
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
        self.tally.add(&other.tally);
    }
}

fn write_token((name, start): &Key) -> String {
    format!("{start}/{name}")
}

impl StatisticsPages {
    pub(crate) fn new(center: Center, store: Store, elsewhere: Elsewhere) -> Self {
        StatisticsPages { center, store, elsewhere }
    }

    fn level(&self, subject: &Subject) -> carillon_acd::stats::ServiceLevel {
        match subject {
            Subject::Queue(queue) => self.center.statistics().definitions().of(Some(queue)),
            Subject::Agent(_) | Subject::Number(_) => Default::default(),
        }
    }

    /// What this node has counted.
    async fn own(&self, span: Option<Span>, now: WallTime, wanted: &Wanted) -> Result<Vec<Counted>, Refusal> {
        let live = self.center.statistics();
        let Some(span) = span else {
            return Ok(live.with(|books| wanted.rows(books, Span { since: live.since(), until: now })));
        };
        let books = history(&self.store, &live.definitions(), span).await.map_err(|error| {
            tracing::error!(%error, "cannot read statistics");
            Refusal::Unavailable("the call records cannot be read now; the server's log says why".into())
        })?;
        Ok(wanted.rows(&books, span))
    }
}

#[tonic::async_trait]
impl StatisticsService for StatisticsPages {
    async fn list_statistics(
        &self,
        request: Request<v1::ListStatisticsRequest>,
    ) -> Result<Response<v1::ListStatisticsResponse>, Status> {
        let others = self.elsewhere.others(&request, |it| it.edge || it.acd);
        let request = request.into_inner();
        let wanted = Wanted::read(&request)?;
        let page = PageRequest::read(request.page_size, PAGE, &request.page_token, read_token)?;
        let now = self.center.now().wall;
        let span = read_span(&request, now)?;
        // All of them count until the same moment.
        let request = v1::ListStatisticsRequest { until: span.map(|span| time::timestamp(span.until)), ..request };
        let pages = ask_all(others, |channel| {
            let request = forwarded_within(request.clone(), ADDED_UP_WITHIN);
            async move {
                let client = StatisticsServiceClient::new(channel);
                let mut client = client.max_decoding_message_size(elsewhere::MOST_BYTES);
                let page = client.list_statistics(request).await?.into_inner();
                Ok((page.statistics, page.next_page_token))
            }
        });
        let (own, pages) = tokio::join!(self.own(span, now, &wanted), pages);
        let own = page.cut(own?, |row| &row.key, write_token);
        let read = |(rows, next): (Vec<_>, _)| (rows.iter().filter_map(|row| wanted.read_row(row)).collect(), next);
        let others = pages.of.into_iter().map(|(node, page)| (node, read(page))).collect();
        let token = |row: &Counted| write_token(&row.key);
        let (rows, next_page_token) = joined(page.size, own, others, |row| row.key.clone(), Counted::join, token);
        let written = |Counted { subject, start, end, tally, .. }: &Counted| {
            Row { subject, start: *start, end: *end, tally, level: self.level(subject) }.into()
        };
        let statistics = rows.iter().map(written).collect();
        Ok(marked(v1::ListStatisticsResponse { statistics, next_page_token }, &pages.missing))
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

    /// The rows of `books` that are asked for, in order.
    fn rows(&self, books: &Books, span: Span) -> Vec<Counted> {
        let row = |start, end, subject: &Subject, tally: &Tally| {
            self.takes(subject).then(|| Counted::new(subject.clone(), start, end, *tally, self.quarters))
        };
        let mut rows: Vec<_> = if self.quarters {
            books.quarters().filter_map(|(q, subject, tally)| row(q.start(), q.end(), subject, &tally)).collect()
        } else {
            books.whole().filter_map(|(subject, tally)| row(span.since, span.until, subject, tally)).collect()
        };
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        rows
    }

    /// A row of another node.
    fn read_row(&self, row: &v1::Statistics) -> Option<Counted> {
        let subject = statistics::subject(self.subject, &row.name)?;
        let start = row.start_time.as_ref().and_then(time::wall_time)?;
        let end = row.end_time.as_ref().and_then(time::wall_time)?;
        Some(Counted::new(subject, start, end, statistics::tally(row), self.quarters))
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
    use carillon_acd::ids::QueueId;

    // spec: PL-4: each node has counted since its own start; the row of all of them is one.
    #[test]
    fn pl_4_rows_of_several_nodes_are_one_row() {
        let support = Subject::Queue(QueueId::new("default".parse().unwrap(), "support".parse().unwrap()));
        let tally = |offered, wait| Tally { offered, wait, longest_wait: wait, ..Tally::default() };
        let mut books = Books::default();
        books.post(&Fact { subject: support.clone(), at: WallTime(5), adds: tally(2, 30) });
        let request = v1::ListStatisticsRequest {
            parent: "tenants/default".into(),
            subject: v1::Subject::Queues.into(),
            ..Default::default()
        };
        let wanted = Wanted::read(&request).unwrap();
        let mut own = wanted.rows(&books, Span { since: WallTime(3), until: WallTime(100) });
        let other = Counted::new(support.clone(), WallTime(1), WallTime(101), tally(1, 50), false);
        let level = Default::default();
        let row = Row { subject: &support, start: other.start, end: other.end, tally: &other.tally, level };
        let read = wanted.read_row(&row.into()).unwrap();
        assert_eq!(own[0].key, read.key);
        own[0].join(&read);
        assert_eq!((own[0].start.0, own[0].end.0), (1, 101));
        let sum = own[0].tally;
        assert_eq!((sum.offered, sum.wait, sum.longest_wait), (3, 80, 50));
    }

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
