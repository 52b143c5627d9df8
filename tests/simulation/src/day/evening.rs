//! What must be so in the end, and that nobody is forgotten before it.

use std::collections::BTreeMap;
use std::time::Duration;

use carillon_acd::ids::{CallId, QueueId};
use carillon_acd::invariant;
use carillon_acd::record::{Happened, Record, Transition};
use carillon_acd::stats::{self, Books, Definitions, Subject};
use carillon_acd::view::{Activity, Stage};
use carillon_simulate::engine::Engine;

use super::{Day, Planned};
use crate::center::CALLBACK;

/// A caller whom the owner of his queue has not known for so long is lost: 40 s during which they may be cut off, and 12
/// tickets. With a fifth of all messages lost, they are all lost once in 10^8 times.
const LOST_AFTER: Duration = Duration::from_secs(100);

impl Day {
    /// No caller is lost between the queue and the agents: the owner of his queue knows everybody who waits.
    pub(super) fn look_for_lost_callers(&mut self, engine: &Engine<Planned>) {
        let now = engine.clock(Duration::ZERO);
        let waits: BTreeMap<CallId, QueueId> = engine
            .calls()
            .map(|call| call.view(now))
            .filter(|view| view.stage == Stage::Waiting)
            .filter_map(|view| Some((view.call, view.queue?)))
            .collect();
        self.unknown_since.retain(|call, _| waits.contains_key(call));
        for (call, queue) in waits {
            if engine.newest(&queue).is_some_and(|(_, owner)| owner.knows(call)) {
                self.unknown_since.remove(&call);
            } else if engine.now().since(*self.unknown_since.entry(call).or_insert(engine.now())) > LOST_AFTER {
                self.broke(Err(format!("{call} waits for {queue}, whose owner does not know it")));
            }
        }
    }

    /// Everybody has gone home, everybody is accounted for.
    pub(super) fn check_the_end(&mut self, engine: &Engine<Planned>) {
        if self.broken.is_some() {
            return;
        }
        let waits: Vec<CallId> = engine.calls().map(carillon_acd::call::Call::id).collect();
        if !waits.is_empty() {
            return self.broke(Err(format!("calls never ended: {waits:?}")));
        }
        let left = self.phones.left();
        if !left.is_empty() {
            return self.broke(Err(format!("legs were forgotten: {left:?}")));
        }
        for (id, _, agent) in engine.agents() {
            if agent.activity() != Activity::Idle {
                self.broke(Err(format!("{id} is {:?} with {:?}, which is over", agent.activity(), agent.call())));
            }
        }
        for (id, epoch, queue) in engine.owners() {
            let view = queue.view(engine.clock(Duration::ZERO));
            let waiting = view.waiting + view.callbacks;
            if waiting > 0 {
                self.broke(Err(format!("{waiting} ghosts wait at {epoch} of {id}")));
            }
        }
        self.broke(invariant::one_record_per_call(&self.started, &self.records));
        self.broke(self.check_counters(engine));
    }

    /// What an owner of a queue has counted is what happened to the calls, as their records tell it: to the unit on a calm
    /// day on which nothing is lost, otherwise never more. Who left no record may have been counted all the same.
    fn check_counters(&self, engine: &Engine<Planned>) -> Result<(), String> {
        let exact = self.calm && self.lost == 0;
        let mut books = Books::default();
        let facts = self.records.iter().flat_map(|record| stats::of_record(&Definitions::default(), record));
        facts.for_each(|fact| books.post(&fact));
        for (id, epoch, owner) in engine.owners() {
            let view = owner.view(engine.clock(Duration::ZERO));
            let tally = books.whole().find(|(subject, _)| **subject == Subject::Queue(id.clone()));
            let tally = tally.map(|(_, tally)| *tally).unwrap_or_default();
            let abandoned = tally.abandoned + tally.abandoned_short + tally.lost;
            let counted = [view.offered, view.answered, view.abandoned, view.overflowed];
            let happened = [tally.offered, tally.answered, abandoned, tally.flowed_out()];
            let fits = |(counted, happened): (&u64, &u64)| match exact {
                true => counted == happened,
                false => *counted <= happened + self.without_record,
            };
            if !counted.iter().zip(&happened).all(fits) {
                return Err(format!("{epoch} of {id} counted {counted:?}, but {happened:?} happened"));
            }
        }
        Ok(())
    }
}

/// UN-7: a callback calls its client, and him alone, as often as is configured.
pub(super) fn clients_are_called_as_often_as_configured(record: &Record) -> Result<(), String> {
    let asked = |step: &Transition| matches!(&step.what, Happened::LeftQueue { why, .. } if why == "callback");
    let Some(at) = record.transitions.iter().position(asked) else { return Ok(()) };
    let called = record.transitions[at..].iter().filter_map(|step| match &step.what {
        Happened::Dialled { number: Some(number), .. } => Some(number.as_str()),
        _ => None,
    });
    let called: Vec<&str> = called.collect();
    if called.len() > usize::from(CALLBACK.attempts) || called.iter().any(|number| *number != record.caller.number) {
        return Err(format!("the callback {} to {} has called {called:?}", record.call, record.caller.number));
    }
    Ok(())
}
