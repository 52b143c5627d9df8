//! Explanations on the wire. Fields for programs; the words for people are those of `carillon_acd::explain`.

use std::time::Duration;

use carillon_acd::explain::{
    AgentExplained, AgentInQueue, CallExplained, Called, CallerExplained, CallerState, Fate, Group, NextCaller,
    Obstacle, OfferedAgent, QueueExplained, Step, StepKind, Turn, Whereabouts, groups,
};
use carillon_acd::ids::{AgentId, Epoch};
use carillon_acd::offer::OfferId;
use carillon_acd::queue::Strategy;
use carillon_acd::rank::Bid;
use carillon_acd::skills::Skills;
use carillon_acd::ticket::Sequence;

use crate::record::{cause, place};
use crate::{names, time, v1};

/// A queue; of agents who stand alike at most `most` are named.
pub fn queue(explained: &QueueExplained, most: usize) -> v1::QueueExplanation {
    let setting = |setting: &carillon_acd::explain::Setting| v1::QueueSetting {
        name: setting.name.to_owned(),
        value: setting.value.clone(),
    };
    v1::QueueExplanation {
        name: explained.queue.to_string(),
        settings: explained.settings.iter().map(setting).collect(),
        agents: groups(&explained.agents, most).into_iter().map(group).collect(),
        waiting_count: explained.waiting,
        callers: explained.callers.iter().map(|explained| caller(explained, most)).collect(),
    }
}

/// A call; of agents who stand alike at most `most` are named.
pub fn call(explained: &CallExplained, most: usize) -> v1::CallExplanation {
    let call = v1::CallExplanation {
        name: names::of_call(explained.call),
        caller: Some(explained.caller.clone().into()),
        dialled: explained.dialled.clone(),
        steps: explained.history.iter().map(step).collect(),
        place: explained.place.as_ref().map(|place| queue(place, most)),
        ..Default::default()
    };
    match &explained.whereabouts {
        Whereabouts::Alive { stage, agent, lasted } => v1::CallExplanation {
            stage: v1::Stage::from(*stage).into(),
            agent: names::or_empty(agent.clone()),
            duration: Some(time::duration(*lasted)),
            ..call
        },
        Whereabouts::Over { outcome, cause: why, agent, lasted } => {
            let (cause, sip_status) = cause(*why);
            v1::CallExplanation {
                outcome: v1::Outcome::from(*outcome).into(),
                cause: cause.into(),
                sip_status,
                agent: names::or_empty(agent.clone()),
                duration: Some(time::duration(*lasted)),
                ..call
            }
        }
    }
}

/// An agent.
pub fn agent(explained: &AgentExplained) -> v1::AgentExplanation {
    v1::AgentExplanation {
        agent: Some(explained.view.clone().into()),
        queues: explained.queues.iter().map(in_queue).collect(),
        callers: explained.callers.iter().map(next_caller).collect(),
    }
}

fn group(Group { obstacle, count, agents }: Group) -> v1::AgentGroup {
    let group = v1::AgentGroup {
        obstacle: kept_by(obstacle.as_ref()).into(),
        why: names::or_empty(obstacle.clone()),
        agent_count: count,
        agents: names_of(&agents),
        ..Default::default()
    };
    match obstacle {
        Some(Obstacle::Lacks { skill, has, needs }) => {
            v1::AgentGroup { skill: skill.to_string(), has_level: has.into(), needs_level: needs.into(), ..group }
        }
        Some(_) | None => group,
    }
}

