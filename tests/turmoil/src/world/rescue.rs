//! Who is left on the line when an edge is killed, and who of them must be heard again (Spec: CL-4).

use std::time::Duration;

use carillon_acd::ids::{AgentId, CallId, LegId, NodeId};
use carillon_actors::Survival;

use super::{State, World, is_recorded};
use crate::faults::Trouble;

/// So long an edge and an heir must have been linked, and so old the news of a call must be, for the heir to know them: the
/// second heir is told once a second.
const TOLD: Duration = Duration::from_millis(1_300);
/// By then somebody must speak with a caller again; not counting the time in which the network or the coordinator is bad.
const PATIENCE: Duration = Duration::from_secs(10);
/// So long a caller waits for somebody to speak who may be lost.
const GIVES_UP: Duration = Duration::from_secs(15);

/// A caller whose edge does not have him.
#[derive(Clone, Copy, Debug)]
pub(super) struct Astray {
    since: Duration,
    /// Nobody can be blamed when he is lost.
    pub(super) excused: bool,
}

impl World {
    /// A node is killed: nobody speaks any more with those whose edge it was, and its phones look for another edge.
    pub(crate) fn crashed(&self, node: NodeId) {
        let now = self.now();
        let mut state = self.state();
        self.strands(&mut state, node);
        let state = &mut *state;
        state.open.remove(&node);
        state.surveys.remove(&node);
        state.links.retain(|(one, _), _| *one != node);
        state.reported.retain(|(edge, _), _| *edge != node);
        let homeless: Vec<AgentId> =
            state.registered.iter().filter(|(_, (edge, _))| *edge == node).map(|(agent, _)| agent.clone()).collect();
        let others: Vec<NodeId> = state.open.iter().copied().collect();
        for agent in homeless {
            // Without another edge it waits for its own.
            let edge = if others.is_empty() { node } else { others[state.dice(others.len())] };
            let from = now + Duration::from_secs(1) + state.milliseconds(2_000);
            state.registered.insert(agent, (edge, from));
        }
    }

    /// Phones that ring ring for nobody, which nobody else sees; whoever was answered stays on the line.
    fn strands(&self, state: &mut State, node: NodeId) {
        let now = self.now();
        state.kept.retain(|(edge, _), _| *edge != node);
        let ringing = state.legs.iter().filter(|(_, phone)| phone.edge == node && !phone.answered);
        let ringing: Vec<LegId> = ringing.map(|(leg, _)| *leg).collect();
        ringing.into_iter().for_each(|leg| state.silent(leg, now));
        let calls: Vec<CallId> = state.callers.keys().copied().collect();
        for call in calls {
            let caller = &state.callers[&call];
            let stranded = caller.edge == node && caller.astray.is_none();
            let (answered, recorded) = (caller.answered, is_recorded(&state.records, call));
            let excused = stranded && !self.must_survive(state, node, call);
            let Some(caller) = state.callers.get_mut(&call) else { continue };
            if stranded && (recorded || !answered) {
                // Whom nobody has answered hears that nobody is there.
                (caller.gone, caller.lost) = (true, !recorded);
            } else if stranded && caller.gone {
                // His record was kept back, and has to be with the heirs.
                caller.lost |= excused;
            } else if stranded {
                caller.astray = Some(Astray { since: now, excused });
            } else if caller.edge != node {
                // The node that is killed may have been about to go on with him.
                caller.astray.iter_mut().for_each(|astray| astray.excused = true);
            }
        }
    }

    /// Whether some other edge knows what it needs to go on with a call.
    fn must_survive(&self, state: &State, node: NodeId, call: CallId) -> bool {
        let now = self.now();
        let caller = &state.callers[&call];
        let known = caller.resumable && caller.news + TOLD <= now;
        let linked = |one, other| state.links.get(&(one, other)).is_some_and(|since| *since + TOLD <= now);
        let heir = |heir: &NodeId| {
            *heir != node
                && !state.draining.contains(heir)
                && linked(node, *heir)
                && linked(*heir, node)
                && !self.were_apart(node, *heir)
        };
        known && state.open.iter().any(heir)
    }

    /// Whether messages between two nodes may have been late or lost lately.
    fn were_apart(&self, one: NodeId, other: NodeId) -> bool {
        let now = self.now();
        self.plan().iter().any(|fault| {
            let lately = fault.from <= now && fault.until + TOLD > now;
            let slow = matches!(fault.what, Trouble::Slow(a, b) if [(a, b), (b, a)].contains(&(one, other)));
            lately && (slow || fault.what.cuts(one, other))
        })
    }

    /// What a call's actor says of it: whether another edge could go on with it.
    pub(crate) fn checkpoint(&self, call: CallId, survival: &Survival) {
        let now = self.now();
        let mut state = self.state();
        let Some(caller) = state.callers.get_mut(&call) else { return };
        caller.is_news(now);
        match survival {
            Survival::Needs(_) => caller.resumable = true,
            Survival::Lost => caller.resumable = false,
            Survival::Over => {}
        }
    }

    /// Time passes for those with whom nobody speaks.
    pub(crate) fn passes(&self) {
        let now = self.now();
        let mut state = self.state();
        let over = state.legs.iter().filter(|(_, phone)| phone.until.is_some_and(|until| until <= now));
        let over: Vec<LegId> = over.map(|(leg, _)| *leg).filter(|leg| state.is_astray(*leg)).collect();
        for leg in over {
            self.tell(&mut state, &format!("{leg}: the agent hangs up, and nobody hears it"));
            state.silent(leg, now);
        }
        let calls: Vec<CallId> = state.callers.keys().copied().collect();
        for call in calls {
            if state.is_astray(LegId::caller(call)) {
                self.waits_astray(&mut state, call);
            }
        }
    }

    fn waits_astray(&self, state: &mut State, call: CallId) {
        let now = self.now();
        let Some(caller) = state.callers.get_mut(&call) else { return };
        let astray = *caller.astray.get_or_insert(Astray { since: now, excused: false });
        let tired = caller.patience.is_some_and(|patience| patience <= now);
        if tired || (astray.excused && astray.since + GIVES_UP <= now) {
            (caller.gone, caller.unheard, caller.lost) = (true, true, true);
            return self.tell(state, &format!("{call}: the caller hangs up, and nobody hears it"));
        }
        if !astray.excused && self.good_time(astray.since) > PATIENCE {
            let (edge, since) = (caller.edge, astray.since);
            self.note(
                state,
                Some(format!("nobody speaks with {call} since {since:.3?}, when edge {} was lost", edge.0)),
            );
        }
    }

    /// So much of the time since then was good: nothing but crashes.
    fn good_time(&self, since: Duration) -> Duration {
        let disturbs = |what: &Trouble| !matches!(what, Trouble::Crash(_) | Trouble::Drain(_));
        let last = self.plan().iter().filter(|fault| disturbs(&fault.what) && fault.from <= self.now());
        let calm = last.map(|fault| fault.until).max().unwrap_or_default();
        self.now().saturating_sub(calm.max(since))
    }
}
