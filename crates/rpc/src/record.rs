//! A call record on the wire.

use std::time::Duration;

use carillon_acd::ids::{AgentId, LegId};
use carillon_acd::leg::Cause;
use carillon_acd::record::{Happened, Outcome, Record, Transition};
use carillon_acd::ticket::Sequence;

use crate::{names, time, v1};

impl From<Record> for v1::Record {
    fn from(record: Record) -> Self {
        let (cause, sip_status) = cause(record.cause);
        v1::Record {
            call: names::of_call(record.call),
            caller: Some(record.caller.into()),
            dialled: record.dialled,
            number: names::or_empty(record.number),
            start_time: Some(time::timestamp(record.started)),
            end_time: Some(time::timestamp(record.ended)),
            queue: names::or_empty(record.queue),
            agent: names::or_empty(record.agent),
            wait: record.wait_ms.map(|ms| time::duration(Duration::from_millis(ms))),
            talk: Some(time::duration(Duration::from_millis(record.talk_ms))),
            outcome: v1::Outcome::from(record.outcome).into(),
            cause: cause.into(),
            sip_status,
            transitions: record.transitions.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Outcome> for v1::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Answered => v1::Outcome::Answered,
            Outcome::Abandoned => v1::Outcome::Abandoned,
            Outcome::Missed => v1::Outcome::Missed,
            Outcome::Refused => v1::Outcome::Refused,
            Outcome::Failed => v1::Outcome::Failed,
            Outcome::Done => v1::Outcome::Done,
        }
    }
}

/// The cause and the SIP status beside it, 0 when the cause says everything.
pub(crate) fn cause(cause: Cause) -> (v1::Cause, u32) {
    let plain = match cause {
        Cause::Normal => v1::Cause::Normal,
        Cause::Cancelled => v1::Cause::Cancelled,
        Cause::AnsweredElsewhere => v1::Cause::AnsweredElsewhere,
        Cause::Busy => v1::Cause::Busy,
        Cause::Declined => v1::Cause::Declined,
        Cause::NoAnswer => v1::Cause::NoAnswer,
        Cause::Unreachable => v1::Cause::Unreachable,
        Cause::NotFound => v1::Cause::NotFound,
        Cause::Forbidden => v1::Cause::Forbidden,
        Cause::NotAcceptable => v1::Cause::NotAcceptable,
        Cause::Congestion => v1::Cause::Congestion,
        Cause::MediaTimeout => v1::Cause::MediaTimeout,
        Cause::SignallingTimeout => v1::Cause::SignallingTimeout,
        Cause::Failed(status) => return (v1::Cause::Failed, u32::from(status)),
    };
    (plain, 0)
}

impl From<Transition> for v1::Transition {
    fn from(transition: Transition) -> Self {
        v1::Transition { time: Some(time::timestamp(transition.at)), ..happened(transition.what) }
    }
}

fn happened(what: Happened) -> v1::Transition {
    use v1::Event;
    match what {
        Happened::Routed { why } => v1::Transition { why, ..of(Event::Routed) },
        Happened::Playing { sound } => v1::Transition { sound, ..of(Event::Playing) },
        Happened::CallerAnswered => of(Event::CallerAnswered),
        Happened::Enqueued { queue, sequence } => {
            v1::Transition { queue: queue.to_string(), place: sequence.map(place), ..of(Event::Enqueued) }
        }
        Happened::Offered { offer, agents, why } => {
            let offer = v1::Place { epoch: offer.epoch.0, counter: offer.counter };
            v1::Transition {
                agents: names_of(agents),
                offer: Some(offer),
                why: names::or_empty(why),
                ..of(Event::Offered)
            }
        }
        Happened::ReservationRefused { agent, why } => {
            v1::Transition { agents: names_of([agent]), why, ..of(Event::ReservationRefused) }
        }
        Happened::Dialled { leg, agent, number } => {
            let phone_number = names::or_empty(number);
            v1::Transition { agents: names_of(agent), phone_number, ..of_leg(Event::Dialled, leg) }
        }
        Happened::Alerting { leg } => of_leg(Event::Alerting, leg),
        Happened::NotAnswered { leg, agent, cause } => {
            v1::Transition { agents: names_of(agent), ..ended(Event::NotAnswered, leg, cause) }
        }
        Happened::PickedUp { leg, agent, with } => {
            v1::Transition { agents: names_of([agent]), call: names::of_call(with), ..of_leg(Event::PickedUp, leg) }
        }
        Happened::TakenOver { by } => v1::Transition { call: names::of_call(by), ..of(Event::TakenOver) },
        Happened::Moved { from, to, planned } => {
            let why = if planned { "handed over" } else { "the edge died" }.to_owned();
            v1::Transition { from_node: from.0, to_node: to.0, why, ..of(Event::Moved) }
        }
        Happened::Connected { leg, agent } => {
            v1::Transition { agents: names_of(agent), ..of_leg(Event::Connected, leg) }
        }
        Happened::Held { leg } => of_leg(Event::Held, leg),
        Happened::Resumed { leg } => of_leg(Event::Resumed, leg),
        Happened::Digit { leg, digit } => v1::Transition { digit: digit.into(), ..of_leg(Event::Digit, leg) },
        Happened::LeftQueue { queue, why } => v1::Transition { queue: queue.to_string(), why, ..of(Event::LeftQueue) },
        Happened::Commanded { agent, what, refused } => {
            let why = refused.unwrap_or_default();
            v1::Transition { agents: names_of([agent]), command: what, why, ..of(Event::Commanded) }
        }
        Happened::Stopped { why } => v1::Transition { why, ..of(Event::Stopped) },
        Happened::LegEnded { leg, cause } => ended(Event::LegEnded, leg, cause),
    }
}

