//! From configuration objects to what the rooms want: routing tables, machines' settings, the edge's directory.

use std::collections::HashMap;

use anyhow::Context;
use carillon_acd::agent::{self, SavedAvailability};
use carillon_acd::ids::{AgentId, DeviceId, Extension, QueueId};
use carillon_acd::{call, queue, route};
use carillon_actors::Objects;
use carillon_edge::{Credentials, Directory};
use carillon_store::config::{self, Center};

/// One ring, in seconds (Spec: QU-9).
const RING: std::time::Duration = std::time::Duration::from_secs(5);

/// What the actors start from. `saved` is what agents wanted when the node last ran.
pub(crate) fn objects(center: &Center, saved: Vec<(AgentId, SavedAvailability)>) -> anyhow::Result<Objects> {
    let mut saved: HashMap<AgentId, SavedAvailability> = saved.into_iter().collect();
    let mut memberships = memberships(center);
    let agents = center
        .agents
        .iter()
        .map(|a| {
            let queues = memberships.remove(&a.id).unwrap_or_default();
            (a.id.clone(), agent_config(a, queues), saved.remove(&a.id).unwrap_or_default())
        })
        .collect();
    let extensions = extensions(center);
    let queues = center.queues.iter().map(|q| (q.id.clone(), queue_config(q, &extensions))).collect();
    let routing = route::Routing::new(tables(center)).context("the configuration cannot be routed")?;
    Ok(Objects { routing, agents, queues, calls: call::Config::default() })
}

/// Whom the edge knows.
pub(crate) fn directory(center: &Center) -> anyhow::Result<Directory> {
    let devices = center.agents.iter().flat_map(devices).collect();
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
    Directory::new(devices, trunks).context("the configuration cannot be reached")
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
            let membership = agent::Membership { queue: queue.id.clone(), wrap_up: queue.wrap_up };
            memberships.entry(agent.clone()).or_default().push(membership);
        }
    }
    memberships
}

fn agent_config(agent: &config::Agent, queues: Vec<agent::Membership>) -> agent::Config {
    agent::Config {
        display_name: agent.display_name.clone(),
        extension: agent.extension.clone(),
        devices: agent.devices.iter().map(|device| device_kind(device.kind)).collect(),
        queues,
    }
}

fn device_kind(kind: config::DeviceKind) -> agent::DeviceKind {
    match kind {
        config::DeviceKind::Hardware => agent::DeviceKind::Hardware,
        config::DeviceKind::Browser => agent::DeviceKind::Browser,
        config::DeviceKind::Desktop => agent::DeviceKind::Desktop,
        config::DeviceKind::Mobile => agent::DeviceKind::Mobile,
    }
}

/// Whom an extension reaches.
enum Extended {
    Agent(AgentId),
    Queue(QueueId),
}

fn extensions(center: &Center) -> HashMap<Extension, Extended> {
    let agents = center.agents.iter().filter_map(|a| Some((a.extension.clone()?, Extended::Agent(a.id.clone()))));
    let queues = center.queues.iter().filter_map(|q| Some((q.extension.clone()?, Extended::Queue(q.id.clone()))));
    agents.chain(queues).collect()
}

fn queue_config(queue: &config::Queue, extensions: &HashMap<Extension, Extended>) -> queue::Config {
    queue::Config {
        display_name: queue.display_name.clone(),
        extension: queue.extension.clone(),
        agents: queue.agents.clone(),
        strategy: match queue.strategy {
            config::Strategy::InOrder => queue::Strategy::InOrder,
            config::Strategy::AllAtOnce => queue::Strategy::AllAtOnce,
            config::Strategy::LongestIdle => queue::Strategy::LongestIdle,
            config::Strategy::Random => queue::Strategy::Random,
        },
        ring_for: RING * u32::from(queue.rings),
        unanswered: match &queue.unanswered {
            config::Unanswered::Wait => queue::Unanswered::Wait,
            config::Unanswered::HangUp => queue::Unanswered::Leave(queue::Then::HangUp),
            config::Unanswered::Number(number) => queue::Unanswered::Leave(queue::Then::Number(number.clone())),
            config::Unanswered::Queue(next) => queue::Unanswered::Leave(queue::Then::Queue(next.clone())),
        },
        max_wait: queue.max_wait,
        timeout: queue::Timeout {
            message: queue.timeout.message.clone(),
            then: match &queue.timeout.then {
                config::TimeoutThen::HangUp => queue::Then::HangUp,
                config::TimeoutThen::Queue(next) => queue::Then::Queue(next.clone()),
                config::TimeoutThen::Extension(extension) => match extensions.get(extension) {
                    Some(Extended::Agent(agent)) => queue::Then::Agent(agent.clone()),
                    Some(Extended::Queue(next)) => queue::Then::Queue(next.clone()),
                    // The configuration check refuses an extension that nobody has.
                    None => queue::Then::HangUp,
                },
            },
        },
        max_waiting: queue.max_waiting as usize,
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
                target: match &n.target {
                    config::Target::Queue(queue) => route::Target::Queue(queue.clone()),
                    config::Target::Agent(agent) => route::Target::Agent(agent.clone()),
                },
            })
            .collect(),
        queues: center
            .queues
            .iter()
            .map(|q| route::QueueRoute {
                id: q.id.clone(),
                extension: q.extension.clone(),
                waiting_sound: match q.waiting_sound {
                    config::WaitingSound::Ringing => route::WaitingSound::Ringing,
                    config::WaitingSound::Music => route::WaitingSound::Music,
                },
                priority: q.priority,
            })
            .collect(),
        agents: center
            .agents
            .iter()
            .map(|a| route::AgentRoute { id: a.id.clone(), extension: a.extension.clone() })
            .collect(),
        trunks: center
            .trunks
            .iter()
            .map(|t| route::TrunkRoute { id: t.id.clone(), outbound: t.outbound.is_some() })
            .collect(),
    }
}
