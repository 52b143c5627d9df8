//! Statistics on the wire.

use std::time::Duration;

use carillon_acd::stats::{FlowOut, ServiceLevel, Subject, Tally};
use carillon_acd::time::WallTime;

use crate::{names, time, v1};

/// One row: whose sums, of when, measured by what.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// Whose.
    pub subject: &'a Subject,
    /// The first moment.
    pub start: WallTime,
    /// The moment after the last.
    pub end: WallTime,
    /// The sums.
    pub tally: &'a Tally,
    /// The definition of the queue; not used for others.
    pub level: ServiceLevel,
}

/// The subject of this kind with this full name; `None` when that is not understood.
pub fn subject(kind: v1::Subject, name: &str) -> Option<Subject> {
    match kind {
        v1::Subject::Unspecified => None,
        v1::Subject::Queues => names::queue(name).ok().map(Subject::Queue),
        v1::Subject::Agents => names::agent(name).ok().map(Subject::Agent),
        v1::Subject::Numbers => names::number(name).ok().map(Subject::Number),
    }
}

/// The sums that another node put into a row.
pub fn tally(row: &v1::Statistics) -> Tally {
    let micros = |sum: &Option<_>| u64::try_from(time::std_duration(sum.as_ref()).as_micros()).unwrap_or(u64::MAX);
    let left = |why| row.flow_outs.iter().filter(|out| out.reason() == reason(why)).map(|out| out.count).sum();
    Tally {
        offered: row.offered_count,
        answered: row.answered_count,
        answered_within: row.answered_within_count,
        abandoned: row.abandoned_count,
        abandoned_short: row.short_abandoned_count,
        abandoned_within: row.abandoned_within_count,
        missed: row.missed_count,
        lost: row.lost_count,
        flow_outs: FlowOut::ALL.map(left),
        wait: micros(&row.wait),
        longest_wait: micros(&row.longest_wait),
        handled: row.handled_count,
        talk: micros(&row.talk),
        hold: micros(&row.hold),
        wrap_up: micros(&row.wrap_up),
        handling: micros(&row.handling),
        idle: micros(&row.idle),
    }
}

/// The full name of a subject.
pub fn name(subject: &Subject) -> String {
    match subject {
        Subject::Queue(queue) => queue.to_string(),
        Subject::Agent(agent) => agent.to_string(),
        Subject::Number(number) => number.to_string(),
    }
}

impl From<Row<'_>> for v1::Statistics {
    fn from(row: Row<'_>) -> Self {
        let Row { subject, start, end, tally, level } = row;
        let figures = tally.figures();
        // An agent is not measured by the waits of callers.
        let service = if matches!(subject, Subject::Agent(_)) { Default::default() } else { figures.service };
        let queue = matches!(subject, Subject::Queue(_));
        let micros = |sum: u64| Some(time::duration(Duration::from_micros(sum)));
        v1::Statistics {
            name: name(subject),
            start_time: Some(time::timestamp(start)),
            end_time: Some(time::timestamp(end)),
            offered_count: tally.offered,
            answered_count: tally.answered,
            answered_within_count: tally.answered_within,
            abandoned_count: tally.abandoned,
            short_abandoned_count: tally.abandoned_short,
            abandoned_within_count: tally.abandoned_within,
            missed_count: tally.missed,
            lost_count: tally.lost,
            flow_outs: flow_outs(tally),
            longest_wait: micros(tally.longest_wait),
            wait: micros(tally.wait),
            speed_of_answer: figures.speed_of_answer.map(time::duration),
            handled_count: tally.handled,
            talk: micros(tally.talk),
            hold: micros(tally.hold),
            wrap_up: micros(tally.wrap_up),
            handle_time: figures.handle_time.map(time::duration),
            handling: micros(tally.handling),
            idle: micros(tally.idle),
            occupancy: figures.occupancy,
            service_level: service.default,
            service_level_negative: service.negative,
            service_level_positive: service.positive,
            service_level_of_answered: service.of_answered,
            threshold: queue.then(|| time::duration(level.threshold)),
            target: if queue { level.target.map_or(0, u32::from) } else { 0 },
        }
    }
}

