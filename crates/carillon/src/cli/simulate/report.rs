//! What came of the day, beside the original.

use std::io::Write;
use std::time::Duration;

use carillon_acd::stats::{Books, Subject, Tally};
use serde::Serialize;

use crate::cli::output::{self, Output, lasting};

/// The figures of one queue, or of all, on one of the days. Times are in seconds, shares from 0 to 1.
#[derive(Debug, Serialize)]
struct Row {
    queue: String,
    day: &'static str,
    offered: u64,
    answered: u64,
    abandoned: u64,
    overflowed: u64,
    service_level: Option<f64>,
    speed_of_answer_seconds: Option<f64>,
    longest_wait_seconds: f64,
    handle_time_seconds: Option<f64>,
    /// Unknown for the original: its records do not say how long agents were idle.
    occupancy: Option<f64>,
}

impl Row {
    fn new(queue: String, day: &'static str, tally: &Tally) -> Self {
        let figures = tally.figures();
        let seconds = |time: Duration| time.as_secs_f64();
        Row {
            queue,
            day,
            offered: tally.offered,
            answered: tally.answered,
            abandoned: tally.abandoned + tally.abandoned_short,
            overflowed: tally.flowed_out(),
            service_level: figures.service.default,
            speed_of_answer_seconds: figures.speed_of_answer.map(seconds),
            longest_wait_seconds: seconds(Duration::from_micros(tally.longest_wait)),
            handle_time_seconds: figures.handle_time.map(seconds),
            occupancy: figures.occupancy,
        }
    }

    fn cells(&self) -> [String; 10] {
        let percent = |share: Option<f64>| share.map_or_else(String::new, |share| format!("{:.1}%", 100.0 * share));
        let time = |seconds: Option<f64>| seconds.map_or_else(String::new, |seconds| format!("{seconds:.1}s"));
        [
            self.queue.clone(),
            self.day.to_owned(),
            self.offered.to_string(),
            self.answered.to_string(),
            self.abandoned.to_string(),
            self.overflowed.to_string(),
            percent(self.service_level),
            time(self.speed_of_answer_seconds),
            lasting(Duration::from_secs_f64(self.longest_wait_seconds)),
            percent(self.occupancy),
        ]
    }
}

pub(super) fn write(
    out: &mut impl Write,
    form: Output,
    calls: usize,
    original: Option<&Books>,
    simulated: &Books,
) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for (day, books) in original.map(|books| ("original", books)).into_iter().chain([("simulated", simulated)]) {
        all.extend(rows(day, books));
    }
    // The two days of a queue beside each other, the sum of all queues last.
    all.sort_by(|a, b| (a.queue == ALL, &a.queue).cmp(&(b.queue == ALL, &b.queue)));
    match form {
        Output::Json => output::write_json(out, &all),
        Output::Table => {
            let header = [
                "QUEUE",
                "DAY",
                "OFFERED",
                "ANSWERED",
                "ABANDONED",
                "OVERFLOWED",
                "SERVICE",
                "ASA",
                "LONGEST",
                "OCCUPANCY",
            ];
            let mut table = output::table(&header);
            all.iter().for_each(|row| output::add(&mut table, row.cells()));
            output::write_table(out, &table, "no call reached a queue")?;
            Ok(writeln!(out, "\n{calls} calls")?)
        }
    }
}

const ALL: &str = "all";

fn rows(day: &'static str, books: &Books) -> Vec<Row> {
    let (mut rows, mut all, mut agents) = (Vec::new(), Tally::default(), Tally::default());
    for (subject, tally) in books.whole() {
        match subject {
            Subject::Queue(queue) => {
                rows.push(Row::new(queue.name.to_string(), day, tally));
                all.add(tally);
            }
            Subject::Agent(_) => agents.add(tally),
            Subject::Number(_) => {}
        }
    }
    // An agent of two queues is one agent.
    (all.handling, all.idle) = (agents.handling, agents.idle);
    if rows.len() > 1 {
        rows.push(Row::new(ALL.to_owned(), day, &all));
    }
    rows
}
