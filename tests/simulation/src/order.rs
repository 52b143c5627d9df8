//! Who has to be served before whom (Spec: QU-7), as a witness knows it who looks into no owner's book but for who is open:
//! places in the order in which they were given, waits by when the callers came, needs by what their tickets say.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_acd::call::{self, FromQueue};
use carillon_acd::ids::{AgentId, CallId, Epoch, QueueId};
use carillon_acd::offer::Invitation;
use carillon_acd::queue::{self, OpenCaller, Queue, Strategy};
use carillon_acd::skills::Skills;
use carillon_acd::ticket::Sequence;
use carillon_acd::time::Moment;

/// The order in which callers came to one queue: by owner, then by when the owner gave the place.
type Entry = (Epoch, u64);

/// What the first ticket for a queue said.
#[derive(Clone, Debug)]
struct Came {
    /// To the call's first queue.
    began: Moment,
    /// To this one.
    entered: Moment,
    priority: i32,
    skills: Skills,
}

/// An owner at work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) id: &'a QueueId,
    pub(crate) epoch: Epoch,
    pub(crate) config: &'a queue::Config,
    pub(crate) now: Moment,
    /// The longest that a ticket is on its way: by so much an owner may take a wait for shorter than it is.
    pub(crate) delay: Duration,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Order {
    came: BTreeMap<(QueueId, CallId), Came>,
    given: BTreeMap<(QueueId, CallId, Epoch), Entry>,
    /// Places given, by what was told to the call.
    told: BTreeMap<(QueueId, CallId, Sequence), Entry>,
    /// Where a caller's place is settled: he has heard of it.
    settled: BTreeMap<(QueueId, CallId), Entry>,
    places: u64,
    /// Before the step that is looked at.
    open: Vec<OpenCaller>,
    /// The places of those who became open in it.
    meanwhile: Vec<Sequence>,
}

impl Order {
    pub(crate) fn before(&mut self, queue: &Queue) {
        self.open.clear();
        self.open.extend(queue.open_callers());
        self.meanwhile.clear();
    }

    pub(crate) fn call(&mut self, id: CallId, now: Moment, event: &call::Event, effects: &[call::Effect]) {
        if let call::Event::Queue(queue, FromQueue::Enqueued { sequence }) = event
            && let Some(entry) = self.told.get(&(queue.clone(), id, *sequence))
        {
            self.settled.entry((queue.clone(), id)).or_insert(*entry);
        }
        for effect in effects {
            if let call::Effect::ToQueue(queue, queue::Event::Enqueue(enqueue)) = effect {
                self.came.entry((queue.clone(), id)).or_insert_with(|| Came {
                    began: now - enqueue.ticket.waited,
                    entered: now - enqueue.waited_here,
                    priority: enqueue.ticket.priority,
                    skills: enqueue.ticket.skills.clone(),
                });
            }
        }
    }

    /// An owner has said something.
    pub(crate) fn queue(&mut self, owner: Owner<'_>, effects: &[queue::Effect], after: &Queue) -> Result<(), String> {
        for queue::Effect::ToCall(call, said) in effects {
            let call::Event::Queue(_, said) = said else { continue };
            match said {
                FromQueue::Enqueued { sequence } => {
                    self.places += 1;
                    let next = (owner.epoch, self.places);
                    let entry = *self.given.entry((owner.id.clone(), *call, owner.epoch)).or_insert(next);
                    self.told.entry((owner.id.clone(), *call, *sequence)).or_insert(entry);
                }
                // Who picks a call up asks for that one (Spec: TR-4).
                FromQueue::Offer(offer) if offer.agents[0].invitation != Invitation::Chosen => {}
                FromQueue::Offer(offer) => {
                    self.open_meanwhile(owner.id, *call);
                    self.nobody_is_overtaken(owner, *call, &offer.agents[0].agent, after)?;
                }
                // Who was turned away at the door has a place too, if he comes back as a callback (Spec: UN-7).
                FromQueue::Overflow { .. } if !self.settled.contains_key(&(owner.id.clone(), *call)) => {
                    self.places += 1;
                    let next = (owner.epoch, self.places);
                    self.given.entry((owner.id.clone(), *call, owner.epoch)).or_insert(next);
                }
                FromQueue::Overflow { .. } | FromQueue::Rings(_) | FromQueue::NotPickedUp { .. } => {}
            }
        }
        Ok(())
    }

    /// A caller who was not open before the step is offered in it.
    fn open_meanwhile(&mut self, queue: &QueueId, call: CallId) {
        if self.open.iter().all(|open| open.call != call) {
            let told = |counter| (queue.clone(), call, Sequence { epoch: Epoch(counter), counter });
            let places = self.told.range(told(0)..=told(u64::MAX)).map(|((.., sequence), _)| *sequence);
            self.meanwhile.extend(places);
        }
    }

