//! INVITE client transaction (RFC 3261 §17.1.1, RFC 6026 §8.4).

use super::{ClientEffect as Effect, ClientEvent as Event, Repeat, Timers, due, earlier};
use crate::time::Moment;
use std::time::Duration;

/// The machine of an INVITE that we sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InviteClient {
    reliable: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing came yet; timers A (repeat) and B (until).
    Calling { repeat: Option<Repeat>, until: Moment },
    /// It rings; timer C, or 64·T1 once it was cancelled (RFC 3261 §9.1).
    Proceeding { until: Moment, cancelled: bool },
    /// A 2xx came; timer M. More 2xx may come from other forks.
    Accepted { until: Moment },
    /// A 3xx–6xx came; timer D. Its repetitions get the ACK again.
    Completed { until: Moment },
    /// Over.
    Terminated,
}

impl InviteClient {
    /// The INVITE is being sent now. On an unreliable transport it is repeated first after `first`: T1, or less in a network
    /// of one's own (RFC 3261 §17.1.1.1); timer B stays 64·T1.
    pub fn new(now: Moment, reliable: bool, first: Duration, timers: &Timers) -> Self {
        let repeat = Repeat::first(now, first, reliable);
        InviteClient { reliable, state: State::Calling { repeat, until: now + timers.t64() } }
    }

    /// Feeds an event; the effects are to be performed in order.
    pub fn handle(&mut self, now: Moment, event: Event, timers: &Timers) -> &'static [Effect] {
        match self.state {
            State::Calling { repeat, until } => self.calling(now, event, timers, repeat, until),
            State::Proceeding { until, cancelled } => self.proceeding(now, event, timers, until, cancelled),
            State::Accepted { until } => self.accepted(now, event, until),
            State::Completed { until } => self.completed(now, event, until),
            State::Terminated => &[],
        }
    }

    /// When the machine wants its next tick.
    pub fn deadline(&self) -> Option<Moment> {
        match self.state {
            State::Calling { repeat, until } => earlier(repeat, until),
            State::Proceeding { until, .. } | State::Accepted { until } | State::Completed { until } => Some(until),
            State::Terminated => None,
        }
    }

    /// Whether a provisional response came and nothing final: a CANCEL may be sent (RFC 3261 §9.1).
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// Whether a final response has still to come.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding { .. })
    }

    /// Whether the transaction is over and can be forgotten.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// RFC 3261 §17.1.1.2, figure 5: Calling.
    fn calling(
        &mut self,
        now: Moment,
        event: Event,
        timers: &Timers,
        repeat: Option<Repeat>,
        until: Moment,
    ) -> &'static [Effect] {
        match event {
            Event::Response(status) if status.is_provisional() => {
                self.state = State::Proceeding { until: now + timers.c, cancelled: false };
                &[Effect::PassUp]
            }
            Event::Response(status) if status.is_success() => self.accept(now, timers),
            Event::Response(_) => self.complete(now, timers),
            Event::Tick if until <= now => self.end(&[Effect::Timeout]),
            Event::Tick => match due(repeat, now) {
                Some(repeat) => {
                    // Timer A doubles without the limit T2; timer B ends it.
                    self.state = State::Calling { repeat: Some(repeat.next(now, timers.t64())), until };
                    &[Effect::SendRequest]
                }
                None => &[],
            },
            Event::TransportError => self.end(&[Effect::TransportError]),
            Event::Cancelled => &[],
        }
    }

    /// RFC 3261 §17.1.1.2: Proceeding.
    fn proceeding(
        &mut self,
        now: Moment,
        event: Event,
        timers: &Timers,
        until: Moment,
        cancelled: bool,
    ) -> &'static [Effect] {
        match event {
            Event::Response(status) if status.is_provisional() => {
                // RFC 3261 §16.7 step 2: news starts timer C again, unless we already gave up.
                let until = if cancelled { until } else { now + timers.c };
                self.state = State::Proceeding { until, cancelled };
                &[Effect::PassUp]
            }
            Event::Response(status) if status.is_success() => self.accept(now, timers),
            Event::Response(_) => self.complete(now, timers),
            Event::Tick if until <= now && cancelled => self.end(&[Effect::Timeout]),
            Event::Tick if until <= now => {
                self.state = State::Proceeding { until: now + timers.t64(), cancelled: true };
                &[Effect::SendCancel]
            }
            Event::Tick | Event::TransportError => &[],
            Event::Cancelled => {
                self.state = State::Proceeding { until: now + timers.t64(), cancelled: true };
                &[]
            }
        }
    }

    /// RFC 6026 §7.2: Accepted.
    fn accepted(&mut self, now: Moment, event: Event, until: Moment) -> &'static [Effect] {
        match event {
            Event::Response(status) if status.is_success() => &[Effect::PassUp],
            Event::Tick if until <= now => self.end(&[]),
            Event::Response(_) | Event::Tick | Event::TransportError | Event::Cancelled => &[],
        }
    }

    /// RFC 3261 §17.1.1.2: Completed.
    fn completed(&mut self, now: Moment, event: Event, until: Moment) -> &'static [Effect] {
        match event {
            Event::Response(status) if status.is_failure() => &[Effect::SendAck],
            Event::Tick if until <= now => self.end(&[]),
            Event::TransportError => self.end(&[]),
            Event::Response(_) | Event::Tick | Event::Cancelled => &[],
        }
    }

    fn accept(&mut self, now: Moment, timers: &Timers) -> &'static [Effect] {
        self.state = State::Accepted { until: now + timers.t64() };
        &[Effect::PassUp]
    }

    fn complete(&mut self, now: Moment, timers: &Timers) -> &'static [Effect] {
        self.state = if self.reliable { State::Terminated } else { State::Completed { until: now + timers.d } };
        &[Effect::SendAck, Effect::PassUp]
    }

    fn end(&mut self, effects: &'static [Effect]) -> &'static [Effect] {
        self.state = State::Terminated;
        effects
    }
}
