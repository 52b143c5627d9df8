//! Where a new call goes: number → (greeting) → queue or agent; from an agent's phone: extension or number. The tables
//! are compiled once from the configuration; a call plans once, at its start, so that a change of the configuration does
//! not catch it half way.

mod codes;
mod plan;

pub use codes::{Code, Codes, Feature, NotACode};
pub use plan::{Plan, Step};

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use crate::ids::{AgentId, Extension, Name, NumberId, PhoneNumber, QueueId, ShortNumber, SoundId, TrunkId};
use crate::queue::{CallbackRule, Exit};
use crate::rank::Ranking;
use crate::skills::Skills;

/// What callers of a queue hear while they wait (Spec: AU-1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WaitingSound {
    /// The ringing tone; the caller is answered when an agent is.
    #[default]
    Ringing,
    /// The built-in music; the caller is answered at once.
    Music,
}

/// Where a number leads. There is always a target: a number that leads nowhere is a configuration error (Spec: OB-4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A queue.
    Queue(QueueId),
    /// One agent.
    Agent(AgentId),
}

/// A number that we answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberRoute {
    /// Its name.
    pub id: NumberId,
    /// The number itself.
    pub number: PhoneNumber,
    /// The trunk it is rented or connected at.
    pub trunk: TrunkId,
    /// Played before anything else (Spec: RT-3).
    pub greeting: Option<SoundId>,
    /// Then.
    pub target: Target,
    /// Added to the priority of the queue for its callers (Spec: QU-12).
    pub priority: i32,
    /// What its callers need of their agent, where the queue goes by skills (Spec: QU-5).
    pub skills: Skills,
    /// The longest a caller may wait in all queues together; `None` for no limit (Spec: UN-4).
    pub max_wait: Option<Duration>,
}

impl NumberRoute {
    /// A number without greeting or option.
    pub fn new(id: NumberId, number: PhoneNumber, trunk: TrunkId, target: Target) -> Self {
        NumberRoute {
            id,
            number,
            trunk,
            greeting: None,
            target,
            priority: 0,
            skills: Skills::default(),
            max_wait: None,
        }
    }
}

/// What routing knows of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRoute {
    /// Its name.
    pub id: QueueId,
    /// If it has one (Spec: RT-5).
    pub extension: Option<Extension>,
    /// What its callers hear.
    pub waiting_sound: WaitingSound,
    /// The priority of its callers; higher is served earlier, 0 is ordinary (Spec: QU-12).
    pub priority: i32,
    /// How its callers compare with those of other queues (Spec: QU-7).
    pub ranking: Ranking,
    /// What agents dial behind a code to name it (Spec: TR-5).
    pub short_number: Option<ShortNumber>,
    /// Who may take its calls that ring at others: the agents of its list, or nobody (Spec: TR-4).
    pub pickup: Vec<AgentId>,
    /// The longest a conversation of its callers may last; `None` for no limit (Spec: QU-12).
    pub max_talk: Option<Duration>,
    /// What the digits do that its callers press while they wait (Spec: UN-7).
    pub exits: BTreeMap<char, Exit>,
    /// How they are called back.
    pub callback: CallbackRule,
}

impl QueueRoute {
    /// A queue as the configuration makes it when nothing but its name is written.
    pub fn new(id: QueueId) -> Self {
        QueueRoute {
            id,
            extension: None,
            waiting_sound: WaitingSound::default(),
            priority: 0,
            ranking: Ranking::default(),
            short_number: None,
            pickup: Vec::new(),
            max_talk: None,
            exits: BTreeMap::new(),
            callback: CallbackRule::default(),
        }
    }
}

/// What routing knows of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRoute {
    /// His name.
    pub id: AgentId,
    /// If he has one.
    pub extension: Option<Extension>,
    /// His mobile phone, for calls that nobody has answered (Spec: UN-1).
    pub mobile: Option<PhoneNumber>,
}

