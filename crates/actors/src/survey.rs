//! What a node counts of itself for those who watch over it: everything that lives here, taken so that nobody waits for
//! it, and what was refused of replaced owners.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use carillon_acd::view::{Activity, AgentView, Availability, CallView, QueueView, Stage};
use ractor::RpcReplyPort;

use crate::agent::AgentMessage;
use crate::call::CallMessage;
use crate::center::{Center, ask_all};
use crate::owner::Addressee;
use crate::queue::QueueMessage;

/// Actors that are asked at once. Between two such rounds everybody else has his turn: asking 20,000 agents delays a call
/// by the answers of so many, some tenths of a millisecond.
const AT_ONCE: usize = 256;

/// What lives on a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// Calls by stage.
    pub calls: BTreeMap<Stage, u64>,
    /// Agents by what they want and what happens to them.
    pub agents: BTreeMap<(Availability, Activity), u64>,
    /// Agents with a device that can ring.
    pub reachable: u64,
    /// Every queue, by name.
    pub queues: Vec<QueueView>,
    /// Those who did not answer in time, and are not counted above.
    pub silent: u64,
}

impl Center {
    /// Asks everybody, a few at a time.
    pub async fn survey(&self) -> Survey {
        let mut survey = Survey::default();
        let calls: Vec<CallView> = ask_in_turn(self.addresses.calls(), CallMessage::View, &mut survey.silent).await;
        calls.iter().for_each(|call| *survey.calls.entry(call.stage).or_default() += 1);
        let agents: Vec<AgentView> = ask_in_turn(self.addresses.agents(), AgentMessage::View, &mut survey.silent).await;
        for agent in &agents {
            *survey.agents.entry((agent.availability, agent.activity)).or_default() += 1;
            survey.reachable += u64::from(agent.reachable_devices > 0);
        }
        survey.queues = ask_in_turn(self.addresses.queues(), QueueMessage::View, &mut survey.silent).await;
        survey.queues.sort_by(|a, b| a.queue.cmp(&b.queue));
        survey
    }

    /// What was refused of replaced owners and edges so far.
    pub fn refused(&self) -> Refused {
        let refusals = &self.addresses.refusals;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Refused {
            offers_by_calls: count(&refusals.offers_by_calls),
            offers_by_agents: count(&refusals.offers_by_agents),
            grants: count(&refusals.grants),
            former_edges: count(&refusals.former_edges),
            without_title: count(&refusals.without_title),
        }
    }
}

async fn ask_in_turn<I, A: Addressee<M>, M, R>(
    actors: Vec<(I, A)>,
    question: impl Fn(RpcReplyPort<R>) -> M + Copy,
    silent: &mut u64,
) -> Vec<R> {
    let mut answers = Vec::with_capacity(actors.len());
    let mut rest = actors.into_iter();
    loop {
        let some: Vec<_> = rest.by_ref().take(AT_ONCE).collect();
        if some.is_empty() {
            return answers;
        }
        let asked = some.len();
        let answered = ask_all(some, question).await;
        *silent += (asked - answered.len()) as u64;
        answers.extend(answered);
    }
}

/// What was refused of owners and edges that had been replaced (Spec: CL-3). All zero while owners change in the ordinary way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Offers of replaced owners of queues, by calls.
    pub offers_by_calls: u64,
    /// Requests for an agent with such an offer, by the agents' owners.
    pub offers_by_agents: u64,
    /// What replaced owners of agents said to calls of this node, by the node.
    pub grants: u64,
    /// What edges said of calls that other edges had, by the node (Spec: CL-4).
    pub former_edges: u64,
    /// What owners of this node did not take in because their title did not hold at that moment (Spec: CL-5).
    pub without_title: u64,
}

/// The counters behind [`Refused`].
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    pub(crate) offers_by_calls: AtomicU64,
    pub(crate) offers_by_agents: AtomicU64,
    pub(crate) grants: AtomicU64,
    pub(crate) former_edges: AtomicU64,
    pub(crate) without_title: AtomicU64,
}

/// More of them.
pub(crate) fn count(counter: &AtomicU64, more: u32) {
    if more > 0 {
        counter.fetch_add(u64::from(more), Ordering::Relaxed);
    }
}