    /// Nobody who was open before and still is stands before `call`, and could have had the agent, who suits `call`.
    fn nobody_is_overtaken(
        &self,
        owner: Owner<'_>,
        call: CallId,
        agent: &AgentId,
        after: &Queue,
    ) -> Result<(), String> {
        if !self.suits(owner, call, agent, Duration::ZERO) {
            return Err(format!("{call} is offered to {agent}, who has not the skills that {} asks for", owner.id));
        }
        let Some(offered) = self.open.iter().find(|open| open.call == call) else { return Ok(()) };
        let left: Vec<OpenCaller> = after.open_callers().collect();
        let surely = owner.delay + Duration::from_millis(1);
        for still in &left {
            let Some(before) = self.open.iter().find(|open| open.call == still.call) else { continue };
            let was_tried = before.tried.contains(agent) || still.tried.contains(agent);
            if !was_tried
                && self.suits(owner, still.call, agent, surely)
                && self.stands_before(owner, &left, before, offered)
            {
                let id = owner.id;
                return Err(format!("{call} is offered to {agent} before {}, who comes first in {id}", still.call));
            }
        }
        Ok(())
    }

    /// Whether the agent has what is asked for the caller, for whom less is asked the longer he waits. The owner may have
    /// heard of him up to `late` after he came.
    fn suits(&self, owner: Owner<'_>, call: CallId, agent: &AgentId, late: Duration) -> bool {
        let rule = &owner.config.skills;
        let Some(came) = self.came.get(&(owner.id.clone(), call)) else { return false };
        if owner.config.strategy != Strategy::Skills {
            return true;
        }
        let waited = owner.now.since(came.entered).saturating_sub(late);
        let steps = rule.relax.map_or(0, |every| waited.as_millis() / every.as_millis());
        let wanted = rule.wanted.and(&came.skills).relaxed(u32::try_from(steps).unwrap_or(u32::MAX), rule.least);
        rule.agents.get(agent).is_some_and(|can| can.suit(&wanted).is_some())
    }

    fn stands_before(&self, owner: Owner<'_>, left: &[OpenCaller], first: &OpenCaller, second: &OpenCaller) -> bool {
        let entered_here = !first.came_over && !second.came_over;
        match owner.config.ranking.ageing {
            _ if first.priority == second.priority && entered_here => self.came_before(owner, first.call, second.call),
            None if first.priority != second.priority => first.priority > second.priority,
            ageing => {
                if !first.came_over && self.is_hidden(owner, left, first) {
                    return false;
                }
                let stands = |caller: &OpenCaller, late: Duration| {
                    let began = self.came.get(&(owner.id.clone(), caller.call))?.began + late;
                    let step = i128::try_from(ageing.unwrap_or_default().as_micros()).ok()?;
                    let began = i128::try_from(began.since(Moment::START).as_micros()).ok()?;
                    Some(began - step * i128::from(caller.priority))
                };
                stands(first, owner.delay).zip(stands(second, Duration::ZERO)).is_some_and(|(a, b)| a < b)
            }
        }
    }

    /// Where the order of entry is not the order of the waits, the first by entry stands for those behind him. All at once
    /// that may be one whose phones ring already, for whom more could ring.
    fn is_hidden(&self, owner: Owner<'_>, left: &[OpenCaller], caller: &OpenCaller) -> bool {
        let hides = |other: &OpenCaller| {
            !other.came_over && other.priority == caller.priority && other.sequence < caller.sequence
        };
        let rings = |(queue, call, sequence): &(QueueId, CallId, Sequence)| {
            let came = self.came.get(&(queue.clone(), *call));
            queue == owner.id
                && *sequence < caller.sequence
                && came.is_some_and(|came| came.began == came.entered && came.priority == caller.priority)
        };
        self.open.iter().chain(left).any(hides)
            || self.meanwhile.iter().any(|sequence| *sequence < caller.sequence)
            || owner.config.strategy == Strategy::AllAtOnce && self.told.keys().any(rings)
    }

    /// An owner and its predecessor may both have given a caller his place; then the one who offers is right to follow
    /// its own book, and the next owner will follow the ticket.
    fn came_before(&self, owner: Owner<'_>, first: CallId, second: CallId) -> bool {
        let settled = |call: CallId| self.settled.get(&(owner.id.clone(), call)).copied();
        let own = |call: CallId| self.given.get(&(owner.id.clone(), call, owner.epoch)).copied();
        let by = |entry: &dyn Fn(CallId) -> Option<Entry>, or: &dyn Fn(CallId) -> Option<Entry>| {
            let (first, second) = (entry(first).or_else(|| or(first)), entry(second).or_else(|| or(second)));
            first.zip(second).is_some_and(|(first, second)| first < second)
        };
        by(&settled, &own) && by(&own, &settled)
    }
}
