//! Who may speak for an agent (Spec: CL-3).
//!
//! A new owner announces its epoch to every living node and serves when they have answered. From its answer on a node
//! refuses what an older owner says, also to calls that begin later: whatever the older one granted before, the new one
//! has been told by the calls that hold it; whatever it grants after, nobody believes. So an agent is never held for two
//! calls, even while two nodes take themselves for his owner. (The owner of a queue needs no fence like this: its offers
//! bind nobody, and call and agent compare their epochs themselves.)

use std::collections::HashMap;

use crate::call::Event;
use crate::ids::{AgentId, Epoch};

/// What one node knows of the owners of agents: at most one number for each agent.
#[derive(Clone, Debug, Default)]
pub struct Fence {
    newest: HashMap<AgentId, Epoch>,
}

impl Fence {
    /// The agent has an owner of this epoch; all older ones are refused from now on.
    pub fn announce(&mut self, agent: &AgentId, epoch: Epoch) {
        match self.newest.get_mut(agent) {
            Some(newest) => *newest = epoch.max(*newest),
            None => drop(self.newest.insert(agent.clone(), epoch)),
        }
    }

    /// Whether this may be told to a call: it does not come from an owner of an agent who has been replaced.
    pub fn admits(&self, event: &Event) -> bool {
        match event {
            Event::Agent(agent, epoch, _) => {
                let newest = self.newest.get(agent).copied().unwrap_or_default();
                newest <= *epoch || mutant!(GrantWithoutEpoch)
            }
            Event::Start | Event::Leg(..) | Event::Queue(..) | Event::HangUp | Event::Wake => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::FromAgent;

    fn agent(name: &str) -> AgentId {
        AgentId::new("default".parse().unwrap(), name.parse().unwrap())
    }

    // spec: CL-3
    #[test]
    fn cl_3_a_replaced_owner_of_an_agent_is_not_believed() {
        let says = |name: &str, epoch| Event::Agent(agent(name), Epoch(epoch), FromAgent::NewOwner);
        let mut fence = Fence::default();
        assert!(fence.admits(&says("anna", 1)), "nobody was announced yet");
        fence.announce(&agent("anna"), Epoch(3));
        fence.announce(&agent("anna"), Epoch(2));
        assert!(!fence.admits(&says("anna", 2)), "an announcement that comes late takes nothing back");
        assert!(fence.admits(&says("anna", 3)) && fence.admits(&says("anna", 4)) && fence.admits(&says("piotr", 1)));
        assert!(fence.admits(&Event::Wake));
    }
}
