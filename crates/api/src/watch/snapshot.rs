//! What the live view shows at one moment, and what has changed since another.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_acd::ids::{AgentId, QueueId};
use carillon_acd::view::{AgentView, QueueView};
use carillon_actors::Center;
use carillon_rpc::names::Parent;
use carillon_rpc::v1;
use tokio::time::Instant;

/// Objects in one message: some 100 KB.
const CHUNK: usize = 500;
/// How far a duration may be from what its last value and the time between make it, without being another one. Owners
/// are asked one after the other, so the moment of a sample is not sharp.
const SLACK: Duration = Duration::from_millis(250);

/// All queues and agents at one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    at: Instant,
    queues: BTreeMap<QueueId, QueueView>,
    agents: BTreeMap<AgentId, AgentView>,
}

impl Default for Snapshot {
    fn default() -> Self {
        Snapshot { at: Instant::now(), queues: BTreeMap::new(), agents: BTreeMap::new() }
    }
}

impl Snapshot {
    pub(super) async fn take(center: &Center) -> Self {
        let (queues, agents) = (center.queues().await, center.agents().await);
        Snapshot::new(Instant::now(), queues, agents)
    }

    fn new(at: Instant, queues: Vec<QueueView>, agents: Vec<AgentView>) -> Self {
        let queues = queues.into_iter().map(|view| (view.queue.clone(), view)).collect();
        let agents = agents.into_iter().map(|view| (view.agent.clone(), view)).collect();
        Snapshot { at, queues, agents }
    }

    /// The messages that bring a client of `parent` from `before` (`None`: from nothing) to this snapshot. Nothing has
    /// changed when there are none; a first snapshot is announced even when it is empty.
    pub(super) fn since(&self, before: Option<&Snapshot>, parent: &Parent) -> Vec<v1::WatchResponse> {
        let passed = before.map_or(Duration::ZERO, |before| self.at.saturating_duration_since(before.at));
        let queues = self.queues.values().filter(|view| parent.holds(&view.queue.tenant)).filter(|view| {
            let old = before.and_then(|before| before.queues.get(&view.queue));
            old.is_none_or(|old| !same_queue(old, view, passed))
        });
        let agents = self.agents.values().filter(|view| parent.holds(&view.agent.tenant)).filter(|view| {
            let old = before.and_then(|before| before.agents.get(&view.agent));
            old.is_none_or(|old| !same_agent(old, view, passed))
        });
        let queues: Vec<v1::Queue> = queues.cloned().map(Into::into).collect();
        let agents: Vec<v1::Agent> = agents.cloned().map(Into::into).collect();
        messages(queues, agents, self.removed(before, parent), before.is_none())
    }

    fn removed(&self, before: Option<&Snapshot>, parent: &Parent) -> Vec<String> {
        let Some(before) = before else { return Vec::new() };
        let queues = before.queues.keys().filter(|id| parent.holds(&id.tenant) && !self.queues.contains_key(id));
        let agents = before.agents.keys().filter(|id| parent.holds(&id.tenant) && !self.agents.contains_key(id));
        queues.map(ToString::to_string).chain(agents.map(ToString::to_string)).collect()
    }
}

fn messages(
    queues: Vec<v1::Queue>,
    agents: Vec<v1::Agent>,
    removed: Vec<String>,
    even_if_empty: bool,
) -> Vec<v1::WatchResponse> {
    let of_queues = |queues: &[v1::Queue]| v1::WatchResponse { queues: queues.to_vec(), ..Default::default() };
    let of_agents = |agents: &[v1::Agent]| v1::WatchResponse { agents: agents.to_vec(), ..Default::default() };
    let mut messages: Vec<_> = queues.chunks(CHUNK).map(of_queues).collect();
    messages.extend(agents.chunks(CHUNK).map(of_agents));
    if !removed.is_empty() || (messages.is_empty() && even_if_empty) {
        messages.push(v1::WatchResponse { removed, ..Default::default() });
    }
    if let Some(last) = messages.last_mut() {
        last.complete = true;
    }
    messages
}

fn same_queue(old: &QueueView, new: &QueueView, passed: Duration) -> bool {
    let grown = if new.waiting > 0 { passed } else { Duration::ZERO };
    grew(old.longest_wait, new.longest_wait, grown)
        && *old == QueueView { longest_wait: old.longest_wait, ..new.clone() }
}

fn same_agent(old: &AgentView, new: &AgentView, passed: Duration) -> bool {
    grew(old.activity_for, new.activity_for, passed)
        && *old == AgentView { activity_for: old.activity_for, ..new.clone() }
}

fn grew(old: Duration, new: Duration, by: Duration) -> bool {
    (old + by).abs_diff(new) <= SLACK
}

#[cfg(test)]
mod tests {
    use carillon_acd::view::{Activity, Availability};
    use carillon_rpc::names;