impl AgentRoute {
    /// An agent of whom nothing but the name is known.
    pub const fn new(id: AgentId) -> Self {
        AgentRoute { id, extension: None, mobile: None }
    }
}

/// What routing knows of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkRoute {
    /// Its name.
    pub id: TrunkId,
    /// Whether calls may go out through it.
    pub outbound: bool,
}

/// The objects that routing is compiled from, in the order of the configuration: a tenant's first outbound trunk takes
/// its outgoing calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// All numbers.
    pub numbers: Vec<NumberRoute>,
    /// All queues.
    pub queues: Vec<QueueRoute>,
    /// All agents.
    pub agents: Vec<AgentRoute>,
    /// All trunks.
    pub trunks: Vec<TrunkRoute>,
    /// What agents of each tenant dial; a tenant that is not here has the default codes.
    pub codes: BTreeMap<Name, Codes>,
}

/// Why tables cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Two queues or agents of a tenant share an extension (Spec: RT-5).
    #[error("extension {} of tenant {tenant} belongs to {first} and to {second}", extension.as_str())]
    DuplicateExtension {
        /// The tenant.
        tenant: Name,
        /// The extension.
        extension: Extension,
        /// Who had it first.
        first: String,
        /// Who has it too.
        second: String,
    },
    /// Two queues of a tenant share a short number (Spec: TR-5).
    #[error("short number {short_number} belongs to {first} and to {second}")]
    DuplicateShortNumber {
        /// The short number.
        short_number: ShortNumber,
        /// Who had it first.
        first: QueueId,
        /// Who has it too.
        second: QueueId,
    },
    /// Two numbers are the same phone number.
    #[error("{number} belongs to {first} and to {second}")]
    DuplicateNumber {
        /// The phone number.
        number: PhoneNumber,
        /// Who had it first.
        first: NumberId,
        /// Who has it too.
        second: NumberId,
    },
    /// A number leads to a queue or an agent that does not exist (Spec: OB-4).
    #[error("{number} leads nowhere: there is no {target}")]
    LeadsNowhere {
        /// The number.
        number: NumberId,
        /// The missing object's name.
        target: String,
    },
}

/// The compiled tables.
#[derive(Clone, Debug, Default)]
pub struct Routing {
    numbers: BTreeMap<PhoneNumber, NumberRoute>,
    extensions: BTreeMap<Name, BTreeMap<Extension, Target>>,
    short_numbers: BTreeMap<(Name, ShortNumber), QueueId>,
    codes: BTreeMap<Name, Codes>,
    default_codes: Codes,
    queues: BTreeMap<QueueId, QueueRoute>,
    /// The queues whose ringing calls an agent may take.
    pickups: BTreeMap<AgentId, Vec<QueueId>>,
    outbound: BTreeMap<Name, TrunkId>,
    own_numbers: BTreeMap<TrunkId, PhoneNumber>,
    extensions_of: BTreeMap<AgentId, Extension>,
    mobiles: BTreeMap<AgentId, PhoneNumber>,
}

impl Routing {
    /// Compiles `tables`.
    ///
    /// # Errors
    /// The first [`RouteError`] found, in the order of the tables.
    pub fn new(tables: Tables) -> Result<Self, RouteError> {
        let mut routing = Routing { codes: tables.codes, ..Routing::default() };
        for agent in &tables.agents {
            routing.add_extension(&agent.id.tenant, agent.extension.as_ref(), Target::Agent(agent.id.clone()))?;
            routing.extensions_of.extend(agent.extension.clone().map(|extension| (agent.id.clone(), extension)));
            routing.mobiles.extend(agent.mobile.clone().map(|mobile| (agent.id.clone(), mobile)));
        }
        for queue in tables.queues {
            routing.add_extension(&queue.id.tenant, queue.extension.as_ref(), Target::Queue(queue.id.clone()))?;
            routing.add_short_number(&queue)?;
            for agent in &queue.pickup {
                routing.pickups.entry(agent.clone()).or_default().push(queue.id.clone());
            }
            routing.queues.insert(queue.id.clone(), queue);
        }
        for trunk in tables.trunks.into_iter().filter(|trunk| trunk.outbound) {
            routing.outbound.entry(trunk.id.tenant.clone()).or_insert(trunk.id);
        }
        for number in tables.numbers {
            let exists = match &number.target {
                Target::Queue(queue) => routing.queues.contains_key(queue),
                Target::Agent(agent) => tables.agents.iter().any(|a| a.id == *agent),
            };
            if !exists {
                let target = number.target.to_string();
                return Err(RouteError::LeadsNowhere { number: number.id, target });
            }
            routing.own_numbers.entry(number.trunk.clone()).or_insert_with(|| number.number.clone());
            match routing.numbers.entry(number.number.clone()) {
                Entry::Vacant(free) => free.insert(number),
                Entry::Occupied(taken) => {
                    let first = taken.get().id.clone();
                    return Err(RouteError::DuplicateNumber { number: number.number, first, second: number.id });
                }
            };
        }
        Ok(routing)
    }

