//! `carillon records`: what happened to the calls that are over.

use std::io::{self, Write};
use std::path::PathBuf;

use carillon_acd::time::WallTime;
use carillon_rpc::v1::record_service_client::RecordServiceClient;
use carillon_rpc::{names, time, v1};
use carillon_store::{Cursor, Filter, Store};
use clap::{Args, ValueEnum};
use comfy_table::Table;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tonic::transport::Channel;

use super::api::{Api, MOST_BYTES, said};
use super::get::{call_id, from};
use super::missing::Missing;
use super::output::{self, lasting};
use super::row::{self, RecordRow};
use super::when;

/// Records read at a time.
const PAGE: u32 = 500;
/// The columns of the comma-separated form, as documented in docs/cli.md; only added to.
const COLUMNS: [&str; 15] = [
    "call",
    "caller_number",
    "caller_name",
    "dialled",
    "number",
    "started",
    "ended",
    "queue",
    "agent",
    "wait_ms",
    "talk_ms",
    "outcome",
    "cause",
    "sip_status",
    "transitions",
];

/// Which records, in which form.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  carillon records --since 1h
  carillon records --queue support --since 2026-11-20 --until 2026-11-21 --limit 0 -o csv
  carillon records --data /var/lib/carillon -o json --limit 1")]
pub(crate) struct RecordsArgs {
    /// Only calls that started at this time or later: how long ago (1h), a date, or a time. Without a zone: local.
    #[arg(long, value_name = "TIME", value_parser = when::read)]
    since: Option<Timestamp>,

    /// Only calls that started before this time.
    #[arg(long, value_name = "TIME", value_parser = when::read)]
    until: Option<Timestamp>,

    /// Only calls whose last queue was this one.
    #[arg(long)]
    queue: Option<String>,

    /// Only calls in which this agent talked last.
    #[arg(long)]
    agent: Option<String>,

    /// The most records to show, the latest first; 0 shows all.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,

    /// The form of the answer.
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,

    /// Read the data folder of a node instead of asking the API; the node may run or not.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    #[command(flatten)]
    api: Api,
}

/// The form of records and statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people; its columns may change.
    Table,
    /// An array; of records with all their transitions, one record a line.
    Json,
    /// Comma-separated, with a header; the transitions of a record as JSON in the last column.
    Csv,
}

pub(super) async fn run(args: RecordsArgs) -> anyhow::Result<()> {
    let mut source = Source::open(&args).await?;
    let mut sink = Sink::open(io::stdout().lock(), &args.api, args.output)?;
    let mut left = if args.limit == 0 { u32::MAX } else { args.limit };
    while left > 0 {
        let Some(page) = source.next(&args, left.min(PAGE)).await? else { break };
        left = left.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX));
        sink.write(page)?;
    }
    sink.close()
}

/// Where records come from, and how far they have been read.
enum Source {
    Api { client: RecordServiceClient<Channel>, page_token: String, ended: bool, missing: Missing },
    Data { store: Store, filter: Filter },
}

impl Source {
    async fn open(args: &RecordsArgs) -> anyhow::Result<Self> {
        if let Some(dir) = &args.data {
            return Ok(Source::Data { store: Store::open_read_only(dir).await?, filter: args.filter()? });
        }
        let client = RecordServiceClient::new(args.api.connect().await?).max_decoding_message_size(MOST_BYTES);
        Ok(Source::Api { client, page_token: String::new(), ended: false, missing: Missing::default() })
    }

    /// The next records, at most `most`; `None` after the last.
    async fn next(&mut self, args: &RecordsArgs, most: u32) -> anyhow::Result<Option<Vec<v1::Record>>> {
        match self {
            Source::Api { ended: true, .. } => Ok(None),
            Source::Api { client, page_token, ended, missing } => {
                let request = v1::ListRecordsRequest {
                    page_size: most,
                    page_token: std::mem::take(page_token),
                    ..args.request()
                };
                let page = missing.told(client.list_records(request).await.map_err(said)?);
                *ended = page.next_page_token.is_empty();
                *page_token = page.next_page_token;
                Ok(Some(page.records))
            }
            Source::Data { store, filter } => {
                filter.limit = most;
                let page = store.query(filter).await?;
                let Some(last) = page.last() else { return Ok(None) };
                filter.after = Some(Cursor::from(last));
                Ok(Some(page.into_iter().map(Into::into).collect()))
            }
        }
    }
}

impl RecordsArgs {
    fn request(&self) -> v1::ListRecordsRequest {
        let name = |collection, typed: &Option<String>| {
            typed.as_ref().map_or_else(String::new, |typed| self.api.name(collection, typed))
        };
        let wire = |time: Timestamp| time::timestamp(WallTime(time.as_microsecond()));
        v1::ListRecordsRequest {
            since: self.since.map(wire),
            until: self.until.map(wire),
            queue: name("queues", &self.queue),
            agent: name("agents", &self.agent),
            ..Default::default()
        }
    }

