//! The walk of one call through the tables, and its explanation (Spec: RT-9).

use std::time::Duration;

use super::{Feature, NumberRoute, Routing, Target};
use crate::ids::{AgentId, Name, NumberId, PhoneNumber, QueueId, SoundId, TrunkId};
use crate::leg::{CallerId, Cause, Incoming, Source};
use crate::skills::Skills;
use crate::view::AgentCommand;

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
    /// Take a call that rings in one of these queues for the calling agent (Spec: TR-4).
    PickUp(Vec<QueueId>),
    /// Tell the calling agent's owner what he has dialled (Spec: TR-5, TR-6).
    Command(AgentCommand),
    /// Let the calling agent hear that his code means nothing here.
    Decline,
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
        if let Some((feature, rest)) = self.codes(tenant).read(dialled) {
            let (step, means) = self.meaning(agent, feature, rest).unwrap_or_else(|why| (Step::Decline, why));
            return Plan::internal(step, format!("{agent} dialled {dialled}, {}: {means}", feature.as_str()));
        }
        if let Some((extension, target)) = self.extension(tenant, dialled) {
            let why = format!("{agent} dialled extension {}: {target}", extension.as_str());
            return Plan::internal(target.clone().into(), why);
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
        Plan::internal(Step::Dial { trunk: trunk.clone(), number, show }, why)
    }

    /// What a code leads to, and that in words (Spec: TR-4, TR-5, TR-6); or why it means nothing.
    fn meaning(&self, agent: &AgentId, feature: Feature, rest: &str) -> Result<(Step, String), String> {
        let command = match feature {
            Feature::PickUp => return self.pickup(agent),
            Feature::QueueLogIn => AgentCommand::QueueLogIn(self.queue_named(&agent.tenant, rest)?),
            Feature::QueueLogOut => AgentCommand::QueueLogOut(self.queue_named(&agent.tenant, rest)?),
            Feature::Break => AgentCommand::Break,
            Feature::Ready => AgentCommand::Ready,
            Feature::LogOut => AgentCommand::LogOut,
            Feature::EndWrapUp => AgentCommand::EndWrapUp,
        };
        let means = command.to_string();
        Ok((Step::Command(command), means))
    }

    fn pickup(&self, agent: &AgentId) -> Result<(Step, String), String> {
        match self.pickups(agent) {
            [] => Err("no queue of his allows pickup".to_owned()),
            queues => {
                let names: Vec<&str> = queues.iter().map(|queue| queue.name.as_str()).collect();
                Ok((Step::PickUp(queues.to_vec()), format!("what rings in {}", names.join(", "))))
            }
        }
    }

    fn queue_named(&self, tenant: &Name, digits: &str) -> Result<QueueId, String> {
        let named = digits.parse().ok().and_then(|short| self.short_numbers.get(&(tenant.clone(), short)));
        named.cloned().ok_or_else(|| format!("{digits:?} is not the short number of a queue of tenant {tenant}"))
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

    /// Not by a number of ours.
    fn internal(step: Step, why: String) -> Plan {
        Plan { number: None, priority: 0, skills: Skills::default(), max_wait: None, steps: vec![step], why: vec![why] }
    }

    fn refuse(why: String) -> Plan {
        Plan::internal(Step::Refuse(Cause::NotFound), why)
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
