//! What may never be, whatever breaks (Spec: CL-3), and what must be in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use carillon_acd::ids::{AgentId, CallId, LegId, NodeId, QueueId};
use carillon_acd::invariant;
use carillon_acd::queue::Strategy;
use carillon_acd::record::{Happened, Outcome, Record, Transition};
use carillon_acd::view::Activity;

use super::{State, World, is_recorded};
use crate::center;

/// So long after the last trouble the nodes agree again: after a lease and a take-over.
const SETTLES: Duration = Duration::from_secs(6);
/// Two callers come one after the other when it is at least so much; and so long may an offer be under way.
const SURELY: Duration = Duration::from_secs(1);
/// So long after a link came up, what was missed has been said.
const KNOWS: Duration = Duration::from_millis(150);

/// An agent's owner as a node sees him, and the one whom it saw before.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeenOwner {
    now: NodeId,
    since: Duration,
    before: Option<NodeId>,
}

impl SeenOwner {
    /// Somebody else is seen from now on.
    pub(super) fn new(node: NodeId, at: Duration, last: Option<SeenOwner>) -> Self {
        match last {
            Some(last) if last.now == node => last,
            Some(last) => SeenOwner { now: node, since: at, before: Some(last.now) },
            None => SeenOwner { now: node, since: at, before: None },
        }
    }

    /// Those who may have granted what is done at `at`.
    fn lately(self, at: Duration) -> impl Iterator<Item = NodeId> {
        std::iter::once(self.now).chain(self.before.filter(|_| at < self.since + SURELY))
    }
}

/// Somebody who came later is served at once, perhaps wrongly.
#[derive(Clone, Debug)]
pub(super) struct Overtaken {
    first: CallId,
    by: CallId,
    agent: AgentId,
    at: Duration,
}

/// How a day went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub(crate) callers: usize,
    pub(crate) answered: usize,
    pub(crate) abandoned: usize,
    pub(crate) resumed: usize,
    pub(crate) lost: usize,
    pub(crate) excused: usize,
    pub(crate) digest: u64,
}

impl World {
    /// No caller has two agents on the line, and the phone of an agent belongs to one call.
    pub(super) fn phones_fit(&self, state: &mut State) {
        let mut lines: BTreeMap<CallId, LegId> = BTreeMap::new();
        let mut wanted: BTreeMap<&AgentId, CallId> = BTreeMap::new();
        let mut wrong = None;
        let present = state.legs.iter().filter(|(leg, phone)| phone.rings && !state.is_astray(**leg));
        for (leg, phone) in present {
            if let Some(other) = state.is_heard(*leg, phone).then(|| lines.insert(leg.call, *leg)).flatten() {
                wrong = Some(format!("{leg} and {other} are connected with one caller"));
            }
            if let Some(other) = wanted.insert(&phone.agent, leg.call).filter(|other| *other != leg.call) {
                wrong = Some(format!("{} is wanted by {other} and by {}", phone.agent, leg.call));
            }
        }
        self.note(state, wrong);
    }

    /// Whether the agent is on the phone for a call of whose edge his owner could not know: it has no link to it, or has had it
    /// for a moment only. Then the phone is busy.
    pub(super) fn is_excused(&self, state: &mut State, asked: NodeId, leg: LegId, agent: &AgentId) -> bool {
        let mut legs = state.legs.iter();
        let Some((other, phone)) = legs.find(|(it, phone)| phone.rings && phone.agent == *agent && it.call != leg.call)
        else {
            return false;
        };
        let (other, now) = (*other, self.now());
        let (edge, astray) = (phone.edge, state.is_astray(other));
        let knows = |node: &NodeId| {
            let since = |one: NodeId, other: NodeId| state.links.get(&(one, other)).copied();
            let both = since(edge, *node).zip(since(*node, edge));
            let linked = both.is_some_and(|(one, other)| one.max(other) + KNOWS <= now);
            *node == edge || linked && !self.are_cut(edge, *node)
        };
        let lately = state.owners.get(&(asked, agent.clone())).into_iter().flat_map(|seen| seen.lately(now));
        let at_once = state.directories.get(&asked).and_then(|directory| directory.of_agent(agent));
        let mut granted = lately.chain(at_once.map(|owner| owner.node)).filter(|it| state.open.contains(it));
        // Or he hears nobody, though he does not know it yet.
        let alone = phone.answered && !state.is_on(edge, LegId::caller(other.call));
        let excused = astray || alone || granted.any(|owner| !knows(&owner));
        state.excused += usize::from(excused);
        if excused {
            self.tell(state, &format!("{leg} calls {agent}, who is busy with {other}, and nobody could know"));
        }
        excused
    }

