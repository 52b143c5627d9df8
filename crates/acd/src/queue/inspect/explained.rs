//! The queue explains itself: nothing in here changes it, so it may be asked at any time (Spec: RT-9, QU-6, QU-7).

use std::time::Duration;

use super::super::selection::{Class, Seat};
use super::super::waiting::{Caller, State};
use super::super::{Queue, Strategy, Then, Unanswered};
use crate::explain::{
    AgentInQueue, AgentStands, CallerExplained, CallerState, MOST_CALLERS, NextCaller, Obstacle, QueueExplained,
    Relaxation, Setting, Turn,
};
use crate::ids::{AgentId, CallId};
use crate::skills::Skills;
use crate::time::{Moment, Now, lasting};

/// One ring (Spec: QU-9).
const RING: Duration = Duration::from_secs(5);

impl Queue {
    /// How it decides, how its agents stand, and its first `most` callers in the order in which they are served.
    pub fn explain(&self, now: Now, most: usize) -> QueueExplained {
        self.explain_callers(now, |position, _| position < most)
    }

    /// The same with one caller; `None` when he is not here.
    pub fn explain_caller(&self, now: Now, call: CallId) -> Option<QueueExplained> {
        self.waiting.get(call)?;
        Some(self.explain_callers(now, |_, caller| caller.call == call))
    }

    fn explain_callers(&self, now: Now, wanted: impl Fn(usize, &Caller) -> bool) -> QueueExplained {
        let now = now.mono;
        let mut callers: Vec<&Caller> = self.waiting.iter().collect();
        callers.sort_by_key(|caller| self.waiting.rank(caller));
        let mut position = 0;
        let mut explained = Vec::new();
        for (place, caller) in callers.iter().enumerate() {
            let waits = matches!(caller.state, State::Waiting | State::Resting { .. });
            position += u32::from(waits);
            if wanted(place, caller) {
                explained.push(self.caller(now, caller, waits.then_some(position)));
            }
        }
        let stands = |seat: Seat| self.stands(seat, self.roster.obstacle(now, seat));
        QueueExplained {
            queue: self.id.clone(),
            settings: self.settings(),
            ranking: self.config.ranking,
            agents: self.seats().map(stands).collect(),
            waiting: count(callers.len()),
            callers: explained,
        }
    }

    /// An agent's place and turn in this queue, and the callers whom he could have; `None` when he is not on its list.
    pub fn explain_agent(&self, now: Now, agent: &AgentId) -> Option<AgentInQueue> {
        let now = now.mono;
        let seat = self.roster.seat(agent)?;
        let could =
            |caller: &&Caller| self.is_open(caller) && !tried(caller, seat) && self.lacks(caller.class, seat).is_none();
        let mut callers: Vec<&Caller> = self.waiting.iter().filter(could).collect();
        callers.sort_by_key(|caller| self.waiting.rank(caller));
        let next = |caller: &&Caller| NextCaller {
            call: caller.call,
            queue: self.id.clone(),
            priority: caller.priority,
            waited: now.since(caller.began),
            bid: self.config.ranking.bid(caller.priority, now.since(caller.began)),
            sequence: caller.sequence,
        };
        Some(AgentInQueue {
            queue: self.id.clone(),
            strategy: self.config.strategy,
            place: seat + 1,
            agents: count(self.roster.len()),
            obstacle: self.roster.obstacle(now, seat),
            turn: self.turn(now, seat),
            could: count(callers.len()),
            others: count(self.waiting.len() - callers.len()),
            callers: callers.iter().take(MOST_CALLERS).map(next).collect(),
        })
    }

    fn turn(&self, now: Moment, seat: Seat) -> Option<Turn> {
        let mut order = Vec::with_capacity(self.roster.free());
        self.roster.each_free(Class::ANY, &mut |free| {
            order.push(free);
            true
        });
        let rank = order.iter().position(|free| *free == seat)?;
        let first = self.roster.agent(*order.first()?).clone();
        let measure = self.measure(now, Class::ANY, seat);
        Some(Turn::new(self.config.strategy, count(rank + 1), count(order.len()), first, &measure))
    }

    /// Whether he can take an agent: while he waits, and while phones ring that others may join (Spec: QU-2).
    fn is_open(&self, caller: &Caller) -> bool {
        match caller.state {
            State::Waiting => true,
            State::Offered(_) => self.config.strategy == Strategy::AllAtOnce,
            State::Resting { .. } | State::Leaving(_) => false,
        }
    }

