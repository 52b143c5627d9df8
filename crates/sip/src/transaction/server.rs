//! Non-INVITE server transaction (RFC 3261 §17.2.2).

use super::{ServerEffect as Effect, ServerEvent as Event, Timers};
use crate::time::Moment;

/// The machine of a request other than INVITE and ACK that we received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    reliable: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No response yet. After 64·T1 the client has given up, so an answer would be useless (RFC 4320 §4.2).
    Trying { until: Moment },
    /// A provisional response was sent.
    Proceeding { until: Moment },
    /// The final response was sent; timer J answers repetitions.
    Completed { until: Moment },
    /// Over.
    Terminated,
}

impl Server {
    /// The request has arrived.
    pub fn new(now: Moment, reliable: bool, timers: &Timers) -> Self {
        Server { reliable, state: State::Trying { until: now + timers.t64() } }
    }

    /// Feeds an event; the effects are to be performed in order.
    pub fn handle(&mut self, now: Moment, event: Event, timers: &Timers) -> &'static [Effect] {
        match self.state {
            State::Trying { until } => self.trying(now, event, timers, until),
            State::Proceeding { until } => self.proceeding(now, event, timers, until),
            State::Completed { until } => self.completed(now, event, until),
            State::Terminated => &[],
        }
    }

    /// When the machine wants its next tick.
    pub fn deadline(&self) -> Option<Moment> {
        match self.state {
            State::Trying { until } | State::Proceeding { until } | State::Completed { until } => Some(until),
            State::Terminated => None,
        }
    }

    /// Whether the final response has still to be given.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Trying { .. } | State::Proceeding { .. })
    }

    /// Whether the transaction is over and can be forgotten.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// RFC 3261 §17.2.2, figure 8: Trying.
    fn trying(&mut self, now: Moment, event: Event, timers: &Timers, until: Moment) -> &'static [Effect] {
        match event {
            Event::Respond(status) if status.is_provisional() => {
                self.state = State::Proceeding { until };
                &[Effect::SendResponse]
            }
            Event::Respond(_) => self.complete(now, timers),
            Event::Tick if until <= now => self.end(&[Effect::Unanswered]),
            Event::Tick | Event::Repeated | Event::Ack => &[],
        }
    }

    /// RFC 3261 §17.2.2: Proceeding.
    fn proceeding(&mut self, now: Moment, event: Event, timers: &Timers, until: Moment) -> &'static [Effect] {
        match event {
            Event::Respond(status) if status.is_provisional() => &[Effect::SendResponse],
            Event::Respond(_) => self.complete(now, timers),
            Event::Repeated => &[Effect::SendResponse],
            Event::Tick if until <= now => self.end(&[Effect::Unanswered]),
            Event::Tick | Event::Ack => &[],
        }
    }

    /// RFC 3261 §17.2.2: Completed.
    fn completed(&mut self, now: Moment, event: Event, until: Moment) -> &'static [Effect] {
        match event {
            Event::Repeated => &[Effect::SendResponse],
            Event::Tick if until <= now => self.end(&[]),
            Event::Tick | Event::Ack | Event::Respond(_) => &[],
        }
    }

    fn complete(&mut self, now: Moment, timers: &Timers) -> &'static [Effect] {
        self.state = if self.reliable { State::Terminated } else { State::Completed { until: now + timers.t64() } };
        &[Effect::SendResponse]
    }

    fn end(&mut self, effects: &'static [Effect]) -> &'static [Effect] {
        self.state = State::Terminated;
        effects
    }
}
