//! Statistics on the wire.

use std::time::Duration;

use carillon_acd::stats::{FlowOut, ServiceLevel, Subject, Tally};
use carillon_acd::time::WallTime;

use crate::{time, v1};

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
    use crate::names;

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
