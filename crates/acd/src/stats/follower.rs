//! From the transitions of one call to what they add.

use super::{Definitions, Fact, FlowOut, Subject, Tally};
use crate::call::LEFT_FOR_CALLBACK;
use crate::ids::{AgentId, LegId, NumberId, QueueId};
use crate::leg::Cause;
use crate::record::{Happened, Outcome, Record, Transition};
use crate::time::WallTime;

/// Reads the transitions of one call, in order, each once: as they happen, from its record, or the rest from its record.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    read: usize,
    number: Option<NumberId>,
    /// When the call first reached a queue or a phone.
    reached: Option<WallTime>,
    /// The queue that it is in, since when.
    visit: Option<(QueueId, WallTime)>,
    /// The last queue and the entry into it, for what is known only at the end.
    last: Option<(QueueId, WallTime)>,
    /// He has left his last queue to be called back: the conversation is still its agents' work.
    called_back: bool,
    /// Whether the caller is accounted for: answered, gone or lost.
    settled: bool,
    rings: Vec<Ring>,
    talk: Option<Talk>,
    /// Why the caller's leg ended.
    caller_ended: Option<Cause>,
}

/// The phones of one agent.
#[derive(Clone, Debug)]
struct Ring {
    agent: AgentId,
    began: WallTime,
    legs: Vec<LegId>,
    rang: bool,
}

#[derive(Clone, Debug)]
struct Talk {
    leg: LegId,
    agent: Option<(AgentId, WallTime)>,
    queue: Option<(QueueId, WallTime)>,
    began: WallTime,
    /// The sides that hold the other.
    holding: Vec<LegId>,
    held_since: WallTime,
    hold: u64,
}

/// Writes facts; knows the definitions.
struct Pen<'a> {
    definitions: &'a Definitions,
    out: &'a mut Vec<Fact>,
}

impl Pen<'_> {
    fn add(&mut self, subject: Subject, at: WallTime, adds: Tally) {
        self.out.push(Fact { subject, at, adds });
    }

    fn answered(&self, queue: Option<&QueueId>, wait: u64) -> Tally {
        let within = u64::from(wait <= micros(self.definitions.of(queue).threshold));
        Tally { answered: 1, answered_within: within, wait, longest_wait: wait, ..Tally::default() }
    }

    fn abandoned(&self, queue: Option<&QueueId>, wait: u64) -> Tally {
        let level = self.definitions.of(queue);
        let short = u64::from(wait <= micros(level.short_abandon));
        let within = u64::from(wait <= micros(level.threshold));
        Tally {
            abandoned: 1 - short,
            abandoned_short: short,
            abandoned_within: within,
            longest_wait: wait,
            ..Tally::default()
        }
    }
}

impl Follower {
    /// Takes in what has happened since the last time: `transitions` are all of the call so far.
    pub fn follow(
        &mut self,
        definitions: &Definitions,
        number: Option<&NumberId>,
        transitions: &[Transition],
        out: &mut Vec<Fact>,
    ) {
        let mut pen = Pen { definitions, out };
        for transition in transitions.get(self.read..).unwrap_or_default() {
            // The number is known with the first transition, the routing.
            if self.number.is_none() {
                self.number = number.cloned();
            }
            self.step(transition, &mut pen);
            self.read += 1;
        }
    }

    /// Takes in what is left, and the end.
    pub fn finish(mut self, definitions: &Definitions, record: &Record, out: &mut Vec<Fact>) {
        self.follow(definitions, record.number.as_ref(), &record.transitions, out);
        self.close(record, &mut Pen { definitions, out });
    }

