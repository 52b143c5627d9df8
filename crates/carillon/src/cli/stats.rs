//! `carillon stats`: what callers met and agents did, live or for any period.

use std::io::{self, Write};
use std::time::Duration;

use carillon_acd::time::WallTime;
use carillon_rpc::v1::statistics_service_client::StatisticsServiceClient;
use carillon_rpc::{time, v1};
use clap::{Args, ValueEnum};
use comfy_table::Table;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::api::{Api, MOST_BYTES, said};
use super::missing::Missing;
use super::output::{self, lasting};
use super::records::Form;
use super::row::{instant, millis};
use super::when;

/// The largest page that the server gives.
const PAGE: u32 = 1000;

/// Whose figures, of when, in which form.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  carillon stats queues
  carillon stats agents anna --since 8h
  carillon stats numbers --since 2026-11-20 --until 2026-11-21 --quarters -o csv")]
pub(crate) struct StatsArgs {
    /// Whose.
    kind: Kind,

    /// Only this one, by its name. Default: all that have any.
    name: Option<String>,

    /// Count what began at this time or later: how long ago (1h), a date, or a time. Default: live, since the nodes
    /// started.
    #[arg(long, value_name = "TIME", value_parser = when::read)]
    since: Option<Timestamp>,

    /// Count what began before this time. Default: now.
    #[arg(long, value_name = "TIME", value_parser = when::read, requires = "since")]
    until: Option<Timestamp>,

    /// One row for each quarter of an hour.
    #[arg(long)]
    quarters: bool,

    /// The form of the answer.
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,

    #[command(flatten)]
    api: Api,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Visits of callers to queues.
    #[value(alias = "queue")]
    Queues,
    /// Calls that rang at agents, and their time.
    #[value(alias = "agent")]
    Agents,
    /// Calls to numbers.
    #[value(alias = "number")]
    Numbers,
}

impl Kind {
    const fn collection(self) -> &'static str {
        match self {
            Kind::Queues => "queues",
            Kind::Agents => "agents",
            Kind::Numbers => "numbers",
        }
    }

    const fn subject(self) -> v1::Subject {
        match self {
            Kind::Queues => v1::Subject::Queues,
            Kind::Agents => v1::Subject::Agents,
            Kind::Numbers => v1::Subject::Numbers,
        }
    }
}