    fn filter(&self) -> anyhow::Result<Filter> {
        let wall = |time: Timestamp| WallTime(time.as_microsecond());
        let queue = self.queue.as_ref().map(|typed| names::queue(&self.api.name("queues", typed)));
        let agent = self.agent.as_ref().map(|typed| names::agent(&self.api.name("agents", typed)));
        Ok(Filter {
            since: self.since.map(wall),
            until: self.until.map(wall),
            queue: queue.transpose()?,
            agent: agent.transpose()?,
            ..Filter::default()
        })
    }
}

/// Where records go. All forms but the table are written as the pages come.
struct Sink<'a, W: Write> {
    out: W,
    api: &'a Api,
    form: Form,
    table: Table,
    written: usize,
}

impl<'a, W: Write> Sink<'a, W> {
    fn open(mut out: W, api: &'a Api, form: Form) -> anyhow::Result<Self> {
        match form {
            Form::Table => {}
            Form::Json => write!(out, "[")?,
            Form::Csv => csv_rows(&mut out, [COLUMNS])?,
        }
        let header = ["STARTED", "CALL", "FROM", "DIALLED", "QUEUE", "AGENT", "WAIT", "TALK", "OUTCOME", "CAUSE"];
        Ok(Sink { out, api, form, table: output::table(&header), written: 0 })
    }

    fn write(&mut self, page: Vec<v1::Record>) -> anyhow::Result<()> {
        match self.form {
            Form::Table => {
                for record in &page {
                    output::add(&mut self.table, cells(self.api, record, &TimeZone::system()));
                }
            }
            Form::Json => {
                for record in page {
                    self.out.write_all(if self.written == 0 { b"\n" } else { b",\n" })?;
                    serde_json::to_writer(&mut self.out, &RecordRow::from(record)).map_err(io::Error::from)?;
                    self.written += 1;
                }
            }
            Form::Csv => csv_rows(&mut self.out, page.into_iter().map(csv_row))?,
        }
        Ok(())
    }

    fn close(mut self) -> anyhow::Result<()> {
        match self.form {
            Form::Table => output::write_table(&mut self.out, &self.table, "no records")?,
            Form::Json => writeln!(self.out, "\n]")?,
            Form::Csv => {}
        }
        Ok(self.out.flush()?)
    }
}

fn cells(api: &Api, record: &v1::Record, zone: &TimeZone) -> [String; 10] {
    let local = |time: carillon_rpc::Timestamp| {
        let time = Timestamp::new(time.seconds, time.nanos).ok()?;
        Some(time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string())
    };
    let wait = record.wait.as_ref().map(|wait| lasting(time::std_duration(Some(wait))));
    let cause = row::cause(record.cause());
    [
        record.start_time.and_then(local).unwrap_or_default(),
        call_id(&record.call).to_owned(),
        from(record.caller.as_ref()),
        record.dialled.clone(),
        api.short(&record.queue).to_owned(),
        api.short(&record.agent).to_owned(),
        wait.unwrap_or_default(),
        lasting(time::std_duration(record.talk.as_ref())),
        row::outcome(record),
        if record.sip_status > 0 { format!("{cause} {}", record.sip_status) } else { cause },
    ]
}

fn csv_row(record: v1::Record) -> [String; COLUMNS.len()] {
    let v1::CallerId { number, display_name } = record.caller.clone().unwrap_or_default();
    let wait = record.wait.as_ref().map(|wait| row::millis(time::std_duration(Some(wait))).to_string());
    let transitions: Vec<row::TransitionRow> = record.transitions.iter().cloned().map(Into::into).collect();
    [
        record.call.clone(),
        number,
        display_name,
        record.dialled.clone(),
        record.number.clone(),
        row::instant(record.start_time),
        row::instant(record.end_time),
        record.queue.clone(),
        record.agent.clone(),
        wait.unwrap_or_default(),
        row::millis(time::std_duration(record.talk.as_ref())).to_string(),
        row::outcome(&record),
        row::cause(record.cause()),
        if record.sip_status > 0 { record.sip_status.to_string() } else { String::new() },
        serde_json::to_string(&transitions).expect("plain structures of text and numbers"),
    ]
}