fn kept_by(obstacle: Option<&Obstacle>) -> v1::Obstacle {
    match obstacle {
        None => v1::Obstacle::None,
        Some(Obstacle::Tried) => v1::Obstacle::Tried,
        Some(Obstacle::Lacks { .. }) => v1::Obstacle::LacksSkill,
        Some(Obstacle::Offered) => v1::Obstacle::Offered,
        Some(Obstacle::Reserved) => v1::Obstacle::Reserved,
        Some(Obstacle::Talking) => v1::Obstacle::Talking,
        Some(Obstacle::WrapUp) => v1::Obstacle::WrapUp,
        Some(Obstacle::Busy) => v1::Obstacle::Busy,
        Some(Obstacle::Spent) => v1::Obstacle::Spent,
        Some(Obstacle::Unreachable) => v1::Obstacle::Unreachable,
        Some(Obstacle::OnBreak) => v1::Obstacle::OnBreak,
        Some(Obstacle::NotLoggedIn) => v1::Obstacle::NotLoggedIn,
        Some(Obstacle::LoggedOut) => v1::Obstacle::LoggedOut,
        Some(Obstacle::Silent { .. }) => v1::Obstacle::Silent,
        Some(Obstacle::Unheard) => v1::Obstacle::Unheard,
    }
}

fn caller(explained: &CallerExplained, most: usize) -> v1::CallerExplanation {
    let relaxation = explained.relaxation.as_ref();
    let caller = v1::CallerExplanation {
        call: names::of_call(explained.call),
        position: explained.position.unwrap_or(0),
        priority: explained.priority,
        waited: Some(time::duration(explained.waited)),
        waited_here: Some(time::duration(explained.waited_here)),
        place: Some(place(explained.sequence)),
        round: explained.round,
        limit: explained.limit.map(time::duration),
        needs: levels(&explained.needs),
        relaxes_in: relaxation.map(|relaxation| time::duration(relaxation.after)),
        relaxes_to: relaxation.map(|relaxation| levels(&relaxation.to)).unwrap_or_default(),
        free_agents: groups(&explained.agents, most).into_iter().map(group).collect(),
        ..Default::default()
    };
    match &explained.state {
        CallerState::Waiting => v1::CallerExplanation { state: v1::CallerState::Waiting.into(), ..caller },
        CallerState::Resting { left } => v1::CallerExplanation {
            state: v1::CallerState::Resting.into(),
            rests_for: Some(time::duration(*left)),
            ..caller
        },
        CallerState::Offered { offer, since, agents } => v1::CallerExplanation {
            state: v1::CallerState::Offered.into(),
            offer: Some(place_of(*offer)),
            offered_agents: names_of(agents),
            offered_for: Some(time::duration(*since)),
            ..caller
        },
        CallerState::Leaving { why } => {
            v1::CallerExplanation { state: v1::CallerState::Leaving.into(), why: why.to_string(), ..caller }
        }
    }
}

fn step(Step { after, kind }: &Step) -> v1::CallStep {
    let of = |event: v1::Event| v1::CallStep {
        after: Some(time::duration(*after)),
        event: event.into(),
        ..Default::default()
    };
    match kind {
        StepKind::Routed { why } => v1::CallStep { why: why.clone(), ..of(v1::Event::Routed) },
        StepKind::Entered { queue } => v1::CallStep { queue: queue.to_string(), ..of(v1::Event::Enqueued) },
        StepKind::Offered { queue, offer, agents, why } => v1::CallStep {
            queue: names::or_empty(queue.clone()),
            offer: Some(place_of(*offer)),
            agents: agents.iter().map(|OfferedAgent { agent, fate }| asked(agent.to_string(), fate)).collect(),
            why: names::or_empty(why.clone()),
            ..of(v1::Event::Offered)
        },
        StepKind::Called { whom: Called::Agent(agent), fate } => {
            v1::CallStep { agents: vec![asked(agent.to_string(), fate)], ..of(v1::Event::Dialled) }
        }
        StepKind::Called { whom: Called::Number(number), fate } => {
            let (agent, phone_number) = (asked(String::new(), fate), number.to_string());
            v1::CallStep { agents: vec![agent], phone_number, ..of(v1::Event::Dialled) }
        }
        StepKind::Left { queue, why } => {
            v1::CallStep { queue: queue.to_string(), why: why.clone(), ..of(v1::Event::LeftQueue) }
        }
        StepKind::Stopped { why } => v1::CallStep { why: why.clone(), ..of(v1::Event::Stopped) },
    }
}