    fn caller(&self, now: Moment, caller: &Caller, position: Option<u32>) -> CallerExplained {
        let (needs, _) = self.roster.skills(caller.class, 0);
        let for_him = |seat: Seat| {
            let obstacle = tried(caller, seat).then_some(Obstacle::Tried);
            self.stands(seat, obstacle.or_else(|| self.lacks(caller.class, seat)))
        };
        CallerExplained {
            call: caller.call,
            position,
            priority: caller.priority,
            waited: now.since(caller.began),
            waited_here: now.since(caller.entered),
            sequence: caller.sequence,
            round: caller.round,
            state: self.caller_state(now, caller),
            limit: caller.limit.map(|(at, _)| at.since(now)),
            relaxation: self.relaxation(now, caller),
            needs,
            agents: self.seats().filter(|seat| self.roster.is_free(*seat)).map(for_him).collect(),
        }
    }

    fn caller_state(&self, now: Moment, caller: &Caller) -> CallerState {
        match &caller.state {
            State::Waiting => CallerState::Waiting,
            State::Resting { until } => CallerState::Resting { left: until.since(now) },
            State::Offered(ringing) => CallerState::Offered {
                offer: ringing.offer,
                since: now.since(ringing.made),
                agents: ringing.seats.iter().map(|(seat, _)| self.roster.agent(*seat).clone()).collect(),
            },
            State::Leaving(overflow) => CallerState::Leaving { why: overflow.why },
        }
    }

    /// The next time at which he needs less.
    fn relaxation(&self, now: Moment, caller: &Caller) -> Option<Relaxation> {
        let rule = &self.config.skills;
        let (at, every) = (caller.relax_at?, rule.relax?);
        let steps = at.since(caller.entered).as_millis() / every.as_millis().max(1);
        let to = caller.wanted.relaxed(u32::try_from(steps).unwrap_or(u32::MAX), rule.least);
        Some(Relaxation { after: at.since(now), to })
    }

    /// The first skill of which an agent has too little for callers of this class.
    fn lacks(&self, class: Class, seat: Seat) -> Option<Obstacle> {
        let (needs, has) = self.roster.skills(class, seat);
        let short = needs.iter().find(|(skill, least)| has.level(skill) < *least);
        short.map(|(skill, needs)| Obstacle::Lacks { skill: skill.clone(), has: has.level(skill), needs })
    }

    fn stands(&self, seat: Seat, obstacle: Option<Obstacle>) -> AgentStands {
        AgentStands { agent: self.roster.agent(seat).clone(), obstacle }
    }

    fn seats(&self) -> impl Iterator<Item = Seat> {
        0..count(self.roster.len())
    }

    fn settings(&self) -> Vec<Setting> {
        let config = &self.config;
        let limit = |limit: Option<Duration>, none: &str| limit.map_or_else(|| none.to_owned(), lasting);
        let set = |name, value: String| Setting { name, value };
        let unanswered = match &config.unanswered {
            Unanswered::Wait => "wait".to_owned(),
            Unanswered::Leave(then) => words(then),
        };
        let mut settings = vec![
            set("strategy", config.strategy.as_str().to_owned()),
            set("rings", (config.ring_for.as_millis() / RING.as_millis()).to_string()),
            set("unanswered", unanswered),
            set("max_wait", limit(config.max_wait, "none")),
            set("nobody_grace", lasting(config.nobody_grace)),
            set("timeout", words(&config.timeout.then)),
            set("max_waiting", config.max_waiting.to_string()),
            set("ageing", limit(config.ranking.ageing, "none")),
            set("weight", lasting(config.ranking.weight)),
        ];
        if config.ranking.strict_weight {
            settings.push(set("strict_weight", "true".to_owned()));
        }
        if config.strategy == Strategy::Skills {
            settings.push(set("skills", skills(&config.skills.wanted)));
            settings.push(set("relax", limit(config.skills.relax, "never")));
            settings.push(set("relax_to", config.skills.least.to_string()));
        }
        settings
    }
}

fn tried(caller: &Caller, seat: Seat) -> bool {
    caller.tried.binary_search(&seat).is_ok()
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn words(then: &Then) -> String {
    match then {
        Then::HangUp => "hang_up".to_owned(),
        Then::Queue(queue) => format!("queue {}", queue.name),
        Then::Agent(agent) => format!("agent {}", agent.name),
        Then::Number(number) => format!("number {number}"),
        Then::LastAgentPhone => "last_agent_phone".to_owned(),
    }
}

fn skills(skills: &Skills) -> String {
    let levels: Vec<String> = skills.iter().map(|(skill, level)| format!("{skill} {level}")).collect();
    if levels.is_empty() { "none".to_owned() } else { levels.join(" ") }
}