fn csv_rows<R>(out: &mut impl Write, rows: impl IntoIterator<Item = R>) -> anyhow::Result<()>
where
    R: IntoIterator<Item: AsRef<[u8]>>,
{
    let mut writer = csv::Writer::from_writer(out);
    for row in rows {
        writer.write_record(row).map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) => error,
            other => io::Error::other(format!("{other:?}")),
        })?;
    }
    Ok(writer.flush()?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::api;

    fn record() -> v1::Record {
        let at = |seconds| Some(carillon_rpc::Timestamp { seconds, nanos: 1000 });
        let step =
            |seconds, event: v1::Event| v1::Transition { time: at(seconds), event: event.into(), ..Default::default() };
        let place = Some(v1::Place { epoch: 3, counter: 7 });
        let queue = "tenants/default/queues/support";
        let ended = v1::Transition {
            leg: Some(0),
            cause: v1::Cause::Normal.into(),
            ..step(1_700_000_015, v1::Event::LegEnded)
        };
        v1::Record {
            call: "calls/1-6a0f3c21-42".into(),
            caller: Some(v1::CallerId { number: "+33600000001".into(), display_name: "Zoé, \"Z\"".into() }),
            dialled: "+33123456789".into(),
            number: String::new(),
            start_time: at(1_700_000_000),
            end_time: at(1_700_000_015),
            queue: queue.into(),
            agent: "tenants/default/agents/anna".into(),
            wait: Some(time::duration(Duration::from_millis(4321))),
            talk: Some(time::duration(Duration::from_millis(10_000))),
            outcome: v1::Outcome::Answered.into(),
            cause: v1::Cause::Normal.into(),
            sip_status: 0,
            transitions: vec![
                v1::Transition { queue: queue.into(), place, ..step(1_700_000_001, v1::Event::Enqueued) },
                ended,
            ],
        }
    }

    fn written(form: Form, pages: Vec<Vec<v1::Record>>) -> String {
        let (mut out, api) = (Vec::new(), api::of_tenant("default"));
        let mut sink = Sink::open(&mut out, &api, form).unwrap();
        for page in pages {
            sink.write(page).unwrap();
        }
        sink.close().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn people_see_one_line_per_call() {
        let cells = cells(&api::of_tenant("default"), &record(), &TimeZone::UTC);
        let expected = [
            "2023-11-14 22:13:20",
            "1-6a0f3c21-42",
            "Zoé, \"Z\" +33600000001",
            "+33123456789",
            "support",
            "anna",
            "4s",
            "10s",
            "answered",
            "normal",
        ];
        assert_eq!(cells, expected);
        assert_eq!(written(Form::Table, vec![vec![]]), "no records\n");
    }

    // spec: PL-6
    #[test]
    fn json_has_every_transition_and_its_time() {
        let json: serde_json::Value =
            serde_json::from_str(&written(Form::Json, vec![vec![record()], vec![record()]])).unwrap();
        let expected = serde_json::json!({
            "call": "calls/1-6a0f3c21-42",
            "caller": {"number": "+33600000001", "display_name": "Zoé, \"Z\""},
            "dialled": "+33123456789", "number": null,
            "started": "2023-11-14T22:13:20.000001Z", "ended": "2023-11-14T22:13:35.000001Z",
            "queue": "tenants/default/queues/support", "agent": "tenants/default/agents/anna",
            "wait_ms": 4321, "talk_ms": 10000, "outcome": "answered", "cause": "normal",
            "transitions": [
                {"at": "2023-11-14T22:13:21.000001Z", "event": "enqueued", "queue": "tenants/default/queues/support",
                 "place": {"epoch": 3, "counter": 7}},
                {"at": "2023-11-14T22:13:35.000001Z", "event": "leg_ended", "leg": 0, "cause": "normal"},
            ],
        });
        assert_eq!(json, serde_json::json!([expected, expected]));
        assert_eq!(written(Form::Json, vec![]), "[\n]\n");
    }

    // spec: PL-6
    #[test]
    fn csv_has_one_header_and_reads_back() {
        let text = written(Form::Csv, vec![vec![record()], vec![record()]]);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap(), &COLUMNS[..]);
        let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!((&rows[0][2], &rows[0][9], &rows[0][13]), ("Zoé, \"Z\"", "4321", ""));
        let transitions: serde_json::Value = serde_json::from_str(&rows[0][14]).unwrap();
        assert_eq!(transitions[0]["event"], "enqueued");
    }

    #[test]
    fn names_and_times_become_a_request_or_a_filter() {
        let args = RecordsArgs {
            since: Some("2023-11-14T22:13:20Z".parse().unwrap()),
            until: None,
            queue: Some("support".into()),
            agent: None,
            limit: 100,
            output: Form::Table,
            data: None,
            api: api::of_tenant("default"),
        };
        let request = args.request();
        assert_eq!(
            (request.since.unwrap().seconds, request.queue.as_str()),
            (1_700_000_000, "tenants/default/queues/support")
        );
        let filter = args.filter().unwrap();
        assert_eq!(filter.since, Some(WallTime(1_700_000_000_000_000)));
        assert_eq!(filter.queue.unwrap().to_string(), "tenants/default/queues/support");
        let wrong = RecordsArgs { queue: Some("Support".into()), ..args };
        assert!(wrong.filter().unwrap_err().to_string().contains("is not a queue's name"));
    }
}