fn of(event: v1::Event) -> v1::Transition {
    v1::Transition { event: event.into(), ..Default::default() }
}

fn of_leg(event: v1::Event, leg: LegId) -> v1::Transition {
    v1::Transition { leg: Some(leg.n.into()), ..of(event) }
}

fn ended(event: v1::Event, leg: LegId, why: Cause) -> v1::Transition {
    let (cause, sip_status) = cause(why);
    v1::Transition { cause: cause.into(), sip_status, ..of_leg(event, leg) }
}

pub(crate) fn place(sequence: Sequence) -> v1::Place {
    v1::Place { epoch: sequence.epoch.0, counter: sequence.counter }
}

fn names_of(agents: impl IntoIterator<Item = AgentId>) -> Vec<String> {
    agents.into_iter().map(|agent| agent.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use carillon_acd::ids::{CallId, Epoch, NodeId};
    use carillon_acd::leg::CallerId;
    use carillon_acd::time::WallTime;

    use super::*;

    const CALL: CallId = CallId { node: NodeId(1), boot: 0x6a0f_3c21, number: 42 };

    #[test]
    fn a_record_keeps_every_field() {
        let anna = names::agent("tenants/default/agents/anna").unwrap();
        let record = v1::Record::from(Record {
            call: CALL,
            caller: CallerId { number: "+33600000001".into(), name: String::new() },
            dialled: "+33123456789".into(),
            number: None,
            started: WallTime(1_000_000),
            ended: WallTime(9_000_001),
            queue: Some(names::queue("tenants/default/queues/support").unwrap()),
            agent: Some(anna.clone()),
            wait_ms: Some(1234),
            talk_ms: 5000,
            outcome: Outcome::Answered,
            cause: Cause::Failed(500),
            transitions: vec![Transition {
                at: WallTime(2_000_000),
                what: Happened::Connected { leg: LegId { call: CALL, n: 1 }, agent: Some(anna) },
            }],
        });
        let expected = v1::Record {
            call: "calls/1-6a0f3c21-42".into(),
            caller: Some(v1::CallerId { number: "+33600000001".into(), display_name: String::new() }),
            dialled: "+33123456789".into(),
            number: String::new(),
            start_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
            end_time: Some(prost_types::Timestamp { seconds: 9, nanos: 1000 }),
            queue: "tenants/default/queues/support".into(),
            agent: "tenants/default/agents/anna".into(),
            wait: Some(prost_types::Duration { seconds: 1, nanos: 234_000_000 }),
            talk: Some(prost_types::Duration { seconds: 5, nanos: 0 }),
            outcome: v1::Outcome::Answered.into(),
            cause: v1::Cause::Failed.into(),
            sip_status: 500,
            transitions: vec![v1::Transition {
                time: Some(prost_types::Timestamp { seconds: 2, nanos: 0 }),
                event: v1::Event::Connected.into(),
                leg: Some(1),
                agents: vec!["tenants/default/agents/anna".into()],
                ..Default::default()
            }],
        };
        assert_eq!(record, expected);
    }

    // spec: PL-6
    #[test]
    fn a_transition_keeps_what_its_event_has() {
        let queue = names::queue("tenants/default/queues/support").unwrap();
        let sequence = Some(Sequence { epoch: Epoch(3), counter: 7 });
        let enqueued = happened(Happened::Enqueued { queue, sequence });
        assert_eq!(enqueued.event(), v1::Event::Enqueued);
        assert_eq!(enqueued.place, Some(v1::Place { epoch: 3, counter: 7 }));
        assert_eq!(enqueued.queue, "tenants/default/queues/support");
        assert_eq!(enqueued.leg, None);

        let caller = LegId::caller(CALL);
        let digit = happened(Happened::Digit { leg: caller, digit: '#' });
        assert_eq!((digit.leg, digit.digit.as_str()), (Some(0), "#"));

        let ended = happened(Happened::LegEnded { leg: caller, cause: Cause::MediaTimeout });
        assert_eq!((ended.cause(), ended.sip_status), (v1::Cause::MediaTimeout, 0));
    }
}
