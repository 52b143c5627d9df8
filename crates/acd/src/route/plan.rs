//! The walk of one call through the tables, and its explanation (Spec: RT-9).

use std::time::Duration;

use super::{NumberRoute, Routing, Target};
use crate::ids::{AgentId, NumberId, PhoneNumber, QueueId, SoundId, TrunkId};
use crate::leg::{CallerId, Cause, Incoming, Source};
use crate::skills::Skills;

/// One step of a call before and at its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Answer and play a sound to its end (Spec: RT-3).
    Greeting(SoundId),
    /// Wait in a queue.
    Queue(QueueId),
    /// Ring one agent.
    Agent(AgentId),
    /// Call out.
    Dial {
        /// Through this trunk.
        trunk: TrunkId,
        /// This number.
        number: PhoneNumber,
        /// Shown to the person called.
        show: CallerId,
    },
    /// Nothing can be done.
    Refuse(Cause),
}

/// What is to be done with a call. The last step is never [`Step::Greeting`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The configured number that was called, if it was one.
    pub number: Option<NumberId>,
    /// What the number adds to the priority of a queue (Spec: QU-12).
    pub priority: i32,
    /// What it asks of the agent (Spec: QU-5).
    pub skills: Skills,
    /// The longest wait in all queues together (Spec: UN-4).
    pub max_wait: Option<Duration>,
    /// In order.
    pub steps: Vec<Step>,
    /// Which step was chosen by which rule, and why others did not apply, in words.
    pub why: Vec<String>,
}

impl Routing {
    /// The way of a new call. From a trunk only configured numbers are reached (Spec: SE-2); from an agent's device his
    /// colleagues' and the queues' extensions (Spec: RT-5), our own numbers, and the world through the tenant's trunk.
    pub fn plan(&self, incoming: &Incoming) -> Plan {
        match &incoming.source {
            Source::Trunk(trunk) => self.plan_from_trunk(trunk, &incoming.dialled),
            Source::Device(device) => self.plan_from_agent(&device.agent, &incoming.dialled),
        }
    }

    fn plan_from_trunk(&self, trunk: &TrunkId, dialled: &str) -> Plan {
        let Some(number) = PhoneNumber::from_wire(dialled) else {
            return Plan::refuse(format!("{dialled:?} from {trunk} is not an international number"));
        };
        match self.numbers.get(&number) {
            Some(route) if route.id.tenant == trunk.tenant => Plan::to_number(route),
            Some(_) | None => Plan::refuse(format!("{number} from {trunk} is not a number of tenant {}", trunk.tenant)),
        }
    }

    fn plan_from_agent(&self, agent: &AgentId, dialled: &str) -> Plan {
        let tenant = &agent.tenant;
        if let Some((extension, target)) = self.extension(tenant, dialled) {
            let why = format!("{agent} dialled extension {}: {target}", extension.as_str());
            return Plan::of(vec![target.clone().into()], why);
        }
        let Ok(number) = dialled.parse::<PhoneNumber>() else {
            return Plan::refuse(format!(
                "{dialled:?} from {agent} is no extension of tenant {tenant} and no international number"
            ));
        };
        if let Some(route) = self.numbers.get(&number).filter(|route| route.id.tenant == *tenant) {
            return Plan::to_number(route);
        }
        let Some(trunk) = self.outbound(tenant) else {
            return Plan::refuse(format!("{agent} dialled {number}, but tenant {tenant} has no trunk with `outbound`"));
        };
        let own = self.own_number(trunk).map(|own| own.as_str().to_owned()).unwrap_or_default();
        let show = CallerId { number: own, name: String::new() };
        let why = format!("{agent} dialled {number}: out through {trunk}, the first with `outbound`");
        let steps = vec![Step::Dial { trunk: trunk.clone(), number, show }];
        Plan::of(steps, why)
    }
}

impl Plan {
    fn to_number(route: &NumberRoute) -> Plan {
        let mut why = vec![format!("{} is {}", route.number, route.id)];
        let mut steps = Vec::with_capacity(2);
        match &route.greeting {
            Some(sound) => {
                why.push(format!("greeting {sound}"));
                steps.push(Step::Greeting(sound.clone()));
            }
            None => why.push("no greeting".to_owned()),
        }
        why.push(format!("leads to {}", route.target));
        steps.push(route.target.clone().into());
        Plan {
            number: Some(route.id.clone()),
            priority: route.priority,
            skills: route.skills.clone(),
            max_wait: route.max_wait,
            steps,
            why,
        }
    }

    fn refuse(why: String) -> Plan {
        Plan::of(vec![Step::Refuse(Cause::NotFound)], why)
    }

    /// Of a call that has no number of ours.
    fn of(steps: Vec<Step>, why: String) -> Plan {
        Plan { number: None, priority: 0, skills: Skills::default(), max_wait: None, steps, why: vec![why] }
    }
}

impl From<Target> for Step {
    fn from(target: Target) -> Step {
        match target {
            Target::Queue(queue) => Step::Queue(queue),
            Target::Agent(agent) => Step::Agent(agent),
        }
    }
}