    use super::*;

    fn queue(name: &str, waiting: u32, longest_wait: u64) -> QueueView {
        QueueView {
            queue: names::queue(name).unwrap(),
            display_name: String::new(),
            extension: None,
            strategy: "in_order".into(),
            waiting,
            offered_now: 0,
            callbacks: 0,
            longest_wait: Duration::from_secs(longest_wait),
            agents: 1,
            logged_in: 1,
            free: 1,
            offered: 0,
            answered: 0,
            abandoned: 0,
            overflowed: 0,
            estimate: None,
            estimates: (0, 0),
        }
    }

    fn agent(name: &str, activity: Activity, activity_for: u64) -> AgentView {
        AgentView {
            agent: names::agent(name).unwrap(),
            display_name: String::new(),
            extension: None,
            availability: Availability::Ready,
            activity,
            activity_for: Duration::from_secs(activity_for),
            call: None,
            queues: Vec::new(),
            reachable_devices: 1,
            devices: 1,
            handled: 0,
        }
    }

    const SUPPORT: &str = "tenants/default/queues/support";
    const ANNA: &str = "tenants/default/agents/anna";
    const OTHER: &str = "tenants/other/agents/anna";

    fn at(second: u64, queues: Vec<QueueView>, agents: Vec<AgentView>) -> Snapshot {
        thread_local!(static START: Instant = Instant::now());
        Snapshot::new(START.with(|start| *start) + Duration::from_secs(second), queues, agents)
    }

    fn named(messages: &[v1::WatchResponse]) -> Vec<&str> {
        let queues = messages.iter().flat_map(|message| &message.queues).map(|queue| queue.name.as_str());
        queues.chain(messages.iter().flat_map(|message| &message.agents).map(|agent| agent.name.as_str())).collect()
    }

    #[test]
    fn the_first_update_is_everything_of_the_tenant() {
        let agents = vec![agent(ANNA, Activity::Idle, 0), agent(OTHER, Activity::Idle, 0)];
        let snapshot = at(0, vec![queue(SUPPORT, 0, 0)], agents);
        assert_eq!(named(&snapshot.since(None, &Parent::Everybody)), [SUPPORT, ANNA, OTHER]);
        let default = names::parent("tenants/default").unwrap();
        let update = snapshot.since(None, &default);
        assert_eq!(named(&update), [SUPPORT, ANNA]);
        assert_eq!(update.iter().map(|message| message.complete).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn an_empty_center_is_announced_once() {
        let empty = at(0, Vec::new(), Vec::new());
        assert!(matches!(&empty.since(None, &Parent::Everybody)[..], [one] if one.complete));
        assert!(empty.since(Some(&empty), &Parent::Everybody).is_empty());
    }

    #[test]
    fn growing_durations_are_no_change() {
        let before = at(0, vec![queue(SUPPORT, 1, 10)], vec![agent(ANNA, Activity::Idle, 60)]);
        let after = at(5, vec![queue(SUPPORT, 1, 15)], vec![agent(ANNA, Activity::Idle, 65)]);
        assert!(after.since(Some(&before), &Parent::Everybody).is_empty());
    }

    #[test]
    fn a_new_activity_or_first_caller_is_a_change() {
        let before = at(0, vec![queue(SUPPORT, 2, 10)], vec![agent(ANNA, Activity::Idle, 60)]);
        let restarted = at(5, vec![queue(SUPPORT, 2, 15)], vec![agent(ANNA, Activity::Idle, 2)]);
        assert_eq!(named(&restarted.since(Some(&before), &Parent::Everybody)), [ANNA]);
        let served = at(5, vec![queue(SUPPORT, 2, 3)], vec![agent(ANNA, Activity::Idle, 65)]);
        assert_eq!(named(&served.since(Some(&before), &Parent::Everybody)), [SUPPORT]);
    }

    #[test]
    fn what_is_gone_is_told() {
        let before = at(0, vec![queue(SUPPORT, 0, 0)], vec![agent(ANNA, Activity::Idle, 0)]);
        let after = at(1, Vec::new(), vec![agent(ANNA, Activity::Idle, 1)]);
        let update = after.since(Some(&before), &Parent::Everybody);
        assert!(matches!(&update[..], [one] if one.complete && one.removed == [SUPPORT]));
    }

    #[test]
    fn a_large_update_is_cut_and_completed_once() {
        let agents = (0..CHUNK + 1).map(|n| agent(&format!("tenants/default/agents/a{n}"), Activity::Idle, 0));
        let update = at(0, Vec::new(), agents.collect()).since(None, &Parent::Everybody);
        let shape: Vec<_> = update.iter().map(|message| (message.agents.len(), message.complete)).collect();
        assert_eq!(shape, [(CHUNK, false), (1, true)]);
    }
}
