//! Non-INVITE client transaction (RFC 3261 §17.1.2).

use super::{ClientEffect as Effect, ClientEvent as Event, Repeat, Timers, due, earlier};
use crate::time::Moment;

/// The machine of a request other than INVITE and ACK that we sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    reliable: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing came yet; timers E (repeat) and F (until).
    Trying { repeat: Option<Repeat>, until: Moment },
    /// A provisional response came; timers E at T2 and F.
    Proceeding { repeat: Option<Repeat>, until: Moment },
    /// The final response came; timer K absorbs its repetitions.
    Completed { until: Moment },
    /// Over.
    Terminated,
}

impl Client {
    /// The request is being sent now.
    pub fn new(now: Moment, reliable: bool, timers: &Timers) -> Self {
        let repeat = Repeat::first(now, timers.t1, reliable);
        Client { reliable, state: State::Trying { repeat, until: now + timers.t64() } }
    }

    /// Feeds an event; the effects are to be performed in order.
    pub fn handle(&mut self, now: Moment, event: Event, timers: &Timers) -> &'static [Effect] {
        match self.state {
            State::Trying { repeat, until } => self.trying(now, event, timers, repeat, until),
            State::Proceeding { repeat, until } => self.proceeding(now, event, timers, repeat, until),
            State::Completed { until } => self.completed(now, event, until),
            State::Terminated => &[],
        }
    }

    /// When the machine wants its next tick.
    pub fn deadline(&self) -> Option<Moment> {
        match self.state {
            State::Trying { repeat, until } | State::Proceeding { repeat, until } => earlier(repeat, until),
            State::Completed { until } => Some(until),
            State::Terminated => None,
        }
    }

    /// Whether a final response has still to come.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Trying { .. } | State::Proceeding { .. })
    }

    /// Whether the transaction is over and can be forgotten.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// RFC 3261 §17.1.2.2, figure 6: Trying.
    fn trying(
        &mut self,
        now: Moment,
        event: Event,
        timers: &Timers,
        repeat: Option<Repeat>,
        until: Moment,
    ) -> &'static [Effect] {
        match event {
            Event::Response(status) if status.is_provisional() => {
                self.state = State::Proceeding { repeat: Repeat::first(now, timers.t2, self.reliable), until };
                &[Effect::PassUp]
            }
            Event::Response(_) => self.complete(now, timers),
            Event::Tick if until <= now => self.end(&[Effect::Timeout]),
            Event::Tick => match due(repeat, now) {
                Some(repeat) => {
                    self.state = State::Trying { repeat: Some(repeat.next(now, timers.t2)), until };
                    &[Effect::SendRequest]
                }
                None => &[],
            },
            Event::TransportError => self.end(&[Effect::TransportError]),
            Event::Cancelled => &[],
        }
    }

    /// RFC 3261 §17.1.2.2: Proceeding.
    fn proceeding(
        &mut self,
        now: Moment,
        event: Event,
        timers: &Timers,
        repeat: Option<Repeat>,
        until: Moment,
    ) -> &'static [Effect] {
        match event {
            Event::Response(status) if status.is_provisional() => &[Effect::PassUp],
            Event::Response(_) => self.complete(now, timers),
            Event::Tick if until <= now => self.end(&[Effect::Timeout]),
            Event::Tick => match due(repeat, now) {
                Some(repeat) => {
                    self.state = State::Proceeding { repeat: Some(repeat.next(now, timers.t2)), until };
                    &[Effect::SendRequest]
                }
                None => &[],
            },
            Event::TransportError => self.end(&[Effect::TransportError]),
            Event::Cancelled => &[],
        }
    }

    /// RFC 3261 §17.1.2.2: Completed.
    fn completed(&mut self, now: Moment, event: Event, until: Moment) -> &'static [Effect] {
        match event {
            Event::Tick if until <= now => self.end(&[]),
            Event::Response(_) | Event::Tick | Event::TransportError | Event::Cancelled => &[],
        }
    }

    fn complete(&mut self, now: Moment, timers: &Timers) -> &'static [Effect] {
        self.state = if self.reliable { State::Terminated } else { State::Completed { until: now + timers.t4 } };
        &[Effect::PassUp]
    }

    fn end(&mut self, effects: &'static [Effect]) -> &'static [Effect] {
        self.state = State::Terminated;
        effects
    }
}
