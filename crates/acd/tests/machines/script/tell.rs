//! What has happened, in the words of a call center.

use std::time::Duration;

use carillon_acd::call::{self, FromQueue};
use carillon_acd::ids::{AgentId, LegId};
use carillon_acd::leg::{Cause, DialTarget, LegCommand, Location, Playback};
use carillon_acd::record::{Happened, Outcome, Record};
use carillon_acd::stats::{self, Books, Definitions, FlowOut, Subject, Tally};
use carillon_acd::time::Moment;
use carillon_acd::view::{Activity, Availability};

use super::Script;
use crate::world::Seen;

fn words(cause: Cause) -> String {
    format!("{cause:?}").chars().fold(String::new(), |mut text, c| {
        if c.is_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.extend(c.to_lowercase());
        text
    })
}

fn activity(activity: Activity) -> &'static str {
    match activity {
        Activity::Idle => "idle",
        Activity::Reserved => "reserved",
        Activity::Talking => "talking",
        Activity::WrapUp => "in wrap-up",
    }
}

fn time(duration: Duration) -> String {
    let (s, ms) = (duration.as_secs(), duration.subsec_millis());
    if ms == 0 { format!("{}:{:02}", s / 60, s % 60) } else { format!("{}:{:02}.{ms:03}", s / 60, s % 60) }
}

impl Script {
    pub(super) fn note_activities(&mut self) {
        let world = self.world();
        self.activities = world.agents.iter().map(|(id, agent)| (id.clone(), agent.activity())).collect();
    }

    pub(super) fn tell(&mut self) {
        let seen = std::mem::take(&mut self.world().seen);
        for (at, seen) in seen {
            if let Some(line) = self.line(&seen) {
                self.push(at, &line);
            }
        }
        let now = self.world().now;
        let before = std::mem::take(&mut self.activities);
        self.note_activities();
        let changed: Vec<String> = before
            .iter()
            .zip(&self.activities)
            .filter(|(before, after)| before != after)
            .map(|(_, (id, after))| format!("{} is {}", id.name, activity(*after)))
            .collect();
        changed.iter().for_each(|line| self.push(now, line));
    }

    fn push(&mut self, at: Moment, line: &str) {
        let at = time(at.since(self.began));
        self.lines.push(format!("{at}  {line}"));
    }

    fn line(&mut self, seen: &Seen) -> Option<String> {
        match seen {
            Seen::Leg(leg, command) if leg.n == 0 => self.caller_line(*leg, command),
            Seen::Leg(leg, command) => self.phone_line(*leg, command),
            Seen::Finished(record) => Some(record_line(record)),
            Seen::ToCall(call, call::Event::Queue(queue, FromQueue::Overflow { overflow, .. })) => {
                let line = format!("call {} must leave {}: {}", call.number, queue.name, overflow.why);
                // The queue repeats it until it hears that the call has left.
                self.told.insert(line.clone()).then_some(line)
            }
            // The first owner has epoch 1.
            Seen::ToCall(call, call::Event::Queue(queue, FromQueue::Offer(offer)))
                if self.world.as_ref().is_some_and(|world| world.has_two_owners(queue)) =>
            {
                let agents: Vec<&str> = offer.agents.iter().map(|offered| offered.agent.name.as_str()).collect();
                let owner = if offer.id.epoch.0 > self.epoch { "new" } else { "old" };
                Some(format!(
                    "the {owner} owner of {} offers {} for call {}",
                    queue.name,
                    agents.join(", "),
                    call.number
                ))
            }
            Seen::ToCall(..) | Seen::Agent(..) | Seen::Queue(..) => None,
        }
    }