fn flow_outs(tally: &Tally) -> Vec<v1::FlowOut> {
    let out = |(why, count): (FlowOut, u64)| v1::FlowOut { reason: reason(why).into(), count };
    FlowOut::ALL.into_iter().zip(tally.flow_outs).filter(|(_, count)| *count > 0).map(out).collect()
}

const fn reason(why: FlowOut) -> v1::FlowOutReason {
    match why {
        FlowOut::RoundUnanswered => v1::FlowOutReason::RoundUnanswered,
        FlowOut::MaxWait => v1::FlowOutReason::MaxWait,
        FlowOut::MaxTotalWait => v1::FlowOutReason::MaxTotalWait,
        FlowOut::NobodyLoggedIn => v1::FlowOutReason::NobodyLoggedIn,
        FlowOut::MaxWaiting => v1::FlowOutReason::MaxWaiting,
        FlowOut::Digit => v1::FlowOutReason::Digit,
        FlowOut::Callback => v1::FlowOutReason::Callback,
        FlowOut::Other => v1::FlowOutReason::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: PL-4
    #[test]
    fn pl_4_the_sums_of_another_node_read_back() {
        let tally = Tally {
            offered: 1,
            answered: 2,
            answered_within: 3,
            abandoned: 4,
            abandoned_short: 5,
            abandoned_within: 6,
            missed: 7,
            lost: 8,
            flow_outs: [9, 10, 11, 12, 13, 14, 15, 16],
            wait: 17_000_001,
            longest_wait: 18,
            handled: 19,
            talk: 20,
            hold: 21,
            wrap_up: 22,
            handling: 23,
            idle: 24,
        };
        for (kind, name) in [
            (v1::Subject::Queues, "tenants/default/queues/support"),
            (v1::Subject::Agents, "tenants/default/agents/anna"),
            (v1::Subject::Numbers, "tenants/default/numbers/main"),
        ] {
            let subject = subject(kind, name).unwrap();
            let (start, end) = (WallTime(0), WallTime(900_000_000));
            let row = Row { subject: &subject, start, end, tally: &tally, level: ServiceLevel::default() };
            let row = v1::Statistics::from(row);
            assert_eq!((row.name.as_str(), super::tally(&row)), (name, tally));
        }
        assert!(subject(v1::Subject::Queues, "tenants/default/agents/anna").is_none());
    }

    // spec: PL-5
    #[test]
    fn pl_5_a_queue_has_a_service_level_and_an_agent_has_none() {
        let tally = Tally {
            offered: 4,
            answered: 2,
            answered_within: 1,
            flow_outs: [0, 2, 0, 0, 0, 0, 0, 0],
            wait: 30_000_000,
            ..Tally::default()
        };
        let row = |subject: &Subject| {
            let level = ServiceLevel { target: Some(80), ..ServiceLevel::default() };
            v1::Statistics::from(Row { subject, start: WallTime(0), end: WallTime(900_000_000), tally: &tally, level })
        };
        let queue = row(&Subject::Queue(names::queue("tenants/default/queues/support").unwrap()));
        assert_eq!((queue.service_level, queue.service_level_of_answered), (Some(0.25), Some(0.5)));
        assert_eq!((queue.threshold.unwrap().seconds, queue.target), (20, 80));
        assert_eq!(queue.speed_of_answer.unwrap().seconds, 15);
        assert_eq!(queue.handle_time, None);
        let flow_outs = [v1::FlowOut { reason: v1::FlowOutReason::MaxWait.into(), count: 2 }];
        assert_eq!(queue.flow_outs, flow_outs);
        let agent = row(&Subject::Agent(names::agent("tenants/default/agents/anna").unwrap()));
        assert_eq!((agent.service_level, agent.threshold, agent.target), (None, None, 0));
    }
}
