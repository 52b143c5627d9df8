//! Explanations as programs read them from `-o json`. Names of fields and values are part of the command line's contract:
//! they are documented in docs/cli.md and only added to.

use std::collections::BTreeMap;

use carillon_rpc::v1;
use serde::Serialize;

use crate::cli::output::word;
use crate::cli::row::{self, CallerRow, PlaceRow, lasted, some};

/// A queue.
#[derive(Debug, Serialize)]
pub(super) struct QueueRow {
    name: String,
    settings: BTreeMap<String, String>,
    agents: Vec<GroupRow>,
    waiting: u32,
    callers: Vec<WaitingRow>,
}

#[derive(Debug, Serialize)]
struct GroupRow {
    obstacle: Option<String>,
    why: Option<String>,
    count: u32,
    agents: Vec<String>,
    #[serde(flatten)]
    lack: Option<LackRow>,
}

#[derive(Debug, Serialize)]
struct LackRow {
    skill: String,
    has_level: u32,
    needs_level: u32,
}

#[derive(Debug, Serialize)]
struct WaitingRow {
    call: String,
    position: Option<u32>,
    priority: i32,
    waited_seconds: Option<f64>,
    waited_here_seconds: Option<f64>,
    place: Option<PlaceRow>,
    round: u32,
    state: String,
    rests_seconds: Option<f64>,
    offer: Option<PlaceRow>,
    offered_agents: Vec<String>,
    offered_seconds: Option<f64>,
    why: Option<String>,
    limit_seconds: Option<f64>,
    needs: BTreeMap<String, u32>,
    relaxes_in_seconds: Option<f64>,
    relaxes_to: BTreeMap<String, u32>,
    free_agents: Vec<GroupRow>,
}

/// A call.
#[derive(Debug, Serialize)]
pub(super) struct CallRow {
    name: String,
    caller: CallerRow,
    dialled: String,
    stage: Option<String>,
    outcome: Option<String>,
    cause: Option<String>,
    sip_status: Option<u32>,
    agent: Option<String>,
    seconds: Option<f64>,
    steps: Vec<StepRow>,
    place: Option<QueueRow>,
}

#[derive(Debug, Serialize)]
struct StepRow {
    after_seconds: Option<f64>,
    event: String,
    why: Option<String>,
    queue: Option<String>,
    offer: Option<PlaceRow>,
    phone_number: Option<String>,
    agents: Vec<OfferedRow>,
}

#[derive(Debug, Serialize)]
struct OfferedRow {
    agent: Option<String>,
    result: String,
    why: String,
    cause: Option<String>,
    sip_status: Option<u32>,
}

/// An agent.
#[derive(Debug, Serialize)]
pub(super) struct AgentRow {
    agent: row::AgentRow,
    queues: Vec<InQueueRow>,
    callers: Vec<NextRow>,
}

#[derive(Debug, Serialize)]
struct InQueueRow {
    queue: String,
    strategy: String,
    list_place: u32,
    agents: u32,
    obstacle: Option<String>,
    why: String,
    rank: Option<u32>,
    free: Option<u32>,
    first_agent: Option<String>,
    suitable: u32,
    others: u32,
}

#[derive(Debug, Serialize)]
struct NextRow {
    call: String,
    queue: String,
    priority: i32,
    waited_seconds: Option<f64>,
    place: Option<PlaceRow>,
}

