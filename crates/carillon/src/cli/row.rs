//! Agents, queues, calls and records as programs read them from `-o json`. Names of fields and values are part of the
//! command line's contract: they are documented in docs/cli.md and only added to.

use std::time::Duration;

use carillon_rpc::{Timestamp, time, v1};
use serde::Serialize;

use super::output::word;

/// An agent.
#[derive(Debug, Serialize)]
pub(super) struct AgentRow {
    name: String,
    display_name: String,
    extension: Option<String>,
    availability: String,
    activity: String,
    activity_seconds: f64,
    call: Option<String>,
    queues: Vec<LoginRow>,
    reachable_devices: u32,
    devices: u32,
    handled: u64,
}

#[derive(Debug, Serialize)]
struct LoginRow {
    queue: String,
    logged_in: bool,
}

impl From<v1::Agent> for AgentRow {
    fn from(agent: v1::Agent) -> Self {
        AgentRow {
            availability: availability(&agent),
            activity: activity(&agent),
            activity_seconds: seconds(time::std_duration(agent.activity_duration.as_ref())),
            name: agent.name,
            display_name: agent.display_name,
            extension: some(agent.extension),
            call: some(agent.call),
            queues: agent
                .queues
                .into_iter()
                .map(|v1::QueueLogin { queue, logged_in }| LoginRow { queue, logged_in })
                .collect(),
            reachable_devices: agent.reachable_device_count,
            devices: agent.device_count,
            handled: agent.handled_count,
        }
    }
}

/// A queue.
#[derive(Debug, Serialize)]
pub(super) struct QueueRow {
    name: String,
    display_name: String,
    extension: Option<String>,
    strategy: String,
    waiting: u32,
    offering: u32,
    callbacks: u32,
    longest_wait_seconds: f64,
    agents: u32,
    logged_in: u32,
    free: u32,
    offered: u64,
    answered: u64,
    abandoned: u64,
    overflowed: u64,
    estimated_wait: Option<EstimateRow>,
    estimates: u64,
    estimates_held: u64,
}

/// How long a caller will wait.
#[derive(Debug, Serialize)]
struct EstimateRow {
    seconds: f64,
    at_least_seconds: f64,
    at_most_seconds: f64,
}

impl From<v1::WaitEstimate> for EstimateRow {
    fn from(estimate: v1::WaitEstimate) -> Self {
        let of = |duration: Option<_>| seconds(time::std_duration(duration.as_ref()));
        EstimateRow {
            seconds: of(estimate.wait),
            at_least_seconds: of(estimate.at_least),
            at_most_seconds: of(estimate.at_most),
        }
    }
}

impl From<v1::Queue> for QueueRow {
    fn from(queue: v1::Queue) -> Self {
        QueueRow {
            strategy: strategy(&queue),
            longest_wait_seconds: seconds(time::std_duration(queue.longest_wait.as_ref())),
            name: queue.name,
            display_name: queue.display_name,
            extension: some(queue.extension),
            waiting: queue.waiting_count,
            offering: queue.offering_count,
            callbacks: queue.callback_count,
            agents: queue.agent_count,
            logged_in: queue.logged_in_count,
            free: queue.free_count,
            offered: queue.offered_count,
            answered: queue.answered_count,
            abandoned: queue.abandoned_count,
            overflowed: queue.overflowed_count,
            estimated_wait: queue.estimated_wait.map(Into::into),
            estimates: queue.estimate_count,
            estimates_held: queue.estimate_held_count,
        }
    }
}