    fn caller_line(&self, leg: LegId, command: &LegCommand) -> Option<String> {
        let call = leg.call.number;
        match command {
            LegCommand::Ring | LegCommand::Play(Playback::Ringing) => Some(format!("call {call} hears ringing")),
            LegCommand::Answer => Some(format!("call {call} is answered by us")),
            LegCommand::Play(Playback::Done) => Some(format!("call {call} hears that it is done")),
            LegCommand::Play(Playback::Declined) => Some(format!("call {call} hears that it is declined")),
            LegCommand::Play(Playback::Music) => Some(format!("call {call} hears music")),
            LegCommand::Play(Playback::Sound(sound)) => Some(format!("call {call} hears {}", sound.name)),
            LegCommand::Bridge { with } => Some(format!("call {call} and {} hear each other", self.names.get(with)?)),
            LegCommand::HangUp(cause) => Some(format!("call {call} is hung up: {}", words(*cause))),
            LegCommand::StopPlaying
            | LegCommand::Unbridge
            | LegCommand::Dial { .. }
            | LegCommand::Adopt { .. }
            | LegCommand::Revive { .. } => None,
        }
    }

    /// A hung-up leg is forgotten by the phones before it is told of, so the names come from the dialling.
    fn phone_line(&mut self, leg: LegId, command: &LegCommand) -> Option<String> {
        match command {
            LegCommand::Dial { target, ring_for, caller, .. } => {
                let name = target_name(target);
                if matches!(target, DialTarget::Device { device, .. } if self.world().phones.dead.contains(&device.agent))
                {
                    return Some(format!("{name} cannot be reached for call {}", leg.call.number));
                }
                self.names.insert(leg, name.clone());
                let shown = match target {
                    DialTarget::Device { at, .. } => through(leg, at),
                    DialTarget::Trunk { .. } => format!(", showing {}", caller.number),
                };
                Some(format!("{name} rings for call {}, for {} s{shown}", leg.call.number, ring_for.as_secs()))
            }
            LegCommand::Adopt { from } => {
                let name = self.callers.get(from).cloned().unwrap_or_default();
                self.names.insert(leg, name.clone());
                Some(format!("{name} goes over from call {} to call {}", from.call.number, leg.call.number))
            }
            LegCommand::Play(Playback::Ringing) => Some(format!("{} hears ringing", self.names.get(&leg)?)),
            LegCommand::Bridge { with } => {
                Some(format!("{} and {} hear each other", self.names.get(&leg)?, self.names.get(with)?))
            }
            LegCommand::HangUp(cause) => Some(format!("{} is hung up: {}", self.names.get(&leg)?, words(*cause))),
            LegCommand::Ring
            | LegCommand::Answer
            | LegCommand::Play(_)
            | LegCommand::StopPlaying
            | LegCommand::Unbridge
            | LegCommand::Revive { .. } => None,
        }
    }

    pub(super) fn show_agents(&mut self) -> Result<(), String> {
        let world = self.world();
        let now = world.clock();
        let mut lines = Vec::new();
        for (id, agent) in &world.agents {
            let view = agent.view(now);
            let availability = match view.availability {
                Availability::LoggedOut => "logged out",
                Availability::Ready => "ready",
                Availability::OnBreak => "on break",
            };
            lines.push(format!("{}: {availability}, {}", id.name, activity(view.activity)));
        }
        self.lines.extend(lines);
        Ok(())
    }

    pub(super) fn show_places(&mut self) -> Result<(), String> {
        let world = self.world();
        let now = world.clock();
        let mut lines = Vec::new();
        for (call, place) in world.queues.values().flat_map(|queue| queue.places(now)) {
            let rounded = |wait: Duration| time(Duration::from_secs(wait.as_secs()));
            let estimate = place.estimate.map_or_else(
                || "nobody knows how long".to_owned(),
                |e| format!("about {} more, {} to {}", rounded(e.wait), rounded(e.at_least), rounded(e.at_most)),
            );
            lines.push(format!("call {} is number {}: {estimate}", call.number, place.position));
        }
        self.lines.extend(lines);
        Ok(())
    }

    /// The sums of the calls that are over, from their records.
    pub(super) fn show_statistics(&mut self) -> Result<(), String> {
        let definitions = Definitions::default();
        let mut books = Books::default();
        for record in &self.world().records {
            stats::of_record(&definitions, record).iter().for_each(|fact| books.post(fact));
        }
        for (subject, tally) in books.whole() {
            let line = statistics_line(subject, tally);
            self.lines.push(line);
        }
        Ok(())
    }

