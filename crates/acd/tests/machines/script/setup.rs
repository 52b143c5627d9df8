//! The part of a scenario that describes the center.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_acd::agent::{self, DeviceKind, IdleReset, Membership};
use carillon_acd::ids::{AgentId, NumberId, QueueId, SoundId, TrunkId};
use carillon_acd::queue::{self, Exit, SkillRule, Strategy, Then, Unanswered};
use carillon_acd::route::{AgentRoute, NumberRoute, QueueRoute, Routing, Tables, Target, TrunkRoute, WaitingSound};
use carillon_acd::skills::Skills;

use super::{agent_id, name, queue_id, seconds};
use crate::world::World;

#[derive(Default)]
pub(crate) struct Setup {
    tables: Tables,
    queues: Vec<(QueueId, queue::Config, Membership)>,
    agents: Vec<(AgentId, Vec<DeviceKind>)>,
    skills: BTreeMap<AgentId, Skills>,
}

type Options<'a> = Vec<(&'a str, &'a str)>;

fn options_of<'a>(words: &[&'a str]) -> Options<'a> {
    words.iter().map(|word| word.split_once('=').unwrap_or((word, ""))).collect()
}

fn bad<E: std::fmt::Display>(error: E) -> String {
    error.to_string()
}

fn sound(text: &str) -> Result<SoundId, String> {
    Ok(SoundId::new(name("default")?, name(text)?))
}

/// `hang_up`, `last_agent_phone`, `queue:sales`, `agent:anna`, `number:+33…`.
fn then(text: &str) -> Result<Then, String> {
    match text.split_once(':') {
        None if text == "hang_up" => Ok(Then::HangUp),
        None if text == "last_agent_phone" => Ok(Then::LastAgentPhone),
        Some(("queue", queue)) => queue_id(queue).map(Then::Queue),
        Some(("agent", agent)) => agent_id(agent).map(Then::Agent),
        Some(("number", number)) => number.parse().map(Then::Number).map_err(bad),
        _ => Err(format!("{text:?} is no place to go")),
    }
}

/// `1>queue:sales`, `2>callback`.
fn exit(text: &str) -> Result<(char, Exit), String> {
    let (digit, to) = text.split_once('>').ok_or("an exit is digit>place")?;
    let digit = digit.chars().next().ok_or("an exit has a digit")?;
    if to == "callback" { Ok((digit, Exit::Callback)) } else { Ok((digit, Exit::Leave(then(to)?))) }
}

impl Setup {
    pub(crate) fn knows(word: &str) -> bool {
        matches!(word, "queue" | "agent" | "number" | "trunk")
    }

    pub(crate) fn add(&mut self, words: &[&str]) -> Result<(), String> {
        let (kind, id) = (words[0], *words.get(1).ok_or("needs a name")?);
        let options = options_of(&words[2..]);
        match kind {
            "queue" => self.queue(id, &options),
            "agent" => self.agent(id, &options),
            "number" => self.number(id, &options),
            _ => self.trunk(id, &options),
        }
    }

    fn queue(&mut self, id: &str, options: &Options<'_>) -> Result<(), String> {
        let id = queue_id(id)?;
        let mut route = QueueRoute::new(id.clone());
        let mut config = queue::Config { display_name: id.name.to_string(), ..queue::Config::default() };
        let mut serves = Membership::new(id.clone());
        for &(key, value) in options {
            match key {
                "agents" => config.agents = value.split(',').map(agent_id).collect::<Result<_, _>>()?,
                "strategy" => config.strategy = strategy(value)?,
                "rings" => config.ring_for = Duration::from_secs(5 * value.parse::<u64>().map_err(bad)?),
                "wrap_up" => serves.wrap_up = seconds(value)?,
                "idle_reset" if value == "handled" => serves.idle_reset = IdleReset::Handled,
                "pause_after" => serves.pause_after = Some(value.parse().map_err(bad)?),
                "max_wait" => config.max_wait = Some(seconds(value)?),
                "exits" => route.exits = value.split(',').map(exit).collect::<Result<_, _>>()?,
                "attempts" => route.callback.attempts = value.parse().map_err(bad)?,
                "delay" => route.callback.delay = seconds(value)?,
                "keep" => route.callback.keep = seconds(value)?,
                "client_rings_for" => route.callback.ring_for = seconds(value)?,
                "max_talk" => route.max_talk = Some(seconds(value)?),
                "nobody_grace" => config.nobody_grace = seconds(value)?,
                "max_waiting" => config.max_waiting = value.parse().map_err(bad)?,
                "unanswered" if value == "wait" => config.unanswered = Unanswered::Wait,
                "unanswered" => config.unanswered = Unanswered::Leave(then(value)?),
                "timeout" => config.timeout.then = then(value)?,
                "message" => config.timeout.message = Some(sound(value)?),
                "extension" => route.extension = Some(value.parse().map_err(bad)?),
                "skills" => config.skills.wanted = skills(value)?,
                "relax" => config.skills.relax = Some(seconds(value)?),
                "relax_to" => config.skills.least = value.parse().map_err(bad)?,
                "ageing" if value == "none" => route.ranking.ageing = None,
                "ageing" => route.ranking.ageing = Some(seconds(value)?),
                "weight" => route.ranking.weight = seconds(value)?,
                "strict_weight" => route.ranking.strict_weight = true,
                "short_number" => route.short_number = Some(value.parse().map_err(bad)?),
                "priority" => route.priority = value.parse().map_err(bad)?,
                "pickup" => config.pickup = true,
                "music" => route.waiting_sound = WaitingSound::Music,
                _ => return Err(format!("{key:?} is nothing that a queue has")),
            }
        }
        if config.pickup {
            route.pickup.clone_from(&config.agents);
        }
        config.extension.clone_from(&route.extension);
        config.ranking = route.ranking;
        self.tables.queues.push(route);
        self.queues.push((id, config, serves));
        Ok(())
    }