    fn add_extension(
        &mut self,
        tenant: &Name,
        extension: Option<&Extension>,
        target: Target,
    ) -> Result<(), RouteError> {
        let Some(extension) = extension else { return Ok(()) };
        match self.extensions.entry(tenant.clone()).or_default().entry(extension.clone()) {
            Entry::Vacant(free) => {
                free.insert(target);
                Ok(())
            }
            Entry::Occupied(taken) => Err(RouteError::DuplicateExtension {
                tenant: tenant.clone(),
                extension: extension.clone(),
                first: taken.get().to_string(),
                second: target.to_string(),
            }),
        }
    }

    fn add_short_number(&mut self, queue: &QueueRoute) -> Result<(), RouteError> {
        let Some(short_number) = queue.short_number.clone() else { return Ok(()) };
        match self.short_numbers.entry((queue.id.tenant.clone(), short_number.clone())) {
            Entry::Vacant(free) => {
                free.insert(queue.id.clone());
                Ok(())
            }
            Entry::Occupied(taken) => {
                let (first, second) = (taken.get().clone(), queue.id.clone());
                Err(RouteError::DuplicateShortNumber { short_number, first, second })
            }
        }
    }

    /// What agents of `tenant` dial.
    fn codes(&self, tenant: &Name) -> &Codes {
        self.codes.get(tenant).unwrap_or(&self.default_codes)
    }

    /// The queues whose ringing calls `agent` may take, in the order of the configuration (Spec: TR-4).
    pub fn pickups(&self, agent: &AgentId) -> &[QueueId] {
        self.pickups.get(agent).map_or(&[], Vec::as_slice)
    }

    /// What routing knows of `queue`.
    pub fn queue(&self, queue: &QueueId) -> Option<&QueueRoute> {
        self.queues.get(queue)
    }

    /// The extension of `agent`, if he has one.
    pub fn extension_of(&self, agent: &AgentId) -> Option<&Extension> {
        self.extensions_of.get(agent)
    }

    /// The mobile phone of `agent`, if he has one.
    pub fn mobile_of(&self, agent: &AgentId) -> Option<&PhoneNumber> {
        self.mobiles.get(agent)
    }

    /// The trunk that takes the outgoing calls of `tenant`: its first with `outbound`.
    pub fn outbound(&self, tenant: &Name) -> Option<&TrunkId> {
        self.outbound.get(tenant)
    }

    /// The number shown to those who are called through `trunk`: the first that is rented or connected there.
    pub fn own_number(&self, trunk: &TrunkId) -> Option<&PhoneNumber> {
        self.own_numbers.get(trunk)
    }

    fn extension(&self, tenant: &Name, dialled: &str) -> Option<(Extension, &Target)> {
        let extension: Extension = dialled.parse().ok()?;
        let target = self.extensions.get(tenant)?.get(&extension)?;
        Some((extension, target))
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Queue(queue) => queue.fmt(f),
            Target::Agent(agent) => agent.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