    fn step(&mut self, transition: &Transition, pen: &mut Pen<'_>) {
        let at = transition.at;
        match &transition.what {
            Happened::Enqueued { queue, .. } => self.enters(queue, at, pen),
            Happened::LeftQueue { queue, why } => self.leaves(queue, why, at, pen),
            Happened::Dialled { leg, agent: Some(agent), .. } | Happened::PickedUp { leg, agent, .. } => {
                self.rings(*leg, agent, at, pen)
            }
            Happened::ReservationRefused { .. } => self.reaches(at, pen),
            Happened::Alerting { leg } => {
                if let Some(ring) = self.rings.iter_mut().find(|ring| ring.legs.contains(leg)) {
                    ring.rang = true;
                }
            }
            Happened::NotAnswered { leg, cause, .. } => self.not_answered(*leg, *cause, pen),
            Happened::Connected { leg, agent } => self.connects(*leg, agent.as_ref(), at, pen),
            Happened::Held { leg } => self.holds(*leg, at),
            Happened::Resumed { leg } => self.resumes(*leg, at),
            Happened::LegEnded { leg, cause } => {
                if *leg == LegId::caller(leg.call) {
                    self.caller_ended = Some(*cause);
                }
                if self.talk.as_ref().is_some_and(|talk| talk.leg == *leg) || *leg == LegId::caller(leg.call) {
                    self.ends_talk(at, pen);
                }
            }
            Happened::Stopped { .. } => self.ends_talk(at, pen),
            // Nobody is to blame for a phone whose edge died.
            Happened::Moved { .. } => self.rings.clear(),
            // A dialled number outside belongs to no agent.
            Happened::Dialled { agent: None, .. }
            | Happened::Routed { .. }
            | Happened::Playing { .. }
            | Happened::CallerAnswered
            | Happened::Offered { .. }
            | Happened::Commanded { .. }
            | Happened::TakenOver { .. }
            | Happened::Digit { .. } => {}
        }
    }

    /// The call is offered to its number's target for the first time.
    fn reaches(&mut self, at: WallTime, pen: &mut Pen<'_>) {
        if self.reached.is_none() {
            self.reached = Some(at);
            self.number(pen, Tally { offered: 1, ..Tally::default() });
        }
    }

    fn enters(&mut self, queue: &QueueId, at: WallTime, pen: &mut Pen<'_>) {
        // Written again when the place is known, which may be after he has asked to be called back.
        let visit = if self.called_back { &self.last } else { &self.visit };
        if visit.as_ref().is_some_and(|(visited, _)| visited == queue) {
            return;
        }
        self.reaches(at, pen);
        self.visit = Some((queue.clone(), at));
        self.last = self.visit.clone();
        pen.add(Subject::Queue(queue.clone()), at, Tally { offered: 1, ..Tally::default() });
    }

    fn leaves(&mut self, queue: &QueueId, why: &str, at: WallTime, pen: &mut Pen<'_>) {
        let Some((visited, entered)) = self.visit.take().filter(|(visited, _)| visited == queue) else { return };
        let wait = between(entered, at);
        self.called_back = why == LEFT_FOR_CALLBACK;
        let broken = matches!(self.caller_ended, Some(Cause::MediaTimeout | Cause::SignallingTimeout));
        let (queue_adds, settles) = match why {
            "caller left" if !broken => (pen.abandoned(Some(queue), wait), true),
            "caller left" | "call ended" => (Tally { lost: 1, longest_wait: wait, ..Tally::default() }, true),
            rule => (Tally { longest_wait: wait, ..Tally::flow_out(FlowOut::read(rule)) }, false),
        };
        pen.add(Subject::Queue(visited), entered, queue_adds);
        let number_adds = match (settles, queue_adds.lost) {
            (false, _) => Tally { longest_wait: 0, ..queue_adds },
            (true, 0) => pen.abandoned(Some(queue), self.waited(at)),
            (true, _) => Tally { lost: 1, longest_wait: self.waited(at), ..Tally::default() },
        };
        self.settled |= settles;
        self.number(pen, number_adds);
    }

    fn rings(&mut self, leg: LegId, agent: &AgentId, at: WallTime, pen: &mut Pen<'_>) {
        self.reaches(at, pen);
        // All phones of one ring are dialled at one moment.
        match self.rings.iter_mut().find(|ring| ring.agent == *agent && ring.began == at) {
            Some(ring) => ring.legs.push(leg),
            None => {
                self.rings.push(Ring { agent: agent.clone(), began: at, legs: vec![leg], rang: false });
                pen.add(Subject::Agent(agent.clone()), at, Tally { offered: 1, ..Tally::default() });
            }
        }
    }

    /// With the last of his phones the agent has missed the call, if one of them rang (Spec: QU-3).
    fn not_answered(&mut self, leg: LegId, cause: Cause, pen: &mut Pen<'_>) {
        let Some(place) = self.rings.iter().position(|ring| ring.legs.contains(&leg)) else { return };
        let ring = &mut self.rings[place];
        ring.legs.retain(|other| *other != leg);
        ring.rang |= matches!(cause, Cause::Busy | Cause::Declined);
        if ring.legs.is_empty() {
            let ring = self.rings.remove(place);
            let adds = Tally { missed: u64::from(ring.rang), ..Tally::default() };
            pen.add(Subject::Agent(ring.agent), ring.began, adds);
        }
    }