    fn agent(&mut self, id: &str, options: &Options<'_>) -> Result<(), String> {
        let id = agent_id(id)?;
        let mut route = AgentRoute::new(id.clone());
        let mut devices = vec![DeviceKind::Hardware];
        for &(key, value) in options {
            match key {
                "extension" => route.extension = Some(value.parse().map_err(bad)?),
                "skills" => {
                    self.skills.insert(id.clone(), skills(value)?);
                }
                "mobile" => route.mobile = Some(value.parse().map_err(bad)?),
                "devices" => devices = value.split(',').map(device).collect::<Result<_, _>>()?,
                _ => return Err(format!("{key:?} is nothing that an agent has")),
            }
        }
        self.tables.agents.push(route);
        self.agents.push((id, devices));
        Ok(())
    }

    fn number(&mut self, number: &str, options: &Options<'_>) -> Result<(), String> {
        let get = |key: &str| options.iter().find(|(k, _)| *k == key).map(|(_, value)| *value);
        let target = match (get("queue"), get("agent")) {
            (Some(queue), None) => Target::Queue(queue_id(queue)?),
            (None, Some(agent)) => Target::Agent(agent_id(agent)?),
            _ => return Err("a number has one target".to_owned()),
        };
        let id = format!("number-{}", self.tables.numbers.len() + 1);
        self.tables.numbers.push(NumberRoute {
            id: NumberId::new(name("default")?, name(&id)?),
            number: number.parse().map_err(bad)?,
            trunk: TrunkId::new(name("default")?, name("carrier")?),
            greeting: get("greeting").map(sound).transpose()?,
            target,
            skills: get("skills").map_or_else(|| Ok(Skills::default()), skills)?,
            priority: get("priority").map_or(Ok(0), str::parse).map_err(bad)?,
            max_wait: get("max_wait").map(seconds).transpose()?,
        });
        Ok(())
    }

    fn trunk(&mut self, id: &str, options: &Options<'_>) -> Result<(), String> {
        let outbound = options.iter().any(|(key, _)| *key == "outbound");
        self.tables.trunks.push(TrunkRoute { id: TrunkId::new(name("default")?, name(id)?), outbound });
        Ok(())
    }

    pub(crate) fn queue_config(&self, id: &QueueId) -> Option<queue::Config> {
        let (_, config, _) = self.queues.iter().find(|(queue, ..)| queue == id)?;
        let skills = SkillRule { agents: self.skills.clone(), ..config.skills.clone() };
        Some(queue::Config { skills, ..config.clone() })
    }

    /// A queue is configured anew, or removed. Calls keep the routing of before, so a removed one stays in the tables.
    pub(crate) fn change(&mut self, id: &QueueId, options: Option<&[&str]>) -> Result<(), String> {
        self.queues.retain(|(queue, ..)| queue != id);
        let Some(words) = options else { return Ok(()) };
        self.tables.queues.retain(|route| route.id != *id);
        self.queue(id.name.as_str(), &options_of(words))
    }

    pub(crate) fn routing(&self) -> Result<Routing, String> {
        Routing::new(self.tables.clone()).map_err(bad)
    }

    pub(crate) fn agents(&self) -> Vec<(AgentId, agent::Config)> {
        let config = |(id, devices): &(AgentId, Vec<DeviceKind>)| {
            let serves = self.queues.iter().filter(|(_, config, _)| config.agents.contains(id));
            let config = agent::Config {
                display_name: id.name.to_string(),
                extension: None,
                devices: devices.clone(),
                queues: serves.map(|(_, _, membership)| membership.clone()).collect(),
            };
            (id.clone(), config)
        };
        self.agents.iter().map(config).collect()
    }

    /// Agents that are named by queues alone need no line of their own.
    pub(crate) fn build(&mut self) -> Result<World, String> {
        for agent in self.queues.iter().flat_map(|(_, config, _)| config.agents.clone()) {
            if !self.agents.iter().any(|(known, _)| *known == agent) {
                self.tables.agents.push(AgentRoute::new(agent.clone()));
                self.agents.push((agent, vec![DeviceKind::Hardware]));
            }
        }
        let mut world = World::new(self.routing()?);
        for (id, ..) in &self.queues {
            world.add_queue(id.clone(), self.queue_config(id).expect("it is one of them"), 1, 1);
        }
        for (id, config) in self.agents() {
            world.add_agent(id, config, 1);
        }
        Ok(world)
    }
}

/// `french:5,billing:2`.
fn skills(text: &str) -> Result<Skills, String> {
    let level = |skill: &str| {
        let (skill, level) = skill.split_once(':').ok_or("a skill has a level, like french:5")?;
        Ok((name(skill)?, level.parse().map_err(bad)?))
    };
    let levels: Result<Vec<_>, String> = text.split(',').map(level).collect();
    levels.map(Skills::new)
}

fn strategy(text: &str) -> Result<Strategy, String> {
    Strategy::ALL
        .into_iter()
        .find(|strategy| strategy.as_str() == text)
        .ok_or_else(|| format!("{text:?} is no strategy"))
}

fn device(text: &str) -> Result<DeviceKind, String> {
    match text {
        "hardware" => Ok(DeviceKind::Hardware),
        "browser" => Ok(DeviceKind::Browser),
        "desktop" => Ok(DeviceKind::Desktop),
        "mobile" => Ok(DeviceKind::Mobile),
        _ => Err(format!("{text:?} is no device")),
    }
}