    /// Who came and waits in good times is served before all who came later, whenever they did (Spec: QU-1).
    pub(super) fn in_order(&self, state: &mut State, call: CallId, agent: &AgentId) {
        let now = self.now();
        let Some(served) = state.callers.get(&call) else { return };
        if !self.is_calm(now, now) {
            return;
        }
        let overtaken = state.callers.iter().filter(|(_, first)| {
            first.queue == served.queue
                && !first.gone
                && !first.talked
                && first.astray.is_none()
                && first.came + SURELY < served.came
                && first.waits_since.is_some_and(|since| since + SURELY < now)
                // Whose round is over waits for the next one (Spec: UN-2).
                && first.tried.is_empty()
                && !first.in_vain
                && self.is_calm(first.came, first.came + SURELY)
        });
        let overtaken =
            overtaken.map(|(first, _)| Overtaken { first: *first, by: call, agent: agent.clone(), at: now });
        let overtaken: Vec<Overtaken> = overtaken.collect();
        state.overtaken.extend(overtaken);
    }

    /// Who was offered to another agent at that moment, and refused, was not overtaken: only his record tells.
    fn was_overtaken(&self, state: &State, record: &Record) -> Option<String> {
        let overtaken = state.overtaken.iter().filter(|it| it.first == record.call);
        let to = |it: &Transition| if let Happened::Moved { to, .. } = it.what { Some(to) } else { None };
        let mut moves = record.transitions.iter().filter_map(to);
        // Who has gone on with a call tells its past by his own clock.
        let clock = moves.next_back().unwrap_or(record.call.node);
        let offered = |at: Duration| {
            let moment = |it: &Transition| self.unwall(clock, it.at);
            let mut is_offered = false;
            for it in record.transitions.iter().take_while(|it| moment(it) < at + SURELY / 10) {
                if matches!(it.what, Happened::Offered { .. }) {
                    is_offered = true;
                } else if matches!(it.what, Happened::ReservationRefused { .. } | Happened::LegEnded { .. }) {
                    // Until now somebody was asked for, or rang.
                    is_offered = moment(it) + SURELY / 10 > at;
                }
            }
            is_offered
        };
        let surely = overtaken.filter(|it| !offered(it.at));
        let text = |it: &Overtaken| {
            format!("{} rings for {} at {:.3?} before {}, who came first", it.agent, it.by, it.at, it.first)
        };
        surely.map(text).next()
    }

    fn is_calm(&self, from: Duration, until: Duration) -> bool {
        self.plan().iter().all(|fault| until < fault.from || from > fault.until + SETTLES)
    }

    pub(super) fn note(&self, state: &mut State, wrong: Option<String>) {
        if let Some(wrong) = wrong {
            tracing::error!(wrong, "broken");
            let at = self.now();
            state.broken.get_or_insert_with(|| format!("{at:.3?}: {wrong}"));
        }
    }

