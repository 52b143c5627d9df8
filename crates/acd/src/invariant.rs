//! What must be true at every moment, whatever the network does (Spec: CL-3). Written once; tests and simulations ask
//! these questions after every step.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::Agent;
use crate::call::Call;
use crate::ids::{AgentId, CallId};
use crate::record::Record;
use crate::view::Activity;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// An agent is in conversation with two callers.
    #[error("{agent} talks in {first} and in {second}")]
    TwoCalls {
        /// Who.
        agent: AgentId,
        /// One call.
        first: CallId,
        /// The other.
        second: CallId,
    },
    /// An agent's activity and the call that he is held for do not fit together.
    #[error("{agent} is {activity:?} with call {call:?}")]
    Activity {
        /// Who.
        agent: AgentId,
        /// What he is said to do.
        activity: Activity,
        /// And for which call.
        call: Option<CallId>,
    },
    /// A call has ended without exactly one record.
    #[error("{call} has {records} records")]
    Records {
        /// Which.
        call: CallId,
        /// How many there are.
        records: usize,
    },
    /// A record contradicts itself.
    #[error("the record of {call} says {what}")]
    Record {
        /// Whose.
        call: CallId,
        /// What is wrong.
        what: &'static str,
    },
}

/// No agent is connected with two callers.
///
/// # Errors
/// The first agent who is.
pub fn one_call_per_agent<'a>(calls: impl IntoIterator<Item = &'a Call>) -> Result<(), Violation> {
    let mut talks: BTreeMap<&AgentId, CallId> = BTreeMap::new();
    for call in calls {
        let Some((_, Some(agent))) = call.connected_with() else { continue };
        if let Some(first) = talks.insert(agent, call.id()) {
            return Err(Violation::TwoCalls { agent: agent.clone(), first, second: call.id() });
        }
    }
    Ok(())
}

/// An agent is held for a call exactly while he is reserved or talks.
///
/// # Errors
/// The first agent for whom this does not hold.
pub fn activity_fits_call<'a>(agents: impl IntoIterator<Item = (&'a AgentId, &'a Agent)>) -> Result<(), Violation> {
    for (id, agent) in agents {
        let (activity, call) = (agent.activity(), agent.call());
        let held = matches!(activity, Activity::Reserved | Activity::Talking);
        if held != call.is_some() {
            return Err(Violation::Activity { agent: id.clone(), activity, call });
        }
    }
    Ok(())
}

/// Every call that has ended has one record, and every record is consistent.
///
/// # Errors
/// The first call or record for which this does not hold.
pub fn one_record_per_call(ended: &BTreeSet<CallId>, records: &[Record]) -> Result<(), Violation> {
    let mut count: BTreeMap<CallId, usize> = ended.iter().map(|call| (*call, 0)).collect();
    for record in records {
        *count.entry(record.call).or_default() += 1;
        record_is_consistent(record)?;
    }
    match count.into_iter().find(|(_, records)| *records != 1) {
        Some((call, records)) => Err(Violation::Records { call, records }),
        None => Ok(()),
    }
}

fn record_is_consistent(record: &Record) -> Result<(), Violation> {
    use crate::record::{Happened, Outcome};
    let wrong = |what| Err(Violation::Record { call: record.call, what });
    let connects = record.transitions.iter().filter(|t| matches!(t.what, Happened::Connected { .. })).count();
    if connects > 1 {
        return wrong("that the caller was connected twice");
    }
    if (connects == 1) != (record.outcome == Outcome::Answered) {
        return wrong("an outcome that does not fit its transitions");
    }
    if connects == 0 && record.talk_ms > 0 {
        return wrong("that somebody talked who was not connected");
    }
    if !record.transitions.is_sorted_by_key(|t| t.at) {
        return wrong("its transitions out of order");
    }
    if record.queue.is_some() != record.wait_ms.is_some() {
        return wrong("a wait without a queue, or a queue without a wait");
    }
    Ok(())
}
