//! What the live view shows at one moment, and what has changed since another.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use carillon_acd::ids::{AgentId, NodeId, QueueId};
use carillon_acd::view::{AgentView, QueueView};
use carillon_actors::Center;
use carillon_rpc::names::Parent;
use carillon_rpc::{time, v1};
use tokio::time::Instant;

/// Objects in one message: some 100 KB.
const CHUNK: usize = 500;
/// How far a duration may be from what its last value and the time between make it, without being another one. Owners
/// are asked one after the other, so the moment of a sample is not sharp.
const SLACK: Duration = Duration::from_millis(250);

/// An object as its owner showed it, and when: its durations have grown since.
#[derive(Clone, Debug)]
pub(super) struct Seen<T> {
    pub(super) at: Instant,
    pub(super) object: T,
}

/// All queues and agents at one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    queues: BTreeMap<QueueId, Seen<v1::Queue>>,
    agents: BTreeMap<AgentId, Seen<v1::Agent>>,
    /// Nodes that do not answer.
    pub(super) missing: BTreeSet<NodeId>,
}

impl Default for Snapshot {
    fn default() -> Self {
        Snapshot::new(Instant::now(), Vec::new(), Vec::new())
    }
}

impl Snapshot {
    pub(super) async fn take(center: &Center) -> Self {
        let (queues, agents) = (center.queues().await, center.agents().await);
        Snapshot::new(Instant::now(), queues, agents)
    }

    fn new(at: Instant, queues: Vec<QueueView>, agents: Vec<AgentView>) -> Self {
        let queue = |view: QueueView| (view.queue.clone(), Seen { at, object: view.into() });
        let agent = |view: AgentView| (view.agent.clone(), Seen { at, object: view.into() });
        let (queues, agents) = (queues.into_iter().map(queue).collect(), agents.into_iter().map(agent).collect());
        Snapshot { queues, agents, missing: BTreeSet::new() }
    }

    /// Adds what another node shows. What both have is as it was seen last.
    pub(super) fn add(
        &mut self,
        queues: &BTreeMap<QueueId, Seen<v1::Queue>>,
        agents: &BTreeMap<AgentId, Seen<v1::Agent>>,
    ) {
        add(&mut self.queues, queues);
        add(&mut self.agents, agents);
    }

