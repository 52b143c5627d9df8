//! A quiet day: nothing is lost and nothing breaks. The production machines decide; callers and agents do as they are told.

use std::collections::{HashMap, HashSet};
use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

use carillon_acd::agent::Agent;
use carillon_acd::call;
use carillon_acd::ids::{AgentId, CallId, Epoch, LegId, NodeId};
use carillon_acd::leg::{CallerId, Cause, Incoming, LegCommand, LegEvent, Playback};
use carillon_acd::record::Record;
use carillon_acd::stats::{Books, Definitions, Period, Sheet, Spends, of_record};
use carillon_acd::time::Moment;
use carillon_acd::view::AgentCommand;

use crate::center::{Arrival, Center, Habits};
use crate::engine::{Engine, Outside};

/// A sound of unknown length plays for so long.
const SOUND: Duration = Duration::from_secs(5);

/// Nothing is lost on a quiet day, so a lease of 30 s is renewed when it must be; it decides nothing.
const RENEW: Duration = Duration::from_secs(25);

/// How long after its last caller a day may last: longer than any limit of a queue.
const EVENING: Duration = Duration::from_secs(24 * 3600);

/// What a day came to.
#[derive(Clone, Debug, Default)]
pub struct Result {
    /// The sums of every queue, agent and number.
    pub books: Books,
    /// Events that the machines took in.
    pub events: u64,
}

/// Runs one day. `arrivals` come in the order of their times; `record` is shown every call's record when the call is
/// over. The calls are numbered in the order of their arrival, from 1.
pub fn run(
    center: &Center,
    definitions: &Definitions,
    habits: &Habits,
    arrivals: impl Iterator<Item = Arrival>,
    seed: u64,
    record: impl FnMut(&Record),
) -> Result {
    let calls = call::Config { renew: RENEW, ..center.calls.clone() };
    let mut engine = Engine::new(Arc::clone(&center.routing), Arc::new(calls));
    let mut day = Day {
        began: engine.now(),
        definitions,
        answer_after: habits.answer_after,
        arrivals: arrivals.peekable(),
        record,
        number: 0,
        last: engine.now(),
        people: HashMap::new(),
        legs: HashSet::new(),
        sheets: HashMap::new(),
        periods: Vec::new(),
        books: Books::default(),
    };
    day.open(&mut engine, center, habits, seed);
    while day.arrivals.peek().is_some() || (!day.people.is_empty() && engine.now() < day.last + EVENING) {
        let next = engine.now() + Duration::from_secs(600);
        engine.run_until(&mut day, next);
    }
    day.close(&engine);
    Result { books: day.books, events: engine.steps() }
}

enum Planned {
    Arrival,
    GivesUp(CallId),
    Asks(AgentId, AgentCommand),
}

struct Person {
    talk: Duration,
    connected: bool,
}

/// A sheet wants to be shown at least so often what has not changed.
const QUARTER: Duration = Duration::from_secs(15 * 60);

/// An agent's time sheet, and what it was told last.
#[derive(Default)]
struct Told {
    sheet: Sheet,
    does: Option<Spends>,
    at: Moment,
}

struct Day<'a, I: Iterator<Item = Arrival>, R> {
    began: Moment,
    definitions: &'a Definitions,
    answer_after: Duration,
    arrivals: Peekable<I>,
    record: R,
    number: u64,
    last: Moment,
    people: HashMap<CallId, Person>,
    legs: HashSet<LegId>,
    sheets: HashMap<AgentId, Told>,
    periods: Vec<Period>,
    books: Books,
}

