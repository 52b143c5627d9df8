//! What the phones saw: the truth that records and views are held against.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use carillon_tests::audio::{Heard, Pause, Sound};
use tokio::time::Instant;

/// How a caller's attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallerEnd {
    /// The center refused it with this status: the carrier tried another edge.
    Refused(u16),
    /// Nobody answered at all: the carrier tried another edge.
    Unanswered,
    /// The center hung up: right after a conversation, a loss before one.
    ByCenter,
    /// He had enough of waiting or talking.
    ByHimself,
    /// He heard nothing any more.
    InSilence,
    /// Nobody had come when the lab ended.
    LeftOver,
}

/// What one side heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hearing {
    /// When the first and the last packet came.
    pub(crate) between: Option<(Instant, Instant)>,
    /// When nothing came.
    pub(crate) pauses: Vec<Pause>,
    /// The newest tone.
    pub(crate) tone: Option<f64>,
}

impl From<Heard> for Hearing {
    fn from(heard: Heard) -> Self {
        let tone = heard.latest.iter().rev().find_map(|sound| match sound {
            Sound::Tone(hertz) => Some(*hertz),
            Sound::Silence | Sound::Mixed => None,
        });
        Hearing { between: heard.between, pauses: heard.pauses.into_iter().collect(), tone }
    }
}

/// A caller's attempt.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The number that he shows; no other attempt has it.
    pub(crate) number: String,
    /// The edge that he called.
    pub(crate) edge: u8,
    pub(crate) dialled: Instant,
    /// When the edge answered him.
    pub(crate) answered: Option<Instant>,
    /// When he hung up; his phone may need a while until somebody confirms it.
    pub(crate) hung_up: Option<Instant>,
    pub(crate) ended: Instant,
    pub(crate) end: CallerEnd,
    pub(crate) heard: Hearing,
}

/// An agent's leg.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub(crate) agent: String,
    /// The edge at which his phone was registered then.
    pub(crate) edge: u8,
    /// Whose call it is.
    pub(crate) number: String,
    pub(crate) rang: Instant,
    pub(crate) answered: Option<Instant>,
    /// When the agent hung up; his phone may need a while until somebody confirms it.
    pub(crate) hung_up: Option<Instant>,
    pub(crate) ended: Instant,
    pub(crate) heard: Hearing,
}

/// An agent's phone now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Desk {
    /// Calls that ring or talk there.
    pub(crate) legs: u32,
    /// Since when it is so.
    pub(crate) since: Instant,
}

/// Everything that was seen since the last [`Journal::take`].
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) callers: Vec<Caller>,
    pub(crate) talks: Vec<Talk>,
    /// When the lab itself came late, and how much: what was heard then proves nothing.
    pub(crate) late: Vec<(Instant, Duration)>,
}

/// Written by all phones.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    facts: Facts,
    desks: HashMap<String, Desk>,
    /// Callers whom an edge has answered and who are still there.
    callers: usize,
    /// Agents who talk.
    talking: usize,
}

/// A caller who is there, or an agent who talks, as long as it lives.
#[derive(Debug)]
pub(crate) struct Present<'a> {
    journal: &'a Journal,
    count: fn(&mut Inner) -> &mut usize,
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        *(self.count)(&mut self.journal.lock()) -= 1;
    }
}

impl Journal {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn present(&self, count: fn(&mut Inner) -> &mut usize) -> Present<'_> {
        *count(&mut self.lock()) += 1;
        Present { journal: self, count }
    }

    pub(crate) fn caller_is_there(&self) -> Present<'_> {
        self.present(|inner| &mut inner.callers)
    }

    pub(crate) fn agent_talks(&self) -> Present<'_> {
        self.present(|inner| &mut inner.talking)
    }

    /// Callers who wait and who talk.
    pub(crate) fn waiting_and_talking(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.callers.saturating_sub(inner.talking), inner.talking)
    }

    /// A phone of this agent rings, or one of its calls is over.
    pub(crate) fn desk(&self, agent: &str, rings: bool) {
        let mut inner = self.lock();
        let desk = inner.desks.entry(agent.to_owned()).or_insert(Desk { legs: 0, since: Instant::now() });
        desk.legs = if rings { desk.legs + 1 } else { desk.legs.saturating_sub(1) };
        desk.since = Instant::now();
    }

    /// All desks at which something ever rang.
    pub(crate) fn desks(&self) -> HashMap<String, Desk> {
        self.lock().desks.clone()
    }

    pub(crate) fn add_caller(&self, caller: Caller) {
        self.lock().facts.callers.push(caller);
    }

    pub(crate) fn add_talk(&self, talk: Talk) {
        self.lock().facts.talks.push(talk);
    }

    pub(crate) fn add_late(&self, at: Instant, by: Duration) {
        self.lock().facts.late.push((at, by));
    }

    /// Everything so far; a new account begins.
    pub(crate) fn take(&self) -> Facts {
        std::mem::take(&mut self.lock().facts)
    }
}