    /// What a record that comes now must not be.
    pub(super) fn is_wrong(&self, state: &State, node: NodeId, record: &Record) -> Option<String> {
        let Some(caller) = state.callers.get(&record.call) else { return Some(format!("{} never was", record.call)) };
        // On the disks of two nodes it may be, until these have heard of each other.
        if state.records.get(&record.call).is_some_and(|records| records.contains_key(&node)) {
            return Some(format!("{} is recorded twice by node {}", record.call, node.0));
        }
        if let Err(violation) =
            invariant::one_record_per_call(&BTreeSet::from([record.call]), std::slice::from_ref(record))
        {
            return Some(violation.to_string());
        }
        if let Some(overtaken) = self.was_overtaken(state, record) {
            return Some(overtaken);
        }
        let hung_up = caller.patience.is_some_and(|patience| patience <= self.now());
        let expected = match record.outcome {
            Outcome::Answered => true,
            Outcome::Abandoned => hung_up,
            // Spec: UN-3.
            Outcome::Missed => !caller.tried.is_empty() && self.rings_all(caller.queue),
            // Another edge has looked for him in vain.
            Outcome::Failed => caller.gone,
            Outcome::Refused | Outcome::Done => false,
        };
        (!expected).then(|| {
            let steps: Vec<String> = record.transitions.iter().map(|it| format!("{:?}", it.what)).collect();
            format!("{} came out as {:?}: {}", record.call, record.outcome, steps.join("; "))
        })
    }

    fn rings_all(&self, queue: usize) -> bool {
        let objects = center::objects(self.seed());
        objects.queues[queue].1.strategy == Strategy::AllAtOnce
    }

    /// What is left to do; nothing when everybody is served and everything is mended.
    pub(crate) fn left(&self) -> Option<String> {
        let state = self.state();
        let waits = |(call, caller): (&CallId, &super::Caller)| {
            (!caller.lost && !is_recorded(&state.records, *call)).then(|| format!("{call} is not over"))
        };
        let doubled = |(call, records): (&CallId, &BTreeMap<NodeId, Record>)| {
            let nodes: Vec<String> = records.keys().map(|node| node.0.to_string()).collect();
            (nodes.len() > 1).then(|| format!("{call} is recorded by the nodes {}", nodes.join(" and ")))
        };
        if let Some(left) = state.records.iter().find_map(doubled) {
            return Some(left);
        }
        if let Some(left) = state.callers.iter().find_map(waits) {
            return Some(left);
        }
        if let Some((leg, phone)) = state.legs.iter().next() {
            return Some(format!("{leg} is left at {}", phone.agent));
        }
        if state.surveys.len() < self.nodes() as usize {
            return Some("a node has not said what it has".to_owned());
        }
        let mut owners: BTreeMap<&AgentId, NodeId> = BTreeMap::new();
        let mut queues: BTreeMap<&QueueId, NodeId> = BTreeMap::new();
        for (node, survey) in &state.surveys {
            for agent in &survey.agents {
                if agent.activity != Activity::Idle || agent.call.is_some() {
                    return Some(format!("{} is {:?} with {:?}", agent.agent, agent.activity, agent.call));
                }
                if let Some(other) = owners.insert(&agent.agent, *node) {
                    return Some(format!("{} has owners on node {} and node {}", agent.agent, other.0, node.0));
                }
            }
            for queue in &survey.queues {
                if queue.waiting > 0 {
                    return Some(format!("{} has {} waiting on node {}", queue.queue, queue.waiting, node.0));
                }
                if let Some(other) = queues.insert(&queue.queue, *node) {
                    return Some(format!("{} has owners on node {} and node {}", queue.queue, other.0, node.0));
                }
            }
            if survey.calls > 0 {
                return Some(format!("node {} has {} calls", node.0, survey.calls));
            }
        }
        let missing = owners.len() < center::AGENTS || queues.len() < center::QUEUES;
        missing.then(|| format!("only {} agents and {} queues have an owner", owners.len(), queues.len()))
    }

    pub(crate) fn outcomes(&self) -> Outcomes {
        let state = self.state();
        let count =
            |outcome| state.records.values().flat_map(BTreeMap::values).filter(|it| it.outcome == outcome).count();
        Outcomes {
            callers: state.callers.len(),
            answered: count(Outcome::Answered),
            abandoned: count(Outcome::Abandoned),
            resumed: state.callers.values().map(|caller| caller.resumed).sum(),
            lost: state.callers.values().filter(|caller| caller.lost).count(),
            excused: state.excused,
            digest: state.digest.0,
        }
    }
}