pub(super) async fn run(args: StatsArgs) -> anyhow::Result<()> {
    let mut client = StatisticsServiceClient::new(args.api.connect().await?).max_decoding_message_size(MOST_BYTES);
    let (mut rows, mut page_token) = (Vec::new(), String::new());
    let mut missing = Missing::default();
    loop {
        let request = v1::ListStatisticsRequest { page_token, ..args.request() };
        let page = missing.told(client.list_statistics(request).await.map_err(said)?);
        rows.extend(page.statistics);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    write(&mut io::stdout().lock(), &args, rows)
}

impl StatsArgs {
    fn request(&self) -> v1::ListStatisticsRequest {
        let wire = |time: Timestamp| time::timestamp(WallTime(time.as_microsecond()));
        v1::ListStatisticsRequest {
            parent: self.api.parent(),
            subject: self.kind.subject().into(),
            since: self.since.map(wire),
            until: self.until.map(wire),
            quarters: self.quarters,
            page_size: PAGE,
            page_token: String::new(),
            name: self.name.as_ref().map_or_else(String::new, |typed| self.api.name(self.kind.collection(), typed)),
        }
    }
}

fn write(out: &mut impl Write, args: &StatsArgs, rows: Vec<v1::Statistics>) -> anyhow::Result<()> {
    match args.output {
        Form::Table => output::write_table(out, &table(args, &rows, &TimeZone::system()), "no statistics")?,
        Form::Json => {
            let rows: Vec<StatisticsRow> = rows.into_iter().map(Into::into).collect();
            output::write_json(out, &rows)?;
        }
        Form::Csv => {
            let mut writer = csv::Writer::from_writer(out);
            for row in rows {
                writer.serialize(StatisticsRow::from(row))?;
            }
            writer.flush()?;
        }
    }
    Ok(())
}

fn table(args: &StatsArgs, rows: &[v1::Statistics], zone: &TimeZone) -> Table {
    let mut header = if args.quarters { vec!["FROM"] } else { Vec::new() };
    header.extend(match args.kind {
        Kind::Queues | Kind::Numbers => [
            "NAME",
            "OFFERED",
            "ANSWERED",
            "ABANDONED",
            "SHORT",
            "MISSED",
            "OVERFLOWED",
            "SERVICE",
            "WAIT",
            "LONGEST",
            "HANDLE",
        ],
        Kind::Agents => [
            "NAME",
            "OFFERED",
            "ANSWERED",
            "MISSED",
            "RINGING",
            "TALK",
            "HOLD",
            "WRAP-UP",
            "HANDLE",
            "IDLE",
            "OCCUPANCY",
        ],
    });
    let mut table = output::table(&header);
    for row in rows {
        let from = args.quarters.then(|| local(row.start_time, zone));
        output::add(&mut table, from.into_iter().chain(cells(args, row)));
    }
    table
}

fn cells(args: &StatsArgs, row: &v1::Statistics) -> [String; 11] {
    let name = args.api.short(&row.name).to_owned();
    let (offered, answered, missed) = (row.offered_count, row.answered_count, row.missed_count);
    let sum = |duration: &Option<_>| lasting(time::std_duration(duration.as_ref()));
    let average =
        |duration: &Option<_>| duration.as_ref().map_or_else(String::new, |d| short(time::std_duration(Some(d))));
    match args.kind {
        Kind::Queues | Kind::Numbers => [
            name,
            offered.to_string(),
            answered.to_string(),
            row.abandoned_count.to_string(),
            row.short_abandoned_count.to_string(),
            missed.to_string(),
            overflowed(row).to_string(),
            service(row),
            average(&row.speed_of_answer),
            sum(&row.longest_wait),
            average(&row.handle_time),
        ],
        Kind::Agents => [
            name,
            offered.to_string(),
            answered.to_string(),
            missed.to_string(),
            average(&row.speed_of_answer),
            sum(&row.talk),
            sum(&row.hold),
            sum(&row.wrap_up),
            average(&row.handle_time),
            sum(&row.idle),
            row.occupancy.map_or_else(String::new, percent),
        ],
    }
}

/// `92.5 % of 80 %`: the level, and the target if there is one.
fn service(row: &v1::Statistics) -> String {
    let target = if row.target > 0 { format!(" of {} %", row.target) } else { String::new() };
    row.service_level.map_or_else(String::new, |level| percent(level) + &target)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// An average: to the tenth of a second below a minute.
fn short(duration: Duration) -> String {
    if duration < Duration::from_secs(60) { format!("{:.1}s", duration.as_secs_f64()) } else { lasting(duration) }
}

fn overflowed(row: &v1::Statistics) -> u64 {
    row.flow_outs.iter().map(|out| out.count).sum()
}

fn local(time: Option<carillon_rpc::Timestamp>, zone: &TimeZone) -> String {
    let time = time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok());
    time.map_or_else(String::new, |time| time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string())
}

/// Statistics as programs read them, in JSON and CSV alike. Documented in docs/cli.md; only added to.
#[derive(Debug, Serialize)]
struct StatisticsRow {
    name: String,
    start: String,
    end: String,
    offered: u64,
    answered: u64,
    answered_within: u64,
    abandoned: u64,
    short_abandoned: u64,
    abandoned_within: u64,
    missed: u64,
    lost: u64,
    overflowed: u64,
    overflowed_round_unanswered: u64,
    overflowed_max_wait: u64,
    overflowed_max_total_wait: u64,
    overflowed_nobody_logged_in: u64,
    overflowed_max_waiting: u64,
    overflowed_digit: u64,
    overflowed_callback: u64,
    overflowed_other: u64,
    longest_wait_ms: u64,
    speed_of_answer_ms: Option<u64>,
    handled: u64,
    talk_ms: u64,
    hold_ms: u64,
    wrap_up_ms: u64,
    handle_time_ms: Option<u64>,
    handling_ms: u64,
    idle_ms: u64,
    occupancy: Option<f64>,
    service_level: Option<f64>,
    service_level_negative: Option<f64>,
    service_level_positive: Option<f64>,
    service_level_of_answered: Option<f64>,
    threshold_ms: Option<u64>,
    target: Option<u32>,
}

impl From<v1::Statistics> for StatisticsRow {
    fn from(row: v1::Statistics) -> Self {
        let ms = |duration: &Option<_>| millis(time::std_duration(duration.as_ref()));
        let some_ms = |duration: &Option<_>| duration.as_ref().map(|d| millis(time::std_duration(Some(d))));
        let out = |reason| row.flow_outs.iter().filter(|out| out.reason() == reason).map(|out| out.count).sum();
        StatisticsRow {
            start: instant(row.start_time),
            end: instant(row.end_time),
            offered: row.offered_count,
            answered: row.answered_count,
            answered_within: row.answered_within_count,
            abandoned: row.abandoned_count,
            short_abandoned: row.short_abandoned_count,
            abandoned_within: row.abandoned_within_count,
            missed: row.missed_count,
            lost: row.lost_count,
            overflowed: overflowed(&row),
            overflowed_round_unanswered: out(v1::FlowOutReason::RoundUnanswered),
            overflowed_max_wait: out(v1::FlowOutReason::MaxWait),
            overflowed_max_total_wait: out(v1::FlowOutReason::MaxTotalWait),
            overflowed_nobody_logged_in: out(v1::FlowOutReason::NobodyLoggedIn),
            overflowed_max_waiting: out(v1::FlowOutReason::MaxWaiting),
            overflowed_digit: out(v1::FlowOutReason::Digit),
            overflowed_callback: out(v1::FlowOutReason::Callback),
            overflowed_other: out(v1::FlowOutReason::Other),
            longest_wait_ms: ms(&row.longest_wait),
            speed_of_answer_ms: some_ms(&row.speed_of_answer),
            handled: row.handled_count,
            talk_ms: ms(&row.talk),
            hold_ms: ms(&row.hold),
            wrap_up_ms: ms(&row.wrap_up),
            handle_time_ms: some_ms(&row.handle_time),
            handling_ms: ms(&row.handling),
            idle_ms: ms(&row.idle),
            occupancy: row.occupancy,
            service_level: row.service_level,
            service_level_negative: row.service_level_negative,
            service_level_positive: row.service_level_positive,
            service_level_of_answered: row.service_level_of_answered,
            threshold_ms: some_ms(&row.threshold),
            target: Some(row.target).filter(|target| *target > 0),
            name: row.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::api;

    fn args(kind: Kind, output: Form) -> StatsArgs {
        let api = api::of_tenant("default");
        StatsArgs { kind, name: None, since: None, until: None, quarters: true, output, api }
    }

    fn row() -> v1::Statistics {
        v1::Statistics {
            name: "tenants/default/queues/support".into(),
            start_time: Some(carillon_rpc::Timestamp { seconds: 1_700_000_100, nanos: 0 }),
            offered_count: 10,
            answered_count: 7,
            abandoned_count: 1,
            flow_outs: vec![v1::FlowOut { reason: v1::FlowOutReason::MaxWait.into(), count: 2 }],
            speed_of_answer: Some(time::duration(Duration::from_millis(12_340))),
            service_level: Some(0.75),
            target: 80,
            ..Default::default()
        }
    }

    // spec: PL-4
    #[test]
    fn pl_4_a_table_has_the_figures_that_people_ask_for() {
        let shown = table(&args(Kind::Queues, Form::Table), &[row()], &TimeZone::UTC).trim_fmt();
        let cells: Vec<&str> = shown.lines().nth(1).unwrap().split("  ").filter(|cell| !cell.is_empty()).collect();
        let trimmed: Vec<&str> = cells.iter().map(|cell| cell.trim()).collect();
        let expected = ["2023-11-14 22:15", "support", "10", "7", "1", "0", "0", "2", "75.0 % of 80 %", "12.3s", "0s"];
        assert_eq!(trimmed, expected);
    }

    #[test]
    fn csv_and_json_have_the_same_fields() {
        let written = |form| {
            let mut out = Vec::new();
            write(&mut out, &args(Kind::Queues, form), vec![row()]).unwrap();
            String::from_utf8(out).unwrap()
        };
        let json: serde_json::Value = serde_json::from_str(&written(Form::Json)).unwrap();
        let text = written(Form::Csv);
        let mut csv = csv::Reader::from_reader(text.as_bytes());
        let header = csv.headers().unwrap().clone();
        assert_eq!(header.len(), json[0].as_object().unwrap().len());
        assert!(header.iter().all(|field| json[0].get(field).is_some()));
        assert_eq!(
            (&json[0]["overflowed_max_wait"], &json[0]["handle_time_ms"]),
            (&2.into(), &serde_json::Value::Null)
        );
        assert_eq!((&json[0]["service_level"], &json[0]["target"]), (&0.75.into(), &80.into()));
    }

    #[test]
    fn a_name_and_a_time_become_a_request() {
        let since = Some("2023-11-14T22:13:20Z".parse().unwrap());
        let args = StatsArgs { name: Some("anna".into()), since, ..args(Kind::Agents, Form::Table) };
        let request = args.request();
        assert_eq!((request.subject(), request.name.as_str()), (v1::Subject::Agents, "tenants/default/agents/anna"));
        assert_eq!(request.since.unwrap().seconds, 1_700_000_000);
    }
}