impl<I: Iterator<Item = Arrival>, R: FnMut(&Record)> Day<'_, I, R> {
    fn open(&mut self, engine: &mut Engine<Planned>, center: &Center, habits: &Habits, seed: u64) {
        for (queue, config) in &center.queues {
            engine.own_queue(queue.clone(), config.clone(), Epoch(1), seed, Duration::ZERO);
        }
        for (agent, config) in &center.agents {
            engine.own_agent(agent.clone(), config.clone(), Epoch(1), Duration::ZERO);
        }
        let mut shifts: Vec<_> = habits.shifts.iter().collect();
        shifts.sort_by_key(|shift| shift.from);
        for shift in shifts {
            if shift.from > Duration::ZERO {
                engine.plan(Duration::ZERO, Planned::Asks(shift.agent.clone(), AgentCommand::LogOut));
                engine.plan(shift.from, Planned::Asks(shift.agent.clone(), AgentCommand::Ready));
            }
            engine.plan(shift.until, Planned::Asks(shift.agent.clone(), AgentCommand::LogOut));
        }
        self.next_arrival(engine);
    }

    fn next_arrival(&mut self, engine: &mut Engine<Planned>) {
        if let Some(next) = self.arrivals.peek() {
            engine.plan((self.began + next.at).since(engine.now()), Planned::Arrival);
        }
    }

    fn caller_comes(&mut self, engine: &mut Engine<Planned>) {
        let Some(Arrival { source, dialled, patience, talk, .. }) = self.arrivals.next() else { return };
        self.number += 1;
        self.last = engine.now();
        let call = CallId { node: NodeId(1), boot: 1, number: self.number };
        self.people.insert(call, Person { talk, connected: false });
        if let Some(patience) = patience {
            engine.plan(patience, Planned::GivesUp(call));
        }
        let caller = CallerId::default();
        let incoming = Incoming { call, source, to_user: dialled.clone(), dialled, caller };
        engine.call(incoming, Duration::ZERO);
        self.next_arrival(engine);
    }

    fn dials(&mut self, engine: &mut Engine<Planned>, leg: LegId, ring_for: Duration) {
        self.legs.insert(leg);
        engine.report(Duration::ZERO, leg, LegEvent::Alerting { early_media: false });
        if self.answer_after < ring_for {
            engine.report(self.answer_after, leg, LegEvent::Answered);
        } else {
            engine.report(ring_for, leg, LegEvent::Failed(Cause::NoAnswer));
        }
    }

    fn connected(&mut self, engine: &mut Engine<Planned>, with: LegId) {
        if let Some(person) = self.people.get_mut(&with.call) {
            person.connected = true;
            engine.report(person.talk, with, LegEvent::Ended(Cause::Normal));
        }
    }

    /// The end of the day: whatever agents do is over.
    fn close(&mut self, engine: &Engine<Planned>) {
        let now = engine.clock(Duration::ZERO).wall;
        for (agent, told) in &mut self.sheets {
            told.sheet.note(now, agent, None, [], &mut self.periods);
        }
        self.post_periods();
    }

    fn post_periods(&mut self) {
        let mut facts = Vec::new();
        for period in self.periods.drain(..) {
            period.facts(&mut facts);
        }
        facts.iter().for_each(|fact| self.books.post(fact));
    }
}

impl<I: Iterator<Item = Arrival>, R: FnMut(&Record)> Outside for Day<'_, I, R> {
    type Event = Planned;

    fn happens(&mut self, engine: &mut Engine<Planned>, event: Planned) {
        match event {
            Planned::Arrival => self.caller_comes(engine),
            Planned::GivesUp(call) => {
                if self.people.get(&call).is_some_and(|person| !person.connected) {
                    engine.report(Duration::ZERO, LegId::caller(call), LegEvent::Ended(Cause::Normal));
                }
            }
            Planned::Asks(agent, command) => engine.command(agent, command),
        }
    }

    fn command(&mut self, engine: &mut Engine<Planned>, leg: LegId, command: LegCommand) {
        match command {
            LegCommand::Dial { ring_for, .. } => self.dials(engine, leg, ring_for),
            LegCommand::Bridge { with } => self.connected(engine, with),
            LegCommand::HangUp(_) => {
                self.legs.remove(&leg);
            }
            LegCommand::Play(Playback::Sound(_) | Playback::Done | Playback::Declined) => {
                engine.report(SOUND, leg, LegEvent::PlayFinished)
            }
            LegCommand::Ring
            | LegCommand::Answer
            | LegCommand::Play(Playback::Ringing | Playback::Music)
            | LegCommand::StopPlaying
            | LegCommand::Unbridge
            // Nobody dials codes on such a day, and its edge never dies.
            | LegCommand::Adopt { .. }
            | LegCommand::Revive { .. } => {}
        }
    }

    fn reports(&mut self, _engine: &Engine<Planned>, leg: LegId, event: &LegEvent) -> bool {
        match event {
            _ if leg.n == 0 => self.people.contains_key(&leg.call),
            LegEvent::Failed(_) | LegEvent::Ended(_) => self.legs.remove(&leg),
            LegEvent::Alerting { .. }
            | LegEvent::Answered
            | LegEvent::TakenOver { .. }
            | LegEvent::Digit(_)
            | LegEvent::PlayFinished
            | LegEvent::Held
            | LegEvent::Resumed => self.legs.contains(&leg),
        }
    }

    fn finished(&mut self, _engine: &mut Engine<Planned>, record: Record) {
        self.people.remove(&record.call);
        of_record(self.definitions, &record).iter().for_each(|fact| self.books.post(fact));
        (self.record)(&record);
    }

    fn agent_is(&mut self, engine: &Engine<Planned>, id: &AgentId, agent: &Agent) {
        let (now, does) = (engine.now(), agent.spends());
        let told = match self.sheets.get_mut(id) {
            Some(told) if told.does == does && now.since(told.at) < QUARTER => return,
            Some(told) => told,
            None => self.sheets.entry(id.clone()).or_default(),
        };
        (told.does, told.at) = (does.clone(), now);
        let wall = engine.clock(Duration::ZERO).wall;
        told.sheet.note(wall, id, does, agent.logged_in_to().cloned(), &mut self.periods);
        self.post_periods();
    }
}