fn asked(agent: String, fate: &Fate) -> v1::OfferedAgent {
    let (result, ended) = match fate {
        Fate::Asked => (v1::OfferResult::Asked, None),
        Fate::Refused { .. } => (v1::OfferResult::Refused, None),
        Fate::Dialled => (v1::OfferResult::Dialled, None),
        Fate::Rings => (v1::OfferResult::Rings, None),
        Fate::NotAnswered { cause } => (v1::OfferResult::NotAnswered, Some(*cause)),
        Fate::Unreachable { cause } => (v1::OfferResult::Unreachable, Some(*cause)),
        Fate::Answered => (v1::OfferResult::Answered, None),
        Fate::Lost => (v1::OfferResult::Lost, None),
        Fate::Withdrawn => (v1::OfferResult::Withdrawn, None),
    };
    let (cause, sip_status) = ended.map_or((v1::Cause::Unspecified, 0), cause);
    v1::OfferedAgent { agent, result: result.into(), why: fate.words(), cause: cause.into(), sip_status }
}

/// An agent in the eyes of one queue.
pub fn in_queue(explained: &AgentInQueue) -> v1::AgentInQueue {
    let turn = explained.turn.as_ref();
    let silent = match explained.obstacle {
        Some(Obstacle::Silent { seconds }) => Some(time::duration(Duration::from_secs(seconds))),
        Some(_) | None => None,
    };
    v1::AgentInQueue {
        silent,
        queue: explained.queue.to_string(),
        strategy: crate::queue::strategy(explained.strategy.as_str()).into(),
        list_place: explained.place,
        agent_count: explained.agents,
        obstacle: kept_by(explained.obstacle.as_ref()).into(),
        why: explained.turn(),
        rank: turn.map_or(0, |turn| turn.rank),
        free_count: turn.map_or(0, |turn| turn.free),
        first_agent: names::or_empty(turn.map(|turn| turn.first.clone())),
        suitable_count: explained.could,
        other_count: explained.others,
    }
}

/// What another node's queue said of an agent, with those of `callers` who wait in it; `None` when it is not understood.
pub fn read_in_queue(seen: &v1::AgentInQueue, callers: &[v1::NextCaller]) -> Option<AgentInQueue> {
    let queue = names::queue(&seen.queue).ok()?;
    let strategy = Strategy::ALL.into_iter().find(|known| crate::queue::strategy(known.as_str()) == seen.strategy())?;
    let (rank, free, words) = (seen.rank, seen.free_count, seen.why.clone());
    let first = names::agent(&seen.first_agent).ok();
    Some(AgentInQueue {
        strategy,
        place: seen.list_place,
        agents: seen.agent_count,
        obstacle: read_obstacle(seen)?,
        turn: first.map(|first| Turn { rank, free, first, words }),
        callers: callers.iter().filter(|next| next.queue == seen.queue).filter_map(read_next_caller).collect(),
        could: seen.suitable_count,
        others: seen.other_count,
        queue,
    })
}

/// What keeps an agent from all callers of a queue; the outer `None` when it is not understood, or is about one caller.
fn read_obstacle(seen: &v1::AgentInQueue) -> Option<Option<Obstacle>> {
    Some(match seen.obstacle() {
        v1::Obstacle::None => None,
        v1::Obstacle::Offered => Some(Obstacle::Offered),
        v1::Obstacle::Reserved => Some(Obstacle::Reserved),
        v1::Obstacle::Talking => Some(Obstacle::Talking),
        v1::Obstacle::WrapUp => Some(Obstacle::WrapUp),
        v1::Obstacle::Busy => Some(Obstacle::Busy),
        v1::Obstacle::Spent => Some(Obstacle::Spent),
        v1::Obstacle::Unreachable => Some(Obstacle::Unreachable),
        v1::Obstacle::OnBreak => Some(Obstacle::OnBreak),
        v1::Obstacle::NotLoggedIn => Some(Obstacle::NotLoggedIn),
        v1::Obstacle::LoggedOut => Some(Obstacle::LoggedOut),
        v1::Obstacle::Silent => Some(Obstacle::Silent { seconds: time::std_duration(seen.silent.as_ref()).as_secs() }),
        v1::Obstacle::Unheard => Some(Obstacle::Unheard),
        v1::Obstacle::Unspecified | v1::Obstacle::Tried | v1::Obstacle::LacksSkill => return None,
    })
}