impl From<v1::QueueExplanation> for QueueRow {
    fn from(queue: v1::QueueExplanation) -> Self {
        QueueRow {
            name: queue.name,
            settings: queue.settings.into_iter().map(|set| (set.name, set.value)).collect(),
            agents: queue.agents.into_iter().map(Into::into).collect(),
            waiting: queue.waiting_count,
            callers: queue.callers.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<v1::AgentGroup> for GroupRow {
    fn from(group: v1::AgentGroup) -> Self {
        let lacks = group.obstacle() == v1::Obstacle::LacksSkill;
        GroupRow {
            obstacle: obstacle(group.obstacle()),
            why: some(group.why),
            count: group.agent_count,
            agents: group.agents,
            lack: lacks.then_some(LackRow {
                skill: group.skill,
                has_level: group.has_level,
                needs_level: group.needs_level,
            }),
        }
    }
}

impl From<v1::CallerExplanation> for WaitingRow {
    fn from(caller: v1::CallerExplanation) -> Self {
        WaitingRow {
            state: word(caller.state().as_str_name(), "CALLER_STATE_"),
            call: caller.call,
            position: above_zero(caller.position),
            priority: caller.priority,
            waited_seconds: lasted(caller.waited),
            waited_here_seconds: lasted(caller.waited_here),
            place: caller.place.map(Into::into),
            round: caller.round,
            rests_seconds: lasted(caller.rests_for),
            offer: caller.offer.map(Into::into),
            offered_agents: caller.offered_agents,
            offered_seconds: lasted(caller.offered_for),
            why: some(caller.why),
            limit_seconds: lasted(caller.limit),
            needs: levels(caller.needs),
            relaxes_in_seconds: lasted(caller.relaxes_in),
            relaxes_to: levels(caller.relaxes_to),
            free_agents: caller.free_agents.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<v1::CallExplanation> for CallRow {
    fn from(call: v1::CallExplanation) -> Self {
        let (stage, outcome, cause) = (call.stage(), call.outcome(), call.cause());
        CallRow {
            name: call.name,
            caller: row::caller(call.caller),
            dialled: call.dialled,
            stage: (stage != v1::Stage::Unspecified).then(|| word(stage.as_str_name(), "STAGE_")),
            outcome: (outcome != v1::Outcome::Unspecified).then(|| word(outcome.as_str_name(), "OUTCOME_")),
            cause: specified(cause),
            sip_status: above_zero(call.sip_status),
            agent: some(call.agent),
            seconds: lasted(call.duration),
            steps: call.steps.into_iter().map(Into::into).collect(),
            place: call.place.map(Into::into),
        }
    }
}

impl From<v1::CallStep> for StepRow {
    fn from(step: v1::CallStep) -> Self {
        StepRow {
            event: word(step.event().as_str_name(), "EVENT_"),
            after_seconds: lasted(step.after),
            why: some(step.why),
            queue: some(step.queue),
            offer: step.offer.map(Into::into),
            phone_number: some(step.phone_number),
            agents: step.agents.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<v1::OfferedAgent> for OfferedRow {
    fn from(offered: v1::OfferedAgent) -> Self {
        OfferedRow {
            result: word(offered.result().as_str_name(), "OFFER_RESULT_"),
            cause: specified(offered.cause()),
            agent: some(offered.agent),
            why: offered.why,
            sip_status: above_zero(offered.sip_status),
        }
    }
}

impl From<v1::AgentExplanation> for AgentRow {
    fn from(explained: v1::AgentExplanation) -> Self {
        AgentRow {
            agent: explained.agent.unwrap_or_default().into(),
            queues: explained.queues.into_iter().map(Into::into).collect(),
            callers: explained.callers.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<v1::AgentInQueue> for InQueueRow {
    fn from(seen: v1::AgentInQueue) -> Self {
        InQueueRow {
            strategy: word(seen.strategy().as_str_name(), "STRATEGY_"),
            obstacle: obstacle(seen.obstacle()),
            queue: seen.queue,
            list_place: seen.list_place,
            agents: seen.agent_count,
            why: seen.why,
            rank: above_zero(seen.rank),
            free: above_zero(seen.free_count),
            first_agent: some(seen.first_agent),
            suitable: seen.suitable_count,
            others: seen.other_count,
        }
    }
}

impl From<v1::NextCaller> for NextRow {
    fn from(next: v1::NextCaller) -> Self {
        NextRow {
            call: next.call,
            queue: next.queue,
            priority: next.priority,
            waited_seconds: lasted(next.waited),
            place: next.place.map(Into::into),
        }
    }
}

fn obstacle(obstacle: v1::Obstacle) -> Option<String> {
    let some = !matches!(obstacle, v1::Obstacle::Unspecified | v1::Obstacle::None);
    some.then(|| word(obstacle.as_str_name(), "OBSTACLE_"))
}

fn specified(cause: v1::Cause) -> Option<String> {
    (cause != v1::Cause::Unspecified).then(|| row::cause(cause))
}

fn above_zero(number: u32) -> Option<u32> {
    Some(number).filter(|number| *number > 0)
}

fn levels(skills: Vec<v1::SkillLevel>) -> BTreeMap<String, u32> {
    skills.into_iter().map(|each| (each.skill, each.level)).collect()
}
