//! From configuration objects to what the rooms want: routing tables, machines' settings, the edge's directory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use carillon_acd::agent;
use carillon_acd::ids::{AgentId, DeviceId};
use carillon_acd::skills::Skills;
use carillon_acd::stats::{Definitions, ServiceLevel};
use carillon_acd::{call, queue, route};
use carillon_actors::Objects;
use carillon_edge::{Credentials, Directory};
use carillon_media::{Source, wav};
use carillon_store::config::{self, Center};

/// One ring (Spec: QU-9).
const RING: Duration = Duration::from_secs(5);

/// What the actors start from.
pub(crate) fn objects(center: &Center) -> anyhow::Result<Objects> {
    let mut memberships = memberships(center);
    let skills: HashMap<&AgentId, &Skills> = center.agents.iter().map(|a| (&a.id, &a.skills)).collect();
    let agents = center
        .agents
        .iter()
        .map(|a| {
            let queues = memberships.remove(&a.id).unwrap_or_default();
            (a.id.clone(), agent_config(a, queues))
        })
        .collect();
    let queues = center.queues.iter().map(|q| (q.id.clone(), queue_config(q, &skills))).collect();
    let routing = route::Routing::new(tables(center)).context("the configuration cannot be routed")?;
    let own = center.queues.iter().filter(|q| q.service_level != ServiceLevel::default());
    let definitions = Definitions::new(own.map(|q| (q.id.clone(), q.service_level)));
    Ok(Objects { routing, agents, queues, calls: call::Config::default(), definitions })
}

/// Whom the edge knows.
pub(crate) fn directory(center: &Center) -> anyhow::Result<Directory> {
    let devices = center.agents.iter().flat_map(|agent| devices(agent)).collect();
    let trunks = center
        .trunks
        .iter()
        .map(|t| carillon_edge::Trunk {
            id: t.id.clone(),
            peers: t.peers.clone(),
            outbound: t.outbound.as_ref().map(|uri| uri.as_str().to_owned()),
            credentials: None,
        })
        .collect();
    let directory = Directory::new(devices, trunks).context("the configuration cannot be reached")?;
    center.sounds.iter().try_fold(directory, |directory, sound| {
        let file = std::fs::read(&sound.file).with_context(|| format!("cannot read {}", sound.file.display()))?;
        let sound_data = wav::read(&file).with_context(|| format!("sound {}: {}", sound.id, sound.file.display()))?;
        Ok(directory.with_sound(sound.id.clone(), Source::once(Arc::new(sound_data))))
    })
}

fn devices(agent: &config::Agent) -> impl Iterator<Item = carillon_edge::Device> {
    agent.devices.iter().zip(0_u8..).map(|(device, index)| {
        let (credentials, contact) = match &device.access {
            config::Access::Registers { username, password } => {
                let (username, password) = (username.as_str().to_owned(), password.expose().to_owned());
                (Some(Credentials { username, password }), None)
            }
            config::Access::Fixed { contact } => (None, Some(contact.as_str().to_owned())),
        };
        carillon_edge::Device { id: DeviceId { agent: agent.id.clone(), index }, credentials, contact }
    })
}

/// For each agent the queues that list him.
fn memberships(center: &Center) -> HashMap<AgentId, Vec<agent::Membership>> {
    let mut memberships: HashMap<AgentId, Vec<agent::Membership>> = HashMap::new();
    for queue in &center.queues {
        for agent in &queue.agents {
            let membership = agent::Membership {
                wrap_up: queue.wrap_up,
                idle_reset: queue.idle_reset,
                pause_after: queue.pause_after,
                ..agent::Membership::new(queue.id.clone())
            };
            memberships.entry(agent.clone()).or_default().push(membership);
        }
    }
    memberships
}

fn agent_config(agent: &config::Agent, queues: Vec<agent::Membership>) -> agent::Config {
    agent::Config {
        display_name: agent.display_name.clone(),
        extension: agent.extension.clone(),
        devices: agent.devices.iter().map(|device| device.kind).collect(),
        queues,
    }
}

/// Who is not in the list can nothing, so it names only those who can something.
fn skill_rule(queue: &config::Queue, skills: &HashMap<&AgentId, &Skills>) -> queue::SkillRule {
    let skilled = |agent: &AgentId| {
        let skills = skills.get(agent).filter(|skills| !skills.is_empty())?;
        Some((agent.clone(), Skills::clone(skills)))
    };
    queue::SkillRule {
        wanted: queue.skills.clone(),
        relax: queue.relax,
        least: queue.relax_to,
        agents: queue.agents.iter().filter_map(skilled).collect(),
    }
}

fn queue_config(queue: &config::Queue, skills: &HashMap<&AgentId, &Skills>) -> queue::Config {
    queue::Config {
        display_name: queue.display_name.clone(),
        extension: queue.extension.clone(),
        agents: queue.agents.clone(),
        strategy: queue.strategy,
        ring_for: RING * u32::from(queue.rings),
        unanswered: queue.unanswered.clone(),
        max_wait: queue.max_wait,
        nobody_grace: queue.nobody_grace,
        timeout: queue.timeout.clone(),
        skills: skill_rule(queue, skills),
        ranking: queue.ranking,
        max_waiting: queue.max_waiting,
        pickup: queue.pickup,
    }
}

fn tables(center: &Center) -> route::Tables {
    route::Tables {
        numbers: center
            .numbers
            .iter()
            .map(|n| route::NumberRoute {
                id: n.id.clone(),
                number: n.number.clone(),
                trunk: n.trunk.clone(),
                greeting: n.greeting.clone(),
                target: n.target.clone(),
                priority: n.priority,
                skills: n.skills.clone(),
                max_wait: n.max_wait,
            })
            .collect(),
        queues: center
            .queues
            .iter()
            .map(|q| route::QueueRoute {
                id: q.id.clone(),
                extension: q.extension.clone(),
                waiting_sound: q.waiting_sound,
                priority: q.priority,
                ranking: q.ranking,
                short_number: q.short_number.clone(),
                pickup: if q.pickup { q.agents.clone() } else { Vec::new() },
                max_talk: q.max_talk,
                exits: q.exits.clone(),
                callback: q.callback,
            })
            .collect(),
        agents: center
            .agents
            .iter()
            .map(|a| route::AgentRoute { id: a.id.clone(), extension: a.extension.clone(), mobile: a.mobile.clone() })
            .collect(),
        trunks: center
            .trunks
            .iter()
            .map(|t| route::TrunkRoute { id: t.id.clone(), outbound: t.outbound.is_some() })
            .collect(),
        codes: [(center.tenant.name.clone(), center.tenant.codes.clone())].into(),
    }
}