fn read_next_caller(next: &v1::NextCaller) -> Option<NextCaller> {
    let strict_weight = time::std_duration(next.strict_weight.as_ref());
    let place = next.place.as_ref()?;
    Some(NextCaller {
        call: names::call(&next.call).ok()?,
        queue: names::queue(&next.queue).ok()?,
        priority: next.priority,
        waited: time::std_duration(next.waited.as_ref()),
        bid: Bid::new(strict_weight, next.strict_priority, i128::from(next.counts_as_us)),
        sequence: Sequence { epoch: Epoch(place.epoch), counter: place.counter },
    })
}

/// The callers who are next, on the wire.
pub fn next_caller(next: &NextCaller) -> v1::NextCaller {
    v1::NextCaller {
        strict_weight: Some(time::duration(next.bid.strict_weight())),
        strict_priority: next.bid.priority(),
        counts_as_us: i64::try_from(next.bid.waited_us()).unwrap_or(i64::MAX),
        call: names::of_call(next.call),
        queue: next.queue.to_string(),
        priority: next.priority,
        waited: Some(time::duration(next.waited)),
        place: Some(place(next.sequence)),
    }
}

fn levels(skills: &Skills) -> Vec<v1::SkillLevel> {
    skills.iter().map(|(skill, level)| v1::SkillLevel { skill: skill.to_string(), level: level.into() }).collect()
}

fn place_of(offer: OfferId) -> v1::Place {
    v1::Place { epoch: offer.epoch.0, counter: offer.counter }
}

fn names_of(agents: &[AgentId]) -> Vec<String> {
    agents.iter().map(AgentId::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: RT-9, QU-7
    #[test]
    fn rt_9_what_another_nodes_queue_said_reads_back() {
        let queue = names::queue("tenants/default/queues/support").unwrap();
        let agent = names::agent("tenants/default/agents/piotr").unwrap();
        let next = |number, waited_us| NextCaller {
            call: names::call(&format!("calls/1-6a0f3c21-{number}")).unwrap(),
            queue: queue.clone(),
            priority: -1,
            waited: Duration::from_secs(3),
            bid: Bid::new(Duration::from_secs(60), 7, waited_us),
            sequence: Sequence { epoch: Epoch(3), counter: 9 },
        };
        let turn = Turn { rank: 2, free: 3, first: agent, words: "2nd of 3 free (calls 4), piotr is first".to_owned() };
        let seen = |obstacle: Option<Obstacle>, turn: Option<Turn>| AgentInQueue {
            queue: queue.clone(),
            strategy: Strategy::FewestCalls,
            place: 4,
            agents: 5,
            obstacle,
            turn,
            callers: vec![next(1, -60_000_001), next(2, 5)],
            could: 2,
            others: 1,
        };
        for seen in [seen(None, Some(turn)), seen(Some(Obstacle::Silent { seconds: 40 }), None), seen(None, None)] {
            let (wire, mut callers) = (in_queue(&seen), seen.callers.iter().map(next_caller).collect::<Vec<_>>());
            callers.push(v1::NextCaller { queue: "tenants/default/queues/sales".into(), ..callers[0].clone() });
            assert_eq!(read_in_queue(&wire, &callers), Some(seen));
        }
    }
}