    /// The messages that bring a client of `parent` from `before` (`None`: from nothing) to this snapshot, as of `now`.
    /// Nothing has changed when there are none; a first snapshot is announced even when it is empty.
    pub(super) fn since(&self, before: Option<&Snapshot>, parent: &Parent, now: Instant) -> Vec<v1::WatchResponse> {
        let queues = self.queues.iter().filter(|(id, _)| parent.holds(&id.tenant)).filter(|(id, seen)| {
            let old = before.and_then(|before| before.queues.get(id));
            old.is_none_or(|old| !same_queue(old, seen))
        });
        let agents = self.agents.iter().filter(|(id, _)| parent.holds(&id.tenant)).filter(|(id, seen)| {
            let old = before.and_then(|before| before.agents.get(id));
            old.is_none_or(|old| !same_agent(old, seen))
        });
        let queues: Vec<v1::Queue> = queues.map(|(_, seen)| queue_at(seen, now)).collect();
        let agents: Vec<v1::Agent> = agents.map(|(_, seen)| agent_at(seen, now)).collect();
        let announce = before.is_none_or(|before| before.missing != self.missing);
        let mut messages = messages(queues, agents, self.removed(before, parent), announce);
        if let Some(last) = messages.last_mut() {
            last.missing_nodes = self.missing.iter().map(|node| node.0).collect();
        }
        messages
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

fn add<K: Ord + Clone, T: Clone>(all: &mut BTreeMap<K, Seen<T>>, more: &BTreeMap<K, Seen<T>>) {
    for (id, seen) in more {
        if all.get(id).is_none_or(|known| known.at < seen.at) {
            all.insert(id.clone(), seen.clone());
        }
    }
}

/// The queue now: its first caller has waited on.
fn queue_at(seen: &Seen<v1::Queue>, now: Instant) -> v1::Queue {
    let passed = now.saturating_duration_since(seen.at);
    let grown = if seen.object.waiting_count > 0 { passed } else { Duration::ZERO };
    let longest_wait = time::std_duration(seen.object.longest_wait.as_ref()) + grown;
    v1::Queue { longest_wait: Some(time::duration(longest_wait)), ..seen.object.clone() }
}

/// The agent now.
fn agent_at(seen: &Seen<v1::Agent>, now: Instant) -> v1::Agent {
    let passed = now.saturating_duration_since(seen.at);
    let lasted = time::std_duration(seen.object.activity_duration.as_ref()) + passed;
    v1::Agent { activity_duration: Some(time::duration(lasted)), ..seen.object.clone() }
}

/// Whether nothing but time has passed for it.
fn same_queue(old: &Seen<v1::Queue>, new: &Seen<v1::Queue>) -> bool {
    let expected = queue_at(old, new.at);
    close(&expected.longest_wait, &new.object.longest_wait)
        && new.object == v1::Queue { longest_wait: new.object.longest_wait, ..expected }
}

fn same_agent(old: &Seen<v1::Agent>, new: &Seen<v1::Agent>) -> bool {
    let expected = agent_at(old, new.at);
    close(&expected.activity_duration, &new.object.activity_duration)
        && new.object == v1::Agent { activity_duration: new.object.activity_duration, ..expected }
}

fn close(expected: &Option<carillon_rpc::Duration>, new: &Option<carillon_rpc::Duration>) -> bool {
    time::std_duration(expected.as_ref()).abs_diff(time::std_duration(new.as_ref())) <= SLACK
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

    fn now() -> Instant {
        Instant::now()
    }

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
        assert_eq!(named(&snapshot.since(None, &Parent::Everybody, now())), [SUPPORT, ANNA, OTHER]);
        let default = names::parent("tenants/default").unwrap();
        let update = snapshot.since(None, &default, now());
        assert_eq!(named(&update), [SUPPORT, ANNA]);
        assert_eq!(update.iter().map(|message| message.complete).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn an_empty_center_is_announced_once() {
        let empty = at(0, Vec::new(), Vec::new());
        assert!(matches!(&empty.since(None, &Parent::Everybody, now())[..], [one] if one.complete));
        assert!(empty.since(Some(&empty), &Parent::Everybody, now()).is_empty());
    }

    #[test]
    fn growing_durations_are_no_change() {
        let before = at(0, vec![queue(SUPPORT, 1, 10)], vec![agent(ANNA, Activity::Idle, 60)]);
        let after = at(5, vec![queue(SUPPORT, 1, 15)], vec![agent(ANNA, Activity::Idle, 65)]);
        assert!(after.since(Some(&before), &Parent::Everybody, now()).is_empty());
    }

    #[test]
    fn a_new_activity_or_first_caller_is_a_change() {
        let before = at(0, vec![queue(SUPPORT, 2, 10)], vec![agent(ANNA, Activity::Idle, 60)]);
        let restarted = at(5, vec![queue(SUPPORT, 2, 15)], vec![agent(ANNA, Activity::Idle, 2)]);
        assert_eq!(named(&restarted.since(Some(&before), &Parent::Everybody, now())), [ANNA]);
        let served = at(5, vec![queue(SUPPORT, 2, 3)], vec![agent(ANNA, Activity::Idle, 65)]);
        assert_eq!(named(&served.since(Some(&before), &Parent::Everybody, now())), [SUPPORT]);
    }

    #[test]
    fn what_is_gone_is_told() {
        let before = at(0, vec![queue(SUPPORT, 0, 0)], vec![agent(ANNA, Activity::Idle, 0)]);
        let after = at(1, Vec::new(), vec![agent(ANNA, Activity::Idle, 1)]);
        let update = after.since(Some(&before), &Parent::Everybody, now());
        assert!(matches!(&update[..], [one] if one.complete && one.removed == [SUPPORT]));
    }

    #[test]
    fn a_large_update_is_cut_and_completed_once() {
        let agents = (0..CHUNK + 1).map(|n| agent(&format!("tenants/default/agents/a{n}"), Activity::Idle, 0));
        let update = at(0, Vec::new(), agents.collect());
        let update = update.since(None, &Parent::Everybody, now());
        let shape: Vec<_> = update.iter().map(|message| (message.agents.len(), message.complete)).collect();
        assert_eq!(shape, [(CHUNK, false), (1, true)]);
    }
}