/// A call that is not over.
#[derive(Debug, Serialize)]
pub(super) struct CallRow {
    name: String,
    caller: CallerRow,
    dialled: String,
    stage: String,
    queue: Option<String>,
    agent: Option<String>,
    seconds: f64,
    position: Option<u32>,
    estimated_wait: Option<EstimateRow>,
    callback: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct CallerRow {
    number: String,
    display_name: String,
}

impl From<v1::Call> for CallRow {
    fn from(call: v1::Call) -> Self {
        CallRow {
            stage: stage(&call),
            seconds: seconds(time::std_duration(call.duration.as_ref())),
            name: call.name,
            caller: caller(call.caller),
            dialled: call.dialled,
            queue: some(call.queue),
            agent: some(call.agent),
            position: Some(call.position).filter(|position| *position > 0),
            estimated_wait: call.estimated_wait.map(Into::into),
            callback: call.callback,
        }
    }
}

/// A call record.
#[derive(Debug, Serialize)]
pub(super) struct RecordRow {
    call: String,
    caller: CallerRow,
    dialled: String,
    number: Option<String>,
    started: String,
    ended: String,
    queue: Option<String>,
    agent: Option<String>,
    wait_ms: Option<u64>,
    talk_ms: u64,
    outcome: String,
    cause: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sip_status: Option<u32>,
    transitions: Vec<TransitionRow>,
}

impl From<v1::Record> for RecordRow {
    fn from(record: v1::Record) -> Self {
        RecordRow {
            started: instant(record.start_time),
            ended: instant(record.end_time),
            wait_ms: record.wait.as_ref().map(|wait| millis(time::std_duration(Some(wait)))),
            talk_ms: millis(time::std_duration(record.talk.as_ref())),
            outcome: outcome(&record),
            cause: cause(record.cause()),
            sip_status: Some(record.sip_status).filter(|status| *status > 0),
            call: record.call,
            caller: caller(record.caller),
            dialled: record.dialled,
            number: some(record.number),
            queue: some(record.queue),
            agent: some(record.agent),
            transitions: record.transitions.into_iter().map(Into::into).collect(),
        }
    }
}

/// One step of a record. What the event does not have is left out.
#[derive(Debug, Serialize)]
pub(super) struct TransitionRow {
    at: String,
    event: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    leg: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    agents: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<PlaceRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offer: Option<PlaceRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sound: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sip_status: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_node: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_node: Option<u32>,
}

#[derive(Debug, Serialize)]
pub(super) struct PlaceRow {
    epoch: u64,
    counter: u64,
}

impl From<v1::Place> for PlaceRow {
    fn from(v1::Place { epoch, counter }: v1::Place) -> Self {
        PlaceRow { epoch, counter }
    }
}

impl From<v1::Transition> for TransitionRow {
    fn from(transition: v1::Transition) -> Self {
        let ended = transition.cause();
        TransitionRow {
            at: instant(transition.time),
            event: word(transition.event().as_str_name(), "EVENT_"),
            leg: transition.leg,
            agents: transition.agents,
            queue: some(transition.queue),
            place: transition.place.map(PlaceRow::from),
            offer: transition.offer.map(PlaceRow::from),
            phone_number: some(transition.phone_number),
            sound: some(transition.sound),
            digit: some(transition.digit),
            cause: Some(ended).filter(|ended| *ended != v1::Cause::Unspecified).map(cause),
            sip_status: Some(transition.sip_status).filter(|status| *status > 0),
            why: some(transition.why),
            command: some(transition.command),
            call: some(transition.call),
            from_node: Some(transition.from_node).filter(|node| *node > 0),
            to_node: Some(transition.to_node).filter(|node| *node > 0),
        }
    }
}

/// `ready`, `on_break`, `logged_out`.
pub(super) fn availability(agent: &v1::Agent) -> String {
    word(agent.availability().as_str_name(), "AVAILABILITY_")
}

/// `idle`, `reserved`, `talking`, `wrap_up`.
pub(super) fn activity(agent: &v1::Agent) -> String {
    word(agent.activity().as_str_name(), "ACTIVITY_")
}

/// `in_order`, `all_at_once`, `longest_idle`, `random`.
pub(super) fn strategy(queue: &v1::Queue) -> String {
    word(queue.strategy().as_str_name(), "STRATEGY_")
}

/// `routing`, `waiting`, `ringing`, `talking`, `ending`.
pub(super) fn stage(call: &v1::Call) -> String {
    word(call.stage().as_str_name(), "STAGE_")
}

/// `answered`, `abandoned`, `missed`, `refused`, `failed`, `done`.
pub(super) fn outcome(record: &v1::Record) -> String {
    word(record.outcome().as_str_name(), "OUTCOME_")
}

/// `normal`, `cancelled`, and so on.
pub(super) fn cause(cause: v1::Cause) -> String {
    word(cause.as_str_name(), "CAUSE_")
}

/// RFC 3339 in UTC with microseconds; empty when it is absent.
pub(super) fn instant(time: Option<Timestamp>) -> String {
    let time = time.and_then(|time| jiff::Timestamp::new(time.seconds, time.nanos).ok());
    time.map_or_else(String::new, |time| format!("{time:.6}"))
}

/// Whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds to three places.
fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}

/// Seconds to three places of a duration that may be absent.
pub(super) fn lasted(duration: Option<carillon_rpc::Duration>) -> Option<f64> {
    duration.map(|duration| seconds(time::std_duration(Some(&duration))))
}

pub(super) fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

pub(super) fn caller(caller: Option<v1::CallerId>) -> CallerRow {
    let v1::CallerId { number, display_name } = caller.unwrap_or_default();
    CallerRow { number, display_name }
}
