//! The day as it happens: a picture that is redrawn in place, or plain lines where there is no terminal.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use crossterm::style::Stylize;
use crossterm::terminal::{Clear, ClearType};
use crossterm::{cursor, queue};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::plan::Day;
use super::run::Happening;

/// Times a second that the picture is redrawn.
const FRAMES: u64 = 8;
/// Columns of the bars.
const BAR: usize = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AgentState {
    Away,
    Idle,
    Ringing(usize),
    Talking(usize),
}

/// Who does what now.
#[derive(Debug)]
pub struct View {
    day: Arc<Day>,
    begin: Instant,
    agents: Vec<(AgentState, usize)>,
    waiting: Vec<usize>,
    dialled: usize,
    served: usize,
    given_up: usize,
    gone: usize,
    lines: u16,
}

impl View {
    /// A view of `day`, before anything has happened.
    pub fn new(day: Arc<Day>) -> View {
        let agents = vec![(AgentState::Away, 0); day.agents.len()];
        View {
            day,
            begin: Instant::now(),
            agents,
            waiting: vec![],
            dialled: 0,
            served: 0,
            given_up: 0,
            gone: 0,
            lines: 0,
        }
    }

    /// Shows what happens until the sender is gone.
    pub async fn show(mut self, mut happenings: mpsc::Receiver<Happening>, plain: bool) -> io::Result<()> {
        let mut clock = tokio::time::interval(Duration::from_millis(1000 / FRAMES));
        let mut out = io::stdout();
        loop {
            tokio::select! {
                what = happenings.recv() => match what {
                    Some(what) => {
                        self.take(what);
                        if plain {
                            writeln!(out, "{:6.1} s  {}", self.begin.elapsed().as_secs_f64(), self.sentence(what))?;
                        }
                    }
                    None => break,
                },
                _ = clock.tick(), if !plain => self.draw(&mut out)?,
            }
        }
        if plain { Ok(()) } else { self.draw(&mut out) }
    }

    fn take(&mut self, what: Happening) {
        match what {
            Happening::Ready(a) | Happening::Free(a) => self.agents[a].0 = AgentState::Idle,
            Happening::Rings(a, c) => self.agents[a].0 = AgentState::Ringing(c),
            Happening::Declines(a) => self.agents[a].0 = AgentState::Idle,
            Happening::Talks(a, c) => self.agents[a] = (AgentState::Talking(c), self.agents[a].1 + 1),
            Happening::Dials(c) => {
                self.dialled += 1;
                self.waiting.push(c);
            }
            Happening::Served(c, _) => {
                self.served += 1;
                self.waiting.retain(|&w| w != c);
            }
            Happening::GivesUp(c) => {
                self.given_up += 1;
                self.waiting.retain(|&w| w != c);
            }
            Happening::Leaves(c) => {
                self.gone += 1;
                self.waiting.retain(|&w| w != c);
            }
        }
    }

    fn agent(&self, index: usize) -> &str {
        &self.day.agents[index].user
    }

    fn caller(&self, index: usize) -> &str {
        &self.day.visits[index].number
    }

    fn sentence(&self, what: Happening) -> String {
        match what {
            Happening::Ready(a) => format!("{} is registered", self.agent(a)),
            Happening::Rings(a, c) => format!("{}'s phone rings for {}", self.agent(a), self.caller(c)),
            Happening::Declines(a) => format!("{} declines", self.agent(a)),
            Happening::Talks(a, c) => format!("{} hears {}", self.agent(a), self.caller(c)),
            Happening::Free(a) => format!("{} is off the line", self.agent(a)),
            Happening::Dials(c) => format!("{} calls; {} wait", self.caller(c), self.waiting.len()),
            Happening::Served(c, a) => format!("{} hears {}", self.caller(c), self.agent(a)),
            Happening::GivesUp(c) => format!("{} gives up", self.caller(c)),
            Happening::Leaves(c) => {
                format!("{} has left; {} of {} are done", self.caller(c), self.gone, self.day.visits.len())
            }
        }
    }

    fn draw(&mut self, out: &mut impl Write) -> io::Result<()> {
        let picture = self.picture();
        if self.lines > 0 {
            queue!(out, cursor::MoveToPreviousLine(self.lines))?;
        }
        queue!(out, cursor::Hide)?;
        for line in &picture {
            queue!(out, Clear(ClearType::CurrentLine))?;
            writeln!(out, "{line}")?;
        }
        queue!(out, cursor::Show)?;
        self.lines = u16::try_from(picture.len()).unwrap_or(u16::MAX);
        out.flush()
    }

    fn picture(&self) -> Vec<String> {
        let mut lines = vec![String::new()];
        for (index, (state, calls)) in self.agents.iter().enumerate() {
            let state = match *state {
                AgentState::Away => "registering".dark_grey().to_string(),
                AgentState::Idle => "free".dark_grey().to_string(),
                AgentState::Ringing(c) => format!("{} {}", "rings for".yellow(), self.caller(c)),
                AgentState::Talking(c) => format!("{} {}", "talks with".green(), self.caller(c)),
            };
            lines.push(format!("  {:8} {calls:2} calls   {state}", self.agent(index)));
        }
        let total = self.day.visits.len();
        lines.push(String::new());
        lines.push(format!("  waiting  {:2} {}", self.waiting.len(), bar(self.waiting.len(), total).yellow()));
        lines.push(format!("  served   {:2} {}", self.served, bar(self.served, total).green()));
        lines.push(format!("  gave up  {:2} {}", self.given_up, bar(self.given_up, total).red()));
        let seconds = self.begin.elapsed().as_secs();
        lines.push(format!("  {} of {total} callers have called, {} are done, {seconds} s", self.dialled, self.gone));
        lines
    }
}

fn bar(part: usize, whole: usize) -> String {
    "█".repeat((part * BAR).div_ceil(whole.max(1)))
}