    /// The words of a record that explain its way.
    pub(super) fn show_last_record(&mut self) -> Result<(), String> {
        let record = self.world().records.last().ok_or("no call is over")?;
        let words = |what: &Happened| match what {
            Happened::Routed { why } => Some(format!("record: {why}")),
            Happened::LeftQueue { queue, why } => Some(format!("record: left {}: {why}", queue.name)),
            Happened::Stopped { why } => Some(format!("record: stopped: {why}")),
            _ => None,
        };
        let lines: Vec<String> = record.transitions.iter().filter_map(|t| words(&t.what)).collect();
        self.lines.extend(lines);
        Ok(())
    }

    pub(super) fn show_queues(&mut self) -> Result<(), String> {
        let world = self.world();
        let now = world.clock();
        let mut lines = Vec::new();
        for (id, queue) in &world.queues {
            let view = queue.view(now);
            lines.push(format!(
                "{}: {} waiting ({} being offered, longest {}){}, {} of {} agents logged in, {} free; offered {} = answered {} + \
                 abandoned {} + overflowed {} + waiting",
                id.name,
                view.waiting,
                view.offered_now,
                time(view.longest_wait),
                if view.callbacks > 0 { format!(", {} to be called back", view.callbacks) } else { String::new() },
                view.logged_in,
                view.agents,
                view.free,
                view.offered,
                view.answered,
                view.abandoned,
                view.overflowed,
            ));
        }
        self.lines.extend(lines);
        Ok(())
    }
}

fn statistics_line(subject: &Subject, tally: &Tally) -> String {
    let name = match subject {
        Subject::Queue(queue) => queue.name.to_string(),
        Subject::Agent(agent) => agent.name.to_string(),
        Subject::Number(number) => number.name.to_string(),
    };
    let of = |micros: u64| time(Duration::from_micros(micros));
    let mut line = format!("{name}: offered {}, answered {}", tally.offered, tally.answered);
    let counts = [("abandoned", tally.abandoned), ("short abandoned", tally.abandoned_short), ("missed", tally.missed)];
    let flow_outs = FlowOut::ALL.map(FlowOut::as_str).into_iter().zip(tally.flow_outs);
    for (what, count) in counts.into_iter().chain(flow_outs).filter(|(_, count)| *count > 0) {
        line += &format!(", {what} {count}");
    }
    if tally.handled > 0 {
        line += &format!(", handled {} (talk {}, hold {})", tally.handled, of(tally.talk), of(tally.hold));
    }
    line
}

fn agent_name(agent: &AgentId, device: u8) -> String {
    if device == 0 { format!("{}'s phone", agent.name) } else { format!("{}'s device {device}", agent.name) }
}

/// The other edges that a call has to pass to reach a phone.
fn through(leg: LegId, at: &[Location]) -> String {
    let elsewhere = at.iter().map(|location| location.edge).filter(|edge| *edge != leg.call.node);
    elsewhere.map(|edge| format!(", through edge {}", edge.0)).collect()
}

fn target_name(target: &DialTarget) -> String {
    match target {
        DialTarget::Device { device, .. } => agent_name(&device.agent, device.index),
        DialTarget::Trunk { trunk, number } => format!("{number} through {}", trunk.name),
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered => "answered",
        Outcome::Abandoned => "abandoned",
        Outcome::Missed => "missed",
        Outcome::Refused => "refused",
        Outcome::Failed => "failed",
        Outcome::Done => "done",
    }
}

fn record_line(record: &Record) -> String {
    let mut line =
        format!("call {} is over: {} ({})", record.call.number, outcome(record.outcome), words(record.cause));
    for transition in &record.transitions {
        if let Happened::Commanded { what, refused, .. } = &transition.what {
            let why = refused.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            line += &format!(", {what}{why}").replace("tenants/default/queues/", "");
        }
    }
    if let (Some(queue), Some(wait)) = (&record.queue, record.wait_ms) {
        line += &format!(", waited {} for {}", time(Duration::from_millis(wait)), queue.name);
    }
    if record.transitions.iter().any(|t| matches!(t.what, Happened::Connected { .. })) {
        let with = record.agent.as_ref().map_or("the outside", |agent| agent.name.as_str());
        line += &format!(", talked {} with {with}", time(Duration::from_millis(record.talk_ms)));
    }
    line
}