    fn connects(&mut self, leg: LegId, agent: Option<&AgentId>, at: WallTime, pen: &mut Pen<'_>) {
        let queue = self.visit.take();
        if let Some((queue, entered)) = &queue {
            let adds = pen.answered(Some(queue), between(*entered, at));
            pen.add(Subject::Queue(queue.clone()), *entered, adds);
        }
        if self.reached.is_some() {
            let measured_by = self.last.as_ref().map(|(queue, _)| queue);
            let adds = pen.answered(measured_by, self.waited(at));
            self.number(pen, adds);
        }
        // Answered was the visit that ended with it; a callback ended its visit before (Spec: PL-5).
        let queue = queue.or_else(|| self.last.clone().filter(|_| self.called_back));
        let ring = self.rings.iter().find(|ring| ring.legs.contains(&leg));
        let agent = agent.map(|agent| (agent.clone(), ring.map_or(at, |ring| ring.began)));
        if let Some((agent, began)) = &agent {
            let wait = between(*began, at);
            let adds = Tally { answered: 1, wait, longest_wait: wait, ..Tally::default() };
            pen.add(Subject::Agent(agent.clone()), *began, adds);
        }
        self.settled = true;
        self.rings.clear();
        self.talk = Some(Talk { leg, agent, queue, began: at, holding: Vec::new(), held_since: at, hold: 0 });
    }

    fn holds(&mut self, leg: LegId, at: WallTime) {
        let Some(talk) = &mut self.talk else { return };
        if talk.holding.is_empty() {
            talk.held_since = at;
        }
        if !talk.holding.contains(&leg) {
            talk.holding.push(leg);
        }
    }

    fn resumes(&mut self, leg: LegId, at: WallTime) {
        let Some(talk) = &mut self.talk else { return };
        let held = !talk.holding.is_empty();
        talk.holding.retain(|other| *other != leg);
        if held && talk.holding.is_empty() {
            talk.hold += between(talk.held_since, at);
        }
    }

    fn ends_talk(&mut self, at: WallTime, pen: &mut Pen<'_>) {
        let Some(mut talk) = self.talk.take() else { return };
        if !talk.holding.is_empty() {
            talk.hold += between(talk.held_since, at);
        }
        let talked = between(talk.began, at).saturating_sub(talk.hold);
        let adds = Tally { handled: 1, talk: talked, hold: talk.hold, ..Tally::default() };
        if let Some((queue, entered)) = talk.queue {
            pen.add(Subject::Queue(queue), entered, adds);
        }
        if let Some((agent, began)) = talk.agent {
            pen.add(Subject::Agent(agent), began, adds);
        }
        if self.reached.is_some() {
            self.number(pen, adds);
        }
    }

    /// What only the end tells: that nobody answered, and whose rule it was.
    fn close(mut self, record: &Record, pen: &mut Pen<'_>) {
        self.ends_talk(record.ended, pen);
        if self.settled || matches!(record.outcome, Outcome::Refused) {
            return;
        }
        if record.outcome == Outcome::Missed {
            // A number whose target could not even be asked has missed the call all the same.
            self.reaches(record.ended, pen);
            if let Some((queue, entered)) = self.last.take() {
                pen.add(Subject::Queue(queue), entered, Tally { missed: 1, ..Tally::default() });
            }
        }
        if self.reached.is_none() {
            return;
        }
        let wait = self.waited(record.ended);
        let adds = match record.outcome {
            Outcome::Missed => Tally { missed: 1, longest_wait: wait, ..Tally::default() },
            Outcome::Abandoned => pen.abandoned(self.last.as_ref().map(|(queue, _)| queue), wait),
            Outcome::Answered | Outcome::Refused | Outcome::Failed | Outcome::Done => {
                Tally { lost: 1, longest_wait: wait, ..Tally::default() }
            }
        };
        self.number(pen, adds);
    }

    fn waited(&self, at: WallTime) -> u64 {
        self.reached.map_or(0, |reached| between(reached, at))
    }

    fn number(&self, pen: &mut Pen<'_>, adds: Tally) {
        if let (Some(number), Some(reached)) = (&self.number, self.reached) {
            pen.add(Subject::Number(number.clone()), reached, adds);
        }
    }
}

/// Zero when a clock was set back in between.
fn between(from: WallTime, to: WallTime) -> u64 {
    u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0)
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
