//! An agent on the wire.

use carillon_acd::ids::QueueId;
use carillon_acd::view::{Activity, AgentCommand, AgentView, Availability};

use crate::{names, time, v1};

impl From<AgentView> for v1::Agent {
    fn from(view: AgentView) -> Self {
        let login = |(queue, logged_in): (QueueId, bool)| v1::QueueLogin { queue: queue.to_string(), logged_in };
        v1::Agent {
            name: view.agent.to_string(),
            display_name: view.display_name,
            extension: names::or_empty(view.extension),
            availability: v1::Availability::from(view.availability).into(),
            activity: v1::Activity::from(view.activity).into(),
            activity_duration: Some(time::duration(view.activity_for)),
            call: names::or_empty(view.call.map(names::of_call)),
            queues: view.queues.into_iter().map(login).collect(),
            reachable_device_count: view.reachable_devices,
            device_count: view.devices,
            handled_count: view.handled,
        }
    }
}

impl From<Availability> for v1::Availability {
    fn from(availability: Availability) -> Self {
        match availability {
            Availability::LoggedOut => v1::Availability::LoggedOut,
            Availability::Ready => v1::Availability::Ready,
            Availability::OnBreak => v1::Availability::OnBreak,
        }
    }
}

impl v1::Availability {
    /// The command that brings an agent there; `None` when it is unspecified (Spec: TR-6).
    pub fn command(self) -> Option<AgentCommand> {
        match self {
            v1::Availability::Unspecified => None,
            v1::Availability::LoggedOut => Some(AgentCommand::LogOut),
            v1::Availability::Ready => Some(AgentCommand::Ready),
            v1::Availability::OnBreak => Some(AgentCommand::Break),
        }
    }
}

impl From<Activity> for v1::Activity {
    fn from(activity: Activity) -> Self {
        match activity {
            Activity::Idle => v1::Activity::Idle,
            Activity::Reserved => v1::Activity::Reserved,
            Activity::Talking => v1::Activity::Talking,
            Activity::WrapUp => v1::Activity::WrapUp,
        }
    }
}

impl v1::Agent {
    /// What happens to him and what he wants; `None` when it is not understood.
    pub fn state(&self) -> Option<(Activity, Availability)> {
        let does = match self.activity() {
            v1::Activity::Unspecified => return None,
            v1::Activity::Idle => Activity::Idle,
            v1::Activity::Reserved => Activity::Reserved,
            v1::Activity::Talking => Activity::Talking,
            v1::Activity::WrapUp => Activity::WrapUp,
        };
        let wants = match self.availability() {
            v1::Availability::Unspecified => return None,
            v1::Availability::LoggedOut => Availability::LoggedOut,
            v1::Availability::Ready => Availability::Ready,
            v1::Availability::OnBreak => Availability::OnBreak,
        };
        Some((does, wants))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_agent_keeps_every_field() {
        let queue = names::queue("tenants/default/queues/support").unwrap();
        let call = names::call("calls/1-6a0f3c21-42").unwrap();
        let agent = v1::Agent::from(AgentView {
            agent: names::agent("tenants/default/agents/anna").unwrap(),
            display_name: "Anna".into(),
            extension: Some("101".parse().unwrap()),
            availability: Availability::OnBreak,
            activity: Activity::Talking,
            activity_for: Duration::from_millis(1500),
            call: Some(call),
            queues: vec![(queue, true)],
            reachable_devices: 1,
            devices: 2,
            handled: 7,
        });
        let login = v1::QueueLogin { queue: "tenants/default/queues/support".into(), logged_in: true };
        let expected = v1::Agent {
            name: "tenants/default/agents/anna".into(),
            display_name: "Anna".into(),
            extension: "101".into(),
            availability: v1::Availability::OnBreak.into(),
            activity: v1::Activity::Talking.into(),
            activity_duration: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }),
            call: "calls/1-6a0f3c21-42".into(),
            queues: vec![login],
            reachable_device_count: 1,
            device_count: 2,
            handled_count: 7,
        };
        assert_eq!(agent, expected);
        assert_eq!(agent.state(), Some((Activity::Talking, Availability::OnBreak)));
        assert_eq!(v1::Agent::default().state(), None);
    }

    #[test]
    fn tr_6_each_availability_is_a_command() {
        assert_eq!(v1::Availability::Ready.command(), Some(AgentCommand::Ready));
        assert_eq!(v1::Availability::OnBreak.command(), Some(AgentCommand::Break));
        assert_eq!(v1::Availability::LoggedOut.command(), Some(AgentCommand::LogOut));
        assert_eq!(v1::Availability::Unspecified.command(), None);
    }
}
